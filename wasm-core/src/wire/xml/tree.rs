//! A whole document at once, each element and attribute with the bytes that it takes: for those who look things up in it, and for those
//! who change one place and leave every other byte as it is.
//!
//! Stricter than the pull reader: names, prefixes and everything up to the last byte have to be well-formed. The same limits hold, so that
//! the depth of the tree is bounded.

use std::ops::Range;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::reader::{Limits, Reader, allowed};
use super::{Fault, XmlError};
use crate::Text;

/// An element of a document.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its namespace, where one is declared.
    pub namespace: Option<Text>,
    /// Its name without the prefix.
    pub name: String,
    /// Its attributes, the declarations of namespaces not among them.
    pub attributes: Vec<Attribute>,
    /// The prefixes that it declares, with their namespaces; none of it where a declaration is taken back.
    pub declared: Vec<(String, Option<Text>)>,
    /// Its children in their order.
    pub children: Vec<Node>,
    /// Its own text, not that of its children.
    pub text: String,
    /// All of it.
    pub outer: Range<usize>,
    /// What is between its tags; empty and at its end where it is one tag alone.
    pub inner: Range<usize>,
    /// The end of its name in the start tag.
    pub name_end: usize,
    /// Whether it is one tag alone: `<a/>`.
    pub single: bool,
}

/// An attribute of an element.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Its namespace: only those with a prefix have one.
    pub namespace: Option<Text>,
    /// Its name without the prefix.
    pub name: String,
    /// Its value, references resolved.
    pub value: String,
    /// All of it, from its name to the closing quote.
    pub outer: Range<usize>,
    /// Its value between the quotes.
    pub inner: Range<usize>,
}

impl Node {
    /// Reads a document, without a byte order mark, and gives its outermost element.
    pub fn parse(document: &str, limits: Limits) -> Result<Node, XmlError> {
        if document.starts_with('\u{feff}') {
            return Err(XmlError { fault: Fault::Malformed, offset: 0 });
        }
        let mut building = Building { reader: Reader::new(document.as_bytes(), limits)?.strict(), document };
        let mut open: Vec<Node> = Vec::new();
        let mut root = None;
        loop {
            let start = building.reader.offset();
            match building.reader.event()? {
                Event::Start(tag) if root.is_none() => open.push(building.start(start, tag)?),
                Event::End(_) => {
                    building.reader.close();
                    let Some(mut node) = open.pop() else { return Err(building.malformed()) };
                    node.outer.end = building.reader.offset();
                    node.inner.end = if node.single { node.outer.end } else { start };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => root = Some(node),
                    }
                }
                Event::Text(piece) if open.is_empty() && piece.trim().is_empty() => {}
                Event::Decl(_) if start == 0 => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return root.filter(|_| open.is_empty()).ok_or_else(|| building.reader.fault(Fault::Truncated)),
                event => {
                    let text = match &event {
                        Event::Text(piece) => piece.xml10_content(),
                        Event::CData(piece) => piece.xml10_content(),
                        Event::GeneralRef(reference) => building.reader.resolve(reference)?.to_string().into(),
                        _ => return Err(building.malformed()),
                    };
                    let Some(node) = open.last_mut().filter(|_| text.chars().all(allowed)) else { return Err(building.malformed()) };
                    node.text.push_str(&text);
                }
            }
        }
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.namespace.is_none() && attribute.name == name).map(|found| &*found.value)
    }
}

struct Building<'a> {
    reader: Reader<'a>,
    document: &'a str,
}

impl<'a> Building<'a> {
    fn malformed(&self) -> XmlError {
        self.reader.fault(Fault::Malformed)
    }

    /// The element of a tag, whose `<` is the byte `start`.
    fn start(&mut self, start: usize, tag: BytesStart<'a>) -> Result<Node, XmlError> {
        let end = self.reader.offset();
        let element = self.reader.open(tag.clone())?;
        let name = tag.name().0;
        let single = self.document.get(..end).is_some_and(|before| before.ends_with("/>"));
        let (prefix, local) = split(name).ok_or_else(|| self.malformed())?;
        let namespace = element.namespace().map(Text::from);
        if !prefix.is_empty() && namespace.is_none() {
            return Err(self.malformed());
        }
        let mut node = Node {
            namespace,
            name: local.to_owned(),
            outer: start..end,
            inner: end..end,
            name_end: start + 1 + name.len(),
            single,
            ..Node::default()
        };
        for attribute in tag.attributes().flatten() {
            let raw: &str = &attribute.value;
            let place = |part: &str| {
                let at = start + 1 + (part.as_ptr() as usize).wrapping_sub(tag.as_ptr() as usize);
                at..at + part.len()
            };
            let (key, inner) = (place(attribute.key.0), place(raw));
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| self.reader.fault(Fault::Entity))?;
            let (prefix, name) = split(attribute.key.0).ok_or_else(|| self.malformed())?;
            let spaced = self.document.as_bytes().get(key.start.wrapping_sub(1)).is_some_and(u8::is_ascii_whitespace);
            if raw.contains('<') || !spaced {
                return Err(self.malformed());
            }
            if prefix == "xmlns" || prefix.is_empty() && name == "xmlns" {
                let prefix = if prefix.is_empty() { "" } else { name };
                node.declared.push((prefix.to_owned(), (!value.is_empty()).then(|| Text::from(&*value))));
                continue;
            }
            let namespace = if prefix.is_empty() { None } else { self.reader.namespace(prefix) };
            if !prefix.is_empty() && prefix != "xml" && namespace.is_none() {
                return Err(self.malformed());
            }
            node.attributes.push(Attribute {
                namespace,
                name: name.to_owned(),
                value: value.into_owned(),
                outer: key.start..inner.end + 1,
                inner,
            });
        }
        Ok(node)
    }
}

/// The prefix and the local part of a name, if it is one.
fn split(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    ((prefix.is_empty() && !name.starts_with(':') || is_name(prefix)) && is_name(local)).then_some((prefix, local))
}

/// Whether XML takes this as a name without a prefix; of the letters beyond ASCII all are taken.
pub fn is_name(name: &str) -> bool {
    let letter = |character: char| character.is_alphabetic() || character == '_';
    name.chars().next().is_some_and(letter)
        && name.chars().all(|character| letter(character) || character.is_alphanumeric() || matches!(character, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(document: &str) -> Result<Node, XmlError> {
        Node::parse(document, Limits::SMALL)
    }

    #[test]
    fn every_place_is_known() {
        let document =
            "<?xml version='1.0'?>\n<p:a xmlns:p='urn:x' p:k = \"1 &amp; 2\"  l='é'>t<b/>&lt;<c x='1' /><!-- <no/> --><d>é</d></p:a>\n";
        let root = parse(document).unwrap();
        assert_eq!((root.namespace.as_deref(), &*root.name, &*root.text), (Some("urn:x"), "a", "t<"));
        assert_eq!(&document[root.outer.clone()], &document[22..document.len() - 1]);
        assert_eq!(&document[root.inner.clone()], "t<b/>&lt;<c x='1' /><!-- <no/> --><d>é</d>");
        assert_eq!(&document[..root.name_end], "<?xml version='1.0'?>\n<p:a");
        let [k, l] = &root.attributes[..] else { panic!("{root:?}") };
        assert_eq!((k.namespace.as_deref(), &*k.value, &document[k.inner.clone()]), (Some("urn:x"), "1 & 2", "1 &amp; 2"));
        assert_eq!((&document[k.outer.clone()], &document[l.outer.clone()]), ("p:k = \"1 &amp; 2\"", "l='é'"));
        assert_eq!((root.attribute("l"), root.attribute("k")), (Some("é"), None));
        let places: Vec<_> = root.children.iter().map(|child| (&document[child.outer.clone()], child.single)).collect();
        assert_eq!(places, [("<b/>", true), ("<c x='1' />", true), ("<d>é</d>", false)]);
        assert_eq!(&document[root.children[2].inner.clone()], "é");
        assert_eq!(root.declared, [("p".to_owned(), Some(Text::from("urn:x")))]);
    }

    #[test]
    fn what_is_not_well_formed_to_the_end_is_refused() {
        for document in [
            "",
            " ",
            "words",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>words",
            "<a/>&lt;",
            "<a/><![CDATA[x]]>",
            "<a b='<'/>",
            "<p:a/>",
            "<a p:b=''/>",
            "<a b=''c=''/>",
            "<a b='' b=''/>",
            "<1/>",
            "<a<b/>",
            "<:a/>",
            "<a:/>",
            "<a b/>",
            "<a b=c/>",
            "<a>&x;</a>",
            "<a>& </a>",
            "<a>\u{1}</a>",
            "<!DOCTYPE a><a/>",
            "<a><?xml version='1.0'?></a>",
            "<a/><!-- ",
            "<a><!-- -- --></a>",
            "<a/><",
            "x<a/>",
            "<a><![CDATA[x</a>",
            "<a b='&x;'/>",
            "<a></ a>",
        ] {
            assert!(parse(document).is_err(), "{document}");
        }
        assert_eq!(parse(&"<a>".repeat(40)).unwrap_err().fault, Fault::TooDeep);
    }

    proptest::proptest! {
        /// Whatever comes, the answer is a tree whose places lie in the document, or an error.
        #[test]
        fn no_document_is_too_strange(document in "(<[ab/]?[ab]?( [a-c:]{1,3}='[<&é]?')?/?>|<!--|-->|&(lt|x)?;|[a é\"']|<!\\[CDATA\\[|\\]\\]>|<\\?x){0,12}") {
            fn walk(node: &Node, document: &str) {
                assert!(document.get(node.outer.clone()).is_some_and(|outer| outer.starts_with('<') && outer.ends_with('>')));
                assert!(document.get(node.inner.clone()).is_some());
                for attribute in &node.attributes {
                    assert!(document.get(attribute.outer.clone()).is_some_and(|outer| outer.ends_with(['"', '\''])));
                    assert!(document.get(attribute.inner.clone()).is_some());
                }
                node.children.iter().for_each(|child| walk(child, document));
            }
            if let Ok(root) = parse(&document) {
                walk(&root, &document);
            }
        }
    }
}
