//! Which part of a document a request is about: the node selector after `~~` [RFC4825 §6.3, §6.4].

use std::borrow::Cow;

use wasm_core::wire::xml::tree::{Attribute, Node, is_name};

/// The longest node selector with its query, in bytes.
pub const LONGEST: usize = 4096;
/// The most steps of a selector: more than any document is deep.
const MOST_STEPS: usize = 16;

/// A node selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The steps to an element, from the outermost.
    pub steps: Vec<Step>,
    /// What of the element is meant.
    pub part: Part,
}

/// What of an element is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The element.
    Element,
    /// An attribute.
    Attribute(Name),
    /// The namespaces that its prefixes stand for.
    Namespaces,
}

/// One element among its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name; nothing for `*`.
    pub name: Option<Name>,
    /// Its place among those of the name, from 1.
    pub position: Option<usize>,
    /// An attribute that it has, with its value.
    pub attribute: Option<(Name, String)>,
}

/// A name with what its prefix stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub prefix: String,
    pub namespace: Option<String>,
    pub local: String,
}

impl Selector {
    /// Reads a selector from the path after `~~/` and the query, both as they came in the URI. Names without a prefix are in `namespace`.
    pub fn parse(path: &str, query: Option<&str>, namespace: &str) -> Option<Selector> {
        if path.len() + query.map_or(0, str::len) > LONGEST {
            return None;
        }
        let bindings = bindings(&decode(query.unwrap_or_default())?)?;
        let name = |text: &str, plain: Option<&str>| {
            let (prefix, local) = text.split_once(':').unwrap_or(("", text));
            let namespace = match prefix {
                "" => plain.map(str::to_owned),
                prefix => Some(bindings.iter().find(|(known, _)| known == prefix)?.1.clone()),
            };
            is_name(local).then(|| Name { prefix: prefix.to_owned(), namespace, local: local.to_owned() })
        };
        let path = decode(path)?;
        let mut parts = split(&path)?;
        let part = match *parts.last()? {
            "namespace::*" => Part::Namespaces,
            last => match last.strip_prefix('@') {
                Some(attribute) => Part::Attribute(name(attribute, None)?),
                None => Part::Element,
            },
        };
        if part != Part::Element {
            parts.pop();
        }
        let step = |text: &str| {
            let (start, mut rest) = text.split_at(text.find('[').unwrap_or(text.len()));
            let mut step =
                Step { name: if start == "*" { None } else { Some(name(start, Some(namespace))?) }, position: None, attribute: None };
            if let Some((digits, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
                && digits.bytes().all(|byte| byte.is_ascii_digit())
            {
                step.position = Some(digits.parse().ok().filter(|position| *position > 0)?);
                rest = after;
            }
            if let Some(test) = rest.strip_prefix("[@") {
                let (key, value) = test.strip_suffix(']')?.split_once('=')?;
                let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
                let value = value[1..].strip_suffix(quote).filter(|value| !value.contains(quote))?;
                step.attribute = Some((name(key, None)?, unescape(value)));
                rest = "";
            }
            rest.is_empty().then_some(step)
        };
        let steps = parts.into_iter().map(step).collect::<Option<Vec<_>>>()?;
        (!steps.is_empty() && steps.len() <= MOST_STEPS).then_some(Selector { steps, part })
    }

    /// The element that the steps lead to, if it is exactly one, and the elements on the way to it.
    pub fn find<'n>(&self, root: &'n Node) -> Option<Vec<&'n Node>> {
        descend(&self.steps, root)
    }

    /// The element in which the last step chooses.
    pub fn parent<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        descend(&self.steps[..self.steps.len() - 1], root)?.pop()
    }

    /// How many of the steps lead somewhere.
    pub fn known_steps(&self, root: &Node) -> usize {
        (0..=self.steps.len()).rev().find(|count| descend(&self.steps[..*count], root).is_some()).unwrap_or(0)
    }
}

fn descend<'n>(steps: &[Step], root: &'n Node) -> Option<Vec<&'n Node>> {
    let mut way = Vec::new();
    let mut candidates = std::slice::from_ref(root);
    for step in steps {
        let node = step.choose(candidates)?;
        way.push(node);
        candidates = &node.children;
    }
    Some(way)
}

impl Step {
    /// The one of these that is meant, if exactly one is.
    fn choose<'n>(&self, candidates: &'n [Node]) -> Option<&'n Node> {
        let named = candidates.iter().filter(|node| self.is_named(node));
        let mut found =
            named.enumerate().filter(|(place, _)| self.position.is_none_or(|position| position == place + 1)).map(|(_, node)| node).filter(
                |node| self.attribute.as_ref().is_none_or(|(name, value)| name.of(node).is_some_and(|found| found.value == *value)),
            );
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether an element has the name of this step.
    pub fn is_named(&self, node: &Node) -> bool {
        self.name.as_ref().is_none_or(|name| name.local == node.name && name.namespace.as_deref() == node.namespace.as_deref())
    }
}

impl Name {
    /// The attribute of this name.
    pub fn of<'n>(&self, node: &'n Node) -> Option<&'n Attribute> {
        let same = |attribute: &&Attribute| attribute.name == self.local && attribute.namespace.as_deref() == self.namespace.as_deref();
        node.attributes.iter().find(same)
    }
}

/// The steps of a path; a slash within quotes separates nothing.
fn split(path: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, character) in path.char_indices() {
        match (quote, character) {
            (None, '/') => {
                parts.push(&path[start..at]);
                start = at + 1;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), character) if open == character => quote = None,
            _ => {}
        }
    }
    parts.push(&path[start..]);
    quote.is_none().then_some(parts)
}

/// The prefixes of a query: `xmlns(a=urn:one)xmlns(b=urn:two)`. Schemes that are not known are passed over.
fn bindings(query: &str) -> Option<Vec<(String, String)>> {
    let mut bindings = Vec::new();
    let mut rest = query;
    while !rest.is_empty() {
        let (scheme, after) = rest.split_once('(')?;
        let (data, after) = after.split_once(')')?;
        if scheme.trim() == "xmlns" {
            let (prefix, namespace) = data.split_once('=')?;
            bindings.push((prefix.trim().to_owned(), namespace.trim().to_owned()));
        }
        rest = after;
    }
    Some(bindings)
}

/// The text of a part of a URI.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'%' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                rest = &rest[2..];
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A value as it is compared: without references.
fn unescape(value: &str) -> String {
    value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use wasm_core::wire::xml::reader::Limits;

    use super::*;

    const DOCUMENT: &str = "<a xmlns='urn:d' xmlns:p='urn:p'><b id='1'/><c/><b id='2' p:id='9'><d>x</d></b><p:b id='a/b]'/><b id='2'/></a>";

    fn parse(path: &str, query: &str) -> Option<Selector> {
        Selector::parse(path, Some(query), "urn:d")
    }

    /// R232: names, places, attributes and prefixes choose one element.
    #[test]
    fn a_selector_leads_to_one_element() {
        let root = Node::parse(DOCUMENT, Limits::SMALL).unwrap();
        let found = |path: &str, query: &str| {
            let selector = parse(path, query).unwrap_or_else(|| panic!("{path}"));
            selector.find(&root).and_then(|mut way| way.pop()).map(|node| &DOCUMENT[node.outer.clone()])
        };
        assert_eq!(found("a", ""), Some(DOCUMENT));
        assert_eq!(found("*", ""), Some(DOCUMENT));
        assert_eq!(found("a/c", ""), Some("<c/>"));
        assert_eq!(found("a/*[2]", ""), Some("<c/>"));
        assert_eq!(found("a/b[1]", ""), Some("<b id='1'/>"));
        assert_eq!(found("a/b%5b@id=%221%22%5D", ""), Some("<b id='1'/>"));
        assert_eq!(found("a/b[@id='1']", ""), Some("<b id='1'/>"));
        assert_eq!(found("a/b[2][@id='2']/d", ""), Some("<d>x</d>"));
        assert_eq!(found("a/b[@q:id='9']/d", "xmlns(q=urn:p)"), Some("<d>x</d>"));
        assert_eq!(found("a/q:b", "xmlns(x=urn:x)%20xmlns(q=urn:p)"), Some("<p:b id='a/b]'/>"));
        assert_eq!(found("a/q:b[@id=\"a/b]\"]", "xmlns(q=urn:p)"), Some("<p:b id='a/b]'/>"));
        for nothing in ["b", "a/b", "a/b[@id='2']", "a/b[9]", "a/b[1][@id='2']", "a/x", "a/c/d"] {
            assert_eq!(found(nothing, ""), None, "{nothing}");
        }
        assert_eq!(parse("a/b[1]/@id", "").unwrap().part, Part::Attribute(Name { prefix: "".into(), namespace: None, local: "id".into() }));
        assert_eq!(parse("a/namespace::*", "").unwrap().part, Part::Namespaces);
        assert_eq!(parse("a/b[@id='&lt;&amp;lt;']", "").unwrap().steps[1].attribute.as_ref().unwrap().1, "<&lt;");
        assert_eq!(parse("a/x/y/z", "").unwrap().known_steps(&root), 1);
    }

    #[test]
    fn what_is_no_selector_is_none() {
        for path in [
            "",
            "/",
            "a/",
            "a//b",
            "@id",
            "namespace::*",
            "a[",
            "a[0]",
            "a[1",
            "a[1]x",
            "a[@b]",
            "a[@b=1]",
            "a[@b='1]",
            "a[@b='1'",
            "a[@b='1'][1]",
            "q:a",
            "1",
            "a/@1",
            "a/@b/c",
            "a/..",
            "a%",
            "a%zz",
            "%ff",
            "a/text()",
            "a[99999999999999999999]",
            "a[@b='1'2']",
        ] {
            assert_eq!(parse(path, ""), None, "{path}");
        }
        assert_eq!(parse(&"a/".repeat(20), ""), None);
        assert_eq!(parse(&"a".repeat(LONGEST + 1), ""), None);
        for query in ["xmlns", "xmlns(a", "xmlns(a)", "x)"] {
            assert_eq!(parse("a", query), None, "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_selector_is_too_strange(path in "[a-c/@\\[\\]='\"*1:%2F&é]{0,20}", query in "(xmlns)?[()=a%2]{0,8}") {
            let root = Node::parse(DOCUMENT, Limits::SMALL).unwrap();
            if let Some(selector) = parse(&path, &query) {
                let _ = (selector.find(&root), selector.parent(&root), selector.known_steps(&root));
            }
        }
    }
}
