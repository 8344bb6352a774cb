//! Full text: the index of words, what brings it up to date, and searching.
//!
//! A content is indexed once, by its number, with every word behind the number of each owner of a copy ("7qhello"), and with marks for
//! what else is searched by: `7f3` the folder, `7o` and `7i` the direction, `7k…` the kind, `7c…` the conversation. So one question to the
//! index reads what is the owner's and nothing else, and conditions meet there rather than in rows that were read in vain. The index
//! lags behind the commits; what it lacks is looked through directly, by the same tokenizer in a table in memory that lives as long as
//! the search. That table also says where in a text the matches are.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use wasm_core::Text;
use wasm_core::cpm::history::{Flag, Found, Hit, ObjectKind, Snippet};
use wasm_core::cpm::ids::MessageId;

use super::batch::objects::read_spot;
use super::columns::{self, count, time};
use super::objects::at;
use crate::store::{Criteria, Direction, Entry, Spot, UserId};

/// How many objects that the index does not know, or that have a flag or lie in a folder of the owner's, are looked through.
const DIRECT: usize = 1_000;
/// How many candidates of the index are looked at for one answer, and how many the best are chosen from.
const CANDIDATES: usize = 4_000;
const RANKED: usize = 1_000;
/// The most hits of one answer.
const MOST: usize = 100;
/// How many words a question may have, and how many bytes of a text are indexed and shown.
const WORDS: usize = 16;
const LONGEST: usize = 64 * 1024;
/// How many characters a snippet has, and how many of them lie before the first match.
const SNIPPET: usize = 160;
const LEAD: usize = 40;
/// What brackets a match in the answers of the table in memory.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// The words of a text: what the tokenizer takes for one is never cut in a way that indexing and searching could disagree about.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '\u{300}'..='\u{36f}')).filter(|word| !word.is_empty())
}

/// The beginning of a text that is worth indexing.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

fn short(id: &str) -> String {
    Sha256::digest(id)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind_mark(kind: ObjectKind) -> char {
    match kind {
        ObjectKind::Message => 'm',
        ObjectKind::Session => 's',
        ObjectKind::FileTransfer => 't',
    }
}

/// The text in a payload that can be searched: that of texts, and the values of histories.
fn searchable(content_type: &str, body: &[u8]) -> Option<Text> {
    let textual = content_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    (textual || ObjectKind::of(content_type) != ObjectKind::Message)
        .then(|| std::str::from_utf8(body).ok())
        .flatten()
        .map(|text| Text::from(beginning(text)))
}

/// Indexes the next contents; says whether some are left.
pub(super) fn catch_up(connection: &Connection, most: usize) -> rusqlite::Result<bool> {
    let from: i64 = indexed(connection)?;
    let mut last = from;
    let mut seen = 0;
    {
        let mut statement = connection
            .prepare_cached("SELECT id, message_id, content_type, conversation, body FROM content WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut owners = connection.prepare_cached(
            "SELECT e.user, e.folder, e.outgoing FROM entry e INDEXED BY entry_by_key WHERE e.key = ?1 AND e.content = ?2 AND e.flags & 4 = 0",
        )?;
        let mut insert = connection.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
        let mut rows = statement.query(params![from, columns::limit(most)])?;
        while let Some(row) = rows.next()? {
            (last, seen) = (row.get(0)?, seen + 1);
            let key = columns::key(&columns::read_parsed(row, 1, MessageId::parse)?);
            let content_type = row.get_ref(2)?.as_str().unwrap_or_default();
            let conversation = row.get_ref(3)?.as_str_or_null().unwrap_or_default().map(short);
            let text = searchable(content_type, row.get_ref(4)?.as_blob().unwrap_or_default());
            let mut indexed = String::new();
            let mut copies = owners.query(params![key, last])?;
            while let Some(copy) = copies.next()? {
                let (user, folder, outgoing): (i64, i64, bool) = (copy.get(0)?, copy.get(1)?, copy.get(2)?);
                let direction = if outgoing { 'o' } else { 'i' };
                indexed.push_str(&format!("{user}f{folder} {user}{direction} {user}k{} ", kind_mark(ObjectKind::of(content_type))));
                if let Some(conversation) = &conversation {
                    indexed.push_str(&format!("{user}c{conversation} "));
                }
                for word in text.as_deref().into_iter().flat_map(words) {
                    indexed.push_str(&format!("{user}q{word} "));
                }
            }
            if !indexed.is_empty() {
                insert.execute(params![last, indexed])?;
            }
        }
    }
    if seen > 0 {
        connection.prepare_cached("INSERT OR REPLACE INTO counter (name, value) VALUES ('indexed', ?1)")?.execute([last])?;
    }
    Ok(seen == most)
}

/// Whether the index lacks something.
pub(super) fn lags(connection: &Connection) -> rusqlite::Result<bool> {
    let next = connection.prepare_cached("SELECT 1 FROM content WHERE id > ?1 LIMIT 1")?.exists([indexed(connection)?])?;
    Ok(next)
}

fn indexed(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("SELECT value FROM counter WHERE name = 'indexed'")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// A question for the tokenizer: words, the last of which may be a beginning, each behind a prefix.
fn question(words: &[&str], prefix: &str) -> String {
    let mut parts: Vec<String> = words.iter().map(|word| format!("\"{prefix}{word}\"")).collect();
    // One letter would be the beginning of a large part of everything.
    if let (Some(part), Some(word)) = (parts.last_mut(), words.last())
        && word.chars().nth(1).is_some()
    {
        part.push('*');
    }
    parts.join(" AND ")
}

/// The table in memory: a tokenizer to ask.
struct Scratch {
    connection: Connection,
    question: String,
}

impl Scratch {
    fn new(words: &[&str]) -> rusqlite::Result<Scratch> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("CREATE VIRTUAL TABLE scratch USING fts5(text, tokenize='unicode61 remove_diacritics 2')")?;
        Ok(Scratch { connection, question: question(words, "") })
    }

    /// Those of the texts that match, by their numbers, with the matches in brackets.
    fn matching<'t>(&self, texts: impl Iterator<Item = &'t str>) -> rusqlite::Result<Vec<(usize, String)>> {
        let transaction = self.connection.unchecked_transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO scratch (rowid, text) VALUES (?1, ?2)")?;
            for (nth, text) in texts.enumerate() {
                insert.execute(params![columns::limit(nth), beginning(text).replace(MARKS, " ")])?;
            }
        }
        let mut statement =
            transaction.prepare_cached("SELECT rowid, highlight(scratch, 0, ?2, ?3) FROM scratch WHERE scratch MATCH ?1 ORDER BY rowid")?;
        let [open, close] = MARKS.map(String::from);
        let rows = statement.query_map(params![self.question, open, close], |row| {
            Ok((usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX), row.get(1)?))
        })?;
        // The transaction is rolled back and leaves nothing behind.
        rows.collect()
    }
}

/// Makes a snippet of a text with brackets.
fn snippet(bracketed: &str) -> Snippet {
    let first = bracketed.chars().take_while(|letter| *letter != MARKS[0]).count();
    let begin = first.saturating_sub(LEAD);
    let (mut text, mut matches, mut open) = (String::new(), Vec::new(), None);
    let (mut place, mut shown) = (0, 0_u32);
    let mut cut_after = false;
    for letter in bracketed.chars() {
        if letter == MARKS[0] {
            open = Some(shown);
        } else if letter == MARKS[1] {
            matches.extend(open.take().map(|from| (from, shown - from)));
        } else {
            if place >= begin + SNIPPET {
                cut_after = true;
                break;
            }
            if place >= begin {
                text.push(letter);
                shown += 1;
            }
            place += 1;
        }
    }
    matches.extend(open.map(|from| (from, shown - from)));
    matches.retain(|(_, length)| *length > 0);
    Snippet { text: Text::from(text), matches, cut_before: begin > 0, cut_after }
}

/// One search.
struct Search<'c> {
    connection: &'c Connection,
    user: UserId,
    criteria: &'c Criteria,
    words: Vec<&'c str>,
    /// The number of the folder searched.
    folder: Option<u64>,
    limit: usize,
}

impl Search<'_> {
    /// Whether an object is what is searched for, but for its words.
    fn fits(&self, entry: &Entry) -> bool {
        let Criteria { text: _, with, outgoing, flag, own, conversation, kind, since, until, before, ranked: _, limit: _ } = self.criteria;
        let message = &entry.message;
        let flagged = |flag: &Flag| match flag {
            Flag::Seen => entry.seen,
            _ => entry.flags.iter().any(|other| **other == *flag.as_str()),
        };
        let asked_deleted = *flag == Some(Flag::Deleted);
        before.is_none_or(|before| entry.seq < before)
            && (asked_deleted || !flagged(&Flag::Deleted))
            && with.as_ref().is_none_or(|with| message.with == *with)
            && outgoing.is_none_or(|outgoing| (message.direction == Direction::Out) == outgoing)
            && flag.as_ref().is_none_or(flagged)
            && own.is_none_or(|own| entry.folders.contains(&own))
            && conversation.as_ref().is_none_or(|id| message.conversation.as_ref() == Some(id))
            && kind.is_none_or(|kind| ObjectKind::of(&message.content_type) == kind)
            && since.is_none_or(|since| message.date >= since)
            && until.is_none_or(|until| message.date < until)
    }

    /// Where the objects with the flag, or in the folder of the owner's, lie: the newest first.
    fn listed(&self) -> rusqlite::Result<Option<Vec<Spot>>> {
        let before = self.criteria.before.map_or(i64::MAX, count);
        let most = columns::limit(DIRECT);
        let user = self.user.0;
        let query = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(params, read_spot)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(Some(match (&self.criteria.own, &self.criteria.flag) {
            (Some(own), _) => query(
                "SELECT folder, seq FROM filed WHERE user = ?1 AND own = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
                &[&user, &count(*own), &before, &most],
            )?,
            (None, Some(Flag::Flagged)) => query(
                "SELECT folder, seq FROM entry INDEXED BY entry_flagged WHERE user = ?1 AND seq < ?2 AND flags & 1 ORDER BY seq DESC LIMIT ?3",
                &[&user, &before, &most],
            )?,
            (None, Some(Flag::Deleted)) => query(
                "SELECT folder, seq FROM gone WHERE user = ?1 AND seq < ?2 AND purged = 0 ORDER BY seq DESC LIMIT ?3",
                &[&user, &before, &most],
            )?,
            (None, Some(Flag::Keyword(word))) => query(
                "SELECT folder, seq FROM keyword WHERE user = ?1 AND word = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
                &[&user, &&**word, &before, &most],
            )?,
            (None, Some(Flag::Seen) | None) => return Ok(None),
        }))
    }

    /// What the index does not know yet, the newest first.
    fn unindexed(&self) -> rusqlite::Result<Vec<Spot>> {
        let folders: Vec<i64> = match self.folder {
            Some(folder) => vec![count(folder)],
            None => {
                let mut statement = self.connection.prepare_cached("SELECT id FROM folder WHERE user = ?1")?;
                statement.query_map([self.user.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
            }
        };
        let before = self.criteria.before.map_or(i64::MAX, count);
        let known = indexed(self.connection)?;
        // Contents grow with places: the walk back through a folder ends at the first that is known.
        let mut statement = self.connection.prepare_cached(
            "SELECT folder, seq, content FROM entry WHERE user = ?1 AND folder = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
        )?;
        let mut spots = Vec::new();
        for folder in folders {
            let mut rows = statement.query(params![self.user.0, folder, before, columns::limit(DIRECT)])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, i64>(2)? <= known {
                    break;
                }
                spots.push(read_spot(row)?);
            }
            if spots.len() > 4 * DIRECT {
                break;
            }
        }
        spots.sort_unstable_by_key(|spot: &Spot| std::cmp::Reverse(spot.seq));
        spots.truncate(DIRECT);
        Ok(spots)
    }

    /// Those of the objects at these places that are searched for.
    fn among(&self, spots: Vec<Spot>, scratch: Option<&Scratch>) -> rusqlite::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for spot in spots {
            entries.extend(at(self.connection, self.user, spot)?.filter(|entry| self.fits(entry)));
            if scratch.is_none() && entries.len() > self.limit {
                break;
            }
        }
        let Some(scratch) = scratch else { return Ok(entries) };
        let texts: Vec<Text> =
            entries.iter().map(|entry| searchable(&entry.message.content_type, &entry.message.body).unwrap_or_default()).collect();
        let matching: HashSet<usize> = scratch.matching(texts.iter().map(|text| &**text))?.into_iter().map(|(nth, _)| nth).collect();
        Ok(entries.into_iter().enumerate().filter(|(nth, _)| matching.contains(nth)).map(|(_, entry)| entry).collect())
    }

    /// What is asked of the index.
    fn question(&self) -> String {
        let user = self.user;
        let mut parts = Vec::new();
        if !self.words.is_empty() {
            parts.push(question(&self.words, &format!("{}q", user.0)));
        }
        let mut mark = |mark: String| parts.push(format!("\"{}{mark}\"", user.0));
        if let Some(folder) = self.folder {
            mark(format!("f{folder}"));
        }
        if let Some(outgoing) = self.criteria.outgoing {
            mark(String::from(if outgoing { "o" } else { "i" }));
        }
        if let Some(conversation) = &self.criteria.conversation {
            mark(format!("c{}", short(conversation.as_str())));
        }
        match self.criteria.kind {
            Some(kind) => mark(format!("k{}", kind_mark(kind))),
            None if parts.is_empty() => parts.push(format!("(\"{0}i\" OR \"{0}o\")", user.0)),
            None => {}
        }
        parts.join(" AND ")
    }

    /// The copy of a content in this box.
    fn copy(&self, content: i64, message_id: &MessageId) -> rusqlite::Result<Vec<Spot>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT e.folder, e.seq FROM entry e INDEXED BY entry_by_key WHERE e.key = ?1 AND e.user = ?2 AND e.content = ?3",
        )?;
        statement.query_map(params![columns::key(message_id), self.user.0, content], read_spot)?.collect()
    }

    /// What the index knows: hits in their order, and the last place that was looked at when that was not all.
    fn in_index(&self, wanted: usize, below: Option<i64>) -> rusqlite::Result<(Vec<Entry>, Option<u64>)> {
        let (most, order) = if self.criteria.ranked {
            (
                RANKED,
                "SELECT rowid FROM (SELECT rowid, bm25(words) AS rank FROM words WHERE words MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3) ORDER BY rank, rowid DESC",
            )
        } else {
            (CANDIDATES, "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3")
        };
        let mut statement = self.connection.prepare_cached(order)?;
        let mut contents = self.connection.prepare_cached("SELECT message_id FROM content WHERE id = ?1 AND date >= ?2 AND date < ?3")?;
        let since = self.criteria.since.map_or(0, time);
        let until = self.criteria.until.map_or(i64::MAX, time);
        let mut rows = statement.query(params![self.question(), below.unwrap_or(i64::MAX), columns::limit(most)])?;
        let (mut found, mut looked, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next()? {
            let content: i64 = row.get(0)?;
            looked += 1;
            let id = contents.query_row(params![content, since, until], |row| columns::read_parsed(row, 0, MessageId::parse)).optional()?;
            let Some(id) = id else {
                last = Some(content);
                continue;
            };
            for spot in self.copy(content, &id)? {
                if let Some(entry) = at(self.connection, self.user, spot)?.filter(|entry| self.fits(entry)) {
                    found.push(entry);
                }
            }
            last = Some(content);
            if found.len() >= wanted {
                break;
            }
        }
        let stopped = found.len() >= wanted || looked == most;
        let last = match last.filter(|_| stopped && !self.criteria.ranked) {
            Some(content) => self.place_of(content)?.or(found.last().map(|entry| entry.seq)),
            None => None,
        };
        Ok((found, last))
    }

    /// The place of the newest object here whose content is not after this one.
    fn place_of(&self, content: i64) -> rusqlite::Result<Option<u64>> {
        let id = self
            .connection
            .prepare_cached("SELECT message_id FROM content WHERE id = ?1")?
            .query_row([content], |row| columns::read_parsed(row, 0, MessageId::parse))
            .optional()?;
        Ok(match id {
            Some(id) => self.copy(content, &id)?.first().map(|spot| spot.seq),
            None => None,
        })
    }

    /// The content of the object at a place.
    fn content_at(&self, seq: u64) -> rusqlite::Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(e.content) FROM folder f CROSS JOIN entry e ON e.user = f.user AND e.folder = f.id \
             AND e.seq = (SELECT min(n.seq) FROM entry n WHERE n.user = f.user AND n.folder = f.id AND n.seq >= ?2) WHERE f.user = ?1",
        )?;
        statement.query_row(params![self.user.0, count(seq)], |row| row.get(0))
    }

    fn run(&self) -> rusqlite::Result<Found> {
        let scratch = if self.words.is_empty() { None } else { Some(Scratch::new(&self.words)?) };
        let (entries, before) = match self.listed()? {
            Some(spots) => {
                let all = spots.len() < DIRECT;
                let last = spots.last().map(|spot| spot.seq);
                let mut entries = self.among(spots, scratch.as_ref())?;
                let before = if entries.len() > self.limit {
                    entries.truncate(self.limit);
                    entries.last().map(|entry| entry.seq)
                } else {
                    last.filter(|_| !all)
                };
                (entries, before)
            }
            None => {
                let mut entries = self.among(self.unindexed()?, scratch.as_ref())?;
                if entries.len() > self.limit {
                    entries.truncate(self.limit);
                    let before = entries.last().map(|entry| entry.seq);
                    (entries, before)
                } else {
                    let below = match self.criteria.before {
                        Some(before) => self.content_at(before)?,
                        None => None,
                    };
                    let (more, before) = self.in_index(self.limit - entries.len() + 1, below)?;
                    entries.extend(more);
                    if entries.len() > self.limit {
                        entries.truncate(self.limit);
                        let before = entries.last().filter(|_| !self.criteria.ranked).map(|entry| entry.seq);
                        (entries, before)
                    } else {
                        (entries, before)
                    }
                }
            }
        };
        let mut snippets: Vec<Option<Snippet>> = vec![None; entries.len()];
        if let Some(scratch) = scratch {
            let texts: Vec<Text> =
                entries.iter().map(|entry| searchable(&entry.message.content_type, &entry.message.body).unwrap_or_default()).collect();
            for (nth, bracketed) in scratch.matching(texts.iter().map(|text| &**text))? {
                snippets[nth] = Some(snippet(&bracketed));
            }
        }
        let hits = entries.into_iter().zip(snippets).map(|(entry, snippet)| Hit { object: entry.object(), snippet }).collect();
        Ok(Found { hits, before })
    }
}

pub(super) fn search(connection: &Connection, user: UserId, criteria: &Criteria) -> rusqlite::Result<Found> {
    let snapshot = connection.unchecked_transaction()?;
    let words: Vec<&str> = criteria.text.as_deref().into_iter().flat_map(words).take(WORDS).collect();
    // A text without a word, such as a dash, is nowhere.
    if criteria.is_empty() || (criteria.text.is_some() && words.is_empty()) {
        return Ok(Found::default());
    }
    let folder = match &criteria.with {
        Some(with) => {
            let mut statement = snapshot.prepare_cached("SELECT id FROM folder WHERE user = ?1 AND peer = ?2")?;
            match statement.query_row(params![user.0, with.as_str()], |row| columns::read_count(row, 0)).optional()? {
                Some(folder) => Some(folder),
                None => return Ok(Found::default()),
            }
        }
        None => None,
    };
    let limit = criteria.limit.clamp(1, MOST);
    Search { connection: &snapshot, user, criteria, words, folder, limit }.run()
}
