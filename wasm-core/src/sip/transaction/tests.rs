//! Whole transactions between two layers, over networks good and bad.

use std::time::Duration;

use super::*;
use crate::sip::pair::{self, End, Net, Pair};
use crate::wire::sip::{HeaderName, Limits};

const MINUTE: Duration = Duration::from_secs(60);

fn send(pair: &mut Pair, method: Method) -> ClientId {
    let (now, reliable) = (pair.now, pair.net.reliable);
    pair.a.request(now, (), reliable, pair::request(method))
}

/// The request that B is told of.
fn arrival(pair: &mut Pair) -> (ServerId, Request) {
    match pair.next(MINUTE) {
        Some((_, End::B, Event::Request { id, request, .. })) => (id, request),
        other => panic!("no request: {other:?}"),
    }
}

/// The status that A is told of.
fn outcome(pair: &mut Pair) -> (ClientId, u16) {
    match pair.next(MINUTE) {
        Some((_, End::A, Event::Response { id, response })) => (id, response.status.0),
        other => panic!("no response: {other:?}"),
    }
}

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn a_message_and_its_answer_leave_nothing_behind() {
    for net in [Net::UDP, Net::TCP] {
        let mut pair = Pair::new(net, 1);
        let id = send(&mut pair, Method::Message);
        let (server, request) = arrival(&mut pair);
        let branch = request.headers.read::<Via>().and_then(|via| via.branch().cloned()).unwrap();
        assert!(branch.starts_with(Via::COOKIE));
        pair.respond(server, &request, Status::ACCEPTED);
        assert_eq!(outcome(&mut pair), (id, 202));
        assert_eq!(pair.next(MINUTE).map(|(.., event)| event).as_ref().map(|event| format!("{event:?}")), None);
        assert_eq!(pair.wire.len(), 2, "{:?}", pair.wire);
        assert!(pair.a.is_empty() && pair.b.is_empty());
        assert_eq!((pair.a.next_timeout(), pair.b.next_timeout()), (None, None));
    }
}

#[test]
fn timer_e_repeats_a_message_and_timer_f_gives_up() {
    let mut pair = Pair::new(Net::SILENCE, 1);
    let id = send(&mut pair, Method::Message);
    assert!(matches!(pair.next(MINUTE), Some((32_000, End::A, Event::Timeout { id: gone })) if gone == id));
    let expected = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(pair.sent(End::A, "MESSAGE"), expected);
    assert!(pair.a.is_empty());
}

#[test]
fn timer_a_repeats_an_invite_and_timer_b_gives_up() {
    let mut pair = Pair::new(Net::SILENCE, 1);
    let id = send(&mut pair, Method::Invite);
    assert!(matches!(pair.next(MINUTE), Some((32_000, End::A, Event::Timeout { id: gone })) if gone == id));
    assert_eq!(pair.sent(End::A, "INVITE"), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
}

#[test]
fn a_reliable_transport_is_given_everything_once() {
    for method in [Method::Message, Method::Invite] {
        let mut pair = Pair::new(Net { loss: 100, ..Net::TCP }, 1);
        send(&mut pair, method);
        assert!(matches!(pair.next(MINUTE), Some((32_000, End::A, Event::Timeout { .. }))));
        assert_eq!(pair.wire.len(), 1);
    }
}

#[test]
fn an_invite_left_alone_gets_100_after_200_ms() {
    let mut pair = Pair::new(Net::UDP, 1);
    let id = send(&mut pair, Method::Invite);
    let (server, request) = arrival(&mut pair);
    assert_eq!(outcome(&mut pair), (id, 100));
    assert_eq!(pair.sent(End::B, "100"), [210]);
    pair.respond(server, &request, Status::RINGING);
    assert_eq!(outcome(&mut pair), (id, 180));
    pair.pass(MINUTE);
    assert_eq!(pair.sent(End::A, "INVITE"), [0], "a provisional response stops Timer A");
    pair.respond(server, &request, Status::BUSY_HERE);
    assert_eq!(outcome(&mut pair), (id, 486));
    pair.pass(MINUTE);
    assert_eq!(pair.sent(End::A, "ACK").len(), 1);
    assert!(pair.a.is_empty() && pair.b.is_empty());
}

/// [RFC4320 §4.1]: 100 when the client has slowed down to T2, and [RFC4320 §4.2]: silence after the lifetime, never 408.
#[test]
fn a_message_left_alone_gets_100_after_3500_ms_and_then_silence() {
    let mut pair = Pair::new(Net::UDP, 1);
    let id = send(&mut pair, Method::Message);
    let (server, request) = arrival(&mut pair);
    pair.respond(server, &request, Status::RINGING);
    assert_eq!(outcome(&mut pair), (id, 100));
    assert_eq!(pair.sent(End::B, "100")[0], 3510);
    // From here on each retransmission is answered by the 100 again.
    let last = std::iter::from_fn(|| pair.next(MINUTE)).find(|(.., event)| !matches!(event, Event::Response { .. }));
    assert!(matches!(last, Some((32_000, End::A, Event::Timeout { .. }))));
    assert!(matches!(pair.next(MINUTE), Some((32_010, End::B, Event::Ended { id, why: Ending::Unanswered })) if id == server));
    pair.respond(server, &request, Status::OK);
    pair.drain();
    assert!(pair.wire.iter().all(|(.., label)| label == "MESSAGE" || label == "100"));

    let mut pair = Pair::new(Net::UDP, 1);
    send(&mut pair, Method::Message);
    let (server, request) = arrival(&mut pair);
    pair.respond(server, &request, Status::REQUEST_TIMEOUT);
    assert!(matches!(pair.next(MINUTE), Some((32_000, End::A, Event::Timeout { .. }))));
    assert!(pair.sent(End::B, "408").is_empty());
}

#[test]
fn retransmissions_are_answered_from_memory() {
    let mut pair = Pair::new(Net::UDP, 1);
    send(&mut pair, Method::Message);
    let (server, request) = arrival(&mut pair);
    let again = Message::from(request.clone());
    pair.b.receive(pair.now, (), false, again.clone());
    pair.respond(server, &request, Status::OK);
    pair.b.receive(pair.now, (), false, again.clone());
    pair.pass(Duration::from_secs(31));
    let now = pair.now;
    pair.b.receive(now, (), false, again.clone());
    pair.drain();
    assert_eq!(pair.sent(End::B, "200").len(), 3);
    assert_eq!(pair.events.len(), 1, "one response, and the request only once: {:?}", pair.events);
    pair.pass(Duration::from_secs(2));
    let now = pair.now;
    pair.b.receive(now, (), false, again);
    assert!(matches!(pair.b.poll(), Some(Out::Event(Event::Request { .. }))), "after Timer J it is a new one");
}

#[test]
fn a_failure_is_repeated_until_it_is_acknowledged() {
    let mut pair = Pair::new(Net::UDP, 1);
    send(&mut pair, Method::Invite);
    let (server, request) = arrival(&mut pair);
    pair.net = Net::SILENCE;
    pair.respond(server, &request, Status::DECLINE);
    pair.pass(Duration::from_millis(8000));
    assert_eq!(pair.sent(End::B, "603"), [10, 510, 1510, 3510, 7510]);
    pair.net = Net::UDP;
    assert_eq!(outcome(&mut pair).1, 603);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.sent(End::A, "ACK"), [11_520]);
    pair.pass(MINUTE);
    assert_eq!(pair.sent(End::B, "603").len(), 6);
    assert!(pair.a.is_empty() && pair.b.is_empty() && pair.events.is_empty());
}

#[test]
fn a_failure_never_acknowledged_is_reported() {
    let mut pair = Pair::new(Net::UDP, 1);
    send(&mut pair, Method::Invite);
    let (server, request) = arrival(&mut pair);
    pair.net = Net::SILENCE;
    pair.respond(server, &request, Status::DECLINE);
    let ended = loop {
        match pair.next(MINUTE) {
            Some((at, End::B, Event::Ended { id, why })) => break (at, id, why),
            Some(_) => {}
            None => panic!("Timer H did not fire"),
        }
    };
    assert_eq!(ended, (32_010, server, Ending::Unacknowledged));
}

/// The ACK of a failure goes the way of its INVITE [RFC3261 §17.1.1.3].
#[test]
fn an_ack_has_the_branch_the_route_and_the_tag() {
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    layer.request(Time(0), (), false, pair::request(Method::Invite));
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    let invite = Message::parse(&message, &Limits::default()).unwrap().request().unwrap();
    layer.receive(Time(9), (), false, pair::answer(&invite, Status::NOT_FOUND).into());
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    let ack = Message::parse(&message, &Limits::default()).unwrap().request().unwrap();
    assert_eq!((&ack.method, &ack.uri), (&Method::Ack, &invite.uri));
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::From, HeaderName::CallId] {
        assert_eq!(ack.headers.get(&name), invite.headers.get(&name), "{name:?}");
    }
    assert_eq!(ack.headers.read::<To>().unwrap().tag().unwrap(), &"b-tag");
    assert_eq!(ack.headers.read::<CSeq>(), Some(CSeq::new(7, Method::Ack)));
}

#[test]
fn a_success_ends_the_repetition_and_every_other_one_is_delivered() {
    let mut pair = Pair::new(Net::UDP, 1);
    let id = send(&mut pair, Method::Invite);
    let (server, request) = arrival(&mut pair);
    pair.respond(server, &request, Status::OK);
    assert_eq!(outcome(&mut pair), (id, 200));
    pair.respond(server, &request, Status::OK);
    assert_eq!(outcome(&mut pair), (id, 200), "the user repeats it until the ACK");
    // [RFC6026 §7.1]: a retransmitted INVITE is absorbed.
    pair.b.receive(pair.now, (), false, request.clone().into());
    pair.b.receive(pair.now, (), false, {
        let mut ack = pair::request(Method::Ack);
        ack.headers.replace_first(&request.headers.read::<Via>().unwrap());
        ack.into()
    });
    assert!(matches!(pair.next(MINUTE), Some((_, End::B, Event::Ack { .. }))));
    assert!(pair.next(MINUTE).is_none());
    assert!(pair.a.is_empty() && pair.b.is_empty());
}

#[test]
fn an_ack_of_a_success_passes_outside_of_transactions() {
    let mut pair = Pair::new(Net::UDP, 1);
    send(&mut pair, Method::Ack);
    assert!(matches!(pair.next(MINUTE), Some((10, End::B, Event::Ack { .. }))));
    assert!(pair.a.is_empty() && pair.b.is_empty());
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_finds_its_invite() {
    for net in [Net::UDP, Net::TCP] {
        let mut pair = Pair::new(net, 1);
        let id = send(&mut pair, Method::Invite);
        pair.a.cancel(Time(0), id, Some(&Reason::sip(Status::OK, "Call completed elsewhere")));
        let (server, invite) = arrival(&mut pair);
        assert_eq!(outcome(&mut pair), (id, 100));
        pair.a.cancel(pair.now, id, None);
        let Some((230, End::B, Event::Cancel { invite: Some(found), id: cancel, request, .. })) = pair.next(MINUTE) else { panic!() };
        assert_eq!(found, server);
        assert_eq!(request.headers.read::<Reason>().and_then(|reason| reason.cause()), Some(200));
        pair.respond(cancel, &request, Status::OK);
        pair.respond(server, &invite, Status::REQUEST_TERMINATED);
        assert_eq!(outcome(&mut pair), (id, 487));
        assert!(pair.next(MINUTE).is_none(), "the answer to the CANCEL stays within");
        assert_eq!((pair.sent(End::A, "CANCEL").len(), pair.sent(End::A, "ACK").len()), (1, 1));
        assert!(pair.a.is_empty() && pair.b.is_empty());
    }
}

#[test]
fn a_cancelled_invite_that_stays_unanswered_times_out() {
    let mut pair = Pair::new(Net::UDP, 1);
    let id = send(&mut pair, Method::Invite);
    arrival(&mut pair);
    outcome(&mut pair);
    pair.a.cancel(pair.now, id, None);
    assert!(matches!(pair.next(MINUTE), Some((_, End::B, Event::Cancel { .. }))));
    pair.net = Net::SILENCE;
    assert!(matches!(pair.next(MINUTE), Some((32_220, End::A, Event::Timeout { id: gone })) if gone == id));
}

#[test]
fn a_cancel_of_nothing_says_so() {
    let mut pair = Pair::new(Net::UDP, 1);
    pair.b.receive(Time(0), (), false, pair::request(Method::Cancel).into());
    assert!(matches!(pair.next(MINUTE), Some((_, End::B, Event::Cancel { invite: None, .. }))));
}

/// [RFC3261 §16.6]: Timer C, when somebody downstream rings for ever.
#[test]
fn timer_c_cancels_an_invite_after_three_silent_minutes() {
    let mut pair = Pair::new(Net::UDP, 1);
    let id = send(&mut pair, Method::Invite);
    let (server, request) = arrival(&mut pair);
    assert_eq!(outcome(&mut pair), (id, 100));
    pair.pass(MINUTE);
    pair.respond(server, &request, Status::RINGING);
    assert_eq!(outcome(&mut pair), (id, 180));
    let Some((at, End::B, Event::Cancel { .. })) = pair.next(MINUTE * 7) else { panic!() };
    assert!((241_000..=181_000 * 2 + 1000).contains(&at), "{at}");
}

#[test]
fn what_fails_with_a_transport_is_told_at_once() {
    let mut layer: Layer<u8> = Layer::new(Entropy::new([1; 32]), Timers::default());
    let first = layer.request(Time(0), 1, true, pair::request(Method::Message));
    let other = layer.request(Time(0), 2, true, pair::request(Method::Message));
    let second = layer.request(Time(0), 1, true, pair::request(Method::Invite));
    let mut invite = pair::request(Method::Invite);
    invite.headers.replace_first(&Via::new("TCP", "x.invalid", None));
    layer.receive(Time(0), 1, true, invite.into());
    while layer.poll().is_some() {}
    layer.failed(Time(5), &1);
    let told: Vec<String> = std::iter::from_fn(|| layer.poll()).map(|out| format!("{out:?}")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for id in [first, second] {
        assert!(told.contains(&format!("{:?}", Out::Event(Event::<u8>::Unreachable { id }))));
    }
    assert!(told.iter().any(|told| told.contains("Ended")));
    assert_eq!(layer.len(), 2);
    layer.failed(Time(5), &2);
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Unreachable { id })) if id == other));
    layer.timeout(Time(33_000));
    assert!(layer.is_empty());
}

/// A full table refuses in words: 503 with Retry-After, to both sides.
#[test]
fn a_full_table_says_503() {
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default()).with_limit(1);
    layer.receive(Time(0), (), false, pair::request(Method::Message).into());
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Request { .. }))));
    layer.receive(Time(0), (), false, pair::request(Method::Invite).into());
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    let response = Message::parse(&message, &Limits::default()).unwrap().response().unwrap();
    assert_eq!(response.status, Status::SERVICE_UNAVAILABLE);
    assert!(response.headers.read::<RetryAfter>().is_some() && response.headers.read::<To>().unwrap().tag().is_some());
    layer.receive(Time(0), (), false, pair::request(Method::Message).into());
    assert!(layer.poll().is_none(), "a retransmission is no new transaction");
    let id = layer.request(Time(0), (), false, pair::request(Method::Options));
    let Some(Out::Event(Event::Response { id: refused, response })) = layer.poll() else { panic!() };
    assert_eq!((refused, response.status), (id, Status::SERVICE_UNAVAILABLE));
    assert_eq!(layer.len(), 1);
}

#[test]
fn a_request_that_cannot_be_matched_is_refused_or_dropped() {
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    let mut odd = pair::request(Method::Message);
    odd.headers.put(&CSeq::new(7, Method::Invite));
    layer.receive(Time(0), (), false, odd.clone().into());
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    assert!(message.starts_with(b"SIP/2.0 400 "));
    odd.headers.remove(&HeaderName::Via);
    layer.receive(Time(0), (), false, odd.into());
    assert!(layer.poll().is_none() && layer.is_empty());
}

#[test]
fn responses_find_their_transaction_by_branch_and_method() {
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    let id = layer.request(Time(0), (), true, pair::request(Method::Message));
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    let request = Message::parse(&message, &Limits::default()).unwrap().request().unwrap();
    let right = pair::answer(&request, Status::OK);
    let mut wrong = right.clone();
    wrong.headers.put(&CSeq::new(7, Method::Invite));
    let mut forged = right.clone();
    let mut via = forged.headers.read::<Via>().unwrap();
    let branch = via.branch().unwrap().to_string();
    via.set_branch(&format!("{}0", &branch[..branch.len() - 1]));
    forged.headers.replace_first(&via);
    for stray in [wrong, forged] {
        layer.receive(Time(1), (), true, stray.into());
        assert!(matches!(layer.poll(), Some(Out::Event(Event::Stray { .. }))));
    }
    layer.receive(Time(1), (), true, right.clone().into());
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Response { id: own, .. })) if own == id));
    layer.receive(Time(1), (), true, right.into());
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Stray { .. }))), "the transaction is gone, and its slot's next one is another");
}

#[test]
fn a_branch_keeps_the_ending_that_the_caller_gave_it() {
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    let mut request = pair::request(Method::Message);
    let mut via = request.headers.read::<Via>().unwrap();
    via.set_branch("loop");
    request.headers.replace_first(&via);
    let id = layer.request(Time(0), (), true, request);
    let Some(Out::Send { message, .. }) = layer.poll() else { panic!() };
    let request = Message::parse(&message, &Limits::default()).unwrap().request().unwrap();
    let branch = request.headers.read::<Via>().unwrap().branch().cloned().unwrap();
    assert!(branch.starts_with(Via::COOKIE) && branch.ends_with(".loop"), "{branch}");
    layer.receive(Time(1), (), true, pair::answer(&request, Status::OK).into());
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Response { id: own, .. })) if own == id));
}

/// [RFC3261 §17.2.3]: the same branch from another host is another transaction, host names compare without case.
#[test]
fn the_server_key_is_branch_sent_by_and_method() {
    let text = |host: &str, method: &str| {
        format!(
            "{method} sip:bob@tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKsame\r\nMax-Forwards: 70\r\n\
             From: <sip:a@tandem.test>;tag=1\r\nTo: <sip:bob@tandem.test>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n\r\n"
        )
    };
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    let news = [
        ("a.invalid", "MESSAGE", true),
        ("A.INVALID", "MESSAGE", false),
        ("b.invalid", "MESSAGE", true),
        ("a.invalid:5060", "MESSAGE", true),
        ("a.invalid", "OPTIONS", true),
    ];
    for (host, method, new) in news {
        layer.receive(Time(0), (), false, parse(&text(host, method)));
        assert_eq!(layer.poll().is_some(), new, "{host} {method}");
    }
}

/// [RFC3261 §17.2.3]: an element of RFC 2543 has no unique branch, so everything else is compared.
#[test]
fn a_request_of_rfc_2543_is_matched_by_what_it_has() {
    let text = |method: &str, call: &str, to: &str| {
        format!(
            "{method} sip:bob@tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP old.example:5060;branch=1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@tandem.test>;tag=1\r\nTo: <sip:bob@tandem.test>{to}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n"
        )
    };
    let mut layer: Layer<()> = Layer::new(Entropy::new([1; 32]), Timers::default());
    layer.receive(Time(0), (), false, parse(&text("INVITE", "x", "")));
    let Some(Out::Event(Event::Request { id, request, .. })) = layer.poll() else { panic!() };
    layer.receive(Time(0), (), false, parse(&text("INVITE", "x", "")));
    assert!(layer.poll().is_none());
    layer.receive(Time(0), (), false, parse(&text("INVITE", "y", "")));
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Request { .. }))));
    layer.receive(Time(0), (), false, parse(&text("CANCEL", "x", "")));
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Cancel { invite: Some(found), .. })) if found == id));
    layer.respond(Time(0), id, pair::answer(&request, Status::REQUEST_TERMINATED));
    assert!(matches!(layer.poll(), Some(Out::Send { .. })));
    layer.receive(Time(0), (), false, parse(&text("ACK", "x", ";tag=b-tag")));
    assert!(layer.poll().is_none(), "the ACK is absorbed");
    layer.receive(Time(0), (), false, parse(&text("ACK", "z", "")));
    assert!(matches!(layer.poll(), Some(Out::Event(Event::Ack { .. }))));
}

/// Whatever the network does, a request is told once and a transaction ends once, and nothing is left in the end.
#[test]
fn a_storm_is_weathered() {
    let mut successes = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(Net::STORM, seed);
        let invite = send(&mut pair, Method::Invite);
        let message = send(&mut pair, Method::Message);
        let (mut arrived, mut ended) = (Vec::new(), Vec::new());
        while let Some((_, end, event)) = pair.next(MINUTE * 4) {
            match (end, event) {
                (End::B, Event::Request { id, request, .. }) => {
                    let status = if request.method == Method::Invite { Status::BUSY_HERE } else { Status::OK };
                    arrived.push(request.method.clone());
                    pair.respond(id, &request, status);
                }
                (End::B, Event::Ended { why: Ending::Unacknowledged, .. }) => {}
                (End::A, Event::Response { id, response }) if response.status.is_final() => ended.push((id, response.status.0)),
                (End::A, Event::Timeout { id }) => ended.push((id, 408)),
                // An ACK may overtake the INVITE that it belongs to; a response may come after Timer K.
                (End::B, Event::Ack { .. }) | (End::A, Event::Stray { .. } | Event::Response { .. }) => {}
                (_, other) => panic!("seed {seed}: {other:?}"),
            }
        }
        for (id, status) in [(invite, 486), (message, 200)] {
            let outcomes: Vec<u16> = ended.iter().filter(|(own, _)| *own == id).map(|(_, status)| *status).collect();
            assert!(outcomes == [status] || outcomes == [408], "seed {seed}: {outcomes:?}");
            successes += usize::from(outcomes == [status]);
        }
        for method in [Method::Invite, Method::Message] {
            assert!(arrived.iter().filter(|arrived| **arrived == method).count() <= 1, "seed {seed}");
        }
        assert!(pair.a.is_empty() && pair.b.is_empty(), "seed {seed}");
    }
    assert!(successes > 390, "{successes}");
}

/// Entries of timers do not outlive their transactions for long.
#[test]
fn timers_of_ended_transactions_are_swept() {
    let mut pair = Pair::new(Net::TCP, 1);
    for _ in 0..5000 {
        send(&mut pair, Method::Message);
        let (server, request) = arrival(&mut pair);
        pair.respond(server, &request, Status::OK);
        outcome(&mut pair);
    }
    assert!(pair.a.queues.len() <= 3 * Layer::<()>::SWEEP && pair.b.queues.len() <= 3 * Layer::<()>::SWEEP);
    assert!(pair.a.is_empty() && pair.b.is_empty());
}

proptest::proptest! {
    /// Whatever happens in whatever order, the table keeps its bound, answers are told for transactions that exist, and in the end,
    /// when all INVITEs are answered and all time has passed, nothing is left in any corner.
    #[test]
    fn any_order_of_things_ends_in_an_empty_table(steps in proptest::collection::vec((0u8..9, 0u8..3, 0usize..8, 0u64..40_000), 1..120)) {
        const LIMIT: usize = 12;
        let mut layer: Layer<u8> = Layer::new(Entropy::new([7; 32]), Timers::default()).with_limit(LIMIT);
        let mut now = Time(0);
        let (mut servers, mut clients, mut wires) = (Vec::new(), Vec::new(), Vec::new());
        let mut number = 0;
        for (what, peer, which, millis) in steps {
            let reliable = peer == 0;
            match what {
                0 | 1 => {
                    number += 1;
                    let method = [Method::Invite, Method::Message, Method::Cancel, Method::Ack][which % 4].clone();
                    let mut request = pair::request(method);
                    let mut via = request.headers.read::<Via>().unwrap();
                    // A few branches come again, with the same method or another.
                    via.set_branch(&format!("z9hG4bK{}", if what == 0 { number } else { which }));
                    request.headers.replace_first(&via);
                    layer.receive(now, peer, reliable, request.into());
                }
                2 => {
                    let method = [Method::Invite, Method::Message, Method::Ack][which % 3].clone();
                    clients.push(layer.request(now, peer, reliable, pair::request(method)));
                }
                3 | 4 => {
                    if let Some((id, request)) = servers.get(which).cloned() {
                        let status = [Status::TRYING, Status::RINGING, Status::OK, Status::NOT_FOUND, Status::REQUEST_TIMEOUT][which % 5];
                        layer.respond(now, id, pair::answer(&request, status));
                    }
                }
                5 => {
                    if let Some(request) = wires.get(which).cloned() {
                        let status = [Status::TRYING, Status::OK, Status::BUSY_HERE][which % 3];
                        layer.receive(now, peer, reliable, pair::answer(&request, status).into());
                    }
                }
                6 => clients.get(which).into_iter().for_each(|id| layer.cancel(now, *id, None)),
                7 => layer.failed(now, &peer),
                _ => {
                    now += Duration::from_millis(millis);
                    layer.timeout(now);
                }
            }
            while let Some(out) = layer.poll() {
                match out {
                    Out::Event(Event::Request { id, request, .. } | Event::Cancel { id, request, .. }) => servers.push((id, request)),
                    Out::Send { message, .. } => match Message::parse(&message, &Limits::default()).unwrap() {
                        Message::Request(request) => wires.push(request),
                        Message::Response(_) => {}
                    },
                    Out::Event(_) => {}
                }
            }
            // A CANCEL of the layer's own may come on top for each INVITE.
            assert!(layer.len() <= 2 * LIMIT);
        }
        for (id, request) in servers {
            layer.respond(now, id, pair::answer(&request, Status::DECLINE));
        }
        for _ in 0..2000 {
            let Some(due) = layer.next_timeout() else { break };
            now = now.max(due);
            layer.timeout(now);
            while layer.poll().is_some() {}
        }
        assert!(layer.is_empty() && layer.next_timeout().is_none());
        layer.table.assert_empty();
    }
}
