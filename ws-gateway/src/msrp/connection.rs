//! One connection that carries MSRP, and the sessions on it: bytes in, bytes and events out, without a socket.
//!
//! A request for a session that is not here yet is looked up in the [`Hub`]; what is for none is refused and read over. Several sessions
//! may share a connection [RFC4975 §5.4]: each gets the bytes of its own frames, cut here where they begin. Nothing is queued for a
//! peer: [`Connection::transmit`] is asked for a frame when the socket takes one, and reading stops while what was read is not used.
//!
//! ```text
//! received(bytes) · wake() · timeout()   then   settle(hub) while needs_hub() · poll() until None · transmit() while the socket takes bytes
//! ```

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use wasm_core::Time;
use wasm_core::msrp::{Ending, Id, Input, Outgoing, Output, Receipt, Session};
use wasm_core::wire::msrp::{
    Decoder, Event, FailureReport, Flag, Head, Limits, Method, MsrpUri, Printer, Start, Status, Transport as Carrier,
};

use super::hub::{Carriage, Claim, ConnectionId, Granted, Hub, Waiting};
use crate::node::{MsrpEnding, MsrpEvent, SessionId};
use crate::store::UserId;

/// So many bytes of messages are taken from the hub before they can be sent.
const AHEAD: usize = 128 * 1024;
/// So many requests are refused, and so many bytes read over, before the connection is given up.
const REFUSALS: u32 = 16;
const PATIENCE: usize = 1 << 20;

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Its sessions are over.
    Done,
    /// Nobody had a use for it in time.
    Unused,
    /// The other end closed it.
    Lost,
    /// What came is no MSRP, or too much of it was refused.
    Fault,
    /// The gateway stops.
    Stopping,
}

impl Over {
    /// The word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Over::Done => "done",
            Over::Unused => "unused",
            Over::Lost => "lost",
            Over::Fault => "fault",
            Over::Stopping => "stopping",
        }
    }

    fn ending(self) -> MsrpEnding {
        match self {
            Over::Done | Over::Unused | Over::Lost => MsrpEnding::Lost,
            Over::Fault => MsrpEnding::Fault,
            Over::Stopping => MsrpEnding::Stopping,
        }
    }
}

/// A session on the connection.
#[derive(Debug)]
struct Running {
    id: SessionId,
    local: MsrpUri,
    session: Session,
    /// What is on its way: its number, and whether a report is waited for.
    sent: HashMap<Id, (u64, bool)>,
    /// Whether the hub was told of its end.
    parted: bool,
}

/// Whose the bytes are that are being read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Session(SessionId),
    Nobody,
}

/// What the node is told, and what becomes of it when the node has it.
#[derive(Debug)]
struct Told {
    event: MsrpEvent,
    used: Option<(SessionId, usize, Receipt)>,
}

/// The connection.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    carriage: Carriage,
    /// Who is signed in on it, where it says so.
    user: Option<UserId>,
    decoder: Decoder,
    /// What was read and belongs to nobody yet, the rest of it.
    raw: Bytes,
    /// How many bytes of `raw` belong to `route`.
    mark: usize,
    route: Route,
    /// The request whose session is being looked up.
    asked: Option<Box<Head>>,
    /// Whether the answer to its session's offer is waited for.
    parked: bool,
    running: Vec<Running>,
    /// Whose turn it is to send.
    turn: usize,
    refusals: VecDeque<Bytes>,
    refused: u32,
    skipped: usize,
    events: VecDeque<Told>,
    taken: Option<(SessionId, usize, Receipt)>,
    woken: bool,
    /// When it was of use last, while it carries no session.
    unused: Option<Time>,
    over: Option<Over>,
}

impl Connection {
    /// A connection that came in.
    pub fn new(now: Time, id: ConnectionId, carriage: Carriage, user: Option<UserId>) -> Connection {
        Connection {
            id,
            carriage,
            user,
            decoder: Decoder::new(Limits::default()),
            raw: Bytes::new(),
            mark: 0,
            route: Route::Nobody,
            asked: None,
            parked: false,
            running: Vec::new(),
            turn: 0,
            refusals: VecDeque::new(),
            refused: 0,
            skipped: 0,
            events: VecDeque::new(),
            taken: None,
            woken: false,
            unused: Some(now),
            over: None,
        }
    }

    /// A connection that was opened for a session; none when that is over.
    pub fn dialled(now: Time, id: ConnectionId, secure: bool, session: &SessionId, hub: &mut Hub) -> Option<Connection> {
        let granted = hub.dialled(session, id)?;
        let mut connection = Connection::new(now, id, Carriage { carrier: Carrier::Tcp, secure }, None);
        connection.begin(now, *granted);
        connection.feed(now, hub);
        Some(connection)
    }

    /// Whether more is to be read from the socket.
    pub fn wants_read(&self) -> bool {
        self.over.is_none() && self.asked.is_none() && self.refusals.len() < 8 && self.running.iter().all(|one| one.session.wants_read())
    }

    /// Why the connection is to be closed, once [`Connection::transmit`] has nothing left; [`Connection::settle`] was called after it was set.
    pub fn over(&self) -> Option<Over> {
        self.over
    }

    /// Whether the hub is to be asked or told something.
    pub fn needs_hub(&self) -> bool {
        self.woken || (self.asked.is_some() && !self.parked) || self.running.iter().any(|one| one.session.is_closed() && !one.parted)
    }

    /// Whether nothing that was handed in waits to be sent or confirmed.
    pub fn is_quiet(&self) -> bool {
        self.running.iter().all(|one| one.sent.is_empty())
    }

    /// Something waits in the hub.
    pub fn wake(&mut self) {
        self.woken = true;
    }

    /// When [`Connection::timeout`] is due.
    pub fn next_timeout(&self, hub_patience: std::time::Duration) -> Option<Time> {
        if self.over.is_some() {
            return None;
        }
        let unused = self.unused.map(|since| since + hub_patience);
        self.running.iter().filter_map(|one| one.session.next_timeout()).chain(unused).min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time, hub_patience: std::time::Duration) {
        for one in &mut self.running {
            one.session.handle(now, Input::Timeout);
        }
        if self.unused.is_some_and(|since| since + hub_patience <= now) {
            self.end(now, Over::Unused);
        }
        self.hear(now);
    }

    /// Takes in what was read: bytes of the stream, or one WebSocket message.
    pub fn received(&mut self, now: Time, bytes: Bytes) {
        if self.over.is_some() {
            return;
        }
        if self.carriage.carrier == Carrier::WebSocket
            && let Some(one) = self.running.iter_mut().find(|one| is_for(&bytes, &one.local))
        {
            one.session.handle(now, Input::Received(bytes));
        } else {
            self.decoder.push(bytes.clone());
            self.raw = if self.raw.is_empty() { bytes } else { join(&self.raw, &bytes) };
            self.read(now);
        }
        self.hear(now);
    }

    /// Gives each session the bytes of its frames, until a request is for a session that is not here.
    fn read(&mut self, now: Time) {
        loop {
            let event = match self.decoder.next() {
                Ok(event) => event,
                Err(_) => return self.end(now, Over::Fault),
            };
            let cut = self.raw.len() - self.decoder.held();
            match event {
                Some(Event::Head { head, .. }) => {
                    let to = head.to.first();
                    let found = self.running.iter().find(|one| one.local == *to && !one.session.is_closed());
                    match (found.map(|one| one.id.clone()), &head.start) {
                        (Some(id), _) => self.turn_to(now, Route::Session(id)),
                        (None, Start::Response(..)) => self.turn_to(now, Route::Nobody),
                        (None, Start::Request(_)) => {
                            self.hand_on(now);
                            self.route = Route::Nobody;
                            self.asked = Some(head);
                        }
                    }
                    self.mark = self.raw.len() - self.decoder.held();
                    if self.asked.is_some() {
                        return;
                    }
                }
                Some(Event::Body(_) | Event::End(_)) => self.mark = cut,
                None => {
                    self.mark = cut;
                    self.hand_on(now);
                    if self.carriage.carrier == Carrier::WebSocket && !self.decoder.is_between() {
                        // One message is one frame [RFC7977 §5.2].
                        self.end(now, Over::Fault);
                    }
                    return;
                }
            }
        }
    }

    /// From here on the bytes are for somebody else.
    fn turn_to(&mut self, now: Time, route: Route) {
        if route != self.route {
            self.hand_on(now);
            self.route = route;
        }
    }

    /// Hands on what belongs to the route.
    fn hand_on(&mut self, now: Time) {
        let bytes = self.raw.split_to(std::mem::take(&mut self.mark));
        if bytes.is_empty() {
            return;
        }
        match &self.route {
            Route::Session(id) => {
                if let Some(one) = self.running.iter_mut().find(|one| one.id == *id) {
                    one.session.handle(now, Input::Received(bytes));
                }
            }
            Route::Nobody => {
                self.skipped += bytes.len();
                if self.skipped > PATIENCE {
                    self.end(now, Over::Fault);
                }
            }
        }
    }

    /// Asks the hub for what was asked for here, and takes what waits there.
    pub fn settle(&mut self, now: Time, hub: &mut Hub) {
        self.woken = false;
        self.parked = false;
        let id = self.id;
        for one in self.running.iter_mut().filter(|one| !one.parted && !one.session.is_closed() && !hub.wants(&one.id, id)) {
            // The node has closed it.
            one.session.handle(now, Input::Close);
        }
        while self.over.is_none()
            && let Some(head) = self.asked.take()
        {
            let claim = match self.running.len() < hub.bounds().sessions_per_connection {
                true => hub.claim(self.id, self.carriage, self.user, head.to.first()),
                false => Claim::Refused(Status::FORBIDDEN),
            };
            match claim {
                Claim::Granted(granted) => {
                    // The head is the session's first bytes.
                    self.route = Route::Session(granted.id.clone());
                    self.begin(now, *granted);
                    self.read(now);
                }
                Claim::Refused(status) => {
                    self.refuse(now, &head, status);
                    self.read(now);
                }
                Claim::Early => {
                    self.asked = Some(head);
                    self.parked = true;
                    break;
                }
            }
        }
        if let Some(head) = self.asked.as_ref().filter(|_| self.over.is_some()) {
            hub.gone(self.id, head.to.first());
        }
        self.feed(now, hub);
        self.hear(now);
        self.part(hub);
    }

    fn begin(&mut self, now: Time, granted: Granted) {
        let Granted { id, setup, options, entropy } = granted;
        let mut session = Session::new(now, &setup, options, entropy);
        session.handle(now, Input::Connected);
        self.events.push_back(Told { event: MsrpEvent::Opened { session: id.clone() }, used: None });
        self.running.push(Running { id, local: setup.local, session, sent: HashMap::new(), parted: false });
        self.unused = None;
    }

    fn refuse(&mut self, now: Time, head: &Head, status: Status) {
        self.refused += 1;
        let silent = head.failure_report().is_ok_and(|wanted| wanted == FailureReport::No);
        if !silent && !matches!(head.start, Start::Request(Method::Report)) {
            let path = std::slice::from_ref;
            let comment = Some(status.comment()).filter(|comment| !comment.is_empty());
            let printer = Printer::response(&head.transaction, status, comment, path(head.from.first()), path(head.to.first()));
            self.refusals.push_back(printer.finish(None, Flag::Complete));
        }
        if self.refused > REFUSALS {
            self.end(now, Over::Fault);
        }
    }

    /// Gives sessions the messages that wait for them, as far as there is room.
    fn feed(&mut self, now: Time, hub: &mut Hub) {
        for one in self.running.iter_mut().filter(|one| !one.session.is_closed()) {
            while one.session.backlog() < AHEAD
                && let Some(Waiting { number, content_type, body, report }) = hub.next(&one.id)
            {
                let id = one.session.id();
                one.sent.insert(id, (number, report));
                one.session.handle(now, Input::Send(Outgoing { success_report: report, ..Outgoing::new(id, content_type, body) }));
            }
        }
    }

    /// Takes out what the sessions say.
    fn hear(&mut self, now: Time) {
        for one in &mut self.running {
            while let Some(output) = one.session.poll() {
                let session = one.id.clone();
                let tell = |event| Told { event, used: None };
                let sent = |(number, _): (u64, bool), result| tell(MsrpEvent::Sent { session: session.clone(), number, result });
                match output {
                    Output::Message { incoming, body, receipt } => {
                        let used = Some((one.id.clone(), body.len(), receipt));
                        self.events
                            .push_back(Told { event: MsrpEvent::Received { session, content_type: incoming.content_type, body }, used });
                    }
                    // Larger than what is taken as a whole.
                    Output::Begin(key, _) => one.session.handle(now, Input::Refuse(key, Status::STOP)),
                    Output::Piece { bytes, .. } => one.session.handle(now, Input::Drained(bytes.len())),
                    Output::End(..) | Output::Dropped(_) | Output::Wanted(..) => {}
                    Output::Sent(id) => {
                        if one.sent.get(&id).is_some_and(|(_, report)| !report) {
                            self.events.extend(one.sent.remove(&id).map(|known| sent(known, Ok(()))));
                        }
                        self.woken = true;
                    }
                    Output::Delivered(id) => self.events.extend(one.sent.remove(&id).map(|known| sent(known, Ok(())))),
                    Output::Failed(id, status) => {
                        self.events.extend(one.sent.remove(&id).map(|known| sent(known, Err(status.0))));
                        self.woken = true;
                    }
                    Output::Closed(ending) => {
                        let mut lost: Vec<_> = one.sent.drain().map(|(_, known)| known).collect();
                        lost.sort_unstable();
                        self.events.extend(lost.into_iter().map(|known| sent(known, Err(Status::NO_SESSION.0))));
                        if ending != Ending::Asked {
                            let why = self.over.map_or(why(ending), Over::ending);
                            self.events.push_back(tell(MsrpEvent::Closed { session, why }));
                        }
                    }
                }
            }
        }
    }

    /// Tells the hub of the sessions that are over; the messages that never left it come before their end.
    fn part(&mut self, hub: &mut Hub) {
        for one in self.running.iter_mut().filter(|one| one.session.is_closed() && !one.parted) {
            one.parted = true;
            let Some(lost) = hub.ended(&one.id, self.id) else { continue };
            let closed = self.events.iter().position(|told| matches!(&told.event, MsrpEvent::Closed { session, .. } if *session == one.id));
            let at = closed.unwrap_or(self.events.len());
            for number in lost.into_iter().rev() {
                let event = MsrpEvent::Sent { session: one.id.clone(), number, result: Err(Status::NO_SESSION.0) };
                self.events.insert(at, Told { event, used: None });
            }
        }
    }

    /// What the node is to be told next. Whoever asks says by this that what was told before has arrived.
    pub fn poll(&mut self, now: Time) -> Option<MsrpEvent> {
        if let Some((id, bytes, receipt)) = self.taken.take()
            && let Some(one) = self.running.iter_mut().find(|one| one.id == id)
        {
            one.session.handle(now, Input::Drained(bytes));
            one.session.handle(now, Input::Report(receipt, Status::OK));
        }
        let Told { event, used } = self.events.pop_front()?;
        self.taken = used;
        Some(event)
    }

    /// The next frame, to be called when the socket takes one. The sessions take turns.
    pub fn transmit(&mut self, now: Time) -> Option<Bytes> {
        if let Some(refusal) = self.refusals.pop_front() {
            return Some(refusal);
        }
        for step in 0..self.running.len() {
            let at = (self.turn + step) % self.running.len();
            if let Some(frame) = self.running[at].session.transmit(now) {
                self.turn = at + 1;
                // A session that has room again gets what waits for it.
                self.woken |= self.running[at].session.backlog() < AHEAD && !self.running[at].sent.is_empty();
                return Some(frame);
            }
        }
        let before = self.running.len();
        self.running.retain(|one| !one.session.is_closed() || !one.parted);
        if before > 0 && self.running.is_empty() {
            // What ended stays open for no other session: who wants one opens a connection [RFC4975 §5.4].
            self.end(now, Over::Done);
        }
        None
    }

    /// The other end is gone, or shall be.
    pub fn end(&mut self, now: Time, over: Over) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(over);
        for one in &mut self.running {
            one.session.handle(now, Input::Disconnected);
        }
        self.woken = true;
        self.hear(now);
    }
}

/// Why a session ended by itself.
fn why(ending: Ending) -> MsrpEnding {
    match ending {
        Ending::Asked | Ending::Lost | Ending::Refused(_) => MsrpEnding::Lost,
        Ending::Unopened => MsrpEnding::Unopened,
        Ending::Silence | Ending::Garbage(_) | Ending::FalseRange | Ending::Flood => MsrpEnding::Fault,
    }
}

/// Whether a frame is plainly for a session: its first header field is the To-Path, and that the session's URI as it is written here.
fn is_for(frame: &[u8], local: &MsrpUri) -> bool {
    let Some(line) = frame.iter().position(|byte| *byte == b'\n') else { return false };
    let rest = frame[line + 1..].strip_prefix(b"To-Path: ").and_then(|rest| rest.strip_prefix(local.as_text().as_bytes()));
    rest.is_some_and(|rest| matches!(rest.first(), Some(b'\r' | b' ')))
}

fn join(before: &[u8], bytes: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(before.len() + bytes.len());
    joined.extend_from_slice(before);
    joined.extend_from_slice(bytes);
    joined.freeze()
}
