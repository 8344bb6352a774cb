//! The devices of all users in memory, and what the provider allows of them.
//!
//! What changes is first a [`Plan`], then written as its [`writes`](Plan::writes), then [`done`](Devices::done): memory never knows what
//! the store does not. Only when a device was last seen lives ahead of the store, and is written now and then ([`Devices::overdue`]).
//! A device with a session of its own is forgotten when it is signed out; a native client, which has the account's secret, is kept and
//! barred until its owner allows it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use wasm_core::cpm::device::{self, Access, Change, Device, Kind, Listed, Origin};
use wasm_core::cpm::ids::InstanceId;
use wasm_core::{Text, Time};

use crate::node::{Admission, Seen, Sighting};
use crate::store::{Document, DocumentKind, Expect, Unit, UserId, Write};

/// How long what is known of the last time may be ahead of the store.
const WRITTEN_EVERY: Duration = Duration::from_secs(3600);
/// What was not seen for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);
/// So many devices of one user are kept at most beyond those that count: barred ones.
const MOST_BARRED: usize = 32;
/// So many capabilities are kept, each of so many bytes.
const MOST_CAPABILITIES: usize = 16;
const LONGEST_TEXT: usize = 128;

/// Which devices may be the Primary Device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Primaries {
    /// SIP clients, of which a phone is one.
    #[default]
    Phones,
    /// Browsers as well.
    Any,
}

/// What the provider allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Which devices may be the Primary Device.
    pub primary: Primaries,
    /// How many Secondary Devices a user may have.
    pub secondaries: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { primary: Primaries::Phones, secondaries: 16 }
    }
}

/// A device as its user sees it in the list.
#[derive(Debug)]
struct Kept {
    device: Arc<Device>,
    online: bool,
    /// What the store knows of `last_seen`.
    written: Time,
}

/// A device that wants to be its user's.
#[derive(Clone, Debug)]
pub struct Newcomer {
    pub instance: InstanceId,
    pub name: Text,
    pub platform: Text,
    pub origin: Origin,
}

/// Why something cannot be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The user has no such device.
    Unknown,
    /// The user has as many Secondary Devices as there may be.
    Full,
    /// The provider does not let this device be the Primary Device.
    NotPrimary,
    /// The name is none.
    BadName,
}

/// What is to become of a user's devices: to be written, and then done.
#[derive(Clone, Debug)]
#[must_use]
pub struct Plan {
    user: UserId,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Keep(Device),
    /// Its sessions end; barred it stays.
    Bar(Device),
    Drop(InstanceId),
}

impl Plan {
    /// What the store is to be told.
    pub fn writes(&self) -> Vec<Write> {
        let user = self.user;
        let close = |instance: &InstanceId| Write::CloseSessions { user, instance: instance.clone() };
        self.steps
            .iter()
            .flat_map(|step| match step {
                Step::Keep(device) => vec![put(user, device)],
                Step::Bar(device) => vec![close(&device.instance), put(user, device)],
                Step::Drop(instance) => vec![close(instance), drop_document(user, instance)],
            })
            .collect()
    }

    /// The name of the device that it is about.
    pub fn name(&self) -> Option<&Text> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Keep(device) => Some(&device.name),
            Step::Bar(_) | Step::Drop(_) => None,
        })
    }

    /// The devices that are signed out by it.
    pub fn signed_out(&self) -> impl Iterator<Item = &InstanceId> {
        self.steps.iter().filter_map(|step| match step {
            Step::Keep(_) => None,
            Step::Bar(device) => Some(&device.instance),
            Step::Drop(instance) => Some(instance),
        })
    }
}

fn put(user: UserId, device: &Device) -> Write {
    let body = Bytes::from(serde_json::to_vec(device).unwrap_or_default());
    Write::PutDocument { user, kind: DocumentKind::Device, name: device.instance.text().clone(), body, expect: Expect::Any }
}

fn drop_document(user: UserId, instance: &InstanceId) -> Write {
    Write::DropDocument { user, kind: DocumentKind::Device, name: instance.text().clone(), expect: Expect::Any }
}

/// The devices of all users.
#[derive(Debug, Default)]
pub struct Devices {
    policy: Policy,
    users: Mutex<HashMap<UserId, Vec<Kept>>>,
}

impl Devices {
    /// Those that the store has. What cannot be read is as good as not there.
    pub fn new(policy: Policy, documents: Vec<Document>) -> Devices {
        let mut users: HashMap<UserId, Vec<Kept>> = HashMap::new();
        for document in documents {
            let Ok(device) = serde_json::from_slice::<Device>(&document.body) else { continue };
            let written = device.last_seen;
            users.entry(document.user).or_default().push(Kept { device: Arc::new(device), online: false, written });
        }
        Devices { policy, users: Mutex::new(users) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Kept>>> {
        // An entry is whole between any two statements.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the provider allows.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// One device of a user.
    pub fn get(&self, user: UserId, instance: &InstanceId) -> Option<Arc<Device>> {
        self.lock().get(&user)?.iter().find(|kept| kept.device.instance == *instance).map(|kept| kept.device.clone())
    }

    /// A user's devices as one of them lists them.
    pub fn list(&self, user: UserId, this: &InstanceId) -> Vec<Listed> {
        let users = self.lock();
        let kept = users.get(&user).map_or(&[][..], Vec::as_slice);
        let mut listed: Vec<Listed> = kept
            .iter()
            .map(|kept| Listed {
                device: (*kept.device).clone(),
                this: kept.device.instance == *this,
                online: kept.online,
                may_be_primary: self.may_be_primary(&kept.device),
            })
            .collect();
        listed.sort_by(|one, other| {
            let rank = |listed: &Listed| (listed.device.kind == Kind::Secondary, listed.device.created);
            rank(one).cmp(&rank(other)).then_with(|| one.device.instance.cmp(&other.device.instance))
        });
        listed
    }

    fn may_be_primary(&self, device: &Device) -> bool {
        !device.barred && (device.is_native() || self.policy.primary == Primaries::Any)
    }

    /// Whether a device may register.
    pub fn admission(&self, user: UserId, instance: &InstanceId) -> Admission {
        let users = self.lock();
        let kept = users.get(&user).map_or(&[][..], Vec::as_slice);
        match kept.iter().find(|kept| kept.device.instance == *instance) {
            Some(kept) if kept.device.barred => Admission::Barred,
            Some(_) => Admission::Welcome,
            None if role(kept) == Kind::Primary => Admission::Welcome,
            None if self.has_room(kept) => Admission::Welcome,
            None => Admission::Full,
        }
    }

    /// Whether there may be one Secondary Device more.
    fn has_room(&self, kept: &[Kept]) -> bool {
        let counted = kept.iter().filter(|kept| !kept.device.barred && kept.device.kind == Kind::Secondary).count();
        counted < self.policy.secondaries && kept.len() < self.policy.secondaries.saturating_add(MOST_BARRED)
    }

    /// A device is to be one of a user's, as a Secondary Device. With `replace`, the Secondary Device that was not seen for the longest time
    /// makes room where there is none.
    pub fn enrol(&self, now: Time, user: UserId, newcomer: Newcomer, replace: bool) -> Result<Plan, Trouble> {
        let users = self.lock();
        let kept = users.get(&user).map_or(&[][..], Vec::as_slice);
        let known = kept.iter().find(|kept| kept.device.instance == newcomer.instance).map(|kept| &kept.device);
        let mut steps = Vec::new();
        let counts = known.is_some_and(|known| !known.barred);
        if !counts && !self.has_room(kept) {
            let idle = kept.iter().filter(|kept| !kept.device.barred && kept.device.kind == Kind::Secondary);
            let idle = idle.min_by_key(|kept| (kept.online, kept.device.last_seen)).filter(|_| replace);
            steps.push(dismissal(&idle.ok_or(Trouble::Full)?.device));
        }
        let Newcomer { instance, name, platform, origin } = newcomer;
        let name = device::name(&name).or_else(|| device::name(&platform)).unwrap_or_else(|| "?".into());
        steps.push(Step::Keep(Device {
            name,
            kind: known.filter(|_| counts).map_or(Kind::Secondary, |known| known.kind),
            platform: short(&platform),
            origin,
            created: known.map_or(now, |known| known.created),
            last_seen: now,
            capabilities: known.map_or_else(Vec::new, |known| known.capabilities.clone()),
            barred: false,
            instance,
        }));
        Ok(Plan { user, steps })
    }

    /// Something about a device is to be different.
    pub fn change(&self, user: UserId, instance: &InstanceId, change: &Change) -> Result<Plan, Trouble> {
        let users = self.lock();
        let kept = users.get(&user).map_or(&[][..], Vec::as_slice);
        let device = kept.iter().find(|kept| kept.device.instance == *instance).ok_or(Trouble::Unknown)?;
        let mut device = (*device.device).clone();
        let mut steps = Vec::new();
        if let Some(name) = &change.name {
            device.name = device::name(name).ok_or(Trouble::BadName)?;
        }
        if change.access == Some(Access::Allowed) && device.barred {
            if !self.has_room(kept) {
                return Err(Trouble::Full);
            }
            device.barred = false;
        }
        match change.kind {
            Some(Kind::Primary) if device.kind != Kind::Primary => {
                if !self.may_be_primary(&device) {
                    return Err(Trouble::NotPrimary);
                }
                // The two change places, so that the number of Secondary Devices stays; where there was none, it becomes smaller.
                let others = kept.iter().filter(|kept| kept.device.kind == Kind::Primary);
                steps.extend(others.map(|kept| Step::Keep(Device { kind: Kind::Secondary, ..(*kept.device).clone() })));
                device.kind = Kind::Primary;
            }
            Some(Kind::Secondary) if device.kind == Kind::Primary => {
                if !self.has_room(kept) {
                    return Err(Trouble::Full);
                }
                device.kind = Kind::Secondary;
            }
            Some(_) | None => {}
        }
        if change.access == Some(Access::Barred) && !device.barred {
            steps.push(bar(device));
        } else {
            steps.push(Step::Keep(device));
        }
        Ok(Plan { user, steps })
    }

    /// A device is to be signed out by its owner.
    pub fn dismiss(&self, user: UserId, instance: &InstanceId) -> Result<Plan, Trouble> {
        let device = self.get(user, instance).ok_or(Trouble::Unknown)?;
        Ok(Plan { user, steps: vec![dismissal(&device)] })
    }

    /// A plan is durable.
    pub fn done(&self, plan: Plan) {
        let mut users = self.lock();
        let kept = users.entry(plan.user).or_default();
        for step in plan.steps {
            match step {
                Step::Keep(device) | Step::Bar(device) => put_into(kept, device),
                Step::Drop(instance) => kept.retain(|kept| kept.device.instance != instance),
            }
        }
        if kept.is_empty() {
            users.remove(&plan.user);
        }
    }

    /// A device has shown itself.
    pub fn seen(&self, now: Time, user: UserId, instance: &InstanceId) {
        if let Some(kept) = find(&mut self.lock(), user, instance) {
            see(kept, now);
        }
    }

    /// What the node has seen of a device. A native client's first registration makes it one of its user's devices: that is to be written.
    pub fn sighted(&self, now: Time, sighting: Sighting) -> Option<Write> {
        let Sighting { user, instance, seen } = sighting;
        let mut users = self.lock();
        let known = find(&mut users, user, &instance);
        match (seen, known) {
            (Seen::Registered { capabilities, .. }, Some(kept)) => {
                kept.online = true;
                let capabilities = listed(capabilities);
                see(kept, now);
                if kept.device.capabilities == capabilities {
                    return None;
                }
                let device = Arc::make_mut(&mut kept.device);
                device.capabilities = capabilities;
                kept.written = now;
                Some(put(user, device))
            }
            (Seen::Registered { name, agent, capabilities }, None) => {
                let kept = users.entry(user).or_default();
                let kind = role(kept);
                if kind == Kind::Secondary && !self.has_room(kept) {
                    return None;
                }
                let name = name.as_deref().and_then(device::name).or_else(|| device::name(&agent));
                let device = Device {
                    instance,
                    name: name.unwrap_or_else(|| "SIP".into()),
                    kind,
                    platform: short(&agent),
                    origin: Origin::Registration,
                    created: now,
                    last_seen: now,
                    capabilities: listed(capabilities),
                    barred: false,
                };
                let write = put(user, &device);
                kept.push(Kept { device: Arc::new(device), online: true, written: now });
                Some(write)
            }
            (Seen::Refreshed, Some(kept)) => {
                kept.online = true;
                see(kept, now);
                None
            }
            (Seen::Left { signed_off }, Some(kept)) => {
                kept.online = false;
                see(kept, now);
                kept.written = if signed_off { now } else { kept.written };
                signed_off.then(|| put(user, &kept.device))
            }
            (Seen::Refreshed | Seen::Left { .. }, None) => None,
        }
    }

    /// What the store should hear of by now: devices seen since it was told (with `all`, however short ago), and those to be forgotten. A
    /// unit for each user; of a user who does not exist any more nothing is kept.
    pub fn overdue(&self, now: Time, all: bool, exists: impl Fn(UserId) -> bool) -> Vec<Unit> {
        let mut units = Vec::new();
        self.lock().retain(|&user, kept| {
            if !exists(user) {
                return false;
            }
            let mut writes = Vec::new();
            kept.retain_mut(|kept| {
                let device = &kept.device;
                if !kept.online && now.since(device.last_seen) >= FORGOTTEN_AFTER {
                    writes.push(Write::CloseSessions { user, instance: device.instance.clone() });
                    writes.push(drop_document(user, &device.instance));
                    return false;
                }
                if device.last_seen > kept.written && (all || now.since(kept.written) >= WRITTEN_EVERY) {
                    kept.written = device.last_seen;
                    writes.push(put(user, device));
                }
                true
            });
            if !writes.is_empty() {
                units.push(Unit(writes));
            }
            !kept.is_empty()
        });
        units
    }
}

/// The role of a native client that comes now: the first is the phone with the number.
fn role(kept: &[Kept]) -> Kind {
    if kept.iter().any(|kept| kept.device.kind == Kind::Primary) { Kind::Secondary } else { Kind::Primary }
}

fn dismissal(device: &Device) -> Step {
    if device.is_native() { bar(device.clone()) } else { Step::Drop(device.instance.clone()) }
}

fn bar(device: Device) -> Step {
    Step::Bar(Device { barred: true, kind: Kind::Secondary, ..device })
}

fn find<'a>(users: &'a mut HashMap<UserId, Vec<Kept>>, user: UserId, instance: &InstanceId) -> Option<&'a mut Kept> {
    users.get_mut(&user)?.iter_mut().find(|kept| kept.device.instance == *instance)
}

fn see(kept: &mut Kept, now: Time) {
    if now > kept.device.last_seen {
        Arc::make_mut(&mut kept.device).last_seen = now;
    }
}

fn put_into(kept: &mut Vec<Kept>, device: Device) {
    let written = device.last_seen;
    match kept.iter_mut().find(|kept| kept.device.instance == device.instance) {
        Some(kept) => {
            let last_seen = kept.device.last_seen.max(device.last_seen);
            kept.online &= !device.barred;
            kept.written = written;
            kept.device = Arc::new(Device { last_seen, ..device });
        }
        None => kept.push(Kept { device: Arc::new(device), online: false, written }),
    }
}

/// A text of a client's, no longer than is kept.
fn short(text: &str) -> Text {
    Text::from(text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect::<String>())
}

fn listed(capabilities: Vec<Text>) -> Vec<Text> {
    capabilities.iter().take(MOST_CAPABILITIES).map(|text| short(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: UserId = UserId(1);

    fn instance(name: &str) -> InstanceId {
        InstanceId::parse(&Text::from(format!("urn:uuid:{name}"))).unwrap()
    }

    fn browser(name: &str) -> Newcomer {
        Newcomer { instance: instance(name), name: name.into(), platform: "Firefox on Linux".into(), origin: Origin::Password }
    }

    fn registered(name: &str) -> Sighting {
        let seen = Seen::Registered { name: Some(name.into()), agent: "Phone/1".into(), capabilities: vec!["cpm".into()] };
        Sighting { user: ALICE, instance: instance(name), seen }
    }

    fn enrolled(devices: &Devices, now: u64, name: &str) {
        let plan = devices.enrol(Time(now), ALICE, browser(name), false).unwrap();
        devices.done(plan);
    }

    fn names(devices: &Devices) -> Vec<(String, Kind)> {
        let list = devices.list(ALICE, &instance("pc"));
        list.into_iter().map(|listed| (listed.device.name.to_string(), listed.device.kind)).collect()
    }

    /// R303, R313: the first phone is the Primary Device, everything else is Secondary, and there are only so many of them.
    #[test]
    fn one_primary_and_so_many_secondaries() {
        let devices = Devices::new(Policy { secondaries: 2, ..Policy::default() }, Vec::new());
        enrolled(&devices, 1, "pc");
        assert!(devices.sighted(Time(2), registered("phone")).is_some());
        assert!(devices.sighted(Time(3), registered("tablet")).is_some());
        let all = [("phone".to_owned(), Kind::Primary), ("pc".to_owned(), Kind::Secondary), ("tablet".to_owned(), Kind::Secondary)];
        assert_eq!(names(&devices), all);
        assert_eq!(devices.admission(ALICE, &instance("another")), Admission::Full);
        assert_eq!(devices.enrol(Time(4), ALICE, browser("another"), false).unwrap_err(), Trouble::Full);
        assert!(devices.sighted(Time(4), registered("another")).is_none());
        assert!(devices.enrol(Time(4), ALICE, browser("pc"), false).is_ok(), "one that is there may sign in again");
        let plan = devices.enrol(Time(5), ALICE, browser("another"), true).unwrap();
        assert_eq!(plan.signed_out().collect::<Vec<_>>(), [&instance("pc")], "the phone is spared, the tablet is online");

        let primary = Change { kind: Some(Kind::Primary), ..Change::default() };
        assert_eq!(devices.change(ALICE, &instance("pc"), &primary).unwrap_err(), Trouble::NotPrimary);
        let plan = devices.change(ALICE, &instance("tablet"), &primary).unwrap();
        devices.done(plan);
        assert_eq!(names(&devices)[0], ("tablet".to_owned(), Kind::Primary));
        assert_eq!(devices.list(ALICE, &instance("pc")).iter().filter(|listed| listed.device.kind == Kind::Primary).count(), 1);
        assert_eq!(devices.change(ALICE, &instance("nowhere"), &primary).unwrap_err(), Trouble::Unknown);
        assert_eq!(devices.change(UserId(2), &instance("pc"), &Change::default()).unwrap_err(), Trouble::Unknown);
    }

    /// R353: a browser that is signed out is forgotten; a native client stays out until it is allowed again.
    #[test]
    fn a_native_client_is_barred() {
        let devices = Devices::new(Policy::default(), Vec::new());
        enrolled(&devices, 1, "pc");
        devices.sighted(Time(2), registered("phone"));
        for name in ["pc", "phone"] {
            let plan = devices.dismiss(ALICE, &instance(name)).unwrap();
            assert!(matches!(&plan.writes()[0], Write::CloseSessions { instance: closed, .. } if *closed == instance(name)));
            devices.done(plan);
        }
        assert!(devices.get(ALICE, &instance("pc")).is_none());
        assert_eq!(devices.admission(ALICE, &instance("phone")), Admission::Barred);
        assert!(!devices.list(ALICE, &instance("pc"))[0].online);
        let allow = Change { access: Some(Access::Allowed), ..Change::default() };
        let plan = devices.change(ALICE, &instance("phone"), &allow).unwrap();
        devices.done(plan);
        assert_eq!(devices.admission(ALICE, &instance("phone")), Admission::Welcome);
    }

    /// When a device was last seen is written once an hour, and what was not seen for long is forgotten.
    #[test]
    fn the_last_time_is_written_rarely() {
        let hour = 3_600_000;
        let devices = Devices::new(Policy::default(), Vec::new());
        let overdue = |now, all| devices.overdue(Time(now), all, |_| true).iter().map(|unit| unit.0.len()).sum::<usize>();
        enrolled(&devices, 1, "pc");
        devices.seen(Time(hour / 2), ALICE, &instance("pc"));
        assert_eq!(overdue(hour / 2, false), 0);
        assert_eq!(overdue(hour + 1, false), 1);
        assert_eq!(overdue(hour + 1, true), 0, "it is written");
        devices.sighted(Time(hour + 5), registered("phone"));
        let off = |signed_off| Sighting { user: ALICE, instance: instance("phone"), seen: Seen::Left { signed_off } };
        assert!(devices.sighted(Time(hour + 6), off(false)).is_none());
        assert!(devices.sighted(Time(hour + 7), off(true)).is_some());
        assert_eq!(overdue(91 * 24 * hour, false), 4);
        assert!(devices.list(ALICE, &instance("pc")).is_empty());
    }

    #[test]
    fn what_is_kept_is_read_at_the_start() {
        let devices = Devices::new(Policy::default(), Vec::new());
        let plan = devices.enrol(Time(1), ALICE, browser("pc"), false).unwrap();
        let documents = plan.writes().into_iter().filter_map(|write| match write {
            Write::PutDocument { user, kind, name, body, .. } => Some(Document { user, kind, name, body, version: 1 }),
            _ => None,
        });
        let mut documents: Vec<Document> = documents.collect();
        documents.push(Document { body: Bytes::from_static(b"{"), ..documents[0].clone() });
        let again = Devices::new(Policy::default(), documents);
        assert_eq!(again.get(ALICE, &instance("pc")).unwrap().name, "pc");
        assert_eq!(again.list(ALICE, &instance("pc")).len(), 1);
    }
}
