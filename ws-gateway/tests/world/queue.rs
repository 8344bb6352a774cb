//! Stories of messages that wait for somebody's decision, or for a session in which they are pushed (R215-R228).

use std::time::Duration;

use wasm_core::client::Command;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::deferred::{Action, Actions, DeferredId, Item};
use wasm_core::cpm::preferences::{DeferredDelivery, Expired, Preferences, Profile};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::sip::Method;

use crate::ladder::Flow;
use crate::world::{Device, World};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const GET: Action = Action::Retrieve { part: None };

/// Somebody who wants to be asked.
fn asks(profile: Profile) -> Preferences {
    Preferences { profiles: vec![Profile { deferred_delivery: DeferredDelivery::Notify, ..profile }], ..Preferences::default() }
}

/// What a browser shows of the list.
fn listed(w: &World, device: Device) -> Vec<Item> {
    w.look(device).engine.view().deferred().list.items.clone()
}

fn senders(w: &World, device: Device) -> Vec<String> {
    listed(w, device).iter().map(|item| item.from.user().to_owned()).collect()
}

fn decide(w: &mut World, device: Device, decisions: &[(DeferredId, Action)]) {
    let actions = Actions(decisions.to_vec());
    w.page(device, |browser, now| browser.command(now, Command::Deferred(actions)));
}

struct Cast {
    w: World,
    alice: Address,
    bob: Address,
    a: Device,
}

/// Alice is there, and Bob, who wants to be asked, is not.
fn cast(profile: Profile) -> Cast {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    w.prefers(&bob, asks(profile));
    let a = w.device("a", &alice);
    w.online(&[a]);
    Cast { w, alice, bob, a }
}

impl Cast {
    fn writes(&mut self, texts: &[&str]) {
        for text in texts {
            self.w.act(self.a, |phone, now| phone.write(now, &self.bob, text));
            self.w.settle();
        }
    }

    fn online(&mut self, name: &'static str) -> Device {
        let device = self.w.browser(name, &self.bob);
        self.w.advance(SECOND * 2);
        device
    }

    fn receipts(&self) -> Vec<Receipt> {
        self.w.history(&self.alice, &self.bob).iter().map(|object| object.receipt).collect()
    }
}

/// R185, R216, R226-R228: a device that registers gets what waited in one session, which is then torn down, and what comes later as ever.
#[test]
fn what_waited_is_pushed_in_a_session() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    w.online(&[a]);
    for text in ["first", "second"] {
        w.act(a, |phone, now| phone.write(now, &bob, text));
        w.settle();
    }
    assert_eq!(w.see(a).outcomes(&Method::Message), [202; 2]);
    w.forget();
    let b = w.browser("b", &bob);
    w.advance(SECOND * 3);
    w.skip("REGISTER (third party)", "INVITE");
    w.ladder(&Flow {
        file: "r185_pushing",
        title: "Deferred messages are pushed (DM C.3.3.1, Figure 30)",
        parties: &[("b", "CPM Client A"), ("Core A", "SIP/IP Core A"), ("PF A", "PF A")],
        steps: &[
            (1, "CPM Client A -> SIP/IP Core A: REGISTER"),
            (2, "PF A -> SIP/IP Core A: INVITE"),
            (3, "SIP/IP Core A -> CPM Client A: INVITE"),
            (4, "CPM Client A -> SIP/IP Core A: 200"),
            (5, "SIP/IP Core A -> PF A: 200"),
            (6, "PF A -> SIP/IP Core A: BYE"),
        ],
        any_order: false,
    });
    assert_eq!(w.look(b).texts(&alice), ["first", "second"]);
    assert_eq!(w.waiting(&bob), 0);
    assert!(!w.arrows().iter().any(|arrow| arrow.to == "b" && arrow.what == "MESSAGE"), "all in the session");
    let receipts: Vec<Receipt> = w.history(&alice, &bob).iter().map(|object| object.receipt).collect();
    assert_eq!(receipts, [Receipt::Delivered; 2]);
    w.act(a, |phone, now| phone.write(now, &bob, "third"));
    w.advance(SECOND);
    assert_eq!(w.look(b).texts(&alice), ["first", "second", "third"]);
    assert_eq!(w.see(a).outcomes(&Method::Message).last(), Some(&200));
}

/// R049, R050, R186, R190, R218-R223: who wants to be asked is, chooses, and gets what they chose.
#[test]
fn a_list_is_told_and_some_are_fetched() {
    let mut c = cast(Profile::default());
    c.writes(&["one", "two", "three"]);
    assert_eq!(c.w.see(c.a).outcomes(&Method::Message), [202; 3]);
    assert!(c.w.history(&c.bob, &c.alice).is_empty(), "not in the box before they have decided");
    c.w.forget();
    let b = c.online("b");
    let items = listed(&c.w, b);
    assert_eq!(items.len(), 3);
    assert_eq!((items[0].size, items[0].content_types[0].as_str()), (3, "text/plain"));
    assert!(c.w.look(b).texts(&c.alice).is_empty());
    decide(&mut c.w, b, &[(items[0].id, GET), (items[2].id, GET)]);
    assert_eq!(c.w.look(b).engine.view().deferred().action(items[0].id), Some(GET));
    c.w.advance(SECOND * 3);
    c.w.skip("200", "NOTIFY (Event: deferred-messages)");
    c.w.skip("MESSAGE (probe)", "INVITE");
    c.w.ladder(&Flow {
        file: "r186_pulling",
        title: "Deferred messages are pulled (DM C.3.3.2, Figure 31)",
        parties: &[("b", "CPM Client A"), ("Core A", "SIP/IP Core A"), ("PF A", "PF A")],
        steps: &[
            (1, "CPM Client A -> SIP/IP Core A: REGISTER"),
            (2, "PF A -> SIP/IP Core A: NOTIFY (Event: deferred-messages)"),
            (3, "SIP/IP Core A -> CPM Client A: NOTIFY (Event: deferred-messages)"),
            (4, "CPM Client A -> SIP/IP Core A: 200"),
            (5, "SIP/IP Core A -> PF A: 200"),
            (6, "CPM Client A -> SIP/IP Core A: INVITE"),
            (7, "SIP/IP Core A -> PF A: INVITE"),
            (8, "PF A -> SIP/IP Core A: 200"),
            (9, "SIP/IP Core A -> CPM Client A: 200"),
            (10, "CPM Client A -> SIP/IP Core A: BYE"),
        ],
        any_order: false,
    });
    assert_eq!(c.w.look(b).texts(&c.alice), ["one", "three"]);
    assert_eq!(listed(&c.w, b).iter().map(|item| item.id).collect::<Vec<_>>(), [items[1].id]);
    assert_eq!(c.w.waiting(&c.bob), 0);
    assert_eq!(c.receipts(), [Receipt::Delivered, Receipt::Sent, Receipt::Delivered]);
}

/// R179, R206, R208: what is deferred and discarded when its time is over fails for its sender, step by step as in Figure 22.
#[test]
fn what_is_not_delivered_in_time_is_reported_as_failed() {
    let mut w = World::new(&["a.test", "b.test"]);
    let (alice, bob) = (w.user("sip:alice@a.test", &[]), w.user("sip:bob@b.test", &[]));
    w.prefers(&bob, asks(Profile { when_expired: Expired::Discard, ..Profile::default() }));
    let a = w.device("a", &alice);
    w.online(&[a]);
    let mut envelope = w.act(a, |phone, now| phone.compose(now, &bob, "in time?"));
    envelope.expires = Some(120);
    w.act(a, |phone, now| phone.post(now, &envelope));
    w.advance(SECOND * 200);
    w.ladder(&Flow {
        file: "r179_deferred_and_discarded",
        title: "A message is deferred and not delivered in time (DM C.3.1.1.3, Figure 22)",
        parties: &[("Core A", "CPM System A"), ("Core B", "SIP/IP Core B"), ("PF B", "PF B")],
        // Steps 3 and 6, to defer and to discard, are the Participating Function's own.
        steps: &[
            (1, "CPM System A -> SIP/IP Core B: MESSAGE"),
            (2, "SIP/IP Core B -> PF B: MESSAGE"),
            (4, "PF B -> SIP/IP Core B: 202"),
            (5, "SIP/IP Core B -> CPM System A: 202"),
            (7, "PF B -> SIP/IP Core B: MESSAGE (IMDN failed)"),
            (8, "SIP/IP Core B -> CPM System A: MESSAGE (IMDN failed)"),
            (9, "CPM System A -> SIP/IP Core B: 200"),
            (10, "SIP/IP Core B -> PF B: 200"),
        ],
        any_order: false,
    });
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Failed);
    assert!(w.history(&bob, &alice).is_empty());
}

/// R179, R220: what its recipient discards fails for its sender as well.
#[test]
fn what_is_discarded_is_reported_as_failed() {
    let mut c = cast(Profile::default());
    c.writes(&["no?"]);
    let b = c.online("b");
    let id = listed(&c.w, b)[0].id;
    decide(&mut c.w, b, &[(id, Action::Discard)]);
    c.w.advance(SECOND * 3);
    assert_eq!(c.receipts(), [Receipt::Failed]);
    assert!(c.w.history(&c.bob, &c.alice).is_empty() && listed(&c.w, b).is_empty());
}

/// R220, R223, R341: the other choices, and what all of a person's devices see of them.
#[test]
fn three_devices_see_the_same_list() {
    let mut c = cast(Profile::default());
    c.writes(&["store me", "keep me", "get me", "take me first"]);
    let devices = [c.online("b1"), c.online("b2"), c.online("b3")];
    for device in devices {
        assert_eq!(senders(&c.w, device), ["alice"; 4]);
    }
    let ids: Vec<DeferredId> = listed(&c.w, devices[0]).iter().map(|item| item.id).collect();
    // Two of them want the same, one wants it gone: whoever is first.
    decide(&mut c.w, devices[0], &[(ids[0], Action::Store), (ids[1], Action::Keep { remind: None }), (ids[2], GET), (ids[3], GET)]);
    decide(&mut c.w, devices[1], &[(ids[3], Action::Discard), (ids[2], GET)]);
    c.w.advance(SECOND * 5);
    for device in devices {
        assert_eq!(listed(&c.w, device).iter().map(|item| item.id).collect::<Vec<_>>(), [ids[1]]);
        assert!(c.w.look(device).engine.view().deferred().doing.is_empty());
    }
    let mut kept: Vec<String> =
        c.w.history(&c.bob, &c.alice).iter().filter_map(|object| object.text.clone()).map(|text| text.to_string()).collect();
    kept.sort();
    assert_eq!(kept, ["get me", "store me", "take me first"]);
    for device in devices {
        assert_eq!(c.w.look(device).texts(&c.alice).len(), 3, "the others have it from the history");
    }
    assert_eq!(c.w.waiting(&c.bob), 0);
    assert_eq!(c.receipts(), [Receipt::Sent, Receipt::Sent, Receipt::Delivered, Receipt::Delivered]);
}

/// R208, R217, R239: three ways for what has waited too long.
#[test]
fn what_expires_goes_where_its_recipient_wants_it() {
    for (when_expired, boxed, listed_after, receipt) in
        [(Expired::Discard, 0, 0, Receipt::Failed), (Expired::Store, 1, 0, Receipt::Failed), (Expired::Extend, 0, 1, Receipt::Sent)]
    {
        let mut c = cast(Profile { when_expired, ..Profile::default() });
        let mut envelope = c.w.act(c.a, |phone, now| phone.compose(now, &c.bob, "soon too late"));
        envelope.expires = Some(3600);
        c.w.act(c.a, |phone, now| phone.post(now, &envelope));
        c.w.advance(HOUR + Duration::from_secs(120));
        assert_eq!(c.w.history(&c.bob, &c.alice).len(), boxed, "{when_expired:?}");
        assert_eq!(c.receipts(), [receipt], "{when_expired:?}");
        let b = c.online("b");
        assert_eq!(listed(&c.w, b).len(), listed_after, "{when_expired:?}");
        if when_expired == Expired::Extend {
            // Three days more, and again, until the provider has enough.
            c.w.advance(HOUR * 24 * 31);
            assert!(listed(&c.w, b).is_empty());
            assert_eq!((c.w.history(&c.bob, &c.alice).len(), c.receipts()), (1, vec![Receipt::Failed]));
        }
    }
}

/// R191: who wants to be reminded is, and the list says when.
#[test]
fn a_reminder_comes_when_it_was_asked_for() {
    let mut c = cast(Profile::default());
    c.writes(&["later"]);
    let b = c.online("b");
    let id = listed(&c.w, b)[0].id;
    let at = c.w.now + HOUR;
    decide(&mut c.w, b, &[(id, Action::Keep { remind: Some(at) })]);
    c.w.advance(SECOND * 5);
    assert_eq!(listed(&c.w, b)[0].remind, Some(at));
    assert!(c.w.look(b).alerts.is_empty() && c.w.look(b).engine.view().deferred().doing.is_empty());
    c.w.advance(HOUR + Duration::from_secs(60));
    assert_eq!(c.w.look(b).alerts.len(), 1);
    assert_eq!(listed(&c.w, b)[0].remind, None);
}

/// R228: a device that vanishes midway has what it has, another gets the rest, and nobody anything twice.
#[test]
fn a_device_that_vanishes_midway_loses_nothing() {
    let mut c = cast(Profile::default());
    let texts: Vec<String> = (0..40).map(|n| format!("text {n}")).collect();
    c.writes(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let b1 = c.online("b1");
    let all: Vec<_> = listed(&c.w, b1).iter().map(|item| (item.id, GET)).collect();
    assert_eq!(all.len(), 40);
    decide(&mut c.w, b1, &all);
    c.w.advance(Duration::from_millis(60));
    c.w.disconnect(b1);
    c.w.unplug(b1);
    c.w.advance(SECOND);
    let had = c.w.look(b1).texts(&c.alice).len();
    assert!(had < 40, "{had}");
    let b2 = c.online("b2");
    let rest: Vec<_> = listed(&c.w, b2).iter().map(|item| (item.id, GET)).collect();
    decide(&mut c.w, b2, &rest);
    c.w.advance(SECOND * 5);
    c.w.plug(b1);
    c.w.advance(Duration::from_secs(120));
    for device in [b1, b2] {
        assert_eq!(c.w.look(device).texts(&c.alice), texts);
    }
    assert_eq!((c.w.waiting(&c.bob), listed(&c.w, b2).len()), (0, 0));
}

/// The queue, and what was decided, outlive the node and the page.
#[test]
fn decisions_outlive_restarts() {
    let mut c = cast(Profile::default());
    c.writes(&["one", "two"]);
    let b = c.online("b");
    let ids: Vec<DeferredId> = listed(&c.w, b).iter().map(|item| item.id).collect();
    c.w.unplug(b);
    decide(&mut c.w, b, &[(ids[0], GET)]);
    c.w.restart(0);
    c.w.reload(b);
    assert_eq!(c.w.look(b).engine.view().deferred().action(ids[0]), Some(GET), "a reload shows it");
    c.w.plug(b);
    c.w.advance(Duration::from_secs(90));
    assert_eq!(c.w.look(b).texts(&c.alice), ["one"]);
    assert_eq!(listed(&c.w, b).iter().map(|item| item.id).collect::<Vec<_>>(), [ids[1]]);
}

/// A peer that sends again what is held does not make it two.
#[test]
fn a_second_try_of_a_peer_is_no_second_message() {
    let mut w = World::new(&["a.test", "b.test"]);
    let (alice, bob) = (w.user("sip:alice@a.test", &[]), w.user("sip:bob@b.test", &[]));
    w.prefers(&bob, asks(Profile::default()));
    let a = w.device("a", &alice);
    w.online(&[a]);
    let envelope = w.act(a, |phone, now| phone.compose(now, &bob, "once"));
    for _ in 0..2 {
        w.act(a, |phone, now| phone.post(now, &envelope));
        w.settle();
        w.restart(1);
    }
    let b = w.browser("b", &bob);
    w.advance(SECOND * 2);
    assert_eq!(listed(&w, b).len(), 1);
}

/// R193, R228: ten thousand messages that waited for one user arrive in their order and once, though the node dies on the way.
#[test]
fn ten_thousand_arrive_in_order_and_once() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    w.online(&[a]);
    w.change(a, |phone| phone.reports = false);
    let count = if std::env::var_os("TANDEM_LONG").is_some() { 10_000 } else { 1_500 };
    let texts: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    for some in texts.chunks(100) {
        for text in some {
            w.act(a, |phone, now| phone.write(now, &bob, text));
        }
        w.settle();
        w.forget();
    }
    assert_eq!(w.see(a).outcomes(&Method::Message), vec![202; texts.len()]);
    let b = w.browser("b", &bob);
    for _ in 0..3 {
        w.advance(SECOND * 5);
        let had = w.look(b).texts(&alice).len();
        assert!(had < texts.len(), "{had}");
        w.restart(0);
        w.forget();
    }
    w.connect(a);
    w.advance(HOUR / 2);
    assert_eq!(w.waiting(&bob), 0);
    let shown = w.look(b).texts(&alice);
    assert!(shown == texts, "{} of them", shown.len());
}
