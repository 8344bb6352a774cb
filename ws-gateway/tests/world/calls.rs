//! Stories of two phones that call each other through the core: forking, CANCEL, ACK and BYE along the route.

use wasm_core::wire::sip::{HeaderName, Method, RecordRoute, Status};

use crate::ladder::Flow;
use crate::world::World;

/// A call to a user with two devices: the first that answers has it, the other stops ringing; ACK and BYE follow the route.
#[test]
fn a_call_forks_and_ends() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.phone("b1", &bob), w.device("b2", &bob));
    w.online(&[a, b1, b2]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b1, |phone, now| phone.answer(now, Status::RINGING));
    w.act(b2, |phone, now| phone.answer(now, Status::RINGING));
    w.settle();
    w.act(b2, |phone, now| phone.answer(now, Status::OK));
    w.settle();
    w.act(a, |phone, now| phone.within(now, Method::Ack));
    w.settle();
    w.act(a, |phone, now| phone.within(now, Method::Bye));
    w.settle();
    w.ladder(&Flow {
        file: "call_forks_and_ends",
        title: "A call to a user with two devices",
        parties: &[("a", "Client A"), ("Core A", "Core"), ("b1", "Client B1"), ("b2", "Client B2")],
        steps: &[
            (1, "Client A -> Core: INVITE"),
            (2, "Core -> Client A: 100"),
            (3, "Core -> Client B1: INVITE"),
            (4, "Core -> Client B2: INVITE"),
            (5, "Client B1 -> Core: 180"),
            (6, "Client B2 -> Core: 180"),
            (7, "Core -> Client A: 180"),
            (8, "Client B2 -> Core: 200"),
            (9, "Core -> Client A: 200"),
            (10, "Core -> Client B1: CANCEL"),
            (11, "Client B1 -> Core: 487"),
            (12, "Client A -> Core: ACK"),
            (13, "Core -> Client B2: ACK"),
            (14, "Client A -> Core: BYE"),
            (15, "Core -> Client B2: BYE"),
            (16, "Core -> Client A: 200"),
        ],
        any_order: true,
    });
    assert_eq!(w.see(a).outcomes(&Method::Invite), [200]);
    assert_eq!(w.see(a).outcomes(&Method::Bye), [200]);
    assert_eq!(w.see(b2).acks.len(), 1);
    assert!(w.see(b1).ringing.is_empty() && w.see(b1).acks.is_empty());
    // The entries of the route are the node's own and cannot be made up.
    let response = w.see(a).ended.iter().find(|ended| ended.method == Method::Invite).unwrap().response.clone().unwrap();
    assert_eq!(response.headers.list::<RecordRoute>().unwrap().len(), 2);
    assert_eq!(response.headers.all(&HeaderName::Via).count(), 1);
}

/// The caller gives up: every phone stops ringing, and the call ends with 487.
#[test]
fn a_call_is_cancelled() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.phone("a", &alice), w.phone("b1", &bob), w.device("b2", &bob));
    w.online(&[a, b1, b2]);
    let mut call = w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    call = w.see(a).last(&Method::Invite).unwrap_or(call);
    for device in [b1, b2] {
        w.act(device, |phone, now| phone.answer(now, Status::RINGING));
    }
    w.settle();
    w.act(a, |phone, now| phone.cancel(now, call));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [487]);
    assert!(w.see(b1).ringing.is_empty() && w.see(b2).ringing.is_empty());
}

/// Nobody there: 480. Everybody busy: the best answer. Somebody who declines decides for all devices.
#[test]
fn the_best_answer_goes_back() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.phone("b1", &bob), w.device("b2", &bob));
    w.online(&[a]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.online(&[b1, b2]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b1, |phone, now| phone.answer(now, Status::TEMPORARILY_UNAVAILABLE));
    w.act(b2, |phone, now| phone.answer(now, Status::BUSY_HERE));
    w.settle();
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b2, |phone, now| phone.answer(now, Status::RINGING));
    w.settle();
    w.act(b1, |phone, now| phone.answer(now, Status::DECLINE));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [480, 486, 603]);
    assert!(w.see(b2).ringing.is_empty());
}

/// A call to somebody at a peer: the dialog's requests pass both nodes.
#[test]
fn a_call_between_domains() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b, |phone, now| phone.answer(now, Status::OK));
    w.settle();
    w.act(a, |phone, now| phone.within(now, Method::Ack));
    w.settle();
    w.act(a, |phone, now| phone.within(now, Method::Bye));
    w.settle();
    assert_eq!(w.see(b).acks.len(), 1);
    assert_eq!(w.see(a).outcomes(&Method::Bye), [200]);
    assert_eq!(w.see(b).in_dialog.len(), 1);
}

/// A device whose connection breaks while it rings counts as one that could not be reached.
#[test]
fn a_ringing_device_disappears() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.disconnect(b);
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [500]);
}
