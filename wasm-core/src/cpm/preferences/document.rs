//! The preferences as XML, in a namespace of ours.
//!
//! The walk through the values says once what a document looks like; reading, printing and checking follow it. What is left out is as it is
//! by default. Elements and attributes of other namespaces are passed over; of ours, nothing that has no meaning is taken, and whoever
//! sends it is told where it stands and what may stand there.

use std::collections::BTreeSet;

use bytes::Bytes;
use thiserror::Error;

use super::value::{Clock, Offset, Value};
use super::{
    Active, DeviceChoice, Hours, LONGEST_NAME, MOST, MOST_BLOCKED, MOST_PROFILES, MediaRange, MediaRule, Party, Preferences, Profile,
    ProfileId, Scheduled,
};
use crate::Text;
use crate::cpm::ids::InstanceId;
use crate::wire::xml::XmlError;
use crate::wire::xml::reader::Limits;
use crate::wire::xml::tree::Node;
use crate::wire::xml::writer::Document;

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.tandem.preferences+xml";

/// The namespace of its elements.
pub const XML_NAMESPACE: &str = "urn:tandem:params:xml:ns:preferences";

/// The largest document, in bytes.
pub const MOST_BYTES: usize = 128 * 1024;

/// Why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PreferencesError {
    /// It is no XML.
    #[error("{0}")]
    Xml(#[from] XmlError),
    /// It is no document of preferences.
    #[error("{path}: {fault}")]
    Schema {
        /// The element or attribute.
        path: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What can be wrong with an element or attribute.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is none such here.
    #[error("this is not known here; known are {0}")]
    Unknown(String),
    /// It has to be there.
    #[error("this is missing")]
    Missing,
    /// It is there more often than it may be.
    #[error("there are more than {0}")]
    TooMany(usize),
    /// Its value is none that it can have.
    #[error("{found:?} is not allowed; what is: {allowed}")]
    Value {
        /// What stands there, or the beginning of it.
        found: String,
        /// What may.
        allowed: String,
    },
    /// Another one is known by the same.
    #[error("there is another {0:?}")]
    Twice(String),
    /// It refers to a profile that is not there.
    #[error("there is no profile {0:?}")]
    Dangling(String),
}

impl Preferences {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Preferences, PreferencesError> {
        let limits = Limits { bytes: MOST_BYTES, depth: 16, ..Limits::default() };
        let encoding = |error: std::str::Utf8Error| XmlError { fault: crate::wire::xml::Fault::Encoding, offset: error.valid_up_to() };
        let text = std::str::from_utf8(document).map_err(encoding)?;
        let root = Node::parse(text.strip_prefix('\u{feff}').unwrap_or(text), limits)?;
        let mut preferences = Preferences { default: ProfileId::usual(), active: Vec::new(), schedule: Vec::new(), profiles: Vec::new() };
        let path = String::from("preferences");
        if root.name != "preferences" || root.namespace.as_deref() != Some(XML_NAMESPACE) {
            let fault = Fault::Unknown(format!("preferences in the namespace {XML_NAMESPACE}"));
            return Err(PreferencesError::Schema { path: root.name, fault });
        }
        read(&root, path, &mut preferences)?;
        preferences.check()?;
        Ok(preferences)
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        print(&mut xml, "preferences", &mut self.clone(), &[("xmlns", XML_NAMESPACE)]);
        xml.finish()
    }

    /// Whether everything is known by one name, and every reference leads somewhere.
    pub fn check(&self) -> Result<(), PreferencesError> {
        let fail = |path: &str, fault| Err(PreferencesError::Schema { path: path.to_owned(), fault });
        if self.profiles.is_empty() {
            return fail("preferences/profile", Fault::Missing);
        }
        let profiles: Vec<&str> = self.profiles.iter().map(|profile| profile.id.as_str()).collect();
        let mut names = vec![("preferences/profile/@id", profiles.clone())];
        names.push(("preferences/active-profiles/active/@instance", self.active.iter().map(|active| active.instance.as_str()).collect()));
        for profile in &self.profiles {
            let devices = profile.devices.iter().map(|device| device.instance.as_str());
            names.push(("preferences/profile/devices/device/@instance", devices.collect()));
        }
        for (path, names) in names {
            let mut seen = BTreeSet::new();
            if let Some(twice) = names.into_iter().find(|name| !seen.insert(*name)) {
                return fail(path, Fault::Twice(twice.to_owned()));
            }
        }
        let references = [("preferences/@default", &self.default)].into_iter();
        let references =
            references.chain(self.active.iter().map(|active| ("preferences/active-profiles/active/@profile", &active.profile)));
        let mut references =
            references.chain(self.schedule.iter().map(|scheduled| ("preferences/schedule/period/@profile", &scheduled.profile)));
        match references.find(|(_, id)| !profiles.contains(&id.as_str())) {
            Some((path, id)) => fail(path, Fault::Dangling(id.as_str().to_owned())),
            None => Ok(()),
        }
    }
}

/// What can be walked through: an element's attributes and children, in the order in which they are printed.
trait Walked {
    fn walk(&mut self, walk: &mut dyn Walk);
}

/// Who walks.
trait Walk {
    /// An attribute that has to be there.
    fn attribute(&mut self, name: &'static str, value: &mut dyn Value);

    /// The text of the element itself, which has to be there.
    fn content(&mut self, value: &mut dyn Value);

    /// A child that holds a value, or is left out.
    fn leaf(&mut self, name: &'static str, value: &mut dyn Value);

    /// Children of one name.
    fn children(&mut self, name: &'static str, most: usize, items: &mut dyn Items);

    /// A child that holds children of one name, or is left out where there are none.
    fn list(&mut self, name: &'static str, item: &'static str, most: usize, items: &mut dyn Items);
}

/// What several children are walked through as.
trait Items {
    /// The next one to be printed, by its place.
    fn at(&mut self, place: usize) -> Option<&mut dyn Walked>;

    /// A new one, to be read.
    fn add(&mut self) -> &mut dyn Walked;
}

/// An item before it has been read. What has to be there takes the place of what stands here.
trait Blank: Walked {
    fn blank() -> Self;
}

impl<T: Blank> Items for Vec<T> {
    fn at(&mut self, place: usize) -> Option<&mut dyn Walked> {
        self.get_mut(place).map(|item| item as &mut dyn Walked)
    }

    fn add(&mut self) -> &mut dyn Walked {
        self.push(T::blank());
        let last = self.len() - 1;
        &mut self[last]
    }
}

fn no_instance() -> InstanceId {
    InstanceId::parse(&Text::from("urn:uuid:")).expect("a text without control characters")
}

impl Walked for Preferences {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("default", &mut self.default);
        walk.list("active-profiles", "active", MOST, &mut self.active);
        walk.list("schedule", "period", MOST, &mut self.schedule);
        walk.children("profile", MOST_PROFILES, &mut self.profiles);
    }
}

impl Walked for Profile {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("id", &mut self.id);
        walk.leaf("display-name", &mut self.name);
        walk.list("blocked", "sender", MOST_BLOCKED, &mut self.blocked);
        walk.leaf("when-blocked", &mut self.when_blocked);
        walk.leaf("largest-message", &mut self.largest);
        walk.leaf("when-too-large", &mut self.when_too_large);
        walk.list("accepted-media", "media", MOST, &mut self.accepted_media);
        walk.leaf("when-not-accepted", &mut self.when_not_accepted);
        walk.leaf("when-unavailable", &mut self.when_unavailable);
        walk.list("deferred-media", "media", MOST, &mut self.deferred_media);
        walk.leaf("deferred-delivery", &mut self.deferred_delivery);
        walk.leaf("remind-every", &mut self.remind_every);
        walk.leaf("when-expired", &mut self.when_expired);
        walk.leaf("extend-by", &mut self.extend_by);
        walk.list("session-media", "media", MOST, &mut self.session_media);
        walk.leaf("invitation-when-unavailable", &mut self.invitation_when_unavailable);
        walk.leaf("store-messages", &mut self.store_messages);
        walk.leaf("store-sessions", &mut self.store_sessions);
        walk.leaf("store-conversations", &mut self.store_conversations);
        walk.list("stored-media", "media", MOST, &mut self.stored_media);
        walk.list("devices", "device", MOST, &mut self.devices);
        walk.list("interworking", "service", MOST, &mut self.interworking);
        walk.list("quiet-hours", "period", MOST, &mut self.quiet);
        walk.leaf("read-reports", &mut self.read_reports);
        walk.leaf("hide-address", &mut self.hide_address);
    }
}

impl Blank for Profile {
    fn blank() -> Self {
        Profile::default()
    }
}

impl Walked for Active {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("instance", &mut self.instance);
        walk.attribute("profile", &mut self.profile);
    }
}

impl Blank for Active {
    fn blank() -> Self {
        Active { instance: no_instance(), profile: ProfileId::usual() }
    }
}

impl Walked for Scheduled {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("profile", &mut self.profile);
        self.hours.walk(walk);
    }
}

impl Blank for Scheduled {
    fn blank() -> Self {
        Scheduled { profile: ProfileId::usual(), hours: Hours::default() }
    }
}

impl Walked for Hours {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("days", &mut self.days);
        walk.attribute("from", &mut Clock(&mut self.from));
        walk.attribute("to", &mut Clock(&mut self.to));
        walk.attribute("offset", &mut Offset(&mut self.offset));
    }
}

impl Blank for Hours {
    fn blank() -> Self {
        Hours::default()
    }
}

impl Walked for Party {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("uri", self);
    }
}

impl Blank for Party {
    fn blank() -> Self {
        Party::Anonymous
    }
}

impl Walked for MediaRule {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("type", &mut self.media);
        walk.content(&mut self.allow);
    }
}

impl Blank for MediaRule {
    fn blank() -> Self {
        MediaRule { media: MediaRange::everything(), allow: true }
    }
}

impl Walked for DeviceChoice {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("instance", &mut self.instance);
        walk.leaf("messages", &mut self.messages);
        walk.leaf("invitations", &mut self.invitations);
        walk.leaf("notifications", &mut self.notifications);
        walk.leaf("copies", &mut self.copies);
        walk.leaf("largest-message", &mut self.largest);
        walk.leaf("text-only", &mut self.text_only);
    }
}

impl Blank for DeviceChoice {
    fn blank() -> Self {
        DeviceChoice::new(no_instance())
    }
}

impl Walked for Text {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.attribute("name", self);
    }
}

impl Blank for Text {
    fn blank() -> Self {
        Text::default()
    }
}

/// Reads an element into what it is to be.
fn read(node: &Node, path: String, item: &mut dyn Walked) -> Result<(), PreferencesError> {
    let mut reading = Reading { node, path, attributes: Vec::new(), elements: Vec::new(), texts: false, result: Ok(()) };
    item.walk(&mut reading);
    reading.finish()
}

/// Who takes values out of an element, until something is wrong.
struct Reading<'a> {
    node: &'a Node,
    path: String,
    /// The names that the walk has come by.
    attributes: Vec<&'static str>,
    elements: Vec<&'static str>,
    texts: bool,
    result: Result<(), PreferencesError>,
}

impl<'a> Reading<'a> {
    fn fail(&mut self, part: &str, fault: Fault) {
        if self.result.is_ok() {
            let path = if part.is_empty() { self.path.clone() } else { format!("{}/{part}", self.path) };
            self.result = Err(PreferencesError::Schema { path, fault });
        }
    }

    fn take(&mut self, part: &str, text: &str, value: &mut dyn Value) {
        let text = text.trim();
        if !value.read(text) {
            let found = text.chars().take(LONGEST_NAME).collect();
            self.fail(part, Fault::Value { found, allowed: value.allowed() });
        }
    }

    /// The children of a name, if there are no more than there may be.
    fn named(&mut self, name: &'static str, most: usize) -> Vec<&'a Node> {
        self.elements.push(name);
        let found: Vec<&Node> = self.node.children.iter().filter(|child| ours(child) && child.name == name).collect();
        if found.len() > most {
            self.fail(name, Fault::TooMany(most));
        }
        if self.result.is_ok() { found } else { Vec::new() }
    }

    fn finish(mut self) -> Result<(), PreferencesError> {
        let known = |names: &[&str]| if names.is_empty() { String::from("none") } else { names.join(", ") };
        if let Some(strange) = self.node.children.iter().find(|child| ours(child) && !self.elements.contains(&child.name.as_str())) {
            self.fail(&strange.name, Fault::Unknown(known(&self.elements)));
        }
        let plain = |attribute: &&crate::wire::xml::tree::Attribute| attribute.namespace.is_none();
        let mut attributes = self.node.attributes.iter().filter(plain).map(|attribute| attribute.name.as_str());
        if let Some(strange) = attributes.find(|name| !self.attributes.contains(name)) {
            self.fail(&format!("@{strange}"), Fault::Unknown(known(&self.attributes)));
        }
        if !self.texts && !self.node.text.trim().is_empty() {
            let found = self.node.text.trim().chars().take(LONGEST_NAME).collect();
            self.fail("", Fault::Value { found, allowed: format!("the elements {}", known(&self.elements)) });
        }
        self.result
    }
}

/// Whether an element is in our namespace.
fn ours(node: &Node) -> bool {
    node.namespace.as_deref() == Some(XML_NAMESPACE)
}

impl Walk for Reading<'_> {
    fn attribute(&mut self, name: &'static str, value: &mut dyn Value) {
        self.attributes.push(name);
        match self.node.attribute(name) {
            Some(text) => self.take(&format!("@{name}"), text, value),
            None => self.fail(&format!("@{name}"), Fault::Missing),
        }
    }

    fn content(&mut self, value: &mut dyn Value) {
        self.texts = true;
        let node = self.node;
        self.take("", &node.text, value);
    }

    fn leaf(&mut self, name: &'static str, value: &mut dyn Value) {
        struct Leaf<'v>(&'v mut dyn Value);
        impl Walked for Leaf<'_> {
            fn walk(&mut self, walk: &mut dyn Walk) {
                walk.content(self.0);
            }
        }
        if let [node] = self.named(name, 1)[..] {
            self.result = read(node, format!("{}/{name}", self.path), &mut Leaf(value));
        }
    }

    fn children(&mut self, name: &'static str, most: usize, items: &mut dyn Items) {
        for (place, node) in self.named(name, most).into_iter().enumerate() {
            if self.result.is_ok() {
                self.result = read(node, format!("{}/{name}[{}]", self.path, place + 1), items.add());
            }
        }
    }

    fn list(&mut self, name: &'static str, item: &'static str, most: usize, items: &mut dyn Items) {
        if let [node] = self.named(name, 1)[..] {
            self.result = read(node, format!("{}/{name}", self.path), &mut Children { item, most, items });
        }
    }
}

/// A list's element, which holds nothing but its items.
struct Children<'i> {
    item: &'static str,
    most: usize,
    items: &'i mut dyn Items,
}

impl Walked for Children<'_> {
    fn walk(&mut self, walk: &mut dyn Walk) {
        walk.children(self.item, self.most, self.items);
    }
}

/// Prints an element.
fn print(xml: &mut Document, name: &str, item: &mut dyn Walked, more: &[(&str, &str)]) {
    let mut head = Head { attributes: more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), text: None };
    item.walk(&mut head);
    let attributes: Vec<(&str, &str)> = head.attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if let Some(text) = head.text {
        return xml.leaf(name, &attributes, &text);
    }
    xml.open(name, &attributes);
    item.walk(&mut Printing(xml));
    xml.close(name);
}

/// Who collects what stands in the start tag, and a text.
struct Head<'a> {
    attributes: Vec<(&'a str, String)>,
    text: Option<String>,
}

impl Walk for Head<'_> {
    fn attribute(&mut self, name: &'static str, value: &mut dyn Value) {
        self.attributes.extend(value.print().map(|text| (name, text)));
    }

    fn content(&mut self, value: &mut dyn Value) {
        self.text = value.print();
    }

    fn leaf(&mut self, _: &'static str, _: &mut dyn Value) {}

    fn children(&mut self, _: &'static str, _: usize, _: &mut dyn Items) {}

    fn list(&mut self, _: &'static str, _: &'static str, _: usize, _: &mut dyn Items) {}
}

/// Who prints the children.
struct Printing<'a>(&'a mut Document);

impl Walk for Printing<'_> {
    fn attribute(&mut self, _: &'static str, _: &mut dyn Value) {}

    fn content(&mut self, _: &mut dyn Value) {}

    fn leaf(&mut self, name: &'static str, value: &mut dyn Value) {
        if let Some(text) = value.print() {
            self.0.leaf(name, &[], &text);
        }
    }

    fn children(&mut self, name: &'static str, _: usize, items: &mut dyn Items) {
        let mut place = 0;
        while let Some(item) = items.at(place) {
            print(self.0, name, item, &[]);
            place += 1;
        }
    }

    fn list(&mut self, name: &'static str, item: &'static str, most: usize, items: &mut dyn Items) {
        if items.at(0).is_some() {
            print(self.0, name, &mut Children { item, most, items }, &[]);
        }
    }
}

#[cfg(test)]
mod tests;
