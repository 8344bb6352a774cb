//! Where transactions are kept and how messages find them.
//!
//! A slab of slots with generations, so that an id of a transaction that is gone finds nothing. Server transactions are found by the
//! key of [RFC3261 §17.2.3] or, for a branch without the magic cookie, by what RFC 2543 compared. Client transactions carry their slot
//! in the branch, so that a response finds them without a search. Those that share a destination are chained, for when it fails.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::hash::Hash;

use super::client::Client;
use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::server::Server;
use crate::wire::sip::{CSeq, From, HeaderName, Method, Request, Via};
use crate::{Entropy, Text};

/// A slot and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    index: u32,
    generation: u32,
}

/// One of the four.
#[derive(Debug)]
pub(super) enum Kind {
    InviteClient(InviteClient),
    Client(Client, Method),
    InviteServer(InviteServer),
    Server(Server),
}

/// One transaction.
#[derive(Debug)]
pub(super) struct Entry<D> {
    pub kind: Kind,
    /// The branch of a client transaction, the key of a server transaction.
    pub key: Text,
    pub peer: D,
    pub reliable: bool,
    previous: Option<u32>,
    next: Option<u32>,
}

#[derive(Debug)]
struct Slot<D> {
    generation: u32,
    entry: Option<Entry<D>>,
}

#[derive(Debug)]
pub(super) struct Table<D> {
    slots: Vec<Slot<D>>,
    free: Vec<u32>,
    servers: HashMap<Text, Id>,
    /// CANCEL has the branch of its INVITE, which leads to the slot of that.
    cancels: HashMap<Text, Id>,
    /// The first transaction of each destination's chain.
    chains: HashMap<D, u32>,
    scratch: String,
}

impl<D: Clone + Eq + Hash + Debug> Table<D> {
    pub(super) fn new() -> Table<D> {
        Table {
            slots: Vec::new(),
            free: Vec::new(),
            servers: HashMap::new(),
            cancels: HashMap::new(),
            chains: HashMap::new(),
            scratch: String::new(),
        }
    }

    /// How many transactions there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.slots.get(id.index as usize).is_some_and(|slot| slot.generation == id.generation && slot.entry.is_some())
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Entry<D>> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?.entry.as_mut()
    }

    /// A slot for a client transaction and the branch that leads to it; `ending` is what the caller put in its place.
    pub(super) fn reserve(&mut self, entropy: &mut Entropy, ending: Option<&str>) -> (Id, Text) {
        let id = self.vacant();
        self.scratch.clear();
        // Writing to a string does not fail.
        let _ = write!(self.scratch, "{}{:x}.{:x}.{:016x}", Via::COOKIE, id.index, id.generation, u64::from_be_bytes(entropy.bytes()));
        if let Some(ending) = ending {
            self.scratch.push('.');
            self.scratch.push_str(ending);
        }
        (id, Text::from(self.scratch.as_str()))
    }

    fn vacant(&mut self) -> Id {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            self.slots.len() as u32 - 1
        });
        Id { index, generation: self.slots[index as usize].generation }
    }

    /// Gives back a slot that was reserved and not used.
    pub(super) fn release(&mut self, id: Id) {
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
    }

    /// Puts a server transaction under the key that was written last.
    pub(super) fn insert_server(&mut self, kind: Kind, peer: D, reliable: bool) -> Id {
        let id = self.vacant();
        let key = Text::from(self.scratch.as_str());
        self.insert(id, kind, key, peer, reliable);
        id
    }

    /// Puts a transaction into the slot reserved for it.
    pub(super) fn insert(&mut self, id: Id, kind: Kind, key: Text, peer: D, reliable: bool) {
        match &kind {
            Kind::InviteServer(_) | Kind::Server(_) => {
                self.servers.insert(key.clone(), id);
            }
            Kind::Client(_, Method::Cancel) => {
                self.cancels.insert(key.clone(), id);
            }
            Kind::Client(..) | Kind::InviteClient(_) => {}
        }
        let next = self.chains.insert(peer.clone(), id.index);
        if let Some(next) = next.and_then(|next| self.slots[next as usize].entry.as_mut()) {
            next.previous = Some(id.index);
        }
        self.slots[id.index as usize].entry = Some(Entry { kind, key, peer, reliable, previous: None, next });
    }

    pub(super) fn remove(&mut self, id: Id) {
        let Some(slot) = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation) else { return };
        let Some(entry) = slot.entry.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        match &entry.kind {
            Kind::InviteServer(_) | Kind::Server(_) => {
                self.servers.remove(&entry.key);
            }
            Kind::Client(_, Method::Cancel) => {
                self.cancels.remove(&entry.key);
            }
            Kind::Client(..) | Kind::InviteClient(_) => {}
        }
        if let Some(next) = entry.next.and_then(|next| self.slots[next as usize].entry.as_mut()) {
            next.previous = entry.previous;
        }
        match entry.previous {
            Some(previous) => {
                if let Some(previous) = self.slots[previous as usize].entry.as_mut() {
                    previous.next = entry.next;
                }
            }
            None => match entry.next {
                Some(next) => {
                    self.chains.insert(entry.peer, next);
                }
                None => {
                    self.chains.remove(&entry.peer);
                }
            },
        }
    }

    /// Those whose messages go to `peer`.
    pub(super) fn with_peer(&self, peer: &D) -> Vec<Id> {
        let mut ids = Vec::new();
        let mut next = self.chains.get(peer).copied();
        while let Some(index) = next {
            let slot = &self.slots[index as usize];
            ids.push(Id { index, generation: slot.generation });
            next = slot.entry.as_ref().and_then(|entry| entry.next);
        }
        ids
    }

    /// The client transaction that a response with this branch and CSeq method belongs to [RFC3261 §17.1.3].
    pub(super) fn client(&self, branch: &str, method: &Method) -> Option<Id> {
        if *method == Method::Cancel {
            return self.cancels.get(branch).copied();
        }
        let mut parts = branch.strip_prefix(Via::COOKIE)?.split('.');
        let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
        let id = Id { index: number()?, generation: number()? };
        let slot = self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let entry = slot.entry.as_ref().filter(|entry| entry.key == branch)?;
        let same = match &entry.kind {
            Kind::InviteClient(_) => *method == Method::Invite,
            Kind::Client(_, own) => own == method,
            Kind::InviteServer(_) | Kind::Server(_) => false,
        };
        same.then_some(id)
    }

    /// Writes the key under which a request finds the server transaction of `method` [RFC3261 §17.2.3]. For RFC 2543 the To tag is left
    /// out: an ACK has one that its INVITE had not, and another INVITE of the same dialog differs in its CSeq number.
    pub(super) fn write_server_key(&mut self, request: &Request, via: &Via, cseq: &CSeq, method: &Method) {
        let key = &mut self.scratch;
        key.clear();
        match via.branch().filter(|branch| branch.len() > Via::COOKIE.len() && branch.starts_with(Via::COOKIE)) {
            Some(branch) => {
                key.push_str(branch);
                key.push('|');
                let at = key.len();
                key.push_str(via.host.as_str());
                key[at..].make_ascii_lowercase();
                if let Some(port) = via.port {
                    let _ = write!(key, ":{port}");
                }
            }
            None => {
                let line = |name: &HeaderName| request.headers.get(name).map_or("", Text::as_str);
                let from = request.headers.read::<From>();
                let tag = from.as_ref().and_then(|from| from.tag()).map_or("", Text::as_str);
                let _ = write!(key, "|{}|{}|{}|{tag}|{}", request.uri, line(&HeaderName::CallId), cseq.number, line(&HeaderName::Via));
            }
        }
        key.push('|');
        key.push_str(method.as_str());
    }

    /// The server transaction under the key that was written last.
    pub(super) fn server_of_key(&self) -> Option<Id> {
        self.servers.get(self.scratch.as_str()).copied()
    }
}

#[cfg(test)]
impl<D: Clone + Eq + Hash + Debug> Table<D> {
    /// No index leads anywhere any more.
    pub(super) fn assert_empty(&self) {
        assert!(self.servers.is_empty() && self.cancels.is_empty() && self.chains.is_empty());
        assert!(self.slots.iter().all(|slot| slot.entry.is_none()));
        let mut free = self.free.clone();
        free.sort_unstable();
        assert!(free.iter().copied().eq(0..self.slots.len() as u32), "every slot is free once");
    }
}
