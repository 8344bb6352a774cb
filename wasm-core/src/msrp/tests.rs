//! Sessions as stories, and what a hostile end can do to one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::pair::{End, Net, Pair, agreed};
use super::*;
use crate::wire::msrp::{FailureReport, Fault, Frame, Limits, Start, Status, Transport};
use crate::{Entropy, Time};

fn bytes(size: usize) -> Bytes {
    // No two neighbouring kilobytes are alike.
    (0..size).map(|index| (index % 251 + index / 1024) as u8).collect::<Vec<u8>>().into()
}

fn only_file(end: &End) -> (Key, &[u8]) {
    assert_eq!(end.files.len(), 1, "one message in pieces");
    end.files.iter().next().map(|(key, bytes)| (*key, bytes.as_slice())).unwrap()
}

#[test]
fn messages_go_both_ways_in_their_order() {
    for net in [Net::TCP, Net { piece: 1, ..Net::TCP }, Net::WEBSOCKET] {
        let mut pair = Pair::new(net, Options::default());
        let texts: Vec<String> = (1..6).map(|number| format!("message {number}{}", " and more".repeat(number * 100))).collect();
        let now = pair.now;
        let ids: Vec<Id> = texts.iter().map(|text| pair.a.say(now, text)).collect();
        pair.b.say(now, "");
        pair.settle();
        assert_eq!(pair.b.texts(), texts);
        assert_eq!(pair.a.texts(), [""]);
        assert!(ids.iter().all(|id| pair.a.told(&Output::Sent(*id))), "{:?}", pair.a.outputs);
        assert_eq!((pair.a.session.backlog(), pair.b.session.held()), (0, 0));
    }
}

#[test]
fn a_short_message_overtakes_a_long_one() {
    for chunk in [2048, 16 * 1024] {
        let mut pair = Pair::new(Net::TCP, Options { chunk, ..Options::default() });
        let file = bytes(1_000_000);
        let now = pair.now;
        let id = pair.a.stream(now, file.clone(), Some(file.len() as u64));
        pair.pass(Duration::from_millis(15));
        let now = pair.now;
        pair.a.say(now, "are you there?");
        pair.settle();
        assert_eq!(pair.b.texts(), ["are you there?"]);
        let (key, received) = only_file(&pair.b);
        assert!(received == file, "the file arrives as it was");
        let ended = pair.b.at(|output| matches!(output, Output::End(ended, _) if *ended == key)).unwrap();
        let text = pair.b.at(|output| matches!(output, Output::Message { .. })).unwrap();
        let behind = pair.b.outputs[text..ended].iter().filter(|output| matches!(output, Output::Piece { .. })).count();
        assert!(behind * chunk > 500_000, "{behind} pieces come behind the text");
        assert!(pair.a.told(&Output::Sent(id)));
    }
}

#[test]
fn the_length_of_a_stream_may_be_unknown() {
    for size in [0, 1, 2048, 5000, 100_000] {
        let mut pair = Pair::new(Net::TCP, Options { whole: 4096, ..Options::default() });
        let now = pair.now;
        let id = pair.a.stream(now, bytes(size), None);
        pair.settle();
        assert!(pair.a.told(&Output::Sent(id)));
        let received = match pair.b.outputs.first().unwrap() {
            Output::Message { body, receipt, .. } => (body.clone(), receipt.size),
            _ => (Bytes::copy_from_slice(only_file(&pair.b).1), size as u64),
        };
        assert_eq!(received, (bytes(size), size as u64));
    }
}

#[test]
fn what_arrives_is_reported_when_its_consumer_has_it() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    let now = pair.now;
    let send = |pair: &mut Pair, failure_report| {
        let id = pair.a.session.id();
        let message = Outgoing { success_report: true, failure_report, ..Outgoing::new(id, "message/cpim", "hello") };
        pair.a.session.handle(now, Input::Send(message));
        pair.settle();
        let Some(Output::Message { receipt, .. }) = pair.b.outputs.pop() else { panic!("no message: {:?}", pair.b.outputs) };
        (id, receipt)
    };
    for failure_report in [FailureReport::Yes, FailureReport::Partial, FailureReport::No] {
        let (id, receipt) = send(&mut pair, failure_report);
        assert_eq!(pair.a.outputs, [Output::Sent(id)]);
        pair.b.session.handle(now, Input::Report(receipt, Status::OK));
        pair.settle();
        assert_eq!(pair.a.outputs.split_off(1), [Output::Delivered(id)]);
        pair.a.outputs.clear();

        let (id, receipt) = send(&mut pair, failure_report);
        pair.b.session.handle(now, Input::Report(receipt, Status::FORBIDDEN));
        pair.settle();
        let told = pair.a.told(&Output::Failed(id, Status::FORBIDDEN));
        assert_eq!(told, failure_report != FailureReport::No);
        pair.a.outputs.clear();
    }
}

#[test]
fn a_sender_gives_up() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    let now = pair.now;
    let id = pair.a.stream(now, bytes(1_000_000), Some(1_000_000));
    pair.pass(Duration::from_millis(50));
    let now = pair.now;
    pair.a.session.handle(now, Input::Abort(id));
    pair.settle();
    let (key, _) = only_file(&pair.b);
    assert!(pair.b.told(&Output::Dropped(key)) && pair.a.told(&Output::Failed(id, Status::STOP)));
    pair.a.say(now, "sorry");
    pair.settle();
    assert_eq!(pair.b.texts(), ["sorry"]);
}

#[test]
fn a_receiver_stops_a_sender() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    let now = pair.now;
    let id = pair.a.stream(now, bytes(50_000_000), Some(50_000_000));
    pair.pass(Duration::from_millis(50));
    let (key, _) = only_file(&pair.b);
    let now = pair.now;
    pair.b.session.handle(now, Input::Refuse(key, Status::STOP));
    pair.settle();
    assert!(pair.b.told(&Output::Dropped(key)) && pair.a.told(&Output::Failed(id, Status::STOP)));
    assert!(pair.a.sent < 2_000_000, "{} bytes were sent of a message that was stopped", pair.a.sent);
    pair.a.say(now, "a shorter one");
    pair.settle();
    assert_eq!(pair.b.texts(), ["a shorter one"]);
}

#[test]
fn the_largest_size_and_the_types_are_kept_to() {
    let options = Options { max_size: 1000, ..Options::default() };
    let mut pair = Pair::with(Net::TCP, [Options::default(), options]);
    let now = pair.now;
    let id = pair.a.say(now, &"x".repeat(1001));
    pair.settle();
    assert!(pair.a.told(&Output::Failed(id, Status::STOP)), "what the other end announced is not even tried");
    let id = pair.a.session.id();
    pair.a.session.handle(now, Input::Send(Outgoing::new(id, "image/png", "x")));
    pair.settle();
    assert!(pair.a.told(&Output::Failed(id, Status::UNSUPPORTED_TYPE)));
    assert!(pair.b.outputs.is_empty(), "{:?}", pair.b.outputs);
}

#[test]
fn a_lost_connection_ends_everything() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    let now = pair.now;
    let file = pair.a.stream(now, bytes(1_000_000), Some(1_000_000));
    pair.pass(Duration::from_millis(25));
    let now = pair.now;
    let text = pair.a.say(now, "lost");
    pair.lose();
    for id in [file, text] {
        assert!(pair.a.told(&Output::Failed(id, Status::NO_SESSION)));
    }
    assert_eq!(pair.a.outputs.last(), Some(&Output::Closed(Ending::Lost)));
    let (key, _) = only_file(&pair.b);
    assert!(pair.b.told(&Output::Dropped(key)) && pair.b.told(&Output::Closed(Ending::Lost)));
    assert_eq!((pair.a.session.next_timeout(), pair.a.session.transmit(now)), (None, None));
}

#[test]
fn silence_fails_a_message_and_then_the_session() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    pair.silent = true;
    let now = pair.now;
    let asked = pair.a.say(now, "anybody?");
    let id = pair.a.session.id();
    let careless = Outgoing { failure_report: FailureReport::No, ..Outgoing::new(id, "message/cpim", "whoever") };
    pair.a.session.handle(now, Input::Send(careless));
    pair.pass(Duration::from_secs(29));
    assert_eq!(pair.a.outputs, [Output::Sent(id)]);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.a.outputs[1..], [Output::Failed(asked, Status::TIMEOUT)]);
    pair.pass(Duration::from_secs(120));
    assert_eq!(pair.a.outputs.last(), Some(&Output::Closed(Ending::Silence)));
}

#[test]
fn a_quiet_session_lives_by_its_probes_and_dies_without() {
    let mut pair = Pair::new(Net::TCP, Options::default());
    pair.pass(Duration::from_secs(3600));
    assert!(pair.a.outputs.is_empty() && !pair.a.session.is_closed() && !pair.b.session.is_closed());
    let mut pair = Pair::new(Net::TCP, Options { keep_alive: None, ..Options::default() });
    pair.pass(Duration::from_secs(601));
    assert_eq!(pair.a.outputs, [Output::Closed(Ending::Silence)]);
}

#[test]
fn a_session_without_a_connection_ends() {
    let options = Options::default();
    let [_, setup] = agreed(Transport::Tcp, [&options, &options]);
    let mut session = Session::new(Time(0), &setup, Arc::new(options), Entropy::new([1; 32]));
    let due = session.next_timeout().unwrap();
    assert_eq!(due, Time(30_000));
    session.handle(due, Input::Timeout);
    assert_eq!(session.poll(), Some(Output::Closed(Ending::Unopened)));
}

/// Flow control goes from the consumer of one end to the source of the other.
#[test]
fn a_slow_consumer_stops_the_source_and_nothing_is_lost() {
    for net in [Net::TCP, Net::WEBSOCKET] {
        let options = Options { window: 64 * 1024, ..Options::default() };
        let mut pair = Pair::new(net, options);
        pair.b.draining = false;
        let file = bytes(3_000_000);
        let now = pair.now;
        let id = pair.a.stream(now, file.clone(), Some(file.len() as u64));
        pair.pass(Duration::from_secs(20));
        let taken = file.len() - pair.a.sources[&id].len();
        assert!(taken < 200_000, "{taken} bytes were taken from the source");
        assert!(pair.b.owed < 64 * 1024 + 4096 && !pair.b.session.wants_read());
        pair.b.draining = true;
        pair.pass(Duration::from_secs(10));
        assert!(only_file(&pair.b).1 == file && pair.a.told(&Output::Sent(id)));
    }
}

/// A session of B's, connected, and what an end without manners needs to talk to it.
struct Hostile {
    session: Session,
    setup: Setup,
    now: Time,
}

impl Hostile {
    fn new(options: Options) -> Hostile {
        let [_, setup] = agreed(Transport::Tcp, [&options, &options]);
        let mut session = Session::new(Time(0), &setup, Arc::new(options), Entropy::new([3; 32]));
        session.handle(Time(0), Input::Connected);
        Hostile { session, setup, now: Time(0) }
    }

    fn push(&mut self, text: impl Into<Bytes>) {
        self.session.handle(self.now, Input::Received(text.into()));
    }

    /// What precedes the body of a SEND.
    fn head(&self, id: &str, range: &str) -> String {
        let (to, from) = (&self.setup.local, &self.setup.remote);
        format!(
            "MSRP tr4ns SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: {id}\r\nByte-Range: {range}\r\nContent-Type: message/cpim\r\n\r\n"
        )
    }

    fn chunk(&mut self, id: &str, range: &str, body: &str, flag: char) {
        let text = format!("{}{body}\r\n-------tr4ns{flag}\r\n", self.head(id, range));
        self.push(text);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn statuses(&mut self) -> Vec<u16> {
        let frames = std::iter::from_fn(|| self.session.transmit(self.now));
        let status = |frame: Bytes| match Frame::parse(&frame, &Limits::default()).unwrap().head.start {
            Start::Response(status, _) => Some(status.0),
            Start::Request(_) => None,
        };
        frames.filter_map(status).collect()
    }

    fn ending(&mut self) -> Option<Ending> {
        self.outputs().into_iter().find_map(|output| if let Output::Closed(ending) = output { Some(ending) } else { None })
    }
}

#[test]
fn what_is_wrong_with_a_request_is_answered() {
    let mut hostile = Hostile::new(Options::default());
    let head = hostile.head("m1234", "1-2/2") + "hi\r\n-------tr4ns$\r\n";
    for (changed, status) in [
        (head.clone(), 200),
        (head.replace("2855/", "2855/x"), 481),
        (head.replace("SEND", "NICKNAME"), 501),
        (head.replace("SEND", "DANCE"), 501),
        (head.replace("1-2/2", "2-1/0"), 400),
        (head.replace("m1234", "m"), 400),
        (head.replace("Content-Type", "X-Type"), 400),
        (head.replace("message/cpim", "text/html"), 415),
        (head.replace("1-2/2", "1-2/999999999999"), 413),
        (head.replace("Content-Type", "Success-Report: y\r\nContent-Type"), 400),
        (head.replace("Content-Type", "Failure-Report: partial\r\nContent-Type").replace("1-2/2", "x"), 400),
    ] {
        hostile.push(changed.clone());
        assert_eq!(hostile.statuses(), [status], "{changed}");
    }
    let relayed = head.replace("To-Path: ", "To-Path: msrps://relay.example:2855/x;tcp ");
    hostile.push(relayed);
    assert_eq!(hostile.statuses(), [481], "this is no relay");
    for silent in ["Failure-Report: no\r\nContent-Type", "Failure-Report: partial\r\nContent-Type"] {
        hostile.push(head.replace("Content-Type", silent));
        assert_eq!(hostile.statuses(), [0u16; 0], "{silent}");
    }
    // Answers and reports that nobody waits for.
    let (to, from) = (hostile.setup.local.clone(), hostile.setup.remote.clone());
    hostile.push(format!("MSRP 0123456789abcdef 400 No\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------0123456789abcdef$\r\n"));
    hostile.push(format!("MSRP tr4ns REPORT\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: 0123456789abcdef\r\nByte-Range: 1-2/2\r\nStatus: 000 200 OK\r\n-------tr4ns$\r\n"));
    assert_eq!((hostile.statuses().len(), hostile.ending()), (0, None));
}

#[test]
fn chunks_may_come_in_any_order_and_twice() {
    let mut hostile = Hostile::new(Options::default());
    hostile.chunk("m1234", "4-6/6", "def", '$');
    hostile.chunk("m1234", "1-2/6", "aX", '+');
    assert!(!hostile.outputs().iter().any(|output| matches!(output, Output::End(..))));
    hostile.chunk("m1234", "2-3/6", "bc", '+');
    let mut whole = [0; 6];
    for output in hostile.outputs() {
        if let Output::Piece { offset, bytes, .. } = output {
            whole[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    hostile.chunk("n1234", "1-1/1", "x", '$');
    assert!(matches!(hostile.outputs()[..], [Output::Message { .. }]), "the message before is complete");
}

#[test]
fn a_range_that_cannot_be_true_ends_the_session() {
    for chunks in [
        [("1-2/2", "abc", '$')].as_slice(),
        &[("1-2/5", "abc", '+')],
        &[("3-*/4", "abc", '+')],
        &[("1-3/5", "abc", '$')],
        &[("1-*/*", "abcdef", '+'), ("4-*/*", "x", '$')],
        &[("18446744073709551615-*/*", "abc", '+')],
    ] {
        let mut hostile = Hostile::new(Options { max_size: u64::MAX, ..Options::default() });
        for (range, body, flag) in chunks {
            hostile.chunk("m1234", range, body, *flag);
        }
        let ending = hostile.ending();
        let statuses = hostile.statuses();
        if chunks[0].0.starts_with("18") {
            assert_eq!(ending, None);
        } else {
            assert_eq!((ending, statuses.last()), (Some(Ending::FalseRange), Some(&400)), "{chunks:?}");
        }
    }
}

#[test]
fn garbage_ends_the_session() {
    let mut hostile = Hostile::new(Options::default());
    hostile.push("GET / HTTP/1.1\r\n");
    assert_eq!(hostile.ending(), Some(Ending::Garbage(Fault::StartLine)));
    hostile.push("GET / HTTP/1.1\r\n");
    assert_eq!(hostile.session.held(), 0);
}

#[test]
fn what_never_ends_is_stopped_and_then_cut_off() {
    let options = Options { max_size: 100_000, patience: 50_000, ..Options::default() };
    let mut hostile = Hostile::new(options);
    let head = hostile.head("m1234", "1-*/*");
    hostile.push(head);
    let piece = bytes(1000);
    let mut pushed = 0;
    let ending = loop {
        hostile.push(piece.clone());
        pushed += piece.len();
        assert!(hostile.session.held() <= 64 * 1024);
        if pushed == 101_000 {
            assert_eq!(hostile.statuses(), [413], "at once, not at the end of the chunk");
        }
        if let Some(ending) = hostile.ending() {
            break ending;
        }
    };
    assert_eq!((ending, pushed), (Ending::Flood, 152_000));
}

#[test]
fn what_is_begun_and_not_continued_is_dropped() {
    let mut hostile = Hostile::new(Options::default());
    for number in 0..8 {
        hostile.chunk(&format!("m123{number}"), "1-2/70000", "ab", '+');
    }
    hostile.chunk("n1234", "1-2/4", "ab", '+');
    assert_eq!(hostile.statuses(), [200, 200, 200, 200, 200, 200, 200, 200, 413], "so many may be unfinished");
    hostile.outputs();
    let due = hostile.session.next_timeout().unwrap();
    assert_eq!(due, Time(60_000));
    hostile.now = due;
    hostile.session.handle(due, Input::Timeout);
    assert_eq!(hostile.outputs().iter().filter(|output| matches!(output, Output::Dropped(_))).count(), 8);
    // Within a frame nothing can follow: the session is over.
    let head = hostile.head("m1234", "1-*/*");
    hostile.push(head + "and");
    let due = hostile.session.next_timeout().unwrap();
    hostile.session.handle(due, Input::Timeout);
    assert_eq!((due, hostile.ending()), (Time(120_000), Some(Ending::Silence)));
}

/// An idle session is small: there may be hundreds of thousands.
#[test]
fn a_session_is_small() {
    let size = std::mem::size_of::<Session>();
    assert!(size <= 768, "{size} bytes");
}

#[test]
fn a_connection_says_whose_it_is() {
    let options = Options::default();
    let [a, b] = agreed(Transport::Tcp, [&options, &options]);
    let options = Arc::new(options);
    let mut active = Session::new(Time(0), &a, Arc::clone(&options), Entropy::new([1; 32]));
    active.handle(Time(0), Input::Connected);
    let first = active.transmit(Time(0)).unwrap();
    let mut knock = Knock::default();
    let (start, end) = (first.slice(..40), first.slice(40..));
    assert!(knock.push(start).unwrap().is_none());
    let knocked = knock.push(end).unwrap().unwrap();
    assert_eq!((knocked.to(), &knocked.bytes), (&b.local, &first));
    let refusal = Frame::parse(&knocked.refuse(Status::NO_SESSION), &Limits::default()).unwrap();
    assert_eq!(refusal.head.to.first(), &a.local);
    active.handle(Time(0), Input::Received(knocked.refuse(Status::NO_SESSION)));
    assert_eq!(active.poll(), Some(Output::Closed(Ending::Refused(Status::NO_SESSION))));
    let mut passive = Session::new(Time(0), &b, options, Entropy::new([2; 32]));
    passive.handle(Time(0), Input::Connected);
    passive.handle(Time(0), Input::Received(knocked.bytes));
    assert!(passive.transmit(Time(0)).is_some() && passive.poll().is_none());
    assert!(matches!(
        Knock::default().push("MSRP abcd 200 OK\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://a/b;tcp\r\n-------abcd$\r\n".into()),
        Err(Fault::StartLine)
    ));
    let mut endless = Knock::default();
    let fault = std::iter::repeat_with(|| endless.push(Bytes::from_static(b"MSRP "))).take(2000).find_map(Result::err);
    assert_eq!(fault, Some(Fault::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent in whatever pieces, all of it arrives.
    #[test]
    fn everything_arrives(
        sizes in proptest::collection::vec((0usize..20_000, any::<bool>(), any::<bool>()), 1..6),
        piece in 1usize..3000,
        chunk in 1usize..5000,
        room in 1usize..20_000,
        websocket: bool,
    ) {
        let net = Net { piece, room, ..if websocket { Net::WEBSOCKET } else { Net::TCP } };
        let mut pair = Pair::new(net, Options { chunk, whole: 10_000, in_flight: 30_000, ..Options::default() });
        let now = pair.now;
        let mut ids = Vec::new();
        for (size, streamed, known) in &sizes {
            let body = bytes(*size);
            ids.push(match streamed {
                true => pair.a.stream(now, body, known.then_some(*size as u64)),
                false => {
                    let id = pair.a.session.id();
                    pair.a.session.handle(now, Input::Send(Outgoing::new(id, "message/cpim", body)));
                    id
                }
            });
        }
        pair.pass(Duration::from_secs(500));
        prop_assert!(ids.iter().all(|id| pair.a.told(&Output::Sent(*id))), "{:?}", pair.a.outputs);
        let mut received: Vec<Vec<u8>> = pair.b.files.values().cloned().collect();
        received.extend(pair.b.outputs.iter().filter_map(|output| if let Output::Message { body, .. } = output { Some(body.to_vec()) } else { None }));
        received.sort();
        let mut sent: Vec<Vec<u8>> = sizes.iter().map(|(size, ..)| bytes(*size).to_vec()).collect();
        sent.sort();
        prop_assert!(received == sent);
        prop_assert_eq!(pair.b.session.held(), 0);
    }

    /// Whatever a hostile end sends, what is held for it stays bounded and nothing panics.
    #[test]
    fn what_is_held_is_bounded(
        chunks in proptest::collection::vec((0u8..12, 0u64..3000, proptest::option::of(0u64..3000), proptest::option::of(0u64..6000), 0usize..3000, proptest::sample::select(vec!['+', '$', '#'])), 1..60),
        piece in 1usize..4000,
    ) {
        let mut hostile = Hostile::new(Options { whole: 4096, max_size: 5000, patience: 20_000, ..Options::default() });
        for (id, start, end, total, length, flag) in chunks {
            let open = |number: Option<u64>| number.map_or("*".to_owned(), |number| number.to_string());
            let range = format!("{start}-{}/{}", open(end), open(total));
            let frame = format!("{}{}\r\n-------tr4ns{flag}\r\n", hostile.head(&format!("m123{id}"), &range), "x".repeat(length));
            for part in frame.as_bytes().chunks(piece) {
                hostile.push(Bytes::copy_from_slice(part));
                prop_assert!(hostile.session.held() <= 4096 + Limits::default().head);
                let owed = hostile.outputs().iter().map(|output| match output { Output::Piece { bytes, .. } | Output::Message { body: bytes, .. } => bytes.len(), _ => 0 }).sum();
                hostile.session.handle(hostile.now, Input::Drained(owed));
                hostile.statuses();
            }
        }
    }
}
