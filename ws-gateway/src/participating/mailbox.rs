//! One user's devices as the service sees them: a lane to each, and what is settled.
//!
//! The peers are the devices of [`UserId::PEERS`]: what the service itself has to tell them waits and is tried again in the same way.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::feature;
use wasm_core::cpm::preferences::{self, Expiry, Preferences};
use wasm_core::wire::imdn::{Delivery, Report};
use wasm_core::wire::sip::{CSeq, CallId, From, HeaderName, MaxForwards, Method, Request, Response, Status};
use wasm_core::{Text, Time};

use super::deferred::Decision;
use super::lanes::{Carrier, Lane, Parcel, Put};
use super::policy::{self, Offer};
use super::post::{Party, Post};
use super::{Alarm, Awaited, BREATH, Flight, Hand, PAGE, Participating, deferred, notices, post, receipts, terminating};
use crate::node::{Function, Outlet, Query, Sent};
use crate::sip_core::location::{BindingId, Cause, Change};
use crate::sip_core::routing::Destination;
use crate::store::{PendingId, PendingKind, Queued, Unit, UserId, Write};
use std::ops::ControlFlow;

/// A user's lanes.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    lanes: Vec<Lane>,
    /// Queue entries whose end is written or about to be. The store may still show them to a lane that reads; the flag says that
    /// the end is durable.
    settled: HashMap<PendingId, bool>,
    /// How many lanes are reading.
    reading: usize,
}

impl Mailbox {
    /// The lanes to the peers, which begin with what the last run left.
    pub(super) fn of_peers(peers: usize, limit: usize) -> Self {
        let lanes = (0..peers).map(|peer| Lane::new(lane_to(peer), None, limit, true)).collect();
        Mailbox { lanes, ..Mailbox::default() }
    }

    /// The end of a queue entry is durable.
    pub(super) fn acknowledged(&mut self, pending: PendingId) {
        if self.reading == 0 {
            self.settled.remove(&pending);
        } else if let Some(durable) = self.settled.get_mut(&pending) {
            *durable = true;
        }
    }

    fn read(&mut self) {
        self.reading = self.reading.saturating_sub(1);
        if self.reading == 0 {
            self.settled.retain(|_, durable| !*durable);
        }
    }

    fn lane(&mut self, binding: BindingId) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.binding == binding)
    }

    /// Whether a device is there that needs no notice out of band.
    pub(super) fn answers_for(&self, outlet: &Outlet) -> bool {
        self.lanes.iter().any(|lane| lane.outlet.as_ref() == Some(outlet) && lane.wakes().is_none())
    }

    /// Whether a device is there that answers, as far as is known.
    pub(super) fn is_reachable(&self) -> bool {
        self.lanes.iter().any(|lane| lane.wakes().is_none())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.settled.is_empty() && self.reading == 0
    }
}

/// The lane to a peer.
fn lane_to(peer: usize) -> BindingId {
    BindingId(peer as u64)
}

/// Whether a parcel is for this lane: a GRUU names one device [RFC5627], and every peer has users of its own.
fn concerns(hand: &Hand<'_>, user: UserId, binding: BindingId, parcel: &Parcel) -> bool {
    let uri = &parcel.request.uri;
    let peers = user == UserId::PEERS;
    // Most are for all devices, and nobody need be asked.
    if !peers && !uri.sip().is_some_and(|uri| uri.params.has("gr")) {
        return true;
    }
    match hand.core.target(hand.directory, uri) {
        ControlFlow::Continue(Destination::Peer(peer)) => peers && lane_to(peer) == binding,
        ControlFlow::Continue(Destination::User { device, .. }) => {
            !peers && hand.core.location().get(user, binding).is_some_and(|binding| device.is(binding))
        }
        ControlFlow::Continue(Destination::Node | Destination::Deferred | Destination::Route(_)) | ControlFlow::Break(_) => false,
    }
}

/// When a parcel may go to a lane's device: by whom it is for, and by what its user has chosen, if anything (R243, R245).
fn offer(hand: &Hand<'_>, user: UserId, binding: BindingId, parcel: &Parcel, chosen: Option<&Preferences>) -> Offer {
    if !concerns(hand, user, binding, parcel) {
        return Offer::Never;
    }
    let Some(chosen) = chosen else { return Offer::Now };
    let device = hand.core.location().get(user, binding).and_then(policy::instance);
    match (parcel.kind, parcel.pending) {
        // What the service itself has to say.
        (PendingKind::Message, None) => Offer::Now,
        (PendingKind::Message, Some(_)) => match Envelope::unwrap(&parcel.request) {
            Ok(envelope) => {
                let letter = post::letter(&envelope, &parcel.from);
                policy::offer(hand.now, chosen, device.as_ref(), preferences::Delivery::Message, Some(letter))
            }
            Err(_) => Offer::Now,
        },
        // A probe is for the device that asks.
        (PendingKind::Notification, None) if parcel.letter.is_some() => Offer::Now,
        // That somebody is typing is news of a message.
        (PendingKind::Notification, None) => policy::offer(hand.now, chosen, device.as_ref(), preferences::Delivery::Message, None),
        (PendingKind::Notification, Some(_)) => {
            let asked =
                receipts::addressee(&parcel.request).is_some_and(|sent| device.as_ref().is_some_and(|device| *device.text() == sent));
            if asked { Offer::Now } else { policy::offer(hand.now, chosen, device.as_ref(), preferences::Delivery::Notification, None) }
        }
    }
}

/// What a device's answer means for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Took,
    /// Not in CPIM.
    Plainer,
    /// Never.
    Never,
    /// Not now.
    NotNow,
}

fn reply(status: Status) -> Reply {
    match status.0 {
        200..300 => Reply::Took,
        415 => Reply::Plainer,
        // About the device, the connection or the moment rather than the message.
        401 | 404 | 407 | 408 | 410 | 421 | 423 | 429 | 430 | 480 | 481 | 482 | 483 | 486 | 487 | 491 => Reply::NotNow,
        400..=499 | 501 | 505 | 513 | 600.. => Reply::Never,
        _ => Reply::NotNow,
    }
}

/// What a peer's answer means: most refusals are about the one notification, and must not hold up the others.
fn peer_reply(status: Status) -> Reply {
    match status.0 {
        408 | 429 | 491 | 500 | 502..=504 => Reply::NotNow,
        200..300 => Reply::Took,
        _ => Reply::Never,
    }
}

impl Participating {
    /// Who is registered has changed.
    pub(super) fn notified(&mut self, hand: &mut Hand<'_>, user: UserId, changes: &[Change]) {
        let waiting = self.waiting.as_ref().is_none_or(|waiting| waiting.contains(&user));
        for change in changes {
            let binding = change.binding.id;
            let mailbox = self.mailboxes.entry(user).or_default();
            match change.cause {
                Cause::Registered => {
                    let mut lane = Lane::new(binding, notices::outlet(&change.binding), self.config.limits.lane, waiting);
                    lane.offers = change.binding.takes(feature::Service::Deferred);
                    match mailbox.lane(binding) {
                        Some(old) => {
                            let old = std::mem::replace(old, lane);
                            self.lane_ended(hand, &old);
                            self.left(hand, user, old.outlet.clone(), &old.dissolve());
                        }
                        None => mailbox.lanes.push(lane),
                    }
                }
                Cause::Refreshed => {}
                Cause::Expired | Cause::Unregistered | Cause::Deactivated => {
                    if let Some(at) = mailbox.lanes.iter().position(|lane| lane.binding == binding) {
                        let lane = mailbox.lanes.remove(at);
                        self.lane_ended(hand, &lane);
                        self.left(hand, user, lane.outlet.clone(), &lane.dissolve());
                    }
                }
            }
        }
        self.run(hand, user);
    }

    /// A lane is no more, nor is its session.
    fn lane_ended(&mut self, hand: &mut Hand<'_>, lane: &Lane) {
        if let Some(session) = lane.carrier.session() {
            self.abandon(hand, session);
        }
    }

    /// How a device gets what is in its lane.
    pub(super) fn carrier(&self, user: UserId, binding: BindingId) -> Option<Carrier> {
        let lanes = &self.mailboxes.get(&user)?.lanes;
        lanes.iter().find(|lane| lane.binding == binding).map(|lane| lane.carrier.clone())
    }

    /// From now on a device gets what is in its lane so.
    pub(super) fn carry(&mut self, user: UserId, binding: BindingId, carrier: Carrier) {
        if let Some(lane) = self.mailboxes.get_mut(&user).and_then(|mailbox| mailbox.lane(binding)) {
            lane.carrier = carrier;
        }
    }

    /// Something in the store is for a user's devices that they may not have been told of.
    pub(super) fn catch_up(&mut self, hand: &mut Hand<'_>, user: UserId) {
        self.waits(user);
        if let Some(mailbox) = self.mailboxes.get_mut(&user) {
            mailbox.lanes.iter_mut().for_each(Lane::catch_up);
            self.run(hand, user);
        }
    }

    /// Nobody will try these on a device now: their senders need not wait, and the device may have to be told otherwise.
    fn left(&mut self, hand: &mut Hand<'_>, user: UserId, outlet: Option<Outlet>, parcels: &[Arc<Parcel>]) {
        for parcel in parcels {
            self.device_done(hand, parcel.letter, false);
        }
        self.given_up(hand, user, outlet.as_ref(), parcels);
    }

    /// Puts a parcel on every lane of a user; says how many devices will be tried.
    pub(super) fn deliver(&mut self, hand: &mut Hand<'_>, user: UserId, parcel: Arc<Parcel>) -> usize {
        let Some(mailbox) = self.mailboxes.get_mut(&user) else { return 0 };
        let chosen = policy::chosen(hand.directory, user);
        if parcel.kind == PendingKind::Notification
            && let Some(first) = receipts::addressee(&parcel.request)
        {
            // The device that sent a message hears of it first (R181, R284); else the order of the lanes means nothing.
            let is_first = |binding| hand.core.location().get(user, binding).is_some_and(|found| found.instance.as_ref() == Some(&first));
            mailbox.lanes.sort_by_key(|lane| !is_first(lane.binding));
        }
        let mut taken = 0;
        for lane in &mut mailbox.lanes {
            match offer(hand, user, lane.binding, &parcel, chosen.as_deref()) {
                Offer::Now => taken += usize::from(lane.put(&parcel) == Put::Taken),
                Offer::At(until) => {
                    if parcel.pending.is_some() && lane.later(until) {
                        self.alarms.push(Reverse((until, Alarm::Lanes(user))));
                    }
                }
                Offer::Never => {}
            }
        }
        // The letter has to know how many before the first of them fails.
        if let Some(letter) = parcel.letter.and_then(|id| self.letters.get_mut(&id)) {
            letter.phase = super::Phase::Delivering { open: taken };
        }
        self.run(hand, user);
        taken
    }

    /// Sends what may be sent to a user's devices, and asks the store where a lane wants more.
    pub(super) fn run(&mut self, hand: &mut Hand<'_>, user: UserId) {
        let mut nth = 0;
        while let Some(lane) = self.mailboxes.get_mut(&user).and_then(|mailbox| mailbox.lanes.get_mut(nth)) {
            let binding = lane.binding;
            if lane.wants_session() {
                lane.offers = false;
                self.offer(hand, user, binding);
                continue;
            }
            if let Some(parcel) = lane.next() {
                self.send(hand, user, binding, parcel);
                continue;
            }
            if let Some(session) = lane.done().cloned() {
                self.abandon(hand, &session);
                continue;
            }
            if let Some(after) = lane.ask() {
                if let Some(mailbox) = self.mailboxes.get_mut(&user) {
                    mailbox.reading += 1;
                }
                self.load(Awaited::Queue(user, binding), Query::Pending { user, after, limit: PAGE });
            }
            nth += 1;
        }
        if self.mailboxes.get(&user).is_some_and(Mailbox::is_empty) {
            self.mailboxes.remove(&user);
        }
    }

    /// Tells the ladder of something that comes out of the queue.
    fn resent(&self, hand: &mut Hand<'_>, parcel: &Parcel) {
        let label = || Envelope::unwrap(&parcel.request).map_or("MESSAGE", |envelope| post::label(&envelope.content)).to_owned();
        hand.core.step(Function::Participating, Function::Core, label);
    }

    /// Sends a parcel to a device: in its session, if it has one.
    fn send(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId, parcel: Arc<Parcel>) {
        match self.carrier(user, binding) {
            Some(Carrier::Session(session))
                if self.adapted(hand, user, binding, &parcel).is_none() && self.send_pushed(&session, &parcel) =>
            {
                self.note_device(hand, user, binding, &parcel, false, Sent::Word("SEND (MSRP)"));
            }
            _ => {
                let word = match parcel.kind {
                    PendingKind::Message => "MESSAGE",
                    PendingKind::Notification => "MESSAGE (IMDN)",
                };
                self.note_device(hand, user, binding, &parcel, false, Sent::Word(word));
                if parcel.letter.is_none() && parcel.pending.is_some() {
                    self.resent(hand, &parcel);
                }
                self.send_alone(hand, user, binding, parcel, false);
            }
        }
    }

    /// Sends a parcel to a device as a MESSAGE, in plain text where it wants it so.
    pub(super) fn send_alone(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId, parcel: Arc<Parcel>, plainer: bool) {
        if user == UserId::PEERS {
            return match hand.core.forward(hand.now, binding.0 as usize, parcel.request.clone()) {
                Some(client) => drop(self.flights.insert(client, Flight::Device { user, binding, outlet: None, parcel, plain: false })),
                None => self.device(hand, user, binding, parcel, false, Reply::NotNow),
            };
        }
        let request = self.adapted(hand, user, binding, &parcel);
        let request = request.as_ref().unwrap_or(&parcel.request);
        let plain = plainer || hand.core.location().get(user, binding).is_some_and(|binding| binding.plain);
        let request = if plain { plain_request(request) } else { Some(request.clone()) };
        let outlet = self.mailboxes.get_mut(&user).and_then(|mailbox| mailbox.lane(binding)).and_then(|lane| lane.outlet.clone());
        let Some(request) = request else {
            // There is no plain form of a notification, and the device would refuse any other.
            return self.device(hand, user, binding, parcel, plain, Reply::Never);
        };
        match hand.core.deliver(hand.now, user, binding, request) {
            Some(client) => drop(self.flights.insert(client, Flight::Device { user, binding, outlet, parcel, plain })),
            None => {
                self.device(hand, user, binding, parcel.clone(), plain, Reply::NotNow);
                self.given_up(hand, user, outlet.as_ref(), &[parcel]);
            }
        }
    }

    /// What a device gets in place of a message that is more than its user wants it to get (R238).
    fn adapted(&self, hand: &Hand<'_>, user: UserId, binding: BindingId, parcel: &Parcel) -> Option<Request> {
        let chosen = policy::chosen(hand.directory, user).filter(|_| parcel.kind == PendingKind::Message && parcel.pending.is_some())?;
        let device = hand.core.location().get(user, binding).and_then(policy::instance);
        let envelope = Envelope::unwrap(&parcel.request).ok()?;
        let letter = post::letter(&envelope, &parcel.from);
        policy::announces(hand.now, &chosen, device.as_ref(), letter).then(|| terminating::announcement(&parcel.request, envelope))
    }

    /// A request of the service's has come to its end.
    pub(super) fn landed(&mut self, hand: &mut Hand<'_>, client: wasm_core::sip::transaction::ClientId, response: Response) {
        match self.flights.remove(&client) {
            Some(Flight::Device { user, binding, outlet, parcel, plain }) => {
                hand.core.step(Function::Core, Function::Participating, || response.status.0.to_string());
                let reply = if user == UserId::PEERS { peer_reply(response.status) } else { reply(response.status) };
                self.device(hand, user, binding, parcel.clone(), plain, reply);
                match reply {
                    Reply::NotNow => self.given_up(hand, user, outlet.as_ref(), &[parcel]),
                    Reply::Took | Reply::Plainer | Reply::Never => self.answered_for(&parcel, outlet.as_ref()),
                }
                self.run(hand, user);
            }
            Some(Flight::Peer(letter)) => self.forwarded(hand, letter, response),
            Some(Flight::List(user, dialog)) => self.told_list(hand, user, &dialog, response.status),
            Some(Flight::Offer(session)) => self.offer_answered(hand, &session, &response),
            Some(Flight::Bye) => hand.core.step(Function::Core, Function::Participating, || response.status.0.to_string()),
            None => {}
        }
    }

    /// What a device made of a parcel.
    pub(super) fn device(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId, parcel: Arc<Parcel>, plain: bool, reply: Reply) {
        let answer = match reply {
            Reply::Took => Sent::Answer(Status::OK),
            Reply::Plainer => Sent::Answer(Status::UNSUPPORTED_MEDIA_TYPE),
            Reply::Never => Sent::Word("refused"),
            Reply::NotNow => Sent::Word("no answer"),
        };
        self.note_device(hand, user, binding, &parcel, true, answer);
        if reply == Reply::Plainer && !plain {
            hand.core.location_mut().refused_cpim(user, binding);
            return self.send_alone(hand, user, binding, parcel, true);
        }
        if let Some(lane) = self.mailboxes.get_mut(&user).and_then(|mailbox| mailbox.lane(binding)) {
            lane.landed(&parcel);
        }
        match reply {
            Reply::Took => {
                self.end(user, &parcel);
                self.device_done(hand, parcel.letter, true);
                let reports = hand.core.location().get(user, binding).is_some_and(|binding| binding.cpm);
                if plain || !reports {
                    self.report_for(hand, user, &parcel);
                }
            }
            Reply::Plainer | Reply::Never => {
                // Nobody can do anything about a notification that a device does not understand.
                if parcel.kind == PendingKind::Notification {
                    self.end(user, &parcel);
                }
                self.device_done(hand, parcel.letter, false);
            }
            Reply::NotNow => {
                self.device_done(hand, parcel.letter, false);
                self.stall(hand, user, binding);
            }
        }
    }

    /// A device is left alone for a while.
    pub(super) fn stall(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId) {
        let until = hand.now + self.config.policy.lane_retry;
        let Some(lane) = self.mailboxes.get_mut(&user).and_then(|mailbox| mailbox.lane(binding)) else { return };
        let (lost, outlet) = (lane.stall(until), lane.outlet.clone());
        self.waits(user);
        self.alarms.push(Reverse((until, Alarm::Lanes(user))));
        self.left(hand, user, outlet, &lost);
    }

    /// Stalled lanes whose time has come try again.
    pub(super) fn wake(&mut self, hand: &mut Hand<'_>, user: UserId) {
        let now = hand.now;
        if let Some(mailbox) = self.mailboxes.get_mut(&user) {
            if mailbox.lanes.iter_mut().fold(false, |again, lane| lane.wake(now) | again) {
                self.alarms.push(Reverse((now + BREATH, Alarm::Lanes(user))));
            }
            self.run(hand, user);
        }
    }

    /// A device has it: it need not wait any more.
    fn end(&mut self, user: UserId, parcel: &Parcel) {
        let Some(pending) = parcel.pending else { return };
        let known = self.mailboxes.get(&user).is_some_and(|mailbox| mailbox.settled.contains_key(&pending));
        if !known {
            self.settle(user, pending);
        }
    }

    /// Writes the end of a queue entry.
    pub(super) fn settle(&mut self, user: UserId, pending: PendingId) {
        if let Some(mailbox) = self.mailboxes.get_mut(&user) {
            mailbox.settled.insert(pending, false);
        }
        self.commit(Awaited::Settled(user, pending), Unit::from(Write::Unqueue { user, id: pending }));
    }

    /// What the store had for a lane.
    pub(super) fn queued(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId, queued: &[Queued]) {
        let Some(mailbox) = self.mailboxes.get_mut(&user) else { return };
        let taken = |id: &PendingId| mailbox.settled.contains_key(id) || self.carrying.contains(id);
        let alive = queued.iter().filter(|entry| !taken(&entry.id) && entry.pending.expires_at > hand.now);
        let chosen = policy::chosen(hand.directory, user);
        let mut parcels = Vec::new();
        let mut later: Option<Time> = None;
        for parcel in alive.filter_map(deferred::parcel) {
            match offer(hand, user, binding, &parcel, chosen.as_deref()) {
                Offer::Now => parcels.push(parcel),
                Offer::At(until) => later = Some(later.map_or(until, |earlier| earlier.min(until))),
                Offer::Never => {}
            }
        }
        let more = queued.len() >= PAGE;
        if let Some(lane) = mailbox.lane(binding) {
            lane.loaded(parcels, queued.last().map(|entry| entry.id), more);
            if let Some(until) = later.filter(|until| lane.later(*until)) {
                self.alarms.push(Reverse((until, Alarm::Lanes(user))));
            }
        }
        mailbox.read();
        if queued.is_empty()
            && let Some(waiting) = &mut self.waiting
        {
            waiting.remove(&user);
        }
        self.run(hand, user);
    }

    /// What has waited for too long waits longer, where its recipient wants it to. Else it ends, and its sender hears of it, if they want to
    /// (R055, R208).
    pub(super) fn expired(&mut self, hand: &mut Hand<'_>, queued: Vec<Queued>) {
        for entry in queued {
            let (user, id) = (entry.pending.user, entry.id);
            let settled = self.mailboxes.get(&user).is_some_and(|mailbox| mailbox.settled.contains_key(&id));
            if settled || self.carrying.contains(&id) || !self.burying.insert(id) {
                continue;
            }
            let expiry = match entry.pending.kind {
                PendingKind::Message => deferred::expiry(hand, &self.config.policy, &entry),
                PendingKind::Notification => Expiry::Discard,
            };
            if entry.pending.kind == PendingKind::Message && !matches!(expiry, Expiry::Extend(_)) {
                self.note_expiry(hand.now, user, &entry.pending.message_id);
            }
            match expiry {
                Expiry::Extend(until) => self.commit(Awaited::Noted(user, id), Unit::from(Write::Extend { user, id, until })),
                expiry if entry.held => self.decide(None, entry, Decision::End { keep: expiry == Expiry::Store, tell: true }),
                // It lies in the history since it came.
                Expiry::Discard | Expiry::Store => {
                    self.settle(user, id);
                    if let Some(envelope) = deferred::mourned(&entry) {
                        self.report(hand, user, &envelope, Report::Delivery(Delivery::Failed));
                    }
                }
            }
        }
    }

    /// The service reports the delivery for a device that cannot.
    fn report_for(&mut self, hand: &mut Hand<'_>, user: UserId, parcel: &Parcel) {
        if parcel.kind == PendingKind::Message
            && let Ok(envelope) = Envelope::unwrap(&parcel.request)
        {
            self.report(hand, user, &envelope, Report::Delivery(Delivery::Delivered));
        }
    }

    /// A notification that the service makes in its user's name.
    pub(super) fn report(&mut self, hand: &mut Hand<'_>, user: UserId, envelope: &Envelope, report: Report) {
        let Some(envelope) = envelope.notification(&mut self.entropy, hand.now, report) else { return };
        let Some(message_id) = envelope.message_id.clone() else { return };
        let sender = Party::User { user, address: envelope.from.clone() };
        let recipient = match hand.core.target(hand.directory, &envelope.to.to_uri()) {
            ControlFlow::Continue(Destination::User { account, address, .. }) => Party::User { user: account.user, address },
            ControlFlow::Continue(Destination::Peer(peer)) => Party::Peer { peer, address: envelope.to.clone() },
            ControlFlow::Continue(Destination::Node | Destination::Deferred | Destination::Route(_)) | ControlFlow::Break(_) => return,
        };
        let request = self.own_request(&envelope, sender.address(), feature::PAGER);
        let expires_at = hand.now + self.config.policy.message_expiry;
        let post = Post::new(sender, recipient, envelope, message_id, expires_at, request);
        if report == Report::Delivery(Delivery::Failed) || post.recipient.user().is_none() {
            self.tell(hand, post);
        } else {
            self.take(hand, post, None);
        }
    }

    /// What the service itself knows needs no check; before it goes on, it is in the queue.
    fn tell(&mut self, hand: &mut Hand<'_>, post: Post) {
        let Content::Notification(notification) = &post.envelope.content else { return };
        if post.recipient.user().is_some() {
            hand.core.step(Function::Participating, Function::Core, || post.label().into());
        }
        let unit = super::receipts::unit(hand.now, hand.directory, &post, notification);
        let key = post.key();
        if self.under_way.contains_key(&key) {
            return;
        }
        self.next_letter += 1;
        let id = super::LetterId(self.next_letter);
        self.under_way.insert(key.clone(), id);
        let (waiters, phase) = (Vec::new(), super::Phase::Committing);
        self.letters.insert(id, super::Letter { key, post, since: hand.now, waiters, phase, early: Vec::new() });
        self.commit(Awaited::Letter(id), unit);
    }

    /// A request of the service's own, as a client would have sent it.
    pub(super) fn own_request(&mut self, envelope: &Envelope, sender: &Address, service: &'static str) -> Request {
        let mut request = envelope.wrap();
        let headers = &mut request.headers;
        headers.remove(&HeaderName::PPreferredService);
        headers.set(HeaderName::PAssertedService, service);
        headers.push(HeaderName::PAssertedIdentity, asserted(sender));
        headers.put(&MaxForwards(70));
        if let Some(mut from) = headers.read::<From>() {
            from.set_tag(&self.entropy.hex::<6>());
            headers.put(&from);
        }
        headers.put(&CallId(Text::from(self.entropy.hex::<12>())));
        headers.put(&CSeq::new(1, Method::Message));
        request
    }
}

fn asserted(address: &Address) -> Text {
    Text::from(format!("<{address}>"))
}

/// The message in the form that every phone understands.
fn plain_request(request: &Request) -> Option<Request> {
    let plain = Envelope::unwrap(request).ok()?.wrap_plain()?;
    let mut request = request.clone();
    match plain.headers.get(&HeaderName::ContentType) {
        Some(kind) => request.headers.set(HeaderName::ContentType, kind.clone()),
        None => drop(request.headers.remove(&HeaderName::ContentType)),
    }
    request.body = plain.body;
    // Another request than the one that was refused, and not that one on a second way [RFC3261 §8.2.2.2].
    let number = request.headers.typed::<CSeq>().and_then(Result::ok).map_or(1, |cseq| cseq.number.saturating_add(1));
    request.headers.put(&CSeq::new(number, Method::Message));
    Some(request)
}
