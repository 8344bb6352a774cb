//! The Participating Function: what the service does with a stand-alone message between its sender and its recipient's devices.
//!
//! A [`Letter`] is a message between its arrival and its answer:
//!
//! ```text
//!             ┌─ originating::admit: size, encoding, CPIM, sender's own address, provider's policy, identifiers ──► refusal
//! MESSAGE ────┤
//!             ├─ typing ───────────► devices that are there now; 200
//!             ├─ probe ────────────► Committing a mark ──► Delivering to the device that it came from (probes)
//!             ├─ notification ─────► Checking (whose message? asked for?) ──► 403
//!             │                          │
//!             ├─ to a user of ours ──► what they prefer (policy): dropped, refused, redirected, held, stored alone, or as usual
//!             │                          ▼
//!             │                      Committing: both copies and the queue entry in one unit ──► 5xx
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
//! | a peer, for whom the service itself has a notification | it waits in the queue, in the lane to that peer |

mod compose;
mod deferred;
mod invitations;
mod lanes;
mod letters;
mod mailbox;
mod notices;
mod originating;
mod policy;
mod post;
mod probes;
mod receipts;
mod recent;
mod system;
mod terminating;
mod trail;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasm_core::cpm::envelope::Content;
use wasm_core::sip::dialog::DialogId;
use wasm_core::sip::transaction::{ClientId, ServerId};
use wasm_core::wire::sip::{Method, Request, Response, Status, To};
use wasm_core::{Entropy, Text, Time};

use crate::node::{Directory, Loaded, MsrpCommand, NodeConfig, Notice, Outlet, Query, Rung, SessionId, Ticket};
use crate::sip_core::location::BindingId;
use crate::sip_core::refusal::Refusal;
use crate::sip_core::routing::Destination;
use crate::sip_core::{Core, Service};
use crate::store::{Applied, HeldPage, PendingId, Queued, StoreError, Unit, UserId};
use deferred::{Decision, Followers, Session};
use lanes::Parcel;
use mailbox::Mailbox;
use post::{Post, PostKey};
use probes::Probes;
use recent::{Known, Recent};
pub use system::SYSTEM;

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
    Notify { user: UserId, outlet: Outlet, notice: Arc<Notice> },
    Msrp(MsrpCommand),
    Trail(Rung),
}

/// One message between arrival and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LetterId(u64);

/// A try of a letter that waits for its answer.
#[derive(Debug)]
struct Waiter {
    id: ServerId,
    /// The response, as far as it is known.
    response: Response,
    /// The device that sent it, if it is one of a user of ours.
    device: Option<Text>,
}

#[derive(Debug)]
struct Letter {
    key: PostKey,
    post: Post,
    /// When it came.
    since: Time,
    /// The tries that wait for the answer.
    waiters: Vec<Waiter>,
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
    /// What users are to be told of again.
    Reminders,
    /// What waits for a user's decision, for the devices that follow it.
    List(UserId),
    /// The same, for a device that wants all of it.
    Everything(SessionId),
    /// Entries that a device decides on.
    Window(SessionId),
    /// What becomes of such an entry.
    Decided(Option<SessionId>, Box<Queued>, Decision),
    /// How long such an entry waits, or when it is recalled.
    Noted(UserId, PendingId),
}

/// A request of the service's that is under way.
#[derive(Debug)]
enum Flight {
    /// To a device, or to a peer out of the queue.
    Device { user: UserId, binding: BindingId, outlet: Option<Outlet>, parcel: Arc<Parcel>, plain: bool },
    /// To a peer, for a letter.
    Peer(LetterId),
    /// To a device that follows what waits for a decision.
    List(UserId, DialogId),
    /// The offer of a session.
    Offer(SessionId),
    /// The end of a session.
    Bye,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// Its sender has waited long enough.
    Letter(LetterId),
    /// A stalled lane of this user may try again.
    Lanes(UserId),
    /// Somebody who follows a user's list may be told of it, or their time is over.
    List(UserId),
    /// A device has not taken a session.
    Offer(SessionId),
    /// A device has not ended a session.
    Goodbye(SessionId),
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
    probes: Probes,
    /// Expired queue entries whose end is on its way to the disk.
    burying: HashSet<PendingId>,
    /// Entries of the queue that a session carries which their recipient asked for: nothing for the lanes.
    carrying: HashSet<PendingId>,
    /// Who follows whose list of what waits for a decision.
    followers: HashMap<UserId, Followers>,
    sessions: HashMap<SessionId, Session>,
    /// Which devices were told of a letter out of band while they were still being tried.
    told: HashSet<(LetterId, Outlet)>,
    alarms: BinaryHeap<Reverse<(Time, Alarm)>>,
    effects: VecDeque<Effect>,
    next_letter: u64,
    next_ticket: u64,
}

impl Participating {
    pub(crate) fn new(config: Arc<NodeConfig>, entropy: Entropy) -> Self {
        let peers = Mailbox::of_peers(config.peers.len(), config.limits.lane);
        Participating {
            config,
            entropy,
            letters: HashMap::new(),
            under_way: HashMap::new(),
            tickets: HashMap::new(),
            mailboxes: HashMap::from([(UserId::PEERS, peers)]),
            flights: HashMap::new(),
            waiting: None,
            recent: Recent::new(REMEMBERED),
            probes: Probes::default(),
            burying: HashSet::new(),
            carrying: HashSet::new(),
            followers: HashMap::new(),
            sessions: HashMap::new(),
            told: HashSet::new(),
            alarms: BinaryHeap::new(),
            effects: VecDeque::new(),
            next_letter: 0,
            next_ticket: 0,
        }
    }

    /// Which requests are this function's business: stand-alone messages and invitations, whoever sends them.
    pub(crate) fn triggers(request: &Request) -> bool {
        let begins = || request.headers.read::<To>().is_none_or(|to| to.tag().is_none());
        request.method == Method::Message || request.method == Method::Invite && begins()
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
        self.alarms.push(Reverse((now, Alarm::Lanes(UserId::PEERS))));
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn timeout(&mut self, hand: &mut Hand<'_>) {
        while self.next_timeout().is_some_and(|at| at <= hand.now)
            && let Some(Reverse((_, alarm))) = self.alarms.pop()
        {
            match alarm {
                Alarm::Letter(id) => {
                    if self.letters.get(&id).is_some_and(|letter| matches!(letter.phase, Phase::Delivering { .. })) {
                        self.overdue(hand, id);
                        self.answer(hand, id, Status::ACCEPTED);
                    }
                    self.probe_overdue(hand, id);
                }
                Alarm::Lanes(user) => self.wake(hand, user),
                Alarm::List(user) => self.look(hand, user),
                Alarm::Offer(session) => self.offer_overdue(hand, &session),
                Alarm::Goodbye(session) => self.goodbye(hand, &session),
                // What is about to go must not be found again, or its sender would hear of it twice.
                Alarm::Scan if !self.burying.is_empty() => self.alarms.push(Reverse((hand.now + BREATH, Alarm::Scan))),
                Alarm::Scan => {
                    self.load(Awaited::Reminders, Query::Reminders { before: hand.now, limit: PAGE });
                    self.load(Awaited::Expired, Query::Expired { before: hand.now, limit: PAGE });
                }
            }
        }
    }

    /// What the core has to say.
    pub(crate) fn service(&mut self, hand: &mut Hand<'_>, service: Service) {
        match service {
            Service::Request { id, source, destination: Destination::Deferred, hop, request } => {
                self.queue_asked(hand, id, &source, hop, &request);
            }
            Service::Request { id, source, destination, hop, request } if request.method == Method::Invite => {
                invitations::invited(&self.config, hand, id, &hop, &source, &destination, request);
            }
            Service::Request { id, source, destination, hop, request } => self.message(hand, id, &hop, &source, destination, request),
            Service::Response { id, response } => self.landed(hand, id, response),
            Service::Failed { id, status } => self.landed(hand, id, Response::new(status)),
            // The third party's registration: watch that user from now on (R014).
            Service::Registered { user } => hand.core.watch(user),
            Service::Notified { user, changes } => self.notified(hand, user, &changes),
        }
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
            (Some(Awaited::Letter(id)), Err(error)) => {
                let status = self.unkept(id, &error);
                self.refuse(hand, id, Refusal::later(status, 5));
            }
            (Some(Awaited::Settled(user, pending)), _) => {
                self.burying.remove(&pending);
                if let Some(mailbox) = self.mailboxes.get_mut(&user) {
                    mailbox.acknowledged(pending);
                    if mailbox.is_empty() {
                        self.mailboxes.remove(&user);
                    }
                }
            }
            (Some(Awaited::Decided(session, entry, decision)), result) => self.decided(hand, session.as_ref(), &entry, decision, result),
            (Some(Awaited::Noted(user, pending)), _) => {
                self.burying.remove(&pending);
                self.list_changed(hand, user);
            }
            (Some(_) | None, _) => {}
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
                let known = entry.map(|entry| Known { wants: entry.message.wants, device: None, answer: None });
                self.checked(hand, id, report, known);
            }
            (Some(Awaited::Letter(id)), _) => self.refuse(hand, id, Refusal::later(Status::SERVICE_UNAVAILABLE, 5)),
            (Some(Awaited::Queue(user, binding)), Ok(Loaded::Pending(queued))) => self.queued(hand, user, binding, &queued),
            (Some(Awaited::Queue(user, binding)), _) => self.stall(hand, user, binding),
            (Some(Awaited::Expired), result) => {
                let queued = if let Ok(Loaded::Pending(queued)) = result { queued } else { Vec::new() };
                let pause = if queued.len() < PAGE { self.config.policy.expiry_scan } else { BREATH };
                self.alarms.push(Reverse((hand.now + pause, Alarm::Scan)));
                self.expired(hand, queued);
            }
            (Some(Awaited::Reminders), Ok(Loaded::Pending(queued))) => self.reminded(hand, &queued),
            (Some(Awaited::List(user)), Ok(Loaded::Held(page))) => self.listed(hand, user, Some(page)),
            (Some(Awaited::List(user)), _) => self.listed(hand, user, None),
            (Some(Awaited::Everything(session)), Ok(Loaded::Held(page))) => self.everything(hand, &session, page),
            (Some(Awaited::Everything(session)), _) => self.everything(hand, &session, HeldPage::default()),
            (Some(Awaited::Window(session)), Ok(Loaded::Pending(entries))) => self.window(hand, &session, entries),
            (Some(Awaited::Window(session)), _) => self.window(hand, &session, Vec::new()),
            (Some(Awaited::Settled(..) | Awaited::Decided(..) | Awaited::Noted(..) | Awaited::Reminders) | None, _) => {}
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
