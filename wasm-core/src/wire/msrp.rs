//! MSRP frames [RFC4975]: bytes of a stream or a WebSocket message to values and back.
//!
//! A [`Decoder`] reads a stream however it is cut: first a [`Head`], then the pieces of its body as they come, then the [`Flag`] of its
//! end-line; it never holds more than a head. A [`Frame`] is all three at once, as a WebSocket message carries it [RFC7977]. A [`Printer`]
//! writes. Known header fields are read when somebody asks for them, unknown ones are kept, multi-hop paths of relays [RFC4976] too.
//! What a frame means, and whether it may come now, is the business of the machines in `msrp`.

mod decode;
mod fields;
mod frame;
mod head;
mod print;
#[cfg(test)]
mod tests;
mod uri;

use thiserror::Error;

pub use decode::{Decoder, Event};
pub use fields::{ByteRange, FailureReport, Status};
pub use frame::Frame;
pub use head::{Flag, Head, Method, Path, Start};
pub use print::Printer;
pub use uri::{MsrpUri, Transport};

/// How large the parts of a frame may be that are held as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the start line and the header fields.
    pub head: usize,
    /// Bytes of one line.
    pub line: usize,
    /// Header fields.
    pub fields: usize,
    /// URIs in a path.
    pub hops: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head: 8 * 1024, line: 4 * 1024, fields: 32, hops: 16 }
    }
}

/// Why bytes are no frame, and how many bytes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}")]
pub struct MsrpError {
    /// What is wrong.
    pub fault: Fault,
    /// Where it was noticed.
    pub offset: usize,
}

/// What can be wrong with a frame, or a header field of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Larger, or of more pieces, than the limits allow.
    #[error("a head is too large")]
    TooLarge,
    /// The first line is that of no request and no response.
    #[error("a start line is malformed")]
    StartLine,
    /// Not UTF-8, or control characters in it.
    #[error("a line is not text")]
    Encoding,
    /// A line that is no header field.
    #[error("a line is not a header field")]
    Field,
    /// A path is missing, or not made of MSRP URIs.
    #[error("a path is malformed")]
    Path,
    /// The end-line is not that of this transaction.
    #[error("an end-line is malformed")]
    EndLine,
    /// The value of a header field is not what it has to be.
    #[error("a header field is malformed")]
    Value,
    /// What should be one frame ends before the frame does.
    #[error("a frame ends too early")]
    Truncated,
    /// What should be one frame goes on behind it.
    #[error("something follows a frame")]
    Trailing,
}
