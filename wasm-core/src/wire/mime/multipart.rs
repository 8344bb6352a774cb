//! Bodies of several parts [RFC2046 §5.1], such as a recipient list beside a message [RFC5365].
//!
//! What stands before the first boundary and after the last is dropped. Parts within parts are left for the caller to take apart.

use bytes::Bytes;
use memchr::memmem;

use super::{Fault, MimeError, Part};
use crate::wire::sip::ContentType;
use crate::{Entropy, Text};

/// At most so many parts in one body.
pub const MAX_PARTS: usize = 64;

/// Parts in their order, and what separates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// The boundary, the parameter of the body's content type.
    pub boundary: Text,
    /// The parts.
    pub parts: Vec<Part>,
}

impl Multipart {
    /// A body of these parts, with a boundary that none of them can hold but by chance.
    pub fn new(entropy: &mut Entropy, parts: Vec<Part>) -> Self {
        Multipart { boundary: Text::from(entropy.hex::<16>()), parts }
    }

    /// Takes a body of this type apart, which must be a `multipart` of any subtype.
    pub fn of(content_type: &ContentType, body: &Bytes) -> Result<Multipart, MimeError> {
        let boundary = content_type.params.text("boundary").filter(|_| content_type.kind.eq_ignore_ascii_case("multipart"));
        Multipart::parse(&boundary.unwrap_or_default(), body)
    }

    /// Takes a body apart at this boundary.
    pub fn parse(boundary: &str, body: &Bytes) -> Result<Multipart, MimeError> {
        if boundary.is_empty() || boundary.len() > 70 || boundary.contains(|c: char| c.is_control()) {
            return Err(MimeError { fault: Fault::Boundary, offset: 0 });
        }
        let needle = ["--", boundary].concat();
        let mut parts = Vec::new();
        let mut open: Option<usize> = None;
        for at in memmem::find_iter(body, needle.as_bytes()) {
            let Some(delimiter) = Delimiter::at(body, at, needle.len()) else { continue };
            if let Some(start) = open {
                if parts.len() >= MAX_PARTS {
                    return Err(MimeError { fault: Fault::TooLarge, offset: at });
                }
                let part = body.slice(start..delimiter.start.max(start));
                parts.push(Part::parse(&part).map_err(|error| MimeError { offset: start + error.offset, ..error })?);
            }
            match delimiter.next {
                Some(next) => open = Some(next),
                None => return Ok(Multipart { boundary: Text::from(boundary), parts }),
            }
        }
        let fault = if open.is_some() { Fault::Truncated } else { Fault::Boundary };
        Err(MimeError { fault, offset: body.len() })
    }

    /// Prints the body.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.parts.iter().map(|part| part.body.len() + 256).sum());
        for part in &self.parts {
            self.push_delimiter(&mut out, "\r\n");
            part.encode_into(&mut out);
            out.extend_from_slice(b"\r\n");
        }
        self.push_delimiter(&mut out, "--\r\n");
        Bytes::from(out)
    }

    /// The content type to send it with: `multipart/` and the subtype, with the boundary.
    pub fn content_type(&self, subtype: &str) -> ContentType {
        let mut content_type = ContentType::new("multipart", subtype);
        content_type.params.set_quoted("boundary", &self.boundary);
        content_type
    }

    /// The first part of this media type.
    pub fn find(&self, media_type: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.is(media_type))
    }

    fn push_delimiter(&self, out: &mut Vec<u8>, end: &str) {
        for piece in ["--", &*self.boundary, end] {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// A line that separates parts.
struct Delimiter {
    /// Where it begins, the line break before it included.
    start: usize,
    /// Where the next part begins; `None` after the last.
    next: Option<usize>,
}

impl Delimiter {
    /// The delimiter whose hyphens are at `at`, if that is the start of a line with nothing else on it.
    fn at(body: &[u8], at: usize, length: usize) -> Option<Delimiter> {
        let before = &body[..at];
        if !before.is_empty() && !before.ends_with(b"\n") {
            return None;
        }
        let before = before.strip_suffix(b"\n").map_or(before, |before| before.strip_suffix(b"\r").unwrap_or(before));
        let rest = &body[at + length..];
        let (last, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return None;
        }
        let next = body.len() - rest.len() + line.len() + 1;
        match last {
            true => Some(Delimiter { start: before.len(), next: None }),
            false => (next <= body.len()).then_some(Delimiter { start: before.len(), next: Some(next) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::sip::TypedHeader;

    fn parse(boundary: &str, body: &str) -> Result<Vec<(String, String)>, Fault> {
        let multipart = Multipart::parse(boundary, &Bytes::copy_from_slice(body.as_bytes())).map_err(|error| error.fault)?;
        let show = |part: &Part| (part.media_type().to_owned(), String::from_utf8_lossy(&part.body).into_owned());
        Ok(multipart.parts.iter().map(show).collect())
    }

    #[test]
    fn parts_are_found_between_boundaries() {
        let body = "preamble\r\n--b x\r\nContent-Type: text/plain\r\n\r\none\r\n--b xy\r\ntwo\r\n\r\n--b x \t\r\n\r\nthree\r\n--b x--\r\nepilogue\r\n--b x\r\n";
        let plain = |text: &str| ("text/plain".to_owned(), text.to_owned());
        assert_eq!(parse("b x", body), Ok(vec![plain("one\r\n--b xy\r\ntwo\r\n"), plain("three")]));
        assert_eq!(parse("b x", &body.replace("\r\n", "\n")), Ok(vec![plain("one\n--b xy\ntwo\n"), plain("three")]));
    }

    #[test]
    fn a_part_may_be_all_header_or_empty() {
        let body = "--b\r\nContent-Type: image/png\r\n--b\r\n\r\n--b\r\n--b--";
        let parts = parse("b", body).unwrap();
        assert_eq!(parts.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["image/png", "text/plain", "text/plain"]);
        assert!(parts.iter().all(|(_, body)| body.is_empty()));
        assert_eq!(parse("b", "--b--"), Ok(vec![]));
    }

    #[test]
    fn what_is_broken_is_refused() {
        assert_eq!(parse("", "--\r\n\r\n----"), Err(Fault::Boundary));
        assert_eq!(parse("b", ""), Err(Fault::Boundary));
        assert_eq!(parse("b", "x--b\r\n\r\n--b"), Err(Fault::Boundary));
        assert_eq!(parse("b", "--b\r\n\r\nabc"), Err(Fault::Truncated));
        assert_eq!(parse("b", "--b\r\n\r\nabc\r\n--b-"), Err(Fault::Truncated));
        assert_eq!(parse("b", "--b\r\nno field\r\n\r\nabc\r\n--b--"), Err(Fault::Field));
        assert_eq!(parse("b", &"--b\r\n\r\n\r\n".repeat(70)), Err(Fault::TooLarge));
        assert_eq!(parse(&"b".repeat(71), ""), Err(Fault::Boundary));
        for content_type in ["multipart/mixed", "text/plain;boundary=b"] {
            let content_type = ContentType::parse(&Text::from(content_type)).unwrap();
            let error = Multipart::of(&content_type, &Bytes::from_static(b"--b\r\n\r\n--b--")).unwrap_err();
            assert_eq!(error.fault, Fault::Boundary, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn parts_print_and_read_back(bodies in proptest::collection::vec(any::<Vec<u8>>(), 0..5), seed in any::<[u8; 32]>()) {
            let parts = bodies.into_iter().map(|body| Part::new("application/octet-stream", body)).collect();
            let multipart = Multipart::new(&mut Entropy::new(seed), parts);
            let content_type = ContentType::parse(&Text::from(multipart.content_type("mixed").to_string())).unwrap();
            prop_assert_eq!(Multipart::of(&content_type, &multipart.encode()), Ok(multipart));
        }

        #[test]
        fn nothing_panics(body in "(--b|-|\r\n|\n|a: b|--b--| |x){0,30}") {
            let _ = parse("b", &body);
        }
    }
}
