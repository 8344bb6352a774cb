//! The sending half of a connection, shared by its task and by whoever has something to send.
//!
//! What is sent goes straight into the socket while the socket takes it; only what it does not take waits in the queue, for the
//! connection's task to send on. A peer that leaves too much waiting is disconnected. An idle link holds no buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::websocket::frame;

/// How messages are told apart on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// SIP's own Content-Length.
    Stream,
    /// A WebSocket message each.
    WebSocket,
}

/// Why a connection ends from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The other end closed or broke.
    Peer,
    /// The other end said that it closes.
    Closed,
    /// It reads too slowly.
    SlowReader,
    /// Nobody signed in on it in time.
    Unauthenticated,
    /// It broke the protocol; with the code of a WebSocket's Close.
    Violation(u16),
    /// The node gave it up.
    GivenUp,
    /// The gateway stops.
    Stopping,
}

impl Ending {
    fn code(self) -> u16 {
        match self {
            Ending::Peer | Ending::Closed => 1000,
            Ending::SlowReader | Ending::Unauthenticated | Ending::GivenUp => frame::POLICY,
            Ending::Violation(code) => code,
            Ending::Stopping => frame::GOING_AWAY,
        }
    }

    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Peer => "peer",
            Ending::Closed => "closed",
            Ending::SlowReader => "slow-reader",
            Ending::Unauthenticated => "unauthenticated",
            Ending::Violation(_) => "violation",
            Ending::GivenUp => "given-up",
            Ending::Stopping => "stopping",
        }
    }
}

/// The sending half of one connection.
#[derive(Debug)]
pub struct Link {
    framing: Framing,
    limit: usize,
    /// The socket itself, where it is not wrapped in TLS.
    socket: Option<Arc<TcpStream>>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued: usize,
    ending: Option<Ending>,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    All,
    Blocked,
    Ended(Ending),
}

impl Link {
    /// A link that lets `limit` bytes wait; with the socket if bytes may go straight into it.
    pub fn new(framing: Framing, limit: usize, socket: Option<Arc<TcpStream>>) -> Link {
        Link { framing, limit, socket, state: Mutex::default(), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one message, framed. False when the link has ended or ends by this.
    pub fn send(&self, message: Bytes) -> bool {
        match self.framing {
            Framing::Stream => self.put(&[], message),
            Framing::WebSocket => self.put(frame::OutgoingHead::message(&message).as_bytes(), message),
        }
    }

    /// Sends bytes that need no framing: keep-alives, control frames.
    pub fn send_raw(&self, bytes: Bytes) -> bool {
        self.put(&[], bytes)
    }

    fn put(&self, head: &[u8], mut payload: Bytes) -> bool {
        let mut state = self.lock();
        if state.ending.is_some() {
            return false;
        }
        let mut sent = 0;
        if let Some(socket) = self.socket.as_ref().filter(|_| state.queue.is_empty()) {
            sent = match socket.try_write_vectored(&[IoSlice::new(head), IoSlice::new(&payload)]) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    state.end(Ending::Peer);
                    self.wake.notify_one();
                    return false;
                }
            };
        }
        if sent >= head.len() {
            payload.advance(sent - head.len());
            if payload.is_empty() {
                return true;
            }
        } else {
            state.push(Bytes::copy_from_slice(&head[sent..]));
        }
        state.push(payload);
        let kept = state.queued <= self.limit;
        if !kept {
            state.end(Ending::SlowReader);
        }
        drop(state);
        self.wake.notify_one();
        kept
    }

    /// Ends the connection, after what waits has been sent where that is still to be hoped for.
    pub fn end(&self, ending: Ending) {
        let mut state = self.lock();
        if state.ending.is_none() {
            if self.framing == Framing::WebSocket && ending != Ending::Peer {
                state.push(frame::close(ending.code()));
            }
            state.end(ending);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Sends what waits whenever the socket takes it, until the link ends. For a socket without TLS.
    pub async fn drive(&self, socket: &TcpStream) -> Ending {
        loop {
            match self.flush(socket) {
                Flushed::All => self.wake.notified().await,
                Flushed::Ended(ending) => return ending,
                // Woken as well when the link ends: a peer that does not read would never make it writable.
                Flushed::Blocked => tokio::select! {
                    writable = socket.writable() => {
                        if writable.is_err() {
                            return Ending::Peer;
                        }
                    }
                    () = self.wake.notified() => {}
                },
            }
        }
    }

    fn flush(&self, socket: &TcpStream) -> Flushed {
        let mut state = self.lock();
        while let Some(first) = state.queue.front_mut() {
            match socket.try_write(first) {
                Ok(sent) => {
                    first.advance(sent);
                    let done = first.is_empty();
                    state.queued -= sent;
                    if done {
                        state.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A link that ends does not wait for a peer that does not read.
                    return state.ending.map_or(Flushed::Blocked, Flushed::Ended);
                }
                Err(_) => return Flushed::Ended(Ending::Peer),
            }
        }
        state.queue = VecDeque::new();
        state.ending.map_or(Flushed::All, Flushed::Ended)
    }

    /// Waits until there is something to send, and takes it; at the end, how it ended. For a connection within TLS.
    pub async fn take(&self) -> Result<BytesMut, Ending> {
        /// About as much as one TLS record holds.
        const MOST: usize = 16_384;
        loop {
            {
                let mut state = self.lock();
                let mut taken = BytesMut::new();
                while taken.len() < MOST
                    && let Some(bytes) = state.queue.pop_front()
                {
                    state.queued -= bytes.len();
                    taken.extend_from_slice(&bytes);
                }
                if !taken.is_empty() {
                    return Ok(taken);
                }
                state.queue = VecDeque::new();
                if let Some(ending) = state.ending {
                    return Err(ending);
                }
            }
            self.wake.notified().await;
        }
    }
}

impl State {
    fn push(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        if matches!(ending, Ending::Peer | Ending::SlowReader) {
            self.queue = VecDeque::new();
            self.queued = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Arc::new(server.unwrap().0), client.unwrap())
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        let (server, mut client) = pair().await;
        let link = Arc::new(Link::new(Framing::Stream, 10_000_000, Some(Arc::clone(&server))));
        let driver = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.drive(&server).await }
        });
        let mut expected = Vec::new();
        for number in 0..2000u32 {
            let message = vec![number as u8; 1 + number as usize % 3000];
            expected.extend_from_slice(&message);
            assert!(link.send(message.into()));
        }
        let mut got = vec![0; expected.len()];
        client.read_exact(&mut got).await.unwrap();
        assert!(got == expected);
        link.end(Ending::Stopping);
        assert_eq!(driver.await.unwrap(), Ending::Stopping);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (server, _client) = pair().await;
        let link = Arc::new(Link::new(Framing::WebSocket, 100_000, Some(Arc::clone(&server))));
        let driver = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.drive(&server).await }
        });
        let full = async {
            while link.send(Bytes::from(vec![b'x'; 10_000])) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), full).await.unwrap();
        assert_eq!(driver.await.unwrap(), Ending::SlowReader);
        assert_eq!(link.lock().queued, 0);
    }

    #[tokio::test]
    async fn within_tls_what_waits_is_gathered() {
        let link = Link::new(Framing::WebSocket, 100_000, None);
        assert!(link.send(Bytes::from_static(b"one")));
        assert!(link.send(Bytes::from_static(b"two")));
        assert_eq!(&link.take().await.unwrap()[..], b"\x81\x03one\x81\x03two");
        link.end(Ending::Unauthenticated);
        assert_eq!(&link.take().await.unwrap()[..], [0x88, 2, 3, 240]);
        assert_eq!(link.take().await.unwrap_err(), Ending::Unauthenticated);
        assert!(!link.send(Bytes::from_static(b"three")));
    }
}
