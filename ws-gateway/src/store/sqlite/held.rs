//! What is held: written within a [`Batch`], read on a snapshot.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wasm_core::cpm::ids::MessageId;
use wasm_core::{Text, Time};

use super::batch::{Batch, Fault};
use super::columns::{self, count, time};
use crate::store::{About, Direction, Held, HeldItem, HeldPage, Outcome, Pending, PendingId, PendingKind, Queued, StoreError, UserId};

impl Batch<'_> {
    pub(super) fn hold(&mut self, held: &Held) -> Result<Outcome, Fault> {
        let (pending, about) = (&held.pending, &held.about);
        let user = pending.user;
        self.cursor(user)?;
        // Held still, or released and in the box by now.
        let twin = self
            .connection()
            .prepare_cached("SELECT 1 FROM held WHERE message_id = ?1 AND user = ?2 AND sender = ?3")?
            .exists(params![pending.message_id.as_str(), user.0, about.from.as_str()])?;
        if twin || self.entries(user, Direction::In, &pending.message_id)?.iter().any(|entry| entry.with == about.from) {
            return Ok(Outcome::Duplicate { seq: 0 });
        }
        let types = serde_json::to_string(&about.content_types).map_err(|error| Fault::Refused(StoreError::Internal(error.to_string())))?;
        let id = self.next_pending()?;
        self.run(
            "INSERT INTO held (id, user, expires_at, arrived_at, remind_at, message_id, sender, subject, date, size, content_types, request) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                id,
                user.0,
                time(pending.expires_at),
                time(pending.arrived_at),
                about.remind_at.map(time),
                pending.message_id.as_str(),
                about.from.as_str(),
                about.subject.as_deref(),
                time(about.date),
                count(about.size),
                types,
                &*pending.request,
            ],
        )?;
        Ok(Outcome::Queued(PendingId(id)))
    }

    pub(super) fn release(&mut self, user: UserId, id: PendingId) -> Result<Outcome, Fault> {
        self.run(
            "INSERT INTO pending (id, user, kind, expires_at, arrived_at, message_id, request) \
             SELECT id, user, 0, expires_at, arrived_at, message_id, request FROM held WHERE id = ?1 AND user = ?2",
            params![id.0, user.0],
        )?;
        self.unhold(user, id)
    }

    pub(super) fn unhold(&mut self, user: UserId, id: PendingId) -> Result<Outcome, Fault> {
        self.found("DELETE FROM held WHERE id = ?1 AND user = ?2", params![id.0, user.0])
    }

    pub(super) fn remind(&mut self, user: UserId, id: PendingId, at: Option<Time>) -> Result<Outcome, Fault> {
        self.found("UPDATE held SET remind_at = ?3 WHERE id = ?1 AND user = ?2", params![id.0, user.0, at.map(time)])
    }

    pub(super) fn extend(&mut self, user: UserId, id: PendingId, until: Time) -> Result<Outcome, Fault> {
        let extended = self.found("UPDATE held SET expires_at = ?3 WHERE id = ?1 AND user = ?2", params![id.0, user.0, time(until)])?;
        match extended {
            Outcome::Missing => {
                self.found("UPDATE pending SET expires_at = ?3 WHERE id = ?1 AND user = ?2", params![id.0, user.0, time(until)])
            }
            outcome => Ok(outcome),
        }
    }

    /// Runs what changes one row at most: [`Outcome::Missing`] when there is none.
    fn found(&self, sql: &str, params: impl rusqlite::Params) -> Result<Outcome, Fault> {
        let rows = self.connection().prepare_cached(sql)?.execute(params)?;
        Ok(if rows == 0 { Outcome::Missing } else { Outcome::Done })
    }
}

const ABOUT: &str = "id, expires_at, remind_at, sender, subject, date, size, content_types";

pub(super) fn list(connection: &Connection, user: UserId, limit: usize) -> rusqlite::Result<HeldPage> {
    let snapshot = connection.unchecked_transaction()?;
    let total = snapshot
        .prepare_cached("SELECT count(*) FROM held INDEXED BY held_of WHERE user = ?1")?
        .query_row([user.0], |row| columns::read_count(row, 0))?;
    let mut statement =
        snapshot.prepare_cached(&format!("SELECT {ABOUT} FROM held INDEXED BY held_of WHERE user = ?1 ORDER BY id LIMIT ?2"))?;
    let items = statement.query_map(params![user.0, columns::limit(limit)], read_item)?.collect::<rusqlite::Result<_>>()?;
    Ok(HeldPage { items, total })
}

fn read_item(row: &Row<'_>) -> rusqlite::Result<HeldItem> {
    Ok(HeldItem {
        id: PendingId(row.get(0)?),
        expires_at: columns::read_time(row, 1)?,
        about: About {
            remind_at: columns::read_optional_time(row, 2)?,
            from: columns::read_address(row, 3)?,
            subject: row.get::<_, Option<String>>(4)?.map(Text::from),
            date: columns::read_time(row, 5)?,
            size: columns::read_count(row, 6)?,
            content_types: columns::read_parsed(row, 7, |text| serde_json::from_str(text).ok())?,
        },
    })
}

const HELD: &str = "SELECT id, user, expires_at, message_id, arrived_at, request FROM held";

/// One of a user's, if it is held still.
pub(super) fn entry(connection: &Connection, user: UserId, id: PendingId) -> rusqlite::Result<Option<Queued>> {
    let mut statement = connection.prepare_cached(&format!("{HELD} WHERE id = ?1 AND user = ?2"))?;
    statement.query_row(params![id.0, user.0], read_entry).optional()
}

pub(super) fn expired(connection: &Connection, now: Time, limit: usize) -> rusqlite::Result<Vec<Queued>> {
    let mut statement = connection.prepare_cached(&format!("{HELD} WHERE expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2"))?;
    statement.query_map(params![time(now), columns::limit(limit)], read_entry)?.collect()
}

pub(super) fn reminders(connection: &Connection, now: Time, limit: usize) -> rusqlite::Result<Vec<Queued>> {
    let mut statement =
        connection.prepare_cached(&format!("{HELD} INDEXED BY held_reminder WHERE remind_at <= ?1 ORDER BY remind_at, id LIMIT ?2"))?;
    statement.query_map(params![time(now), columns::limit(limit)], read_entry)?.collect()
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Queued> {
    Ok(Queued {
        id: PendingId(row.get(0)?),
        held: true,
        pending: Pending {
            user: UserId(row.get(1)?),
            kind: PendingKind::Message,
            expires_at: columns::read_time(row, 2)?,
            message_id: columns::read_parsed(row, 3, MessageId::parse)?,
            arrived_at: columns::read_time(row, 4)?,
            request: columns::read_bytes(row, 5)?,
        },
    })
}
