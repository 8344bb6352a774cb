//! Headers that hold an address: a display name, a URI, parameters [RFC3261 §20.10].

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::{self, Scan};
use super::{HeaderName, Params, Uri, uri};
use crate::Text;

/// `"Display name" <uri>;params`.
#[derive(Clone, Debug, PartialEq)]
pub struct NameAddr {
    /// The display name, without quotes and escapes.
    pub display: Option<Text>,
    /// The URI.
    pub uri: Uri,
    /// The parameters of the header, not those of the URI.
    pub params: Params,
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: impl Into<Uri>) -> NameAddr {
        NameAddr { display: None, uri: uri.into(), params: Params::new() }
    }

    /// The same with this display name.
    pub fn with_display(mut self, display: impl Into<Text>) -> NameAddr {
        self.display = Some(display.into());
        self
    }

    /// The same with this parameter, quoted where it has to be.
    pub fn with_param(mut self, name: &str, value: &str) -> NameAddr {
        self.params.set(name, value);
        self
    }

    /// The dialog tag.
    pub fn tag(&self) -> Option<&Text> {
        self.params.get("tag").flatten()
    }

    /// Sets the dialog tag.
    pub fn set_tag(&mut self, tag: &str) {
        self.params.set("tag", tag);
    }

    /// Reads one address and its parameters.
    pub fn parse(value: &Text) -> Result<NameAddr, HeaderError> {
        let mut scan = Scan::new(value);
        let address = NameAddr::scan(&mut scan, value)?;
        scan.end()?;
        Ok(address)
    }

    pub(crate) fn scan(scan: &mut Scan<'_>, source: &Text) -> Result<NameAddr, HeaderError> {
        let (display, parts, text) = split(scan)?;
        let display = display.map(|display| match scan::unquote(display) {
            std::borrow::Cow::Borrowed(display) => source.slice_of(display),
            std::borrow::Cow::Owned(display) => Text::from(display),
        });
        let uri = Uri::of(source, text, parts);
        Ok(NameAddr { display, uri, params: Params::scan(scan, source)? })
    }
}

/// Takes the display name, as written, and the URI that come next apart.
fn split<'a>(scan: &mut Scan<'a>) -> Result<(Option<&'a str>, uri::Parts<'a>, &'a str), HeaderError> {
    scan.space();
    let mut display = None;
    let mut bracketed = false;
    if scan.peek() == Some(b'"') {
        display = Some(scan.quoted()?);
        scan.space();
        if !scan.eat(b'<') {
            return Err(scan.fail(HeaderFault::Syntax));
        }
        bracketed = true;
    } else {
        let mut ahead = scan.clone();
        // Deviates [RFC3261 §25.1]: a display name beyond ASCII belongs in quotes; it is taken without.
        let name = ahead.run_while(|byte| scan::is(scan::TOKEN, byte) || matches!(byte, b' ' | b'\t' | 0x80..));
        if ahead.eat(b'<') {
            bracketed = true;
            display = Some(name.trim_end_matches([' ', '\t'])).filter(|name| !name.is_empty());
            *scan = ahead;
        }
    }
    let start = scan.at();
    let text = if bracketed {
        let text = scan.run_while(|byte| byte != b'>');
        if !scan.eat(b'>') {
            return Err(scan.fail(HeaderFault::Syntax));
        }
        text
    } else {
        // A semicolon ends the URI, and a question mark is not allowed in it [RFC3261 §20.10].
        let text = scan.run_while(|byte| !matches!(byte, b';' | b',' | b'?' | b' ' | b'\t' | b'<' | b'>' | b'"'));
        if scan.peek() == Some(b'?') {
            return Err(scan.fail(HeaderFault::Uri));
        }
        text
    };
    let parts = uri::split(text).map_err(|error| HeaderError { fault: HeaderFault::Uri, offset: start + error.offset })?;
    Ok((display, parts, text))
}

/// Whether a value is one address.
pub(crate) fn check(value: &str) -> Result<(), HeaderError> {
    let mut scan = Scan::new(value);
    split(&mut scan)?;
    scan.params(|_, _| ())?;
    scan.end()
}

/// Whether a value is a list of addresses, or a star.
pub(crate) fn check_contact(value: &str) -> Result<(), HeaderError> {
    if value == "*" {
        return Ok(());
    }
    scan::check_list(value, |scan| split(scan).map(drop))
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            f.write_str(&scan::quote(display))?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

macro_rules! addresses {
    ($($name:ident $shape:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub NameAddr);

        impl $name {
            /// One with nothing but this URI.
            pub fn new(uri: impl Into<Uri>) -> Self {
                $name(NameAddr::new(uri))
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;
            const SHAPE: Shape = Shape::$shape;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                NameAddr::parse(value).map($name)
            }
        }

        impl std::convert::From<NameAddr> for $name {
            fn from(address: NameAddr) -> Self {
                $name(address)
            }
        }

        impl Deref for $name {
            type Target = NameAddr;

            fn deref(&self) -> &NameAddr {
                &self.0
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut NameAddr {
                &mut self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

addresses! {
    From Single "Who sent the request, with the tag of their end [RFC3261 §20.20].";
    To Single "Whom the request is for, with the tag of their end [RFC3261 §20.39].";
    Route Each "A proxy that the request still has to pass [RFC3261 §20.34].";
    RecordRoute Each "A proxy that stays in the way of the dialog's requests [RFC3261 §20.30].";
    Path Each "A proxy between the registrar and the device [RFC3327].";
    ServiceRoute Each "A proxy that the registrar wants a client's requests to pass [RFC3608].";
    PAssociatedUri Each "A further address of the registered user [RFC7315 §4.1].";
    PAssertedIdentity Each "Who sent the request, as the network vouches for [RFC3325 §9.1].";
    PPreferredIdentity Each "Which of their identities a user wants asserted [RFC3325 §9.2].";
    PCalledPartyId Single "The address that the request came for before it was a device's [RFC7315 §4.2].";
    ReferTo Single "Whom or what the recipient shall contact [RFC3515 §2.1].";
    ReferredBy Single "Who asked for the referred request [RFC3892 §3].";
    ReplyTo Single "Where an answer may go [RFC3261 §20.31].";
    HistoryInfo Each "A target that the request had before [RFC7044].";
    AlertInfo Each "An alternative ring tone [RFC3261 §20.4].";
    CallInfo Each "More about the caller or the called [RFC3261 §20.9].";
    ErrorInfo Each "More about an error response [RFC3261 §20.18].";
}

/// Where the sender can be reached directly, a binding of a registration, or the star that stands for all of them [RFC3261 §20.10].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the star is rare")]
pub enum Contact {
    /// `*`: all bindings, in a REGISTER that removes them.
    Star,
    /// An address.
    Addr(NameAddr),
}

impl Contact {
    /// One with nothing but this URI.
    pub fn new(uri: impl Into<Uri>) -> Contact {
        Contact::Addr(NameAddr::new(uri))
    }

    /// The address, unless this is the star.
    pub fn addr(&self) -> Option<&NameAddr> {
        match self {
            Contact::Star => None,
            Contact::Addr(address) => Some(address),
        }
    }

    /// The `expires` parameter; one too large for 32 bits counts as the largest.
    pub fn expires(&self) -> Option<u32> {
        let value = self.addr()?.params.value("expires")?;
        super::number::seconds(value)
    }

    /// The `q` parameter in thousandths, 1000 where it is absent or malformed.
    pub fn q(&self) -> u16 {
        self.addr().and_then(|address| address.params.value("q")).and_then(super::number::thousandths).unwrap_or(1000)
    }

    /// The device's `+sip.instance` without quotes and angle brackets [RFC5626 §4.1].
    pub fn instance(&self) -> Option<&str> {
        let value = self.addr()?.params.value("+sip.instance")?;
        Some(value.strip_prefix('<').and_then(|value| value.strip_suffix('>')).unwrap_or(value))
    }
}

impl TypedHeader for Contact {
    const NAME: HeaderName = HeaderName::Contact;
    const SHAPE: Shape = Shape::Each;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        if &**value == "*" { Ok(Contact::Star) } else { NameAddr::parse(value).map(Contact::Addr) }
    }
}

impl std::convert::From<NameAddr> for Contact {
    fn from(address: NameAddr) -> Contact {
        Contact::Addr(address)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contact::Star => f.write_str("*"),
            Contact::Addr(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddr {
        NameAddr::parse(&Text::from(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_is_taken_apart() {
        for (text, display, uri, params) in [
            ("sip:alice@atlanta.example;tag=88sja8x", None, "sip:alice@atlanta.example", ";tag=88sja8x"),
            ("<sip:alice@atlanta.example;lr>;a", None, "sip:alice@atlanta.example;lr", ";a"),
            ("\"A. \\\"G\\\" Bell\"<sip:a@b> ; tag = x", Some("A. \"G\" Bell"), "sip:a@b", ";tag=x"),
            ("Anonymous Caller  <sip:c@d>", Some("Anonymous Caller"), "sip:c@d", ""),
            ("Zoë <tel:+1-555>", Some("Zoë"), "tel:+1-555", ""),
            ("\"\" <sip:a@b>", Some(""), "sip:a@b", ""),
            ("http://www.example.com", None, "http://www.example.com", ""),
        ] {
            let address = read(text);
            assert_eq!(address.display.as_deref(), display, "{text}");
            assert_eq!(address.uri.to_string(), uri, "{text}");
            assert_eq!(address.params.to_string(), params, "{text}");
            assert_eq!(read(&address.to_string()), address, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "<sip:a@b",
            "\"open <sip:a@b>",
            "Bell, Alexander <sip:a@b>",
            "< sip:a@b >",
            "sip:a@b?x=y",
            "sip:a@b;;",
            "<sip:a@b> trailing",
            "\"quoted\" sip:a@b",
            "sip:a@b, sip:c@d",
        ] {
            assert!(NameAddr::parse(&Text::from(text)).is_err(), "{text}");
            assert!(check(text).is_err(), "{text}");
        }
    }

    /// R009: the parameters by which a device is known.
    #[test]
    fn a_binding_shows_its_parameters() {
        let text = Text::from("<sip:a@x.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=600;q=0.7");
        let contact = Contact::parse(&text).unwrap();
        assert_eq!(contact.instance(), Some("urn:uuid:1"));
        assert_eq!((contact.expires(), contact.q()), (Some(600), 700));
        assert_eq!(contact.addr().unwrap().params.number("reg-id"), Some(1));
        assert_eq!(contact.to_string(), &*text);
        assert_eq!(Contact::parse(&Text::from("*")).unwrap(), Contact::Star);
        assert!(check_contact("<sip:a@b>;x=\"1,2\", sip:c@d;expires=5").is_ok());
        assert!(check_contact("<sip:a@b>;;;").is_err());
    }
}
