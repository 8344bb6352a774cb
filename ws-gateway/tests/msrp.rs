//! MSRP over real sockets: sessions, slow readers and hostile peers against the edge's tasks, and the doors of a running gateway.

#[path = "support/gateway.rs"]
mod gateway;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use gateway::Gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role as WsRole;
use wasm_core::msrp::setup::Reach;
use wasm_core::msrp::{Input, Offer, Options, Outgoing, Output, Role, Session, Setup};
use wasm_core::wire::msrp::{Decoder, Event, MsrpUri, Start, Transport as Carrier};
use wasm_core::wire::sdp::{Kind, Media, Sdp};
use wasm_core::{Entropy, Text, Time};
use ws_gateway::config::Limits;
use ws_gateway::edge::Arrival;
use ws_gateway::edge::clock::Clock;
use ws_gateway::edge::limits::Addresses;
use ws_gateway::edge::msrp::{self, Wires};
use ws_gateway::edge::tls::Socket;
use ws_gateway::msrp::{Carriage, Places};
use ws_gateway::node::{MsrpCommand, MsrpEnding, MsrpEvent, SessionId};
use ws_gateway::store::UserId;

const PATIENCE: Duration = Duration::from_secs(20);
const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);

/// The edge's half of MSRP, with the test in the place of the node.
struct Edge {
    wires: Wires,
    arrivals: mpsc::Receiver<Arrival>,
    stopping: watch::Sender<bool>,
    tcp: SocketAddr,
    entropy: Entropy,
    clock: Clock,
    told: VecDeque<MsrpEvent>,
}

impl Edge {
    async fn start(limits: Limits) -> Edge {
        let (sender, arrivals) = mpsc::channel(64);
        let (stopping, stops) = watch::channel(false);
        let clock = Clock::start();
        let wires = Wires::new(&limits, Entropy::new([1; 32]), clock, stops, None, sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = listener.local_addr().unwrap();
        tokio::spawn(msrp::listen(wires.clone(), Addresses::new(limits), listener, None));
        tokio::spawn(msrp::expire(wires.clone()));
        Edge { wires, arrivals, stopping, tcp, entropy: Entropy::new([2; 32]), clock, told: VecDeque::new() }
    }

    fn does(&mut self, command: MsrpCommand) {
        self.told.extend(msrp::command(&self.wires, command));
    }

    fn says(&mut self, session: &SessionId, number: u64, body: impl Into<Bytes>, report: bool) {
        let (session, content_type) = (session.clone(), Text::from("message/cpim"));
        self.does(MsrpCommand::Send { session, number, content_type, body: body.into(), report });
    }

    /// A session that the node has opened: its gateway's and its client's side.
    fn session(&mut self, user: UserId, carrier: Carrier) -> (SessionId, Setup) {
        let (ours, theirs) = self.agree(carrier);
        let session = SessionId::of(&ours.local);
        let (local, setup) = (ours.local.clone(), Some(Box::new(ours)));
        self.does(MsrpCommand::Open { session: session.clone(), user, local, setup, near: None });
        (session, theirs)
    }

    fn agree(&mut self, carrier: Carrier) -> (Setup, Setup) {
        let options = Options::default();
        let sdp = |media: Media| {
            let mut sdp = Sdp::new(1, 1, [127, 0, 0, 1].into());
            sdp.session.medias.push(media);
            sdp
        };
        let client = Offer::new(false, "127.0.0.1", 9, carrier, Reach::Outwards, &mut self.entropy);
        let offered = sdp(client.media(&options));
        let section = offered.find(Kind::Message).unwrap();
        let (answer, ours) = Places::at("127.0.0.1").answering(section, &mut self.entropy).unwrap().answer(section, &options).unwrap();
        (ours, client.accept(sdp(answer).find(Kind::Message).unwrap()).unwrap())
    }

    /// The next thing that happens to a session.
    async fn next(&mut self) -> MsrpEvent {
        if let Some(event) = self.told.pop_front() {
            return event;
        }
        match tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.expect("an event in time") {
            Some(Arrival::Msrp(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&mut self, wanted: impl Fn(&MsrpEvent) -> bool) -> MsrpEvent {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    async fn raw(&self) -> Raw {
        Raw { stream: TcpStream::connect(self.tcp).await.unwrap(), decoder: Decoder::default() }
    }

    /// A device that keeps to the rules.
    async fn client(&mut self, setup: &Setup) -> Client {
        Client::new(Io::Tcp(TcpStream::connect(self.tcp).await.unwrap()), setup, self.clock, self.entropy.fork())
    }

    async fn websocket(&mut self, setup: &Setup, user: Option<UserId>) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let carriage = Carriage { carrier: Carrier::WebSocket, secure: false };
        let (wires, socket) = (self.wires.clone(), Socket::Plain(far.unwrap().0));
        tokio::spawn(async move { msrp::accepted(wires, socket, &[], carriage, user).await });
        let socket = WebSocketStream::from_raw_socket(near.unwrap(), WsRole::Client, None).await;
        Client::new(Io::WebSocket(Box::new(socket)), setup, self.clock, self.entropy.fork())
    }
}

/// A peer that sends what it likes.
struct Raw {
    stream: TcpStream,
    decoder: Decoder,
}

impl Raw {
    async fn put(&mut self, text: &str) {
        // A gateway that has given up may have closed already.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The status of the next response; none when the connection is closed.
    async fn status(&mut self) -> Option<u16> {
        loop {
            while let Some(event) = self.decoder.next().unwrap() {
                if let Event::Head { head, .. } = event
                    && let Start::Response(status, _) = head.start
                {
                    return Some(status.0);
                }
            }
            let mut buffer = [0; 4096];
            match tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer or an end") {
                Ok(read @ 1..) => self.decoder.push(Bytes::copy_from_slice(&buffer[..read])),
                Ok(0) | Err(_) => return None,
            }
        }
    }
}

enum Io {
    Tcp(TcpStream),
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

struct Client {
    io: Io,
    session: Session,
    clock: Clock,
    heard: Vec<Output>,
}

impl Client {
    fn new(io: Io, setup: &Setup, clock: Clock, entropy: Entropy) -> Client {
        let mut session = Session::new(clock.now(), setup, Arc::new(Options { whole: 512 * 1024, ..Options::default() }), entropy);
        session.handle(clock.now(), Input::Connected);
        Client { io, session, clock, heard: Vec::new() }
    }

    fn send(&mut self, body: impl Into<Bytes>) {
        let id = self.session.id();
        self.session.handle(self.clock.now(), Input::Send(Outgoing::new(id, "message/cpim", body)));
    }

    fn messages(&self) -> Vec<&Bytes> {
        self.heard.iter().filter_map(|output| if let Output::Message { body, .. } = output { Some(body) } else { None }).collect()
    }

    /// Goes on until something is so. False when the connection ended before.
    async fn until(&mut self, wanted: impl Fn(&Client) -> bool) -> bool {
        loop {
            let now: Time = self.clock.now();
            while let Some(output) = self.session.poll() {
                if let Output::Message { body, receipt, .. } = &output {
                    self.session.handle(now, Input::Drained(body.len()));
                    self.session.handle(now, Input::Report(receipt.clone(), wasm_core::wire::msrp::Status::OK));
                }
                self.heard.push(output);
            }
            while let Some(frame) = self.session.transmit(now) {
                let sent = match &mut self.io {
                    Io::Tcp(stream) => stream.write_all(&frame).await.is_ok(),
                    Io::WebSocket(socket) => socket.send(WsMessage::Binary(frame)).await.is_ok(),
                };
                if !sent {
                    return false;
                }
            }
            if wanted(self) {
                return true;
            }
            let read = async {
                match &mut self.io {
                    Io::Tcp(stream) => {
                        let mut buffer = vec![0; 16 * 1024];
                        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
                        buffer.truncate(read);
                        Some(Bytes::from(buffer))
                    }
                    Io::WebSocket(socket) => loop {
                        match socket.next().await?.ok()? {
                            WsMessage::Text(text) => return Some(Bytes::from(text.as_str().to_owned())),
                            WsMessage::Binary(bytes) => return Some(bytes),
                            WsMessage::Close(_) => return None,
                            _ => {}
                        }
                    },
                }
            };
            match tokio::time::timeout(PATIENCE, read).await.expect("bytes in time") {
                Some(bytes) => self.session.handle(self.clock.now(), Input::Received(bytes)),
                None => return false,
            }
        }
    }
}

fn send(to: &MsrpUri, from: &MsrpUri, range: &str, body: &str, end: &str) -> String {
    format!(
        "MSRP a786hjs2 SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: 87652\r\nByte-Range: {range}\r\nContent-Type: message/cpim\r\n\r\n{body}\r\n-------a786hjs2{end}\r\n"
    )
}

/// R340: messages go both ways, over TCP and over a WebSocket, and are confirmed; the node's end of a session closes the connection.
#[tokio::test]
async fn sessions_run_over_tcp_and_websocket() {
    let mut edge = Edge::start(Limits::default()).await;
    for carrier in [Carrier::Tcp, Carrier::WebSocket] {
        let (session, setup) = edge.session(ALICE, carrier);
        let mut alice = match carrier {
            Carrier::WebSocket => edge.websocket(&setup, Some(ALICE)).await,
            _ => edge.client(&setup).await,
        };
        edge.says(&session, 1, vec![b'x'; 100_000], true);
        alice.send("hello");
        assert!(alice.until(|alice| alice.messages().len() == 1).await);
        assert_eq!(edge.next().await, MsrpEvent::Opened { session: session.clone() });
        let body = Bytes::from_static(b"hello");
        let (mut sent, mut received) = (false, false);
        while !(sent && received) {
            match edge.next().await {
                MsrpEvent::Sent { number: 1, result: Ok(()), .. } => sent = true,
                MsrpEvent::Received { body: got, .. } => received = got == body,
                other => panic!("{other:?}"),
            }
        }
        edge.does(MsrpCommand::Close { session });
        assert!(!alice.until(|_| false).await);
    }
}

/// R317: who sends garbage is cut off, who guesses paths is refused, and a session is one connection's alone.
#[tokio::test]
async fn strangers_get_nothing() {
    let mut edge = Edge::start(Limits::default()).await;
    let (session, setup) = edge.session(ALICE, Carrier::Tcp);
    for garbage in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "\0".repeat(20_000), "MSRP x SEND\r\nTo-Path: x\r\n\r\n".to_owned()] {
        let mut raw = edge.raw().await;
        raw.put(&garbage).await;
        assert_eq!(raw.status().await, None);
    }
    let wrong = MsrpUri::new(false, "127.0.0.1", 2855, &"0".repeat(32), Carrier::Tcp).unwrap();
    let (to, from) = (setup.remote.first(), &setup.local);
    let (mut one, mut other) = (edge.raw().await, edge.raw().await);
    one.put(&send(&wrong, from, "1-2/2", "hi", "$")).await;
    assert_eq!(one.status().await, Some(481));
    one.put(&send(to, from, "1-2/2", "hi", "$")).await;
    assert_eq!(one.status().await, Some(200));
    other.put(&send(to, from, "1-2/2", "ha", "$")).await;
    assert_eq!(other.status().await, Some(506));
    let body = Bytes::from_static(b"hi");
    assert_eq!(edge.next().await, MsrpEvent::Opened { session: session.clone() });
    assert_eq!(edge.next().await, MsrpEvent::Received { session: session.clone(), content_type: "message/cpim".into(), body });
    // Whoever has the cookie of somebody else has no use of the path.
    let (_, setup) = edge.session(ALICE, Carrier::WebSocket);
    let mut bob = edge.websocket(&setup, Some(BOB)).await;
    assert!(bob.until(|bob| bob.session.is_closed()).await);
    drop(one);
    assert_eq!(edge.next().await, MsrpEvent::Closed { session, why: MsrpEnding::Lost });
}

/// Claims of gigabytes are refused before any byte of them is kept, and false ones end the session, not the process.
#[tokio::test]
async fn false_ranges_end_the_session() {
    let mut edge = Edge::start(Limits::default()).await;
    let (session, setup) = edge.session(ALICE, Carrier::Tcp);
    let (to, from) = (setup.remote.first(), &setup.local);
    let mut raw = edge.raw().await;
    for range in ["1-2147483648/2147483648", "2147483647-*/2147483648", "1-18446744073709551615/18446744073709551615"] {
        raw.put(&send(to, from, range, "hi", "+")).await;
        assert!(matches!(raw.status().await, Some(413 | 400)), "{range}");
    }
    raw.put(&send(to, from, "1-1/1", "more than one", "$")).await;
    assert_eq!(raw.status().await, Some(400));
    assert_eq!(raw.status().await, None);
    let ended = edge.until(|event| matches!(event, MsrpEvent::Closed { .. })).await;
    assert_eq!(ended, MsrpEvent::Closed { session, why: MsrpEnding::Fault });
}

/// One who reads nothing costs the others nothing: what waits for it is bounded, and refused beyond.
#[tokio::test]
async fn a_slow_reader_hurts_nobody() {
    let mut edge = Edge::start(Limits::default()).await;
    let (slow, slow_setup) = edge.session(ALICE, Carrier::Tcp);
    let (quick, quick_setup) = edge.session(BOB, Carrier::WebSocket);
    let mut raw = edge.raw().await;
    raw.put(&send(slow_setup.remote.first(), &slow_setup.local, "1-2/2", "hi", "$")).await;
    edge.until(|event| *event == MsrpEvent::Opened { session: slow.clone() }).await;
    let mut bob = edge.websocket(&quick_setup, Some(BOB)).await;
    let mut refused = 0;
    for number in 0..400 {
        edge.says(&slow, number, vec![b'x'; 60_000], false);
        if number % 20 == 0 {
            edge.says(&quick, number, vec![b'y'; 1000], false);
            let count = 1 + number as usize / 20;
            assert!(bob.until(|bob| bob.messages().len() == count).await);
        }
        refused += edge.told.drain(..).filter(|event| matches!(event, MsrpEvent::Sent { result: Err(413), .. })).count();
        while edge.arrivals.try_recv().is_ok() {}
    }
    // A megabyte waits here, what is unanswered is on its way, and the system's buffers hold the rest.
    assert!(refused > 250, "{refused}");
}

/// A connection without a session is closed after a while, also amid a head that never ends.
#[tokio::test]
async fn nobody_is_waited_for_without_end() {
    let edge = Edge::start(Limits { unauthenticated_seconds: 1, ..Limits::default() }).await;
    let begin = Instant::now();
    let mut raw = edge.raw().await;
    raw.put("MSRP a786hjs2 SEND\r\nTo-Path: msrp:").await;
    assert_eq!(raw.status().await, None);
    assert!(begin.elapsed() >= Duration::from_millis(900));
}

/// The gateway opens the connection where the device waits for it, and to nobody but the device itself.
#[tokio::test]
async fn a_passive_device_is_dialled() {
    let mut edge = Edge::start(Limits::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for near in [None, Some(IpAddr::from([127, 0, 0, 1]))] {
        let (_, mut theirs) = edge.agree(Carrier::Tcp);
        theirs.role = Role::Passive;
        let local = theirs.remote.first().clone();
        let session = SessionId::of(&local);
        let (role, remote, connect) = (Role::Active, theirs.local.clone().into(), (Text::from("127.0.0.1"), port));
        let setup = Some(Box::new(Setup { role, local: local.clone(), remote, connect, ..theirs.clone() }));
        edge.does(MsrpCommand::Open { session: session.clone(), user: ALICE, local, setup, near });
        if near.is_none() {
            assert_eq!(edge.next().await, MsrpEvent::Closed { session, why: MsrpEnding::Unopened });
            continue;
        }
        let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let mut device = Client::new(Io::Tcp(stream), &theirs, edge.clock, edge.entropy.fork());
        edge.says(&session, 5, "hello", true);
        assert!(device.until(|device| device.messages().len() == 1).await);
        assert_eq!(edge.next().await, MsrpEvent::Opened { session: session.clone() });
        assert_eq!(edge.next().await, MsrpEvent::Sent { session, number: 5, result: Ok(()) });
    }
}

/// A gateway that stops says so to its sessions, once nothing is on its way.
#[tokio::test]
async fn stopping_ends_the_sessions() {
    let mut edge = Edge::start(Limits::default()).await;
    let (session, setup) = edge.session(ALICE, Carrier::WebSocket);
    let mut alice = edge.websocket(&setup, Some(ALICE)).await;
    edge.says(&session, 1, "last", true);
    assert!(alice.until(|alice| alice.messages().len() == 1).await);
    edge.until(|event| matches!(event, MsrpEvent::Sent { result: Ok(()), .. })).await;
    edge.stopping.send_replace(true);
    assert_eq!(edge.next().await, MsrpEvent::Closed { session, why: MsrpEnding::Stopping });
    assert!(!alice.until(|_| false).await);
}

/// A running gateway listens on TCP, TLS and `/msrp`; its pages may come in, others' may not, and nobody without a session's path.
#[tokio::test]
async fn a_gateway_opens_its_doors() {
    let gateway = Gateway::start(&[]);
    let http = gateway.address("http");
    let open = async |path: &str, protocol: Option<&str>, origin: &str| {
        let mut request = format!("ws://{http}{path}").into_client_request().unwrap();
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        if let Some(protocol) = protocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
        }
        tokio_tungstenite::client_async(request, TcpStream::connect(http).await.unwrap()).await
    };
    let own = format!("http://{http}");
    assert!(open("/msrp", None, &own).await.is_err());
    assert!(open("/msrp", Some("sip"), &own).await.is_err());
    assert!(open("/msrp", Some("msrp"), "https://evil.example").await.is_err());
    let (mut socket, response) = open("/msrp", Some("msrp"), &own).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "msrp");
    let to = |secure, port, carrier| MsrpUri::new(secure, "127.0.0.1", port, &"0".repeat(32), carrier).unwrap();
    let from = to(false, 9, Carrier::WebSocket);
    socket.send(WsMessage::text(send(&to(false, http.port(), Carrier::WebSocket), &from, "1-2/2", "hi", "$"))).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(answer.to_text().unwrap().starts_with("MSRP a786hjs2 481 "), "{answer:?}");
    socket.send(WsMessage::text("not MSRP at all")).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(&answer, WsMessage::Close(Some(close)) if u16::from(close.code) == 1002), "{answer:?}");
    let tcp = gateway.address("msrp");
    let mut raw = Raw { stream: TcpStream::connect(tcp).await.unwrap(), decoder: Decoder::default() };
    raw.put(&send(&to(false, tcp.port(), Carrier::Tcp), &from, "1-2/2", "hi", "$")).await;
    assert_eq!(raw.status().await, Some(481));
    // Within TLS nothing is said before the handshake.
    let mut raw = Raw { stream: TcpStream::connect(gateway.address("msrps")).await.unwrap(), decoder: Decoder::default() };
    raw.put("MSRP a786hjs2 SEND\r\n").await;
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, raw.stream.read_to_end(&mut bytes)).await.unwrap();
    assert!(!bytes.starts_with(b"MSRP"));
}
