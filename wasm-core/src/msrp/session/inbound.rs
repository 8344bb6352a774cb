//! The receiving half: chunks become messages, given whole where they are small and in pieces where they are not.
//!
//! What the other end can make us hold is bounded by [`Options`]: unfinished messages, collected bytes, holes in a message, bytes of
//! what was refused. A value that cannot be read costs the request, a range that cannot be true the session.

use bytes::{Bytes, BytesMut};

use super::outbound::Answer;
use super::{Ending, Id, Incoming, Key, Outlet, Output, Receipt};
use crate::msrp::Options;
use crate::msrp::ranges::Ranges;
use crate::wire::mime::Field;
use crate::wire::msrp::{Event, FailureReport, Fault, Flag, Head, Method, MsrpUri, Printer, Start, Status};
use crate::{Text, Time};

#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// The frame that is being read.
    frame: Option<Box<Frame>>,
    open: Vec<Message>,
    next_key: u32,
    /// Bytes that the consumer was given and has not taken yet.
    undrained: usize,
    /// Bytes of refused messages since the last that was complete.
    wasted: u64,
}

/// A frame whose end has not been read.
#[derive(Debug)]
struct Frame {
    reply: Reply,
    /// What it is a chunk of, if it is one.
    chunk: Option<Chunk>,
}

/// How to answer a request.
#[derive(Debug)]
struct Reply {
    transaction: Text,
    to: MsrpUri,
    from: MsrpUri,
    status: Status,
    /// Which answers are wanted; none any more once one was given.
    wanted: FailureReport,
}

#[derive(Debug)]
struct Chunk {
    key: Key,
    /// The offset of its next byte.
    at: u64,
    /// The offset that it must not exceed.
    end: Option<u64>,
}

/// A message of which something is missing.
#[derive(Debug)]
struct Message {
    key: Key,
    incoming: Incoming,
    success: bool,
    failure: FailureReport,
    there: Ranges,
    /// All bytes that came, those that came again too.
    taken: u64,
    /// Whether the last chunk has come.
    ended: bool,
    body: Body,
    touched: Time,
}

#[derive(Debug)]
enum Body {
    /// The first bytes, until it is clear that they are all or that they are many.
    Collected(Bytes),
    /// Given to the consumer as they come.
    Passed,
    /// Not wanted.
    Refused(Status),
}

impl Inbound {
    pub(super) fn undrained(&self) -> usize {
        self.undrained
    }

    pub(super) fn drained(&mut self, bytes: usize) {
        self.undrained = self.undrained.saturating_sub(bytes);
    }

    pub(super) fn is_reading(&self) -> bool {
        self.frame.is_some()
    }

    /// How many bytes of bodies are collected.
    pub(super) fn held(&self) -> usize {
        let collected = |message: &Message| if let Body::Collected(bytes) = &message.body { bytes.len() } else { 0 };
        self.open.iter().map(collected).sum()
    }

    /// When the message that made no progress for the longest time made some.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.open.iter().map(|message| message.touched).min()
    }

    pub(super) fn touch(&mut self, now: Time) {
        for message in &mut self.open {
            message.touched = now;
        }
    }

    /// Drops what made no progress for too long.
    pub(super) fn expire(&mut self, now: Time, outlet: &mut Outlet) {
        let stall = outlet.options.stall;
        let reading = self.frame.as_ref().and_then(|frame| frame.chunk.as_ref()).map(|chunk| chunk.key);
        while let Some(at) = self.open.iter().position(|message| message.touched + stall <= now && Some(message.key) != reading) {
            self.drop_message(at, outlet);
        }
    }

    /// The session is over.
    pub(super) fn end(&mut self, outlet: &mut Outlet) {
        self.frame = None;
        while !self.open.is_empty() {
            self.drop_message(0, outlet);
        }
        self.open = Vec::new();
    }

    fn drop_message(&mut self, at: usize, outlet: &mut Outlet) {
        let message = self.open.swap_remove(at);
        if matches!(message.body, Body::Passed) {
            outlet.tell(Output::Dropped(message.key));
        }
    }

    /// The consumer does not want the rest of a message, whose sender is told with the answer to this chunk or the next.
    pub(super) fn refuse(&mut self, key: Key, status: Status, outlet: &mut Outlet) {
        let Some(at) = self.open.iter().position(|message| message.key == key) else { return };
        self.refuse_at(at, status, outlet);
    }

    fn refuse_at(&mut self, at: usize, status: Status, outlet: &mut Outlet) {
        let message = &mut self.open[at];
        let key = message.key;
        if matches!(std::mem::replace(&mut message.body, Body::Refused(status)), Body::Passed) {
            outlet.tell(Output::Dropped(key));
        }
        // At once, not when an endless chunk ends.
        if let Some(frame) = self.frame.as_mut().filter(|frame| frame.chunk.as_ref().is_some_and(|chunk| chunk.key == key)) {
            frame.reply.status = status;
            frame.reply.give(outlet);
        }
    }

    /// Takes in what was read; an answer to what this end sent is for the other half.
    pub(super) fn event(&mut self, now: Time, event: Event, outlet: &mut Outlet) -> Result<Option<Answer>, Ending> {
        match event {
            Event::Head { head, body } => Ok(self.head(now, &head, body, outlet)),
            Event::Body(bytes) => self.bytes(now, bytes, outlet).map(|()| None),
            Event::End(flag) => self.finish(flag, outlet).map(|()| None),
        }
    }

    fn head(&mut self, now: Time, head: &Head, body: bool, outlet: &mut Outlet) -> Option<Answer> {
        let wanted = head.failure_report().unwrap_or_default();
        let (to, from) = (head.from.first().clone(), head.to.first().clone());
        let mut reply = Reply { transaction: head.transaction.clone(), to, from, status: Status::OK, wanted };
        let (mut chunk, mut answer) = (None, None);
        match &head.start {
            Start::Response(status, _) => {
                reply.wanted = FailureReport::No;
                answer = Id::parse(&head.transaction).map(|Id(transaction)| Answer::Response { transaction, status: *status });
            }
            Start::Request(_) if head.to.len() > 1 || *head.to.first() != outlet.local => reply.status = Status::NO_SESSION,
            Start::Request(Method::Send) => match self.chunk(now, head, body, outlet) {
                Ok(found) => {
                    reply.status = found.as_ref().and_then(|chunk| self.refusal(chunk.key)).unwrap_or(Status::OK);
                    chunk = found;
                }
                Err(status) => reply.status = status,
            },
            Start::Request(Method::Report) => {
                reply.wanted = FailureReport::No;
                answer = match (head.message_id().and_then(|id| Id::parse(id)), head.status(), head.byte_range()) {
                    (Some(id), Ok(status), Ok(range)) => Some(Answer::Report { id, status, range }),
                    _ => None,
                };
            }
            Start::Request(Method::Auth | Method::Nickname | Method::Other(_)) => reply.status = Status::UNKNOWN_METHOD,
        }
        self.frame = Some(Box::new(Frame { reply, chunk }));
        answer
    }

    /// Which message a SEND is a chunk of, if it is one: one without a body only shows that somebody is there, or gives a message up.
    fn chunk(&mut self, now: Time, head: &Head, body: bool, outlet: &Outlet) -> Result<Option<Chunk>, Status> {
        let bad = |_: Fault| Status::BAD_REQUEST;
        let options = &*outlet.options;
        let id = head.message_id().ok_or(Status::BAD_REQUEST)?;
        let range = head.byte_range().map_err(bad)?;
        let (success, failure) = (head.success_report().map_err(bad)?, head.failure_report().map_err(bad)?);
        let known = self.open.iter().position(|message| message.incoming.id == *id);
        let at = match known {
            Some(at) => at,
            None if !body => return Ok(None),
            None => {
                let content_type = head.content_type().ok_or(Status::BAD_REQUEST)?;
                if !options.accepts(content_type) {
                    return Err(Status::UNSUPPORTED_TYPE);
                }
                if range.total.is_some_and(|total| total > options.max_size) || self.open.len() >= options.open {
                    return Err(Status::STOP);
                }
                let known = ["Message-ID", "Byte-Range", "Success-Report", "Failure-Report", "Content-Type"];
                let others = |field: &&Field| !known.iter().any(|name| field.name.eq_ignore_ascii_case(name));
                let fields = head.fields.iter().filter(others).cloned().collect();
                self.next_key = self.next_key.wrapping_add(1);
                self.open.push(Message {
                    key: Key(self.next_key),
                    incoming: Incoming { id: own(id), content_type: own(content_type), fields, size: range.total },
                    success,
                    failure,
                    there: Ranges::default(),
                    taken: 0,
                    ended: false,
                    body: Body::Collected(Bytes::new()),
                    touched: now,
                });
                self.open.len() - 1
            }
        };
        let message = &mut self.open[at];
        message.touched = now;
        match (message.incoming.size, range.total) {
            (Some(known), Some(total)) if known != total => return Err(Status::BAD_REQUEST),
            (None, Some(total)) if total > options.max_size || total < message.there.end() => return Err(Status::STOP),
            (None, total) => message.incoming.size = total,
            (Some(_), _) => {}
        }
        Ok(Some(Chunk { key: message.key, at: range.start - 1, end: range.end }))
    }

    /// Why a message is not wanted, if it is not.
    fn refusal(&self, key: Key) -> Option<Status> {
        let message = self.open.iter().find(|message| message.key == key)?;
        if let Body::Refused(status) = message.body { Some(status) } else { None }
    }

    /// Takes body bytes in.
    fn bytes(&mut self, now: Time, bytes: Bytes, outlet: &mut Outlet) -> Result<(), Ending> {
        let length = bytes.len() as u64;
        let held = self.held();
        let Options { max_size, whole, patience, .. } = *outlet.options;
        let chunk = self.frame.as_mut().and_then(|frame| frame.chunk.as_mut());
        let place = chunk.and_then(|chunk| {
            let wanted = |message: &Message| message.key == chunk.key && !matches!(message.body, Body::Refused(_));
            Some((self.open.iter().position(wanted)?, chunk))
        });
        let Some((at, chunk)) = place else {
            self.wasted += length;
            return if self.wasted > patience { Err(Ending::Flood) } else { Ok(()) };
        };
        let (offset, end) = (chunk.at, chunk.at.saturating_add(length));
        chunk.at = end;
        let message = &mut self.open[at];
        let size = message.incoming.size;
        if [chunk.end, size].into_iter().flatten().any(|last| end > last) {
            return Err(self.false_range(outlet));
        }
        message.touched = now;
        message.taken += length;
        // Bytes may come again, but not without end.
        if end > max_size || message.taken > max_size.saturating_mul(2) || !message.there.insert(offset, end) {
            self.refuse_at(at, Status::STOP, outlet);
            return Ok(());
        }
        let key = message.key;
        if let Body::Collected(before) = &mut message.body {
            let small = held + bytes.len() <= whole && size.is_none_or(|size| size <= whole as u64);
            if small && offset == before.len() as u64 {
                // What waits for more does not keep alive what it was read into.
                *before = if size == Some(length) { bytes } else { join(std::mem::take(before), &bytes) };
                return Ok(());
            }
            let before = std::mem::take(before);
            message.body = Body::Passed;
            outlet.tell(Output::Begin(key, message.incoming.clone()));
            if !before.is_empty() {
                self.undrained += before.len();
                outlet.tell(Output::Piece { key, offset: 0, bytes: before });
            }
        }
        self.undrained += bytes.len();
        outlet.tell(Output::Piece { key, offset, bytes });
        Ok(())
    }

    /// The end of a frame, perhaps of a message.
    fn finish(&mut self, flag: Flag, outlet: &mut Outlet) -> Result<(), Ending> {
        let chunk = self.frame.as_ref().and_then(|frame| frame.chunk.as_ref());
        let place = chunk.and_then(|chunk| Some((self.open.iter().position(|message| message.key == chunk.key)?, chunk.at)));
        if let Some((at, end)) = place {
            let message = &mut self.open[at];
            let refused = matches!(message.body, Body::Refused(_));
            match flag {
                Flag::Continued => {}
                Flag::Complete if !refused => {
                    // The last chunk holds the last byte.
                    if *message.incoming.size.get_or_insert(end) != end || message.there.end() > end {
                        return Err(self.false_range(outlet));
                    }
                    message.ended = true;
                }
                Flag::Complete | Flag::Aborted => self.drop_message(at, outlet),
            }
            self.complete(at, outlet);
        }
        if let Some(mut frame) = self.frame.take() {
            frame.reply.give(outlet);
        }
        Ok(())
    }

    /// Gives a message to the consumer, or its end, if nothing is missing.
    fn complete(&mut self, at: usize, outlet: &mut Outlet) {
        let whole = |message: &Message| message.ended && message.incoming.size.is_some_and(|size| message.there.covers(size));
        if !self.open.get(at).is_some_and(whole) {
            return;
        }
        self.wasted = 0;
        let Message { key, incoming, success, failure, body, .. } = self.open.swap_remove(at);
        let receipt = Receipt { id: incoming.id.clone(), size: incoming.size.unwrap_or_default(), success, failure };
        match body {
            Body::Collected(body) => {
                self.undrained += body.len();
                outlet.tell(Output::Message { incoming, body, receipt });
            }
            Body::Passed => outlet.tell(Output::End(key, receipt)),
            Body::Refused(_) => {}
        }
    }

    /// The other end said bytes to be where they cannot be.
    fn false_range(&mut self, outlet: &mut Outlet) -> Ending {
        if let Some(frame) = &mut self.frame {
            frame.reply.status = Status::BAD_REQUEST;
            frame.reply.give(outlet);
        }
        Ending::FalseRange
    }
}

impl Reply {
    /// Answers, where that is wanted and was not done [RFC4975 §7.2].
    fn give(&mut self, outlet: &mut Outlet) {
        let wanted = match std::mem::replace(&mut self.wanted, FailureReport::No) {
            FailureReport::Yes => true,
            FailureReport::Partial => !self.status.is_success(),
            FailureReport::No => false,
        };
        if wanted {
            let Reply { transaction, to, from, status, .. } = self;
            let path = |uri| std::slice::from_ref(uri);
            let comment = Some(status.comment()).filter(|comment| !comment.is_empty());
            outlet.frames.push_back(Printer::response(transaction, *status, comment, path(to), path(from)).finish(None, Flag::Complete));
        }
    }
}

/// A text that shares nothing with the head it stood in.
fn own(text: &Text) -> Text {
    Text::from(text.as_str())
}

fn join(before: Bytes, bytes: &[u8]) -> Bytes {
    let mut joined = before.try_into_mut().unwrap_or_else(|before| BytesMut::from(&before[..]));
    joined.extend_from_slice(bytes);
    joined.freeze()
}
