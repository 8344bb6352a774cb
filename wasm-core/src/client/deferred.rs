//! What waits for its recipient's decision, seen from one device: the list, what the user wants done with it, and the sessions in which
//! deferred messages come.
//!
//! While the link is up the device follows the list (`Event: deferred-messages`), which every NOTIFY tells anew. What the user decides is
//! kept until it is done, and goes to the queue in one INVITE after the other; each ends when the queue closes the session's channel.
//! The queue itself may invite, too: it is believed by the identity that the server asserts, on the device's own link. Either way a message
//! comes as CPIM and is taken like any other; the queue hears that it is kept after it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::io::{Alert, Output, Profile};
use super::msrp::{Heard, Wire};
use super::record::Record;
use crate::cpm::deferred::{ACTIONS_TYPE, Action, Actions, DeferredId, EVENT, Item, LIST_TYPE, List, MOST_ACTIONS, USER};
use crate::cpm::envelope::Envelope;
use crate::cpm::feature::{self, Service};
use crate::cpm::ids::MessageId;
use crate::msrp::Offer;
use crate::sip::dialog::{Dialog, DialogId};
use crate::sip::flow::Backoff;
use crate::sip::subscription::{Input, Output as Told, Subscriber, Wanted};
use crate::sip::transaction::ClientId;
use crate::wire::mime::Part;
use crate::wire::mime::multipart::Multipart;
use crate::wire::sdp::{self, Direction, Kind, Sdp};
use crate::wire::sip::{
    Accept, ContentType, Event, HeaderName, Headers, Method, NameAddr, PAssertedIdentity, Request, Response, SipUri, Status, To,
    TypedHeader, Uri,
};
use crate::{Entropy, Text, Time};

/// For how many seconds to follow the list.
const EXPIRES: u32 = 3600;
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), longest: Duration::from_secs(300) };
/// After how long the queue is asked again when it was busy.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the queue may take for everything that it was asked.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many sessions of the queue's at a time.
const SESSIONS: usize = 4;
/// How often a challenge is answered before it counts as a refusal.
const CHALLENGES: u32 = 2;

/// What waits for the user's decision, and what they have decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// As the server has it.
    #[serde(default)]
    pub list: List,
    /// What is to be done and is not done yet.
    #[serde(default)]
    pub doing: Vec<(DeferredId, Action)>,
}

impl Waiting {
    /// What the user wants done with a message.
    pub fn action(&self, id: DeferredId) -> Option<Action> {
        self.doing.iter().find(|(other, _)| *other == id).map(|(_, action)| *action)
    }

    /// Takes out what is dealt with.
    fn without(mut self, done: &[(DeferredId, Action)]) -> Waiting {
        for (id, action) in done {
            match *action {
                Action::Keep { remind } => {
                    self.list.items.iter_mut().filter(|item| item.id == *id).for_each(|item| item.remind = remind.or(item.remind));
                }
                Action::Retrieve { part: Some(_) } => {}
                Action::Retrieve { part: None } | Action::Interwork | Action::Discard | Action::Store => {
                    let before = self.list.items.len();
                    self.list.items.retain(|item| item.id != *id);
                    self.list.total = self.list.total.saturating_sub((before - self.list.items.len()) as u32);
                }
            }
        }
        self.doing.retain(|entry| !done.contains(entry));
        self
    }
}

/// The device's dealings with the queue.
#[derive(Debug)]
pub struct Deferred {
    entropy: Entropy,
    subscriber: Option<Subscriber>,
    subscribing: Option<ClientId>,
    asking: Option<Asking>,
    /// Sessions that the queue has opened.
    pushed: Vec<Pushed>,
    /// When to ask again after a failure.
    retry_at: Option<Time>,
}

/// A session in which the queue does what it was asked.
#[derive(Debug)]
struct Asking {
    actions: Vec<(DeferredId, Action)>,
    until: Time,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Invited { client: ClientId, sent: Box<Request>, offer: Box<Offer>, challenges: u32 },
    Open { wire: Option<Wire>, dialog: Box<Dialog> },
}

#[derive(Debug)]
struct Pushed {
    wire: Wire,
    dialog: DialogId,
}

impl Deferred {
    /// Nothing yet.
    pub fn new(entropy: Entropy) -> Deferred {
        Deferred { entropy, subscriber: None, subscribing: None, asking: None, pushed: Vec::new(), retry_at: None }
    }

    /// When something is due.
    pub fn next_timeout(&self) -> Option<Time> {
        let asking = self.asking.as_ref().map(|asking| asking.until);
        [self.subscriber.as_ref().and_then(Subscriber::next_timeout), asking, self.retry_at].into_iter().flatten().min()
    }
}

/// The address of the queue.
fn queue(profile: &Profile) -> Uri {
    SipUri::new(USER, &profile.domain).into()
}

/// Whether a request comes from the queue, by the server's word.
fn from_queue(profile: &Profile, request: &Request) -> bool {
    let asserted = request.headers.list::<PAssertedIdentity>().unwrap_or_default();
    let is_queue = |uri: &SipUri| {
        uri.user.as_ref().is_some_and(|user| user.eq_ignore_ascii_case(USER)) && uri.host.as_str().eq_ignore_ascii_case(&profile.domain)
    };
    asserted.iter().any(|asserted| asserted.uri.sip().is_some_and(is_queue))
}

fn media_type(text: &str) -> Option<ContentType> {
    ContentType::parse(&Text::from(text)).ok()
}

/// This end of a session, for messages from the other alone.
fn receiving(offer: Offer) -> Offer {
    Offer { direction: Direction::Receive, ..offer }
}

impl Engine {
    /// The user decides on messages that wait.
    pub(super) fn decide(&mut self, now: Time, actions: Actions) {
        let mut waiting = self.memory.deferred.clone();
        for (id, action) in actions.0 {
            if waiting.list.items.iter().any(|item| item.id == id) {
                waiting.doing.retain(|(other, _)| *other != id);
                waiting.doing.push((id, action));
            }
        }
        self.keep_waiting(waiting);
        self.ask_queue(now);
    }

    fn keep_waiting(&mut self, waiting: Waiting) {
        if self.memory.deferred != waiting {
            self.keep(Record::Deferred(waiting));
        }
    }

    /// The link is up: the list is followed, and what was decided is asked for.
    pub(super) fn follow_queue(&mut self, now: Time) {
        let deferred = &mut self.deferred;
        let wanted = Wanted {
            target: queue(&self.profile),
            subscriber: NameAddr::new(self.profile.address.to_uri()),
            contact: self.link.contact(),
            event: Event::new(EVENT),
            accept: media_type(LIST_TYPE).map(|kind| Accept(vec![kind])),
            routes: self.link.routes(),
            expires: EXPIRES,
            backoff: BACKOFF,
        };
        let mut subscriber = Subscriber::new(wanted, deferred.entropy.fork());
        subscriber.handle(now, self.link.authenticator(), Input::Start);
        (deferred.subscriber, deferred.retry_at) = (Some(subscriber), None);
        self.drive_subscriber(now);
        self.ask_queue(now);
    }

    /// The link is down, and with it every dialog.
    pub(super) fn leave_queue(&mut self, now: Time) {
        let deferred = &mut self.deferred;
        (deferred.subscriber, deferred.subscribing, deferred.retry_at) = (None, None, None);
        let asked = deferred.asking.take().and_then(|asking| match asking.stage {
            Stage::Open { wire, .. } => wire,
            Stage::Invited { .. } => None,
        });
        for wire in std::mem::take(&mut deferred.pushed).into_iter().map(|pushed| pushed.wire).chain(asked) {
            self.wires.close(now, wire);
        }
    }

    fn drive_subscriber(&mut self, now: Time) {
        while let Some(told) = self.deferred.subscriber.as_mut().and_then(Subscriber::poll) {
            match told {
                Told::Send(request) => self.deferred.subscribing = Some(self.link.send(now, request)),
                Told::State(_) | Told::Lost { .. } => {}
                // The server does not know the package.
                Told::Ended(_) => self.deferred.subscriber = None,
            }
        }
    }

    /// Time has passed.
    pub(super) fn deferred_timeout(&mut self, now: Time) {
        if let Some(subscriber) = &mut self.deferred.subscriber {
            subscriber.handle(now, self.link.authenticator(), Input::Timeout);
            self.drive_subscriber(now);
        }
        if self.deferred.asking.as_ref().is_some_and(|asking| asking.until <= now) {
            self.hang_up(now);
            self.ask_later(now);
        }
        if self.deferred.retry_at.is_some_and(|at| at <= now) {
            self.deferred.retry_at = None;
            self.ask_queue(now);
        }
    }

    /// Whether a response, or that there is none, was for the dealings with the queue.
    pub(super) fn queue_answered(&mut self, now: Time, id: ClientId, response: Option<&Response>) -> bool {
        if self.deferred.subscribing == Some(id) {
            self.deferred.subscribing = None;
            if let Some(subscriber) = &mut self.deferred.subscriber {
                subscriber.handle(now, self.link.authenticator(), response.map_or(Input::Silence, Input::Response));
            }
            self.drive_subscriber(now);
            return true;
        }
        match self.deferred.asking.take() {
            Some(Asking { actions, until, stage: Stage::Invited { client, sent, offer, challenges } }) if client == id => {
                self.invited(now, actions, until, *sent, *offer, challenges, response);
                true
            }
            asking => {
                self.deferred.asking = asking;
                false
            }
        }
    }

    /// A NOTIFY came.
    pub(super) fn queue_notified(&mut self, now: Time, request: &Request) -> Status {
        let Some(subscriber) = &mut self.deferred.subscriber else { return Status::CALL_DOES_NOT_EXIST };
        let status = subscriber.notified(now, request);
        let kind = request.headers.read::<ContentType>();
        if status == Status::OK
            && kind.is_some_and(|kind| kind.is(LIST_TYPE))
            && let Ok(list) = List::parse(&request.body)
        {
            self.listed(now, list);
        }
        self.drive_subscriber(now);
        status
    }

    fn listed(&mut self, now: Time, list: List) {
        let before = &self.memory.deferred.list.items;
        // The server takes a reminder off, or puts it off, when its time has come.
        let told = |item: &&Item| {
            before.iter().any(|old| old.id == item.id && old.remind.is_some_and(|at| at <= now) && old.remind != item.remind)
        };
        let due: Vec<Item> = list.items.iter().filter(told).cloned().collect();
        due.iter().for_each(|item| self.remind(item));
        let mut doing = self.memory.deferred.doing.clone();
        doing.retain(|(id, _)| list.items.iter().any(|item| item.id == *id));
        self.keep_waiting(Waiting { list, doing });
    }

    fn remind(&mut self, item: &Item) {
        let Some(id) = MessageId::parse(&Text::from(format!("deferred-{}", item.id.0))) else { return };
        let alert = Alert { with: item.from.clone(), title: self.title(&item.from), id, text: item.subject.clone().unwrap_or_default() };
        self.outputs.push_back(Output::Alert(alert));
    }

    /// Asks the queue for what was decided, unless it is being asked.
    fn ask_queue(&mut self, now: Time) {
        let doing = &self.memory.deferred.doing;
        if doing.is_empty() || self.deferred.asking.is_some() || self.deferred.retry_at.is_some() || !self.link.is_up() {
            return;
        }
        let actions: Vec<_> = doing.iter().take(MOST_ACTIONS).copied().collect();
        let offer = receiving(self.wires.end());
        let media = offer.media(self.wires.options());
        let parts =
            vec![Part::new(sdp::MEDIA_TYPE, self.describe(vec![media])), Part::new(ACTIONS_TYPE, Actions(actions.clone()).encode())];
        let body = Multipart::new(&mut self.entropy, parts);
        let target = queue(&self.profile);
        let mut request = Request::new(Method::Invite, target.clone())
            .with(&To::new(target))
            .with(&self.link.contact())
            .with(&feature::accept_contact(Service::Deferred))
            .with(&body.content_type("mixed"));
        request.headers.push(HeaderName::PPreferredService, feature::DEFERRED);
        request.body = body.encode();
        let (client, sent) = self.link.request(now, request);
        let stage = Stage::Invited { client, sent: Box::new(sent), offer: Box::new(offer), challenges: 0 };
        self.deferred.asking = Some(Asking { actions, until: now + PATIENCE, stage });
    }

    fn ask_later(&mut self, now: Time) {
        self.deferred.retry_at = Some(now + AGAIN);
    }

    /// The queue has answered the invitation, or not.
    #[expect(clippy::too_many_arguments, reason = "all that is known of an invitation")]
    fn invited(
        &mut self,
        now: Time,
        actions: Vec<(DeferredId, Action)>,
        until: Time,
        sent: Request,
        offer: Offer,
        challenges: u32,
        response: Option<&Response>,
    ) {
        let Some(response) = response else { return self.ask_later(now) };
        let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
        if challenged
            && challenges < CHALLENGES
            && let Some((client, sent)) = self.link.authorize(now, sent.clone(), response)
        {
            let stage = Stage::Invited { client, sent: Box::new(sent), offer: Box::new(offer), challenges: challenges + 1 };
            self.deferred.asking = Some(Asking { actions, until, stage });
            return;
        }
        let dialog = if response.status.is_success() { Dialog::of_client(&sent, response) } else { None };
        let Some(dialog) = dialog else {
            // What the queue does not want to do now, it may later; what it never wants to is not asked for again.
            return match response.status.0 {
                403 | 404 | 405 | 415 | 488 => self.asked(actions, false),
                _ => self.ask_later(now),
            };
        };
        self.link.confirm(now, dialog.acknowledge(cseq(&sent)));
        let setup = Sdp::parse(&response.body).ok().and_then(|sdp| offer.accept(sdp.find(Kind::Message)?).ok());
        let wire = setup.and_then(|setup| self.wires.open(now, &setup));
        self.deferred.asking = Some(Asking { actions, until, stage: Stage::Open { wire, dialog: Box::new(dialog) } });
        if wire.is_none() {
            self.hang_up(now);
            self.ask_later(now);
        }
    }

    /// Says goodbye to the queue.
    fn hang_up(&mut self, now: Time) -> Option<Vec<(DeferredId, Action)>> {
        let Asking { actions, stage, .. } = self.deferred.asking.take()?;
        if let Stage::Open { wire, mut dialog } = stage {
            if let Some(wire) = wire {
                self.wires.close(now, wire);
            }
            let bye = dialog.request(Method::Bye);
            self.link.send(now, bye);
        }
        Some(actions)
    }

    /// What was asked for is dealt with: done, or never to be done.
    fn asked(&mut self, actions: Vec<(DeferredId, Action)>, done: bool) {
        let mut waiting = self.memory.deferred.clone();
        match done {
            true => waiting = waiting.without(&actions),
            false => waiting.doing.retain(|entry| !actions.contains(entry)),
        }
        self.keep_waiting(waiting);
    }

    /// A session says something.
    pub(super) fn heard(&mut self, now: Time, wire: Wire, heard: Heard) {
        match heard {
            Heard::Message { body, receipt, .. } => {
                if let Ok(envelope) = Envelope::of_session(&body) {
                    let id = envelope.message_id.clone();
                    // What cannot be shown here lies in the history.
                    self.received(now, id, &Headers::new(), &envelope);
                }
                self.wires.kept(now, wire, receipt);
            }
            Heard::Sent(_) | Heard::Failed(..) => {}
            Heard::Closed(_) => {
                let is_asked = |asking: &Asking| matches!(&asking.stage, Stage::Open { wire: Some(other), .. } if *other == wire);
                if self.deferred.asking.as_ref().is_some_and(is_asked)
                    && let Some(actions) = self.hang_up(now)
                {
                    self.asked(actions, true);
                    self.ask_queue(now);
                }
            }
        }
    }

    /// An INVITE came.
    pub(super) fn invitation(&mut self, now: Time, request: &Request) -> Response {
        let refuse = |status| Response::to(request, status);
        if request.headers.read::<To>().is_some_and(|to| to.tag().is_some()) {
            return refuse(Status::NOT_ACCEPTABLE_HERE);
        }
        if !from_queue(&self.profile, request) || feature::service(&request.headers) != Some(Service::Deferred) {
            return refuse(Status::NOT_ACCEPTABLE_HERE);
        }
        if self.deferred.pushed.len() >= SESSIONS {
            return refuse(Status::BUSY_HERE);
        }
        let offer = receiving(self.wires.end());
        let sdp = Sdp::parse(&request.body).ok();
        let answer = sdp.as_ref().and_then(|sdp| offer.answer(sdp.find(Kind::Message)?, self.wires.options()).ok());
        let Some((media, setup)) = answer else { return refuse(Status::NOT_ACCEPTABLE_HERE) };
        let mut response = Response::to(request, Status::OK).with(&self.link.contact());
        if let Some(mut to) = request.headers.read::<To>() {
            to.set_tag(&self.entropy.hex::<8>());
            response.headers.put(&to);
        }
        let Some(dialog) = Dialog::of_server(request, &response) else { return refuse(Status::BAD_REQUEST) };
        let Some(wire) = self.wires.open(now, &setup) else { return refuse(Status::BUSY_HERE) };
        self.deferred.pushed.push(Pushed { wire, dialog: dialog.id().clone() });
        response.headers.push(HeaderName::ContentType, sdp::MEDIA_TYPE);
        response.body = self.describe(vec![media]);
        response
    }

    /// A BYE came.
    pub(super) fn goodbye(&mut self, now: Time, request: &Request) -> Status {
        let Some(dialog) = DialogId::of_request(request) else { return Status::CALL_DOES_NOT_EXIST };
        if let Some(at) = self.deferred.pushed.iter().position(|pushed| pushed.dialog == dialog) {
            let pushed = self.deferred.pushed.swap_remove(at);
            self.wires.close(now, pushed.wire);
            return Status::OK;
        }
        match self.deferred.asking.take() {
            Some(Asking { actions, stage: Stage::Open { wire, dialog: asked }, .. }) if *asked.id() == dialog => {
                if let Some(wire) = wire {
                    self.wires.close(now, wire);
                }
                self.asked(actions, true);
                self.ask_queue(now);
                Status::OK
            }
            asking => {
                self.deferred.asking = asking;
                Status::CALL_DOES_NOT_EXIST
            }
        }
    }

    /// A description of a session with these media. Its host stands for no address.
    fn describe(&mut self, medias: Vec<sdp::Media>) -> bytes::Bytes {
        let number = u64::from(u32::from_be_bytes(self.entropy.bytes::<4>()));
        let mut sdp = Sdp::new(number, number, core::net::Ipv4Addr::UNSPECIFIED.into());
        sdp.session.medias = medias;
        sdp.encode()
    }
}

fn cseq(request: &Request) -> u32 {
    request.headers.read::<crate::wire::sip::CSeq>().map_or(1, |cseq| cseq.number)
}
