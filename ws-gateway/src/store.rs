//! The message store: everything that must survive the process, behind the trait [`Store`].
//!
//! Writes come as [`Unit`]s, each of which happens wholly or not at all; [`Writer`] gathers the units that wait into one durable
//! transaction. Every user has a box of messages with one counter: a message's `seq` and the box's change cursor are both taken from it
//! within the transaction, so that it grows in the order of the commits and nobody who asks "what changed since" misses anything.
//! `sqlite` is the embedded back end; every back end has to pass `contract`.

#[cfg(test)]
mod contract;
mod document;
mod held;
mod model;
mod objects;
pub mod sqlite;
mod writer;

use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Changes, Folders, Found, Histories, Index, OwnFolders, Page};
use wasm_core::cpm::ids::MessageId;

pub use document::{Document, DocumentKind, Expect};
pub use held::{About, Held, HeldItem, HeldPage};
pub use model::{
    Account, Applied, BindingKey, Direction, Disposition, Entry, NewAccount, Outcome, Pending, PendingId, PendingKind, Queued, Secret,
    StoreError, StoredBinding, StoredMessage, StoredSession, TokenHash, Unit, UserId, Write,
};
pub use objects::{Action, Aged, Criteria, DEEPEST, Located, MOST_FILED, MOST_KEYWORDS, MOST_OWN_FOLDERS, Payload, Spot, Stale, Usage};
pub use sqlite::Sqlite;
pub use writer::{Limits, Writer};

/// What a back end can do. Reads see everything that a finished [`commit`](Store::commit) wrote.
pub trait Store: Send + Sync + 'static {
    /// Makes the units durable in one transaction, in their order, and says what became of each. A unit that fails leaves nothing
    /// behind and does not hurt the others; when the transaction itself fails, every unit has failed.
    fn commit(&self, units: Vec<Unit>) -> Vec<Result<Applied, StoreError>>;

    /// The account that an address belongs to.
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError>;

    /// All accounts, by their primary address.
    fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// A number that grows with every change to the accounts, also one made by another process.
    fn accounts_version(&self) -> Result<u64, StoreError>;

    /// The secret of the server with this name: `fresh` when there was none, else what was kept first, for ever.
    fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// The change cursor of a user's box.
    fn cursor(&self, user: UserId) -> Result<u64, StoreError>;

    /// How many messages of a box its owner has not seen.
    fn unread(&self, user: UserId) -> Result<u64, StoreError>;

    /// The folders of a box, newest message first; with `before` only those whose newest message is older than that `seq`.
    fn conversations(&self, user: UserId, before: Option<u64>, limit: usize) -> Result<Folders, StoreError>;

    /// The last `limit` messages of a folder, or the last before a `seq`, oldest first.
    fn messages(&self, user: UserId, with: &Address, before: Option<u64>, limit: usize) -> Result<Page, StoreError>;

    /// What is new or changed after the cursor `since`, by ascending change, at most `limit` objects.
    fn changes(&self, user: UserId, since: u64, limit: usize) -> Result<Changes, StoreError>;

    /// The messages with this identifier that the user received or sent. More than one only when several peers (or the user, to
    /// several peers) used the same identifier.
    fn message(&self, user: UserId, direction: Direction, message_id: &MessageId) -> Result<Vec<Entry>, StoreError>;

    /// What waits for a user's devices, in the order it was queued, from after a given entry on.
    fn pending(&self, user: UserId, after: Option<PendingId>, limit: usize) -> Result<Vec<Queued>, StoreError>;

    /// The users for whose devices something waits.
    fn waiting(&self) -> Result<Vec<UserId>, StoreError>;

    /// What waited until it expired, pending or held, the earliest of each first.
    fn expired(&self, now: Time, limit: usize) -> Result<Vec<Queued>, StoreError>;

    /// What a user has to decide on: the oldest, and how many there are.
    fn held(&self, user: UserId, limit: usize) -> Result<HeldPage, StoreError>;

    /// Those of these that are held for this user, in the order asked for.
    fn held_entries(&self, user: UserId, ids: &[PendingId]) -> Result<Vec<Queued>, StoreError>;

    /// What is held and was to be recalled to its user by now, the earliest first.
    fn reminders(&self, now: Time, limit: usize) -> Result<Vec<Queued>, StoreError>;

    /// The bindings of one user.
    fn bindings(&self, user: UserId) -> Result<Vec<StoredBinding>, StoreError>;

    /// The bindings of all users: what a registrar starts from.
    fn all_bindings(&self) -> Result<Vec<StoredBinding>, StoreError>;

    /// The HTTP session that a token opens, expired or not.
    fn session(&self, token: &TokenHash) -> Result<Option<StoredSession>, StoreError>;

    /// All HTTP sessions of a user.
    fn sessions(&self, user: UserId) -> Result<Vec<StoredSession>, StoreError>;

    /// A user's document of a kind, by its name.
    fn document(&self, user: UserId, kind: DocumentKind, name: &str) -> Result<Option<Document>, StoreError>;

    /// A user's documents of a kind, by name.
    fn documents(&self, user: UserId, kind: DocumentKind) -> Result<Vec<Document>, StoreError>;

    /// The documents of a kind of all users: what the server starts from.
    fn all_documents(&self, kind: DocumentKind) -> Result<Vec<Document>, StoreError>;

    /// An object of a user's, unless it is gone.
    fn object(&self, user: UserId, seq: u64) -> Result<Option<Located>, StoreError>;

    /// Where objects lie, in the order asked for; also of those that are gone.
    fn spots(&self, user: UserId, seqs: &[u64]) -> Result<Vec<Option<Spot>>, StoreError>;

    /// At most `most` bytes of an object's payload from `from` on.
    fn payload(&self, user: UserId, seq: u64, from: u64, most: usize) -> Result<Option<Payload>, StoreError>;

    /// What a folder holds from after a place on: places and changes alone.
    fn index(&self, user: UserId, with: &Address, after: u64, limit: usize) -> Result<Index, StoreError>;

    /// What a user searches for. What is not in the index of words yet is looked through directly, as far as that is bounded.
    fn search(&self, user: UserId, criteria: &Criteria) -> Result<Found, StoreError>;

    /// The folders that the user has made.
    fn own_folders(&self, user: UserId) -> Result<OwnFolders, StoreError>;

    /// The conversations of a folder, computed from its objects before a place, the newest first.
    fn histories(&self, user: UserId, with: &Address, before: Option<u64>, limit: usize) -> Result<Histories, StoreError>;

    /// The message that an object answers, the one that that answers and so on, and all answers to these, as far as they lie near.
    fn thread(&self, user: UserId, seq: u64) -> Result<Option<Page>, StoreError>;

    /// What a box holds.
    fn usage(&self, user: UserId) -> Result<Usage, StoreError>;

    /// Users whose boxes hold more than this.
    fn overfull(&self, most: Usage, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// The oldest objects of a user's that are not gone, those that are neither flagged nor filed first.
    fn oldest(&self, user: UserId, limit: usize) -> Result<Vec<Spot>, StoreError>;

    /// What housekeeping is to end or forget.
    fn stale(&self, what: Stale, limit: usize) -> Result<Vec<(UserId, Spot)>, StoreError>;

    /// Copies of messages sent before a time, neither flagged nor filed, among the next contents after `from`: and where to go on,
    /// if there are more contents.
    fn aged(&self, before: Time, from: i64, limit: usize) -> Result<Aged, StoreError>;

    /// Brings the index of words up by at most so many messages; says whether some are left.
    fn catch_up(&self, most: usize) -> Result<bool, StoreError>;

    /// The steps of a user's messages that are noted, oldest first.
    fn trails(&self, user: UserId) -> Result<Vec<bytes::Bytes>, StoreError>;
}
