//! What several profiles and devices together make of a message or an invitation.

use wasm_core::cpm::preferences::{Days, Hours, MediaRange, MediaRule, Party, Refusal as Choice, Unavailable};
use wasm_core::wire::sip::{Method, Params, SipUri, Uri};

use super::*;
use crate::node::Hop;
use crate::sip_core::location::BindingId;

const NOW: Time = Time(1_763_640_000_000);

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn binding(instance: &str) -> Binding {
    Binding {
        id: BindingId(1),
        user: UserId(1),
        aor: Text::default(),
        uri: Uri::Sip(SipUri::new("bob", "phone.invalid")),
        params: Params::new(),
        display: None,
        agent: Text::default(),
        hop: Hop::Udp("192.0.2.1:5060".parse().unwrap()),
        instance: Some(Text::from(instance)),
        reg_id: None,
        path: Vec::new(),
        call_id: Text::default(),
        cseq: 1,
        since: NOW,
        expires_at: NOW,
        kept_until: NOW,
        gruu: false,
        cpm: true,
        plain: false,
    }
}

fn device(instance: &str) -> InstanceId {
    InstanceId::parse(&Text::from(instance)).unwrap()
}

fn letter(from: &Address) -> Letter<'_> {
    Letter { from: Some(from), size: 100, content_type: "text/plain" }
}

/// R235, R253: devices may have profiles of their own; a message is refused only when no device takes it, and goes to those that do.
#[test]
fn a_message_is_welcome_when_one_device_takes_it() {
    let eve = address("sip:eve@tandem.test");
    let devices = [binding("urn:uuid:1"), binding("urn:uuid:2")];
    let mut preferences = Preferences::default();
    let open = preferences.add(&preferences.default.clone(), Text::from("Open")).unwrap();
    preferences.profiles[0].blocked.push(Party::Address(eve.clone()));
    preferences.choose(&device("urn:uuid:2"), Some(open));
    assert!(matches!(course(NOW, &preferences, &devices, letter(&eve)), Course::Deliver { kept: true }));
    assert!(matches!(course(NOW, &preferences, &devices[..1], letter(&eve)), Course::Drop));
    assert!(matches!(course(NOW, &preferences, &[], letter(&eve)), Course::Drop));
    let offered = |instance| offer(NOW, &preferences, Some(&device(instance)), Delivery::Message, Some(letter(&eve)));
    assert_eq!((offered("urn:uuid:1"), offered("urn:uuid:2")), (Offer::Never, Offer::Now));
    assert!(shuts_out(NOW, &preferences, &devices[..1], &eve) && !shuts_out(NOW, &preferences, &devices, &eve));
}

/// R235: who is blocked learns nothing of it, whatever the profile says; who sent too much, or the wrong thing, is told.
#[test]
fn a_blocked_sender_is_not_told() {
    let eve = address("sip:eve@tandem.test");
    let mut preferences = Preferences::default();
    let profile = &mut preferences.profiles[0];
    profile.largest = Some(99);
    profile.accepted_media = vec![MediaRule { media: MediaRange::parse("image/*").unwrap(), allow: false }];
    let refused = |preferences: &Preferences, letter| match course(NOW, preferences, &[], letter) {
        Course::Refuse(refusal) => Some(refusal.status.0),
        _ => None,
    };
    assert_eq!(refused(&preferences, letter(&eve)), Some(413));
    assert_eq!(refused(&preferences, Letter { size: 1, content_type: "image/png", ..letter(&eve) }), Some(415));
    preferences.profiles[0].blocked.push(Party::Address(eve.clone()));
    for choice in [Choice::Reject, Choice::Discard] {
        preferences.profiles[0].when_blocked = choice;
        assert!(matches!(course(NOW, &preferences, &[], letter(&eve)), Course::Drop));
    }
    preferences.profiles[0].when_blocked = Choice::Redirect(address("sip:carol@tandem.test"));
    assert!(matches!(course(NOW, &preferences, &[], letter(&eve)), Course::Redirect(to) if to == address("sip:carol@tandem.test")));
}

/// R231, R236, R243: a user whose registered devices get no messages is as good as away, and the default profile says what then.
#[test]
fn devices_that_get_no_messages_are_not_there() {
    let eve = address("sip:eve@tandem.test");
    let devices = [binding("urn:uuid:1")];
    let mut preferences = Preferences::default();
    preferences.profiles[0].when_unavailable = Unavailable::Store;
    assert!(matches!(course(NOW, &preferences, &devices, letter(&eve)), Course::Deliver { .. }));
    preferences.profiles[0].device_mut(&device("urn:uuid:1")).messages = false;
    assert!(matches!(course(NOW, &preferences, &devices, letter(&eve)), Course::Store));
    preferences.profiles[0].when_unavailable = Unavailable::Discard;
    assert!(matches!(course(NOW, &preferences, &devices, letter(&eve)), Course::Refuse(refusal) if refusal.status.0 == 480));
    preferences.profiles[0].when_unavailable = Unavailable::Interwork;
    preferences.profiles[0].interworking = vec![Text::from("sms")];
    assert!(matches!(course(NOW, &preferences, &devices, letter(&eve)), Course::Deliver { .. }), "nothing interworks yet");
}

/// In quiet hours a device gets nothing yet, but what a device needs no sound for.
#[test]
fn quiet_hours_are_for_messages() {
    let eve = address("sip:eve@tandem.test");
    let hours = Hours { days: Days::ALL, from: 0, to: 0, offset: 0 };
    let mut preferences = Preferences::default();
    preferences.profiles[0].quiet = vec![hours];
    let phone = device("urn:uuid:1");
    let offered = |what, letter| offer(NOW, &preferences, Some(&phone), what, letter);
    assert_eq!(offered(Delivery::Message, Some(letter(&eve))), Offer::At(hours.until(NOW).unwrap()));
    assert_eq!(offered(Delivery::Notification, None), Offer::Now);
    assert!(matches!(course(NOW, &preferences, &[binding("urn:uuid:1")], letter(&eve)), Course::Deliver { kept: true }));
}

/// R075, R244: an invitation is not for devices that their user excludes or that lack the service; who is blocked invites nobody.
#[test]
fn some_devices_are_not_invited() {
    let eve = address("sip:eve@tandem.test");
    let mut able = binding("urn:uuid:1");
    able.params.set_quoted(feature::ICSI_REF, "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session");
    let mut unable = binding("urn:uuid:2");
    unable.params.set_quoted(feature::ICSI_REF, "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg");
    let devices = [able, unable, binding("urn:uuid:3")];
    let mut request = Request::new(Method::Invite, SipUri::new("bob", "tandem.test"));
    assert_eq!(uninvited(NOW, None, &devices, Some(&eve), &request), [] as [Text; 0]);
    let mut accept = AcceptContact::default();
    accept.0.set_quoted(feature::ICSI_REF, "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session");
    accept.0.set_flag("require");
    accept.0.set_flag("explicit");
    request.headers.put(&accept);
    assert_eq!(uninvited(NOW, None, &devices, Some(&eve), &request), ["urn:uuid:2"]);
    let mut preferences = Preferences::default();
    preferences.profiles[0].device_mut(&device("urn:uuid:3")).invitations = false;
    assert_eq!(uninvited(NOW, Some(&preferences), &devices, Some(&eve), &request), ["urn:uuid:2", "urn:uuid:3"]);
    preferences.profiles[0].blocked.push(Party::Address(eve.clone()));
    assert_eq!(uninvited(NOW, Some(&preferences), &devices, Some(&eve), &request).len(), 3);
    assert_eq!(uninvited(NOW, Some(&preferences), &devices, None, &request).len(), 2);
}
