//! What an owner does with the objects and folders of a box.

use rusqlite::{OptionalExtension, params};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Flag, FolderFlag};
use wasm_core::{Text, Time};

use super::{Batch, Fault};
use crate::store::sqlite::columns::{self, count, flags, time};
use crate::store::{Action, DEEPEST, MOST_FILED, MOST_KEYWORDS, MOST_OWN_FOLDERS, Outcome, Spot, UserId};

/// How many tombstones of documents, and of folders of an owner's, are kept for each user.
const TRACES: i64 = 256;

/// What an action has to know of an object.
struct Target {
    with: Address,
    content: i64,
    change: u64,
    outgoing: bool,
    seen: bool,
    flags: i64,
}

impl Batch<'_> {
    pub(super) fn arrange(&mut self, user: UserId, at: Time, action: &Action) -> Result<Outcome, Fault> {
        self.cursor(user)?;
        match action {
            Action::Flag { spot, flag, on } => self.flag(user, at, *spot, flag, *on),
            Action::Purge { spot } => self.purge(user, at, *spot),
            Action::Forget { spot } => self.forget(user, *spot),
            Action::FlagFolder { with, flag, on } => self.flag_folder(user, with, *flag, *on),
            Action::MakeFolder { parent, name } => self.make_folder(user, *parent, name),
            Action::ChangeFolder { id, parent, name } => self.change_folder(user, *id, *parent, name),
            Action::DropFolder { id } => self.drop_folder(user, *id),
            Action::File { spot, own, alone } => self.file(user, *spot, *own, *alone),
            Action::Unfile { spot, own } => self.unfile(user, *spot, *own),
        }
    }

    /// An object that is not gone.
    fn target(&mut self, user: UserId, spot: Spot) -> Result<Option<Target>, Fault> {
        self.flush_folders()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT f.peer, e.content, e.change, e.outgoing, e.seen, e.flags FROM entry e JOIN folder f ON f.user = e.user AND f.id = e.folder \
             WHERE e.user = ?1 AND e.folder = ?2 AND e.seq = ?3",
        )?;
        let found = statement.query_row(params![user.0, count(spot.folder), count(spot.seq)], |row| {
            Ok(Target {
                with: columns::read_address(row, 0)?,
                content: row.get(1)?,
                change: columns::read_count(row, 2)?,
                outgoing: row.get(3)?,
                seen: row.get(4)?,
                flags: row.get(5)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Writes the flags of an object, and tells of it.
    fn mark(&mut self, user: UserId, spot: Spot, found: &Target, seen: bool, flags: i64) -> Result<Outcome, Fault> {
        let change = self.advance(user)?;
        self.run(
            "UPDATE entry SET flags = ?4, seen = ?5, change = ?6 WHERE user = ?1 AND folder = ?2 AND seq = ?3",
            params![user.0, count(spot.folder), count(spot.seq), flags, seen, count(change)],
        )?;
        self.folder_changed(user, &found.with, change, i64::from(seen) - i64::from(found.seen))?;
        Ok(Outcome::Changed)
    }

    fn flag(&mut self, user: UserId, at: Time, spot: Spot, flag: &Flag, on: bool) -> Result<Outcome, Fault> {
        let Some(found) = self.target(user, spot)?.filter(|found| found.flags & flags::GONE == 0) else {
            return Ok(Outcome::Missing);
        };
        let with_bit = |bit: i64| if on { found.flags | bit } else { found.flags & !bit };
        match flag {
            // What the owner sent was seen by them.
            Flag::Seen if found.outgoing || found.seen == on || found.flags & flags::DELETED != 0 => Ok(Outcome::Unchanged),
            Flag::Seen => self.mark(user, spot, &found, on, found.flags),
            Flag::Flagged | Flag::Deleted => {
                let flags = with_bit(if *flag == Flag::Flagged { flags::FLAGGED } else { flags::DELETED });
                if flags == found.flags {
                    return Ok(Outcome::Unchanged);
                }
                if *flag == Flag::Deleted {
                    self.trace(user, spot, false, on.then_some(at))?;
                }
                // What is out of sight is not waited for.
                self.mark(user, spot, &found, found.seen || (on && *flag == Flag::Deleted), flags)
            }
            Flag::Keyword(word) => {
                let key = params![user.0, count(spot.seq), &**word];
                let known =
                    self.connection.prepare_cached("SELECT 1 FROM keyword WHERE user = ?1 AND seq = ?2 AND word = ?3")?.exists(key)?;
                if known == on {
                    return Ok(Outcome::Unchanged);
                }
                let words = self.number("SELECT count(*) FROM keyword WHERE user = ?1 AND seq = ?2", user, spot.seq)?;
                if on {
                    if words >= columns::limit(MOST_KEYWORDS) {
                        return Ok(Outcome::Conflict);
                    }
                    self.run(
                        "INSERT INTO keyword (user, seq, word, folder) VALUES (?1, ?2, ?3, ?4)",
                        params![user.0, count(spot.seq), &**word, count(spot.folder)],
                    )?;
                } else {
                    self.run("DELETE FROM keyword WHERE user = ?1 AND seq = ?2 AND word = ?3", key)?;
                }
                let some = if on || words > 1 { found.flags | flags::KEYWORDS } else { found.flags & !flags::KEYWORDS };
                self.mark(user, spot, &found, found.seen, some)
            }
        }
    }

    fn number(&self, sql: &str, user: UserId, of: u64) -> Result<i64, Fault> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params![user.0, count(of)], |row| row.get(0))?)
    }

    /// Notes since when an object is out of sight.
    fn trace(&mut self, user: UserId, spot: Spot, purged: bool, at: Option<Time>) -> Result<Outcome, Fault> {
        match at {
            Some(at) => self.run(
                "INSERT OR REPLACE INTO gone (user, seq, folder, purged, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![user.0, count(spot.seq), count(spot.folder), purged, time(at)],
            ),
            None => self.run("DELETE FROM gone WHERE user = ?1 AND seq = ?2", params![user.0, count(spot.seq)]),
        }
    }

    fn purge(&mut self, user: UserId, at: Time, spot: Spot) -> Result<Outcome, Fault> {
        let Some(found) = self.target(user, spot)? else { return Ok(Outcome::Missing) };
        if found.flags & flags::GONE != 0 {
            return Ok(Outcome::Unchanged);
        }
        self.mark(user, spot, &found, true, flags::GONE)?;
        self.trace(user, spot, true, Some(at))?;
        self.run("DELETE FROM keyword WHERE user = ?1 AND seq = ?2", params![user.0, count(spot.seq)])?;
        self.run("DELETE FROM filed WHERE user = ?1 AND seq = ?2", params![user.0, count(spot.seq)])?;
        let (id, bytes) = self
            .connection
            .prepare_cached("SELECT message_id, length(body) FROM content WHERE id = ?1")?
            .query_row([found.content], |row| {
                Ok((columns::read_parsed(row, 0, wasm_core::cpm::ids::MessageId::parse)?, row.get::<_, i64>(1)?))
            })?;
        self.weigh(user, -1, -bytes)?;
        let shared = self
            .connection
            .prepare_cached("SELECT 1 FROM entry e INDEXED BY entry_by_key WHERE e.key = ?1 AND e.content = ?2 AND e.flags & 4 = 0")?
            .exists(params![columns::key(&id), found.content])?;
        if !shared {
            // What is left tells whether the message was here, and what may still be reported of it.
            self.run("UPDATE content SET body = x'', content_type = 'text/plain' WHERE id = ?1", [found.content])?;
            self.run("DELETE FROM words WHERE rowid = ?1", [found.content])?;
        }
        Ok(Outcome::Changed)
    }

    fn forget(&mut self, user: UserId, spot: Spot) -> Result<Outcome, Fault> {
        let Some(found) = self.target(user, spot)?.filter(|found| found.flags & flags::GONE != 0) else {
            return Ok(Outcome::Missing);
        };
        let newest: i64 = self
            .connection
            .prepare_cached("SELECT max(seq) FROM entry WHERE user = ?1 AND folder = ?2")?
            .query_row(params![user.0, count(spot.folder)], |row| row.get(0))?;
        self.trace(user, spot, true, None)?;
        if newest == count(spot.seq) {
            return Ok(Outcome::Unchanged);
        }
        let message_id = self
            .connection
            .prepare_cached("SELECT message_id FROM content WHERE id = ?1")?
            .query_row([found.content], |row| columns::read_parsed(row, 0, wasm_core::cpm::ids::MessageId::parse))?;
        self.run("DELETE FROM entry WHERE user = ?1 AND folder = ?2 AND seq = ?3", params![user.0, count(spot.folder), count(spot.seq)])?;
        let shared = self
            .connection
            .prepare_cached("SELECT 1 FROM entry e INDEXED BY entry_by_key WHERE e.key = ?1 AND e.content = ?2")?
            .exists(params![columns::key(&message_id), found.content])?;
        if !shared {
            self.run("DELETE FROM content WHERE id = ?1", [found.content])?;
        }
        self.raise_horizon(user, count(found.change))?;
        Ok(Outcome::Changed)
    }

    /// Of what changed up to here, not everything is known any more.
    fn raise_horizon(&self, user: UserId, change: i64) -> Result<Outcome, Fault> {
        self.run("UPDATE box SET horizon = max(horizon, ?2) WHERE user = ?1", params![user.0, change])
    }

    /// Keeps the newest tombstones of a table alone.
    pub(in crate::store::sqlite) fn thin_out(&self, user: UserId, table: &str, change: &str, condition: &str) -> Result<(), Fault> {
        let sql = format!("SELECT {change} FROM {table} WHERE user = ?1 AND {condition} ORDER BY {change} DESC LIMIT 1 OFFSET ?2");
        let last: Option<i64> = self.connection.prepare_cached(&sql)?.query_row([user.0, TRACES], |row| row.get(0)).optional()?;
        if let Some(last) = last {
            self.run(&format!("DELETE FROM {table} WHERE user = ?1 AND {condition} AND {change} <= ?2"), [user.0, last])?;
            self.raise_horizon(user, last)?;
        }
        Ok(())
    }

    fn flag_folder(&mut self, user: UserId, with: &Address, flag: FolderFlag, on: bool) -> Result<Outcome, Fault> {
        self.flush_folders()?;
        let Some(folder) = self.folder(user, with)? else { return Ok(Outcome::Missing) };
        let known = self.number("SELECT flags FROM folder WHERE user = ?1 AND id = ?2", user, folder.id)?;
        let bit = match flag {
            FolderFlag::Archived => flags::ARCHIVED,
            FolderFlag::Pinned => flags::PINNED,
        };
        let wanted = if on { known | bit } else { known & !bit };
        if wanted == known {
            return Ok(Outcome::Unchanged);
        }
        let change = self.advance(user)?;
        self.run(
            "UPDATE folder SET flags = ?3, flagged = ?4 WHERE user = ?1 AND id = ?2",
            params![user.0, count(folder.id), wanted, count(change)],
        )?;
        Ok(Outcome::Changed)
    }

    fn make_folder(&mut self, user: UserId, parent: Option<u64>, name: &Text) -> Result<Outcome, Fault> {
        let folders: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM own_folder WHERE user = ?1 AND name IS NOT NULL")?
            .query_row([user.0], |row| row.get(0))?;
        if folders >= columns::limit(MOST_OWN_FOLDERS) || !self.fits(user, None, parent, name)? {
            return Ok(Outcome::Conflict);
        }
        let id = self.advance(user)?;
        self.run(
            "INSERT INTO own_folder (user, id, parent, name, change) VALUES (?1, ?2, ?3, ?4, ?2)",
            params![user.0, count(id), parent.map(count), &**name],
        )?;
        Ok(Outcome::Kept { version: id })
    }

    fn change_folder(&mut self, user: UserId, id: u64, parent: Option<u64>, name: &Text) -> Result<Outcome, Fault> {
        if !self.is_folder(user, id)? {
            return Ok(Outcome::Missing);
        }
        if !self.fits(user, Some(id), parent, name)? {
            return Ok(Outcome::Conflict);
        }
        let change = self.advance(user)?;
        self.run(
            "UPDATE own_folder SET parent = ?3, name = ?4, change = ?5 WHERE user = ?1 AND id = ?2",
            params![user.0, count(id), parent.map(count), &**name, count(change)],
        )?;
        Ok(Outcome::Changed)
    }

    fn is_folder(&self, user: UserId, id: u64) -> Result<bool, Fault> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM own_folder WHERE user = ?1 AND id = ?2 AND name IS NOT NULL")?;
        Ok(statement.exists(params![user.0, count(id)])?)
    }

    /// Whether a folder may lie there under this name: nobody else has it, nothing lies within itself, nothing too deep.
    fn fits(&self, user: UserId, id: Option<u64>, parent: Option<u64>, name: &Text) -> Result<bool, Fault> {
        let taken = self
            .connection
            .prepare_cached("SELECT 1 FROM own_folder WHERE user = ?1 AND parent IS ?2 AND name = ?3 AND id IS NOT ?4")?
            .exists(params![user.0, parent.map(count), &**name, id.map(count)])?;
        let mut depth = 1 + id.map_or(Ok(0), |id| self.height(user, id, 0))?;
        let mut above = parent;
        while let Some(next) = above {
            depth += 1;
            if Some(next) == id || depth > DEEPEST || !self.is_folder(user, next)? {
                return Ok(false);
            }
            above = self
                .connection
                .prepare_cached("SELECT parent FROM own_folder WHERE user = ?1 AND id = ?2")?
                .query_row(params![user.0, count(next)], |row| row.get::<_, Option<i64>>(0))?
                .and_then(|parent| u64::try_from(parent).ok());
        }
        Ok(!taken)
    }

    fn within(&self, user: UserId, id: u64) -> Result<Vec<u64>, Fault> {
        let mut statement =
            self.connection.prepare_cached("SELECT id FROM own_folder WHERE user = ?1 AND parent = ?2 AND name IS NOT NULL")?;
        let rows = statement.query_map(params![user.0, count(id)], |row| columns::read_count(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many levels lie below a folder.
    fn height(&self, user: UserId, id: u64, depth: usize) -> Result<usize, Fault> {
        let mut height = 0;
        if depth < DEEPEST {
            for inner in self.within(user, id)? {
                height = height.max(1 + self.height(user, inner, depth + 1)?);
            }
        }
        Ok(height)
    }

    fn drop_folder(&mut self, user: UserId, id: u64) -> Result<Outcome, Fault> {
        if !self.is_folder(user, id)? {
            return Ok(Outcome::Missing);
        }
        for inner in self.within(user, id)? {
            self.drop_folder(user, inner)?;
        }
        let filed: Vec<Spot> = {
            let mut statement =
                self.connection.prepare_cached("SELECT folder, seq FROM filed WHERE user = ?1 AND own = ?2 ORDER BY seq")?;
            let rows = statement.query_map(params![user.0, count(id)], read_spot)?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for spot in filed {
            self.unfile(user, spot, id)?;
        }
        let change = self.advance(user)?;
        self.run(
            "UPDATE own_folder SET name = NULL, parent = NULL, change = ?3 WHERE user = ?1 AND id = ?2",
            params![user.0, count(id), count(change)],
        )?;
        self.thin_out(user, "own_folder", "change", "name IS NULL")?;
        Ok(Outcome::Changed)
    }

    fn file(&mut self, user: UserId, spot: Spot, own: u64, alone: bool) -> Result<Outcome, Fault> {
        let Some(found) = self.target(user, spot)?.filter(|found| found.flags & flags::GONE == 0) else {
            return Ok(Outcome::Missing);
        };
        if !self.is_folder(user, own)? {
            return Ok(Outcome::Conflict);
        }
        let mut others = 0;
        let mut known = false;
        {
            let mut statement = self.connection.prepare_cached("SELECT own FROM filed WHERE user = ?1 AND seq = ?2")?;
            let mut rows = statement.query(params![user.0, count(spot.seq)])?;
            while let Some(row) = rows.next()? {
                if columns::read_count(row, 0)? == own { known = true } else { others += 1 }
            }
        }
        if known && (others == 0 || !alone) {
            return Ok(Outcome::Unchanged);
        }
        if alone {
            self.run("DELETE FROM filed WHERE user = ?1 AND seq = ?2", params![user.0, count(spot.seq)])?;
        } else if others >= MOST_FILED {
            return Ok(Outcome::Conflict);
        }
        self.run(
            "INSERT OR IGNORE INTO filed (user, own, seq, folder) VALUES (?1, ?2, ?3, ?4)",
            params![user.0, count(own), count(spot.seq), count(spot.folder)],
        )?;
        self.mark(user, spot, &found, found.seen, found.flags | flags::FILED)
    }

    fn unfile(&mut self, user: UserId, spot: Spot, own: u64) -> Result<Outcome, Fault> {
        let Some(found) = self.target(user, spot)? else { return Ok(Outcome::Missing) };
        let dropped = self.connection.prepare_cached("DELETE FROM filed WHERE user = ?1 AND own = ?2 AND seq = ?3")?.execute(params![
            user.0,
            count(own),
            count(spot.seq)
        ])?;
        if dropped == 0 {
            return Ok(Outcome::Unchanged);
        }
        let left = self.number("SELECT count(*) FROM filed WHERE user = ?1 AND seq = ?2", user, spot.seq)?;
        let flags = if left > 0 { found.flags } else { found.flags & !flags::FILED };
        self.mark(user, spot, &found, found.seen, flags)
    }
}

/// A place from the columns `folder, seq`.
pub(in crate::store::sqlite) fn read_spot(row: &rusqlite::Row<'_>) -> rusqlite::Result<Spot> {
    Ok(Spot { folder: columns::read_count(row, 0)?, seq: columns::read_count(row, 1)? })
}
