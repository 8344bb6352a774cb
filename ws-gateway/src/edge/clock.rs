//! The clock: the time of day at the start, carried on by a clock that never runs backwards.

use std::time::{Duration, Instant, SystemTime};

use wasm_core::Time;

/// Where the node's time and the runtime's meet.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    time: Time,
    instant: Instant,
}

impl Clock {
    /// A clock that is right now.
    pub fn start() -> Clock {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clock { time: Time(0) + since, instant: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.time + self.instant.elapsed()
    }

    /// When it will be `time`, or at once when that is past. Very far times are cut to a day.
    pub fn instant(&self, time: Time) -> Instant {
        // Rounded up by one millisecond, so that it is not woken just before.
        let ahead = time.since(self.time).min(self.instant.elapsed() + Duration::from_secs(86_400));
        self.instant + ahead + Duration::from_millis(1)
    }
}
