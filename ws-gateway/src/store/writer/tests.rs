//! The writer: what it gathers, what it refuses, and how it ends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use wasm_core::cpm::history::{Changes, Folders, Page};

use super::*;
use crate::store::contract::{add, message, one, pending};
use crate::store::{Direction, Outcome, Sqlite, Write};

/// A store that writes when it is told to, and counts its transactions.
struct Gated {
    inner: Sqlite,
    gate: Mutex<mpsc::Receiver<Turn>>,
    commits: AtomicUsize,
}

enum Turn {
    Write,
    Fail,
    Panic,
}

impl Gated {
    fn new() -> (Arc<Gated>, mpsc::Sender<Turn>) {
        let (open, gate) = mpsc::channel();
        let inner = Sqlite::in_memory().unwrap();
        (Arc::new(Gated { inner, gate: Mutex::new(gate), commits: AtomicUsize::new(0) }), open)
    }
}

impl Store for Gated {
    fn commit(&self, units: Vec<Unit>) -> Vec<Result<Applied, StoreError>> {
        let turn = lock(&self.gate).recv().unwrap();
        self.commits.fetch_add(1, Ordering::SeqCst);
        match turn {
            Turn::Write => self.inner.commit(units),
            Turn::Fail => vec![Err(StoreError::Full); units.len()],
            Turn::Panic => panic!("a fault of the back end"),
        }
    }

    crate::store::contract::forward_reads!(inner);
}

type Replies = mpsc::Receiver<(usize, Result<Applied, StoreError>)>;

/// Submits a message of each number and gives the replies as they come.
fn submit(writer: &Writer, user: crate::store::UserId, numbers: std::ops::Range<usize>) -> Replies {
    let (sender, replies) = mpsc::channel();
    for number in numbers {
        let sender = sender.clone();
        let message = message(user, Direction::In, "sip:bob@tandem.test", &format!("m{number}"));
        writer.submit(Write::Store(message).into(), move |result| sender.send((number, result)).unwrap());
    }
    replies
}

fn stored(replies: Replies) -> Vec<u64> {
    replies
        .iter()
        .map(|(_, result)| match result.unwrap().outcomes[..] {
            [Outcome::Stored { seq }] => seq,
            ref other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_waits_becomes_one_transaction() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, Limits { queue: 1000, batch: 40 }).unwrap();
    let replies = submit(&writer, user, 0..100);
    (0..100).for_each(|_| gate.send(Turn::Write).unwrap());
    assert_eq!(stored(replies), (1..=100).collect::<Vec<u64>>(), "answered in the order of submission");
    let commits = store.commits.load(Ordering::SeqCst);
    assert!((3..=4).contains(&commits), "the first may have gone alone: {commits}");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let writer = Writer::start(store, Limits { queue: 10, batch: 10 }).unwrap();
    let replies = submit(&writer, user, 0..30);
    let refused: Vec<_> = replies.try_iter().collect();
    // Ten wait, and up to ten more may be in the hands of the thread.
    assert!((10..=20).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|(_, result)| matches!(result, Err(StoreError::Busy(_)))));
    (0..30).for_each(|_| gate.send(Turn::Write).unwrap());
    assert_eq!(stored(replies).len(), 30 - refused.len());
}

/// Nothing of a failed transaction is acknowledged, and the next one is as good as any.
#[test]
fn a_failed_transaction_fails_all_its_units() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let writer = Writer::start(store, Limits::default()).unwrap();
    for (turn, error) in [(Turn::Fail, StoreError::Full), (Turn::Panic, StoreError::Internal("the transaction was abandoned".into()))] {
        let replies = submit(&writer, user, 0..1);
        gate.send(turn).unwrap();
        assert_eq!(replies.iter().collect::<Vec<_>>(), [(0, Err(error))]);
    }
    let replies = submit(&writer, user, 0..1);
    gate.send(Turn::Write).unwrap();
    assert_eq!(stored(replies), [1]);
}

#[test]
fn closing_writes_what_waits() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let writer = Writer::start(store, Limits::default()).unwrap();
    let replies = submit(&writer, user, 0..20);
    (0..20).for_each(|_| gate.send(Turn::Write).unwrap());
    writer.close();
    writer.close();
    assert_eq!(stored(replies).len(), 20);
    assert_eq!(submit(&writer, user, 0..1).iter().collect::<Vec<_>>(), [(0, Err(StoreError::Closed))]);
}

/// R326: over several submitters every unit is there once and each box's counter has no fork.
#[test]
fn several_submitters_share_the_thread() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(directory.path()).unwrap());
    let users: Vec<_> = (0..4).map(|n| add(&*store, &[&format!("sip:u{n}@tandem.test")])).collect();
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, Limits::default()).unwrap();
    thread::scope(|scope| {
        for &user in &users {
            let writer = writer.clone();
            scope.spawn(move || assert_eq!(stored(submit(&writer, user, 0..200)), (1..=200).collect::<Vec<u64>>()));
        }
        // Readers beside the writer see only what follows one of the commits.
        for &user in &users {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                let mut seen = HashSet::new();
                let mut since = 0;
                while since < 200 {
                    let changes = store.changes(user, since, 50).unwrap();
                    assert!(changes.objects.iter().all(|object| seen.insert(object.seq)));
                    assert_eq!(seen.len() as u64, changes.cursor);
                    since = changes.cursor;
                }
            });
        }
    });
    assert_eq!(one(&*store, Write::Queue(pending(users[0], "x", 1))).map(|outcome| matches!(outcome, Outcome::Queued(_))), Ok(true));
}
