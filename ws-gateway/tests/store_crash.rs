//! R326 and the fault proof: the store's process is killed at random moments, and whatever it acknowledged is there, once.
//!
//! The test starts itself again as a child that writes and says aloud what was acknowledged. The usual run kills it 10 times, with
//! `TANDEM_LONG=1` 100 times. What was under way at the death is submitted again by the next child, as a client would.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::history::Object;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;
use wasm_core::{Entropy, Text, Time};
use ws_gateway::store::{Account, Direction, Limits, NewAccount, Pending, PendingKind, Sqlite, Store, StoredMessage, Unit, Write, Writer};

const DIRECTORY: &str = "TANDEM_CRASH_DIRECTORY";
const FIRST: &str = "TANDEM_CRASH_FIRST";

/// How many units are under way at once.
const WAITING: u64 = 64;

fn address(name: &str) -> Address {
    Address::parse(&format!("sip:{name}@tandem.test")).unwrap()
}

fn id(number: u64) -> MessageId {
    MessageId::parse(&Text::from(format!("m{number}"))).unwrap()
}

/// Everything that one message writes.
fn unit(alice: &Account, bob: &Account, number: u64) -> Unit {
    let sent = StoredMessage {
        user: alice.user,
        direction: Direction::Out,
        with: bob.primary().clone(),
        message_id: id(number),
        conversation: None,
        contribution: None,
        in_reply_to: None,
        from: alice.primary().clone(),
        to: bob.primary().clone(),
        date: Time(number),
        content_type: Text::from("text/plain"),
        body: Bytes::from(format!("text {number}")),
        wants: Wants { delivered: true, failed: false, displayed: true },
        receipt: Receipt::Sent,
        expires: None,
    };
    let got = StoredMessage { user: bob.user, direction: Direction::In, with: alice.primary().clone(), ..sent.clone() };
    let request = Bytes::from(vec![b'r'; 700]);
    let pending = Pending {
        user: bob.user,
        message_id: id(number),
        kind: PendingKind::Message,
        request,
        arrived_at: Time(0),
        expires_at: Time::NEVER,
    };
    Unit(vec![Write::Store(sent), Write::Store(got), Write::Queue(pending)])
}

/// The child: writes until it is killed. On its own it does nothing.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Arc::new(Sqlite::open(Path::new(&directory)).unwrap());
    let account = |name| store.account(&address(name)).unwrap().unwrap();
    let (alice, bob) = (account("alice"), account("bob"));
    let writer = Writer::start(store, Limits::default()).unwrap();
    let (sender, acknowledged) = mpsc::channel();
    let mut out = std::io::stdout();
    for number in first.. {
        let sender = sender.clone();
        writer.submit(unit(&alice, &bob, number), move |result| sender.send((number, result)).unwrap());
        if number >= first + WAITING {
            let (number, result) = acknowledged.recv().unwrap();
            result.unwrap();
            writeln!(out, "ack {number}").unwrap();
        }
    }
}

/// Runs a child for a while, kills it and gives what it acknowledged.
fn run_and_kill(directory: &Path, first: u64, after: Duration) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        // A last line that was cut off has no number after `ack `, or one that is too small: both are left out.
        let whole = output.split(b'\n').map_while(Result::ok).collect::<Vec<_>>();
        whole.iter().filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("ack ")?.parse().ok()).collect::<Vec<u64>>()
    });
    std::thread::sleep(after);
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn all(store: &Sqlite, owner: &Account, with: &Account) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut since = 0;
    loop {
        let page = store.changes(owner.user, since, 1000).unwrap();
        objects.extend(page.objects);
        since = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(since, store.cursor(owner.user).unwrap());
    assert_eq!(objects.len() as u64, since, "no number of the box was given twice or lost");
    assert!(objects.iter().all(|object| object.with == *with.primary()));
    objects
}

fn numbers<'a>(ids: impl Iterator<Item = &'a MessageId>) -> BTreeSet<u64> {
    let mut count = 0;
    let numbers = ids.inspect(|_| count += 1).map(|id| id.as_str()[1..].parse().unwrap()).collect::<BTreeSet<u64>>();
    assert_eq!(numbers.len(), count, "nothing is there twice");
    numbers
}

#[test]
fn what_was_acknowledged_survives_kill_9_once() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Sqlite::open(directory.path()).unwrap();
        let accounts = ["alice", "bob"].map(|name| {
            Write::AddAccount(NewAccount { addresses: vec![address(name)], display_name: Text::from(name), secrets: Vec::new() }).into()
        });
        assert!(store.commit(accounts.into()).iter().all(Result::is_ok));
    }
    let kills = if std::env::var("TANDEM_LONG").is_ok_and(|long| long == "1") { 100 } else { 10 };
    let mut entropy = Entropy::new([9; 32]);
    let mut acknowledged = BTreeSet::new();
    for kill in 0..kills {
        // Some are submitted a second time: those under way when the last child died, and some that it had acknowledged.
        let first = acknowledged.last().map_or(0, |last: &u64| last.saturating_sub(WAITING / 2));
        let lived = Duration::from_millis(30 + entropy.below(170));
        acknowledged.extend(run_and_kill(directory.path(), first, lived));

        let store = Sqlite::open(directory.path()).unwrap();
        let account = |name| store.account(&address(name)).unwrap().unwrap();
        let (alice, bob) = (account("alice"), account("bob"));
        let sent = numbers(all(&store, &alice, &bob).iter().map(|object| &object.message_id));
        let got = numbers(all(&store, &bob, &alice).iter().map(|object| &object.message_id));
        let mut queue = Vec::new();
        loop {
            let page = store.pending(bob.user, queue.last().map(|queued: &ws_gateway::store::Queued| queued.id), 1000).unwrap();
            if page.is_empty() {
                break;
            }
            queue.extend(page);
        }
        assert_eq!(sent, got, "units are whole, after kill {kill}");
        assert_eq!(sent, numbers(queue.iter().map(|queued| &queued.pending.message_id)), "units are whole, after kill {kill}");
        assert!(acknowledged.is_subset(&sent), "lost after kill {kill}: {:?}", acknowledged.difference(&sent).next());
    }
    assert!(acknowledged.len() > kills as usize, "the children lived too short to write");
}
