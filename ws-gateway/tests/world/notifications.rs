//! Stories of delivery and read notifications: C.3.1.4.

use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::sip::Method;

use crate::ladder::Flow;
use crate::world::World;

/// R177, R178: request and report of a delivery, and of the reading, seen from both networks.
#[test]
fn a_delivery_is_reported() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "tell me"));
    w.settle();
    w.ladder(&Flow {
        file: "r177_c_3_1_4_1_imdn_originating",
        title: "C.3.1.4.1 IMDN request, Normal Flow at the Originating Network (R177)",
        parties: &[("a", "Client A"), ("Core A", "Core A"), ("PF A", "CS A"), ("Core B", "System B")],
        steps: &[
            (1, "Client A -> Core A: MESSAGE"),
            (2, "Core A -> CS A: MESSAGE"),
            (3, "CS A -> Core A: MESSAGE"),
            (4, "Core A -> System B: MESSAGE"),
            (5, "System B -> Core A: 200"),
            (6, "Core A -> CS A: 200"),
            (7, "CS A -> Core A: 200"),
            (8, "Core A -> Client A: 200"),
            (9, "System B -> Core A: MESSAGE (IMDN delivered)"),
            (10, "Core A -> CS A: MESSAGE (IMDN delivered)"),
            (11, "CS A -> Core A: MESSAGE (IMDN delivered)"),
            (12, "Core A -> Client A: MESSAGE (IMDN delivered)"),
            (13, "Client A -> Core A: 200"),
            (14, "Core A -> CS A: 200"),
            (15, "CS A -> Core A: 200"),
            (16, "Core A -> System B: 200"),
        ],
        any_order: false,
    });
    w.ladder(&Flow {
        file: "r178_c_3_1_4_2_imdn_terminating",
        title: "C.3.1.4.2 IMDN request, Normal Flow at the Terminating Network for Successful Delivery (R178)",
        parties: &[("b", "Client B"), ("Core B", "Core B"), ("PF B", "CS B"), ("Core A", "System A")],
        steps: &[
            (1, "System A -> Core B: MESSAGE"),
            (2, "Core B -> CS B: MESSAGE"),
            (3, "CS B -> Core B: MESSAGE"),
            (4, "Core B -> Client B: MESSAGE"),
            (5, "Client B -> Core B: 200"),
            (6, "Core B -> CS B: 200"),
            (7, "CS B -> Core B: 200"),
            (8, "Core B -> System A: 200"),
            (9, "Client B -> Core B: MESSAGE (IMDN delivered)"),
            (10, "Core B -> CS B: MESSAGE (IMDN delivered)"),
            (11, "CS B -> Core B: MESSAGE (IMDN delivered)"),
            (12, "Core B -> System A: MESSAGE (IMDN delivered)"),
            (13, "System A -> Core B: 200"),
            (14, "Core B -> CS B: 200"),
            (15, "CS B -> Core B: 200"),
            (16, "Core B -> Client B: 200"),
        ],
        any_order: false,
    });
    w.act(b, |phone, now| phone.read(now));
    w.settle();
    let reports = [(id.text().clone(), Report::Delivery(Delivery::Delivered)), (id.text().clone(), Report::Display(Display::Displayed))];
    assert_eq!(w.see(a).reported(), reports);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Displayed);
    assert_eq!(w.see(b).outcomes(&Method::Message), [200, 200]);
}

/// R180, R286, R287: three devices report, and the sender hears of it once.
#[test]
fn of_three_devices_one_report_goes_out() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let a = w.device("a", &alice);
    let bobs = [w.device("b1", &bob), w.device("b2", &bob), w.phone("b3", &bob)];
    w.online(&[a]);
    w.online(&bobs);
    w.act(a, |phone, now| phone.write(now, &bob, "whoever reads this"));
    w.settle();
    w.ladder(&Flow {
        file: "r180_c_3_1_4_4_recipient_with_several_devices",
        title: "C.3.1.4.4 The recipient has multiple devices (R180). Steps 3 to 5 and 6 to 8 are in no order.",
        parties: &[
            ("a", "Client A"),
            ("Core A", "CS A"),
            ("Core B", "CS B"),
            ("b1", "Client B1"),
            ("b2", "Client B2"),
            ("b3", "Client B3"),
        ],
        steps: &[
            (1, "Client A -> CS A: MESSAGE"),
            (2, "CS A -> CS B: MESSAGE"),
            (3, "CS B -> Client B1: MESSAGE"),
            (4, "CS B -> Client B2: MESSAGE"),
            (5, "CS B -> Client B3: MESSAGE"),
            (6, "Client B1 -> CS B: MESSAGE (IMDN delivered)"),
            (7, "Client B2 -> CS B: MESSAGE (IMDN delivered)"),
            (8, "Client B3 -> CS B: MESSAGE (IMDN delivered)"),
            (9, "CS B -> CS A: MESSAGE (IMDN delivered)"),
            (10, "CS A -> Client A: MESSAGE (IMDN delivered)"),
        ],
        any_order: true,
    });
    for device in bobs {
        w.act(device, |phone, now| phone.read(now));
        w.settle();
        assert_eq!(w.see(device).outcomes(&Method::Message), [200, 200]);
    }
    assert_eq!(w.see(a).reported().len(), 2);
}

/// The same within one domain: claimed once, whoever reports first.
#[test]
fn reports_within_one_domain_are_claimed_once() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    let bobs = [w.device("b1", &bob), w.device("b2", &bob)];
    w.online(&[a]);
    w.online(&bobs);
    w.act(a, |phone, now| phone.write(now, &bob, "hi"));
    w.settle();
    for device in bobs {
        w.act(device, |phone, now| phone.read(now));
    }
    w.settle();
    assert_eq!(w.see(a).reported().len(), 2);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Displayed);
    assert_eq!(w.waiting(&alice), 0);
    // The node forgets what it had in memory; the store does not.
    w.restart(0);
    w.connect(bobs[0]);
    w.connect(a);
    w.online(&[bobs[0], a]);
    w.act(bobs[0], |phone, now| phone.read(now));
    w.settle();
    assert_eq!(w.see(bobs[0]).outcomes(&Method::Message).last(), Some(&200));
    assert_eq!(w.see(a).reported().len(), 2);
}

/// A report for somebody who is away waits for them, as a message does.
#[test]
fn a_report_waits_for_its_sender() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "I am off"));
    w.settle();
    w.disconnect(a);
    w.online(&[b]);
    w.settle();
    assert_eq!(w.see(b).texts(), ["I am off"]);
    assert_eq!(w.waiting(&alice), 1);
    w.connect(a);
    w.online(&[a]);
    assert_eq!(w.see(a).reported(), [(id.text().clone(), Report::Delivery(Delivery::Delivered))]);
    assert_eq!(w.waiting(&alice), 0);
}

/// A report that overtakes the answer to the message itself is judged when that is there.
#[test]
fn a_report_may_come_before_the_answer() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    w.answers_take = std::time::Duration::from_millis(1200);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "a slow answer"));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message), [200]);
    assert_eq!(w.see(b).outcomes(&Method::Message), [200]);
    assert_eq!(w.see(a).reported(), [(id.text().clone(), Report::Delivery(Delivery::Delivered))]);
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Delivered);
}
