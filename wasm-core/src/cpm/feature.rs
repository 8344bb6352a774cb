//! The names by which the service is known on the wire, each written once.
//!
//! Communication service identifiers (ICSI) name what a request is for; they travel plain in `P-Preferred-Service` and
//! `P-Asserted-Service`, and percent-encoded in the feature tag `+g.3gpp.icsi-ref` of `Contact` and `Accept-Contact`.

use std::fmt::Write;

use crate::wire::sip::{AcceptContact, HeaderName, Headers, Params};

/// What all of the service's ICSIs begin with.
const ICSI_PREFIX: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.";

/// The ICSI of a message in pager mode.
pub const PAGER: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg";
/// The ICSI of a message in pager mode to a group.
pub const GROUP_PAGER: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg.group";
/// The ICSI of a message in large message mode.
pub const LARGE_MESSAGE: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.largemsg";
/// The ICSI of the session by which deferred messages are fetched.
pub const DEFERRED: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.deferred";
/// The ICSI of a session of two.
pub const SESSION: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session";
/// The ICSI of a group session.
pub const GROUP_SESSION: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session.group";
/// The ICSI of a message from the system.
pub const SYSTEM_MESSAGE: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.systemmsg";
/// The ICSI of a file transfer.
pub const FILE_TRANSFER: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.filetransfer";

/// The feature tag that carries ICSIs.
pub const ICSI_REF: &str = "+g.3gpp.icsi-ref";
/// The feature tag that carries IARIs.
pub const IARI_REF: &str = "+g.3gpp.iari-ref";
/// The feature tag of SIMPLE IM, the service's predecessor.
pub const SIP_IM: &str = "+g.oma.sip-im";
/// The feature tag of clients that take large messages in pager mode.
pub const PAGER_LARGE: &str = "+g.gsma.rcs.cpm.pager-large";
/// The feature tag that carries a device's instance identifier [RFC5626].
pub const SIP_INSTANCE: &str = "+sip.instance";
/// The Contact parameter that numbers the flows of one device [RFC5626].
pub const REG_ID: &str = "reg-id";
/// The feature tag of a conference focus [RFC4579].
pub const IS_FOCUS: &str = "isfocus";
/// The Contact parameter that carries a device's name for people.
pub const DEVICE_NAME: &str = "+g.tandem.device-name";

/// The user part of the address that makes ad-hoc groups.
pub const CONFERENCE_FACTORY: &str = "conference-factory";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A message in pager mode.
    Pager,
    /// A message in pager mode to a group.
    GroupPager,
    /// A message in large message mode.
    LargeMessage,
    /// Fetching deferred messages.
    Deferred,
    /// A session of two.
    Session,
    /// A group session.
    GroupSession,
    /// A message from the system.
    SystemMessage,
    /// A file transfer.
    FileTransfer,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 8] = [
        Service::Pager,
        Service::GroupPager,
        Service::LargeMessage,
        Service::Deferred,
        Service::Session,
        Service::GroupSession,
        Service::SystemMessage,
        Service::FileTransfer,
    ];

    /// The service's ICSI.
    pub fn icsi(self) -> &'static str {
        match self {
            Service::Pager => PAGER,
            Service::GroupPager => GROUP_PAGER,
            Service::LargeMessage => LARGE_MESSAGE,
            Service::Deferred => DEFERRED,
            Service::Session => SESSION,
            Service::GroupSession => GROUP_SESSION,
            Service::SystemMessage => SYSTEM_MESSAGE,
            Service::FileTransfer => FILE_TRANSFER,
        }
    }

    /// The service of an ICSI, plain or percent-encoded.
    pub fn from_icsi(icsi: &str) -> Option<Service> {
        let icsi = decode(icsi.trim());
        if !icsi.get(..ICSI_PREFIX.len())?.eq_ignore_ascii_case(ICSI_PREFIX) {
            return None;
        }
        Service::ALL.into_iter().find(|service| service.icsi().eq_ignore_ascii_case(&icsi))
    }
}

/// The service that a request says it is for: by the network's assertion, else by the sender's preference, else by the devices it asks for.
/// Ordinary SIP clients say nothing.
pub fn service(headers: &Headers) -> Option<Service> {
    let stated = |name| headers.get(&name).and_then(|value| Service::from_icsi(value));
    stated(HeaderName::PAssertedService).or_else(|| stated(HeaderName::PPreferredService)).or_else(|| {
        let wanted = headers.list::<AcceptContact>().unwrap_or_default();
        wanted.iter().filter_map(|accept| accept.feature(ICSI_REF)).find_map(|value| services(value).next())
    })
}

/// The caller preference for devices that have this service.
pub fn accept_contact(service: Service) -> AcceptContact {
    let mut params = Params::new();
    params.set_quoted(ICSI_REF, &icsi_ref(&[service]));
    AcceptContact(params.with_flag("require").with_flag("explicit"))
}

/// The value of [`ICSI_REF`] for these services, without quotes.
pub fn icsi_ref(services: &[Service]) -> String {
    let mut value = String::new();
    for service in services {
        if !value.is_empty() {
            value.push(',');
        }
        encode(&mut value, service.icsi());
    }
    value
}

/// The services that a value of [`ICSI_REF`] names, with or without quotes; others are passed over.
pub fn services(value: &str) -> impl Iterator<Item = Service> {
    value.trim_matches('"').split(',').filter_map(Service::from_icsi)
}

/// Percent-encodes what a feature tag's value cannot hold: all but letters, digits and `-._`.
fn encode(out: &mut String, plain: &str) {
    for byte in plain.bytes() {
        match byte {
            b'-' | b'.' | b'_' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

fn decode(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R061: requests say which service they are for.
    #[test]
    fn identifiers_are_encoded_as_seen_on_the_wire() {
        assert_eq!(icsi_ref(&[Service::Session]), "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session");
        let two = icsi_ref(&[Service::Pager, Service::GroupSession]);
        assert_eq!(services(&format!("\"{two}\"")).collect::<Vec<_>>(), [Service::Pager, Service::GroupSession]);
    }

    #[test]
    fn a_request_says_what_it_is_for() {
        let mut headers = Headers::new();
        assert_eq!(service(&headers), None);
        headers.push(HeaderName::AcceptContact, "*;video");
        headers.put(&accept_contact(Service::Session));
        let value = headers.all(&HeaderName::AcceptContact).nth(1).unwrap();
        assert_eq!(value, "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\";require;explicit");
        assert_eq!(service(&headers), Some(Service::Session));
        headers.push(HeaderName::PPreferredService, PAGER);
        assert_eq!(service(&headers), Some(Service::Pager));
        headers.push(HeaderName::PAssertedService, SYSTEM_MESSAGE);
        assert_eq!(service(&headers), Some(Service::SystemMessage));
    }

    #[test]
    fn every_service_is_found_by_its_identifier() {
        for service in Service::ALL {
            assert_eq!(Service::from_icsi(service.icsi()), Some(service));
            assert_eq!(services(&icsi_ref(&[service])).next(), Some(service));
        }
        for stranger in
            ["", "%", "%3", "%zz", "%ff%", "urn:urn-7:3gpp-service.ims.icsi.mmtel", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.", "é%3A"]
        {
            assert_eq!(Service::from_icsi(stranger), None, "{stranger}");
        }
    }
}
