//! What two people may see of one message's way: each their own side of it.

use std::time::Duration;

use wasm_core::cpm::address::Address;
use wasm_core::wire::sip::Status;
use ws_gateway::node::{End, Rung, Sent};

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// The steps that a user may see, in their order.
fn seen(w: &World, address: &Address, names: &[(&str, &str)]) -> Vec<String> {
    let user = w.user_id(address);
    let end = |rung: &Rung| match &rung.end {
        End::Device(device) => names.iter().find(|(instance, _)| *instance == device.as_str()).map_or("?", |(_, name)| *name).to_owned(),
        End::Other => "the other side".to_owned(),
        End::Store => "the store".to_owned(),
    };
    let what = |rung: &Rung| match rung.what {
        Sent::Word(word) => word.to_owned(),
        Sent::Answer(Status(status)) => status.to_string(),
    };
    let arrow = |rung: &Rung| match rung.came {
        true => format!("{} -> server: {}", end(rung), what(rung)),
        false => format!("server -> {}: {}", end(rung), what(rung)),
    };
    w.rungs.iter().filter(|rung| rung.user == user).map(arrow).collect()
}

/// R347: each side sees its own devices and what came from the other side, and none of the other's devices.
#[test]
fn each_sees_their_own_side() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.browser("a", &alice), w.browser("b", &bob));
    w.advance(SECOND * 3);
    assert!(w.rungs.is_empty(), "a probe leaves no trace: {:?}", w.rungs);
    w.page(a, |browser, now| browser.send(now, &bob, "hello"));
    w.advance(SECOND);
    w.page(b, |browser, now| browser.read(now, &alice));
    w.advance(SECOND);
    let (of_a, of_b) = (w.instance(a), w.instance(b));
    let names = [(of_a.as_str(), "a"), (of_b.as_str(), "b")];
    assert_eq!(
        seen(&w, &alice, &names),
        [
            "a -> server: MESSAGE",
            "server -> the store: store",
            "server -> the other side: MESSAGE",
            "server -> a: 200",
            "the other side -> server: MESSAGE (IMDN delivered)",
            "server -> a: MESSAGE (IMDN)",
            "a -> server: 200",
            "the other side -> server: MESSAGE (IMDN displayed)",
            "server -> a: MESSAGE (IMDN)",
            "a -> server: 200",
        ]
    );
    let of_bob = seen(&w, &bob, &names);
    assert_eq!(
        of_bob[..4],
        ["the other side -> server: MESSAGE", "server -> the store: store", "server -> b: MESSAGE", "b -> server: 200"]
    );
    assert!(of_bob.contains(&"b -> server: MESSAGE (IMDN displayed)".to_owned()), "{of_bob:?}");
    assert!(!of_bob.iter().any(|step| step.contains("-> a") || step.starts_with("a ")), "{of_bob:?}");
    let ids: std::collections::HashSet<_> = w.rungs.iter().map(|rung| rung.message_id.clone()).collect();
    assert_eq!(ids.len(), 1, "all are about one message");
}

/// R347: a message that waits says so: nobody was there, and it was pushed when somebody came.
#[test]
fn a_message_that_waits() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.browser("a", &alice);
    w.advance(SECOND * 3);
    w.page(a, |browser, now| browser.send(now, &bob, "later"));
    w.advance(SECOND * 60);
    let of_a = w.instance(a);
    assert_eq!(seen(&w, &alice, &[(of_a.as_str(), "a")]).last().unwrap(), "server -> a: 202");
    assert_eq!(seen(&w, &bob, &[]), ["the other side -> server: MESSAGE", "server -> the store: store"]);
    let b = w.browser("b", &bob);
    w.advance(SECOND * 10);
    let of_b = w.instance(b);
    let of_bob = seen(&w, &bob, &[(of_b.as_str(), "b")]);
    let at = |step: &str| of_bob.iter().position(|other| other == step).unwrap_or_else(|| panic!("{step}: {of_bob:?}"));
    assert!(at("server -> b: SEND (MSRP)") < at("b -> server: 200"));
}
