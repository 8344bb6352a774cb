//! Who follows the list of what waits for a decision (`Event: deferred-messages` [RFC6665]), and what they are told (R218, R219).
//!
//! Every NOTIFY holds the beginning of the list and how long it is, as the store has it when it is sent. A device is told at once, then not
//! more often than [`THROTTLE`], and never while its last NOTIFY is under way.

use std::cmp::Reverse;
use std::time::Duration;

use wasm_core::Time;
use wasm_core::cpm::deferred::{DeferredId, EVENT, Item, LIST_TYPE, List, MOST_LISTED};
use wasm_core::sip::dialog::DialogId;
use wasm_core::sip::subscription::{Answered, Intervals, Notifier};
use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::sip::{ContentType, Event, HeaderName, Request, Status, To, TypedHeader};

use super::super::{Alarm, Awaited, Flight, Hand, Participating};
use crate::node::{Function, Hop, Query};
use crate::sip_core::EVENTS;
use crate::sip_core::refusal::Refusal;
use crate::store::{HeldItem, HeldPage, UserId};

/// How often a device is told of changes at most.
const THROTTLE: Duration = Duration::from_secs(1);
/// After how long the store is asked again when it could not read.
const RETRY: Duration = Duration::from_secs(5);
/// The shortest subscription.
const LEAST: u32 = 60;

/// The devices that follow one user's list.
#[derive(Debug, Default)]
pub(in crate::participating) struct Followers {
    followers: Vec<Follower>,
    /// Whether the store is being asked, and whether the list has changed since it was.
    reading: Option<Stale>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stale {
    No,
    Yes,
}

#[derive(Debug)]
struct Follower {
    notifier: Notifier,
    hop: Hop,
    /// Whether there is something to tell, and when it may be told.
    behind: bool,
    not_before: Time,
}

impl Participating {
    /// A SUBSCRIBE: of a new follower, or within a subscription.
    pub(super) fn subscribe(&mut self, hand: &mut Hand<'_>, id: ServerId, user: UserId, hop: Hop, request: &Request) {
        hand.core.step(Function::Core, Function::Participating, || format!("SUBSCRIBE (Event: {EVENT})"));
        if !request.headers.read::<Event>().is_some_and(|event| event.is(EVENT)) {
            let refusal = Refusal::new(Status::BAD_EVENT).with(HeaderName::AllowEvents, EVENTS);
            return hand.core.refuse(hand.now, id, request, refusal);
        }
        if request.headers.read::<To>().is_some_and(|to| to.tag().is_some()) {
            return self.resubscribe(hand, id, user, hop, request);
        }
        let of_user = self.followers.entry(user).or_default();
        of_user.followers.retain(|follower| hand.core.transport(&follower.hop).is_some());
        if of_user.followers.len() >= self.config.limits.subscriptions_per_user {
            return hand.core.refuse(hand.now, id, request, Refusal::later(Status::FORBIDDEN, 60));
        }
        let contact = hand.core.contact(&hop, super::session::own_uri(&self.config.host));
        let most = self.config.policy.max_subscription;
        let intervals = Intervals { least: LEAST.min(most), usual: most, most };
        match Notifier::accept(hand.now, request, &self.entropy.hex::<6>(), contact, intervals) {
            Err(refusal) => hand.core.respond(hand.now, id, *refusal),
            Ok((notifier, response)) => {
                self.alarms.push(Reverse((notifier.expires_at(), Alarm::List(user))));
                of_user.followers.push(Follower { notifier, hop, behind: true, not_before: hand.now });
                hand.core.step(Function::Participating, Function::Core, || "200".into());
                hand.core.respond(hand.now, id, response);
                self.look(hand, user);
            }
        }
    }

    fn resubscribe(&mut self, hand: &mut Hand<'_>, id: ServerId, user: UserId, hop: Hop, request: &Request) {
        let dialog = DialogId::of_request(request);
        let Some(follower) = self.follower(user, dialog.as_ref()) else {
            return hand.core.refuse(hand.now, id, request, Refusal::new(Status::CALL_DOES_NOT_EXIST));
        };
        let response = follower.notifier.refresh(hand.now, request);
        if response.status.is_success() {
            // Its connection may be a new one.
            (follower.hop, follower.behind, follower.not_before) = (hop, true, hand.now);
            let expires_at = follower.notifier.expires_at();
            self.alarms.push(Reverse((expires_at, Alarm::List(user))));
        }
        hand.core.respond(hand.now, id, response);
        self.look(hand, user);
    }

    fn follower(&mut self, user: UserId, dialog: Option<&DialogId>) -> Option<&mut Follower> {
        let followers = &mut self.followers.get_mut(&user)?.followers;
        followers.iter_mut().find(|follower| Some(follower.notifier.id()) == dialog)
    }

    /// Something has come to a user's list, or has gone from it.
    pub(in crate::participating) fn list_changed(&mut self, hand: &mut Hand<'_>, user: UserId) {
        let Some(of_user) = self.followers.get_mut(&user) else { return };
        of_user.followers.iter_mut().for_each(|follower| follower.behind = true);
        if let Some(stale) = &mut of_user.reading {
            *stale = Stale::Yes;
        }
        self.look(hand, user);
    }

    /// Asks the store for the list, if somebody may be told of it now.
    pub(in crate::participating) fn look(&mut self, hand: &mut Hand<'_>, user: UserId) {
        let Some(of_user) = self.followers.get_mut(&user) else { return };
        if of_user.followers.is_empty() && of_user.reading.is_none() {
            self.followers.remove(&user);
            return;
        }
        let due = |follower: &Follower| follower.behind || follower.notifier.expires_at() <= hand.now;
        let Some(at) = of_user.followers.iter().filter(|follower| due(follower)).map(|follower| follower.not_before).min() else { return };
        if of_user.reading.is_some() {
            return;
        }
        if at > hand.now {
            return self.alarms.push(Reverse((at, Alarm::List(user))));
        }
        of_user.reading = Some(Stale::No);
        self.load(Awaited::List(user), Query::Held { user, limit: MOST_LISTED });
    }

    /// The store has the list, or cannot read it.
    pub(in crate::participating) fn listed(&mut self, hand: &mut Hand<'_>, user: UserId, page: Option<HeldPage>) {
        let Some(of_user) = self.followers.get_mut(&user) else { return };
        let stale = of_user.reading.take() == Some(Stale::Yes);
        let Some(page) = page else {
            of_user.followers.iter_mut().for_each(|follower| follower.not_before = hand.now + RETRY);
            return self.look(hand, user);
        };
        let body = list(page).encode();
        let kind = ContentType::parse(&LIST_TYPE.into()).ok();
        for mut follower in std::mem::take(&mut of_user.followers) {
            let over = follower.notifier.expires_at() <= hand.now;
            if follower.not_before > hand.now || !follower.behind && !over {
                self.keep_follower(user, follower);
                continue;
            }
            let content = kind.clone().map(|kind| (kind, body.clone()));
            (follower.behind, follower.not_before) = (stale, hand.now + THROTTLE);
            let Some(request) = follower.notifier.notify(hand.now, content) else {
                // The answer to the one under way comes first.
                self.keep_follower(user, follower);
                continue;
            };
            hand.core.step(Function::Participating, Function::Core, || format!("NOTIFY (Event: {EVENT})"));
            // Without its connection it is gone: it subscribes again when it is back.
            if let Some(client) = hand.core.within(hand.now, &follower.hop, request) {
                self.flights.insert(client, Flight::List(user, follower.notifier.id().clone()));
                if !follower.notifier.is_over() {
                    self.keep_follower(user, follower);
                }
            }
        }
        self.look(hand, user);
    }

    fn keep_follower(&mut self, user: UserId, follower: Follower) {
        self.followers.entry(user).or_default().followers.push(follower);
    }

    /// A follower has answered, or has not.
    pub(in crate::participating) fn told_list(&mut self, hand: &mut Hand<'_>, user: UserId, dialog: &DialogId, status: Status) {
        hand.core.step(Function::Core, Function::Participating, || status.0.to_string());
        let Some(follower) = self.follower(user, Some(dialog)) else { return };
        match follower.notifier.answered(Some(status)) {
            Answered::Current => {}
            Answered::Behind => follower.behind = true,
            Answered::Over => {
                if let Some(of_user) = self.followers.get_mut(&user) {
                    of_user.followers.retain(|follower| follower.notifier.id() != dialog);
                }
            }
        }
        self.look(hand, user);
    }
}

/// The list as devices read it.
fn list(page: HeldPage) -> List {
    let items = page.items.into_iter().map(|HeldItem { id, expires_at, about }| Item {
        id: DeferredId(u64::try_from(id.0).unwrap_or_default()),
        from: about.from,
        subject: about.subject,
        date: about.date,
        size: about.size,
        content_types: about.content_types,
        expires: expires_at,
        remind: about.remind_at,
    });
    List { items: items.collect(), total: u32::try_from(page.total).unwrap_or(u32::MAX) }
}
