//! MIME parts [RFC2045]: a few header fields and a body.
//!
//! A part is what CPIM wraps and what a [`multipart`] body is made of. Fields keep their order and their names as they came; a folded
//! field is unfolded. The body is sliced, never copied; [`transfer`] undoes its encoding where somebody wants to read it.

pub mod multipart;
mod transfer;

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::sip::{ContentType, TypedHeader};
use crate::Text;

/// At most so many lines of header fields in one part.
pub const MAX_FIELDS: usize = 64;

/// At most so many bytes of header fields in one part.
pub const MAX_HEAD: usize = 16 * 1024;

/// Why a body was refused, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}")]
pub struct MimeError {
    /// What is wrong.
    pub fault: Fault,
    /// Where it was noticed.
    pub offset: usize,
}

/// What can be wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Larger, or of more pieces, than the limits allow.
    #[error("a part is too large")]
    TooLarge,
    /// The header fields are not UTF-8, or hold control characters.
    #[error("a header field is not text")]
    Encoding,
    /// A line among the header fields is none.
    #[error("a line is not a header field")]
    Field,
    /// The end came before the header fields ended.
    #[error("a part ends too early")]
    Truncated,
    /// The boundary between the parts is missing or impossible.
    #[error("there is no such boundary")]
    Boundary,
    /// The transfer encoding is not known, or was not kept to.
    #[error("the transfer encoding is not understood")]
    Transfer,
}

/// A header field of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it came; names are compared without case.
    pub name: Text,
    /// The value without the white space around it.
    pub value: Text,
}

/// Header fields and a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The header fields in their order.
    pub fields: Vec<Field>,
    /// The body as it travels, in whatever transfer encoding the fields say.
    pub body: Bytes,
}

impl Part {
    /// A part of this type.
    pub fn new(content_type: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        let mut part = Part { fields: Vec::with_capacity(2), body: body.into() };
        part.set("Content-Type", content_type);
        part
    }

    /// A plain text.
    pub fn text(text: &str) -> Self {
        Part::new("text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The value of the first field by this name.
    pub fn field(&self, name: &str) -> Option<&Text> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| &field.value)
    }

    /// Replaces the field by this name, or adds it.
    pub fn set(&mut self, name: &str, value: impl Into<Text>) {
        let value = value.into();
        match self.fields.iter_mut().find(|field| field.name.eq_ignore_ascii_case(name)) {
            Some(field) => field.value = value,
            None => self.fields.push(Field { name: Text::from(name), value }),
        }
    }

    /// The media type with its parameters, where it can be read; `text/plain` where none is said [RFC2045 §5.2].
    pub fn content_type(&self) -> Option<ContentType> {
        match self.field("Content-Type") {
            Some(value) => ContentType::parse(value).ok(),
            None => Some(ContentType::new("text", "plain")),
        }
    }

    /// The media type without its parameters; `text/plain` where none is said [RFC2045 §5.2].
    pub fn media_type(&self) -> &str {
        let value = self.field("Content-Type").map_or("text/plain", |value| value.as_str());
        value.split(';').next().unwrap_or_default().trim()
    }

    /// Whether the media type is this one.
    pub fn is(&self, media_type: &str) -> bool {
        self.media_type().eq_ignore_ascii_case(media_type)
    }

    /// Reads a part of which nothing is known but where it ends.
    pub fn parse(input: &Bytes) -> Result<Part, MimeError> {
        let (fields, body) = parse_head(input, 0)?;
        Ok(Part { fields, body: input.slice(body..) })
    }

    /// Prints the fields, the empty line and the body.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        for field in &self.fields {
            out.extend_from_slice(field.name.as_bytes());
            out.extend_from_slice(b": ");
            // A line break in a value would begin a field of its own.
            out.extend(field.value.bytes().map(|byte| if byte.is_ascii_control() && byte != b'\t' { b' ' } else { byte }));
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value)
    }
}

/// Whether a text holds a control character other than the tab.
pub(super) fn has_control(text: &str) -> bool {
    // Only a text that is not ASCII can hold the controls beyond it.
    text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
        || !text.is_ascii() && text.chars().any(|c| c.is_control() && c != '\t')
}

/// Reads the header fields that begin at `start`, and says where the body begins. Fields up to the end of the input have an empty body.
pub(super) fn parse_head(input: &[u8], start: usize) -> Result<(Vec<Field>, usize), MimeError> {
    let head = Head::find(input, start, true)?;
    let mut fields: Vec<Field> = Vec::with_capacity(4);
    for (count, (offset, line)) in head.lines().enumerate() {
        if count >= MAX_FIELDS {
            return Err(MimeError { fault: Fault::TooLarge, offset });
        }
        if line.starts_with([' ', '\t']) {
            let last = fields.last_mut().ok_or(MimeError { fault: Fault::Field, offset })?;
            if has_control(line) {
                return Err(MimeError { fault: Fault::Encoding, offset });
            }
            last.value = Text::from([&*last.value, line.trim()].join(" ").trim());
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(MimeError { fault: Fault::Field, offset })?;
        let name = name.trim_end();
        if has_control(value) {
            return Err(MimeError { fault: Fault::Encoding, offset });
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MimeError { fault: Fault::Field, offset });
        }
        fields.push(Field { name: head.text.slice_of(name), value: head.text.slice_of(value.trim()) });
    }
    Ok((fields, head.body))
}

/// Lines of text up to an empty one, in one shared allocation.
pub(super) struct Head {
    /// The lines with their ends.
    pub(super) text: Text,
    /// Where the lines begin in the input.
    start: usize,
    /// Where what follows the empty line begins in the input.
    pub(super) body: usize,
}

impl Head {
    /// Finds the empty line after `start`; `or_end` takes the end of the input for it. Lines may end in LF alone.
    pub(super) fn find(input: &[u8], start: usize, or_end: bool) -> Result<Head, MimeError> {
        let mut at = start;
        let (end, body) = loop {
            let rest = input.get(at..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest);
            let next = at + length.map_or(rest.len(), |length| length + 1);
            if next - start > MAX_HEAD {
                return Err(MimeError { fault: Fault::TooLarge, offset: at });
            }
            match length {
                Some(length) if matches!(&rest[..length], b"" | b"\r") => break (at, next),
                Some(_) => at = next,
                None if or_end => break (next, next),
                None => return Err(MimeError { fault: Fault::Truncated, offset: input.len() }),
            }
        };
        let bytes = input.get(start..end).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|error| MimeError { fault: Fault::Encoding, offset: start + error.valid_up_to() })?;
        Ok(Head { text: Text::from(text), start, body })
    }

    /// The lines without their ends, each with its place in the input.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut offset = self.start;
        self.text.as_str().split_inclusive('\n').map(move |line| {
            let at = offset;
            offset += line.len();
            (at, line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line)))
        })
    }
}
