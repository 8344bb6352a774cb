//! The queries. Each works on one snapshot: a read transaction where it needs more than one statement.
//!
//! SQLite has no statistics to plan by and would read a user's whole history to spare itself a sort, hence `INDEXED BY`, and `CROSS JOIN`
//! for a join in the order written.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Changes, Folder, Folders, Page};
use wasm_core::cpm::ids::{ConversationId, InstanceId, MessageId};
use wasm_core::sip::digest::Ha1;
use wasm_core::{Text, Time};

use super::columns::{self, ENTRY, ENTRY_FROM, count, key, read_entry, time};
use super::documents;
use super::objects::{self, folder_flags, read_dressed};
use crate::store::{
    Account, BindingKey, Direction, Entry, Pending, PendingId, Queued, Secret, StoredBinding, StoredSession, TokenHash, UserId,
};

/// The most rows that one question is answered with, whatever was asked for.
const MOST: usize = 1000;

pub(super) fn account(connection: &Connection, address: &Address) -> rusqlite::Result<Option<Account>> {
    let mut statement = connection
        .prepare_cached("SELECT account.user, account.display_name FROM address JOIN account USING (user) WHERE address.address = ?1")?;
    let found = statement.query_row([address.as_str()], |row| Ok((UserId(row.get(0)?), columns::read_text(row, 1)?))).optional()?;
    found.map(|(user, name)| whole_account(connection, user, name)).transpose()
}

pub(super) fn accounts(connection: &Connection) -> rusqlite::Result<Vec<Account>> {
    let mut statement = connection.prepare_cached("SELECT user, display_name FROM account ORDER BY user")?;
    let rows = statement.query_map([], |row| Ok((UserId(row.get(0)?), columns::read_text(row, 1)?)))?;
    let mut accounts =
        rows.map(|row| row.and_then(|(user, name)| whole_account(connection, user, name))).collect::<rusqlite::Result<Vec<_>>>()?;
    accounts.sort_by(|one, two| one.addresses.first().cmp(&two.addresses.first()));
    Ok(accounts)
}

fn whole_account(connection: &Connection, user: UserId, display_name: Text) -> rusqlite::Result<Account> {
    let mut statement = connection.prepare_cached("SELECT address FROM address WHERE user = ?1 ORDER BY place")?;
    let addresses: Vec<Address> =
        statement.query_map([user.0], |row| columns::read_address(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    if addresses.is_empty() {
        // Never written: an account without a primary identity would have nothing to be called by.
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let mut statement =
        connection.prepare_cached("SELECT username, realm, md5, sha256 FROM secret WHERE user = ?1 ORDER BY realm, username")?;
    let secrets = statement.query_map([user.0], |row| {
        Ok(Secret {
            username: columns::read_text(row, 0)?,
            realm: columns::read_text(row, 1)?,
            ha1: Ha1 { md5: columns::read_array(row, 2)?, sha256: columns::read_array(row, 3)? },
        })
    })?;
    Ok(Account { user, addresses, display_name, secrets: secrets.collect::<rusqlite::Result<_>>()? })
}

pub(super) fn counter(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT value FROM counter WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| columns::read_count(row, 0)).optional()?.unwrap_or(0))
}

pub(super) fn server_secret(connection: &Connection, name: &str) -> rusqlite::Result<Option<[u8; 32]>> {
    let mut statement = connection.prepare_cached("SELECT value FROM server_secret WHERE name = ?1")?;
    statement.query_row([name], |row| columns::read_array(row, 0)).optional()
}

pub(super) fn cursor(connection: &Connection, user: UserId) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT cursor FROM box WHERE user = ?1")?;
    Ok(statement.query_row([user.0], |row| columns::read_count(row, 0)).optional()?.unwrap_or(0))
}

pub(super) fn unread(connection: &Connection, user: UserId) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum((SELECT e.incoming FROM entry e WHERE e.user = f.user AND e.folder = f.id ORDER BY e.seq DESC LIMIT 1) - f.seen), 0) \
         FROM folder f WHERE f.user = ?1",
    )?;
    statement.query_row([user.0], |row| columns::read_count(row, 0))
}

pub(super) fn conversations(connection: &Connection, user: UserId, before: Option<u64>, limit: usize) -> rusqlite::Result<Folders> {
    let snapshot = connection.unchecked_transaction()?;
    let cursor = cursor(&snapshot, user)?;
    let mut statement = snapshot.prepare_cached(&format!(
        "WITH s AS MATERIALIZED (SELECT f.user, f.id, f.seen, max(f.change, f.flagged) AS change, \
         (SELECT max(e.seq) FROM entry e WHERE e.user = f.user AND e.folder = f.id) AS newest, \
         (SELECT e.seq FROM entry e WHERE e.user = f.user AND e.folder = f.id AND e.flags & 6 = 0 ORDER BY e.seq DESC LIMIT 1) AS shown \
         FROM folder f WHERE f.user = ?1) \
         SELECT {ENTRY}, n.incoming - s.seen, max(s.change, s.newest), \
         (SELECT a.display_name FROM address JOIN account a USING (user) WHERE address.address = f.peer), f.flags \
         FROM (SELECT * FROM s WHERE shown IS NOT NULL AND (?2 IS NULL OR shown < ?2) ORDER BY shown DESC LIMIT ?3) s \
         JOIN folder f ON f.user = s.user AND f.id = s.id \
         JOIN entry n ON n.user = s.user AND n.folder = s.id AND n.seq = s.newest \
         JOIN entry e ON e.user = s.user AND e.folder = s.id AND e.seq = s.shown JOIN content c ON c.id = e.content \
         ORDER BY s.shown DESC"
    ))?;
    let rows = statement.query_map(params![user.0, before.map(count), columns::limit(limit.min(MOST))], |row| {
        let last = read_dressed(&snapshot, row, user)?;
        let title = row.get::<_, Option<String>>(22)?.filter(|name| !name.is_empty());
        Ok(Folder {
            with: last.message.with.clone(),
            title: title.map_or_else(|| last.message.with.text().clone(), Text::from),
            conversation: last.message.conversation.clone() as Option<ConversationId>,
            unread: row.get(20)?,
            cursor: columns::read_count(row, 21)?,
            flags: folder_flags(row.get(23)?),
            last: Some(last.object()),
        })
    })?;
    Ok(Folders { folders: rows.collect::<rusqlite::Result<_>>()?, cursor })
}

pub(super) fn messages(connection: &Connection, user: UserId, with: &Address, before: Option<u64>, limit: usize) -> rusqlite::Result<Page> {
    let limit = limit.min(MOST);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM {ENTRY_FROM} WHERE e.user = ?1 AND e.folder = \
         (SELECT id FROM folder WHERE user = ?1 AND peer = ?2) AND e.seq < ?3 AND e.flags & 6 = 0 ORDER BY e.seq DESC LIMIT ?4"
    ))?;
    let rows = statement.query_map(params![user.0, with.as_str(), before.map_or(i64::MAX, count), columns::limit(limit + 1)], |row| {
        Ok(read_dressed(connection, row, user)?.object())
    })?;
    let mut objects = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let has_older = objects.len() > limit;
    objects.truncate(limit);
    objects.reverse();
    Ok(Page { objects, has_older })
}

pub(super) fn changes(connection: &Connection, user: UserId, since: u64, limit: usize) -> rusqlite::Result<Changes> {
    let limit = limit.clamp(1, MOST);
    let snapshot = connection.unchecked_transaction()?;
    let cursor = cursor(&snapshot, user)?;
    if since > cursor || (since > 0 && since < objects::horizon(&snapshot, user)?) {
        return Ok(Changes { cursor, reset: true, ..Changes::default() });
    }
    let mut entries: Vec<Entry> = Vec::new();
    for which in [
        // Unchanged since they came, at the end of any folder; and changed later.
        "SELECT e.user, e.folder, e.seq FROM folder f CROSS JOIN entry e ON e.user = f.user AND e.folder = f.id AND e.seq > ?2 \
         WHERE f.user = ?1 AND e.change = e.seq ORDER BY e.seq LIMIT ?3",
        "SELECT e.user, e.folder, e.seq FROM entry e INDEXED BY entry_changed WHERE e.user = ?1 AND e.change > ?2 AND e.change > e.seq ORDER BY e.change LIMIT ?3",
    ] {
        // The places first: only those that are asked for are read whole.
        let mut statement = snapshot.prepare_cached(&format!(
            "SELECT {ENTRY} FROM ({which}) place JOIN entry e ON e.user = place.user AND e.folder = place.folder AND e.seq = place.seq \
             JOIN content c ON c.id = e.content JOIN folder f ON f.user = e.user AND f.id = e.folder"
        ))?;
        let rows =
            statement.query_map(params![user.0, count(since), columns::limit(limit + 1)], |row| read_dressed(&snapshot, row, user))?;
        for row in rows {
            entries.push(row?);
        }
    }
    entries.sort_by_key(|entry| entry.change);
    let mut folders = objects::folder_changes(&snapshot, user, since)?;
    let mut own_folders = objects::own_folder_changes(&snapshot, user, since)?;
    let mut documents = documents::document_changes(&snapshot, user, since)?;
    let mut marks: Vec<u64> = entries.iter().map(|entry| entry.change).collect();
    marks.extend(folders.iter().map(|folder| folder.change));
    marks.extend(own_folders.iter().map(|folder| folder.change));
    marks.extend(documents.iter().map(|document| document.version));
    marks.sort_unstable();
    let more = marks.len() > limit;
    let cursor = if more { marks[limit - 1] } else { cursor };
    entries.retain(|entry| entry.change <= cursor);
    folders.retain(|folder| folder.change <= cursor);
    own_folders.retain(|folder| folder.change <= cursor);
    documents.retain(|document| document.version <= cursor);
    let (gone, entries): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.gone);
    let gone = gone.into_iter().map(objects::gone).collect();
    let objects = entries.into_iter().map(Entry::object).collect();
    Ok(Changes { cursor, objects, more, reset: false, quiet: false, gone, folders, own_folders, documents, quota: None })
}

pub(super) fn message(connection: &Connection, user: UserId, direction: Direction, message_id: &MessageId) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM entry e INDEXED BY entry_by_key JOIN content c ON c.id = e.content \
         JOIN folder f ON f.user = e.user AND f.id = e.folder \
         WHERE e.user IN (?1, -?1) AND e.key = ?2 AND e.outgoing = ?3 AND c.message_id = ?4 ORDER BY e.seq"
    ))?;
    let rows = statement
        .query_map(params![user.0, key(message_id), direction == Direction::Out, message_id.as_str()], |row| read_entry(row, user))?;
    rows.collect()
}

pub(super) fn pending(connection: &Connection, user: UserId, after: Option<PendingId>, limit: usize) -> rusqlite::Result<Vec<Queued>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, user, kind, expires_at, message_id, arrived_at, request FROM pending WHERE user = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let after = after.map_or(i64::MIN, |id| id.0);
    statement.query_map(params![user.0, after, columns::limit(limit.min(MOST))], queued)?.collect()
}

pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<UserId>> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT user FROM pending ORDER BY user")?;
    statement.query_map([], |row| row.get(0).map(UserId))?.collect()
}

pub(super) fn expired(connection: &Connection, now: Time, limit: usize) -> rusqlite::Result<Vec<Queued>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, user, kind, expires_at, message_id, arrived_at, request FROM pending WHERE expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2",
    )?;
    statement.query_map(params![time(now), columns::limit(limit.min(MOST))], queued)?.collect()
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let request: Bytes = columns::read_bytes(row, 6)?;
    Ok(Queued {
        id: PendingId(row.get(0)?),
        held: false,
        pending: Pending {
            user: UserId(row.get(1)?),
            kind: columns::read_kind(row, 2)?,
            expires_at: columns::read_time(row, 3)?,
            message_id: columns::read_parsed(row, 4, MessageId::parse)?,
            arrived_at: columns::read_time(row, 5)?,
            request,
        },
    })
}

/// The bindings of one user, or of all.
pub(super) fn bindings(connection: &Connection, user: Option<UserId>) -> rusqlite::Result<Vec<StoredBinding>> {
    // Two statements: under one condition for both there would be no index to use.
    let whose = if user.is_some() { "user = ?1" } else { "?1 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT user, key, address, contact, path, call_id, cseq, hop, user_agent, registered_at, expires_at \
         FROM binding WHERE {whose} ORDER BY user, registered_at, key"
    ))?;
    let rows = statement.query_map([user.map(|user| user.0)], |row| {
        Ok(StoredBinding {
            user: UserId(row.get(0)?),
            key: BindingKey(columns::read_text(row, 1)?),
            address: columns::read_address(row, 2)?,
            contact: columns::read_text(row, 3)?,
            path: columns::read_parsed(row, 4, |text| serde_json::from_str(text).ok())?,
            call_id: columns::read_text(row, 5)?,
            cseq: row.get(6)?,
            hop: columns::read_text(row, 7)?,
            user_agent: columns::read_text(row, 8)?,
            registered_at: columns::read_time(row, 9)?,
            expires_at: columns::read_time(row, 10)?,
        })
    })?;
    rows.collect()
}

const SESSION: &str = "SELECT token, user, instance, device_name, created_at, expires_at FROM session";

pub(super) fn session(connection: &Connection, token: &TokenHash) -> rusqlite::Result<Option<StoredSession>> {
    let mut statement = connection.prepare_cached(&format!("{SESSION} WHERE token = ?1"))?;
    statement.query_row([token.0], read_session).optional()
}

pub(super) fn sessions(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<StoredSession>> {
    let mut statement = connection.prepare_cached(&format!("{SESSION} WHERE user = ?1 ORDER BY created_at, token"))?;
    statement.query_map([user.0], read_session)?.collect()
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    Ok(StoredSession {
        token: TokenHash(columns::read_array(row, 0)?),
        user: UserId(row.get(1)?),
        instance: columns::read_parsed(row, 2, InstanceId::parse)?,
        device_name: columns::read_text(row, 3)?,
        created_at: columns::read_time(row, 4)?,
        expires_at: columns::read_time(row, 5)?,
    })
}
