//! Users over WebSocket: what an idle one costs in memory, and what registrations and messages cost in CPU time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::Measured;
use super::peer::{self, Body, Session};
use super::server::Server;

const PATIENCE: Duration = Duration::from_secs(10);
/// Transactions at a time.
const UNDER_WAY: usize = 64;

/// One user's socket.
struct Device {
    user: usize,
    stream: WebSocketStream<TcpStream>,
    registering: Session,
    sending: Session,
    number: u64,
}

impl Device {
    async fn connect(server: &Server, user: usize) -> Device {
        let (address, path) = server.websocket;
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().expect("a header"));
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        let mut device = Device { user, stream, registering: Session::default(), sending: Session::default(), number: 0 };
        let challenge = device.register().await;
        device.registering.nonce = peer::nonce(&challenge);
        let reply = device.register().await;
        assert!(reply.starts_with("SIP/2.0 200"), "a user registers: {reply}");
        device
    }

    async fn register(&mut self) -> String {
        self.number += 1;
        let (user, number) = (self.user, self.number);
        let credentials = peer::authorization("Authorization", user, "REGISTER", "sip:tandem.test", &mut self.registering);
        let request = format!(
            "REGISTER sip:tandem.test SIP/2.0\r\nVia: SIP/2.0/WS u{user}.invalid;branch=z9hG4bKr{user}x{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:u{user}@tandem.test>;tag=t{user}\r\nTo: <sip:u{user}@tandem.test>\r\nCall-ID: load-ws-{user}\r\nCSeq: {number} REGISTER\r\n\
             Contact: <sip:u{user}@u{user}.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:012}>\"\r\n\
             Supported: path, outbound\r\nExpires: 3600\r\n{credentials}Content-Length: 0\r\n\r\n"
        );
        self.stream.send(Message::text(request)).await.expect("sent");
        self.next().await
    }

    /// Keeps `window` messages under way while there are some left to send, and takes what comes from others.
    async fn write_to(mut self, to: usize, body: Body, window: usize, left: Rc<Cell<usize>>, done: mpsc::UnboundedSender<()>) {
        for _ in 0..window {
            self.write(to, body, &left).await;
        }
        loop {
            let text = self.next().await;
            if text.starts_with("SIP/2.0 407") {
                // Kamailio asks for credentials on every request; a flow that the gateway has authenticated is not asked again.
                self.sending.nonce = peer::nonce(&text);
                left.set(left.get() + 1);
                self.write(to, body, &left).await;
            } else if text.starts_with("SIP/2.0 ") {
                assert!(text.starts_with("SIP/2.0 20"), "{text}");
                let _ = done.send(());
                self.write(to, body, &left).await;
            } else {
                self.stream.feed(Message::binary(peer::accept(text.as_bytes()))).await.expect("sent");
            }
            self.stream.flush().await.expect("sent");
        }
    }

    async fn write(&mut self, to: usize, body: Body, left: &Cell<usize>) {
        if !take_one(left) {
            return;
        }
        self.number += 1;
        let (from, number) = (self.user, self.number);
        let uri = format!("sip:u{to}@tandem.test");
        let credentials = peer::authorization("Proxy-Authorization", from, "MESSAGE", &uri, &mut self.sending);
        let (kind, text) = peer::content(body, from, to, number);
        let request = format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/WS u{from}.invalid;branch=z9hG4bKm{from}x{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:u{from}@tandem.test>;tag=t{number}\r\nTo: <{uri}>\r\nCall-ID: load-ws-{from}-{number}\r\nCSeq: 1 MESSAGE\r\n\
             {credentials}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        self.stream.send(Message::text(request)).await.expect("sent");
    }

    /// The next SIP message.
    async fn next(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something in time");
            match message.expect("an open socket").expect("a frame") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Binary(bytes) => return String::from_utf8_lossy(&bytes).into_owned(),
                _ => {}
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The server's memory, in KB, for each of `count` registered sockets on which nothing happens.
pub fn memory_per_socket(server: &Server, count: usize) -> f64 {
    runtime().block_on(async {
        let mut devices = Vec::with_capacity(count);
        // The first hundred pay for pools and buffers that all share.
        for user in 0..100 {
            devices.push(Device::connect(server, user).await);
        }
        let before = server.memory();
        for user in 100..count {
            devices.push(Device::connect(server, user).await);
        }
        let grown = server.memory().saturating_sub(before);
        grown as f64 / 1024.0 / (count - 100) as f64
    })
}

/// Refreshes of many users' registrations, one under way on each socket.
pub fn registers(server: &Server, count: usize) -> Measured {
    runtime().block_on(tokio::task::LocalSet::new().run_until(async {
        let devices = connect(server, UNDER_WAY).await;
        let begun = super::Begun::at(server);
        let left = Rc::new(Cell::new(count));
        let each = devices.into_iter().map(|mut device| {
            let left = Rc::clone(&left);
            tokio::task::spawn_local(async move {
                while take_one(&left) {
                    let reply = device.register().await;
                    assert!(reply.starts_with("SIP/2.0 200"), "{reply}");
                }
                device
            })
        });
        for task in each.collect::<Vec<_>>() {
            task.await.expect("a device that got its answers");
        }
        begun.measured(server, count)
    }))
}

/// Messages from each of `users` to the next, or from the first of two to the other, 64 under way in all.
pub fn messages(server: &Server, count: usize, users: usize, body: Body) -> Measured {
    runtime().block_on(tokio::task::LocalSet::new().run_until(async {
        let devices = connect(server, users).await;
        let senders = if users == 2 { 1 } else { users };
        let begun = super::Begun::at(server);
        let (left, done) = (Rc::new(Cell::new(count)), mpsc::unbounded_channel());
        for device in devices {
            let window = if device.user < senders { UNDER_WAY / senders } else { 0 };
            let to = (device.user + 1) % users;
            tokio::task::spawn_local(device.write_to(to, body, window, Rc::clone(&left), done.0.clone()));
        }
        let mut answers = done.1;
        for number in 0..count {
            let answer = tokio::time::timeout(PATIENCE, answers.recv()).await;
            answer.unwrap_or_else(|_| panic!("{number} of {count} messages were answered, then nothing came"));
        }
        begun.measured(server, count)
    }))
}

/// The first users, each on a socket of its own.
async fn connect(server: &Server, users: usize) -> Vec<Device> {
    let mut devices = Vec::with_capacity(users);
    for user in 0..users {
        devices.push(Device::connect(server, user).await);
    }
    devices
}

fn take_one(left: &Cell<usize>) -> bool {
    let some = left.get() > 0;
    left.set(left.get().saturating_sub(1));
    some
}
