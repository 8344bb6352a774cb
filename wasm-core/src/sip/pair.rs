//! Two transaction layers and the network between them, under virtual time: what the tests of the machines play on.
//!
//! Delay, loss, duplication and reordering come from a seed, so that a failure repeats. Everything that travels is parsed where it
//! arrives, as it would be from a socket.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::transaction::{Event, Layer, Out, ServerId, Timers};
use crate::wire::sip::{Limits, Message, Method, Request, Response, Status, To};
use crate::{Entropy, Time};

/// What the network does to a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    pub reliable: bool,
    pub delay: Duration,
    /// Added at random, so that messages overtake each other.
    pub jitter: Duration,
    /// Per cent.
    pub loss: u64,
    /// Per cent.
    pub duplication: u64,
}

impl Net {
    pub(crate) const UDP: Net = Net { reliable: false, delay: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0, duplication: 0 };
    pub(crate) const TCP: Net = Net { reliable: true, ..Net::UDP };
    /// Nothing arrives.
    pub(crate) const SILENCE: Net = Net { loss: 100, ..Net::UDP };
    /// One of the worse days.
    pub(crate) const STORM: Net =
        Net { reliable: false, delay: Duration::from_millis(20), jitter: Duration::from_millis(700), loss: 30, duplication: 20 };
}

/// The two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    A,
    B,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub now: Time,
    pub net: Net,
    pub a: Layer<()>,
    pub b: Layer<()>,
    /// What was put on the wire: when, by whom, its method or status.
    pub wire: Vec<(u64, End, String)>,
    pub events: VecDeque<(u64, End, Event<()>)>,
    chance: Entropy,
    flying: BTreeMap<(Time, u64), (End, Vec<u8>)>,
    count: u64,
}

impl Pair {
    pub(crate) fn new(net: Net, seed: u8) -> Pair {
        let mut chance = Entropy::new([seed; 32]);
        Pair {
            now: Time(0),
            net,
            a: Layer::new(chance.fork(), Timers::default()),
            b: Layer::new(chance.fork(), Timers::default()),
            wire: Vec::new(),
            events: VecDeque::new(),
            chance,
            flying: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) fn layer(&mut self, end: End) -> &mut Layer<()> {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// Takes out what the layers have to say: messages onto the wire, events into the list.
    pub(crate) fn drain(&mut self) {
        for end in [End::A, End::B] {
            while let Some(out) = self.layer(end).poll() {
                match out {
                    Out::Send { message, .. } => self.fly(end, &message),
                    Out::Event(event) => self.events.push_back((self.now.0, end, event)),
                }
            }
        }
    }

    fn fly(&mut self, from: End, message: &[u8]) {
        let line = String::from_utf8_lossy(message);
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let label = if first == "SIP/2.0" { words.next().unwrap_or_default() } else { first };
        self.wire.push((self.now.0, from, label.to_owned()));
        if self.chance.below(100) < self.net.loss {
            return;
        }
        let copies = if self.chance.below(100) < self.net.duplication { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = Duration::from_millis(self.chance.below(self.net.jitter.as_millis() as u64 + 1));
            self.count += 1;
            let to = if from == End::A { End::B } else { End::A };
            self.flying.insert((self.now + self.net.delay + jitter, self.count), (to, message.to_vec()));
        }
    }

    /// Does the next thing that happens before `until`, unless nothing does.
    fn step(&mut self, until: Time) -> bool {
        self.drain();
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timers = [self.a.next_timeout(), self.b.next_timeout()];
        let Some(next) = timers.into_iter().chain([arrival]).flatten().min().filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, (to, bytes))) = self.flying.pop_first() {
                let (now, reliable) = (self.now, self.net.reliable);
                let message = Message::parse(&bytes, &Limits::default()).expect("what a layer sends is a message");
                self.layer(to).receive(now, (), reliable, message);
            }
        } else {
            self.a.timeout(self.now);
            self.b.timeout(self.now);
        }
        self.drain();
        true
    }

    /// Lets time pass until the next event, if there is one within `span`.
    pub(crate) fn next(&mut self, span: Duration) -> Option<(u64, End, Event<()>)> {
        let until = self.now + span;
        loop {
            self.drain();
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.step(until) {
                self.now = until;
                return None;
            }
        }
    }

    /// Lets time pass, whatever happens.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    /// Answers a request at B.
    pub(crate) fn respond(&mut self, id: ServerId, request: &Request, status: Status) {
        let now = self.now;
        self.b.respond(now, id, answer(request, status));
    }

    /// When A put something of this label on the wire.
    pub(crate) fn sent(&self, end: End, label: &str) -> Vec<u64> {
        self.wire.iter().filter(|(_, from, sent)| *from == end && sent == label).map(|(at, ..)| *at).collect()
    }
}

/// A response with a To tag.
pub(crate) fn answer(request: &Request, status: Status) -> Response {
    let mut response = Response::to(request, status);
    if let Some(mut to) = request.headers.read::<To>().filter(|to| to.tag().is_none() && status != Status::TRYING) {
        to.set_tag("b-tag");
        response.headers.put(&to);
    }
    response
}

/// A request with what every request has.
pub(crate) fn request(method: Method) -> Request {
    let name = method.as_str();
    let text = format!(
        "{name} sip:bob@tandem.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP a.invalid\r\n\
         Route: <sip:proxy.tandem.test;lr>\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@tandem.test>;tag=a-tag\r\n\
         To: <sip:bob@tandem.test>\r\n\
         Call-ID: call\r\n\
         CSeq: 7 {name}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    read(&text)
}

pub(crate) fn read(text: &str) -> Request {
    let message = Message::parse(text.as_bytes(), &Limits::default()).expect("a request of a test");
    message.request().expect("no response")
}
