//! A user's preferences: how communications are handled for them [OMA CPM SD §5.4].
//!
//! They come in profiles, of which one is active for each device, and one is the default where no device is registered. These are the
//! values; [`document`](self::document) is their XML, and [`judgement`](self::judgement) answers what the Participating Function asks
//! them. Nothing here enforces anything: who does also knows the provider's policy.

pub mod clock;
mod document;
mod hours;
mod judgement;
mod value;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::address::Address;
use super::ids::InstanceId;
use crate::Text;
pub use document::{Fault, MEDIA_TYPE, MOST_BYTES, PreferencesError, XML_NAMESPACE};
pub use hours::{Days, Hours};
pub use judgement::{Absence, Adaptation, Delivery, Expiry, Kept, Letter, Verdict};
pub use value::{MediaRange, Party, ProfileId};

/// The document of those who have chosen nothing yet.
pub const USUAL: &str = "<preferences xmlns=\"urn:tandem:params:xml:ns:preferences\" default=\"usual\">\
     <profile id=\"usual\"><display-name>Usual</display-name></profile></preferences>";

/// The most profiles of a user.
pub const MOST_PROFILES: usize = 16;
/// The most senders that a profile blocks.
pub const MOST_BLOCKED: usize = 500;
/// The most of anything else that there may be several of.
pub const MOST: usize = 64;
/// The longest name of a profile, in characters.
pub const LONGEST_NAME: usize = 64;

/// The choices of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// The profile that holds for a device without another, and when no device is registered.
    pub default: ProfileId,
    /// The profiles chosen by hand for a device.
    pub active: Vec<Active>,
    /// When other profiles take the default's place.
    pub schedule: Vec<Scheduled>,
    /// The profiles; never empty, and the default is one of them.
    pub profiles: Vec<Profile>,
}

/// The profile that was chosen for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// The device.
    pub instance: InstanceId,
    /// Its profile.
    pub profile: ProfileId,
}

/// When a profile takes the default's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The profile.
    pub profile: ProfileId,
    /// Its hours.
    pub hours: Hours,
}

/// One set of choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What it is known by.
    pub id: ProfileId,
    /// What its owner calls it.
    pub name: Text,
    /// Senders whose messages are not wanted.
    pub blocked: Vec<Party>,
    /// What becomes of these.
    pub when_blocked: Refusal,
    /// The largest message that is wanted, in bytes.
    pub largest: Option<u64>,
    /// What becomes of a larger one.
    pub when_too_large: Refusal,
    /// Which contents are wanted; what no rule is about is.
    pub accepted_media: Vec<MediaRule>,
    /// What becomes of the others.
    pub when_not_accepted: Refusal,
    /// What becomes of a message when no device can take it.
    pub when_unavailable: Unavailable,
    /// Which contents are worth deferring; what no rule is about is.
    pub deferred_media: Vec<MediaRule>,
    /// How deferred messages come to a device.
    pub deferred_delivery: DeferredDelivery,
    /// After how long somebody who has not fetched them is told of deferred messages again.
    pub remind_every: Option<Duration>,
    /// What becomes of a deferred message whose time is over.
    pub when_expired: Expired,
    /// By how much its time is extended.
    pub extend_by: Duration,
    /// Which media are accepted or rejected in a session without asking; about what no rule is about, the user is asked.
    pub session_media: Vec<MediaRule>,
    /// What becomes of an invitation when no device can take it.
    pub invitation_when_unavailable: InvitationUnavailable,
    /// Whether messages are stored.
    pub store_messages: bool,
    /// Whether sessions are stored.
    pub store_sessions: bool,
    /// Whether whole conversations are stored.
    pub store_conversations: bool,
    /// Which contents are stored; what no rule is about is.
    pub stored_media: Vec<MediaRule>,
    /// Devices for which something differs.
    pub devices: Vec<DeviceChoice>,
    /// Services to interwork with, the most welcome first.
    pub interworking: Vec<Text>,
    /// When messages are to wait.
    pub quiet: Vec<Hours>,
    /// Whether senders may learn what has been read.
    pub read_reports: bool,
    /// Whether the own address is kept from those who are written to.
    pub hide_address: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            id: ProfileId::usual(),
            name: Text::from("Usual"),
            blocked: Vec::new(),
            when_blocked: Refusal::Reject,
            largest: None,
            when_too_large: Refusal::Reject,
            accepted_media: Vec::new(),
            when_not_accepted: Refusal::Reject,
            when_unavailable: Unavailable::Defer,
            deferred_media: Vec::new(),
            deferred_delivery: DeferredDelivery::Push,
            remind_every: None,
            when_expired: Expired::Store,
            extend_by: Duration::from_secs(3 * 24 * 3600),
            session_media: Vec::new(),
            invitation_when_unavailable: InvitationUnavailable::Reject,
            store_messages: true,
            store_sessions: true,
            store_conversations: true,
            stored_media: Vec::new(),
            devices: Vec::new(),
            interworking: Vec::new(),
            quiet: Vec::new(),
            read_reports: true,
            hide_address: false,
        }
    }
}

impl Default for Preferences {
    fn default() -> Self {
        let usual = Profile::default();
        Preferences { default: usual.id.clone(), active: Vec::new(), schedule: Vec::new(), profiles: vec![usual] }
    }
}

/// What becomes of a message that is not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its sender is told.
    Reject,
    /// Its sender is told nothing.
    Discard,
    /// It goes to somebody else.
    Redirect(Address),
}

/// What a rule says of contents of a type; the first rule that is about a type decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRule {
    /// Which types.
    pub media: MediaRange,
    /// Whether they are accepted, deferred or stored: what the list is about.
    pub allow: bool,
}

/// What differs for one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChoice {
    /// The device.
    pub instance: InstanceId,
    /// Whether it gets messages.
    pub messages: bool,
    /// Whether it gets invitations to sessions.
    pub invitations: bool,
    /// Whether it gets notifications and read reports.
    pub notifications: bool,
    /// Whether it gets copies of what other devices of its user send.
    pub copies: bool,
    /// The largest message that it gets whole, in bytes.
    pub largest: Option<u64>,
    /// Whether it gets only texts whole.
    pub text_only: bool,
}

impl DeviceChoice {
    /// A device for which nothing differs yet.
    pub fn new(instance: InstanceId) -> DeviceChoice {
        DeviceChoice { instance, messages: true, invitations: true, notifications: true, copies: true, largest: None, text_only: false }
    }
}

value::words! {
    /// What becomes of a message when no device can take it.
    pub enum Unavailable {
        /// It waits for one.
        Defer = "defer",
        /// It lies in the history, and no device is told of it.
        Store = "store",
        /// It is dropped, and its sender is told.
        Discard = "discard",
        /// Another service delivers it.
        Interwork = "interwork",
    }
}

value::words! {
    /// How deferred messages come to a device that registers.
    pub enum DeferredDelivery {
        /// All of them, at once.
        Push = "push",
        /// Their user is told of them, and chooses.
        Notify = "notify",
    }
}

value::words! {
    /// What becomes of a deferred message whose time is over.
    pub enum Expired {
        /// It is dropped.
        Discard = "discard",
        /// It lies in the history.
        Store = "store",
        /// It waits longer.
        Extend = "extend",
    }
}

value::words! {
    /// What becomes of an invitation when no device can take it.
    pub enum InvitationUnavailable {
        /// It is rejected.
        Reject = "reject",
        /// Another service delivers it.
        Interwork = "interwork",
    }
}

impl Preferences {
    /// Those of everybody who never chose, shared by all of them.
    pub fn usual() -> Arc<Preferences> {
        static USUAL: LazyLock<Arc<Preferences>> = LazyLock::new(Arc::default);
        Arc::clone(&USUAL)
    }

    /// Whether these are [`Preferences::usual`] by being the same in memory, which is quick to find out.
    pub fn is_usual(preferences: &Arc<Preferences>) -> bool {
        Arc::ptr_eq(preferences, &Preferences::usual())
    }

    /// The profile of this identifier.
    pub fn find(&self, id: &ProfileId) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == *id)
    }

    /// The same, to change it.
    pub fn find_mut(&mut self, id: &ProfileId) -> Option<&mut Profile> {
        self.profiles.iter_mut().find(|profile| profile.id == *id)
    }

    /// Whether a sender is blocked in every profile: what a person means by it.
    pub fn blocks(&self, sender: &Address) -> bool {
        self.profiles.iter().all(|profile| profile.blocks(sender))
    }

    /// Blocks a sender in every profile.
    pub fn block(&mut self, sender: Party) {
        for profile in &mut self.profiles {
            if !profile.blocked.contains(&sender) {
                profile.blocked.push(sender.clone());
            }
        }
    }

    /// Takes this entry off the block lists of all profiles.
    pub fn unblock(&mut self, sender: &Party) {
        self.profiles.iter_mut().for_each(|profile| profile.blocked.retain(|entry| entry != sender));
    }

    /// Chooses a profile for a device; with none, the device follows the schedule and the default.
    pub fn choose(&mut self, instance: &InstanceId, profile: Option<ProfileId>) {
        self.active.retain(|active| active.instance != *instance);
        self.active.extend(profile.map(|profile| Active { instance: instance.clone(), profile }));
    }

    /// Adds a copy of a profile under a new name, and gives what it is known by.
    pub fn add(&mut self, like: &ProfileId, name: Text) -> Option<ProfileId> {
        let id = (1..=MOST_PROFILES).find_map(|number| {
            let id = ProfileId::parse(&format!("p{number}"))?;
            self.find(&id).is_none().then_some(id)
        })?;
        let profile = Profile { id: id.clone(), name, ..self.find(like)?.clone() };
        self.profiles.push(profile);
        Some(id)
    }

    /// Removes a profile and what refers to it; the default stays.
    pub fn remove(&mut self, id: &ProfileId) {
        if *id != self.default {
            self.profiles.retain(|profile| profile.id != *id);
            self.active.retain(|active| active.profile != *id);
            self.schedule.retain(|scheduled| scheduled.profile != *id);
        }
    }
}

impl Profile {
    /// What was chosen for a device.
    pub fn device(&self, instance: &InstanceId) -> Option<&DeviceChoice> {
        self.devices.iter().find(|device| device.instance == *instance)
    }

    /// The same, to change it.
    pub fn device_mut(&mut self, instance: &InstanceId) -> &mut DeviceChoice {
        let at = self.devices.iter().position(|device| device.instance == *instance).unwrap_or_else(|| {
            self.devices.push(DeviceChoice::new(instance.clone()));
            self.devices.len() - 1
        });
        &mut self.devices[at]
    }
}
