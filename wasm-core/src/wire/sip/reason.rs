//! Headers that say why: Reason and Warning.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::{self, Scan};
use super::{HeaderName, Params, Status};
use crate::Text;

/// Why a request was sent, or what an earlier attempt ended with [RFC3326].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850`, or another token.
    pub protocol: Text,
    /// `cause`, `text`.
    pub params: Params,
}

impl Reason {
    /// A status code as the reason.
    pub fn sip(cause: Status, text: &str) -> Reason {
        let mut params = Params::new().with("cause", &cause.to_string());
        params.set_quoted("text", text);
        Reason { protocol: Text::from("SIP"), params }
    }

    /// The code within the protocol.
    pub fn cause(&self) -> Option<u16> {
        self.params.number("cause").and_then(|cause| u16::try_from(cause).ok())
    }

    /// The reason in words.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.params.text("text")
    }
}

impl TypedHeader for Reason {
    const NAME: HeaderName = HeaderName::Reason;
    const SHAPE: Shape = Shape::Each;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let protocol = value.slice_of(scan.token()?);
        let params = Params::scan(&mut scan, value)?;
        scan.end()?;
        Ok(Reason { protocol, params })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}

/// More about a response, in words [RFC3261 §20.43].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Three digits.
    pub code: u16,
    /// Who warns: a host or a pseudonym.
    pub agent: Text,
    /// The words, without quotes and escapes.
    pub text: Text,
}

impl Warning {
    /// A warning.
    pub fn new(code: u16, agent: &str, text: &str) -> Warning {
        Warning { code, agent: Text::from(agent), text: Text::from(text) }
    }
}

impl TypedHeader for Warning {
    const NAME: HeaderName = HeaderName::Warning;
    const SHAPE: Shape = Shape::Each;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let fault = scan.fail(HeaderFault::Number);
        let code = u16::try_from(scan.number()?).ok().filter(|code| (100..1000).contains(code)).ok_or(fault)?;
        scan.space();
        let agent = value.slice_of(scan.run_while(|byte| byte.is_ascii_graphic() && byte != b'"'));
        scan.space();
        let text = match scan::unquote(scan.quoted()?) {
            std::borrow::Cow::Borrowed(text) => value.slice_of(text),
            std::borrow::Cow::Owned(text) => Text::from(text),
        };
        scan.end()?;
        if agent.is_empty() { Err(scan.fail(HeaderFault::Syntax)) } else { Ok(Warning { code, agent, text }) }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} {}", self.code, self.agent, scan::quote(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_warnings_keep_their_words() {
        let reason = Reason::sip(Status::OK, "Call completed elsewhere");
        assert_eq!(reason.to_string(), "SIP;cause=200;text=\"Call completed elsewhere\"");
        let read = Reason::parse(&reason.to_string().into()).unwrap();
        assert_eq!((read.cause(), read.text().as_deref()), (Some(200), Some("Call completed elsewhere")));
        let warning = Warning::new(399, "tandem.test", "a \"b\"");
        assert_eq!(warning.to_string(), "399 tandem.test \"a \\\"b\\\"\"");
        assert_eq!(Warning::parse(&warning.to_string().into()).unwrap(), warning);
        for text in ["", "1812 overture \"In Progress\"", "399 x", "399 \"x\""] {
            assert!(Warning::parse(&text.into()).is_err(), "{text}");
        }
    }
}
