//! One person's box of 100,000 messages: listing, searching and following it, each with the answer in JSON as the history API gives it.
//!
//! Every question has to stay under 50 ms (R326). Sixty conversations, one of which has half of everything; every message says a common
//! word, one in a thousand a rare one.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Serialize;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::history::Flag;
use wasm_core::cpm::ids::{ContributionId, ConversationId, MessageId};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::{Entropy, Text, Time};
use ws_gateway::store::{Action, Criteria, Direction, NewAccount, Outcome, Sqlite, Store, StoredMessage, Unit, UserId, Write};

const HELD: u64 = 100_000;
const PEERS: u64 = 60;

fn peer(n: u64) -> Address {
    Address::parse(&format!("sip:peer{n}@tandem.test")).unwrap()
}

fn message(user: UserId, me: &Address, n: u64, entropy: &mut Entropy) -> StoredMessage {
    let with = peer(if n.is_multiple_of(2) { 0 } else { entropy.below(PEERS) });
    let rare = if n.is_multiple_of(1000) { "needle" } else { "hay" };
    StoredMessage {
        user,
        direction: if n.is_multiple_of(3) { Direction::Out } else { Direction::In },
        with: with.clone(),
        message_id: MessageId::new(entropy),
        conversation: Some(ConversationId::new(entropy)),
        contribution: Some(ContributionId::new(entropy)),
        in_reply_to: None,
        from: with,
        to: me.clone(),
        date: Time(1_700_000_000_000 + n * 1000),
        content_type: Text::from("text/plain;charset=UTF-8"),
        body: Bytes::from(format!("Shall we meet at the station at half past {n}? I bring the tickets and {rare} {}", entropy.hex::<3>())),
        wants: Wants { delivered: true, failed: true, displayed: true },
        receipt: Receipt::Sent,
        expires: None,
    }
}

fn questions(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let store = Sqlite::open(directory.path()).unwrap();
    let mut entropy = Entropy::new([7; 32]);
    let me = Address::parse("sip:me@tandem.test").unwrap();
    let account = NewAccount { addresses: vec![me.clone()], display_name: Text::from("Me"), secrets: Vec::new() };
    let Outcome::Created(user) = store.commit(vec![Write::AddAccount(account).into()]).remove(0).unwrap().outcomes[0] else { panic!() };
    for batch in 0..HELD / 1000 {
        let units = (0..1000).map(|n| Unit::from(Write::Store(message(user, &me, batch * 1000 + n, &mut entropy)))).collect();
        assert!(store.commit(units).iter().all(|result| result.as_ref().is_ok_and(|applied| applied.whole())));
    }
    while store.catch_up(1000).unwrap() {}
    for seq in (1..HELD).step_by(200) {
        let spot = store.spots(user, &[seq]).unwrap()[0].unwrap();
        let action = Action::Flag { spot, flag: Flag::Flagged, on: true };
        store.commit(vec![Write::Arrange { user, at: Time(0), action }.into()]);
    }
    let mut group = criterion.benchmark_group("box/100k");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    fn ask<T: Serialize>(
        group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
        name: &str,
        question: impl Fn() -> T,
    ) {
        group.bench_function(name, |bencher| bencher.iter(|| serde_json::to_vec(&question()).unwrap()));
    }
    ask(&mut group, "list folders", || store.conversations(user, None, 100).unwrap());
    ask(&mut group, "list messages", || store.messages(user, &peer(0), None, 100).unwrap());
    ask(&mut group, "list from the middle", || store.messages(user, &peer(0), Some(HELD / 2), 100).unwrap());
    ask(&mut group, "sync the last 100", || store.changes(user, store.cursor(user).unwrap() - 100, 200).unwrap());
    ask(&mut group, "sync from afar", || store.changes(user, HELD / 2, 200).unwrap());
    ask(&mut group, "sync from nothing", || store.changes(user, 0, 200).unwrap());
    ask(&mut group, "index of a folder", || store.index(user, &peer(0), 0, 5000).unwrap());
    let search = |criteria: Criteria| store.search(user, &Criteria { limit: 50, ..criteria }).unwrap();
    let text = |text: &str| Criteria { text: Some(Text::from(text)), ..Criteria::default() };
    ask(&mut group, "search a common word", || search(text("station")));
    ask(&mut group, "search a rare word", || search(text("needle")));
    ask(&mut group, "search the beginning of words", || search(text("sta")));
    ask(&mut group, "search two letters", || search(text("st")));
    ask(&mut group, "search words that never meet", || search(text("needle hay")));
    ask(&mut group, "search the best", || search(Criteria { ranked: true, ..text("station") }));
    ask(&mut group, "search a small folder", || search(Criteria { with: Some(peer(7)), ..text("station") }));
    ask(&mut group, "search by date", || search(Criteria { until: Some(Time(1_700_000_000_000)), ..text("station") }));
    ask(&mut group, "search what is flagged", || search(Criteria { flag: Some(Flag::Flagged), ..text("station") }));
    group.finish();
}

criterion_group!(benches, questions);
criterion_main!(benches);
