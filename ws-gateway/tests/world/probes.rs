//! What a person is told about their connection, with every stage of it broken once: the real engine's probe through the real node.

use std::time::Duration;

use wasm_core::client::Command;
use wasm_core::client::view::{Flow, Link, Repair, Stage};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::preferences::{DeviceChoice, Party, Preferences};
use ws_gateway::node::{Input, Outlet};

use crate::world::{Device, World};

const SECOND: Duration = Duration::from_secs(1);

/// Somebody with a browser that has just been opened, and has a second one that is not looked at here.
fn one() -> (World, Address, Device) {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let a = w.browser("a", &alice);
    w.advance(SECOND * 3);
    (w, alice, a)
}

fn link(w: &World, device: Device) -> Link {
    w.look(device).engine.view().link().clone()
}

fn flow(w: &World, device: Device) -> Flow {
    match link(w, device) {
        Link::Online(flow) => flow,
        link => panic!("{link:?}"),
    }
}

fn probes(w: &World, from: &str) -> usize {
    w.arrows().iter().filter(|arrow| arrow.from == from && arrow.what == "MESSAGE (probe)").count()
}

fn repair(w: &mut World, device: Device) {
    w.page(device, |browser, now| browser.command(now, Command::Reconnect));
}

/// R345: after registering it is known within seconds that messages flow, and how fast; nothing is left of the probe.
#[test]
fn messages_flow() {
    let (mut w, alice, a) = one();
    let Flow::Proven(round) = flow(&w, a) else { panic!("{:?}", link(&w, a)) };
    assert_eq!((round.total, round.disk, round.confirmed), (24, 4, 44), "the wires take 10 ms and the disk 4");
    let b = w.browser("b", &alice);
    w.outlets(&alice, &[Outlet::Phones]);
    w.advance(SECOND * 3);
    assert!(matches!(flow(&w, b), Flow::Proven(_)));
    assert_eq!((probes(&w, "a"), probes(&w, "b")), (1, 1));
    assert_eq!(w.arrows().iter().filter(|arrow| arrow.to == "a" && arrow.what == "MESSAGE (probe)").count(), 1, "to this device alone");
    assert!(w.history(&alice, &alice).is_empty() && w.waiting(&alice) == 0 && w.notices.is_empty());
    assert_eq!((w.look(a).unread(), w.look(a).alerts.len(), w.look(a).engine.view().threads().len()), (0, 0, 0));
}

/// R345: it costs next to nothing while all is well, and nothing while nobody looks.
#[test]
fn it_is_rare() {
    let (mut w, _, a) = one();
    w.advance(SECOND * 3600 * 10);
    assert!((12..=25).contains(&probes(&w, "a")), "{}", probes(&w, "a"));
    w.page(a, |browser, now| browser.handle(now, wasm_core::client::Input::Visible(false)));
    w.forget();
    w.advance(SECOND * 3600 * 10);
    assert_eq!(probes(&w, "a"), 0);
    w.page(a, |browser, now| browser.handle(now, wasm_core::client::Input::Visible(true)));
    w.advance(SECOND);
    assert_eq!(probes(&w, "a"), 1);
}

/// R345: a disk that takes no more, or does not answer, is named within seconds of the first message that it fails; when it is well again,
/// so is the link, and what waited is sent.
#[test]
fn the_store_is_in_trouble() {
    for full in [true, false] {
        let (mut w, alice, a) = one();
        let bob = w.user("sip:bob@tandem.test", &[]);
        if full {
            w.full(0, true)
        } else {
            w.disk(0, false)
        }
        repair(&mut w, a);
        w.advance(SECOND * 4);
        assert_eq!(flow(&w, a), Flow::Stopped { at: Stage::Store, repair: Repair::Failed }, "full: {full}");
        w.page(a, |browser, now| browser.send(now, &bob, "is anybody there?"));
        w.advance(SECOND * 300);
        assert_eq!(flow(&w, a), Flow::Stopped { at: Stage::Store, repair: Repair::Possible });
        assert!(probes(&w, "a") < 20, "a server in trouble is not asked all the time: {}", probes(&w, "a"));
        if full {
            w.full(0, false)
        } else {
            w.disk(0, true)
        }
        repair(&mut w, a);
        w.advance(SECOND * 2);
        assert!(matches!(flow(&w, a), Flow::Proven(_)));
        w.advance(SECOND);
        // A disk that did not answer has not said no either: the message is still on its way there.
        assert_eq!(w.history(&alice, &bob).len(), usize::from(full));
    }
}

/// R345: a message without success makes the engine look by itself.
#[test]
fn a_failing_message_raises_suspicion() {
    let (mut w, _, a) = one();
    let bob = w.user("sip:bob@tandem.test", &[]);
    w.full(0, true);
    w.page(a, |browser, now| browser.send(now, &bob, "hello?"));
    w.advance(SECOND * 12);
    assert!(matches!(flow(&w, a), Flow::Stopped { at: Stage::Store, repair: Repair::Possible }));
}

/// R345: a server that is about to stop says so.
#[test]
fn the_server_is_stopping() {
    let (mut w, _, a) = one();
    w.inject(0, Input::Drain);
    repair(&mut w, a);
    w.advance(SECOND);
    assert_eq!(flow(&w, a), Flow::Stopped { at: Stage::Busy, repair: Repair::Failed });
}

/// R345: what is delivered but never confirmed, and what is confirmed but never delivered, are two things; for both a new socket is tried.
#[test]
fn one_direction_is_lost() {
    for (deaf, stage) in [(true, Stage::Answer), (false, Stage::Delivery)] {
        let (mut w, _, a) = one();
        w.deafen(a, Some(deaf));
        repair(&mut w, a);
        w.advance(SECOND * 7);
        assert_eq!(flow(&w, a), Flow::Stopped { at: stage, repair: Repair::Running });
        w.advance(SECOND * 60);
        w.deafen(a, None);
        w.advance(SECOND * 120);
        assert!(matches!(flow(&w, a), Flow::Proven(_)), "{:?}", link(&w, a));
    }
}

/// R345: a socket that is dead is left within seconds of the wish to repair it, and messages flow over the next.
#[test]
fn the_socket_is_dead() {
    let (mut w, _, a) = one();
    w.unplug(a);
    repair(&mut w, a);
    w.advance(SECOND * 7);
    assert!(matches!(link(&w, a), Link::Online(Flow::Stopped { at: Stage::Line, repair: Repair::Running })), "{:?}", link(&w, a));
    w.advance(SECOND * 8);
    assert!(matches!(link(&w, a), Link::Connecting { .. }), "{:?}", link(&w, a));
    w.plug(a);
    w.advance(SECOND * 60);
    assert!(matches!(flow(&w, a), Flow::Proven(_)));
}

/// R345: what a person does not want to get from others says nothing about the way: the probe comes through.
#[test]
fn preferences_do_not_concern_probes() {
    let (mut w, alice, a) = one();
    let mut preferences = Preferences::default();
    preferences.block(Party::Address(alice.clone()));
    let profile = &mut preferences.profiles[0];
    (profile.largest, profile.store_messages) = (Some(0), false);
    profile.devices.push(DeviceChoice { messages: false, notifications: false, ..DeviceChoice::new(w.instance(a)) });
    w.prefers(&alice, preferences);
    w.deafen(a, Some(true));
    repair(&mut w, a);
    w.advance(SECOND * 7);
    assert!(matches!(flow(&w, a), Flow::Stopped { .. }));
    w.deafen(a, None);
    repair(&mut w, a);
    w.advance(SECOND * 30);
    assert!(matches!(flow(&w, a), Flow::Proven(_)), "{:?}", link(&w, a));
}

/// R317, R345: a probe to somebody else would be a message without a trace: it is refused, and so are those of a device that sends too many.
#[test]
fn a_probe_is_for_oneself() {
    use wasm_core::cpm::ids::MessageId;
    use wasm_core::cpm::probe;
    use wasm_core::wire::sip::Method;
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let (to_a, to_b) = (w.instance(a), w.instance(b));
    let mut entropy = wasm_core::Entropy::new([5; 32]);
    let mut send = |w: &mut World, to: &Address, device: Option<&str>| {
        let envelope =
            wasm_core::cpm::envelope::Envelope { to: to.clone(), ..probe::envelope(&alice, MessageId::new(&mut entropy), w.now) };
        let mut request = envelope.wrap();
        if let (Some(device), wasm_core::wire::sip::Uri::Sip(uri)) = (device, &mut request.uri) {
            uri.params.set("gr", device);
        }
        w.act(a, |phone, now| phone.send(now, request));
        w.settle();
        *w.see(a).outcomes(&Method::Message).last().unwrap()
    };
    assert_eq!(send(&mut w, &bob, Some(to_b.as_str())), 403);
    assert_eq!(send(&mut w, &bob, None), 403);
    assert_eq!(send(&mut w, &alice, None), 403, "to which device?");
    assert_eq!(send(&mut w, &alice, Some(to_a.as_str())), 200);
    let last = (0..40).map(|_| send(&mut w, &alice, Some(to_a.as_str()))).last();
    assert_eq!(last, Some(429));
    assert!(w.see(b).got.is_empty() && w.history(&alice, &bob).is_empty());
}
