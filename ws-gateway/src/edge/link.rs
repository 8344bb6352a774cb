//! The sending half of a connection, shared by its task and by whoever has something to send.
//!
//! What is sent goes straight into the socket while the socket takes it, several messages with one call where several are queued;
//! only what it does not take waits, for the connection's task to send on. A peer that leaves too much waiting is disconnected. An
//! idle link holds no buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::websocket::frame::{self, OutgoingHead};

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
    socket: Option<OwnedWriteHalf>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Chunk>,
    queued: usize,
    ending: Option<Ending>,
}

/// A frame, or what is left of it.
#[derive(Debug)]
struct Chunk {
    head: OutgoingHead,
    head_sent: usize,
    payload: Bytes,
}

/// What became of a message that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits, the first of its kind: somebody has to call [`Link::flush`].
    First,
    /// It waits behind others.
    Behind,
    /// The link has ended, or ends by this.
    Ended,
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
    pub fn new(framing: Framing, limit: usize, socket: Option<OwnedWriteHalf>) -> Link {
        Link { framing, limit, socket, state: Mutex::default(), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues one message, framed.
    pub fn queue(&self, message: Bytes) -> Queued {
        let head = match self.framing {
            Framing::Stream => OutgoingHead::NONE,
            Framing::WebSocket => OutgoingHead::message(&message),
        };
        self.put(head, message)
    }

    /// Sends one message, framed, at once.
    pub fn send(&self, message: Bytes) -> bool {
        let queued = self.queue(message);
        self.flush();
        queued != Queued::Ended
    }

    /// Sends bytes that need no framing: keep-alives, control frames.
    pub fn send_raw(&self, bytes: Bytes) -> bool {
        let queued = self.put(OutgoingHead::NONE, bytes);
        self.flush();
        queued != Queued::Ended
    }

    fn put(&self, head: OutgoingHead, payload: Bytes) -> Queued {
        let mut state = self.lock();
        if state.ending.is_some() {
            return Queued::Ended;
        }
        let first = state.queue.is_empty();
        state.push(head, payload);
        if state.queued <= self.limit {
            return if first { Queued::First } else { Queued::Behind };
        }
        // Perhaps it was only never tried.
        if let Some(socket) = &self.socket {
            state.flush(socket);
        }
        if state.queued <= self.limit && state.ending.is_none() {
            return Queued::First;
        }
        state.end(Ending::SlowReader);
        drop(state);
        self.wake.notify_one();
        Queued::Ended
    }

    /// Sends what is queued as far as the socket takes it; the connection's task sends the rest.
    pub fn flush(&self) {
        let flushed = match &self.socket {
            Some(socket) => self.lock().flush(socket),
            None => Flushed::Blocked,
        };
        match flushed {
            Flushed::All => {}
            Flushed::Blocked => self.wake.notify_one(),
            Flushed::Ended(ending) => self.end(ending),
        }
    }

    /// Ends the connection, after what waits has been sent where that is still to be hoped for.
    pub fn end(&self, ending: Ending) {
        let mut state = self.lock();
        if state.ending.is_none() {
            if self.framing == Framing::WebSocket && ending != Ending::Peer {
                state.push(OutgoingHead::NONE, frame::close(ending.code()));
            }
            state.end(ending);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Sends what waits whenever the socket takes it, until the link ends. For a socket without TLS; within TLS it waits for ever.
    pub async fn drive(&self) -> Ending {
        let Some(socket) = &self.socket else { return std::future::pending().await };
        loop {
            let flushed = self.lock().flush(socket);
            match flushed {
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

    /// Waits until there is something to send, and takes it; at the end, how it ended. For a connection within TLS.
    pub async fn take(&self) -> Result<BytesMut, Ending> {
        /// About as much as one TLS record holds.
        const MOST: usize = 16_384;
        loop {
            {
                let mut state = self.lock();
                let mut taken = BytesMut::new();
                while taken.len() < MOST
                    && let Some(chunk) = state.queue.pop_front()
                {
                    state.queued -= chunk.len();
                    taken.extend_from_slice(chunk.head());
                    taken.extend_from_slice(&chunk.payload);
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

impl Chunk {
    fn head(&self) -> &[u8] {
        self.head.as_bytes().get(self.head_sent..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.head().len() + self.payload.len()
    }
}

impl State {
    fn push(&mut self, head: OutgoingHead, payload: Bytes) {
        let chunk = Chunk { head, head_sent: 0, payload };
        self.queued += chunk.len();
        self.queue.push_back(chunk);
    }

    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        if matches!(ending, Ending::Peer | Ending::SlowReader) {
            self.queue = VecDeque::new();
            self.queued = 0;
        }
    }

    /// Sends what the socket takes.
    fn flush(&mut self, socket: &OwnedWriteHalf) -> Flushed {
        /// So many pieces go with one call.
        const PIECES: usize = 64;
        while !self.queue.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            for (pair, chunk) in pieces.chunks_exact_mut(2).zip(&self.queue) {
                pair[0] = IoSlice::new(chunk.head());
                pair[1] = IoSlice::new(&chunk.payload);
            }
            let count = PIECES.min(2 * self.queue.len());
            match socket.try_write_vectored(&pieces[..count]) {
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A link that ends does not wait for a peer that does not read.
                    return self.ending.map_or(Flushed::Blocked, Flushed::Ended);
                }
                Err(_) => return Flushed::Ended(Ending::Peer),
            }
        }
        self.queue = VecDeque::new();
        self.ending.map_or(Flushed::All, Flushed::Ended)
    }

    /// Takes off the queue what was sent.
    fn sent(&mut self, mut sent: usize) {
        self.queued = self.queued.saturating_sub(sent);
        while let Some(chunk) = self.queue.front_mut() {
            if sent >= chunk.len() {
                sent -= chunk.len();
                self.queue.pop_front();
                continue;
            }
            let of_head = sent.min(chunk.head().len());
            chunk.head_sent += of_head;
            chunk.payload.advance(sent - of_head);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (OwnedWriteHalf, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (read, write) = server.unwrap().0.into_split();
        // Read by nobody here; the writing half keeps the socket.
        drop(read);
        (write, client.unwrap())
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        let (server, mut client) = pair().await;
        let link = Arc::new(Link::new(Framing::Stream, 10_000_000, Some(server)));
        let driver = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.drive().await }
        });
        let mut expected = Vec::new();
        for number in 0..2000u32 {
            let message = vec![number as u8; 1 + number as usize % 3000];
            expected.extend_from_slice(&message);
            // Some at once, some gathered.
            if number % 3 == 0 { assert!(link.send(message.into())) } else { assert_ne!(link.queue(message.into()), Queued::Ended) }
        }
        link.flush();
        let mut got = vec![0; expected.len()];
        client.read_exact(&mut got).await.unwrap();
        assert!(got == expected);
        link.end(Ending::Stopping);
        assert_eq!(driver.await.unwrap(), Ending::Stopping);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (server, _client) = pair().await;
        let link = Arc::new(Link::new(Framing::WebSocket, 100_000, Some(server)));
        let driver = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.drive().await }
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
