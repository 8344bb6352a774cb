//! Stories of registration: C.1.

use std::time::Duration;

use wasm_core::Text;
use wasm_core::wire::sip::{
    CSeq, CallId, Contact, Expires, From, HeaderName, Method, PAssociatedUri, Path, Request, Route, ServiceRoute, SipUri, To, Uri,
};
use wasm_core::wire::xml::reginfo::{ContactEvent, ContactState, RegistrationState};

use crate::ladder::Flow;
use crate::world::World;

/// R158, R008, R013, R014, R028-R030: a client registers, the Participating Function hears of it, subscribes and is notified.
#[test]
fn a_client_registers() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let a = w.device("a", &alice);
    w.act(a, |phone, now| phone.register(now, 600));
    w.settle();
    w.ladder(&Flow {
        file: "r158_c_1_1_client_registering",
        title: "C.1.1 CPM Client Registering (R158). Step 1 is challenged, and repeated with credentials.",
        parties: &[("a", "Client A"), ("Core A", "Core A"), ("PF A", "PF A")],
        steps: &[
            (1, "Client A -> Core A: REGISTER"),
            (2, "Core A -> Client A: 200"),
            (3, "Core A -> PF A: REGISTER (third party)"),
            (4, "PF A -> Core A: 200"),
            (5, "PF A -> Core A: SUBSCRIBE (Event: reg)"),
            (6, "Core A -> PF A: 200"),
            (7, "Core A -> PF A: NOTIFY (Event: reg)"),
            (8, "PF A -> Core A: 200"),
        ],
        any_order: false,
    });
    // The second registration finds the subscription in place.
    w.forget();
    w.act(a, |phone, now| phone.register(now, 600));
    w.settle();
    assert_eq!(w.arrows().len(), 2, "{:?}", w.arrows());
}

/// R159: a client watches its user's registrations and sees a second device come and go.
#[test]
fn a_client_sees_a_second_device() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let (a1, a2) = (w.device("a1", &alice), w.device("a2", &alice));
    w.online(&[a1]);
    w.act(a1, |phone, now| phone.watch(now, 3600));
    w.settle();
    w.advance(Duration::from_secs(60));
    w.act(a2, |phone, now| phone.register(now, 600));
    w.settle();
    w.ladder(&Flow {
        file: "r159_c_1_2_1_continuous_update",
        title: "C.1.2.1 One Time Information or Continuous Update on Registered CPM Clients (R159). Step 5 is challenged, and repeated with credentials.",
        parties: &[("a1", "Client A1"), ("a2", "Client A2"), ("Core A", "Core A")],
        steps: &[
            (1, "Client A1 -> Core A: SUBSCRIBE (Event: reg)"),
            (2, "Core A -> Client A1: 200"),
            (3, "Core A -> Client A1: NOTIFY (Event: reg)"),
            (4, "Client A1 -> Core A: 200"),
            (5, "Client A2 -> Core A: REGISTER"),
            (6, "Core A -> Client A2: 200"),
            (7, "Core A -> Client A1: NOTIFY (Event: reg)"),
            (8, "Client A1 -> Core A: 200"),
        ],
        any_order: false,
    });
    let contacts = |w: &World, nth: usize| w.see(a1).notices[nth].registrations[0].contacts.len();
    assert_eq!((contacts(&w, 0), contacts(&w, 1)), (1, 2));
    w.disconnect(a2);
    w.settle();
    let last = &w.see(a1).notices[2].registrations[0];
    assert_eq!(last.state, RegistrationState::Active);
    let ended: Vec<_> = last.contacts.iter().filter(|contact| contact.state == ContactState::Terminated).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].event, ContactEvent::Deactivated);
    let versions: Vec<u32> = w.see(a1).notices.iter().map(|notice| notice.version).collect();
    assert_eq!(versions, [0, 1, 2]);
}

/// R160, R010: a re-registration is answered with all devices of the user.
#[test]
fn a_re_registration_lists_all_devices() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &["tel:+15550100"]);
    let (a1, a2) = (w.device("a1", &alice), w.phone("a2", &alice));
    w.online(&[a1, a2]);
    w.advance(Duration::from_secs(100));
    w.act(a1, |phone, now| phone.register(now, 600));
    w.settle();
    w.ladder(&Flow {
        file: "r160_c_1_2_2_one_time_information",
        title: "C.1.2.2 One time information on registered CPM Clients (R160)",
        parties: &[("a1", "Client A1"), ("Core A", "Core A"), ("PF A", "PF A")],
        steps: &[(1, "Client A1 -> Core A: REGISTER"), (2, "Core A -> Client A1: 200")],
        any_order: false,
    });
    let response = w.see(a1).ended.last().unwrap().response.clone().unwrap();
    let contacts = response.headers.list::<Contact>().unwrap();
    let left: Vec<Option<u32>> = contacts.iter().map(Contact::expires).collect();
    assert_eq!(left, [Some(600), Some(499)]);
    let instances: Vec<&str> = contacts.iter().filter_map(Contact::instance).collect();
    assert_eq!(instances, [w.see(a1).instance.as_str(), w.see(a2).instance.as_str()]);
    // R012: the implicitly registered addresses, and where requests should go.
    let associated = response.headers.list::<PAssociatedUri>().unwrap();
    assert_eq!(associated.iter().map(|uri| uri.uri.to_string()).collect::<Vec<_>>(), ["sip:alice@tandem.test", "tel:+15550100"]);
    assert!(response.headers.read::<ServiceRoute>().is_some());
    assert!(response.headers.get(&HeaderName::Contact).is_some_and(|contact| contact.contains("pub-gruu")));
}

/// R008: who does not know the password learns nothing and gets in nowhere.
#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let nobody = wasm_core::cpm::address::Address::parse("sip:nobody@tandem.test").unwrap();
    let stranger = w.phone("stranger", &nobody);
    let thief = w.phone("thief", &alice);
    w.change(thief, |phone| *phone = crate::phone::Phone::new("thief", &alice, "wrong", 77, Some("10.1.1.2:5060".parse().unwrap())));
    for device in [stranger, thief] {
        w.act(device, |phone, now| phone.register(now, 600));
        w.settle();
        assert_eq!(w.see(device).outcomes(&Method::Register), [401]);
    }
    assert_eq!(w.bindings(0), 0);
}

/// R011, R002, R003: a binding lives until it is ended or not renewed; one on a connection no longer than the connection.
#[test]
fn bindings_end() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let (a1, a2, a3) = (w.device("a1", &alice), w.phone("a2", &alice), w.phone("a3", &alice));
    w.online(&[a1, a2, a3]);
    assert_eq!(w.bindings(0), 3);
    w.act(a2, |phone, now| phone.register(now, 0));
    w.settle();
    assert_eq!(w.bindings(0), 2);
    w.disconnect(a1);
    assert_eq!(w.bindings(0), 1);
    w.advance(Duration::from_secs(601));
    assert_eq!(w.bindings(0), 0);
    // Too short a time is refused.
    w.act(a2, |phone, now| phone.register(now, 5));
    w.settle();
    assert_eq!(w.see(a2).outcomes(&Method::Register).last(), Some(&423));
}

/// R011: the binding of a phone on UDP outlives the node.
#[test]
fn a_phone_stays_registered_over_a_restart() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.phone("b", &bob));
    w.online(&[a, b]);
    w.restart(0);
    w.settle();
    assert_eq!(w.bindings(0), 1);
    w.connect(a);
    w.online(&[a]);
    w.act(a, |phone, now| phone.write(now, &bob, "still there?"));
    w.settle();
    assert_eq!(w.see(b).texts(), ["still there?"]);
    assert_eq!(w.see(a).outcomes(&Method::Message), [200]);
}

/// R011: a phone that refreshes often is written down now and then, and yet a restart at any moment costs it nothing.
#[test]
fn a_phone_that_refreshes_often_stays_registered_over_a_restart() {
    let mut w = World::new(&["tandem.test"]);
    let bob = w.user("sip:bob@tandem.test", &[]);
    let b = w.phone("b", &bob);
    let refresh = |w: &mut World, expires: u32| {
        w.act(b, |phone, now| phone.register(now, expires));
        w.settle();
        w.kept(&bob).len()
    };
    let mut written = std::collections::BTreeSet::new();
    for _ in 0..40 {
        assert_eq!(refresh(&mut w, 3600), 1);
        let kept = w.kept(&bob)[0].expires_at;
        let promised = w.now + Duration::from_secs(3600);
        assert!((promised..=promised + Duration::from_secs(450)).contains(&kept), "never behind what the phone was told, nor far ahead");
        written.insert(kept);
        w.advance(Duration::from_secs(60));
    }
    assert_eq!(written.len(), 5, "forty refreshes in forty minutes");
    // Killed between two writes, an hour after the last refresh but one minute: the phone is still there, and then it is not.
    let last = w.now - Duration::from_secs(60);
    w.restart(0);
    w.advance((last + Duration::from_secs(3599)).since(w.now));
    assert_eq!(w.bindings(0), 1);
    w.advance(Duration::from_secs(451));
    assert_eq!((w.bindings(0), w.kept(&bob).len()), (0, 0));
    // Whatever else changes is written at once: a shorter time, other capabilities, another address.
    refresh(&mut w, 3600);
    refresh(&mut w, 600);
    assert!(w.kept(&bob)[0].expires_at <= w.now + Duration::from_secs(675));
    w.change(b, |phone| phone.manner = crate::phone::Manner::Plain);
    refresh(&mut w, 600);
    assert!(!w.kept(&bob)[0].contact.contains("icsi-ref"));
    // And its end.
    assert_eq!(refresh(&mut w, 0), 0);
}

/// R011: what is acknowledged is on the disk: a phone hears nothing before, and asks again.
#[test]
fn a_registration_is_acknowledged_when_it_is_kept() {
    let mut w = World::new(&["tandem.test"]);
    let bob = w.user("sip:bob@tandem.test", &[]);
    let b = w.phone("b", &bob);
    w.disk(0, false);
    w.act(b, |phone, now| phone.register(now, 600));
    w.advance(Duration::from_secs(5));
    assert_eq!((w.see(b).outcomes(&Method::Register).last(), w.kept(&bob).len()), (None, 0));
    w.disk(0, true);
    w.restart(0);
    w.act(b, |phone, now| phone.register(now, 600));
    w.settle();
    assert_eq!((w.see(b).outcomes(&Method::Register).last(), w.kept(&bob).len()), (Some(&200), 1));
}

/// R009: a device that comes over another transport is not found at its old address after a restart.
#[test]
fn a_device_leaves_its_old_address() {
    let mut w = World::new(&["tandem.test"]);
    let bob = w.user("sip:bob@tandem.test", &[]);
    let (datagrams, connection) = (w.phone("b", &bob), w.device("b over TCP", &bob));
    let instance = w.see(datagrams).instance.clone();
    w.change(connection, |phone| phone.instance = instance);
    w.online(&[datagrams]);
    assert_eq!((w.bindings(0), w.kept(&bob).len()), (1, 1));
    w.online(&[connection]);
    assert_eq!((w.bindings(0), w.kept(&bob).len()), (1, 0));
}

/// R008: whom the session's cookie signs in need not prove itself again.
#[test]
fn a_session_is_not_challenged() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    let user = w.user_id(&alice);
    w.connect_as(a, Some(user));
    w.act(a, |phone, now| phone.register(now, 600));
    w.settle();
    let client: Vec<&str> = w.arrows().iter().filter(|arrow| arrow.to == "a").map(|arrow| arrow.what.as_str()).collect();
    assert_eq!(client, ["200"]);
    // In nobody else's name, though.
    let b = w.device("b", &bob);
    w.connect_as(b, Some(user));
    w.act(b, |phone, now| phone.register(now, 600));
    w.settle();
    assert!(w.arrows().iter().any(|arrow| arrow.to == "b" && arrow.what == "401"));
}

/// The public or the temporary GRUU that a device was given when it registered last.
fn gruu(phone: &crate::phone::Phone, name: &str) -> Uri {
    let response = phone.ended.iter().rev().find(|ended| ended.method == Method::Register).unwrap().response.clone().unwrap();
    let own = response.headers.list::<Contact>().unwrap().into_iter().find(|contact| contact.instance() == Some(&phone.instance)).unwrap();
    Uri::parse(&Text::from(own.addr().unwrap().params.value(name).unwrap())).unwrap()
}

/// RFC 5627: a GRUU leads to one device, and stays what it is when the device comes back over another connection.
#[test]
fn a_gruu_leads_to_one_device() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b1, b2) = (w.device("a", &alice), w.device("b1", &bob), w.device("b2", &bob));
    w.online(&[a, b1, b2]);
    let gruus = ["pub-gruu", "temp-gruu"].map(|name| gruu(w.see(b1), name));
    w.disconnect(b1);
    w.connect(b1);
    w.online(&[b1]);
    for (nth, gruu) in gruus.into_iter().enumerate() {
        w.act(a, |phone, now| phone.invite_to(now, &bob, gruu.clone()));
        w.settle();
        assert_eq!((w.see(b1).ringing.len(), w.see(b2).ringing.len()), (nth + 1, 0), "{gruu}");
    }
    // A temporary one that nobody gave out leads nowhere.
    let forged = Uri::parse(&"sip:tgruu.00112233445566778899@tandem.test;gr".into()).unwrap();
    w.act(a, |phone, now| phone.invite_to(now, &bob, forged));
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Invite), [404]);
}

/// RFC 5627: so does a message, which waits for that device when it is away.
#[test]
fn a_message_to_a_gruu_goes_to_one_device() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@alpha.test", &[]));
    let carol = w.user("sip:carol@beta.test", &[]);
    let (a, b1, b2, c) = (w.device("a", &alice), w.device("b1", &bob), w.device("b2", &bob), w.device("c", &carol));
    w.online(&[a, b1, b2, c]);
    let (public, temporary) = (gruu(w.see(b1), "pub-gruu"), gruu(w.see(b1), "temp-gruu"));
    let write = |w: &mut World, from, gruu: &Uri, text: &str| {
        w.act(from, |phone, now| {
            let mut request = phone.compose(now, &bob, text).wrap();
            request.uri = gruu.clone();
            phone.send(now, request);
        });
        w.settle();
        w.see(from).outcomes(&Method::Message)
    };
    assert_eq!(write(&mut w, a, &public, "one"), [200]);
    assert_eq!(write(&mut w, a, &temporary, "two"), [200, 200]);
    assert_eq!(write(&mut w, c, &public, "three"), [200]);
    w.disconnect(b1);
    assert_eq!(write(&mut w, a, &public, "four"), [200, 200, 202]);
    // The other device reads the queue anew and leaves it.
    w.disconnect(b2);
    w.connect(b2);
    w.online(&[b2]);
    assert_eq!((w.see(b2).texts(), w.waiting(&bob)), (vec![], 1));
    w.connect(b1);
    w.online(&[b1]);
    assert_eq!(w.see(b1).texts(), ["one", "two", "three", "four"]);
    assert_eq!(w.waiting(&bob), 0);
}

fn register(phone: &crate::phone::Phone, call_id: &str, cseq: u32, contact: Option<SipUri>, expires: u32) -> Request {
    let own = phone.address.to_uri();
    let mut request = Request::new(Method::Register, SipUri::of_host("tandem.test"));
    request.headers.put(&From::new(own.clone()));
    request.headers.put(&To::new(own));
    request.headers.put(&CallId(Text::from(call_id)));
    request.headers.put(&CSeq::new(cseq, Method::Register));
    if let Some(contact) = contact {
        request.headers.put(&Contact::new(contact));
    }
    request.headers.put(&Expires(expires));
    request
}

/// R009-R011: what RFC 3261 §10.3 asks of a registrar besides.
#[test]
fn the_registrar_keeps_its_order() {
    let mut w = World::with(&["tandem.test"], |config| config.limits.bindings_per_user = 2);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let a = w.device("a", &alice);
    let user = w.user_id(&alice);
    w.connect_as(a, Some(user));
    let contact = |host: &str| Some(SipUri::new("alice", host));
    let mut ask = |call_id: &str, cseq: u32, contact: Option<SipUri>, expires: u32, star: bool| {
        w.act(a, |phone, now| {
            let mut request = register(phone, call_id, cseq, contact, expires);
            if star {
                request.headers.push(HeaderName::Contact, "*");
            }
            phone.send(now, request);
        });
        w.settle();
        let ended = w.see(a).ended.last().unwrap();
        (ended.status.0, ended.response.as_ref().unwrap().headers.list::<Contact>().map_or(0, |contacts| contacts.len()))
    };
    assert_eq!(ask("one", 1, contact("a.invalid"), 600, false), (200, 1));
    // The same again is a second registration of the same contact; an older one is refused.
    assert_eq!(ask("one", 2, contact("a.invalid"), 600, false), (200, 1));
    assert_eq!(ask("one", 1, contact("a.invalid"), 600, false).0, 500);
    assert_eq!(ask("two", 1, contact("b.invalid"), 600, false), (200, 2));
    assert_eq!(ask("three", 1, contact("c.invalid"), 600, false).0, 403);
    // Only asking changes nothing.
    assert_eq!(ask("four", 1, None, 600, false), (200, 2));
    assert_eq!(ask("two", 2, contact("b.invalid"), 0, false), (200, 1));
    // The star ends all, and only with Expires 0.
    assert_eq!(ask("five", 1, None, 600, true).0, 400);
    assert_eq!(ask("five", 2, None, 0, true), (200, 0));
    assert_eq!(w.bindings(0), 0);
}

/// RFC 3327: requests to a device pass the proxies that its registration came over.
#[test]
fn a_path_is_kept() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a]);
    w.act(b, |phone, now| {
        let mut request = register(phone, "with-path", 1, Some(SipUri::new("bob", "b.invalid")), 600);
        request.headers.put(&Path::new(SipUri::of_host("edge.tandem.example").with_flag("lr")));
        request.headers.push(HeaderName::Supported, "path");
        phone.send(now, request);
    });
    w.settle();
    let response = w.see(b).ended.last().unwrap().response.clone().unwrap();
    assert_eq!(response.headers.list::<Path>().unwrap().len(), 1);
    w.act(a, |phone, now| phone.write(now, &bob, "through the edge"));
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    let routes = |request: &Request| request.headers.list::<Route>().unwrap().iter().map(|route| route.uri.to_string()).collect::<Vec<_>>();
    assert_eq!(routes(&w.see(b).got[0].request), ["sip:edge.tandem.example;lr"]);
    assert_eq!(routes(&w.see(b).ringing[0].1), ["sip:edge.tandem.example;lr"]);
}

/// Anybody may ask whether the node is alive.
#[test]
fn options_need_no_password() {
    let mut w = World::new(&["tandem.test"]);
    let alice = w.user("sip:alice@tandem.test", &[]);
    let a = w.phone("a", &alice);
    w.act(a, |phone, now| {
        let mut request = Request::new(Method::Options, SipUri::of_host("tandem.test"));
        request.headers.put(&From::new(SipUri::new("probe", "elsewhere.test")));
        request.headers.put(&To::new(SipUri::of_host("tandem.test")));
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Options), [200]);
}
