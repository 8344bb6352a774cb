//! The location service: under which contacts, over which hops, each user can be reached now.
//!
//! Bindings belong to the user, not to one of its addresses: all of a user's addresses are one implicit registration set. A binding is
//! identified by the device (`+sip.instance`) and `reg-id` where the client gives them [RFC5626 §6], else by the Contact's URI. A
//! binding on a connection ends with the connection; one on UDP lives until it expires, also over a restart.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use wasm_core::cpm::feature;
use wasm_core::wire::sip::{Params, Uri};
use wasm_core::{Text, Time};

use crate::node::{FlowId, Hop};
use crate::store::UserId;

/// One binding, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BindingId(pub(crate) u64);

/// One way to reach one device of a user.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) id: BindingId,
    pub(crate) user: UserId,
    /// The address of record that was registered: the To of the REGISTER.
    pub(crate) aor: Text,
    /// What a request to the device has as its Request-URI.
    pub(crate) uri: Uri,
    /// The Contact's parameters: capabilities, device name, instance, as the client wrote them.
    pub(crate) params: Params,
    pub(crate) display: Option<Text>,
    /// What the client calls its software.
    pub(crate) agent: Text,
    pub(crate) hop: Hop,
    /// The device, without angle brackets.
    pub(crate) instance: Option<Text>,
    pub(crate) reg_id: Option<u32>,
    /// The Path between here and the device [RFC3327].
    pub(crate) path: Vec<Text>,
    pub(crate) call_id: Text,
    pub(crate) cseq: u32,
    pub(crate) since: Time,
    pub(crate) expires_at: Time,
    /// When it ends in the store, where it is kept: never before `expires_at`, so that a restart costs no device its binding.
    pub(crate) kept_until: Time,
    /// Whether the client understands GRUUs [RFC5627].
    pub(crate) gruu: bool,
    /// Whether the device said that it takes part in CPM (or SIMPLE IM), and so makes its own notifications.
    pub(crate) cpm: bool,
    /// Whether the device has refused CPIM: it gets plain text.
    pub(crate) plain: bool,
}

impl Binding {
    /// Whole seconds left.
    pub(crate) fn seconds_left(&self, now: Time) -> u64 {
        self.expires_at.since(now).as_secs()
    }

    /// Whether what the store has of this binding serves for `new`, which replaces it: only the time has moved on, and not too far.
    /// Call-ID and CSeq order the REGISTERs of one client; after a restart the older of them lets everything in that is newer.
    pub(crate) fn serves_for(&self, new: &Binding) -> bool {
        (new.expires_at..=new.kept_until).contains(&self.kept_until)
            && self.hop == new.hop
            && self.uri == new.uri
            && self.params == new.params
            && self.display == new.display
            && self.aor == new.aor
            && self.path == new.path
            && self.call_id == new.call_id
            && self.gruu == new.gruu
    }

    /// Whether the device registered for a service.
    pub(crate) fn takes(&self, service: feature::Service) -> bool {
        self.params.value(feature::ICSI_REF).into_iter().flat_map(feature::services).any(|taken| taken == service)
    }

    /// The services and features that the device registered for: the ICSIs, and the names of the tags without a value worth telling.
    pub(crate) fn capabilities(&self) -> Vec<Text> {
        let services = self.params.value(feature::ICSI_REF).into_iter().flat_map(feature::services).map(|service| service.icsi());
        let tags = [feature::SIP_IM, feature::PAGER_LARGE].into_iter().filter(|tag| self.params.has(tag));
        services.chain(tags).map(Text::from).collect()
    }

    /// Whether a registration with these marks replaces this one.
    fn same(&self, other: &Binding) -> bool {
        match (&self.instance, &other.instance) {
            (Some(mine), Some(theirs)) => mine == theirs && self.reg_id == other.reg_id,
            (None, None) => self.uri == other.uri,
            _ => false,
        }
    }
}

/// Why a binding changed, in RFC 3680's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Registered,
    Refreshed,
    Expired,
    Unregistered,
    /// The network ended it: its connection broke, or its account is gone.
    Deactivated,
}

/// One thing that happened to one binding.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) binding: Binding,
    pub(crate) cause: Cause,
}

/// What there is of one user.
#[derive(Debug)]
struct Reachable {
    bindings: Vec<Binding>,
    /// The entry among the deadlines that counts: never after the first expiry, perhaps before it.
    look_at: Time,
}

/// All bindings of all users.
#[derive(Debug, Default)]
pub(crate) struct Location {
    users: HashMap<UserId, Reachable>,
    flows: HashMap<FlowId, Vec<UserId>>,
    /// When to look at a user again: one entry that counts for each, so that a refresh adds none.
    deadlines: BinaryHeap<Reverse<(Time, UserId)>>,
    next: u64,
}

impl Location {
    /// The bindings of a user.
    pub(crate) fn of(&self, user: UserId) -> &[Binding] {
        self.users.get(&user).map_or(&[], |reachable| reachable.bindings.as_slice())
    }

    /// One binding.
    pub(crate) fn get(&self, user: UserId, id: BindingId) -> Option<&Binding> {
        self.of(user).iter().find(|binding| binding.id == id)
    }

    /// How many bindings there are.
    pub(crate) fn len(&self) -> usize {
        self.users.values().map(|reachable| reachable.bindings.len()).sum()
    }

    /// Remembers that a device refused CPIM.
    pub(crate) fn refused_cpim(&mut self, user: UserId, id: BindingId) {
        if let Some(binding) =
            self.users.get_mut(&user).and_then(|reachable| reachable.bindings.iter_mut().find(|binding| binding.id == id))
        {
            binding.plain = true;
        }
    }

    /// The binding that `new` would replace.
    pub(crate) fn replaced_by(&self, new: &Binding) -> Option<&Binding> {
        self.of(new.user).iter().find(|binding| binding.same(new))
    }

    /// Adds a binding or puts it in the place of the one it replaces; `new.id` is ignored, a replaced binding's number stays.
    pub(crate) fn bind(&mut self, mut new: Binding) -> Change {
        if let Hop::Flow(flow) = new.hop {
            let users = self.flows.entry(flow).or_default();
            if !users.contains(&new.user) {
                users.push(new.user);
            }
        }
        let reachable = self.users.entry(new.user).or_insert_with(|| Reachable { bindings: Vec::with_capacity(1), look_at: Time::NEVER });
        if new.expires_at < reachable.look_at {
            reachable.look_at = new.expires_at;
            self.deadlines.push(Reverse((new.expires_at, new.user)));
        }
        if let Some(old) = reachable.bindings.iter_mut().find(|binding| binding.same(&new)) {
            new.id = old.id;
            new.since = old.since;
            // Another connection, contact or Call-ID (a restart of the client) is a new start: what was learnt of the device may not hold.
            let same = old.hop == new.hop && old.uri == new.uri && old.call_id == new.call_id;
            let cause = if same { Cause::Refreshed } else { Cause::Registered };
            new.plain = old.plain && cause == Cause::Refreshed;
            *old = new.clone();
            return Change { binding: new, cause };
        }
        self.next += 1;
        new.id = BindingId(self.next);
        reachable.bindings.push(new.clone());
        Change { binding: new, cause: Cause::Registered }
    }

    /// Takes away the bindings of a user for which `which` holds.
    pub(crate) fn unbind(&mut self, user: UserId, cause: Cause, mut which: impl FnMut(&Binding) -> bool) -> Vec<Change> {
        let Some(reachable) = self.users.get_mut(&user) else { return Vec::new() };
        let gone: Vec<Change> =
            reachable.bindings.extract_if(.., |binding| which(binding)).map(|binding| Change { binding, cause }).collect();
        if reachable.bindings.is_empty() {
            self.users.remove(&user);
        }
        gone
    }

    /// Takes away the bindings of all users for whom `gone` holds.
    pub(crate) fn sweep(&mut self, mut gone: impl FnMut(UserId) -> bool) -> Vec<Change> {
        let users: Vec<UserId> = self.users.keys().copied().filter(|&user| gone(user)).collect();
        users.into_iter().flat_map(|user| self.unbind(user, Cause::Deactivated, |_| true)).collect()
    }

    /// A connection is gone, and with it every binding on it.
    pub(crate) fn closed(&mut self, flow: FlowId) -> Vec<Change> {
        let users = self.flows.remove(&flow).unwrap_or_default();
        users.into_iter().flat_map(|user| self.unbind(user, Cause::Deactivated, |binding| binding.hop == Hop::Flow(flow))).collect()
    }

    /// When the first binding may expire.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes away what has expired.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<Change> {
        let mut gone = Vec::new();
        while let Some(&Reverse((at, user))) = self.deadlines.peek() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            if self.users.get(&user).is_none_or(|reachable| reachable.look_at != at) {
                continue;
            }
            gone.extend(self.unbind(user, Cause::Expired, |binding| binding.expires_at <= now));
            if let Some(reachable) = self.users.get_mut(&user) {
                let first = reachable.bindings.iter().map(|binding| binding.expires_at).min().unwrap_or(Time::NEVER);
                reachable.look_at = first;
                self.deadlines.push(Reverse((first, user)));
            }
        }
        gone
    }
}
