//! From a request that has arrived to what is done with it.

use std::ops::ControlFlow;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::deferred;
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::sip::transaction::{ClientId, ServerId};
use wasm_core::wire::sip::{Event as EventHeader, HeaderName, Method, RejectContact, Request, Response, Status, To};
use wasm_core::{Text, Time};

use super::front_door::{self, Door, Source};
use super::location::{Binding, BindingId, Change};
use super::refusal::Refusal;
use super::registrar::{self, Registered, Registrant};
use super::relay::{self, Target};
use super::routing::{Destination, Device, Router};
use super::{Core, Effect, Owner, Registering, Service};
use crate::node::{Directory, Function, Hop, Seen, Sighting, Ticket};
use crate::store::{Applied, StoreError, Unit, UserId};

/// What this node itself answers.
const ALLOW: &str = "REGISTER, OPTIONS, SUBSCRIBE, NOTIFY, MESSAGE, INVITE, ACK, CANCEL, BYE, INFO, UPDATE, PRACK, REFER, PUBLISH";

/// The event packages that there are.
pub(crate) const EVENTS: &str = "reg, deferred-messages";

impl Device {
    /// Whether a binding is of this device.
    pub(crate) fn is(&self, binding: &Binding) -> bool {
        match self {
            Device::Any => true,
            Device::Instance(instance) => binding.instance.as_ref() == Some(instance),
            Device::Temporary(temporary) => temporary.is(binding),
        }
    }
}

/// The devices that a request is not for, each by its instance [RFC3841 §9.2] (R077, R078). Other features are not looked at.
fn rejected(request: &Request) -> Vec<Text> {
    let rejects = request.headers.list::<RejectContact>().unwrap_or_default();
    let named = rejects.iter().filter_map(|reject| reject.feature(feature::SIP_INSTANCE));
    named.map(|instance| Text::from(instance.trim_start_matches('<').trim_end_matches('>'))).collect()
}

fn rejects(rejected: &[Text], binding: &Binding) -> bool {
    binding.instance.as_ref().is_some_and(|instance| rejected.contains(instance))
}

impl Core {
    /// A new request: in at the front door, then to where it goes.
    pub(super) fn dispatch(&mut self, now: Time, directory: &dyn Directory, id: ServerId, from: Hop, mut request: Request) {
        match self.admit(now, directory, &from, &mut request) {
            ControlFlow::Break(refusal) => self.refuse(now, id, &request, refusal),
            ControlFlow::Continue((source, destination)) => self.go(now, directory, id, from, source, destination, request),
        }
    }

    /// The front door. A user who does not exist is found out only by somebody who may know.
    fn admit(
        &mut self,
        now: Time,
        directory: &dyn Directory,
        from: &Hop,
        request: &mut Request,
    ) -> ControlFlow<Refusal, (Source, Destination)> {
        front_door::sane(request)?;
        if self.draining {
            return Refusal::later(Status::SERVICE_UNAVAILABLE, 5).stop();
        }
        if self.looped(request) {
            return Refusal::new(Status::LOOP_DETECTED).stop();
        }
        let router = Router { tokens: &self.tokens, gruus: &self.gruus, directory, config: &self.config };
        let destination = router.route(request);
        let mut door = Door { flows: &mut self.flows, verifier: &mut self.verifier, directory, config: &self.config };
        // What a service would show to a person as somebody's words is not believed for the sake of a dialog.
        let within = !(self.triggers)(request) && request.headers.read::<To>().is_some_and(|to| to.tag().is_some());
        let source = match &destination {
            ControlFlow::Continue(Destination::Route(_)) if within => Source::Dialog,
            // Anybody may ask whether the node is alive.
            ControlFlow::Continue(Destination::Node) if request.method == Method::Options => Source::Dialog,
            ControlFlow::Continue(_) | ControlFlow::Break(_) => door.identify(now, from, request)?,
        };
        let destination = destination?;
        front_door::assert_identity(&mut request.headers, &source);
        ControlFlow::Continue((source, destination))
    }

    #[expect(clippy::too_many_arguments, reason = "one request with all that is known of it")]
    fn go(
        &mut self,
        now: Time,
        directory: &dyn Directory,
        id: ServerId,
        from: Hop,
        source: Source,
        destination: Destination,
        request: Request,
    ) {
        if (self.triggers)(&request) && matches!(destination, Destination::User { .. } | Destination::Peer(_)) {
            return self.effects.push_back(Effect::Service(Service::Request { id, source, destination, hop: from, request }));
        }
        match destination {
            Destination::Node => self.serve(now, directory, id, from, source, request),
            Destination::User { ref account, .. } => {
                if request.method == Method::Subscribe
                    && let Source::User { account: subscriber, .. } = &source
                {
                    match request.headers.read::<EventHeader>() {
                        Some(event) if event.package.eq_ignore_ascii_case("reg") => {
                            return self.subscribe(now, id, from, subscriber, account.user, request);
                        }
                        Some(event) if event.is(deferred::EVENT) && subscriber.user == account.user => {
                            let service = Service::Request { id, source, destination: Destination::Deferred, hop: from, request };
                            return self.effects.push_back(Effect::Service(service));
                        }
                        // To oneself, any other package would come back to the device that asks.
                        Some(_) if subscriber.user == account.user => {
                            let refusal = Refusal::new(Status::BAD_EVENT).with(HeaderName::AllowEvents, EVENTS);
                            return self.refuse(now, id, &request, refusal);
                        }
                        Some(_) | None => {}
                    }
                }
                self.proceed(now, id, &from, &source, &destination, request);
            }
            Destination::Deferred => match source {
                Source::User { .. } => {
                    self.effects.push_back(Effect::Service(Service::Request { id, source, destination, hop: from, request }))
                }
                Source::Peer { .. } | Source::Dialog => self.refuse(now, id, &request, Refusal::new(Status::FORBIDDEN)),
            },
            Destination::Peer(_) | Destination::Route(_) => self.proceed(now, id, &from, &source, &destination, request),
        }
    }

    /// Sends a request on to where it goes, after the service has had its say: to all of a user's devices but those that it is not for.
    pub(crate) fn proceed(&mut self, now: Time, id: ServerId, from: &Hop, source: &Source, destination: &Destination, request: Request) {
        let targets = match destination {
            Destination::User { account, device, .. } => {
                let rejected = rejected(&request);
                let bindings = self.location.of(account.user).iter().filter(|binding| device.is(binding) && !rejects(&rejected, binding));
                bindings.map(Target::binding).collect()
            }
            Destination::Peer(_) if matches!(source, Source::Peer { .. }) => {
                return self.refuse(now, id, &request, Refusal::because(Status::FORBIDDEN, "No Transit"));
            }
            Destination::Peer(peer) => vec![Target::hop(self.peer_hop(*peer))],
            Destination::Route(hop) => vec![Target::hop(hop.clone())],
            Destination::Node | Destination::Deferred => Vec::new(),
        };
        if targets.is_empty() {
            return self.refuse(now, id, &request, Refusal::new(Status::TEMPORARILY_UNAVAILABLE));
        }
        self.fork(now, id, from, request, targets);
    }

    /// Requests for the node itself.
    fn serve(&mut self, now: Time, directory: &dyn Directory, id: ServerId, from: Hop, source: Source, request: Request) {
        match (&request.method, &source) {
            (Method::Register, Source::User { .. }) => self.register(now, directory, id, from, source, request),
            (Method::Options, _) => {
                let mut response = Response::to(&request, Status::OK);
                response.headers.push(HeaderName::Allow, ALLOW);
                response.headers.push(HeaderName::Supported, "path, outbound, gruu");
                response.headers.push(HeaderName::AllowEvents, EVENTS);
                self.respond(now, id, response);
            }
            (Method::Subscribe, Source::User { .. }) => self.resubscribe(now, id, request),
            (Method::Register, _) => self.refuse(now, id, &request, Refusal::new(Status::FORBIDDEN)),
            (Method::Subscribe | Method::Message | Method::Invite, _) => self.refuse(now, id, &request, Refusal::new(Status::NOT_FOUND)),
            (_, _) => self.refuse(now, id, &request, Refusal::new(Status::METHOD_NOT_ALLOWED).with(HeaderName::Allow, ALLOW)),
        }
    }

    fn register(&mut self, now: Time, directory: &dyn Directory, id: ServerId, from: Hop, source: Source, request: Request) {
        let Source::User { account, identity } = source else { return };
        let aor = request.headers.read::<To>().and_then(|to| Address::from_uri(&to.uri)).unwrap_or(identity);
        let registrant = Registrant { account: &account, aor: &aor, hop: &from, directory };
        let done = registrar::register(now, &request, &registrant, &mut self.location, &self.gruus, &mut self.entropy, &self.config);
        match done {
            Err(refusal) => self.refuse(now, id, &request, refusal),
            Ok(Registered { changes, writes, response }) if writes.is_empty() => {
                self.registered(now, Registering { id, response, changes })
            }
            Ok(Registered { changes, writes, response }) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.registering.insert(ticket, Registering { id, response, changes });
                self.effects.push_back(Effect::Commit { ticket, unit: Unit(writes) });
            }
        }
    }

    /// The bindings of a REGISTER are on the disk, or cannot be written: then they hold only as long as the process, and the client
    /// has to ask again.
    pub(crate) fn stored(&mut self, now: Time, directory: &dyn Directory, ticket: Ticket, result: Result<Applied, StoreError>) {
        let Some(mut registering) = self.registering.remove(&ticket) else { return };
        if result.is_err() {
            let mut response = registering.response;
            response.headers.retain(|header| !matches!(header.name, HeaderName::Contact | HeaderName::ServiceRoute));
            registering.response = Refusal::later(Status::SERVICE_UNAVAILABLE, 5).onto(response);
        }
        self.registered(now, registering);
        self.pump(now, directory);
    }

    /// Answers a REGISTER: its device is known before it hears so, everybody else is told after.
    fn registered(&mut self, now: Time, Registering { id, response, changes }: Registering) {
        self.sight(&changes);
        self.respond(now, id, response);
        self.announce(now, changes);
    }

    /// What the service sends to one device; `None` when the device is gone.
    pub(crate) fn deliver(&mut self, now: Time, user: UserId, binding: BindingId, mut request: Request) -> Option<ClientId> {
        let binding = self.location.get(user, binding)?;
        request.uri = binding.uri.clone();
        relay::put_routes(&mut request, &binding.path);
        let hop = binding.hop.clone();
        self.transmit(now, hop, request, Owner::Service)
    }

    /// What the service sends within a dialog of its own; `None` when the connection is gone.
    pub(crate) fn within(&mut self, now: Time, hop: &Hop, request: Request) -> Option<ClientId> {
        self.transmit(now, hop.clone(), request, Owner::Service)
    }

    /// What the service sends to a peer.
    pub(crate) fn forward(&mut self, now: Time, peer: usize, request: Request) -> Option<ClientId> {
        let hop = self.peer_hop(peer);
        self.transmit(now, hop, request, Owner::Service)
    }

    /// Where a Request-URI of the service's leads.
    pub(crate) fn target(&self, directory: &dyn Directory, uri: &wasm_core::wire::sip::Uri) -> ControlFlow<Refusal, Destination> {
        Router { tokens: &self.tokens, gruus: &self.gruus, directory, config: &self.config }.target(uri, &Method::Message)
    }

    /// Bindings have changed: the service hears of a registration, watchers of everything.
    pub(super) fn changed(&mut self, now: Time, changes: Vec<Change>) {
        self.sight(&changes);
        self.announce(now, changes);
    }

    fn announce(&mut self, now: Time, changes: Vec<Change>) {
        for change in &changes {
            // What expired or broke is not in the store for long; a REGISTER writes its own changes.
            if matches!(change.cause, super::location::Cause::Expired | super::location::Cause::Deactivated)
                && let Some(write) = registrar::durable(change)
            {
                self.effects.push_back(Effect::Write(write.into()));
            }
        }
        let mut rest = changes;
        while let Some(user) = rest.first().map(|change| change.binding.user) {
            let (of_user, others): (Vec<Change>, Vec<Change>) = rest.into_iter().partition(|change| change.binding.user == user);
            rest = others;
            self.user_changed(now, user, of_user);
        }
    }

    /// Tells of the devices behind bindings, where they name themselves.
    fn sight(&mut self, changes: &[Change]) {
        let sightings = changes.iter().filter_map(|change| self.sighting(change)).map(Effect::Sighted);
        let sightings: Vec<Effect> = sightings.collect();
        self.effects.extend(sightings);
    }

    fn sighting(&self, change: &Change) -> Option<Sighting> {
        use super::location::Cause;
        let binding = &change.binding;
        let instance = binding.instance.as_ref().and_then(InstanceId::parse)?;
        let seen = match change.cause {
            Cause::Registered => Seen::Registered {
                name: binding.params.text(feature::DEVICE_NAME).map(|name| Text::from(&*name)),
                agent: binding.agent.clone(),
                capabilities: binding.capabilities(),
            },
            Cause::Refreshed => Seen::Refreshed,
            // Another flow of the same device may be left.
            Cause::Expired | Cause::Unregistered | Cause::Deactivated => {
                if self.location.of(binding.user).iter().any(|other| other.instance == binding.instance) {
                    return None;
                }
                Seen::Left { signed_off: change.cause == Cause::Unregistered }
            }
        };
        Some(Sighting { user: binding.user, instance, seen })
    }

    fn user_changed(&mut self, now: Time, user: UserId, changes: Vec<Change>) {
        use super::location::Cause;
        if changes.iter().all(|change| change.cause == Cause::Refreshed) {
            return;
        }
        if changes.iter().any(|change| change.cause == Cause::Registered) {
            self.step(Function::Core, Function::Participating, || "REGISTER (third party)".into());
            self.step(Function::Participating, Function::Core, || "200".into());
            self.effects.push_back(Effect::Service(Service::Registered { user }));
        }
        self.notify_watchers(now, user, &changes);
        if self.reg_event.service_watches(user) {
            self.notify_service(user, changes);
        }
    }

    /// The service's own subscription to a user's registrations (R014): authorised by being part of this node.
    pub(crate) fn watch(&mut self, user: UserId) {
        if !self.reg_event.service_watch(user) {
            return;
        }
        self.step(Function::Participating, Function::Core, || "SUBSCRIBE (Event: reg)".into());
        self.step(Function::Core, Function::Participating, || "200".into());
        let all = self.location.of(user).iter();
        let changes = all.map(|binding| Change { binding: binding.clone(), cause: super::location::Cause::Registered }).collect();
        self.notify_service(user, changes);
    }

    fn notify_service(&mut self, user: UserId, changes: Vec<Change>) {
        self.step(Function::Core, Function::Participating, || "NOTIFY (Event: reg)".into());
        self.step(Function::Participating, Function::Core, || "200".into());
        self.effects.push_back(Effect::Service(Service::Notified { user, changes }));
        if self.location.of(user).is_empty() {
            self.reg_event.service_unwatch(user);
        }
    }
}
