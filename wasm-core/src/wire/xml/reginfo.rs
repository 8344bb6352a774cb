//! Registration information, `application/reginfo+xml` [RFC3680], with the GRUUs of each contact [RFC5628].
//!
//! A document is full or carries only what changed; folding the latter into a picture is the reader's business. Elements and attributes
//! that are not known are passed over.

use bytes::Bytes;

use super::reader::{Element, Limits, Reader};
use super::writer::Document;
use super::{Fault, XmlError};
use crate::Text;

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/reginfo+xml";

/// The namespace of the document's elements.
pub const XML_NAMESPACE: &str = "urn:ietf:params:xml:ns:reginfo";

/// The namespace of `pub-gruu` and `temp-gruu`.
pub const GRUU_NAMESPACE: &str = "urn:ietf:params:xml:ns:gruuinfo";

/// What is registered, or what changed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reginfo {
    /// Counts the documents of one subscription from zero.
    pub version: u32,
    /// Everything, or only what changed.
    pub state: Extent,
    /// The addresses of record.
    pub registrations: Vec<Registration>,
}

/// How much a document tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// Only what changed.
    Partial,
}

/// An address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The address.
    pub aor: Text,
    /// Names this registration in the documents of one subscription.
    pub id: Text,
    /// Its state.
    pub state: RegistrationState,
    /// Its contacts.
    pub contacts: Vec<Contact>,
}

/// Whether an address of record has contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Not yet.
    Init,
    /// Yes.
    Active,
    /// No longer.
    Terminated,
}

/// A contact of an address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Names this contact in the documents of one subscription.
    pub id: Text,
    /// The contact's URI.
    pub uri: Text,
    /// Whether it is bound.
    pub state: ContactState,
    /// What brought it there.
    pub event: ContactEvent,
    /// For how many seconds it stays.
    pub expires: Option<u32>,
    /// For how many seconds it has been there.
    pub duration: Option<u32>,
    /// After how many seconds to try again.
    pub retry_after: Option<u32>,
    /// Its preference among the contacts, as written.
    pub q: Option<Text>,
    /// The Call-ID of the last REGISTER.
    pub call_id: Option<Text>,
    /// The CSeq of the last REGISTER.
    pub cseq: Option<u32>,
    /// The name for people.
    pub display_name: Option<Text>,
    /// Further Contact parameters, values as they are in the header.
    pub params: Vec<(Text, Text)>,
    /// The public GRUU.
    pub pub_gruu: Option<Text>,
    /// The newest temporary GRUU.
    pub temp_gruu: Option<TempGruu>,
}

/// A temporary GRUU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TempGruu {
    /// The URI.
    pub uri: Text,
    /// The CSeq of the REGISTER that the first of the valid ones came with.
    pub first_cseq: u32,
}

/// Whether a contact is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// It is.
    Active,
    /// It is no longer.
    Terminated,
}

/// What brought a contact into its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactEvent {
    /// A REGISTER bound it.
    Registered,
    /// It was bound otherwise.
    Created,
    /// A REGISTER renewed it.
    Refreshed,
    /// The server shortened it, so that the client authenticates again.
    Shortened,
    /// It was not renewed.
    Expired,
    /// The server removed it; the client may register again.
    Deactivated,
    /// The server removed it; the client may register again after a while.
    Probation,
    /// The client removed it.
    Unregistered,
    /// The server removed it for good.
    Rejected,
}

const REGISTRATION_STATES: [(&str, RegistrationState); 3] =
    [("init", RegistrationState::Init), ("active", RegistrationState::Active), ("terminated", RegistrationState::Terminated)];

const CONTACT_STATES: [(&str, ContactState); 2] = [("active", ContactState::Active), ("terminated", ContactState::Terminated)];

const CONTACT_EVENTS: [(&str, ContactEvent); 9] = [
    ("registered", ContactEvent::Registered),
    ("created", ContactEvent::Created),
    ("refreshed", ContactEvent::Refreshed),
    ("shortened", ContactEvent::Shortened),
    ("expired", ContactEvent::Expired),
    ("deactivated", ContactEvent::Deactivated),
    ("probation", ContactEvent::Probation),
    ("unregistered", ContactEvent::Unregistered),
    ("rejected", ContactEvent::Rejected),
];

const EXTENTS: [(&str, Extent); 2] = [("full", Extent::Full), ("partial", Extent::Partial)];

/// The word of a value, in a table that has one for each.
fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// The value of an attribute that must be one of a table's words.
fn choice<T: Copy>(xml: &Reader<'_>, element: &Element<'_>, name: &'static str, table: &[(&str, T)]) -> Result<T, XmlError> {
    let value = element.attribute(name).ok_or_else(|| xml.fault(Fault::Missing(name)))?;
    table.iter().find(|(word, _)| *word == value.trim()).map(|(_, known)| *known).ok_or_else(|| xml.fault(Fault::Value(name)))
}

fn required(xml: &Reader<'_>, element: &Element<'_>, name: &'static str) -> Result<Text, XmlError> {
    element.attribute(name).map(|value| Text::from(&*value)).ok_or_else(|| xml.fault(Fault::Missing(name)))
}

fn number(element: &Element<'_>, name: &str) -> Option<u32> {
    element.attribute(name)?.trim().parse().ok()
}

impl Contact {
    /// A contact that says no more than it must.
    pub fn new(id: impl Into<Text>, uri: impl Into<Text>, state: ContactState, event: ContactEvent) -> Self {
        Contact {
            id: id.into(),
            uri: uri.into(),
            state,
            event,
            expires: None,
            duration: None,
            retry_after: None,
            q: None,
            call_id: None,
            cseq: None,
            display_name: None,
            params: Vec::new(),
            pub_gruu: None,
            temp_gruu: None,
        }
    }

    /// The value of a further Contact parameter, without quotes.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
    }

    fn parse(xml: &mut Reader<'_>, element: &Element<'_>) -> Result<Contact, XmlError> {
        let state = choice(xml, element, "state", &CONTACT_STATES)?;
        let event = choice(xml, element, "event", &CONTACT_EVENTS)?;
        let mut contact = Contact::new(required(xml, element, "id")?, "", state, event);
        contact.expires = number(element, "expires");
        contact.duration = number(element, "duration-registered");
        contact.retry_after = number(element, "retry-after");
        contact.cseq = number(element, "cseq");
        contact.q = element.attribute("q").map(|value| Text::from(&*value));
        contact.call_id = element.attribute("callid").map(|value| Text::from(&*value));
        while let Some(child) = xml.child()? {
            if child.is(XML_NAMESPACE, "uri") {
                contact.uri = xml.token()?;
            } else if child.is(XML_NAMESPACE, "display-name") {
                contact.display_name = Some(xml.token()?);
            } else if child.is(XML_NAMESPACE, "unknown-param") {
                let name = required(xml, &child, "name")?;
                contact.params.push((name, xml.token()?));
            } else if child.is(GRUU_NAMESPACE, "pub-gruu") {
                contact.pub_gruu = Some(required(xml, &child, "uri")?);
                xml.skip()?;
            } else if child.is(GRUU_NAMESPACE, "temp-gruu") {
                let first_cseq = number(&child, "first-cseq").unwrap_or_default();
                contact.temp_gruu = Some(TempGruu { uri: required(xml, &child, "uri")?, first_cseq });
                xml.skip()?;
            } else {
                xml.skip()?;
            }
        }
        if contact.uri.is_empty() { Err(xml.fault(Fault::Missing("uri"))) } else { Ok(contact) }
    }

    fn encode(&self, xml: &mut Document) {
        let numbers =
            [("expires", self.expires), ("duration-registered", self.duration), ("retry-after", self.retry_after), ("cseq", self.cseq)];
        let numbers: Vec<_> = numbers.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))).collect();
        let mut attributes =
            vec![("id", &*self.id), ("state", word(&CONTACT_STATES, self.state)), ("event", word(&CONTACT_EVENTS, self.event))];
        attributes.extend(numbers.iter().map(|(name, value)| (*name, value.as_str())));
        attributes.extend(self.q.as_deref().map(|q| ("q", q)));
        attributes.extend(self.call_id.as_deref().map(|call_id| ("callid", call_id)));
        xml.open("contact", &attributes);
        xml.leaf("uri", &[], &self.uri);
        if let Some(display_name) = &self.display_name {
            xml.leaf("display-name", &[], display_name);
        }
        for (name, value) in &self.params {
            xml.leaf("unknown-param", &[("name", name)], value);
        }
        if let Some(uri) = &self.pub_gruu {
            xml.empty("gr:pub-gruu", &[("uri", uri)]);
        }
        if let Some(gruu) = &self.temp_gruu {
            xml.empty("gr:temp-gruu", &[("uri", &gruu.uri), ("first-cseq", &gruu.first_cseq.to_string())]);
        }
        xml.close("contact");
    }
}

impl Reginfo {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Reginfo, XmlError> {
        let mut xml = Reader::new(document, Limits::default())?;
        let root = xml.root(XML_NAMESPACE, "reginfo")?;
        let version = number(&root, "version").ok_or_else(|| xml.fault(Fault::Missing("version")))?;
        let state = choice(&xml, &root, "state", &EXTENTS)?;
        let mut registrations = Vec::new();
        while let Some(element) = xml.child()? {
            if !element.is(XML_NAMESPACE, "registration") {
                xml.skip()?;
                continue;
            }
            let (aor, id) = (required(&xml, &element, "aor")?, required(&xml, &element, "id")?);
            let state = choice(&xml, &element, "state", &REGISTRATION_STATES)?;
            let mut contacts = Vec::new();
            while let Some(element) = xml.child()? {
                match element.is(XML_NAMESPACE, "contact") {
                    true => contacts.push(Contact::parse(&mut xml, &element)?),
                    false => xml.skip()?,
                }
            }
            registrations.push(Registration { aor, id, state, contacts });
        }
        Ok(Reginfo { version, state, registrations })
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        let version = self.version.to_string();
        xml.open(
            "reginfo",
            &[("xmlns", XML_NAMESPACE), ("xmlns:gr", GRUU_NAMESPACE), ("version", &version), ("state", word(&EXTENTS, self.state))],
        );
        for registration in &self.registrations {
            let state = word(&REGISTRATION_STATES, registration.state);
            xml.open("registration", &[("aor", &registration.aor), ("id", &registration.id), ("state", state)]);
            for contact in &registration.contacts {
                contact.encode(&mut xml);
            }
            xml.close("registration");
        }
        xml.close("reginfo");
        xml.finish()
    }

    /// All contacts that are bound, each with its address of record.
    pub fn active(&self) -> impl Iterator<Item = (&Registration, &Contact)> {
        self.registrations
            .iter()
            .flat_map(|registration| registration.contacts.iter().map(move |contact| (registration, contact)))
            .filter(|(_, contact)| contact.state == ContactState::Active)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// R027, R030: what a registrar notifies about the devices of an address, GRUUs and extensions included, is read.
    #[test]
    fn a_registrars_document_is_read() {
        let document = br#"<?xml version="1.0"?>
            <reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="7" state="full">
              <registration aor="sip:alice@tandem.test" id="a7" state="active">
                <contact id="76" state="active" event="registered" expires="3600" q="0.8" callid="c1@x" cseq="16">
                  <uri>sip:alice@192.0.2.5;transport=tcp</uri><display-name xml:lang="en">Phone</display-name>
                  <unknown-param name="+sip.instance">"&lt;urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6&gt;"</unknown-param>
                  <allow-events xmlns="urn:other">x</allow-events>
                  <gr:pub-gruu uri="sip:alice@tandem.test;gr=hha9s8d-999a"/>
                  <gr:temp-gruu uri="sip:8ffkas08af7fasklzi9@tandem.test;gr" first-cseq="54301"/>
                </contact>
                <contact id="77" state="terminated" event="expired"><uri>sip:alice@192.0.2.6</uri></contact>
              </registration>
            </reginfo>"#;
        let reginfo = Reginfo::parse(document).unwrap();
        assert_eq!((reginfo.version, reginfo.state), (7, Extent::Full));
        let (registration, contact) = reginfo.active().next().unwrap();
        assert_eq!(reginfo.active().count(), 1);
        assert_eq!(registration.aor, "sip:alice@tandem.test");
        assert_eq!(contact.param("+SIP.instance"), Some("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"));
        assert_eq!(contact.pub_gruu.as_deref(), Some("sip:alice@tandem.test;gr=hha9s8d-999a"));
        assert_eq!(contact.temp_gruu.as_ref().unwrap().first_cseq, 54301);
        assert_eq!(Reginfo::parse(&reginfo.encode()).unwrap(), reginfo);
    }

    #[test]
    fn what_is_broken_is_refused() {
        let inside = |text: &str| format!("<reginfo version='0' state='full'>{text}</reginfo>");
        let contact = |text: &str| inside(&format!("<registration aor='a' id='1' state='active'>{text}</registration>"));
        for (document, fault) in [
            ("<reginfo/>".to_owned(), Fault::Missing("version")),
            ("<reginfo version='1' state='half'/>".to_owned(), Fault::Value("state")),
            ("<reginfo version='-1' state='full'/>".to_owned(), Fault::Missing("version")),
            (inside("<registration id='1' state='active'/>"), Fault::Missing("aor")),
            (contact("<contact id='1' state='active'/>"), Fault::Missing("event")),
            (contact("<contact id='1' state='active' event='registered'/>"), Fault::Missing("uri")),
            (contact("<contact id='1' state='active' event='bored'><uri>x:y</uri></contact>"), Fault::Value("event")),
        ] {
            assert_eq!(Reginfo::parse(document.as_bytes()).unwrap_err().fault, fault, "{document}");
        }
    }

    fn contact() -> impl Strategy<Value = Contact> {
        let events: Vec<_> = CONTACT_EVENTS.iter().map(|(_, event)| *event).collect();
        let text = "[!-~é]{1,12}";
        (text, text, any::<bool>(), select(events), any::<Option<u32>>(), any::<Option<u32>>(), proptest::option::of(text), text, text)
            .prop_map(|(id, uri, active, event, expires, cseq, gruu, name, value)| Contact {
                expires,
                cseq,
                params: vec![(Text::from(name), Text::from(value))],
                pub_gruu: gruu.as_deref().map(Text::from),
                temp_gruu: gruu.map(|uri| TempGruu { uri: Text::from(uri), first_cseq: cseq.unwrap_or_default() }),
                call_id: Some(Text::from(id.as_str())),
                ..Contact::new(id, uri, if active { ContactState::Active } else { ContactState::Terminated }, event)
            })
    }

    proptest! {
        #[test]
        fn documents_print_and_read_back(version in any::<u32>(), contacts in proptest::collection::vec(contact(), 0..4)) {
            let state = RegistrationState::Active;
            let registrations = vec![Registration { aor: Text::from("sip:a@b"), id: Text::from("r"), state, contacts }];
            let reginfo = Reginfo { version, state: Extent::Partial, registrations };
            prop_assert_eq!(Reginfo::parse(&reginfo.encode()).unwrap(), reginfo);
        }
    }
}
