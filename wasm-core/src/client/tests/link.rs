//! Registering, staying registered, coming back, leaving.

use std::time::Duration;

use super::stage::{Registrar, Stage, profile};
use crate::Text;
use crate::client::view::Link;
use crate::client::{Command, Input, Role, Secret};
use crate::cpm::feature::{self, Service};
use crate::sip::digest::{Ha1, Verifier};
use crate::wire::sip::{Contact, Expires, From, Status, To, Via};

/// R001, R004, R005, R007: a device registers its user's address with its identifier, its capabilities and its name.
#[test]
fn a_device_registers_before_anything_else() {
    let stage = Stage::online();
    let [register] = &stage.registers[..] else { panic!("{:?}", stage.registers) };
    assert_eq!(register.uri.to_string(), "sip:tandem.test");
    assert_eq!(register.headers.read::<To>().unwrap().uri.to_string(), "sip:alice@tandem.test");
    assert_eq!(register.headers.read::<From>().unwrap().display.as_deref(), Some("Alice"));
    assert_eq!(register.headers.read::<Via>().unwrap().transport, "WSS", "the socket is one over TLS");
    let contact = register.headers.read::<Contact>().unwrap();
    assert_eq!(contact.addr().unwrap().uri.sip().unwrap().params.value("transport"), Some("ws"));
    assert_eq!(contact.instance(), Some("urn:uuid:00000000-0000-4000-8000-000000000001"));
    let params = &contact.addr().unwrap().params;
    let services: Vec<_> = feature::services(params.value("+g.3gpp.icsi-ref").unwrap()).collect();
    assert_eq!(services, [Service::Pager, Service::Deferred]);
    assert_eq!(params.value("+g.tandem.device-name"), Some("Alice's laptop"));
    assert_eq!(params.value("reg-id"), Some("1"));
}

/// R002, R006: the binding is renewed before it ends.
#[test]
fn a_registration_is_refreshed_in_time() {
    let mut stage = Stage::online();
    stage.advance(Duration::from_secs(600));
    assert_eq!(stage.registers.len(), 2);
    stage.advance(Duration::from_secs(6000));
    assert!((11..=14).contains(&stage.registers.len()), "{}", stage.registers.len());
    assert_eq!(stage.connects, 1);
}

/// R003: signing out removes the binding, then the device is told that it is out; nothing happens after that.
#[test]
fn signing_out_deregisters() {
    let mut stage = Stage::online();
    stage.command(Command::SignOut);
    let last = stage.registers.last().unwrap();
    assert_eq!(last.headers.read::<Expires>(), Some(Expires(0)));
    assert!(stage.signed_out && !stage.open);
    assert_eq!((stage.engine.role(), stage.engine.next_timeout()), (Role::Ended, None));
    stage.sends("bob", "too late");
    assert!(stage.bubbles("bob").is_empty());
}

/// R003: a server that does not answer does not keep anybody from signing out.
#[test]
fn signing_out_does_not_wait_for_ever() {
    let mut stage = Stage::online();
    stage.registrar = Registrar::IsSilent;
    stage.command(Command::SignOut);
    assert!(!stage.signed_out);
    stage.advance(Duration::from_secs(3));
    assert!(stage.signed_out);

    let mut stage = Stage::new();
    stage.reachable = false;
    stage.input(Input::Lead);
    stage.command(Command::SignOut);
    assert!(stage.signed_out);
}

/// R001: without a secret the session's cookie speaks for the device; a challenge means that the session is over.
#[test]
fn a_challenge_without_a_secret_is_the_end_of_the_session() {
    let mut stage = Stage::new();
    stage.registrar = Registrar::Answers(Status::UNAUTHORIZED);
    stage.input(Input::Lead);
    assert!(stage.signed_out && !stage.open);
}

/// R001, R008: a device with a secret answers the challenge.
#[test]
fn a_challenge_is_answered_with_the_password() {
    let registrar = || {
        let ha1 = Ha1::new("alice", "tandem.test", "wonderland");
        Registrar::Challenges(Box::new(Verifier::new("tandem.test", [1; 32])), ha1)
    };
    let mut stage = Stage::with(profile(Some(Secret::Password(Text::from("wonderland")))));
    stage.registrar = registrar();
    stage.input(Input::Lead);
    assert!(stage.engine.view().link().is_online());

    let mut stage = Stage::with(profile(Some(Secret::Password(Text::from("looking-glass")))));
    stage.registrar = registrar();
    stage.input(Input::Lead);
    let Link::Refused(reason) = stage.engine.view().link().clone() else { panic!("{:?}", stage.engine.view().link()) };
    assert_eq!(reason, "The password is wrong.");
    assert!(!stage.signed_out);
    stage.advance(Duration::from_secs(3600));
    assert_eq!(stage.connects, 1, "a wrong password is not tried again and again");
    stage.command(Command::Reconnect);
    assert_eq!(stage.connects, 2);
}

/// R345: within seconds of a message without an answer the link is known to be dead, shown as such, and repaired.
#[test]
fn a_dead_flow_is_noticed_and_replaced() {
    let mut stage = Stage::online();
    stage.pongs = false;
    stage.sends("bob", "are you there?");
    stage.advance(Duration::from_millis(13_900));
    assert_eq!((stage.engine.view().link().is_online(), stage.connects), (true, 1));
    stage.advance(Duration::from_millis(200));
    assert!(matches!(stage.engine.view().link(), Link::Connecting { attempt: 1, retry_at: Some(_) }));
    stage.pongs = true;
    stage.advance(Duration::from_secs(1));
    assert_eq!((stage.engine.view().link().is_online(), stage.connects), (true, 2));
    assert_eq!(stage.received.len(), 1, "what had no answer is sent again");
}

/// R345: a silent but living flow is asked now and then, and kept.
#[test]
fn a_quiet_flow_is_kept_alive() {
    let mut stage = Stage::online();
    stage.advance(Duration::from_secs(3600));
    assert_eq!((stage.engine.view().link().is_online(), stage.connects), (true, 1));
}

/// R346: attempts spread out while there is nobody, and come at once when the network is back or the user looks.
#[test]
fn reconnecting_backs_off_and_hurries_when_there_is_hope() {
    let mut stage = Stage::online();
    stage.reachable = false;
    stage.breaks();
    stage.advance(Duration::from_secs(3600));
    let attempts = stage.connects - 1;
    assert!((60..140).contains(&attempts), "{attempts}");
    let Link::Connecting { retry_at: Some(_), .. } = stage.engine.view().link() else { panic!() };
    stage.input(Input::Network(false));
    assert_eq!(*stage.engine.view().link(), Link::Offline);
    stage.reachable = true;
    stage.input(Input::Network(true));
    assert!(stage.engine.view().link().is_online());
    stage.reachable = false;
    stage.breaks();
    stage.advance(Duration::from_secs(100));
    stage.reachable = true;
    stage.input(Input::Visible(true));
    assert!(stage.engine.view().link().is_online());
}

/// R345: a device that says it has no network is shown offline, and tried all the same, because devices err.
#[test]
fn a_device_that_errs_about_its_network_comes_back() {
    let mut stage = Stage::online();
    stage.input(Input::Network(false));
    assert_eq!(*stage.engine.view().link(), Link::Offline);
    assert!(!stage.open);
    stage.advance(Duration::from_secs(2));
    assert!(stage.engine.view().link().is_online());
}

/// R001: a server in trouble is asked again after a while on the same socket, one that is silent on a new one.
#[test]
fn a_registrar_in_trouble_is_tried_again() {
    let mut stage = Stage::new();
    stage.registrar = Registrar::Answers(Status::SERVICE_UNAVAILABLE);
    stage.input(Input::Lead);
    assert!(matches!(stage.engine.view().link(), Link::Connecting { attempt: 1, retry_at: Some(_) }));
    stage.registrar = Registrar::Grants;
    stage.advance(Duration::from_secs(3));
    assert_eq!((stage.engine.view().link().is_online(), stage.connects), (true, 1));

    let mut stage = Stage::new();
    stage.registrar = Registrar::IsSilent;
    stage.input(Input::Lead);
    stage.advance(Duration::from_secs(30));
    assert!(stage.connects > 1);

    let mut stage = Stage::new();
    stage.registrar = Registrar::Answers(Status::FORBIDDEN);
    stage.input(Input::Lead);
    assert!(matches!(stage.engine.view().link(), Link::Refused(_)));
}
