//! What the store keeps and what is asked of it, as values.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::history::Object;
use wasm_core::cpm::ids::{ContributionId, ConversationId, InstanceId, MessageId};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::sip::digest::Ha1;
use wasm_core::{Text, Time};

use super::{Action, DocumentKind, Expect, Held};

/// One user, whatever their addresses; never used again after the account is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

impl UserId {
    /// Nobody: in whose name waits what the service itself has to tell peers.
    pub const PEERS: UserId = UserId(0);

    /// The box for what this user does not want kept: blank copies, which hold who, when and what was reported, so that reports can be
    /// judged. Claims and receipts look there too; nothing that anybody reads does.
    pub fn blank(self) -> UserId {
        UserId(-self.0)
    }

    /// Whether this is such a box.
    pub fn is_blank(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.0)
    }
}

/// What answers a digest challenge in the name of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The user name that the client gives.
    pub username: Text,
    /// The realm that it is challenged for.
    pub realm: Text,
    /// The hashes.
    pub ha1: Ha1,
}

/// One user as the server knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: UserId,
    /// Their addresses, the primary identity first; never empty.
    pub addresses: Vec<Address>,
    /// Their name.
    pub display_name: Text,
    /// Their secrets, for each domain of their SIP addresses.
    pub secrets: Vec<Secret>,
}

impl Account {
    /// The primary identity.
    pub fn primary(&self) -> &Address {
        &self.addresses[0]
    }

    /// The home domain: that of the primary identity, which is a SIP address.
    pub fn domain(&self) -> &str {
        self.primary().domain().unwrap_or_default()
    }

    /// The secret for a user name in a realm.
    pub fn ha1(&self, username: &str, realm: &str) -> Option<&Ha1> {
        self.secrets.iter().find(|secret| secret.username == *username && secret.realm.eq_ignore_ascii_case(realm)).map(|found| &found.ha1)
    }

    /// Whether an address is one of this user's.
    pub fn owns(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }
}

/// An account to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The addresses, the primary identity first.
    pub addresses: Vec<Address>,
    /// The name.
    pub display_name: Text,
    /// The secrets.
    pub secrets: Vec<Secret>,
}

/// Which way a message went, seen by the owner of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the owner.
    In,
    /// From the owner.
    Out,
}

/// One user's copy of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The owner of the box.
    pub user: UserId,
    /// Whether they got or sent it.
    pub direction: Direction,
    /// The other side: the folder.
    pub with: Address,
    /// The identifier that both ends know it by.
    pub message_id: MessageId,
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// The contribution.
    pub contribution: Option<ContributionId>,
    /// The contribution that it answers.
    pub in_reply_to: Option<ContributionId>,
    /// The sender, as asserted.
    pub from: Address,
    /// The recipient, as addressed.
    pub to: Address,
    /// When it was sent.
    pub date: Time,
    /// The type of the body.
    pub content_type: Text,
    /// The body.
    pub body: Bytes,
    /// What the sender asked to be told.
    pub wants: Wants,
    /// How far it has come.
    pub receipt: Receipt,
    /// Until when it may be delivered.
    pub expires: Option<Time>,
}

/// A message in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the box.
    pub seq: u64,
    /// The cursor of its last change.
    pub change: u64,
    /// Whether the owner has seen it.
    pub seen: bool,
    /// Whether a device's delivery notification for it was taken.
    pub delivery_claimed: bool,
    /// Whether a device's display notification for it was taken.
    pub display_claimed: bool,
    /// Its flags besides `\\Seen`, as they are written.
    pub flags: Vec<Text>,
    /// The owner's folders that it is filed in.
    pub folders: Vec<u64>,
    /// Whether it is gone: what is left is what others may still report of.
    pub gone: bool,
    /// The message.
    pub message: StoredMessage,
}

impl Entry {
    /// The entry as the history API shows it.
    pub fn object(self) -> Object {
        let message = self.message;
        let textual = message.content_type.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("text/"));
        Object {
            seq: self.seq,
            change: self.change,
            message_id: message.message_id,
            with: message.with,
            outgoing: message.direction == Direction::Out,
            conversation: message.conversation,
            contribution: message.contribution,
            in_reply_to: message.in_reply_to,
            date: message.date,
            text: std::str::from_utf8(&message.body).ok().filter(|_| textual).map(Text::from),
            content_type: message.content_type,
            receipt: message.receipt,
            seen: self.seen,
            wants_display: message.wants.displayed,
            wants_delivery: message.wants.delivered,
            flags: self.flags,
            folders: self.folders,
        }
    }
}

/// A positive report of a device about a message that its user received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// A device has it.
    Delivery,
    /// The user has seen it.
    Display,
}

/// The place of something in the queue for a user's devices; grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingId(pub i64);

/// What sort of request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PendingKind {
    /// A message for the user.
    Message,
    /// A notification about a message that the user sent.
    Notification,
}

/// A request that waits until a device of the user takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whose devices; [`UserId::PEERS`] for what goes to a peer.
    pub user: UserId,
    /// The message, or the one that the notification is about.
    pub message_id: MessageId,
    /// What it is.
    pub kind: PendingKind,
    /// The request, encoded.
    pub request: Bytes,
    /// Since when it waits.
    pub arrived_at: Time,
    /// When to give up.
    pub expires_at: Time,
}

/// A request in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its place.
    pub id: PendingId,
    /// Whether its user has to decide on it first.
    pub held: bool,
    /// The request.
    pub pending: Pending,
}

/// Which binding of a user: the device and flow, or the contact of a client that names neither. The registrar's choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindingKey(pub Text);

/// A registered contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub key: BindingKey,
    /// The address that was registered.
    pub address: Address,
    /// The value of the Contact header, with all its parameters.
    pub contact: Text,
    /// The values of the Path headers, the first hop first.
    pub path: Vec<Text>,
    /// The Call-ID of the registration.
    pub call_id: Text,
    /// Its last CSeq.
    pub cseq: u32,
    /// Where the REGISTER came from, in the registrar's own words.
    pub hop: Text,
    /// What the client calls itself.
    pub user_agent: Text,
    /// When it was first registered.
    pub registered_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// What is kept of a session's token: its hash, so that the data directory opens no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token, which has to be of 128 random bits or more.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token).into())
    }
}

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// What opens it.
    pub token: TokenHash,
    /// The user.
    pub user: UserId,
    /// The device.
    pub instance: InstanceId,
    /// What its owner calls the device.
    pub device_name: Text,
    /// When it was opened.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// One change. Users, messages and bindings that are not there are no error unless it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts a message into a box. A guard: when the same peer's message with the same identifier is there already, the answer is
    /// [`Outcome::Duplicate`] and the rest of the unit is skipped.
    Store(StoredMessage),
    /// Merges a report into what the user sent to somebody, whichever of their addresses it went to. A guard: for a message that
    /// never was, the answer is [`Outcome::Missing`], and the rest of the unit is skipped.
    Receipt { user: UserId, with: Vec<Address>, message_id: MessageId, receipt: Receipt },
    /// Takes the right to notify the sender `with` of a message that the user received. A guard: whoever comes later gets
    /// [`Outcome::Already`], and for a message that never was [`Outcome::Missing`], and the rest of the unit is skipped.
    Claim { user: UserId, with: Address, message_id: MessageId, kind: Disposition },
    /// Lets a request wait for the user's devices.
    Queue(Pending),
    /// A device took it, or it expired.
    Unqueue { user: UserId, id: PendingId },
    /// Lets a message wait for its recipient's decision. A guard: when the same sender's message with the same identifier is held, or in
    /// the recipient's box, the answer is [`Outcome::Duplicate`] and the rest of the unit is skipped.
    Hold(Box<Held>),
    /// Lets what is held wait for the user's devices from now on. A guard: for what is not held, the answer is [`Outcome::Missing`], and the
    /// rest of the unit is skipped.
    Release { user: UserId, id: PendingId },
    /// Drops what is held. A guard like [`Write::Release`].
    Unhold { user: UserId, id: PendingId },
    /// Says when the user is to be told of what is held again, if at all; or is [`Outcome::Missing`].
    Remind { user: UserId, id: PendingId, at: Option<Time> },
    /// Lets what waits, pending or held, wait until then; or is [`Outcome::Missing`].
    Extend { user: UserId, id: PendingId, until: Time },
    /// The user has seen a folder's incoming messages up to and including a `seq`.
    Seen { user: UserId, with: Address, up_to: u64 },
    /// Keeps a binding, in place of the one with the same key.
    Bind(StoredBinding),
    /// Drops a binding.
    Unbind { user: UserId, key: BindingKey },
    /// Keeps a session, in place of one with the same token.
    OpenSession(StoredSession),
    /// Ends a session.
    CloseSession { token: TokenHash },
    /// Ends all sessions of a user's device.
    CloseSessions { user: UserId, instance: InstanceId },
    /// Keeps a document, in place of the one with its name: [`Outcome::Kept`]. A guard: where something else was expected, the answer is
    /// [`Outcome::Conflict`] and the rest of the unit is skipped.
    PutDocument { user: UserId, kind: DocumentKind, name: Text, body: Bytes, expect: Expect },
    /// Drops a document, or is [`Outcome::Missing`]. A guard like [`Write::PutDocument`].
    DropDocument { user: UserId, kind: DocumentKind, name: Text, expect: Expect },
    /// Keeps some steps of a user's messages, in place of the oldest where there are too many.
    Trail { user: UserId, at: Time, body: Bytes },
    /// Writes something that nobody reads: who sees it done knows that the store keeps what it is given.
    Mark,
    /// What an owner, or housekeeping in their stead, does with a box: [`Outcome::Changed`], [`Outcome::Unchanged`],
    /// [`Outcome::Missing`], or as the action says. No guard: the rest of the unit goes on.
    Arrange { user: UserId, at: Time, action: Action },
    /// Forgets sessions and bindings that ended before `now`.
    Sweep { now: Time },
    /// Creates an account; [`StoreError::AddressTaken`] when one of the addresses has an owner.
    AddAccount(NewAccount),
    /// Replaces the secrets of an account and ends its sessions; [`StoreError::NoSuchUser`].
    SetSecrets { user: UserId, secrets: Vec<Secret> },
    /// Removes an account and all that is kept for it; [`StoreError::NoSuchUser`].
    RemoveAccount { user: UserId },
}

/// Changes that happen together or not at all, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit(pub Vec<Write>);

impl Unit {
    /// Whether nobody waits for it, so that it may wait a moment for other units to be written with: it only takes things off queues, or notes what was.
    /// Until it is durable, a crash has the device get the message once more, as one between its answer and this unit has anyway.
    pub fn can_wait(&self) -> bool {
        self.0.iter().all(|write| matches!(write, Write::Unqueue { .. } | Write::Trail { .. }))
    }
}

impl From<Write> for Unit {
    fn from(write: Write) -> Unit {
        Unit(vec![write])
    }
}

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the box, at this place.
    Stored { seq: u64 },
    /// It was there before, at this place.
    Duplicate { seq: u64 },
    /// The report said something new.
    Changed,
    /// The report said nothing new.
    Unchanged,
    /// The claim was the first.
    First,
    /// Somebody else's claim came before.
    Already,
    /// There is no such message.
    Missing,
    /// The request waits.
    Queued(PendingId),
    /// The document is kept, in this version.
    Kept { version: u64 },
    /// The document is not as it was expected to be.
    Conflict,
    /// The account exists now.
    Created(UserId),
    /// It is so.
    Done,
    /// A guard before it in the unit stopped it.
    Skipped,
}

/// What became of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One outcome for each write, in order.
    pub outcomes: Vec<Outcome>,
    /// The new change cursor of each box that changed.
    pub cursors: Vec<(UserId, u64)>,
}

impl Applied {
    /// Whether every write happened: no guard stopped the unit.
    pub fn whole(&self) -> bool {
        !self.outcomes.contains(&Outcome::Skipped)
            && !self.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Duplicate { .. } | Outcome::Already | Outcome::Conflict))
    }
}

/// Why the store could not do it. Nothing of the unit has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// An address can have one owner.
    #[error("{0} already belongs to an account")]
    AddressTaken(Address),
    /// An account without an address.
    #[error("an account needs at least one address")]
    NoAddress,
    /// The account is not (or no longer) there.
    #[error("there is no account for {0}")]
    NoSuchUser(UserId),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Reading or writing failed.
    #[error("the data directory cannot be read or written: {0}")]
    Io(String),
    /// Another process holds the store for too long, or too much waits to be written.
    #[error("the store is busy: {0}")]
    Busy(&'static str),
    /// The database is damaged.
    #[error(
        "{path} is damaged ({detail}): stop the server, set the file aside together with its -wal and -shm files, and restore a backup"
    )]
    Corrupt { path: String, detail: String },
    /// The database is of a later version of the server.
    #[error(
        "{path} is in format {found}, this server knows formats up to {known}: start the newer server that wrote it, or restore a backup"
    )]
    Newer { path: String, found: i64, known: i64 },
    /// The database belongs to another program.
    #[error("{path} is not a Tandem database: choose another data directory")]
    Foreign { path: String },
    /// The writer was shut down.
    #[error("the store is closed")]
    Closed,
    /// A fault of ours.
    #[error("unexpected answer of the database: {0}")]
    Internal(String),
}
