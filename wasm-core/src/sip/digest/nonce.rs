//! Nonces that the server need not remember, and the memory of how often each was used.
//!
//! A nonce is the time and number of its issue, signed with a key that only the server has: whoever brings one back proves that it was
//! given out, and when. [`Window`]s remember the counts (`nc`) seen with a nonce, so that an answer overheard is of no use; their table
//! is bounded, and what falls out of it is stale rather than trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hash::{hmac, same};
use crate::Time;
use crate::entropy::hex;

/// When a nonce was issued, and its number among those of the server: ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Issue {
    time: Time,
    number: u64,
}

/// Signs nonces and knows its own.
#[derive(Debug)]
pub(super) struct Issuer {
    key: Key,
    issued: u64,
}

/// The signing key, kept out of logs.
struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Issuer {
    pub(super) fn new(key: [u8; 32]) -> Issuer {
        Issuer { key: Key(key), issued: 0 }
    }

    /// A nonce that was never issued before.
    pub(super) fn issue(&mut self, now: Time) -> String {
        self.issued += 1;
        self.write(Issue { time: now, number: self.issued })
    }

    /// The issue of a nonce that this key signed.
    pub(super) fn issue_of(&self, nonce: &str) -> Option<Issue> {
        let number = |range| u64::from_str_radix(nonce.get(range)?, 16).ok();
        let issue = Issue { time: Time(number(0..16)?), number: number(16..32)? };
        same(&self.write(issue), nonce).then_some(issue)
    }

    fn write(&self, issue: Issue) -> String {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&issue.time.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&issue.number.to_be_bytes());
        let signature = hmac(&self.key.0, &[&bytes[..16]]);
        bytes[16..].copy_from_slice(&signature[..16]);
        hex(&bytes)
    }
}

/// The counts seen with one nonce: the highest, and which of the 64 below it.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// Takes `count` in, unless it was seen or is too old to tell.
    fn admit(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - count).unwrap_or(0);
        let fresh = bit != 0 && self.seen & bit == 0 && count != 0;
        self.seen |= bit;
        fresh
    }
}

/// The windows of the nonces in use, a bounded number of them.
#[derive(Debug)]
pub(super) struct Windows {
    windows: BTreeMap<Issue, Window>,
    limit: usize,
    /// The youngest nonce whose window was dropped: what is not younger and has no window cannot be trusted.
    floor: Option<Issue>,
}

impl Windows {
    pub(super) fn new(limit: usize) -> Windows {
        Windows { windows: BTreeMap::new(), limit, floor: None }
    }

    /// Trusts no nonce that was issued before `now`.
    pub(super) fn begin(&mut self, now: Time) {
        self.floor = self.floor.max(Some(Issue { time: now, number: 0 }));
    }

    /// Whether this use of a nonce is the first one with that count.
    pub(super) fn admit(&mut self, issue: Issue, count: u32) -> bool {
        if let Some(window) = self.windows.get_mut(&issue) {
            return window.admit(count);
        }
        if self.floor.is_some_and(|floor| issue <= floor) {
            return false;
        }
        let mut window = Window::default();
        let fresh = window.admit(count);
        self.windows.insert(issue, window);
        if self.windows.len() > self.limit {
            self.drop_oldest();
        }
        fresh
    }

    /// Forgets the windows of nonces that are too old to be accepted.
    pub(super) fn expire(&mut self, now: Time, lifetime: Duration) {
        while self.windows.first_key_value().is_some_and(|(issue, _)| now.since(issue.time) > lifetime) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((issue, _)) = self.windows.pop_first() {
            self.floor = self.floor.max(Some(issue));
        }
    }
}

impl Issue {
    /// Whether a nonce of this issue is too old; one from the future is not this server's clock.
    pub(super) fn expired(self, now: Time, lifetime: Duration) -> bool {
        now < self.time || now.since(self.time) > lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_nonces_are_known() {
        let mut issuer = Issuer::new([1; 32]);
        let nonce = issuer.issue(Time(1000));
        assert_eq!(nonce.len(), 64);
        assert_eq!(issuer.issue_of(&nonce), Some(Issue { time: Time(1000), number: 1 }));
        assert_ne!(issuer.issue(Time(1000)), nonce);
        let mut forged = nonce.clone();
        forged.replace_range(15..16, if &nonce[15..16] == "0" { "1" } else { "0" });
        for strange in ["", "é", &forged, &nonce[..63], &nonce.to_uppercase(), &Issuer::new([2; 32]).issue(Time(1000))] {
            assert_eq!(issuer.issue_of(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_count_is_admitted_once() {
        let mut window = Window::default();
        assert!([1, 3, 2, 70].into_iter().all(|count| window.admit(count)));
        assert!([0, 1, 2, 3, 6, 70].into_iter().all(|count| !window.admit(count)));
        assert!(window.admit(7) && window.admit(u32::MAX) && !window.admit(70));
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_distrusts_it() {
        let issue = |number| Issue { time: Time(number), number };
        let mut windows = Windows::new(2);
        assert!((1..=3).all(|number| windows.admit(issue(number), 1)));
        assert_eq!(windows.windows.len(), 2);
        assert!(!windows.admit(issue(1), 2), "its window is gone");
        assert!(windows.admit(issue(2), 2) && !windows.admit(issue(2), 2));
        windows.expire(Time(5000), Duration::from_secs(1));
        assert!(windows.windows.is_empty() && !windows.admit(issue(3), 9));
    }
}
