//! Headers that are one identifier or one line of text: Call-ID, the identifiers of CPM, User-Agent.

use std::fmt;

use super::HeaderName;
use super::error::{HeaderError, HeaderFault};
use super::headers::TypedHeader;
use super::scan;
use crate::Text;

macro_rules! texts {
    ($($name:ident $class:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Text);

        impl $name {
            /// The value as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                $class(value)?;
                Ok($name(value.clone()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

/// `word [@ word]` [RFC3261 §25.1].
pub(crate) fn call_id(value: &str) -> Result<(), HeaderError> {
    match memchr::memchr(b'@', value.as_bytes()) {
        None => word(value),
        Some(at) => word(&value[..at]).and(word(&value[at + 1..])),
    }
}

fn word(value: &str) -> Result<(), HeaderError> {
    let odd = value.bytes().position(|byte| !scan::is(scan::WORD, byte));
    match odd {
        None if !value.is_empty() => Ok(()),
        odd => Err(HeaderError { fault: HeaderFault::Syntax, offset: odd.unwrap_or_default() }),
    }
}

/// A token.
fn token(value: &str) -> Result<(), HeaderError> {
    if scan::is_token(value) { Ok(()) } else { Err(HeaderError { fault: HeaderFault::Syntax, offset: 0 }) }
}

/// Visible ASCII without spaces.
fn visible(value: &str) -> Result<(), HeaderError> {
    let odd = value.bytes().position(|byte| !byte.is_ascii_graphic());
    match odd {
        None if !value.is_empty() => Ok(()),
        odd => Err(HeaderError { fault: HeaderFault::Syntax, offset: odd.unwrap_or_default() }),
    }
}

/// Any text.
fn any(_: &str) -> Result<(), HeaderError> {
    Ok(())
}

texts! {
    CallId call_id "The identifier of a call or of a device's registrations [RFC3261 §20.8].";
    ConversationId visible "The identifier of a CPM conversation.";
    ContributionId visible "The identifier of a CPM session or message within its conversation.";
    InReplyToContributionId visible "The contribution that this one answers.";
    SessionReplaces visible "The CPM session whose place the new one takes; what the identifier is made of is not looked at.";
    SipEtag token "The version of published state [RFC3903 §11.3.1].";
    SipIfMatch token "Which version of published state is meant [RFC3903 §11.3.2].";
    UserAgent any "The software of a client [RFC3261 §20.41].";
    Server any "The software of a server [RFC3261 §20.35].";
    Organization any "The sender's organisation [RFC3261 §20.25].";
    Subject any "What a call or message is about [RFC3261 §20.36].";
    Priority token "How urgent the sender finds the request [RFC3261 §20.26].";
    PPreferredService visible "The service that a client wants asserted [RFC6050 §4.2].";
    PAssertedService visible "The service that the network vouches for [RFC6050 §4.1].";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_characters() {
        for text in ["f81d4fae@foo.bar.com", "asdf<>&nope", "a@b@c", "", "@x", "a b"] {
            assert_eq!(CallId::parse(&text.into()).is_ok(), text.starts_with('f'), "{text}");
        }
        // The widest set of characters that the grammar allows.
        assert!(CallId::parse(&"-.!%*_+`'~()<>:\\\"/[]?{}@x".into()).is_ok());
        assert!(ConversationId::parse(&"f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into()).is_ok());
        assert!(ContributionId::parse(&"a b".into()).is_err());
        assert_eq!(UserAgent::parse(&"Tandem 0.1 (x; y)".into()).unwrap().to_string(), "Tandem 0.1 (x; y)");
    }
}
