//! A user's address in the one form by which it is compared and stored.
//!
//! `sip:user@host` with the host in lower case and neither port nor parameters, or `tel:+digits` without separators. The scheme `sips` and
//! CPIM's `im` name the same user as `sip`; how a request travels is no property of a user. Telephone numbers of local meaning are none of
//! ours.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Text;
use crate::wire::sip::Uri;

/// The longest address that is accepted, in bytes.
pub const LONGEST: usize = 256;

/// A canonical SIP or TEL address of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Address(Text);

impl Address {
    /// Reads an address, whatever its port, parameters, letter case and separators.
    pub fn parse(text: &str) -> Option<Address> {
        let (scheme, rest) = text.trim().split_once(':')?;
        if scheme.eq_ignore_ascii_case("tel") {
            return Address::from_number(rest.split(';').next().unwrap_or_default());
        }
        if !["sip", "sips", "im"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let (user, host) = rest.split_once('@')?;
        let user = user.split(':').next().unwrap_or_default();
        let (host, params) = host.split_once(';').unwrap_or((host, ""));
        let params = params.split('?').next().unwrap_or_default();
        if params.split(';').any(|param| param.eq_ignore_ascii_case("user=phone"))
            && let Some(number) = Address::from_number(user.split(';').next().unwrap_or_default())
        {
            return Some(number);
        }
        let host = host.split('?').next().unwrap_or_default();
        let host = match host.rfind(']') {
            Some(end) => &host[..=end],
            None => host.split(':').next().unwrap_or_default(),
        };
        Address::from_parts(user, host)
    }

    /// What a person types: an address as [`Address::parse`] takes it, `user@host`, a telephone number with its plus, or the user part of an
    /// address in `domain`.
    pub fn complete(text: &str, domain: &str) -> Option<Address> {
        let text = text.trim();
        if text.starts_with('+') && !text.contains('@') {
            return Address::from_number(text);
        }
        if let Some((user, host)) = text.split_once('@').filter(|(user, _)| !user.contains(':')) {
            return Address::from_parts(user, host);
        }
        if text.contains(':') { Address::parse(text) } else { Address::from_parts(text, domain) }
    }

    /// The user that a URI names; a SIP URI that stands for a telephone number (`user=phone`) is that number [RFC3261 §19.1.6].
    pub fn from_uri(uri: &Uri) -> Option<Address> {
        match uri {
            Uri::Sip(uri) => {
                let user = uri.user.as_ref()?;
                let phone = uri.params.value("user").is_some_and(|kind| kind.eq_ignore_ascii_case("phone"));
                let number = if phone { Address::from_number(user.split(';').next()?) } else { None };
                number.or_else(|| Address::from_parts(user, uri.host.as_str()))
            }
            Uri::Tel(uri) => Address::from_number(&uri.number),
            Uri::Other(_) => None,
        }
    }

    /// The address as a URI.
    pub fn to_uri(&self) -> Uri {
        Uri::parse(&self.0).unwrap_or_else(|_| Uri::Other(self.0.clone()))
    }

    /// `sip:user@host`.
    pub fn from_parts(user: &str, host: &str) -> Option<Address> {
        if user.is_empty() || !is_host(host) || user.len() + host.len() > LONGEST - 5 {
            return None;
        }
        let mut address = String::with_capacity(5 + user.len() + host.len());
        address.push_str("sip:");
        push_user(&mut address, user)?;
        address.push('@');
        address.extend(host.chars().map(|character| character.to_ascii_lowercase()));
        (address.len() <= LONGEST).then(|| Address(Text::from(address)))
    }

    /// `tel:+digits` of a number with its plus and perhaps with visual separators.
    pub fn from_number(number: &str) -> Option<Address> {
        let digits = number.trim().strip_prefix('+')?;
        let mut address = String::from("tel:+");
        for character in digits.chars() {
            match character {
                '0'..='9' => address.push(character),
                '-' | '.' | '(' | ')' | ' ' => {}
                _ => return None,
            }
            if address.len() > "tel:+".len() + 32 {
                return None;
            }
        }
        (address.len() > "tel:+".len()).then(|| Address(Text::from(address)))
    }

    /// The address as it travels and is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as shared text.
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// Whether this is a telephone number.
    pub fn is_tel(&self) -> bool {
        self.0.starts_with("tel:")
    }

    /// The user part, or the number with its plus.
    pub fn user(&self) -> &str {
        let rest = &self.0[4..];
        rest.rsplit_once('@').map_or(rest, |(user, _)| user)
    }

    /// The domain; telephone numbers have none.
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, host)| host)
    }
}

/// Letters, digits, dots and hyphens, or an IPv6 reference.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.contains(':') && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))),
        None => {
            host.starts_with(|first: char| first.is_ascii_alphanumeric())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
    }
}

/// Writes a user part with only those characters percent-encoded that need it, so that equal users are equal texts [RFC3261 §19.1.4].
fn push_user(out: &mut String, user: &str) -> Option<()> {
    let bytes = user.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (byte, length) = match byte {
            b'%' => {
                let digits = user.get(at + 1..at + 3)?;
                (u8::from_str_radix(digits, 16).ok()?, 3)
            }
            byte => (byte, 1),
        };
        at += length;
        match byte {
            // Unreserved and user-unreserved characters of RFC 3261 §25.1.
            byte if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) => out.push(char::from(byte)),
            byte if byte.is_ascii_control() => return None,
            b'@' if length == 1 => return None,
            byte => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    Some(())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&Address> for Text {
    fn from(address: &Address) -> Text {
        address.0.clone()
    }
}

impl From<Address> for Text {
    fn from(address: Address) -> Text {
        address.0
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Address::parse(&text).ok_or_else(|| serde::de::Error::custom("not an address"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Address::parse(text).map(|address| address.to_string())
    }

    /// R019, R316: a user's address is a SIP or a TEL URI.
    #[test]
    fn one_user_has_one_form() {
        for (text, form) in [
            ("sip:alice@tandem.test", "sip:alice@tandem.test"),
            ("SIP:alice@Tandem.TEST:5060;transport=ws?Subject=x", "sip:alice@tandem.test"),
            ("sips:alice:secret@tandem.test", "sip:alice@tandem.test"),
            ("im:alice@tandem.test", "sip:alice@tandem.test"),
            ("sip:%61l%69ce@tandem.test", "sip:alice@tandem.test"),
            ("sip:a%20b%c3%a9@tandem.test", "sip:a%20b%C3%A9@tandem.test"),
            ("sip:zo\u{eb}@tandem.test", "sip:zo%C3%AB@tandem.test"),
            ("sip:+15550100@tandem.test", "sip:+15550100@tandem.test"),
            ("sip:+1-555-0100;ext=1@tandem.test;lr;user=Phone?x=y", "tel:+15550100"),
            ("sip:bob@tandem.test;user=phone", "sip:bob@tandem.test"),
            ("sip:alice@[2001:DB8::1]:5070", "sip:alice@[2001:db8::1]"),
            ("tel:+1-555-0100", "tel:+15550100"),
            ("TEL:+1(555)01.00;ext=7", "tel:+15550100"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(form), "{text}");
        }
        for text in [
            "sip:%61l%69ce@Tandem.test:5061;lr",
            "tel:+1-555-0100;ext=7",
            "sip:+1-555-0100@tandem.test;user=phone",
            "urn:x:y",
            "sip:tandem.test",
        ] {
            let uri = Uri::parse(&Text::from(text)).unwrap();
            assert_eq!(Address::from_uri(&uri), Address::parse(text), "{text}");
            assert!(Address::parse(text).is_none_or(|address| Address::from_uri(&address.to_uri()) == Some(address)), "{text}");
        }
        assert_ne!(canonical("sip:Alice@tandem.test"), canonical("sip:alice@tandem.test"));
    }

    #[test]
    fn what_names_no_user_is_refused() {
        let long = format!("sip:{}@tandem.test", "a".repeat(300));
        for text in [
            "",
            "alice",
            "sip:tandem.test",
            "sip:@tandem.test",
            "sip:alice@",
            "sip:al%zzice@tandem.test",
            "sip:al%0d%0aice@tandem.test",
            "sip:alice%4",
            "sip:alice@tan dem.test",
            "sip:alice@[zz]",
            "sip:alice@[]",
            "sip:alice@-",
            "tel:911",
            "tel:+",
            "tel:+1x",
            "tel:7042;phone-context=tandem.test",
            "mailto:alice@tandem.test",
            &long,
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn what_people_type_is_completed() {
        for (text, form) in [
            ("bob", "sip:bob@tandem.test"),
            (" bob@Other.example ", "sip:bob@other.example"),
            ("sip:bob@other.example;x", "sip:bob@other.example"),
            ("+1 555 0101", "tel:+15550101"),
        ] {
            assert_eq!(Address::complete(text, "tandem.test").unwrap().as_str(), form, "{text}");
        }
        assert_eq!(Address::complete("", "tandem.test"), None);
    }

    #[test]
    fn parts_are_found() {
        let alice = Address::parse("sip:alice@tandem.test").unwrap();
        assert_eq!((alice.user(), alice.domain(), alice.is_tel()), ("alice", Some("tandem.test"), false));
        let number = Address::parse("tel:+15550100").unwrap();
        assert_eq!((number.user(), number.domain(), number.is_tel()), ("+15550100", None, true));
    }

    proptest! {
        #[test]
        fn the_form_is_a_fixed_point(user in "\\PC{1,12}", host in "[a-zA-Z0-9][a-zA-Z0-9.-]{0,12}") {
            if let Some(address) = Address::from_parts(&user, &host) {
                prop_assert_eq!(&Address::parse(address.as_str()).unwrap(), &address);
                prop_assert_eq!(Address::from_uri(&address.to_uri()), Some(address.clone()));
                let json = serde_json::to_string(&address).unwrap();
                prop_assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = Address::parse(&text);
            let _ = Address::complete(&text, "tandem.test");
        }
    }
}
