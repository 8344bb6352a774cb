//! The subscriber's side of a subscription: subscribes, refreshes, tries again as the notifier's reasons allow.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use crate::sip::dialog::Dialog;
use crate::sip::digest::Authenticator;
use crate::sip::flow::Backoff;
use crate::wire::sip::{
    Accept, CSeq, CallId, Contact, Event, Expires, From, MaxForwards, Method, MinExpires, NameAddr, Request, Response, RetryAfter, Route,
    Status, Subscribed, SubscriptionState, To, Uri,
};
use crate::{Entropy, Time};

/// What is subscribed to, and by whom.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose state.
    pub target: Uri,
    /// The subscriber's address.
    pub subscriber: NameAddr,
    /// Where the notifications are to come.
    pub contact: Contact,
    /// The package.
    pub event: Event,
    /// The documents that are understood.
    pub accept: Option<Accept>,
    /// The proxies to pass, for instance the registration's service route.
    pub routes: Vec<Route>,
    /// For how many seconds; zero fetches the state once.
    pub expires: u32,
    /// How long to wait after failures.
    pub backoff: Backoff,
}

/// What a subscriber is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Subscribe.
    Start,
    /// Unsubscribe.
    Stop,
    /// The answer to the last request.
    Response(&'a Response),
    /// The last request got no answer or could not be sent.
    Silence,
    /// The flow is gone.
    FlowLost,
    /// Time has passed.
    Timeout,
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked for: [`Input::Stop`], or the state was fetched.
    Done,
    /// The notifier refused, for good.
    Refused(Status),
    /// The notifier ended it, for good.
    Terminated,
}

/// What a subscriber wants done or told.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most outputs are requests")]
pub enum Output {
    /// Send this request, with a Via.
    Send(Request),
    /// The subscription is pending or active, as the last NOTIFY says.
    State(Subscribed),
    /// There is no subscription for now; the next attempt is at this time.
    Lost {
        /// When.
        retry_at: Time,
    },
    /// There is no subscription, and there will be none before [`Input::Start`].
    Ended(Ending),
}

/// One subscription, as its subscriber sees it.
#[derive(Debug)]
pub struct Subscriber {
    wanted: Wanted,
    entropy: Entropy,
    failures: u32,
    state: State,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The first SUBSCRIBE was sent; a NOTIFY has to come by Timer N.
    Subscribing {
        attempt: Attempt,
        notify_by: Time,
    },
    /// The notifier has spoken.
    Subscribed {
        dialog: Box<Dialog>,
        refresh_at: Time,
    },
    /// A further SUBSCRIBE was sent.
    Refreshing {
        dialog: Box<Dialog>,
        attempt: Attempt,
        lapses_at: Time,
    },
    Waiting {
        until: Time,
    },
    /// The last SUBSCRIBE was sent; the last NOTIFY has to come by Timer N.
    Leaving {
        dialog: Box<Dialog>,
        attempt: Attempt,
        notify_by: Time,
    },
}

#[derive(Debug)]
struct Attempt {
    sent: Box<Request>,
    challenges: u32,
}

impl Subscriber {
    /// How long a NOTIFY may take: 64 T1.
    const TIMER_N: Duration = Duration::from_secs(32);
    /// How often a challenge is answered before it counts as a failure.
    const PATIENCE: u32 = 2;
    /// Where the reason allows to subscribe again at once, it is not done faster than this.
    const AT_ONCE: Duration = Duration::from_secs(1);
    /// A wait that is asked for is obeyed up to this.
    const LONGEST_WAIT: u32 = 3600;

    /// A subscriber that has not started.
    pub fn new(wanted: Wanted, entropy: Entropy) -> Subscriber {
        Subscriber { wanted, entropy, failures: 0, state: State::Idle, out: VecDeque::new() }
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Idle => None,
            State::Subscribing { notify_by, .. } | State::Leaving { notify_by, .. } => Some(*notify_by),
            State::Subscribed { refresh_at, .. } => Some(*refresh_at),
            State::Refreshing { lapses_at, .. } => Some(*lapses_at),
            State::Waiting { until } => Some(*until),
        }
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes an input in; `authenticator` answers challenges.
    pub fn handle(&mut self, now: Time, authenticator: &mut Authenticator, input: Input<'_>) {
        let state = mem::replace(&mut self.state, State::Idle);
        self.state = self.step(now, authenticator, state, input);
    }

    fn step(&mut self, now: Time, authenticator: &mut Authenticator, state: State, input: Input<'_>) -> State {
        match (state, input) {
            (State::Idle | State::Waiting { .. }, Input::Start) => self.subscribe(now, authenticator),
            (State::Waiting { until }, Input::Timeout) if until <= now => self.subscribe(now, authenticator),
            (State::Idle | State::Waiting { .. } | State::Subscribing { .. }, Input::Stop) => self.end(Ending::Done),

            (State::Subscribing { attempt, notify_by }, Input::Response(response)) => {
                if !answers(&attempt, response) || response.status.is_provisional() {
                    return State::Subscribing { attempt, notify_by };
                }
                match response.status {
                    status if status.is_success() => State::Subscribing { attempt, notify_by },
                    Status::INTERVAL_TOO_BRIEF if self.adjust(response) => self.subscribe(now, authenticator),
                    status => match self.again(authenticator, attempt, response) {
                        Some(attempt) => State::Subscribing { attempt, notify_by: now + Self::TIMER_N },
                        None => self.failed(now, status, response),
                    },
                }
            }
            (State::Subscribing { .. }, Input::Silence) => self.lost(now, None),
            (State::Subscribing { notify_by, .. }, Input::Timeout) if notify_by <= now => self.lost(now, None),

            (State::Subscribed { mut dialog, refresh_at }, Input::Timeout) if refresh_at <= now => {
                let attempt = self.send(authenticator, dialog.request(Method::Subscribe), self.wanted.expires);
                State::Refreshing { dialog, attempt, lapses_at: now + Self::TIMER_N }
            }
            (State::Subscribed { mut dialog, .. } | State::Refreshing { mut dialog, .. }, Input::Stop) => {
                let attempt = self.send(authenticator, dialog.request(Method::Subscribe), 0);
                State::Leaving { dialog, attempt, notify_by: now + Self::TIMER_N }
            }
            (State::Refreshing { mut dialog, attempt, lapses_at }, Input::Response(response)) => {
                if !answers(&attempt, response) || response.status.is_provisional() {
                    return State::Refreshing { dialog, attempt, lapses_at };
                }
                if response.status.is_success() {
                    dialog.refresh(response);
                    let seconds = response.headers.read::<Expires>().map_or(self.wanted.expires, |expires| expires.0);
                    return State::Subscribed { dialog, refresh_at: self.refresh_at(now, seconds) };
                }
                match response.status {
                    // The notifier knows nothing of it any more, or wants another interval: a new one [RFC6665 §4.1.2.2].
                    Status::CALL_DOES_NOT_EXIST => self.subscribe(now, authenticator),
                    Status::INTERVAL_TOO_BRIEF if self.adjust(response) => self.subscribe(now, authenticator),
                    status => match self.retry(authenticator, attempt, response, &mut dialog, self.wanted.expires) {
                        Some(attempt) => State::Refreshing { dialog, attempt, lapses_at },
                        None => self.failed(now, status, response),
                    },
                }
            }
            (State::Refreshing { .. }, Input::Silence) => self.lost(now, None),
            (State::Refreshing { lapses_at, .. }, Input::Timeout) if lapses_at <= now => self.lost(now, None),

            (State::Leaving { mut dialog, attempt, notify_by }, Input::Response(response)) => {
                if !answers(&attempt, response) || response.status.is_provisional() || response.status.is_success() {
                    return State::Leaving { dialog, attempt, notify_by };
                }
                match self.retry(authenticator, attempt, response, &mut dialog, 0) {
                    Some(attempt) => State::Leaving { dialog, attempt, notify_by },
                    None => self.end(Ending::Done),
                }
            }
            (State::Leaving { .. }, Input::Silence | Input::FlowLost) => self.end(Ending::Done),
            (State::Leaving { notify_by, .. }, Input::Timeout) if notify_by <= now => self.end(Ending::Done),

            (
                State::Idle | State::Waiting { .. } | State::Subscribing { .. } | State::Subscribed { .. } | State::Refreshing { .. },
                Input::FlowLost,
            ) => State::Idle,

            (state @ (State::Idle | State::Waiting { .. } | State::Subscribed { .. }), Input::Response(_) | Input::Silence)
            | (state @ (State::Subscribing { .. } | State::Subscribed { .. } | State::Refreshing { .. }), Input::Start)
            | (state @ State::Leaving { .. }, Input::Start | Input::Stop)
            | (
                state @ (State::Idle
                | State::Waiting { .. }
                | State::Subscribing { .. }
                | State::Subscribed { .. }
                | State::Refreshing { .. }
                | State::Leaving { .. }),
                Input::Timeout,
            ) => state,
        }
    }

    /// Takes a NOTIFY; the status is what to answer. After a 200 its body is the owner's to read.
    pub fn notified(&mut self, now: Time, request: &Request) -> Status {
        let Some(news) = request.headers.read::<SubscriptionState>() else { return Status::BAD_REQUEST };
        let event = request.headers.read::<Event>();
        if !event.is_some_and(|event| event.is(&self.wanted.event.package) && event.id() == self.wanted.event.id()) {
            return Status::BAD_EVENT;
        }
        let (status, state) = match mem::replace(&mut self.state, State::Idle) {
            State::Subscribing { attempt, notify_by } => match Dialog::of_notify(&attempt.sent, request) {
                Some(dialog) => (Status::OK, self.told(now, Box::new(dialog), None, &news)),
                None => (Status::CALL_DOES_NOT_EXIST, State::Subscribing { attempt, notify_by }),
            },
            State::Subscribed { mut dialog, refresh_at } => match within(&mut dialog, request) {
                Ok(()) => (Status::OK, self.told(now, dialog, None, &news)),
                Err(status) => (status, State::Subscribed { dialog, refresh_at }),
            },
            State::Refreshing { mut dialog, attempt, lapses_at } => match within(&mut dialog, request) {
                Ok(()) => (Status::OK, self.told(now, dialog, Some((attempt, lapses_at)), &news)),
                Err(status) => (status, State::Refreshing { dialog, attempt, lapses_at }),
            },
            State::Leaving { mut dialog, attempt, notify_by } => match within(&mut dialog, request) {
                Ok(()) if news.state == Subscribed::Terminated => (Status::OK, self.end(Ending::Done)),
                Ok(()) => (Status::OK, State::Leaving { dialog, attempt, notify_by }),
                Err(status) => (status, State::Leaving { dialog, attempt, notify_by }),
            },
            state @ (State::Idle | State::Waiting { .. }) => (Status::CALL_DOES_NOT_EXIST, state),
        };
        self.state = state;
        status
    }

    /// What a NOTIFY makes of the subscription.
    fn told(&mut self, now: Time, dialog: Box<Dialog>, refreshing: Option<(Attempt, Time)>, news: &SubscriptionState) -> State {
        if news.state == Subscribed::Terminated {
            return self.terminated(now, news);
        }
        self.failures = 0;
        self.out.push_back(Output::State(news.state.clone()));
        match refreshing {
            Some((attempt, lapses_at)) => State::Refreshing { dialog, attempt, lapses_at },
            None => {
                let refresh_at = self.refresh_at(now, news.expires().unwrap_or(self.wanted.expires));
                State::Subscribed { dialog, refresh_at }
            }
        }
    }

    /// [RFC6665 §4.1.3]
    fn terminated(&mut self, now: Time, news: &SubscriptionState) -> State {
        if self.wanted.expires == 0 {
            return self.end(Ending::Done);
        }
        let wait = news.retry_after().map(|seconds| Duration::from_secs(seconds.min(Self::LONGEST_WAIT).into()));
        match news.reason() {
            Some("rejected" | "noresource" | "invariant") => self.end(Ending::Terminated),
            Some("probation" | "giveup") => self.lost(now, wait),
            Some("deactivated" | "timeout") => self.lost(now, Some(Self::AT_ONCE)),
            Some(_) | None => self.lost(now, wait.or(Some(Self::AT_ONCE))),
        }
    }

    fn subscribe(&mut self, now: Time, authenticator: &mut Authenticator) -> State {
        let mut from = self.wanted.subscriber.clone();
        from.set_tag(&self.entropy.hex::<8>());
        let mut request = Request::new(Method::Subscribe, self.wanted.target.clone())
            .with(&MaxForwards(70))
            .with(&From(from))
            .with(&To::new(self.wanted.target.clone()))
            .with(&CallId(self.entropy.hex::<16>().into()))
            .with(&CSeq::new(1, Method::Subscribe));
        for route in &self.wanted.routes {
            request.headers.put(route);
        }
        let attempt = self.send(authenticator, request, self.wanted.expires);
        State::Subscribing { attempt, notify_by: now + Self::TIMER_N }
    }

    fn send(&mut self, authenticator: &mut Authenticator, request: Request, expires: u32) -> Attempt {
        let mut request = request.with(&self.wanted.contact).with(&self.wanted.event).with(&Expires(expires));
        if let Some(accept) = &self.wanted.accept {
            request.headers.put(accept);
        }
        authenticator.authorize(&mut request);
        self.out.push_back(Output::Send(request.clone()));
        Attempt { sent: Box::new(request), challenges: 0 }
    }

    /// Answers the challenge to a first SUBSCRIBE: the same request with the next number.
    fn again(&mut self, authenticator: &mut Authenticator, attempt: Attempt, response: &Response) -> Option<Attempt> {
        let challenges = answerable(authenticator, &attempt, response)?;
        let mut request = *attempt.sent;
        let number = request.headers.read::<CSeq>().map_or(1, |cseq| cseq.number);
        request.headers.put(&CSeq::new(number + 1, Method::Subscribe));
        authenticator.authorize(&mut request);
        self.out.push_back(Output::Send(request.clone()));
        Some(Attempt { sent: Box::new(request), challenges })
    }

    /// Answers the challenge to a SUBSCRIBE within the dialog.
    fn retry(
        &mut self,
        authenticator: &mut Authenticator,
        attempt: Attempt,
        response: &Response,
        dialog: &mut Dialog,
        expires: u32,
    ) -> Option<Attempt> {
        let challenges = answerable(authenticator, &attempt, response)?;
        let attempt = self.send(authenticator, dialog.request(Method::Subscribe), expires);
        Some(Attempt { challenges, ..attempt })
    }

    fn failed(&mut self, now: Time, status: Status, response: &Response) -> State {
        let wait = response.headers.read::<RetryAfter>().map(|wait| wait.seconds.clamp(1, Self::LONGEST_WAIT));
        match (status.0, wait) {
            (408 | 423 | 480 | 481 | 500 | 502..=504, _) | (_, Some(_)) => {
                self.lost(now, wait.map(|wait| Duration::from_secs(wait.into())))
            }
            (_, None) => self.end(Ending::Refused(status)),
        }
    }

    /// Takes the interval that the notifier insists on, if it is longer.
    fn adjust(&mut self, response: &Response) -> bool {
        match response.headers.read::<MinExpires>() {
            Some(MinExpires(least)) if least > self.wanted.expires && self.wanted.expires > 0 => {
                self.wanted.expires = least;
                true
            }
            Some(_) | None => false,
        }
    }

    fn lost(&mut self, now: Time, wait: Option<Duration>) -> State {
        self.failures = self.failures.saturating_add(1);
        let wait = wait.unwrap_or_else(|| self.wanted.backoff.wait(self.failures, &mut self.entropy));
        let until = now + wait.max(Self::AT_ONCE);
        self.out.push_back(Output::Lost { retry_at: until });
        State::Waiting { until }
    }

    fn end(&mut self, why: Ending) -> State {
        self.out.push_back(Output::Ended(why));
        State::Idle
    }

    fn refresh_at(&mut self, now: Time, seconds: u32) -> Time {
        let millis = u64::from(seconds) * 1000;
        now + Duration::from_millis((millis * 8 / 10 + self.entropy.below(millis / 10 + 1)).max(1000))
    }
}

/// How many challenges were answered with this one, if it can be.
fn answerable(authenticator: &mut Authenticator, attempt: &Attempt, response: &Response) -> Option<u32> {
    let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
    let patient = attempt.challenges < Subscriber::PATIENCE;
    (challenged && patient && authenticator.challenged(&attempt.sent, response).is_ok()).then_some(attempt.challenges + 1)
}

/// Whether a response answers this request.
fn answers(attempt: &Attempt, response: &Response) -> bool {
    let sent = &attempt.sent.headers;
    sent.read::<CSeq>() == response.headers.read::<CSeq>() && sent.read::<CallId>() == response.headers.read::<CallId>()
}

/// Whether a NOTIFY belongs to the dialog and comes in order.
fn within(dialog: &mut Dialog, request: &Request) -> Result<(), Status> {
    if crate::sip::dialog::DialogId::of_request(request).as_ref() != Some(dialog.id()) {
        return Err(Status::CALL_DOES_NOT_EXIST);
    }
    dialog.receive(request).map_err(|misfit| misfit.status())
}
