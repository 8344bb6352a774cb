//! The tables, as the migrations that made them.
//!
//! `user_version` counts the migrations that a file has been through. One that was released is never changed: a new one is added.

use rusqlite::{Connection, TransactionBehavior};

/// "TNDM": tells a Tandem database from any other file of SQLite.
pub(super) const APPLICATION_ID: i64 = 0x544e_444d;

/// Each brings a database from the version of its index to the next.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("0001_initial.sql"),
    include_str!("0002_documents.sql"),
    include_str!("0003_held.sql"),
    include_str!("0004_objects.sql"),
    include_str!("0005_trails.sql"),
];

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// What a file turned out to be.
pub(super) enum Found {
    /// A database of ours, or an empty file: up to date now.
    Ready,
    /// Of a later program.
    Newer(i64),
    /// Somebody else's.
    Foreign,
}

/// Brings the database to [`VERSION`], one transaction for each step.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Found> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != APPLICATION_ID && (tables > 0 || version != 0 || application != 0) {
            return Ok(Found::Foreign);
        }
        let Some(step) = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version)) else {
            return Ok(if version == VERSION { Found::Ready } else { Found::Newer(version) });
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
}
