//! The notifier's side of one subscription.
//!
//! At most one NOTIFY is on its way. What changes meanwhile is told by the next one, so that a slow subscriber gets the newest state and
//! not a queue of old ones.

use std::time::Duration;

use bytes::Bytes;

use crate::Time;
use crate::sip::dialog::{Dialog, DialogId};
use crate::wire::sip::{
    Contact, ContentType, Event, Expires, Method, MinExpires, Request, Response, Status, Subscribed, SubscriptionState, To,
};

/// Which intervals a notifier grants, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Shorter ones are refused with 423; zero, which asks for one NOTIFY, is not.
    pub least: u32,
    /// For those who ask for none.
    pub usual: u32,
    /// Longer ones are cut.
    pub most: u32,
}

impl Intervals {
    /// What a SUBSCRIBE is granted.
    fn grant(&self, request: &Request) -> Result<u32, MinExpires> {
        match request.headers.read::<Expires>().map(|expires| expires.0) {
            None => Ok(self.usual),
            Some(asked) if asked > 0 && asked < self.least => Err(MinExpires(self.least)),
            Some(asked) => Ok(asked.min(self.most)),
        }
    }
}

/// What is to be done after a NOTIFY was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing.
    Current,
    /// Something has changed since it was sent: notify again.
    Behind,
    /// The subscription is over: forget it.
    Over,
}

/// One subscription, as its notifier sees it.
#[derive(Debug)]
pub struct Notifier {
    dialog: Dialog,
    event: Event,
    contact: Contact,
    intervals: Intervals,
    expires_at: Time,
    state: State,
    sending: Sending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Active,
    Terminated,
}

/// Whether a NOTIFY is on its way, and whether it is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Idle,
    Newest,
    Older,
}

impl Notifier {
    /// Takes a SUBSCRIBE outside of any dialog: the subscription and the 200, or the refusal. A first NOTIFY is due at once.
    ///
    /// `tag` is this end's, `contact` where the subscriber's further requests are to come.
    pub fn accept(
        now: Time,
        request: &Request,
        tag: &str,
        contact: Contact,
        intervals: Intervals,
    ) -> Result<(Notifier, Response), Box<Response>> {
        let refusal = |status| Err(Box::new(tagged(request, status, tag)));
        let Some(event) = request.headers.read::<Event>() else { return refusal(Status::BAD_EVENT) };
        let expires = match intervals.grant(request) {
            Ok(expires) => expires,
            Err(least) => return Err(Box::new(tagged(request, Status::INTERVAL_TOO_BRIEF, tag).with(&least))),
        };
        let response = tagged(request, Status::OK, tag).with(&contact).with(&Expires(expires));
        let Some(dialog) = Dialog::of_server(request, &response) else { return refusal(Status::BAD_REQUEST) };
        let expires_at = now + Duration::from_secs(expires.into());
        let notifier = Notifier { dialog, event, contact, intervals, expires_at, state: State::Active, sending: Sending::Idle };
        Ok((notifier, response))
    }

    /// The same, while the user whose state it is has not agreed yet.
    pub fn pending(mut self) -> Notifier {
        self.state = State::Pending;
        self
    }

    /// The user has agreed; a NOTIFY is due.
    pub fn activate(&mut self) {
        self.state = match self.state {
            State::Pending | State::Active => State::Active,
            State::Terminated => State::Terminated,
        };
    }

    /// Its dialog.
    pub fn id(&self) -> &DialogId {
        self.dialog.id()
    }

    /// The package, with its `id` where there is one.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state == State::Terminated
    }

    /// Takes a SUBSCRIBE within the dialog: a refresh, or with zero the end. On success a NOTIFY is due.
    pub fn refresh(&mut self, now: Time, request: &Request) -> Response {
        if let Err(misfit) = self.dialog.receive(request) {
            return Response::to(request, misfit.status());
        }
        let same = |event: Event| event.is(&self.event.package) && event.id() == self.event.id();
        if self.is_over() || !request.headers.read::<Event>().is_some_and(same) {
            return Response::to(request, Status::CALL_DOES_NOT_EXIST);
        }
        match self.intervals.grant(request) {
            Ok(expires) => {
                self.expires_at = now + Duration::from_secs(expires.into());
                Response::to(request, Status::OK).with(&self.contact).with(&Expires(expires))
            }
            Err(least) => Response::to(request, Status::INTERVAL_TOO_BRIEF).with(&least),
        }
    }

    /// The NOTIFY with this content; nothing while another one is on its way, or after the last.
    ///
    /// When the time is up, and so after a SUBSCRIBE with zero, it is the last one.
    pub fn notify(&mut self, now: Time, content: Option<(ContentType, Bytes)>) -> Option<Request> {
        let left = self.expires_at.since(now).as_millis().div_ceil(1000) as u32;
        if left == 0 {
            return self.terminate("timeout", content);
        }
        let state = match self.state {
            State::Pending => SubscriptionState { state: Subscribed::Pending, ..SubscriptionState::active(left) },
            State::Active => SubscriptionState::active(left),
            State::Terminated => return None,
        };
        match self.sending {
            Sending::Idle => Some(self.send(&state, content)),
            Sending::Newest | Sending::Older => {
                self.sending = Sending::Older;
                None
            }
        }
    }

    /// The last NOTIFY, for this reason [RFC6665 §4.1.3], whatever else is on its way.
    pub fn terminate(&mut self, reason: &str, content: Option<(ContentType, Bytes)>) -> Option<Request> {
        if self.is_over() {
            return None;
        }
        self.state = State::Terminated;
        Some(self.send(&SubscriptionState::terminated(reason), content))
    }

    /// The answer to a NOTIFY; `None` when there was none.
    pub fn answered(&mut self, status: Option<Status>) -> Answered {
        let gone = match status {
            None => true,
            // [RFC6665 §4.2.2]: those that say that nobody is there; others say that something is wrong with this NOTIFY.
            Some(status) => matches!(status.0, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604),
        };
        if gone {
            self.state = State::Terminated;
        }
        let behind = std::mem::replace(&mut self.sending, Sending::Idle) == Sending::Older;
        match (self.state, behind) {
            (State::Terminated, _) => Answered::Over,
            (State::Active | State::Pending, true) => Answered::Behind,
            (State::Active | State::Pending, false) => Answered::Current,
        }
    }

    /// When the time is up, and [`Notifier::notify`] gives the last NOTIFY.
    pub fn expires_at(&self) -> Time {
        self.expires_at
    }

    fn send(&mut self, state: &SubscriptionState, content: Option<(ContentType, Bytes)>) -> Request {
        self.sending = Sending::Newest;
        let mut request = self.dialog.request(Method::Notify).with(&self.contact).with(&self.event).with(state);
        if let Some((kind, body)) = content {
            request.headers.put(&kind);
            request.body = body;
        }
        request
    }
}

fn tagged(request: &Request, status: Status, tag: &str) -> Response {
    let mut response = Response::to(request, status);
    if let Some(mut to) = request.headers.read::<To>() {
        to.set_tag(tag);
        response.headers.put(&to);
    }
    response
}
