//! What keeps a flow alive, and when to try again after it has failed [RFC5626 §4.4, §4.5].
//!
//! | timer | value | ends with |
//! |---|---|---|
//! | ping | 80-100 % of the interval, at random | CRLFCRLF is sent |
//! | pong | 10 s after a ping [RFC5626 §4.4.1] | the flow is dead |
//! | wait | 50-100 % of `min(longest, base * 2^failures)` | the next attempt |
//!
//! It says when; the shell opens and closes the sockets.

use std::time::Duration;

use crate::{Entropy, Time};

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait when nothing failed before; each failure doubles it.
    pub base: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The values of [RFC5626 §4.5] for a user agent whose flows have all failed.
    pub const OUTBOUND: Backoff = Backoff { base: Duration::from_secs(30), longest: Duration::from_secs(1800) };

    /// The wait after that many failures in a row, at random in the upper half of what they allow.
    pub fn wait(&self, failures: u32, entropy: &mut Entropy) -> Duration {
        let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(factor).min(self.longest).as_millis() as u64;
        Duration::from_millis(bound / 2 + entropy.below(bound / 2 + 1))
    }
}

/// What the keep-alive of a connection asks of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// Send the double CRLF.
    Ping,
    /// The answer did not come: the flow is dead.
    Dead,
}

/// The keep-alive of one connection.
#[derive(Debug)]
pub struct KeepAlive {
    interval: Duration,
    state: Beat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    Resting { ping_at: Time },
    Waiting { pong_by: Time },
    Dead,
}

impl KeepAlive {
    /// How long a pong may take.
    pub const PONG: Duration = Duration::from_secs(10);

    /// A keep-alive for a flow that has just opened; `interval` is the longest time between pings.
    pub fn new(now: Time, interval: Duration, entropy: &mut Entropy) -> KeepAlive {
        KeepAlive { interval, state: Beat::Resting { ping_at: now + jittered(interval, entropy) } }
    }

    /// Anything that came in on the flow, a pong or a message, shows that it lives.
    pub fn heard(&mut self, now: Time, entropy: &mut Entropy) {
        self.state = match self.state {
            Beat::Waiting { .. } | Beat::Resting { .. } => Beat::Resting { ping_at: now + jittered(self.interval, entropy) },
            Beat::Dead => Beat::Dead,
        };
    }

    /// Asks for a ping at once, for instance when the browser's page becomes visible again.
    pub fn probe(&mut self, now: Time) {
        self.state = match self.state {
            Beat::Resting { .. } => Beat::Resting { ping_at: now },
            waiting @ (Beat::Waiting { .. } | Beat::Dead) => waiting,
        };
    }

    /// When [`KeepAlive::timeout`] has something to say.
    pub fn next_timeout(&self) -> Option<Time> {
        match self.state {
            Beat::Resting { ping_at } => Some(ping_at),
            Beat::Waiting { pong_by } => Some(pong_by),
            Beat::Dead => None,
        }
    }

    /// What is due at this time, at most one thing.
    pub fn timeout(&mut self, now: Time) -> Option<Pulse> {
        let (state, pulse) = match self.state {
            Beat::Resting { ping_at } if ping_at <= now => (Beat::Waiting { pong_by: now + Self::PONG }, Some(Pulse::Ping)),
            Beat::Waiting { pong_by } if pong_by <= now => (Beat::Dead, Some(Pulse::Dead)),
            quiet @ (Beat::Resting { .. } | Beat::Waiting { .. } | Beat::Dead) => (quiet, None),
        };
        self.state = state;
        pulse
    }
}

/// Between 80 and 100 % of a span.
fn jittered(span: Duration, entropy: &mut Entropy) -> Duration {
    let millis = span.as_millis() as u64;
    Duration::from_millis(millis * 4 / 5 + entropy.below(millis / 5 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R001: attempts spread out, and never further than half an hour [RFC5626 §4.5].
    #[test]
    fn waits_double_up_to_a_bound_and_keep_to_the_upper_half() {
        let mut entropy = Entropy::new([3; 32]);
        for (failures, seconds) in [(0, 30), (1, 60), (2, 120), (5, 960), (6, 1800), (40, 1800), (u32::MAX, 1800)] {
            for _ in 0..50 {
                let wait = Backoff::OUTBOUND.wait(failures, &mut entropy);
                let bound = Duration::from_secs(seconds);
                assert!(wait >= bound / 2 && wait <= bound, "{failures}: {wait:?}");
            }
        }
    }

    /// R345: a flow that does not answer a ping within ten seconds is dead.
    #[test]
    fn a_ping_unanswered_is_the_end_of_a_flow() {
        let mut entropy = Entropy::new([4; 32]);
        let mut alive = KeepAlive::new(Time(0), Duration::from_secs(30), &mut entropy);
        let first = alive.next_timeout().unwrap();
        assert!((24_000..=30_000).contains(&first.0));
        assert_eq!(alive.timeout(first - Duration::from_millis(1)), None);
        assert_eq!(alive.timeout(first), Some(Pulse::Ping));
        alive.heard(first + Duration::from_secs(1), &mut entropy);
        alive.probe(first + Duration::from_secs(2));
        let second = alive.next_timeout().unwrap();
        assert_eq!(second, first + Duration::from_secs(2));
        assert_eq!(alive.timeout(second), Some(Pulse::Ping));
        alive.probe(second);
        let deadline = second + KeepAlive::PONG;
        assert_eq!(alive.next_timeout(), Some(deadline));
        assert_eq!(alive.timeout(deadline), Some(Pulse::Dead));
        alive.heard(deadline, &mut entropy);
        assert_eq!((alive.next_timeout(), alive.timeout(Time::NEVER)), (None, None));
    }
}
