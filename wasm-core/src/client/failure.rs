//! Why a message was not sent, for programs and in words.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::wire::sip::Status;

/// Why a message did not go out or did not arrive; it reads as the words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The text is longer than a message can be.
    TooLong,
    /// The server does not let this user send to that address.
    NotAllowed,
    /// Nobody has that address.
    Unknown,
    /// The other side cannot be reached at present.
    Unreachable,
    /// The other side does not want the message.
    Declined,
    /// The other side cannot read this kind of message.
    Unsupported,
    /// The server did not understand the message.
    Rejected,
    /// No server answered, however often it was tried.
    NoAnswer,
    /// The server took it, but it reached no device before it expired.
    NotDelivered,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 9] = [
        Failure::TooLong,
        Failure::NotAllowed,
        Failure::Unknown,
        Failure::Unreachable,
        Failure::Declined,
        Failure::Unsupported,
        Failure::Rejected,
        Failure::NoAnswer,
        Failure::NotDelivered,
    ];

    /// What a final response that is no success means for the message.
    pub fn of(status: Status) -> Failure {
        match status.0 {
            401 | 402 | 403 | 407 | 494 => Failure::NotAllowed,
            404 | 410 | 414 | 416 | 484 | 485 | 604 => Failure::Unknown,
            413 | 513 => Failure::TooLong,
            406 | 415 | 488 | 493 | 606 => Failure::Unsupported,
            408 | 430 | 480 | 486 | 487 | 600 => Failure::Unreachable,
            603 | 607 | 608 => Failure::Declined,
            500 | 502..=504 | 580 => Failure::NoAnswer,
            _ => Failure::Rejected,
        }
    }

    /// A stable name, by which a translation is found.
    pub fn key(self) -> &'static str {
        match self {
            Failure::TooLong => "too-long",
            Failure::NotAllowed => "not-allowed",
            Failure::Unknown => "unknown",
            Failure::Unreachable => "unreachable",
            Failure::Declined => "declined",
            Failure::Unsupported => "unsupported",
            Failure::Rejected => "rejected",
            Failure::NoAnswer => "no-answer",
            Failure::NotDelivered => "not-delivered",
        }
    }

    /// A sentence for the person who wrote the message.
    pub fn words(self) -> &'static str {
        match self {
            Failure::TooLong => "This message is too long to be sent.",
            Failure::NotAllowed => "You are not allowed to write to this address.",
            Failure::Unknown => "Nobody has this address.",
            Failure::Unreachable => "This person cannot be reached right now.",
            Failure::Declined => "This person does not accept your message.",
            Failure::Unsupported => "This person's device cannot read this message.",
            Failure::Rejected => "The server refused this message.",
            Failure::NoAnswer => "The server did not answer.",
            Failure::NotDelivered => "This message reached none of this person's devices.",
        }
    }

    /// Whether sending the very same message again can succeed.
    pub fn can_retry(self) -> bool {
        self != Failure::TooLong
    }
}

impl Deref for Failure {
    type Target = str;

    fn deref(&self) -> &str {
        self.words()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R039: every refusal has a name and words of its own.
    #[test]
    fn every_refusal_has_words() {
        for failure in Failure::ALL {
            assert_eq!(serde_json::to_string(&failure).unwrap(), format!("\"{}\"", failure.key()));
            assert!(failure.words().ends_with('.'));
        }
        for (status, failure) in [
            (403, Failure::NotAllowed),
            (404, Failure::Unknown),
            (413, Failure::TooLong),
            (415, Failure::Unsupported),
            (480, Failure::Unreachable),
            (400, Failure::Rejected),
            (482, Failure::Rejected),
            (503, Failure::NoAnswer),
            (603, Failure::Declined),
            (999, Failure::Rejected),
        ] {
            assert_eq!(Failure::of(Status(status)), failure, "{status}");
        }
    }
}
