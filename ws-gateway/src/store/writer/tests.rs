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
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, Limits { queue: 1000, batch: 40, ..Limits::default() }).unwrap();
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
    let writer = Writer::start(store, Limits { queue: 10, batch: 10, ..Limits::default() }).unwrap();
    let replies = submit(&writer, user, 0..30);
    let refused: Vec<_> = replies.try_iter().collect();
    // Ten wait, and up to ten more may be in the hands of the thread.
    assert!((10..=20).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|(_, result)| matches!(result, Err(StoreError::Busy(_)))));
    (0..30).for_each(|_| gate.send(Turn::Write).unwrap());
    assert_eq!(stored(replies).len(), 30 - refused.len());
}

/// What one turn of the driver wants written goes in, is written and is answered in one piece and in its order.
#[test]
fn a_piece_stays_whole() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, Limits { queue: 10, batch: 1, ..Limits::default() }).unwrap();
    let units = |range: std::ops::Range<usize>| {
        range.map(|n| Write::Store(message(user, Direction::In, "sip:bob@tandem.test", &format!("m{n}"))).into()).collect::<Vec<Unit>>()
    };
    let (sender, replies) = mpsc::channel();
    let put = |range| {
        let sender = sender.clone();
        writer.submit_all(units(range), move |results| sender.send(results).unwrap());
    };
    // The thread holds one piece at most, and one fits into the queue however long it is.
    for piece in 0..4 {
        put(piece * 10..piece * 10 + 10);
    }
    (0..4).for_each(|_| gate.send(Turn::Write).unwrap());
    drop(sender);
    writer.close();
    let replies: Vec<Vec<_>> = replies.iter().collect();
    assert_eq!(replies.iter().map(Vec::len).collect::<Vec<_>>(), [10; 4]);
    let (refused, written): (Vec<_>, Vec<_>) = replies.into_iter().partition(|results| results[0].is_err());
    assert!((2..=3).contains(&refused.len()));
    assert!(refused.iter().flatten().all(|result| matches!(result, Err(StoreError::Busy(_)))));
    let numbers = written.into_iter().flatten().map(|result| match result.unwrap().outcomes[..] {
        [Outcome::Stored { seq }] => seq,
        ref other => panic!("{other:?}"),
    });
    assert!(numbers.eq(1..=10 * (4 - refused.len() as u64)));
    assert!(store.commits.load(Ordering::SeqCst) <= 2);
}

/// What only takes something off a queue waits for company, but not for ever; and nothing overtakes it.
#[test]
fn what_nobody_waits_for_waits_for_company() {
    let (store, gate) = Gated::new();
    let user = add(&store.inner, &["sip:alice@tandem.test"]);
    let start = |patience| Writer::start(Arc::clone(&store) as Arc<dyn Store>, Limits { patience, ..Limits::default() }).unwrap();
    let (sender, replies) = mpsc::channel();
    let unqueue = |writer: &Writer, id| {
        let sender = sender.clone();
        let unit = Write::Unqueue { user, id: crate::store::PendingId(id) };
        writer.submit(unit.into(), move |result| sender.send((id, result.unwrap().outcomes)).unwrap());
    };
    (0..10).for_each(|_| gate.send(Turn::Write).unwrap());
    let writer = start(Duration::from_secs(600));
    (1..=3).for_each(|id| unqueue(&writer, id));
    assert!(replies.recv_timeout(Duration::from_millis(20)).is_err());
    let stored_at = submit(&writer, user, 0..1);
    assert_eq!(stored(stored_at), [1]);
    assert_eq!(replies.try_iter().map(|(id, _)| id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(store.commits.load(Ordering::SeqCst), 1);
    // The end of the gateway waits for nothing.
    unqueue(&writer, 4);
    writer.close();
    assert_eq!(replies.try_iter().count(), 1);
    let writer = start(Duration::from_millis(1));
    unqueue(&writer, 5);
    assert_eq!(replies.recv().unwrap().0, 5);
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
