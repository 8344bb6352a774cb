//! The reg event package [RFC3680]: who watches whose registrations, and what they are told.
//!
//! Watchers are clients, each in a dialog of its own and only of their own user (R030), and the service behind the core, whose
//! subscription is an entry in a set. Every document is a full one: a user has few devices, and a full one heals what was lost.
//!
//! | what happens | what follows |
//! |---|---|
//! | SUBSCRIBE | 200, then a NOTIFY with all there is |
//! | a binding comes, changes or goes | a NOTIFY; a mere refresh is none |
//! | SUBSCRIBE with Expires 0, or time is up | a last NOTIFY, terminated |
//! | a NOTIFY fails, or the watcher's connection closes | the subscription is gone |

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::sip::{
    CSeq, CallId, Contact as ContactHeader, ContentType, Event, Expires, From, HeaderName, MaxForwards, Method, NameAddr, RecordRoute,
    Request, Response, Route, SipUri, Status, SubscriptionState, To, Uri,
};
use wasm_core::wire::xml::reginfo::{Contact, ContactEvent, ContactState, Extent, Reginfo, Registration, RegistrationState};
use wasm_core::{Text, Time};

use super::location::{Binding, Cause, Change};
use super::refusal::Refusal;
use super::{Core, Owner, relay};
use crate::node::{FlowId, Hop, Transport};
use crate::store::{Account, UserId};

/// One subscription of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WatcherId(u64);

/// A client's subscription: its dialog and what it is about.
#[derive(Debug)]
struct Watcher {
    user: UserId,
    hop: Hop,
    /// The watcher's contact.
    target: Uri,
    routes: Vec<Text>,
    call_id: Text,
    /// Our end, with its tag: the From of every NOTIFY.
    local: NameAddr,
    /// The watcher's end.
    remote: NameAddr,
    cseq: u32,
    /// The last CSeq of the watcher.
    remote_cseq: u32,
    event: Event,
    version: u32,
    expires_at: Time,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct RegEvent {
    watchers: HashMap<WatcherId, Watcher>,
    of_user: HashMap<UserId, Vec<WatcherId>>,
    of_flow: HashMap<FlowId, Vec<WatcherId>>,
    of_call: HashMap<Text, WatcherId>,
    /// Those whom the service watches.
    service: HashSet<UserId>,
    deadlines: BinaryHeap<Reverse<(Time, WatcherId)>>,
    next: u64,
}

impl RegEvent {
    /// The service subscribes; false when it has already.
    pub(super) fn service_watch(&mut self, user: UserId) -> bool {
        self.service.insert(user)
    }

    pub(super) fn service_unwatch(&mut self, user: UserId) {
        self.service.remove(&user);
    }

    pub(super) fn service_watches(&self, user: UserId) -> bool {
        self.service.contains(&user)
    }

    /// A subscription has come to an end that nobody needs to be told of.
    pub(super) fn gone(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.remove(&id) else { return };
        if let Some(ids) = self.of_user.get_mut(&watcher.user) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.of_user.remove(&watcher.user);
            }
        }
        if let Hop::Flow(flow) = watcher.hop
            && let Some(ids) = self.of_flow.get_mut(&flow)
        {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.of_flow.remove(&flow);
            }
        }
        if self.of_call.get(&watcher.call_id) == Some(&id) {
            self.of_call.remove(&watcher.call_id);
        }
    }

    /// A watcher's connection is gone.
    pub(super) fn closed(&mut self, flow: FlowId) {
        let lost = self.of_flow.remove(&flow).unwrap_or_default();
        lost.into_iter().for_each(|id| self.gone(id));
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    fn of(&self, user: UserId) -> &[WatcherId] {
        self.of_user.get(&user).map_or(&[], Vec::as_slice)
    }

    /// The watcher whose dialog a request belongs to.
    fn within(&self, request: &Request) -> Option<WatcherId> {
        let call_id = request.headers.get(&HeaderName::CallId)?;
        let to = request.headers.read::<To>()?;
        let from = request.headers.read::<From>()?;
        let mine = |watcher: &Watcher| watcher.call_id == *call_id && watcher.local.tag() == to.tag() && watcher.remote.tag() == from.tag();
        let id = *self.of_call.get(call_id)?;
        self.watchers.get(&id).filter(|watcher| mine(watcher)).map(|_| id)
    }
}

impl Core {
    /// A SUBSCRIBE that begins a dialog. Only the user's own devices may watch (R030).
    pub(super) fn subscribe(&mut self, now: Time, id: ServerId, from: Hop, subscriber: &Account, user: UserId, request: Request) {
        match self.accept_watcher(now, from, subscriber, user, &request) {
            Err(refusal) => self.refuse(now, id, &request, refusal),
            Ok((watcher, mut response)) => {
                relay::tag(&mut response, &mut self.entropy);
                if let (Some(to), Some(watcher)) = (response.headers.read::<To>(), self.reg_event.watchers.get_mut(&watcher)) {
                    watcher.local = to.0;
                }
                self.layer.respond(now, id, response);
                self.flush();
                self.notify(now, watcher, None);
            }
        }
    }

    fn accept_watcher(
        &mut self,
        now: Time,
        from: Hop,
        subscriber: &Account,
        user: UserId,
        request: &Request,
    ) -> Result<(WatcherId, Response), Refusal> {
        let bad = |reason| Refusal::because(Status::BAD_REQUEST, reason);
        if subscriber.user != user {
            return Err(Refusal::because(Status::FORBIDDEN, "Not Your Registration"));
        }
        if self.reg_event.of(user).len() >= self.config.limits.subscriptions_per_user {
            return Err(Refusal::later(Status::FORBIDDEN, 60));
        }
        let headers = &request.headers;
        let remote = headers.read::<From>().ok_or_else(|| bad("Bad From"))?;
        let local = headers.read::<To>().ok_or_else(|| bad("Bad To"))?;
        if local.tag().is_some() {
            return Err(Refusal::new(Status::CALL_DOES_NOT_EXIST));
        }
        let event = headers.read::<Event>().ok_or_else(|| Refusal::new(Status::BAD_EVENT))?;
        let call_id = headers.get(&HeaderName::CallId).ok_or_else(|| bad("Missing Call-ID"))?.clone();
        let remote_cseq = headers.read::<CSeq>().ok_or_else(|| bad("Bad CSeq"))?.number;
        let contact = headers.read::<ContactHeader>().and_then(|contact| contact.addr().map(|addr| addr.uri.clone()));
        let target = contact.ok_or_else(|| bad("Missing Contact"))?;
        let routes = headers.list::<RecordRoute>().map_err(|_| bad("Bad Record-Route"))?;
        let expires = self.watch_time(request);
        self.reg_event.next += 1;
        let id = WatcherId(self.reg_event.next);
        let watcher = Watcher {
            user,
            hop: from,
            target,
            routes: routes.iter().map(|route| Text::from(route.to_string())).collect(),
            call_id,
            local: local.0,
            remote: remote.0,
            cseq: 0,
            remote_cseq,
            event,
            version: 0,
            expires_at: now + Duration::from_secs(u64::from(expires)),
        };
        self.reg_event.deadlines.push(Reverse((watcher.expires_at, id)));
        self.reg_event.of_user.entry(user).or_default().push(id);
        self.reg_event.of_call.insert(watcher.call_id.clone(), id);
        if let Hop::Flow(flow) = watcher.hop {
            self.reg_event.of_flow.entry(flow).or_default().push(id);
        }
        let response = self.watching(request, expires, &watcher.hop);
        self.reg_event.watchers.insert(id, watcher);
        Ok((id, response))
    }

    /// A SUBSCRIBE within a dialog: more time, or the end.
    pub(super) fn resubscribe(&mut self, now: Time, id: ServerId, request: Request) {
        let expires = self.watch_time(&request);
        let number = request.headers.read::<CSeq>().map_or(0, |cseq| cseq.number);
        let found = self.reg_event.within(&request);
        let Some((watcher_id, watcher)) = found.and_then(|id| Some((id, self.reg_event.watchers.get_mut(&id)?))) else {
            return self.refuse(now, id, &request, Refusal::new(Status::CALL_DOES_NOT_EXIST));
        };
        if number <= watcher.remote_cseq {
            return self.refuse(now, id, &request, Refusal::because(Status::SERVER_INTERNAL_ERROR, "Out of Order"));
        }
        watcher.remote_cseq = number;
        watcher.expires_at = now + Duration::from_secs(u64::from(expires));
        let (at, hop) = (watcher.expires_at, watcher.hop.clone());
        self.reg_event.deadlines.push(Reverse((at, watcher_id)));
        let response = self.watching(&request, expires, &hop);
        self.layer.respond(now, id, response);
        self.flush();
        if expires == 0 {
            self.notify(now, watcher_id, Some("timeout"));
            self.reg_event.gone(watcher_id);
        } else {
            self.notify(now, watcher_id, None);
        }
    }

    fn watch_time(&self, request: &Request) -> u32 {
        let most = self.config.policy.max_subscription;
        request.headers.read::<Expires>().map_or(most, |expires| expires.0.min(most))
    }

    fn watching(&self, request: &Request, expires: u32, hop: &Hop) -> Response {
        let mut response = Response::to(request, Status::OK);
        response.headers.push(HeaderName::Expires, expires.to_string());
        response.headers.put(&self.own_contact(hop));
        response.headers.copy(&request.headers, &HeaderName::RecordRoute);
        response
    }

    fn own_contact(&self, hop: &Hop) -> ContactHeader {
        self.contact(hop, SipUri::of_host(&self.config.host))
    }

    /// Where further requests of a dialog come to, over a hop.
    pub(crate) fn contact(&self, hop: &Hop, mut uri: SipUri) -> ContactHeader {
        let transport = self.transport(hop).unwrap_or(Transport::Udp);
        uri.port = self.config.port(transport);
        if transport != Transport::Udp {
            uri = uri.with_param("transport", transport.param());
        }
        ContactHeader::new(uri)
    }

    /// Tells all clients that watch a user.
    pub(super) fn notify_watchers(&mut self, now: Time, user: UserId, changes: &[Change]) {
        for id in self.reg_event.of(user).to_vec() {
            self.notify_of(now, id, None, changes);
        }
    }

    fn notify(&mut self, now: Time, id: WatcherId, ended: Option<&'static str>) {
        self.notify_of(now, id, ended, &[]);
    }

    fn notify_of(&mut self, now: Time, id: WatcherId, ended: Option<&'static str>, changes: &[Change]) {
        let contact = match self.reg_event.watchers.get(&id) {
            Some(watcher) => self.own_contact(&watcher.hop),
            None => return,
        };
        let Some(watcher) = self.reg_event.watchers.get_mut(&id) else { return };
        let document = document(now, watcher.version, &watcher.local, self.location.of(watcher.user), changes, &self.gruus);
        watcher.version += 1;
        watcher.cseq += 1;
        let mut request = Request::new(Method::Notify, watcher.target.clone());
        let headers = &mut request.headers;
        headers.put(&MaxForwards(70));
        headers.put(&From(watcher.local.clone()));
        headers.put(&To(watcher.remote.clone()));
        headers.put(&CallId(watcher.call_id.clone()));
        headers.put(&CSeq::new(watcher.cseq, Method::Notify));
        headers.put(&contact);
        headers.put(&watcher.event);
        headers.put(&match ended {
            Some(reason) => SubscriptionState::terminated(reason),
            None => SubscriptionState::active(watcher.expires_at.since(now).as_secs() as u32),
        });
        headers.put(&ContentType::new("application", "reginfo+xml"));
        for route in &watcher.routes {
            headers.push(<Route as wasm_core::wire::sip::TypedHeader>::NAME, route.clone());
        }
        request.body = document.encode();
        let hop = watcher.hop.clone();
        if self.transmit(now, hop, request, Owner::Watcher(id)).is_none() {
            self.reg_event.gone(id);
        }
    }

    /// Ends the subscriptions whose time is up.
    pub(super) fn expire_watchers(&mut self, now: Time) {
        while let Some(&Reverse((at, id))) = self.reg_event.deadlines.peek() {
            if at > now {
                break;
            }
            self.reg_event.deadlines.pop();
            if self.reg_event.watchers.get(&id).is_some_and(|watcher| watcher.expires_at <= now) {
                self.notify(now, id, Some("timeout"));
                self.reg_event.gone(id);
            }
        }
    }
}

/// All that there is to tell: the bindings of the user, and those that have just ended.
fn document(now: Time, version: u32, aor: &NameAddr, bindings: &[Binding], changes: &[Change], gruus: &super::gruu::Gruus) -> Reginfo {
    let mut contacts: Vec<Contact> = bindings
        .iter()
        .map(|binding| {
            let cause = changes.iter().find(|change| change.binding.id == binding.id).map_or(Cause::Registered, |change| change.cause);
            contact(now, binding, cause, gruus)
        })
        .collect();
    let ended = changes.iter().filter(|change| !matches!(change.cause, Cause::Registered | Cause::Refreshed));
    contacts.extend(ended.map(|change| contact(now, &change.binding, change.cause, gruus)));
    let state = if bindings.is_empty() { RegistrationState::Terminated } else { RegistrationState::Active };
    Reginfo {
        version,
        state: Extent::Full,
        registrations: vec![Registration { aor: Text::from(aor.uri.to_string()), id: Text::from("a"), state, contacts }],
    }
}

fn contact(now: Time, binding: &Binding, cause: Cause, gruus: &super::gruu::Gruus) -> Contact {
    let (state, event) = match cause {
        Cause::Registered => (ContactState::Active, ContactEvent::Registered),
        Cause::Refreshed => (ContactState::Active, ContactEvent::Refreshed),
        Cause::Expired => (ContactState::Terminated, ContactEvent::Expired),
        Cause::Unregistered => (ContactState::Terminated, ContactEvent::Unregistered),
        Cause::Deactivated => (ContactState::Terminated, ContactEvent::Deactivated),
    };
    let mut contact = Contact::new(Text::from(format!("c{}", binding.id.0)), Text::from(binding.uri.to_string()), state, event);
    contact.expires = Some(binding.seconds_left(now) as u32);
    contact.duration = Some(now.since(binding.since).as_secs() as u32);
    contact.call_id = Some(binding.call_id.clone());
    contact.cseq = Some(binding.cseq);
    contact.display_name.clone_from(&binding.display);
    let further = binding.params.iter().filter(|(name, _)| !matches!(name.as_str(), "expires" | "q"));
    contact.params = further.map(|(name, value)| (name.clone(), value.cloned().unwrap_or_default())).collect();
    contact.pub_gruu = binding.instance.as_ref().filter(|_| binding.gruu).map(|instance| gruus.public(&binding.aor, instance));
    contact
}
