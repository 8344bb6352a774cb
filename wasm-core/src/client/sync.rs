//! The history: what the server keeps of the user's messages, and how this device comes to have it.
//!
//! The first time the folders are read, each with its newest message; from then on only what changed after the cursor. What lies before a
//! folder's floor is fetched page by page when somebody looks; in a long thread the floor rises again, so that the disk does not fill. The server's order and its word count: whatever this device knew under the
//! same Message-ID takes the server's place, receipts merge. The timers are in the table of [`super`].

use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::engine::Engine;
use super::io::Output;
use super::record::{Errand, Mark, Message, Place, Record};
use super::sorted::{SortedMap, SortedSet};
use crate::cpm::address::Address;
use crate::cpm::history::{Folders, Gone, Object, Page, SeenUpTo};
use crate::cpm::ids::MessageId;
use crate::cpm::receipt::Receipt;
use crate::sip::flow::Backoff;
use crate::wire::imdn::Wants;
use crate::wire::json;
use crate::{Entropy, Text, Time};

/// How many objects are asked for at once.
const PAGE: u32 = 50;
const BATCH: u32 = 200;
/// A thread that is looked at and has fewer messages here gets a page more.
const FEW: usize = 30;
/// A thread of more messages than these is cut down to the newest when somebody looks at any; the server has the rest.
const MOST: usize = 1000;
const NEWEST: usize = 500;
const PATIENCE: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), longest: Duration::from_secs(120) };

/// What has been asked of the history, and what has to be.
#[derive(Debug)]
pub struct Sync {
    entropy: Entropy,
    /// The path of the user's box.
    path: String,
    ids: u64,
    asked: SortedMap<u64, Asked>,
    /// The history has to be looked at, once nobody is looking.
    wanted: bool,
    /// The counts of unread messages have to be read again.
    recount: bool,
    /// The folders that the server is to be told about.
    owed: SortedSet<String>,
    /// The message that was deleted last, to be brought back.
    deleted: Option<Message>,
    failures: u32,
    retry_at: Option<Time>,
}

#[derive(Debug)]
struct Asked {
    what: What,
    until: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// All folders, because nothing is known yet.
    Folders,
    /// All folders, for their counts alone.
    Counts,
    Changes {
        since: u64,
    },
    Page {
        with: Address,
    },
    Seen {
        key: String,
        up_to: u64,
    },
    Mark {
        key: String,
        on: bool,
    },
}

/// What a device has to know of [`Changes`](crate::cpm::history::Changes).
#[derive(Debug, Deserialize)]
struct Told {
    cursor: u64,
    objects: Vec<Object>,
    more: bool,
    reset: bool,
    #[serde(default)]
    gone: Vec<Gone>,
    #[serde(default)]
    quiet: bool,
}

impl Sync {
    /// A history of which nothing has been asked.
    pub fn new(address: &Address, entropy: Entropy) -> Self {
        Sync {
            entropy,
            path: format!("/nms/v1/main/{}", escape(address.as_str())),
            ids: 0,
            asked: SortedMap::default(),
            wanted: false,
            recount: false,
            owed: SortedSet::default(),
            deleted: None,
            failures: 0,
            retry_at: None,
        }
    }

    /// The history may have changed.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The network is new: nothing waits any longer.
    pub fn refresh(&mut self) {
        self.wanted = true;
        self.retry_at = None;
    }

    /// The server is to be told what was seen.
    pub fn owe(&mut self, key: String) {
        self.owed.insert(key);
    }

    /// Forgets what was asked.
    pub fn clear(&mut self) {
        self.asked.clear();
        self.owed.clear();
        self.wanted = false;
        self.retry_at = None;
    }

    /// When [`Sync::overdue`] or the next attempt is due, on a link that is up or not.
    pub fn next_timeout(&self, up: bool) -> Option<Time> {
        let has_work = self.wanted || self.recount || !self.owed.is_empty();
        let retry_at = self.retry_at.filter(|_| has_work && up);
        self.asked.values().map(|asked| asked.until).chain(retry_at).min()
    }

    /// A question that was not answered in time.
    pub fn overdue(&self, now: Time) -> Option<u64> {
        self.asked.iter().find(|(_, asked)| asked.until <= now).map(|(id, _)| *id)
    }

    /// After a failure, a link that is down says enough: its return is waited for.
    fn may_ask(&mut self, now: Time, up: bool) -> bool {
        if self.failures > 0 && !up {
            return false;
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.retry_at.is_none()
    }

    fn is_asking(&self, which: impl Fn(&What) -> bool) -> bool {
        self.asked.values().any(|asked| which(&asked.what))
    }

    fn failed(&mut self, now: Time) {
        self.retry_at = Some(now + BACKOFF.wait(self.failures, &mut self.entropy));
        self.failures = self.failures.saturating_add(1);
    }
}

impl Engine {
    /// Asks what has to be asked.
    pub(super) fn ask_history(&mut self, now: Time) {
        if !self.sync.may_ask(now, self.link.is_up()) {
            return;
        }
        let busy = self.sync.is_asking(|what| matches!(what, What::Folders | What::Counts | What::Changes { .. }));
        if !busy && std::mem::take(&mut self.sync.wanted) {
            match self.memory.cursor {
                None => self.ask(now, What::Folders),
                Some(since) => self.ask(now, What::Changes { since }),
            }
        } else if !busy && std::mem::take(&mut self.sync.recount) {
            self.ask(now, What::Counts);
        }
        for key in std::mem::take(&mut self.sync.owed).into_vec() {
            if self.sync.is_asking(|what| matches!(what, What::Seen { key: asked, .. } | What::Mark { key: asked, .. } if *asked == key)) {
                self.sync.owed.insert(key);
                continue;
            }
            match self.memory.errand(&key) {
                Some(&Errand::Seen { up_to, .. }) => self.ask(now, What::Seen { key, up_to }),
                Some(&Errand::Mark { on, .. }) => self.ask(now, What::Mark { key, on }),
                Some(Errand::Notice(_)) | None => {}
            }
        }
    }

    /// What was seen and has not been told yet, after a start.
    pub(super) fn refill_sync(&mut self) {
        self.sync.clear();
        self.sync.owed.clear();
        for (key, errand) in self.memory.errands.iter() {
            if let Errand::Seen { .. } | Errand::Mark { .. } = **errand {
                self.sync.owed.insert(key.clone());
            }
        }
        self.sync.want();
    }

    /// Somebody looks at a thread.
    pub(super) fn open(&mut self, now: Time, with: &Address) {
        let long: Vec<Address> = self.memory.folders().filter(|folder| folder.len() > MOST).map(|folder| folder.row.with.clone()).collect();
        for with in long {
            self.trim(&with);
        }
        let Some(folder) = self.memory.folder(with) else { return };
        if folder.row.has_older && folder.len_from(folder.row.floor.unwrap_or(u64::MAX)) < FEW {
            self.load_older(now, with);
        }
    }

    /// Leaves the older messages of a thread to the server.
    fn trim(&mut self, with: &Address) {
        let Some(folder) = self.memory.folder(with) else { return };
        let first = folder.len().saturating_sub(NEWEST);
        let Some(floor) = folder.range(first..folder.len()).find_map(|message| message.place.seq()) else { return };
        let gone: Vec<&Message> = folder.range(0..first).filter(|message| message.place.seq().is_some()).collect();
        let unseen = gone.iter().filter(|message| !message.outgoing && !message.seen).count();
        let gone: Vec<Record> = gone.iter().rev().map(|message| Record::Forgotten { with: with.clone(), id: message.id.clone() }).collect();
        let mut row = folder.row.clone();
        (row.floor, row.has_older) = (Some(floor), true);
        row.unread_older = row.unread_older.saturating_add(u32::try_from(unseen).unwrap_or(u32::MAX));
        // The floor comes first: a device that stops in between has messages below it, which does no harm, and never a hole above it.
        self.keep_row_if_changed(row);
        for record in gone {
            self.keep(record);
        }
    }

    /// Fetches the page before the oldest message.
    pub(super) fn load_older(&mut self, now: Time, with: &Address) {
        let wanted = self.memory.folder(with).is_some_and(|folder| folder.row.has_older && !folder.loading);
        if wanted {
            self.share(Record::Loading { with: with.clone(), active: true });
            self.ask(now, What::Page { with: with.clone() });
        }
    }

    fn ask(&mut self, now: Time, what: What) {
        let base = &self.sync.path;
        let (method, path, body) = match &what {
            What::Folders | What::Counts => ("GET", format!("{base}/folders"), None),
            What::Changes { since } => ("GET", format!("{base}/changes?since={since}&limit={BATCH}"), None),
            What::Page { with } => {
                let before = self.memory.folder(with).and_then(|folder| folder.row.floor);
                let before = before.map_or_else(String::new, |before| format!("&before={before}"));
                ("GET", format!("{base}/objects?with={}{before}&limit={PAGE}", escape(with.as_str())), None)
            }
            What::Seen { key, up_to } => {
                let with = self.memory.errand(key).map(|errand| escape(errand.with().as_str())).unwrap_or_default();
                let body = json::write(&SeenUpTo { up_to: *up_to }).ok();
                ("PUT", format!("{base}/folders/{with}/flags/%5CSeen"), body)
            }
            What::Mark { key, on } => {
                let Some(Errand::Mark { message, mark, .. }) = self.memory.errand(key) else { return };
                let seq = message.place.seq().unwrap_or_default();
                let method = if *on { "PUT" } else { "DELETE" };
                (method, format!("{base}/objects/{seq}/flags/%5C{}", mark.name()), None)
            }
        };
        self.sync.ids += 1;
        let id = self.sync.ids;
        self.sync.asked.insert(id, Asked { what, until: now + PATIENCE });
        self.outputs.push_back(Output::Http { id, method, path, body });
    }

    /// An answer came, or none in time (status 0).
    pub(super) fn told(&mut self, now: Time, id: u64, status: u16, body: &[u8]) {
        let Some(Asked { what, .. }) = self.sync.asked.remove(&id) else { return };
        if status == 401 && self.profile.secret.is_none() {
            self.end();
            return;
        }
        let understood = match (&what, status) {
            (What::Folders, 200) => read(body).map(|folders| self.take_folders(now, folders, true)),
            (What::Counts, 200) => read(body).map(|folders| self.take_folders(now, folders, false)),
            (What::Changes { since }, 200) => read(body).and_then(|changes| self.take_changes(now, *since, changes)),
            (What::Page { with }, 200) => read(body).map(|page| self.take_page(now, with, page)),
            (What::Seen { key, up_to }, 200..=299) => {
                self.seen_told(key, *up_to);
                Some(())
            }
            (What::Mark { key, on }, 200..=299 | 400 | 403..=407 | 409..=428) => {
                match self.memory.errand(key) {
                    Some(Errand::Mark { on: wanted, .. }) if wanted != on => self.sync.owe(key.clone()),
                    Some(_) => self.keep(Record::Done(key.clone())),
                    None => {}
                }
                Some(())
            }
            // So much was forgotten since that only the whole tells what is left.
            (What::Changes { .. }, 410) => {
                self.forget_history();
                Some(())
            }
            // The server does not have that folder, or not that right: telling it again would not help.
            (What::Seen { key, up_to }, 400 | 403..=407 | 409..=428) => {
                self.seen_told(key, *up_to);
                Some(())
            }
            _ => None,
        };
        if understood.is_some() {
            self.sync.failures = 0;
            return;
        }
        self.sync.failed(now);
        match what {
            What::Folders | What::Changes { .. } => self.sync.wanted = true,
            What::Counts => self.sync.recount = true,
            What::Page { with } => self.share(Record::Loading { with, active: false }),
            What::Seen { key, .. } | What::Mark { key, .. } => self.sync.owe(key),
        }
    }

    fn seen_told(&mut self, key: &str, up_to: u64) {
        match self.memory.errand(key) {
            Some(Errand::Seen { up_to: wanted, .. }) if *wanted > up_to => self.sync.owe(key.to_owned()),
            Some(_) => self.keep(Record::Done(key.to_owned())),
            None => {}
        }
    }

    fn take_folders(&mut self, now: Time, folders: Folders, afresh: bool) {
        let mut gaps = Vec::new();
        for told in folders.folders {
            let mut row = self.row(&told.with);
            let named = *told.title != *told.with.as_str();
            if named && !told.title.is_empty() {
                row.title = told.title;
            }
            if afresh {
                row.conversation = told.conversation.or(row.conversation);
                row.floor = Some(told.last.as_ref().map_or(0, |last| last.seq));
                row.has_older = told.last.is_some();
                if let Some(last) = told.last {
                    self.absorb(now, last);
                }
            }
            let folder = self.memory.folder(&told.with);
            row.unread_older = told.unread.saturating_sub(folder.map_or(0, |folder| folder.unseen_here()));
            if afresh && folder.is_some_and(|folder| folder.unplaced().any(|message| !message.outgoing)) {
                gaps.push(told.with);
            }
            self.keep_row_if_changed(row);
        }
        if afresh {
            self.keep(Record::Cursor(Some(folders.cursor)));
        }
        for with in gaps {
            self.load_older(now, &with);
        }
    }

    fn take_changes(&mut self, now: Time, since: u64, changes: Told) -> Option<()> {
        if changes.reset {
            self.forget_history();
            return Some(());
        }
        // Without progress, asking again would go on for ever.
        if changes.more && changes.cursor <= since {
            return None;
        }
        let mut news: SortedMap<Address, Message> = SortedMap::default();
        for object in changes.objects {
            if let Some(message) = self.take_change(now, object)
                && news.get(&message.with).is_none_or(|other| other.place.rank() < message.place.rank())
            {
                news.insert(message.with.clone(), message);
            }
        }
        for gone in changes.gone {
            self.vanish(&gone.with, &gone.message_id);
        }
        if self.memory.cursor != Some(changes.cursor) {
            self.keep(Record::Cursor(Some(changes.cursor)));
        }
        if changes.more {
            self.sync.want();
        }
        for message in news.values().filter(|_| !changes.quiet) {
            self.alert(message);
        }
        Some(())
    }

    /// A message is out of sight.
    fn vanish(&mut self, with: &Address, id: &MessageId) {
        match self.memory.folder(with) {
            Some(folder) if folder.get(id).is_some() => self.keep(Record::Forgotten { with: with.clone(), id: id.clone() }),
            // It may have been among the unread ones that only the server knows.
            Some(folder) => self.sync.recount |= folder.row.unread_older > 0,
            None => {}
        }
    }

    /// What the user does to a message that the server keeps: here at once, there as soon as it can be told.
    pub(super) fn mark(&mut self, with: &Address, id: &MessageId, mark: Mark, on: bool) {
        let pending = match self.memory.errand(&Errand::mark_key(with, id, mark)) {
            Some(Errand::Mark { message, .. }) => Some((**message).clone()),
            _ => None,
        };
        let here = self.memory.folder(with).and_then(|folder| folder.get(id)).cloned();
        let deleted = self.sync.deleted.clone().filter(|message| message.id == *id && message.with == *with);
        let Some(message) = here.or(pending).or(deleted) else { return };
        if message.place.seq().is_none() {
            if (mark, on) == (Mark::Deleted, true) {
                self.delete(id);
            }
            return;
        }
        match (mark, on) {
            (Mark::Flagged, flagged) => self.keep_if_changed(Message { flagged, ..message.clone() }),
            (Mark::Deleted, true) => {
                self.sync.deleted = Some(message.clone());
                self.keep(Record::Forgotten { with: with.clone(), id: id.clone() });
            }
            (Mark::Deleted, false) => self.keep_if_changed(Message { seen: true, ..message.clone() }),
        }
        let errand = Errand::Mark { message: Box::new(message), mark, on };
        self.sync.owe(errand.key());
        self.keep(Record::Errand(errand));
    }

    /// What the server has not been told yet of a message's mark.
    fn untold(&self, with: &Address, id: &MessageId, mark: Mark) -> Option<bool> {
        match self.memory.errand(&Errand::mark_key(with, id, mark)) {
            Some(Errand::Mark { on, .. }) => Some(*on),
            _ => None,
        }
    }

    /// Takes one change in; what comes back is a message that is new to the user.
    fn take_change(&mut self, now: Time, object: Object) -> Option<Message> {
        if has(&object, "\\Deleted") && self.untold(&object.with, &object.message_id, Mark::Deleted) != Some(false) {
            self.vanish(&object.with, &object.message_id);
            return None;
        }
        let mut row = self.row(&object.with);
        let known = self.memory.folder(&object.with).and_then(|folder| folder.get(&object.message_id));
        match row.floor {
            // A folder that was not there when the folders were read: all of it will pass here.
            None => {
                row.floor = Some(0);
                // The folders tell what the other side is called.
                self.sync.recount |= row.title.is_empty();
            }
            Some(floor) if object.seq < floor && known.is_none() => {
                self.sync.recount |= !object.outgoing && object.seen;
                return None;
            }
            Some(_) => {}
        }
        let is_new = known.is_none() && !object.outgoing && !object.seen;
        let newest = self.memory.folder(&object.with).and_then(|folder| folder.last_kept()).is_none_or(|last| last <= object.seq);
        if newest && object.conversation.is_some() {
            row.conversation = object.conversation.clone();
        }
        self.keep_row_if_changed(row);
        let message = self.absorb(now, object)?;
        if is_new {
            self.writer_stopped(&message.with);
        }
        is_new.then_some(message)
    }

    fn take_page(&mut self, now: Time, with: &Address, page: Page) {
        let mut row = self.row(with);
        let floor = row.floor.unwrap_or(u64::MAX);
        let lowest = page.objects.iter().map(|object| object.seq).min();
        row.floor = Some(lowest.unwrap_or(floor).min(floor));
        row.has_older = page.has_older && lowest.is_some_and(|lowest| lowest < floor);
        let mut added = false;
        let before = self.memory.folder(with).map_or(0, |folder| folder.unseen_here());
        for object in page.objects {
            if object.with == *with {
                added |= self.memory.folder(with).is_none_or(|folder| folder.get(&object.message_id).is_none());
                self.absorb(now, object);
            }
        }
        let found = self.memory.folder(with).map_or(0, |folder| folder.unseen_here()).saturating_sub(before);
        row.unread_older = if row.has_older { row.unread_older.saturating_sub(found) } else { 0 };
        let more = row.has_older && !added;
        self.keep_row_if_changed(row);
        self.share(Record::Loading { with: with.clone(), active: false });
        // A page of which everything was here already shows nothing new to who has asked for it.
        if more {
            self.load_older(now, with);
        }
    }

    /// Takes the server's state of a message in, and gives the message as it is then known.
    fn absorb(&mut self, now: Time, object: Object) -> Option<Message> {
        if self.untold(&object.with, &object.message_id, Mark::Deleted) == Some(true) {
            return None;
        }
        let flagged = self.untold(&object.with, &object.message_id, Mark::Flagged).unwrap_or_else(|| has(&object, "\\Flagged"));
        let known = self.memory.folder(&object.with).and_then(|folder| folder.get(&object.message_id)).cloned();
        if known.is_none() && object.outgoing {
            self.forget_elsewhere(&object);
        }
        if known.as_ref().is_some_and(|known| known.outgoing && !object.outgoing) {
            // The other half of a message to oneself.
            if !object.seen {
                self.owe_seen(&object.with, object.seq);
            }
            return None;
        }
        let known = known.filter(|known| known.outgoing == object.outgoing);
        let receipt = known.as_ref().map_or(Receipt::Sent, |known| match known.failure {
            // What the server has, has not failed to be sent.
            Some(_) if known.receipt == Receipt::Failed => Receipt::Sent,
            Some(_) | None => known.receipt,
        });
        let receipt = receipt.merge(object.receipt).merge(Receipt::Sent);
        let seen = object.outgoing || object.seen || known.as_ref().is_some_and(|known| known.seen);
        let text = match (object.text, &known) {
            (_, Some(known)) => known.text.clone(),
            (Some(text), None) => text,
            (None, None) => Text::from(format!("[{}]", object.content_type)),
        };
        let (old_wants, old_at) = known.as_ref().map_or((Wants::NOTHING, object.date.min(now)), |known| (known.wants, known.at));
        let wants = Wants {
            delivered: object.wants_delivery || old_wants.delivered,
            displayed: object.wants_display || old_wants.displayed,
            failed: old_wants.failed,
        };
        let message = Message {
            id: object.message_id,
            with: object.with,
            outgoing: object.outgoing,
            place: Place::Kept(object.seq),
            at: old_at,
            text,
            conversation: object.conversation.or_else(|| known.as_ref()?.conversation.clone()),
            contribution: object.contribution.or_else(|| known.as_ref()?.contribution.clone()),
            in_reply_to: object.in_reply_to.or_else(|| known.as_ref()?.in_reply_to.clone()),
            receipt,
            seen,
            wants,
            failure: None,
            flagged,
        };
        if !object.outgoing && seen && !object.seen {
            // It was seen here before the server had given it a place.
            self.owe_seen(&message.with, object.seq);
        }
        self.keep_if_changed(message.clone());
        Some(message)
    }

    /// The server may know the recipient of one's own message by another address: the message moves there.
    fn forget_elsewhere(&mut self, object: &Object) {
        let elsewhere = self.memory.find(&object.message_id).filter(|message| message.outgoing && message.with != object.with);
        if let Some(with) = elsewhere.map(|message| message.with.clone()) {
            self.keep(Record::Forgotten { with, id: object.message_id.clone() });
        }
    }

    /// The server has another history than the one that is known here: what came from it is forgotten and read again.
    fn forget_history(&mut self) {
        let mut forgotten = Vec::new();
        let mut rows = Vec::new();
        for folder in self.memory.folders() {
            let gone = folder.range(0..folder.len()).filter(|message| !message.outgoing || matches!(message.place, Place::Kept(_)));
            forgotten.extend(gone.map(|message| Record::Forgotten { with: message.with.clone(), id: message.id.clone() }));
            let mut row = folder.row.clone();
            (row.floor, row.has_older, row.unread_older) = (None, false, 0);
            rows.push(row);
        }
        for record in forgotten {
            self.keep(record);
        }
        for row in rows {
            self.keep_row_if_changed(row);
        }
        self.memory.top = 0;
        self.keep(Record::Cursor(None));
        self.sync.want();
    }
}

fn has(object: &Object, flag: &str) -> bool {
    object.flags.iter().any(|other| **other == *flag)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    json::read(body).ok()
}

/// Percent-encodes all but unreserved characters [RFC3986 §2.3].
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
