//! The Participating Function: what the service does with a stand-alone message between its sender and its recipient's devices.
//!
//! A [`Letter`] is a message between its arrival and its answer:
//!
//! ```text
//!             ┌─ originating::admit: size, encoding, CPIM, sender's own address, identifiers, service ──► refusal
//! MESSAGE ────┤
//!             ├─ typing ───────────► devices that are there now; 200
//!             ├─ notification ─────► Checking (whose message? asked for?) ──► 403
//!             │                          │
//!             ├─ to a user of ours ──► Committing: both copies and the queue entry in one unit ──► 5xx
//!             │                          │ durable          └─ was there before: the same answer again
//!             │                          ▼
//!             │                      Delivering: every device's lane (lanes); 200 when the first has it, 202 after 3 s or without one
//!             │
//!             └─ to a peer ──────────► Forwarding ──2xx──► Recording: the sender's copy ──► the peer's answer
//!                                          └─ else the peer's refusal, 408 or 503
//! ```
//!
//! A second try of a message that is under way joins its letter; one that comes later finds its copy in the store.
//!
//! | what fails | what happens |
//! |---|---|
//! | the store | nothing is sent, 503: the sender tries again |
//! | the process, between commit and answer | the sender tries again, finds its copy, 200; the queue delivers |
//! | the process, between a device's 2xx and the end of the queue entry | the device gets it again and knows it by its Message-ID |
//! | a device, for a while | its lane stalls, the queue keeps the message |
//! | a device, for good (4xx, 6xx) | that lane goes on; other devices may still take it |
//! | a device that refuses CPIM (415) | plain text, now and from now on; the service reports the delivery for it |
//! | everything, until the message expires | the queue entry goes; a failure notification, where it was asked for |

mod deferred;
mod lanes;
mod mailbox;
mod originating;
mod post;
mod receipts;
mod recent;
mod terminating;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::ids::MessageId;
use wasm_core::sip::transaction::{ClientId, ServerId};
use wasm_core::wire::sip::{Method, Request, Response, Status};
use wasm_core::{Entropy, Text, Time};

use crate::node::{Directory, Function, Loaded, NodeConfig, Query, Ticket};
use crate::sip_core::front_door::Source;
use crate::sip_core::location::BindingId;
use crate::sip_core::refusal::Refusal;
use crate::sip_core::routing::Destination;
use crate::sip_core::{Core, Service};
use crate::store::{Applied, Direction, PendingId, StoreError, Unit, UserId};
use lanes::Parcel;
use mailbox::Mailbox;
use post::{Party, Post, PostKey};
use recent::{Key, Known, Recent};

/// How many messages the service remembers for judging notifications.
const REMEMBERED: usize = 32_768;
/// How many queue entries are read at a time.
const PAGE: usize = 64;
/// How long the search for what has expired pauses for the disk.
const BREATH: Duration = Duration::from_millis(100);

/// What the service asks of the node around it.
#[derive(Debug)]
pub(crate) enum Effect {
    Commit { ticket: Ticket, unit: Unit },
    Load { ticket: Ticket, query: Query },
    Changed { user: UserId, cursor: u64 },
}

/// One message between arrival and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LetterId(u64);

#[derive(Debug)]
struct Letter {
    key: PostKey,
    post: Post,
    /// The tries that wait for the answer, each with its response as far as it is known.
    waiters: Vec<(ServerId, Response)>,
    phase: Phase,
    /// Notifications about it that came before the peer's answer to it: judged when that is there.
    early: Vec<LetterId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The store is asked for the message that a notification is about.
    Checking,
    /// The unit is on its way to the disk.
    Committing,
    /// So many devices have not answered yet.
    Delivering { open: usize },
    /// A peer has not answered yet.
    Forwarding,
    /// A peer has; its answer waits for the disk.
    Recording { answer: Status },
}

/// What a ticket was given out for.
#[derive(Debug)]
enum Awaited {
    Letter(LetterId),
    /// The end of a queue entry.
    Settled(UserId, PendingId),
    /// What waits for a device.
    Queue(UserId, BindingId),
    /// What has expired.
    Expired,
}

/// A request of the service's that is under way.
#[derive(Debug)]
enum Flight {
    /// To a device.
    Device { user: UserId, binding: BindingId, parcel: Arc<Parcel>, plain: bool },
    /// To a peer, for a letter.
    Peer(LetterId),
    /// To a peer, for nobody who waits.
    Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// Its sender has waited long enough.
    Letter(LetterId),
    /// A stalled lane of this user may try again.
    Lanes(UserId),
    /// Time to ask the store what has expired.
    Scan,
}

/// What a step of the service may use.
pub(crate) struct Hand<'a> {
    pub(crate) now: Time,
    pub(crate) core: &'a mut Core,
    pub(crate) directory: &'a dyn Directory,
}

/// The Participating Function.
#[derive(Debug)]
pub(crate) struct Participating {
    config: Arc<NodeConfig>,
    entropy: Entropy,
    letters: HashMap<LetterId, Letter>,
    under_way: HashMap<PostKey, LetterId>,
    tickets: HashMap<Ticket, Awaited>,
    mailboxes: HashMap<UserId, Mailbox>,
    flights: HashMap<ClientId, Flight>,
    /// For whom something may wait in the store; nothing is known of anybody before the node was told.
    waiting: Option<HashSet<UserId>>,
    recent: Recent,
    /// Expired queue entries whose end is on its way to the disk.
    burying: HashSet<PendingId>,
    alarms: BinaryHeap<Reverse<(Time, Alarm)>>,
    effects: VecDeque<Effect>,
    next_letter: u64,
    next_ticket: u64,
}

impl Participating {
    pub(crate) fn new(config: Arc<NodeConfig>, entropy: Entropy) -> Self {
        Participating {
            config,
            entropy,
            letters: HashMap::new(),
            under_way: HashMap::new(),
            tickets: HashMap::new(),
            mailboxes: HashMap::new(),
            flights: HashMap::new(),
            waiting: None,
            recent: Recent::new(REMEMBERED),
            burying: HashSet::new(),
            alarms: BinaryHeap::new(),
            effects: VecDeque::new(),
            next_letter: 0,
            next_ticket: 0,
        }
    }

    /// Which requests are this function's business: stand-alone messages, whoever sends them.
    pub(crate) fn triggers(request: &Request) -> bool {
        request.method == Method::Message
    }

    pub(crate) fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether nobody waits for an answer.
    pub(crate) fn idle(&self) -> bool {
        self.letters.is_empty() && self.tickets.is_empty()
    }

    /// What the last run left behind.
    pub(crate) fn restored(&mut self, now: Time, waiting: Option<Vec<UserId>>) {
        self.waiting = waiting.map(|users| users.into_iter().collect());
        self.alarms.push(Reverse((now, Alarm::Scan)));
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn timeout(&mut self, hand: &mut Hand<'_>) {
        while let Some(&Reverse((at, alarm))) = self.alarms.peek() {
            if at > hand.now {
                break;
            }
            self.alarms.pop();
            match alarm {
                Alarm::Letter(id) => {
                    if self.letters.get(&id).is_some_and(|letter| matches!(letter.phase, Phase::Delivering { .. })) {
                        self.answer(hand, id, Status::ACCEPTED);
                    }
                }
                Alarm::Lanes(user) => self.wake(hand, user),
                // What is about to go must not be found again, or its sender would hear of it twice.
                Alarm::Scan if !self.burying.is_empty() => self.alarms.push(Reverse((hand.now + BREATH, Alarm::Scan))),
                Alarm::Scan => self.load(Awaited::Expired, Query::Expired { before: hand.now, limit: PAGE }),
            }
        }
    }

    /// What the core has to say.
    pub(crate) fn service(&mut self, hand: &mut Hand<'_>, service: Service) {
        match service {
            Service::Request { id, source, destination, request } => self.message(hand, id, &source, destination, request),
            Service::Response { id, response } => self.landed(hand, id, response),
            Service::Failed { id, status } => self.landed(hand, id, Response::new(status)),
            // The third party's registration: watch that user from now on (R014).
            Service::Registered { user } => hand.core.watch(user),
            Service::Notified { user, changes } => self.notified(hand, user, &changes),
        }
    }

    /// A message has come in.
    fn message(&mut self, hand: &mut Hand<'_>, id: ServerId, source: &Source, destination: Destination, request: Request) {
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
            ControlFlow::Continue(post) => {
                hand.core.step(Function::Core, Function::Participating, || post.label().into());
                self.take(hand, post, Some((id, response)));
            }
        }
    }

    /// A message has been admitted, or is the service's own.
    fn take(&mut self, hand: &mut Hand<'_>, post: Post, waiter: Option<(ServerId, Response)>) {
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
        let letter = Letter { key, post, waiters: waiter.into_iter().collect(), phase: Phase::Checking, early: Vec::new() };
        match (&letter.post.envelope.content, &letter.post.recipient) {
            (Content::Composing(_), Party::User { user, .. }) => {
                let user = *user;
                self.letters.insert(id, letter);
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
            (Content::Text(_) | Content::Other { .. }, Party::User { .. }) => {
                let unit = terminating::unit(&letter.post);
                self.letters.insert(id, Letter { phase: Phase::Committing, ..letter });
                self.commit(Awaited::Letter(id), unit);
            }
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
    fn check(&mut self, hand: &mut Hand<'_>, id: LetterId, report: wasm_core::wire::imdn::Report, subject: Option<Key>) {
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

    fn checked(&mut self, hand: &mut Hand<'_>, id: LetterId, report: wasm_core::wire::imdn::Report, known: Option<Known>) {
        if let ControlFlow::Break(refusal) = receipts::asked(known.map(|known| known.wants), report) {
            return self.refuse(hand, id, refusal);
        }
        let Some(letter) = self.letters.get_mut(&id) else { return };
        let Content::Notification(notification) = &letter.post.envelope.content else { return };
        let own = matches!(letter.post.sender, Party::User { .. });
        match (receipts::weight(report), &letter.post.recipient) {
            // Nothing to tell; and that one device failed is no news while another may still take the message.
            (receipts::Weight::Nothing, _) => self.answer(hand, id, Status::OK),
            (receipts::Weight::Negative, _) if own => self.answer(hand, id, Status::OK),
            (receipts::Weight::Positive(_) | receipts::Weight::Negative, Party::User { .. }) => {
                let unit = receipts::unit(&letter.post, notification);
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
            self.recent.insert(key, Known { wants: letter.post.envelope.wants, answer: None });
        }
        match hand.core.forward(hand.now, peer, letter.post.request.clone()) {
            Some(client) => drop(self.flights.insert(client, Flight::Peer(id))),
            None => self.refuse(hand, id, Refusal::new(Status::SERVICE_UNAVAILABLE)),
        }
    }

    /// A peer has answered for a letter.
    fn forwarded(&mut self, hand: &mut Hand<'_>, id: LetterId, response: Response) {
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

    /// The store has finished something.
    pub(crate) fn stored(&mut self, hand: &mut Hand<'_>, ticket: Ticket, result: Result<Applied, StoreError>) {
        if let Ok(applied) = &result {
            for &(user, cursor) in &applied.cursors {
                self.effects.push_back(Effect::Changed { user, cursor });
            }
        }
        match (self.tickets.remove(&ticket), result) {
            (Some(Awaited::Letter(id)), Ok(applied)) => self.durable(hand, id, &applied),
            (Some(Awaited::Letter(id)), Err(_)) => self.refuse(hand, id, Refusal::later(Status::SERVICE_UNAVAILABLE, 5)),
            (Some(Awaited::Settled(user, pending)), _) => {
                self.burying.remove(&pending);
                if let Some(mailbox) = self.mailboxes.get_mut(&user) {
                    mailbox.acknowledged(pending);
                    if mailbox.is_empty() {
                        self.mailboxes.remove(&user);
                    }
                }
            }
            (Some(Awaited::Queue(..) | Awaited::Expired) | None, _) => {}
        }
    }

    /// A letter's unit is durable: now it may be acted on.
    fn durable(&mut self, hand: &mut Hand<'_>, id: LetterId, applied: &Applied) {
        let Some(letter) = self.letters.get_mut(&id) else { return };
        if let Phase::Recording { answer } = letter.phase {
            return self.answer(hand, id, answer);
        }
        match terminating::verdict(applied, matches!(letter.post.sender, Party::Peer { .. })) {
            terminating::Verdict::New(pending) => {
                let (Some(user), post) = (letter.post.recipient.user(), &letter.post) else { return };
                if !post.envelope.content.is_automatic() {
                    for key in copies(post) {
                        self.recent.insert(key, Known { wants: post.envelope.wants, answer: None });
                    }
                }
                let parcel = terminating::parcel(post, pending, Some(id));
                let label = post.label();
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

    /// Something may wait for this user.
    fn waits(&mut self, user: UserId) {
        if let Some(waiting) = &mut self.waiting {
            waiting.insert(user);
        }
    }

    /// The store has read something.
    pub(crate) fn loaded(&mut self, hand: &mut Hand<'_>, ticket: Ticket, result: Result<Loaded, StoreError>) {
        match (self.tickets.remove(&ticket), result) {
            (Some(Awaited::Letter(id)), Ok(Loaded::Messages(entries))) => {
                let Some(letter) = self.letters.get(&id) else { return };
                let Content::Notification(notification) = &letter.post.envelope.content else { return };
                let subject = receipts::subject(&letter.post, notification);
                let report = notification.report;
                let entry = entries.into_iter().find(|entry| subject.as_ref().is_some_and(|subject| entry.message.with == subject.with));
                let known = entry.map(|entry| Known { wants: entry.message.wants, answer: None });
                self.checked(hand, id, report, known);
            }
            (Some(Awaited::Letter(id)), _) => self.refuse(hand, id, Refusal::later(Status::SERVICE_UNAVAILABLE, 5)),
            (Some(Awaited::Queue(user, binding)), Ok(Loaded::Pending(queued))) => self.queued(hand, user, binding, &queued),
            (Some(Awaited::Queue(user, binding)), _) => self.stall(hand, user, binding),
            (Some(Awaited::Expired), result) => {
                let queued = if let Ok(Loaded::Pending(queued)) = result { queued } else { Vec::new() };
                let pause = if queued.len() < PAGE { self.config.policy.expiry_scan } else { BREATH };
                self.alarms.push(Reverse((hand.now + pause, Alarm::Scan)));
                self.expired(hand, &queued);
            }
            (Some(Awaited::Settled(..)) | None, _) => {}
        }
    }

    /// One device of a letter's has done with it.
    fn device_done(&mut self, hand: &mut Hand<'_>, id: Option<LetterId>, took: bool) {
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
    fn answer(&mut self, hand: &mut Hand<'_>, id: LetterId, status: Status) {
        self.finish(hand, id, Refusal::new(status));
    }

    fn refuse(&mut self, hand: &mut Hand<'_>, id: LetterId, refusal: Refusal) {
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
        for (server, response) in letter.waiters {
            hand.core.respond(hand.now, server, end.clone().onto(response));
        }
    }

    fn commit(&mut self, awaited: Awaited, unit: Unit) {
        let ticket = self.ticket(awaited);
        self.effects.push_back(Effect::Commit { ticket, unit });
    }

    fn load(&mut self, awaited: Awaited, query: Query) {
        let ticket = self.ticket(awaited);
        self.effects.push_back(Effect::Load { ticket, query });
    }

    fn ticket(&mut self, awaited: Awaited) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, awaited);
        ticket
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

/// The sender's copy of a message.
fn own_copy(user: UserId, post: &Post) -> Key {
    Key { user, direction: Direction::Out, with: post.recipient.address().clone(), message_id: compact(&post.message_id) }
}

/// Both copies of a message, as far as they are in this node's store.
fn copies(post: &Post) -> impl Iterator<Item = Key> {
    let sent = post.sender.user().map(|user| own_copy(user, post));
    let received = post.recipient.user().map(|user| Key {
        user,
        direction: Direction::In,
        with: post.sender.address().clone(),
        message_id: compact(&post.message_id),
    });
    sent.into_iter().chain(received)
}
