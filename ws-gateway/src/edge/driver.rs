//! The task that owns the node: it hands in what arrives, does what the node asks for, and wakes it when its time has come.
//!
//! Datagrams are read and sent right here; connections are tasks of their own that hand messages in over a bounded channel, so that
//! peers are read no faster than the node keeps up. Each turn takes a batch from every source before anything is waited for.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::ids::{InstanceId, MessageId};
use wasm_core::wire::sip::{Message, ParseErrorKind};

use super::directory::Accounts;
use super::limits::Use;
use super::link::{Ending, Link, Queued};
use super::{Gateway, devices, msrp};
use crate::node::{Closing, FlowId, Hop, Input, Loaded, MsrpEvent, Node, Output, Query, Ticket, Transport};
use crate::store::{Store, StoreError, Unit, UserId};

/// Messages that may wait for the node.
pub const QUEUE: usize = 4096;
/// What is taken from one source before the others have their turn.
const BATCH: usize = 128;
/// Messages that may wait for a connection that is being dialled.
const DIAL_QUEUE: usize = 256;

/// What connections tell the driver.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages")]
pub enum Arrival {
    Opened {
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        user: Option<(UserId, InstanceId)>,
        dialled: bool,
        link: Arc<Link>,
    },
    Received {
        flow: FlowId,
        transport: Transport,
        message: Message,
    },
    Closed {
        flow: FlowId,
    },
    /// A device was signed out by its owner.
    SignedOut {
        user: UserId,
        instance: InstanceId,
    },
    /// The service has something to say to a user.
    Tell {
        user: UserId,
        text: Text,
    },
    /// Something of an MSRP session.
    Msrp(MsrpEvent),
    /// Something that the store holds is sent in a user's name.
    Compose {
        user: UserId,
        to: Address,
        message_id: MessageId,
        content: Box<Content>,
    },
    /// A connection could not be opened.
    NotDialled {
        transport: Transport,
        addr: SocketAddr,
    },
}

/// A connection as the driver knows it.
#[derive(Debug)]
struct Flow {
    link: Arc<Link>,
    dialled: Option<(Transport, SocketAddr)>,
}

/// A connection to a peer.
#[derive(Debug)]
enum Dialled {
    Waiting(VecDeque<Bytes>),
    Open(FlowId),
}

/// The driver.
pub struct Driver {
    gateway: Arc<Gateway>,
    node: Node<Accounts>,
    udp: Option<UdpSocket>,
    arrivals: mpsc::Receiver<Arrival>,
    finished_sender: mpsc::UnboundedSender<Vec<Input>>,
    finished: mpsc::UnboundedReceiver<Vec<Input>>,
    flows: HashMap<FlowId, Flow>,
    dialled: HashMap<(Transport, SocketAddr), Dialled>,
    /// Links with something queued in this turn.
    unsent: Vec<Arc<Link>>,
    /// What this turn wants written.
    unwritten: Vec<(Ticket, Unit)>,
    /// Connections on which nobody may have signed in yet, in the order of their opening.
    strangers: VecDeque<(Instant, FlowId)>,
    accounts_version: u64,
    datagram: Box<[u8]>,
    counters: Counters,
    bindings: metrics::Gauge,
}

struct Counters {
    received: metrics::Counter,
    sent: metrics::Counter,
    limited: metrics::Counter,
    malformed: metrics::Counter,
    unsendable: metrics::Counter,
}

impl Driver {
    /// A driver for a node to which everything kept of earlier runs has been handed already.
    pub fn new(gateway: Arc<Gateway>, node: Node<Accounts>, udp: Option<UdpSocket>, arrivals: mpsc::Receiver<Arrival>) -> Driver {
        let (finished_sender, finished) = mpsc::unbounded_channel();
        Driver {
            accounts_version: gateway.accounts.version(),
            gateway,
            node,
            udp,
            arrivals,
            finished_sender,
            finished,
            flows: HashMap::new(),
            dialled: HashMap::new(),
            unsent: Vec::new(),
            unwritten: Vec::new(),
            strangers: VecDeque::new(),
            datagram: vec![0; 65_536].into(),
            bindings: metrics::gauge!("tandem_bindings"),
            counters: Counters {
                received: metrics::counter!("tandem_sip_received_total"),
                sent: metrics::counter!("tandem_sip_sent_total"),
                limited: metrics::counter!("tandem_limited_total", "what" => "datagram"),
                malformed: metrics::counter!("tandem_sip_malformed_total", "transport" => "UDP"),
                unsendable: metrics::counter!("tandem_sip_unsendable_total"),
            },
        }
    }

    /// Drives the node until it has drained after `stopping` became true, or `patience` is over then.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>, patience: Duration) {
        let mut arrivals = Vec::with_capacity(BATCH);
        let mut finished = Vec::with_capacity(BATCH);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut armed = None;
        let mut last_moment: Option<Instant> = None;
        self.settle();
        loop {
            let mut busy = false;
            for input in finished.drain(..).flatten() {
                busy = true;
                self.handle(input);
            }
            for arrival in arrivals.drain(..) {
                busy = true;
                self.arrive(arrival);
            }
            // Answers are sent before more is taken in.
            self.flush();
            busy |= self.datagrams();
            if self.node.next_timeout().is_some_and(|time| time <= self.gateway.clock.now()) {
                busy = true;
                self.handle(Input::Timeout);
            }
            self.flush();
            self.write();
            if let Some(moment) = last_moment
                && (self.node.idle() || Instant::now() >= moment)
            {
                break;
            }
            let deadline = self.node.next_timeout();
            if armed != deadline {
                armed = deadline;
                if let Some(time) = deadline {
                    timer.as_mut().reset(self.gateway.clock.instant(time).into());
                }
            }
            if busy {
                // The other tasks of this thread have their turn, and the sockets are looked at.
                tokio::task::yield_now().await;
            }
            tokio::select! {
                biased;
                () = &mut timer, if deadline.is_some() => armed = None,
                _ = second.tick() => self.each_second(),
                _ = self.finished.recv_many(&mut finished, BATCH) => {}
                _ = self.arrivals.recv_many(&mut arrivals, BATCH) => {}
                () = readable(self.udp.as_ref()) => {}
                changed = stopping.changed(), if last_moment.is_none() => {
                    if changed.is_err() || *stopping.borrow() {
                        last_moment = Some(Instant::now() + patience);
                        self.handle(Input::Drain);
                    }
                }
            }
        }
        self.flush();
        self.write();
        for flow in self.flows.values() {
            flow.link.end(Ending::Stopping);
        }
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(self.gateway.clock.now(), input);
        self.settle();
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Received { flow, transport, message } => {
                self.counters.received.increment(1);
                self.handle(Input::Received { hop: Hop::Flow(flow), transport, message });
            }
            Arrival::Opened { flow, transport, remote, user, dialled, link } => {
                let hop = dialled.then_some((transport, remote));
                let trusted = dialled || self.gateway.settings.peers.iter().any(|peer| peer.address.ip() == remote.ip());
                if user.is_none() && !trusted {
                    self.strangers.push_back((Instant::now(), flow));
                }
                if let Some(hop) = hop
                    && let Some(Dialled::Waiting(waiting)) = self.dialled.insert(hop, Dialled::Open(flow))
                {
                    for message in waiting {
                        link.send(message);
                    }
                }
                self.flows.insert(flow, Flow { link, dialled: hop });
                self.handle(Input::Opened { flow, transport, remote, user });
            }
            Arrival::Closed { flow } => {
                if let Some(hop) = self.flows.remove(&flow).and_then(|flow| flow.dialled) {
                    self.dialled.remove(&hop);
                }
                self.handle(Input::Closed { flow });
            }
            Arrival::SignedOut { user, instance } => self.handle(Input::SignedOut { user, instance }),
            Arrival::Tell { user, text } => self.handle(Input::Tell { user, text }),
            Arrival::Msrp(event) => self.handle(Input::Msrp(event)),
            Arrival::Compose { user, to, message_id, content } => self.handle(Input::Compose { user, to, message_id, content }),
            Arrival::NotDialled { transport, addr } => {
                self.dialled.remove(&(transport, addr));
                self.handle(Input::Failed { hop: Hop::Dial { transport, addr } });
            }
        }
    }

    /// Reads a batch of datagrams. True when there may be more.
    fn datagrams(&mut self) -> bool {
        let mut taken = 0;
        while taken < BATCH
            && let Some(udp) = &self.udp
        {
            let (length, remote) = match udp.try_recv_from(&mut self.datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // The network's complaint about something sent earlier.
                Err(_) => continue,
            };
            taken += 1;
            let data = &self.datagram[..length];
            // Keep-alives: empty lines, or the single zero bytes that some phones send.
            if data.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                continue;
            }
            if self.gateway.addresses.take(remote.ip(), Use::Message, Instant::now()).is_err() {
                self.counters.limited.increment(1);
                continue;
            }
            match Message::parse(data, &self.gateway.sip_limits) {
                Ok(message) => {
                    self.counters.received.increment(1);
                    self.handle(Input::Received { hop: Hop::Udp(remote), transport: Transport::Udp, message });
                }
                Err(error) => {
                    self.counters.malformed.increment(1);
                    tracing::debug!(%remote, kind = %error.kind, offset = error.offset, "malformed datagram");
                    if let Some(reply) = error.reply.filter(|_| error.kind != ParseErrorKind::Empty) {
                        let _ = udp.try_send_to(&reply.to_bytes(), remote);
                    }
                }
            }
        }
        taken > 0
    }

    /// Does what the node asks for until it asks for nothing.
    fn settle(&mut self) {
        loop {
            let mut failed = Vec::new();
            while let Some(output) = self.node.poll() {
                match output {
                    Output::Send { hop, message } => {
                        if !self.send(&hop, message) {
                            self.counters.unsendable.increment(1);
                            failed.push(hop);
                        }
                    }
                    Output::Commit { ticket, unit } => self.unwritten.push((ticket, unit)),
                    Output::Load { ticket, query } => {
                        let (sender, store) = (self.finished_sender.clone(), Arc::clone(&self.gateway.store));
                        tokio::task::spawn_blocking(move || {
                            let _ = sender.send(vec![Input::Loaded { ticket, result: load(&*store, query) }]);
                        });
                    }
                    Output::Close { flow, why } => {
                        tracing::info!(?why, "closing a connection");
                        if let Some(flow) = self.flows.get(&flow) {
                            flow.link.end(match why {
                                Closing::AccountChanged | Closing::SignedOut | Closing::Abuse => Ending::GivenUp,
                            });
                        }
                    }
                    Output::Notify { user, outlet, notice } => self.gateway.push.notify(user, outlet, notice),
                    Output::Changed { user, cursor } => self.gateway.events.publish(user, cursor),
                    Output::Sighted(sighting) => devices::sighted(&self.gateway, sighting),
                    Output::Msrp(command) => {
                        let events = msrp::command(&self.gateway.wires, command);
                        if !events.is_empty() {
                            let _ = self.finished_sender.send(events.into_iter().map(Input::Msrp).collect());
                        }
                    }
                    Output::Trail(rung) => self.gateway.trails.note(rung),
                    Output::Step(step) => tracing::trace!(?step),
                }
            }
            if failed.is_empty() {
                return;
            }
            for hop in failed {
                self.node.handle(self.gateway.clock.now(), Input::Failed { hop });
            }
        }
    }

    /// Sends one message. False when that is known to be in vain.
    fn send(&mut self, hop: &Hop, message: Bytes) -> bool {
        self.counters.sent.increment(1);
        match hop {
            Hop::Flow(flow) => match self.flows.get(flow).map(|flow| (flow.link.queue(message), flow)) {
                Some((Queued::First, flow)) => {
                    self.unsent.push(Arc::clone(&flow.link));
                    true
                }
                Some((Queued::Behind, _)) => true,
                Some((Queued::Ended, _)) | None => false,
            },
            Hop::Udp(remote) => match self.udp.as_ref().map(|udp| udp.try_send_to(&message, *remote)) {
                Some(Ok(_)) => true,
                // Lost, as datagrams may be: the transaction sends it again.
                Some(Err(error)) => error.kind() == std::io::ErrorKind::WouldBlock,
                None => false,
            },
            &Hop::Dial { transport, addr } => {
                if transport == Transport::Udp {
                    return self.send(&Hop::Udp(addr), message);
                }
                match self.dialled.get_mut(&(transport, addr)) {
                    Some(Dialled::Open(flow)) => {
                        let flow = *flow;
                        self.send(&Hop::Flow(flow), message)
                    }
                    Some(Dialled::Waiting(waiting)) => {
                        waiting.push_back(message);
                        waiting.len() <= DIAL_QUEUE
                    }
                    None => {
                        self.dialled.insert((transport, addr), Dialled::Waiting(VecDeque::from([message])));
                        tokio::spawn(super::sip::dial(Arc::clone(&self.gateway), transport, addr));
                        true
                    }
                }
            }
        }
    }

    /// Sends what this turn has queued, each connection's share with one call.
    fn flush(&mut self) {
        for link in self.unsent.drain(..) {
            link.flush();
        }
    }

    /// Hands what this turn wants written to the writer, in one piece: it is woken once, and answers once.
    fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let (tickets, units): (Vec<_>, Vec<_>) = self.unwritten.drain(..).unzip();
        let sender = self.finished_sender.clone();
        self.gateway.writer.submit_all(units, move |results| {
            // The driver is gone only when the gateway is.
            let _ = sender.send(tickets.into_iter().zip(results).map(|(ticket, result)| Input::Stored { ticket, result }).collect());
        });
    }

    fn each_second(&mut self) {
        let version = self.gateway.accounts.version();
        if version != self.accounts_version {
            self.accounts_version = version;
            let renewed = self.gateway.accounts.take_renewed();
            self.handle(Input::AccountsChanged { renewed });
        }
        self.bindings.set(self.node.bindings() as f64);
        let patience = Duration::from_secs(self.gateway.settings.limits.unauthenticated_seconds);
        while let Some(&(opened, flow)) = self.strangers.front()
            && opened.elapsed() >= patience
        {
            self.strangers.pop_front();
            if let Some(found) = self.flows.get(&flow).filter(|_| !self.node.signed_in(flow)) {
                found.link.end(Ending::Unauthenticated);
            }
        }
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("flows", &self.flows.len()).finish_non_exhaustive()
    }
}

async fn readable(udp: Option<&UdpSocket>) {
    match udp {
        // An error shows itself again when the socket is read.
        Some(udp) => drop(udp.readable().await),
        None => std::future::pending().await,
    }
}

fn load(store: &dyn Store, query: Query) -> Result<Loaded, StoreError> {
    match query {
        Query::Pending { user, after, limit } => store.pending(user, after, limit).map(Loaded::Pending),
        Query::Expired { before, limit } => store.expired(before, limit).map(Loaded::Pending),
        Query::Held { user, limit } => store.held(user, limit).map(Loaded::Held),
        Query::HeldEntries { user, ids } => store.held_entries(user, &ids).map(Loaded::Pending),
        Query::Reminders { before, limit } => store.reminders(before, limit).map(Loaded::Pending),
        Query::Messages { user, direction, message_id } => store.message(user, direction, &message_id).map(Loaded::Messages),
    }
}
