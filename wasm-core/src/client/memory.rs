//! What the engine knows: the fold of its records.
//!
//! [`Memory::apply`] is the only way in which it changes, whether a record comes from disk, from the leading tab or from this engine's
//! own decisions, so that all three see the same.

mod folder;

pub use self::folder::Folder;
use super::deferred::Waiting;
use super::record::{Errand, Message, Notice, Place, Record, Settings};
use super::sorted::SortedMap;
use super::view::Link;
use crate::Time;
use crate::cpm::address::Address;
use crate::cpm::ids::MessageId;

/// Everything that the engine knows.
#[derive(Debug, Default)]
pub struct Memory {
    folders: SortedMap<Address, Box<Folder>>,
    /// What has to be told, by key.
    pub errands: SortedMap<String, Box<Errand>>,
    /// The keys of the notices among them, by person and in line.
    notices: SortedMap<(Address, u64), String>,
    /// How far the history is known.
    pub cursor: Option<u64>,
    /// What the user lets others know.
    pub settings: Settings,
    /// What waits for the user's decision.
    pub deferred: Waiting,
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
    Deferred,
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
                self.errands.insert(key, Box::new(errand));
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
            Record::Deferred(waiting) => {
                self.deferred = waiting;
                Effect::Deferred
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
        self.folders.values().map(Box::as_ref)
    }

    /// What passed with this person.
    pub fn folder(&self, with: &Address) -> Option<&Folder> {
        self.folders.get(with).map(Box::as_ref)
    }

    /// A message by its identifier alone.
    pub fn find(&self, id: &MessageId) -> Option<&Message> {
        self.folders.values().find_map(|folder| folder.get(id))
    }

    /// What has to be told, by its key.
    pub fn errand(&self, key: &str) -> Option<&Errand> {
        self.errands.get(key).map(Box::as_ref)
    }

    /// All notices that are owed.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.errands.values().filter_map(|errand| as_notice(errand))
    }

    /// The notice that is the first in line to this person.
    pub fn next_notice(&self, with: &Address) -> Option<(&String, &Notice)> {
        let (_, key) = self.notices.first_from(&(with.clone(), 0)).filter(|((other, _), _)| other == with)?;
        Some((key, as_notice(self.errand(key)?)?))
    }

    /// A number for something new: higher than all before, and near to the time.
    pub fn next_nth(&self, now: Time) -> u64 {
        self.nth.saturating_add(1).max(now.0)
    }

    fn drop_errand(&mut self, key: &str) {
        if let Some(Errand::Notice(notice)) = self.errands.remove(key).map(|errand| *errand) {
            self.notices.remove(&(notice.with, notice.nth));
        }
    }

    fn folder_mut(&mut self, with: &Address) -> &mut Folder {
        self.folders.get_or_insert_with(with, || Box::new(Folder::new(with.clone())))
    }
}

fn as_notice(errand: &Errand) -> Option<&Notice> {
    match errand {
        Errand::Notice(notice) => Some(notice),
        Errand::Seen { .. } | Errand::Mark { .. } => None,
    }
}
