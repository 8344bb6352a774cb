//! A person's device without a browser: the client engine with a real WebSocket and real HTTP under it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wasm_core::client::msrp::{Order as WireOrder, Wire};
use wasm_core::client::view::Tick;
use wasm_core::client::{Command, Engine, Input, Output, Profile, Socket};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Session, SignIn};
use wasm_core::cpm::ids::InstanceId;
use wasm_core::{Entropy, Text, Time};

/// How long a connection or a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a test may do to a device.
enum Order {
    Command(Command),
    /// Cut the socket, as a network does that goes away.
    Cut,
}

/// One line of a conversation as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub outgoing: bool,
    pub tick: Option<Tick>,
}

/// What a device shows.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    pub threads: BTreeMap<Address, Vec<Line>>,
    /// How often the owner was alerted to a message, by its text.
    pub alerts: BTreeMap<String, u32>,
    pub online: bool,
}

/// A signed-in device; it lives until it is dropped.
#[derive(Debug)]
pub struct Device {
    orders: mpsc::UnboundedSender<Order>,
    screen: Arc<Mutex<Screen>>,
}

impl Device {
    /// Signs in at the gateway's web address and keeps the engine going.
    pub async fn sign_in(http: SocketAddr, user: &str, password: &str) -> Device {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("random bytes");
        let instance = InstanceId::new(&mut Entropy::new(seed));
        let device_name = Text::from("test device");
        let asked = SignIn { address: Text::from(user), password: password.to_owned(), instance, device_name, replace: false };
        let body = serde_json::to_string(&asked).expect("JSON");
        let reply = request(http, "POST", "/api/session", None, Some(body)).await.expect("the gateway answers");
        assert_eq!(reply.status, 200, "{user} signs in: {}", String::from_utf8_lossy(&reply.body));
        let session: Session = serde_json::from_slice(&reply.body).expect("a session");
        let profile = Profile {
            address: session.address,
            addresses: session.addresses,
            display_name: session.name,
            domain: session.domain,
            instance: session.instance,
            device_name: session.device_name,
            is_secure: false,
            secret: None,
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let screen = Arc::new(Mutex::new(Screen::default()));
        let shell = Shell {
            http,
            cookie: reply.cookie,
            engine: Engine::new(profile, seed),
            socket: None,
            wires: BTreeMap::new(),
            screen: Arc::clone(&screen),
        };
        tokio::spawn(shell.run(ordered));
        Device { orders, screen }
    }

    /// Does what a person does.
    pub fn does(&self, command: Command) {
        let _ = self.orders.send(Order::Command(command));
    }

    /// Writes to somebody.
    pub fn writes(&self, to: &Address, text: &str) {
        self.does(Command::Send { to: to.clone(), text: text.to_owned(), reply_to: None });
    }

    /// Loses its connection.
    pub fn cut(&self) {
        let _ = self.orders.send(Order::Cut);
    }

    /// What it shows now.
    pub fn screen(&self) -> Screen {
        self.screen.lock().expect("the screen").clone()
    }

    /// Waits until it shows what is wanted.
    pub async fn shows(&self, what: &str, patience: Duration, wanted: impl Fn(&Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.screen()) {
            assert!(begin.elapsed() < patience, "the device does not show {what} in time: {:#?}", self.screen());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

struct Shell {
    http: SocketAddr,
    cookie: String,
    engine: Engine,
    socket: Option<WebSocketStream<TcpStream>>,
    /// What is to be sent on the sockets of MSRP sessions, each of which is a task.
    wires: BTreeMap<Wire, mpsc::UnboundedSender<Bytes>>,
    screen: Arc<Mutex<Screen>>,
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Time(since.as_millis() as u64)
}

impl Shell {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (answers, mut answered) = mpsc::unbounded_channel();
        self.engine.handle(now(), Input::Lead);
        self.engine.handle(now(), Input::Network(true));
        loop {
            self.perform(&answers).await;
            let timeout = self.engine.next_timeout().map_or(Duration::from_secs(3600), |at| at.since(now()));
            let input = tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Command(command)) => Input::Command(command),
                    Some(Order::Cut) if self.socket.take().is_some() => Input::Socket(Socket::Closed),
                    Some(Order::Cut) => continue,
                },
                frame = next(&mut self.socket) => match frame {
                    Some(bytes) => Input::Socket(Socket::Frame(bytes)),
                    None => {
                        self.socket = None;
                        Input::Socket(Socket::Closed)
                    }
                },
                Some(answer) = answered.recv() => answer,
                () = tokio::time::sleep(timeout) => Input::Timeout,
            };
            self.engine.handle(now(), input);
        }
    }

    /// Does what the engine wants done.
    async fn perform(&mut self, answers: &mpsc::UnboundedSender<Input>) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Connect => {
                    self.socket = tokio::time::timeout(PATIENCE, connect(self.http, "sip", &self.cookie)).await.ok().flatten();
                    let event = if self.socket.is_some() { Socket::Opened } else { Socket::Closed };
                    self.engine.handle(now(), Input::Socket(event));
                }
                Output::Disconnect => self.socket = None,
                Output::Transmit(bytes) => {
                    let sent = match &mut self.socket {
                        Some(socket) => socket.send(framed(bytes)).await.is_ok(),
                        None => true,
                    };
                    if !sent {
                        self.socket = None;
                        self.engine.handle(now(), Input::Socket(Socket::Closed));
                    }
                }
                Output::Msrp(wire, WireOrder::Connect) => {
                    let (sender, frames) = mpsc::unbounded_channel();
                    self.wires.insert(wire, sender);
                    tokio::spawn(carry(self.http, self.cookie.clone(), wire, frames, answers.clone()));
                }
                Output::Msrp(wire, WireOrder::Transmit(frame)) => {
                    if let Some(sender) = self.wires.get(&wire) {
                        let _ = sender.send(frame);
                    }
                }
                Output::Msrp(wire, WireOrder::Disconnect) => drop(self.wires.remove(&wire)),
                Output::Http { id, method, path, body } => {
                    let (http, cookie, answers) = (self.http, self.cookie.clone(), answers.clone());
                    tokio::spawn(async move {
                        let reply = tokio::time::timeout(PATIENCE, request(http, method, &path, Some(&cookie), body)).await.ok().flatten();
                        let (status, body) = reply.map_or((0, Bytes::new()), |reply| (reply.status, reply.body));
                        let _ = answers.send(Input::Http { id, status, body });
                    });
                }
                Output::Changed(_) => self.draw(),
                Output::Alert(alert) => {
                    *self.screen.lock().expect("the screen").alerts.entry(alert.text.to_string()).or_default() += 1;
                }
                Output::Persist(_) | Output::Share(_) | Output::Forward(_) | Output::SignedOut => {}
            }
        }
    }

    fn draw(&self) {
        let view = self.engine.view();
        let mut screen = self.screen.lock().expect("the screen");
        screen.online = view.link().is_online();
        for summary in view.threads() {
            let lines = view.thread(&summary.with).into_iter().flat_map(|thread| thread.bubbles(0..thread.len()).collect::<Vec<_>>());
            let lines = lines.map(|bubble| Line { text: bubble.text.to_string(), outgoing: bubble.outgoing, tick: bubble.tick }).collect();
            screen.threads.insert(summary.with.clone(), lines);
        }
    }
}

/// The next message from the socket; none when it is closed. Without a socket it waits for ever.
async fn next(socket: &mut Option<WebSocketStream<TcpStream>>) -> Option<Bytes> {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        match socket.next().await {
            Some(Ok(Frame::Text(text))) => return Some(Bytes::from(text.as_str().to_owned())),
            Some(Ok(Frame::Binary(bytes))) => return Some(bytes),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

/// The socket of an MSRP session, until either side ends it.
async fn carry(
    http: SocketAddr,
    cookie: String,
    wire: Wire,
    mut frames: mpsc::UnboundedReceiver<Bytes>,
    answers: mpsc::UnboundedSender<Input>,
) {
    let tell = |socket| answers.send(Input::Msrp(wire, socket)).is_ok();
    let mut socket = tokio::time::timeout(PATIENCE, connect(http, "msrp", &cookie)).await.ok().flatten();
    let mut open = socket.is_some() && tell(Socket::Opened);
    while open {
        open = tokio::select! {
            frame = frames.recv() => match (frame, &mut socket) {
                (Some(frame), Some(socket)) => socket.send(framed(frame)).await.is_ok(),
                // Nothing more is expected to be heard of it.
                (None, _) | (_, None) => return,
            },
            frame = next(&mut socket) => frame.is_some_and(|frame| tell(Socket::Frame(frame))),
        };
    }
    tell(Socket::Closed);
}

/// Text where it is UTF-8, as a browser sends it.
fn framed(bytes: Bytes) -> Frame {
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Frame::text(text),
        Err(_) => Frame::binary(bytes),
    }
}

/// A WebSocket to the path that is called like its subprotocol.
async fn connect(http: SocketAddr, protocol: &str, cookie: &str) -> Option<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{http}/{protocol}").into_client_request().ok()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().ok()?);
    request.headers_mut().insert("Origin", format!("http://{http}").parse().ok()?);
    request.headers_mut().insert("Cookie", cookie.parse().ok()?);
    let stream = TcpStream::connect(http).await.ok()?;
    Some(tokio_tungstenite::client_async(request, stream).await.ok()?.0)
}

struct Reply {
    status: u16,
    cookie: String,
    body: Bytes,
}

/// One HTTP request on a connection of its own.
async fn request(http: SocketAddr, method: &str, path: &str, cookie: Option<&str>, body: Option<String>) -> Option<Reply> {
    let mut stream = TcpStream::connect(http).await.ok()?;
    let body = body.unwrap_or_default();
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {http}\r\nOrigin: http://{http}\r\nConnection: close\r\n{cookie}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.ok()?;
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let set =
        head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("set-cookie:").then(|| line["set-cookie:".len()..].trim()));
    let cookie = set.and_then(|set| set.split(';').next()).unwrap_or_default().to_owned();
    Some(Reply { status, cookie, body: Bytes::copy_from_slice(&reply[end + 4..]) })
}
