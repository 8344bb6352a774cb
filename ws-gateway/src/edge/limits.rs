//! How much each address may do: token buckets for rates, counts of connections.
//!
//! IPv6 addresses count by their /64, which one host has for itself. The table is bounded: entries that are full again and hold no
//! connection are swept out, and when that does not help, newcomers share one entry.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Limits;

/// So many addresses are kept apart.
const MOST_ADDRESSES: usize = 50_000;

/// A rate with a burst: `rate` tokens flow in each second until `burst` are there.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub rate: f64,
    pub burst: f64,
}

/// What is left of a [`Rate`].
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(now: Instant, rate: Rate) -> Bucket {
        Bucket { tokens: rate.burst, at: now }
    }

    /// Takes one token, or says how long it takes until there is one.
    pub fn take(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        self.wait(now, rate)?;
        self.tokens -= 1.0;
        Ok(())
    }

    /// Whether there is a token, without taking it.
    pub fn wait(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        if rate.burst.is_infinite() {
            self.tokens = f64::INFINITY;
            return Ok(());
        }
        self.tokens = (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * rate.rate).min(rate.burst);
        self.at = now;
        if self.tokens >= 1.0 {
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((1.0 - self.tokens) / rate.rate).unwrap_or(Duration::MAX).min(Duration::from_secs(3600)))
    }

    /// Whether nothing was taken for long.
    pub fn is_full(&mut self, now: Instant, rate: Rate) -> bool {
        let _ = self.wait(now, rate);
        self.tokens >= rate.burst
    }
}

/// What may be done at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A SIP message.
    Message,
    /// An HTTP request.
    Request,
    /// A sign-in that fails.
    FailedLogin,
    /// A wish to link a device.
    Link,
}

impl Use {
    /// All of them, each in the place of its number.
    const ALL: [Use; 4] = [Use::Message, Use::Request, Use::FailedLogin, Use::Link];
}

/// The table of addresses.
#[derive(Clone, Debug)]
pub struct Addresses {
    limits: Limits,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<IpAddr, Entry>,
    connections: usize,
}

#[derive(Debug)]
struct Entry {
    connections: usize,
    buckets: [Bucket; Use::ALL.len()],
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Permit {
    addresses: Addresses,
    key: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.addresses.lock();
        table.connections = table.connections.saturating_sub(1);
        if let Some(entry) = table.entries.get_mut(&self.key) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

impl Addresses {
    /// An empty table.
    pub fn new(limits: Limits) -> Addresses {
        Addresses { limits, table: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A count is whole between any two statements, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rate of a use.
    pub fn rate(&self, what: Use) -> Rate {
        let limits = &self.limits;
        match what {
            Use::Message => Rate { rate: limits.messages_per_address, burst: limits.burst_per_address },
            Use::Request => Rate { rate: limits.requests_per_address, burst: limits.request_burst_per_address },
            Use::FailedLogin => Rate { rate: limits.failed_logins_per_minute / 60.0, burst: limits.failed_login_burst },
            Use::Link => Rate { rate: limits.link_requests_per_minute / 60.0, burst: limits.link_request_burst },
        }
    }

    /// The rate of one connection's SIP messages.
    pub fn per_connection(&self) -> Rate {
        Rate { rate: self.limits.messages_per_connection, burst: self.limits.burst_per_connection }
    }

    fn with<T>(&self, address: IpAddr, now: Instant, act: impl FnOnce(&mut Entry, IpAddr) -> T) -> T {
        let rates = Use::ALL.map(|what| self.rate(what));
        let mut table = self.lock();
        let mut key = prefix(address);
        if !table.entries.contains_key(&key) && table.entries.len() >= MOST_ADDRESSES {
            table.entries.retain(|_, entry| {
                entry.connections > 0 || !entry.buckets.iter_mut().zip(rates).all(|(bucket, rate)| bucket.is_full(now, rate))
            });
            if table.entries.len() >= MOST_ADDRESSES {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let entry = table.entries.entry(key).or_insert_with(|| Entry { connections: 0, buckets: rates.map(|rate| Bucket::new(now, rate)) });
        act(entry, key)
    }

    /// Takes one use, or says how long to wait.
    pub fn take(&self, address: IpAddr, what: Use, now: Instant) -> Result<(), Duration> {
        let rate = self.rate(what);
        if rate.burst.is_infinite() {
            return Ok(());
        }
        self.with(address, now, |entry, _| entry.buckets[what as usize].take(now, rate))
    }

    /// Whether one use would be granted.
    pub fn check(&self, address: IpAddr, what: Use, now: Instant) -> Result<(), Duration> {
        let rate = self.rate(what);
        if rate.burst.is_infinite() {
            return Ok(());
        }
        self.with(address, now, |entry, _| entry.buckets[what as usize].wait(now, rate))
    }

    /// Counts a connection, unless there are too many from this address or in all. A proxy may have as many as there may be at all.
    pub fn connect(&self, address: IpAddr, proxy: bool) -> Option<Permit> {
        let limits = self.limits;
        {
            let mut table = self.lock();
            if table.connections >= limits.connections {
                return None;
            }
            table.connections += 1;
        }
        let counted = self.with(address, Instant::now(), |entry, key| {
            (proxy || entry.connections < limits.connections_per_address).then(|| {
                entry.connections += 1;
                key
            })
        });
        match counted {
            Some(key) => Some(Permit { addresses: self.clone(), key }),
            None => {
                self.lock().connections -= 1;
                None
            }
        }
    }

    /// The number of connections.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }
}

/// What one host has for itself of the address space.
pub fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_grants_its_burst_and_then_its_rate() {
        let (rate, now) = (Rate { rate: 2.0, burst: 3.0 }, Instant::now());
        let mut bucket = Bucket::new(now, rate);
        assert!((0..3).all(|_| bucket.take(now, rate).is_ok()));
        assert_eq!(bucket.take(now, rate), Err(Duration::from_millis(500)));
        assert!(bucket.take(now + Duration::from_millis(600), rate).is_ok());
        assert!(bucket.take(now + Duration::from_millis(600), rate).is_err());
    }

    #[test]
    fn connections_are_counted_by_address_and_given_back() {
        let addresses = Addresses::new(Limits { connections: 3, connections_per_address: 2, ..Limits::default() });
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let first = addresses.connect(one, false).unwrap();
        let _second = addresses.connect("2001:db8::2".parse().unwrap(), false).unwrap();
        assert!(addresses.connect(one, false).is_none());
        assert!(addresses.connect(one, true).is_some());
        let _third = addresses.connect(other, false).unwrap();
        assert!(addresses.connect(other, false).is_none());
        drop(first);
        assert!(addresses.connect(one, false).is_some());
        assert_eq!(addresses.connections(), 2);
    }

    #[test]
    fn limits_off_is_no_limit() {
        let limits = Limits::default().without_rates();
        assert_eq!(limits.bindings_per_user, usize::MAX);
        let addresses = Addresses::new(limits);
        let (address, now) = ("192.0.2.1".parse().unwrap(), Instant::now());
        assert!((0..100_000).all(|_| addresses.take(address, Use::Message, now).is_ok()));
    }
}
