//! Headers that are a list of tokens: option tags, methods, event packages, privacy values.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::{self, Scan};
use super::{HeaderName, Method};
use crate::Text;

/// More are refused.
const MOST: usize = 128;

fn read(value: &Text, separator: u8) -> Result<Vec<Text>, HeaderError> {
    let mut scan = Scan::new(value);
    let mut tokens = Vec::new();
    while !scan.is_done() {
        if scan.separator(separator) {
            continue;
        }
        if tokens.len() == MOST {
            return Err(scan.fail(HeaderFault::TooMany));
        }
        tokens.push(value.slice_of(scan.token()?));
        if !scan.is_done() && scan.peek() != Some(separator) {
            return Err(scan.fail(HeaderFault::Trailing));
        }
    }
    Ok(tokens)
}

fn print(tokens: impl IntoIterator<Item = impl fmt::Display>, separator: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, token) in tokens.into_iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        token.fmt(f)?;
    }
    Ok(())
}

macro_rules! lists {
    ($($name:ident $separator:literal $print:literal $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub Vec<Text>);

        impl $name {
            /// A list of these.
            pub fn of(tokens: &[&str]) -> Self {
                $name(tokens.iter().copied().map(Text::from).collect())
            }

            /// Whether this token is among them, without regard to case.
            pub fn has(&self, token: &str) -> bool {
                self.0.iter().any(|one| one.eq_ignore_ascii_case(token))
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;
            const SHAPE: Shape = Shape::Whole;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                read(value, $separator).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                print(&self.0, $print, f)
            }
        }
    )*};
}

lists! {
    Supported b',' ", " "The extensions that the sender knows [RFC3261 §20.37].";
    Require b',' ", " "The extensions that the other end has to know [RFC3261 §20.32].";
    ProxyRequire b',' ", " "The extensions that each proxy has to know [RFC3261 §20.29].";
    Unsupported b',' ", " "The extensions of a [`Require`] that are not known [RFC3261 §20.40].";
    AllowEvents b',' ", " "The event packages that the sender knows [RFC6665 §8.2.2].";
    ContentEncoding b',' ", " "How the body is encoded [RFC3261 §20.12].";
    ContentLanguage b',' ", " "The languages of the body [RFC3261 §20.13].";
    RequestDisposition b',' ", " "How the caller wants the request routed [RFC3841 §9.1].";
    Privacy b';' ";" "What of the sender's identity is to be kept from the recipient [RFC3323 §4.2].";
}

/// The methods that the sender takes [RFC3261 §20.5].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(pub Vec<Method>);

impl TypedHeader for Allow {
    const NAME: HeaderName = HeaderName::Allow;
    const SHAPE: Shape = Shape::Whole;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let methods = read(value, b',')?;
        Ok(Allow(methods.into_iter().map(|name| Method::known(&name).unwrap_or(Method::Other(name))).collect()))
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(&self.0, ", ", f)
    }
}

/// The call that this one answers to [RFC3261 §20.21].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InReplyTo(pub Vec<Text>);

impl TypedHeader for InReplyTo {
    const NAME: HeaderName = HeaderName::InReplyTo;
    const SHAPE: Shape = Shape::Whole;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let ids: Vec<Text> = scan::elements(value).take(MOST).map(|id| value.slice_of(id)).collect();
        ids.iter().try_for_each(|id| super::identity::call_id(id))?;
        Ok(InReplyTo(ids))
    }
}

impl fmt::Display for InReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(&self.0, ", ", f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Headers;

    #[test]
    fn the_lines_of_a_list_are_one() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Supported, "path, outbound");
        headers.push(HeaderName::Supported, "");
        headers.push(HeaderName::Supported, "GRUU,");
        let supported = headers.read::<Supported>().unwrap();
        assert!(supported.has("gruu") && supported.has("path") && !supported.has("timer"));
        assert_eq!(supported.to_string(), "path, outbound, GRUU");
        headers.put(&Supported::of(&["timer"]));
        assert_eq!(headers.all(&HeaderName::Supported).map(Text::as_str).collect::<Vec<_>>(), ["timer"]);
    }

    #[test]
    fn methods_and_privacy() {
        let allow = Allow::parse(&"INVITE,MESSAGE, FOO".into()).unwrap();
        assert_eq!(allow.0, [Method::Invite, Method::Message, Method::Other("FOO".into())]);
        assert_eq!(Privacy::parse(&"header; user;id".into()).unwrap().to_string(), "header;user;id");
        assert!(Require::parse(&"a b".into()).is_err());
        assert_eq!(InReplyTo::parse(&"a@b, c@d".into()).unwrap().0.len(), 2);
    }
}
