//! The way of a letter: from the message that came in, over the checks, the disk, the devices or a peer, to its answer.
//!
//! The diagram is in the parent module. Every step is a function; [`Phase`] says what a letter waits for between two of them.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope, Wants};
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::{InstanceId, MessageId};
use wasm_core::cpm::probe;
use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::imdn::Report;
use wasm_core::wire::sip::{MaxForwards, Request, Response, Status};

use super::policy::{self, Course};
use super::post::{Fate, Party, Post, PostKey};
use super::recent::{Key, Known};
use super::{
    Alarm, Awaited, Flight, Hand, Letter, LetterId, Participating, Phase, Waiter, deferred, originating, post, receipts, terminating, trail,
};
use crate::node::{Function, Hop, Query};
use crate::sip_core::front_door::Source;
use crate::sip_core::refusal::Refusal;
use crate::sip_core::routing::Destination;
use crate::store::{Applied, Direction, Disposition, Unit, UserId};

impl Participating {
    /// A message has come in.
    pub(super) fn message(
        &mut self,
        hand: &mut Hand<'_>,
        id: ServerId,
        from: &Hop,
        source: &Source,
        destination: Destination,
        request: Request,
    ) {
        let response = Response::to(&request, Status::OK);
        if self.letters.len() >= self.config.limits.messages {
            return hand.core.respond(hand.now, id, Refusal::later(Status::SERVICE_UNAVAILABLE, 5).onto(response));
        }
        match originating::admit(hand.now, &self.config, hand.directory, source, destination, request) {
            ControlFlow::Break(refusal) => {
                hand.core.step(Function::Core, Function::Participating, || "MESSAGE".into());
                hand.core.step(Function::Participating, Function::Core, || refusal.status.0.to_string());
                hand.core.respond(hand.now, id, refusal.onto(response));
            }
            ControlFlow::Continue(mut post) => {
                hand.core.step(Function::Core, Function::Participating, || post.label().into());
                let bindings = post.sender.user().map_or(&[][..], |user| hand.core.location().of(user));
                let binding = bindings.iter().find(|binding| binding.hop == *from);
                post.device = binding.and_then(|binding| binding.instance.clone());
                let device = binding.map(trail::name);
                self.note_arrival(hand.now, &post, device.as_ref());
                self.take(hand, post, Some(Waiter { id, response, device }));
            }
        }
    }

    /// A message has been admitted, or is the service's own.
    pub(super) fn take(&mut self, hand: &mut Hand<'_>, post: Post, waiter: Option<Waiter>) {
        let key = post.key();
        if let Some(letter) = self.under_way.get(&key).and_then(|id| self.letters.get_mut(id)) {
            // A second try joins the first.
            letter.waiters.extend(waiter);
            return;
        }
        if matches!(post.sender, Party::User { .. }) {
            hand.core.step(Function::Participating, Function::Core, || post.label().into());
            if matches!(post.recipient, Party::User { .. }) {
                hand.core.step(Function::Core, Function::Participating, || post.label().into());
            }
        }
        self.next_letter += 1;
        let id = LetterId(self.next_letter);
        self.under_way.insert(key.clone(), id);
        let waiters = waiter.into_iter().collect();
        let letter = Letter { key, post, since: hand.now, waiters, phase: Phase::Checking, early: Vec::new() };
        match (&letter.post.envelope.content, &letter.post.recipient) {
            (Content::Composing(_), Party::User { user, .. }) => {
                let user = *user;
                let from = letter.post.sender.address();
                let out = policy::chosen(hand.directory, user)
                    .is_some_and(|chosen| policy::shuts_out(hand.now, &chosen, hand.core.location().of(user), from));
                self.letters.insert(id, letter);
                if out {
                    return self.answer(hand, id, Status::OK);
                }
                self.type_to(hand, id, user);
            }
            (Content::Notification(notification), _) => {
                let (report, subject) = (notification.report, receipts::subject(&letter.post, notification));
                self.letters.insert(id, letter);
                self.check(hand, id, report, subject);
            }
            (Content::Composing(_) | Content::Text(_) | Content::Other { .. }, Party::Peer { .. }) => {
                self.letters.insert(id, letter);
                self.forward(hand, id);
            }
            (content, Party::User { user, .. }) if probe::is_probe(content) => {
                let user = *user;
                self.letters.insert(id, letter);
                self.probe(hand, id, user);
            }
            (Content::Text(_) | Content::Other { .. }, Party::User { user, .. }) => {
                let user = *user;
                self.letters.insert(id, letter);
                self.terminate(hand, id, user);
            }
        }
    }

    /// A message to a user of this node: what they and its sender prefer decides where it goes.
    fn terminate(&mut self, hand: &mut Hand<'_>, id: LetterId, user: UserId) {
        let Some(post) = self.letters.get(&id).map(|letter| &letter.post) else { return };
        let sender_keeps = post.sender.user().and_then(|sender| policy::chosen(hand.directory, sender)).is_none_or(|chosen| {
            let device = post.device.as_ref().and_then(InstanceId::parse);
            policy::keeps(chosen.profile(device.as_ref(), hand.now), post.envelope.content.content_type())
        });
        let course = policy::chosen(hand.directory, user).map(|chosen| {
            let account = post.sender.user().and_then(|user| hand.directory.user(user));
            let from = policy::known_as(&chosen, account.as_deref(), post.sender.address());
            policy::course(hand.now, &chosen, hand.core.location().of(user), post::letter(&post.envelope, &from))
        });
        let fate = match course {
            None => Fate::Delivered { kept: true },
            // Devices that are registered may have gone silent.
            Some(Course::Deliver { kept }) => self.hold(hand, post).map_or(Fate::Delivered { kept }, Fate::Held),
            Some(Course::Hold) => Fate::Held(deferred::held(hand, post)),
            Some(Course::Store) => Fate::Stored,
            Some(Course::Drop) => Fate::Dropped,
            Some(Course::Refuse(refusal)) => return self.refuse(hand, id, refusal),
            Some(Course::Redirect(to)) => return self.redirect(hand, id, &to),
        };
        let Some(letter) = self.letters.get_mut(&id) else { return };
        (letter.post.fate, letter.post.sender_keeps, letter.phase) = (fate, sender_keeps, Phase::Committing);
        let unit = terminating::unit(hand.now, &letter.post);
        self.commit(Awaited::Letter(id), unit);
    }

    /// A message goes to somebody else, in its sender's name, once: a second redirection is refused. Its sender hears no more of it than
    /// that it was taken, or they would learn who has it.
    fn redirect(&mut self, hand: &mut Hand<'_>, id: LetterId, to: &Address) {
        let Some(letter) = self.letters.get(&id) else { return };
        let elsewhere = match hand.core.target(hand.directory, &to.to_uri()) {
            ControlFlow::Continue(Destination::User { account, address, .. }) => Some(Party::User { user: account.user, address }),
            ControlFlow::Continue(Destination::Peer(peer)) => Some(Party::Peer { peer, address: to.clone() }),
            ControlFlow::Continue(Destination::Node | Destination::Deferred | Destination::Route(_)) | ControlFlow::Break(_) => None,
        };
        let elsewhere = elsewhere.filter(|party| {
            let back = party.user().is_some() && party.user() == letter.post.recipient.user();
            letter.post.redirected.is_none() && !back && !self.config.policy.bars(party.address())
        });
        let Some(party) = elsewhere else {
            return self.refuse(hand, id, Refusal::because(Status::TEMPORARILY_UNAVAILABLE, "Recipient Not Available"));
        };
        let envelope = Envelope { to: to.clone(), wants: Wants::NOTHING, ..letter.post.envelope.clone() };
        let hops = letter.post.request.headers.read::<MaxForwards>();
        let mut request = self.own_request(&envelope, &envelope.from, feature::PAGER);
        if let Some(hops) = hops {
            request.headers.put(&hops);
        }
        let Some(Letter { post, .. }) = self.letters.get_mut(&id) else { return };
        post.redirected = Some(post.recipient.address().clone());
        (post.recipient, post.envelope, post.request) = (party, envelope, request);
        match post.recipient.user() {
            Some(user) => self.terminate(hand, id, user),
            None => self.forward(hand, id),
        }
    }

    /// Typing: for those who are there now, and nobody waits for it.
    fn type_to(&mut self, hand: &mut Hand<'_>, id: LetterId, user: UserId) {
        let Some(letter) = self.letters.get(&id) else { return };
        let parcel = terminating::parcel(&letter.post, None, None);
        self.deliver(hand, user, parcel);
        self.answer(hand, id, Status::OK);
    }

    /// A notification: is it about a message that its sender got, from the one whom it goes to, and was it asked for?
    fn check(&mut self, hand: &mut Hand<'_>, id: LetterId, report: Report, subject: Option<Key>) {
        let Some(subject) = subject else {
            return self.refuse(hand, id, Refusal::because(Status::BAD_REQUEST, "Bad Message-ID"));
        };
        if let Some(letter) = self.letters.get(&id) {
            let about = PostKey::message(letter.post.recipient.address(), letter.post.sender.address(), &subject.message_id);
            let original = self.under_way.get(&about).and_then(|original| self.letters.get_mut(original));
            if let Some(original) = original.filter(|original| original.phase == Phase::Forwarding) {
                return original.early.push(id);
            }
        }
        match self.recent.get(&subject) {
            Some(known) => self.checked(hand, id, report, Some(known)),
            None => {
                let query = Query::Messages { user: subject.user, direction: subject.direction, message_id: subject.message_id };
                self.load(Awaited::Letter(id), query);
            }
        }
    }

    /// A notification that came too early is judged now.
    fn resume(&mut self, hand: &mut Hand<'_>, id: LetterId) {
        let Some(letter) = self.letters.get(&id) else { return };
        let Content::Notification(notification) = &letter.post.envelope.content else { return };
        let (report, subject) = (notification.report, receipts::subject(&letter.post, notification));
        self.check(hand, id, report, subject);
    }

    pub(super) fn checked(&mut self, hand: &mut Hand<'_>, id: LetterId, report: Report, known: Option<Known>) {
        if let ControlFlow::Break(refusal) = receipts::asked(known.as_ref().map(|known| known.wants), report) {
            return self.refuse(hand, id, refusal);
        }
        let Some(letter) = self.letters.get_mut(&id) else { return };
        receipts::address(&mut letter.post.request, known.and_then(|known| known.device));
        let Content::Notification(notification) = &letter.post.envelope.content else { return };
        let own = matches!(letter.post.sender, Party::User { .. });
        let withheld = || {
            let chosen = letter.post.sender.user().and_then(|user| policy::chosen(hand.directory, user));
            let device = letter.post.device.as_ref().and_then(InstanceId::parse);
            chosen.is_some_and(|chosen| !chosen.profile(device.as_ref(), hand.now).read_reports)
        };
        match (receipts::weight(report), &letter.post.recipient) {
            // Who reads what is the reader's secret if they want it to be, whatever their devices say.
            (receipts::Weight::Positive(Disposition::Display), _) if own && withheld() => self.answer(hand, id, Status::OK),
            // Nothing to tell; and that one device failed is no news while another may still take the message.
            (receipts::Weight::Nothing, _) => self.answer(hand, id, Status::OK),
            (receipts::Weight::Negative, _) if own => self.answer(hand, id, Status::OK),
            (receipts::Weight::Positive(_) | receipts::Weight::Negative, Party::User { .. }) => {
                let unit = receipts::unit(hand.now, hand.directory, &letter.post, notification);
                letter.phase = Phase::Committing;
                self.commit(Awaited::Letter(id), unit);
            }
            (receipts::Weight::Positive(_) | receipts::Weight::Negative, Party::Peer { .. }) => self.forward(hand, id),
        }
    }

    /// On to a peer, as the client sent it.
    fn forward(&mut self, hand: &mut Hand<'_>, id: LetterId) {
        let Some(letter) = self.letters.get_mut(&id) else { return };
        let Party::Peer { peer, .. } = letter.post.recipient else { return };
        letter.phase = Phase::Forwarding;
        if let Some(key) = letter.post.sender.user().map(|user| own_copy(user, &letter.post)) {
            self.recent.insert(key, remembered(&letter.post));
        }
        match hand.core.forward(hand.now, peer, letter.post.request.clone()) {
            Some(client) => drop(self.flights.insert(client, Flight::Peer(id))),
            None => self.refuse(hand, id, Refusal::new(Status::SERVICE_UNAVAILABLE)),
        }
    }

    /// A peer has answered for a letter.
    pub(super) fn forwarded(&mut self, hand: &mut Hand<'_>, id: LetterId, response: Response) {
        hand.core.step(Function::Core, Function::Participating, || response.status.0.to_string());
        let Some(letter) = self.letters.get_mut(&id) else { return };
        if !response.status.is_success() {
            return self.answer(hand, id, relayed(response.status));
        }
        let unit = match &letter.post.envelope.content {
            Content::Composing(_) => return self.answer(hand, id, response.status),
            Content::Notification(notification) => Unit(receipts::claim(&letter.post, notification)),
            Content::Text(_) | Content::Other { .. } => terminating::sent(&letter.post),
        };
        letter.phase = Phase::Recording { answer: response.status };
        self.commit(Awaited::Letter(id), unit);
    }

    /// A letter's unit is durable: now it may be acted on.
    pub(super) fn durable(&mut self, hand: &mut Hand<'_>, id: LetterId, applied: &Applied) {
        let Some(letter) = self.letters.get_mut(&id) else { return };
        if probe::is_probe(&letter.post.envelope.content) {
            probe::stamp(&mut letter.post.request.headers, hand.now.since(letter.since));
        }
        if let Phase::Recording { answer } = letter.phase {
            self.note_kept(hand.now, id);
            self.note_peer(hand.now, id, answer);
            return self.answer(hand, id, answer);
        }
        match terminating::verdict(applied, matches!(letter.post.sender, Party::Peer { .. })) {
            terminating::Verdict::New(pending) => {
                self.note_kept(hand.now, id);
                let Some(letter) = self.letters.get_mut(&id) else { return };
                let post = &letter.post;
                let Some(user) = post.recipient.user() else {
                    let parcel = terminating::parcel(post, pending, None);
                    self.answer(hand, id, Status::ACCEPTED);
                    self.deliver(hand, UserId::PEERS, parcel);
                    return;
                };
                if !post.envelope.content.is_automatic() {
                    for key in copies(post) {
                        self.recent.insert(key, remembered(post));
                    }
                }
                let parcel = terminating::parcel(post, pending, Some(id));
                let (label, fate) = (post.label(), post.fate);
                self.tell_absent(hand, user, &parcel);
                match fate {
                    Fate::Delivered { .. } => {}
                    Fate::Held(_) => {
                        self.answer(hand, id, Status::ACCEPTED);
                        return self.list_changed(hand, user);
                    }
                    Fate::Stored | Fate::Dropped => return self.answer(hand, id, Status::ACCEPTED),
                }
                if pending.is_some() {
                    self.waits(user);
                }
                self.alarms.push(Reverse((hand.now + self.config.policy.delivery_wait, Alarm::Letter(id))));
                hand.core.step(Function::Participating, Function::Core, || label.into());
                if self.deliver(hand, user, parcel) == 0 {
                    self.answer(hand, id, Status::ACCEPTED);
                }
            }
            terminating::Verdict::Known => {
                let key = letter.post.sender.user().map(|user| own_copy(user, &letter.post));
                let known = key.and_then(|key| self.recent.get(&key)).and_then(|known| known.answer);
                self.answer(hand, id, known.unwrap_or(Status::OK));
            }
            // The peer says what it said before: the sender's devices need not hear it again.
            terminating::Verdict::NoNews(pending) => {
                if let (Some(user), Some(pending)) = (letter.post.recipient.user(), pending) {
                    self.settle(user, pending);
                }
                self.answer(hand, id, Status::OK);
            }
            terminating::Verdict::Unfounded => self.refuse(hand, id, Refusal::because(Status::FORBIDDEN, "No Such Message")),
        }
    }

    /// One device of a letter's has done with it.
    pub(super) fn device_done(&mut self, hand: &mut Hand<'_>, id: Option<LetterId>, took: bool) {
        let Some((id, letter)) = id.and_then(|id| Some((id, self.letters.get_mut(&id)?))) else { return };
        let Phase::Delivering { open } = &mut letter.phase else { return };
        *open = open.saturating_sub(1);
        if took {
            self.answer(hand, id, Status::OK);
        } else if *open == 0 {
            self.answer(hand, id, Status::ACCEPTED);
        }
    }

    /// Answers all tries of a letter, which ends it.
    pub(super) fn answer(&mut self, hand: &mut Hand<'_>, id: LetterId, status: Status) {
        self.finish(hand, id, Refusal::new(status));
    }

    pub(super) fn refuse(&mut self, hand: &mut Hand<'_>, id: LetterId, refusal: Refusal) {
        self.finish(hand, id, refusal);
    }

    fn finish(&mut self, hand: &mut Hand<'_>, id: LetterId, end: Refusal) {
        let Some(mut letter) = self.letters.remove(&id) else { return };
        self.under_way.remove(&letter.key);
        for early in std::mem::take(&mut letter.early) {
            self.resume(hand, early);
        }
        let status = end.status;
        // A lane that was reading meanwhile may have found the queue empty.
        if let Some(user) = letter.post.recipient.user().filter(|_| status == Status::ACCEPTED) {
            self.waits(user);
        }
        if let Some(user) = letter.post.sender.user() {
            self.recent.answered(&own_copy(user, &letter.post), status);
        }
        if letter.waiters.is_empty() {
            return;
        }
        let (from_user, to_user) = (letter.post.sender.user().is_some(), letter.post.recipient.user().is_some());
        hand.core.step(Function::Participating, Function::Core, || status.0.to_string());
        if from_user && to_user {
            hand.core.step(Function::Core, Function::Participating, || status.0.to_string());
            hand.core.step(Function::Participating, Function::Core, || status.0.to_string());
        }
        for waiter in letter.waiters {
            self.note_answer(hand.now, &letter.post, waiter.device.as_ref(), status);
            hand.core.respond(hand.now, waiter.id, end.clone().onto(waiter.response));
        }
    }
}

/// What the sender's side says when the peer refused: a peer's trouble with us is not the client's.
fn relayed(status: Status) -> Status {
    match status {
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => Status::FORBIDDEN,
        status if status.is_final() && status.0 >= 400 => status,
        _ => Status::BAD_GATEWAY,
    }
}

/// The same identifier without the message that it was read from, which would be kept in memory with it.
fn compact(id: &MessageId) -> MessageId {
    MessageId::parse(&Text::from(id.as_str())).unwrap_or_else(|| id.clone())
}

/// What is remembered of a message.
fn remembered(post: &Post) -> Known {
    // Not with the registration that the name of the device was read from.
    let device = post.device.as_ref().map(|device| Text::from(device.as_str()));
    Known { wants: post.envelope.wants, device, answer: None }
}

/// The sender's copy of a message.
fn own_copy(user: UserId, post: &Post) -> Key {
    Key { user, direction: Direction::Out, with: post.addressed().clone(), message_id: compact(&post.message_id) }
}

/// Both copies of a message, as far as they are in this node's store.
fn copies(post: &Post) -> impl Iterator<Item = Key> {
    let sent = post.sender.user().map(|user| own_copy(user, post));
    let received = post.recipient.user().filter(|_| !matches!(post.fate, Fate::Dropped)).map(|user| Key {
        user,
        direction: Direction::In,
        with: post.sender.address().clone(),
        message_id: compact(&post.message_id),
    });
    sent.into_iter().chain(received)
}
