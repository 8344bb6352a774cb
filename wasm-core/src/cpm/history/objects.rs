//! What the message store tells beyond plain messages: flags, the owner's folders, searches, what is gone, how full the box is, and the
//! histories of sessions and file transfers, which are objects like messages (SD 5.2.4).
//!
//! A history's payload is JSON under a media type of our own ([`SESSION_HISTORY`], [`FILE_TRANSFER_HISTORY`]): whoever writes a session
//! down needs nothing but these types and the store's ordinary way of keeping a message.

use serde::{Deserialize, Serialize};

use super::{Address, ConversationId, MessageId, Object, Text, Time};

/// The media type of a [`SessionHistory`].
pub const SESSION_HISTORY: &str = "application/vnd.tandem.session-history+json";
/// The media type of a [`FileTransferHistory`].
pub const FILE_TRANSFER_HISTORY: &str = "application/vnd.tandem.file-transfer-history+json";

/// The longest keyword, in characters.
pub const KEYWORD_LENGTH: usize = 64;

/// A flag of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// `\Seen`
    Seen,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`: out of sight, and for good after a while.
    Deleted,
    /// A word of the owner's.
    Keyword(Text),
}

impl Flag {
    /// Reads a flag; system flags in any case. A keyword is one word of letters, digits and `_-.$`.
    pub fn parse(text: &str) -> Option<Flag> {
        if let Some(name) = text.strip_prefix('\\') {
            return [Flag::Seen, Flag::Flagged, Flag::Deleted].into_iter().find(|flag| flag.as_str()[1..].eq_ignore_ascii_case(name));
        }
        let sound = !text.is_empty()
            && text.chars().count() <= KEYWORD_LENGTH
            && text.chars().all(|letter| letter.is_alphanumeric() || "_-.$".contains(letter));
        sound.then(|| Flag::Keyword(Text::from(text)))
    }

    /// The flag as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Flag::Seen => "\\Seen",
            Flag::Flagged => "\\Flagged",
            Flag::Deleted => "\\Deleted",
            Flag::Keyword(word) => word,
        }
    }
}

/// A flag of a conversation folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FolderFlag {
    /// `\Archived`: not among those that are shown first.
    Archived,
    /// `\Pinned`: before all others.
    Pinned,
}

impl FolderFlag {
    /// All of them.
    pub const ALL: [FolderFlag; 2] = [FolderFlag::Archived, FolderFlag::Pinned];

    /// Reads a flag, in any case.
    pub fn parse(text: &str) -> Option<FolderFlag> {
        FolderFlag::ALL.into_iter().find(|flag| flag.as_str().eq_ignore_ascii_case(text))
    }

    /// The flag as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            FolderFlag::Archived => "\\Archived",
            FolderFlag::Pinned => "\\Pinned",
        }
    }
}

/// An object that is no more: what a client that knows it has to forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Its place.
    pub seq: u64,
    /// The cursor of its end.
    pub change: u64,
    /// The identifier that both ends know it by.
    pub message_id: MessageId,
    /// The folder it lay in.
    pub with: Address,
}

/// The flags of a conversation folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderFlags {
    /// The other side.
    pub with: Address,
    /// The flags.
    pub flags: Vec<Text>,
    /// The cursor of their last change.
    pub change: u64,
}

/// A folder that the owner has made. Objects are filed in it, and stay in their conversation all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFolder {
    /// Its number.
    pub id: u64,
    /// The folder that it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// Its name; empty for one that is no more.
    pub name: Text,
    /// How many objects are filed in it.
    #[serde(default)]
    pub objects: u64,
    /// The cursor of its last change.
    pub change: u64,
    /// Whether it is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// The folders that the owner has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFolders {
    /// By name.
    pub folders: Vec<OwnFolder>,
}

/// The body of `POST …/own-folders` and `PATCH …/own-folders/{id}`: what the folder is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderPlan {
    /// Its name.
    pub name: Text,
    /// The folder that it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
}

/// A document that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentChange {
    /// What it is about: `preferences`, `device`, `push`, `draft`.
    pub kind: Text,
    /// Its name; of a draft, whom it is for.
    pub name: Text,
    /// The change that brought it to this state.
    pub version: u64,
    /// Whether it is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// What the user has begun to write to somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The text.
    pub text: Text,
    /// The message that it is going to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
}

/// How full a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// How many objects it holds.
    pub objects: u64,
    /// How many bytes of payload.
    pub bytes: u64,
    /// How many objects it may hold.
    pub most_objects: u64,
    /// How many bytes it may hold.
    pub most_bytes: u64,
    /// What its owner ought to know.
    pub level: QuotaLevel,
}

impl Quota {
    /// Judges how full a box is.
    pub fn new(objects: u64, bytes: u64, most_objects: u64, most_bytes: u64) -> Quota {
        let percent = |held: u64, most: u64| (u128::from(held) * 100).checked_div(u128::from(most)).unwrap_or(100);
        let level = match percent(objects, most_objects).max(percent(bytes, most_bytes)) {
            0..80 => QuotaLevel::Ample,
            80..95 => QuotaLevel::High,
            95..100 => QuotaLevel::Critical,
            _ => QuotaLevel::Full,
        };
        Quota { objects, bytes, most_objects, most_bytes, level }
    }
}

/// How near a box is to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuotaLevel {
    /// Less than 80 %.
    Ample,
    /// 80 % or more.
    High,
    /// 95 % or more.
    Critical,
    /// The oldest messages make room for new ones.
    Full,
}

/// What kind of object it is, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A message.
    Message,
    /// The history of a session.
    Session,
    /// The history of a file transfer.
    FileTransfer,
}

impl ObjectKind {
    /// The kind of what has this media type.
    pub fn of(content_type: &str) -> ObjectKind {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(SESSION_HISTORY) {
            ObjectKind::Session
        } else if essence.eq_ignore_ascii_case(FILE_TRANSFER_HISTORY) {
            ObjectKind::FileTransfer
        } else {
            ObjectKind::Message
        }
    }
}

/// The payload of a session's history (R324).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHistory {
    /// What it was: `chat`, `group`, `call`, …
    pub service: Text,
    /// What it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text>,
    /// Who took part.
    pub participants: Vec<Address>,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// The payload of a file transfer's history (R324).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTransferHistory {
    /// The file's name.
    pub name: Text,
    /// What it is.
    pub content_type: Text,
    /// How many bytes it has.
    pub size: u64,
    /// How many of them came over.
    pub transferred: u64,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
}

/// The history of a conversation: computed from the objects of the box that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationHistory {
    /// The conversation.
    pub conversation: ConversationId,
    /// The folder it lies in.
    pub with: Address,
    /// How many objects belong to it.
    pub objects: u64,
    /// The place of the first and of the last of them.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// When the first and the last were sent.
    pub started: Time,
    /// See `started`.
    pub ended: Time,
}

/// The answer of `GET …/histories`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histories {
    /// The newest first.
    pub histories: Vec<ConversationHistory>,
    /// Where to go on: objects before this place were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// One place of a folder's index: what a client compares with what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub u64, pub u64);

/// The answer of `GET …/index`: place and last change of each object of a folder, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Place and last change.
    pub marks: Vec<Mark>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The newest, or the best, first.
    pub hits: Vec<Hit>,
    /// Where to go on, if there may be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// One object that a search has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The object.
    pub object: Object,
    /// The part of its text around the first match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
}

/// Part of a text with the places that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The part.
    pub text: Text,
    /// Beginning and length of each match, in characters (Unicode scalar values) of `text`.
    pub matches: Vec<(u32, u32)>,
    /// Whether there is text before it.
    pub cut_before: bool,
    /// Whether there is text after it.
    pub cut_after: bool,
}

/// The body of `POST …/operations/bulkDelete`, `bulkUpdate`, `move` and `copy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// The objects.
    pub objects: Vec<u64>,
    /// Flags to be set.
    #[serde(default)]
    pub add: Vec<Text>,
    /// Flags to be taken away.
    #[serde(default)]
    pub remove: Vec<Text>,
    /// The folder of the owner's to file them in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<u64>,
}

/// What became of a bulk operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkResults {
    /// One for each object, in order.
    pub results: Vec<BulkResult>,
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkResult {
    /// The object.
    pub seq: u64,
    /// As an HTTP status: 204, 404, 409.
    pub status: u16,
}

/// The body of `POST …/operations/forward`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// The objects to be sent on, each as a message of its own.
    #[serde(default)]
    pub objects: Vec<u64>,
    /// Parts of multipart objects: the object and the number of the part.
    #[serde(default)]
    pub parts: Vec<(u64, u32)>,
    /// To whom.
    pub to: Vec<Address>,
    /// A text to go before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

/// The answer to it: the messages that are being sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Their identifiers, by recipient and then in the order asked for.
    pub messages: Vec<MessageId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_written() {
        assert_eq!(Flag::parse("\\seen"), Some(Flag::Seen));
        assert_eq!(Flag::parse("\\FLAGGED"), Some(Flag::Flagged));
        assert_eq!(Flag::parse("Work-2"), Some(Flag::Keyword(Text::from("Work-2"))));
        for bad in ["", "\\", "\\Recent", "two words", "a/b", &"x".repeat(65), "\u{0}"] {
            assert_eq!(Flag::parse(bad), None, "{bad:?}");
        }
        assert_eq!(FolderFlag::parse("\\pinned"), Some(FolderFlag::Pinned));
        assert_eq!(FolderFlag::parse("\\Seen"), None);
    }

    /// R255: notices at 80 %, 95 % and when it is full, by whichever limit is nearer.
    #[test]
    fn a_box_is_judged_by_the_nearer_limit() {
        for (objects, bytes, level) in [
            (0, 0, QuotaLevel::Ample),
            (79, 799, QuotaLevel::Ample),
            (80, 0, QuotaLevel::High),
            (0, 950, QuotaLevel::Critical),
            (94, 999, QuotaLevel::Critical),
            (100, 0, QuotaLevel::Full),
            (5, u64::MAX, QuotaLevel::Full),
        ] {
            assert_eq!(Quota::new(objects, bytes, 100, 1000).level, level, "{objects} {bytes}");
        }
        assert_eq!(Quota::new(0, 0, 0, 0).level, QuotaLevel::Full);
    }

    /// R324: what kind of object it is can be told by its type alone.
    #[test]
    fn objects_have_kinds() {
        assert_eq!(ObjectKind::of("Application/Vnd.Tandem.Session-History+JSON; charset=utf-8"), ObjectKind::Session);
        assert_eq!(ObjectKind::of(FILE_TRANSFER_HISTORY), ObjectKind::FileTransfer);
        assert_eq!(ObjectKind::of("text/plain"), ObjectKind::Message);
        assert_eq!(ObjectKind::of(""), ObjectKind::Message);
    }
}
