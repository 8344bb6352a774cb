//! A user's small documents: whatever is kept for them by a name and read whole, such as their preferences or the list of their devices.
//!
//! The number of a user's documents and their sizes are bounded by those who write them.

use bytes::Bytes;
use wasm_core::Text;

use super::UserId;

/// What a document is about. Documents of different kinds may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// How the user wants communications to be handled.
    Preferences,
    /// A device of the user.
    Device,
    /// Where notices to a device can be pushed.
    Push,
    /// What the user has begun to write.
    Draft,
}

impl DocumentKind {
    /// All of them.
    pub const ALL: [DocumentKind; 4] = [DocumentKind::Preferences, DocumentKind::Device, DocumentKind::Push, DocumentKind::Draft];

    /// The word for it in the history API.
    pub fn name(self) -> &'static str {
        match self {
            DocumentKind::Preferences => "preferences",
            DocumentKind::Device => "device",
            DocumentKind::Push => "push",
            DocumentKind::Draft => "draft",
        }
    }
}

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Whose.
    pub user: UserId,
    /// What it is about.
    pub kind: DocumentKind,
    /// Its name, unique for the user and the kind.
    pub name: Text,
    /// What it holds.
    pub body: Bytes,
    /// The change of the user's box that brought it: never the same for two states of a document, even when it was dropped between.
    pub version: u64,
}

/// What a write expects to find; it is refused where it finds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Any,
    /// No document of this name.
    Absent,
    /// The document in this version.
    Version(u64),
}

impl Expect {
    /// Whether this is what was found.
    pub fn met(self, found: Option<u64>) -> bool {
        match self {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found == Some(version),
        }
    }
}
