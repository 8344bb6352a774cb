//! Stories of people with browsers: the real client engine against the real node and its store.

use std::time::Duration;

use wasm_core::client::view::Tick;
use wasm_core::cpm::address::Address;
use wasm_core::wire::sip::Method;

use crate::phone::Manner;
use crate::world::{Device, World};

const SECOND: Duration = Duration::from_secs(1);

/// Two people, each with a browser that is online.
fn two() -> (World, (Address, Device), (Address, Device)) {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.browser("a", &alice), w.browser("b", &bob));
    w.advance(SECOND * 2);
    (w, (alice, a), (bob, b))
}

fn ticks(w: &World, device: Device, with: &Address) -> Vec<Option<Tick>> {
    w.look(device).thread(with).into_iter().map(|(_, tick)| tick).collect()
}

/// R039, R047, R051, R054, R059: a message goes over, and its ticks come back.
#[test]
fn a_message_and_its_ticks() {
    let (mut w, (alice, a), (bob, b)) = two();
    w.page(a, |browser, now| browser.send(now, &bob, "hello bob"));
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Sending)]);
    w.advance(SECOND * 2);
    assert_eq!(w.look(b).texts(&alice), ["hello bob"]);
    assert_eq!(w.look(b).unread(), 1);
    assert_eq!(w.look(b).alerts.len(), 1);
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Delivered)]);
    w.page(b, |browser, now| browser.read(now, &alice));
    w.advance(SECOND * 2);
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Read)]);
    assert_eq!(w.look(b).unread(), 0);
    w.page(b, |browser, now| browser.send(now, &alice, "hello alice"));
    w.advance(SECOND * 2);
    assert_eq!(w.look(a).texts(&bob), ["hello bob", "hello alice"]);
    assert_eq!(w.look(b).texts(&alice), ["hello bob", "hello alice"]);
}

/// R050: somebody who comes back after hours finds what was sent meanwhile, once.
#[test]
fn somebody_comes_back() {
    let (mut w, (alice, a), (bob, b)) = two();
    w.unplug(b);
    w.disconnect(b);
    for text in ["one", "two", "three"] {
        w.page(a, |browser, now| browser.send(now, &bob, text));
        w.advance(SECOND);
    }
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Sent); 3]);
    w.advance(SECOND * 3600 * 3);
    w.plug(b);
    w.advance(SECOND * 120);
    assert_eq!(w.look(b).texts(&alice), ["one", "two", "three"]);
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Delivered); 3]);
    assert_eq!(w.waiting(&bob), 0);
}

/// R296, R297, R298: two devices of one user show the same.
#[test]
fn two_devices_of_one_user() {
    let (mut w, (alice, a), (bob, b)) = two();
    let a2 = w.browser("a2", &alice);
    w.advance(SECOND * 2);
    w.page(a, |browser, now| browser.send(now, &bob, "from my desk"));
    w.advance(SECOND * 2);
    assert_eq!(w.look(a2).texts(&bob), ["from my desk"]);
    w.page(b, |browser, now| {
        browser.read(now, &alice);
        browser.send(now, &alice, "to wherever you are");
    });
    w.advance(SECOND * 2);
    for device in [a, a2] {
        assert_eq!(w.look(device).texts(&bob), ["from my desk", "to wherever you are"]);
        assert_eq!(ticks(&w, device, &bob)[0], Some(Tick::Read));
    }
    w.page(a2, |browser, now| browser.read(now, &bob));
    w.advance(SECOND * 2);
    assert_eq!((w.look(a).unread(), w.look(a2).unread()), (0, 0));
    assert_eq!(ticks(&w, b, &alice).last(), Some(&Some(Tick::Read)));
}

/// A page that is loaded anew in the middle of sending sends what it had, once.
#[test]
fn a_reload_loses_nothing() {
    let (mut w, (alice, a), (bob, b)) = two();
    for delay in [1, 12, 15, 25, 35, 50] {
        w.page(a, |browser, now| browser.send(now, &bob, &format!("after {delay} ms")));
        w.advance(Duration::from_millis(delay));
        w.reload(a);
        w.advance(SECOND * 5);
    }
    let texts: Vec<String> = [1, 12, 15, 25, 35, 50].iter().map(|delay| format!("after {delay} ms")).collect();
    assert_eq!(w.look(b).texts(&alice), texts);
    assert_eq!(w.look(a).texts(&bob), texts);
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Delivered); 6]);
    assert_eq!(w.history(&bob, &alice).len(), 6);
}

/// R346: two hundred breaks of the network, at moments that fall everywhere in the exchange: nothing lost, nothing doubled, in order.
#[test]
fn two_hundred_breaks() {
    let (mut w, (alice, a), (bob, b)) = two();
    let mut sent = Vec::new();
    for nth in 0..200u64 {
        let text = format!("message {nth}");
        w.page(a, |browser, now| browser.send(now, &bob, &text));
        sent.push(text);
        w.advance(Duration::from_millis(nth * 7 % 90));
        let broken = if nth % 3 == 0 { b } else { a };
        w.disconnect(broken);
        w.advance(SECOND * 3);
    }
    w.advance(SECOND * 120);
    assert_eq!(w.look(b).texts(&alice), sent);
    assert_eq!(w.look(a).texts(&bob), sent);
    assert_eq!(w.history(&bob, &alice).len(), 200);
    assert_eq!(w.history(&alice, &bob).len(), 200);
    assert_eq!(w.waiting(&bob), 0);
    assert!(ticks(&w, a, &bob).iter().all(|tick| *tick == Some(Tick::Delivered)));
}

/// The node is killed and started again twenty times under load: what was acknowledged is there, once.
#[test]
fn twenty_restarts() {
    let (mut w, (alice, a), (bob, b)) = two();
    let mut sent = Vec::new();
    for nth in 0..20u64 {
        for part in 0..3 {
            let text = format!("message {nth}.{part}");
            w.page(a, |browser, now| browser.send(now, &bob, &text));
            sent.push(text);
        }
        w.advance(Duration::from_millis(nth * 5 % 80));
        w.restart(0);
        w.advance(SECOND * 5);
    }
    w.advance(SECOND * 200);
    assert_eq!(w.look(b).texts(&alice), sent);
    assert_eq!(w.history(&bob, &alice).len(), sent.len());
    assert_eq!(w.history(&alice, &bob).len(), sent.len());
    assert_eq!(w.waiting(&bob), 0);
}

/// A browser and an ordinary phone.
#[test]
fn a_browser_and_a_phone() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.browser("a", &alice), w.phone("b", &bob));
    w.advance(SECOND * 2);
    w.change(b, |phone| phone.manner = Manner::Plain);
    w.online(&[b]);
    w.page(a, |browser, now| browser.send(now, &bob, "to your phone"));
    w.advance(SECOND * 2);
    assert_eq!(w.see(b).texts(), ["to your phone"]);
    assert_eq!(ticks(&w, a, &bob), [Some(Tick::Delivered)]);
    w.act(b, |phone, now| phone.say(now, &alice, "from my phone"));
    w.advance(SECOND * 2);
    assert_eq!(w.look(a).texts(&bob), ["to your phone", "from my phone"]);
    assert_eq!(w.see(b).outcomes(&Method::Message), [200]);
}

/// What cannot be delivered says why.
#[test]
fn a_message_to_nobody_fails_with_a_reason() {
    let (mut w, (_, a), _) = two();
    let nobody = Address::parse("sip:nobody@tandem.test").unwrap();
    w.page(a, |browser, now| browser.send(now, &nobody, "anybody?"));
    w.advance(SECOND * 5);
    assert_eq!(ticks(&w, a, &nobody), [Some(Tick::Failed)]);
}
