//! The documents: written within a [`Batch`], read on a snapshot.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wasm_core::Text;
use wasm_core::cpm::history::DocumentChange;

use super::batch::{Batch, Fault};
use super::columns::{self, count};
use crate::store::{Document, DocumentKind, Expect, Outcome, UserId};

/// The number that stands for a kind. One that was given is never given to another.
fn number(kind: DocumentKind) -> i64 {
    match kind {
        DocumentKind::Preferences => 0,
        DocumentKind::Device => 1,
        DocumentKind::Push => 2,
        DocumentKind::Draft => 3,
    }
}

fn read_kind(row: &Row<'_>, at: usize) -> rusqlite::Result<DocumentKind> {
    let found: i64 = row.get(at)?;
    let kind = DocumentKind::ALL.into_iter().find(|kind| number(*kind) == found);
    kind.ok_or(rusqlite::Error::IntegralValueOutOfRange(at, found))
}

impl Batch<'_> {
    pub(super) fn put_document(
        &mut self,
        user: UserId,
        kind: DocumentKind,
        name: &str,
        body: &[u8],
        expect: Expect,
    ) -> Result<Outcome, Fault> {
        self.cursor(user)?;
        if !expect.met(self.document_version(user, kind, name)?) {
            return Ok(Outcome::Conflict);
        }
        let version = self.advance(user)?;
        self.run("DELETE FROM dropped_document WHERE user = ?1 AND kind = ?2 AND name = ?3", params![user.0, number(kind), name])?;
        self.run(
            "INSERT OR REPLACE INTO document (user, kind, name, version, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![user.0, number(kind), name, count(version), body],
        )?;
        Ok(Outcome::Kept { version })
    }

    pub(super) fn drop_document(&mut self, user: UserId, kind: DocumentKind, name: &str, expect: Expect) -> Result<Outcome, Fault> {
        let found = self.document_version(user, kind, name)?;
        if !expect.met(found) {
            return Ok(Outcome::Conflict);
        }
        if found.is_none() {
            return Ok(Outcome::Missing);
        }
        let version = self.advance(user)?;
        self.run(
            "INSERT OR REPLACE INTO dropped_document (user, kind, name, version) VALUES (?1, ?2, ?3, ?4)",
            params![user.0, number(kind), name, count(version)],
        )?;
        self.thin_out(user, "dropped_document", "version", "TRUE")?;
        self.run("DELETE FROM document WHERE user = ?1 AND kind = ?2 AND name = ?3", params![user.0, number(kind), name])
    }

    fn document_version(&self, user: UserId, kind: DocumentKind, name: &str) -> Result<Option<u64>, Fault> {
        let sql = "SELECT version FROM document WHERE user = ?1 AND kind = ?2 AND name = ?3";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row(params![user.0, number(kind), name], |row| columns::read_count(row, 0)).optional()?)
    }
}

pub(super) fn document(connection: &Connection, user: UserId, kind: DocumentKind, name: &str) -> rusqlite::Result<Option<Document>> {
    let mut statement =
        connection.prepare_cached("SELECT user, kind, name, version, body FROM document WHERE user = ?1 AND kind = ?2 AND name = ?3")?;
    statement.query_row(params![user.0, number(kind), name], read_document).optional()
}

pub(super) fn documents(connection: &Connection, user: UserId, kind: DocumentKind) -> rusqlite::Result<Vec<Document>> {
    let mut statement =
        connection.prepare_cached("SELECT user, kind, name, version, body FROM document WHERE user = ?1 AND kind = ?2 ORDER BY name")?;
    statement.query_map(params![user.0, number(kind)], read_document)?.collect()
}

/// Reads the whole table: for the start of the server, and nothing else.
pub(super) fn all_documents(connection: &Connection, kind: DocumentKind) -> rusqlite::Result<Vec<Document>> {
    let mut statement =
        connection.prepare_cached("SELECT user, kind, name, version, body FROM document WHERE kind = ?1 ORDER BY user, name")?;
    statement.query_map([number(kind)], read_document)?.collect()
}

/// The documents that changed after a cursor, with those that are no more.
pub(super) fn document_changes(connection: &Connection, user: UserId, since: u64) -> rusqlite::Result<Vec<DocumentChange>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, name, version, 0 FROM document WHERE user = ?1 AND version > ?2 \
         UNION ALL SELECT kind, name, version, 1 FROM dropped_document WHERE user = ?1 AND version > ?2",
    )?;
    let rows = statement.query_map(params![user.0, count(since)], |row| {
        Ok(DocumentChange {
            kind: Text::from(read_kind(row, 0)?.name()),
            name: columns::read_text(row, 1)?,
            version: columns::read_count(row, 2)?,
            gone: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn read_document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        user: UserId(row.get(0)?),
        kind: read_kind(row, 1)?,
        name: columns::read_text(row, 2)?,
        version: columns::read_count(row, 3)?,
        body: columns::read_bytes(row, 4)?,
    })
}
