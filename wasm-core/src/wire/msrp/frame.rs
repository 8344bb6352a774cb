//! A whole frame at once: what a WebSocket message holds [RFC7977 §5.2].

use bytes::{Bytes, BytesMut};

use super::{Decoder, Event, Fault, Flag, Head, Limits, MsrpError, Printer, Start};

/// A head, perhaps a body, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// All but the body.
    pub head: Head,
    /// The body, which may be empty, where there is one.
    pub body: Option<Bytes>,
    /// How the frame ends.
    pub flag: Flag,
}

impl Frame {
    /// Reads exactly one frame.
    pub fn parse(bytes: &Bytes, limits: &Limits) -> Result<Frame, MsrpError> {
        let fails = |fault| MsrpError { fault, offset: bytes.len() };
        let mut decoder = Decoder::new(*limits);
        decoder.push(bytes.clone());
        let Some(Event::Head { head, body }) = decoder.next()? else { return Err(fails(Fault::Truncated)) };
        let mut body = body.then(Bytes::new);
        let flag = loop {
            match decoder.next()? {
                Some(Event::Body(piece)) => {
                    body = match body {
                        // Bytes that look like an end-line cut the body into pieces.
                        Some(before) if !before.is_empty() => {
                            let mut joined = BytesMut::from(before);
                            joined.extend_from_slice(&piece);
                            Some(joined.freeze())
                        }
                        Some(_) | None => Some(piece),
                    }
                }
                Some(Event::End(flag)) => break flag,
                Some(Event::Head { .. }) | None => return Err(fails(Fault::Truncated)),
            }
        };
        if decoder.is_between() { Ok(Frame { head: *head, body, flag }) } else { Err(fails(Fault::Trailing)) }
    }

    /// Prints the frame. Its transaction must not stand in its body as an end-line, which a random one does not.
    pub fn encode(&self) -> Bytes {
        let Head { transaction, start, to, from, fields } = &self.head;
        let mut printer = match start {
            Start::Request(method) => Printer::request(transaction, method.as_str(), to, from),
            Start::Response(status, comment) => Printer::response(transaction, *status, comment.as_deref(), to, from),
        };
        for field in fields {
            printer.field(&field.name, &field.value);
        }
        printer.finish(self.body.as_deref(), self.flag)
    }
}
