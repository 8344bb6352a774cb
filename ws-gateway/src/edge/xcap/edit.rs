//! Reading and changing one place of a document; every other byte stays as it is.
//!
//! After a change the whole is read again, and the selector has to lead to exactly what was put there, or no longer to anything. So nothing
//! that is not one whole element, or one whole value, comes into a document, whatever it looks like.

use std::ops::Range;

use wasm_core::wire::xml::reader::Limits;
use wasm_core::wire::xml::tree::Node;
use wasm_core::wire::xml::writer::Document;

use super::selector::{Part, Selector, Step};

/// Why a part cannot be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The selector leads to nothing, or to several.
    Nothing,
    /// The element that should hold it is not there.
    NoParent,
    /// The selector would not lead to what was put there.
    CannotInsert,
    /// The selector would lead to something else.
    CannotDelete,
    /// What was given is not one element.
    NoElement,
    /// What was given is no value of an attribute.
    NoValue,
    /// This can only be read.
    ReadOnly,
}

/// A document after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub document: String,
    /// Whether what was put there is new.
    pub created: bool,
}

/// A document that was read.
#[derive(Debug)]
pub struct Source<'a> {
    text: &'a str,
    root: Node,
}

impl<'a> Source<'a> {
    /// Reads a document, which is well-formed since no other is kept.
    pub fn read(text: &'a str) -> Option<Source<'a>> {
        Some(Source { text, root: parse(text)? })
    }

    /// What a selector leads to.
    pub fn get(&self, selector: &Selector) -> Result<String, Fault> {
        let way = selector.find(&self.root).ok_or(Fault::Nothing)?;
        let node = *way.last().ok_or(Fault::Nothing)?;
        match &selector.part {
            Part::Element => Ok(self.text[node.outer.clone()].to_owned()),
            Part::Attribute(name) => Ok(self.text[name.of(node).ok_or(Fault::Nothing)?.inner.clone()].to_owned()),
            Part::Namespaces => Ok(namespaces(&self.text[node.outer.start + 1..node.name_end], &way)),
        }
    }

    /// The document with something in the place that the selector leads to.
    pub fn put(&self, selector: &Selector, given: &str) -> Result<Edited, Fault> {
        match &selector.part {
            Part::Element => self.put_element(selector, given.trim()),
            Part::Attribute(name) => {
                let node = selector.find(&self.root).and_then(|mut way| way.pop()).ok_or(Fault::NoParent)?;
                // The value's own quotes are none of it, but some send them.
                let plain = ['"', '\''].into_iter().find_map(|quote| given.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(given);
                if plain.contains('<') {
                    return Err(Fault::NoValue);
                }
                let value = plain.replace('"', "&quot;").replace('\'', "&apos;");
                let (document, place, created) = match name.of(node) {
                    Some(attribute) => (self.splice(attribute.inner.clone(), &value), attribute.inner.start, false),
                    None => {
                        let colon = if name.prefix.is_empty() { "" } else { ":" };
                        let start = format!(" {}{colon}{}=\"", name.prefix, name.local);
                        (self.splice(node.name_end..node.name_end, &format!("{start}{value}\"")), node.name_end + start.len(), true)
                    }
                };
                let root = parse(&document).ok_or(Fault::NoValue)?;
                let put = selector.find(&root).and_then(|way| Some(name.of(way.last()?)?.inner.clone()));
                // Where the attribute is what the selector goes by, the element is another one now.
                if put != Some(place..place + value.len()) { Err(Fault::CannotInsert) } else { Ok(Edited { document, created }) }
            }
            Part::Namespaces => Err(Fault::ReadOnly),
        }
    }

    fn put_element(&self, selector: &Selector, given: &str) -> Result<Edited, Fault> {
        let found = selector.find(&self.root).and_then(|mut way| way.pop());
        let (document, place) = match found {
            Some(node) => (self.splice(node.outer.clone(), given), node.outer.start),
            None if selector.steps.len() == 1 => return Err(Fault::CannotInsert),
            None => self.insert(selector.parent(&self.root).ok_or(Fault::NoParent)?, &selector.steps[selector.steps.len() - 1], given)?,
        };
        let root = parse(&document).ok_or(Fault::NoElement)?;
        match selector.find(&root).and_then(|mut way| way.pop()) {
            Some(node) if node.outer == (place..place + given.len()) => Ok(Edited { document, created: found.is_none() }),
            _ => Err(Fault::CannotInsert),
        }
    }

    /// Puts a new child into an element: at the place that the step names, else behind the last one of its name, else at the end.
    fn insert(&self, parent: &Node, step: &Step, given: &str) -> Result<(String, usize), Fault> {
        if parent.single {
            let slash = parent.outer.end - 2;
            let name = &self.text[parent.outer.start + 1..parent.name_end];
            return Ok((self.splice(slash..parent.outer.end, &format!(">{given}</{name}>")), slash + 1));
        }
        let mut siblings = parent.children.iter().filter(|child| step.is_named(child));
        let place = match step.position {
            Some(position) => match siblings.clone().nth(position - 1) {
                Some(taken) => taken.outer.start,
                None if siblings.clone().count() == position - 1 => siblings.next_back().map_or(parent.inner.end, |last| last.outer.end),
                None => return Err(Fault::CannotInsert),
            },
            None => siblings.next_back().map_or(parent.inner.end, |last| last.outer.end),
        };
        Ok((self.splice(place..place, given), place))
    }

    /// The document without what a selector leads to.
    pub fn delete(&self, selector: &Selector) -> Result<String, Fault> {
        let node = selector.find(&self.root).and_then(|mut way| way.pop()).ok_or(Fault::Nothing)?;
        let place = match &selector.part {
            Part::Element if selector.steps.len() == 1 => return Err(Fault::CannotDelete),
            Part::Element => node.outer.clone(),
            Part::Attribute(name) => {
                let attribute = name.of(node).ok_or(Fault::Nothing)?;
                let before = &self.text[..attribute.outer.start];
                before.trim_end().len()..attribute.outer.end
            }
            Part::Namespaces => return Err(Fault::ReadOnly),
        };
        let document = self.splice(place, "");
        let root = parse(&document).ok_or(Fault::CannotDelete)?;
        let remains = selector.find(&root).is_some_and(|way| match &selector.part {
            Part::Attribute(name) => way.last().is_some_and(|node| name.of(node).is_some()),
            Part::Element | Part::Namespaces => true,
        });
        if remains { Err(Fault::CannotDelete) } else { Ok(document) }
    }

    fn splice(&self, place: Range<usize>, given: &str) -> String {
        [&self.text[..place.start], given, &self.text[place.end..]].concat()
    }

    /// How many steps of a selector lead somewhere.
    pub fn known_steps(&self, selector: &Selector) -> usize {
        selector.known_steps(&self.root)
    }
}

fn parse(text: &str) -> Option<Node> {
    Node::parse(text, Limits::default()).ok()
}

/// An element's tag with the namespaces that hold in it.
fn namespaces(name: &str, way: &[&Node]) -> String {
    let mut held: Vec<(String, &str)> = Vec::new();
    for (prefix, namespace) in way.iter().flat_map(|node| &node.declared) {
        let key = if prefix.is_empty() { String::from("xmlns") } else { format!("xmlns:{prefix}") };
        held.retain(|(known, _)| *known != key);
        held.extend(namespace.as_ref().map(|namespace| (key, namespace.as_str())));
    }
    let attributes: Vec<(&str, &str)> = held.iter().map(|(key, namespace)| (key.as_str(), *namespace)).collect();
    Document::tag(name, &attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "<?xml version='1.0'?>\n<a  xmlns='urn:d'>\n  <!-- note -->\n  <b id='1' k=\"v\" />\n  <b id='2'>x</b>\n <e/> </a>\n<!-- end -->";

    fn selector(path: &str) -> Selector {
        Selector::parse(path, None, "urn:d").unwrap()
    }

    fn put(path: &str, given: &str) -> Result<Edited, Fault> {
        Source::read(DOCUMENT).unwrap().put(&selector(path), given)
    }

    fn delete(path: &str) -> Result<String, Fault> {
        Source::read(DOCUMENT).unwrap().delete(&selector(path))
    }

    /// R232: one element or attribute is put, and every other byte stays.
    #[test]
    fn a_put_changes_one_place() {
        let edited = |from: &str, to: &str, created| Ok(Edited { document: DOCUMENT.replacen(from, to, 1), created });
        assert_eq!(put("a/b[@id='2']", " <b id='2' ><c/></b>\n"), edited("<b id='2'>x</b>", "<b id='2' ><c/></b>", false));
        assert_eq!(put("a/b[@id='3']", "<b id='3'/>"), edited(">x</b>", ">x</b><b id='3'/>", true));
        assert_eq!(put("a/b[3]", "<b/>"), edited(">x</b>", ">x</b><b/>", true));
        assert_eq!(put("a/b[1][@id='0']", "<b id='0'/>"), edited("<b id='1'", "<b id='0'/><b id='1'", true));
        assert_eq!(put("a/f", "<f>é</f>"), edited("<e/> </a>", "<e/> <f>é</f></a>", true));
        assert_eq!(put("a/e/f", "<f/>"), edited("<e/>", "<e><f/></e>", true));
        assert_eq!(put("a/b[1]/c", "<c/>"), edited("<b id='1' k=\"v\" />", "<b id='1' k=\"v\" ><c/></b>", true));
        assert_eq!(put("a/b[1]/@k", "it's \"&amp;\""), edited("k=\"v\"", "k=\"it&apos;s &quot;&amp;&quot;\"", false));
        assert_eq!(put("a/b[1]/@k", "\"w\""), edited("k=\"v\"", "k=\"w\"", false));
        assert_eq!(put("a/e/@k", ""), edited("<e/>", "<e k=\"\"/>", true));
        assert_eq!(put("a", "<a xmlns='urn:d'/>").unwrap().document, "<?xml version='1.0'?>\n<a xmlns='urn:d'/>\n<!-- end -->");
    }

    /// R232: what would not be found again where it was put is refused.
    #[test]
    fn a_put_that_leads_elsewhere_is_refused() {
        for (path, given, fault) in [
            ("a/b[@id='2']", "<b id='3'/>", Fault::CannotInsert),
            ("a/b[@id='3']", "<b id='2'/>", Fault::CannotInsert),
            ("a/b[@id='3']", "<c id='3'/>", Fault::CannotInsert),
            ("a/b[9]", "<b/>", Fault::CannotInsert),
            ("a/b", "<b/>", Fault::CannotInsert),
            ("a/x/y", "<y/>", Fault::NoParent),
            ("a/x/@y", "1", Fault::NoParent),
            ("z", "<z/>", Fault::CannotInsert),
            ("a/b[@id='1']/@id", "7", Fault::CannotInsert),
            ("a/f", "", Fault::CannotInsert),
            ("a/f", "words", Fault::CannotInsert),
            ("a/f", "<f/><f/>", Fault::CannotInsert),
            ("a/f", "<f/><b id='9'/>", Fault::CannotInsert),
            ("a/f", "<!-- --><f/>", Fault::CannotInsert),
            ("a/f", "<f/></a><!--", Fault::NoElement),
            ("a/b[2]", "<b/></a><a>", Fault::NoElement),
            ("a/f", "<f>", Fault::NoElement),
            ("a/f", "<p:f/>", Fault::NoElement),
            ("a/f", "<f>&x;</f>", Fault::NoElement),
            ("a/f", "<!DOCTYPE f><f/>", Fault::NoElement),
            ("a/b[1]/@k", "<", Fault::NoValue),
            ("a/b[1]/@k", "&x;", Fault::NoValue),
            ("a/b[1]/@k", "\u{1}", Fault::NoValue),
            ("a/namespace::*", "<a/>", Fault::ReadOnly),
        ] {
            assert_eq!(put(path, given), Err(fault), "{path} {given}");
        }
    }

    #[test]
    fn a_delete_takes_one_place() {
        assert_eq!(delete("a/b[@id='1']"), Ok(DOCUMENT.replacen("<b id='1' k=\"v\" />", "", 1)));
        assert_eq!(delete("a/b[1]/@k"), Ok(DOCUMENT.replacen(" k=\"v\"", "", 1)));
        assert_eq!(delete("a/b[2]"), Ok(DOCUMENT.replacen("<b id='2'>x</b>", "", 1)));
        assert_eq!(delete("a/b[1]"), Err(Fault::CannotDelete), "it would lead to the next");
        assert_eq!(delete("a"), Err(Fault::CannotDelete));
        assert_eq!(
            (delete("a/f"), delete("a/e/@k"), delete("a/namespace::*")),
            (Err(Fault::Nothing), Err(Fault::Nothing), Err(Fault::ReadOnly))
        );
    }

    #[test]
    fn parts_are_read() {
        let source = Source::read("<a xmlns='urn:d' xmlns:p='urn:p'><b xmlns:q='u&amp;q' xmlns:p='urn:r' k='&lt;'/></a>").unwrap();
        let get = |path: &str| source.get(&selector(path));
        assert_eq!(get("a/b").unwrap(), "<b xmlns:q='u&amp;q' xmlns:p='urn:r' k='&lt;'/>");
        assert_eq!(get("a/b/@k").unwrap(), "&lt;");
        assert_eq!(get("a/b/namespace::*").unwrap(), "<b xmlns=\"urn:d\" xmlns:q=\"u&amp;q\" xmlns:p=\"urn:r\"/>");
        assert_eq!((get("a/c"), get("a/b/@l")), (Err(Fault::Nothing), Err(Fault::Nothing)));
    }

    proptest::proptest! {
        /// Whatever is put, the document stays well-formed and the rest of it as it was.
        #[test]
        fn no_fragment_comes_out_of_its_place(given in "(</?[abf]( id='[12<&]?')?/?>|<!--|-->|&(lt|x);|[\"'x\u{0}é ]|<!\\[CDATA\\[|\\]\\]>|<\\?){0,6}", path in "a/(b\\[[123]\\]|f|e/f|b\\[1\\]/@k|e/@n)") {
            if let Ok(edited) = put(&path, &given) {
                let source = Source::read(&edited.document).unwrap();
                proptest::prop_assert!(source.get(&selector(&path)).is_ok());
                proptest::prop_assert!(edited.document.starts_with(&DOCUMENT[..58]) && edited.document.ends_with("</a>\n<!-- end -->"));
            }
        }
    }
}
