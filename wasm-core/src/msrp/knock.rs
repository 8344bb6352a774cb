//! Whose connection it is: the first request on a connection that came in says by its To-Path [RFC4975 §5.4].
//!
//! The owner pushes what it reads until the request is known, looks the session up by its id, which nobody can guess, and gives all the
//! bytes to that [`super::Session`], or answers with a status and closes. How long that may take is the owner's business.

use bytes::{Bytes, BytesMut};

use crate::wire::msrp::{Decoder, Event, Fault, Flag, Head, Limits, MsrpUri, Printer, Start, Status};

/// A connection that belongs to no session yet.
#[derive(Debug, Default)]
pub struct Knock {
    decoder: Decoder,
    bytes: BytesMut,
}

/// The first request on a connection.
#[derive(Debug)]
pub struct Knocked {
    head: Box<Head>,
    /// All bytes that came, for the session.
    pub bytes: Bytes,
}

impl Knock {
    /// Takes bytes in, until there is a request. A refused connection is to be closed without an answer.
    pub fn push(&mut self, bytes: Bytes) -> Result<Option<Knocked>, Fault> {
        self.bytes.extend_from_slice(&bytes);
        self.decoder.push(bytes);
        match self.decoder.next().map_err(|error| error.fault)? {
            Some(Event::Head { head, .. }) if matches!(head.start, Start::Request(_)) => {
                Ok(Some(Knocked { head, bytes: std::mem::take(&mut self.bytes).freeze() }))
            }
            Some(_) => Err(Fault::StartLine),
            // No more than a head is waited for.
            None if self.bytes.len() > Limits::default().head => Err(Fault::TooLarge),
            None => Ok(None),
        }
    }
}

impl Knocked {
    /// Where the request goes: the session is [`MsrpUri::session`] of it.
    pub fn to(&self) -> &MsrpUri {
        self.head.to.first()
    }

    /// The answer to a request for a session that is not here, or that has a connection.
    pub fn refuse(&self, status: Status) -> Bytes {
        let path = std::slice::from_ref;
        let comment = Some(status.comment()).filter(|comment| !comment.is_empty());
        let printer = Printer::response(&self.head.transaction, status, comment, path(self.head.from.first()), path(self.to()));
        printer.finish(None, Flag::Complete)
    }
}
