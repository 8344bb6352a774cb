//! Stories of what the provider lets its users do.

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::preferences::{MediaRange, Party};
use wasm_core::wire::sip::Method;
use ws_gateway::node::Policy;

use crate::world::{Device, World};

fn with(choose: impl Fn(&mut Policy)) -> (World, Device, Address) {
    let mut w = World::with(&["alpha.test", "beta.test"], |config| choose(&mut config.policy));
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@alpha.test", &[]));
    let a = w.device("a", &alice);
    w.online(&[a]);
    (w, a, bob)
}

/// What a message of Alice's is answered.
fn sends(w: &mut World, a: Device, to: &Address, content: Content) -> String {
    w.act(a, |phone, now| {
        let mut envelope = phone.compose(now, to, "");
        envelope.content = content;
        phone.post(now, &envelope);
    });
    w.settle();
    let response = w.see(a).ended.last().unwrap().response.clone().unwrap();
    format!("{} {}", response.status.0, response.reason)
}

fn text(text: &str) -> Content {
    Content::Text(Text::from(text))
}

/// R041, R249: the status and the reason say which rule of the provider's it was, and nothing is kept.
#[test]
fn the_provider_bounds_size_type_and_destination() {
    let (mut w, a, bob) = with(|policy| {
        policy.largest_message = 20;
        policy.refused_types = vec![MediaRange::parse("application/*").unwrap()];
        policy.barred = vec![Party::parse("*@beta.test").unwrap(), Party::parse("tel:+1900*").unwrap()];
    });
    let strange = Content::Other { content_type: Text::from("application/x-sh"), body: "rm".into() };
    assert_eq!(sends(&mut w, a, &bob, text("short enough")), "202 Accepted");
    assert_eq!(sends(&mut w, a, &bob, text("longer than the provider likes")), "413 Request Entity Too Large");
    assert_eq!(sends(&mut w, a, &bob, strange), "415 Type Not Allowed");
    assert_eq!(sends(&mut w, a, &Address::parse("sip:eve@beta.test").unwrap(), text("hi")), "403 Barred Destination");
    w.act(a, |phone, now| phone.invite(now, &Address::parse("sip:eve@beta.test").unwrap()));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [403]);
    assert_eq!(w.history(&Address::parse("sip:alice@alpha.test").unwrap(), &bob).len(), 1);
}

/// R250: who has no subscription neither sends nor is found.
#[test]
fn a_subscription_is_needed() {
    let (mut w, a, bob) = with(|policy| policy.suspended = vec![Party::parse("sip:alice@alpha.test").unwrap()]);
    assert_eq!(sends(&mut w, a, &bob, text("hi")), "403 Not Subscribed");
    let (mut w, a, bob) = with(|policy| policy.suspended = vec![Party::parse("sip:bob@alpha.test").unwrap()]);
    assert_eq!(sends(&mut w, a, &bob, text("hi")), "404 Not Found");
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [404]);
}
