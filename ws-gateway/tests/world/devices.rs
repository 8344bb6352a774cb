//! Stories of a person's devices: what the service says to the Primary Device alone, and a device that its owner signs out.

use wasm_core::Text;
use wasm_core::cpm::device::{Access, Change, Kind};
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::feature;
use wasm_core::wire::sip::{HeaderName, Method};
use ws_gateway::node::Input;

use crate::phone::Manner;
use crate::world::World;

/// R303, R313: what the service itself has to say goes to the Primary Device where it is there, else to all devices; as a system message,
/// to each device once, in plain text where it knows no better, and into nobody's history.
#[test]
fn a_system_message_to_the_primary_device() {
    let mut w = World::new(&["alpha.test"]);
    let alice = w.user("sip:alice@alpha.test", &[]);
    let (phone, desk) = (w.phone("phone", &alice), w.device("desk", &alice));
    w.online(&[phone, desk]);
    let pc = w.browser("pc", &alice);
    w.settle();
    let (user, instance) = (w.user_id(&alice), w.instance(phone));
    assert_eq!(w.devices(&alice).get(user, &instance).unwrap().kind, Kind::Primary, "the first phone");
    let tell = |w: &mut World, text: &str| {
        w.inject(0, Input::Tell { user, text: Text::from(text) });
        w.settle();
    };
    tell(&mut w, "one");
    let got = &w.see(phone).got[0];
    assert_eq!((got.from.as_str(), &got.content), ("sip:system@alpha.test", &Content::Text("one".into())));
    assert_eq!(got.request.headers.get(&HeaderName::PAssertedService).unwrap(), feature::SYSTEM_MESSAGE);
    assert!(w.see(desk).got.is_empty() && w.look(pc).alerts.is_empty(), "nobody else");

    w.change(phone, |phone| phone.manner = Manner::Plain);
    tell(&mut w, "two");
    assert_eq!(w.see(phone).texts(), ["one", "two"]);
    w.act(phone, |phone, now| phone.register(now, 0));
    w.settle();
    tell(&mut w, "three");
    assert_eq!(w.see(phone).texts(), ["one", "two"]);
    assert_eq!(w.see(desk).texts(), ["three"]);
    let system = w.see(desk).got[0].from.clone();
    assert_eq!(w.look(pc).texts(&system), ["three"]);

    // It is kept nowhere, and nothing ever goes back to the service.
    w.reload(pc);
    w.act(phone, |phone, now| phone.register(now, 600));
    w.settle();
    assert_eq!((w.see(phone).got.len(), w.see(desk).got.len(), w.look(pc).texts(&system).len()), (2, 1, 1));
    assert_eq!((w.history(&alice, &system).len(), w.waiting(&alice)), (0, 0));
    w.act(desk, |phone, now| phone.write(now, &system, "who are you?"));
    w.settle();
    assert_eq!(w.see(desk).outcomes(&Method::Message).last(), Some(&404));
}

/// R298, R353: a phone that is signed out loses its binding and is refused until its owner allows it again, also after a restart; a browser
/// loses its connection, and what it kept; the other devices go on.
#[test]
fn a_device_is_signed_out() {
    let mut w = World::new(&["alpha.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@alpha.test", &[]));
    let (phone, desk, b) = (w.phone("phone", &alice), w.device("desk", &alice), w.device("b", &bob));
    w.online(&[phone, desk, b]);
    let pc = w.browser("pc", &alice);
    w.settle();
    let (user, instance) = (w.user_id(&alice), w.instance(phone));
    assert_eq!(w.bindings(0), 4);
    let register = |w: &mut World, device| {
        w.act(device, |phone, now| phone.register(now, 600));
        w.settle();
        *w.see(device).outcomes(&Method::Register).last().unwrap()
    };

    w.sign_out(&alice, &instance);
    w.settle();
    assert_eq!(w.bindings(0), 3);
    w.act(b, |phone, now| phone.write(now, &alice, "hello"));
    w.settle();
    assert_eq!((w.see(phone).texts().len(), w.see(desk).texts(), w.look(pc).texts(&bob)), (0, vec!["hello"], vec!["hello".to_owned()]));
    assert_eq!(register(&mut w, phone), 403);
    w.restart(0);
    w.settle();
    assert_eq!(register(&mut w, phone), 403);
    assert_eq!(register(&mut w, b), 200, "somebody else's devices are not concerned");
    w.devices(&alice)
        .done(w.devices(&alice).change(user, &instance, &Change { access: Some(Access::Allowed), ..Change::default() }).unwrap());
    assert_eq!(register(&mut w, phone), 200);

    let there = w.instance(pc);
    w.sign_out(&alice, &there);
    w.settle();
    assert!(w.devices(&alice).get(user, &there).is_none_or(|device| device.barred));
    assert_eq!(w.devices(&alice).list(user, &instance).iter().filter(|listed| listed.online).count(), 1, "the phone alone");
}
