//! The queries about objects: one, its payload, its neighbours in a thread, the owner's folders, what the box holds, what is stale.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, MAIN_DB, OptionalExtension, params};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{
    ConversationHistory, Flag, FolderFlag, FolderFlags, Gone, Histories, Index, Mark, OwnFolder, OwnFolders, Page,
};
use wasm_core::cpm::ids::{ConversationId, MessageId};
use wasm_core::{Text, Time};

use super::batch::objects::read_spot;
use super::columns::{self, ENTRY, ENTRY_FROM, count, flags, read_entry, time};
use crate::store::{Aged, Entry, Located, Payload, Spot, Stale, Usage, UserId};

/// How many objects before a place are looked at for the conversations in them, and around an object for its thread.
const LOOKED_AT: usize = 2_000;
/// How many objects a thread shows.
const THREAD: usize = 200;

/// The names of an entry's flags, with what its owner put on it.
pub(super) fn dress(connection: &Connection, user: UserId, bits: i64, entry: &mut Entry) -> rusqlite::Result<()> {
    for (bit, flag) in [(flags::FLAGGED, Flag::Flagged), (flags::DELETED, Flag::Deleted)] {
        if bits & bit != 0 {
            entry.flags.push(Text::from(flag.as_str()));
        }
    }
    if bits & flags::KEYWORDS != 0 {
        let mut statement = connection.prepare_cached("SELECT word FROM keyword WHERE user = ?1 AND seq = ?2 ORDER BY word")?;
        for word in statement.query_map(params![user.0, count(entry.seq)], |row| columns::read_text(row, 0))? {
            entry.flags.push(word?);
        }
    }
    if bits & flags::FILED != 0 {
        let mut statement = connection.prepare_cached("SELECT own FROM filed WHERE user = ?1 AND seq = ?2 ORDER BY own")?;
        for own in statement.query_map(params![user.0, count(entry.seq)], |row| columns::read_count(row, 0))? {
            entry.folders.push(own?);
        }
    }
    Ok(())
}

/// An entry with its bits, from a row of [`ENTRY`].
pub(super) fn read_dressed(connection: &Connection, row: &rusqlite::Row<'_>, user: UserId) -> rusqlite::Result<Entry> {
    let mut entry = read_entry(row, user)?;
    dress(connection, user, row.get(19)?, &mut entry)?;
    Ok(entry)
}

/// Where objects lie.
pub(super) fn spots(connection: &Connection, user: UserId, seqs: &[u64]) -> rusqlite::Result<Vec<Option<Spot>>> {
    // One seek in each folder that is old enough.
    let mut statement = connection.prepare_cached(
        "SELECT e.folder, e.seq FROM folder f CROSS JOIN entry e ON e.user = f.user AND e.folder = f.id AND e.seq = ?2 \
         WHERE f.user = ?1 AND f.id <= ?2",
    )?;
    seqs.iter().map(|seq| statement.query_row(params![user.0, count(*seq)], read_spot).optional()).collect()
}

/// The object at a place.
pub(super) fn at(connection: &Connection, user: UserId, spot: Spot) -> rusqlite::Result<Option<Entry>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {ENTRY} FROM {ENTRY_FROM} WHERE e.user = ?1 AND e.folder = ?2 AND e.seq = ?3"))?;
    let found = statement.query_row(params![user.0, count(spot.folder), count(spot.seq)], |row| read_dressed(connection, row, user));
    Ok(found.optional()?.filter(|entry| !entry.gone))
}

pub(super) fn object(connection: &Connection, user: UserId, seq: u64) -> rusqlite::Result<Option<Located>> {
    let Some(spot) = spots(connection, user, &[seq])?.remove(0) else { return Ok(None) };
    Ok(at(connection, user, spot)?.map(|entry| Located { spot, entry }))
}

pub(super) fn payload(connection: &Connection, user: UserId, seq: u64, from: u64, most: usize) -> rusqlite::Result<Option<Payload>> {
    let Some(spot) = spots(connection, user, &[seq])?.remove(0) else { return Ok(None) };
    let found = connection
        .prepare_cached(
            "SELECT c.id, c.content_type FROM entry e JOIN content c ON c.id = e.content \
             WHERE e.user = ?1 AND e.folder = ?2 AND e.seq = ?3 AND e.flags & 4 = 0",
        )?
        .query_row(params![user.0, count(spot.folder), count(spot.seq)], |row| Ok((row.get::<_, i64>(0)?, columns::read_text(row, 1)?)))
        .optional()?;
    let Some((content, content_type)) = found else { return Ok(None) };
    let blob = connection.blob_open(MAIN_DB, "content", "body", content, true)?;
    let length = blob.len();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(length);
    let mut bytes = vec![0; most.min(length - from)];
    if !bytes.is_empty() {
        blob.read_at_exact(&mut bytes, from)?;
    }
    Ok(Some(Payload { content_type, length: length as u64, bytes: bytes.into() }))
}

pub(super) fn index(connection: &Connection, user: UserId, with: &Address, after: u64, limit: usize) -> rusqlite::Result<Index> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, change FROM entry WHERE user = ?1 AND folder = (SELECT id FROM folder WHERE user = ?1 AND peer = ?2) \
         AND seq > ?3 AND flags & 4 = 0 ORDER BY seq LIMIT ?4",
    )?;
    let rows = statement.query_map(params![user.0, with.as_str(), count(after), columns::limit(limit + 1)], |row| {
        Ok(Mark(columns::read_count(row, 0)?, columns::read_count(row, 1)?))
    })?;
    let mut marks = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = marks.len() > limit;
    marks.truncate(limit);
    Ok(Index { marks, more })
}

/// The flags of a conversation folder by their names.
pub(super) fn folder_flags(bits: i64) -> Vec<Text> {
    let names = [(flags::ARCHIVED, FolderFlag::Archived), (flags::PINNED, FolderFlag::Pinned)];
    names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, flag)| Text::from(flag.as_str())).collect()
}

/// The conversation folders whose flags changed after a cursor.
pub(super) fn folder_changes(connection: &Connection, user: UserId, since: u64) -> rusqlite::Result<Vec<FolderFlags>> {
    let mut statement = connection.prepare_cached("SELECT peer, flags, flagged FROM folder WHERE user = ?1 AND flagged > ?2")?;
    let rows = statement.query_map(params![user.0, count(since)], |row| {
        Ok(FolderFlags { with: columns::read_address(row, 0)?, flags: folder_flags(row.get(1)?), change: columns::read_count(row, 2)? })
    })?;
    rows.collect()
}

/// The owner's folders that changed after a cursor, with those that are no more.
pub(super) fn own_folder_changes(connection: &Connection, user: UserId, since: u64) -> rusqlite::Result<Vec<OwnFolder>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, parent, name, change, (SELECT count(*) FROM filed WHERE user = o.user AND own = o.id) \
         FROM own_folder o WHERE user = ?1 AND change > ?2 ORDER BY name, id",
    )?;
    let rows = statement.query_map(params![user.0, count(since)], |row| {
        let name = row.get::<_, Option<String>>(2)?;
        Ok(OwnFolder {
            id: columns::read_count(row, 0)?,
            parent: row.get::<_, Option<i64>>(1)?.and_then(|parent| u64::try_from(parent).ok()),
            gone: name.is_none(),
            name: Text::from(name.unwrap_or_default()),
            change: columns::read_count(row, 3)?,
            objects: columns::read_count(row, 4)?,
        })
    })?;
    rows.collect()
}

pub(super) fn own_folders(connection: &Connection, user: UserId) -> rusqlite::Result<OwnFolders> {
    let folders = own_folder_changes(connection, user, 0)?.into_iter().filter(|folder| !folder.gone).collect();
    Ok(OwnFolders { folders })
}

pub(super) fn histories(
    connection: &Connection,
    user: UserId,
    with: &Address,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Histories> {
    let mut statement = connection.prepare_cached(
        "SELECT e.seq, c.conversation, c.date FROM entry e JOIN content c ON c.id = e.content WHERE e.user = ?1 \
         AND e.folder = (SELECT id FROM folder WHERE user = ?1 AND peer = ?2) AND e.seq < ?3 AND e.flags & 6 = 0 \
         ORDER BY e.seq DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![user.0, with.as_str(), before.map_or(i64::MAX, count), columns::limit(LOOKED_AT)])?;
    let mut found: Vec<ConversationHistory> = Vec::new();
    let (mut seen, mut lowest) = (0, None);
    while let Some(row) = rows.next()? {
        let (seq, date) = (columns::read_count(row, 0)?, columns::read_time(row, 2)?);
        let id = row.get::<_, Option<String>>(1)?.and_then(|id| ConversationId::parse(&Text::from(id)));
        if let Some(id) = id {
            match found.iter().position(|history| history.conversation == id) {
                Some(nth) => {
                    let history = &mut found[nth];
                    history.objects += 1;
                    (history.first, history.started) = (seq, date.min(history.started));
                    history.ended = date.max(history.ended);
                }
                None if found.len() == limit => {
                    // The next page begins with this one.
                    return Ok(Histories { histories: found, before: Some(seq + 1) });
                }
                None => found.push(ConversationHistory {
                    conversation: id,
                    with: with.clone(),
                    objects: 1,
                    first: seq,
                    last: seq,
                    started: date,
                    ended: date,
                }),
            }
        }
        seen += 1;
        lowest = Some(seq);
    }
    Ok(Histories { histories: found, before: lowest.filter(|_| seen == LOOKED_AT) })
}

pub(super) fn thread(connection: &Connection, user: UserId, seq: u64) -> rusqlite::Result<Option<Page>> {
    let Some(Located { spot, .. }) = object(connection, user, seq)? else { return Ok(None) };
    // What lies near, with what each is and what it answers.
    let mut near: BTreeMap<u64, (Option<String>, Option<String>)> = BTreeMap::new();
    for (which, order) in [("<=", "DESC"), (">", "ASC")] {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT e.seq, c.contribution, c.in_reply_to FROM entry e JOIN content c ON c.id = e.content \
             WHERE e.user = ?1 AND e.folder = ?2 AND e.seq {which} ?3 AND e.flags & 6 = 0 ORDER BY e.seq {order} LIMIT ?4"
        ))?;
        let mut rows = statement.query(params![user.0, count(spot.folder), count(seq), columns::limit(LOOKED_AT)])?;
        while let Some(row) = rows.next()? {
            near.insert(columns::read_count(row, 0)?, (row.get(1)?, row.get(2)?));
        }
    }
    let mut root = seq;
    // A chain of answers that bites its own tail has no beginning.
    let mut passed = HashSet::from([root]);
    while let Some(parent) = near.get(&root).and_then(|(_, answers)| answers.as_ref()) {
        let found = near.iter().find(|(_, (contribution, _))| contribution.as_ref() == Some(parent));
        let Some((&found, _)) = found.filter(|(found, _)| passed.insert(**found)) else { break };
        root = found;
    }
    let mut members = HashSet::from([root]);
    let mut known: HashSet<&String> = near.get(&root).and_then(|(contribution, _)| contribution.as_ref()).into_iter().collect();
    // An answer may lie before what it answers where clocks of peers are crossed: as long as something is found, look again.
    loop {
        let before = members.len();
        for (&seq, (contribution, answers)) in &near {
            if members.len() < THREAD && answers.as_ref().is_some_and(|parent| known.contains(parent)) && members.insert(seq) {
                known.extend(contribution.as_ref());
            }
        }
        if members.len() == before {
            break;
        }
    }
    let mut seqs: Vec<u64> = members.into_iter().collect();
    seqs.sort_unstable();
    let mut objects = Vec::with_capacity(seqs.len());
    for seq in seqs {
        objects.extend(at(connection, user, Spot { folder: spot.folder, seq })?.map(Entry::object));
    }
    Ok(Some(Page { objects, has_older: false }))
}

pub(super) fn usage(connection: &Connection, user: UserId) -> rusqlite::Result<Usage> {
    let mut statement = connection.prepare_cached("SELECT objects, bytes FROM box WHERE user = ?1")?;
    let found = statement
        .query_row([user.0], |row| Ok(Usage { objects: columns::read_count(row, 0)?, bytes: columns::read_count(row, 1)? }))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// The greatest change of which nothing is left.
pub(super) fn horizon(connection: &Connection, user: UserId) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT horizon FROM box WHERE user = ?1")?;
    Ok(statement.query_row([user.0], |row| columns::read_count(row, 0)).optional()?.unwrap_or(0))
}

/// Reads every box, which is a short row: for housekeeping alone.
pub(super) fn overfull(connection: &Connection, most: Usage, limit: usize) -> rusqlite::Result<Vec<UserId>> {
    let mut statement = connection.prepare_cached("SELECT user FROM box WHERE objects > ?1 OR bytes > ?2 LIMIT ?3")?;
    let rows = statement.query_map(params![count(most.objects), count(most.bytes), columns::limit(limit)], |row| row.get(0).map(UserId))?;
    rows.collect()
}

pub(super) fn oldest(connection: &Connection, user: UserId, limit: usize) -> rusqlite::Result<Vec<Spot>> {
    let mut found = Vec::new();
    // Those that the owner cares for come last.
    for condition in ["e.flags & 21 = 0", "e.flags & 4 = 0 AND e.flags & 17 <> 0"] {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT e.folder, e.seq FROM folder f CROSS JOIN entry e ON e.user = f.user AND e.folder = f.id \
             WHERE f.user = ?1 AND {condition} ORDER BY e.seq LIMIT ?2"
        ))?;
        let rows = statement.query_map(params![user.0, columns::limit(limit - found.len())], read_spot)?;
        found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

pub(super) fn stale(connection: &Connection, what: Stale, limit: usize) -> rusqlite::Result<Vec<(UserId, Spot)>> {
    let (before, purged) = match what {
        Stale::Deleted(before) => (before, 0),
        Stale::Gone(before) => (before, 1),
    };
    let mut statement =
        connection.prepare_cached("SELECT folder, seq, user FROM gone WHERE purged = ?3 AND at < ?1 ORDER BY at LIMIT ?2")?;
    let rows =
        statement.query_map(params![time(before), columns::limit(limit), purged], |row| Ok((UserId(row.get(2)?), read_spot(row)?)))?;
    rows.collect()
}

pub(super) fn aged(connection: &Connection, before: Time, from: i64, limit: usize) -> rusqlite::Result<Aged> {
    let mut statement = connection.prepare_cached("SELECT id, message_id, date FROM content WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut copies = connection.prepare_cached(
        "SELECT e.folder, e.seq, e.user FROM entry e INDEXED BY entry_by_key WHERE e.key = ?1 AND e.content = ?2 AND e.flags & 21 = 0",
    )?;
    let (mut found, mut last, mut seen) = (Vec::new(), from, 0);
    let mut rows = statement.query(params![from, columns::limit(limit)])?;
    while let Some(row) = rows.next()? {
        (last, seen) = (row.get(0)?, seen + 1);
        if columns::read_time(row, 2)? < before {
            let key = columns::key(&columns::read_parsed(row, 1, MessageId::parse)?);
            for copy in copies.query_map(params![key, last], |row| Ok((UserId(row.get(2)?), read_spot(row)?)))? {
                found.push(copy?);
            }
        }
    }
    Ok((found, (seen == limit).then_some(last)))
}

/// The tombstones among what changed, as the history API tells them.
pub(super) fn gone(entry: Entry) -> Gone {
    Gone { seq: entry.seq, change: entry.change, message_id: entry.message.message_id, with: entry.message.with }
}
