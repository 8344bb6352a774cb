//! The identifiers of CPM, each a type of its own so that none is taken for another.
//!
//! All are opaque text to us: what a peer chose is kept as it is, within a bound and without control characters; what we mint is a UUID.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Entropy, Text};

/// The longest identifier that is taken from a peer, in bytes.
pub const LONGEST: usize = 256;

/// Whether `text` may be an identifier: not empty, bounded, no control characters or white space at its ends.
fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.trim() == text && !text.chars().any(char::is_control)
}

macro_rules! identifier {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// Mints a new one: a random UUID.
            pub fn new(entropy: &mut Entropy) -> Self {
                $name(Text::from(entropy.uuid()))
            }

            /// Takes over what a peer chose, if it is of bearable length and free of control characters.
            pub fn parse(text: &Text) -> Option<Self> {
                is_identifier(text).then(|| $name(text.clone()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The identifier as shared text.
            pub fn text(&self) -> &Text {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Text::deserialize(deserializer)?;
                $name::parse(&text).ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    };
}

identifier! {
    /// One message: `imdn.Message-ID` [RFC5438 §6.3].
    MessageId
}
identifier! {
    /// One conversation, over all its sessions and messages: the Conversation-ID header.
    ConversationId
}
identifier! {
    /// One session or stand-alone message of a conversation: the Contribution-ID header.
    ContributionId
}
identifier! {
    /// One device: the value of `+sip.instance`, without the angle brackets [RFC5626 §4.1].
    InstanceId
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R001: identifiers are UUIDs of ours or whatever bounded text a peer uses.
    #[test]
    fn identifiers_are_bounded() {
        let minted = MessageId::new(&mut Entropy::new([3; 32]));
        assert_eq!(MessageId::parse(minted.text()), Some(minted));
        assert!(MessageId::parse(&Text::from("34jk324j")).is_some());
        for bad in ["", " x", "a\r\nVia: b", &"x".repeat(LONGEST + 1)] {
            assert_eq!(MessageId::parse(&Text::from(bad)), None, "{bad:?}");
        }
        assert!(serde_json::from_str::<MessageId>("\"a\\nb\"").is_err());
    }
}
