//! What is said of messages, on their way out and on their way in.

use std::fmt;

use bytes::Bytes;

use crate::Text;
use crate::wire::mime::Field;
use crate::wire::msrp::FailureReport;

/// A message of our own: its Message-ID, a random number in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Id {
    pub(super) fn parse(text: &str) -> Option<Id> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Id))?
    }
}

/// A message of the other end, while it is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u32);

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which message it is, from [`Session::id`].
    pub id: Id,
    /// The media type of its body.
    pub content_type: Text,
    /// Further header fields, such as Content-Disposition.
    pub fields: Vec<Field>,
    /// The body, or how it will come.
    pub body: Source,
    /// Whether the other end is to report that it has the message.
    pub success_report: bool,
    /// What is to be heard of failures.
    pub failure_report: FailureReport,
}

impl Outgoing {
    /// A message that is there as a whole.
    pub fn new(id: Id, content_type: impl Into<Text>, body: impl Into<Bytes>) -> Outgoing {
        Outgoing {
            id,
            content_type: content_type.into(),
            fields: Vec::new(),
            body: Source::Whole(body.into()),
            success_report: false,
            failure_report: FailureReport::Yes,
        }
    }

    /// A message whose bytes are supplied when they can be sent.
    pub fn stream(id: Id, content_type: impl Into<Text>, size: Option<u64>) -> Outgoing {
        Outgoing { body: Source::Stream { size }, ..Outgoing::new(id, content_type, Bytes::new()) }
    }
}

/// Where the bytes of a message come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They are here. Such messages are sent in their order, and between the chunks of streams.
    Whole(Bytes),
    /// They come by [`Input::Supply`] whenever [`Output::Wanted`] asks for them. Streams take turns.
    Stream {
        /// How many there will be, where that is known.
        size: Option<u64>,
    },
}

/// What is known of an incoming message before its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its Message-ID.
    pub id: Text,
    /// The media type of its body.
    pub content_type: Text,
    /// Its other header fields.
    pub fields: Vec<Field>,
    /// How many bytes it has, where the sender knows.
    pub size: Option<u64>,
}

/// What the sender of a message wants to hear when it was kept or lost: to be given back in [`Input::Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The Message-ID.
    pub id: Text,
    /// The bytes of the message.
    pub size: u64,
    /// Whether success is to be reported.
    pub success: bool,
    /// Which failures are to be reported.
    pub failure: FailureReport,
}
