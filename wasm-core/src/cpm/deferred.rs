//! Deferred messages as they are talked about: the list of those that wait, and what is to become of each.
//!
//! The Participating Function tells the devices with [`List`] in a NOTIFY of [`EVENT`] (R218, R219); a device answers with [`Actions`] in the
//! INVITE that opens the session in which messages are fetched (R220, R221). Both are XML in one namespace.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::address::Address;
use crate::wire::xml::reader::{Element, Limits, Reader};
use crate::wire::xml::writer::Document;
use crate::wire::xml::{Fault, XmlError};
use crate::{Text, Time};

/// The event package of the list.
pub const EVENT: &str = "deferred-messages";
/// The user part of the address that the queue answers at, in the user's home domain.
pub const USER: &str = "deferred";
/// The media type of the list.
pub const LIST_TYPE: &str = "application/vnd.tandem.deferred-list+xml";
/// The media type of what is to be done.
pub const ACTIONS_TYPE: &str = "application/vnd.tandem.deferred-actions+xml";
/// The namespace of both documents' elements.
pub const XML_NAMESPACE: &str = "urn:tandem:deferred";

/// So many entries one list names at most; the rest follows when these are dealt with.
pub const MOST_LISTED: usize = 200;
/// So many actions one request holds at most.
pub const MOST_ACTIONS: usize = 200;
/// The longest part of a subject that is told, in characters.
pub const LONGEST_SUBJECT: usize = 120;
/// So many types of content are named of one message at most.
pub const MOST_TYPES: usize = 16;

/// The name of a message in the queue, which holds in one user's queue and for as long as the message is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeferredId(pub u64);

/// What waits for a user's decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The oldest that wait, in the order in which they came.
    pub items: Vec<Item>,
    /// How many wait in all.
    pub total: u32,
}

/// One message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name in the queue.
    pub id: DeferredId,
    /// The sender.
    pub from: Address,
    /// What the sender says it is about.
    pub subject: Option<Text>,
    /// When it was sent.
    pub date: Time,
    /// How large its content is, in bytes.
    pub size: u64,
    /// The types of its content, or of the parts of it.
    pub content_types: Vec<Text>,
    /// Until when it waits.
    pub expires: Time,
    /// When the person wants to be told of it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Time>,
}

/// What is to be done with messages of the queue, one action for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions(pub Vec<(DeferredId, Action)>);

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is sent to the device that asks; a number means that part of a message of several parts alone, counted from 1, and the message
    /// stays in the queue.
    Retrieve { part: Option<u16> },
    /// It goes on over another service.
    Interwork,
    /// It is thrown away.
    Discard,
    /// It goes to the history without being delivered.
    Store,
    /// It stays, and the person is told of it again at a time, if there is one.
    Keep { remind: Option<Time> },
}

impl List {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<List, XmlError> {
        let mut xml = Reader::new(document, Limits::default())?;
        let root = xml.root(XML_NAMESPACE, "deferred-list")?;
        let total = number(&xml, &root, "total")?;
        let mut items = Vec::new();
        while let Some(element) = xml.child()? {
            if !element.is(XML_NAMESPACE, "message") {
                xml.skip()?;
                continue;
            }
            if items.len() == MOST_LISTED {
                return Err(xml.fault(Fault::TooLarge));
            }
            items.push(Item::parse(&mut xml, &element)?);
        }
        Ok(List { items, total })
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        xml.open("deferred-list", &[("xmlns", XML_NAMESPACE), ("total", &self.total.to_string())]);
        for item in self.items.iter().take(MOST_LISTED) {
            item.encode(&mut xml);
        }
        xml.close("deferred-list");
        xml.finish()
    }
}

impl Item {
    fn parse(xml: &mut Reader<'_>, element: &Element<'_>) -> Result<Item, XmlError> {
        let id = DeferredId(number(xml, element, "id")?);
        let size = number(xml, element, "size")?;
        let (mut from, mut subject, mut date, mut expires, mut remind, mut content_types) = (None, None, None, None, None, Vec::new());
        while let Some(child) = xml.child()? {
            match child.name() {
                _ if !child.within(XML_NAMESPACE) => xml.skip()?,
                "from" => {
                    let text = xml.token()?;
                    from = Some(Address::parse(&text).ok_or_else(|| xml.fault(Fault::Value("from")))?);
                }
                "subject" => subject = Some(xml.token()?).filter(|subject| !subject.is_empty()),
                "date" => date = Some(time(xml, "date")?),
                "expires" => expires = Some(time(xml, "expires")?),
                "remind" => remind = Some(time(xml, "remind")?),
                "content-type" if content_types.len() == MOST_TYPES => return Err(xml.fault(Fault::TooLarge)),
                "content-type" => content_types.push(xml.token()?),
                _ => xml.skip()?,
            }
        }
        Ok(Item {
            id,
            size,
            subject,
            content_types,
            remind,
            from: from.ok_or_else(|| xml.fault(Fault::Missing("from")))?,
            date: date.ok_or_else(|| xml.fault(Fault::Missing("date")))?,
            expires: expires.ok_or_else(|| xml.fault(Fault::Missing("expires")))?,
        })
    }

    fn encode(&self, xml: &mut Document) {
        xml.open("message", &[("id", &self.id.0.to_string()), ("size", &self.size.to_string())]);
        xml.leaf("from", &[], self.from.as_str());
        if let Some(subject) = &self.subject {
            xml.leaf("subject", &[], &subject.chars().take(LONGEST_SUBJECT).collect::<String>());
        }
        xml.leaf("date", &[], &self.date.to_rfc3339());
        xml.leaf("expires", &[], &self.expires.to_rfc3339());
        if let Some(remind) = self.remind {
            xml.leaf("remind", &[], &remind.to_rfc3339());
        }
        for kind in self.content_types.iter().take(MOST_TYPES) {
            xml.leaf("content-type", &[], kind);
        }
        xml.close("message");
    }
}

impl Actions {
    /// Reads a document. A message that is named twice is an error, so that the order of the actions cannot matter.
    pub fn parse(document: &[u8]) -> Result<Actions, XmlError> {
        let mut xml = Reader::new(document, Limits::default())?;
        xml.root(XML_NAMESPACE, "deferred-actions")?;
        let mut actions: Vec<(DeferredId, Action)> = Vec::new();
        while let Some(element) = xml.child()? {
            if element.within(XML_NAMESPACE) {
                let id = DeferredId(number(&xml, &element, "id")?);
                let action = Action::parse(&xml, &element)?;
                if actions.len() == MOST_ACTIONS {
                    return Err(xml.fault(Fault::TooLarge));
                }
                if actions.iter().any(|(other, _)| *other == id) {
                    return Err(xml.fault(Fault::Value("id")));
                }
                actions.push((id, action));
            }
            xml.skip()?;
        }
        Ok(Actions(actions))
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        xml.open("deferred-actions", &[("xmlns", XML_NAMESPACE)]);
        for (id, action) in self.0.iter().take(MOST_ACTIONS) {
            let detail = match action {
                Action::Retrieve { part } => part.map(|part| ("part", part.to_string())),
                Action::Keep { remind } => remind.map(|at| ("remind", at.to_rfc3339())),
                Action::Interwork | Action::Discard | Action::Store => None,
            };
            let id = id.0.to_string();
            let mut attributes = vec![("id", id.as_str())];
            attributes.extend(detail.as_ref().map(|(name, value)| (*name, value.as_str())));
            xml.empty(action.name(), &attributes);
        }
        xml.close("deferred-actions");
        xml.finish()
    }
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Retrieve { .. } => "retrieve",
            Action::Interwork => "interwork",
            Action::Discard => "discard",
            Action::Store => "store",
            Action::Keep { .. } => "keep",
        }
    }

    fn parse(xml: &Reader<'_>, element: &Element<'_>) -> Result<Action, XmlError> {
        Ok(match element.name() {
            "retrieve" => Action::Retrieve {
                part: match element.attribute("part") {
                    Some(part) => Some(part.parse().ok().filter(|part| *part > 0).ok_or_else(|| xml.fault(Fault::Value("part")))?),
                    None => None,
                },
            },
            "interwork" => Action::Interwork,
            "discard" => Action::Discard,
            "store" => Action::Store,
            "keep" => Action::Keep {
                remind: match element.attribute("remind") {
                    Some(at) => Some(Time::parse_rfc3339(&at).ok_or_else(|| xml.fault(Fault::Value("remind")))?),
                    None => None,
                },
            },
            _ => return Err(xml.fault(Fault::Value("action"))),
        })
    }
}

fn number<N: std::str::FromStr>(xml: &Reader<'_>, element: &Element<'_>, name: &'static str) -> Result<N, XmlError> {
    let text = element.attribute(name).ok_or_else(|| xml.fault(Fault::Missing(name)))?;
    text.parse().map_err(|_| xml.fault(Fault::Value(name)))
}

fn time(xml: &mut Reader<'_>, name: &'static str) -> Result<Time, XmlError> {
    let text = xml.token()?;
    Time::parse_rfc3339(&text).ok_or_else(|| xml.fault(Fault::Value(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item() -> impl Strategy<Value = Item> {
        let time = || (0..4_000_000_000_000u64).prop_map(Time);
        let word = "[a-zA-Z0-9&<>\"é/+.-]{1,20}";
        let types = prop::collection::vec(word, 0..4);
        let remind = prop::option::of(time());
        (any::<u64>(), "[a-z0-9]{1,8}", prop::option::of(word), time(), any::<u64>(), types, time(), remind).prop_map(
            |(id, user, subject, date, size, types, expires, remind)| Item {
                id: DeferredId(id),
                from: Address::parse(&format!("sip:{user}@tandem.test")).unwrap(),
                subject: subject.map(Text::from),
                date,
                size,
                content_types: types.into_iter().map(Text::from).collect(),
                expires,
                remind,
            },
        )
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            prop::option::of(1..=u16::MAX).prop_map(|part| Action::Retrieve { part }),
            Just(Action::Interwork),
            Just(Action::Discard),
            Just(Action::Store),
            prop::option::of((0..4_000_000_000_000u64).prop_map(Time)).prop_map(|remind| Action::Keep { remind }),
        ]
    }

    proptest! {
        /// R219, R341: sender, subject, date, size, types and expiry of each message reach the device as they are.
        #[test]
        fn a_list_reads_back(items in prop::collection::vec(item(), 0..6), total in any::<u32>()) {
            let list = List { items, total };
            prop_assert_eq!(List::parse(&list.encode()).unwrap(), list);
        }

        /// R221: each message with its action.
        #[test]
        fn actions_read_back(chosen in prop::collection::btree_map(any::<u64>(), action(), 0..8)) {
            let actions = Actions(chosen.into_iter().map(|(id, action)| (DeferredId(id), action)).collect());
            prop_assert_eq!(Actions::parse(&actions.encode()).unwrap(), actions);
        }
    }

    /// R220: what a person cannot have meant is refused as a whole.
    #[test]
    fn what_is_broken_is_refused() {
        let document = |inner: &str| format!("<deferred-actions xmlns='{XML_NAMESPACE}'>{inner}</deferred-actions>");
        let crowd: String = (0..=MOST_ACTIONS).map(|id| format!("<discard id='{id}'/>")).collect();
        for (inner, fault) in [
            ("<discard/>", Fault::Missing("id")),
            ("<discard id='-1'/>", Fault::Value("id")),
            ("<discard id='1'/><store id='1'/>", Fault::Value("id")),
            ("<burn id='1'/>", Fault::Value("action")),
            ("<retrieve id='1' part='0'/>", Fault::Value("part")),
            ("<keep id='1' remind='soon'/>", Fault::Value("remind")),
            (crowd.as_str(), Fault::TooLarge),
        ] {
            assert_eq!(Actions::parse(document(inner).as_bytes()).unwrap_err().fault, fault, "{inner}");
        }
        assert_eq!(List::parse(b"<deferred-list/>").unwrap_err().fault, Fault::Missing("total"));
    }

    #[test]
    fn what_others_add_is_passed_over() {
        let document =
            format!("<deferred-actions xmlns='{XML_NAMESPACE}' xmlns:x='urn:x'><x:a/><keep id='7'><x:b>c</x:b></keep></deferred-actions>");
        assert_eq!(Actions::parse(document.as_bytes()).unwrap(), Actions(vec![(DeferredId(7), Action::Keep { remind: None })]));
    }
}
