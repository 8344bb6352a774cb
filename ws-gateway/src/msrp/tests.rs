//! The hub and its connections against the sessions of clients, with the bytes cut anywhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use wasm_core::msrp::setup::Reach;
use wasm_core::msrp::{self, Input, Offer, Options, Outgoing, Session, Setup};
use wasm_core::wire::msrp::{Decoder, Event, MsrpUri, Start, Status, Transport as Carrier};
use wasm_core::wire::sdp::{Kind, Media, Sdp};
use wasm_core::{Entropy, Text, Time};

use super::*;
use crate::node::{MsrpCommand, MsrpEnding, MsrpEvent, SessionId};
use crate::store::UserId;

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);
const TCP: Carriage = Carriage { carrier: Carrier::Tcp, secure: false };
const WEBSOCKET: Carriage = Carriage { carrier: Carrier::WebSocket, secure: true };

struct Client {
    id: SessionId,
    local: MsrpUri,
    remote: MsrpUri,
    session: Session,
    heard: Vec<msrp::Output>,
}

impl Client {
    fn send(&mut self, now: Time, text: &str) {
        let id = self.session.id();
        self.session.handle(now, Input::Send(Outgoing::new(id, "message/cpim", text.to_owned())));
    }

    fn texts(&self) -> Vec<&[u8]> {
        self.heard
            .iter()
            .filter_map(|output| if let msrp::Output::Message { body, .. } = output { Some(&body[..]) } else { None })
            .collect()
    }

    fn hear(&mut self, now: Time) {
        while let Some(output) = self.session.poll() {
            if let msrp::Output::Message { body, receipt, .. } = &output {
                self.session.handle(now, Input::Drained(body.len()));
                self.session.handle(now, Input::Report(receipt.clone(), Status::OK));
            }
            self.heard.push(output);
        }
    }
}

struct Stage {
    now: Time,
    hub: Hub,
    entropy: Entropy,
    told: Vec<MsrpEvent>,
    outputs: Vec<Output>,
    connections: u64,
}

impl Stage {
    fn new(bounds: Bounds) -> Stage {
        let options = Options { max_size: 256 * 1024, whole: 256 * 1024, ..Options::default() };
        Stage {
            now: Time(1_000),
            hub: Hub::new(bounds, Arc::new(options), Entropy::new([1; 32])),
            entropy: Entropy::new([2; 32]),
            told: Vec::new(),
            outputs: Vec::new(),
            connections: 0,
        }
    }

    /// Both ends of a session that a client offers.
    fn agree(&mut self, carriage: Carriage) -> (Setup, Setup) {
        let options = Options::default();
        let sdp = |media: Media| {
            let mut sdp = Sdp::new(1, 1, [192, 0, 2, 1].into());
            sdp.session.medias.push(media);
            Sdp::parse(&sdp.encode()).unwrap()
        };
        let client = Offer::new(carriage.secure, "x.invalid", 9, carriage.carrier, Reach::Outwards, &mut self.entropy);
        let offered = sdp(client.media(&options));
        let section = offered.find(Kind::Message).unwrap();
        let (answer, ours) = Places::at("192.0.2.1").answering(section, &mut self.entropy).unwrap().answer(section, &options).unwrap();
        (ours, client.accept(sdp(answer).find(Kind::Message).unwrap()).unwrap())
    }

    fn client(&mut self, setup: &Setup) -> Client {
        let mut session = Session::new(self.now, setup, Arc::new(Options::default()), self.entropy.fork());
        session.handle(self.now, Input::Connected);
        let id = SessionId::of(setup.remote.first());
        Client { id, local: setup.local.clone(), remote: setup.remote.first().clone(), session, heard: Vec::new() }
    }

    /// A session that the node has opened, and its client.
    fn session(&mut self, carriage: Carriage, user: UserId) -> Client {
        let (ours, theirs) = self.agree(carriage);
        self.open(user, &ours, true);
        self.client(&theirs)
    }

    fn open(&mut self, user: UserId, setup: &Setup, known: bool) {
        let (session, local) = (SessionId::of(&setup.local), setup.local.clone());
        let setup = known.then(|| Box::new(setup.clone()));
        self.does(MsrpCommand::Open { session, user, local, setup, near: None });
    }

    fn does(&mut self, command: MsrpCommand) {
        self.hub.command(self.now, command);
        self.drain();
    }

    fn says(&mut self, session: &SessionId, number: u64, text: &str, report: bool) {
        let body = Bytes::copy_from_slice(text.as_bytes());
        self.does(MsrpCommand::Send { session: session.clone(), number, content_type: Text::from("message/cpim"), body, report });
    }

    fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Event(event) => self.told.push(event),
                other => self.outputs.push(other),
            }
        }
    }

    fn connection(&mut self, carriage: Carriage, user: Option<UserId>) -> Connection {
        self.connections += 1;
        Connection::new(self.now, ConnectionId(self.connections), carriage, user)
    }

    /// What an edge's task does between waits.
    fn turn(&mut self, connection: &mut Connection) {
        loop {
            if connection.needs_hub() {
                connection.settle(self.now, &mut self.hub);
                self.drain();
            }
            while let Some(event) = connection.poll(self.now) {
                self.told.push(event);
            }
            if !connection.needs_hub() {
                return;
            }
        }
    }

    /// Bytes move both ways until nothing does. What the connection sends is handed to the client that it is for.
    fn run(&mut self, connection: &mut Connection, clients: &mut [&mut Client], cut: usize) {
        let stream = clients.first().is_none_or(|client| client.local.transport() == Carrier::Tcp);
        loop {
            connection.wake();
            self.turn(connection);
            let mut moved = false;
            let mut bytes = BytesMut::new();
            for client in &mut *clients {
                while let Some(frame) = client.session.transmit(self.now) {
                    client.hear(self.now);
                    moved = true;
                    match stream {
                        true => bytes.extend_from_slice(&frame),
                        false => self.deliver(connection, frame),
                    }
                }
            }
            for piece in bytes.freeze().chunks(cut) {
                self.deliver(connection, Bytes::copy_from_slice(piece));
            }
            while let Some(frame) = connection.transmit(self.now) {
                moved = true;
                self.turn(connection);
                let to = to(&frame);
                for client in clients.iter_mut().filter(|client| client.local == to) {
                    client.session.handle(self.now, Input::Received(frame.clone()));
                    client.hear(self.now);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self, connection: &mut Connection, bytes: Bytes) {
        connection.received(self.now, bytes);
        self.turn(connection);
    }

    /// What the connection answers to raw bytes.
    fn answers(&mut self, connection: &mut Connection, bytes: &str) -> Vec<u16> {
        self.deliver(connection, Bytes::copy_from_slice(bytes.as_bytes()));
        let frames = std::iter::from_fn(|| connection.transmit(self.now)).collect::<Vec<_>>();
        self.turn(connection);
        frames.iter().filter_map(|frame| if let Start::Response(status, _) = head(frame).start { Some(status.0) } else { None }).collect()
    }

    fn texts(&self, session: &SessionId) -> Vec<&[u8]> {
        let text = |event: &'_ MsrpEvent| matches!(event, MsrpEvent::Received { session: of, .. } if of == session);
        self.told
            .iter()
            .filter(|event| text(event))
            .map(|event| if let MsrpEvent::Received { body, .. } = event { &body[..] } else { &[] })
            .collect()
    }
}

fn head(frame: &Bytes) -> wasm_core::wire::msrp::Head {
    let mut decoder = Decoder::default();
    decoder.push(frame.clone());
    let Ok(Some(Event::Head { head, .. })) = decoder.next() else { panic!("{frame:?}") };
    *head
}

fn to(frame: &Bytes) -> MsrpUri {
    head(frame).to.first().clone()
}

fn send(to: &MsrpUri, from: &MsrpUri, range: &str, body: &str, end: &str) -> String {
    format!(
        "MSRP a786hjs2 SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: 87652\r\nByte-Range: {range}\r\nContent-Type: message/cpim\r\n\r\n{body}{end}"
    )
}

const END: &str = "\r\n-------a786hjs2$\r\n";

/// The first request binds the connection to its session, and messages go both ways.
#[test]
fn a_session_finds_its_connection() {
    for carriage in [TCP, WEBSOCKET] {
        let mut stage = Stage::new(Bounds::default());
        let mut alice = stage.session(carriage, ALICE);
        let mut connection = stage.connection(carriage, None);
        stage.says(&alice.id.clone(), 1, "early", false);
        stage.run(&mut connection, &mut [&mut alice], 7);
        stage.says(&alice.id.clone(), 2, "kept", true);
        alice.send(stage.now, "hello");
        stage.run(&mut connection, &mut [&mut alice], 7);
        assert_eq!(alice.texts(), [&b"early"[..], b"kept"]);
        assert_eq!(stage.texts(&alice.id), [b"hello"]);
        let sent = |number| MsrpEvent::Sent { session: alice.id.clone(), number, result: Ok(()) };
        assert_eq!(stage.told[0], MsrpEvent::Opened { session: alice.id.clone() });
        assert!(stage.told.contains(&sent(1)) && stage.told.contains(&sent(2)));
        assert!(connection.is_quiet() && connection.wants_read());
        stage.does(MsrpCommand::Close { session: alice.id.clone() });
        stage.run(&mut connection, &mut [&mut alice], 7);
        assert_eq!(connection.over(), Some(Over::Done));
        assert!(stage.hub.is_empty() && !stage.told.iter().any(|event| matches!(event, MsrpEvent::Closed { .. })));
    }
}

/// Who does not know the path gets nothing, and who is signed in as somebody else neither.
#[test]
fn a_session_is_refused_to_others() {
    let mut stage = Stage::new(Bounds::default());
    let alice = stage.session(TCP, ALICE);
    let websocket = stage.session(WEBSOCKET, ALICE);
    let ours = alice.remote.clone();
    let wrong = MsrpUri::new(false, "192.0.2.1", 2855, "deadbeef", Carrier::Tcp).unwrap();
    let elsewhere = MsrpUri::new(false, "192.0.2.9", 2855, ours.session(), Carrier::Tcp).unwrap();
    let mut connection = stage.connection(TCP, None);
    for to in [&wrong, &elsewhere, &websocket.remote] {
        assert_eq!(stage.answers(&mut connection, &send(to, &alice.local, "1-2/2", "hi", END)), [481]);
    }
    let mut bobs = stage.connection(TCP, Some(BOB));
    assert_eq!(stage.answers(&mut bobs, &send(&ours, &alice.local, "1-2/2", "hi", END)), [481]);
    let mut hers = stage.connection(TCP, Some(ALICE));
    assert_eq!(stage.answers(&mut hers, &send(&ours, &alice.local, "1-2/2", "hi", END)), [200]);
    // Another connection does not take it over [RFC4975 §5.4].
    assert_eq!(stage.answers(&mut connection, &send(&ours, &alice.local, "1-2/2", "hi", END)), [506]);
    assert_eq!(stage.texts(&alice.id), [b"hi"]);
    // Guessing ends with the connection.
    for _ in 0..20 {
        stage.answers(&mut connection, &send(&wrong, &alice.local, "1-2/2", "hi", END));
    }
    assert_eq!(connection.over(), Some(Over::Fault));
}

/// The connection may be faster than the answer over SIP.
#[test]
fn a_connection_waits_for_the_answer() {
    let mut stage = Stage::new(Bounds::default());
    let (ours, theirs) = stage.agree(WEBSOCKET);
    stage.open(ALICE, &ours, false);
    let mut alice = stage.client(&theirs);
    let mut connection = stage.connection(WEBSOCKET, Some(ALICE));
    let probe = alice.session.transmit(stage.now).unwrap();
    stage.deliver(&mut connection, probe);
    assert!(!connection.wants_read() && stage.told.is_empty());
    stage.does(MsrpCommand::Learn { session: alice.id.clone(), setup: Box::new(ours) });
    assert_eq!(stage.outputs, [Output::Wake(ConnectionId(1))]);
    stage.run(&mut connection, &mut [&mut alice], 9);
    assert!(connection.wants_read());
    assert_eq!(stage.told, [MsrpEvent::Opened { session: alice.id.clone() }]);
}

/// Nobody comes: what was to be sent has failed, then the session is over.
#[test]
fn a_session_is_not_expected_for_ever() {
    let mut stage = Stage::new(Bounds::default());
    let alice = stage.session(TCP, ALICE);
    stage.says(&alice.id, 7, "anybody?", false);
    assert_eq!(stage.hub.next_timeout(), Some(stage.now + Bounds::default().patience));
    stage.now += Duration::from_secs(31);
    stage.hub.timeout(stage.now);
    stage.drain();
    let session = || alice.id.clone();
    let failed = MsrpEvent::Sent { session: session(), number: 7, result: Err(481) };
    assert_eq!(stage.told, [failed, MsrpEvent::Closed { session: session(), why: MsrpEnding::Unopened }]);
    assert_eq!((stage.hub.len(), stage.hub.next_timeout()), (0, None));
    let mut unused = stage.connection(TCP, None);
    let patience = Bounds::default().patience;
    stage.now = unused.next_timeout(patience).unwrap();
    unused.timeout(stage.now, patience);
    assert_eq!(unused.over(), Some(Over::Unused));
}

/// Sessions, and what waits in them, are bounded for each user.
#[test]
fn there_is_not_room_for_everything() {
    let mut stage = Stage::new(Bounds { sessions_per_user: 2, waiting: 100, ..Bounds::default() });
    let kept = [stage.session(TCP, ALICE), stage.session(TCP, ALICE)];
    assert!(stage.told.is_empty());
    let crowded = stage.session(TCP, ALICE);
    assert_eq!(stage.told, [MsrpEvent::Closed { session: crowded.id, why: MsrpEnding::Crowded }]);
    stage.told.clear();
    stage.session(TCP, BOB);
    stage.says(&kept[0].id, 1, &"x".repeat(99), false);
    assert!(stage.told.is_empty());
    stage.says(&kept[0].id, 2, "xx", false);
    assert_eq!(stage.told, [MsrpEvent::Sent { session: kept[0].id.clone(), number: 2, result: Err(413) }]);
    stage.does(MsrpCommand::Close { session: kept[1].id.clone() });
    stage.told.clear();
    stage.session(TCP, ALICE);
    assert!(stage.told.is_empty());
}

/// Who reads nothing is asked for nothing: what waits stays in the hub, within its bound, and another's session goes on.
#[test]
fn a_slow_reader_holds_nothing_up() {
    let mut stage = Stage::new(Bounds::default());
    let (mut slow, mut quick) = (stage.session(TCP, ALICE), stage.session(WEBSOCKET, BOB));
    let (mut one, mut other) = (stage.connection(TCP, None), stage.connection(WEBSOCKET, None));
    stage.run(&mut one, &mut [&mut slow], 100);
    stage.run(&mut other, &mut [&mut quick], 100);
    stage.told.clear();
    for number in 0..40 {
        stage.says(&slow.id.clone(), number, &"x".repeat(60_000), false);
        stage.turn(&mut one);
        stage.says(&quick.id.clone(), number, "y", false);
        stage.run(&mut other, &mut [&mut quick], 100);
    }
    assert_eq!(quick.texts().len(), 40);
    let refused = stage.told.iter().filter(|event| matches!(event, MsrpEvent::Sent { result: Err(413), .. })).count();
    assert!((20..40).contains(&refused), "{refused}");
    stage.run(&mut one, &mut [&mut slow], 5000);
    assert_eq!(slow.texts().len(), 40 - refused);
}

/// What is no MSRP ends the connection; what claims too much ends the session, or is refused.
#[test]
fn hostile_bytes_cost_their_sender_alone() {
    let mut stage = Stage::new(Bounds::default());
    for garbage in ["GET / HTTP/1.1\r\n\r\n", "MSRP a SEND\r\n\r\n", "\0\0\0\0\0\0\r\n", &"x".repeat(20_000)] {
        let mut connection = stage.connection(TCP, None);
        stage.deliver(&mut connection, Bytes::copy_from_slice(garbage.as_bytes()));
        assert_eq!(connection.over(), Some(Over::Fault), "{garbage:.20}");
    }
    let alice = stage.session(TCP, ALICE);
    let ours = alice.remote.clone();
    let mut connection = stage.connection(TCP, None);
    let claimed = send(&ours, &alice.local, "1-2147483648/2147483648", "hi", "\r\n-------a786hjs2+\r\n");
    assert_eq!(stage.answers(&mut connection, &claimed), [413]);
    assert_eq!(stage.answers(&mut connection, &send(&ours, &alice.local, "2147483646-*/2147483648", "hi", END)), [413]);
    assert!(connection.over().is_none());
    // More bytes than it says there are.
    assert_eq!(stage.answers(&mut connection, &send(&ours, &alice.local, "1-1/1", "hello", END)), [400]);
    assert_eq!(stage.told.last(), Some(&MsrpEvent::Closed { session: alice.id.clone(), why: MsrpEnding::Fault }));
    assert_eq!(connection.over(), Some(Over::Done));
    assert!(stage.hub.is_empty());
    // A body without end for nobody's session.
    let mut connection = stage.connection(TCP, None);
    stage.answers(&mut connection, &send(&ours, &alice.local, "1-*/*", "", ""));
    for _ in 0..2000 {
        stage.deliver(&mut connection, Bytes::from(vec![b'x'; 1000]));
    }
    assert_eq!(connection.over(), Some(Over::Fault));
}

/// The gateway opens the connection where that is its part: once, and only over TCP.
#[test]
fn a_passive_device_is_dialled() {
    let mut stage = Stage::new(Bounds::default());
    let (_, mut theirs) = stage.agree(TCP);
    theirs.role = msrp::Role::Passive;
    let ours = Setup {
        role: msrp::Role::Active,
        local: theirs.remote.first().clone(),
        remote: theirs.local.clone().into(),
        connect: (Text::from("192.0.2.7"), 9),
        ..theirs.clone()
    };
    stage.open(ALICE, &ours, false);
    assert!(stage.outputs.is_empty());
    let session = SessionId::of(&ours.local);
    stage.does(MsrpCommand::Learn { session: session.clone(), setup: Box::new(ours) });
    let [Output::Dial(dial)] = &stage.outputs[..] else { panic!("{:?}", stage.outputs) };
    assert_eq!((&dial.session, dial.secure, dial.host.as_str(), dial.port), (&session, false, "192.0.2.7", 9));
    stage.says(&session, 1, "hello", true);
    let mut connection = Connection::dialled(stage.now, ConnectionId(9), false, &session, &mut stage.hub).unwrap();
    let mut alice = stage.client(&theirs);
    stage.run(&mut connection, &mut [&mut alice], 100);
    assert_eq!(alice.texts(), [b"hello"]);
    assert!(stage.told.contains(&MsrpEvent::Sent { session, number: 1, result: Ok(()) }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Several sessions share a connection, however its bytes are cut [RFC4975 §5.4].
    #[test]
    fn sessions_share_a_connection(cut in 1usize..3000, count in 2usize..5, long in 1usize..40_000) {
        let mut stage = Stage::new(Bounds::default());
        let mut clients: Vec<Client> = (0..count).map(|_| stage.session(TCP, ALICE)).collect();
        let mut connection = stage.connection(TCP, None);
        for round in 0..3u64 {
            for (index, client) in clients.iter_mut().enumerate() {
                client.send(stage.now, &format!("{index} {round} {}", "-------x".repeat(long / 8)));
                let id = client.id.clone();
                stage.says(&id, round, &format!("to {index} {round}"), round % 2 == 0);
            }
            let mut all: Vec<&mut Client> = clients.iter_mut().collect();
            stage.run(&mut connection, &mut all, cut);
        }
        for (index, client) in clients.iter().enumerate() {
            let expected: Vec<String> = (0..3).map(|round| format!("{index} {round} {}", "-------x".repeat(long / 8))).collect();
            prop_assert_eq!(stage.texts(&client.id), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
            prop_assert_eq!(client.texts().len(), 3);
        }
        // One of them ends, the others go on.
        stage.does(MsrpCommand::Close { session: clients[0].id.clone() });
        let last = clients.len() - 1;
        clients[last].send(stage.now, "still");
        let mut all: Vec<&mut Client> = clients.iter_mut().skip(1).collect();
        stage.run(&mut connection, &mut all, cut);
        prop_assert_eq!(stage.texts(&clients[last].id).last().copied(), Some(&b"still"[..]));
        prop_assert!(connection.over().is_none());
    }

    #[test]
    fn bytes_of_any_kind_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20), websocket: bool) {
        let mut stage = Stage::new(Bounds::default());
        let mut connection = stage.connection(if websocket { WEBSOCKET } else { TCP }, None);
        for piece in pieces {
            stage.deliver(&mut connection, Bytes::from(piece));
        }
    }
}
