//! What the engine knows: the fold of its records.
//!
//! [`Memory::apply`] is the only way in which it changes, whether a record comes from disk, from the leading tab or from this engine's
//! own decisions, so that all three see the same.

mod folder;

use std::collections::BTreeMap;

pub use self::folder::Folder;
use super::record::{Errand, Message, Notice, Place, Record, Settings};
use super::view::Link;
use crate::Time;
use crate::cpm::address::Address;
use crate::cpm::ids::MessageId;

/// Everything that the engine knows.
#[derive(Debug, Default)]
pub struct Memory {
    folders: BTreeMap<Address, Folder>,
    /// What has to be told, by key.
    pub errands: BTreeMap<String, Errand>,
    /// The keys of the notices among them, by person and in line.
    notices: BTreeMap<(Address, u64), String>,
    /// How far the history is known.
    pub cursor: Option<u64>,
    /// What the user lets others know.
    pub settings: Settings,
    /// The state of the leader's link.
    pub link: Link,
    /// Whether something that was kept could not be read.
    pub is_damaged: bool,
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
                    Place::Kept(seq) => (seq, 0),
                    Place::After(seq, nth) => (seq, nth),
                    Place::Last(nth) => (0, nth),
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
                let key = errand.key();
                self.drop_errand(&key);
                if let Errand::Notice(notice) = &errand {
                    self.nth = self.nth.max(notice.nth);
                    self.notices.insert((notice.with.clone(), notice.nth), key.clone());
                }
                self.errands.insert(key, errand);
                Effect::Nothing
            }
            Record::Done(key) => {
                self.drop_errand(&key);
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

    /// A message by its identifier alone.
    pub fn find(&self, id: &MessageId) -> Option<&Message> {
        self.folders.values().find_map(|folder| folder.get(id))
    }

    /// All notices that are owed.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.errands.values().filter_map(as_notice)
    }

    /// The notice that is the first in line to this person.
    pub fn next_notice(&self, with: &Address) -> Option<(&String, &Notice)> {
        let (_, key) = self.notices.range((with.clone(), 0)..=(with.clone(), u64::MAX)).next()?;
        Some((key, as_notice(self.errands.get(key)?)?))
    }

    /// A number for something new: higher than all before, and near to the time.
    pub fn next_nth(&self, now: Time) -> u64 {
        self.nth.saturating_add(1).max(now.0)
    }

    fn drop_errand(&mut self, key: &str) {
        if let Some(Errand::Notice(notice)) = self.errands.remove(key) {
            self.notices.remove(&(notice.with, notice.nth));
        }
    }

    fn folder_mut(&mut self, with: &Address) -> &mut Folder {
        self.folders.entry(with.clone()).or_insert_with(|| Folder::new(with.clone()))
    }
}

fn as_notice(errand: &Errand) -> Option<&Notice> {
    match errand {
        Errand::Notice(notice) => Some(notice),
        Errand::Seen { .. } => None,
    }
}
