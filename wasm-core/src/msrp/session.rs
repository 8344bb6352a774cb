//! One MSRP session over one connection [RFC4975 §7].
//!
//! [`Session::handle`] takes an [`Input`], [`Session::poll`] tells what came of it, [`Session::transmit`] gives the next frame whenever the
//! connection has room for one: the sender's source is asked for more only then. Poll after both. The owner reads from the connection
//! while [`Session::wants_read`] says so, and tells by [`Input::Drained`] what its consumer has taken of the bytes that it was given.
//!
//! | timer | value | when it fires |
//! |---|---|---|
//! | connect | [`Options::connect`] | no connection: [`Ending::Unopened`] |
//! | answer | [`Options::answer`], 30 s [RFC4975 §7.1] | no response to a chunk whose failure is reported: 408 |
//! | probe | [`Options::keep_alive`] of silence | a SEND without a body, which has to be answered in time |
//! | stall | [`Options::stall`] without progress | an unfinished message is dropped; within a frame: [`Ending::Silence`] |
//! | idle | [`Options::idle`] of silence | [`Ending::Silence`] |
//!
//! While reading is off, since the consumer is slow, none of them runs but the first.

mod inbound;
mod message;
mod outbound;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use self::inbound::Inbound;
pub use self::message::{Id, Incoming, Key, Outgoing, Receipt, Source};
use self::outbound::Outbound;
use super::Options;
use super::setup::{Role, Setup};
use crate::wire::msrp::{ByteRange, Decoder, FailureReport, Fault, Flag, Limits, Method, MsrpUri, Path, Printer, Status, Transport};
use crate::{Entropy, Time};

/// What a session is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// The connection is there: opened by this end or bound to the session by a [`super::Knock`].
    Connected,
    /// Bytes of the stream, or one WebSocket or data channel message.
    Received(Bytes),
    /// The consumer has taken so many of the bytes of bodies that it was given.
    Drained(usize),
    /// Send this.
    Send(Outgoing),
    /// More of a stream that is being sent.
    Supply {
        /// Which.
        id: Id,
        /// The bytes after those before, none only at the end.
        bytes: Bytes,
        /// Whether they are the last.
        last: bool,
    },
    /// Do not send the rest of this.
    Abort(Id),
    /// The rest of an incoming message is not wanted, mostly by [`Status::STOP`].
    Refuse(Key, Status),
    /// An incoming message was kept, or lost: report it as its sender wants.
    Report(Receipt, Status),
    /// The connection is gone.
    Disconnected,
    /// The session is over.
    Close,
    /// Time has passed.
    Timeout,
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A whole message.
    Message {
        /// What precedes the body.
        incoming: Incoming,
        /// The body.
        body: Bytes,
        /// What its sender wants to hear.
        receipt: Receipt,
    },
    /// A message begins that comes in pieces.
    Begin(Key, Incoming),
    /// Bytes of it: mostly, but not always, those after the last; what comes twice replaces what came before.
    Piece {
        /// Of which message.
        key: Key,
        /// How many bytes of it stand before these.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// It is complete.
    End(Key, Receipt),
    /// It will not be completed: its sender gave up, stalls or was refused.
    Dropped(Key),
    /// A stream of ours can be sent on: supply some bytes of it, about so many.
    Wanted(Id, usize),
    /// A message of ours was sent as a whole and, unless its failures are not reported, taken by the next hop.
    Sent(Id),
    /// A message of ours was received as a whole.
    Delivered(Id),
    /// A message of ours was not taken.
    Failed(Id, Status),
    /// The session is over: close the connection once [`Session::transmit`] has nothing left.
    Closed(Ending),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked for.
    Asked,
    /// The connection was lost.
    Lost,
    /// No connection came.
    Unopened,
    /// The other end is silent.
    Silence,
    /// The other end does not speak MSRP.
    Garbage(Fault),
    /// The other end said bytes to be where they cannot be.
    FalseRange,
    /// The other end goes on sending what was refused.
    Flood,
    /// The other end knows no such session, or has it on another connection.
    Refused(Status),
}

/// One session.
#[derive(Debug)]
pub struct Session {
    outlet: Outlet,
    role: Role,
    state: State,
    decoder: Decoder,
    inbound: Inbound,
    outbound: Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { by: Time },
    Open { heard: Time },
    Closed,
}

/// What both halves know, and where they put what is to go out.
#[derive(Debug)]
struct Outlet {
    options: Arc<Options>,
    entropy: Entropy,
    local: MsrpUri,
    remote: Path,
    /// Responses and reports, which go before chunks.
    frames: VecDeque<Bytes>,
    outputs: VecDeque<Output>,
}

impl Outlet {
    fn tell(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// A transaction that nobody can foresee and that ends no frame with this body, as number and in digits.
    fn transaction(&mut self, body: &[u8]) -> (u64, String) {
        loop {
            let number = u64::from_be_bytes(self.entropy.bytes());
            let digits = format!("{number:016x}");
            if memmem::find(body, digits.as_bytes()).is_none() {
                return (number, digits);
            }
        }
    }

    fn request<'a>(&self, transaction: &'a str, method: &Method) -> Printer<'a> {
        Printer::request(transaction, method.as_str(), &self.remote, std::slice::from_ref(&self.local))
    }
}

impl Session {
    /// How many frames of ours may wait to be sent before reading stops.
    const BACKLOG: usize = 64;

    /// A session that waits for its connection.
    pub fn new(now: Time, setup: &Setup, options: Arc<Options>, entropy: Entropy) -> Session {
        let state = State::Waiting { by: now + options.connect };
        let (local, remote) = (setup.local.clone(), setup.remote.clone());
        Session {
            outlet: Outlet { options, entropy, local, remote, frames: VecDeque::new(), outputs: VecDeque::new() },
            role: setup.role,
            state,
            decoder: Decoder::new(Limits::default()),
            inbound: Inbound::default(),
            outbound: Outbound::new(setup.max_size),
        }
    }

    /// A new message's id.
    pub fn id(&mut self) -> Id {
        Id(u64::from_be_bytes(self.outlet.entropy.bytes()))
    }

    /// Whether more is to be read from the connection.
    pub fn wants_read(&self) -> bool {
        self.inbound.undrained() < self.outlet.options.window && self.outlet.frames.len() < Self::BACKLOG
    }

    /// How many bytes of messages of ours are held, unsent.
    pub fn backlog(&self) -> usize {
        self.outbound.backlog()
    }

    /// How many bytes of the other end's are held until they make a head or a message.
    pub fn held(&self) -> usize {
        self.decoder.held() + self.inbound.held()
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// What has come of the inputs.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outlet.outputs.pop_front();
        if self.outlet.outputs.is_empty() {
            self.outlet.outputs = VecDeque::new();
        }
        output
    }

    /// The next frame, to be called whenever the connection takes one.
    pub fn transmit(&mut self, now: Time) -> Option<Bytes> {
        let reading = self.wants_read();
        let frame = self.outlet.frames.pop_front();
        if !reading && self.wants_read() {
            self.state = self.resume(now, self.state);
        }
        match self.state {
            State::Open { .. } => frame.or_else(|| self.outbound.transmit(now, &mut self.outlet)),
            State::Waiting { .. } | State::Closed => frame,
        }
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        match self.state {
            State::Waiting { by } => Some(by),
            State::Open { heard } if self.wants_read() => {
                let options = &self.outlet.options;
                let probe = options.keep_alive.filter(|_| !self.outbound.is_probing()).map(|silence| heard + silence);
                let stall = self.is_within_frame().then(|| heard + options.stall);
                let message = self.inbound.oldest().map(|oldest| oldest + options.stall);
                [Some(heard + options.idle), probe, stall, message, self.outbound.next_timeout()].into_iter().flatten().min()
            }
            State::Open { .. } | State::Closed => None,
        }
    }

    fn is_within_frame(&self) -> bool {
        !self.decoder.is_between() || self.inbound.is_reading()
    }

    /// Takes an input in.
    pub fn handle(&mut self, now: Time, input: Input) {
        let reading = self.wants_read();
        let state = self.step(now, self.state, input);
        self.state = if !reading && self.wants_read() { self.resume(now, state) } else { state };
    }

    fn step(&mut self, now: Time, state: State, input: Input) -> State {
        let outlet = &mut self.outlet;
        match (state, input) {
            (State::Waiting { .. }, Input::Connected) => {
                // The passive end learns by this whose connection it is [RFC4975 §5.4].
                if self.role == Role::Active {
                    self.outbound.probe(now, outlet);
                }
                State::Open { heard: now }
            }
            (State::Waiting { by }, Input::Timeout) if by <= now => self.end(Ending::Unopened),
            (State::Open { .. }, Input::Received(bytes)) => match self.receive(now, bytes) {
                Ok(()) => State::Open { heard: now },
                Err(ending) => self.end(ending),
            },
            (State::Open { heard }, Input::Timeout) => match self.timeout(now, heard) {
                Ok(()) => State::Open { heard },
                Err(ending) => self.end(ending),
            },
            (State::Waiting { .. } | State::Open { .. }, Input::Send(message)) => {
                self.outbound.send(message, outlet);
                state
            }
            (State::Waiting { .. } | State::Open { .. }, Input::Supply { id, bytes, last }) => {
                self.outbound.supply(id, &bytes, last, outlet);
                state
            }
            (State::Waiting { .. } | State::Open { .. }, Input::Abort(id)) => {
                self.outbound.fail(id, Status::STOP, outlet);
                state
            }
            (State::Open { .. }, Input::Refuse(key, status)) => {
                self.inbound.refuse(key, status, outlet);
                state
            }
            (State::Open { .. }, Input::Report(receipt, status)) => {
                report(&receipt, status, outlet);
                state
            }
            (State::Open { .. } | State::Closed, Input::Drained(bytes)) => {
                self.inbound.drained(bytes);
                state
            }
            (State::Waiting { .. } | State::Open { .. }, Input::Disconnected) => self.end(Ending::Lost),
            (State::Waiting { .. } | State::Open { .. }, Input::Close) => self.end(Ending::Asked),
            // Nothing has come in yet, or too early.
            (State::Waiting { .. }, Input::Received(_) | Input::Drained(_) | Input::Refuse(..) | Input::Report(..) | Input::Timeout)
            | (State::Open { .. }, Input::Connected) => state,
            (
                State::Closed,
                Input::Connected
                | Input::Received(_)
                | Input::Send(_)
                | Input::Supply { .. }
                | Input::Abort(_)
                | Input::Refuse(..)
                | Input::Report(..)
                | Input::Disconnected
                | Input::Close
                | Input::Timeout,
            ) => State::Closed,
        }
    }

    fn receive(&mut self, now: Time, bytes: Bytes) -> Result<(), Ending> {
        self.decoder.push(bytes);
        while let Some(event) = self.decoder.next().map_err(|error| Ending::Garbage(error.fault))? {
            if let Some(answer) = self.inbound.event(now, event, &mut self.outlet)? {
                self.outbound.answered(answer, &mut self.outlet)?;
            }
        }
        match self.outlet.local.transport() {
            // One message is one frame [RFC7977 §5.2].
            Transport::WebSocket if self.is_within_frame() => Err(Ending::Garbage(Fault::Truncated)),
            Transport::WebSocket | Transport::Tcp | Transport::DataChannel | Transport::Other => Ok(()),
        }
    }

    fn timeout(&mut self, now: Time, heard: Time) -> Result<(), Ending> {
        if self.next_timeout().is_none_or(|due| due > now) {
            return Ok(());
        }
        let options = Arc::clone(&self.outlet.options);
        if heard + options.idle <= now || self.is_within_frame() && heard + options.stall <= now {
            return Err(Ending::Silence);
        }
        self.inbound.expire(now, &mut self.outlet);
        self.outbound.expire(now, &mut self.outlet)?;
        if !self.outbound.is_probing() && options.keep_alive.is_some_and(|silence| heard + silence <= now) {
            self.outbound.probe(now, &mut self.outlet);
        }
        Ok(())
    }

    /// Starts the clocks again that stood still while nothing was read.
    fn resume(&mut self, now: Time, state: State) -> State {
        self.inbound.touch(now);
        self.outbound.postpone(now + self.outlet.options.answer);
        match state {
            State::Open { .. } => State::Open { heard: now },
            other @ (State::Waiting { .. } | State::Closed) => other,
        }
    }

    fn end(&mut self, ending: Ending) -> State {
        mem::take(&mut self.decoder);
        self.inbound.end(&mut self.outlet);
        self.outbound.end(&mut self.outlet);
        self.outlet.tell(Output::Closed(ending));
        State::Closed
    }
}

/// Writes a REPORT, where the sender wants one.
fn report(receipt: &Receipt, status: Status, outlet: &mut Outlet) {
    let wanted = if status.is_success() { receipt.success } else { receipt.failure != FailureReport::No };
    if !wanted {
        return;
    }
    let (_, transaction) = outlet.transaction(&[]);
    let mut printer = outlet.request(&transaction, &Method::Report);
    printer.field("Message-ID", &receipt.id);
    printer.field("Byte-Range", ByteRange::whole(receipt.size));
    printer.field("Status", format_args!("000 {status} {}", status.comment()));
    let frame = printer.finish(None, Flag::Complete);
    outlet.frames.push_back(frame);
}
