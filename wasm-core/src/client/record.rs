//! What a device keeps: facts under keys, each replacing the older one under its key.
//!
//! The engine's state is the fold of its records in any order, so a shell restores it from a key-value store, and a follower has it by
//! hearing what the leader keeps. Texts that wait to be sent are messages whose place is [`Place::Last`]; other things that must not be
//! forgotten are errands. A record that cannot be read is left out, see [`super::Engine::restore`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::deferred::Waiting;
use super::failure::Failure;
use super::view::Link;
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, ConversationId, MessageId};
use crate::cpm::receipt::Receipt;
use crate::wire::imdn::Wants;
use crate::{Text, Time};

/// The stores that records are kept in.
pub const STORES: [&str; 4] = [MESSAGES, FOLDERS, ERRANDS, FACTS];

const MESSAGES: &str = "messages";
const FOLDERS: &str = "folders";
const ERRANDS: &str = "errands";
const FACTS: &str = "facts";

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A message.
    Message(Message),
    /// A message that is no more.
    Forgotten {
        /// Whom it passed with.
        with: Address,
        /// Which one.
        id: MessageId,
    },
    /// What is known of a folder besides its messages.
    Folder(Folder),
    /// Something that has to be told to the server or to a peer.
    Errand(Errand),
    /// An errand that is done.
    Done(String),
    /// How far the history is known; `None` when it has to be read afresh.
    Cursor(Option<u64>),
    /// What the user lets others know.
    Settings(Settings),
    /// What waits for the user's decision.
    Deferred(Waiting),
    /// The state of the leader's link; never kept.
    Link(Link),
    /// Whether somebody writes; never kept.
    Typing {
        /// Who.
        with: Address,
        /// Whether.
        active: bool,
    },
    /// Whether older messages are being fetched; never kept.
    Loading {
        /// With whom they passed.
        with: Address,
        /// Whether.
        active: bool,
    },
}

impl Record {
    /// The store and the key under which the record is kept or removed, `None` for what is only shared.
    pub fn key(&self) -> Option<(&'static str, String)> {
        match self {
            Record::Message(message) => Some((MESSAGES, message_key(&message.with, &message.id))),
            Record::Forgotten { with, id } => Some((MESSAGES, message_key(with, id))),
            Record::Folder(folder) => Some((FOLDERS, folder.with.to_string())),
            Record::Errand(errand) => Some((ERRANDS, errand.key())),
            Record::Done(key) => Some((ERRANDS, key.clone())),
            Record::Cursor(_) => Some((FACTS, "cursor".to_owned())),
            Record::Settings(_) => Some((FACTS, "settings".to_owned())),
            Record::Deferred(_) => Some((FACTS, "deferred".to_owned())),
            Record::Link(_) | Record::Typing { .. } | Record::Loading { .. } => None,
        }
    }

    /// Whether what is kept under the key is to be removed.
    pub fn is_removal(&self) -> bool {
        match self {
            Record::Forgotten { .. } | Record::Done(_) => true,
            Record::Message(_)
            | Record::Folder(_)
            | Record::Errand(_)
            | Record::Cursor(_)
            | Record::Settings(_)
            | Record::Deferred(_)
            | Record::Link(_)
            | Record::Typing { .. }
            | Record::Loading { .. } => false,
        }
    }
}

/// An address has no spaces.
fn message_key(with: &Address, id: &MessageId) -> String {
    format!("{with} {id}")
}

/// A message as this device knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its identifier.
    pub id: MessageId,
    /// The other side.
    pub with: Address,
    /// Whether the user sent it.
    pub outgoing: bool,
    /// Where it stands among the others.
    pub place: Place,
    /// When it was sent, by the sender's word.
    pub at: Time,
    /// What it says.
    pub text: Text,
    /// Its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The contribution that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<ContributionId>,
    /// The contribution that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<ContributionId>,
    /// How far it has come; of an incoming message, what has been reported to its sender.
    pub receipt: Receipt,
    /// Whether the user has seen it.
    pub seen: bool,
    /// What its sender wants to be told.
    pub wants: Wants,
    /// Why it was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether the user has marked it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flagged: bool,
}

/// What a user may do to a message that the server keeps, and take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It stands out.
    Flagged,
    /// It is out of sight, on all of the user's devices.
    Deleted,
}

impl Mark {
    /// The name of the flag, as it stands in a path.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Flagged => "Flagged",
            Mark::Deleted => "Deleted",
        }
    }
}

/// Where a message stands in its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Where the server keeps it.
    Kept(u64),
    /// After what the server kept there, and after lower numbers of the same kind: its own place is not known yet.
    After(u64, u64),
    /// After everything: it waits to be sent.
    Last(u64),
}

impl Place {
    /// The order of places.
    pub fn rank(self) -> (u64, u64) {
        match self {
            Place::Kept(seq) => (seq, 0),
            Place::After(seq, nth) => (seq, nth),
            Place::Last(nth) => (u64::MAX, nth),
        }
    }

    /// The server's number.
    pub fn seq(self) -> Option<u64> {
        match self {
            Place::Kept(seq) => Some(seq),
            Place::After(..) | Place::Last(_) => None,
        }
    }
}

/// What is known of a folder besides its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The other side.
    pub with: Address,
    /// Their name; empty where none is known.
    #[serde(default)]
    pub title: Text,
    /// The conversation to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// What stands in the composer.
    #[serde(default)]
    pub draft: Text,
    /// The message that the draft is going to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_reply: Option<MessageId>,
    /// The oldest message from which on there are no gaps here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<u64>,
    /// Whether the server has messages before `floor`.
    #[serde(default)]
    pub has_older: bool,
    /// How many messages before `floor` are not seen.
    #[serde(default)]
    pub unread_older: u32,
}

impl Folder {
    /// A folder of which nothing is known.
    pub fn new(with: Address) -> Self {
        Folder {
            with,
            title: Text::default(),
            conversation: None,
            draft: Text::default(),
            draft_reply: None,
            floor: None,
            has_older: false,
            unread_older: 0,
        }
    }
}

/// Something that has to be told, and is tried until it is or until it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// A disposition notification to the sender of a message.
    Notice(Notice),
    /// To the server: all up to this has been seen.
    Seen {
        /// The folder.
        with: Address,
        /// The last message that was seen.
        up_to: u64,
    },
    /// To the server: a message is marked so, or no longer.
    Mark {
        /// The message, as it was before.
        message: Box<Message>,
        /// How.
        mark: Mark,
        /// Whether.
        on: bool,
    },
}

/// A disposition notification that has to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The sender of the message.
    pub with: Address,
    /// The message.
    pub message_id: MessageId,
    /// The message's conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The notification's own contribution.
    pub contribution: ContributionId,
    /// The message's contribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<ContributionId>,
    /// When the message was sent.
    pub date: Time,
    /// Since when the notification is owed.
    pub at: Time,
    /// What is reported: delivered or displayed.
    pub receipt: Receipt,
    /// The notification's own identifier, the same at every attempt.
    pub id: MessageId,
    /// Its place in the line.
    pub nth: u64,
}

impl Errand {
    /// The key under which it is kept: there is one errand of a kind.
    pub fn key(&self) -> String {
        match self {
            Errand::Notice(notice) => format!("{} {} {}", notice.receipt, notice.with, notice.message_id),
            Errand::Seen { with, .. } => format!("seen {with}"),
            Errand::Mark { message, mark, .. } => Errand::mark_key(&message.with, &message.id, *mark),
        }
    }

    /// Whom it concerns.
    pub fn with(&self) -> &Address {
        match self {
            Errand::Notice(notice) => &notice.with,
            Errand::Seen { with, .. } => with,
            Errand::Mark { message, .. } => &message.with,
        }
    }

    /// The key of what is to be told of a message's mark.
    pub fn mark_key(with: &Address, id: &MessageId, mark: Mark) -> String {
        format!("{} {with} {id}", mark.name())
    }
}

/// What the user lets others know, and asks of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Others are told when the user has seen their messages.
    pub read_reports: bool,
    /// Others are told when this device has received their messages.
    pub delivery_reports: bool,
    /// Others are told when the user writes to them.
    pub typing: bool,
    /// What the user wants to be told about their own messages.
    pub asks: Wants,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { read_reports: true, delivery_reports: true, typing: true, asks: Wants::ALL }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seq, nth) = self.rank();
        write!(f, "{seq}.{nth}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_by_the_server_first_and_what_waits_comes_last() {
        let places = [Place::Kept(3), Place::After(3, 7), Place::After(3, 9), Place::Kept(4), Place::Last(1), Place::Last(2)];
        assert!(places.is_sorted_by_key(|place| place.rank()));
    }

    #[test]
    fn a_record_survives_json_and_what_is_missing_is_filled_in() {
        let with = Address::parse("sip:bob@tandem.test").unwrap();
        let record = Record::Folder(Folder::new(with.clone()));
        assert_eq!(serde_json::from_str::<Record>(&serde_json::to_string(&record).unwrap()).unwrap(), record);
        let short: Record = serde_json::from_str(r#"{"folder":{"with":"sip:bob@tandem.test"}}"#).unwrap();
        assert_eq!(short, record);
        assert_eq!(record.key(), Some(("folders", "sip:bob@tandem.test".to_owned())));
        let seen = Errand::Seen { with: with.clone(), up_to: 4 };
        assert_eq!(Record::Done(seen.key()).key(), Record::Errand(seen).key());
        assert_eq!(Record::Typing { with, active: true }.key(), None);
    }
}
