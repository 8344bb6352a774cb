//! Stories of messages between people: C.3.1.1.

use std::time::Duration;

use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::ids::{ContributionId, ConversationId, MessageId};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Report};
use wasm_core::wire::sip::{HeaderName, Method};

use crate::ladder::Flow;
use crate::phone::Manner;
use crate::world::World;

/// R173, R040-R042, R158: a message to somebody elsewhere, seen from the sender's side, and the delivery notification back.
#[test]
fn a_message_to_another_system() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "hello over there"));
    w.settle();
    w.ladder(&Flow {
        file: "r173_c_3_1_1_1_message_originating",
        title: "C.3.1.1.1 Pager Mode CPM Message to a CPM User, originating (R173)",
        parties: &[("a", "Client A"), ("Core A", "Core A"), ("PF A", "PF A"), ("Core B", "System B")],
        steps: &[
            (1, "Client A -> Core A: MESSAGE"),
            (2, "Core A -> PF A: MESSAGE"),
            (3, "PF A -> Core A: MESSAGE"),
            (4, "Core A -> System B: MESSAGE"),
            (5, "System B -> Core A: 200"),
            (6, "Core A -> PF A: 200"),
            (7, "PF A -> Core A: 200"),
            (8, "Core A -> Client A: 200"),
            (9, "System B -> Core A: MESSAGE (IMDN delivered)"),
            (10, "Core A -> PF A: MESSAGE (IMDN delivered)"),
            (11, "PF A -> Core A: MESSAGE (IMDN delivered)"),
            (12, "Core A -> Client A: MESSAGE (IMDN delivered)"),
            (13, "Client A -> Core A: 200"),
            (14, "Core A -> PF A: 200"),
            (15, "PF A -> Core A: 200"),
            (16, "Core A -> System B: 200"),
        ],
        any_order: false,
    });
    w.ladder(&Flow {
        file: "r174_c_3_1_1_2_message_terminating",
        title: "C.3.1.1.2 Pager Mode CPM Message to a CPM User, terminating (R174)",
        parties: &[("b", "Client B"), ("Core B", "Core B"), ("PF B", "PF B"), ("Core A", "System A")],
        steps: &[
            (1, "System A -> Core B: MESSAGE"),
            (2, "Core B -> PF B: MESSAGE"),
            (3, "PF B -> Core B: MESSAGE"),
            (4, "Core B -> Client B: MESSAGE"),
            (5, "Client B -> Core B: 200"),
            (6, "Core B -> PF B: 200"),
            (7, "PF B -> Core B: 200"),
            (8, "Core B -> System A: 200"),
            (9, "Client B -> Core B: MESSAGE (IMDN delivered)"),
            (10, "Core B -> PF B: MESSAGE (IMDN delivered)"),
            (11, "PF B -> Core B: MESSAGE (IMDN delivered)"),
            (12, "Core B -> System A: MESSAGE (IMDN delivered)"),
            (13, "System A -> Core B: 200"),
            (14, "Core B -> PF B: 200"),
            (15, "PF B -> Core B: 200"),
            (16, "Core B -> Client B: 200"),
        ],
        any_order: false,
    });
    assert_eq!(w.see(b).texts(), ["hello over there"]);
    assert_eq!(w.see(a).reported(), [(id.text().clone(), Report::Delivery(Delivery::Delivered))]);
    let (sent, received) = (w.history(&alice, &bob), w.history(&bob, &alice));
    assert_eq!((sent.len(), received.len()), (1, 1));
    assert_eq!(sent[0].receipt, Receipt::Delivered);
    assert_eq!(w.waiting(&alice) + w.waiting(&bob), 0);
}

/// R036, R017, R046: what identifies a message passes unchanged; who sent it is the core's word, and which service it is the server's.
#[test]
fn identifiers_pass_unchanged() {
    for domains in [&["alpha.test", "beta.test"][..], &["alpha.test"][..]] {
        let mut w = World::new(domains);
        let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user(&format!("sip:bob@{}", domains[domains.len() - 1]), &[]));
        let (a, b) = (w.device("a", &alice), w.device("b", &bob));
        w.online(&[a, b]);
        let envelope = w.act(a, |phone, now| {
            let mut envelope = phone.compose(now, &bob, "about that");
            envelope.conversation = ConversationId::parse(&"conversation-1".into());
            envelope.contribution = ContributionId::parse(&"contribution-2".into());
            envelope.in_reply_to = ContributionId::parse(&"contribution-1".into());
            phone.post(now, &envelope);
            envelope
        });
        w.settle();
        let got = &w.see(b).got[0];
        assert_eq!(got.envelope.message_id, envelope.message_id);
        assert_eq!(got.envelope.conversation, envelope.conversation);
        assert_eq!(got.envelope.contribution, envelope.contribution);
        assert_eq!(got.envelope.in_reply_to, envelope.in_reply_to);
        assert_eq!(got.request.body, envelope.wrap().body);
        let header = |name| got.request.headers.get(&name).map(|value| value.as_str().to_owned());
        assert_eq!(header(HeaderName::PAssertedIdentity).as_deref(), Some("<sip:alice@alpha.test>"));
        assert_eq!(header(HeaderName::PAssertedService).as_deref(), Some(wasm_core::cpm::feature::PAGER));
        assert_eq!(header(HeaderName::PPreferredService), None);
        assert_eq!(header(HeaderName::ProxyAuthorization), None);
        let stored = &w.history(&bob, &alice)[0];
        assert_eq!(stored.in_reply_to, envelope.in_reply_to);
        assert_eq!(stored.text.as_deref(), Some("about that"));
    }
}

/// R298: a message goes to all devices of its recipient, and the sender is answered when the first has it.
#[test]
fn a_message_reaches_all_devices() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &["tel:+15550101"]));
    let a = w.device("a", &alice);
    let bobs = [w.device("b1", &bob), w.phone("b2", &bob), w.device("b3", &bob)];
    w.online(&[a]);
    w.online(&bobs);
    w.unplug(bobs[2]);
    let tel = wasm_core::cpm::address::Address::parse("tel:+15550101").unwrap();
    w.act(a, |phone, now| phone.write(now, &tel, "to all of you"));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message), [200]);
    for device in &bobs[..2] {
        assert_eq!(w.see(*device).texts(), ["to all of you"]);
    }
    assert_eq!(w.waiting(&bob), 0);
}

/// R050: a message under way in one unit: nobody hears of it before it is durable.
#[test]
fn nothing_is_said_before_it_is_durable() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    w.disk(0, false);
    w.act(a, |phone, now| phone.write(now, &bob, "lost in the air"));
    w.advance(Duration::from_secs(5));
    assert_eq!(w.see(a).outcomes(&Method::Message), [] as [u16; 0]);
    assert_eq!(w.see(b).texts(), [] as [&str; 0]);
    // The node dies here; the sender hears nothing, comes back and tries again.
    w.disk(0, true);
    w.restart(0);
    w.connect(a);
    w.connect(b);
    w.online(&[a, b]);
    w.act(a, |phone, now| phone.write(now, &bob, "again"));
    w.settle();
    assert_eq!(w.see(b).texts(), ["again"]);
}

/// The same Message-ID again, at once or after a reconnection: the same answer, and nothing twice.
#[test]
fn a_second_try_is_the_same_message() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let envelope = w.act(a, |phone, now| {
        let envelope = phone.compose(now, &bob, "once");
        phone.post(now, &envelope);
        phone.post(now, &envelope);
        envelope
    });
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message), [200, 200]);
    w.disconnect(a);
    w.connect(a);
    w.online(&[a]);
    w.act(a, |phone, now| phone.post(now, &envelope));
    w.settle();
    w.restart(0);
    w.connect(a);
    w.connect(b);
    w.online(&[a, b]);
    w.act(a, |phone, now| phone.post(now, &envelope));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message)[..], [200, 200, 200, 200]);
    assert_eq!(w.see(b).texts(), ["once"]);
    assert_eq!(w.history(&alice, &bob).len(), 1);
    assert_eq!(w.history(&bob, &alice).len(), 1);
    assert_eq!(w.waiting(&bob), 0);
}

/// A connection that breaks while the message is being kept: the retry over a new one finds it.
#[test]
fn a_retry_over_a_new_connection() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let envelope = w.act(a, |phone, now| {
        let envelope = phone.compose(now, &bob, "broken line");
        phone.post(now, &envelope);
        envelope
    });
    w.advance(Duration::from_millis(12));
    w.disconnect(a);
    w.settle();
    w.connect(a);
    w.online(&[a]);
    w.act(a, |phone, now| phone.post(now, &envelope));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message).last(), Some(&200));
    assert_eq!(w.see(b).texts(), ["broken line"]);
    assert_eq!(w.history(&bob, &alice).len(), 1);
}

/// An ordinary phone sends and gets plain text; the service gives its messages identifiers, and reports the delivery in its place.
#[test]
fn an_ordinary_phone_takes_part() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.phone("b", &bob));
    w.change(b, |phone| phone.manner = Manner::Plain);
    w.online(&[a, b]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "in CPIM"));
    w.settle();
    w.ladder(&Flow {
        file: "plain_text_fallback",
        title: "A device that refuses CPIM gets plain text, and the service reports the delivery for it",
        parties: &[("a", "Client A"), ("Core A", "Core"), ("PF A", "PF"), ("b", "Phone B")],
        steps: &[
            (1, "Client A -> Core: MESSAGE"),
            (2, "Core -> Phone B: MESSAGE"),
            (3, "Phone B -> Core: 415"),
            (4, "Core -> Phone B: MESSAGE (plain)"),
            (5, "Phone B -> Core: 200"),
            (6, "Core -> Client A: 200"),
            (7, "Core -> Client A: MESSAGE (IMDN delivered)"),
        ],
        any_order: false,
    });
    assert_eq!(w.see(b).texts(), ["in CPIM"]);
    assert_eq!(w.see(a).reported(), [(id.text().clone(), Report::Delivery(Delivery::Delivered))]);
    // From now on it gets plain text at once.
    w.forget();
    w.act(a, |phone, now| phone.write(now, &bob, "and again"));
    w.settle();
    assert!(!w.arrows().iter().any(|arrow| arrow.what == "415"));
    assert_eq!(w.see(b).texts(), ["in CPIM", "and again"]);
    w.act(b, |phone, now| phone.say(now, &alice, "hi alice"));
    w.settle();
    let got = w.see(a).got.last().unwrap();
    assert_eq!(got.content, Content::Text("hi alice".into()));
    assert!(got.envelope.message_id.is_some() && got.envelope.conversation.is_some() && got.envelope.contribution.is_some());
    assert_eq!(w.history(&bob, &alice).last().unwrap().text.as_deref(), Some("hi alice"));
}

/// R298: the sender's own history holds what they sent, whatever device they sent it from, and both boxes say that they changed.
#[test]
fn both_boxes_change() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    w.online(&[a]);
    w.changes.clear();
    w.act(a, |phone, now| phone.write(now, &bob, "note"));
    w.settle();
    let mut changed: Vec<_> = w.changes.iter().map(|(user, _)| *user).collect();
    changed.sort();
    assert_eq!(changed, [w.user_id(&alice), w.user_id(&bob)]);
}

/// Typing goes to the devices that are there, and is kept nowhere.
#[test]
fn typing_is_for_now() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    w.act(a, |phone, now| phone.type_to(now, &bob));
    w.settle();
    w.online(&[b]);
    assert!(w.see(b).got.is_empty());
    w.act(a, |phone, now| phone.type_to(now, &bob));
    w.settle();
    assert!(matches!(w.see(b).got[0].content, Content::Composing(_)));
    assert_eq!(w.see(a).outcomes(&Method::Message), [200, 200]);
    assert!(w.history(&bob, &alice).is_empty());
}

/// Who does not exist, and where nobody goes.
#[test]
fn what_cannot_be_routed_is_refused() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let a = w.device("a", &alice);
    w.online(&[a]);
    for (to, status) in [("sip:nobody@tandem.test", 404), ("sip:bob@elsewhere.test", 403), ("tel:+19995550000", 404)] {
        let to = wasm_core::cpm::address::Address::parse(to).unwrap();
        w.act(a, |phone, now| phone.write(now, &to, "hello?"));
        w.settle();
        assert_eq!(w.see(a).outcomes(&Method::Message).last(), Some(&status), "{to}");
    }
}

/// Messages of one conversation arrive in order, however many are under way.
#[test]
fn a_burst_keeps_its_order() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.phone("b", &bob));
    w.online(&[a, b]);
    let texts: Vec<String> = (0..30).map(|nth| format!("line {nth}")).collect();
    w.act(a, |phone, now| {
        for text in &texts {
            let _: MessageId = phone.write(now, &bob, text);
        }
    });
    w.settle();
    assert_eq!(w.see(b).texts(), texts);
    assert_eq!(w.see(a).outcomes(&Method::Message), [200; 30]);
}

/// Over a wire that loses one message in four, everything arrives once and in order.
#[test]
fn a_lossy_wire_loses_nothing() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.phone("a", &alice), w.phone("b", &bob));
    w.online(&[a, b]);
    w.lossy(a, 4);
    w.lossy(b, 3);
    let texts: Vec<String> = (0..20).map(|nth| format!("line {nth}")).collect();
    for text in &texts {
        w.act(a, |phone, now| phone.write(now, &bob, text));
        w.advance(Duration::from_secs(10));
    }
    w.advance(Duration::from_secs(60));
    assert_eq!(w.see(b).texts(), texts);
    assert_eq!(w.see(a).outcomes(&Method::Message).len(), 20);
    assert!(w.see(a).outcomes(&Method::Message).iter().all(|status| matches!(status, 200 | 202)));
    assert_eq!(w.history(&bob, &alice).len(), 20);
    assert_eq!(w.waiting(&bob), 0);
}
