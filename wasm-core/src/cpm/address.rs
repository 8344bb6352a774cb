//! The canonical address of a user: `sip:user@host` with a lower-case host and nothing else, or `tel:+digits`.
//!
//! Everything that is kept per address is keyed by this form; what a message carried besides (port, parameters) is not identity.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Text;

/// The longest address that is taken from a peer, in bytes.
pub const LONGEST: usize = 256;

/// A user's address in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Address(Text);

impl Address {
    /// Reads `sip:user@host`, `sips:user@host` (the same user) or `tel:+digits`; port, parameters and visual separators are dropped.
    pub fn parse(text: &str) -> Option<Address> {
        let text = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        if scheme.eq_ignore_ascii_case("tel") {
            return Address::from_number(rest.split(';').next()?);
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        let (user, rest) = rest.split_once('@')?;
        let rest = rest.split([';', '?']).next()?;
        let host = match rest.find(']') {
            Some(end) => &rest[..=end],
            None => rest.split(':').next()?,
        };
        Address::from_parts(user.split(':').next()?, host)
    }

    /// The address of `user` at `host`.
    pub fn from_parts(user: &str, host: &str) -> Option<Address> {
        let user_ok = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/".contains(&byte));
        let host_ok = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte));
        (!user.is_empty() && !host.is_empty() && user_ok && host_ok)
            .then(|| Address(Text::from(format!("sip:{user}@{}", host.to_ascii_lowercase()))))
    }

    /// The address of a global telephone number, with or without visual separators [RFC3966 §5.1.1].
    pub fn from_number(number: &str) -> Option<Address> {
        let digits: String = number.strip_prefix('+')?.chars().filter(|c| !"-.() ".contains(*c)).collect();
        (!digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| Address(Text::from(format!("tel:+{digits}"))))
    }

    /// The address as text, which is also a URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as shared text.
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// The host of a SIP address.
    pub fn domain(&self) -> Option<&str> {
        self.0.strip_prefix("sip:")?.split_once('@').map(|(_, host)| host)
    }

    /// The user part of a SIP address, or the number (with `+`) of a telephone address.
    pub fn user(&self) -> &str {
        match self.0.strip_prefix("sip:") {
            Some(rest) => rest.split_once('@').map_or(rest, |(user, _)| user),
            None => self.0.strip_prefix("tel:").unwrap_or(&self.0),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    use super::*;

    /// R316: an address is a SIP or a TEL address, in one form each.
    #[test]
    fn forms_of_one_address_are_equal() {
        for text in ["sip:alice@tandem.test", "SIPS:alice@Tandem.TEST:5061;transport=tls", " sip:alice@tandem.test?subject=x "] {
            assert_eq!(Address::parse(text).unwrap().as_str(), "sip:alice@tandem.test", "{text}");
        }
        assert_eq!(Address::parse("tel:+1-555-0100;phone-context=x").unwrap().as_str(), "tel:+15550100");
        assert_eq!(Address::parse("sip:a@[2001:DB8::1]:5070").unwrap().domain(), Some("[2001:db8::1]"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "alice", "sip:tandem.test", "sip:@x", "sip:a@", "tel:5550100", "tel:+", "mailto:a@b", "sip:a b@c", "sip:a@b c"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
