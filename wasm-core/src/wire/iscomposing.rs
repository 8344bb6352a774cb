//! Typing indications, `application/im-iscomposing+xml` [RFC3994].
//!
//! Only the document; the idle and refresh timers are the client engine's.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::xml::reader::{Limits, Reader};
use super::xml::writer::Document;
use super::xml::{Fault, XmlError};
use crate::{Text, Time};

/// The media type of an indication.
pub const MEDIA_TYPE: &str = "application/im-iscomposing+xml";

/// The namespace of the document's elements.
pub const XML_NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// Whether the other side is writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsComposing {
    /// Writing or not.
    pub state: State,
    /// After how many seconds an active state ends that is not repeated.
    pub refresh: Option<u32>,
    /// When something was last written.
    pub last_active: Option<Time>,
    /// The media type of what is being written.
    pub content_type: Option<Text>,
}

/// The two states of a composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Something is being written.
    Active,
    /// Nothing is.
    Idle,
}

impl IsComposing {
    /// An indication that something is being written, good for this many seconds.
    pub fn active(refresh: u32) -> Self {
        IsComposing { state: State::Active, refresh: Some(refresh), last_active: None, content_type: None }
    }

    /// An indication that nothing is being written any more.
    pub fn idle() -> Self {
        IsComposing { state: State::Idle, refresh: None, last_active: None, content_type: None }
    }

    /// Reads a document. A state that is neither of the two counts as idle [RFC3994 §3.3].
    pub fn parse(document: &[u8]) -> Result<IsComposing, XmlError> {
        let mut xml = Reader::new(document, Limits::SMALL)?;
        xml.root(XML_NAMESPACE, "isComposing")?;
        let (mut state, mut refresh, mut last_active, mut content_type) = (None, None, None, None);
        while let Some(element) = xml.child()? {
            match element.name() {
                _ if !element.within(XML_NAMESPACE) => xml.skip()?,
                "state" => state = Some(if xml.token()?.eq_ignore_ascii_case("active") { State::Active } else { State::Idle }),
                "refresh" => refresh = xml.token()?.parse().ok(),
                "lastactive" => last_active = Time::parse_rfc3339(&xml.token()?),
                "contenttype" => content_type = Some(xml.token()?).filter(|text| !text.is_empty()),
                _ => xml.skip()?,
            }
        }
        let state = state.ok_or_else(|| xml.fault(Fault::Missing("state")))?;
        Ok(IsComposing { state, refresh, last_active, content_type })
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        xml.open("isComposing", &[("xmlns", XML_NAMESPACE)]);
        xml.leaf(
            "state",
            &[],
            match self.state {
                State::Active => "active",
                State::Idle => "idle",
            },
        );
        if let Some(content_type) = &self.content_type {
            xml.leaf("contenttype", &[], content_type);
        }
        if let Some(last_active) = self.last_active {
            xml.leaf("lastactive", &[], &last_active.to_rfc3339());
        }
        if let Some(refresh) = self.refresh {
            xml.leaf("refresh", &[], &refresh.to_string());
        }
        xml.close("isComposing");
        xml.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// R319: typing of other clients is understood.
    #[test]
    fn indications_of_other_clients_are_read() {
        let document = br#"<?xml version="1.0" encoding="UTF-8"?>
            <isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
                xsi:schemaLocation="urn:ietf:params:xml:ns:im-composing iscomposing.xsd">
              <state>active</state><contenttype>text/plain</contenttype><lastactive>2003-01-27T10:43:00Z</lastactive><refresh>90</refresh>
              <mood xmlns="urn:x">good</mood>
            </isComposing>"#;
        let composing = IsComposing::parse(document).unwrap();
        assert_eq!((composing.state, composing.refresh, composing.content_type.as_deref()), (State::Active, Some(90), Some("text/plain")));
        assert_eq!(composing.last_active, Time::parse_rfc3339("2003-01-27T10:43:00Z"));
        let other = IsComposing::parse(b"<isComposing><state>thinking</state><refresh>-1</refresh></isComposing>");
        assert_eq!(other, Ok(IsComposing::idle()));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for document in ["", "<isComposing/>", "<composing><state>idle</state></composing>", "<isComposing><state>active</state>"] {
            assert!(IsComposing::parse(document.as_bytes()).is_err(), "{document}");
        }
    }

    proptest! {
        #[test]
        fn indications_print_and_read_back(
            active in any::<bool>(), refresh in any::<Option<u32>>(), date in option::of(0u64..253_402_300_799_999), kind in option::of("[!-~]{1,9}"),
        ) {
            let state = if active { State::Active } else { State::Idle };
            let composing = IsComposing { state, refresh, last_active: date.map(Time), content_type: kind.map(Text::from) };
            prop_assert_eq!(IsComposing::parse(&composing.encode()), Ok(composing));
        }
    }
}
