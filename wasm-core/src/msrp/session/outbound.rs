//! The sending half: messages become chunks, chunks wait for their responses, messages for their reports.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Ending, Id, Outgoing, Outlet, Output, Source};
use crate::Time;
use crate::msrp::ranges::Ranges;
use crate::wire::msrp::{ByteRange, FailureReport, Flag, Method, Status};

/// What the other end says of something that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// A response.
    Response { transaction: u64, status: Status },
    /// A REPORT.
    Report { id: Id, status: Status, range: ByteRange },
}

#[derive(Debug)]
pub(super) struct Outbound {
    /// Messages that are here, in their order.
    letters: VecDeque<Message>,
    /// Messages that are supplied while they are sent, in turns.
    streams: VecDeque<Message>,
    /// Chunks without a response, the oldest first.
    unanswered: VecDeque<Transaction>,
    /// The request that asks whether the other end is there, and when that has to be answered.
    probe: Option<(u64, Time)>,
    /// The bytes of `unanswered`.
    in_flight: usize,
    /// Messages that were sent and of which more will be heard.
    awaited: VecDeque<Awaited>,
    /// The largest message that the other end takes.
    max_size: Option<u64>,
}

#[derive(Debug)]
struct Message {
    about: Outgoing,
    size: Option<u64>,
    sent: u64,
    /// What is here and not sent.
    body: Bytes,
    /// Whether nothing comes after that.
    last: bool,
    /// Whether more was asked for.
    asked: bool,
}

#[derive(Debug)]
struct Transaction {
    number: u64,
    of: Id,
    bytes: usize,
    by: Time,
}

#[derive(Debug)]
struct Awaited {
    id: Id,
    size: u64,
    answers: bool,
    /// What was reported so far, where reports were asked for.
    reported: Option<Ranges>,
}

impl Outbound {
    /// How many messages are remembered whose success was not reported yet.
    const AWAITED: usize = 64;
    /// How much of a stream is asked for, in chunks.
    const AHEAD: usize = 4;
    /// What a frame weighs beside its body: many small ones are bounded too.
    const FRAME: usize = 256;

    pub(super) fn new(max_size: Option<u64>) -> Outbound {
        Outbound {
            letters: VecDeque::new(),
            streams: VecDeque::new(),
            unanswered: VecDeque::new(),
            probe: None,
            in_flight: 0,
            awaited: VecDeque::new(),
            max_size,
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.letters.iter().chain(&self.streams).map(|message| message.body.len()).sum()
    }

    pub(super) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let chunk = self.unanswered.front().map(|transaction| transaction.by);
        chunk.into_iter().chain(self.probe.map(|(_, by)| by)).min()
    }

    /// Gives all requests on their way until then.
    pub(super) fn postpone(&mut self, by: Time) {
        for transaction in &mut self.unanswered {
            transaction.by = by;
        }
        self.probe = self.probe.map(|(number, _)| (number, by));
    }

    pub(super) fn send(&mut self, mut message: Outgoing, outlet: &mut Outlet) {
        let (body, size, last) = match &mut message.body {
            Source::Whole(body) => (std::mem::take(body), None, true),
            Source::Stream { size } => (Bytes::new(), *size, false),
        };
        let size = if last { Some(body.len() as u64) } else { size };
        if size.zip(self.max_size).is_some_and(|(size, max)| size > max) {
            return outlet.tell(Output::Failed(message.id, Status::STOP));
        }
        let lane = if last { &mut self.letters } else { &mut self.streams };
        lane.push_back(Message { about: message, size, sent: 0, body, last, asked: false });
    }

    pub(super) fn supply(&mut self, id: Id, bytes: &Bytes, last: bool, outlet: &mut Outlet) {
        let Some(message) = self.streams.iter_mut().find(|message| message.about.id == id && !message.last) else { return };
        message.asked = false;
        message.last = last;
        message.body = match message.body.is_empty() {
            true => bytes.clone(),
            false => [&message.body[..], bytes].concat().into(),
        };
        let there = message.sent + message.body.len() as u64;
        let sound = match message.size {
            Some(size) => there <= size && (!last || there == size),
            None => self.max_size.is_none_or(|max| there <= max),
        };
        if last {
            message.size = Some(there);
        }
        if !sound {
            self.fail(id, Status::OUT_OF_BOUNDS, outlet);
        }
    }

    /// Asks whether the other end is there, by a SEND without a body.
    pub(super) fn probe(&mut self, now: Time, outlet: &mut Outlet) {
        let (number, transaction) = outlet.transaction(&[]);
        let mut printer = outlet.request(&transaction, &Method::Send);
        printer.field("Message-ID", Id(number));
        printer.field("Byte-Range", ByteRange::whole(0));
        let frame = printer.finish(None, Flag::Complete);
        outlet.frames.push_back(frame);
        self.probe = Some((number, now + outlet.options.answer));
    }

    /// The next chunk, unless too much is on its way already.
    pub(super) fn transmit(&mut self, now: Time, outlet: &mut Outlet) -> Option<Bytes> {
        if self.in_flight >= outlet.options.in_flight {
            return None;
        }
        let chunk = outlet.options.chunk.max(1);
        let mut message = match self.letters.pop_front() {
            Some(letter) => letter,
            None => {
                let ready = |message: &Message| !message.body.is_empty() || message.last;
                for message in self.streams.iter_mut().filter(|message| !message.last && !message.asked && message.body.len() < chunk) {
                    message.asked = true;
                    outlet.outputs.push_back(Output::Wanted(message.about.id, chunk * Self::AHEAD));
                }
                self.streams.iter().position(ready).and_then(|at| self.streams.remove(at))?
            }
        };
        let body = message.body.split_to(chunk.min(message.body.len()));
        let flag = if message.last && message.body.is_empty() { Flag::Complete } else { Flag::Continued };
        let (number, frame) = print(&message, &body, flag, outlet);
        message.sent += body.len() as u64;
        let (id, failure) = (message.about.id, message.about.failure_report);
        if failure == FailureReport::Yes {
            let bytes = body.len() + Self::FRAME;
            self.in_flight += bytes;
            self.unanswered.push_back(Transaction { number, of: id, bytes, by: now + outlet.options.answer });
        }
        match flag {
            Flag::Complete => self.finish(&message, outlet),
            Flag::Continued | Flag::Aborted => match message.about.body {
                // What was begun goes on before what comes after it; streams take turns.
                Source::Whole(_) => self.letters.push_front(message),
                Source::Stream { .. } => self.streams.push_back(message),
            },
        }
        Some(frame)
    }

    /// All of a message is out.
    fn finish(&mut self, message: &Message, outlet: &mut Outlet) {
        let id = message.about.id;
        let answers = message.about.failure_report == FailureReport::Yes;
        if !answers {
            outlet.tell(Output::Sent(id));
        }
        let reported = message.about.success_report.then(Ranges::default);
        if answers || reported.is_some() {
            let idle = |awaited: &Awaited| !awaited.answers;
            if self.awaited.iter().filter(|awaited| idle(awaited)).count() >= Self::AWAITED
                && let Some(oldest) = self.awaited.iter().position(idle)
            {
                self.awaited.remove(oldest);
            }
            self.awaited.push_back(Awaited { id, size: message.sent, answers, reported });
        }
    }

    /// Takes in a response or a report, which may end the session.
    pub(super) fn answered(&mut self, answer: Answer, outlet: &mut Outlet) -> Result<(), Ending> {
        match answer {
            Answer::Response { transaction, status } => {
                let probe = self.probe.take_if(|(number, _)| *number == transaction);
                let chunk = self.unanswered.iter().position(|open| open.number == transaction).and_then(|at| self.unanswered.remove(at));
                self.in_flight -= chunk.as_ref().map_or(0, |chunk| chunk.bytes);
                match (chunk, status) {
                    (None, _) if probe.is_none() => {}
                    (_, Status::NO_SESSION | Status::OTHER_CONNECTION) => return Err(Ending::Refused(status)),
                    (Some(chunk), status) if status.is_success() => self.taken(chunk.of, outlet),
                    (Some(chunk), status) => self.fail(chunk.of, status, outlet),
                    // Whatever else the answer to a probe is, somebody gave it.
                    (None, _) => {}
                }
                Ok(())
            }
            Answer::Report { id, status, range } => {
                if status.is_success() {
                    self.reported(id, range, outlet);
                } else {
                    self.fail(id, status, outlet);
                }
                Ok(())
            }
        }
    }

    /// A chunk of the message was taken.
    fn taken(&mut self, id: Id, outlet: &mut Outlet) {
        if self.unanswered.iter().any(|open| open.of == id) {
            return;
        }
        let Some(at) = self.awaited.iter().position(|awaited| awaited.id == id && awaited.answers) else { return };
        self.awaited[at].answers = false;
        if self.awaited[at].reported.is_none() {
            self.awaited.remove(at);
        }
        outlet.tell(Output::Sent(id));
    }

    /// Bytes of the message were received.
    fn reported(&mut self, id: Id, range: ByteRange, outlet: &mut Outlet) {
        let Some(at) = self.awaited.iter().position(|awaited| awaited.id == id) else { return };
        let Awaited { size, answers, reported, .. } = &mut self.awaited[at];
        let Some(ranges) = reported else { return };
        ranges.insert(range.start - 1, range.end.unwrap_or(*size).min(*size));
        if !ranges.covers(*size) {
            return;
        }
        *reported = None;
        // A report that overtakes the response says as much.
        if std::mem::take(answers) {
            outlet.tell(Output::Sent(id));
        }
        self.awaited.remove(at);
        outlet.tell(Output::Delivered(id));
    }

    /// Gives a message up, and tells the other end if it has some of it and did not say so itself.
    pub(super) fn fail(&mut self, id: Id, status: Status, outlet: &mut Outlet) {
        let unsent = [&mut self.letters, &mut self.streams].into_iter().find_map(|lane| {
            let at = lane.iter().position(|message| message.about.id == id)?;
            lane.remove(at)
        });
        let sent = self.awaited.iter().position(|awaited| awaited.id == id).and_then(|at| self.awaited.remove(at));
        if unsent.is_none() && sent.is_none() {
            return;
        }
        let in_flight = &mut self.in_flight;
        self.unanswered.retain(|open| {
            let others = open.of != id;
            *in_flight -= if others { 0 } else { open.bytes };
            others
        });
        if let Some(message) = unsent.filter(|message| message.sent > 0) {
            let (_, frame) = print(&message, &Bytes::new(), Flag::Aborted, outlet);
            outlet.frames.push_back(frame);
        }
        outlet.tell(Output::Failed(id, status));
    }

    /// Gives up what was not answered in time; that nobody is there ends the session.
    pub(super) fn expire(&mut self, now: Time, outlet: &mut Outlet) -> Result<(), Ending> {
        while self.unanswered.front().is_some_and(|open| open.by <= now) {
            let Some(late) = self.unanswered.pop_front() else { break };
            self.in_flight -= late.bytes;
            self.fail(late.of, Status::TIMEOUT, outlet);
        }
        if self.probe.is_some_and(|(_, by)| by <= now) { Err(Ending::Silence) } else { Ok(()) }
    }

    /// The session is over: what was not taken has failed.
    pub(super) fn end(&mut self, outlet: &mut Outlet) {
        let Outbound { letters, streams, awaited, max_size, .. } = std::mem::replace(self, Outbound::new(None));
        self.max_size = max_size;
        let unanswered = awaited.into_iter().filter(|awaited| awaited.answers).map(|awaited| awaited.id);
        let unsent = letters.into_iter().chain(streams).map(|message| message.about.id);
        outlet.outputs.extend(unanswered.chain(unsent).map(|id| Output::Failed(id, Status::NO_SESSION)));
    }
}

/// Writes a chunk of a message, with its transaction.
fn print(message: &Message, body: &[u8], flag: Flag, outlet: &mut Outlet) -> (u64, Bytes) {
    let (number, transaction) = outlet.transaction(body);
    let about = &message.about;
    let end = message.sent + body.len() as u64;
    // A chunk that is longer than this has to be one that can be interrupted [RFC4975 §7.1.1].
    let range = ByteRange { start: message.sent + 1, end: (body.len() <= 2048).then_some(end), total: message.size };
    let mut printer = outlet.request(&transaction, &Method::Send);
    printer.field("Message-ID", about.id);
    printer.field("Byte-Range", range);
    if about.success_report {
        printer.field("Success-Report", "yes");
    }
    if about.failure_report != FailureReport::Yes {
        printer.field("Failure-Report", about.failure_report.as_str());
    }
    for field in &about.fields {
        printer.field(&field.name, &field.value);
    }
    printer.field("Content-Type", &about.content_type);
    (number, printer.finish(Some(body), flag))
}
