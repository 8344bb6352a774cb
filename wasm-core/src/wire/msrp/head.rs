//! What precedes the body of a frame: the start line, the two paths and the other header fields [RFC4975 §9].

use std::fmt;
use std::ops::Deref;

use memchr::memchr;
use smallvec::SmallVec;

use super::{ByteRange, FailureReport, Fault, Limits, MsrpError, MsrpUri, Status};
use crate::Text;
use crate::wire::mime::Field;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A chunk of a message.
    Send,
    /// What became of a message.
    Report,
    /// A request to a relay [RFC4976].
    Auth,
    /// A name in a group [RFC7701].
    Nickname,
    /// Something else.
    Other(Text),
}

impl Method {
    /// The word of the start line.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Send => "SEND",
            Method::Report => "REPORT",
            Method::Auth => "AUTH",
            Method::Nickname => "NICKNAME",
            Method::Other(word) => word,
        }
    }
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request(Method),
    /// A response, and what its writer says of it.
    Response(Status, Option<Text>),
}

/// How a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the message is whole.
    Complete,
    /// `+`: more of the message follows in another frame.
    Continued,
    /// `#`: the message will not be finished.
    Aborted,
}

impl Flag {
    /// The last character of the end-line.
    pub fn byte(self) -> u8 {
        match self {
            Flag::Complete => b'$',
            Flag::Continued => b'+',
            Flag::Aborted => b'#',
        }
    }

    pub(super) fn parse(byte: u8) -> Option<Flag> {
        [Flag::Complete, Flag::Continued, Flag::Aborted].into_iter().find(|flag| flag.byte() == byte)
    }
}

/// The URIs that a request passes, the nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(SmallVec<[MsrpUri; 1]>);

impl Path {
    /// Reads URIs between white space, at least one and at most `hops`.
    pub fn parse(text: &Text, hops: usize) -> Result<Path, Fault> {
        let mut uris = SmallVec::new();
        for word in text.split([' ', '\t']).filter(|word| !word.is_empty()) {
            if uris.len() == hops {
                return Err(Fault::TooLarge);
            }
            uris.push(MsrpUri::parse(&text.slice_of(word))?);
        }
        if uris.is_empty() { Err(Fault::Path) } else { Ok(Path(uris)) }
    }

    /// The next hop.
    pub fn first(&self) -> &MsrpUri {
        &self.0[0]
    }

    /// The end of the way.
    pub fn last(&self) -> &MsrpUri {
        &self.0[self.0.len() - 1]
    }
}

impl From<MsrpUri> for Path {
    fn from(uri: MsrpUri) -> Self {
        Path(SmallVec::from_buf([uri]))
    }
}

impl Deref for Path {
    type Target = [MsrpUri];

    fn deref(&self) -> &[MsrpUri] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, uri) in self.0.iter().enumerate() {
            write!(f, "{}{uri}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// A frame without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which request and response belong together.
    pub transaction: Text,
    /// What the frame is.
    pub start: Start,
    /// Where it goes.
    pub to: Path,
    /// Where it comes from.
    pub from: Path,
    /// All other header fields in their order.
    pub fields: Vec<Field>,
}

impl Head {
    /// The value of the first field by this name.
    pub fn field(&self, name: &str) -> Option<&Text> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| &field.value)
    }

    /// Which message a SEND or REPORT is about.
    pub fn message_id(&self) -> Option<&Text> {
        self.field("Message-ID").filter(|id| is_ident(id))
    }

    /// Which of its bytes, or [`ByteRange::OPEN`] where nothing is said [RFC4975 §7.3.1].
    pub fn byte_range(&self) -> Result<ByteRange, Fault> {
        self.field("Byte-Range").map_or(Ok(ByteRange::OPEN), |value| ByteRange::parse(value))
    }

    /// Whether the sender wants to hear of its success.
    pub fn success_report(&self) -> Result<bool, Fault> {
        match self.field("Success-Report").map(|value| value.trim().to_ascii_lowercase()).as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(_) => Err(Fault::Value),
        }
    }

    /// What the sender wants to hear of its failure.
    pub fn failure_report(&self) -> Result<FailureReport, Fault> {
        self.field("Failure-Report").map_or(Ok(FailureReport::Yes), |value| FailureReport::parse(value))
    }

    /// What a REPORT says.
    pub fn status(&self) -> Result<Status, Fault> {
        self.field("Status").map_or(Err(Fault::Value), |value| Status::parse_field(value))
    }

    /// The media type of the body, with its parameters.
    pub fn content_type(&self) -> Option<&Text> {
        self.field("Content-Type")
    }

    /// Reads the lines before the body or the end-line, each with its line break.
    pub(super) fn parse(lines: &[u8], limits: &Limits) -> Result<Head, MsrpError> {
        let text = std::str::from_utf8(lines).map_err(|error| MsrpError { fault: Fault::Encoding, offset: error.valid_up_to() })?;
        let text = Text::from(text);
        let (mut start, mut to, mut from) = (None, None, None);
        let mut fields = Vec::with_capacity(6);
        let mut offset = 0;
        while let Some(length) = memchr(b'\n', &text.as_bytes()[offset..]) {
            let at = |fault| MsrpError { fault, offset };
            let line = text[offset..offset + length].strip_suffix('\r').filter(|line| is_text(line)).ok_or(at(Fault::Encoding))?;
            if start.is_none() {
                start = Some(start_line(&text, line).ok_or(at(Fault::StartLine))?);
            } else {
                let colon = memchr(b':', line.as_bytes()).filter(|colon| is_token(&line[..*colon])).ok_or(at(Fault::Field))?;
                let (name, value) = (&line[..colon], text.slice_of(line[colon + 1..].trim_matches([' ', '\t'])));
                let path = match name {
                    name if name.eq_ignore_ascii_case("To-Path") => Some(&mut to),
                    name if name.eq_ignore_ascii_case("From-Path") => Some(&mut from),
                    _ => None,
                };
                match path {
                    Some(Some(_)) => return Err(at(Fault::Path)),
                    Some(path) => *path = Some(Path::parse(&value, limits.hops).map_err(at)?),
                    None if fields.len() == limits.fields => return Err(at(Fault::TooLarge)),
                    None => fields.push(Field { name: text.slice_of(name), value }),
                }
            }
            offset += length + 1;
        }
        match (start, to, from) {
            (Some((transaction, start)), Some(to), Some(from)) => Ok(Head { transaction, start, to, from, fields }),
            (None, ..) => Err(MsrpError { fault: Fault::StartLine, offset }),
            (Some(_), ..) => Err(MsrpError { fault: Fault::Path, offset }),
        }
    }
}

/// Whether a line holds no control characters but tabs. Without an early end, so that it takes many bytes at once.
fn is_text(line: &str) -> bool {
    line.bytes().fold(true, |sound, byte| sound & ((byte >= b' ') & (byte != 0x7f) | (byte == b'\t')))
}

/// The transaction and what the frame is.
fn start_line(text: &Text, line: &str) -> Option<(Text, Start)> {
    let (transaction, rest) = line.strip_prefix("MSRP ")?.split_once(' ')?;
    if !is_ident(transaction) {
        return None;
    }
    let (word, comment) = rest.split_once(' ').map_or((rest, None), |(word, comment)| (word, Some(comment)));
    let start = match (Status::parse(word), comment) {
        (Some(status), comment) => {
            Start::Response(status, comment.filter(|comment| !comment.is_empty()).map(|comment| text.slice_of(comment)))
        }
        (None, Some(_)) => return None,
        (None, None) => Start::Request(match word {
            "SEND" => Method::Send,
            "REPORT" => Method::Report,
            "AUTH" => Method::Auth,
            "NICKNAME" => Method::Nickname,
            other if !other.is_empty() && other.bytes().all(|byte| byte.is_ascii_uppercase()) => Method::Other(text.slice_of(other)),
            _ => return None,
        }),
    };
    Some((text.slice_of(transaction), start))
}

/// An `ident` [RFC4975 §9].
pub(super) fn is_ident(word: &str) -> bool {
    (4..=32).contains(&word.len())
        && word.as_bytes()[0].is_ascii_alphanumeric()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+%=".contains(&byte))
}

fn is_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
