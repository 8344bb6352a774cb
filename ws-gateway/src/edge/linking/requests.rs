//! The wishes to be linked that are open: in memory alone, bounded, and each for two minutes. After a restart the new device asks again.
//!
//! A request is known by its identifier, its secret (which only the asking browser has) and its code (which people carry over). Whoever
//! has the code can see who asks; only a signed-in user can approve; only the asking browser can take what was approved, once.
//! Time and chance come from outside.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;
use tokio::sync::Notify;
use wasm_core::cpm::device::{LinkAsk, Origin};
use wasm_core::cpm::ids::InstanceId;
use wasm_core::{Entropy, Text, Time};

use crate::edge::limits::{Bucket, Rate, prefix};
use crate::store::{TokenHash, UserId};

/// How long a code holds, the one that is shown as well as the one that is sent.
pub const LIFE: Duration = Duration::from_secs(120);
/// How long the asking browser has for taking what was approved.
const TAKING: Duration = Duration::from_secs(60);
/// How often a one-time code may be tried.
const TRIES: u8 = 5;
/// How many one-time codes may be sent for one request.
const SENDS: u8 = 3;
/// How many requests are open at most, and from one address.
const MOST: usize = 1000;
const MOST_PER_ADDRESS: usize = 16;
/// How often a user may enter a code that nobody shows.
const GUESSES: Rate = Rate { rate: 5.0 / 120.0, burst: 5.0 };
/// How many one-time codes are sent to one user.
const CODES: Rate = Rate { rate: 5.0 / 3600.0, burst: 5.0 };
/// So many users' buckets are remembered.
const MOST_USERS: usize = 10_000;

/// The device that asks.
#[derive(Clone, Debug)]
pub struct Asker {
    pub instance: InstanceId,
    pub name: Text,
    pub platform: Text,
    pub remote: IpAddr,
}

/// A request as its browser learns of it.
#[derive(Clone, Debug)]
pub struct Opened {
    pub id: Text,
    pub secret: String,
    pub code: String,
}

/// What has become of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Nobody has answered; this tells when somebody does.
    Waiting(Arc<Notify>),
    /// It is this user's device now.
    Approved { user: UserId, origin: Origin, asker: Asker },
    /// Somebody said no.
    Refused,
    /// There is none, or not any more, or not for this browser.
    Gone,
}

/// What a one-time code was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Right,
    Wrong {
        /// How often it may be tried again.
        left: u8,
    },
    Gone,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such request.
    Gone,
    /// Not so soon.
    TooOften(Duration),
}

#[derive(Debug)]
struct Request {
    secret: TokenHash,
    code: String,
    asker: Asker,
    asked: Time,
    /// Until when the code on its screen holds.
    shown_until: Instant,
    state: State,
    sent: Option<Sent>,
    tries: u8,
    sends: u8,
    changed: Arc<Notify>,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Approved { user: UserId, origin: Origin, until: Instant },
    Refused,
}

/// A one-time code on its way.
#[derive(Debug)]
struct Sent {
    code: String,
    /// Nobody, where the address is unknown: then no code is right.
    user: Option<UserId>,
    until: Instant,
}

impl Request {
    fn until(&self) -> Instant {
        match &self.state {
            State::Approved { until, .. } => *until,
            State::Open | State::Refused => self.shown_until.max(self.sent.as_ref().map_or(self.shown_until, |sent| sent.until)),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn is_of(&self, secret: &TokenHash) -> bool {
        self.secret.0.ct_eq(&secret.0).into()
    }

    fn decide(&mut self, state: State) {
        self.state = state;
        self.changed.notify_one();
    }
}

#[derive(Debug, Default)]
struct Table {
    requests: HashMap<Text, Request>,
    guesses: HashMap<UserId, Bucket>,
    codes: HashMap<UserId, Bucket>,
}

/// The open requests.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Table>);

impl Requests {
    /// The table, without what is over.
    fn lock(&self, now: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.requests.retain(|_, request| request.until() > now);
        table
    }

    /// A device wants to be linked. A request that the same browser has left open makes room for it.
    pub fn open(&self, now: Instant, at: Time, asker: Asker, earlier: Option<TokenHash>, seed: [u8; 32]) -> Result<Opened, Refused> {
        let mut table = self.lock(now);
        if let Some(earlier) = earlier {
            table.requests.retain(|_, request| !request.is_of(&earlier));
        }
        let near = prefix(asker.remote);
        let of_address = table.requests.values().filter(|request| prefix(request.asker.remote) == near).count();
        if table.requests.len() >= MOST || of_address >= MOST_PER_ADDRESS {
            return Err(Refused::TooOften(LIFE));
        }
        let mut entropy = Entropy::new(seed);
        let (id, secret) = (Text::from(entropy.hex::<16>()), entropy.hex::<32>());
        let mut code = digits(&mut entropy);
        while table.requests.values().any(|request| request.code == code) {
            code = digits(&mut entropy);
        }
        let request = Request {
            secret: TokenHash::of(&secret),
            code: code.clone(),
            asker,
            asked: at,
            shown_until: now + LIFE,
            state: State::Open,
            sent: None,
            tries: 0,
            sends: 0,
            changed: Arc::default(),
        };
        table.requests.insert(id.clone(), request);
        Ok(Opened { id, secret, code })
    }

    /// Who shows this code. A user who tries what nobody shows may do so a few times.
    pub fn find(&self, now: Instant, user: UserId, code: &str) -> Result<LinkAsk, Refused> {
        let mut table = self.lock(now);
        bucket(&mut table.guesses, user, now, GUESSES).wait(now, GUESSES).map_err(Refused::TooOften)?;
        let code = plain(code);
        let shown = |request: &Request| request.is_open() && request.shown_until > now;
        // All are compared, however early one is found.
        let found = table.requests.iter().filter(|(_, request)| bool::from(request.code.as_bytes().ct_eq(code.as_bytes()))).last();
        let found = found.filter(|(_, request)| shown(request)).map(|(id, request)| LinkAsk {
            id: id.clone(),
            device_name: request.asker.name.clone(),
            platform: request.asker.platform.clone(),
            remote: Text::from(request.asker.remote.to_canonical().to_string()),
            asked: request.asked,
        });
        found.ok_or_else(|| {
            let _ = bucket(&mut table.guesses, user, now, GUESSES).take(now, GUESSES);
            Refused::Gone
        })
    }

    /// The device behind an open request.
    pub fn asker(&self, now: Instant, id: &str) -> Option<Asker> {
        let table = self.lock(now);
        table.requests.get(id).filter(|request| request.is_open()).map(|request| request.asker.clone())
    }

    /// What a user says to a request whose code they had; once.
    pub fn answer(&self, now: Instant, id: &str, user: UserId, by: &InstanceId, approve: bool) -> Result<(), Refused> {
        let mut table = self.lock(now);
        let request = table.requests.get_mut(id).filter(|request| request.is_open()).ok_or(Refused::Gone)?;
        request.decide(match approve {
            true => State::Approved { user, origin: Origin::Linked { by: Some(by.clone()) }, until: now + TAKING },
            false => State::Refused,
        });
        Ok(())
    }

    /// The browser that asked wants a one-time code to be sent to the person whom it named: to whom, and which, if it is to be sent.
    /// Nothing of that shows in what the browser is told.
    pub fn send(
        &self,
        now: Instant,
        id: &str,
        secret: &TokenHash,
        user: Option<UserId>,
        seed: [u8; 32],
    ) -> Result<Option<(UserId, String)>, Refused> {
        let mut table = self.lock(now);
        let Table { requests, codes, .. } = &mut *table;
        let request = requests.get_mut(id).filter(|request| request.is_of(secret) && request.is_open()).ok_or(Refused::Gone)?;
        if request.sends >= SENDS || request.tries >= TRIES {
            return Err(Refused::TooOften(LIFE));
        }
        request.sends += 1;
        let code = digits(&mut Entropy::new(seed));
        // An account that has had its share gets no more: the code holds for nobody then, as for an address that is unknown.
        let user = user.filter(|&user| bucket(codes, user, now, CODES).take(now, CODES).is_ok());
        request.sent = Some(Sent { code: code.clone(), user, until: now + LIFE });
        Ok(user.map(|user| (user, code)))
    }

    /// The browser that asked has been told a one-time code.
    pub fn prove(&self, now: Instant, id: &str, secret: &TokenHash, code: &str) -> Proof {
        let mut table = self.lock(now);
        let request = table.requests.get_mut(id).filter(|request| request.is_of(secret) && request.is_open());
        let Some(request) = request.filter(|request| request.sent.is_some() && request.tries < TRIES) else { return Proof::Gone };
        request.tries += 1;
        let code = plain(code);
        let right = request.sent.as_ref().and_then(|sent| {
            let same: bool = sent.code.as_bytes().ct_eq(code.as_bytes()).into();
            sent.user.filter(|_| same && sent.until > now)
        });
        match right {
            Some(user) => {
                request.decide(State::Approved { user, origin: Origin::Linked { by: None }, until: now + TAKING });
                Proof::Right
            }
            None => Proof::Wrong { left: TRIES - request.tries },
        }
    }

    /// What has become of the request of this browser. What was approved is handed out once.
    pub fn take(&self, now: Instant, id: &str, secret: &TokenHash) -> Outcome {
        let mut table = self.lock(now);
        let Some(request) = table.requests.get(id).filter(|request| request.is_of(secret)) else { return Outcome::Gone };
        match &request.state {
            State::Open => return Outcome::Waiting(Arc::clone(&request.changed)),
            State::Refused | State::Approved { .. } => {}
        }
        match table.requests.remove(id) {
            Some(Request { state: State::Approved { user, origin, .. }, asker, .. }) => Outcome::Approved { user, origin, asker },
            Some(_) => Outcome::Refused,
            None => Outcome::Gone,
        }
    }
}

fn bucket(buckets: &mut HashMap<UserId, Bucket>, user: UserId, now: Instant, rate: Rate) -> &mut Bucket {
    if buckets.len() >= MOST_USERS && !buckets.contains_key(&user) {
        buckets.retain(|_, bucket| !bucket.is_full(now, rate));
    }
    buckets.entry(user).or_insert_with(|| Bucket::new(now, rate))
}

/// Eight digits.
fn digits(entropy: &mut Entropy) -> String {
    format!("{:08}", entropy.below(100_000_000))
}

/// What was typed, without the gaps between groups.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_digit).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: UserId = UserId(1);

    fn asker(remote: &str) -> Asker {
        let instance = InstanceId::parse(&Text::from("urn:uuid:new")).unwrap();
        Asker { instance, name: "New".into(), platform: "Firefox on Linux".into(), remote: remote.parse().unwrap() }
    }

    fn opened(requests: &Requests, now: Instant, seed: u8) -> (Opened, TokenHash) {
        let opened = requests.open(now, Time(1), asker("192.0.2.1"), None, [seed; 32]).unwrap();
        let secret = TokenHash::of(&opened.secret);
        (opened, secret)
    }

    fn device() -> InstanceId {
        InstanceId::parse(&Text::from("urn:uuid:old")).unwrap()
    }

    /// R353: what was approved is taken once, by the browser that asked.
    #[test]
    fn an_approved_request_is_taken_once() {
        let (requests, now) = (Requests::default(), Instant::now());
        let (opened, secret) = opened(&requests, now, 1);
        assert_eq!(opened.code.len(), 8);
        assert!(matches!(requests.take(now, &opened.id, &secret), Outcome::Waiting(_)));
        let spaced = format!("{} {}", &opened.code[..4], &opened.code[4..]);
        let ask = requests.find(now, ALICE, &spaced).unwrap();
        assert_eq!((ask.id.as_str(), ask.remote.as_str()), (opened.id.as_str(), "192.0.2.1"));
        requests.answer(now, &ask.id, ALICE, &device(), true).unwrap();
        assert_eq!(requests.answer(now, &ask.id, ALICE, &device(), true), Err(Refused::Gone));
        assert_eq!(requests.find(now, ALICE, &opened.code), Err(Refused::Gone));
        assert!(matches!(requests.take(now, &opened.id, &TokenHash::of("another")), Outcome::Gone));
        let Outcome::Approved { user, origin, .. } = requests.take(now, &opened.id, &secret) else { panic!() };
        assert_eq!((user, origin), (ALICE, Origin::Linked { by: Some(device()) }));
        assert!(matches!(requests.take(now, &opened.id, &secret), Outcome::Gone));
    }

    /// R353: two minutes, and not longer; what was approved is not kept for ever either.
    #[test]
    fn a_request_ends_by_itself() {
        let (requests, now) = (Requests::default(), Instant::now());
        let (one, secret) = opened(&requests, now, 1);
        let last = now + LIFE - Duration::from_millis(1);
        assert!(requests.find(last, ALICE, &one.code).is_ok());
        assert_eq!(requests.find(now + LIFE, ALICE, &one.code), Err(Refused::Gone));
        assert!(matches!(requests.take(now + LIFE, &one.id, &secret), Outcome::Gone));
        let (two, secret) = opened(&requests, now, 2);
        requests.answer(last, &two.id, ALICE, &device(), true).unwrap();
        assert!(matches!(requests.take(last + TAKING, &two.id, &secret), Outcome::Gone));
        let (three, secret) = opened(&requests, now, 3);
        requests.answer(last, &three.id, ALICE, &device(), false).unwrap();
        assert!(matches!(requests.take(last, &three.id, &secret), Outcome::Refused));
    }

    /// R353: five tries at a one-time code, whether the address is known or not, and what is seen of them is the same.
    #[test]
    fn the_sixth_try_is_dead() {
        let (requests, now) = (Requests::default(), Instant::now());
        for user in [Some(ALICE), None] {
            let (opened, secret) = opened(&requests, now, 7);
            assert_eq!(requests.prove(now, &opened.id, &secret, "1"), Proof::Gone, "nothing was sent");
            let sent = requests.send(now, &opened.id, &secret, user, [9; 32]).unwrap();
            assert_eq!(sent.as_ref().map(|(user, _)| *user), user);
            assert_eq!(requests.prove(now, &opened.id, &TokenHash::of("x"), "1"), Proof::Gone, "another browser");
            let tries: Vec<Proof> = (0..5).map(|_| requests.prove(now, &opened.id, &secret, "00000000")).collect();
            assert_eq!(tries, [4, 3, 2, 1, 0].map(|left| Proof::Wrong { left }));
            let code = sent.map_or("0".to_owned(), |(_, code)| code);
            assert_eq!(requests.prove(now, &opened.id, &secret, &code), Proof::Gone, "the sixth is dead, right or not");
            assert!(requests.send(now, &opened.id, &secret, user, [9; 32]).is_err(), "and no code comes after it");
            assert!(matches!(requests.take(now, &opened.id, &secret), Outcome::Waiting(_)), "the other way is still open");
        }
    }

    #[test]
    fn a_one_time_code_holds_for_its_own_time() {
        let (requests, now) = (Requests::default(), Instant::now());
        let (opened, secret) = opened(&requests, now, 1);
        let later = now + LIFE - Duration::from_secs(1);
        let (_, code) = requests.send(later, &opened.id, &secret, Some(ALICE), [9; 32]).unwrap().unwrap();
        assert_eq!(requests.find(now + LIFE, ALICE, &opened.code), Err(Refused::Gone), "the code on the screen does not live longer");
        assert_eq!(requests.prove(later + LIFE, &opened.id, &secret, &code), Proof::Gone);
    }

    /// R353: guessing the codes that others show is slowed down for each user, also when the last guess is right.
    #[test]
    fn guesses_are_counted() {
        let (requests, now) = (Requests::default(), Instant::now());
        let (opened, _) = opened(&requests, now, 1);
        assert!((0..5).all(|guess| requests.find(now, ALICE, &format!("{guess:08}")) == Err(Refused::Gone)));
        assert!(matches!(requests.find(now, ALICE, &opened.code), Err(Refused::TooOften(_))));
        assert!(requests.find(now, UserId(2), &opened.code).is_ok());
    }

    /// R353: one account gets only so many codes an hour, whoever asks; who asks does not see it.
    #[test]
    fn codes_are_not_sent_without_end() {
        let (requests, now) = (Requests::default(), Instant::now());
        let sent = (0..8).filter(|&seed| {
            let (opened, secret) = opened(&requests, now, seed);
            requests.send(now, &opened.id, &secret, Some(ALICE), [seed; 32]).unwrap().is_some()
        });
        assert_eq!(sent.count(), 5);
    }

    #[test]
    fn there_are_only_so_many() {
        let (requests, now) = (Requests::default(), Instant::now());
        let open = |remote: &str, earlier, seed: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&seed.to_be_bytes());
            requests.open(now, Time(1), asker(remote), earlier, bytes)
        };
        let first = open("192.0.2.1", None, 0).unwrap();
        assert!((1..16).all(|seed| open("192.0.2.1", None, seed).is_ok()));
        assert!(open("192.0.2.1", None, 16).is_err());
        assert!(open("192.0.2.1", Some(TokenHash::of(&first.secret)), 17).is_ok(), "in place of its own");
        for seed in 16..1000 {
            assert!(open(&format!("10.0.{}.{}", seed / 250, seed % 250), None, 100 + seed).is_ok(), "{seed}");
        }
        assert!(open("10.9.9.9", None, 9999).is_err());
    }
}
