//! Who is writing [RFC3994]: the user to others, and others to the user.
//!
//! Nothing of this is durable, repeated after a failure, or answered. The timers are in the table of [`super`].

use std::time::Duration;

use super::sorted::{SortedMap, SortedSet};
use crate::Time;
use crate::cpm::address::Address;
use crate::wire::iscomposing::{IsComposing, State};

/// After this long without a key the user has stopped writing [RFC3994 §3.2].
const IDLE: Duration = Duration::from_secs(15);
/// How often an active state is repeated, and for how many seconds each lasts.
const REFRESH: Duration = Duration::from_secs(60);
const LASTS: u32 = 90;
/// How long the state of somebody else lasts when they do not say, and at most.
const USUAL: u32 = 120;
const LONGEST: u32 = 300;
/// How many people can be seen writing at once.
const WRITERS: usize = 256;

/// Who is writing to whom.
#[derive(Debug, Default)]
pub struct Typing {
    own: SortedMap<Address, Own>,
    others: SortedMap<Address, Time>,
    /// Who does not understand, or does not want to know.
    unwilling: SortedSet<Address>,
}

#[derive(Debug)]
struct Own {
    idle_at: Time,
    refresh_at: Time,
}

/// What has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// To this person: the state of the user's composer.
    Tell(Address, IsComposing),
    /// To the user: this person has stopped writing.
    Stopped(Address),
}

impl Typing {
    /// The user has touched the composer. What comes back has to be told to that person.
    pub fn touched(&mut self, now: Time, to: &Address, active: bool) -> Option<IsComposing> {
        if !active {
            return self.own.remove(to).map(|_| IsComposing::idle());
        }
        match self.own.get_mut(to) {
            Some(own) => {
                own.idle_at = now + IDLE;
                None
            }
            None if self.unwilling.contains(to) => None,
            None => {
                self.own.insert(to.clone(), Own { idle_at: now + IDLE, refresh_at: now + REFRESH });
                Some(IsComposing::active(LASTS))
            }
        }
    }

    /// The user has sent what was written, which says enough.
    pub fn sent(&mut self, to: &Address) {
        self.own.remove(to);
    }

    /// Somebody else's state. Whether this changed is the answer.
    pub fn heard(&mut self, now: Time, from: &Address, composing: &IsComposing) -> bool {
        match composing.state {
            State::Active => {
                if self.others.len() >= WRITERS && !self.others.contains_key(from) {
                    return false;
                }
                let seconds = composing.refresh.unwrap_or(USUAL).min(LONGEST);
                self.others.insert(from.clone(), now + Duration::from_secs(seconds.into())).is_none()
            }
            State::Idle => self.stopped(from),
        }
    }

    /// Somebody has stopped writing, for instance by sending. Whether they had been writing is the answer.
    pub fn stopped(&mut self, from: &Address) -> bool {
        self.others.remove(from).is_some()
    }

    /// Forgets the user's own states, when nobody can be told any more.
    pub fn mute(&mut self) {
        self.own.clear();
        self.unwilling.clear();
    }

    /// This person's side refused to be told: nothing more of it until the next connection.
    pub fn unwelcome(&mut self, to: Address) {
        self.own.remove(&to);
        self.unwilling.insert(to);
    }

    /// When [`Typing::timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        let own = self.own.values().flat_map(|own| [own.idle_at, own.refresh_at]);
        own.chain(self.others.values().copied()).min()
    }

    /// What is due.
    pub fn timeout(&mut self, now: Time) -> Vec<Out> {
        let mut out = Vec::new();
        self.own.retain(|to, own| {
            if own.idle_at <= now {
                out.push(Out::Tell(to.clone(), IsComposing::idle()));
                return false;
            }
            if own.refresh_at <= now {
                own.refresh_at = now + REFRESH;
                out.push(Out::Tell(to.clone(), IsComposing::active(LASTS)));
            }
            true
        });
        self.others.retain(|from, until| {
            let over = *until <= now;
            if over {
                out.push(Out::Stopped(from.clone()));
            }
            !over
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Address {
        Address::parse("sip:bob@tandem.test").unwrap()
    }

    #[test]
    fn one_is_told_at_the_first_key_once_a_minute_and_at_the_end() {
        let mut typing = Typing::default();
        let mut now = Time(0);
        assert_eq!(typing.touched(now, &bob(), true), Some(IsComposing::active(LASTS)));
        let mut told = Vec::new();
        for _ in 0..12 {
            now += Duration::from_secs(6);
            told.extend(typing.timeout(now));
            assert_eq!(typing.touched(now, &bob(), true), None);
        }
        assert_eq!(told, [Out::Tell(bob(), IsComposing::active(LASTS))]);
        let idle_at = typing.next_timeout().unwrap();
        assert_eq!(idle_at, now + IDLE);
        assert_eq!(typing.timeout(idle_at), [Out::Tell(bob(), IsComposing::idle())]);
        assert_eq!(typing.next_timeout(), None);
        assert_eq!(typing.touched(now, &bob(), false), None);
    }

    #[test]
    fn what_others_say_lasts_as_long_as_they_say_but_not_for_ever() {
        let mut typing = Typing::default();
        assert!(typing.heard(Time(0), &bob(), &IsComposing::active(u32::MAX)));
        assert!(!typing.heard(Time(0), &bob(), &IsComposing::active(10)));
        assert_eq!(typing.timeout(Time(9_999)), []);
        assert_eq!(typing.timeout(Time(10_000)), [Out::Stopped(bob())]);
        assert!(!typing.heard(Time(0), &bob(), &IsComposing::idle()));
    }
}
