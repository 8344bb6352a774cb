//! MSRP URIs, and when two of them are the same [RFC4975 §6].

use core::net::IpAddr;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};

use super::Fault;
use crate::Text;

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, or TLS over it.
    Tcp,
    /// A WebSocket [RFC7977].
    WebSocket,
    /// A data channel [RFC8873].
    DataChannel,
    /// Something else.
    Other,
}

impl Transport {
    /// The word in the URI; what is not known has none.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::WebSocket => "ws",
            Transport::DataChannel => "dc",
            Transport::Other => "",
        }
    }
}

/// Where a session is reached: `msrps://host:port/session;tcp`.
///
/// Equality is that of [RFC4975 §6.1]: scheme, host and transport without case, addresses by their value, the port and the session id
/// literally; user and further parameters do not count.
#[derive(Clone)]
pub struct MsrpUri {
    text: Text,
    host: (u16, u16),
    session: (u16, u16),
    transport: (u16, u16),
    port: Option<u16>,
}

impl MsrpUri {
    /// At most so many bytes.
    pub const MAX: usize = 1024;

    /// Reads a URI.
    pub fn parse(text: &Text) -> Result<MsrpUri, Fault> {
        let bytes = text.as_bytes();
        if bytes.len() > Self::MAX || !bytes.iter().fold(true, |sound, byte| sound & byte.is_ascii_graphic()) {
            return Err(Fault::Path);
        }
        let is = |scheme: &str| bytes.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()));
        let start = ["msrp://", "msrps://"].into_iter().find(|scheme| is(scheme)).ok_or(Fault::Path)?.len();
        let find = |byte, range: Range<usize>| memchr(byte, &bytes[range.clone()]).map(|at| range.start + at);
        let parameters = find(b';', start..bytes.len()).ok_or(Fault::Path)?;
        let slash = find(b'/', start..parameters).unwrap_or(parameters);
        let session = if slash == parameters { parameters..parameters } else { slash + 1..parameters };
        let session_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' | b'%');
        if (slash < parameters && session.is_empty()) || !text[session.clone()].bytes().all(session_char) {
            return Err(Fault::Path);
        }
        let transport = parameters + 1..find(b';', parameters + 1..bytes.len()).unwrap_or(bytes.len());
        if transport.is_empty() || !text[transport.clone()].bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Fault::Path);
        }
        let first = memrchr(b'@', &bytes[start..slash]).map_or(start, |at| start + at + 1);
        let authority = &text[first..slash];
        let (length, port) = match memrchr(b':', authority.as_bytes()).filter(|at| !authority[*at..].contains(']')) {
            Some(at) => (at, Some(authority[at + 1..].parse().map_err(|_| Fault::Path)?)),
            None => (authority.len(), None),
        };
        let host = &authority[..length];
        let sound = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<IpAddr>().is_ok()),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,=".contains(&byte)),
        };
        if !sound {
            return Err(Fault::Path);
        }
        let short = |range: Range<usize>| (range.start as u16, range.end as u16);
        let (host, session, transport) = (short(first..first + length), short(session), short(transport));
        Ok(MsrpUri { text: text.clone(), host, session, transport, port })
    }

    /// The URI of a session at a host, which is written in brackets where it is an IPv6 address.
    pub fn new(secure: bool, host: &str, port: u16, session: &str, transport: Transport) -> Result<MsrpUri, Fault> {
        let scheme = if secure { "msrps" } else { "msrp" };
        let (open, close) = if host.contains(':') && !host.starts_with('[') { ("[", "]") } else { ("", "") };
        let transport = transport.as_str();
        MsrpUri::parse(&Text::from(format!("{scheme}://{open}{host}{close}:{port}/{session};{transport}")))
    }

    /// The URI as it came.
    pub fn as_text(&self) -> &Text {
        &self.text
    }

    /// Whether the connection has to be encrypted.
    pub fn is_secure(&self) -> bool {
        self.text.as_bytes()[4] != b':'
    }

    /// The host, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        self.part(self.host)
    }

    /// The port, where one is said.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The session, empty where the URI is that of a relay.
    pub fn session(&self) -> &str {
        self.part(self.session)
    }

    /// What carries the frames.
    pub fn transport(&self) -> Transport {
        let word = self.part(self.transport);
        let known = [Transport::Tcp, Transport::WebSocket, Transport::DataChannel];
        known.into_iter().find(|transport| transport.as_str().eq_ignore_ascii_case(word)).unwrap_or(Transport::Other)
    }

    fn part(&self, (start, end): (u16, u16)) -> &str {
        &self.text[usize::from(start)..usize::from(end)]
    }

    fn address(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl PartialEq for MsrpUri {
    fn eq(&self, other: &MsrpUri) -> bool {
        self.text == other.text
            || self.session() == other.session()
                && self.port == other.port
                && self.is_secure() == other.is_secure()
                && self.part(self.transport).eq_ignore_ascii_case(other.part(other.transport))
                && match (self.address(), other.address()) {
                    (Some(one), Some(two)) => one == two,
                    (None, None) => self.host().eq_ignore_ascii_case(other.host()),
                    (Some(_), None) | (None, Some(_)) => false,
                }
    }
}

impl Eq for MsrpUri {}

impl fmt::Debug for MsrpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for MsrpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> MsrpUri {
        MsrpUri::parse(&Text::from(text)).unwrap_or_else(|_| panic!("no URI: {text}"))
    }

    #[test]
    fn a_uri_has_its_parts() {
        let full = uri("MSRPS://alice@[2001:db8::1]:9892/jshA7we/+=;TCP;x=1");
        assert!(full.is_secure());
        assert_eq!((full.host(), full.port(), full.session()), ("[2001:db8::1]", Some(9892), "jshA7we/+="));
        assert_eq!(full.transport(), Transport::Tcp);
        let relay = uri("msrp://relay.example;ws");
        assert_eq!((relay.is_secure(), relay.port(), relay.session(), relay.transport()), (false, None, "", Transport::WebSocket));
        assert_eq!(uri("msrp://a.invalid/x;sctp").transport(), Transport::Other);
        let own = MsrpUri::new(true, "2001:db8::1", 2855, "s", Transport::Tcp).unwrap();
        assert_eq!(own.to_string(), "msrps://[2001:db8::1]:2855/s;tcp");
    }

    /// The rules of [RFC4975 §6.1].
    #[test]
    fn uris_are_the_same_by_what_counts() {
        let base = uri("msrp://alice.example:7777/iau39soe2843z;tcp");
        for same in ["MSRP://ALICE.example:7777/iau39soe2843z;TCP", "msrp://bob@alice.example:7777/iau39soe2843z;tcp;p=1"] {
            assert_eq!(base, uri(same));
        }
        for other in [
            "msrps://alice.example:7777/iau39soe2843z;tcp",
            "msrp://alice.example:7777/IAU39soe2843z;tcp",
            "msrp://alice.example:7777;tcp",
            "msrp://alice.example/iau39soe2843z;tcp",
            "msrp://alice.example:7778/iau39soe2843z;tcp",
            "msrp://alice.example:7777/iau39soe2843z;ws",
            "msrp://192.0.2.1:7777/iau39soe2843z;tcp",
        ] {
            assert_ne!(base, uri(other), "{other}");
        }
        assert_eq!(uri("msrp://[2001:db8:0::1]:1/s;tcp"), uri("msrp://[2001:DB8::1]:1/s;tcp"));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let long = format!("msrp://a/{};tcp", "x".repeat(MsrpUri::MAX));
        for text in [
            "",
            "msrp",
            "sip:a@b",
            "http://a/b;tcp",
            "msrp://a/b",
            "msrp://a/b;",
            "msrp://a/;tcp",
            "msrp:///b;tcp",
            "msrp://a:/b;tcp",
            "msrp://a:99999/b;tcp",
            "msrp://[a]/b;tcp",
            "msrp://[::1/b;tcp",
            "msrp://a b/c;tcp",
            "msrp://a/b\"c;tcp",
            "msrp://a/é;tcp",
            &long,
        ] {
            assert_eq!(MsrpUri::parse(&Text::from(text)).err(), Some(Fault::Path), "{text}");
        }
    }
}
