//! A subscriber and a notifier that talk to each other without a network between them.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::sip::digest::{Authenticator, Secret};
use crate::sip::flow::Backoff;
use crate::sip::pair;
use crate::wire::sip::{
    CSeq, Contact, ContentType, Event, Expires, HeaderName, Method, MinExpires, NameAddr, Params, Request, Response, Status, Subscribed,
    SubscriptionState, Uri,
};
use crate::{Entropy, Time};

const NOW: Time = Time(5_000_000);
const INTERVALS: Intervals = Intervals { least: 60, usual: 600, most: 3600 };

fn uri(text: &str) -> Uri {
    Uri::parse(&text.into()).unwrap()
}

struct Both {
    subscriber: Subscriber,
    authenticator: Authenticator,
}

impl Both {
    fn new(expires: u32) -> Both {
        let mut entropy = Entropy::new([4; 32]);
        let wanted = Wanted {
            target: uri("sip:alice@tandem.test"),
            subscriber: NameAddr::new(uri("sip:alice@tandem.test")),
            contact: Contact::new(uri("sip:alice@a.invalid")),
            event: Event::new("reg"),
            accept: None,
            routes: Vec::new(),
            expires,
            backoff: Backoff::OUTBOUND,
        };
        let authenticator = Authenticator::new("alice", Secret::Password("secret".into()), entropy.fork());
        Both { subscriber: Subscriber::new(wanted, entropy), authenticator }
    }

    fn tell(&mut self, now: Time, input: Input<'_>) {
        self.subscriber.handle(now, &mut self.authenticator, input);
    }

    fn sent(&mut self) -> Request {
        match self.subscriber.poll() {
            Some(Output::Send(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    /// Subscribes, up to the first NOTIFY.
    fn active(&mut self, now: Time) -> Notifier {
        self.tell(now, Input::Start);
        let request = self.sent();
        let (mut notifier, response) = accept(now, &request).unwrap();
        self.tell(now, Input::Response(&response));
        let notify = notifier.notify(now, None).unwrap();
        assert_eq!(self.subscriber.notified(now, &notify), Status::OK);
        assert!(matches!(self.subscriber.poll(), Some(Output::State(Subscribed::Active))));
        assert_eq!(notifier.answered(Some(Status::OK)), Answered::Current);
        notifier
    }

    fn lost(&mut self) -> Time {
        match self.subscriber.poll() {
            Some(Output::Lost { retry_at }) => retry_at,
            other => panic!("not lost: {other:?}"),
        }
    }

    fn ended(&mut self) -> Ending {
        match self.subscriber.poll() {
            Some(Output::Ended(why)) => why,
            other => panic!("not ended: {other:?}"),
        }
    }
}

fn accept(now: Time, request: &Request) -> Result<(Notifier, Response), Box<Response>> {
    Notifier::accept(now, request, "server", Contact::new(uri("sip:tandem.test")), INTERVALS)
}

fn state(request: &Request) -> SubscriptionState {
    request.headers.read::<SubscriptionState>().unwrap()
}

#[test]
fn a_subscription_lives_by_refreshes_and_ends_by_zero() {
    let mut both = Both::new(600);
    let mut notifier = both.active(NOW);
    let refresh = both.subscriber.next_timeout().unwrap();
    assert!((480..=540).contains(&refresh.since(NOW).as_secs()));
    both.tell(refresh, Input::Timeout);
    let request = both.sent();
    assert_eq!(request.headers.read::<CSeq>(), Some(CSeq::new(2, Method::Subscribe)));
    both.tell(refresh, Input::Response(&notifier.refresh(refresh, &request)));
    assert_eq!(notifier.refresh(refresh, &request).status, Status::SERVER_INTERNAL_ERROR, "the same number again");
    assert_eq!(notifier.expires_at(), refresh + Duration::from_secs(600));
    let notify = notifier.notify(refresh, None).unwrap();
    assert_eq!((both.subscriber.notified(refresh, &notify), state(&notify).expires()), (Status::OK, Some(600)));
    assert!(matches!(both.subscriber.poll(), Some(Output::State(Subscribed::Active))));
    assert_eq!(both.subscriber.notified(refresh, &notify), Status::SERVER_INTERNAL_ERROR, "a NOTIFY out of order");
    notifier.answered(Some(Status::OK));

    both.tell(refresh, Input::Stop);
    let request = both.sent();
    assert_eq!(request.headers.read::<Expires>(), Some(Expires(0)));
    both.tell(refresh, Input::Response(&notifier.refresh(refresh, &request)));
    let last = notifier.notify(refresh, None).unwrap();
    assert_eq!((state(&last).state, notifier.is_over()), (Subscribed::Terminated, true));
    let last = last.with(&SubscriptionState::terminated("timeout"));
    assert_eq!(both.subscriber.notified(refresh, &last), Status::OK);
    assert_eq!(both.ended(), Ending::Done);
    assert_eq!(notifier.answered(Some(Status::OK)), Answered::Over);
    assert!(notifier.notify(refresh, None).is_none() && notifier.terminate("noresource", None).is_none());
}

/// [RFC6665 §4.1.2.4]: the first NOTIFY may come before the answer to the SUBSCRIBE.
#[test]
fn a_notify_may_overtake_the_answer() {
    let mut both = Both::new(600);
    both.tell(NOW, Input::Start);
    let request = both.sent();
    let (mut notifier, response) = accept(NOW, &request).unwrap();
    let notify = notifier.notify(NOW, Some((ContentType::new("application", "reginfo+xml"), Bytes::from_static(b"<x/>")))).unwrap();
    assert_eq!(both.subscriber.notified(NOW, &notify), Status::OK);
    assert!(matches!(both.subscriber.poll(), Some(Output::State(Subscribed::Active))));
    both.tell(NOW, Input::Response(&response));
    assert!(both.subscriber.poll().is_none() && both.subscriber.next_timeout().is_some());
}

/// Timer N: a notifier that accepts and says nothing is none.
#[test]
fn an_answer_without_notify_is_a_failure() {
    let mut both = Both::new(600);
    both.tell(NOW, Input::Start);
    let request = both.sent();
    both.tell(NOW, Input::Response(&accept(NOW, &request).unwrap().1));
    let deadline = both.subscriber.next_timeout().unwrap();
    assert_eq!(deadline, NOW + Duration::from_secs(32));
    both.tell(deadline, Input::Timeout);
    let retry_at = both.lost();
    both.tell(retry_at, Input::Timeout);
    assert_ne!(both.sent().headers.get(&HeaderName::CallId), request.headers.get(&HeaderName::CallId), "a new dialog");
}

#[test]
fn reasons_say_whether_to_try_again() {
    let least = Backoff::OUTBOUND.base;
    for (reason, retry_after, again) in [
        ("deactivated", None, Some((Duration::from_secs(1), Duration::from_secs(1)))),
        ("timeout", None, Some((Duration::from_secs(1), Duration::from_secs(1)))),
        ("probation", Some(77), Some((Duration::from_secs(77), Duration::from_secs(77)))),
        ("giveup", None, Some((least, least * 2))),
        ("unheard-of", Some(5), Some((Duration::from_secs(5), Duration::from_secs(5)))),
        ("rejected", Some(5), None),
        ("noresource", None, None),
        ("invariant", None, None),
    ] {
        let mut both = Both::new(600);
        let mut notifier = both.active(NOW);
        let mut notify = notifier.terminate(reason, None).unwrap();
        let mut news = state(&notify);
        if let Some(seconds) = retry_after {
            news.params.set("retry-after", &i32::to_string(&seconds));
        }
        notify.headers.put(&news);
        assert_eq!(both.subscriber.notified(NOW, &notify), Status::OK);
        match again {
            Some((from, to)) => {
                let wait = both.lost().since(NOW);
                assert!(wait >= from && wait <= to, "{reason}: {wait:?}");
            }
            None => assert_eq!(both.ended(), Ending::Terminated, "{reason}"),
        }
    }
}

#[test]
fn refusals_end_or_delay_a_subscription() {
    for (status, again) in [(Status::FORBIDDEN, false), (Status::BAD_EVENT, false), (Status::SERVICE_UNAVAILABLE, true)] {
        let mut both = Both::new(600);
        both.tell(NOW, Input::Start);
        let request = both.sent();
        both.tell(NOW, Input::Response(&pair::answer(&request, status)));
        if again {
            both.lost();
        } else {
            assert_eq!(both.ended(), Ending::Refused(status));
        }
    }
    let mut both = Both::new(10);
    both.tell(NOW, Input::Start);
    let request = both.sent();
    let brief = accept(NOW, &request).unwrap_err();
    assert_eq!((brief.status, brief.headers.read::<MinExpires>()), (Status::INTERVAL_TOO_BRIEF, Some(MinExpires(60))));
    both.tell(NOW, Input::Response(&brief));
    assert_eq!(both.sent().headers.read::<Expires>(), Some(Expires(60)));
}

/// A notifier that has restarted says 481 to a refresh; the subscriber starts again.
#[test]
fn a_forgotten_subscription_is_made_anew() {
    let mut both = Both::new(600);
    both.active(NOW);
    let refresh = both.subscriber.next_timeout().unwrap();
    both.tell(refresh, Input::Timeout);
    let request = both.sent();
    both.tell(refresh, Input::Response(&Response::to(&request, Status::CALL_DOES_NOT_EXIST)));
    let anew = both.sent();
    assert_eq!(anew.headers.read::<CSeq>(), Some(CSeq::new(1, Method::Subscribe)));
    both.tell(refresh, Input::FlowLost);
    assert_eq!(both.subscriber.next_timeout(), None);
}

#[test]
fn only_one_notify_is_on_its_way() {
    let mut both = Both::new(600);
    let mut notifier = both.active(NOW);
    assert!(notifier.notify(NOW, None).is_some());
    assert!(notifier.notify(NOW, None).is_none() && notifier.notify(NOW, None).is_none());
    assert_eq!(notifier.answered(Some(Status::OK)), Answered::Behind);
    assert!(notifier.notify(NOW, None).is_some());
    assert_eq!(notifier.answered(Some(Status::OK)), Answered::Current);
    assert!(notifier.notify(NOW, None).is_some());
    assert_eq!(notifier.answered(None), Answered::Over);
}

#[test]
fn a_subscription_that_is_not_refreshed_runs_out() {
    let mut both = Both::new(600);
    let mut notifier = both.active(NOW);
    let end = notifier.expires_at();
    let last = notifier.notify(end, None).unwrap();
    assert_eq!((state(&last).state, state(&last).reason().map(str::to_owned)), (Subscribed::Terminated, Some("timeout".to_owned())));
}

#[test]
fn pending_turns_active() {
    let mut both = Both::new(600);
    both.tell(NOW, Input::Start);
    let request = both.sent();
    let mut notifier = accept(NOW, &request).unwrap().0.pending();
    assert_eq!(both.subscriber.notified(NOW, &notifier.notify(NOW, None).unwrap()), Status::OK);
    assert!(matches!(both.subscriber.poll(), Some(Output::State(Subscribed::Pending))));
    notifier.answered(Some(Status::OK));
    notifier.activate();
    assert_eq!(both.subscriber.notified(NOW, &notifier.notify(NOW, None).unwrap()), Status::OK);
    assert!(matches!(both.subscriber.poll(), Some(Output::State(Subscribed::Active))));
}

#[test]
fn strangers_are_told_so() {
    let mut both = Both::new(600);
    let mut notifier = both.active(NOW);
    let mut notify = notifier.notify(NOW, None).unwrap();
    notify.headers.put(&Event { package: "presence".into(), params: Params::new() });
    assert_eq!(both.subscriber.notified(NOW, &notify), Status::BAD_EVENT);
    notify.headers.put(&Event::new("reg"));
    notify.headers.set(HeaderName::CallId, "other");
    assert_eq!(both.subscriber.notified(NOW, &notify), Status::CALL_DOES_NOT_EXIST);
    notify.headers.remove(&HeaderName::SubscriptionState);
    assert_eq!(both.subscriber.notified(NOW, &notify), Status::BAD_REQUEST);
}
