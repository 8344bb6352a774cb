//! Users over WebSocket: what an idle one costs in memory, and what a message between two costs in CPU time.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::Measured;
use super::peer::{self, Body, Session};
use super::server::Server;

const PATIENCE: Duration = Duration::from_secs(10);

/// One user's socket.
struct Device {
    user: usize,
    stream: WebSocketStream<TcpStream>,
    registering: Session,
    number: u64,
}

impl Device {
    async fn connect(server: &Server, user: usize) -> Device {
        let (address, path) = server.websocket;
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().expect("a header"));
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        let mut device = Device { user, stream, registering: Session::default(), number: 0 };
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

/// Messages from one user to another, 64 under way at a time.
pub fn messages(server: &Server, count: usize) -> Measured {
    runtime().block_on(async {
        let mut alice = Device::connect(server, 0).await;
        let mut bob = Device::connect(server, 1).await;
        let mut credentials = Session::default();
        // Kamailio asks for credentials on every request; a flow that the gateway has authenticated is not asked again.
        alice.stream.send(Message::text(message(0, 1, u64::MAX, &mut credentials))).await.expect("sent");
        let first = tokio::select! {
            reply = alice.next() => reply,
            request = bob.next() => {
                bob.stream.send(Message::binary(peer::accept(request.as_bytes()))).await.expect("sent");
                alice.next().await
            }
        };
        if first.starts_with("SIP/2.0 407") {
            credentials.nonce = peer::nonce(&first);
        }
        let (cpu, begin) = (server.cpu(), Instant::now());
        let (mut sent, mut done) = (0usize, 0usize);
        while done < count {
            while sent < count && sent - done < 64 {
                sent += 1;
                let request = message(0, 1, sent as u64, &mut credentials);
                alice.stream.feed(Message::text(request)).await.expect("sent");
            }
            alice.stream.flush().await.expect("sent");
            tokio::select! {
                reply = alice.next() => {
                    assert!(reply.starts_with("SIP/2.0 20"), "{reply}");
                    done += 1;
                }
                request = bob.next() => bob.stream.send(Message::binary(peer::accept(request.as_bytes()))).await.expect("sent"),
            }
        }
        let (cpu, took) = (server.cpu() - cpu, begin.elapsed());
        Measured { cpu_us: cpu.as_nanos() as f64 / 1000.0 / count as f64, per_second: count as f64 / took.as_secs_f64() }
    })
}

fn message(from: usize, to: usize, number: u64, session: &mut Session) -> String {
    let uri = format!("sip:u{to}@tandem.test");
    let credentials = peer::authorization("Proxy-Authorization", from, "MESSAGE", &uri, session);
    let (kind, text) = peer::content(Body::Text, from, to, number);
    format!(
        "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/WS u{from}.invalid;branch=z9hG4bKm{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:u{from}@tandem.test>;tag=t{number}\r\nTo: <{uri}>\r\nCall-ID: load-ws-{number}\r\nCSeq: 1 MESSAGE\r\n{credentials}\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
}
