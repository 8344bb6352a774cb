//! Stories of what users prefer, a row of [OMA CPM SD §5.4] each: what becomes of messages, and which devices get what.

use std::time::Duration;

use bytes::Bytes;
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::preferences::{Days, DeviceChoice, Hours, MediaRange, MediaRule, Party, Preferences, Profile, Refusal, Unavailable};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Report};
use wasm_core::wire::sip::{From, HeaderName, Method, Request, Status, To};
use ws_gateway::node::Outlet;

use crate::world::{Device, World};

const HOUR: Duration = Duration::from_secs(3600);

/// Alice with a device, and Bob with one.
struct Stage {
    w: World,
    alice: Address,
    bob: Address,
    a: Device,
    b: Device,
}

fn stage() -> Stage {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &["tel:+15550100"]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    Stage { w, alice, bob, a, b }
}

impl Stage {
    fn bob_prefers(&mut self, choose: impl FnOnce(&mut Profile)) {
        let mut preferences = Preferences::default();
        choose(&mut preferences.profiles[0]);
        self.w.prefers(&self.bob, preferences);
    }

    fn alice_writes(&mut self, text: &str) -> u16 {
        let bob = self.bob.clone();
        self.w.act(self.a, |phone, now| phone.write(now, &bob, text));
        self.w.settle();
        self.answered().0
    }

    fn alice_sends(&mut self, content_type: &str, bytes: usize) -> (u16, String) {
        let bob = self.bob.clone();
        let content = Content::Other { content_type: Text::from(content_type), body: Bytes::from(vec![b'x'; bytes]) };
        self.w.act(self.a, |phone, now| {
            let mut envelope = phone.compose(now, &bob, "");
            envelope.content = content;
            phone.post(now, &envelope);
        });
        self.w.settle();
        self.answered()
    }

    /// The status and the reason of the last answer.
    fn answered(&self) -> (u16, String) {
        let ended = self.w.see(self.a).ended.iter().rev().find(|ended| ended.method == Method::Message).unwrap();
        (ended.status.0, ended.response.as_ref().unwrap().reason.as_str().to_owned())
    }
}

fn rule(media: &str, allow: bool) -> MediaRule {
    MediaRule { media: MediaRange::parse(media).unwrap(), allow }
}

/// R235 (A1): what a blocked sender writes looks as if Bob were away: 202, in the sender's own history, and nothing else. It reaches no device,
/// no history, no queue, and no notice goes out; typing goes nowhere, another address of the sender's does not help, nor does trying again.
#[test]
fn a_blocked_sender_learns_nothing() {
    let mut s = stage();
    let alice = s.alice.clone();
    s.w.outlets(&s.bob.clone(), &[Outlet::Phones]);
    s.bob_prefers(|profile| profile.blocked.push(Party::Address(alice)));
    assert_eq!(s.alice_writes("listen!"), 202);
    let bob = s.bob.clone();
    s.w.act(s.a, |phone, now| {
        let mut envelope = phone.compose(now, &bob, "it is me");
        envelope.from = Address::parse("tel:+15550100").unwrap();
        let request = envelope.wrap();
        phone.send(now, request.clone());
        phone.send(now, request);
        phone.type_to(now, &bob);
    });
    s.w.settle();
    assert_eq!(s.w.see(s.a).outcomes(&Method::Message), [202, 200, 202, 202]);
    s.w.act(s.a, |phone, now| phone.invite(now, &bob));
    s.w.act(s.a, |phone, now| {
        let mut request = Request::new(Method::Invite, bob.to_uri());
        request.headers.put(&From::new(Address::parse("tel:+15550100").unwrap().to_uri()));
        request.headers.put(&To::new(bob.to_uri()));
        phone.send(now, request);
    });
    s.w.settle();
    assert_eq!(s.w.see(s.a).outcomes(&Method::Invite), [480, 480]);
    s.w.advance(HOUR * 24 * 8);
    assert_eq!((s.w.see(s.b).got.len(), s.w.waiting(&s.bob), s.w.history(&s.bob, &s.alice).len()), (0, 0, 0));
    assert_eq!((s.w.see(s.a).reported().len(), s.w.told().len()), (0, 0));
    assert!(s.w.see(s.b).ringing.is_empty());
    let own = s.w.history(&s.alice, &s.bob);
    assert_eq!(own.iter().map(|object| object.receipt).collect::<Vec<_>>(), [Receipt::Sent; 2]);
    // The other way is open: who blocks may write, and reports come.
    let alice = s.alice.clone();
    s.w.act(s.b, |phone, now| phone.register(now, 600));
    s.w.act(s.a, |phone, now| phone.register(now, 600));
    s.w.settle();
    s.w.act(s.b, |phone, now| phone.write(now, &alice, "no"));
    s.w.settle();
    assert_eq!((s.w.see(s.a).texts(), s.w.see(s.b).reported().len()), (vec!["no"], 1));
}

/// R235 (A1): the same for a sender of another domain.
#[test]
fn a_blocked_stranger_learns_nothing() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@beta.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    let mut preferences = Preferences::default();
    preferences.block(Party::parse("*@alpha.test").unwrap());
    w.prefers(&bob, preferences);
    w.act(a, |phone, now| phone.write(now, &bob, "listen!"));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message), [202]);
    assert_eq!((w.see(b).got.len(), w.waiting(&bob), w.history(&bob, &alice).len(), w.history(&alice, &bob).len()), (0, 0, 0, 1));
}

/// R235 (A1), R266: too large or of the wrong type is refused, and the sender is told which; nothing is kept anywhere.
#[test]
fn size_and_type_are_refused_openly() {
    let mut s = stage();
    s.bob_prefers(|profile| {
        profile.largest = Some(1000);
        profile.accepted_media = vec![rule("image/png", true), rule("image/*", false)];
    });
    assert_eq!(s.alice_sends("image/gif", 10), (415, "Type Not Wanted".to_owned()));
    assert_eq!(s.alice_sends("image/png", 1001), (413, "Larger Than Wanted".to_owned()));
    assert_eq!(s.alice_sends("image/png", 1000).0, 200);
    assert_eq!((s.w.history(&s.alice, &s.bob).len(), s.w.history(&s.bob, &s.alice).len(), s.w.see(s.b).got.len()), (1, 1, 1));
    s.bob_prefers(|profile| (profile.largest, profile.when_too_large) = (Some(1000), Refusal::Discard));
    assert_eq!(s.alice_sends("image/png", 1001).0, 202);
    assert_eq!((s.w.history(&s.alice, &s.bob).len(), s.w.history(&s.bob, &s.alice).len()), (2, 1));
}

/// R235 (A1): redirected, a message reaches the other in its sender's name; the sender sees it in the conversation that it was written in,
/// and learns of nobody else. What is redirected twice, or comes back, is refused.
#[test]
fn a_message_is_redirected_once() {
    let mut s = stage();
    let carol = s.w.user("sip:carol@tandem.test", &[]);
    let c = s.w.device("c", &carol);
    s.w.online(&[c]);
    let to = |address: &Address| {
        let mut preferences = Preferences::default();
        preferences.profiles[0].accepted_media = vec![rule("text/*", false)];
        preferences.profiles[0].when_not_accepted = Refusal::Redirect(address.clone());
        preferences
    };
    s.w.prefers(&s.bob.clone(), to(&carol));
    assert_eq!(s.alice_writes("for whom it concerns"), 200);
    assert_eq!((s.w.see(c).texts(), s.w.see(s.b).got.len()), (vec!["for whom it concerns"], 0));
    assert_eq!(s.w.see(c).got[0].from, s.alice);
    s.w.act(c, |phone, now| phone.read(now));
    s.w.settle();
    assert_eq!(s.w.see(s.a).reported().len(), 0);
    assert_eq!((s.w.history(&s.alice, &s.bob).len(), s.w.history(&carol, &s.alice).len()), (1, 1));
    assert_eq!((s.w.history(&s.alice, &carol).len(), s.w.history(&s.bob, &s.alice).len()), (0, 0));
    s.w.prefers(&carol, to(&s.bob.clone()));
    assert_eq!(s.alice_writes("round and round"), 480);
    assert_eq!(s.w.history(&carol, &s.alice).len(), 1);
}

/// R235, R190: in quiet hours messages wait for the devices, over a restart too, without a notice; they lie in the history meanwhile, and
/// reports come as ever. When the hours are over, the devices get them in order.
#[test]
fn quiet_hours_let_messages_wait() {
    let mut s = stage();
    s.w.outlets(&s.bob.clone(), &[Outlet::Phones]);
    // The world begins at eight.
    s.bob_prefers(|profile| profile.quiet = vec![Hours { days: Days::ALL, from: 0, to: 12 * 60, offset: 0 }]);
    assert_eq!((s.alice_writes("one"), s.alice_writes("two")), (202, 202));
    let (alice, bob) = (s.alice.clone(), s.bob.clone());
    s.w.act(s.a, |phone, now| phone.type_to(now, &bob));
    s.w.settle();
    assert_eq!((s.w.see(s.b).got.len(), s.w.waiting(&bob), s.w.history(&bob, &alice).len()), (0, 2, 2));
    s.w.act(s.b, |phone, now| phone.write(now, &alice, "still up"));
    s.w.settle();
    assert_eq!(s.w.see(s.b).reported().len(), 1);
    s.w.restart(0);
    for device in [s.a, s.b] {
        s.w.connect(device);
        s.w.act(device, |phone, now| phone.register(now, 7200));
        s.w.settle();
    }
    assert_eq!(s.alice_writes("three"), 202);
    s.w.advance(HOUR);
    assert_eq!(s.w.see(s.b).texts(), [] as [&str; 0]);
    for _ in 0..3 {
        s.w.act(s.b, |phone, now| phone.register(now, 7200));
        s.w.act(s.a, |phone, now| phone.register(now, 7200));
        s.w.advance(HOUR);
    }
    assert_eq!(s.w.see(s.b).texts(), ["one", "two", "three"]);
    assert_eq!((s.w.waiting(&bob), s.w.told().len(), s.w.see(s.a).reported().len()), (0, 0, 3));
    assert_eq!(s.alice_writes("noon"), 200);
}

/// R235: a page that is open in quiet hours shows what comes, and makes no sound, then or later.
#[test]
fn an_open_page_is_silent_in_quiet_hours() {
    let mut s = stage();
    let page = s.w.browser("page", &s.bob.clone());
    s.w.settle();
    s.bob_prefers(|profile| profile.quiet = vec![Hours { days: Days::ALL, from: 0, to: 12 * 60, offset: 0 }]);
    assert_eq!(s.alice_writes("psst"), 202);
    let alice = s.alice.clone();
    let shown = |w: &World| w.look(page).texts(&alice).len();
    assert_eq!((shown(&s.w), s.w.look(page).alerts.len()), (1, 0));
    for _ in 0..5 {
        s.w.act(s.b, |phone, now| phone.register(now, 7200));
        s.w.advance(HOUR);
    }
    assert_eq!((shown(&s.w), s.w.look(page).alerts.len(), s.w.see(s.b).texts()), (1, 0, vec!["psst"]));
    s.w.act(s.a, |phone, now| phone.register(now, 7200));
    s.w.settle();
    s.alice_writes("good morning");
    assert_eq!((shown(&s.w), s.w.look(page).alerts.len()), (2, 1));
}

/// R272, R318: who hides their address is known by the one that can be answered, and by no number, name or device.
#[test]
fn as_little_as_possible_is_told_of_who_hides() {
    let mut s = stage();
    let mut preferences = Preferences::default();
    preferences.profiles[0].hide_address = true;
    s.w.prefers(&s.alice.clone(), preferences);
    let bob = s.bob.clone();
    s.w.act(s.a, |phone, now| {
        let mut envelope = phone.compose(now, &bob, "guess who");
        envelope.from = Address::parse("tel:+15550100").unwrap();
        envelope.from_name = Some(Text::from("Alice Liddell"));
        let mut request = envelope.wrap();
        request.headers.push(HeaderName::UserAgent, "Wonder/1.0");
        phone.send(now, request);
    });
    s.w.settle();
    let got = &s.w.see(s.b).got[0];
    assert_eq!((&got.from, got.envelope.from_name.as_deref()), (&s.alice, None));
    let written = String::from_utf8(got.request.to_bytes().to_vec()).unwrap();
    assert!(!written.contains("5550100") && !written.contains("Liddell") && !written.contains("Wonder"), "{written}");
    let bob = s.bob.clone();
    assert_eq!(s.w.history(&s.alice, &bob)[0].receipt, Receipt::Delivered);
}

/// R049, R188, R236 (A2): with no device there, a message is stored without a word, or not taken and its sender told.
#[test]
fn what_comes_for_somebody_who_is_away() {
    let mut s = stage();
    s.w.disconnect(s.b);
    s.bob_prefers(|profile| profile.when_unavailable = Unavailable::Store);
    assert_eq!(s.alice_writes("for later"), 202);
    assert_eq!((s.w.history(&s.bob, &s.alice).len(), s.w.waiting(&s.bob)), (1, 0));
    s.bob_prefers(|profile| profile.when_unavailable = Unavailable::Discard);
    assert_eq!(s.alice_writes("for nobody"), 480);
    assert_eq!(s.answered().1, "Recipient Not Available");
    assert_eq!((s.w.history(&s.bob, &s.alice).len(), s.w.history(&s.alice, &s.bob).len()), (1, 1));
    s.bob_prefers(|_| {});
    assert_eq!(s.alice_writes("deferred"), 202);
    s.w.connect(s.b);
    s.w.online(&[s.b]);
    assert_eq!(s.w.see(s.b).texts(), ["deferred"]);
}

/// R237 (A3): what is not worth deferring is not taken while nobody is there, and delivered when somebody is.
#[test]
fn deferral_goes_by_media_type() {
    let mut s = stage();
    s.bob_prefers(|profile| profile.deferred_media = vec![rule("text/*", true), rule("*/*", false)]);
    assert_eq!(s.alice_sends("image/png", 10).0, 200);
    s.w.disconnect(s.b);
    assert_eq!(s.alice_sends("image/png", 10).0, 480);
    assert_eq!(s.alice_writes("words"), 202);
    assert_eq!(s.w.waiting(&s.bob), 1);
}

/// R238 (B), R253: a device that is to get only small texts gets a word about the rest; another gets all of it. Both know it by the same
/// identifier, and one report goes out.
#[test]
fn a_small_device_is_told_what_there_is() {
    let mut s = stage();
    let watch = s.w.phone("watch", &s.bob.clone());
    s.w.online(&[watch]);
    let instance = s.w.instance(watch);
    s.bob_prefers(|profile| profile.devices = vec![DeviceChoice { text_only: true, ..DeviceChoice::new(instance) }]);
    assert_eq!(s.alice_sends("image/png", 3000).0, 200);
    assert_eq!(s.w.see(watch).texts(), ["image/png, 3 KB: this device does not take it. It is in your history."]);
    assert!(matches!(&s.w.see(s.b).got[0].content, Content::Other { body, .. } if body.len() == 3000));
    assert_eq!(s.w.see(watch).got[0].envelope.message_id, s.w.see(s.b).got[0].envelope.message_id);
    assert_eq!(s.w.see(s.a).reported().len(), 1);
    assert_eq!(s.alice_writes("a text"), 200);
    assert_eq!(s.w.see(watch).texts().last(), Some(&"a text"));
}

/// R242 (E1), R286, R287: of what a user does not want kept there is no copy to be read, and the queue alone carries it; reports are
/// judged and counted once all the same, over a restart too. The sender's own copy is the sender's choice.
#[test]
fn what_is_not_to_be_kept_is_not() {
    let mut s = stage();
    s.w.disconnect(s.b);
    s.bob_prefers(|profile| profile.store_messages = false);
    assert_eq!(s.alice_writes("between us"), 202);
    assert_eq!((s.w.history(&s.bob, &s.alice).len(), s.w.waiting(&s.bob)), (0, 1));
    s.w.restart(0);
    for device in [s.a, s.b] {
        s.w.connect(device);
        s.w.online(&[device]);
    }
    assert_eq!(s.w.see(s.b).texts(), ["between us"]);
    s.w.restart(0);
    for device in [s.a, s.b] {
        s.w.connect(device);
        s.w.online(&[device]);
    }
    s.w.act(s.b, |phone, now| phone.report(now, Report::Delivery(Delivery::Delivered)));
    s.w.act(s.b, |phone, now| phone.read(now));
    s.w.act(s.b, |phone, now| phone.read(now));
    s.w.settle();
    assert_eq!(s.w.see(s.a).reported().len(), 2);
    assert_eq!(s.w.history(&s.alice, &s.bob)[0].receipt, Receipt::Displayed);
    assert_eq!((s.w.history(&s.bob, &s.alice).len(), s.w.waiting(&s.bob)), (0, 0));
    // Both of them, and by media type.
    let mut preferences = Preferences::default();
    preferences.profiles[0].stored_media = vec![rule("text/*", false)];
    s.w.prefers(&s.alice.clone(), preferences);
    assert_eq!(s.alice_writes("and this"), 200);
    assert_eq!((s.w.history(&s.alice, &s.bob).len(), s.w.see(s.a).reported().len()), (1, 3));
    assert_eq!(s.alice_sends("image/png", 10).0, 200);
    assert_eq!(s.w.history(&s.alice, &s.bob).len(), 2);
}

/// R243, R283 (F1): messages go to the devices that are to get them, what waited too; typing with them.
#[test]
fn messages_go_to_a_subset_of_the_devices() {
    let mut s = stage();
    let other = s.w.device("b2", &s.bob.clone());
    s.w.online(&[other]);
    let instance = s.w.instance(other);
    s.bob_prefers(|profile| profile.devices = vec![DeviceChoice { messages: false, ..DeviceChoice::new(instance) }]);
    assert_eq!(s.alice_writes("for one"), 200);
    let bob = s.bob.clone();
    s.w.act(s.a, |phone, now| phone.type_to(now, &bob));
    s.w.settle();
    assert_eq!((s.w.see(s.b).got.len(), s.w.see(other).got.len()), (2, 0));
    // The only device there is none for messages: it waits for the other.
    s.w.disconnect(s.b);
    assert_eq!(s.alice_writes("wait"), 202);
    s.w.disconnect(other);
    s.w.connect(other);
    s.w.online(&[other]);
    assert_eq!((s.w.see(other).got.len(), s.w.waiting(&bob)), (0, 1));
    s.w.connect(s.b);
    s.w.online(&[s.b]);
    assert_eq!((s.w.see(s.b).texts(), s.w.waiting(&bob)), (vec!["for one", "wait"], 0));
}

/// R245, R284, R285 (F3): reports go to the device that sent the message, and to those others that are to get them; after a restart nobody
/// knows any more which device it was, and the choice decides for all.
#[test]
fn reports_go_to_a_subset_of_the_devices() {
    let mut s = stage();
    let (a2, a3) = (s.w.device("a2", &s.alice.clone()), s.w.device("a3", &s.alice.clone()));
    s.w.online(&[a2, a3]);
    let mut preferences = Preferences::default();
    for device in [s.a, a2] {
        preferences.profiles[0].device_mut(&s.w.instance(device)).notifications = false;
    }
    s.w.prefers(&s.alice.clone(), preferences);
    s.alice_writes("who hears of it?");
    let heard = |w: &World| [s.a, a2, a3].map(|device| w.see(device).reported().len());
    assert_eq!(heard(&s.w), [1, 0, 1]);
    s.w.restart(0);
    for device in [s.a, a2, a3, s.b] {
        s.w.connect(device);
        s.w.online(&[device]);
    }
    s.w.act(s.b, |phone, now| phone.read(now));
    s.w.settle();
    assert_eq!(heard(&s.w), [1, 0, 2]);
    assert_eq!(s.w.waiting(&s.alice), 0);
}

/// R059, R318: who withholds read reports has them withheld by the server, whatever the device says.
#[test]
fn read_reports_are_withheld() {
    let mut s = stage();
    s.bob_prefers(|profile| profile.read_reports = false);
    s.alice_writes("have you read this?");
    s.w.act(s.b, |phone, now| phone.read(now));
    s.w.settle();
    assert_eq!(s.w.see(s.b).outcomes(&Method::Message), [200, 200]);
    assert_eq!(s.w.see(s.a).reported().len(), 1);
    assert_eq!(s.w.history(&s.alice, &s.bob)[0].receipt, Receipt::Delivered);
}

/// R244, R075, R077, R078 (F2): an invitation goes to the devices that are to get one, and to none that its inviter is blocked on.
#[test]
fn invitations_go_to_a_subset_of_the_devices() {
    let mut s = stage();
    let other = s.w.device("b2", &s.bob.clone());
    s.w.online(&[other]);
    let instance = s.w.instance(other);
    s.bob_prefers(|profile| profile.devices = vec![DeviceChoice { invitations: false, ..DeviceChoice::new(instance.clone()) }]);
    let bob = s.bob.clone();
    s.w.act(s.a, |phone, now| phone.invite(now, &bob));
    s.w.settle();
    assert_eq!((s.w.see(s.b).ringing.len(), s.w.see(other).ringing.len()), (1, 0));
    let rejected = s.w.see(s.b).ringing[0].1.headers.get(&HeaderName::RejectContact).unwrap().clone();
    assert_eq!(rejected.as_str(), format!("*;+sip.instance=\"<{instance}>\""));
    s.w.act(s.b, |phone, now| phone.answer(now, Status::BUSY_HERE));
    s.w.settle();
    assert_eq!(s.w.see(s.a).outcomes(&Method::Invite), [486]);
    // D2: none of the devices that may be invited is there.
    s.w.disconnect(s.b);
    s.w.act(s.a, |phone, now| phone.invite(now, &bob));
    s.w.settle();
    assert_eq!(s.w.see(s.a).outcomes(&Method::Invite), [486, 480]);
}
