//! The MSRP sessions that the node has opened, by the part of their URI that nobody can guess.
//!
//! A session is expected for a while, then bound to one connection by the first request that comes for it [RFC4975 §5.4], or by the
//! connection that was dialled for it. What the node says to it waits here, within bounds, until the connection has room for it. The
//! hub knows neither sockets nor bytes: connections ask it, and its owner does what [`Hub::poll`] says.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasm_core::msrp::{Options, Role, Setup};
use wasm_core::wire::msrp::{MsrpUri, Status, Transport as Carrier};
use wasm_core::{Entropy, Text, Time};

use crate::node::{MsrpCommand, MsrpEnding, MsrpEvent, SessionId};
use crate::store::UserId;

/// A connection that carries MSRP, numbered by whoever owns the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// How much there may be of everything.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Sessions of the gateway, and of one user.
    pub sessions: usize,
    pub sessions_per_user: usize,
    /// Sessions on one connection.
    pub sessions_per_connection: usize,
    /// Bytes of messages that wait in one session.
    pub waiting: usize,
    /// How long a session waits for its connection, and a connection for a session.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { sessions: 20_000, sessions_per_user: 16, sessions_per_connection: 16, waiting: 1 << 20, patience: Duration::from_secs(30) }
    }
}

/// What the hub's owner is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell the node.
    Event(MsrpEvent),
    /// Something waits for this connection: [`super::Connection::wake`].
    Wake(ConnectionId),
    /// Open a connection for a session, then [`Hub::dialled`] or [`Hub::undialled`].
    Dial(Dial),
}

/// A connection that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// For which session.
    pub session: SessionId,
    /// Whether within TLS.
    pub secure: bool,
    /// The host, a name or an address.
    pub host: Text,
    pub port: u16,
    /// Where the other end's SIP comes from.
    pub near: Option<IpAddr>,
}

/// What carries the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriage {
    pub carrier: Carrier,
    pub secure: bool,
}

/// What a connection that asks for a session is told.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is that connection's from now on.
    Granted(Box<Granted>),
    /// The other end has not answered yet: the connection is woken when it has.
    Early,
    /// This is the answer.
    Refused(Status),
}

/// What a session is made of.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) id: SessionId,
    pub(super) setup: Setup,
    pub(super) options: Arc<Options>,
    pub(super) entropy: Entropy,
}

/// A message that waits for its connection.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) content_type: Text,
    pub(super) body: Bytes,
    pub(super) report: bool,
}

#[derive(Debug)]
struct Entry {
    user: UserId,
    local: MsrpUri,
    setup: Option<Box<Setup>>,
    near: Option<IpAddr>,
    waiting: VecDeque<Waiting>,
    /// The bytes of `waiting`.
    held: usize,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// No connection yet, or one that came before the answer.
    Expected {
        by: Time,
        early: Option<ConnectionId>,
    },
    Bound(ConnectionId),
}

/// The sessions.
#[derive(Debug)]
pub struct Hub {
    bounds: Bounds,
    options: Arc<Options>,
    entropy: Entropy,
    sessions: HashMap<SessionId, Entry>,
    users: HashMap<UserId, usize>,
    deadlines: BTreeSet<(Time, SessionId)>,
    outputs: VecDeque<Output>,
}

impl Hub {
    /// A hub without sessions.
    pub fn new(bounds: Bounds, options: Arc<Options>, entropy: Entropy) -> Hub {
        Hub {
            bounds,
            options,
            entropy,
            sessions: HashMap::new(),
            users: HashMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Hub::timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(by, _)| *by)
    }

    /// Gives up the sessions that nobody came for.
    pub fn timeout(&mut self, now: Time) {
        while let Some((by, id)) = self.deadlines.first().cloned()
            && by <= now
        {
            self.lose(&id, MsrpEnding::Unopened);
        }
    }

    /// Does what the node wants.
    pub fn command(&mut self, now: Time, command: MsrpCommand) {
        match command {
            MsrpCommand::Open { session, user, local, setup, near } => self.open(now, session, user, local, setup, near),
            MsrpCommand::Learn { session, setup } => {
                let Some(entry) = self.sessions.get_mut(&session).filter(|entry| entry.setup.is_none()) else { return };
                entry.setup = Some(setup);
                match &mut entry.state {
                    State::Expected { early, .. } if early.is_some() => self.outputs.extend(early.take().map(Output::Wake)),
                    State::Expected { .. } | State::Bound(_) => self.dial(&session),
                }
            }
            MsrpCommand::Send { session, number, content_type, body, report } => {
                let fail = |session, status: Status| Output::Event(MsrpEvent::Sent { session, number, result: Err(status.0) });
                let Some(entry) = self.sessions.get_mut(&session) else {
                    return self.outputs.push_back(fail(session, Status::NO_SESSION));
                };
                if entry.held + body.len() > self.bounds.waiting {
                    return self.outputs.push_back(fail(session, Status::STOP));
                }
                entry.held += body.len();
                entry.waiting.push_back(Waiting { number, content_type, body, report });
                if let State::Bound(connection) = entry.state {
                    self.outputs.push_back(Output::Wake(connection));
                }
            }
            MsrpCommand::Close { session } => drop(self.remove(&session)),
        }
    }

    fn open(&mut self, now: Time, session: SessionId, user: UserId, local: MsrpUri, setup: Option<Box<Setup>>, near: Option<IpAddr>) {
        let crowded = self.sessions.len() >= self.bounds.sessions
            || self.users.get(&user).is_some_and(|count| *count >= self.bounds.sessions_per_user);
        if crowded || self.sessions.contains_key(&session) {
            return self.outputs.push_back(Output::Event(MsrpEvent::Closed { session, why: MsrpEnding::Crowded }));
        }
        let by = now + self.bounds.patience;
        let state = State::Expected { by, early: None };
        self.deadlines.insert((by, session.clone()));
        *self.users.entry(user).or_default() += 1;
        self.sessions.insert(session.clone(), Entry { user, local, setup, near, waiting: VecDeque::new(), held: 0, state });
        self.dial(&session);
    }

    /// Has the connection opened, if that is this end's part.
    fn dial(&mut self, session: &SessionId) {
        let Some(entry) = self.sessions.get(session) else { return };
        let Some(setup) = entry.setup.as_ref().filter(|setup| setup.role == Role::Active) else { return };
        if setup.remote.first().transport() != Carrier::Tcp {
            return self.lose(session, MsrpEnding::Unopened);
        }
        let (host, port) = setup.connect.clone();
        let secure = setup.remote.first().is_secure();
        self.outputs.push_back(Output::Dial(Dial { session: session.clone(), secure, host, port, near: entry.near }));
    }

    /// A connection was opened for a session. False when the session is over.
    pub(super) fn dialled(&mut self, session: &SessionId, connection: ConnectionId) -> Option<Box<Granted>> {
        self.grant(session, connection)
    }

    /// No connection could be opened for a session.
    pub fn undialled(&mut self, session: &SessionId) {
        self.lose(session, MsrpEnding::Unopened);
    }

    /// A request for the session with this URI has come on a connection.
    pub(super) fn claim(&mut self, connection: ConnectionId, carriage: Carriage, user: Option<UserId>, to: &MsrpUri) -> Claim {
        let id = SessionId::of(to);
        // Behind a proxy that adds TLS, a browser's path is a secure one all the same.
        let secure = carriage.carrier == Carrier::WebSocket || carriage.secure == to.is_secure();
        let fits = |entry: &&mut Entry| entry.local == *to && user.is_none_or(|user| entry.user == user);
        let Some(entry) = self.sessions.get_mut(&id).filter(fits).filter(|_| secure && carriage.carrier == to.transport()) else {
            return Claim::Refused(Status::NO_SESSION);
        };
        match &mut entry.state {
            State::Bound(_) => return Claim::Refused(Status::OTHER_CONNECTION),
            State::Expected { early: Some(other), .. } if *other != connection => return Claim::Refused(Status::OTHER_CONNECTION),
            State::Expected { early, .. } if entry.setup.is_none() => {
                *early = Some(connection);
                return Claim::Early;
            }
            State::Expected { .. } => {}
        }
        self.grant(&id, connection).map_or(Claim::Refused(Status::NO_SESSION), Claim::Granted)
    }

    fn grant(&mut self, id: &SessionId, connection: ConnectionId) -> Option<Box<Granted>> {
        let entry = self.sessions.get_mut(id)?;
        let State::Expected { by, .. } = entry.state else { return None };
        let setup = entry.setup.as_deref()?.clone();
        entry.state = State::Bound(connection);
        self.deadlines.remove(&(by, id.clone()));
        Some(Box::new(Granted { id: id.clone(), setup, options: Arc::clone(&self.options), entropy: self.entropy.fork() }))
    }

    /// Whether a session is still wanted on this connection.
    pub(super) fn wants(&self, session: &SessionId, connection: ConnectionId) -> bool {
        self.sessions.get(session).is_some_and(|entry| entry.state == State::Bound(connection))
    }

    /// The next message for a session, for a connection that has room for it.
    pub(super) fn next(&mut self, session: &SessionId) -> Option<Waiting> {
        let entry = self.sessions.get_mut(session)?;
        let waiting = entry.waiting.pop_front()?;
        entry.held -= waiting.body.len();
        Some(waiting)
    }

    /// A session is over on its connection: the messages that never got there.
    pub(super) fn ended(&mut self, session: &SessionId, connection: ConnectionId) -> Option<Vec<u64>> {
        if !self.wants(session, connection) {
            return None;
        }
        let entry = self.remove(session)?;
        Some(entry.waiting.into_iter().map(|waiting| waiting.number).collect())
    }

    /// A connection that waited for an answer is gone.
    pub(super) fn gone(&mut self, connection: ConnectionId, to: &MsrpUri) {
        if let Some(Entry { state: State::Expected { early, .. }, .. }) = self.sessions.get_mut(&SessionId::of(to)) {
            early.take_if(|early| *early == connection);
        }
    }

    /// A session ends without the node having asked for it.
    fn lose(&mut self, session: &SessionId, why: MsrpEnding) {
        let Some(entry) = self.remove(session) else { return };
        let failed = entry.waiting.iter().map(|waiting| {
            let result = Err(Status::NO_SESSION.0);
            MsrpEvent::Sent { session: session.clone(), number: waiting.number, result }
        });
        let closed = MsrpEvent::Closed { session: session.clone(), why };
        self.outputs.extend(failed.chain([closed]).map(Output::Event));
    }

    /// Forgets a session, and lets its connection know.
    fn remove(&mut self, session: &SessionId) -> Option<Entry> {
        let entry = self.sessions.remove(session)?;
        if let Some(count) = self.users.get_mut(&entry.user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(&entry.user);
            }
        }
        match entry.state {
            State::Expected { by, early } => {
                self.deadlines.remove(&(by, session.clone()));
                self.outputs.extend(early.map(Output::Wake));
            }
            State::Bound(connection) => self.outputs.push_back(Output::Wake(connection)),
        }
        Some(entry)
    }
}
