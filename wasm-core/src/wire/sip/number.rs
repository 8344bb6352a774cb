//! Headers that are a number, and CSeq.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::TypedHeader;
use super::scan::{self, Scan};
use super::{HeaderName, Method, Params};
use crate::Text;

/// The order of requests within a dialog, and the method again [RFC3261 §20.16].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// A number and a method.
    pub fn new(number: u32, method: Method) -> CSeq {
        CSeq { number, method }
    }
}

/// Takes a CSeq apart.
pub(crate) fn split_cseq(value: &str) -> Result<(u32, &str), HeaderError> {
    let mut scan = Scan::new(value);
    let number = scan.number()?;
    // [RFC3261 §8.1.1.5]
    let number = u32::try_from(number).ok().filter(|number| *number < 1 << 31);
    let number = number.ok_or(HeaderError { fault: HeaderFault::Number, offset: 0 })?;
    if !matches!(scan.peek(), Some(b' ' | b'\t')) {
        return Err(scan.fail(HeaderFault::Syntax));
    }
    scan.space();
    let method = scan.token()?;
    scan.end()?;
    Ok((number, method))
}

impl TypedHeader for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let (number, method) = split_cseq(value)?;
        let method = Method::known(method).unwrap_or_else(|| Method::Other(value.slice_of(method)));
        Ok(CSeq { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Digits alone as a number of at most 32 bits; a larger one counts as the largest.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(scan::number(text).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX))
}

/// A `qvalue` in thousandths.
pub(crate) fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

macro_rules! numbers {
    ($($name:ident $read:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub u32);

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                $read(value).map($name).ok_or(HeaderError { fault: HeaderFault::Number, offset: 0 })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

/// A number of at most 32 bits.
fn exact(text: &str) -> Option<u32> {
    scan::number(text).and_then(|number| u32::try_from(number).ok())
}

/// A number of hops, at most 255 [RFC3261 §20.22].
pub(crate) fn hops(text: &str) -> Option<u32> {
    exact(text).filter(|hops| *hops <= 255)
}

numbers! {
    MaxForwards hops "How many more proxies the request may pass, at most 255 [RFC3261 §20.22].";
    Expires seconds "For how many seconds the message or its content is valid; too large a number counts as the largest [RFC3261 §20.19].";
    MinExpires seconds "The shortest interval that a server takes, in seconds [RFC3261 §20.23].";
    FlowTimer seconds "After how many seconds without keep-alive the server gives a flow up [RFC5626 §11.1].";
    ContentLength exact "The bytes of the body [RFC3261 §20.14]. A message is read without it and printed with it: it is a fact of the body.";
    RSeq exact "The number of a reliable provisional response [RFC3262 §7.1].";
}

macro_rules! intervals {
    ($($name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// Seconds; too large a number counts as the largest.
            pub seconds: u32,
            /// The parameters.
            pub params: Params,
        }

        impl $name {
            /// An interval without parameters.
            pub fn new(seconds: u32) -> Self {
                $name { seconds, params: Params::new() }
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                let mut scan = Scan::new(value);
                let fault = scan.fail(HeaderFault::Number);
                let seconds = seconds(scan.run_while(|byte| byte.is_ascii_digit())).ok_or(fault)?;
                comment(&mut scan);
                let params = Params::scan(&mut scan, value)?;
                scan.end()?;
                Ok($name { seconds, params })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.seconds, self.params)
            }
        }
    )*};
}

/// Steps over a comment in parentheses, which only Retry-After may have; it is not kept.
fn comment(scan: &mut Scan<'_>) {
    let mut ahead = scan.clone();
    ahead.space();
    if ahead.eat(b'(') {
        ahead.run_while(|byte| byte != b')');
        if ahead.eat(b')') {
            *scan = ahead;
        }
    }
}

intervals! {
    RetryAfter "After how many seconds to try again [RFC3261 §20.33].";
    SessionExpires "For how many seconds a session lives without refresh [RFC4028 §4].";
    MinSe "The shortest session interval that is taken [RFC4028 §5].";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_has_bounds() {
        assert_eq!(CSeq::parse(&"0009   INVITE".into()), Ok(CSeq::new(9, Method::Invite)));
        assert_eq!(CSeq::parse(&"2147483647 X".into()).unwrap().to_string(), "2147483647 X");
        for text in ["", "1", "1INVITE", "INVITE 1", "-1 INVITE", "2147483648 INVITE", "36893488147419103232 REGISTER", "1 A B"] {
            assert!(CSeq::parse(&text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(MaxForwards::parse(&"0068".into()), Ok(MaxForwards(68)));
        assert!(MaxForwards::parse(&"256".into()).is_err());
        assert_eq!(Expires::parse(&"10000000000".into()), Ok(Expires(u32::MAX)));
        assert!(Expires::parse(&"soon".into()).is_err());
        assert!(ContentLength::parse(&"-999".into()).is_err());
        let wait = RetryAfter::parse(&"120 (In a meeting);duration=3600".into()).unwrap();
        assert_eq!(wait.to_string(), "120;duration=3600");
        assert_eq!(SessionExpires::parse(&"1800;refresher=uac".into()).unwrap().params.value("refresher"), Some("uac"));
    }

    #[test]
    fn q_values_are_thousandths() {
        for (text, value) in [("1", Some(1000)), ("0.5", Some(500)), ("0.333", Some(333)), ("1.1", None), ("2", None), ("0.1234", None)] {
            assert_eq!(thousandths(text), value, "{text}");
        }
    }
}
