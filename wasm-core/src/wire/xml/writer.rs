//! Printing a document through `quick-xml`'s writer, which does all the escaping.
//!
//! Characters that XML cannot hold at all, such as most controls, are written as U+FFFD.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::reader::allowed;

/// A document that is being written.
pub struct Document {
    writer: Writer<Vec<u8>>,
}

/// The attributes of an element to be written: names with their prefixes, and plain values.
pub type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Document {
    /// A document that holds only its declaration.
    pub fn new() -> Self {
        let mut document = Document { writer: Writer::new(Vec::with_capacity(512)) };
        document.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        document
    }

    /// An element without content, as a fragment of its own.
    pub fn tag(name: &str, attributes: Attributes<'_>) -> String {
        let mut fragment = Document { writer: Writer::new(Vec::new()) };
        fragment.empty(name, attributes);
        String::from_utf8(fragment.writer.into_inner()).unwrap_or_default()
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        let start = start(name, attributes);
        self.event(Event::Start(start));
    }

    /// Closes an element that was opened by this name.
    pub fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element without content.
    pub fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        let start = start(name, attributes);
        self.event(Event::Empty(start));
    }

    /// An element that holds text.
    pub fn leaf(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        self.open(name, attributes);
        self.event(Event::Text(BytesText::new(&printable(text))));
        self.close(name);
    }

    /// The whole document.
    pub fn finish(self) -> Bytes {
        Bytes::from(self.writer.into_inner())
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("a vector takes every write");
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Default for Document {
    fn default() -> Self {
        Document::new()
    }
}

fn start<'a>(name: &'a str, attributes: Attributes<'_>) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, &*printable(value)));
    }
    start
}

fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(allowed) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|character| if allowed(character) { character } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader::{Limits, Reader};
    use super::*;

    proptest! {
        #[test]
        fn texts_and_attributes_read_back(text in ".{0,40}", value in ".{0,40}") {
            let mut document = Document::new();
            document.leaf("a", &[("k", &value)], &text);
            let bytes = document.finish();
            let mut reader = Reader::new(&bytes, Limits::SMALL).unwrap();
            let root = reader.root("", "a").unwrap();
            prop_assert_eq!(root.attribute("k").unwrap(), printable(&value));
            prop_assert_eq!(reader.text().unwrap(), printable(&text));
        }
    }
}
