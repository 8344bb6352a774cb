//! Checkpoints: what the log holds is brought into the database on a thread and a connection of their own, beside the commits.
//!
//! A pass leaves behind what is committed while it goes on. The second pass has that alone to do, the writer waits for it, and then
//! SQLite begins the log anew. SQLite's own checkpoint, in the course of a commit, remains for when this one cannot come to its end.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};

use super::WriteSide;

/// Pages in the log before they are brought into the database: few enough (128 MB) to keep recovery short, many enough that a page which
/// changes all the time is copied once for many commits.
pub(super) const PAGES: i64 = 64_000;

/// The thread; it ends with this value.
pub(super) struct Checkpoints {
    due: Option<SyncSender<()>>,
    pages: i64,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) fn start(path: &Path, writer: Arc<Mutex<WriteSide>>, pages: i64) -> rusqlite::Result<Checkpoints> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let (due, told) = sync_channel(1);
        let thread = thread::Builder::new().name("store-checkpoint".into()).spawn(move || run(&connection, &writer, &told, pages));
        // Without the thread SQLite's own checkpoint does its work.
        Ok(Checkpoints { due: Some(due), pages, thread: thread.ok() })
    }

    /// To be called after a commit on `connection`.
    pub(super) fn committed(&self, connection: &Connection) {
        if let Some(sender) = &self.due
            && due(connection, self.pages)
        {
            // A full channel means that the thread knows already.
            let _ = sender.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.due = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether so many pages of the log are not yet in the database.
pub(super) fn due(connection: &Connection, pages: i64) -> bool {
    let left = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)").and_then(|mut statement| {
        statement.query_row([], |row| {
            let (log, done): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(log - done)
        })
    });
    left.is_ok_and(|left| left >= pages)
}

fn run(connection: &Connection, writer: &Mutex<WriteSide>, told: &Receiver<()>, pages: i64) {
    while told.recv().is_ok() {
        // It may have been told while it was at it.
        if !due(connection, pages) {
            continue;
        }
        let result = pass(connection).and_then(|()| {
            let _waiting = writer.lock().unwrap_or_else(PoisonError::into_inner);
            pass(connection)
        });
        if let Err(error) = result {
            tracing::warn!(%error, "the log could not be brought into the database");
        }
    }
}

fn pass(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
