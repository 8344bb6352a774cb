//! The steps of users' messages: notes that may be lost and must not grow. A user has the newest so many, none older than so long.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};
use wasm_core::Time;

use super::batch::{Batch, Fault};
use super::columns::{self, time};
use crate::store::{Outcome, UserId};

/// The notes of one user: one for each second or more in which something happened.
const MOST: i64 = 1000;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Batch<'_> {
    pub(super) fn trail(&mut self, user: UserId, at: Time, body: &Bytes) -> Result<Outcome, Fault> {
        self.cursor(user)?;
        self.run(
            "INSERT INTO trail (user, seq, at, body) VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM trail WHERE user = ?1), ?2, ?3)",
            params![user.0, time(at), &body[..]],
        )?;
        self.run("DELETE FROM trail WHERE user = ?1 AND seq <= (SELECT max(seq) FROM trail WHERE user = ?1) - ?2", params![user.0, MOST])
    }

    pub(super) fn forget_trails(&mut self, now: Time) -> Result<Outcome, Fault> {
        let oldest = Time(now.0.saturating_sub(LONGEST.as_millis() as u64));
        self.run("DELETE FROM trail WHERE at <= ?1", [time(oldest)])
    }
}

pub(super) fn trails(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<Bytes>> {
    let mut statement = connection.prepare_cached("SELECT body FROM trail WHERE user = ?1 ORDER BY seq")?;
    statement.query_map([user.0], |row| columns::read_bytes(row, 0))?.collect()
}
