//! Hours of the week, in a time zone that is an offset from UTC.

use std::time::Duration;

use crate::Time;

const DAY: u64 = 24 * 60;
const MINUTE: u64 = 60_000;

/// Days of the week, the bit 0 being Monday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days(pub u8);

impl Days {
    /// The whole week.
    pub const ALL: Days = Days(0x7f);
    /// The names of the days, as documents have them.
    pub const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// Whether a day, 0 being Monday, is one of these.
    pub fn has(self, day: usize) -> bool {
        self.0 >> day & 1 == 1
    }
}

/// From a minute of some days to another: of the same day, or of the next when it is not later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The days on which they begin.
    pub days: Days,
    /// The minute of the day at which they begin.
    pub from: u16,
    /// The minute of the day at which they end.
    pub to: u16,
    /// The minutes by which local time is ahead of UTC.
    pub offset: i16,
}

impl Default for Hours {
    fn default() -> Self {
        Hours { days: Days::ALL, from: 22 * 60, to: 7 * 60, offset: 0 }
    }
}

impl Hours {
    /// When these hours end, if it is within them now.
    pub fn until(&self, now: Time) -> Option<Time> {
        // Ahead by a week, so that no offset leads before the beginning of time.
        let local = (now.0 / MINUTE + 7 * DAY).checked_add_signed(i64::from(self.offset))?;
        let (day, minute) = (local / DAY, local % DAY);
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        let length = if to > from { to - from } else { to + DAY - from };
        // Those that began today, and those that began yesterday.
        [day, day - 1].into_iter().find_map(|start| {
            // The first of January 1970 was a Thursday.
            let weekday = ((start + 3) % 7) as usize;
            let elapsed = (day - start) * DAY + minute;
            let within = self.days.has(weekday) && elapsed >= from && elapsed < from + length;
            within.then(|| Time(now.0 - now.0 % MINUTE) + Duration::from_millis((from + length - elapsed) * MINUTE))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    /// R235, R342: hours hold in the user's own time, over midnight too.
    #[test]
    fn hours_begin_on_their_days_and_end_on_the_next() {
        // 2026-11-20 is a Friday.
        let friday = Hours { days: Days(0b1_0000), from: 22 * 60, to: 7 * 60 + 30, offset: 60 };
        let end = at("2026-11-21T06:30:00Z");
        for inside in ["2026-11-20T21:00:00Z", "2026-11-20T23:30:00Z", "2026-11-21T06:29:59.999Z"] {
            assert_eq!(friday.until(at(inside)), Some(end), "{inside}");
        }
        for outside in ["2026-11-20T20:59:59Z", "2026-11-20T02:00:00Z", "2026-11-21T06:30:00Z", "2026-11-21T22:00:00Z"] {
            assert_eq!(friday.until(at(outside)), None, "{outside}");
        }
        let noon = Hours { days: Days::ALL, from: 720, to: 780, offset: -300 };
        assert_eq!(noon.until(at("2026-11-20T17:20:31Z")), Some(at("2026-11-20T18:00:00Z")));
        assert_eq!(noon.until(at("2026-11-20T12:20:00Z")), None);
        let whole = Hours { days: Days(0b100_0000), from: 0, to: 0, offset: 0 };
        assert_eq!(whole.until(at("2026-11-22T23:59:00Z")), Some(at("2026-11-23T00:00:00Z")));
        assert_eq!(whole.until(at("2026-11-23T00:00:00Z")), None);
        assert_eq!(Hours { days: Days(0), ..noon }.until(at("2026-11-20T17:20:00Z")), None);
    }

    proptest::proptest! {
        #[test]
        fn an_end_is_later_and_no_more_than_a_day_away(now in proptest::prelude::any::<u64>(), days in 0u8..128, from in 0u16..1440, to in 0u16..1440, offset in -840i16..=840) {
            let now = Time(now / 2);
            if let Some(until) = (Hours { days: Days(days), from, to, offset }).until(now) {
                assert!(until > now && until.since(now) <= Duration::from_secs(24 * 3600));
            }
        }
    }
}
