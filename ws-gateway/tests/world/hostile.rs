//! Stories of those who claim to be somebody else, ask for what is not theirs, or send too much (R317).

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::cpim::{Cpim, CpimAddr};
use wasm_core::wire::imdn::{Delivery, Display, Notification, Report};
use wasm_core::wire::sip::{Contact, From, HeaderName, MaxForwards, Message, Method, Request, Route, SipUri, To, Via};
use ws_gateway::node::{Hop, Input, Transport};

use crate::world::World;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// R017: nobody sends in another user's name, in whichever header they try.
#[test]
fn nobody_speaks_for_somebody_else() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let mallory = w.user("sip:mallory@tandem.test", &[]);
    let (b, m) = (w.device("b", &bob), w.phone("m", &mallory));
    w.online(&[b, m]);
    // The From is hers, and she proves to be Mallory.
    w.act(m, |phone, now| {
        let envelope = Envelope { from: alice.clone(), ..phone.compose(now, &bob, "it is me, alice") };
        phone.post(now, &envelope);
    });
    w.settle();
    assert_eq!(w.see(m).outcomes(&Method::Message), [403]);
    // The asserted identity is hers.
    w.act(m, |phone, now| {
        let mut request = phone.compose(now, &bob, "hello").wrap();
        request.headers.push(HeaderName::PAssertedIdentity, Text::from(format!("<{alice}>")));
        request.headers.push(HeaderName::PPreferredIdentity, Text::from(format!("<{alice}>")));
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(b).got[0].from, mallory);
    // The From within CPIM is hers.
    w.act(m, |phone, now| {
        let envelope = phone.compose(now, &bob, "hello again");
        let mut request = envelope.wrap();
        let cpim = Cpim { from: Some(CpimAddr::new(&alice)), ..envelope.to_cpim() };
        request.body = cpim.encode();
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(m).outcomes(&Method::Message), [403, 200, 403]);
    assert_eq!(w.see(b).texts(), ["hello"]);
}

/// Nor within a dialog, whose route would bring the message past the service.
#[test]
fn a_dialog_is_no_way_around() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let carol = w.user("sip:carol@tandem.test", &[]);
    let (a, b) = (w.phone("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    w.act(a, |phone, now| phone.invite(now, &bob));
    w.settle();
    w.act(b, |phone, now| phone.answer(now, wasm_core::wire::sip::Status::OK));
    w.settle();
    let response = w.see(a).ended.last().unwrap().response.clone().unwrap();
    w.act(a, |phone, now| {
        let mut request = Envelope::new(carol.clone(), bob.clone(), Content::Text("it is me, carol".into())).wrap();
        let routes = response.headers.list::<wasm_core::wire::sip::RecordRoute>().unwrap();
        for route in routes.iter().rev() {
            request.headers.push(HeaderName::Route, route.to_string());
        }
        request.headers.put(&response.headers.read::<To>().unwrap());
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(a).outcomes(&Method::Message), [403]);
    assert!(w.see(b).got.is_empty());
}

/// Who asks to stay unnamed is not named to the devices that ring; a message always has a sender.
#[test]
fn an_anonymous_call_names_nobody() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let (a, b) = (w.device("a", &alice), w.device("b", &bob));
    w.online(&[a, b]);
    for (method, status) in [(Method::Invite, None), (Method::Message, Some(403))] {
        w.act(a, |phone, now| {
            let mut request = Request::new(method.clone(), bob.to_uri());
            request.headers.put(&From::new(SipUri::new("anonymous", "anonymous.invalid")));
            request.headers.put(&To::new(bob.to_uri()));
            request.headers.push(HeaderName::Privacy, "id");
            request.headers.push(HeaderName::ContentType, "text/plain");
            request.body = "x".into();
            phone.send(now, request);
        });
        w.settle();
        assert_eq!(w.see(a).outcomes(&method).last().copied(), status);
    }
    let invitation = &w.see(b).ringing[0].1;
    assert!(!invitation.headers.has(&HeaderName::PAssertedIdentity));
    assert!(!String::from_utf8_lossy(&invitation.to_bytes()).contains("alice"));
}

/// A device registers its own user's addresses and no other.
#[test]
fn nobody_registers_somebody_else() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, mallory) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:mallory@tandem.test", &[]));
    let m = w.device("m", &mallory);
    w.online(&[m]);
    w.act(m, |phone, now| {
        let mut request = Request::new(Method::Register, SipUri::of_host("tandem.test"));
        request.headers.put(&From::new(mallory.to_uri()));
        request.headers.put(&To::new(alice.to_uri()));
        request.headers.put(&Contact::new(SipUri::new("mallory", "m.invalid")));
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(m).outcomes(&Method::Register), [200, 403]);
    assert_eq!(w.bindings(0), 1);
}

/// Only a user's own devices watch the user's registrations (R030).
#[test]
fn nobody_watches_somebody_else() {
    let mut w = World::new(&["tandem.test"]);
    let (alice, mallory) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:mallory@tandem.test", &[]));
    let m = w.device("m", &mallory);
    w.online(&[m]);
    w.act(m, |phone, now| {
        let mut request = Request::new(Method::Subscribe, alice.to_uri());
        request.headers.put(&From::new(mallory.to_uri()));
        request.headers.put(&To::new(alice.to_uri()));
        request.headers.push(HeaderName::Event, "reg");
        request.headers.put(&Contact::new(SipUri::new("mallory", "m.invalid")));
        phone.send(now, request);
    });
    w.settle();
    assert_eq!(w.see(m).outcomes(&Method::Subscribe), [403]);
}

/// A report counts only from somebody who got the message, and only when it was asked for.
#[test]
fn reports_are_not_believed_from_anybody() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@alpha.test", &[]));
    let (mallory, eve) = (w.user("sip:mallory@alpha.test", &[]), w.user("sip:eve@beta.test", &[]));
    let (a, b, m, e) = (w.device("a", &alice), w.device("b", &bob), w.device("m", &mallory), w.device("e", &eve));
    w.online(&[a, m, e]);
    let id = w.act(a, |phone, now| phone.write(now, &bob, "for bob alone"));
    w.settle();
    let report = |from: &Address, report: Report| {
        let notification = Notification::new(id.text().clone(), report);
        Envelope::new(from.clone(), alice.clone(), Content::Notification(notification))
    };
    for liar in [m, e] {
        let from = w.see(liar).address.clone();
        for what in [Report::Delivery(Delivery::Delivered), Report::Display(Display::Displayed), Report::Delivery(Delivery::Failed)] {
            w.act(liar, |phone, now| phone.post(now, &report(&from, what)));
            w.settle();
            assert_eq!(w.see(liar).outcomes(&Method::Message).last(), Some(&403), "{from} {what:?}");
        }
    }
    assert_eq!(w.history(&alice, &bob)[0].receipt, Receipt::Sent);
    assert!(w.see(a).reported().is_empty());
    // Bob may report, but not what nobody asked for.
    w.online(&[b]);
    w.act(a, |phone, now| {
        let mut envelope = phone.compose(now, &bob, "no answer needed");
        envelope.wants = Default::default();
        phone.post(now, &envelope);
    });
    w.settle();
    let unasked = w.see(b).got.last().unwrap().envelope.message_id.clone().unwrap();
    let notification = Notification::new(unasked.text().clone(), Report::Display(Display::Displayed));
    w.act(b, |phone, now| phone.post(now, &Envelope::new(bob.clone(), alice.clone(), Content::Notification(notification))));
    w.settle();
    assert_eq!(w.see(b).outcomes(&Method::Message).last(), Some(&403));
    assert_eq!(w.see(a).reported().len(), 1);
}

/// R317: a report is about the message that its sender got, and not about another of the same identifier to somebody else.
#[test]
fn a_report_touches_nobody_elses_message() {
    let mut w = World::new(&["alpha.test", "beta.test"]);
    let alice = w.user("sip:alice@alpha.test", &[]);
    let bob = w.user("sip:bob@alpha.test", &["tel:+15550101"]);
    let (mallory, eve) = (w.user("sip:mallory@alpha.test", &[]), w.user("sip:eve@beta.test", &[]));
    let (a, m, e) = (w.device("a", &alice), w.device("m", &mallory), w.device("e", &eve));
    w.online(&[a, m, e]);
    let tel = address("tel:+15550101");
    w.act(a, |phone, now| {
        let envelope = phone.compose(now, &bob, "one text for all");
        for to in [&bob, &mallory, &eve, &tel] {
            phone.post(now, &Envelope { to: to.clone(), ..envelope.clone() });
        }
    });
    w.settle();
    for liar in [m, e] {
        w.act(liar, |phone, now| phone.read(now));
        w.settle();
    }
    for (to, receipt) in [(&mallory, Receipt::Displayed), (&eve, Receipt::Displayed), (&bob, Receipt::Sent), (&tel, Receipt::Sent)] {
        assert_eq!(w.history(&alice, to)[0].receipt, receipt, "{to}");
    }
    // Bob himself is believed, whichever of his addresses was written to.
    let b = w.device("b", &bob);
    w.online(&[b]);
    w.act(b, |phone, now| phone.read(now));
    w.settle();
    for to in [&bob, &tel] {
        assert_eq!(w.history(&alice, to)[0].receipt, Receipt::Displayed, "{to}");
    }
}

/// A peer speaks for its own users, not for ours, and may not pass through us to a third.
#[test]
fn a_peer_speaks_for_its_own_users() {
    let mut w = World::new(&["alpha.test", "beta.test", "gamma.test"]);
    let (alice, bob) = (w.user("sip:alice@alpha.test", &[]), w.user("sip:bob@alpha.test", &[]));
    let b = w.device("b", &bob);
    w.online(&[b]);
    let from_beta = |from: &Address, to: &Address, text: &str| {
        let mut request = Envelope::new(from.clone(), to.clone(), Content::Text(Text::from(text))).wrap();
        let mut via = Via::new("UDP", "10.0.1.1", Some(5060));
        via.set_branch(&format!("{}{text}", Via::COOKIE));
        request.headers.put_front(&via);
        let mut tagged = request.headers.read::<From>().unwrap();
        tagged.set_tag("x");
        request.headers.put(&tagged);
        request.headers.push(HeaderName::CallId, text);
        request.headers.push(HeaderName::CSeq, "1 MESSAGE");
        request.headers.put(&MaxForwards(70));
        Input::Received { hop: Hop::Udp("10.0.1.1:5060".parse().unwrap()), transport: Transport::Udp, message: Message::Request(request) }
    };
    w.inject(0, from_beta(&alice, &bob, "ours"));
    w.inject(0, from_beta(&address("sip:carol@beta.test"), &address("sip:dave@gamma.test"), "transit"));
    w.inject(0, from_beta(&address("sip:carol@beta.test"), &bob, "theirs"));
    w.settle();
    assert_eq!(w.see(b).texts(), ["theirs"]);
    let answers: Vec<&str> =
        w.arrows().iter().filter(|arrow| arrow.from == "Core A" && arrow.to == "Core B").map(|arrow| arrow.what.as_str()).collect();
    assert_eq!(&answers[..2], ["403", "403"]);
    assert_eq!(answers[2], "200");
}

/// Somebody on the network who is no peer and no user gets nowhere.
#[test]
fn a_stranger_is_challenged() {
    let mut w = World::new(&["tandem.test"]);
    let bob = w.user("sip:bob@tandem.test", &[]);
    let b = w.device("b", &bob);
    w.online(&[b]);
    let stranger = w.phone("s", &bob);
    for from in ["sip:stranger@elsewhere.test", "sip:bob@tandem.test", "sip:anonymous@anonymous.invalid"] {
        for method in [Method::Message, Method::Invite, Method::Subscribe] {
            w.act(stranger, |phone, now| {
                let mut request = Request::new(method.clone(), bob.to_uri());
                request.headers.put(&From::new(address(from).to_uri()));
                request.headers.put(&To::new(bob.to_uri()));
                request.headers.push(HeaderName::CallId, "x");
                request.headers.push(HeaderName::CSeq, format!("1 {}", method.as_str()));
                request.headers.put(&MaxForwards(70));
                phone.transmit(now, request, true);
            });
            w.settle();
            assert_eq!(w.see(stranger).outcomes(&method).last(), Some(&407), "{from}");
        }
    }
}

/// Too many hops, an unknown extension, a route that leads away, a body too large.
#[test]
fn senseless_requests_are_refused() {
    let mut w = World::with(&["tandem.test"], |config| config.limits.body = 2000);
    let (alice, bob) = (w.user("sip:alice@tandem.test", &[]), w.user("sip:bob@tandem.test", &[]));
    let a = w.device("a", &alice);
    w.online(&[a]);
    let mut refused = |change: &dyn Fn(&mut Request), status: u16| {
        w.act(a, |phone, now| {
            let mut request = phone.compose(now, &bob, "x").wrap();
            let mut from = request.headers.read::<From>().unwrap();
            from.set_tag("y");
            request.headers.put(&from);
            request.headers.push(HeaderName::CallId, format!("call-{status}"));
            request.headers.push(HeaderName::CSeq, "1 MESSAGE");
            request.headers.put(&MaxForwards(70));
            change(&mut request);
            phone.transmit(now, request, true);
        });
        w.settle();
        assert_eq!(w.see(a).outcomes(&Method::Message).last(), Some(&status));
    };
    refused(&|request| request.headers.put(&MaxForwards(0)), 483);
    refused(&|request| request.headers.push(HeaderName::ProxyRequire, "teleport"), 420);
    refused(&|request| request.headers.push(HeaderName::Require, "recipient-list-message"), 420);
    refused(&|request| request.headers.put(&Route::new(SipUri::of_host("elsewhere.test").with_flag("lr"))), 403);
    refused(&|request| request.headers.put(&Route::new(SipUri::new("00ff00ff", "tandem.test").with_flag("lr"))), 430);
    refused(&|request| request.body = vec![b'x'; 2001].into(), 413);
    refused(&|request| request.uri = wasm_core::wire::sip::Uri::parse(&"urn:service:sos".into()).unwrap(), 416);
}
