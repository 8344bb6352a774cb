//! Reading a stream of frames however it is cut [RFC4975 §7.3]: heads whole, bodies in pieces, end-lines wherever they hide.
//!
//! Body bytes are slices of what came in, never collected; between two calls of [`Decoder::push`] a decoder holds at most an unfinished
//! head or the beginning of what may be an end-line, and nothing at all between two frames.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memmem};

use super::{Fault, Flag, Head, Limits, MsrpError};

/// What a stream consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame begins.
    Head {
        /// All but its body.
        head: Box<Head>,
        /// Whether there is a body, even an empty one.
        body: bool,
    },
    /// The next bytes of the body, never none.
    Body(Bytes),
    /// The frame is over.
    End(Flag),
}

/// The reading half of a connection.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    /// What came in and was not looked at yet.
    input: Bytes,
    /// The beginning of something that goes on in what comes next.
    rest: BytesMut,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body {
        mark: Mark,
        /// The empty line's own break, which may be the one before the end-line of an empty body.
        lead: usize,
    },
    /// A frame without a body, whose end-line has been read.
    Ending(Flag),
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, ..Decoder::default() }
    }

    /// Takes in what was read. Everything before has been taken out by [`Decoder::next`].
    pub fn push(&mut self, bytes: Bytes) {
        if self.rest.is_empty() && self.input.is_empty() {
            self.input = bytes;
            return;
        }
        let mut joined = std::mem::take(&mut self.rest);
        joined.extend_from_slice(&self.input);
        joined.extend_from_slice(&bytes);
        self.input = joined.freeze();
    }

    /// Whether the stream stands between two frames.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Head) && self.held() == 0
    }

    /// How many bytes it holds until more come.
    pub fn held(&self) -> usize {
        self.rest.len() + self.input.len()
    }

    /// What comes next, once it is there. After an error the decoder is of no more use.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends would say that the stream does")]
    pub fn next(&mut self) -> Result<Option<Event>, MsrpError> {
        if self.input.is_empty() && !matches!(self.state, State::Ending(_)) {
            return Ok(None);
        }
        let (state, event) = match std::mem::take(&mut self.state) {
            State::Head => self.head()?,
            State::Body { mark, lead } => self.body(mark, lead),
            State::Ending(flag) => (State::Head, Some(Event::End(flag))),
        };
        self.state = state;
        if event.is_none() {
            self.rest = BytesMut::from(&self.input[..]);
            self.input = Bytes::new();
        }
        Ok(event)
    }

    /// Reads a head, up to the empty line before a body or to the end-line of a frame without.
    fn head(&mut self) -> Result<(State, Option<Event>), MsrpError> {
        let bytes = &self.input[..];
        let fails = |fault, offset| Err(MsrpError { fault, offset });
        const START: &[u8] = b"MSRP ";
        if !bytes.starts_with(&START[..bytes.len().min(START.len())]) {
            return fails(Fault::StartLine, 0);
        }
        let mut line = 0;
        while let Some(length) = memchr(b'\n', &bytes[line..]) {
            let next = line + length + 1;
            if next > self.limits.head || length > self.limits.line {
                return fails(Fault::TooLarge, line);
            }
            let content = &bytes[line..next];
            let end_line = content.strip_prefix(b"-------");
            if content != b"\r\n" && end_line.is_none() {
                line = next;
                continue;
            }
            let head = Head::parse(&bytes[..line], &self.limits)?;
            let (state, body) = match end_line {
                None => (State::Body { mark: Mark::new(&head.transaction), lead: 2 }, true),
                Some(end_line) => match end_line.strip_prefix(head.transaction.as_bytes()) {
                    Some([flag, b'\r', b'\n']) => match Flag::parse(*flag) {
                        Some(flag) => (State::Ending(flag), false),
                        None => return fails(Fault::EndLine, line),
                    },
                    _ => return fails(Fault::EndLine, line),
                },
            };
            // The break of the empty line stays, since it may be the one before the end-line.
            self.input.advance(if body { line } else { next });
            return Ok((state, Some(Event::Head { head: Box::new(head), body })));
        }
        if bytes.len() > self.limits.head || bytes.len() - line > self.limits.line {
            return fails(Fault::TooLarge, line);
        }
        Ok((State::Head, None))
    }

    /// Takes body bytes out, up to the end-line or to what may be the beginning of one.
    fn body(&mut self, mark: Mark, lead: usize) -> (State, Option<Event>) {
        let bytes = &self.input[..];
        let mut from = 0;
        let (end, flag) = loop {
            match memmem::find(&bytes[from..], mark.bytes()).map(|at| from + at) {
                Some(at) => match mark.flag(&bytes[at..]) {
                    Tail::Flag(flag) => break (at, Some(flag)),
                    Tail::Open => break (at, None),
                    Tail::Other => from = at + 1,
                },
                None => {
                    let tail = bytes.len().saturating_sub(mark.bytes().len() - 1).max(from);
                    let open = |at: &usize| mark.bytes().starts_with(&bytes[*at..]);
                    break (memchr_iter(b'\r', &bytes[tail..]).map(|at| tail + at).find(open).unwrap_or(bytes.len()), None);
                }
            }
        };
        if end > lead {
            let mut piece = self.input.split_to(end);
            piece.advance(lead);
            return (State::Body { mark, lead: 0 }, Some(Event::Body(piece)));
        }
        match flag {
            Some(flag) => {
                self.input.advance(end + mark.bytes().len() + 3);
                (State::Head, Some(Event::End(flag)))
            }
            None => (State::Body { mark, lead }, None),
        }
    }
}

/// The break and the first part of the end-line: everything up to its flag.
#[derive(Debug)]
struct Mark {
    bytes: [u8; 41],
    length: u8,
}

/// What stands behind a mark.
enum Tail {
    Flag(Flag),
    /// Too little to tell.
    Open,
    /// This was no end-line, but bytes of the body that look like one.
    Other,
}

impl Mark {
    /// The mark of a transaction, which has at most 32 characters.
    fn new(transaction: &str) -> Mark {
        let mut bytes = [b'-'; 41];
        let length = 9 + transaction.len().min(32);
        bytes[..2].copy_from_slice(b"\r\n");
        bytes[9..length].copy_from_slice(&transaction.as_bytes()[..length - 9]);
        Mark { bytes, length: length as u8 }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// What stands behind the mark that `bytes` begin with.
    fn flag(&self, bytes: &[u8]) -> Tail {
        match bytes[usize::from(self.length)..] {
            [flag, b'\r', b'\n', ..] => Flag::parse(flag).map_or(Tail::Other, Tail::Flag),
            [] => Tail::Open,
            [flag] | [flag, b'\r'] if Flag::parse(flag).is_some() => Tail::Open,
            _ => Tail::Other,
        }
    }
}
