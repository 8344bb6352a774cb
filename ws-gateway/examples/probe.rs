//! Durable messages per second against the number of units in one transaction.
//!
//! A message is what one pager message costs: the sender's copy, the recipient's copy and the request that waits for the recipient's
//! devices. Two thousand users write to each other at random, so that neighbours in a batch share no page by design.
//! The last group sends through the writer thread from several submitters, as the gateway does.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::ids::{ContributionId, ConversationId, MessageId};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::{Entropy, Text, Time};
use ws_gateway::store::{
    Direction, Limits, NewAccount, Outcome, Pending, PendingKind, Sqlite, Store, StoredMessage, Unit, UserId, Write, Writer,
};

const USERS: u64 = 2_000;

/// How many others each of them writes to, and as many write to each.
const CONTACTS: u64 = 20;

/// Whoever sends and what of.
struct Load {
    users: Vec<(UserId, Address)>,
    entropy: Entropy,
    body: Bytes,
    request: Bytes,
}

impl Load {
    fn new(store: &Sqlite) -> Load {
        let account = |n| NewAccount {
            addresses: vec![Address::parse(&format!("sip:user{n}@tandem.test")).unwrap()],
            display_name: Text::from(format!("User {n}")),
            secrets: Vec::new(),
        };
        let units = (0..USERS).map(|n| Unit::from(Write::AddAccount(account(n)))).collect();
        let users = store.commit(units).into_iter().enumerate().map(|(n, result)| match result.unwrap().outcomes[..] {
            [Outcome::Created(user)] => (user, account(n as u64).addresses[0].clone()),
            ref other => panic!("{other:?}"),
        });
        let body = Bytes::from_static(b"Shall we meet at the station at half past six? I bring the tickets and something to eat.");
        Load { users: users.collect(), entropy: Entropy::new([5; 32]), body, request: Bytes::from(vec![b'x'; 900]) }
    }

    fn message(&mut self) -> Unit {
        let from = self.entropy.below(USERS) as usize;
        let to = (from + 1 + 17 * self.entropy.below(CONTACTS) as usize) % self.users.len();
        let (sender, recipient) = (self.users[from].clone(), self.users[to].clone());
        let sent = StoredMessage {
            user: sender.0,
            direction: Direction::Out,
            with: recipient.1.clone(),
            message_id: MessageId::new(&mut self.entropy),
            conversation: Some(ConversationId::new(&mut self.entropy)),
            contribution: Some(ContributionId::new(&mut self.entropy)),
            in_reply_to: None,
            from: sender.1.clone(),
            to: recipient.1,
            date: Time(1_700_000_000_000),
            content_type: Text::from("text/plain;charset=UTF-8"),
            body: self.body.clone(),
            wants: Wants { delivered: true, failed: true, displayed: true },
            receipt: Receipt::Sent,
            expires: None,
        };
        let received = StoredMessage { user: recipient.0, direction: Direction::In, with: sender.1, ..sent.clone() };
        let pending = Pending {
            user: recipient.0,
            message_id: sent.message_id.clone(),
            kind: PendingKind::Message,
            request: self.request.clone(),
            expires_at: Time(1_700_600_000_000),
        };
        Unit(vec![Write::Store(sent), Write::Store(received), Write::Queue(pending)])
    }
}

/// The disk that the build is on: a memory file system would measure something else.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new("target/tmp")).unwrap()
}

fn cpu() -> (f64, f64) {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() / 100.0, f[12].parse::<f64>().unwrap() / 100.0)
}
fn io() -> (u64, u64) {
    let s = std::fs::read_to_string("/proc/self/io").unwrap();
    let g = |k: &str| s.lines().find(|l| l.starts_with(k)).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    (g("wchar:"), g("syscw:"))
}
fn main() {
    std::fs::create_dir_all("target/tmp").unwrap();
    let size: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let total: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let directory = directory();
    let store = Sqlite::open(directory.path()).unwrap();
    let mut load = Load::new(&store);
    let per = total / 5;
    for _ in 0..5 {
        let batches: Vec<Vec<Unit>> = (0..per / size).map(|_| (0..size).map(|_| load.message()).collect()).collect();
        let begin = Instant::now();
        let c = cpu();
        let i = io();
        for batch in batches {
            assert!(store.commit(batch).iter().all(|r| r.as_ref().is_ok_and(|a| a.whole())));
        }
        let (wall, d, j) = (begin.elapsed().as_secs_f64(), cpu(), io());
        let n = per as f64;
        println!(
            "{:7.0}/s  wall {:.1} us  user {:.1} us  sys {:.1} us  written {:.0} B/msg {:.2} writes",
            n / wall,
            wall * 1e6 / n,
            (d.0 - c.0) * 1e6 / n,
            (d.1 - c.1) * 1e6 / n,
            (j.0 - i.0) as f64 / n,
            (j.1 - i.1) as f64 / n
        );
    }
    let _ = (Duration::ZERO, Arc::new(0), mpsc::channel::<u8>(), Limits::default(), std::mem::size_of::<Writer>());
}
