//! The preferences document: what is read back, and what is refused with which words.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Days, DeferredDelivery, Expired, InvitationUnavailable, Refusal, Unavailable};
use super::*;
use crate::cpm::address::Address;

fn document(inside: &str) -> String {
    format!("<preferences xmlns='{XML_NAMESPACE}' default='usual'>{inside}</preferences>")
}

fn refused(inside: &str) -> String {
    Preferences::parse(document(inside).as_bytes()).expect_err(inside).to_string()
}

/// R229, R230: one document holds all; what it leaves out is as it is by default.
#[test]
fn a_document_is_read() {
    let all = document(
        "<active-profiles><active instance='urn:uuid:1' profile='work'/></active-profiles>\
         <schedule><period profile='work' days='mon fri' from='09:00' to='17:00' offset='+01:00'/></schedule>\
         <profile id='usual'/>\
         <profile id='work'><display-name> At work </display-name>\
         <blocked><sender uri='sip:eve@TANDEM.test'/><sender uri='*@spam.example'/></blocked><when-blocked>sip:desk@tandem.test</when-blocked>\
         <accepted-media><media type='video/*'>false</media></accepted-media><remind-every>3600</remind-every>\
         <when-unavailable>interwork</when-unavailable><interworking><service name='sms'/></interworking>\
         <devices><device instance='urn:uuid:1'><messages>0</messages></device></devices>\
         <x:new xmlns:x='urn:x'>of tomorrow</x:new></profile>",
    );
    let preferences = Preferences::parse(format!("\u{feff}<?xml version='1.0'?>{all}").as_bytes()).unwrap();
    assert_eq!(preferences.profiles[0], Profile::default());
    let work = &preferences.profiles[1];
    assert_eq!((&*work.name, work.blocked.len(), work.remind_every), ("At work", 2, Some(Duration::from_secs(3600))));
    assert_eq!(work.when_blocked, Refusal::Redirect(Address::parse("sip:desk@tandem.test").unwrap()));
    assert_eq!((work.when_unavailable, &*work.interworking[0]), (Unavailable::Interwork, "sms"));
    assert!(!work.devices[0].messages && work.devices[0].copies);
    assert_eq!(preferences.schedule[0].hours, Hours { days: Days(0b1_0001), from: 540, to: 1020, offset: 60 });
    assert_eq!(Preferences::parse(&preferences.encode()).unwrap(), preferences);
}

#[test]
fn the_usual_document_says_what_holds_without_one() {
    assert_eq!(Preferences::parse(super::super::USUAL.as_bytes()), Ok(Preferences::default()));
}

/// R232: whoever writes a wrong document is told where it is wrong, and what would be right.
#[test]
fn a_refusal_names_the_place_and_what_is_allowed() {
    for (inside, words) in [
        (
            "<profile id='usual'><when-blocked>shout</when-blocked></profile>",
            "preferences/profile[1]/when-blocked: \"shout\" is not allowed; what is: reject, discard, or an address",
        ),
        ("<profile id='usual'/><profile id='usual'/>", "preferences/profile/@id: there is another \"usual\""),
        ("<profile id='work'/>", "preferences/@default: there is no profile \"usual\""),
        ("<profile/>", "preferences/profile[1]/@id: this is missing"),
        ("", "preferences/profile: this is missing"),
        (
            "<profile id='usual'><colour/></profile>",
            "preferences/profile[1]/colour: this is not known here; known are display-name, blocked",
        ),
        ("<profile id='usual' colour='red'/>", "preferences/profile[1]/@colour: this is not known here; known are id"),
        ("<profile id='usual'><read-reports>maybe</read-reports></profile>", "is not allowed; what is: true or false"),
        (
            "<profile id='usual'><read-reports>true</read-reports><read-reports>true</read-reports></profile>",
            "read-reports: there are more than 1",
        ),
        ("<profile id='usual'>words</profile>", "preferences/profile[1]: \"words\" is not allowed; what is: the elements display-name"),
        (
            "<profile id='usual'><read-reports><b/>true</read-reports></profile>",
            "preferences/profile[1]/read-reports/b: this is not known here; known are none",
        ),
        (
            "<profile id='usual'><quiet-hours><period days='' from='24:00' to='07:00' offset='+00:00'/></quiet-hours></profile>",
            "quiet-hours/period[1]/@from: \"24:00\"",
        ),
        ("<profile id='usual'><extend-by>9</extend-by></profile>", "60 to 31536000"),
        (
            "<profile id='usual'><devices><device instance='urn:uuid:1'/><device instance='urn:uuid:1'/></devices></profile>",
            "there is another \"urn:uuid:1\"",
        ),
        (
            "<profile id='usual'/><active-profiles><active instance='urn:uuid:1' profile='x'/></active-profiles>",
            "active/@profile: there is no profile \"x\"",
        ),
        ("<profile id='usual'><display-name></display-name></profile>", "1 to 64 characters"),
    ] {
        let said = refused(inside);
        assert!(said.contains(words), "{said}\n{words}");
    }
    let many = "<profile id='usual'/>".repeat(17);
    assert_eq!(refused(&many), "preferences/profile: there are more than 16");
    let elsewhere = Preferences::parse(b"<preferences default='usual'><profile id='usual'/></preferences>").unwrap_err();
    assert!(elsewhere.to_string().contains("in the namespace urn:tandem"));
}

/// R232: what is no XML, or too much of it, is refused as such.
#[test]
fn what_is_no_document_is_refused() {
    for text in ["", "<", "<preferences/>x", "<!DOCTYPE preferences [<!ENTITY a 'b'>]><preferences>&a;</preferences>"] {
        assert!(matches!(Preferences::parse(text.as_bytes()), Err(PreferencesError::Xml(_))), "{text}");
    }
    assert!(matches!(Preferences::parse(&[0xff]), Err(PreferencesError::Xml(_))));
    assert!(matches!(Preferences::parse(document(&"<a>".repeat(100)).as_bytes()), Err(PreferencesError::Xml(_))));
    assert!(matches!(Preferences::parse(document(&" ".repeat(MOST_BYTES)).as_bytes()), Err(PreferencesError::Xml(_))));
    let long = "x".repeat(10_000);
    assert!(refused(&format!("<profile id='{long}'/>")).len() < 300, "nothing long is said back");
}

fn any_id() -> impl Strategy<Value = ProfileId> {
    "[a-z0-9._-]{1,8}".prop_map(|text| ProfileId::parse(&text).unwrap())
}

fn any_name() -> impl Strategy<Value = Text> {
    "[ -~é😀]{0,20}[!-~]".prop_map(|text| Text::from(text.trim()))
}

fn any_address() -> impl Strategy<Value = Address> {
    "(sip:[a-z&'\"<>]{1,5}@[a-z]{1,5}|tel:\\+[0-9]{1,9})".prop_filter_map("an address", |text| Address::parse(&text))
}

fn any_party() -> impl Strategy<Value = Party> {
    prop_oneof![
        any_address().prop_map(Party::Address),
        "(\\*@[a-z]{1,5}|tel:\\+[0-9]{1,5}\\*|anonymous)".prop_map(|text| Party::parse(&text).unwrap()),
    ]
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![Just(Refusal::Reject), Just(Refusal::Discard), any_address().prop_map(Refusal::Redirect)]
}

fn any_rules() -> impl Strategy<Value = Vec<MediaRule>> {
    let range = "([a-z]{1,5}/([a-z.+-]{1,5}|\\*)|\\*/\\*)".prop_map(|text| MediaRange::parse(&text).unwrap());
    prop::collection::vec((range, any::<bool>()).prop_map(|(media, allow)| MediaRule { media, allow }), 0..3)
}

fn any_hours() -> impl Strategy<Value = Hours> {
    (0u8..128, 0u16..1440, 0u16..1440, -840i16..=840).prop_map(|(days, from, to, offset)| Hours { days: Days(days), from, to, offset })
}

fn any_devices() -> impl Strategy<Value = Vec<DeviceChoice>> {
    let device = (any::<[bool; 5]>(), prop::option::of(0u64..1 << 40));
    prop::collection::vec(device, 0..3).prop_map(|devices| {
        let choice = |(place, (flags, largest)): (usize, ([bool; 5], Option<u64>))| {
            let instance = InstanceId::parse(&Text::from(format!("urn:uuid:{place}"))).unwrap();
            let [messages, invitations, notifications, copies, text_only] = flags;
            DeviceChoice { instance, messages, invitations, notifications, copies, largest, text_only }
        };
        devices.into_iter().enumerate().map(choice).collect()
    })
}

fn any_word<T: Copy + std::fmt::Debug>(all: &'static [(T, &'static str)]) -> impl Strategy<Value = T> {
    (0..all.len()).prop_map(move |place| all[place].0)
}

fn any_seconds() -> impl Strategy<Value = Duration> {
    (60u64..=31_536_000).prop_map(Duration::from_secs)
}

prop_compose! {
    fn any_profile()(
        (id, name, blocked, refusals) in (any_id(), any_name(), prop::collection::vec(any_party(), 0..4), [any_refusal(), any_refusal(), any_refusal()]),
        rules in [any_rules(), any_rules(), any_rules(), any_rules()],
        words in (any_word(Unavailable::ALL), any_word(DeferredDelivery::ALL), any_word(Expired::ALL), any_word(InvitationUnavailable::ALL)),
        (largest, remind_every, extend_by) in (prop::option::of(0u64..1 << 40), prop::option::of(any_seconds()), any_seconds()),
        (flags, devices) in (any::<[bool; 5]>(), any_devices()),
        (interworking, quiet) in (prop::collection::vec(any_name(), 0..3), prop::collection::vec(any_hours(), 0..3)),
    ) -> Profile {
        let [when_blocked, when_too_large, when_not_accepted] = refusals;
        let [accepted_media, deferred_media, session_media, stored_media] = rules;
        let (when_unavailable, deferred_delivery, when_expired, invitation_when_unavailable) = words;
        let [store_messages, store_sessions, store_conversations, read_reports, hide_address] = flags;
        Profile {
            id, name, blocked, when_blocked, largest, when_too_large, accepted_media, when_not_accepted, when_unavailable, deferred_media,
            deferred_delivery, remind_every, when_expired, extend_by, session_media, invitation_when_unavailable, store_messages,
            store_sessions, store_conversations, stored_media, devices, interworking, quiet, read_reports, hide_address,
        }
    }
}

prop_compose! {
    fn any_preferences()(
        mut profiles in prop::collection::vec(any_profile(), 1..4),
        hours in prop::collection::vec(any_hours(), 0..3),
        active in 0usize..3,
    ) -> Preferences {
        profiles.sort_by(|one, two| one.id.cmp(&two.id));
        profiles.dedup_by(|one, two| one.id == two.id);
        let id = profiles[0].id.clone();
        let instance = |place| InstanceId::parse(&Text::from(format!("urn:uuid:{place}"))).unwrap();
        Preferences {
            default: id.clone(),
            active: (0..active).map(|place| Active { instance: instance(place), profile: id.clone() }).collect(),
            schedule: hours.into_iter().map(|hours| Scheduled { profile: id.clone(), hours }).collect(),
            profiles,
        }
    }
}

proptest! {
    /// R230: what is printed reads back.
    #[test]
    fn every_document_reads_back(preferences in any_preferences()) {
        prop_assert_eq!(Preferences::parse(&preferences.encode()), Ok(preferences));
    }

    /// Whatever a stranger changes in a document, the answer is preferences that hold together or a refusal.
    #[test]
    fn no_change_of_a_document_is_too_strange(preferences in any_preferences(), at in any::<prop::sample::Index>(), piece in "[<>/\"'&;a\u{0}é]{0,3}", length in 0usize..20) {
        let text = String::from_utf8(preferences.encode().to_vec()).unwrap();
        let start = at.index(text.len());
        let mut bytes = text.into_bytes();
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, piece.bytes());
        if let Ok(read) = Preferences::parse(&bytes) {
            prop_assert!(read.check().is_ok());
        }
    }
}
