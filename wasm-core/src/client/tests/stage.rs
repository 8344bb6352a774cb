//! A device on a stage: its engine, its disk, and a server that does as the script says.
//!
//! Outputs are performed in their order and at once. Two promises are held over every story: what is sent was kept before, and what is
//! answered with a success was kept before.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::client::view::{Bubble, Tick};
use crate::client::{Alert, Change, Command, Engine, Input, Output, Profile, Record, Secret, Socket, msrp};
use crate::cpm::address::Address;
use crate::cpm::envelope::{Content, Envelope, Wants};
use crate::cpm::ids::{ContributionId, ConversationId, InstanceId, MessageId};
use crate::sip::digest::{Ha1, Verdict, Verifier};
use crate::wire::imdn::{Notification, Report};
use crate::wire::sip::{
    Authorization, CSeq, CallId, Contact, Expires, Limits, MaxForwards, Message, Method, Request, Response, Status, TypedHeader, Via,
    WwwAuthenticate,
};
use crate::{Entropy, Text, Time};

pub const START: Time = Time(1_800_000_000_000);

pub fn address(user: &str) -> Address {
    Address::parse(&format!("sip:{user}@tandem.test")).unwrap()
}

pub fn profile(secret: Option<Secret>) -> Profile {
    Profile {
        address: address("alice"),
        addresses: vec![address("alice"), Address::parse("tel:+15550100").unwrap()],
        display_name: Text::from("Alice"),
        domain: Text::from("tandem.test"),
        instance: InstanceId::parse(&Text::from("urn:uuid:00000000-0000-4000-8000-000000000001")).unwrap(),
        device_name: Text::from("Alice's laptop"),
        is_secure: true,
        secret,
    }
}

/// What the server does with a REGISTER.
#[derive(Debug)]
pub enum Registrar {
    Grants,
    Answers(Status),
    Challenges(Box<Verifier>, Ha1),
    IsSilent,
}

#[derive(Debug)]
pub struct Stage {
    pub now: Time,
    pub engine: Engine,
    /// What is kept, by store and key.
    pub disk: BTreeMap<(String, String), String>,
    /// What followers heard.
    pub heard: Vec<Record>,
    pub alerts: Vec<Alert>,
    pub changes: Vec<Change>,
    pub forwarded: Vec<Command>,
    pub signed_out: bool,
    /// Whether a socket can be opened.
    pub reachable: bool,
    pub open: bool,
    pub connects: u32,
    pub pongs: bool,
    pub registrar: Registrar,
    pub registers: Vec<Request>,
    /// Whether the registrar gives the device an address of its own.
    pub gruu: bool,
    /// What answers MESSAGEs; without it they wait in `received`.
    pub answer: Option<Status>,
    pub received: VecDeque<Request>,
    /// What the engine answered.
    pub responses: Vec<Response>,
    /// What was wanted of the sockets of MSRP sessions.
    pub wires: Vec<(msrp::Wire, msrp::Order)>,
    pub http: VecDeque<(u64, &'static str, String, Option<String>)>,
    entropy: Entropy,
    /// The Message-IDs of the texts that were sent to the device, by Call-ID.
    sent: BTreeMap<String, (Address, MessageId)>,
}

impl Stage {
    /// A device that has just been installed.
    pub fn new() -> Stage {
        Stage::with(profile(None))
    }

    pub fn with(profile: Profile) -> Stage {
        Stage {
            now: START,
            engine: Engine::new(profile, [7; 32]),
            disk: BTreeMap::new(),
            heard: Vec::new(),
            alerts: Vec::new(),
            changes: Vec::new(),
            forwarded: Vec::new(),
            signed_out: false,
            reachable: true,
            open: false,
            connects: 0,
            pongs: true,
            registrar: Registrar::Grants,
            registers: Vec::new(),
            gruu: false,
            answer: None,
            received: VecDeque::new(),
            responses: Vec::new(),
            wires: Vec::new(),
            http: VecDeque::new(),
            entropy: Entropy::new([9; 32]),
            sent: BTreeMap::new(),
        }
    }

    /// A device that leads and is online, with an empty history.
    pub fn online() -> Stage {
        let mut stage = Stage::new();
        stage.input(Input::Lead);
        assert!(stage.engine.view().link().is_online());
        stage.serves(200, r#"{"folders":[],"cursor":0}"#);
        stage.serves(200, r#"{"cursor":0,"objects":[],"more":false,"reset":false}"#);
        stage
    }

    /// The same device after a reload of its page: a new engine with what the disk has.
    pub fn reload(&mut self) {
        self.engine = Engine::new(self.engine.profile().clone(), [self.connects as u8 + 100; 32]);
        self.open = false;
        self.received.clear();
        self.http.clear();
        for json in self.disk.values() {
            self.engine.restore(json);
        }
        self.perform();
    }

    pub fn input(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.perform();
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    /// Performs everything that the engine wants, and what follows from it.
    pub fn perform(&mut self) {
        let mut frames = VecDeque::new();
        let mut inputs = VecDeque::new();
        loop {
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Connect => {
                        self.connects += 1;
                        self.open = self.reachable;
                        inputs.push_back(Input::Socket(if self.reachable { Socket::Opened } else { Socket::Closed }));
                    }
                    Output::Disconnect => {
                        self.open = false;
                        self.received.clear();
                    }
                    Output::Transmit(frame) => {
                        self.check_promises(&frame);
                        frames.push_back(frame);
                    }
                    Output::Msrp(wire, order) => self.wires.push((wire, order)),
                    Output::Http { id, method, path, body } => self.http.push_back((id, method, path, body)),
                    Output::Persist(record) => {
                        let (store, key) = record.key().expect("only what has a key is kept");
                        let key = (store.to_owned(), key);
                        match record.is_removal() {
                            true => drop(self.disk.remove(&key)),
                            false => drop(self.disk.insert(key, serde_json::to_string(&record).unwrap())),
                        }
                        self.heard.push(record);
                    }
                    Output::Share(record) => self.heard.push(record),
                    Output::Forward(command) => self.forwarded.push(command),
                    Output::Changed(change) => self.changes.push(change),
                    Output::Alert(alert) => self.alerts.push(alert),
                    Output::SignedOut => self.signed_out = true,
                }
            }
            if let Some(input) = inputs.pop_front() {
                self.engine.handle(self.now, input);
            } else if let Some(frame) = frames.pop_front() {
                if self.open {
                    for answer in self.serve(&frame) {
                        inputs.push_back(Input::Socket(Socket::Frame(answer)));
                    }
                }
            } else {
                return;
            }
        }
    }

    fn check_promises(&self, frame: &Bytes) {
        let kept = |with: &Address, id: &MessageId| self.disk.contains_key(&("messages".to_owned(), format!("{with} {id}")));
        match Message::parse(frame, &Limits::default()) {
            Ok(Message::Request(request)) if request.method == Method::Message => {
                let envelope = Envelope::unwrap(&request).unwrap();
                if let Content::Text(_) = envelope.content {
                    assert!(kept(&envelope.to, &envelope.message_id.unwrap()), "a text was sent before it was kept");
                }
            }
            Ok(Message::Response(response)) if response.status.is_success() && answers_a_message(&response) => {
                let call_id = response.headers.read::<CallId>().unwrap().to_string();
                if let Some((with, id)) = self.sent.get(&call_id) {
                    assert!(kept(with, id), "a message was answered before it was kept");
                }
            }
            _ => {}
        }
    }

    /// The server's side of a frame.
    fn serve(&mut self, frame: &Bytes) -> Vec<Bytes> {
        if &frame[..] == b"\r\n\r\n" {
            return if self.pongs { vec![Bytes::from_static(b"\r\n")] } else { Vec::new() };
        }
        // The answer to a request that lacks half of its headers lacks them too.
        let Ok(message) = Message::parse(frame, &Limits::default()) else { return Vec::new() };
        match message {
            Message::Request(request) if request.method == Method::Register => {
                let answer = self.register(&request);
                self.registers.push(request);
                answer.into_iter().map(|answer| answer.to_bytes()).collect()
            }
            // A server that knows nothing of deferred messages.
            Message::Request(request) if request.method == Method::Subscribe => {
                vec![Response::to(&request, Status::BAD_EVENT).to_bytes()]
            }
            Message::Request(request) => match self.answer {
                Some(status) => vec![Response::to(&request, status).to_bytes()],
                None => {
                    self.received.push_back(request);
                    Vec::new()
                }
            },
            Message::Response(response) => {
                self.responses.push(response);
                Vec::new()
            }
        }
    }

    fn register(&mut self, request: &Request) -> Option<Response> {
        let gruu = self.gruu;
        let granted = || {
            let mut contact = request.headers.read::<Contact>().unwrap();
            if let (true, Contact::Addr(own)) = (gruu, &mut contact) {
                own.params.set_quoted("pub-gruu", "sip:alice@tandem.test;gr=urn:uuid:1");
            }
            let expires = request.headers.read::<Expires>().unwrap();
            let response = Response::to(request, Status::OK).with(&expires);
            if expires.0 == 0 { response } else { response.with(&contact) }
        };
        match &mut self.registrar {
            Registrar::Grants => Some(granted()),
            Registrar::Answers(status) => Some(Response::to(request, *status)),
            Registrar::IsSilent => None,
            Registrar::Challenges(verifier, ha1) => {
                let credentials = request.headers.read::<Authorization>();
                if let Some(credentials) = credentials
                    && verifier.verify(self.now, &credentials.0, request, Some(ha1)) == Verdict::Valid
                {
                    return Some(granted());
                }
                let mut response = Response::to(request, Status::UNAUTHORIZED);
                for challenge in verifier.challenges(self.now, false) {
                    response.headers.push(WwwAuthenticate::NAME, challenge.to_string());
                }
                Some(response)
            }
        }
    }

    /// Time passes, and every timer on the way fires.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        let mut rounds = 0;
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Timeout);
            rounds += 1;
            assert!(rounds < 100_000, "the engine spins");
        }
        self.now = end;
    }

    /// The socket breaks.
    pub fn breaks(&mut self) {
        self.open = false;
        self.received.clear();
        self.input(Input::Socket(Socket::Closed));
    }

    /// The server answers the oldest MESSAGE that waits.
    pub fn answers(&mut self, status: Status) -> Envelope {
        let request = self.received.pop_front().expect("nothing waits for an answer");
        self.responds(Response::to(&request, status));
        Envelope::unwrap(&request).unwrap()
    }

    pub fn responds(&mut self, response: Response) {
        self.input(Input::Socket(Socket::Frame(response.to_bytes())));
    }

    /// The server answers the oldest HTTP request.
    pub fn serves(&mut self, status: u16, body: &str) -> String {
        let (id, _, path, _) = self.http.pop_front().expect("nothing was asked over HTTP");
        self.input(Input::Http { id, status, body: Bytes::copy_from_slice(body.as_bytes()) });
        path
    }

    /// A MESSAGE from somebody, as the server passes it on.
    pub fn request(&mut self, envelope: &Envelope) -> Request {
        let call_id = self.entropy.hex::<8>();
        let mut request = envelope.wrap();
        request.headers.put_front(&Via::new("WS", "tandem.test", None));
        let mut via = Via::new("WS", "tandem.test", None);
        via.set_branch(&format!("z9hG4bK{}", self.entropy.hex::<8>()));
        request.headers.replace_first(&via);
        request.headers.put(&CallId(call_id.clone().into()));
        request.headers.put(&CSeq::new(1, Method::Message));
        request.headers.put(&MaxForwards(68));
        if let (Content::Text(_), Some(id)) = (&envelope.content, &envelope.message_id) {
            self.sent.insert(call_id, (envelope.from.clone(), id.clone()));
        }
        request
    }

    /// Somebody's message arrives.
    pub fn arrives(&mut self, envelope: &Envelope) -> Status {
        let request = self.request(envelope);
        let before = self.responses.len();
        self.input(Input::Socket(Socket::Frame(request.to_bytes())));
        assert_eq!(self.responses.len(), before + 1, "a request is answered once");
        self.responses[before].status
    }

    /// A text as the app of somebody else writes it.
    pub fn text(&mut self, from: &str, text: &str) -> Envelope {
        Envelope {
            message_id: Some(MessageId::new(&mut self.entropy)),
            conversation: Some(ConversationId::new(&mut self.entropy)),
            contribution: Some(ContributionId::new(&mut self.entropy)),
            date: Some(self.now),
            wants: Wants::ALL,
            ..Envelope::new(address(from), address("alice"), Content::Text(Text::from(text)))
        }
    }

    /// A report about one of the device's messages.
    pub fn report(&mut self, from: &str, id: &MessageId, report: Report) -> Envelope {
        let notification = Notification::new(Text::from(id), report);
        Envelope {
            message_id: Some(MessageId::new(&mut self.entropy)),
            date: Some(self.now),
            ..Envelope::new(address(from), address("alice"), Content::Notification(notification))
        }
    }

    pub fn sends(&mut self, to: &str, text: &str) {
        self.command(Command::Send { to: address(to), text: text.to_owned(), reply_to: None });
    }

    /// The user knows what somebody is called, and the server need not be asked.
    pub fn meets(&mut self, with: &str) {
        self.command(Command::Meet { with: address(with), name: Text::from(with) });
    }

    pub fn bubbles(&self, with: &str) -> Vec<Bubble> {
        let view = self.engine.view();
        view.thread(&address(with)).map(|thread| thread.bubbles(0..usize::MAX).collect()).unwrap_or_default()
    }

    /// The texts and ticks of a thread.
    pub fn thread(&self, with: &str) -> Vec<(String, Option<Tick>)> {
        self.bubbles(with).into_iter().map(|bubble| (bubble.text.to_string(), bubble.tick)).collect()
    }

    pub fn errands(&self) -> usize {
        self.disk.keys().filter(|(store, _)| store == "errands").count()
    }
}

fn answers_a_message(response: &Response) -> bool {
    response.headers.read::<CSeq>().is_some_and(|cseq| cseq.method == Method::Message)
}
