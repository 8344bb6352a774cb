//! Headers that describe the body: its type, disposition and encoding.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::Scan;
use super::{HeaderName, Params};
use crate::Text;

/// A media type [RFC3261 §20.15]; also what MIME and CPIM name their parts with.
#[derive(Clone, Debug)]
pub struct ContentType {
    /// The type: `text` of `text/plain`.
    pub kind: Text,
    /// The subtype: `plain` of `text/plain`.
    pub subtype: Text,
    /// The parameters.
    pub params: Params,
}

impl ContentType {
    /// A media type without parameters.
    pub fn new(kind: &str, subtype: &str) -> ContentType {
        ContentType { kind: Text::from(kind), subtype: Text::from(subtype), params: Params::new() }
    }

    /// The same with this parameter, quoted where it has to be.
    pub fn with_param(mut self, name: &str, value: &str) -> ContentType {
        self.params.set(name, value);
        self
    }

    /// Whether this is `kind/subtype`, whatever its parameters.
    pub fn is(&self, essence: &str) -> bool {
        essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype))
    }

    /// `kind/subtype` in lower case.
    pub fn essence(&self) -> String {
        format!("{}/{}", self.kind, self.subtype).to_ascii_lowercase()
    }

    fn scan(scan: &mut Scan<'_>, source: &Text) -> Result<ContentType, HeaderError> {
        scan.space();
        let kind = source.slice_of(scan.token()?);
        scan.expect(b'/')?;
        let subtype = source.slice_of(scan.token()?);
        Ok(ContentType { kind, subtype, params: Params::scan(scan, source)? })
    }
}

impl TypedHeader for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let media = ContentType::scan(&mut scan, value)?;
        // A semicolon with nothing behind it is common in mail, and harmless.
        scan.separator(b';');
        scan.end()?;
        Ok(media)
    }
}

impl PartialEq for ContentType {
    fn eq(&self, other: &ContentType) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind) && self.subtype.eq_ignore_ascii_case(&other.subtype) && self.params == other.params
    }
}

impl Eq for ContentType {}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

/// The media types that a peer takes [RFC3261 §20.1]; an empty list takes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept(pub Vec<ContentType>);

impl Accept {
    /// Whether a type is taken, wild cards included.
    pub fn takes(&self, media: &ContentType) -> bool {
        self.0.iter().any(|range| {
            (&*range.kind == "*" || range.kind.eq_ignore_ascii_case(&media.kind))
                && (&*range.subtype == "*" || range.subtype.eq_ignore_ascii_case(&media.subtype))
        })
    }
}

impl TypedHeader for Accept {
    const NAME: HeaderName = HeaderName::Accept;
    const SHAPE: Shape = Shape::Whole;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let mut ranges = Vec::new();
        while !scan.is_done() {
            if scan.separator(b',') {
                continue;
            }
            ranges.push(ContentType::scan(&mut scan, value)?);
            if !scan.is_done() && scan.peek() != Some(b',') {
                return Err(scan.fail(HeaderFault::Trailing));
            }
        }
        Ok(Accept(ranges))
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            range.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_taken_apart() {
        let media = ContentType::parse(&"Multipart/Mixed ; boundary=\"a b\"".into()).unwrap();
        assert!(media.is("multipart/mixed"));
        assert_eq!(media.params.value("BOUNDARY"), Some("a b"));
        assert_eq!(media.essence(), "multipart/mixed");
        assert_eq!(ContentType::parse(&media.to_string().into()).unwrap(), media);
        for text in ["", "text", "text/", "/plain", "text/plain x"] {
            assert!(ContentType::parse(&text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn accept_knows_wild_cards() {
        let accept = Accept::parse(&"application/sdp;level=1, text/*,".into()).unwrap();
        assert!(accept.takes(&ContentType::new("TEXT", "html")));
        assert!(!accept.takes(&ContentType::new("message", "cpim")));
        assert_eq!(accept.to_string(), "application/sdp;level=1, text/*");
        assert_eq!(Accept::parse(&"".into()).unwrap(), Accept::default());
    }
}
