//! Users over UDP: many senders behind one socket, many recipients behind another.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use super::server::{Server, USERS};

/// What a MESSAGE carries.
#[derive(Clone, Copy)]
pub enum Body {
    /// Text in CPIM, which a server with a store keeps before it answers.
    Text,
    /// A typing notice, which nobody keeps.
    Typing,
}

/// What a user answers challenges with.
#[derive(Default)]
pub struct Session {
    pub nonce: String,
    count: u32,
}

/// The two sockets and their users.
pub struct Pair {
    senders: UdpSocket,
    recipients: UdpSocket,
    registering: Vec<Session>,
    sending: Vec<Session>,
    number: u64,
}

impl Pair {
    pub fn new(server: &Server) -> Pair {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a read limit");
            socket.connect(server.sip).expect("a peer");
            socket
        };
        let sessions = || (0..USERS).map(|_| Session::default()).collect();
        Pair { senders: socket(), recipients: socket(), registering: sessions(), sending: sessions(), number: 0 }
    }

    /// Registers every user from the recipients' socket.
    pub fn register_all(&mut self) {
        for user in 0..USERS {
            let first = self.register(user);
            self.recipients.send(first.as_bytes()).expect("sent");
            self.registering[user].nonce = nonce(&answer(&self.recipients));
            let second = self.register(user);
            self.recipients.send(second.as_bytes()).expect("sent");
            let reply = answer(&self.recipients);
            assert!(reply.starts_with("SIP/2.0 200"), "a user registers: {reply}");
        }
        for user in 0..USERS {
            let first = self.message(user, Body::Typing);
            self.senders.send(first.as_bytes()).expect("sent");
            self.sending[user].nonce = nonce(&answer(&self.senders));
        }
    }

    /// Refreshes registrations, 64 under way at a time.
    pub fn registers(&mut self, count: usize) {
        let mut buffer = [0; 8192];
        let (mut sent, mut done) = (0, 0);
        while done < count {
            while sent < count && sent - done < 64 {
                let request = self.register(sent % USERS);
                self.recipients.send(request.as_bytes()).expect("sent");
                sent += 1;
            }
            let length = self.recipients.recv(&mut buffer).expect("an answer in time");
            assert!(buffer[..length].starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&buffer[..length]));
            done += 1;
        }
    }

    /// Sends messages, `window` under way at a time; the recipients answer each.
    pub fn messages(&mut self, count: usize, body: Body, window: usize) {
        self.senders.set_nonblocking(true).expect("polling");
        self.recipients.set_nonblocking(true).expect("polling");
        let mut buffer = [0; 8192];
        let (mut sent, mut done) = (0, 0);
        let mut last = Instant::now();
        while done < count {
            assert!(last.elapsed() < Duration::from_secs(5), "{done} of {count} messages were answered, then nothing came");
            while sent < count && sent - done < window {
                let request = self.message(sent % USERS, body);
                self.senders.send(request.as_bytes()).expect("sent");
                sent += 1;
            }
            while let Ok(length) = self.recipients.recv(&mut buffer) {
                let reply = accept(&buffer[..length]);
                self.recipients.send(&reply).expect("sent");
            }
            while let Ok(length) = self.senders.recv(&mut buffer) {
                assert!(buffer[..length].starts_with(b"SIP/2.0 20"), "{}", String::from_utf8_lossy(&buffer[..length]));
                done += 1;
                last = Instant::now();
            }
        }
        self.senders.set_nonblocking(false).expect("waiting");
        self.recipients.set_nonblocking(false).expect("waiting");
    }

    /// Sends one typing notice every `gap` and returns how long each took to its recipient.
    pub fn paced(&mut self, count: usize, gap: Duration) -> Vec<Duration> {
        self.senders.set_nonblocking(true).expect("polling");
        self.recipients.set_nonblocking(true).expect("polling");
        let mut buffer = [0; 8192];
        let mut under_way = HashMap::new();
        let mut delays = Vec::with_capacity(count);
        let (begin, mut sent) = (Instant::now(), 0u32);
        let end = begin + gap * count as u32 + Duration::from_secs(2);
        while delays.len() < count && Instant::now() < end {
            if (sent as usize) < count && begin + gap * sent <= Instant::now() {
                let request = self.message(sent as usize % USERS, Body::Typing);
                under_way.insert(self.number, Instant::now());
                self.senders.send(request.as_bytes()).expect("sent");
                sent += 1;
            }
            while let Ok(length) = self.recipients.recv(&mut buffer) {
                let number = between(&buffer[..length], b"Load-", b"-").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                delays.extend(number.and_then(|number: u64| under_way.remove(&number)).map(|from: Instant| from.elapsed()));
                let reply = accept(&buffer[..length]);
                self.recipients.send(&reply).expect("sent");
            }
            while self.senders.recv(&mut buffer).is_ok() {}
        }
        delays
    }

    fn register(&mut self, user: usize) -> String {
        self.number += 1;
        let (number, local) = (self.number, self.recipients.local_addr().expect("an address"));
        let credentials = authorization("Authorization", user, "REGISTER", "sip:tandem.test", &mut self.registering[user]);
        format!(
            "REGISTER sip:tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKr{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:u{user}@tandem.test>;tag=t{user}\r\nTo: <sip:u{user}@tandem.test>\r\nCall-ID: load-{user}@{local}\r\n\
             CSeq: {number} REGISTER\r\nContact: <sip:u{user}@{local}>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:012}>\"\r\n\
             Expires: 3600\r\nUser-Agent: load\r\n{credentials}Content-Length: 0\r\n\r\n"
        )
    }

    fn message(&mut self, user: usize, body: Body) -> String {
        self.number += 1;
        let (number, local) = (self.number, self.senders.local_addr().expect("an address"));
        let to = (user + 1) % USERS;
        let uri = format!("sip:u{to}@tandem.test");
        let credentials = authorization("Proxy-Authorization", user, "MESSAGE", &uri, &mut self.sending[user]);
        let (kind, text) = content(body, user, to, number);
        format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKm{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:u{user}@tandem.test>;tag=t{number}\r\nTo: <{uri}>\r\nCall-ID: Load-{number}-{local}\r\nCSeq: 1 MESSAGE\r\n\
             User-Agent: load\r\n{credentials}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }
}

/// The content type and the body.
pub fn content(body: Body, from: usize, to: usize, number: u64) -> (&'static str, String) {
    match body {
        Body::Text => (
            "message/cpim",
            format!(
                "From: <sip:u{from}@tandem.test>\r\nTo: <sip:u{to}@tandem.test>\r\nDateTime: 2026-01-01T00:00:00Z\r\n\
                 NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: load{number}\r\n\r\nContent-Type: text/plain;charset=utf-8\r\n\r\n\
                 A message of an ordinary length, as people send them to each other all day."
            ),
        ),
        Body::Typing => (
            "application/im-iscomposing+xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>active</state>@</isComposing>"
                .replace('@', &format!("<contenttype>text/Load-{number}-</contenttype>")),
        ),
    }
}

/// The credentials for the nonce that was given, none before there is one.
pub fn authorization(header: &str, user: usize, method: &str, uri: &str, session: &mut Session) -> String {
    if session.nonce.is_empty() {
        return String::new();
    }
    session.count += 1;
    let hash = |text: String| format!("{:x}", HexDigest(Md5::digest(text).into()));
    let (one, two) = (hash(format!("u{user}:tandem.test:secret")), hash(format!("{method}:{uri}")));
    let response = hash(format!("{one}:{}:{:08x}:load:auth:{two}", session.nonce, session.count));
    format!(
        "{header}: Digest username=\"u{user}\",realm=\"tandem.test\",nonce=\"{}\",uri=\"{uri}\",response=\"{response}\",algorithm=MD5,\
         cnonce=\"load\",qop=auth,nc={:08x}\r\n",
        session.nonce, session.count
    )
}

struct HexDigest([u8; 16]);

impl std::fmt::LowerHex for HexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The nonce of the MD5 challenge in a 401 or 407.
pub fn nonce(reply: &str) -> String {
    let challenges = reply.lines().filter(|line| line.contains("-Authenticate:") && !line.contains("SHA-256"));
    let nonce = challenges.filter_map(|line| line.split_once("nonce=\"")?.1.split('"').next()).next();
    nonce.unwrap_or_else(|| panic!("no MD5 challenge in {reply}")).to_owned()
}

/// The next final response.
fn answer(socket: &UdpSocket) -> String {
    let mut buffer = [0; 8192];
    loop {
        let length = socket.recv(&mut buffer).expect("an answer in time");
        if buffer[..length].starts_with(b"SIP/2.0") && !buffer[..length].starts_with(b"SIP/2.0 1") {
            return String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
    }
}

/// 200 to a request, with what a response has to repeat.
pub fn accept(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let mut reply = String::from("SIP/2.0 200 OK\r\n");
    for line in head.lines().skip(1) {
        if ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            reply.push_str(line);
            reply.push_str("\r\n");
        } else if line.starts_with("To:") {
            reply.push_str(line);
            reply.push_str(if line.contains(";tag=") { "\r\n" } else { ";tag=load\r\n" });
        }
    }
    reply.push_str("Content-Length: 0\r\n\r\n");
    reply.into_bytes()
}

fn between<'a>(text: &'a [u8], before: &[u8], after: &[u8]) -> Option<&'a [u8]> {
    let start = text.windows(before.len()).position(|window| window == before)? + before.len();
    let length = text[start..].windows(after.len()).position(|window| window == after)?;
    Some(&text[start..start + length])
}
