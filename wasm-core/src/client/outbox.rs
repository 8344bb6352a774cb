//! The outbox: texts and notifications on their way, one at a time to each person.
//!
//! What waits is in the memory and durable; here is only what is on its way. A lane is the line of texts, or of notifications, to one
//! person: in it nothing overtakes. A text keeps its Message-ID over every attempt, so that the server takes it once however often it
//! comes. The timers are in the table of [`super`].

use std::collections::HashMap;
use std::time::Duration;

use super::engine::Engine;
use super::failure::Failure;
use super::link::display_name;
use super::record::{Message, Notice, Place, Record};
use super::sorted::SortedMap;
use super::view::Flow;
use crate::cpm::address::Address;
use crate::cpm::envelope::{Content, Envelope};
use crate::cpm::ids::MessageId;
use crate::cpm::receipt::Receipt;
use crate::sip::flow::Backoff;
use crate::sip::transaction::ClientId;
use crate::wire::imdn::{Delivery, Display, Notification, Report};
use crate::wire::iscomposing::IsComposing;
use crate::wire::sip::{Request, Response, RetryAfter, Status};
use crate::{Entropy, Text, Time};

/// How many requests are on their way at once.
const ON_THEIR_WAY: usize = 16;
/// After how many failures that were not the network's a message is given up.
const ATTEMPTS: u32 = 8;
/// How often a challenge to one request is answered.
const CHALLENGES: u32 = 2;
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), longest: Duration::from_secs(60) };
/// A wait that the server asks for is obeyed up to this.
const LONGEST_WAIT: u32 = 600;

/// A line to one person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub with: Address,
    pub kind: Kind,
}

/// What a line consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Texts,
    Notices,
}

#[derive(Debug)]
struct Progress {
    state: State,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    OnItsWay,
    Waiting { until: Time },
}

/// A request that is on its way.
#[derive(Debug)]
pub struct Sent {
    what: What,
    request: Request,
    challenges: u32,
}

#[derive(Debug)]
enum What {
    Text { lane: Lane, id: MessageId },
    Notice { lane: Lane, key: String },
    Typing { to: Address },
}

/// What a final response means for what was sent.
enum Outcome {
    Accepted,
    Challenged,
    Later { wait: Option<Duration> },
    Refused(Failure),
}

/// What is on its way.
#[derive(Debug)]
pub struct Outbox {
    entropy: Entropy,
    lanes: SortedMap<Lane, Progress>,
    sent: HashMap<ClientId, Sent>,
}

impl Outbox {
    /// An outbox with nothing in it.
    pub fn new(entropy: Entropy) -> Self {
        Outbox { entropy, lanes: SortedMap::default(), sent: HashMap::new() }
    }

    /// There is something in a lane.
    pub fn wake(&mut self, with: &Address, kind: Kind) {
        self.lanes.get_or_insert_with(&Lane { with: with.clone(), kind }, || Progress { state: State::Ready, failures: 0 });
    }

    /// The network is new: nothing waits any longer.
    pub fn refresh(&mut self) {
        for progress in self.lanes.values_mut() {
            if let State::Waiting { .. } = progress.state {
                progress.state = State::Ready;
            }
        }
    }

    /// Forgets what is on its way; it remains in the memory.
    pub fn clear(&mut self) {
        self.lanes.clear();
        self.sent.clear();
    }

    /// Whether this lane's first is on its way.
    pub fn is_on_its_way(&self, with: &Address, kind: Kind) -> bool {
        let lane = Lane { with: with.clone(), kind };
        self.lanes.get(&lane).is_some_and(|progress| progress.state == State::OnItsWay)
    }

    /// When a lane has waited long enough and there is room for it.
    pub fn next_timeout(&self) -> Option<Time> {
        if self.sent.len() >= ON_THEIR_WAY {
            return None;
        }
        self.lanes
            .values()
            .filter_map(|progress| match progress.state {
                State::Waiting { until } => Some(until),
                State::Ready | State::OnItsWay => None,
            })
            .min()
    }

    /// A lane that may send now.
    fn ready(&self, now: Time) -> Option<Lane> {
        if self.sent.len() >= ON_THEIR_WAY {
            return None;
        }
        let may = |progress: &Progress| match progress.state {
            State::Ready => true,
            State::Waiting { until } => until <= now,
            State::OnItsWay => false,
        };
        self.lanes.iter().find(|(_, progress)| may(progress)).map(|(lane, _)| lane.clone())
    }

    fn set(&mut self, lane: &Lane, state: State) {
        if let Some(progress) = self.lanes.get_mut(lane) {
            progress.state = state;
        }
    }

    /// The first of a lane is through, one way or the other.
    fn advance(&mut self, lane: &Lane) {
        if let Some(progress) = self.lanes.get_mut(lane) {
            *progress = Progress { state: State::Ready, failures: 0 };
        }
    }

    /// The first of a lane is to be tried again, unless it was tried too often: then the answer is false. While nothing flows, that is not
    /// the message's fault, and it waits.
    fn again(&mut self, now: Time, lane: &Lane, wait: Option<Duration>, flows: bool) -> bool {
        let Some(progress) = self.lanes.get_mut(lane) else { return true };
        if flows || progress.failures + 1 < ATTEMPTS {
            progress.failures += 1;
        }
        if progress.failures >= ATTEMPTS {
            return false;
        }
        let wait = wait.unwrap_or_else(|| BACKOFF.wait(progress.failures - 1, &mut self.entropy));
        progress.state = State::Waiting { until: now + wait };
        true
    }
}

impl Engine {
    /// Finds the lanes that have something in them, after a start.
    pub(super) fn refill_outbox(&mut self) {
        self.outbox.clear();
        for folder in self.memory.folders() {
            if folder.waiting().next().is_some() {
                self.outbox.wake(&folder.row.with, Kind::Texts);
            }
        }
        for notice in self.memory.notices() {
            self.outbox.wake(&notice.with, Kind::Notices);
        }
    }

    /// Sends what can be sent.
    pub(super) fn pump(&mut self, now: Time) {
        while self.link.is_up() {
            let Some(lane) = self.outbox.ready(now) else { return };
            let next = match lane.kind {
                Kind::Texts => self.next_text(&lane),
                Kind::Notices => self.next_notice(&lane),
            };
            let Some((what, envelope)) = next else {
                self.outbox.lanes.remove(&lane);
                continue;
            };
            self.outbox.set(&lane, State::OnItsWay);
            self.send(now, what, &envelope);
        }
    }

    fn next_text(&self, lane: &Lane) -> Option<(What, Envelope)> {
        let message = self.memory.folder(&lane.with)?.waiting().next()?;
        let envelope = Envelope {
            from_name: display_name(&self.profile),
            message_id: Some(message.id.clone()),
            conversation: message.conversation.clone(),
            contribution: message.contribution.clone(),
            in_reply_to: message.in_reply_to.clone(),
            date: Some(message.at),
            wants: message.wants,
            ..Envelope::new(self.profile.address.clone(), message.with.clone(), Content::Text(message.text.clone()))
        };
        Some((What::Text { lane: lane.clone(), id: message.id.clone() }, envelope))
    }

    fn next_notice(&self, lane: &Lane) -> Option<(What, Envelope)> {
        let (key, notice) = self.memory.next_notice(&lane.with)?;
        Some((What::Notice { lane: lane.clone(), key: key.clone() }, self.notification(notice)?))
    }

    fn notification(&self, notice: &Notice) -> Option<Envelope> {
        let report = match notice.receipt {
            Receipt::Delivered => Report::Delivery(Delivery::Delivered),
            Receipt::Displayed => Report::Display(Display::Displayed),
            Receipt::Sending | Receipt::Sent | Receipt::Failed => return None,
        };
        let notification = Notification {
            date: Some(notice.date),
            recipient: Some(Text::from(&self.profile.address)),
            ..Notification::new(Text::from(&notice.message_id), report)
        };
        Some(Envelope {
            message_id: Some(notice.id.clone()),
            conversation: notice.conversation.clone(),
            contribution: Some(notice.contribution.clone()),
            in_reply_to: notice.in_reply_to.clone(),
            date: Some(notice.at),
            ..Envelope::new(self.profile.address.clone(), notice.with.clone(), Content::Notification(notification))
        })
    }

    /// Tells somebody whether the user is writing; what becomes of that is of no interest.
    pub(super) fn tell_typing(&mut self, now: Time, to: Address, composing: IsComposing) {
        if self.link.is_up() && self.outbox.sent.len() < ON_THEIR_WAY {
            let conversation = self.memory.folder(&to).and_then(|folder| folder.row.conversation.clone());
            let content = Content::Composing(composing);
            let envelope = Envelope { conversation, ..Envelope::new(self.profile.address.clone(), to.clone(), content) };
            self.send(now, What::Typing { to }, &envelope);
        }
    }

    fn send(&mut self, now: Time, what: What, envelope: &Envelope) {
        let request = envelope.wrap();
        let (id, request) = self.link.request(now, request);
        self.outbox.sent.insert(id, Sent { what, request, challenges: 0 });
    }

    /// A final response came.
    pub(super) fn responded(&mut self, now: Time, id: ClientId, response: &Response) {
        let Some(sent) = self.outbox.sent.remove(&id) else { return };
        match outcome(response) {
            Outcome::Challenged => self.challenged(now, sent, response),
            outcome => self.settle(now, sent.what, outcome),
        }
    }

    /// No response came.
    pub(super) fn unanswered(&mut self, now: Time, id: ClientId, lost: bool) {
        let Some(sent) = self.outbox.sent.remove(&id) else { return };
        match (lost, &sent.what) {
            (true, What::Text { lane, .. } | What::Notice { lane, .. }) => self.outbox.set(lane, State::Ready),
            (true, What::Typing { .. }) => {}
            (false, _) => self.settle(now, sent.what, Outcome::Later { wait: None }),
        }
    }

    fn challenged(&mut self, now: Time, sent: Sent, response: &Response) {
        let Sent { what, request, challenges } = sent;
        if challenges < CHALLENGES
            && let Some((id, request)) = self.link.authorize(now, request, response)
        {
            self.outbox.sent.insert(id, Sent { what, request, challenges: challenges + 1 });
            return;
        }
        self.link.doubt(now);
        self.settle(now, what, Outcome::Later { wait: None });
    }

    fn settle(&mut self, now: Time, what: What, outcome: Outcome) {
        let flows = !matches!(self.probe.flow(), Flow::Stopped { .. });
        match what {
            What::Typing { to } => {
                if let Outcome::Refused(_) = outcome {
                    self.typing.unwelcome(to);
                }
            }
            What::Text { lane, id } => {
                let failure = match outcome {
                    Outcome::Accepted => None,
                    Outcome::Refused(failure) => Some(failure),
                    Outcome::Later { wait } if self.outbox.again(now, &lane, wait, flows) => return self.probe.suspect(now),
                    Outcome::Later { .. } | Outcome::Challenged => Some(Failure::NoAnswer),
                };
                self.outbox.advance(&lane);
                if let Some(message) = self.memory.folder(&lane.with).and_then(|folder| folder.get(&id)).cloned() {
                    self.close(now, message, failure);
                }
            }
            What::Notice { lane, key } => {
                if let Outcome::Later { wait } = outcome
                    && self.outbox.again(now, &lane, wait, flows)
                {
                    return;
                }
                self.outbox.advance(&lane);
                if self.memory.errands.contains_key(&key) {
                    self.keep(Record::Done(key));
                }
            }
        }
    }

    /// A message was taken by the server, or has failed.
    fn close(&mut self, now: Time, message: Message, failure: Option<Failure>) {
        let receipt = message.receipt.merge(if failure.is_some() { Receipt::Failed } else { Receipt::Sent });
        let failure = failure.filter(|_| receipt == Receipt::Failed);
        let place = match message.place {
            Place::Last(_) => Place::After(self.memory.top, self.memory.next_nth(now)),
            place @ (Place::Kept(_) | Place::After(..)) => place,
        };
        self.keep_if_changed(Message { receipt, failure, place, ..message });
    }
}

fn outcome(response: &Response) -> Outcome {
    match response.status {
        status if status.is_success() => Outcome::Accepted,
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => Outcome::Challenged,
        Status(408 | 430 | 491 | 500 | 502..=504 | 580) => {
            let wait = response.headers.read::<RetryAfter>().map(|wait| Duration::from_secs(wait.seconds.clamp(1, LONGEST_WAIT).into()));
            Outcome::Later { wait }
        }
        status => Outcome::Refused(Failure::of(status)),
    }
}
