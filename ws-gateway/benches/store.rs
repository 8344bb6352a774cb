//! Durable messages per second against the number of units in one transaction.
//!
//! A message is what one pager message costs: the sender's copy, the recipient's copy and the request that waits for the recipient's
//! devices. Two thousand users write to each other at random, so that neighbours in a batch share no page by design.
//! The second group does the same in a store that has grown, the last one sends through the writer thread as the gateway does.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
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
            arrived_at: Time(1_700_000_000_000),
            expires_at: Time(1_700_600_000_000),
        };
        Unit(vec![Write::Store(sent), Write::Store(received), Write::Queue(pending)])
    }
}

/// The disk that the build is on: a memory file system would measure something else.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

/// How many messages a store that has grown holds.
const GROWN: usize = 300_000;

fn batches(criterion: &mut Criterion) {
    durable(criterion, "store/durable-messages", &[1, 10, 100, 1000], 0);
}

fn grown(criterion: &mut Criterion) {
    durable(criterion, "store/durable-messages-grown", &[100, 1000], GROWN);
}

fn durable(criterion: &mut Criterion, name: &str, sizes: &[u64], held: usize) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(1));
    for &size in sizes {
        let directory = directory();
        let store = Sqlite::open(directory.path()).unwrap();
        let mut load = Load::new(&store);
        for _ in 0..held / 1000 {
            store.commit((0..1000).map(|_| load.message()).collect());
        }
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|rounds| {
                let batches: Vec<Vec<Unit>> = (0..rounds).map(|_| (0..size).map(|_| load.message()).collect()).collect();
                let begin = Instant::now();
                for batch in batches {
                    assert!(store.commit(batch).iter().all(|result| result.as_ref().is_ok_and(|applied| applied.whole())));
                }
                begin.elapsed()
            });
        });
    }
    group.finish();
}

fn writer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/writer-thread");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(1));
    for waiting in [1, 100, 2000] {
        let directory = directory();
        let store = Arc::new(Sqlite::open(directory.path()).unwrap());
        let mut load = Load::new(&store);
        let writer = Writer::start(store, Limits::default()).unwrap();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("waiting", waiting), |bencher| {
            bencher.iter_custom(|messages| {
                let units: Vec<Unit> = (0..messages).map(|_| load.message()).collect();
                let (sender, done) = mpsc::channel();
                let begin = Instant::now();
                let mut open = 0;
                for unit in units {
                    if open == waiting {
                        done.recv().unwrap();
                        open -= 1;
                    }
                    let sender = sender.clone();
                    writer.submit(unit, move |result| sender.send(result.unwrap().whole()).unwrap());
                    open += 1;
                }
                (0..open).for_each(|_| assert!(done.recv().unwrap()));
                begin.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, batches, grown, writer);
criterion_main!(benches);
