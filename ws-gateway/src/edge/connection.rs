//! The receiving half of a SIP connection: TCP, TLS or WebSocket, accepted or dialled; one task for each.
//!
//! Bytes are read into a buffer that the thread's connections share and framed from there; a message goes to the driver, which reads
//! no faster than it can. While nothing happens a connection costs its socket, its [`Link`] and this task, and no buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_rustls::TlsStream;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::wire::sip::{Frame, Framer, Message, ParseError};

use super::Gateway;
use super::driver::Arrival;
use super::limits::{Bucket, Permit, Use};
use super::link::{Ending, Framing, Link};
use super::tls::Socket;
use super::websocket::frame::{self, Decoder, Incoming};
use crate::node::{FlowId, Transport};
use crate::store::UserId;

/// A connection to be served.
#[derive(Debug)]
pub struct Opening {
    pub transport: Transport,
    pub remote: SocketAddr,
    pub user: Option<(UserId, InstanceId)>,
    pub socket: Socket,
    /// What was read of it already.
    pub head: Bytes,
    /// Counts it; one that was dialled is not counted.
    pub permit: Option<Arc<Permit>>,
    pub dialled: bool,
}

/// How the bytes of a connection become messages.
enum Reader {
    Stream(Box<Framer>),
    WebSocket(Decoder),
}

/// What the reading came to.
enum Step {
    Read,
    Ended(Ending),
}

/// What is done with one frame.
#[expect(clippy::large_enum_variant, reason = "most are messages")]
enum Taken {
    Message(Message),
    Done,
    Nothing,
    End(Ending),
}

thread_local! {
    /// Where every connection of this thread reads into.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 32_768]);
}

/// Serves a connection until it ends.
pub async fn serve(gateway: Arc<Gateway>, opening: Opening) {
    let Opening { transport, remote, user, socket, head, permit, dialled } = opening;
    let websocket = matches!(transport, Transport::Ws | Transport::Wss);
    let framing = if websocket { Framing::WebSocket } else { Framing::Stream };
    let mut reader = match (websocket, dialled) {
        (true, _) => Reader::WebSocket(Decoder::new(gateway.sip_limits.message)),
        (false, true) => Reader::Stream(Box::new(Framer::opened(gateway.sip_limits))),
        (false, false) => Reader::Stream(Box::new(Framer::new(gateway.sip_limits))),
    };
    let flow = gateway.next_flow();
    let limit = gateway.settings.limits.send_queue_bytes;
    let gauge = metrics::gauge!("tandem_connections", "transport" => transport.via());
    gauge.increment(1);
    let ending = match socket {
        Socket::Plain(stream) => {
            let (mut read, write) = stream.into_split();
            let link = Arc::new(Link::new(framing, limit, Some(write)));
            let opened = Arrival::Opened { flow, transport, remote, user, dialled, link: Arc::clone(&link) };
            gateway.deliver(opened).await;
            let mut conduct = Conduct::new(&gateway, &link, flow, transport, remote, dialled);
            reader.push(&head);
            drop(head);
            conduct.plain(&mut reader, &mut read).await
        }
        Socket::Tls(mut stream) => {
            let link = Arc::new(Link::new(framing, limit, None));
            let opened = Arrival::Opened { flow, transport, remote, user, dialled, link: Arc::clone(&link) };
            gateway.deliver(opened).await;
            let mut conduct = Conduct::new(&gateway, &link, flow, transport, remote, dialled);
            reader.push(&head);
            drop(head);
            conduct.tls(&mut reader, &mut stream).await
        }
    };
    gauge.decrement(1);
    metrics::counter!("tandem_connections_ended_total", "why" => ending.word()).increment(1);
    if ending != Ending::Peer {
        tracing::debug!(%remote, transport = transport.via(), why = ending.word(), "connection ended");
    }
    drop(permit);
    gateway.deliver(Arrival::Closed { flow }).await;
}

/// The state of one connection's reading.
struct Conduct<'a> {
    gateway: &'a Gateway,
    link: &'a Link,
    flow: FlowId,
    transport: Transport,
    remote: SocketAddr,
    /// A peer that we dialled is not limited.
    limited: bool,
    bucket: Bucket,
    faults: u32,
}

impl<'a> Conduct<'a> {
    /// So many broken messages are answered before the connection is given up.
    const MOST_FAULTS: u32 = 16;

    fn new(gateway: &'a Gateway, link: &'a Link, flow: FlowId, transport: Transport, remote: SocketAddr, dialled: bool) -> Conduct<'a> {
        let bucket = Bucket::new(Instant::now(), gateway.addresses.per_connection());
        Conduct { gateway, link, flow, transport, remote, limited: !dialled, bucket, faults: 0 }
    }

    async fn plain(&mut self, reader: &mut Reader, stream: &mut OwnedReadHalf) -> Ending {
        let mut drive = std::pin::pin!(self.link.drive());
        loop {
            if let Some(ending) = self.forward(reader).await {
                self.link.end(ending);
                // What waits, such as the answer to the broken message, is sent where the socket takes it at once.
                return drive.await;
            }
            let step = tokio::select! {
                biased;
                ending = &mut drive => Step::Ended(ending),
                step = poll_fn(|cx| reader.poll(stream, cx)) => step,
            };
            match step {
                Step::Read => {}
                Step::Ended(ending) => return ending,
            }
        }
    }

    async fn tls(&mut self, reader: &mut Reader, stream: &mut TlsStream<TcpStream>) -> Ending {
        loop {
            if let Some(ending) = self.forward(reader).await {
                self.link.end(ending);
            }
            let outgoing = tokio::select! {
                biased;
                outgoing = self.link.take() => outgoing,
                step = poll_fn(|cx| reader.poll(stream, cx)) => match step {
                    Step::Read => continue,
                    Step::Ended(ending) => return ending,
                },
            };
            let sent = match outgoing {
                Ok(bytes) => Box::pin(send(stream, bytes.freeze())).await,
                Err(ending) => {
                    let _ = Box::pin(tokio::time::timeout(Duration::from_secs(1), stream.shutdown())).await;
                    return ending;
                }
            };
            if sent.is_err() {
                return Ending::Peer;
            }
        }
    }

    /// Hands everything that is whole to the driver, as fast as the limits allow.
    async fn forward(&mut self, reader: &mut Reader) -> Option<Ending> {
        loop {
            let message = match self.next(reader) {
                Taken::Message(message) => message,
                Taken::Done => continue,
                Taken::Nothing => return None,
                Taken::End(ending) => return Some(ending),
            };
            if self.limited {
                let now = Instant::now();
                let own = self.bucket.take(now, self.gateway.addresses.per_connection());
                let address = self.gateway.addresses.take(self.remote.ip(), Use::Message, now);
                if let Some(wait) = own.err().max(address.err()) {
                    // The peer is slowed down by not being read.
                    metrics::counter!("tandem_limited_total", "what" => "message").increment(1);
                    Box::pin(tokio::time::sleep(wait)).await;
                }
            }
            let arrival = Arrival::Received { flow: self.flow, transport: self.transport, message };
            if let Err(arrival) = self.gateway.try_deliver(arrival) {
                Box::pin(self.gateway.deliver(arrival)).await;
            }
        }
    }

    /// The next message; what is no message is dealt with.
    fn next(&mut self, reader: &mut Reader) -> Taken {
        match reader {
            Reader::Stream(framer) => match framer.next() {
                None if framer.is_broken() => Taken::End(Ending::Violation(frame::POLICY)),
                None => Taken::Nothing,
                Some(Ok(Frame::Message(message))) => Taken::Message(message),
                Some(Ok(Frame::Ping)) => {
                    self.link.send_raw(Bytes::from_static(Frame::PONG));
                    Taken::Done
                }
                Some(Ok(Frame::Pong)) => Taken::Done,
                Some(Err(error)) => self.refuse(error),
            },
            Reader::WebSocket(decoder) => match decoder.next() {
                Ok(None) => Taken::Nothing,
                // [RFC7118 §6] leaves keep-alive to pings; clients without access to these send SIP's own.
                Ok(Some(Incoming::Message(bytes))) if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                    if bytes[..] == *Frame::PING {
                        self.link.send(Bytes::from_static(Frame::PONG));
                    }
                    Taken::Done
                }
                Ok(Some(Incoming::Message(bytes))) => match Message::parse_shared(&bytes, &self.gateway.sip_limits) {
                    Ok(message) => Taken::Message(message),
                    Err(error) => self.refuse(error),
                },
                Ok(Some(Incoming::Ping(payload))) => {
                    self.link.send_raw(frame::pong(&payload));
                    Taken::Done
                }
                Ok(Some(Incoming::Pong)) => Taken::Done,
                Ok(Some(Incoming::Close(_))) => Taken::End(Ending::Closed),
                Err(violation) => Taken::End(Ending::Violation(violation.code())),
            },
        }
    }

    fn refuse(&mut self, error: ParseError) -> Taken {
        metrics::counter!("tandem_sip_malformed_total", "transport" => self.transport.via()).increment(1);
        tracing::debug!(remote = %self.remote, kind = %error.kind, offset = error.offset, "malformed message");
        if let Some(reply) = error.reply {
            self.link.send(reply.to_bytes());
        }
        self.faults += 1;
        if self.faults > Self::MOST_FAULTS { Taken::End(Ending::Violation(frame::POLICY)) } else { Taken::Done }
    }
}

/// Sends bytes within TLS; a peer that takes none for long is given up.
async fn send(stream: &mut TlsStream<TcpStream>, bytes: Bytes) -> io::Result<()> {
    let sent = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Reader {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Reader::Stream(framer) => framer.push(bytes),
            Reader::WebSocket(decoder) => decoder.push(bytes),
        }
    }

    /// Reads what is there into the framing.
    fn poll(&mut self, stream: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<Step> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match std::task::ready!(Pin::new(stream).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => Poll::Ready(Step::Ended(Ending::Peer)),
                Ok(()) => {
                    self.push(buffer.filled());
                    Poll::Ready(Step::Read)
                }
                Err(_) => Poll::Ready(Step::Ended(Ending::Peer)),
            }
        })
    }
}
