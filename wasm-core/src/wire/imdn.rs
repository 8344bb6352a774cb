//! Instant message disposition notifications, `message/imdn+xml` [RFC5438].
//!
//! A [`Notification`] says what became of one message; [`Wants`] is what its sender asked to be told. The header names that carry the
//! request in CPIM are in [`super::cpim`]. What a report does to a message's receipt is decided in `cpm::receipt`.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::xml::reader::{Limits, Reader};
use super::xml::writer::Document;
use super::xml::{Fault, XmlError};
use crate::{Text, Time};

/// The media type of a notification.
pub const MEDIA_TYPE: &str = "message/imdn+xml";

/// The namespace of the document's elements.
pub const XML_NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// What became of a message, as its recipient or a server on the way says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The identifier of the message that this is about.
    pub message_id: Text,
    /// When that message was sent.
    pub date: Option<Time>,
    /// The address that it reached, as a URI.
    pub recipient: Option<Text>,
    /// The address that it was first sent to, as a URI.
    pub original: Option<Text>,
    /// The subject of that message.
    pub subject: Option<Text>,
    /// What became of it.
    pub report: Report,
}

/// One kind of report with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// Whether it reached a device.
    Delivery(Delivery),
    /// What a server on the way did with it.
    Processing(Processing),
    /// Whether its user has seen it.
    Display(Display),
}

/// Outcomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// A device has it.
    Delivered,
    /// No device will get it.
    Failed,
    /// The recipient does not allow delivery notifications.
    Forbidden,
    /// The outcome cannot be told.
    Error,
}

/// Outcomes of processing by a server on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Processing {
    /// It went on its way.
    Processed,
    /// It is kept for later.
    Stored,
    /// Processing notifications are not allowed.
    Forbidden,
    /// The outcome cannot be told.
    Error,
}

/// Outcomes of a display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Display {
    /// The user has seen it.
    Displayed,
    /// The recipient does not allow display notifications.
    Forbidden,
    /// The outcome cannot be told.
    Error,
}

impl Report {
    /// Every report that the format has.
    pub const ALL: [Report; 11] = [
        Report::Delivery(Delivery::Delivered),
        Report::Delivery(Delivery::Failed),
        Report::Delivery(Delivery::Forbidden),
        Report::Delivery(Delivery::Error),
        Report::Processing(Processing::Processed),
        Report::Processing(Processing::Stored),
        Report::Processing(Processing::Forbidden),
        Report::Processing(Processing::Error),
        Report::Display(Display::Displayed),
        Report::Display(Display::Forbidden),
        Report::Display(Display::Error),
    ];

    /// The element of the report and the element of its status.
    fn elements(self) -> (&'static str, &'static str) {
        match self {
            Report::Delivery(status) => (
                "delivery-notification",
                match status {
                    Delivery::Delivered => "delivered",
                    Delivery::Failed => "failed",
                    Delivery::Forbidden => "forbidden",
                    Delivery::Error => "error",
                },
            ),
            Report::Processing(status) => (
                "processing-notification",
                match status {
                    Processing::Processed => "processed",
                    Processing::Stored => "stored",
                    Processing::Forbidden => "forbidden",
                    Processing::Error => "error",
                },
            ),
            Report::Display(status) => (
                "display-notification",
                match status {
                    Display::Displayed => "displayed",
                    Display::Forbidden => "forbidden",
                    Display::Error => "error",
                },
            ),
        }
    }

    fn from_elements(kind: &str, status: &str) -> Option<Report> {
        Report::ALL.into_iter().find(|report| report.elements() == (kind, status))
    }
}

impl Notification {
    /// A notification that says no more than it must.
    pub fn new(message_id: Text, report: Report) -> Self {
        Notification { message_id, date: None, recipient: None, original: None, subject: None, report }
    }

    /// Reads a document. Elements that the format does not know are passed over; a date that is none is left out.
    pub fn parse(document: &[u8]) -> Result<Notification, XmlError> {
        let mut xml = Reader::new(document, Limits::SMALL)?;
        xml.root(XML_NAMESPACE, "imdn")?;
        let (mut message_id, mut date, mut recipient, mut original, mut subject, mut report) = (None, None, None, None, None, None);
        while let Some(element) = xml.child()? {
            match element.name() {
                _ if !element.within(XML_NAMESPACE) => xml.skip()?,
                "message-id" => message_id = Some(xml.token()?),
                "datetime" => date = Time::parse_rfc3339(&xml.token()?),
                "recipient-uri" => recipient = present(xml.token()?),
                "original-recipient-uri" => original = present(xml.token()?),
                "subject" => subject = present(xml.token()?),
                kind @ ("delivery-notification" | "processing-notification" | "display-notification") => {
                    report = parse_status(&mut xml, kind)?.or(report);
                }
                _ => xml.skip()?,
            }
        }
        let message_id = message_id.and_then(present).ok_or_else(|| xml.fault(Fault::Missing("message-id")))?;
        let report = report.ok_or_else(|| xml.fault(Fault::Missing("status")))?;
        Ok(Notification { message_id, date, recipient, original, subject, report })
    }

    /// Prints the document.
    pub fn encode(&self) -> Bytes {
        let mut xml = Document::new();
        xml.open("imdn", &[("xmlns", XML_NAMESPACE)]);
        xml.leaf("message-id", &[], &self.message_id);
        if let Some(date) = self.date {
            xml.leaf("datetime", &[], &date.to_rfc3339());
        }
        let optional = [("recipient-uri", &self.recipient), ("original-recipient-uri", &self.original), ("subject", &self.subject)];
        for (name, value) in optional {
            if let Some(value) = value {
                xml.leaf(name, &[], value);
            }
        }
        let (kind, status) = self.report.elements();
        xml.open(kind, &[]);
        xml.open("status", &[]);
        xml.empty(status, &[]);
        xml.close("status");
        xml.close(kind);
        xml.close("imdn");
        xml.finish()
    }
}

/// The status within a report's element, if it is one that the report can have.
fn parse_status(xml: &mut Reader<'_>, kind: &str) -> Result<Option<Report>, XmlError> {
    let mut report = None;
    while let Some(element) = xml.child()? {
        if element.name() != "status" {
            xml.skip()?;
            continue;
        }
        while let Some(status) = xml.child()? {
            report = report.or(Report::from_elements(kind, status.name()));
            xml.skip()?;
        }
    }
    Ok(report)
}

fn present(text: Text) -> Option<Text> {
    (!text.is_empty()).then_some(text)
}

/// Which notifications a sender asks for: the value of CPIM's `imdn.Disposition-Notification`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wants {
    /// `positive-delivery`: when a device has it.
    pub delivered: bool,
    /// `negative-delivery`: when no device will get it.
    pub failed: bool,
    /// `display`: when its user has seen it.
    pub displayed: bool,
}

impl Wants {
    /// Nothing: what automatic messages ask for.
    pub const NOTHING: Wants = Wants { delivered: false, failed: false, displayed: false };

    /// Everything: what a person's message asks for.
    pub const ALL: Wants = Wants { delivered: true, failed: true, displayed: true };

    /// Reads the header's value. Words and parameters that are not known ask for nothing.
    pub fn parse(value: &str) -> Wants {
        let mut wants = Wants::NOTHING;
        for word in value.split(',') {
            let word = word.split(';').next().unwrap_or_default().trim();
            if word.eq_ignore_ascii_case("positive-delivery") {
                wants.delivered = true;
            } else if word.eq_ignore_ascii_case("negative-delivery") {
                wants.failed = true;
            } else if word.eq_ignore_ascii_case("display") {
                wants.displayed = true;
            }
        }
        wants
    }

    /// Whether nothing is asked for; then the header is left out.
    pub fn is_nothing(self) -> bool {
        self == Wants::NOTHING
    }
}

impl fmt::Display for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.delivered, "positive-delivery"), (self.failed, "negative-delivery"), (self.displayed, "display")];
        let mut separator = "";
        for (_, word) in words.iter().filter(|(wanted, _)| *wanted) {
            f.write_str(separator)?;
            f.write_str(word)?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// R054, R059: notifications of other clients are read, whatever their layout and prefix.
    #[test]
    fn notifications_of_other_clients_are_read() {
        let full = r#"<?xml version="1.0" encoding="UTF-8"?>
            <imdn xmlns="urn:ietf:params:xml:ns:imdn">
              <message-id>34jk324j</message-id><datetime>2008-04-04T12:16:49-05:00</datetime>
              <recipient-uri>im:bob@example.com</recipient-uri><original-recipient-uri>im:bob_original@example.com</original-recipient-uri>
              <display-notification><status><displayed/></status><note xmlns="urn:n"/></display-notification>
              <extension><message-id>no</message-id></extension>
            </imdn>"#;
        let notification = Notification::parse(full.as_bytes()).unwrap();
        assert_eq!(notification.message_id, "34jk324j");
        assert_eq!(notification.recipient.as_deref(), Some("im:bob@example.com"));
        assert_eq!(notification.date, Time::parse_rfc3339("2008-04-04T17:16:49Z"));
        assert_eq!(notification.report, Report::Display(Display::Displayed));
        for short in [
            "<imdn><message-id> 1\n</message-id><delivery-notification><status><delivered></delivered></status></delivery-notification></imdn>",
            "<i:imdn xmlns:i='urn:ietf:params:xml:ns:imdn'><i:message-id>1</i:message-id><i:datetime>then</i:datetime><i:subject/>\
             <i:delivery-notification><i:status><i:delivered/></i:status></i:delivery-notification></i:imdn>",
        ] {
            let wanted = Notification::new(Text::from("1"), Report::Delivery(Delivery::Delivered));
            assert_eq!(Notification::parse(short.as_bytes()), Ok(wanted), "{short}");
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        let status = "<delivery-notification><status><delivered/></status></delivery-notification>";
        for (inside, fault) in [
            (status.to_owned(), Fault::Missing("message-id")),
            (format!("<message-id> </message-id>{status}"), Fault::Missing("message-id")),
            ("<message-id>1</message-id>".to_owned(), Fault::Missing("status")),
            (
                "<message-id>1</message-id><delivery-notification><status><displayed/></status></delivery-notification>".to_owned(),
                Fault::Missing("status"),
            ),
            ("<message-id>&x;</message-id>".to_owned(), Fault::Entity),
            ("<message-id>1</message-id><a>".repeat(20), Fault::TooDeep),
        ] {
            let document = format!("<imdn>{inside}</imdn>");
            assert_eq!(Notification::parse(document.as_bytes()).unwrap_err().fault, fault, "{document}");
        }
        let whole = Notification::new(Text::from("1"), Report::Display(Display::Error)).encode();
        for length in 0..whole.len() {
            assert!(Notification::parse(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn wishes_are_words() {
        assert_eq!(Wants::ALL.to_string(), "positive-delivery, negative-delivery, display");
        assert_eq!(
            Wants::parse("Display ; x=y,interworking,,positive-delivery"),
            Wants { delivered: true, failed: false, displayed: true }
        );
    }

    proptest! {
        #[test]
        fn notifications_print_and_read_back(
            id in "[!-~é]{1,24}",
            date in option::of(0u64..253_402_300_799_999),
            recipient in option::of("[!-~]{1,24}"),
            original in option::of("[!-~]{1,24}"),
            subject in option::of("[!-~é][ -~é]{0,12}[!-~é]"),
            report in select(&Report::ALL[..]),
        ) {
            let text = |text: Option<String>| text.map(Text::from);
            let notification = Notification {
                message_id: Text::from(id),
                date: date.map(Time),
                recipient: text(recipient),
                original: text(original),
                subject: text(subject),
                report,
            };
            prop_assert_eq!(Notification::parse(&notification.encode()), Ok(notification));
        }

        #[test]
        fn wishes_print_and_read_back(delivered in any::<bool>(), failed in any::<bool>(), displayed in any::<bool>()) {
            let wants = Wants { delivered, failed, displayed };
            prop_assert_eq!(Wants::parse(&wants.to_string()), wants);
        }
    }
}
