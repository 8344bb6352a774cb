//! The history API in JSON: what the gateway answers over HTTP and what a client asks.
//!
//! It follows the manner of the OMA network message storage API: a box per user, a folder per peer, objects in it, flags on them.
//! `seq` is an object's place in its owner's history; `change` is the box's cursor at the object's last change; both only grow.

mod objects;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::ids::{ContributionId, ConversationId, InstanceId, MessageId};
use super::receipt::Receipt;
use crate::{Text, Time};
pub use objects::*;

/// One message in a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its place in the box: the order of a thread.
    pub seq: u64,
    /// The cursor of its last change, at least `seq`.
    pub change: u64,
    /// The identifier that both ends know it by.
    pub message_id: MessageId,
    /// The folder it lies in: the other side.
    pub with: Address,
    /// Whether the owner of the box sent it.
    pub outgoing: bool,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The contribution that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<ContributionId>,
    /// The contribution that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<ContributionId>,
    /// When it was sent, by the sender's word.
    pub date: Time,
    /// What its content is.
    pub content_type: Text,
    /// The content, when it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// How far it has come; of an incoming message, what has been reported to its sender.
    pub receipt: Receipt,
    /// Whether its owner has seen it: `\Seen`. Always so for what they sent.
    pub seen: bool,
    /// Whether the sender asked to be told when it is displayed.
    pub wants_display: bool,
    /// Whether the sender asked to be told when it is delivered.
    pub wants_delivery: bool,
    /// Its flags besides `\\Seen`: `\\Flagged`, `\\Deleted` and the owner's own keywords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Text>,
    /// The owner's folders that it is filed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<u64>,
}

impl Object {
    /// Whether it has a flag.
    pub fn has(&self, flag: &Flag) -> bool {
        match flag {
            Flag::Seen => self.seen,
            _ => self.flags.iter().any(|other| **other == *flag.as_str()),
        }
    }
}

/// All that passed between the owner of a box and one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The other side.
    pub with: Address,
    /// Their name, or the address where none is known.
    pub title: Text,
    /// The conversation of the newest message, to be gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The newest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Object>,
    /// How many incoming messages are not seen.
    pub unread: u32,
    /// The cursor of the last change in it.
    pub cursor: u64,
    /// What its owner has set on it: `\\Archived`, `\\Pinned`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Text>,
}

/// The folders of a box, the one with the newest message first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// The folders.
    pub folders: Vec<Folder>,
    /// The box's cursor at the time of reading: changes after it are not in `folders`.
    pub cursor: u64,
}

/// Part of a folder: a run of messages, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The messages by ascending `seq`.
    pub objects: Vec<Object>,
    /// Whether there are messages before the first of these.
    pub has_older: bool,
}

/// What changed in a box after a cursor, each object in its newest state, by ascending `change`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The cursor to ask from next time.
    pub cursor: u64,
    /// The objects that are new or changed.
    pub objects: Vec<Object>,
    /// Whether there are more changes after `cursor`.
    pub more: bool,
    /// Whether the cursor asked from is not one of this box's: the client has to start afresh from the folders.
    pub reset: bool,
    /// Whether these are the owner's quiet hours: the device is to show what is new, and no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// The objects that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Gone>,
    /// The conversation folders whose flags changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderFlags>,
    /// The owner's folders that are new, changed or no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_folders: Vec<OwnFolder>,
    /// The documents that are new, changed or no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentChange>,
    /// How full the box is, where that is worth a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// The body of `PUT …/flags/%5CSeen`: all up to and including this `seq` has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenUpTo {
    /// The last object that was seen.
    pub up_to: u64,
}

/// What `/events` says whenever the box's cursor moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The box's cursor.
    pub cursor: u64,
}

/// One person of the user's own domain, as `/api/people` lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their primary address.
    pub address: Address,
    /// Their name.
    pub name: Text,
}

/// The answer of `/api/people`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// Those that match, by name.
    pub people: Vec<Person>,
}

/// The body of `POST /api/session`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Any of the user's addresses.
    pub address: Text,
    /// The password.
    pub password: String,
    /// The device that signs in.
    pub instance: InstanceId,
    /// What its owner calls the device.
    #[serde(default)]
    pub device_name: Text,
    /// Where there are as many devices as there may be: the one that was not seen for the longest time makes room.
    #[serde(default)]
    pub replace: bool,
}

impl std::fmt::Debug for SignIn {
    /// The password stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("address", &self.address).field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Who is signed in: the answer of `POST` and `GET /api/session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The primary address.
    pub address: Address,
    /// All addresses, the primary one first.
    pub addresses: Vec<Address>,
    /// The user's name.
    pub name: Text,
    /// The home domain.
    pub domain: Text,
    /// The device of this session.
    pub instance: InstanceId,
    /// What its owner calls the device.
    pub device_name: Text,
}

/// The body of every answer of the API that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// A stable word for programs: `unauthorized`, `not-found`, …
    pub error: Text,
    /// A sentence for people.
    pub message: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R296: what is written for one end is what the other reads; what is absent is left out.
    #[test]
    fn objects_survive_json() {
        let object = Object {
            seq: 7,
            change: 9,
            message_id: MessageId::parse(&Text::from("m1")).unwrap(),
            with: Address::parse("sip:bob@tandem.test").unwrap(),
            outgoing: true,
            conversation: None,
            contribution: None,
            in_reply_to: None,
            date: Time(1_709_210_096_789),
            content_type: Text::from("text/plain"),
            text: Some(Text::from("<b>hello</b> \"you\"")),
            receipt: Receipt::Delivered,
            seen: true,
            wants_display: true,
            wants_delivery: false,
            flags: Vec::new(),
            folders: Vec::new(),
        };
        let json = serde_json::to_string(&object).unwrap();
        assert!(!json.contains("conversation"));
        assert_eq!(serde_json::from_str::<Object>(&json).unwrap(), object);
    }

    #[test]
    fn a_password_is_not_printed() {
        let sign_in: SignIn = serde_json::from_str(r#"{"address":"sip:a@b","password":"hunter2","instance":"urn:uuid:1"}"#).unwrap();
        assert!(!format!("{sign_in:?}").contains("hunter2"));
        assert_eq!(sign_in.password, "hunter2");
    }
}
