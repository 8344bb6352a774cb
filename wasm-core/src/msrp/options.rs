//! What sessions of one kind have in common: what they take, how much of it, and how long they wait.

use std::time::Duration;

use crate::Text;
use crate::wire::sdp;

/// What all sessions of one kind have in common; they share it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The media types that are taken as they are; a star is any.
    pub accept_types: Vec<Text>,
    /// The media types that are taken within another.
    pub accept_wrapped_types: Vec<Text>,
    /// Bytes of the largest message that is taken.
    pub max_size: u64,
    /// Bytes up to which incoming messages are collected and given as a whole, all that are unfinished together.
    pub whole: usize,
    /// How many incoming messages may be unfinished.
    pub open: usize,
    /// How many bytes the consumer may owe before reading stops.
    pub window: usize,
    /// How many bytes of refused messages are read, with no other message between them, before the session ends.
    pub patience: u64,
    /// The bytes of one chunk, which is how long a short message may have to wait for a long one, and what a frame's head is shared by.
    pub chunk: usize,
    /// How many bytes may wait for their responses.
    pub in_flight: usize,
    /// How long a connection may take to come.
    pub connect: Duration,
    /// How long a response may take.
    pub answer: Duration,
    /// After which silence to ask whether the other end is there.
    pub keep_alive: Option<Duration>,
    /// How long an unfinished message or frame may make no progress.
    pub stall: Duration,
    /// Which silence ends the session.
    pub idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            accept_types: ["message/cpim", "application/im-iscomposing+xml"].map(Text::from).into(),
            accept_wrapped_types: ["message/imdn+xml", "*"].map(Text::from).into(),
            max_size: 100 * 1024 * 1024,
            whole: 64 * 1024,
            open: 8,
            window: 256 * 1024,
            patience: 4 * 1024 * 1024,
            chunk: 16 * 1024,
            in_flight: 256 * 1024,
            connect: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            keep_alive: Some(Duration::from_secs(120)),
            stall: Duration::from_secs(60),
            idle: Duration::from_secs(600),
        }
    }
}

impl Options {
    /// Whether a message of this type is taken.
    pub(super) fn accepts(&self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        self.accept_types.iter().any(|range| sdp::in_range(range, media_type))
    }
}
