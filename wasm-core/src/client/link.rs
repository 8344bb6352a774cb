//! The link to the server: the socket, the registration over it, its keep-alive, and coming back after it is lost.
//!
//! [`Link`] owns the transactions and the registration. What others send through it is a request or a response; what it tells them is an
//! [`Out`]. It trusts what it hears and not what the device believes about its network: while nothing is heard it asks, and a flow that
//! does not answer is given up. The timers are in the table of [`super`].

mod requests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::io::Profile;
use super::view;
use crate::cpm::feature::{self, Service};
use crate::sip::digest::{Authenticator, Secret};
use crate::sip::flow::{Backoff, KeepAlive, Pulse};
use crate::sip::registration::{self, Registration};
use crate::sip::transaction::{ClientId, Event, Layer, Out as Layered, ServerId, Timers};
use crate::wire::sip::{Limits, Message, Method, Params, Request, Response, SipUri, Status, Uri, Via};
use crate::{Entropy, Text, Time};

/// The methods that a device takes.
pub const ALLOWED: [Method; 6] = [Method::Message, Method::Options, Method::Invite, Method::Ack, Method::Bye, Method::Notify];

const SOFTWARE: &str = concat!("Tandem/", env!("CARGO_PKG_VERSION"));
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// How many transactions there are at most.
const TRANSACTIONS: usize = 1024;
/// For how many seconds to register.
const EXPIRES: u32 = 600;
const OPENING: Duration = Duration::from_secs(15);
const REGISTERING: Duration = Duration::from_secs(10);
const LEAVING: Duration = Duration::from_secs(3);
const SUSPICION: Duration = Duration::from_secs(4);
const PINGS: Duration = Duration::from_secs(30);
/// A link that was up for this long has not failed.
const STABLE: Duration = Duration::from_secs(10);
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// One socket's life: what belongs to an earlier one is not sent on a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Flow(u64);

/// What the link wants done or tells.
#[derive(Debug)]
pub enum Out {
    /// Open a socket.
    Connect,
    /// Close the socket.
    Disconnect,
    /// Send a frame.
    Transmit(Bytes),
    /// Requests can be sent from now on.
    Up,
    /// No requests can be sent any more.
    Down,
    /// A request came in.
    Request { id: ServerId, request: Box<Request> },
    /// A CANCEL came in, for a request that is known or not.
    Cancel { id: ServerId, known: bool, request: Box<Request> },
    /// A response came in to a request of others.
    Response { id: ClientId, response: Box<Response> },
    /// A request of others was not answered. `lost` says that this was because the flow ended, not because of the server.
    Unanswered { id: ClientId, lost: bool },
    /// The server does not know this device's user any more.
    Ended,
    /// The device's binding is gone, as asked for.
    Left,
}

/// The link to the server.
#[derive(Debug)]
pub struct Link {
    entropy: Entropy,
    /// This hop. Its host stands for no address, as that of the Contact [RFC7118 §5].
    via: Via,
    address: Uri,
    contact: Uri,
    /// Without a secret, a challenge is the end.
    has_secret: bool,
    layer: Layer<Flow>,
    registration: Registration,
    registering: Option<ClientId>,
    flow: Flow,
    state: State,
    network: bool,
    failures: u32,
    out: VecDeque<Out>,
}

#[derive(Debug)]
enum State {
    /// Not wanted.
    Down,
    Waiting {
        until: Time,
    },
    Opening {
        until: Time,
    },
    Open(Open),
    /// The server does not want this device.
    Refused(Text),
}

#[derive(Debug)]
struct Open {
    pulse: KeepAlive,
    /// When a REGISTER has to have been answered.
    register_by: Option<Time>,
    /// When silence after a request becomes suspicious.
    suspect_at: Option<Time>,
    /// When the next REGISTER is sent after one was refused for a time.
    retry_at: Option<Time>,
    /// Since when requests can be sent.
    since: Option<Time>,
    /// When leaving is given up.
    leave_by: Option<Time>,
    /// When anything was heard last.
    heard: Time,
}

impl Link {
    /// A link that is not wanted yet.
    pub fn new(profile: &Profile, mut entropy: Entropy) -> Link {
        let host = format!("{}.invalid", entropy.hex::<6>());
        let contact = SipUri::new(&entropy.hex::<4>(), &host).with_param("transport", "ws");
        let mut features = Params::new();
        features.set_quoted(feature::ICSI_REF, &feature::icsi_ref(&[Service::Pager, Service::Deferred]));
        if !profile.device_name.is_empty() {
            features.set_quoted(feature::DEVICE_NAME, &profile.device_name);
        }
        let registered = registration::Profile {
            registrar: SipUri::of_host(&profile.domain).into(),
            address: profile.address.to_uri(),
            display_name: display_name(profile),
            contact: contact.clone().into(),
            instance: profile.instance.text().clone(),
            reg_id: 1,
            features,
            allow: ALLOWED.to_vec(),
            user_agent: Some(Text::from(SOFTWARE)),
            expires: EXPIRES,
            backoff: BACKOFF,
        };
        let secret = profile.secret.clone().unwrap_or_else(|| Secret::Password(Text::default()));
        let authenticator = Authenticator::new(profile.address.user(), secret, entropy.fork());
        Link {
            registration: Registration::new(registered, authenticator, entropy.fork()),
            layer: Layer::new(entropy.fork(), Timers::default()).with_limit(TRANSACTIONS),
            via: Via::new(if profile.is_secure { "WSS" } else { "WS" }, host.as_str(), None),
            address: profile.address.to_uri(),
            contact: contact.into(),
            has_secret: profile.secret.is_some(),
            entropy,
            registering: None,
            flow: Flow::default(),
            state: State::Down,
            network: true,
            failures: 0,
            out: VecDeque::new(),
        }
    }

    /// Whether requests can be sent.
    pub fn is_up(&self) -> bool {
        matches!(&self.state, State::Open(Open { since: Some(_), leave_by: None, .. }))
    }

    /// Whether anything was heard after `then`.
    pub fn heard_since(&self, then: Time) -> bool {
        matches!(&self.state, State::Open(open) if open.heard > then)
    }

    /// The address of this very device, where the server gives it one.
    pub fn gruu(&self) -> Option<Uri> {
        let gruu = self.registration.granted()?.public_gruu.as_ref()?;
        Uri::parse(gruu).ok()
    }

    /// What a person is told about the link.
    pub fn view(&self) -> view::Link {
        let retry_at = match &self.state {
            State::Refused(reason) => return view::Link::Refused(reason.clone()),
            State::Open(Open { since: Some(_), .. }) => return view::Link::Online(view::Flow::default()),
            State::Down => return view::Link::Offline,
            _ if !self.network => return view::Link::Offline,
            State::Waiting { until } => Some(*until),
            State::Opening { .. } => None,
            State::Open(open) => open.retry_at,
        };
        view::Link::Connecting { attempt: self.failures, retry_at }
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// The link is wanted.
    pub fn start(&mut self, now: Time) {
        if matches!(self.state, State::Down) {
            self.connect(now);
        }
    }

    /// The link is not wanted any more; the binding is left as it is, for who takes over.
    pub fn stop(&mut self, now: Time) {
        self.fall(now, State::Down);
    }

    /// The user signs out.
    pub fn leave(&mut self, now: Time) {
        match &mut self.state {
            State::Open(open) => {
                open.leave_by = Some(now + LEAVING);
                open.register_by = None;
                self.registration.handle(now, registration::Input::Stop);
                self.drive(now);
            }
            State::Down | State::Waiting { .. } | State::Opening { .. } | State::Refused(_) => self.out.push_back(Out::Left),
        }
    }

    /// Something suggests that now is a good time to connect, or to see whether the link still stands.
    pub fn nudge(&mut self, now: Time) {
        match &mut self.state {
            State::Waiting { .. } => self.connect(now),
            State::Open(open) => {
                open.pulse.probe(now);
                self.timeout(now);
            }
            State::Down | State::Opening { .. } | State::Refused(_) => {}
        }
    }

    /// Leaves the socket for a new one.
    pub fn replace(&mut self, now: Time) {
        self.fall(now, State::Down);
        self.connect(now);
    }

    /// The user wants the link repaired.
    pub fn repair(&mut self, now: Time) {
        match &self.state {
            State::Refused(_) => self.connect(now),
            State::Open(Open { since: None, .. }) => self.replace(now),
            State::Down | State::Waiting { .. } | State::Opening { .. } | State::Open(_) => self.nudge(now),
        }
    }

    /// What the device believes about its network. Believing in none ends a flow, but attempts go on: devices err.
    pub fn network(&mut self, now: Time, there: bool) {
        let was = std::mem::replace(&mut self.network, there);
        match there {
            true => self.nudge(now),
            false if was && !matches!(self.state, State::Down | State::Refused(_)) => {
                let until = self.retry_at(now);
                self.fall(now, State::Waiting { until });
            }
            false => {}
        }
    }

    /// The socket is open.
    pub fn opened(&mut self, now: Time) {
        if !matches!(self.state, State::Opening { .. }) {
            return;
        }
        self.flow.0 += 1;
        self.state = State::Open(Open {
            pulse: KeepAlive::new(now, PINGS, &mut self.entropy),
            register_by: None,
            suspect_at: None,
            retry_at: None,
            since: None,
            leave_by: None,
            heard: now,
        });
        self.registration.handle(now, registration::Input::Start);
        self.drive(now);
    }

    /// The socket closed by itself.
    pub fn closed(&mut self, now: Time) {
        if matches!(self.state, State::Opening { .. } | State::Open(_)) {
            let until = self.retry_at(now);
            self.fall_quietly(now, State::Waiting { until });
        }
    }

    /// A frame came in.
    pub fn received(&mut self, now: Time, frame: &Bytes) {
        let State::Open(open) = &mut self.state else { return };
        open.pulse.heard(now, &mut self.entropy);
        open.heard = now;
        open.suspect_at = None;
        if frame.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            if frame.len() >= PING.len() {
                self.out.push_back(Out::Transmit(Bytes::from_static(PONG)));
            }
            return;
        }
        match Message::parse_shared(frame, &Limits::default()) {
            Ok(message) => self.layer.receive(now, self.flow, true, message),
            Err(error) => {
                if let Some(reply) = error.reply {
                    self.out.push_back(Out::Transmit(reply.to_bytes()));
                }
            }
        }
        self.drive(now);
    }

    /// When [`Link::timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        let own = match &self.state {
            State::Down | State::Refused(_) => None,
            State::Waiting { until } | State::Opening { until } => Some(*until),
            State::Open(open) => [open.pulse.next_timeout(), open.register_by, open.suspect_at, open.leave_by].into_iter().flatten().min(),
        };
        [own, self.layer.next_timeout(), self.registration.next_timeout()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        self.layer.timeout(now);
        self.registration.handle(now, registration::Input::Timeout);
        match &mut self.state {
            State::Down | State::Refused(_) => {}
            State::Waiting { until } if *until <= now => self.connect(now),
            State::Opening { until } if *until <= now => self.lose(now),
            State::Waiting { .. } | State::Opening { .. } => {}
            State::Open(open) if due(open.leave_by) => {
                open.leave_by = None;
                self.out.push_back(Out::Left);
            }
            State::Open(open) if due(open.register_by) => self.lose(now),
            State::Open(open) => {
                if due(open.suspect_at) {
                    open.suspect_at = None;
                    open.pulse.probe(now);
                }
                match open.pulse.timeout(now) {
                    Some(Pulse::Ping) => self.out.push_back(Out::Transmit(Bytes::from_static(PING))),
                    Some(Pulse::Dead) => self.lose(now),
                    None => {}
                }
            }
        }
        self.drive(now);
    }

    fn connect(&mut self, now: Time) {
        self.state = State::Opening { until: now + OPENING };
        self.out.push_back(Out::Connect);
    }

    /// Gives the socket up, to try again later.
    fn lose(&mut self, now: Time) {
        let until = self.retry_at(now);
        self.fall(now, State::Waiting { until });
    }

    /// When to try again after a failure now.
    fn retry_at(&mut self, now: Time) -> Time {
        if let State::Open(Open { since: Some(since), .. }) = &self.state
            && now.since(*since) >= STABLE
        {
            self.failures = 0;
        }
        let wait = BACKOFF.wait(self.failures, &mut self.entropy);
        self.failures = self.failures.saturating_add(1);
        now + wait
    }

    /// Leaves the socket for another state, and closes it.
    fn fall(&mut self, now: Time, to: State) {
        if matches!(self.state, State::Opening { .. } | State::Open(_)) {
            self.out.push_back(Out::Disconnect);
        }
        self.fall_quietly(now, to);
    }

    /// Leaves the socket, which is closed already.
    fn fall_quietly(&mut self, now: Time, to: State) {
        let was = std::mem::replace(&mut self.state, to);
        let State::Open(open) = was else { return };
        if open.since.is_some() {
            self.out.push_back(Out::Down);
        }
        self.registering = None;
        self.registration.handle(now, registration::Input::FlowLost);
        self.layer.failed(now, &self.flow);
        self.drive(now);
        if open.leave_by.is_some() {
            self.out.push_back(Out::Left);
        }
    }

    /// Lets the machines speak until they have said all.
    fn drive(&mut self, now: Time) {
        loop {
            if let Some(out) = self.registration.poll() {
                self.registered(now, out);
            } else if let Some(out) = self.layer.poll() {
                self.layered(now, out);
            } else {
                return;
            }
        }
    }

    fn registered(&mut self, now: Time, out: registration::Output) {
        match out {
            registration::Output::Send(mut request) => {
                request.headers.put_front(&self.via);
                if let State::Open(open) = &mut self.state {
                    open.register_by = open.leave_by.is_none().then_some(now + REGISTERING);
                    open.retry_at = None;
                }
                self.registering = Some(self.layer.request(now, self.flow, true, request));
            }
            registration::Output::Registered(_) => {
                let State::Open(open) = &mut self.state else { return };
                if open.since.is_none() {
                    open.since = Some(now);
                    self.out.push_back(Out::Up);
                }
            }
            registration::Output::Lost { why: registration::Failure::Silence, .. } => self.lose(now),
            registration::Output::Lost { retry_at, .. } => {
                self.failures = self.failures.saturating_add(1);
                let State::Open(open) = &mut self.state else { return };
                open.retry_at = Some(retry_at);
                if open.since.take().is_some() {
                    self.out.push_back(Out::Down);
                }
            }
            registration::Output::Refused(why) => self.fall(now, State::Refused(Text::from(reason(why)))),
            registration::Output::Left => self.left(),
        }
    }

    fn left(&mut self) {
        if let State::Open(open) = &mut self.state
            && open.leave_by.take().is_some()
        {
            self.out.push_back(Out::Left);
        }
    }

    fn layered(&mut self, now: Time, out: Layered<Flow>) {
        match out {
            Layered::Send { to, message } => {
                if to == self.flow && matches!(self.state, State::Open(_)) {
                    self.out.push_back(Out::Transmit(message));
                }
            }
            Layered::Event(Event::Response { id, response }) if self.registering == Some(id) => {
                let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
                if challenged && !self.has_secret {
                    self.out.push_back(Out::Ended);
                    return;
                }
                if let State::Open(open) = &mut self.state
                    && response.status.is_final()
                {
                    open.register_by = None;
                }
                self.registration.handle(now, registration::Input::Response(&response));
            }
            Layered::Event(Event::Response { id, response }) => {
                if response.status.is_final() {
                    self.out.push_back(Out::Response { id, response: Box::new(response) });
                }
            }
            Layered::Event(Event::Timeout { id } | Event::Unreachable { id }) if self.registering == Some(id) => {
                self.registration.handle(now, registration::Input::Silence);
            }
            Layered::Event(Event::Timeout { id }) => self.out.push_back(Out::Unanswered { id, lost: false }),
            Layered::Event(Event::Unreachable { id }) => self.out.push_back(Out::Unanswered { id, lost: true }),
            Layered::Event(Event::Request { id, request, .. }) => self.out.push_back(Out::Request { id, request: Box::new(request) }),
            Layered::Event(Event::Cancel { invite, id, request, .. }) => {
                self.out.push_back(Out::Cancel { id, known: invite.is_some(), request: Box::new(request) });
            }
            Layered::Event(Event::Ack { .. } | Event::Ended { .. } | Event::Stray { .. }) => {}
        }
    }
}

/// The name that others see, if there is one.
pub fn display_name(profile: &Profile) -> Option<Text> {
    (!profile.display_name.is_empty()).then(|| profile.display_name.clone())
}

/// Why the server does not want this device, for its user.
fn reason(why: registration::Failure) -> &'static str {
    match why {
        registration::Failure::Credentials => "The password is wrong.",
        registration::Failure::Challenge => "The server asks for a kind of proof that this app does not know.",
        registration::Failure::Status(Status::FORBIDDEN) => "The server does not allow this account.",
        registration::Failure::Status(Status::NOT_FOUND) => "The server does not know this account.",
        registration::Failure::Status(_) => "The server refused this device.",
        registration::Failure::Silence => "The server does not answer.",
    }
}
