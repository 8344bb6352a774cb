//! A bounded pull reader over `quick-xml`: the element that was opened last is the one that is read.
//!
//! After [`Reader::root`] or [`Reader::child`] has opened an element, the caller reads it to its end in one of three ways: [`Reader::child`]
//! until it says `None`, [`Reader::text`], or [`Reader::skip`]. Elements that a format does not know are skipped that way, which is how
//! extensions are tolerated. Comments and processing instructions are passed over.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Fault, XmlError};
use crate::Text;

/// What a document may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in the document.
    pub bytes: usize,
    /// Elements within each other.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Namespace declarations in force at one place.
    pub namespaces: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 256 * 1024, depth: 32, elements: 16 * 1024, namespaces: 64, attributes: 64 }
    }
}

impl Limits {
    /// The limits for documents that travel one in a message: notifications and is-composing.
    pub const SMALL: Limits = Limits { bytes: 16 * 1024, depth: 16, elements: 256, namespaces: 16, attributes: 16 };
}

/// A reader of one document.
#[derive(Debug)]
pub struct Reader<'a> {
    events: quick_xml::Reader<&'a [u8]>,
    limits: Limits,
    depth: usize,
    elements: usize,
    bindings: Vec<Binding>,
}

/// A namespace declaration, in force within the element at `depth`.
#[derive(Debug)]
struct Binding {
    prefix: String,
    namespace: Option<Text>,
    depth: usize,
}

/// An element whose start has been read.
#[derive(Debug)]
pub struct Element<'a> {
    start: BytesStart<'a>,
    namespace: Option<Text>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `document`.
    pub fn new(document: &'a [u8], limits: Limits) -> Result<Self, XmlError> {
        if document.len() > limits.bytes {
            return Err(XmlError { fault: Fault::TooLarge, offset: limits.bytes });
        }
        let text = std::str::from_utf8(document).map_err(|error| XmlError { fault: Fault::Encoding, offset: error.valid_up_to() })?;
        let mut events = quick_xml::Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        events.config_mut().expand_empty_elements = true;
        Ok(Reader { events, limits, depth: 0, elements: 0, bindings: Vec::new() })
    }

    /// The same, refusing also what hurts nobody: two hyphens within a comment.
    pub(super) fn strict(mut self) -> Self {
        self.events.config_mut().check_comments = true;
        self
    }

    /// Opens the outermost element, which must be `name` in `namespace` or in none.
    pub fn root(&mut self, namespace: &str, name: &'static str) -> Result<Element<'a>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    let element = self.open(start)?;
                    return if element.is(namespace, name) { Ok(element) } else { Err(self.fault(Fault::Root(name))) };
                }
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Eof => return Err(self.fault(Fault::Truncated)),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) | Event::Empty(_) | Event::End(_) | Event::DocType(_) => {
                    return Err(self.fault(Fault::Malformed));
                }
            }
        }
    }

    /// Opens the next child of the element that is being read, or ends that element and says `None`.
    pub fn child(&mut self) -> Result<Option<Element<'a>>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(start) => return self.open(start).map(Some),
                Event::End(_) => {
                    self.close();
                    return Ok(None);
                }
                Event::Eof => return Err(self.fault(Fault::Truncated)),
                Event::GeneralRef(reference) => {
                    self.resolve(&reference)?;
                }
                Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Empty(_) | Event::DocType(_) => return Err(self.fault(Fault::Malformed)),
            }
        }
    }

    /// Reads the element that was opened last to its end and gives its own text, not that of its children.
    pub fn text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let mut text = Cow::Borrowed("");
        loop {
            let piece = match self.event()? {
                Event::Text(piece) => piece.xml10_content(),
                Event::CData(piece) => piece.xml10_content(),
                Event::GeneralRef(reference) => Cow::Owned(self.resolve(&reference)?.to_string()),
                Event::Start(start) => {
                    self.open(start)?;
                    self.skip()?;
                    continue;
                }
                Event::End(_) => {
                    self.close();
                    return if text.chars().all(allowed) { Ok(text) } else { Err(self.fault(Fault::Malformed)) };
                }
                Event::Eof => return Err(self.fault(Fault::Truncated)),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
                Event::Empty(_) | Event::DocType(_) => return Err(self.fault(Fault::Malformed)),
            };
            if text.is_empty() {
                text = piece;
            } else {
                text.to_mut().push_str(&piece);
            }
        }
    }

    /// [`Reader::text`] without white space around it, as a text of its own.
    pub fn token(&mut self) -> Result<Text, XmlError> {
        Ok(Text::from(self.text()?.trim()))
    }

    /// Reads the element that was opened last to its end and forgets it.
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let outer = self.depth.saturating_sub(1);
        while self.depth > outer {
            self.child()?;
        }
        Ok(())
    }

    /// An error at the place that was read last.
    pub fn fault(&self, fault: Fault) -> XmlError {
        XmlError { fault, offset: self.offset() }
    }

    /// The byte up to which the document has been read.
    pub(super) fn offset(&self) -> usize {
        usize::try_from(self.events.buffer_position()).unwrap_or(usize::MAX)
    }

    pub(super) fn event(&mut self) -> Result<Event<'a>, XmlError> {
        match self.events.read_event() {
            Ok(Event::DocType(_)) => Err(self.fault(Fault::Doctype)),
            Ok(event) => Ok(event),
            Err(quick_xml::Error::Syntax(_)) => Err(self.fault(Fault::Truncated)),
            Err(_) => Err(self.fault(Fault::Malformed)),
        }
    }

    pub(super) fn open(&mut self, start: BytesStart<'a>) -> Result<Element<'a>, XmlError> {
        self.elements += 1;
        if self.depth >= self.limits.depth {
            return Err(self.fault(Fault::TooDeep));
        }
        if self.elements > self.limits.elements {
            return Err(self.fault(Fault::TooLarge));
        }
        self.depth += 1;
        for (count, attribute) in start.attributes().enumerate() {
            let attribute = attribute.map_err(|_| self.fault(Fault::Malformed))?;
            if count >= self.limits.attributes {
                return Err(self.fault(Fault::TooLarge));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| self.fault(Fault::Entity))?;
            if !value.chars().all(allowed) {
                return Err(self.fault(Fault::Malformed));
            }
            let prefix = match attribute.key.0 {
                "xmlns" => "",
                key => match key.strip_prefix("xmlns:") {
                    Some(prefix) => prefix,
                    None => continue,
                },
            };
            if self.bindings.len() >= self.limits.namespaces {
                return Err(self.fault(Fault::TooLarge));
            }
            let namespace = (!value.is_empty()).then(|| Text::from(&*value));
            self.bindings.push(Binding { prefix: prefix.to_owned(), namespace, depth: self.depth });
        }
        let prefix = start.name().0.split_once(':').map_or("", |(prefix, _)| prefix);
        let namespace = self.namespace(prefix);
        Ok(Element { start, namespace })
    }

    /// The namespace that a prefix stands for in the element that is being read.
    pub(super) fn namespace(&self, prefix: &str) -> Option<Text> {
        self.bindings.iter().rev().find(|binding| binding.prefix == prefix).and_then(|binding| binding.namespace.clone())
    }

    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        while self.bindings.last().is_some_and(|binding| binding.depth > self.depth) {
            self.bindings.pop();
        }
    }

    pub(super) fn resolve(&self, reference: &BytesRef<'_>) -> Result<char, XmlError> {
        let character = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => reference.resolve_char_ref().ok().flatten().filter(|character| allowed(*character)),
        };
        character.ok_or_else(|| self.fault(Fault::Entity))
    }
}

impl Element<'_> {
    /// The name without its prefix.
    pub fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// The namespace, where one is declared.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether this is `name` in `namespace`. An element in no namespace counts too: clients that forget the declaration mean it.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.within(namespace) && self.name() == name
    }

    /// Whether this element is in `namespace`, or in none.
    pub fn within(&self, namespace: &str) -> bool {
        self.namespace().is_none_or(|own| own == namespace)
    }

    /// The value of an attribute, by its name without a prefix.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let attribute = self.start.attributes().flatten().find(|attribute| attribute.key.local_name().into_inner() == name)?;
        attribute.normalized_value(XmlVersion::Implicit1_0).ok()
    }
}

/// Whether XML 1.0 allows the character in a document at all.
pub(super) fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<(), XmlError> {
        let mut reader = Reader::new(document.as_bytes(), Limits::SMALL)?;
        reader.root("urn:x", "a")?;
        reader.skip()
    }

    fn fault(document: &str) -> Fault {
        read(document).expect_err(document).fault
    }

    #[test]
    fn children_texts_and_namespaces_are_read() {
        let document = "\u{feff}<?xml version='1.0'?><!-- c --><p:a xmlns:p='urn:x' xmlns='urn:y' p:k='1 &amp; 2'>\
                        <b>one &lt; <![CDATA[<two>]]><i>no</i>&#x2713;</b>,<p:c/><d xmlns=''/></p:a>";
        let mut reader = Reader::new(document.as_bytes(), Limits::SMALL).unwrap();
        let root = reader.root("urn:x", "a").unwrap();
        assert_eq!(root.attribute("k").as_deref(), Some("1 & 2"));
        assert_eq!(root.attribute("l"), None);
        let b = reader.child().unwrap().unwrap();
        assert_eq!((b.name(), b.namespace()), ("b", Some("urn:y")));
        assert_eq!(reader.text().unwrap(), "one < <two>\u{2713}");
        let c = reader.child().unwrap().unwrap();
        assert!(c.is("urn:x", "c") && !c.is("urn:y", "c"));
        assert!(reader.child().unwrap().is_none());
        let d = reader.child().unwrap().unwrap();
        assert!(d.is("urn:anything", "d"));
        reader.skip().unwrap();
        assert!(reader.child().unwrap().is_none());
    }

    #[test]
    fn entities_are_never_defined() {
        let laughs = "<!DOCTYPE a [<!ENTITY l 'ha'><!ENTITY m '&l;&l;&l;&l;'>]><a>&m;</a>";
        assert_eq!(fault(laughs), Fault::Doctype);
        assert_eq!(fault("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>"), Fault::Doctype);
        assert_eq!(fault("<a>&m;</a>"), Fault::Entity);
        assert_eq!(fault("<a b='&m;'/>"), Fault::Entity);
        assert_eq!(fault("<a>&#0;</a>"), Fault::Entity);
        assert_eq!(fault("<a>&#x1;</a>"), Fault::Entity);
    }

    #[test]
    fn size_depth_and_counts_are_bounded() {
        assert_eq!(fault(&"<a>".repeat(17)), Fault::TooDeep);
        assert_eq!(fault(&format!("<a>{}</a>", "<b/>".repeat(300))), Fault::TooLarge);
        assert_eq!(fault(&format!("<a>{}</a>", " ".repeat(17_000))), Fault::TooLarge);
        let attributes: String = (0..20).map(|n| format!(" k{n}=''")).collect();
        assert_eq!(fault(&format!("<a{attributes}/>")), Fault::TooLarge);
        let namespaces: String = (0..9).map(|n| format!(" xmlns:k{n}='u'")).collect();
        assert_eq!(fault(&format!("<a{namespaces}><b{namespaces}/></a>")), Fault::TooLarge);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        assert_eq!(fault(""), Fault::Truncated);
        assert_eq!(fault("<a><b></b>"), Fault::Truncated);
        assert_eq!(fault("<a"), Fault::Truncated);
        assert_eq!(fault("<a></b>"), Fault::Malformed);
        assert_eq!(fault("<a b='1' b='2'/>"), Fault::Malformed);
        assert_eq!(fault("words"), Fault::Malformed);
        assert_eq!(fault("<b/>"), Fault::Root("a"));
        assert_eq!(fault("<a xmlns='urn:z'/>"), Fault::Root("a"));
        let error = Reader::new(b"<a>\xff</a>", Limits::SMALL).unwrap_err();
        assert_eq!(error, XmlError { fault: Fault::Encoding, offset: 3 });
        assert!(Reader::new(b"\xff\xfe<\0a\0", Limits::SMALL).is_err());
    }
}
