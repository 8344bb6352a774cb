//! What the Participating Function asks the preferences, and what they answer.
//!
//! Pure: time is handed in, and nothing is remembered. The names in the headings are those of [OMA CPM SD §5.4].

use std::time::Duration;

use super::{DeferredDelivery, DeviceChoice, Expired, InvitationUnavailable, MediaRule, Preferences, Profile, Refusal, Unavailable};
use crate::Time;
use crate::cpm::address::Address;
use crate::cpm::ids::InstanceId;

/// What is to be known of a message.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Its sender, as the network asserts; nobody when they do not say who they are.
    pub from: Option<&'a Address>,
    /// The bytes of its content.
    pub size: u64,
    /// The type of its content.
    pub content_type: &'a str,
}

/// A1: what becomes of a message for an available user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the devices.
    Accept,
    /// It is refused, and its sender is told.
    Reject,
    /// It is dropped, and its sender learns nothing.
    Discard,
    /// It goes to somebody else.
    Redirect(Address),
    /// It waits until then: these are quiet hours.
    Defer(Time),
}

/// A2, A3: what becomes of a message when no device can take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence<'a> {
    /// It waits, and comes to a device in this way.
    Defer(DeferredDelivery),
    /// It lies in the history.
    Store,
    /// It is dropped, and its sender is told.
    Discard,
    /// This service delivers it.
    Interwork(&'a str),
}

/// B: what of a message a device gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptation {
    /// All of it.
    Whole,
    /// A text that says what there is in the history.
    Announced,
}

/// C: what becomes of a deferred message whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is dropped.
    Discard,
    /// It lies in the history.
    Store,
    /// It waits until then.
    Extend(Time),
}

/// E1: what is stored or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A message of its own.
    Message,
    /// A message or file within a session.
    Session,
    /// What belongs to a conversation.
    Conversation,
}

/// F: what devices get or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// F1: messages.
    Message,
    /// F2: invitations to sessions.
    Invitation,
    /// F3: notifications and read reports.
    Notification,
    /// Copies of what another device of the user sent.
    Copy,
}

/// What the first rule about a type says.
fn ruled(rules: &[MediaRule], content_type: &str) -> Option<bool> {
    rules.iter().find(|rule| rule.media.covers(content_type)).map(|rule| rule.allow)
}

impl Preferences {
    /// The profile that is active for a device: the one chosen for it, else the one whose hours these are, else the default.
    pub fn profile(&self, device: Option<&InstanceId>, now: Time) -> &Profile {
        let chosen = device.and_then(|instance| self.active.iter().find(|active| active.instance == *instance));
        let scheduled = || self.schedule.iter().find(|scheduled| scheduled.hours.until(now).is_some());
        let id = chosen.map(|active| &active.profile).or_else(|| scheduled().map(|scheduled| &scheduled.profile));
        // Documents whose references lead nowhere are never taken.
        id.and_then(|id| self.find(id)).or_else(|| self.find(&self.default)).unwrap_or(&self.profiles[0])
    }

    /// F: whether a device gets something, by the profile that is active for it. Who does not say which device they are gets everything.
    pub fn reaches(&self, device: Option<&InstanceId>, delivery: Delivery, now: Time) -> bool {
        let choice = device.and_then(|instance| self.profile(device, now).device(instance));
        choice.is_none_or(|choice| match delivery {
            Delivery::Message => choice.messages,
            Delivery::Invitation => choice.invitations,
            Delivery::Notification => choice.notifications,
            Delivery::Copy => choice.copies,
        })
    }
}

impl Profile {
    /// Whether a sender is on the block list.
    pub fn blocks(&self, sender: &Address) -> bool {
        self.blocked.iter().any(|entry| entry.covers(Some(sender)))
    }

    /// A1.
    pub fn incoming(&self, letter: Letter<'_>, now: Time) -> Verdict {
        let refuse = |refusal: &Refusal| match refusal {
            Refusal::Reject => Verdict::Reject,
            Refusal::Discard => Verdict::Discard,
            Refusal::Redirect(address) => Verdict::Redirect(address.clone()),
        };
        if self.blocked.iter().any(|entry| entry.covers(letter.from)) {
            return refuse(&self.when_blocked);
        }
        if self.largest.is_some_and(|largest| letter.size > largest) {
            return refuse(&self.when_too_large);
        }
        if ruled(&self.accepted_media, letter.content_type) == Some(false) {
            return refuse(&self.when_not_accepted);
        }
        self.quiet_until(now).map_or(Verdict::Accept, Verdict::Defer)
    }

    /// Until when nothing is to disturb, if that is so now: the latest end of the hours that hold.
    pub fn quiet_until(&self, now: Time) -> Option<Time> {
        self.quiet.iter().filter_map(|hours| hours.until(now)).max()
    }

    /// A2 and A3. `services` are those that can be interworked with; where none is, the message is deferred.
    pub fn unavailable(&self, letter: Letter<'_>, services: &[&str]) -> Absence<'_> {
        let defer = || match ruled(&self.deferred_media, letter.content_type) {
            Some(false) => Absence::Discard,
            Some(true) | None => Absence::Defer(self.deferred_delivery),
        };
        match self.when_unavailable {
            Unavailable::Defer => defer(),
            Unavailable::Store => Absence::Store,
            Unavailable::Discard => Absence::Discard,
            Unavailable::Interwork => self.service(services).map_or_else(defer, Absence::Interwork),
        }
    }

    /// The most welcome of the services that there are.
    pub fn service(&self, services: &[&str]) -> Option<&str> {
        self.interworking.iter().find(|service| services.contains(&service.as_str())).map(|service| service.as_str())
    }

    /// D2: the service that delivers an invitation in place of the devices; none when it is rejected.
    pub fn invitation_service(&self, services: &[&str]) -> Option<&str> {
        match self.invitation_when_unavailable {
            InvitationUnavailable::Reject => None,
            InvitationUnavailable::Interwork => self.service(services),
        }
    }

    /// B.
    pub fn adaptation(&self, device: Option<&InstanceId>, letter: Letter<'_>) -> Adaptation {
        let too_much = |choice: &DeviceChoice| {
            choice.largest.is_some_and(|largest| letter.size > largest)
                || choice.text_only && !letter.content_type.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("text/"))
        };
        match device.and_then(|instance| self.device(instance)).is_some_and(too_much) {
            true => Adaptation::Announced,
            false => Adaptation::Whole,
        }
    }

    /// C. Nothing waits longer than the provider lets it: then it is stored.
    pub fn expired(&self, arrived: Time, now: Time, ceiling: Duration) -> Expiry {
        match self.when_expired {
            Expired::Discard => Expiry::Discard,
            Expired::Store => Expiry::Store,
            Expired::Extend => match (now + self.extend_by).min(arrived + ceiling) {
                until if until > now => Expiry::Extend(until),
                _ => Expiry::Store,
            },
        }
    }

    /// D1: whether a medium is accepted or rejected without asking.
    pub fn session_answer(&self, content_type: &str) -> Option<bool> {
        ruled(&self.session_media, content_type)
    }

    /// E1.
    pub fn stores(&self, kept: Kept, content_type: &str) -> bool {
        let kind = match kept {
            Kept::Message => self.store_messages,
            Kept::Session => self.store_sessions,
            Kept::Conversation => self.store_conversations,
        };
        kind && ruled(&self.stored_media, content_type) != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Days, Hours, MediaRange, Party, ProfileId, Scheduled};
    use super::*;
    use crate::Text;

    const NOW: Time = Time(1_763_640_000_000);

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn instance(text: &str) -> InstanceId {
        InstanceId::parse(&Text::from(text)).unwrap()
    }

    fn rule(media: &str, allow: bool) -> MediaRule {
        MediaRule { media: MediaRange::parse(media).unwrap(), allow }
    }

    fn letter<'a>(from: &'a Address, content_type: &'a str) -> Letter<'a> {
        Letter { from: Some(from), size: 100, content_type }
    }

    /// R235: by sender, by size, by type; each refused, dropped or sent on, as the user wants.
    #[test]
    fn what_is_not_wanted_is_refused_as_the_user_wants() {
        let (eve, bob) = (address("sip:eve@tandem.test"), address("sip:bob@tandem.test"));
        let mut profile =
            Profile { largest: Some(100), accepted_media: vec![rule("image/gif", true), rule("image/*", false)], ..Profile::default() };
        profile.blocked.push(Party::Address(eve.clone()));
        assert_eq!(profile.incoming(letter(&bob, "text/plain"), NOW), Verdict::Accept);
        assert_eq!(profile.incoming(letter(&eve, "text/plain"), NOW), Verdict::Reject);
        assert_eq!(profile.incoming(Letter { size: 101, ..letter(&bob, "text/plain") }, NOW), Verdict::Reject);
        assert_eq!(profile.incoming(letter(&bob, "image/png"), NOW), Verdict::Reject);
        assert_eq!(profile.incoming(letter(&bob, "image/gif"), NOW), Verdict::Accept);
        profile.when_blocked = Refusal::Discard;
        profile.when_not_accepted = Refusal::Redirect(address("sip:archive@tandem.test"));
        assert_eq!(profile.incoming(letter(&eve, "image/png"), NOW), Verdict::Discard, "who blocks somebody sends nothing of them on");
        assert_eq!(profile.incoming(letter(&bob, "image/png"), NOW), Verdict::Redirect(address("sip:archive@tandem.test")));
        let nobody = Letter { from: None, ..letter(&bob, "text/plain") };
        assert_eq!(profile.incoming(nobody, NOW), Verdict::Accept);
        profile.blocked.push(Party::Anonymous);
        assert_eq!(profile.incoming(nobody, NOW), Verdict::Discard);
    }

    /// R235: in quiet hours messages wait, but those that nobody wants do not.
    #[test]
    fn in_quiet_hours_messages_wait() {
        let (eve, bob) = (address("sip:eve@tandem.test"), address("sip:bob@tandem.test"));
        let hours = Hours { days: Days::ALL, from: 0, to: 0, offset: 0 };
        let profile = Profile { quiet: vec![hours], blocked: vec![Party::Address(eve.clone())], ..Profile::default() };
        assert_eq!(profile.incoming(letter(&bob, "text/plain"), NOW), Verdict::Defer(hours.until(NOW).unwrap()));
        assert_eq!(profile.incoming(letter(&eve, "text/plain"), NOW), Verdict::Reject);
        assert_eq!(Profile::default().quiet_until(NOW), None);
    }

    /// R236: defer, store, discard, or another service where there is one.
    #[test]
    fn what_comes_while_nobody_is_there() {
        let bob = address("sip:bob@tandem.test");
        let letter = letter(&bob, "text/plain");
        let mut profile = Profile::default();
        assert_eq!(profile.unavailable(letter, &["sms"]), Absence::Defer(DeferredDelivery::Push));
        profile.deferred_delivery = DeferredDelivery::Notify;
        assert_eq!(profile.unavailable(letter, &[]), Absence::Defer(DeferredDelivery::Notify));
        profile.when_unavailable = Unavailable::Store;
        assert_eq!(profile.unavailable(letter, &[]), Absence::Store);
        profile.when_unavailable = Unavailable::Discard;
        assert_eq!(profile.unavailable(letter, &[]), Absence::Discard);
        profile.when_unavailable = Unavailable::Interwork;
        assert_eq!(profile.unavailable(letter, &["sms"]), Absence::Defer(DeferredDelivery::Notify), "none was chosen");
        // R246: in the order of the user's priorities.
        profile.interworking = vec![Text::from("mail"), Text::from("sms")];
        assert_eq!(profile.unavailable(letter, &["sms"]), Absence::Interwork("sms"));
        assert_eq!(profile.unavailable(letter, &["sms", "mail"]), Absence::Interwork("mail"));
    }

    /// R237: what is not worth deferring is dropped.
    #[test]
    fn deferral_goes_by_media_type() {
        let bob = address("sip:bob@tandem.test");
        let profile = Profile { deferred_media: vec![rule("text/*", true), rule("*/*", false)], ..Profile::default() };
        assert_eq!(profile.unavailable(letter(&bob, "text/html"), &[]), Absence::Defer(DeferredDelivery::Push));
        assert_eq!(profile.unavailable(letter(&bob, "video/mp4"), &[]), Absence::Discard);
    }

    /// R238: a device gets what it can show.
    #[test]
    fn a_device_is_spared_what_is_too_much() {
        let (bob, watch) = (address("sip:bob@tandem.test"), instance("urn:uuid:1"));
        let mut profile = Profile::default();
        *profile.device_mut(&watch) = DeviceChoice { largest: Some(100), text_only: true, ..DeviceChoice::new(watch.clone()) };
        assert_eq!(profile.adaptation(Some(&watch), letter(&bob, "Text/plain")), Adaptation::Whole);
        assert_eq!(profile.adaptation(Some(&watch), letter(&bob, "image/png")), Adaptation::Announced);
        assert_eq!(profile.adaptation(Some(&watch), Letter { size: 101, ..letter(&bob, "text/plain") }), Adaptation::Announced);
        assert_eq!(profile.adaptation(None, letter(&bob, "image/png")), Adaptation::Whole);
        assert_eq!(profile.adaptation(Some(&instance("urn:uuid:2")), letter(&bob, "image/png")), Adaptation::Whole);
    }

    /// R239: discard, store, or extend up to the provider's ceiling.
    #[test]
    fn what_waited_too_long() {
        let (hour, ceiling) = (Duration::from_secs(3600), Duration::from_secs(7200));
        let mut profile = Profile { extend_by: hour, when_expired: Expired::Discard, ..Profile::default() };
        assert_eq!(profile.expired(NOW, NOW, ceiling), Expiry::Discard);
        profile.when_expired = Expired::Store;
        assert_eq!(profile.expired(NOW, NOW, ceiling), Expiry::Store);
        profile.when_expired = Expired::Extend;
        assert_eq!(profile.expired(NOW, NOW + hour / 2, ceiling), Expiry::Extend(NOW + hour / 2 + hour));
        assert_eq!(profile.expired(NOW, NOW + hour * 3 / 2, ceiling), Expiry::Extend(NOW + ceiling));
        assert_eq!(profile.expired(NOW, NOW + ceiling, ceiling), Expiry::Store);
    }

    /// R240, R241: media of a session are accepted, rejected or asked about; an invitation that reaches nobody is rejected or interworked.
    #[test]
    fn sessions_are_answered() {
        let mut profile = Profile { session_media: vec![rule("audio/*", true), rule("video/*", false)], ..Profile::default() };
        assert_eq!(["audio/opus", "video/VP8", "message/cpim"].map(|kind| profile.session_answer(kind)), [Some(true), Some(false), None]);
        profile.interworking = vec![Text::from("sms")];
        assert_eq!(profile.invitation_service(&["sms"]), None);
        profile.invitation_when_unavailable = InvitationUnavailable::Interwork;
        assert_eq!((profile.invitation_service(&["sms"]), profile.invitation_service(&[])), (Some("sms"), None));
    }

    /// R242: messages, sessions, conversations and media are stored or not.
    #[test]
    fn storing_is_a_choice() {
        let profile = Profile { store_sessions: false, stored_media: vec![rule("video/*", false)], ..Profile::default() };
        assert!(profile.stores(Kept::Message, "text/plain") && profile.stores(Kept::Conversation, "image/png"));
        assert!(!profile.stores(Kept::Session, "text/plain") && !profile.stores(Kept::Message, "video/mp4"));
    }

    /// R243, R244, R245: each device is reached by what its own profile lets through.
    #[test]
    fn a_subset_of_the_devices_is_reached() {
        let (phone, laptop) = (instance("urn:uuid:1"), instance("urn:uuid:2"));
        let mut preferences = Preferences::default();
        let choice = preferences.profiles[0].device_mut(&laptop);
        (choice.messages, choice.copies) = (false, false);
        let reached = |preferences: &Preferences, device: &InstanceId| {
            [Delivery::Message, Delivery::Invitation, Delivery::Notification, Delivery::Copy]
                .map(|kind| preferences.reaches(Some(device), kind, NOW))
        };
        assert_eq!(reached(&preferences, &phone), [true; 4]);
        assert_eq!(reached(&preferences, &laptop), [false, true, true, false]);
        assert!(preferences.reaches(None, Delivery::Message, NOW));
        let work = preferences.add(&ProfileId::usual(), Text::from("Work")).unwrap();
        preferences.find_mut(&work).unwrap().devices.clear();
        preferences.choose(&laptop, Some(work));
        assert_eq!(reached(&preferences, &laptop), [true; 4]);
    }

    /// R230, R231, R342: the profile chosen for the device, else the one whose time it is, else the default.
    #[test]
    fn one_profile_is_active_for_each_device() {
        let (phone, laptop) = (instance("urn:uuid:1"), instance("urn:uuid:2"));
        let mut preferences = Preferences::default();
        let work = preferences.add(&ProfileId::usual(), Text::from("Work")).unwrap();
        let night = preferences.add(&work, Text::from("Night")).unwrap();
        preferences.choose(&laptop, Some(work.clone()));
        let active = |preferences: &Preferences, device: Option<&InstanceId>| preferences.profile(device, NOW).id.clone();
        assert_eq!(active(&preferences, Some(&laptop)), work);
        assert_eq!(active(&preferences, Some(&phone)), ProfileId::usual());
        assert_eq!(active(&preferences, None), ProfileId::usual());
        preferences.schedule.push(Scheduled { profile: night.clone(), hours: Hours { days: Days::ALL, from: 0, to: 0, offset: 0 } });
        assert_eq!(
            (active(&preferences, Some(&laptop)), active(&preferences, Some(&phone)), active(&preferences, None)),
            (work.clone(), night.clone(), night.clone())
        );
        preferences.choose(&laptop, None);
        assert_eq!(active(&preferences, Some(&laptop)), night);
        preferences.remove(&night);
        preferences.remove(&ProfileId::usual());
        assert_eq!((active(&preferences, None), preferences.profiles.len()), (ProfileId::usual(), 2));
    }

    /// R235: to block a person is to block them in every profile.
    #[test]
    fn a_person_is_blocked_and_unblocked_everywhere() {
        let eve = address("sip:eve@tandem.test");
        let mut preferences = Preferences::default();
        preferences.add(&ProfileId::usual(), Text::from("Work")).unwrap();
        preferences.block(Party::Address(eve.clone()));
        preferences.block(Party::Address(eve.clone()));
        assert!(preferences.blocks(&eve) && preferences.profiles.iter().all(|profile| profile.blocked.len() == 1));
        preferences.unblock(&Party::Address(eve.clone()));
        assert!(!preferences.blocks(&eve));
    }
}
