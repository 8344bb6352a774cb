//! MSRP over sockets: WebSocket (`/msrp`), TCP and TLS, accepted or dialled; one task for each connection.
//!
//! What the bytes mean is the business of [`crate::msrp`]; the hub of its sessions is shared by the tasks, which ask it only when a
//! session begins, ends or has something new to send. A task fills one buffer and waits until the socket has taken it: a slow reader
//! is asked less of, and nobody else notices. What a device sends is read as fast as the node takes it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use wasm_core::msrp::Options;
use wasm_core::wire::msrp::Transport as Carrier;
use wasm_core::{Entropy, Time};

use super::clock::Clock;
use super::driver::Arrival;
use super::limits::Addresses;
use super::push::endpoint::is_public;
use super::tls::Socket;
use super::websocket::frame::{self, Decoder, Incoming, OutgoingHead};
use super::{sip, stopped};
use crate::config::Limits;
use crate::msrp::{Bounds, Carriage, Connection, ConnectionId, Dial, Hub, Output, Over};
use crate::node::{MsrpCommand, MsrpEvent};
use crate::store::UserId;

/// How much is gathered for one call of the socket.
const GATHER: usize = 64 * 1024;
/// The largest WebSocket message: a chunk of what others send, with its head.
const LARGEST_FRAME: usize = 1 << 20;
/// How long a peer may take nothing of what it is sent, and how long when the connection is to be closed.
const STALL: Duration = Duration::from_secs(60);
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// Where every connection of this thread reads into.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; GATHER]);
}

/// What the tasks of MSRP connections share: the sessions, and how to wake the connections that carry them.
#[derive(Clone)]
pub struct Wires(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    clock: Clock,
    /// How long a connection may be without a session.
    patience: Duration,
    stopping: watch::Receiver<bool>,
    connector: Option<TlsConnector>,
    arrivals: mpsc::Sender<Arrival>,
}

#[derive(Debug)]
struct Inner {
    hub: Hub,
    wakers: HashMap<ConnectionId, Arc<Notify>>,
    last: u64,
}

impl Wires {
    /// No sessions yet. What happens to them arrives at the driver.
    pub fn new(
        limits: &Limits,
        entropy: Entropy,
        clock: Clock,
        stopping: watch::Receiver<bool>,
        connector: Option<TlsConnector>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Wires {
        let patience = Duration::from_secs(limits.unauthenticated_seconds);
        let bounds = Bounds { sessions_per_user: limits.msrp_sessions_per_user, sessions: limits.msrp_sessions, ..Bounds::default() };
        // Messages reach the node whole, or not at all.
        let whole = limits.message_bytes * 4;
        let options = Options { max_size: whole as u64, whole, ..Options::default() };
        let inner = Mutex::new(Inner { hub: Hub::new(bounds, Arc::new(options), entropy), wakers: HashMap::new(), last: 0 });
        Wires(Arc::new(Shared { inner, clock, patience, stopping, connector, arrivals }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> (ConnectionId, Arc<Notify>) {
        let mut inner = self.lock();
        inner.last += 1;
        let (id, waker) = (ConnectionId(inner.last), Arc::new(Notify::new()));
        inner.wakers.insert(id, Arc::clone(&waker));
        (id, waker)
    }

    fn leave(&self, id: ConnectionId) {
        self.lock().wakers.remove(&id);
    }

    fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Tells the driver, as soon as it can take it; it is gone only when the gateway is.
    async fn tell(&self, event: MsrpEvent) {
        let _ = self.0.arrivals.send(Arrival::Msrp(event)).await;
    }
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

/// Lets something happen in the hub and does what follows from it, but for telling the node.
fn with<T>(wires: &Wires, act: impl FnOnce(&mut Hub) -> T) -> (T, Vec<MsrpEvent>) {
    let mut inner = wires.lock();
    let result = act(&mut inner.hub);
    let mut events = Vec::new();
    while let Some(output) = inner.hub.poll() {
        match output {
            Output::Event(event) => events.push(event),
            Output::Wake(connection) => {
                if let Some(waker) = inner.wakers.get(&connection) {
                    waker.notify_one();
                }
            }
            Output::Dial(wanted) => drop(tokio::spawn(dial(wires.clone(), wanted))),
        }
    }
    (result, events)
}

async fn tell(wires: &Wires, events: Vec<MsrpEvent>) {
    for event in events {
        wires.tell(event).await;
    }
}

/// Does what the node wants; the events that come of it at once.
pub fn command(wires: &Wires, command: MsrpCommand) -> Vec<MsrpEvent> {
    with(wires, |hub| hub.command(wires.now(), command)).1
}

/// Gives up the sessions that nobody comes for.
pub async fn expire(wires: Wires) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let sessions = metrics::gauge!("tandem_msrp_sessions");
    loop {
        second.tick().await;
        let (count, events) = with(&wires, |hub| {
            hub.timeout(wires.now());
            hub.len()
        });
        sessions.set(count as f64);
        tell(&wires, events).await;
    }
}

/// Accepts connections until the gateway stops.
pub async fn listen(wires: Wires, addresses: Addresses, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut stopping = wires.0.stopping.clone();
    loop {
        let (stream, remote) = tokio::select! {
            accepted = sip::accept(&listener) => accepted,
            () = stopped(&mut stopping) => return,
        };
        let Some(permit) = addresses.connect(remote.ip(), false) else {
            metrics::counter!("tandem_limited_total", "what" => "connection").increment(1);
            continue;
        };
        let (wires, tls) = (wires.clone(), tls.clone());
        tokio::spawn(async move {
            let carriage = Carriage { carrier: Carrier::Tcp, secure: tls.is_some() };
            let Some(socket) = Box::pin(sip::secure(stream, tls)).await else { return };
            accepted(wires, socket, &[], carriage, None).await;
            drop(permit);
        });
    }
}

/// Serves a connection that came in.
pub async fn accepted(wires: Wires, socket: Socket, head: &[u8], carriage: Carriage, user: Option<UserId>) {
    let (id, waker) = wires.enter();
    let connection = Connection::new(wires.now(), id, carriage, user);
    serve(&wires, connection, Wire::new(socket, carriage, head), &waker, carriage).await;
    wires.leave(id);
}

/// Opens a connection for a session and serves it.
async fn dial(wires: Wires, wanted: Dial) {
    let attempt = tokio::time::timeout(sip::PATIENCE, connect(&wires, &wanted)).await;
    match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(socket) => {
            let carriage = Carriage { carrier: Carrier::Tcp, secure: wanted.secure };
            let (id, waker) = wires.enter();
            let now = wires.now();
            let (connection, events) = with(&wires, |hub| Connection::dialled(now, id, wanted.secure, &wanted.session, hub));
            tell(&wires, events).await;
            if let Some(connection) = connection {
                serve(&wires, connection, Wire::new(socket, carriage, &[]), &waker, carriage).await;
            }
            wires.leave(id);
        }
        Err(error) => {
            tracing::debug!(%error, "cannot connect for an MSRP session");
            let ((), events) = with(&wires, |hub| hub.undialled(&wanted.session));
            tell(&wires, events).await;
        }
    }
}

async fn connect(wires: &Wires, wanted: &Dial) -> io::Result<Socket> {
    let found = tokio::net::lookup_host((wanted.host.as_str(), wanted.port)).await?;
    let address = found.into_iter().find(|address| may_dial(*address, wanted.near));
    let address = address.ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, "the address is not the device's own"))?;
    let stream = TcpStream::connect(address).await?;
    sip::prepare(&stream);
    if !wanted.secure {
        return Ok(Socket::Plain(stream));
    }
    let Some(connector) = &wires.0.connector else { return Err(io::Error::other("no certificates of peers are known")) };
    let name = ServerName::try_from(wanted.host.to_string()).map_err(io::Error::other)?;
    Ok(Socket::Tls(Box::new(TlsStream::Client(connector.connect(name, stream).await?))))
}

/// Nobody makes the gateway connect to its own machine or network: only who is there already is connected to there.
fn may_dial(address: SocketAddr, near: Option<IpAddr>) -> bool {
    is_public(address.ip()) || near.is_some_and(|near| near.to_canonical() == address.ip().to_canonical())
}

/// A socket with what is to be written to it.
struct Wire {
    socket: Socket,
    /// Frames of WebSocket messages, where it is a WebSocket.
    websocket: Option<Decoder>,
    out: BytesMut,
    /// Whether TLS holds something that the socket has not taken.
    unflushed: bool,
    /// What a stream brought before it was served.
    head: Bytes,
    /// When the socket took something last, or nothing was there to take.
    progress: Instant,
}

/// What came of waiting for a socket.
enum Moved {
    Something,
    Nothing,
    Lost,
}

impl Wire {
    fn new(socket: Socket, carriage: Carriage, head: &[u8]) -> Wire {
        let mut websocket = (carriage.carrier == Carrier::WebSocket).then(|| Decoder::new(LARGEST_FRAME));
        let mut rest = Bytes::new();
        match &mut websocket {
            Some(decoder) => decoder.push(head),
            None => rest = Bytes::copy_from_slice(head),
        }
        Wire { socket, websocket, out: BytesMut::new(), unflushed: false, head: rest, progress: Instant::now() }
    }

    fn put(&mut self, frame: &[u8]) {
        if self.websocket.is_some() {
            self.out.extend_from_slice(OutgoingHead::message(frame).as_bytes());
        }
        self.out.extend_from_slice(frame);
    }

    /// Gives the connection what was read, as long as it wants it. True when something was given.
    fn give(&mut self, now: Time, connection: &mut Connection) -> bool {
        if !connection.wants_read() || self.out.len() > GATHER {
            return false;
        }
        let Some(decoder) = &mut self.websocket else {
            let head = std::mem::take(&mut self.head);
            if !head.is_empty() {
                connection.received(now, head);
                return true;
            }
            return false;
        };
        match decoder.next() {
            Ok(Some(Incoming::Message(message))) => connection.received(now, message),
            Ok(Some(Incoming::Ping(payload))) => self.out.extend_from_slice(&frame::pong(&payload)),
            Ok(Some(Incoming::Pong)) => {}
            Ok(Some(Incoming::Close(_))) => connection.end(now, Over::Lost),
            Ok(None) => return false,
            Err(_) => connection.end(now, Over::Fault),
        }
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Moved> {
        let mut moved = false;
        while !self.out.is_empty() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.out) {
                Poll::Ready(Ok(1..)) if self.out.is_empty() => {}
                Poll::Ready(Ok(sent @ 1..)) => {
                    self.out.advance(sent);
                    self.unflushed = matches!(self.socket, Socket::Tls(_));
                    self.progress = Instant::now();
                    moved = true;
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Moved::Lost),
                Poll::Pending => break,
            }
        }
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Poll::Ready(Moved::Lost),
                Poll::Pending => {}
            }
        }
        if read {
            let (socket, websocket, head) = (&mut self.socket, &mut self.websocket, &mut self.head);
            let got = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                std::task::ready!(Pin::new(socket).poll_read(cx, &mut buffer))?;
                match websocket {
                    Some(decoder) => decoder.push(buffer.filled()),
                    None => *head = Bytes::copy_from_slice(buffer.filled()),
                }
                Poll::Ready(Ok::<_, io::Error>(!buffer.filled().is_empty()))
            });
            match got {
                Poll::Ready(Ok(true)) => moved = true,
                Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(Moved::Lost),
                Poll::Pending => {}
            }
        }
        if moved { Poll::Ready(Moved::Something) } else { Poll::Pending }
    }
}

/// Moves bytes between a socket and its sessions, until they are over.
async fn serve(wires: &Wires, mut connection: Connection, mut wire: Wire, waker: &Notify, carriage: Carriage) {
    let transport = match carriage {
        Carriage { carrier: Carrier::WebSocket, .. } => "WS",
        Carriage { secure: true, .. } => "TLS",
        Carriage { secure: false, .. } => "TCP",
    };
    let gauge = metrics::gauge!("tandem_msrp_connections", "transport" => transport);
    gauge.increment(1);
    let over = Box::pin(run(wires, &mut connection, &mut wire, waker)).await;
    gauge.decrement(1);
    metrics::counter!("tandem_msrp_connections_ended_total", "why" => over.word()).increment(1);
}

async fn run(wires: &Wires, connection: &mut Connection, wire: &mut Wire, waker: &Notify) -> Over {
    let patience = wires.0.patience;
    let (received, sent) =
        (metrics::counter!("tandem_msrp_messages_total", "way" => "in"), metrics::counter!("tandem_msrp_messages_total", "way" => "out"));
    let mut stopping = wires.0.stopping.clone();
    let mut stop_by: Option<Instant> = None;
    let mut ended: Option<Instant> = None;
    let timer = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(timer);
    let mut armed: Option<Instant> = None;
    loop {
        let given = wire.give(wires.now(), connection);
        if armed.is_some_and(|armed| armed <= Instant::now()) {
            armed = None;
            connection.timeout(wires.now(), patience);
        }
        let now = wires.now();
        if stop_by.is_some_and(|by| connection.is_quiet() || by <= Instant::now()) {
            connection.end(now, Over::Stopping);
        }
        if connection.needs_hub() {
            let ((), events) = with(wires, |hub| connection.settle(now, hub));
            tell(wires, events).await;
        }
        while let Some(event) = connection.poll(now) {
            match &event {
                MsrpEvent::Received { .. } => received.increment(1),
                MsrpEvent::Sent { result: Ok(()), .. } => sent.increment(1),
                MsrpEvent::Sent { result: Err(_), .. } | MsrpEvent::Opened { .. } | MsrpEvent::Closed { .. } => {}
            }
            wires.tell(event).await;
        }
        while wire.out.len() < GATHER
            && let Some(frame) = connection.transmit(now)
        {
            if wire.out.is_empty() {
                wire.progress = Instant::now();
            }
            wire.put(&frame);
        }
        if connection.needs_hub() {
            continue;
        }
        if let Some(over) = connection.over() {
            if ended.is_none() {
                ended = Some(Instant::now());
                if wire.websocket.is_some() && over != Over::Lost {
                    wire.out.extend_from_slice(&frame::close(code(over)));
                }
            }
            if over == Over::Lost || (wire.out.is_empty() && !wire.unflushed) {
                return over;
            }
        } else if given {
            continue;
        }
        let stalled = (!wire.out.is_empty()).then(|| wire.progress + if ended.is_some() { FAREWELL } else { STALL });
        let due = connection.next_timeout(patience).map(|time| wires.0.clock.instant(time));
        let due = due.into_iter().chain(stalled).chain(stop_by).min();
        if let Some(due) = due
            && armed.is_none_or(|armed| due < armed)
        {
            armed = Some(due);
            timer.as_mut().reset(due.into());
        }
        let read = connection.wants_read() && wire.out.len() <= GATHER;
        let moved = tokio::select! {
            biased;
            moved = poll_fn(|cx| wire.poll(cx, read)) => moved,
            () = waker.notified() => {
                connection.wake();
                Moved::Nothing
            }
            () = &mut timer, if armed.is_some() => Moved::Nothing,
            () = stopped(&mut stopping), if stop_by.is_none() => {
                stop_by = Some(Instant::now() + FAREWELL);
                Moved::Nothing
            }
        };
        let stalled = !wire.out.is_empty() && wire.progress.elapsed() >= if ended.is_some() { FAREWELL } else { STALL };
        if matches!(moved, Moved::Lost) || stalled {
            let over = connection.over();
            connection.end(wires.now(), Over::Lost);
            wire.out.clear();
            wire.unflushed = false;
            if let Some(over) = over {
                return over;
            }
        }
    }
}

/// The code of a WebSocket's Close.
fn code(over: Over) -> u16 {
    match over {
        Over::Done | Over::Lost => 1000,
        Over::Unused => frame::POLICY,
        Over::Fault => 1002,
        Over::Stopping => frame::GOING_AWAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R317: nobody makes the gateway connect to its own machine or network.
    #[test]
    fn only_the_device_itself_is_dialled_in_a_private_network() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let near = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert!(may_dial(at("8.8.8.8:2855"), None));
        assert!(may_dial(at("10.0.0.7:2855"), near("10.0.0.7")));
        assert!(may_dial(at("10.0.0.7:2855"), near("::ffff:10.0.0.7")));
        assert!(!may_dial(at("10.0.0.8:2855"), near("10.0.0.7")));
        assert!(!may_dial(at("127.0.0.1:2855"), near("8.8.8.8")));
        assert!(!may_dial(at("[::1]:2855"), None));
    }
}
