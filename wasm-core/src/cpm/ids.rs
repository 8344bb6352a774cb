//! The service's identifiers, each a type of its own.
//!
//! Ours are random UUIDs [RFC4122]; those of others are taken as they are if they are short and hold no control characters.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Entropy, Text};

/// The longest identifier that is accepted, in bytes.
pub const LONGEST: usize = 256;

/// The text without white space around it, if it can be an identifier.
fn check(text: &Text) -> Option<Text> {
    let id = text.trim();
    let good = !id.is_empty() && id.len() <= LONGEST && !id.chars().any(char::is_control);
    good.then(|| text.slice_of(id))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $make:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// A new one that nobody else has.
            pub fn new(entropy: &mut Entropy) -> Self {
                let make: fn(&mut Entropy) -> String = $make;
                $name(Text::from(make(entropy)))
            }

            /// One that somebody else made.
            pub fn parse(text: &Text) -> Option<Self> {
                check(text).map($name)
            }

            /// The identifier as it travels.
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

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for Text {
            fn from(id: $name) -> Text {
                id.0
            }
        }

        impl From<&$name> for Text {
            fn from(id: &$name) -> Text {
                id.0.clone()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                check(&Text::deserialize(deserializer)?).map($name).ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    };
}

identifier! {
    /// Names one message for its notifications: CPIM's `imdn.Message-ID`.
    MessageId, |entropy| entropy.uuid()
}

identifier! {
    /// Names a conversation: the `Conversation-ID` that all its messages and sessions carry.
    ConversationId, |entropy| entropy.uuid()
}

identifier! {
    /// Names one message or session within a conversation: `Contribution-ID`, and `InReplyTo-Contribution-ID` when it is answered.
    ContributionId, |entropy| entropy.uuid()
}

identifier! {
    /// Names a device: the UUID URN of `+sip.instance` [RFC5626 §4.1].
    InstanceId, |entropy| format!("urn:uuid:{}", entropy.uuid())
}

impl InstanceId {
    /// Reads the parameter's value, which has angle brackets and perhaps still its quotes.
    pub fn from_param(value: &str) -> Option<Self> {
        let value = value.trim().trim_matches('"').trim();
        let id = value.strip_prefix('<').and_then(|value| value.strip_suffix('>')).unwrap_or(value);
        InstanceId::parse(&Text::from(id))
    }

    /// The parameter's value with its angle brackets, without quotes.
    pub fn to_param(&self) -> String {
        format!("<{}>", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R034: every message has a new Contribution-ID; R033: a new conversation has a new Conversation-ID.
    #[test]
    fn new_identifiers_differ() {
        let mut entropy = Entropy::new([3; 32]);
        assert_ne!(ContributionId::new(&mut entropy), ContributionId::new(&mut entropy));
        assert_ne!(ConversationId::new(&mut entropy), ConversationId::new(&mut entropy));
    }

    /// R022: a device is named by a UUID URN.
    #[test]
    fn an_instance_is_a_uuid_urn() {
        let instance = InstanceId::new(&mut Entropy::new([4; 32]));
        assert!(instance.as_str().starts_with("urn:uuid:"));
        assert_eq!(instance.as_str().len(), "urn:uuid:".len() + 36);
        assert_eq!(InstanceId::from_param(&instance.to_param()), Some(instance.clone()));
        assert_eq!(InstanceId::from_param(&format!("\"<{instance}>\"")), Some(instance.clone()));
        assert_eq!(InstanceId::from_param(instance.as_str()), Some(instance));
    }

    #[test]
    fn identifiers_of_others_are_bounded() {
        assert_eq!(MessageId::parse(&Text::from(" 34jk324j ")).unwrap().as_str(), "34jk324j");
        for bad in ["", "  ", "a\r\nb", "a\u{0}", &"x".repeat(257)] {
            assert_eq!(MessageId::parse(&Text::from(bad)), None, "{bad:?}");
        }
        assert!(serde_json::from_str::<MessageId>("\"\\n\"").is_err());
        let id: MessageId = serde_json::from_str("\"abc\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"abc\"");
    }
}
