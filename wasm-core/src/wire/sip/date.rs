//! Date: the one form of a date in SIP [RFC3261 §20.17].

use std::fmt;

use super::HeaderName;
use super::error::{HeaderError, HeaderFault};
use super::headers::TypedHeader;
use crate::{Text, Time};

/// When a message was first sent, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub Time);

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl TypedHeader for Date {
    const NAME: HeaderName = HeaderName::Date;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let read = || {
            let mut words = value.split([' ', '\t']).filter(|word| !word.is_empty());
            let weekday = words.next()?.strip_suffix(',')?;
            DAYS.iter().find(|day| day.eq_ignore_ascii_case(weekday))?;
            let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
            let zone = words.next()?;
            let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
            if !zone.eq_ignore_ascii_case("GMT") || words.next().is_some() {
                return None;
            }
            Time::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
        };
        read().map(Date).ok_or(HeaderError { fault: HeaderFault::Syntax, offset: 0 })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_rfc3339();
        let month = text[5..7].parse().ok().and_then(|month: usize| MONTHS.get(month - 1)).copied().unwrap_or_default();
        let weekday = DAYS[(self.0.seconds() / 86_400 % 7) as usize];
        write!(f, "{weekday}, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        let date = Date(Time(1_289_690_940_000));
        assert_eq!(date.to_string(), "Sat, 13 Nov 2010 23:29:00 GMT");
        assert_eq!(Date::parse(&"Sat, 13 Nov 2010 23:29:00 GMT".into()), Ok(date));
        assert_eq!(Date::parse(&"Fri, 1 Jan 2010 16:00:00 GMT".into()).unwrap().to_string(), "Fri, 01 Jan 2010 16:00:00 GMT");
        for text in ["", "Fri, 01 Jan 2010 16:00:00 EST", "01 Jan 2010 16:00:00 GMT", "Fri, 01 Foo 2010 16:00:00 GMT"] {
            assert!(Date::parse(&text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_end_of_time_is_printed() {
        assert!(Date(Time::NEVER).to_string().ends_with("9999 23:59:59 GMT"));
    }
}
