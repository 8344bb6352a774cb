//! Two sessions and the connection between them, under virtual time: what the tests of the sessions play on.
//!
//! The connection delays, cuts into pieces, takes only so many bytes at once, and can be lost or fall silent. Both ends have a consumer
//! that may be slow and a source for what they stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::setup::Reach;
use super::*;
use crate::wire::msrp::{Frame, Limits, Transport};
use crate::wire::sdp::{Kind, Sdp};
use crate::{Entropy, Time};

/// What a connection is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    pub transport: Transport,
    pub delay: Duration,
    /// Bytes that arrive together.
    pub piece: usize,
    /// Bytes that may be on their way.
    pub room: usize,
}

impl Net {
    pub(super) const TCP: Net = Net { transport: Transport::Tcp, delay: Duration::from_millis(10), piece: 1460, room: 64 * 1024 };
    pub(super) const WEBSOCKET: Net = Net { transport: Transport::WebSocket, ..Net::TCP };
}

/// One of the two, and all that it was told.
#[derive(Debug)]
pub(super) struct End {
    pub session: Session,
    pub outputs: Vec<Output>,
    /// What the consumer has put together of the messages that came in pieces.
    pub files: BTreeMap<Key, Vec<u8>>,
    /// What is left of what is streamed.
    pub sources: BTreeMap<Id, Bytes>,
    /// Whether the consumer takes what it is given.
    pub draining: bool,
    /// Bytes given to the consumer that it did not take.
    pub owed: usize,
    /// Frames on their way to this end, and when they arrive.
    coming: VecDeque<(Time, Bytes)>,
    /// How many bytes of frames it has sent.
    pub sent: usize,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub now: Time,
    pub net: Net,
    pub a: End,
    pub b: End,
    /// Nothing arrives any more, and nobody says so.
    pub silent: bool,
}

/// Offer and answer, over the wire; the first end opens the connection.
pub(super) fn agreed(transport: Transport, options: [&Options; 2]) -> [Setup; 2] {
    let mut entropy = Entropy::new([7; 32]);
    let mut offer = |host, reach| Offer::new(true, host, 2855, transport, reach, &mut entropy);
    let (a, b) = (offer("a.invalid", Reach::Outwards), offer("192.0.2.2", Reach::Inwards));
    let carried = |media| {
        let mut sdp = Sdp::new(1, 1, [192, 0, 2, 1].into());
        sdp.session.medias.push(media);
        Sdp::parse(&sdp.encode()).expect("a description of our own is sound")
    };
    let offered = carried(a.media(options[0]));
    let (answer, setup) = b.answer(offered.find(Kind::Message).unwrap(), options[1]).unwrap();
    [a.accept(carried(answer).find(Kind::Message).unwrap()).unwrap(), setup]
}

impl Pair {
    pub(super) fn new(net: Net, options: Options) -> Pair {
        Pair::with(net, [options.clone(), options])
    }

    pub(super) fn with(net: Net, [a, b]: [Options; 2]) -> Pair {
        let setups = agreed(net.transport, [&a, &b]);
        let end = |setup, options, seed| End {
            session: Session::new(Time(0), setup, Arc::new(options), Entropy::new([seed; 32])),
            outputs: Vec::new(),
            files: BTreeMap::new(),
            sources: BTreeMap::new(),
            draining: true,
            owed: 0,
            coming: VecDeque::new(),
            sent: 0,
        };
        let mut pair = Pair { now: Time(0), net, a: end(&setups[0], a, 1), b: end(&setups[1], b, 2), silent: false };
        pair.a.session.handle(Time(0), Input::Connected);
        pair.b.session.handle(Time(0), Input::Connected);
        pair.settle();
        pair.a.outputs.clear();
        pair.b.outputs.clear();
        pair
    }

    pub(super) fn both(&mut self) -> [&mut End; 2] {
        [&mut self.a, &mut self.b]
    }

    /// Both ends act until neither has anything to do at this time.
    fn act(&mut self) {
        loop {
            let mut acted = false;
            let (now, net, silent) = (self.now, self.net, self.silent);
            for (from, to) in [(0, 1), (1, 0)] {
                let end = &mut *self.both()[from];
                acted |= end.poll(now);
                let mut flying = Vec::new();
                let other = &mut *self.both()[to];
                let mut room = net.room.saturating_sub(other.coming.iter().map(|(_, bytes)| bytes.len()).sum());
                let end = &mut *self.both()[from];
                while room > 0 {
                    let Some(frame) = end.session.transmit(now) else { break };
                    room = room.saturating_sub(frame.len());
                    end.sent += frame.len();
                    flying.push(frame);
                    end.poll(now);
                }
                acted |= !flying.is_empty() || end.poll(now);
                for frame in flying.into_iter().filter(|_| !silent) {
                    Frame::parse(&frame, &Limits::default()).expect("what a session sends is a frame");
                    self.both()[to].coming.push_back((now + net.delay, frame));
                }
            }
            if !acted {
                return;
            }
        }
    }

    /// Does the next thing that happens before `until`, unless nothing does.
    fn step(&mut self, until: Time) -> bool {
        self.act();
        let net = self.net;
        let arrival = |end: &End| end.coming.front().filter(|_| end.session.wants_read()).map(|(at, _)| *at);
        let times = [&self.a, &self.b].map(|end| [arrival(end), end.session.next_timeout()]);
        let Some(next) = times.iter().flatten().copied().flatten().min().filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        for end in self.both() {
            if arrival(end).is_some_and(|at| at <= now)
                && let Some((at, mut frame)) = end.coming.pop_front()
            {
                let piece = if net.transport == Transport::WebSocket { frame.len() } else { net.piece.min(frame.len()) };
                let first = frame.split_to(piece);
                if !frame.is_empty() {
                    end.coming.push_front((at, frame));
                }
                end.session.handle(now, Input::Received(first));
            }
            if end.session.next_timeout().is_some_and(|due| due <= now) {
                end.session.handle(now, Input::Timeout);
                assert!(end.session.next_timeout().is_none_or(|due| due > now), "a timer that fires again and again");
            }
        }
        self.act();
        true
    }

    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets time pass until the connection is quiet.
    pub(super) fn settle(&mut self) {
        self.act();
        while !(self.a.coming.is_empty() && self.b.coming.is_empty()) && self.step(self.now + self.net.delay) {}
    }

    pub(super) fn lose(&mut self) {
        let now = self.now;
        for end in self.both() {
            end.coming.clear();
            end.session.handle(now, Input::Disconnected);
            end.poll(now);
        }
    }
}

impl End {
    /// Takes out what the session tells, and does what it asks for.
    fn poll(&mut self, now: Time) -> bool {
        let before = self.outputs.len();
        while let Some(output) = self.session.poll() {
            let mut given = 0;
            match &output {
                Output::Message { body, .. } => given = body.len(),
                Output::Piece { key, offset, bytes } => {
                    given = bytes.len();
                    let file = self.files.entry(*key).or_default();
                    let offset = *offset as usize;
                    file.resize(file.len().max(offset + bytes.len()), 0);
                    file[offset..offset + bytes.len()].copy_from_slice(bytes);
                }
                Output::Wanted(id, wanted) => {
                    if let Some(source) = self.sources.get_mut(id) {
                        let bytes = source.split_to((*wanted).min(source.len()));
                        let last = source.is_empty();
                        self.session.handle(now, Input::Supply { id: *id, bytes, last });
                    }
                }
                _ => {}
            }
            self.owed += given;
            self.outputs.push(output);
        }
        if self.draining && self.owed > 0 {
            self.session.handle(now, Input::Drained(std::mem::take(&mut self.owed)));
        }
        self.outputs.len() > before
    }

    pub(super) fn say(&mut self, now: Time, text: &str) -> Id {
        let id = self.session.id();
        self.session.handle(now, Input::Send(Outgoing::new(id, "message/cpim", Bytes::copy_from_slice(text.as_bytes()))));
        id
    }

    pub(super) fn stream(&mut self, now: Time, bytes: Bytes, size: Option<u64>) -> Id {
        let id = self.session.id();
        self.sources.insert(id, bytes);
        self.session.handle(now, Input::Send(Outgoing::stream(id, "message/cpim", size)));
        id
    }

    /// The bodies that came as a whole.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |output: &Output| match output {
            Output::Message { body, .. } => Some(String::from_utf8_lossy(body).into_owned()),
            _ => None,
        };
        self.outputs.iter().filter_map(text).collect()
    }

    pub(super) fn at(&self, wanted: impl Fn(&Output) -> bool) -> Option<usize> {
        self.outputs.iter().position(wanted)
    }

    pub(super) fn told(&self, output: &Output) -> bool {
        self.outputs.contains(output)
    }
}
