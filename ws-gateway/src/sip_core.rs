//! The SIP/IP core: registrar, location, front door, routing and the reg event package. It knows nothing of CPM.
//!
//! One request's way through it, each step a function whose result says whether it goes on:
//!
//! ```text
//! transaction layer → sane → (ACK, CANCEL) → route → identify → the node itself: REGISTER, SUBSCRIBE reg, OPTIONS
//!                                                             → a service, for what triggers one (Service)
//!                                                             → a user's bindings, a peer, a dialog's hop: the stateful proxy
//! ```
//!
//! What a service (the Participating Function) does comes back through [`Core::deliver`], [`Core::forward`], [`Core::respond`] and
//! [`Core::refuse`]. The reg event package tells it about its users as [R013], [R014] want: third-party registration, its SUBSCRIBE,
//! NOTIFY ([`Notice`]).
//!
//! | what fails | what happens |
//! |---|---|
//! | a connection closes | its transactions fail, its bindings end, its watchers go |
//! | a request cannot be sent | its branch counts as 503, the others go on |
//! | a device does not answer | its branch counts as 408 |
//! | a peer sends a response to nothing | dropped |
//! | the process restarts | connections, their bindings and transactions are gone; UDP bindings are restored; clients register again |

pub(crate) mod flows;
pub(crate) mod front_door;
pub(crate) mod gruu;
pub(crate) mod location;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod reg_event;
pub(crate) mod registrar;
pub(crate) mod routing;
pub(crate) mod token;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use wasm_core::sip::digest::Verifier;
use wasm_core::sip::transaction::{ClientId, Event, Layer, Out, ServerId, Timers};
use wasm_core::wire::sip::{Message, Method, Request, Response, Status};
use wasm_core::{Entropy, Text, Time};

use wasm_core::cpm::ids::InstanceId;

use crate::node::{Closing, Directory, FlowId, Function, Hop, NodeConfig, Sighting, Step, Ticket, Transport};
use crate::store::{StoredBinding, Unit, UserId};
pub(crate) use dispatch::EVENTS;
use flows::Flows;
use front_door::Source;
use gruu::Gruus;
use location::{Change, Location};
use proxy::{Action, Context, Stage};
use refusal::Refusal;
use reg_event::RegEvent;
use routing::Destination;
use token::Tokens;

mod agents;
mod dispatch;
mod relay;

/// What the core asks of the node around it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for the time of one input")]
pub(crate) enum Effect {
    Send {
        hop: Hop,
        message: Bytes,
    },
    /// Write this; nobody waits for it.
    Write(Unit),
    /// Write this and say so with [`Core::stored`].
    Commit {
        ticket: Ticket,
        unit: Unit,
    },
    Close {
        flow: FlowId,
        why: Closing,
    },
    Sighted(Sighting),
    Step(Step),
    /// A service is concerned.
    Service(Service),
}

/// What the core says to the service behind it: the requests that trigger it, what became of its own, and who is registered.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for the time of one input")]
pub(crate) enum Service {
    /// A request that triggers the service. It has to be answered, or to go on ([`Core::proceed`]).
    Request { id: ServerId, source: Source, destination: Destination, hop: Hop, request: Request },
    /// A final response to a request of the service's.
    Response { id: ClientId, response: Response },
    /// A request of the service's came to nothing.
    Failed { id: ClientId, status: Status },
    /// Third-party registration (R013): this user has registered a device.
    Registered { user: UserId },
    /// A reg event NOTIFY (R030): what changed for a user whom the service watches.
    Notified { user: UserId, changes: Vec<Change> },
}

/// Whose request a client transaction carries.
#[derive(Clone, Copy, Debug)]
enum Owner {
    /// A branch of the fork of this request.
    Fork(ServerId),
    /// The service.
    Service,
    /// A NOTIFY of this reg event watcher.
    Watcher(reg_event::WatcherId),
}

/// A REGISTER whose bindings are on their way to the disk.
#[derive(Debug)]
struct Registering {
    id: ServerId,
    response: Response,
    changes: Vec<Change>,
}

/// The SIP/IP core.
#[derive(Debug)]
pub(crate) struct Core {
    config: Arc<NodeConfig>,
    layer: Layer<Hop>,
    flows: Flows,
    location: Location,
    tokens: Tokens,
    gruus: Gruus,
    verifier: Verifier,
    reg_event: RegEvent,
    /// Registrations that are answered and told of when they are on the disk.
    registering: HashMap<Ticket, Registering>,
    next_ticket: u64,
    forks: HashMap<ServerId, Context<ClientId>>,
    /// Calls that were answered, until nobody can repeat the answer any more: 64 T1 each, so in the order of their end.
    connected: VecDeque<(Time, ServerId)>,
    owners: HashMap<ClientId, Owner>,
    /// Which requests are the service's business: the initial filter criteria.
    triggers: fn(&Request) -> bool,
    entropy: Entropy,
    effects: VecDeque<Effect>,
    /// What the layer told and nobody has acted on yet.
    events: VecDeque<Event<Hop>>,
    draining: bool,
}

impl Core {
    pub(crate) fn new(config: Arc<NodeConfig>, triggers: fn(&Request) -> bool, mut entropy: Entropy) -> Self {
        let secret = config.secret;
        Core {
            layer: Layer::new(entropy.fork(), Timers::default()).with_limit(config.limits.transactions),
            flows: Flows::default(),
            location: Location::default(),
            tokens: Tokens::new(&secret, entropy.bytes()),
            gruus: Gruus::new(&secret),
            verifier: Verifier::new(config.domain().clone(), secret),
            reg_event: RegEvent::default(),
            registering: HashMap::new(),
            next_ticket: Ticket::CORE.0,
            forks: HashMap::new(),
            connected: VecDeque::new(),
            owners: HashMap::new(),
            triggers,
            entropy,
            effects: VecDeque::new(),
            events: VecDeque::new(),
            draining: false,
            config,
        }
    }

    /// What the core wants next.
    pub(crate) fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn location_mut(&mut self) -> &mut Location {
        &mut self.location
    }

    /// Whether nothing is under way.
    pub(crate) fn idle(&self) -> bool {
        self.forks.len() <= self.connected.len() && self.registering.is_empty()
    }

    /// Whether somebody has proved to be at the other end of a connection.
    pub(crate) fn signed_in(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(flows::Flow::signed_in)
    }

    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) fn opened(&mut self, flow: FlowId, transport: Transport, remote: std::net::SocketAddr, user: Option<(UserId, InstanceId)>) {
        self.flows.opened(flow, transport, remote, user);
    }

    /// A connection is gone, with all that hung on it.
    pub(crate) fn closed(&mut self, now: Time, directory: &dyn Directory, flow: FlowId) {
        self.flows.closed(flow);
        let hop = Hop::Flow(flow);
        self.layer.failed(now, &hop);
        self.reg_event.closed(flow);
        let changes = self.location.closed(flow);
        self.changed(now, changes);
        self.pump(now, directory);
    }

    /// Something could not be sent.
    pub(crate) fn failed(&mut self, now: Time, directory: &dyn Directory, hop: &Hop) {
        self.layer.failed(now, hop);
        self.pump(now, directory);
    }

    /// A message has arrived.
    pub(crate) fn received(&mut self, now: Time, directory: &dyn Directory, hop: Hop, transport: Transport, mut message: Message) {
        let hop = match &mut message {
            Message::Request(request) => relay::mark_source(request, hop),
            Message::Response(_) => hop,
        };
        self.layer.receive(now, hop, transport.reliable(), message);
        self.pump(now, directory);
    }

    /// The bindings that outlived a restart.
    pub(crate) fn restored(&mut self, now: Time, bindings: Vec<StoredBinding>) {
        let alive = bindings.into_iter().filter(|binding| binding.expires_at > now).filter_map(registrar::restore);
        let changes: Vec<Change> = alive.map(|binding| self.location.bind(binding)).collect();
        self.changed(now, changes);
    }

    /// Those who are gone, and those who have other secrets, lose their connections and bindings.
    pub(crate) fn accounts_changed(&mut self, now: Time, directory: &dyn Directory, renewed: &[UserId]) {
        let over = |user| renewed.contains(&user) || directory.user(user).is_none();
        for flow in self.flows.of_users(over) {
            self.effects.push_back(Effect::Close { flow, why: Closing::AccountChanged });
        }
        let changes = self.location.sweep(over);
        self.changed(now, changes);
        self.pump(now, directory);
    }

    /// A device that was signed out loses its bindings and the connections that it has for itself.
    pub(crate) fn signed_out(&mut self, now: Time, directory: &dyn Directory, user: UserId, instance: &InstanceId) {
        let is_its = |binding: &location::Binding| binding.instance.as_deref() == Some(instance.as_str());
        let changes = self.location.unbind(user, location::Cause::Deactivated, is_its);
        let bound: Vec<FlowId> = changes.iter().filter_map(|change| change.binding.hop.flow()).collect();
        for flow in self.flows.expel(user, instance, &bound) {
            self.effects.push_back(Effect::Close { flow, why: Closing::SignedOut });
        }
        self.changed(now, changes);
        self.pump(now, directory);
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let connected = self.connected.front().map(|(at, _)| *at);
        [connected, self.layer.next_timeout(), self.location.next_timeout(), self.reg_event.next_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn timeout(&mut self, now: Time, directory: &dyn Directory) {
        self.layer.timeout(now);
        while let Some(&(at, fork)) = self.connected.front() {
            if at > now {
                break;
            }
            self.connected.pop_front();
            self.close(fork);
        }
        let changes = self.location.expire(now);
        self.changed(now, changes);
        self.expire_watchers(now);
        self.pump(now, directory);
    }

    /// Lets the transaction layer's output take effect, until it has no more; says whether there was any.
    pub(crate) fn pump(&mut self, now: Time, directory: &dyn Directory) -> bool {
        self.flush();
        let mut any = false;
        while let Some(event) = self.events.pop_front() {
            any = true;
            self.event(now, directory, event);
            self.flush();
        }
        any
    }

    /// Takes over what the layer has to say: what it sends goes out in its place among the core's other effects.
    fn flush(&mut self) {
        while let Some(out) = self.layer.poll() {
            match out {
                Out::Send { to, message } => self.effects.push_back(Effect::Send { hop: to, message }),
                Out::Event(event) => self.events.push_back(event),
            }
        }
    }

    fn event(&mut self, now: Time, directory: &dyn Directory, event: Event<Hop>) {
        match event {
            Event::Request { id, from, request } => self.dispatch(now, directory, id, from, request),
            Event::Ack { from: _, request } => self.acknowledge(directory, request),
            Event::Cancel { invite, id, from: _, request } => {
                let status = if invite.is_some() { Status::OK } else { Status::CALL_DOES_NOT_EXIST };
                self.respond(now, id, Response::to(&request, status));
                if let Some(invite) = invite {
                    let reason = request.headers.read();
                    self.act(now, invite, |context| context.cancel(reason.as_ref()));
                }
            }
            Event::Response { id, response } => self.answered(now, id, response),
            Event::Timeout { id } => self.unanswered(now, id, Status::REQUEST_TIMEOUT),
            Event::Unreachable { id } => self.unanswered(now, id, Status::SERVICE_UNAVAILABLE),
            Event::Stray { .. } | Event::Ended { .. } => {}
        }
    }

    /// What became of a client transaction goes to whose it is.
    fn answered(&mut self, now: Time, id: ClientId, mut response: Response) {
        let Some(&owner) = self.owners.get(&id) else { return };
        let last = response.status.is_final();
        match owner {
            Owner::Fork(fork) => {
                // The top Via is ours [RFC3261 §16.7 step 3].
                relay::pop_via(&mut response);
                self.act(now, fork, |context| context.response(id, response));
            }
            Owner::Service => {
                if last {
                    self.owners.remove(&id);
                    self.effects.push_back(Effect::Service(Service::Response { id, response }));
                }
            }
            Owner::Watcher(watcher) => {
                if last {
                    self.owners.remove(&id);
                    if !response.status.is_success() {
                        self.reg_event.gone(watcher);
                    }
                }
            }
        }
    }

    fn unanswered(&mut self, now: Time, id: ClientId, status: Status) {
        let Some(&owner) = self.owners.get(&id) else { return };
        match owner {
            Owner::Fork(fork) => self.act(now, fork, |context| context.failed(id, status)),
            Owner::Service => {
                self.owners.remove(&id);
                self.effects.push_back(Effect::Service(Service::Failed { id, status }));
            }
            Owner::Watcher(watcher) => {
                self.owners.remove(&id);
                self.reg_event.gone(watcher);
            }
        }
    }

    /// Lets a fork take a step, and performs what it wants.
    fn act(&mut self, now: Time, fork: ServerId, step: impl FnOnce(&mut Context<ClientId>) -> Vec<Action<ClientId>>) {
        let Some(context) = self.forks.get_mut(&fork) else { return };
        let actions = step(context);
        let stage = context.stage();
        for action in actions {
            match action {
                Action::Respond(response) => self.layer.respond(now, fork, response),
                Action::Cancel(branch, reason) => self.layer.cancel(now, branch, reason.as_ref()),
            }
        }
        match stage {
            Stage::Open => {}
            Stage::Connected => self.connected.push_back((now + Timers::default().lifetime(), fork)),
            Stage::Over => self.close(fork),
        }
    }

    /// Forgets a fork.
    fn close(&mut self, fork: ServerId) {
        if let Some(context) = self.forks.remove(&fork) {
            for branch in context.branches() {
                self.owners.remove(&branch);
            }
        }
    }

    /// Answers a request; the To tag is added where the core is the one who answers.
    pub(crate) fn respond(&mut self, now: Time, id: ServerId, mut response: Response) {
        relay::tag(&mut response, &mut self.entropy);
        self.layer.respond(now, id, response);
        self.flush();
    }

    /// Refuses a request: the one place where a refusal becomes a response.
    pub(crate) fn refuse(&mut self, now: Time, id: ServerId, request: &Request, refusal: Refusal) {
        if request.method != Method::Ack {
            self.respond(now, id, refusal.respond(request));
        }
    }

    /// Tells the ladder of a step between the core and the service.
    pub(crate) fn step(&mut self, from: Function, to: Function, what: impl FnOnce() -> String) {
        if self.config.steps {
            self.effects.push_back(Effect::Step(Step { from, to, what: Text::from(what()) }));
        }
    }
}
