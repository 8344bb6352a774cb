//! What can be wrong with a received message, a header value or a URI, and the limits that a message must keep.

use thiserror::Error;

use super::{Response, Status};

/// Bounds on what a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message.
    pub message: usize,
    /// Bytes of the start line and the headers.
    pub head: usize,
    /// Bytes of the body.
    pub body: usize,
    /// How many header lines.
    pub headers: usize,
    /// Bytes of one header line with its folds.
    pub header_line: usize,
    /// Bytes of the Request-URI.
    pub uri: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { message: 128 * 1024, head: 32 * 1024, body: 96 * 1024, headers: 192, header_line: 8 * 1024, uri: 2048 }
    }
}

/// Why bytes are not a SIP message that this element takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseErrorKind {
    /// Nothing but empty lines.
    #[error("empty")]
    Empty,
    /// The head has no end.
    #[error("the head has no end")]
    Unterminated,
    /// The head is not UTF-8.
    #[error("the head is not UTF-8")]
    Encoding,
    /// The first line is neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// A version other than SIP/2.0.
    #[error("unknown protocol version")]
    Version,
    /// A malformed Request-URI.
    #[error("malformed Request-URI")]
    RequestUri,
    /// A Request-URI of a scheme that no part of this product knows.
    #[error("unknown scheme of the Request-URI")]
    Scheme,
    /// A Request-URI beyond the limit.
    #[error("the Request-URI is too long")]
    UriTooLong,
    /// A status code outside 100 to 699.
    #[error("impossible status code")]
    StatusCode,
    /// A line that is no header.
    #[error("malformed header line")]
    HeaderLine,
    /// A header that every message needs is absent.
    #[error("a mandatory header is missing: {0}")]
    Missing(&'static str),
    /// A header that may come once came again.
    #[error("a header came twice: {0}")]
    Duplicate(&'static str),
    /// A header that every element reads is malformed.
    #[error("malformed header: {0}")]
    Header(&'static str),
    /// The method of the CSeq is not the request's.
    #[error("the method of the CSeq is another one")]
    MethodMismatch,
    /// Fewer bytes of body than the Content-Length says.
    #[error("the body is shorter than its Content-Length")]
    Truncated,
    /// A stream's message without Content-Length.
    #[error("no Content-Length on a stream")]
    NoContentLength,
    /// A body beyond the limit.
    #[error("the body is too large")]
    BodyTooLarge,
    /// A message, head or header line beyond the limit, or too many lines.
    #[error("the message is too large")]
    TooLarge,
}

impl ParseErrorKind {
    /// The status that a request with this error is refused with.
    pub fn status(self) -> Status {
        match self {
            ParseErrorKind::Version => Status::VERSION_NOT_SUPPORTED,
            ParseErrorKind::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            ParseErrorKind::UriTooLong => Status::REQUEST_URI_TOO_LONG,
            ParseErrorKind::BodyTooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            ParseErrorKind::TooLarge => Status::MESSAGE_TOO_LARGE,
            ParseErrorKind::Empty
            | ParseErrorKind::Unterminated
            | ParseErrorKind::Encoding
            | ParseErrorKind::StartLine
            | ParseErrorKind::RequestUri
            | ParseErrorKind::StatusCode
            | ParseErrorKind::HeaderLine
            | ParseErrorKind::Missing(_)
            | ParseErrorKind::Duplicate(_)
            | ParseErrorKind::Header(_)
            | ParseErrorKind::MethodMismatch
            | ParseErrorKind::Truncated
            | ParseErrorKind::NoContentLength => Status::BAD_REQUEST,
        }
    }
}

/// A received message that is refused.
#[derive(Clone, Debug, Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Where in the bytes.
    pub offset: usize,
    /// The response to send, when enough of a request could be read; what has none is discarded.
    pub reply: Option<Box<Response>>,
}

/// What is wrong with a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderFault {
    /// Not what the header's grammar allows here.
    #[error("syntax")]
    Syntax,
    /// A quoted string without end.
    #[error("open quotes")]
    Quote,
    /// No number, or one out of range.
    #[error("number")]
    Number,
    /// A malformed URI.
    #[error("URI")]
    Uri,
    /// Something after the end of the value.
    #[error("trailing text")]
    Trailing,
    /// More elements than are taken.
    #[error("too many elements")]
    TooMany,
}

/// A header value that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}")]
pub struct HeaderError {
    /// What is wrong.
    pub fault: HeaderFault,
    /// Where in the value.
    pub offset: usize,
}

/// A URI that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed URI at byte {offset}")]
pub struct UriError {
    /// Where in the URI.
    pub offset: usize,
}
