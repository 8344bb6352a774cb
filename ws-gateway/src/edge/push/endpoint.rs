//! Where a notice is sent to: an address that somebody gave us, and what we are willing to connect to.
//!
//! A browser names its push service, so anybody who is signed in can make us connect somewhere. It is HTTPS alone, and never an address
//! of this machine or of a private network, whatever the name resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::Uri;

/// The longest address that is kept.
const LONGEST: usize = 1024;

/// An HTTP resource that takes POST requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    secure: bool,
}

impl Endpoint {
    /// Reads an `https:` address without user information.
    pub fn secure(text: &str) -> Option<Endpoint> {
        Endpoint::parse(text).filter(|endpoint| endpoint.secure)
    }

    /// Reads an `https:` or `http:` address without user information.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let uri: Uri = text.parse().ok().filter(|_| text.len() <= LONGEST && !text.contains('#'))?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let good = !authority.as_str().contains('@') && !authority.host().is_empty() && authority.port_u16() != Some(0);
        good.then_some(Endpoint { secure, uri })
    }

    /// Whether the connection is within TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Host and port as the address has them.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// The path and the query.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.uri.scheme_str().unwrap_or_default(), self.authority().to_ascii_lowercase())
    }

    /// Whether the host is an address, and one that is not for everybody.
    pub fn is_private(&self) -> bool {
        self.host().parse().is_ok_and(|address| !is_public(address))
    }
}

/// Whether an address is one of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!((a, b, c), (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Of the global unicast addresses not those that hold an IPv4 address (Teredo, 6to4), nor those for documents and tests.
    let special = matches!(segments, [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..]);
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R317: nobody makes the gateway connect to its own machine or network.
    #[test]
    fn only_the_public_internet_is_connected_to() {
        let public = ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2600::1", "2001:4860::8888", "::ffff:8.8.8.8"];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let others = [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
        ];
        for address in others {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_endpoint_is_https_without_user_information() {
        let endpoint = Endpoint::secure("https://Push.example:8443/a/b?c=d").unwrap();
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.path()), ("Push.example", 8443, "/a/b?c=d"));
        assert_eq!(endpoint.origin(), "https://push.example:8443");
        assert_eq!(Endpoint::secure("https://[2600::1]/x").unwrap().host(), "2600::1");
        assert!(Endpoint::secure("https://127.0.0.1/x").unwrap().is_private() && Endpoint::secure("https://[::1]/").unwrap().is_private());
        let long = format!("https://push.example/{}", "x".repeat(LONGEST));
        for wrong in
            ["http://push.example/", "https://me@push.example/", "https:///x", "/x", "ftp://push.example/", "https://a:0/", "", &long]
        {
            assert_eq!(Endpoint::secure(wrong), None, "{wrong}");
        }
        assert!(Endpoint::parse("http://push.example/").is_some());
    }
}
