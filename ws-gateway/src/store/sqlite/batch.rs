//! The writes of one transaction.
//!
//! The counters of boxes and folders are kept in a [`Cache`], changed there while units are applied and written back by
//! [`Batch::flush`]: many messages of one user cost one update, and what the last transaction left need not be read again.

mod accounts;
pub(super) mod objects;

use std::collections::HashSet;
use std::collections::hash_map::Entry as Slot;

use rusqlite::{Connection, OptionalExtension, params};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;

use super::cache::{Cache, Folder};
use super::columns::{self, count, key, time};
use crate::store::{
    Applied, Direction, Disposition, Outcome, Pending, PendingId, StoreError, StoredBinding, StoredMessage, StoredSession, Unit, UserId,
    Write,
};

/// What went wrong with a unit.
#[derive(Debug)]
pub(super) enum Fault {
    /// The unit asks for what cannot be.
    Refused(StoreError),
    /// The database says so.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

/// The open transaction.
pub(super) struct Batch<'c> {
    connection: &'c Connection,
    cache: Cache,
    dirty_boxes: HashSet<UserId>,
    dirty_folders: Vec<(UserId, Address)>,
    /// Whether requests were queued, and contents kept.
    queued: bool,
    kept: bool,
    /// The last message whose content was inserted in this unit, for the other copy to share.
    content: Option<(i64, StoredMessage)>,
    /// The boxes that the unit changed.
    touched: Vec<UserId>,
}

impl<'c> Batch<'c> {
    /// `cache` has to be an empty one, or what the last transaction's [`Batch::flush`] gave if nobody else has written since.
    pub(super) fn new(connection: &'c Connection, cache: Cache) -> Self {
        Batch {
            connection,
            cache,
            dirty_boxes: HashSet::new(),
            dirty_folders: Vec::new(),
            queued: false,
            kept: false,
            content: None,
            touched: Vec::new(),
        }
    }

    /// Applies one unit. After an error the transaction has to be rolled back to before the unit, and this batch dropped.
    pub(super) fn apply(&mut self, unit: &Unit) -> Result<Applied, Fault> {
        self.touched.clear();
        self.content = None;
        let mut outcomes = Vec::with_capacity(unit.0.len());
        for write in &unit.0 {
            let outcome = self.write(write)?;
            outcomes.push(outcome);
            if stops(write, outcome) {
                outcomes.resize(unit.0.len(), Outcome::Skipped);
                break;
            }
        }
        let seen = self.touched.iter().filter(|user| !user.is_blank());
        let cursors = seen.filter_map(|user| Some((*user, self.cache.boxes.get(user)?.cursor))).collect();
        Ok(Applied { outcomes, cursors })
    }

    fn write(&mut self, write: &Write) -> Result<Outcome, Fault> {
        match write {
            Write::Store(message) => self.store(message),
            Write::Receipt { user, with, message_id, receipt } => self.receipt(*user, with, message_id, *receipt),
            Write::Claim { user, with, message_id, kind } => self.claim(*user, with, message_id, *kind),
            Write::Queue(pending) => self.queue(pending),
            Write::Unqueue { user, id } => self.run("DELETE FROM pending WHERE id = ?1 AND user = ?2", params![id.0, user.0]),
            Write::Hold(held) => self.hold(held),
            Write::Release { user, id } => self.release(*user, *id),
            Write::Unhold { user, id } => self.unhold(*user, *id),
            Write::Remind { user, id, at } => self.remind(*user, *id, *at),
            Write::Extend { user, id, until } => self.extend(*user, *id, *until),
            Write::Seen { user, with, up_to } => self.seen(*user, with, *up_to),
            Write::Bind(binding) => self.bind(binding),
            Write::Unbind { user, key } => self.run("DELETE FROM binding WHERE user = ?1 AND key = ?2", params![user.0, &*key.0]),
            Write::OpenSession(session) => self.open_session(session),
            Write::CloseSession { token } => self.run("DELETE FROM session WHERE token = ?1", [token.0]),
            Write::CloseSessions { user, instance } => {
                self.run("DELETE FROM session WHERE user = ?1 AND instance = ?2", params![user.0, instance.as_str()])
            }
            Write::PutDocument { user, kind, name, body, expect } => self.put_document(*user, *kind, name, body, *expect),
            Write::DropDocument { user, kind, name, expect } => self.drop_document(*user, *kind, name, *expect),
            Write::Trail { user, at, body } => self.trail(*user, *at, body),
            Write::Mark => {
                self.run("INSERT INTO counter (name, value) VALUES ('mark', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", [])
            }
            Write::Arrange { user, at, action } => self.arrange(*user, *at, action),
            Write::Sweep { now } => {
                self.forget_trails(*now)?;
                self.run("DELETE FROM session WHERE expires_at <= ?1", [time(*now)])?;
                self.run("DELETE FROM binding WHERE expires_at <= ?1", [time(*now)])
            }
            Write::AddAccount(account) => self.add_account(account),
            Write::SetSecrets { user, secrets } => self.set_secrets(*user, secrets),
            Write::RemoveAccount { user } => self.remove_account(*user),
        }
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<Outcome, Fault> {
        self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(Outcome::Done)
    }

    /// The box's counter.
    pub(super) fn cursor(&mut self, user: UserId) -> Result<&mut u64, Fault> {
        Ok(&mut self.counters(user)?.cursor)
    }

    /// The box's counters.
    fn counters(&mut self, user: UserId) -> Result<&mut super::cache::Box, Fault> {
        match self.cache.boxes.entry(user) {
            Slot::Occupied(slot) => Ok(slot.into_mut()),
            Slot::Vacant(slot) => {
                if user.is_blank() {
                    // Most never need one.
                    self.connection
                        .prepare_cached("INSERT OR IGNORE INTO box (user, cursor) SELECT ?1, 0 FROM box WHERE user = -?1")?
                        .execute([user.0])?;
                }
                let counters = self
                    .connection
                    .prepare_cached("SELECT cursor, objects, bytes FROM box WHERE user = ?1")?
                    .query_row([user.0], |row| {
                        Ok(super::cache::Box { cursor: columns::read_count(row, 0)?, objects: row.get(1)?, bytes: row.get(2)? })
                    })
                    .optional()?
                    .ok_or(Fault::Refused(StoreError::NoSuchUser(user)))?;
                Ok(slot.insert(counters))
            }
        }
    }

    /// Notes what a box holds more, or less. To be called where [`Batch::advance`] is.
    fn weigh(&mut self, user: UserId, objects: i64, bytes: i64) -> Result<(), Fault> {
        let counters = self.counters(user)?;
        counters.objects = counters.objects.saturating_add(objects).max(0);
        counters.bytes = counters.bytes.saturating_add(bytes).max(0);
        Ok(())
    }

    /// Takes the next number of a box.
    pub(super) fn advance(&mut self, user: UserId) -> Result<u64, Fault> {
        if !self.touched.contains(&user) {
            self.touched.push(user);
        }
        self.dirty_boxes.insert(user);
        let cursor = self.cursor(user)?;
        *cursor += 1;
        Ok(*cursor)
    }

    /// The folder of a peer.
    fn folder(&mut self, user: UserId, with: &Address) -> Result<Option<Folder>, Fault> {
        if let Some(folder) = self.cache.folder(user, with) {
            return Ok(Some(folder));
        }
        let found = self
            .connection
            .prepare_cached(
                "SELECT f.id, e.incoming, f.seen, f.change FROM folder f JOIN entry e ON e.user = f.user AND e.folder = f.id \
                 AND e.seq = (SELECT max(seq) FROM entry WHERE user = f.user AND folder = f.id) WHERE f.user = ?1 AND f.peer = ?2",
            )?
            .query_row(params![user.0, with.as_str()], |row| {
                Ok(Folder {
                    id: columns::read_count(row, 0)?,
                    incoming: row.get(1)?,
                    seen: row.get(2)?,
                    change: columns::read_count(row, 3)?,
                    kept: true,
                    dirty: false,
                })
            })
            .optional()?;
        if let Some(folder) = found {
            self.cache.put_folder(user, with, folder);
        }
        Ok(found)
    }

    /// Has a folder's row written.
    fn put_folder(&mut self, user: UserId, with: &Address, folder: Folder) {
        if !folder.dirty {
            self.dirty_folders.push((user, with.clone()));
        }
        self.cache.put_folder(user, with, Folder { dirty: true, ..folder });
    }

    /// Notes a change to a message of a folder, and how many were seen by it.
    fn folder_changed(&mut self, user: UserId, with: &Address, change: u64, seen: i64) -> Result<(), Fault> {
        if let Some(folder) = self.folder(user, with)? {
            self.put_folder(user, with, Folder { change, seen: folder.seen + seen, ..folder });
        }
        Ok(())
    }

    fn store(&mut self, message: &StoredMessage) -> Result<Outcome, Fault> {
        let (user, outgoing) = (message.user, message.direction == Direction::Out);
        self.cursor(user)?;
        let known = self.folder(user, &message.with)?;
        let key = key(&message.message_id);
        if let Some(folder) = known {
            let twin = self
                .connection
                .prepare_cached(
                    "SELECT e.seq FROM entry e INDEXED BY entry_by_key JOIN content c ON c.id = e.content \
                     WHERE e.user = ?1 AND e.key = ?2 AND e.folder = ?3 AND e.outgoing = ?4 AND c.message_id = ?5",
                )?
                .query_row(params![user.0, key, count(folder.id), outgoing, message.message_id.as_str()], |row| columns::read_count(row, 0))
                .optional()?;
            if let Some(seq) = twin {
                return Ok(Outcome::Duplicate { seq });
            }
        }
        let content = self.content(message)?;
        let seq = self.advance(user)?;
        self.weigh(user, 1, i64::try_from(message.body.len()).unwrap_or(i64::MAX))?;
        let before = known.unwrap_or(Folder { id: seq, incoming: 0, seen: 0, change: 0, kept: false, dirty: false });
        let folder = Folder { incoming: before.incoming + i64::from(!outgoing), ..before };
        self.connection
            .prepare_cached(
                "INSERT INTO entry \
                 (user, folder, seq, change, outgoing, incoming, key, content, receipt, seen, delivery_claimed, display_claimed) \
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?4, 0, 0)",
            )?
            .execute(params![
                user.0,
                count(folder.id),
                count(seq),
                outgoing,
                folder.incoming,
                key,
                content,
                columns::receipt(message.receipt)
            ])?;
        match known {
            Some(_) => self.cache.put_folder(user, &message.with, folder),
            None => self.put_folder(user, &message.with, folder),
        }
        Ok(Outcome::Stored { seq })
    }

    /// The row of a message's content: that of the unit's last message when it is the same.
    fn content(&mut self, message: &StoredMessage) -> Result<i64, Fault> {
        if let Some((id, other)) = &self.content
            && same_content(other, message)
        {
            return Ok(*id);
        }
        let id = match self.cache.next_content {
            Some(id) => id,
            None => self.counter("content")? + 1,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO content \
                 (id, message_id, conversation, contribution, in_reply_to, sender, recipient, date, content_type, wants, expires, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                id,
                message.message_id.as_str(),
                message.conversation.as_ref().map(|id| id.as_str()),
                message.contribution.as_ref().map(|id| id.as_str()),
                message.in_reply_to.as_ref().map(|id| id.as_str()),
                message.from.as_str(),
                message.to.as_str(),
                time(message.date),
                &*message.content_type,
                columns::wants(message.wants),
                message.expires.map(time),
                &*message.body,
            ])?;
        self.cache.next_content = Some(id + 1);
        self.kept = true;
        self.content = Some((id, message.clone()));
        Ok(id)
    }

    fn receipt(&mut self, user: UserId, with: &[Address], message_id: &MessageId, receipt: Receipt) -> Result<Outcome, Fault> {
        let mut outcome = Outcome::Missing;
        for entry in self.entries(user, Direction::Out, message_id)?.into_iter().filter(|entry| with.contains(&entry.with)) {
            let merged = entry.receipt.merge(receipt);
            if merged == entry.receipt {
                outcome = if outcome == Outcome::Missing { Outcome::Unchanged } else { outcome };
                continue;
            }
            let change = self.advance(entry.user)?;
            self.run(
                "UPDATE entry SET receipt = ?4, change = ?5 WHERE user = ?1 AND folder = ?2 AND seq = ?3",
                params![entry.user.0, count(entry.folder), count(entry.seq), columns::receipt(merged), count(change)],
            )?;
            self.folder_changed(entry.user, &entry.with, change, 0)?;
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    fn claim(&mut self, user: UserId, with: &Address, message_id: &MessageId, kind: Disposition) -> Result<Outcome, Fault> {
        let Some(entry) = self.entries(user, Direction::In, message_id)?.into_iter().find(|entry| entry.with == *with) else {
            return Ok(Outcome::Missing);
        };
        let (taken, sql, receipt) = match kind {
            Disposition::Delivery => (
                entry.delivery_claimed,
                "UPDATE entry SET delivery_claimed = 1, receipt = ?4, change = ?5 WHERE user = ?1 AND folder = ?2 AND seq = ?3",
                Receipt::Delivered,
            ),
            Disposition::Display => (
                entry.display_claimed,
                "UPDATE entry SET display_claimed = 1, receipt = ?4, change = ?5 WHERE user = ?1 AND folder = ?2 AND seq = ?3",
                Receipt::Displayed,
            ),
        };
        if taken {
            return Ok(Outcome::Already);
        }
        let change = self.advance(entry.user)?;
        let receipt = columns::receipt(entry.receipt.merge(receipt));
        self.run(sql, params![entry.user.0, count(entry.folder), count(entry.seq), receipt, count(change)])?;
        self.folder_changed(entry.user, with, change, 0)?;
        Ok(Outcome::First)
    }

    /// The copies of a message in a user's box, and in that of what they do not want kept.
    pub(super) fn entries(&mut self, user: UserId, direction: Direction, message_id: &MessageId) -> Result<Vec<Copy>, Fault> {
        // New folders have no row yet that the query could find.
        self.flush_folders()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT e.folder, e.seq, e.receipt, e.delivery_claimed, e.display_claimed, f.peer, e.user \
             FROM entry e INDEXED BY entry_by_key JOIN content c ON c.id = e.content JOIN folder f ON f.user = e.user AND f.id = e.folder \
             WHERE e.user IN (?1, -?1) AND e.key = ?2 AND e.outgoing = ?3 AND c.message_id = ?4 ORDER BY e.seq",
        )?;
        let outgoing = direction == Direction::Out;
        let rows = statement.query_map(params![user.0, key(message_id), outgoing, message_id.as_str()], |row| {
            Ok(Copy {
                folder: columns::read_count(row, 0)?,
                seq: columns::read_count(row, 1)?,
                receipt: columns::read_receipt(row, 2)?,
                delivery_claimed: row.get(3)?,
                display_claimed: row.get(4)?,
                with: columns::read_address(row, 5)?,
                user: UserId(row.get(6)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn queue(&mut self, pending: &Pending) -> Result<Outcome, Fault> {
        if pending.user != UserId::PEERS {
            self.cursor(pending.user)?;
        }
        let id = self.next_pending()?;
        self.connection
            .prepare_cached(
                "INSERT INTO pending (id, user, kind, expires_at, arrived_at, message_id, request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                id,
                pending.user.0,
                columns::kind(pending.kind),
                time(pending.expires_at),
                time(pending.arrived_at),
                pending.message_id.as_str(),
                &*pending.request
            ])?;
        Ok(Outcome::Queued(PendingId(id)))
    }

    /// Takes the next place in the queue.
    pub(super) fn next_pending(&mut self) -> Result<i64, Fault> {
        let id = match self.cache.next_pending {
            Some(id) => id,
            None => self.counter("pending")? + 1,
        };
        self.cache.next_pending = Some(id + 1);
        self.queued = true;
        Ok(id)
    }

    fn seen(&mut self, user: UserId, with: &Address, up_to: u64) -> Result<Outcome, Fault> {
        let Some(folder) = self.folder(user, with)? else {
            return Ok(Outcome::Missing);
        };
        let unread = folder.incoming - folder.seen;
        if unread == 0 {
            return Ok(Outcome::Unchanged);
        }
        // The unseen ones are the newest, and their number is known: the walk back from the newest ends when all were found.
        let mut seqs = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(
                "SELECT e.seq FROM entry e WHERE e.user = ?1 AND e.folder = ?2 AND e.outgoing = 0 AND e.seen = 0 ORDER BY e.seq DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![user.0, count(folder.id), unread])?;
            while let Some(row) = rows.next()? {
                let seq = columns::read_count(row, 0)?;
                if seq <= up_to {
                    seqs.push(seq);
                }
            }
        }
        for seq in seqs.iter().rev() {
            let change = self.advance(user)?;
            self.run(
                "UPDATE entry SET seen = 1, change = ?4 WHERE user = ?1 AND folder = ?2 AND seq = ?3",
                params![user.0, count(folder.id), count(*seq), count(change)],
            )?;
            self.folder_changed(user, with, change, 1)?;
        }
        Ok(if seqs.is_empty() { Outcome::Unchanged } else { Outcome::Changed })
    }

    fn bind(&mut self, binding: &StoredBinding) -> Result<Outcome, Fault> {
        self.cursor(binding.user)?;
        let path = serde_json::to_string(&binding.path).map_err(|error| Fault::Refused(StoreError::Internal(error.to_string())))?;
        self.run(
            "INSERT OR REPLACE INTO binding \
             (user, key, address, contact, path, call_id, cseq, hop, user_agent, registered_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                binding.user.0,
                &*binding.key.0,
                binding.address.as_str(),
                &*binding.contact,
                path,
                &*binding.call_id,
                binding.cseq,
                &*binding.hop,
                &*binding.user_agent,
                time(binding.registered_at),
                time(binding.expires_at),
            ],
        )
    }

    fn open_session(&mut self, session: &StoredSession) -> Result<Outcome, Fault> {
        self.cursor(session.user)?;
        self.run(
            "INSERT OR REPLACE INTO session (token, user, instance, device_name, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                session.token.0,
                session.user.0,
                session.instance.as_str(),
                &*session.device_name,
                time(session.created_at),
                time(session.expires_at)
            ],
        )
    }

    fn counter(&self, name: &str) -> Result<i64, Fault> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM counter WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    fn set_counter(&self, name: &str, value: i64) -> Result<(), Fault> {
        self.run("INSERT OR REPLACE INTO counter (name, value) VALUES (?1, ?2)", params![name, value]).map(drop)
    }

    /// Writes back what was counted. To be called once before the transaction (or the savepoint) ends.
    pub(super) fn flush(mut self) -> Result<Cache, Fault> {
        self.flush_folders()?;
        let mut boxes: Vec<UserId> = self.dirty_boxes.iter().copied().collect();
        boxes.sort();
        for user in boxes {
            let counters = *self.counters(user)?;
            self.run(
                "UPDATE box SET cursor = ?2, objects = ?3, bytes = ?4 WHERE user = ?1",
                params![user.0, count(counters.cursor), counters.objects, counters.bytes],
            )?;
        }
        if self.queued {
            self.set_counter("pending", self.cache.next_pending.unwrap_or(1) - 1)?;
        }
        if self.kept {
            self.set_counter("content", self.cache.next_content.unwrap_or(1) - 1)?;
        }
        Ok(self.cache.bounded())
    }

    fn flush_folders(&mut self) -> Result<(), Fault> {
        self.dirty_folders.sort();
        for (user, with) in std::mem::take(&mut self.dirty_folders) {
            let Some(folder) = self.cache.folder(user, &with) else { continue };
            let sql = if folder.kept {
                "UPDATE folder SET seen = ?4, change = ?5 WHERE user = ?1 AND id = ?2 AND peer = ?3"
            } else {
                "INSERT INTO folder (user, id, peer, seen, change) VALUES (?1, ?2, ?3, ?4, ?5)"
            };
            self.run(sql, params![user.0, count(folder.id), with.as_str(), folder.seen, count(folder.change)])?;
            self.cache.put_folder(user, &with, Folder { kept: true, dirty: false, ..folder });
        }
        Ok(())
    }
}

/// Whether a guard has stopped its unit.
fn stops(write: &Write, outcome: Outcome) -> bool {
    match write {
        Write::Store(_) | Write::Claim { .. } | Write::Receipt { .. } => {
            matches!(outcome, Outcome::Duplicate { .. } | Outcome::Already | Outcome::Missing)
        }
        Write::Hold(_) | Write::Release { .. } | Write::Unhold { .. } => {
            matches!(outcome, Outcome::Duplicate { .. } | Outcome::Missing)
        }
        Write::PutDocument { .. } | Write::DropDocument { .. } => outcome == Outcome::Conflict,
        _ => false,
    }
}

/// What a report about a message has to know of it.
pub(super) struct Copy {
    folder: u64,
    seq: u64,
    receipt: Receipt,
    delivery_claimed: bool,
    display_claimed: bool,
    pub(super) with: Address,
    /// Whose box: that of a user, or of what they do not want kept.
    user: UserId,
}

/// Whether two copies can share a row of `content`.
fn same_content(one: &StoredMessage, two: &StoredMessage) -> bool {
    one.message_id == two.message_id
        && one.body == two.body
        && one.conversation == two.conversation
        && one.contribution == two.contribution
        && one.in_reply_to == two.in_reply_to
        && one.from == two.from
        && one.to == two.to
        && one.date == two.date
        && one.content_type == two.content_type
        && one.wants == two.wants
        && one.expires == two.expires
}
