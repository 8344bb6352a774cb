//! The device's MSRP sessions [RFC4975], each on a WebSocket of its own beside that of SIP [RFC7977].
//!
//! Whoever has a dialog makes an end with [`Wires::end`], offers it or answers with it, and gives what was agreed on to [`Wires::open`]:
//! the socket is opened, messages go and come whole, and [`Out::Heard`] says what happens. Nobody can connect to a browser, so this end
//! always opens the connection. What may wait for the socket is bounded by the session, which sends no more than can be unanswered.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::io::Socket;
use crate::msrp::setup::Reach;
use crate::msrp::{Ending, Id, Input, Offer, Options, Outgoing, Output, Receipt, Session, Setup};
use crate::wire::msrp::{Status, Transport};
use crate::{Entropy, Text, Time};

/// Bytes of the largest message that is taken.
const LARGEST: usize = 512 * 1024;
/// So many sessions at a time.
const SESSIONS: usize = 8;

/// One session of this device's, by the number of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire(pub u32);

/// What is to be done with the socket of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Open a WebSocket to `/msrp`, subprotocol `msrp`.
    Connect,
    /// Send this as one frame.
    Transmit(Bytes),
    /// Close it. No [`Socket::Closed`] is expected for it.
    Disconnect,
}

/// What comes of the sessions.
#[derive(Debug, PartialEq, Eq)]
pub enum Out {
    /// To be done with a session's socket.
    Socket(Wire, Order),
    /// What a session says.
    Heard(Wire, Heard),
}

/// What a session says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The other end has sent a message. Once it is kept, [`Wires::kept`] tells the sender.
    Message {
        /// What it is.
        content_type: Text,
        /// All of it.
        body: Bytes,
        /// What its sender wants to hear.
        receipt: Receipt,
    },
    /// A message of ours has been taken as a whole.
    Sent(Id),
    /// A message of ours has not.
    Failed(Id, Status),
    /// The session is over, without having been closed here.
    Closed(Ending),
}

#[derive(Debug)]
struct Running {
    wire: Wire,
    session: Session,
}

/// The sessions.
#[derive(Debug)]
pub struct Wires {
    is_secure: bool,
    options: Arc<Options>,
    entropy: Entropy,
    running: Vec<Running>,
    last: u32,
    out: VecDeque<Out>,
}

impl Wires {
    /// No sessions yet.
    pub fn new(is_secure: bool, entropy: Entropy) -> Wires {
        let options = Options { max_size: LARGEST as u64, whole: LARGEST, ..Options::default() };
        Wires { is_secure, options: Arc::new(options), entropy, running: Vec::new(), last: 0, out: VecDeque::new() }
    }

    /// What the sessions have in common, for their descriptions.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// This end of a session that is to be, for an offer or an answer.
    pub fn end(&mut self) -> Offer {
        let host = format!("{}.invalid", self.entropy.hex::<6>());
        Offer::new(self.is_secure, &host, 9, Transport::WebSocket, Reach::Outwards, &mut self.entropy)
    }

    /// Begins a session that was agreed on; none where it cannot be carried here or there are too many.
    pub fn open(&mut self, now: Time, setup: &Setup) -> Option<Wire> {
        if setup.remote.first().transport() != Transport::WebSocket || self.running.len() >= SESSIONS {
            return None;
        }
        self.last += 1;
        let wire = Wire(self.last);
        let session = Session::new(now, setup, Arc::clone(&self.options), self.entropy.fork());
        self.running.push(Running { wire, session });
        self.out.push_back(Out::Socket(wire, Order::Connect));
        Some(wire)
    }

    /// Sends a message; none where the session is over.
    pub fn send(&mut self, now: Time, wire: Wire, content_type: Text, body: Bytes) -> Option<Id> {
        let session = &mut self.find(wire)?.session;
        let id = session.id();
        session.handle(now, Input::Send(Outgoing::new(id, content_type, body)));
        self.pump(now);
        Some(id)
    }

    /// A message that came is kept.
    pub fn kept(&mut self, now: Time, wire: Wire, receipt: Receipt) {
        self.tell(now, wire, Input::Report(receipt, Status::OK));
    }

    /// Ends a session; nothing more is heard of it.
    pub fn close(&mut self, now: Time, wire: Wire) {
        self.tell(now, wire, Input::Close);
    }

    /// Ends all of them.
    pub fn stop(&mut self, now: Time) {
        for one in &mut self.running {
            one.session.handle(now, Input::Close);
        }
        self.pump(now);
    }

    /// What the socket of a session did.
    pub fn socket(&mut self, now: Time, wire: Wire, socket: Socket) {
        let input = match socket {
            Socket::Opened => Input::Connected,
            Socket::Frame(frame) => Input::Received(frame),
            Socket::Closed => Input::Disconnected,
        };
        self.tell(now, wire, input);
    }

    /// When [`Wires::timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        self.running.iter().filter_map(|one| one.session.next_timeout()).min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time) {
        for one in &mut self.running {
            one.session.handle(now, Input::Timeout);
        }
        self.pump(now);
    }

    /// What comes of all this.
    pub fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    fn find(&mut self, wire: Wire) -> Option<&mut Running> {
        self.running.iter_mut().find(|one| one.wire == wire)
    }

    fn tell(&mut self, now: Time, wire: Wire, input: Input) {
        let Some(one) = self.find(wire) else { return };
        one.session.handle(now, input);
        self.pump(now);
    }

    /// Takes out what the sessions say and send.
    fn pump(&mut self, now: Time) {
        let out = &mut self.out;
        self.running.retain_mut(|Running { wire, session }| {
            let mut ended = None;
            loop {
                while let Some(output) = session.poll() {
                    let heard = match output {
                        Output::Message { incoming, body, receipt } => {
                            session.handle(now, Input::Drained(body.len()));
                            Heard::Message { content_type: incoming.content_type, body, receipt }
                        }
                        Output::Sent(id) => Heard::Sent(id),
                        Output::Failed(id, status) => Heard::Failed(id, status),
                        Output::Closed(ending) => {
                            ended = Some(ending);
                            continue;
                        }
                        // Larger than what is taken as a whole.
                        Output::Begin(key, _) => {
                            session.handle(now, Input::Refuse(key, Status::STOP));
                            continue;
                        }
                        Output::Piece { bytes, .. } => {
                            session.handle(now, Input::Drained(bytes.len()));
                            continue;
                        }
                        Output::End(..) | Output::Dropped(_) | Output::Wanted(..) | Output::Delivered(_) => continue,
                    };
                    out.push_back(Out::Heard(*wire, heard));
                }
                match session.transmit(now) {
                    Some(frame) => out.push_back(Out::Socket(*wire, Order::Transmit(frame))),
                    None => break,
                }
            }
            if let Some(ending) = ended {
                out.push_back(Out::Socket(*wire, Order::Disconnect));
                if ending != Ending::Asked {
                    out.push_back(Out::Heard(*wire, Heard::Closed(ending)));
                }
            }
            ended.is_none()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::{Kind, Media, Sdp};

    const NOW: Time = Time(1_000);

    fn carried(media: Media) -> Sdp {
        let mut sdp = Sdp::new(1, 1, [192, 0, 2, 1].into());
        sdp.session.medias.push(media);
        Sdp::parse(&sdp.encode()).unwrap()
    }

    /// A device and a server that have agreed on a session, whichever of them offered it.
    fn agreed(device_offers: bool) -> (Wires, Wire, Session) {
        let mut wires = Wires::new(true, Entropy::new([1; 32]));
        let end = wires.end();
        let server = Offer::new(true, "192.0.2.1", 443, Transport::WebSocket, Reach::Inwards, &mut Entropy::new([2; 32]));
        let options = Options::default();
        let (ours, theirs) = if device_offers {
            let offered = carried(end.media(wires.options()));
            let (answer, theirs) = server.answer(offered.find(Kind::Message).unwrap(), &options).unwrap();
            (end.accept(carried(answer).find(Kind::Message).unwrap()).unwrap(), theirs)
        } else {
            let offered = carried(server.media(&options));
            let (answer, ours) = end.answer(offered.find(Kind::Message).unwrap(), wires.options()).unwrap();
            (ours, server.accept(carried(answer).find(Kind::Message).unwrap()).unwrap())
        };
        let wire = wires.open(NOW, &ours).unwrap();
        assert_eq!(wires.poll(), Some(Out::Socket(wire, Order::Connect)));
        assert_eq!(wires.poll(), None);
        wires.socket(NOW, wire, Socket::Opened);
        let mut session = Session::new(NOW, &theirs, Arc::new(options), Entropy::new([3; 32]));
        session.handle(NOW, Input::Connected);
        (wires, wire, session)
    }

    /// Carries frames both ways, and returns what the device hears and what the server does.
    fn run(wires: &mut Wires, session: &mut Session) -> (Vec<Heard>, Vec<Output>) {
        let (mut heard, mut told) = (Vec::new(), Vec::new());
        loop {
            let mut moved = false;
            while let Some(out) = wires.poll() {
                moved = true;
                match out {
                    Out::Socket(_, Order::Transmit(frame)) => session.handle(NOW, Input::Received(frame)),
                    Out::Socket(_, Order::Disconnect) => session.handle(NOW, Input::Disconnected),
                    Out::Socket(_, Order::Connect) => panic!("it is open"),
                    Out::Heard(wire, said) => {
                        if let Heard::Message { receipt, .. } = &said {
                            wires.kept(NOW, wire, receipt.clone());
                        }
                        heard.push(said);
                    }
                }
            }
            while let Some(frame) = session.transmit(NOW) {
                moved = true;
                wires.socket(NOW, Wire(1), Socket::Frame(frame));
            }
            while let Some(output) = session.poll() {
                if let Output::Message { body, .. } = &output {
                    session.handle(NOW, Input::Drained(body.len()));
                }
                told.push(output);
            }
            if !moved {
                return (heard, told);
            }
        }
    }

    /// R340.
    #[test]
    fn messages_go_both_ways_and_are_reported_once_they_are_kept() {
        for device_offers in [true, false] {
            let (mut wires, wire, mut session) = agreed(device_offers);
            let id = session.id();
            let body = Bytes::from(vec![b'x'; 100_000]);
            let message = Outgoing { success_report: true, ..Outgoing::new(id, "message/cpim", body.clone()) };
            session.handle(NOW, Input::Send(message));
            let own = wires.send(NOW, wire, Text::from("message/cpim"), Bytes::from_static(b"hello")).unwrap();
            let (heard, told) = run(&mut wires, &mut session);
            assert!(heard.iter().any(|said| matches!(said, Heard::Message { body: got, .. } if *got == body)));
            assert!(heard.contains(&Heard::Sent(own)));
            assert!(told.contains(&Output::Delivered(id)));
            assert!(told.iter().any(|output| matches!(output, Output::Message { body, .. } if &body[..] == b"hello")));
            wires.close(NOW, wire);
            assert_eq!(wires.poll(), Some(Out::Socket(wire, Order::Disconnect)));
            assert_eq!((wires.poll(), wires.next_timeout()), (None, None));
            assert_eq!(wires.send(NOW, wire, Text::from("text/plain"), Bytes::new()), None);
        }
    }

    #[test]
    fn a_session_ends_when_its_socket_does() {
        let (mut wires, wire, mut session) = agreed(true);
        run(&mut wires, &mut session);
        let id = wires.send(NOW, wire, Text::from("message/cpim"), Bytes::from_static(b"lost")).unwrap();
        wires.socket(NOW, wire, Socket::Closed);
        let all: Vec<Out> = std::iter::from_fn(|| wires.poll()).filter(|out| !matches!(out, Out::Socket(_, Order::Transmit(_)))).collect();
        let expected = [
            Out::Heard(wire, Heard::Failed(id, Status::NO_SESSION)),
            Out::Socket(wire, Order::Disconnect),
            Out::Heard(wire, Heard::Closed(Ending::Lost)),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_socket_that_does_not_open_is_given_up() {
        let (mut wires, _, _) = agreed(true);
        let mut entropy = Entropy::new([4; 32]);
        let server = Offer::new(true, "192.0.2.1", 443, Transport::WebSocket, Reach::Inwards, &mut entropy);
        let end = wires.end();
        let (answer, _) = server.answer(carried(end.media(wires.options())).find(Kind::Message).unwrap(), &Options::default()).unwrap();
        let ours = end.accept(carried(answer).find(Kind::Message).unwrap()).unwrap();
        let wire = wires.open(NOW, &ours).unwrap();
        while wires.poll().is_some() {}
        wires.timeout(NOW + Options::default().connect);
        let all: Vec<Out> = std::iter::from_fn(|| wires.poll()).collect();
        assert!(all.contains(&Out::Heard(wire, Heard::Closed(Ending::Unopened))));
        // Nobody connects to a browser over TCP, and a browser to nobody.
        let tcp = Offer::new(true, "192.0.2.1", 2855, Transport::Tcp, Reach::Inwards, &mut entropy);
        let setup =
            wires.end().answer(carried(tcp.media(&Options::default())).find(Kind::Message).unwrap(), &Options::default()).unwrap().1;
        assert_eq!(wires.open(NOW, &setup), None);
    }
}
