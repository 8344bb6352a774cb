//! The client's registration: a binding of this device to the user's address, kept alive [RFC3261 §10] [RFC5626] [RFC5627].
//!
//! [`Registration`] makes REGISTER requests, which its owner sends in client transactions (adding a Via), and is told their outcome.
//! It answers challenges, takes the interval that the registrar insists on, refreshes in time and backs off when there is trouble.
//! Opening a new flow after one was lost is its owner's business: [`Input::FlowLost`], and on the new flow [`Input::Start`].
//!
//! | timer | value | what happens |
//! |---|---|---|
//! | refresh | 80-90 % of the interval granted | REGISTER |
//! | wait | Retry-After of the response, else [`Backoff`] by failures in a row | REGISTER |

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use super::digest::Authenticator;
use super::flow::Backoff;
use crate::wire::sip::{
    Allow, CSeq, CallId, Contact, Expires, FlowTimer, From, MaxForwards, Method, MinExpires, NameAddr, PAssociatedUri, Params, Request,
    Require, Response, RetryAfter, ServiceRoute, Status, Supported, To, Uri, UserAgent,
};
use crate::{Entropy, Text, Time};

/// What is registered, and where.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The domain, as the Request-URI of the REGISTER.
    pub registrar: Uri,
    /// The user's address.
    pub address: Uri,
    /// The user's name.
    pub display_name: Option<Text>,
    /// Where this device is reached.
    pub contact: Uri,
    /// The device, a URN without quotes and brackets [RFC5626 §4.1].
    pub instance: Text,
    /// The number of the flow; a device with one flow has number 1.
    pub reg_id: u32,
    /// What the device can do [RFC3840] and what it is called, as parameters of the Contact.
    pub features: Params,
    /// The methods that it takes.
    pub allow: Vec<Method>,
    /// The name of the software.
    pub user_agent: Option<Text>,
    /// For how many seconds to register.
    pub expires: u32,
    /// How long to wait after failures.
    pub backoff: Backoff,
}

/// What the registrar granted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Granted {
    /// For how many seconds.
    pub expires: u32,
    /// Every binding of the address, of all devices.
    pub bindings: Vec<Contact>,
    /// The proxies that further requests are to pass.
    pub service_route: Vec<ServiceRoute>,
    /// All addresses of the user.
    pub associated: Vec<PAssociatedUri>,
    /// An address of this device that everybody may know [RFC5627].
    pub public_gruu: Option<Text>,
    /// An address of this device that does not tell whose it is.
    pub temporary_gruu: Option<Text>,
    /// Whether the flow is kept and used as RFC 5626 has it.
    pub outbound: bool,
    /// After how many seconds of silence the server gives the flow up.
    pub flow_timer: Option<u32>,
}

/// Why the device is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The registrar answered with this.
    Status(Status),
    /// The user name or the password is wrong.
    Credentials,
    /// The registrar wants a proof of a kind that is unknown here.
    Challenge,
    /// No answer came, or nothing could be sent.
    Silence,
}

/// What a registration is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Register, on a flow that is open.
    Start,
    /// De-register.
    Stop,
    /// The features have changed, or it has to be known whether the registrar is there.
    Refresh,
    /// The answer to the last request.
    Response(&'a Response),
    /// The last request got no answer or could not be sent.
    Silence,
    /// The flow is gone, and the request on its way with it.
    FlowLost,
    /// Time has passed.
    Timeout,
}

/// What a registration wants done or told.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this request, with a Via.
    Send(Request),
    /// The device is registered, anew or still.
    Registered(Granted),
    /// The device is not registered, or soon not any more; the next attempt is at this time.
    Lost {
        /// Why.
        why: Failure,
        /// When the next attempt is made.
        retry_at: Time,
    },
    /// The registrar does not want this device; there will be no further attempt until [`Input::Start`].
    Refused(Failure),
    /// The device is not registered any more, as it was asked for.
    Left,
}

/// One device's registration.
#[derive(Debug)]
pub struct Registration {
    profile: Profile,
    authenticator: Authenticator,
    entropy: Entropy,
    call_id: CallId,
    tag: String,
    cseq: u32,
    outbound: bool,
    failures: u32,
    granted: Option<Granted>,
    state: State,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    Registering(Box<Attempt>),
    Registered { refresh_at: Time },
    Waiting { until: Time },
    Leaving(Box<Attempt>),
    Refused,
}

/// A request that is on its way, and what came of it so far.
#[derive(Debug)]
struct Attempt {
    sent: Request,
    /// How many challenges were answered.
    challenges: u32,
    /// Whether the interval or the extensions were adjusted to what the registrar wants.
    adjusted: u32,
    /// What is to follow.
    then: Option<Wish>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Refresh,
    Leave,
}

impl Registration {
    /// A wait that the registrar asks for is obeyed up to this.
    const LONGEST_WAIT: u32 = 3600;
    /// A registrar that insists on a longer interval than a day is not believed.
    const LONGEST_INTERVAL: u32 = 86_400;
    /// How often a challenge is answered, and a request adjusted, before that counts as a failure.
    const PATIENCE: u32 = 2;

    /// A registration that has not started.
    pub fn new(profile: Profile, authenticator: Authenticator, mut entropy: Entropy) -> Registration {
        Registration {
            call_id: CallId(entropy.hex::<16>().into()),
            tag: entropy.hex::<8>(),
            profile,
            authenticator,
            entropy,
            cseq: 0,
            outbound: true,
            failures: 0,
            granted: None,
            state: State::Idle,
            out: VecDeque::new(),
        }
    }

    /// What was granted, while the device is registered.
    pub fn granted(&self) -> Option<&Granted> {
        self.granted.as_ref()
    }

    /// What is registered; changes take effect with the next [`Input::Refresh`].
    pub fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// What answers challenges, for requests other than REGISTER.
    pub fn authenticator(&mut self) -> &mut Authenticator {
        &mut self.authenticator
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Registered { refresh_at } => Some(*refresh_at),
            State::Waiting { until } => Some(*until),
            State::Idle | State::Registering(_) | State::Leaving(_) | State::Refused => None,
        }
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes an input in.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        let state = mem::replace(&mut self.state, State::Idle);
        self.state = self.step(now, state, input);
    }

    fn step(&mut self, now: Time, state: State, input: Input<'_>) -> State {
        match (state, input) {
            (State::Idle | State::Registered { .. } | State::Waiting { .. } | State::Refused, Input::Start)
            | (State::Registered { .. }, Input::Refresh) => self.register(),
            (State::Registered { refresh_at }, Input::Timeout) if refresh_at <= now => self.register(),
            (State::Waiting { until }, Input::Timeout) if until <= now => self.register(),
            (State::Registered { .. }, Input::Stop) => self.leave(),
            (State::Idle | State::Waiting { .. } | State::Refused, Input::Stop) => self.left(),

            (State::Registering(attempt), Input::Response(response)) => self.answered(now, attempt, response),
            (State::Registering(attempt), Input::Silence) => match attempt.then {
                Some(Wish::Leave) => self.left(),
                Some(Wish::Refresh) | None => self.lost(now, Failure::Silence, None),
            },
            (State::Registering(attempt), Input::Stop) => State::Registering(Box::new(Attempt { then: Some(Wish::Leave), ..*attempt })),
            (State::Registering(attempt), Input::Refresh) => {
                let then = attempt.then.or(Some(Wish::Refresh));
                State::Registering(Box::new(Attempt { then, ..*attempt }))
            }
            (State::Registering(attempt), Input::FlowLost) if attempt.then == Some(Wish::Leave) => self.left(),

            (State::Leaving(attempt), Input::Response(response)) => self.leaving(attempt, response),
            (State::Leaving(_), Input::Silence | Input::FlowLost) => self.left(),

            (State::Registering(_) | State::Registered { .. } | State::Waiting { .. } | State::Idle, Input::FlowLost) => {
                self.granted = None;
                State::Idle
            }

            (state @ (State::Idle | State::Waiting { .. } | State::Refused), Input::Refresh | Input::Response(_) | Input::Silence)
            | (state @ (State::Idle | State::Refused | State::Waiting { .. } | State::Registered { .. }), Input::Timeout)
            | (state @ State::Registered { .. }, Input::Response(_) | Input::Silence)
            | (state @ State::Registering(_), Input::Start | Input::Timeout)
            | (state @ State::Leaving(_), Input::Start | Input::Stop | Input::Refresh | Input::Timeout)
            | (state @ State::Refused, Input::FlowLost) => state,
        }
    }

    fn register(&mut self) -> State {
        let sent = self.send(self.profile.expires);
        State::Registering(Box::new(Attempt { sent, challenges: 0, adjusted: 0, then: None }))
    }

    fn leave(&mut self) -> State {
        self.granted = None;
        let sent = self.send(0);
        State::Leaving(Box::new(Attempt { sent, challenges: 0, adjusted: 0, then: None }))
    }

    fn left(&mut self) -> State {
        self.granted = None;
        self.out.push_back(Output::Left);
        State::Idle
    }

    fn answered(&mut self, now: Time, mut attempt: Box<Attempt>, response: &Response) -> State {
        let status = response.status;
        if status.is_provisional() || !self.is_answer(response) {
            return State::Registering(attempt);
        }
        if status.is_success() {
            let granted = self.read(response);
            let refresh_at = now + self.refresh_after(granted.expires);
            self.failures = 0;
            self.granted = Some(granted.clone());
            self.out.push_back(Output::Registered(granted));
            return match attempt.then {
                None => State::Registered { refresh_at },
                Some(Wish::Refresh) => self.register(),
                Some(Wish::Leave) => self.leave(),
            };
        }
        if attempt.then == Some(Wish::Leave) {
            return self.left();
        }
        match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => match self.authenticator.challenged(&attempt.sent, response) {
                Ok(()) if attempt.challenges < Self::PATIENCE => {
                    attempt.challenges += 1;
                    attempt.sent = self.send(self.profile.expires);
                    State::Registering(attempt)
                }
                Ok(()) => self.lost(now, Failure::Status(status), None),
                Err(super::digest::Unanswerable::Refused) => self.refused(Failure::Credentials),
                Err(super::digest::Unanswerable::Unknown) => self.refused(Failure::Challenge),
            },
            Status::INTERVAL_TOO_BRIEF | Status::FIRST_HOP_LACKS_OUTBOUND if attempt.adjusted < Self::PATIENCE && self.adjust(response) => {
                attempt.adjusted += 1;
                attempt.sent = self.send(self.profile.expires);
                State::Registering(attempt)
            }
            _ if is_passing(status) => {
                let wait = response.headers.read::<RetryAfter>().map(|wait| wait.seconds.clamp(1, Self::LONGEST_WAIT));
                self.lost(now, Failure::Status(status), wait.map(|seconds| Duration::from_secs(seconds.into())))
            }
            _ => self.refused(Failure::Status(status)),
        }
    }

    fn leaving(&mut self, mut attempt: Box<Attempt>, response: &Response) -> State {
        if response.status.is_provisional() || !self.is_answer(response) {
            return State::Leaving(attempt);
        }
        let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
        if challenged && attempt.challenges < Self::PATIENCE && self.authenticator.challenged(&attempt.sent, response).is_ok() {
            attempt.challenges += 1;
            attempt.sent = self.send(0);
            return State::Leaving(attempt);
        }
        self.left()
    }

    fn lost(&mut self, now: Time, why: Failure, wait: Option<Duration>) -> State {
        self.failures = self.failures.saturating_add(1);
        self.granted = None;
        let wait = wait.unwrap_or_else(|| self.profile.backoff.wait(self.failures, &mut self.entropy));
        let until = now + wait;
        self.out.push_back(Output::Lost { why, retry_at: until });
        State::Waiting { until }
    }

    fn refused(&mut self, why: Failure) -> State {
        self.granted = None;
        self.out.push_back(Output::Refused(why));
        State::Refused
    }

    /// Does what the registrar insists on, if that is possible.
    fn adjust(&mut self, response: &Response) -> bool {
        if response.status == Status::FIRST_HOP_LACKS_OUTBOUND {
            return mem::replace(&mut self.outbound, false);
        }
        match response.headers.read::<MinExpires>() {
            Some(MinExpires(least)) if least > self.profile.expires && least <= Self::LONGEST_INTERVAL => {
                self.profile.expires = least;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether a response answers the last request.
    fn is_answer(&self, response: &Response) -> bool {
        response.headers.read::<CSeq>().is_some_and(|cseq| cseq.number == self.cseq)
            && response.headers.read::<CallId>().is_some_and(|call_id| call_id == self.call_id)
    }

    fn refresh_after(&mut self, expires: u32) -> Duration {
        let millis = u64::from(expires) * 1000;
        Duration::from_millis((millis * 8 / 10 + self.entropy.below(millis / 10 + 1)).max(1000))
    }

    /// The REGISTER of this state of things [RFC3261 §10.2].
    fn send(&mut self, expires: u32) -> Request {
        self.cseq += 1;
        let profile = &self.profile;
        let mut party = NameAddr::new(profile.address.clone());
        party.display = profile.display_name.clone();
        let to = To(party.clone());
        party.set_tag(&self.tag);

        let mut contact = NameAddr::new(profile.contact.clone());
        contact.params.set_quoted("+sip.instance", &format!("<{}>", profile.instance));
        if self.outbound {
            contact.params.set("reg-id", &profile.reg_id.to_string());
        }
        if expires > 0 {
            for (name, value) in profile.features.iter() {
                contact.params.push(name.clone(), value.cloned());
            }
        }
        contact.params.set("expires", &expires.to_string());

        let mut request = Request::new(Method::Register, profile.registrar.clone())
            .with(&MaxForwards(70))
            .with(&From(party))
            .with(&to)
            .with(&self.call_id)
            .with(&CSeq::new(self.cseq, Method::Register))
            .with(&Contact::Addr(contact))
            .with(&Expires(expires))
            .with(&Supported::of(if self.outbound { &["path", "outbound", "gruu"] } else { &["path", "gruu"] }));
        if !profile.allow.is_empty() {
            request.headers.put(&Allow(profile.allow.clone()));
        }
        if let Some(name) = &profile.user_agent {
            request.headers.put(&UserAgent(name.clone()));
        }
        self.authenticator.authorize(&mut request);
        self.out.push_back(Output::Send(request.clone()));
        request
    }

    /// What a 200 says.
    fn read(&self, response: &Response) -> Granted {
        let headers = &response.headers;
        let bindings = headers.list::<Contact>().unwrap_or_default();
        let own = bindings.iter().find(|binding| {
            let same_flow =
                || binding.addr().and_then(|addr| addr.params.number("reg-id")).is_none_or(|id| id == u64::from(self.profile.reg_id));
            match binding.instance() {
                Some(instance) => instance.eq_ignore_ascii_case(&self.profile.instance) && same_flow(),
                None => binding.addr().is_some_and(|addr| addr.uri == self.profile.contact),
            }
        });
        let gruu = |name: &str| own.and_then(|own| own.addr()).and_then(|addr| addr.params.text(name)).map(|gruu| Text::from(&*gruu));
        let expires = own.and_then(Contact::expires).or_else(|| headers.read::<Expires>().map(|expires| expires.0));
        Granted {
            expires: expires.unwrap_or(self.profile.expires).min(Self::LONGEST_INTERVAL),
            public_gruu: gruu("pub-gruu"),
            temporary_gruu: gruu("temp-gruu"),
            service_route: headers.list::<ServiceRoute>().unwrap_or_default(),
            associated: headers.list::<PAssociatedUri>().unwrap_or_default(),
            outbound: headers.read::<Require>().is_some_and(|require| require.has("outbound")),
            flow_timer: headers.read::<FlowTimer>().map(|timer| timer.0),
            bindings,
        }
    }
}

/// Whether a failure may pass by itself.
fn is_passing(status: Status) -> bool {
    matches!(status.0, 408 | 423 | 430 | 480 | 500 | 502..=504 | 580 | 600)
}

#[cfg(test)]
mod tests;
