//! SIP's transaction layer: the four machines of [RFC3261 §17], the corrections of RFC 6026 to INVITE and the rules of RFC 4320 for the rest.
//!
//! [`Layer`] is the table of the transactions of one element. What comes from the network goes in by [`Layer::receive`], what the element
//! wants goes in by [`Layer::request`], [`Layer::respond`] and [`Layer::cancel`], and everything comes out of [`Layer::poll`]. It neither
//! routes nor resolves: a destination `D` is whatever its owner sends by. ACKs for a 2xx pass outside of transactions.
//!
//! | timer | machine | value | when it fires |
//! |---|---|---|---|
//! | A | INVITE client, unreliable | T1, doubling | the INVITE is sent again |
//! | B | INVITE client | 64 T1 | no response at all: [`Event::Timeout`] |
//! | C | INVITE client, proceeding | 181 s after the last 1xx, and less than twice that | the INVITE is cancelled |
//! | (Cancelled) | INVITE client, cancelled | 64 T1 | no final response: [`Event::Timeout`] |
//! | D | INVITE client, failed, unreliable | 64 T1 | the end |
//! | M | INVITE client, accepted | 64 T1 | the end: no more 2xx of other branches |
//! | E | client, unreliable | T1, doubling up to T2; T2 once proceeding | the request is sent again |
//! | F | client | 64 T1 | no final response: [`Event::Timeout`] |
//! | K | client, completed, unreliable | T4 | the end |
//! | (Trying) | INVITE server | 200 ms | 100 is sent if nothing was |
//! | G | INVITE server, failed, unreliable | T1, doubling up to T2 | the response is sent again |
//! | H | INVITE server, failed | 64 T1 | no ACK: [`Event::Ended`] |
//! | I | INVITE server, acknowledged, unreliable | T4 | the end |
//! | L | INVITE server, accepted | 64 T1 | the end |
//! | (Lapsed) | INVITE server, unreachable while proceeding | 64 T1 | the end |
//! | (Trying) | server | 3.5 s: when Timer E reaches T2 | 100 is sent if nothing was [RFC4320 §4.1] |
//! | (Lapsed) | server | 64 T1 | no answer is wanted any more: [`Event::Ended`] |
//! | J | server, completed, unreliable | 64 T1 | the end |
//!
//! T1 = 500 ms, T2 = 4 s, T4 = 5 s.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use bytes::Bytes;

mod client;
mod derived;
mod invite_client;
mod invite_server;
mod machine;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod timer;
#[cfg(test)]
mod transitions;

use self::client::Client;
use self::invite_client::InviteClient;
use self::invite_server::InviteServer;
pub use self::machine::Ending;
use self::machine::{Context, Effect, Effects, Machine};
use self::server::Server;
use self::table::{Id, Kind, Table};
pub use self::timer::Timers;
use self::timer::{Alarm, Queues};
use crate::wire::sip::{CSeq, Message, Method, Reason, Request, Response, RetryAfter, Status, To, Via};
use crate::{Entropy, Text, Time};

/// A client transaction of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Id);

/// A server transaction of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Id);

/// What a layer wants done or told.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once into a queue and once out of it, and a box would cost each event an allocation"
)]
pub enum Out<D> {
    /// Put these bytes on the wire.
    Send {
        /// Where to.
        to: D,
        /// One encoded message.
        message: Bytes,
    },
    /// Something that the transaction user acts on.
    Event(Event<D>),
}

/// What a layer tells its user.
#[derive(Clone, Debug)]
pub enum Event<D> {
    /// A new request, to be answered by [`Layer::respond`].
    Request {
        /// Its transaction.
        id: ServerId,
        /// Where it came from, and where the responses go.
        from: D,
        /// The request.
        request: Request,
    },
    /// An ACK for a 2xx, or one that fits nothing.
    Ack {
        /// Where it came from.
        from: D,
        /// The ACK.
        request: Request,
    },
    /// A CANCEL, to be answered like any request: 200 when it fits an INVITE, else 481.
    Cancel {
        /// The INVITE that it is about.
        invite: Option<ServerId>,
        /// The CANCEL's own transaction.
        id: ServerId,
        /// Where it came from.
        from: D,
        /// The CANCEL.
        request: Request,
    },
    /// A response: every provisional one, the final one, and further 2xx of an INVITE.
    Response {
        /// The transaction.
        id: ClientId,
        /// The response, with the top Via that [`Layer::request`] completed.
        response: Response,
    },
    /// No final response came in time; to be treated as a 408.
    Timeout {
        /// The transaction, now gone.
        id: ClientId,
    },
    /// The request could not be sent; to be treated as a 503.
    Unreachable {
        /// The transaction, now gone.
        id: ClientId,
    },
    /// A server transaction went wrong: unanswered, unacknowledged or unreachable.
    Ended {
        /// The transaction.
        id: ServerId,
        /// What went wrong.
        why: Ending,
    },
    /// A response that belongs to no transaction.
    Stray {
        /// Where it came from.
        from: D,
        /// The response.
        response: Response,
    },
}

/// The transactions of one element.
#[derive(Debug)]
pub struct Layer<D> {
    entropy: Entropy,
    timers: Timers,
    limit: usize,
    table: Table<D>,
    queues: Queues,
    out: VecDeque<Out<D>>,
    /// How many transactions ended since the timers were swept.
    ended: usize,
}

impl<D: Clone + Eq + Hash + Debug> Layer<D> {
    /// How many transactions a layer holds unless told otherwise: half a minute of 10,000 a second over UDP.
    pub const LIMIT: usize = 400_000;
    /// [RFC3261 §16.6]: more than three minutes.
    const TIMER_C: Duration = Duration::from_secs(181);
    /// What a refusal for want of room says, in seconds.
    const RETRY_AFTER: u32 = 5;
    /// After how many ended transactions the timers are swept.
    const SWEEP: usize = 1024;

    /// A layer without transactions.
    pub fn new(entropy: Entropy, timers: Timers) -> Layer<D> {
        Layer { entropy, timers, limit: Self::LIMIT, table: Table::new(), queues: Queues::default(), out: VecDeque::new(), ended: 0 }
    }

    /// The same with room for that many transactions.
    pub fn with_limit(mut self, transactions: usize) -> Layer<D> {
        self.limit = transactions;
        self
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Takes in a message from the network. `from` is where responses to it go; `reliable` says whether that transport retransmits.
    pub fn receive(&mut self, now: Time, from: D, reliable: bool, message: Message) {
        match message {
            Message::Request(request) => self.receive_request(now, from, reliable, request),
            Message::Response(response) => self.receive_response(now, from, response),
        }
    }

    /// Sends a request. Its top Via gets a branch; one that is there already becomes the end of it, for a proxy's loop detection.
    ///
    /// When the table is full, the answer is a 503 of the layer's own. An ACK is sent without a transaction.
    pub fn request(&mut self, now: Time, to: D, reliable: bool, mut request: Request) -> ClientId {
        let via = request.headers.read::<Via>();
        let (id, branch) = self.table.reserve(&mut self.entropy, via.as_ref().and_then(Via::branch).map(Text::as_str));
        if let Some(mut via) = via {
            via.set_branch(&branch);
            request.headers.replace_first(&via);
        }
        if request.method == Method::Ack {
            self.table.release(id);
            self.out.push_back(Out::Send { to, message: request.to_bytes() });
            return ClientId(id);
        }
        if self.table.len() > self.limit {
            self.table.release(id);
            let mut response = Response::to(&request, Status::SERVICE_UNAVAILABLE);
            response.headers.put(&RetryAfter::new(Self::RETRY_AFTER));
            self.out.push_back(Out::Event(Event::Response { id: ClientId(id), response }));
            return ClientId(id);
        }
        let context = self.context(reliable);
        let wire = request.to_bytes();
        if request.method == Method::Invite {
            let mut effects = Effects::new();
            let machine = InviteClient::start(Box::new(request), wire, &context, &mut effects);
            self.table.insert(id, Kind::InviteClient(machine), branch, to, reliable);
            self.perform::<InviteClient>(now, id, effects);
        } else {
            self.start_client(now, id, branch, to, reliable, request.method, wire);
        }
        ClientId(id)
    }

    /// Answers a request. A response after the final one is ignored, but for the 2xx of an INVITE, which its user repeats until the ACK.
    pub fn respond(&mut self, now: Time, id: ServerId, response: Response) {
        let ServerId(id) = id;
        let Some(entry) = self.table.get_mut(id) else { return };
        let status = response.status;
        match &entry.kind {
            Kind::InviteServer(_) => {
                let wire = response.to_bytes();
                let input = if status.is_provisional() {
                    invite_server::Input::Provisional(wire)
                } else if status.is_success() {
                    invite_server::Input::Success(wire)
                } else {
                    invite_server::Input::Failure(wire)
                };
                self.drive::<InviteServer>(now, id, input);
            }
            Kind::Server(_) => {
                let input = if status == Status::TRYING {
                    server::Input::Trying(response.to_bytes())
                } else if status.is_provisional() {
                    server::Input::Provisional
                } else if status == Status::REQUEST_TIMEOUT {
                    server::Input::Late
                } else {
                    server::Input::Final(response.to_bytes())
                };
                self.drive::<Server>(now, id, input);
            }
            Kind::InviteClient(_) | Kind::Client(..) => {}
        }
    }

    /// Cancels an INVITE that has no final response yet, and says why [RFC3326]; before any provisional one the CANCEL waits for that.
    pub fn cancel(&mut self, now: Time, id: ClientId, reason: Option<&Reason>) {
        if let Some(reason) = reason
            && let Some(machine) = self.table.get_mut(id.0).and_then(|entry| InviteClient::of(&mut entry.kind))
        {
            machine.explain(reason);
        }
        self.drive::<InviteClient>(now, id.0, invite_client::Input::Cancel);
    }

    /// Sends a message outside of any transaction.
    pub fn send(&mut self, to: D, message: Bytes) {
        self.out.push_back(Out::Send { to, message });
    }

    /// The transport cannot send to `to` any more.
    pub fn failed(&mut self, now: Time, to: &D) {
        for id in self.table.with_peer(to) {
            match self.table.get_mut(id).map(|entry| &entry.kind) {
                Some(Kind::InviteClient(_)) => self.drive::<InviteClient>(now, id, invite_client::Input::Unreachable),
                Some(Kind::Client(..)) => self.drive::<Client>(now, id, client::Input::Unreachable),
                Some(Kind::InviteServer(_)) => self.drive::<InviteServer>(now, id, invite_server::Input::Unreachable),
                Some(Kind::Server(_)) => self.drive::<Server>(now, id, server::Input::Unreachable),
                None => false,
            };
        }
    }

    /// When [`Layer::timeout`] is to be called at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        self.queues.next()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time) {
        while let Some((id, alarm)) = self.queues.pop(now) {
            match alarm {
                Alarm::InviteClient(timer) => self.drive::<InviteClient>(now, id, invite_client::Input::Fired(timer)),
                Alarm::Client(timer) => self.drive::<Client>(now, id, client::Input::Fired(timer)),
                Alarm::InviteServer(timer) => self.drive::<InviteServer>(now, id, invite_server::Input::Fired(timer)),
                Alarm::Server(timer) => self.drive::<Server>(now, id, server::Input::Fired(timer)),
            };
        }
        self.sweep();
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Out<D>> {
        self.out.pop_front()
    }

    fn receive_request(&mut self, now: Time, from: D, reliable: bool, request: Request) {
        // Without a Via there is nowhere to answer.
        let Some(via) = request.headers.read::<Via>() else { return };
        let Some(cseq) = request.headers.read::<CSeq>().filter(|cseq| cseq.method == request.method) else {
            self.refuse(from, &request, Status::BAD_REQUEST);
            return;
        };
        let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
        self.table.write_server_key(&request, &via, &cseq, method);
        let known = self.table.server_of_key();
        match (known, &request.method) {
            (Some(id), Method::Ack) => {
                if self.drive::<InviteServer>(now, id, invite_server::Input::Ack) {
                    self.tell(Event::Ack { from, request });
                }
            }
            (None, Method::Ack) => self.tell(Event::Ack { from, request }),
            (Some(id), Method::Invite) => {
                self.drive::<InviteServer>(now, id, invite_server::Input::Retransmission);
            }
            (Some(id), _) => {
                self.drive::<Server>(now, id, server::Input::Retransmission);
            }
            (None, _) if self.table.len() >= self.limit => self.refuse(from, &request, Status::SERVICE_UNAVAILABLE),
            (None, Method::Invite) => {
                let mut effects = Effects::new();
                let machine = InviteServer::start(Box::new(Response::to(&request, Status::TRYING)), &mut effects);
                let id = self.table.insert_server(Kind::InviteServer(machine), from.clone(), reliable);
                self.perform::<InviteServer>(now, id, effects);
                self.tell(Event::Request { id: ServerId(id), from, request });
            }
            (None, other) => {
                let cancel = *other == Method::Cancel;
                let mut effects = Effects::new();
                let trying = Box::new(Response::to(&request, Status::TRYING));
                let machine = Server::start(trying, &self.context(reliable), &mut effects);
                let id = self.table.insert_server(Kind::Server(machine), from.clone(), reliable);
                self.perform::<Server>(now, id, effects);
                if cancel {
                    self.table.write_server_key(&request, &via, &cseq, &Method::Invite);
                    let invite = self.table.server_of_key().map(ServerId);
                    self.tell(Event::Cancel { invite, id: ServerId(id), from, request });
                } else {
                    self.tell(Event::Request { id: ServerId(id), from, request });
                }
            }
        }
    }

    fn receive_response(&mut self, now: Time, from: D, response: Response) {
        let Some(via) = response.headers.read::<Via>() else { return };
        let Some(cseq) = response.headers.read::<CSeq>() else { return };
        let Some(id) = via.branch().and_then(|branch| self.table.client(branch, &cseq.method)) else {
            self.tell(Event::Stray { from, response });
            return;
        };
        let status = response.status;
        let deliver = if cseq.method == Method::Invite {
            let input = if status.is_provisional() {
                invite_client::Input::Provisional
            } else if status.is_success() {
                invite_client::Input::Success
            } else {
                invite_client::Input::Failure(&response)
            };
            self.drive::<InviteClient>(now, id, input)
        } else {
            let input = if status.is_provisional() { client::Input::Provisional } else { client::Input::Final };
            self.drive::<Client>(now, id, input)
        };
        if deliver && cseq.method != Method::Cancel {
            self.tell(Event::Response { id: ClientId(id), response });
        }
    }

    /// Starts a client transaction of a method other than INVITE.
    #[allow(clippy::too_many_arguments)]
    fn start_client(&mut self, now: Time, id: Id, branch: Text, to: D, reliable: bool, method: Method, wire: Bytes) {
        let mut effects = Effects::new();
        let machine = Client::start(wire, &self.context(reliable), &mut effects);
        self.table.insert(id, Kind::Client(machine, method), branch, to, reliable);
        self.perform::<Client>(now, id, effects);
    }

    /// Steps a machine; says whether the message at hand is to be delivered.
    fn drive<M: Machine>(&mut self, now: Time, id: Id, input: M::Input<'_>) -> bool {
        let Some(entry) = self.table.get_mut(id) else { return false };
        let context = Context { timers: self.timers, timer_c: Self::TIMER_C, reliable: entry.reliable };
        let Some(machine) = M::of(&mut entry.kind) else { return false };
        let mut effects = Effects::new();
        *machine = std::mem::replace(machine, M::TERMINATED).step(input, &context, &mut effects);
        self.perform::<M>(now, id, effects)
    }

    /// Does what a machine wants, and forgets it when it has ended.
    fn perform<M: Machine>(&mut self, now: Time, id: Id, effects: Effects<M::Timer>) -> bool {
        let Some(entry) = self.table.get_mut(id) else { return false };
        let terminated = M::of(&mut entry.kind).is_none_or(|machine| machine.is_terminated());
        let (to, reliable) = (entry.peer.clone(), entry.reliable);
        let own = matches!(entry.kind, Kind::Client(_, Method::Cancel));
        let mut deliver = false;
        for effect in effects {
            match effect {
                Effect::Send(message) => self.out.push_back(Out::Send { to: to.clone(), message }),
                Effect::Arm(timer, after) => self.queues.arm(now, id, M::alarm(timer), after),
                Effect::Deliver => deliver = true,
                Effect::Cancel(request) => {
                    let Some(branch) = self.table.get_mut(id).map(|entry| entry.key.clone()) else { continue };
                    let (cancel, _) = self.table.reserve(&mut self.entropy, None);
                    self.start_client(now, cancel, branch, to.clone(), reliable, Method::Cancel, request.to_bytes());
                }
                // The layer sent a CANCEL by itself; how that fares, the INVITE shows.
                Effect::Report(_) if own => {}
                Effect::Report(ending) => self.tell(match ending {
                    Ending::Timeout => Event::Timeout { id: ClientId(id) },
                    Ending::Unreachable if M::CLIENT => Event::Unreachable { id: ClientId(id) },
                    Ending::Unreachable | Ending::Unanswered | Ending::Unacknowledged => Event::Ended { id: ServerId(id), why: ending },
                }),
            }
        }
        if terminated {
            self.table.remove(id);
            self.ended += 1;
            if self.ended >= Self::SWEEP {
                self.sweep();
            }
        }
        deliver
    }

    /// Answers a request without a transaction.
    fn refuse(&mut self, to: D, request: &Request, status: Status) {
        if request.method == Method::Ack {
            return;
        }
        let mut response = Response::to(request, status);
        if let Some(mut to) = response.headers.read::<To>().filter(|to| to.tag().is_none()) {
            to.set_tag(&self.entropy.hex::<5>());
            response.headers.put(&to);
        }
        if status == Status::SERVICE_UNAVAILABLE {
            response.headers.put(&RetryAfter::new(Self::RETRY_AFTER));
        }
        self.out.push_back(Out::Send { to, message: response.to_bytes() });
    }

    fn tell(&mut self, event: Event<D>) {
        self.out.push_back(Out::Event(event));
    }

    fn context(&self, reliable: bool) -> Context {
        Context { timers: self.timers, timer_c: Self::TIMER_C, reliable }
    }

    fn sweep(&mut self) {
        self.ended = 0;
        let table = &self.table;
        self.queues.sweep(table.len(), |id| table.contains(id));
    }
}
