//! Via: the way that a request came and its response goes back [RFC3261 §20.42].

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::{self, Scan};
use super::{HeaderName, Host, Params, uri};
use crate::Text;

/// One hop of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Via {
    /// The transport as written: UDP, TCP, TLS, WS, WSS, or another token.
    pub transport: Text,
    /// The host of the sent-by.
    pub host: Host,
    /// The port of the sent-by.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params,
}

impl Via {
    /// What the branch of an element that follows RFC 3261 starts with.
    pub const COOKIE: &'static str = "z9hG4bK";

    /// A hop without parameters.
    pub fn new(transport: &str, host: impl Into<Host>, port: Option<u16>) -> Via {
        Via { transport: Text::from(transport), host: host.into(), port, params: Params::new() }
    }

    /// The transaction's identifier.
    pub fn branch(&self) -> Option<&Text> {
        self.params.get("branch").flatten()
    }

    /// Sets the transaction's identifier.
    pub fn set_branch(&mut self, branch: &str) {
        self.params.set("branch", branch);
    }

    /// The source address that the next hop saw, brackets included where it has them.
    pub fn received(&self) -> Option<&Text> {
        self.params.get("received").flatten()
    }

    /// Whether the sender asks for the source port, and the port where it has been filled in [RFC3581].
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.and_then(|port| port.parse().ok()))
    }

    fn scan(scan: &mut Scan<'_>, source: &Text) -> Result<Via, HeaderError> {
        let (transport, host, port) = split(scan)?;
        Ok(Via { transport: source.slice_of(transport), host: Host::of(source.slice_of(host)), port, params: Params::scan(scan, source)? })
    }
}

/// Takes the transport and the sent-by that come next apart.
fn split<'a>(scan: &mut Scan<'a>) -> Result<(&'a str, &'a str, Option<u16>), HeaderError> {
    scan.space();
    if !scan.token()?.eq_ignore_ascii_case("SIP") {
        return Err(scan.fail(HeaderFault::Syntax));
    }
    scan.expect(b'/')?;
    if scan.token()? != "2.0" {
        return Err(scan.fail(HeaderFault::Syntax));
    }
    scan.expect(b'/')?;
    let transport = scan.token()?;
    if !matches!(scan.peek(), Some(b' ' | b'\t')) {
        return Err(scan.fail(HeaderFault::Syntax));
    }
    scan.space();
    let length = uri::host_length(scan.rest()).ok_or(scan.fail(HeaderFault::Syntax))?;
    let host = scan.take(length);
    let mut port = None;
    if scan.separator(b':') {
        let fault = scan.fail(HeaderFault::Number);
        port = Some(u16::try_from(scan.number()?).map_err(|_| fault)?);
    }
    Ok((transport, host, port))
}

/// Whether a value is a list of hops.
pub(crate) fn check(value: &str) -> Result<(), HeaderError> {
    scan::check_list(value, |scan| split(scan).map(drop))
}

impl TypedHeader for Via {
    const NAME: HeaderName = HeaderName::Via;
    const SHAPE: Shape = Shape::Each;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let via = Via::scan(&mut scan, value)?;
        scan.end()?;
        Ok(via)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Via, HeaderError> {
        Via::parse(&Text::from(text))
    }

    #[test]
    fn a_hop_is_taken_apart() {
        let via = read("SIP / 2.0 / UDP  [2001:db8::9:1]:5070 ; branch = z9hG4bKx;received=2001:db8::9:255;rport").unwrap();
        assert_eq!((&*via.transport, via.host.as_str(), via.port), ("UDP", "[2001:db8::9:1]", Some(5070)));
        assert_eq!(via.branch().map(Text::as_str), Some("z9hG4bKx"));
        assert_eq!(via.received().map(Text::as_str), Some("2001:db8::9:255"));
        assert_eq!(via.rport(), Some(None));
        assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::9:1]:5070;branch=z9hG4bKx;received=2001:db8::9:255;rport");
        assert_eq!(read(&via.to_string()).unwrap(), via);
    }

    #[test]
    fn what_is_no_hop_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP host",
            "HTTP/2.0/UDP host",
            "SIP/2.0/UDP host;;,;,,",
            "SIP/2.0/UDP host:99999",
            "SIP/2.0/UDP host x",
        ] {
            assert!(read(text).is_err(), "{text}");
            assert!(check(text).is_err(), "{text}");
        }
    }
}
