//! What an owner does with the objects of a box, and what is asked of them, as values.
//!
//! An object has two ends: `\Deleted` takes it out of sight and can be taken back, purging leaves a tombstone, which tells the owner's
//! devices and is itself forgotten after a while. A folder of the owner's holds objects that stay in their conversation all the same.

use bytes::Bytes;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Flag, FolderFlag, ObjectKind};
use wasm_core::cpm::ids::ConversationId;
use wasm_core::{Text, Time};

use super::{Entry, UserId};

/// How many folders an owner may make, and how deep they may lie in each other.
pub const MOST_OWN_FOLDERS: usize = 200;
/// See [`MOST_OWN_FOLDERS`].
pub const DEEPEST: usize = 5;
/// How many keywords an object may have.
pub const MOST_KEYWORDS: usize = 32;
/// In how many folders of its owner's an object may be filed.
pub const MOST_FILED: usize = 32;

/// Where an object lies; it never moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The number of its conversation folder.
    pub folder: u64,
    /// Its place in the box.
    pub seq: u64,
}

/// What is to be done in a box; see [`super::Write::Arrange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets a flag on an object or takes it away.
    Flag { spot: Spot, flag: Flag, on: bool },
    /// Ends an object: its content goes, a tombstone stays.
    Purge { spot: Spot },
    /// Forgets a tombstone, unless it is a folder's newest message, whose count is needed.
    Forget { spot: Spot },
    /// Sets a flag on a conversation folder or takes it away.
    FlagFolder { with: Address, flag: FolderFlag, on: bool },
    /// Makes a folder: [`super::Outcome::Kept`] with its number, [`super::Outcome::Conflict`] when the name is taken or there are too
    /// many or it would lie too deep.
    MakeFolder { parent: Option<u64>, name: Text },
    /// Names or places a folder anew; conflicts as above.
    ChangeFolder { id: u64, parent: Option<u64>, name: Text },
    /// Drops a folder and those in it; the objects stay where they are.
    DropFolder { id: u64 },
    /// Files an object in a folder; in no other one with `alone`.
    File { spot: Spot, own: u64, alone: bool },
    /// Takes an object out of a folder.
    Unfile { spot: Spot, own: u64 },
}

/// What a box holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects that are not gone.
    pub objects: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// An object with all that its owner put on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where it lies.
    pub spot: Spot,
    /// The object.
    pub entry: Entry,
}

/// Part of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The media type.
    pub content_type: Text,
    /// The length of the whole.
    pub length: u64,
    /// The part asked for.
    pub bytes: Bytes,
}

/// What is searched for. All that is said has to be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Words, each of which has to be there; the last one may be the beginning of a word.
    pub text: Option<Text>,
    /// The conversation folder.
    pub with: Option<Address>,
    /// Whether the owner sent it.
    pub outgoing: Option<bool>,
    /// A flag that it has.
    pub flag: Option<Flag>,
    /// A folder of the owner's that it is filed in.
    pub own: Option<u64>,
    /// The conversation that it belongs to.
    pub conversation: Option<ConversationId>,
    /// What kind of object it is.
    pub kind: Option<ObjectKind>,
    /// Sent at this time or later.
    pub since: Option<Time>,
    /// Sent before this time.
    pub until: Option<Time>,
    /// Only what lies before this place: where the last answer said to go on.
    pub before: Option<u64>,
    /// The best matches first rather than the newest.
    pub ranked: bool,
    /// At most so many.
    pub limit: usize,
}

impl Criteria {
    /// Whether nothing is said that tells one object from another.
    pub fn is_empty(&self) -> bool {
        let Criteria { text, with, outgoing, flag, own, conversation, kind, since, until, before: _, ranked: _, limit: _ } = self;
        text.is_none()
            && with.is_none()
            && outgoing.is_none()
            && flag.is_none()
            && own.is_none()
            && conversation.is_none()
            && kind.is_none()
            && since.is_none()
            && until.is_none()
    }
}

/// Copies that are too old, and the number of the content to go on from, if there are more.
pub type Aged = (Vec<(UserId, Spot)>, Option<i64>);

/// What the housekeeping may look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// `\Deleted` before this time: to be purged.
    Deleted(Time),
    /// Gone before this time: to be forgotten.
    Gone(Time),
}
