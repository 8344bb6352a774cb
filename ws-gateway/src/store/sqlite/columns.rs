//! Values to columns and back. What a column holds that we cannot have written is damage, not a panic.

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type, ValueRef};
use sha2::{Digest, Sha256};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;
use wasm_core::{Text, Time};

use crate::store::{Direction, Entry, PendingKind, StoredMessage, UserId};

/// Times beyond SQLite's integers are kept as its last one.
pub(super) fn time(time: Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// What stands for a message identifier in `entry_by_key`.
pub(super) fn key(message_id: &MessageId) -> i64 {
    let digest: [u8; 32] = Sha256::digest(message_id.as_str()).into();
    digest[..6].iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte))
}

pub(super) fn receipt(receipt: Receipt) -> i64 {
    match receipt {
        Receipt::Sending => 0,
        Receipt::Sent => 1,
        Receipt::Failed => 2,
        Receipt::Delivered => 3,
        Receipt::Displayed => 4,
    }
}

pub(super) fn read_receipt(row: &Row<'_>, at: usize) -> rusqlite::Result<Receipt> {
    Ok(match row.get::<_, i64>(at)? {
        0 => Receipt::Sending,
        1 => Receipt::Sent,
        2 => Receipt::Failed,
        3 => Receipt::Delivered,
        4 => Receipt::Displayed,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(at, other)),
    })
}

pub(super) fn wants(wants: Wants) -> i64 {
    i64::from(wants.delivered) | i64::from(wants.failed) << 1 | i64::from(wants.displayed) << 2
}

fn read_wants(row: &Row<'_>, at: usize) -> rusqlite::Result<Wants> {
    let bits: i64 = row.get(at)?;
    Ok(Wants { delivered: bits & 1 != 0, failed: bits & 2 != 0, displayed: bits & 4 != 0 })
}

pub(super) fn kind(kind: PendingKind) -> i64 {
    match kind {
        PendingKind::Message => 0,
        PendingKind::Notification => 1,
    }
}

pub(super) fn read_kind(row: &Row<'_>, at: usize) -> rusqlite::Result<PendingKind> {
    Ok(match row.get::<_, i64>(at)? {
        0 => PendingKind::Message,
        1 => PendingKind::Notification,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(at, other)),
    })
}

pub(super) fn read_count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

pub(super) fn read_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Time> {
    Ok(match read_count(row, at)? {
        millis if millis == i64::MAX as u64 => Time::NEVER,
        millis => Time(millis),
    })
}

pub(super) fn read_optional_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Time>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => read_time(row, at).map(Some),
    }
}

pub(super) fn read_text(row: &Row<'_>, at: usize) -> rusqlite::Result<Text> {
    text_of(at, row.get_ref(at)?)
}

fn text_of(at: usize, value: ValueRef<'_>) -> rusqlite::Result<Text> {
    value.as_str().map(Text::from).map_err(|error| damaged(at, error))
}

pub(super) fn read_bytes(row: &Row<'_>, at: usize) -> rusqlite::Result<Bytes> {
    row.get_ref(at)?.as_blob().map(Bytes::copy_from_slice).map_err(|error| damaged(at, error))
}

pub(super) fn read_array<const N: usize>(row: &Row<'_>, at: usize) -> rusqlite::Result<[u8; N]> {
    row.get(at)
}

/// A text that was checked when it was written, checked again.
pub(super) fn read_parsed<T>(row: &Row<'_>, at: usize, parse: impl FnOnce(&Text) -> Option<T>) -> rusqlite::Result<T> {
    parse(&read_text(row, at)?).ok_or_else(|| damaged(at, FromSqlError::InvalidType))
}

fn read_optional<T>(row: &Row<'_>, at: usize, parse: impl FnOnce(&Text) -> Option<T>) -> rusqlite::Result<Option<T>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => read_parsed(row, at, parse).map(Some),
    }
}

pub(super) fn read_address(row: &Row<'_>, at: usize) -> rusqlite::Result<Address> {
    read_parsed(row, at, |text| Address::parse(text))
}

fn damaged(at: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}

/// The columns that [`read_entry`] reads, from any query that calls the tables `e`, `c` and `f`.
pub(super) const ENTRY: &str = "e.seq, e.change, e.outgoing, e.receipt, e.seen, e.delivery_claimed, e.display_claimed, f.peer, \
     c.message_id, c.conversation, c.contribution, c.in_reply_to, c.sender, c.recipient, c.date, c.content_type, c.wants, c.expires, c.body, \
     e.flags";

/// The tables of [`ENTRY`].
pub(super) const ENTRY_FROM: &str = "entry e JOIN content c ON c.id = e.content JOIN folder f ON f.user = e.user AND f.id = e.folder";

/// The bits of `entry.flags` and `folder.flags`.
pub(super) mod flags {
    pub(in crate::store::sqlite) const FLAGGED: i64 = 1;
    pub(in crate::store::sqlite) const DELETED: i64 = 2;
    pub(in crate::store::sqlite) const GONE: i64 = 4;
    pub(in crate::store::sqlite) const KEYWORDS: i64 = 8;
    pub(in crate::store::sqlite) const FILED: i64 = 16;
    pub(in crate::store::sqlite) const ARCHIVED: i64 = 1;
    pub(in crate::store::sqlite) const PINNED: i64 = 2;
}

fn read_flags(row: &Row<'_>, at: usize) -> rusqlite::Result<i64> {
    row.get(at)
}

pub(super) fn read_entry(row: &Row<'_>, user: UserId) -> rusqlite::Result<Entry> {
    use wasm_core::cpm::ids::{ContributionId, ConversationId};
    Ok(Entry {
        seq: read_count(row, 0)?,
        change: read_count(row, 1)?,
        seen: row.get(4)?,
        delivery_claimed: row.get(5)?,
        display_claimed: row.get(6)?,
        flags: Vec::new(),
        folders: Vec::new(),
        gone: read_flags(row, 19)? & flags::GONE != 0,
        message: StoredMessage {
            user,
            direction: if row.get(2)? { Direction::Out } else { Direction::In },
            with: read_address(row, 7)?,
            message_id: read_parsed(row, 8, MessageId::parse)?,
            conversation: read_optional(row, 9, ConversationId::parse)?,
            contribution: read_optional(row, 10, ContributionId::parse)?,
            in_reply_to: read_optional(row, 11, ContributionId::parse)?,
            from: read_address(row, 12)?,
            to: read_address(row, 13)?,
            date: read_time(row, 14)?,
            content_type: read_text(row, 15)?,
            body: read_bytes(row, 18)?,
            wants: read_wants(row, 16)?,
            receipt: read_receipt(row, 3)?,
            expires: read_optional_time(row, 17)?,
        },
    })
}
