//! Messages out of a stream: TCP, TLS [RFC3261 §18.3], with the keep-alives between them [RFC5626 §3.5.1].
//!
//! Push what was received, then call [`Framer::next`] until it has nothing. What is kept between calls is one unfinished message at
//! most, bounded by the limits. A message that is refused but has a sound length is skipped; where the length cannot be known, the
//! stream [is broken](Framer::is_broken): send the reply, if there is one, and close.

use memchr::memmem;

use super::error::{Limits, ParseError, ParseErrorKind};
use super::{HeaderName, Message, parse, scan};

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most frames are messages")]
pub enum Frame {
    /// A message.
    Message(Message),
    /// Two line ends: to be answered with [`Frame::PONG`].
    Ping,
    /// One line end: the answer to a ping.
    Pong,
}

impl Frame {
    /// A ping on the wire.
    pub const PING: &'static [u8] = b"\r\n\r\n";
    /// A pong on the wire.
    pub const PONG: &'static [u8] = b"\r\n";
}

/// Which end of the connection this is: only the one that opened it gets pongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Accepted,
    Opened,
}

/// The rest of a stream that is no whole message yet.
#[derive(Clone, Debug)]
pub struct Framer {
    limits: Limits,
    end: End,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that are done with.
    done: usize,
    /// Bytes behind `done` in which the end of the head does not start.
    scanned: usize,
    /// The length of the message behind `done`, once its head is whole.
    length: Option<usize>,
    broken: bool,
}

impl Framer {
    /// Memory kept by a stream on which nothing is under way.
    const IDLE: usize = 2048;

    /// For a connection that was accepted.
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, end: End::Accepted, buffer: Vec::new(), done: 0, scanned: 0, length: None, broken: false }
    }

    /// For a connection that this side opened: a line end between messages is a pong, and given at once.
    pub fn opened(limits: Limits) -> Framer {
        Framer { end: End::Opened, ..Framer::new(limits) }
    }

    /// Takes in what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        if self.done > 0 {
            self.buffer.drain(..self.done);
            self.done = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the stream cannot be read any further.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a message has begun and is not whole.
    pub fn is_partial(&self) -> bool {
        self.done < self.buffer.len()
    }

    /// The next message or keep-alive.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends would say that the stream does")]
    pub fn next(&mut self) -> Option<Result<Frame, ParseError>> {
        if self.broken {
            return None;
        }
        loop {
            let data = self.buffer.get(self.done..).unwrap_or_default();
            match (data, self.end) {
                ([], _) => {
                    self.settle();
                    return None;
                }
                ([b'\r', b'\n', b'\r', b'\n', ..], _) => return Some(Ok(self.skip(4, Frame::Ping))),
                // Half of a ping, or the whole of a pong.
                ([b'\r', b'\n'] | [b'\r', b'\n', b'\r'], End::Accepted) | ([b'\r'], _) => return None,
                ([b'\r', b'\n', ..], End::Opened) => return Some(Ok(self.skip(2, Frame::Pong))),
                ([b'\r', b'\n', ..], End::Accepted) => self.done += 2,
                _ => return self.message(),
            }
        }
    }

    fn message(&mut self) -> Option<Result<Frame, ParseError>> {
        let data = self.buffer.get(self.done..).unwrap_or_default();
        let length = match self.length {
            Some(length) => length,
            None => {
                let start = self.scanned.saturating_sub(3);
                let Some(end) = memmem::find(data.get(start..).unwrap_or_default(), b"\r\n\r\n") else {
                    self.scanned = data.len();
                    let length = data.len();
                    return (length > self.limits.head).then(|| self.give_up(length, ParseErrorKind::TooLarge));
                };
                let head = start + end + 4;
                if head > self.limits.head {
                    return Some(self.give_up(head, ParseErrorKind::TooLarge));
                }
                let length = match content_length(&data[..head]) {
                    Ok(length) => length,
                    Err(kind) => return Some(self.give_up(head, kind)),
                };
                if length > self.limits.body {
                    return Some(self.give_up(head, ParseErrorKind::BodyTooLarge));
                }
                if head + length > self.limits.message {
                    return Some(self.give_up(head, ParseErrorKind::TooLarge));
                }
                *self.length.insert(head + length)
            }
        };
        let whole = data.get(..length)?;
        let message = Message::parse(whole, &self.limits);
        self.done += length;
        self.scanned = 0;
        self.length = None;
        self.settle();
        Some(message.map(Frame::Message))
    }

    /// Refuses what begins here, as far as it can be read, and with it the stream.
    fn give_up(&mut self, length: usize, kind: ParseErrorKind) -> Result<Frame, ParseError> {
        let head = &self.buffer[self.done..self.done + length];
        let error = match Message::parse(head, &self.limits) {
            Ok(message) => parse::refuse(message, kind, length),
            // The fault found in the head is the better answer only where it is about the same thing.
            Err(error) if error.kind.status() == kind.status() => error,
            Err(error) => ParseError { kind, reply: error.reply.map(|reply| Box::new(parse::with_status(*reply, kind.status()))), ..error },
        };
        self.broken = true;
        self.buffer = Vec::new();
        self.done = 0;
        Err(error)
    }

    fn skip(&mut self, length: usize, frame: Frame) -> Frame {
        self.done += length;
        self.settle();
        frame
    }

    /// Gives memory back where nothing is left.
    fn settle(&mut self) {
        if self.done == self.buffer.len() {
            self.done = 0;
            if self.buffer.capacity() > Framer::IDLE { self.buffer = Vec::new() } else { self.buffer.clear() }
        }
    }
}

/// The one Content-Length in a head.
fn content_length(head: &[u8]) -> Result<usize, ParseErrorKind> {
    let bad = ParseErrorKind::Header("Content-Length");
    let mut found = None;
    let mut start = 0;
    for newline in memchr::memchr_iter(b'\n', head) {
        // A line goes on where it is folded.
        if matches!(head.get(newline + 1), Some(b' ' | b'\t')) {
            continue;
        }
        let line = &head[start..newline];
        start = newline + 1;
        if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
            continue;
        }
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = std::str::from_utf8(line[..colon].trim_ascii_end()).ok().and_then(HeaderName::known);
        if name != Some(HeaderName::ContentLength) {
            continue;
        }
        let value = std::str::from_utf8(line[colon + 1..].trim_ascii()).ok().and_then(scan::number);
        let length = value.and_then(|length| usize::try_from(length).ok()).ok_or(bad)?;
        if found.replace(length).is_some() {
            return Err(ParseErrorKind::Duplicate("Content-Length"));
        }
    }
    found.ok_or(ParseErrorKind::NoContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "MESSAGE sip:bob@tandem.test SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\n";

    fn message(lines: &str, body: &str) -> String {
        format!("{HEAD}{lines}\r\n{body}")
    }

    fn drain(framer: &mut Framer) -> Vec<String> {
        std::iter::from_fn(|| framer.next())
            .map(|frame| match frame {
                Ok(Frame::Message(message)) => String::from_utf8_lossy(message.body()).into_owned(),
                Ok(Frame::Ping) => "ping".into(),
                Ok(Frame::Pong) => "pong".into(),
                Err(error) => format!("{:?} {:?}", error.kind, error.reply.map(|reply| reply.status.0)),
            })
            .collect()
    }

    #[test]
    fn any_cut_of_a_stream_gives_the_same_frames() {
        let stream = [
            "\r\n\r\n",
            &message("Content-Length: 5\r\n", "hello"),
            "\r\n\r\n\r\n",
            &message("l : \r\n 0\r\n", ""),
            &message("L: 3\r\n", "\r\n."),
            "\r\n\r\n",
        ]
        .concat();
        for size in 1..stream.len() {
            let mut framer = Framer::new(Limits::default());
            let mut seen = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                framer.push(chunk);
                seen.extend(drain(&mut framer));
            }
            assert_eq!(seen, ["ping", "hello", "ping", "", "\r\n.", "ping"], "chunks of {size}");
            assert!(!framer.is_partial());
        }
    }

    #[test]
    fn the_end_that_opened_gets_its_pongs_at_once() {
        let mut framer = Framer::opened(Limits::default());
        framer.push(b"\r\n");
        assert_eq!(drain(&mut framer), ["pong"]);
        framer.push(b"\r");
        assert_eq!(drain(&mut framer), [""; 0]);
        framer.push(b"\n");
        assert_eq!(drain(&mut framer), ["pong"]);
    }

    #[test]
    fn a_refused_message_of_known_length_is_skipped() {
        let mut framer = Framer::new(Limits::default());
        framer.push(message("Content-Length: 2\r\nMax-Forwards: 300\r\n", "no").as_bytes());
        framer.push(message("Content-Length: 3\r\n", "yes").as_bytes());
        assert_eq!(drain(&mut framer), ["Header(\"Max-Forwards\") Some(400)", "yes"]);
        assert!(!framer.is_broken());
    }

    #[test]
    fn an_unknown_length_breaks_the_stream() {
        let limits = Limits { message: 2000, head: 1000, body: 1500, ..Limits::default() };
        for (bytes, expected) in [
            (message("", ""), "NoContentLength Some(400)"),
            (message("Content-Length: -1\r\n", ""), "Header(\"Content-Length\") Some(400)"),
            (message("Content-Length: 1\r\nl: 1\r\n", ""), "Duplicate(\"Content-Length\") Some(400)"),
            (message("Content-Length: 1501\r\n", ""), "BodyTooLarge Some(413)"),
            (message(&format!("Subject: {}\r\n", "x".repeat(1000)), ""), "TooLarge Some(513)"),
            (message(&format!("Subject: {}\r\nContent-Length: 1500\r\n", "x".repeat(600)), ""), "TooLarge Some(513)"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), "StartLine None"),
            ("\nnoise\r\n\r\n".into(), "StartLine None"),
        ] {
            let mut framer = Framer::new(limits);
            framer.push(bytes.as_bytes());
            assert_eq!(drain(&mut framer), [expected]);
            assert!(framer.is_broken());
            framer.push(b"\r\n\r\n");
            assert_eq!(drain(&mut framer), [""; 0]);
        }
    }
}
