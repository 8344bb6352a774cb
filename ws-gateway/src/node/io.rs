//! The two closed alphabets of the node: everything that can happen to it, and everything that it can ask for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::Device;
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::ids::{ConversationId, InstanceId, MessageId};
use wasm_core::cpm::preferences::Preferences;
use wasm_core::msrp::Setup;
use wasm_core::wire::msrp::MsrpUri;
use wasm_core::wire::sip::{Message, Status};
use wasm_core::{Text, Time};

use crate::store::{Account, Applied, Direction, Entry, HeldPage, PendingId, Queued, StoreError, StoredBinding, Unit, UserId};

/// A connection, numbered by whoever owns the sockets; a number is never used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// Names one [`Output::Commit`] or [`Output::Load`], to be given back with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The SIP/IP core's own are above this one, the service's below.
    pub(crate) const CORE: Ticket = Ticket(1 << 63);

    /// Whether the SIP/IP core waits for it.
    pub(crate) fn is_core(self) -> bool {
        self > Ticket::CORE
    }
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// RFC 3261.
    Udp,
    /// RFC 3261.
    Tcp,
    /// RFC 3261, encrypted.
    Tls,
    /// RFC 7118.
    Ws,
    /// RFC 7118, encrypted.
    Wss,
}

impl Transport {
    /// The word in a Via.
    pub fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The word in a `transport` parameter, which is `ws` on a secure socket too [RFC7118 §5].
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws | Transport::Wss => "ws",
        }
    }

    /// Whether the transport retransmits, so that the transactions need not.
    pub fn reliable(self) -> bool {
        self != Transport::Udp
    }
}

/// One step on the wire: where bytes go, or where they came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hop {
    /// An open connection.
    Flow(FlowId),
    /// A datagram's other end.
    Udp(SocketAddr),
    /// A connection that is opened when there is none: to a peer. What arrives on it later comes from [`Hop::Flow`].
    Dial {
        /// TCP or TLS.
        transport: Transport,
        /// Where to.
        addr: SocketAddr,
    },
}

impl Hop {
    /// The connection, where it is an open one.
    pub(crate) fn flow(&self) -> Option<FlowId> {
        match self {
            Hop::Flow(flow) => Some(*flow),
            Hop::Udp(_) | Hop::Dial { .. } => None,
        }
    }

    /// The other end's address, where datagrams go there.
    pub(crate) fn udp(&self) -> Option<SocketAddr> {
        match self {
            Hop::Udp(addr) => Some(*addr),
            Hop::Flow(_) | Hop::Dial { .. } => None,
        }
    }
}

/// What happens to the node.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most inputs are messages, and a box would cost each of them an allocation")]
pub enum Input {
    /// A connection is open.
    Opened {
        /// Its number.
        flow: FlowId,
        /// What it speaks.
        transport: Transport,
        /// Its other end.
        remote: SocketAddr,
        /// Who is signed in on it with which device, by the session cookie that came with the WebSocket's handshake.
        user: Option<(UserId, InstanceId)>,
    },
    /// A connection is gone.
    Closed {
        /// Its number.
        flow: FlowId,
    },
    /// A SIP message has arrived.
    Received {
        /// From where: [`Hop::Flow`] or [`Hop::Udp`].
        hop: Hop,
        /// On what.
        transport: Transport,
        /// The message.
        message: Message,
    },
    /// Something could not be sent to a hop.
    Failed {
        /// Where it should have gone.
        hop: Hop,
    },
    /// A unit is durable, or failed.
    Stored {
        /// That of the [`Output::Commit`].
        ticket: Ticket,
        /// What the store said.
        result: Result<Applied, StoreError>,
    },
    /// What was asked of the store.
    Loaded {
        /// That of the [`Output::Load`].
        ticket: Ticket,
        /// What the store said.
        result: Result<Loaded, StoreError>,
    },
    /// What the last run left behind, handed in once before anything arrives.
    Restored {
        /// The bindings that do not depend on a connection.
        bindings: Vec<StoredBinding>,
        /// The users for whom something waits; `None` when nobody has looked, so that the node asks for each.
        waiting: Option<Vec<UserId>>,
    },
    /// Accounts were added, changed or removed.
    AccountsChanged {
        /// Those whose secrets are others now: whoever has proved to know the old ones has to prove to know these.
        renewed: Vec<UserId>,
    },
    /// A device was signed out by its owner: it is not let in any more, and its bindings and connections end.
    SignedOut {
        /// Whose.
        user: UserId,
        /// Which.
        instance: InstanceId,
    },
    /// The service has something to say to a user, now and never later: on the Primary Device where it is registered, else everywhere.
    Tell {
        /// Whom.
        user: UserId,
        /// What.
        text: Text,
    },
    /// Something of an MSRP session.
    Msrp(MsrpEvent),
    /// Send something in a user's name that the store holds.
    Compose {
        /// Whose.
        user: UserId,
        /// To whom.
        to: Address,
        /// The message's identifier.
        message_id: MessageId,
        /// What.
        content: Box<Content>,
    },
    /// No new work from now on: what is under way is finished, everything else is told to come back later.
    Drain,
    /// The time of [`super::Node::next_timeout`] has come.
    Timeout,
}

/// What the node asks for.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Send {
        /// Where to.
        hop: Hop,
        /// One SIP message.
        message: Bytes,
    },
    /// Make this durable and say so with [`Input::Stored`]. Units are applied in the order in which they are asked for.
    Commit {
        /// Names the answer.
        ticket: Ticket,
        /// What to write, all or nothing.
        unit: Unit,
    },
    /// Read this and say it with [`Input::Loaded`].
    Load {
        /// Names the answer.
        ticket: Ticket,
        /// What to read.
        query: Query,
    },
    /// Close a connection.
    Close {
        /// Its number.
        flow: FlowId,
        /// Why, for the log.
        why: Closing,
    },
    /// Something in a user's store changed: those who follow it should fetch from here.
    Changed {
        /// Whose.
        user: UserId,
        /// The newest change.
        cursor: u64,
    },
    /// A device of a user's came, showed itself or left.
    Sighted(Sighting),
    /// Tell devices that are not there of a message that waits for them.
    Notify {
        /// Whose devices.
        user: UserId,
        /// Which of them.
        outlet: Outlet,
        /// What to tell.
        notice: Arc<Notice>,
    },
    /// Do this with an MSRP session.
    Msrp(MsrpCommand),
    /// A step of somebody's message, for its ladder.
    Trail(Rung),
    /// A step inside the node, told when [`super::NodeConfig::steps`] asks for it: one arrow of a flow's ladder.
    Step(Step),
}

/// What the node reads from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What waits for a user, oldest first: [`Loaded::Pending`].
    Pending {
        /// Whose.
        user: UserId,
        /// From after this entry on.
        after: Option<PendingId>,
        /// At most so many.
        limit: usize,
    },
    /// What should no longer wait: [`Loaded::Pending`].
    Expired {
        /// Those whose time ended before.
        before: Time,
        /// At most so many.
        limit: usize,
    },
    /// What a user has to decide on: [`Loaded::Held`].
    Held {
        /// Whose.
        user: UserId,
        /// The oldest so many.
        limit: usize,
    },
    /// Those of these that a user still has to decide on: [`Loaded::Pending`].
    HeldEntries {
        /// Whose.
        user: UserId,
        /// Which.
        ids: Vec<PendingId>,
    },
    /// What users are to be told of again: [`Loaded::Pending`].
    Reminders {
        /// Those whose time had come before.
        before: Time,
        /// At most so many.
        limit: usize,
    },
    /// The messages with one identifier in a user's box: [`Loaded::Messages`].
    Messages {
        /// Whose box.
        user: UserId,
        /// Sent or received.
        direction: Direction,
        /// Which.
        message_id: MessageId,
    },
}

/// What the store has to say to a [`Query`].
#[derive(Debug)]
pub enum Loaded {
    /// In the order in which it was queued.
    Pending(Vec<Queued>),
    /// What waits for a decision.
    Held(HeldPage),
    /// Usually one or none.
    Messages(Vec<Entry>),
}

/// An MSRP session of the gateway's, by the part of its own URI that nobody can guess: 128 random bits in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Text);

impl SessionId {
    /// The session of an own URI.
    pub fn of(uri: &MsrpUri) -> SessionId {
        SessionId(Text::from(uri.session()))
    }
}

/// What the node wants of the MSRP sessions, whose bytes it never sees.
#[derive(Clone, Debug)]
pub enum MsrpCommand {
    /// A session was offered, or agreed on: a connection for it may come, or is to be opened.
    Open {
        /// Which: that of `local`.
        session: SessionId,
        /// Whose device is at its other end.
        user: UserId,
        /// This end's URI, as it was offered.
        local: MsrpUri,
        /// What was agreed on, where the other end has spoken already; else [`MsrpCommand::Learn`] follows.
        setup: Option<Box<Setup>>,
        /// Where the other end's SIP comes from: who is in a private network is connected to there, nobody else is.
        near: Option<IpAddr>,
    },
    /// The other end has answered an offer.
    Learn {
        /// Which session.
        session: SessionId,
        /// What was agreed on.
        setup: Box<Setup>,
    },
    /// Send a message, which waits for the connection where there is none yet: [`MsrpEvent::Sent`] says what became of it.
    Send {
        /// In which session.
        session: SessionId,
        /// Names it within the session.
        number: u64,
        /// What it is.
        content_type: Text,
        /// All of it.
        body: Bytes,
        /// Whether the other end is to report that it has kept the message, and not just to take its bytes.
        report: bool,
    },
    /// The session is over; what it has not sent is lost. No [`MsrpEvent::Closed`] follows.
    Close {
        /// Which.
        session: SessionId,
    },
}

/// What becomes of the MSRP sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MsrpEvent {
    /// The session has its connection.
    Opened {
        /// Which.
        session: SessionId,
    },
    /// The other end has sent a message.
    Received {
        /// In which session.
        session: SessionId,
        /// What it is.
        content_type: Text,
        /// All of it.
        body: Bytes,
    },
    /// A message has been taken by the other end as a whole (reported, where that was asked for), or never will be.
    Sent {
        /// In which session.
        session: SessionId,
        /// That of the [`MsrpCommand::Send`].
        number: u64,
        /// The MSRP status of its failure.
        result: Result<(), u16>,
    },
    /// The session is over. Of every message a [`MsrpEvent::Sent`] was told before.
    Closed {
        /// Which.
        session: SessionId,
        /// Why.
        why: MsrpEnding,
    },
}

/// Why an MSRP session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsrpEnding {
    /// No connection came in time, or none could be opened.
    Unopened,
    /// The connection was closed or lost.
    Lost,
    /// The other end does not keep to the protocol or to its bounds, or has fallen silent.
    Fault,
    /// There are too many sessions.
    Crowded,
    /// The gateway stops.
    Stopping,
}

/// Why the node gives up a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Its user is gone, or has other secrets.
    AccountChanged,
    /// Its device was signed out.
    SignedOut,
    /// It sends what makes no sense, over and over.
    Abuse,
}

/// Whether a device may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, whether it is known or not.
    Welcome,
    /// Its owner has signed it out.
    Barred,
    /// It would be one too many.
    Full,
}

/// What the node has seen of a device that names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub instance: InstanceId,
    /// What.
    pub seen: Seen,
}

/// What a device did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It registered.
    Registered {
        /// What it calls itself.
        name: Option<Text>,
        /// Its software.
        agent: Text,
        /// The services and features that it registered for.
        capabilities: Vec<Text>,
    },
    /// It registered again.
    Refreshed,
    /// Its last binding is gone.
    Left {
        /// By its own wish.
        signed_off: bool,
    },
}

/// One arrow between two functions of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who sends.
    pub from: Function,
    /// Who receives.
    pub to: Function,
    /// What: a method with its purpose, or a status.
    pub what: Text,
}

/// A step that a user's message took, as that user may see it: between this server and somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Who may see it.
    pub user: UserId,
    /// The message.
    pub message_id: MessageId,
    /// When.
    pub at: Time,
    /// The other end.
    pub end: End,
    /// Whether it came to the server.
    pub came: bool,
    /// What was sent.
    pub what: Sent,
}

/// The other end of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A device of the user's own: its instance identifier, else its software.
    Device(Text),
    /// The other side of the conversation.
    Other,
    /// The message store.
    Store,
}

/// What passes in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A request, or what was done.
    Word(&'static str),
    /// A response.
    Answer(Status),
}

/// The functions that live in one node and talk without a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The SIP/IP core.
    Core,
    /// The Participating Function of the Conversation Server.
    Participating,
}

/// A way to tell a user's devices of something while they are not registered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outlet {
    /// A browser that has subscribed to push messages, by the device that it is.
    Browser(InstanceId),
    /// The user's phones, all at once: whoever is asked to wake them knows which there are.
    Phones,
}

/// What a device that is not there is told of a message (R219).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The message.
    pub message_id: MessageId,
    /// Who sent it.
    pub from: Address,
    /// The sender's name, where the sender is known here.
    pub name: Option<Text>,
    /// Whom it was sent to.
    pub to: Address,
    /// The conversation that it belongs to.
    pub conversation: Option<ConversationId>,
    /// What it is about.
    pub subject: Option<Text>,
    /// The beginning of what it says, where that is text.
    pub text: Option<Text>,
    /// When it was sent.
    pub date: Time,
    /// How many bytes it has.
    pub size: usize,
    /// Until when it waits.
    pub expires_at: Time,
}

/// The accounts and their preferences, as the node may look them up: at once, from memory.
pub trait Directory {
    /// The account that owns this address.
    fn account(&self, address: &Address) -> Option<Arc<Account>>;

    /// The account of this user.
    fn user(&self, user: UserId) -> Option<Arc<Account>>;

    /// What this user prefers, or what holds for those who never said.
    fn preferences(&self, user: UserId) -> Arc<Preferences>;

    /// One device of a user, if it is known.
    fn device(&self, user: UserId, instance: &InstanceId) -> Option<Arc<Device>>;

    /// Whether a device may register.
    fn admission(&self, user: UserId, instance: &InstanceId) -> Admission;

    /// The ways to tell this user's devices of something while they are not registered.
    fn outlets(&self, user: UserId) -> Vec<Outlet>;
}
