//! Stories of devices that are told out of band of what waits for them (R218, R224, R275).

use std::time::Duration;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::{Hours, Preferences};
use ws_gateway::node::Outlet;

use crate::ladder::Flow;
use crate::phone::Manner;
use crate::world::{Device, World};

const SECOND: Duration = Duration::from_secs(1);

/// The outlet of a device on a WebSocket.
fn browser(w: &World, device: Device) -> Outlet {
    Outlet::Browser(InstanceId::parse(&Text::from(w.see(device).instance.as_str())).unwrap())
}

/// Alice is online; Bob has two browsers that push messages reach, and phones.
fn stage() -> (World, (Address, Device), Address, [Device; 2], [Outlet; 2]) {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.device("b1", &bob), w.device("b2", &bob));
    let outlets = [browser(&w, b1), browser(&w, b2)];
    w.outlets(&bob, &outlets);
    w.online(&[a]);
    (w, (alice, a), bob, [b1, b2], outlets)
}

fn write(w: &mut World, from: Device, to: &Address, text: &str) {
    w.act(from, |phone, now| phone.write(now, to, text));
    w.settle();
}

/// R218, R219, R224, R275: each device that is not registered is told who wrote what and when, and for how long it waits; the message is
/// pushed when one registers, and nobody is told again.
#[test]
fn every_device_that_is_away_is_told_once() {
    let (mut w, (alice, a), bob, [b1, _], outlets) = stage();
    write(&mut w, a, &bob, "hello\nthere");
    w.ladder(&Flow {
        file: "r224_notice_out_of_band",
        title: "Devices that are not registered are told of a message out of band (R224, R275), which is pushed when one registers",
        parties: &[("a", "Client A"), ("b1", "Client B"), ("Core A", "Core B"), ("PF A", "PF B"), ("Push", "Push")],
        steps: &[
            (1, "Client A -> Core B: MESSAGE"),
            (2, "PF B -> Push: notice"),
            (3, "PF B -> Push: notice"),
            (4, "Core B -> Client A: 202"),
        ],
        any_order: true,
    });
    let (user, _, notice) = w.notices[0].clone();
    assert_eq!(user, w.user_id(&bob));
    assert_eq!((&notice.from, &notice.to, notice.name.as_deref(), notice.size), (&alice, &bob, Some("alice"), 11));
    assert!(notice.date <= w.now && notice.expires_at > w.now);
    assert_eq!(w.told(), outlets.clone().map(|outlet| (outlet, "hello".to_owned())));
    w.online(&[b1]);
    w.advance(SECOND * 60);
    assert_eq!(w.see(b1).texts(), ["hello\nthere"]);
    assert_eq!(w.told(), []);
    // The one that is there hears it on its own connection.
    write(&mut w, a, &bob, "again");
    assert_eq!(w.told(), [(outlets[1].clone(), "again".to_owned())]);
}

/// A restart, and a device that comes and goes without taking what waits, are no news.
#[test]
fn nobody_is_told_twice() {
    let (mut w, (_, a), bob, [b1, _], outlets) = stage();
    write(&mut w, a, &bob, "once");
    assert_eq!(w.told().len(), 2);
    w.restart(0);
    w.connect(b1);
    w.change(b1, |phone| phone.manner = Manner::Refuses(503));
    w.online(&[b1]);
    w.advance(SECOND * 5);
    w.disconnect(b1);
    w.advance(SECOND * 300);
    assert_eq!(w.waiting(&bob), 1);
    assert_eq!(w.told(), []);
    w.connect(a);
    w.online(&[a]);
    write(&mut w, a, &bob, "twice");
    assert_eq!(w.told(), outlets.map(|outlet| (outlet, "twice".to_owned())));
}

/// A device whose connection breaks before it has answered is told; one that is silent is told after three seconds, and not again when
/// it is given up.
#[test]
fn a_device_that_goes_silent_is_told() {
    let (mut w, (_, a), bob, [b1, b2], [first, second]) = stage();
    w.online(&[b1, b2]);
    w.unplug(b1);
    w.unplug(b2);
    w.act(a, |phone, now| phone.write(now, &bob, "quick"));
    w.advance(Duration::from_millis(100));
    assert_eq!(w.told(), []);
    w.disconnect(b1);
    assert_eq!(w.told(), [(first, "quick".to_owned())]);
    w.advance(SECOND * 4);
    assert_eq!(w.told(), [(second, "quick".to_owned())]);
    w.advance(SECOND * 120);
    w.disconnect(b2);
    assert_eq!(w.told(), []);
}

/// Phones have one outlet together, which is silent while one of them answers; what a person writes to themself is no news.
#[test]
fn phones_are_told_when_none_is_there() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.phone("b1", &bob), w.phone("b2", &bob));
    w.outlets(&bob, &[Outlet::Phones]);
    w.outlets(&alice, &[Outlet::Phones]);
    w.online(&[a]);
    write(&mut w, a, &bob, "one");
    assert_eq!(w.told(), [(Outlet::Phones, "one".to_owned())]);
    w.online(&[b1, b2]);
    write(&mut w, a, &bob, "two");
    write(&mut w, a, &alice, "to myself");
    assert_eq!(w.told(), []);
    // A typing notification, and what the sender is told of delivery, are nothing that waits.
    w.disconnect(a);
    w.advance(SECOND);
    write(&mut w, b1, &alice, "three");
    assert_eq!(w.told(), [(Outlet::Phones, "three".to_owned())]);
}

/// R218: a device that is to get no messages is told of none, and in quiet hours nobody is.
#[test]
fn nobody_is_told_who_does_not_want_to_be() {
    let (mut w, (_, a), bob, _, [first, second]) = stage();
    let Outlet::Browser(device) = &first else { panic!("a browser") };
    let mut preferences = Preferences::default();
    preferences.profiles[0].device_mut(device).messages = false;
    w.prefers(&bob, preferences.clone());
    write(&mut w, a, &bob, "by day");
    assert_eq!(w.told(), [(second, "by day".to_owned())]);
    preferences.profiles[0].quiet.push(Hours { from: 0, to: 0, ..Hours::default() });
    w.prefers(&bob, preferences);
    write(&mut w, a, &bob, "in quiet hours");
    assert_eq!((w.told(), w.waiting(&bob)), (Vec::new(), 2));
}
