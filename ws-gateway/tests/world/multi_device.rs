//! Stories of several devices on either side: C.3.1.4.4 and C.3.1.4.5, and invitations.

use std::time::Duration;

use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::sip::{Method, Reason, Status};

use crate::ladder::Flow;
use crate::phone::Manner;
use crate::world::World;

/// R181, R284, R285: a report goes to the device that sent the message, and then to the sender's others.
#[test]
fn the_sending_device_hears_first() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a2, a3, a1) = (w.device("a2", &alice), w.phone("a3", &alice), w.device("a1", &alice));
    let b = w.device("b", &bob);
    w.online(&[a2, a3, a1, b]);
    w.act(a1, |phone, now| phone.write(now, &bob, "tell me, and all of me"));
    w.settle();
    w.ladder(&Flow {
        file: "r181_c_3_1_4_5_sender_with_several_devices",
        title: "C.3.1.4.5 The sender has multiple devices (R181)",
        parties: &[
            ("a1", "Client A1"),
            ("a2", "Client A2"),
            ("a3", "Client A3"),
            ("Core A", "CS A"),
            ("Core B", "CS B"),
            ("b", "Client B"),
        ],
        steps: &[
            (1, "Client A1 -> CS A: MESSAGE"),
            (2, "CS A -> CS B: MESSAGE"),
            (3, "CS B -> Client B: MESSAGE"),
            (4, "Client B -> CS B: MESSAGE (IMDN delivered)"),
            (5, "CS B -> CS A: MESSAGE (IMDN delivered)"),
            (6, "CS A -> Client A1: MESSAGE (IMDN delivered)"),
            (7, "CS A -> Client A2: MESSAGE (IMDN delivered)"),
            (8, "CS A -> Client A3: MESSAGE (IMDN delivered)"),
        ],
        any_order: false,
    });
    assert_eq!([a1, a2, a3].map(|device| w.see(device).reported().len()), [1; 3]);
}

/// R180, R286, R287: of a browser, a client that is late and a phone that knows no reports, with a restart in between, one delivery and
/// one reading are reported; that a device failed is no news.
#[test]
fn one_report_of_each_kind_whatever_the_devices_do() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let a = w.device("a", &alice);
    let (early, late, plain) = (w.device("b1", &bob), w.device("b2", &bob), w.phone("b3", &bob));
    w.change(plain, |phone| phone.manner = Manner::Plain);
    w.change(early, |phone| phone.reports = false);
    w.change(late, |phone| phone.reports = false);
    w.online(&[a, early, late, plain]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "who has it?"));
    w.settle();
    // One device cannot show it; the phone, which cannot report, has it.
    w.act(early, |phone, now| phone.report(now, Report::Delivery(Delivery::Failed)));
    w.settle();
    let delivered = (id.text().clone(), Report::Delivery(Delivery::Delivered));
    assert_eq!(w.see(plain).texts(), ["who has it?"]);
    assert_eq!(w.see(a).reported(), std::slice::from_ref(&delivered));
    w.restart(1);
    for device in [early, late] {
        w.connect(device);
    }
    w.online(&[early, late, plain]);
    w.act(late, |phone, now| phone.report(now, Report::Delivery(Delivery::Delivered)));
    w.act(early, |phone, now| phone.read(now));
    w.settle();
    w.restart(1);
    w.connect(late);
    w.online(&[late]);
    w.act(late, |phone, now| phone.read(now));
    w.advance(Duration::from_secs(600));
    assert_eq!(w.see(a).reported(), [delivered, (id.text().clone(), Report::Display(Display::Displayed))]);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Displayed);
    assert_eq!(w.see(late).outcomes(&Method::Message), [200, 200]);
}

/// R055, R286: that one device refuses and another is silent is no failure yet; the one that comes late reports the delivery.
#[test]
fn a_late_device_reports_the_delivery() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, broken, silent) = (w.device("a", &alice), w.device("b1", &bob), w.phone("b2", &bob));
    w.online(&[a, broken, silent]);
    w.change(broken, |phone| phone.manner = Manner::Refuses(488));
    w.change(silent, |phone| phone.reports = false);
    w.unplug(silent);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "anybody?"));
    w.advance(Duration::from_secs(3600));
    assert_eq!((w.see(a).outcomes(&Method::Message), w.see(a).reported().len()), (vec![202], 0));
    w.plug(silent);
    w.act(a, |phone, now| phone.register(now, 600));
    w.act(silent, |phone, now| phone.register(now, 600));
    w.settle();
    assert_eq!(w.see(silent).texts(), ["anybody?"]);
    w.act(silent, |phone, now| phone.report(now, Report::Delivery(Delivery::Delivered)));
    w.settle();
    assert_eq!(w.see(a).reported(), [(id.text().clone(), Report::Delivery(Delivery::Delivered))]);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Delivered);
}

/// R078, R273: an invitation rings on all devices; where one has answered, the others stop and are told that it was answered elsewhere, or
/// declined. Who gives up gives their own reason.
#[test]
fn what_rings_stops_and_is_told_why() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2, b3) = (w.device("a", &alice), w.phone("b1", &bob), w.phone("b2", &bob), w.device("b3", &bob));
    w.online(&[a, b1, b2, b3]);
    for (status, outcome, reason) in [
        (Status::OK, 200, Reason::sip(Status::OK, "Call completed elsewhere")),
        (Status::DECLINE, 603, Reason::sip(Status::DECLINE, "Declined elsewhere")),
    ] {
        w.act(a, |phone, now| phone.invite(now, &bob));
        w.settle();
        for device in [b1, b2, b3] {
            w.act(device, |phone, now| phone.answer(now, Status::RINGING));
        }
        w.settle();
        w.act(b1, |phone, now| phone.answer(now, status));
        w.settle();
        assert_eq!(w.see(a).outcomes(&Method::Invite).last(), Some(&outcome));
        for device in [b2, b3] {
            assert!(w.see(device).ringing.is_empty());
            assert_eq!(w.see(device).cancelled.last(), Some(&Some(reason.clone())));
        }
    }
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b1, |phone, now| phone.answer(now, Status::RINGING));
    w.settle();
    let call = w.see(a).last(&Method::Invite).unwrap();
    w.act(a, |phone, now| phone.cancel(now, call));
    w.settle();
    assert_eq!(w.see(b1).cancelled, [None]);
}
