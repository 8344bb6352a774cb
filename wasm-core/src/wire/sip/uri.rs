//! URIs: `sip:` and `sips:` [RFC3261 §19.1], `tel:` [RFC3966], and any other scheme as opaque text.
//!
//! The parts are kept as they were written, escapes included; comparison undoes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::Params;
use super::error::UriError;
use super::scan;
use crate::Text;

/// A URI of any scheme.
#[derive(Clone, Debug)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme, whole.
    Other(Text),
}

/// A `sip:` or `sips:` URI.
#[derive(Clone, Debug)]
pub struct SipUri {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part as written, escapes included.
    pub user: Option<Text>,
    /// The password as written.
    pub password: Option<Text>,
    /// The host.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The URI's own parameters.
    pub params: Params,
    /// What follows the question mark, as written.
    pub headers: Option<Text>,
}

/// A `tel:` URI.
#[derive(Clone, Debug)]
pub struct TelUri {
    /// The number as written, visual separators included.
    pub number: Text,
    /// Its parameters.
    pub params: Params,
}

/// A host name, an IPv4 address, or an IPv6 reference in brackets; compared without regard to case.
#[derive(Clone)]
pub struct Host(Text);

impl Host {
    /// The host as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that this host is, where it is no name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.strip_prefix('[') {
            Some(rest) => ipv6(rest.strip_suffix(']')?).map(IpAddr::V6),
            None => self.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    /// The host that this text is, where it is one.
    pub fn parse(text: &Text) -> Option<Host> {
        (host_length(text) == Some(text.len())).then(|| Host(text.clone()))
    }

    pub(crate) fn of(text: Text) -> Host {
        Host(text)
    }
}

impl From<&str> for Host {
    fn from(host: &str) -> Host {
        Host(Text::from(host))
    }
}

impl From<Text> for Host {
    fn from(host: Text) -> Host {
        Host(host)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Host {
        match address {
            IpAddr::V4(address) => Host(Text::from(address.to_string())),
            IpAddr::V6(address) => Host(Text::from(format!("[{address}]"))),
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Host {}

impl PartialEq<str> for Host {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Host {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An IPv6 address, in the form with a third colon too that RFC 3261's grammar makes of one with an IPv4 tail: [RFC5118 §4.10] wants it taken.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Some((front, tail)) = text.split_once(":::")
        && tail.parse::<Ipv4Addr>().is_ok()
    {
        return format!("{front}::{tail}").parse().ok();
    }
    text.parse().ok()
}

/// How many bytes at the start of `text` are a host, or nothing when none are.
pub(crate) fn host_length(text: &str) -> Option<usize> {
    if text.starts_with('[') {
        let close = text.find(']')?;
        ipv6(text.get(1..close)?)?;
        return Some(close + 1);
    }
    let length = text.bytes().take_while(|&byte| scan::is(scan::HOST, byte)).count();
    (length > 0).then_some(length)
}

/// A URI taken apart without a copy; what is here has been checked.
pub(crate) enum Parts<'a> {
    Sip(SipParts<'a>),
    Tel { number: &'a str, params: &'a str },
    Other,
}

/// The parts of a SIP URI.
pub(crate) struct SipParts<'a> {
    pub(crate) secure: bool,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    pub(crate) params: &'a str,
    pub(crate) headers: Option<&'a str>,
}

/// Takes a URI apart and checks every part of it.
pub(crate) fn split(uri: &str) -> Result<Parts<'_>, UriError> {
    let colon = uri.bytes().position(|byte| byte == b':').ok_or(UriError { offset: 0 })?;
    let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
    let at = |part: &str| UriError { offset: part.as_ptr() as usize - uri.as_ptr() as usize };
    let secure = match scheme.len() {
        3 if scheme.eq_ignore_ascii_case("sip") => false,
        4 if scheme.eq_ignore_ascii_case("sips") => true,
        3 if scheme.eq_ignore_ascii_case("tel") => {
            let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            let is_digit = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#' | b'-' | b'.' | b'(' | b')');
            let digits = number.strip_prefix('+').unwrap_or(number);
            if !digits.bytes().all(is_digit) || !digits.bytes().any(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#')) {
                return Err(at(number));
            }
            each_param(params, |_, _| ()).map_err(at)?;
            return Ok(Parts::Tel { number, params });
        }
        _ => {
            let mut bytes = scheme.bytes();
            let fits = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            if !fits {
                return Err(UriError { offset: 0 });
            }
            let is_odd = |byte: u8| byte <= b' ' || byte >= 0x7f || matches!(byte, b'<' | b'>' | b'"');
            return match rest.bytes().position(is_odd) {
                None if !rest.is_empty() => Ok(Parts::Other),
                odd => Err(UriError { offset: colon + 1 + odd.unwrap_or_default() }),
            };
        }
    };
    let (user, password, rest) = match memchr::memchr(b'@', rest.as_bytes()) {
        None => (None, None, rest),
        Some(end) => {
            let info = &rest[..end];
            let (user, password) = match memchr::memchr(b':', info.as_bytes()) {
                None => (info, None),
                Some(colon) => (&info[..colon], Some(&info[colon + 1..])),
            };
            let run = scan::escaped_run(scan::USER, user);
            if user.is_empty() || run < user.len() {
                return Err(at(&user[run..]));
            }
            if let Some(password) = password {
                let run = scan::escaped_run(scan::PASSWORD, password);
                if run < password.len() {
                    return Err(at(&password[run..]));
                }
            }
            (Some(user), password, &rest[end + 1..])
        }
    };
    let host = &rest[..host_length(rest).ok_or_else(|| at(rest))?];
    let mut rest = &rest[host.len()..];
    let mut port = None;
    if let Some(after) = rest.strip_prefix(':') {
        let length = after.bytes().take_while(u8::is_ascii_digit).count();
        port = Some(scan::number(&after[..length]).and_then(|port| u16::try_from(port).ok()).ok_or_else(|| at(after))?);
        rest = &after[length..];
    }
    let (params, headers) = match memchr::memchr(b'?', rest.as_bytes()) {
        None => (rest, None),
        Some(question) => (&rest[..question], Some(&rest[question + 1..])),
    };
    each_param(params, |_, _| ()).map_err(at)?;
    if let Some(headers) = headers {
        let run = scan::escaped_run(scan::FIELD, headers);
        if headers.is_empty() || run < headers.len() {
            return Err(at(&headers[run..]));
        }
    }
    Ok(Parts::Sip(SipParts { secure, user, password, host, port, params, headers }))
}

/// Calls back for each `;name=value`; the error is what could not be read.
fn each_param<'a>(params: &'a str, mut each: impl FnMut(&'a str, Option<&'a str>)) -> Result<(), &'a str> {
    let mut rest = params;
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix(';') else { return Err(rest) };
        let length = scan::escaped_run(scan::PARAM, after);
        if length == 0 {
            return Err(after);
        }
        let name = &after[..length];
        rest = &after[length..];
        let mut value = None;
        if let Some(after) = rest.strip_prefix('=') {
            let length = scan::escaped_run(scan::PARAM, after);
            if length == 0 {
                return Err(after);
            }
            value = Some(&after[..length]);
            rest = &after[length..];
        }
        each(name, value);
    }
    Ok(())
}

fn params(source: &Text, text: &str) -> Params {
    let mut params = Params::new();
    let checked = each_param(text, |name, value| params.push(source.slice_of(name), value.map(|value| source.slice_of(value))));
    debug_assert!(checked.is_ok(), "the parts of a URI are checked before");
    params
}

impl Uri {
    /// Reads a URI; its parts are slices of the text.
    pub fn parse(text: &Text) -> Result<Uri, UriError> {
        Ok(Uri::of(text, text, split(text)?))
    }

    /// The URI that `text`, a part of `source`, was taken apart into.
    pub(crate) fn of(source: &Text, text: &str, parts: Parts<'_>) -> Uri {
        match parts {
            Parts::Sip(parts) => Uri::Sip(SipUri {
                secure: parts.secure,
                user: parts.user.map(|user| source.slice_of(user)),
                password: parts.password.map(|password| source.slice_of(password)),
                host: Host(source.slice_of(parts.host)),
                port: parts.port,
                params: params(source, parts.params),
                headers: parts.headers.map(|headers| source.slice_of(headers)),
            }),
            Parts::Tel { number, params: list } => Uri::Tel(TelUri { number: source.slice_of(number), params: params(source, list) }),
            Parts::Other => Uri::Other(source.slice_of(text)),
        }
    }

    /// The scheme in lower case where it is a known one, else as written.
    pub fn scheme(&self) -> &str {
        match self {
            Uri::Sip(uri) if uri.secure => "sips",
            Uri::Sip(_) => "sip",
            Uri::Tel(_) => "tel",
            Uri::Other(text) => text.split(':').next().unwrap_or_default(),
        }
    }

    /// The SIP URI that this is, if it is one.
    pub fn sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            Uri::Tel(_) | Uri::Other(_) => None,
        }
    }

    /// The host of a SIP URI.
    pub fn host(&self) -> Option<&Host> {
        self.sip().map(|uri| &uri.host)
    }

    /// The user part of a SIP URI as written.
    pub fn user(&self) -> Option<&Text> {
        self.sip().and_then(|uri| uri.user.as_ref())
    }

    /// The parameters, which an opaque URI does not have.
    pub fn params(&self) -> Option<&Params> {
        match self {
            Uri::Sip(uri) => Some(&uri.params),
            Uri::Tel(uri) => Some(&uri.params),
            Uri::Other(_) => None,
        }
    }

    /// The value of a parameter, empty when it is there without one.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()?.get(name).map(|value| value.map_or("", Text::as_str))
    }

    /// Whether a parameter of this name is there.
    pub fn has_param(&self, name: &str) -> bool {
        self.params().is_some_and(|params| params.has(name))
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Uri {
        Uri::Sip(uri)
    }
}

impl From<TelUri> for Uri {
    fn from(uri: TelUri) -> Uri {
        Uri::Tel(uri)
    }
}

impl SipUri {
    /// `sip:user@host`; what a user part cannot hold is escaped, escapes that are there already stay.
    pub fn new(user: &str, host: &str) -> SipUri {
        let user = (!user.is_empty()).then(|| Text::from(&*escape(scan::USER, user)));
        SipUri { user, ..SipUri::of_host(host) }
    }

    /// `sip:host`.
    pub fn of_host(host: &str) -> SipUri {
        SipUri { secure: false, user: None, password: None, host: Host::from(host), port: None, params: Params::new(), headers: None }
    }

    /// The same with this port.
    pub fn with_port(mut self, port: u16) -> SipUri {
        self.port = Some(port);
        self
    }

    /// The same with this parameter; what a parameter cannot hold is escaped.
    pub fn with_param(mut self, name: &str, value: &str) -> SipUri {
        self.params.place(name, Some(Text::from(&*escape(scan::PARAM, value))));
        self
    }

    /// The same with this parameter that has no value.
    pub fn with_flag(mut self, name: &str) -> SipUri {
        self.params.set_flag(name);
        self
    }

    /// The user part with its escapes undone, where that is UTF-8.
    pub fn user_name(&self) -> Option<Cow<'_, str>> {
        self.user.as_deref().and_then(unescape_text)
    }
}

impl TelUri {
    /// `tel:number`.
    pub fn new(number: &str) -> TelUri {
        TelUri { number: Text::from(number), params: Params::new() }
    }

    /// The number without visual separators.
    pub fn digits(&self) -> String {
        self.number.chars().filter(|char| !matches!(char, '-' | '.' | '(' | ')')).map(|char| char.to_ascii_lowercase()).collect()
    }
}

/// `text` with every byte that is not of the class, nor part of a whole `%HH`, as `%HH`.
fn escape(class: u8, text: &str) -> Cow<'_, str> {
    let run = scan::escaped_run(class, text);
    if run == text.len() {
        return Cow::Borrowed(text);
    }
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (mut out, mut rest) = (String::with_capacity(text.len() + 8), text);
    while !rest.is_empty() {
        let run = scan::escaped_run(class, rest);
        out.push_str(&rest[..run]);
        let Some(odd) = rest[run..].chars().next() else { break };
        for byte in odd.encode_utf8(&mut [0; 4]).bytes() {
            out.extend(['%', char::from(DIGITS[usize::from(byte >> 4)]), char::from(DIGITS[usize::from(byte & 15)])]);
        }
        rest = &rest[run + odd.len_utf8()..];
    }
    Cow::Owned(out)
}

/// The bytes of `text` with its `%HH` undone.
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let digit = |at: usize| text.as_bytes().get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

fn unescape_text(text: &str) -> Option<Cow<'_, str>> {
    match unescape(text) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// Equality of [RFC3261 §19.1.4] and [RFC3966 §4]. It is not transitive, since an unknown parameter counts only where both have it.
impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        match (self, other) {
            (Uri::Sip(one), Uri::Sip(two)) => one == two,
            (Uri::Tel(one), Uri::Tel(two)) => one == two,
            (Uri::Other(one), Uri::Other(two)) => {
                let scheme = self.scheme().len();
                self.scheme().eq_ignore_ascii_case(other.scheme()) && one[scheme..] == two[scheme..]
            }
            (Uri::Sip(_) | Uri::Tel(_) | Uri::Other(_), _) => false,
        }
    }
}

/// Equality of [RFC3261 §19.1.4].
impl PartialEq for SipUri {
    fn eq(&self, other: &SipUri) -> bool {
        let part = |one: &Option<Text>, two: &Option<Text>| one.as_deref().map(unescape) == two.as_deref().map(unescape);
        self.secure == other.secure
            && part(&self.user, &other.user)
            && part(&self.password, &other.password)
            && self.host == other.host
            && self.port == other.port
            && params_match(&self.params, &other.params)
            && params_match(&other.params, &self.params)
            && fields(&self.headers) == fields(&other.headers)
    }
}

/// Equality of [RFC3966 §4].
impl PartialEq for TelUri {
    fn eq(&self, other: &TelUri) -> bool {
        let within = |one: &Params, two: &Params| one.iter().all(|(name, value)| holds(two, name, value));
        self.digits() == other.digits()
            && self.params.len() == other.params.len()
            && within(&self.params, &other.params)
            && within(&other.params, &self.params)
    }
}

/// Whether each parameter of `one` is the same in `two`, or absent there and of no weight.
fn params_match(one: &Params, two: &Params) -> bool {
    const WEIGHTY: [&str; 6] = ["user", "ttl", "method", "maddr", "transport", "gr"];
    let is_weighty = |name: &str| WEIGHTY.iter().any(|weighty| name.eq_ignore_ascii_case(weighty));
    one.iter().all(|(name, value)| if two.has(name) { holds(two, name, value) } else { !is_weighty(name) })
}

/// Whether a parameter is there with this value, possibly beside others of its name.
fn holds(params: &Params, name: &str, value: Option<&Text>) -> bool {
    params.iter().any(|(key, found)| {
        key.eq_ignore_ascii_case(name)
            && match (found, value) {
                (None, None) => true,
                (Some(one), Some(two)) => unescape(one).eq_ignore_ascii_case(&unescape(two)),
                (None, Some(_)) | (Some(_), None) => false,
            }
    })
}

/// The headers of a URI in an order of their own.
fn fields(headers: &Option<Text>) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> =
        headers.as_deref().unwrap_or_default().split('&').map(|field| unescape(field).to_ascii_lowercase()).collect();
    fields.sort();
    fields
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => uri.fmt(f),
            Uri::Tel(uri) => uri.fmt(f),
            Uri::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                f.write_str(":")?;
                f.write_str(password)?;
            }
            f.write_str("@")?;
        }
        f.write_str(self.host.as_str())?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        if let Some(headers) = &self.headers {
            f.write_str("?")?;
            f.write_str(headers)?;
        }
        Ok(())
    }
}

impl fmt::Display for TelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tel:")?;
        f.write_str(&self.number)?;
        self.params.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(&Text::from(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The examples of [RFC3261 §19.1.4], and some of our own.
    #[test]
    fn equality_follows_the_rules() {
        for (one, two, equal) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", true),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
                true,
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
                true,
            ),
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com", false),
            ("tel:+1-555-0100", "tel:+15550100", true),
            ("tel:0100;phone-context=+1555", "tel:0100", false),
            ("URN:service:sos", "urn:service:sos", true),
            ("urn:service:sos", "sip:sos@service", false),
        ] {
            assert_eq!(uri(one) == uri(two), equal, "{one} and {two}");
            assert_eq!(uri(two) == uri(one), equal, "{two} and {one}");
        }
    }

    #[test]
    fn parts_are_found_and_printed_back() {
        let text = "sips:a;b=%40c:pw@[2001:db8::1]:5061;lr;transport=ws?x=y";
        let parsed = uri(text);
        let sip = parsed.sip().unwrap();
        assert!(sip.secure);
        assert_eq!(sip.user_name().as_deref(), Some("a;b=@c"));
        assert_eq!(sip.password.as_deref(), Some("pw"));
        assert_eq!(sip.host.ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(sip.port, Some(5061));
        assert_eq!(parsed.param("TRANSPORT"), Some("ws"));
        assert_eq!(parsed.param("lr"), Some(""));
        assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:@host",
            "sip:user@",
            "sip:us er@host",
            "sip:user@host:",
            "sip:user@host:65536",
            "sip:user@host:5o60",
            "sip:user@host;",
            "sip:user@host;=x",
            "sip:user@host;a=",
            "sip:user@host?",
            "sip:user@ho<st",
            "sip:%4@host",
            "sip:[2001:db8::10",
            "sip:[2001:db8:::10]",
            "sip:2001:db8::10",
            "<sip:user@host>",
            "tel:",
            "tel:+",
            "tel:abx",
            "1a:b",
            "urn:",
            "urn:a b",
        ] {
            assert!(Uri::parse(&Text::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_uri_is_escaped() {
        let uri = SipUri::new("a b@ü", "tandem.test").with_port(5060).with_param("gr", "urn:uuid:1\"2").with_flag("lr");
        assert_eq!(uri.to_string(), "sip:a%20b%40%C3%BC@tandem.test:5060;gr=urn:uuid:1%222;lr");
        assert_eq!(uri.user_name().as_deref(), Some("a b@ü"));
        assert!(Uri::parse(&Text::from(uri.to_string())).is_ok());
    }
}
