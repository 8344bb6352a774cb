//! Sessions in which a device says what is to become of messages that wait for a decision, and fetches some (R220-R223).
//!
//! ```text
//! INVITE with offer and actions ──► 200 ──► a window of entries is read ──► each is decided on: one unit ──► durable
//!             ▲                                   │ while there are more          retrieve: SEND ──► confirmed: the entry ends
//!             │                                   ▼
//!            BYE ◄── the device ◄── the channel is closed when nothing is left
//! ```
//!
//! To retrieve is first of all to release: the message goes to the box and to the queue for the devices, so that a device that vanishes
//! leaves it to the others. A whole list is one request, and other devices may decide meanwhile: whoever is first counts.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use wasm_core::cpm::deferred::{ACTIONS_TYPE, Action, Actions, DeferredId, MOST_ACTIONS};
use wasm_core::cpm::envelope::{Content, Envelope, Wants};
use wasm_core::msrp::Setup;
use wasm_core::sip::dialog::Dialog;
use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::imdn::{Delivery, Report};
use wasm_core::wire::mime::multipart::Multipart;
use wasm_core::wire::sdp::{self, Kind, Media, Sdp};
use wasm_core::wire::sip::{ContentType, HeaderName, Request, Response, Status, To, TypedHeader};
use wasm_core::wire::{cpim, mime};

use super::super::{Alarm, Awaited, Effect, Hand, Participating, terminating};
use super::session::{self, Session};
use crate::node::{Function, Hop, MsrpCommand, Query, SessionId};
use crate::sip_core::refusal::Refusal;
use crate::store::{Account, Applied, Direction, HeldPage, Outcome, PendingId, Queued, StoreError, StoredMessage, Unit, UserId, Write};

/// Sessions of one user at a time.
const SESSIONS: usize = 4;
/// How many entries are decided on at a time: so many requests are in memory.
const WINDOW: usize = 32;
/// How long a device may take to say goodbye after the channel was closed.
const GOODBYE: Duration = Duration::from_secs(10);

/// A session that a device asked for.
#[derive(Debug)]
pub(in crate::participating) struct Pull {
    pub(super) user: UserId,
    pub(super) hop: Hop,
    pub(super) dialog: Dialog,
    /// What is not begun yet.
    todo: VecDeque<(DeferredId, Action)>,
    /// The entries that are being read.
    window: Vec<(PendingId, Action)>,
    /// Decisions that are not durable yet.
    deciding: usize,
    /// What was sent and is not confirmed; a part is of no entry that ends with it.
    sending: HashMap<u64, Option<PendingId>>,
    sent: u64,
    channel: Channel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Open,
    /// Closed by this end, since there is nothing left to do.
    Done,
    Lost,
}

/// What becomes of an entry of the queue.
#[derive(Clone, Debug)]
pub(in crate::participating) enum Decision {
    /// It goes to the device that asked for it in this session.
    Retrieve(SessionId),
    /// It goes nowhere but to the history, or not even there; its sender hears that it was not delivered, where they asked to.
    End { keep: bool, tell: bool },
}

impl Participating {
    /// An INVITE to the queue.
    pub(super) fn pull(&mut self, hand: &mut Hand<'_>, id: ServerId, account: &Account, hop: Hop, request: &Request) {
        hand.core.step(Function::Core, Function::Participating, || "INVITE".into());
        match self.accept_pull(hand, account, hop, request) {
            Err(refusal) => {
                hand.core.step(Function::Participating, Function::Core, || refusal.status.0.to_string());
                hand.core.refuse(hand.now, id, request, refusal);
            }
            Ok((session, response, actions)) => {
                hand.core.step(Function::Participating, Function::Core, || "200".into());
                hand.core.respond(hand.now, id, response);
                match actions {
                    Some(_) => self.proceed(hand, &session),
                    // Without a word on what to do, everything is wanted.
                    None => self.load(Awaited::Everything(session), Query::Held { user: account.user, limit: MOST_ACTIONS }),
                }
            }
        }
    }

    fn accept_pull(
        &mut self,
        hand: &mut Hand<'_>,
        account: &Account,
        hop: Hop,
        request: &Request,
    ) -> Result<(SessionId, Response, Option<()>), Refusal> {
        if request.headers.read::<To>().is_some_and(|to| to.tag().is_some()) {
            return Err(Refusal::because(Status::NOT_ACCEPTABLE_HERE, "No Changes"));
        }
        let user = account.user;
        if self.sessions.values().filter(|session| session.user() == user).count() >= SESSIONS {
            return Err(Refusal::later(Status::BUSY_HERE, 5));
        }
        let (sdp, actions) = read_body(request)?;
        if actions.as_ref().is_some_and(|actions| actions.0.iter().any(|(_, action)| *action == Action::Interwork)) {
            return Err(Refusal::because(Status::NOT_ACCEPTABLE_HERE, "No Interworking"));
        }
        let (medias, setup) = self.answer_offer(&sdp)?;
        let contact = hand.core.contact(&hop, session::own_uri(&self.config.host));
        let mut response = Response::to(request, Status::OK).with(&contact);
        if let Some(mut to) = request.headers.read::<To>() {
            to.set_tag(&self.entropy.hex::<6>());
            response.headers.put(&to);
        }
        let dialog = Dialog::of_server(request, &response).ok_or_else(|| Refusal::new(Status::BAD_REQUEST))?;
        response.headers.push(HeaderName::ContentType, sdp::MEDIA_TYPE);
        response.body = self.describe(medias);
        let (session, near) = (SessionId::of(&setup.local), hand.core.remote(&hop));
        let local = setup.local.clone();
        let open = MsrpCommand::Open { session: session.clone(), user, local, setup: Some(Box::new(setup)), near };
        self.effects.push_back(Effect::Msrp(open));
        let asked = actions.as_ref().map(|_| ());
        let pull = Pull {
            user,
            hop,
            dialog,
            todo: actions.map(|actions| actions.0.into()).unwrap_or_default(),
            window: Vec::new(),
            deciding: 0,
            sending: HashMap::new(),
            sent: 0,
            channel: Channel::Open,
        };
        self.sessions.insert(session.clone(), Session::Pull(Box::new(pull)));
        Ok((session, response, asked))
    }

    /// The answer to a device's offer: its first medium of messages is taken, all others are refused.
    fn answer_offer(&mut self, sdp: &Sdp) -> Result<(Vec<Media>, Setup), Refusal> {
        let refused = || Refusal::new(Status::NOT_ACCEPTABLE_HERE);
        let section = sdp.find(Kind::Message).ok_or_else(refused)?;
        let offer = session::sending(self.config.msrp.answering(section, &mut self.entropy).ok_or_else(refused)?);
        let (media, setup) = offer.answer(section, &session::options()).map_err(|_| refused())?;
        if !session::takes_cpim(&setup.accept_types) {
            return Err(refused());
        }
        let taken = sdp.media().position(|other| other.kind() == Kind::Message && !other.is_refused());
        let medias = sdp.session.medias.iter().enumerate().map(|(at, offered)| match Some(at) == taken {
            true => media.clone(),
            false => Media { port: 0, ..offered.clone() },
        });
        Ok((medias.collect(), setup))
    }

    /// What there is, for a device that wants everything.
    pub(in crate::participating) fn everything(&mut self, hand: &mut Hand<'_>, session: &SessionId, page: HeldPage) {
        if let Some(pull) = self.pulling(session) {
            let id = |id: PendingId| DeferredId(u64::try_from(id.0).unwrap_or_default());
            pull.todo = page.items.into_iter().map(|item| (id(item.id), Action::Retrieve { part: None })).collect();
        }
        self.proceed(hand, session);
    }

    fn pulling(&mut self, session: &SessionId) -> Option<&mut Pull> {
        match self.sessions.get_mut(session)? {
            Session::Pull(pull) => Some(pull),
            Session::Push(_) => None,
        }
    }

    /// Begins with the next entries once those before are dealt with, and ends when there are none.
    fn proceed(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        let Some(pull) = self.pulling(session) else { return };
        if !pull.window.is_empty() || pull.deciding > 0 || !pull.sending.is_empty() {
            return;
        }
        let count = pull.todo.len().min(WINDOW);
        pull.window = pull.todo.drain(..count).map(|(id, action)| (PendingId(i64::try_from(id.0).unwrap_or(-1)), action)).collect();
        if !pull.window.is_empty() {
            let query = Query::HeldEntries { user: pull.user, ids: pull.window.iter().map(|(id, _)| *id).collect() };
            return self.load(Awaited::Window(session.clone()), query);
        }
        match pull.channel {
            Channel::Open => {
                // The device says goodbye when it sees this [OMA CPM SD §5.2.2.2.1].
                pull.channel = Channel::Done;
                self.effects.push_back(Effect::Msrp(MsrpCommand::Close { session: session.clone() }));
                self.alarms.push(Reverse((hand.now + GOODBYE, Alarm::Goodbye(session.clone()))));
            }
            Channel::Lost => self.goodbye(hand, session),
            Channel::Done => {}
        }
    }

    /// The device has not said goodbye.
    pub(in crate::participating) fn goodbye(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        if self.pulling(session).is_some()
            && let Some(Session::Pull(mut pull)) = self.sessions.remove(session)
        {
            self.hang_up(hand, &pull.hop, &mut pull.dialog);
        }
    }

    /// The store has the entries of a window that are still held.
    pub(in crate::participating) fn window(&mut self, hand: &mut Hand<'_>, session: &SessionId, entries: Vec<Queued>) {
        let Some(pull) = self.pulling(session) else { return };
        let mut window: HashMap<PendingId, Action> = std::mem::take(&mut pull.window).into_iter().collect();
        let lost = pull.channel != Channel::Open;
        for entry in entries {
            let Some(action) = window.remove(&entry.id) else { continue };
            match action {
                // What cannot be sent any more stays.
                Action::Retrieve { .. } if lost => {}
                Action::Retrieve { part: Some(part) } => self.send_part(session, &entry, part),
                Action::Retrieve { part: None } => self.decide(Some(session), entry, Decision::Retrieve(session.clone())),
                Action::Discard => self.decide(Some(session), entry, Decision::End { keep: false, tell: true }),
                Action::Store => self.decide(Some(session), entry, Decision::End { keep: true, tell: false }),
                Action::Keep { remind: Some(at) } => {
                    let write = Write::Remind { user: entry.pending.user, id: entry.id, at: Some(at) };
                    self.commit(Awaited::Noted(entry.pending.user, entry.id), Unit::from(write));
                }
                Action::Keep { remind: None } | Action::Interwork => {}
            }
        }
        self.proceed(hand, session);
    }

    /// Writes what becomes of an entry. Whoever comes second finds it gone.
    pub(in crate::participating) fn decide(&mut self, session: Option<&SessionId>, entry: Queued, decision: Decision) {
        let (user, id) = (entry.pending.user, entry.id);
        let copy = super::decode(&entry.pending.request).and_then(|request| Envelope::unwrap(&request).ok());
        let copy = copy.map(|envelope| stored(&entry, &envelope)).map(Write::Store);
        let writes = match decision {
            Decision::Retrieve(_) => {
                self.carrying.insert(id);
                std::iter::once(Write::Release { user, id }).chain(copy).collect()
            }
            Decision::End { keep, .. } => std::iter::once(Write::Unhold { user, id }).chain(copy.filter(|_| keep)).collect(),
        };
        if let Some(pull) = session.and_then(|session| self.pulling(session)) {
            pull.deciding += 1;
        }
        self.commit(Awaited::Decided(session.cloned(), Box::new(entry), decision), Unit(writes));
    }

    /// What became of a decision.
    pub(in crate::participating) fn decided(
        &mut self,
        hand: &mut Hand<'_>,
        session: Option<&SessionId>,
        entry: &Queued,
        decision: Decision,
        result: Result<Applied, StoreError>,
    ) {
        let user = entry.pending.user;
        self.burying.remove(&entry.id);
        if let Some(pull) = session.and_then(|session| self.pulling(session)) {
            pull.deciding = pull.deciding.saturating_sub(1);
        }
        if result.is_ok_and(|applied| applied.outcomes.first() == Some(&Outcome::Done)) {
            match &decision {
                Decision::Retrieve(session) => self.send_whole(hand, session, entry),
                Decision::End { tell, .. } => {
                    if let Some(envelope) = super::mourned(entry).filter(|_| *tell) {
                        self.report(hand, user, &envelope, Report::Delivery(Delivery::Failed));
                    }
                }
            }
            self.list_changed(hand, user);
        } else {
            self.carrying.remove(&entry.id);
        }
        if let Some(session) = session {
            self.proceed(hand, session);
        }
    }

    /// Sends what was released; if that is not possible any more, it is the lanes' turn.
    fn send_whole(&mut self, hand: &mut Hand<'_>, session: &SessionId, entry: &Queued) {
        let body =
            super::decode(&entry.pending.request).and_then(|request| Envelope::unwrap(&request).ok()).map(|envelope| envelope.to_session());
        let sent = body.is_some_and(|body| self.send_in(session, Some(entry.id), body));
        if !sent {
            self.hand_over(hand, entry.pending.user, entry.id);
        }
    }

    /// Sends one part of a message of several, in the message's envelope (R192).
    fn send_part(&mut self, session: &SessionId, entry: &Queued, part: u16) {
        let Some(mut envelope) = super::decode(&entry.pending.request).and_then(|request| Envelope::unwrap(&request).ok()) else { return };
        let Some(content) = nth_part(&envelope.content, usize::from(part)) else { return };
        envelope.content = content;
        // What was looked at is not delivered.
        envelope.wants = Wants::NOTHING;
        self.send_in(session, None, envelope.to_session());
    }

    fn send_in(&mut self, session: &SessionId, of: Option<PendingId>, body: Bytes) -> bool {
        let Some(pull) = self.pulling(session).filter(|pull| pull.channel == Channel::Open) else { return false };
        pull.sent += 1;
        let number = pull.sent;
        pull.sending.insert(number, of);
        let content_type = cpim::MEDIA_TYPE.into();
        let send = MsrpCommand::Send { session: session.clone(), number, content_type, body, report: true };
        self.effects.push_back(Effect::Msrp(send));
        true
    }

    /// The device has kept a message, or never will.
    pub(super) fn pulled(&mut self, hand: &mut Hand<'_>, session: &SessionId, number: u64, kept: bool) {
        let Some(pull) = self.pulling(session) else { return };
        let (user, of) = (pull.user, pull.sending.remove(&number).flatten());
        match of {
            Some(pending) if kept => {
                self.carrying.remove(&pending);
                self.settle(user, pending);
            }
            Some(pending) => self.hand_over(hand, user, pending),
            None => {}
        }
        self.proceed(hand, session);
    }

    /// The device closed the channel, or lost it. What it only wanted decided is done all the same.
    pub(super) fn channel_lost(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        let Some(pull) = self.pulling(session) else { return };
        pull.channel = Channel::Lost;
        pull.todo.retain(|(_, action)| !matches!(action, Action::Retrieve { .. }));
        let (user, sending) = (pull.user, std::mem::take(&mut pull.sending));
        for pending in sending.into_values().flatten() {
            self.hand_over(hand, user, pending);
        }
        self.proceed(hand, session);
    }

    pub(super) fn pull_ended(&mut self, hand: &mut Hand<'_>, pull: Pull) {
        for pending in pull.sending.into_values().flatten() {
            self.hand_over(hand, pull.user, pending);
        }
    }

    /// What was released and came to no end in its session waits for the user's devices like everything else.
    fn hand_over(&mut self, hand: &mut Hand<'_>, user: UserId, pending: PendingId) {
        self.carrying.remove(&pending);
        self.catch_up(hand, user);
    }
}

/// The offer, and what is to be done, if the device says so.
fn read_body(request: &Request) -> Result<(Sdp, Option<Actions>), Refusal> {
    let bad = |reason| Refusal::because(Status::BAD_REQUEST, reason);
    let kind = request.headers.read::<ContentType>().ok_or_else(|| bad("No Offer"))?;
    if kind.is(sdp::MEDIA_TYPE) {
        return Ok((Sdp::parse(&request.body).map_err(|_| bad("Bad Offer"))?, None));
    }
    if !kind.kind.eq_ignore_ascii_case("multipart") {
        return Err(Refusal::new(Status::UNSUPPORTED_MEDIA_TYPE).with(HeaderName::Accept, "multipart/mixed, application/sdp"));
    }
    let multipart = Multipart::of(&kind, &request.body).map_err(|_| bad("Bad Multipart"))?;
    let decoded = |part: &mime::Part| part.decoded().map_err(|_| bad("Bad Encoding"));
    let offer = multipart.find(sdp::MEDIA_TYPE).ok_or_else(|| bad("No Offer"))?;
    let offer = Sdp::parse(&decoded(offer)?).map_err(|_| bad("Bad Offer"))?;
    let actions = match multipart.find(ACTIONS_TYPE) {
        Some(actions) => Some(Actions::parse(&decoded(actions)?).map_err(|_| bad("Bad Actions"))?),
        None => None,
    };
    Ok((offer, actions))
}

/// The recipient's copy of what was held.
fn stored(entry: &Queued, envelope: &Envelope) -> StoredMessage {
    terminating::stored(envelope, &entry.pending.message_id, entry.pending.expires_at, entry.pending.user, Direction::In)
}

/// One part of a message of several, counted from 1; any other message is its own only part.
fn nth_part(content: &Content, nth: usize) -> Option<Content> {
    let kind = ContentType::parse(&content.content_type().into()).ok()?;
    match Multipart::of(&kind, &content.body()) {
        Ok(multipart) => {
            let part = multipart.parts.get(nth.checked_sub(1)?)?;
            let content_type = part.field("Content-Type").cloned().unwrap_or_else(|| "text/plain".into());
            Some(Content::Other { content_type, body: part.decoded().ok()? })
        }
        Err(_) => (nth == 1).then(|| content.clone()),
    }
}
