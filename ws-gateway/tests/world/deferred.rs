//! Stories of recipients who are away: what waits for them, and what becomes of it (R050).

use std::time::Duration;

use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Report};
use wasm_core::wire::sip::Method;

use crate::ladder::Flow;
use crate::phone::Manner;
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);

/// R050, R225: a message to somebody who is away is accepted, kept, and pushed when a device registers.
#[test]
fn what_waited_is_pushed_on_registration() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    let texts = ["first", "second", "third"];
    for text in texts {
        w.act(a, |phone, now| phone.write(now, &bob, text));
        w.settle();
    }
    assert_eq!(w.see(a).outcomes(&Method::Message), [202; 3]);
    assert_eq!(w.waiting(&bob), 3);
    w.advance(Duration::from_secs(120));
    w.forget();
    w.change(b, |phone| phone.reports = false);
    w.act(b, |phone, now| phone.register(now, 600));
    w.settle();
    w.ladder(&Flow {
        file: "r050_pushed_on_registration",
        title: "A message that waited is pushed when a device of its recipient registers (R050), one after the other",
        parties: &[("b", "Client B"), ("Core A", "Core B"), ("PF A", "PF B")],
        steps: &[
            (1, "Client B -> Core B: REGISTER"),
            (2, "Core B -> Client B: 200"),
            (3, "Core B -> PF B: REGISTER (third party)"),
            (4, "Core B -> PF B: NOTIFY (Event: reg)"),
            (5, "PF B -> Core B: MESSAGE"),
            (6, "Core B -> Client B: MESSAGE"),
            (7, "Client B -> Core B: 200"),
            (8, "PF B -> Core B: MESSAGE"),
            (9, "Core B -> Client B: MESSAGE"),
            (10, "Client B -> Core B: 200"),
            (11, "PF B -> Core B: MESSAGE"),
            (12, "Core B -> Client B: MESSAGE"),
        ],
        any_order: true,
    });
    assert_eq!(w.see(b).texts(), texts);
    assert_eq!(w.waiting(&bob), 0);
}

/// R050: what waits outlives the node.
#[test]
fn what_waits_outlives_a_restart() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    w.act(a, |phone, now| phone.write(now, &bob, "kept"));
    w.settle();
    w.restart(0);
    w.connect(b);
    w.online(&[b]);
    assert_eq!(w.see(b).texts(), ["kept"]);
    assert_eq!(w.waiting(&bob), 0);
}

/// A node that dies between the device's 2xx and the end of the queue entry sends again; the device knows the message.
#[test]
fn a_device_may_get_it_twice_and_shows_it_once() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    w.act(a, |phone, now| phone.write(now, &bob, "once"));
    w.settle();
    w.act(b, |phone, now| phone.register(now, 600));
    // The message is on the wire, and the disk does not take the end of its entry.
    w.advance(Duration::from_millis(45));
    w.disk(0, false);
    w.settle();
    assert_eq!(w.see(b).texts(), ["once"]);
    assert_eq!(w.waiting(&bob), 1);
    w.disk(0, true);
    w.restart(0);
    w.connect(b);
    w.online(&[b]);
    assert_eq!(w.see(b).texts(), ["once"]);
    assert_eq!(w.waiting(&bob), 0);
}

/// A device that does not answer within three seconds: the message is accepted and stays pending.
#[test]
fn a_silent_device_defers() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.phone("b", &bob));
    w.online(&[a, b]);
    w.unplug(b);
    w.act(a, |phone, now| phone.write(now, &bob, "are you there?"));
    w.advance(Duration::from_millis(2900));
    assert_eq!(w.see(a).outcomes(&Method::Message), [] as [u16; 0]);
    w.advance(Duration::from_millis(200));
    assert_eq!(w.see(a).outcomes(&Method::Message), [202]);
    // The phone was out of reach for a minute; the node tries again by itself.
    w.advance(Duration::from_secs(60));
    w.plug(b);
    w.advance(Duration::from_secs(60));
    assert_eq!(w.see(b).texts(), ["are you there?"]);
    assert_eq!(w.waiting(&bob), 0);
}

/// A device that refuses a message for good does not stand in the way of the next, nor of another device.
#[test]
fn a_refusal_blocks_nothing() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.device("b1", &bob), w.device("b2", &bob));
    w.online(&[a]);
    for text in ["one", "two"] {
        w.act(a, |phone, now| phone.write(now, &bob, text));
        w.settle();
    }
    w.change(b1, |phone| phone.manner = Manner::Refuses(488));
    w.online(&[b1]);
    w.change(b1, |phone| phone.manner = Manner::Cpm);
    w.act(a, |phone, now| phone.write(now, &bob, "three"));
    w.settle();
    assert_eq!(w.see(b1).texts(), ["three"]);
    assert_eq!(w.waiting(&bob), 2);
    w.online(&[b2]);
    assert_eq!(w.see(b2).texts(), ["one", "two"]);
    assert_eq!(w.waiting(&bob), 0);
}

/// R055, R206, R207: what nobody fetched in time goes, and its sender hears of it.
#[test]
fn what_expires_is_reported() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let carol = w.user("sip:carol@beta.test", &[]);
    let (a, c) = (w.device("a", &alice), w.device("c", &carol));
    w.online(&[a, c]);
    for device in [a, c] {
        w.act(device, |phone, now| {
            let mut envelope = phone.compose(now, &bob, "for an hour");
            envelope.expires = Some(3600);
            phone.post(now, &envelope);
        });
        w.settle();
        assert_eq!(w.see(device).outcomes(&Method::Message), [202]);
    }
    for _ in 0..7 {
        w.advance(HOUR / 7);
        for device in [a, c] {
            w.act(device, |phone, now| phone.register(now, 600));
        }
    }
    w.advance(Duration::from_secs(40));
    assert_eq!(w.waiting(&bob), 0);
    for (device, address) in [(a, &alice), (c, &carol)] {
        let reports: Vec<Report> = w.see(device).reported().into_iter().map(|(_, report)| report).collect();
        assert_eq!(reports, [Report::Delivery(Delivery::Failed)], "{address}");
        assert_eq!(w.history(address, &bob)[0].receipt, Receipt::Failed);
    }
}

/// R055, R178: what the service itself has to report to another network waits until that can be reached, also over a restart.
#[test]
fn a_report_of_the_service_waits_for_the_peer() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, carol) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:carol@alpha.test", &[]));
    let (bob, dave) = (w.user("sip:bob@beta.test", &[]), w.user("sip:dave@beta.test", &[]));
    let (a, c, b) = (w.device("a", &alice), w.device("c", &carol), w.phone("b", &bob));
    w.online(&[a, c]);
    w.act(a, |phone, now| phone.write(now, &bob, "to a plain phone"));
    w.act(c, |phone, now| {
        let mut envelope = phone.compose(now, &dave, "to nobody there");
        envelope.expires = Some(60);
        phone.post(now, &envelope);
    });
    w.settle();
    w.alone(0, true);
    // The phone takes its message and cannot report; the other message expires.
    w.change(b, |phone| phone.manner = Manner::Plain);
    w.online(&[b]);
    w.advance(Duration::from_secs(180));
    assert_eq!(w.see(b).texts(), ["to a plain phone"]);
    assert_eq!(w.waiting_for_peers(1), 2);
    assert!(w.see(a).reported().is_empty() && w.see(c).reported().is_empty());
    w.restart(1);
    w.advance(Duration::from_secs(40));
    w.alone(0, false);
    w.advance(Duration::from_secs(100));
    assert_eq!(w.waiting_for_peers(1), 0);
    let reports = |device| w.see(device).reported().into_iter().map(|(_, report)| report).collect::<Vec<Report>>();
    assert_eq!(reports(a), [Report::Delivery(Delivery::Delivered)]);
    assert_eq!(reports(c), [Report::Delivery(Delivery::Failed)]);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Delivered);
    assert_eq!(w.history(&carol, &dave)[0].receipt, Receipt::Failed);
}

/// A report for a network that never comes back, or that will not have it, is given up.
#[test]
fn a_report_for_a_lost_peer_is_given_up() {
    let mut w = World::with(&["alpha.test", "beta.test"], |config| config.policy.message_expiry = HOUR);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.phone("b", &bob));
    w.online(&[a]);
    w.act(a, |phone, now| phone.write(now, &bob, "hello"));
    w.settle();
    w.alone(0, true);
    w.change(b, |phone| phone.manner = Manner::Plain);
    w.online(&[b]);
    w.advance(Duration::from_secs(120));
    assert_eq!(w.waiting_for_peers(1), 1);
    w.advance(HOUR);
    assert_eq!(w.waiting_for_peers(1), 0);
    assert!(w.see(a).reported().is_empty());
}

/// A hundred messages wait; the device gets them in order, page after page, while more arrive.
#[test]
fn a_long_queue_is_pushed_in_order() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    let texts: Vec<String> = (0..150).map(|nth| format!("line {nth}")).collect();
    for text in &texts[..140] {
        w.act(a, |phone, now| phone.write(now, &bob, text));
        w.settle();
    }
    w.act(b, |phone, now| phone.register(now, 600));
    w.advance(Duration::from_millis(200));
    for text in &texts[140..] {
        w.act(a, |phone, now| phone.write(now, &bob, text));
    }
    w.settle();
    assert_eq!(w.see(b).texts(), texts);
    assert_eq!(w.waiting(&bob), 0);
}
