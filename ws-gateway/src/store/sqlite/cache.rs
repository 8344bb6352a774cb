//! What the writer remembers of the database from one transaction to the next.
//!
//! It is right as long as nobody else writes: the owner drops it when another process has, and whenever a transaction fails.

use std::collections::HashMap;

use wasm_core::cpm::address::Address;

use crate::store::UserId;

/// How many folders are remembered: some 150 bytes each.
const REMEMBERED: usize = 100_000;

/// The counters as they are in the database, or will be after [`Batch::flush`].
#[derive(Default)]
pub(super) struct Cache {
    pub(super) boxes: HashMap<UserId, Box>,
    pub(super) folders: HashMap<UserId, HashMap<Address, Folder>>,
    /// How many folders these are, or were.
    remembered: usize,
    pub(super) next_pending: Option<i64>,
    pub(super) next_content: Option<i64>,
}

impl Cache {
    pub(super) fn folder(&self, user: UserId, with: &Address) -> Option<Folder> {
        self.folders.get(&user)?.get(with).copied()
    }

    pub(super) fn put_folder(&mut self, user: UserId, with: &Address, folder: Folder) {
        let folders = self.folders.entry(user).or_default();
        match folders.get_mut(with) {
            Some(slot) => *slot = folder,
            None => {
                folders.insert(with.clone(), folder);
                self.remembered += 1;
            }
        }
    }

    /// Forgets everything when it is too much: what is needed is read again.
    pub(super) fn bounded(mut self) -> Cache {
        if self.remembered > REMEMBERED {
            self = Cache { next_pending: self.next_pending, next_content: self.next_content, ..Cache::default() };
        }
        self
    }
}

/// A box's counters.
#[derive(Clone, Copy)]
pub(super) struct Box {
    pub(super) cursor: u64,
    /// How many objects it holds, and how many bytes.
    pub(super) objects: i64,
    pub(super) bytes: i64,
}

/// A folder's state.
#[derive(Clone, Copy)]
pub(super) struct Folder {
    pub(super) id: u64,
    /// How many of its messages were incoming, and how many of these were seen.
    pub(super) incoming: i64,
    pub(super) seen: i64,
    /// The greatest change of a message after it came.
    pub(super) change: u64,
    /// Whether there is a row of it.
    pub(super) kept: bool,
    /// Whether its row has to be written.
    pub(super) dirty: bool,
}
