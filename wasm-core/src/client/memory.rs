//! What the engine knows: the fold of its records.
//!
//! [`Memory::apply`] is the only way in which it changes, whether a record comes from disk, from the leading tab or from this engine's
//! own decisions, so that all three see the same.

mod folder;

use std::collections::BTreeMap;

pub use self::folder::Folder;
use super::record::{Errand, Record, Settings};
use super::view::Link;
use crate::cpm::address::Address;

/// Everything that the engine knows.
#[derive(Debug, Default)]
pub struct Memory {
    folders: BTreeMap<Address, Folder>,
    /// What has to be told, by key.
    pub errands: BTreeMap<String, Errand>,
    /// How far the history is known.
    pub cursor: Option<u64>,
    /// What the user lets others know.
    pub settings: Settings,
    /// The state of the leader's link.
    pub link: Link,
    /// The highest place that the server is known to have given.
    pub top: u64,
    /// The highest number that a message without such a place has.
    pub nth: u64,
}

/// What a record changed for those who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Link,
    Settings,
    Folder(Address),
}

impl Memory {
    /// Takes a fact in.
    pub fn apply(&mut self, record: Record) -> Effect {
        match record {
            Record::Message(message) => {
                let (seq, nth) = match message.place {
                    super::record::Place::Kept(seq) => (seq, 0),
                    super::record::Place::After(seq, nth) => (seq, nth),
                    super::record::Place::Last(nth) => (0, nth),
                };
                self.top = self.top.max(seq);
                self.nth = self.nth.max(nth);
                let with = message.with.clone();
                self.folder_mut(&with).put(message);
                Effect::Folder(with)
            }
            Record::Forgotten { with, id } => {
                self.folder_mut(&with).remove(&id);
                Effect::Folder(with)
            }
            Record::Folder(row) => {
                let with = row.with.clone();
                self.folder_mut(&with).row = row;
                Effect::Folder(with)
            }
            Record::Errand(errand) => {
                if let Errand::Notice(notice) = &errand {
                    self.nth = self.nth.max(notice.nth);
                }
                self.errands.insert(errand.key(), errand);
                Effect::Nothing
            }
            Record::Done(key) => {
                self.errands.remove(&key);
                Effect::Nothing
            }
            Record::Cursor(cursor) => {
                self.cursor = cursor;
                Effect::Link
            }
            Record::Settings(settings) => {
                self.settings = settings;
                Effect::Settings
            }
            Record::Link(link) => {
                self.link = link;
                Effect::Link
            }
            Record::Typing { with, active } => {
                self.folder_mut(&with).typing = active;
                Effect::Folder(with)
            }
            Record::Loading { with, active } => {
                self.folder_mut(&with).loading = active;
                Effect::Folder(with)
            }
        }
    }

    /// All folders, by address.
    pub fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    /// What passed with this person.
    pub fn folder(&self, with: &Address) -> Option<&Folder> {
        self.folders.get(with)
    }

    fn folder_mut(&mut self, with: &Address) -> &mut Folder {
        self.folders.entry(with.clone()).or_insert_with(|| Folder::new(with.clone()))
    }
}
