//! Lists of recipients, `application/resource-lists+xml` [RFC4826], with how each is addressed [RFC5364, RFC5365].
//!
//! Entries, lists within lists and references are read; extensions are passed over.

use bytes::Bytes;

use super::reader::{Element, Limits, Reader};
use super::writer::Document;
use super::{Fault, XmlError};
use crate::Text;

/// The media type of a list.
pub const MEDIA_TYPE: &str = "application/resource-lists+xml";

/// The namespace of the document's elements.
pub const XML_NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";

/// The namespace of `copyControl` and `anonymize`.
pub const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";

/// A document: lists in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceLists {
    /// The lists.
    pub lists: Vec<List>,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Its name, by which references find it.
    pub name: Option<Text>,
    /// Its name for people.
    pub display_name: Option<Text>,
    /// What is in it.
    pub items: Vec<Item>,
}

/// What can be in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A recipient.
    Entry(Entry),
    /// A list of its own.
    List(List),
    /// A reference to an entry elsewhere.
    EntryRef(Text),
    /// A reference to a list elsewhere.
    External(Text),
}

/// A recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub uri: Text,
    /// The name for people.
    pub display_name: Option<Text>,
    /// How the recipient is addressed, where that is said.
    pub copy: Option<Copy>,
    /// Whether the others must not learn of this recipient's address.
    pub anonymize: bool,
}

/// How a recipient is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// As one of those it is for.
    To,
    /// As one who gets a copy.
    Cc,
    /// As one who gets a copy without the others' knowledge.
    Bcc,
}

impl Copy {
    fn as_str(self) -> &'static str {
        match self {
            Copy::To => "to",
            Copy::Cc => "cc",
            Copy::Bcc => "bcc",
        }
    }
}

impl Entry {
    /// A recipient by its address alone.
    pub fn new(uri: impl Into<Text>) -> Self {
        Entry { uri: uri.into(), display_name: None, copy: None, anonymize: false }
    }
}

impl ResourceLists {
    /// One list of these recipients.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let items = entries.into_iter().map(Item::Entry).collect();
        ResourceLists { lists: vec![List { items, ..List::default() }] }
    }

    /// All recipients in the document's order, those in lists within lists too.
    pub fn entries(&self) -> Vec<&Entry> {
        fn walk<'a>(list: &'a List, out: &mut Vec<&'a Entry>) {
            for item in &list.items {
                match item {
                    Item::Entry(entry) => out.push(entry),
                    Item::List(list) => walk(list, out),
                    Item::EntryRef(_) | Item::External(_) => {}
                }
            }
        }
        let mut out = Vec::new();
        for list in &self.lists {
            walk(list, &mut out);
        }
        out
    }

    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<ResourceLists, XmlError> {
        let mut xml = Reader::new(document, Limits::default())?;
        xml.root(XML_NAMESPACE, "resource-lists")?;
        let mut lists = Vec::new();
        while let Some(element) = xml.child()? {
            if element.is(XML_NAMESPACE, "list") {
                lists.push(parse_list(&mut xml, &element)?);
            } else {
                xml.skip()?;
            }
        }
        Ok(ResourceLists { lists })
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        xml.open("resource-lists", &[("xmlns", XML_NAMESPACE), ("xmlns:cp", COPY_CONTROL)]);
        for list in &self.lists {
            encode_list(&mut xml, list);
        }
        xml.close("resource-lists");
        xml.finish()
    }
}

/// The depth that the reader allows bounds the recursion.
fn parse_list(xml: &mut Reader<'_>, list: &Element<'_>) -> Result<List, XmlError> {
    let name = list.attribute("name").map(|name| Text::from(&*name));
    let mut list = List { name, ..List::default() };
    while let Some(element) = xml.child()? {
        let required = |name: &'static str| element.attribute(name).map(|value| Text::from(value.trim())).filter(|value| !value.is_empty());
        match element.name() {
            _ if !element.within(XML_NAMESPACE) => xml.skip()?,
            "display-name" => list.display_name = Some(xml.token()?),
            "entry" => {
                let uri = required("uri").ok_or_else(|| xml.fault(Fault::Missing("uri")))?;
                let copy = match element.attribute("copyControl").as_deref() {
                    Some("to") => Some(Copy::To),
                    Some("cc") => Some(Copy::Cc),
                    Some("bcc") => Some(Copy::Bcc),
                    Some(_) => return Err(xml.fault(Fault::Value("copyControl"))),
                    None => None,
                };
                let anonymize = matches!(element.attribute("anonymize").as_deref(), Some("true" | "1"));
                let mut display_name = None;
                while let Some(child) = xml.child()? {
                    match child.is(XML_NAMESPACE, "display-name") {
                        true => display_name = Some(xml.token()?),
                        false => xml.skip()?,
                    }
                }
                list.items.push(Item::Entry(Entry { uri, display_name, copy, anonymize }));
            }
            "list" => {
                let inner = parse_list(xml, &element)?;
                list.items.push(Item::List(inner));
            }
            "entry-ref" => {
                list.items.push(Item::EntryRef(required("ref").ok_or_else(|| xml.fault(Fault::Missing("ref")))?));
                xml.skip()?;
            }
            "external" => {
                list.items.push(Item::External(required("anchor").ok_or_else(|| xml.fault(Fault::Missing("anchor")))?));
                xml.skip()?;
            }
            _ => xml.skip()?,
        }
    }
    Ok(list)
}

fn encode_list(xml: &mut Document, list: &List) {
    let name = list.name.as_deref().map(|name| ("name", name));
    xml.open("list", name.as_slice());
    if let Some(display_name) = &list.display_name {
        xml.leaf("display-name", &[], display_name);
    }
    for item in &list.items {
        match item {
            Item::Entry(entry) => {
                let mut attributes = vec![("uri", &*entry.uri)];
                attributes.extend(entry.copy.map(|copy| ("cp:copyControl", copy.as_str())));
                attributes.extend(entry.anonymize.then_some(("cp:anonymize", "true")));
                match &entry.display_name {
                    Some(display_name) => {
                        xml.open("entry", &attributes);
                        xml.leaf("display-name", &[], display_name);
                        xml.close("entry");
                    }
                    None => xml.empty("entry", &attributes),
                }
            }
            Item::List(list) => encode_list(xml, list),
            Item::EntryRef(reference) => xml.empty("entry-ref", &[("ref", reference)]),
            Item::External(anchor) => xml.empty("external", &[("anchor", anchor)]),
        }
    }
    xml.close("list");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R069: an ad-hoc group is named by a list of recipients of any scheme.
    #[test]
    fn recipients_are_read_as_other_clients_write_them() {
        let document = br#"<?xml version="1.0" encoding="UTF-8"?>
            <resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copyControl">
              <list name="friends"><display-name>Friends</display-name>
                <entry uri="sip:bill@example.com" cp:copyControl="to"/>
                <entry uri="tel:+15550101" cp:copyControl="bcc" cp:anonymize="true"><display-name>Joe</display-name><x:y xmlns:x="urn:x"/></entry>
                <list><entry uri="mailto:ted@example.net"/></list>
                <external anchor="http://xcap.example.com/a"/><entry-ref ref="b/c"/>
                <z:entry xmlns:z="urn:z" uri="sip:nobody@example.com"/>
              </list>
            </resource-lists>"#;
        let lists = ResourceLists::parse(document).unwrap();
        let uris: Vec<_> = lists.entries().iter().map(|entry| entry.uri.as_str()).collect();
        assert_eq!(uris, ["sip:bill@example.com", "tel:+15550101", "mailto:ted@example.net"]);
        let joe = lists.entries()[1];
        assert_eq!((joe.copy, joe.anonymize, joe.display_name.as_deref()), (Some(Copy::Bcc), true, Some("Joe")));
        assert_eq!(lists.lists[0].items.len(), 5);
        assert_eq!(ResourceLists::parse(&lists.encode()).unwrap(), lists);
    }

    #[test]
    fn what_is_broken_is_refused() {
        let nested = format!("<resource-lists>{}", "<list>".repeat(100_000));
        for (document, fault) in [
            ("<resource-lists><list><entry/></list></resource-lists>", Fault::Missing("uri")),
            ("<resource-lists><list><entry uri='a' copyControl='x'/></list></resource-lists>", Fault::Value("copyControl")),
            ("<list/>", Fault::Root("resource-lists")),
            ("<resource-lists><list>", Fault::Truncated),
            (nested.as_str(), Fault::TooLarge),
            (&nested[..10_000], Fault::TooDeep),
        ] {
            assert_eq!(ResourceLists::parse(document.as_bytes()).unwrap_err().fault, fault);
        }
    }
}
