//! The embedded back end: one SQLite file in WAL mode with full synchronisation.
//!
//! One connection writes, a few read beside it, each on its own snapshot, and one brings the log into the database. A commit has reached
//! the disk when `commit` returns; after a crash SQLite itself takes the log up again, so that there is nothing to repair. Other
//! processes (the operator's commands) may open the same directory meanwhile: a writer waits for the other up to [`PATIENCE`].

mod batch;
mod cache;
mod checkpoint;
mod columns;
mod documents;
mod held;
mod objects;
mod pool;
mod read;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod trails;

use std::fmt;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Changes, Folders, Found, Histories, Index, OwnFolders, Page};
use wasm_core::cpm::ids::MessageId;

use super::{
    Account, Aged, Applied, Criteria, Direction, Document, DocumentKind, Entry, HeldPage, Located, Payload, PendingId, Queued, Spot, Stale,
    Store, StoreError, StoredBinding, StoredSession, TokenHash, Unit, Usage, UserId,
};
use batch::{Batch, Fault};
use cache::Cache;
use checkpoint::Checkpoints;
use pool::Pool;

/// The database's name in the data directory.
pub const FILE: &str = "tandem.db";

/// How long a writer waits for another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many read at the same time.
const READERS: usize = 4;

/// The size of a page in a new database. A message changes a few bytes on each of six or seven pages, and a commit writes these whole:
/// half of SQLite's default is two fifths less to write, while a quarter costs more in deeper trees than it spares.
const PAGE_SIZE: i64 = 2048;

/// A database up to this size is checked whole when it is opened.
const CHECKED_SIZE: u64 = 32 << 20;

/// The counter that grows with every change to the accounts.
const ACCOUNTS: &str = "accounts";

/// The store in a SQLite database.
pub struct Sqlite {
    writer: Arc<Mutex<WriteSide>>,
    /// None for a database in memory, which has one connection only.
    beside: Option<Beside>,
    path: PathBuf,
}

/// The other connections.
struct Beside {
    readers: Pool,
    checkpoints: Checkpoints,
}

/// The writing connection and what it remembers.
struct WriteSide {
    connection: Connection,
    /// What the last transaction left, and SQLite's number that changes when another process has written since.
    cache: Cache,
    data_version: i64,
}

impl WriteSide {
    fn new(connection: Connection) -> WriteSide {
        WriteSide { connection, cache: Cache::default(), data_version: 0 }
    }

    /// Applies all units in one transaction, without savepoints: these cost a copy of every page that a unit touches, and units hardly
    /// ever fail.
    fn together(&mut self, units: &[Unit]) -> Result<Vec<Applied>, Fault> {
        let remembered = mem::take(&mut self.cache);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let data_version = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        let cache = if data_version == self.data_version { remembered } else { Cache::default() };
        let mut batch = Batch::new(&transaction, cache);
        let applied = units.iter().map(|unit| batch.apply(unit)).collect::<Result<Vec<_>, Fault>>()?;
        let cache = batch.flush()?;
        transaction.commit()?;
        self.cache = cache;
        self.data_version = data_version;
        Ok(applied)
    }

    /// Applies all units in one transaction, each under a savepoint of its own.
    fn one_by_one(&mut self, path: &Path, units: &[Unit]) -> rusqlite::Result<Vec<Result<Applied, StoreError>>> {
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(units.len());
        for unit in units {
            let savepoint = transaction.savepoint()?;
            let mut batch = Batch::new(&savepoint, Cache::default());
            let applied = batch.apply(unit).and_then(|applied| batch.flush().map(|_| applied));
            results.push(match applied {
                Ok(applied) => {
                    savepoint.commit()?;
                    Ok(applied)
                }
                Err(Fault::Refused(error)) => Err(error),
                Err(Fault::Sql(error)) if concerns_one_unit(&error) => Err(explain(path, error)),
                Err(Fault::Sql(error)) => return Err(error),
            });
        }
        transaction.commit()?;
        Ok(results)
    }
}

impl Sqlite {
    /// Opens the database of a data directory, and creates directory and database where there is none.
    pub fn open(directory: &Path) -> Result<Sqlite, StoreError> {
        let path = directory.join(FILE);
        create(directory, &path).map_err(|error| StoreError::Io(format!("{}: {error}", path.display())))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| explain(&path, error))?;
        let writer = prepare(&path, connection)?;
        let writer = Arc::new(Mutex::new(WriteSide::new(writer)));
        let checkpoints = Checkpoints::start(&path, Arc::clone(&writer), checkpoint::PAGES).map_err(|error| explain(&path, error))?;
        Ok(Sqlite { writer, beside: Some(Beside { readers: Pool::new(path.clone(), READERS), checkpoints }), path })
    }

    /// A database that ends with this value: for tests.
    pub fn in_memory() -> Result<Sqlite, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| explain(&path, error))?;
        let writer = prepare(&path, connection)?;
        Ok(Sqlite { writer: Arc::new(Mutex::new(WriteSide::new(writer))), beside: None, path })
    }

    fn writer(&self) -> MutexGuard<'_, WriteSide> {
        // A panic drops its transaction, which rolls it back, and the cache was taken out before: what is left is sound.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let result = match &self.beside {
            Some(beside) => beside.readers.with(query),
            None => query(&self.writer().connection),
        };
        result.map_err(|error| explain(&self.path, error))
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes the directory and the file, readable by their owner alone: there are secrets in it.
fn create(directory: &Path, path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Settings, checks and migrations of the writing connection.
fn prepare(path: &Path, mut connection: Connection) -> Result<Connection, StoreError> {
    let explain = |error| explain(path, error);
    connection.busy_timeout(PATIENCE).map_err(explain)?;
    connection.set_prepared_statement_cache_capacity(64);
    stabilise(&connection).map_err(explain)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE).map_err(explain)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(explain)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(explain)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(explain)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(explain)?;
    connection.pragma_update(None, "cache_size", -65_536).map_err(explain)?;
    connection.pragma_update(None, "wal_autocheckpoint", 2 * checkpoint::PAGES).map_err(explain)?;
    match schema::migrate(&mut connection).map_err(explain)? {
        schema::Found::Ready => {}
        schema::Found::Newer(found) => {
            return Err(StoreError::Newer { path: path.display().to_string(), found, known: schema::VERSION });
        }
        schema::Found::Foreign => return Err(StoreError::Foreign { path: path.display().to_string() }),
    }
    if fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_SIZE) {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(explain)?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt { path: path.display().to_string(), detail: verdict });
        }
    }
    Ok(connection)
}

/// Has SQLite plan a statement once. Otherwise it looks at the values bound to it, since they might fit a partial index, and plans a
/// cached statement anew for each: a fifth of the time of a commit.
fn stabilise(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// What an error of the database means to those above.
fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = || path.display().to_string();
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy("another process writes to it"),
            ErrorCode::DatabaseCorrupt => StoreError::Corrupt { path: path(), detail: error.to_string() },
            ErrorCode::NotADatabase => StoreError::Foreign { path: path() },
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::FileLockingProtocolFailed => StoreError::Io(error.to_string()),
            _ => StoreError::Internal(error.to_string()),
        },
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::IntegralValueOutOfRange(..) => {
            StoreError::Corrupt { path: path(), detail: error.to_string() }
        }
        _ => StoreError::Internal(error.to_string()),
    }
}

/// Whether an error concerns one unit only: the transaction is still sound.
fn concerns_one_unit(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        }
        _ => true,
    }
}

impl Store for Sqlite {
    fn commit(&self, units: Vec<Unit>) -> Vec<Result<Applied, StoreError>> {
        let mut writer = self.writer();
        let fatal = match writer.together(&units) {
            Ok(applied) => {
                if let Some(beside) = &self.beside {
                    beside.checkpoints.committed(&writer.connection);
                }
                return applied.into_iter().map(Ok).collect();
            }
            Err(Fault::Sql(error)) if !concerns_one_unit(&error) => error,
            Err(_) => match writer.one_by_one(&self.path, &units) {
                Ok(results) => return results,
                Err(error) => error,
            },
        };
        let error = explain(&self.path, fatal);
        tracing::error!(%error, units = units.len(), "nothing could be written");
        vec![Err(error); units.len()]
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.read(|connection| read::account(connection, address))
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(read::accounts)
    }

    fn accounts_version(&self) -> Result<u64, StoreError> {
        self.read(|connection| read::counter(connection, ACCOUNTS))
    }

    fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        if let Some(known) = self.read(|connection| read::server_secret(connection, name))? {
            return Ok(known);
        }
        let connection = &self.writer().connection;
        let insert = || {
            connection.execute("INSERT OR IGNORE INTO server_secret (name, value) VALUES (?1, ?2)", params![name, fresh])?;
            read::server_secret(connection, name)
        };
        insert().map_err(|error| explain(&self.path, error)).map(|kept| kept.unwrap_or(fresh))
    }

    fn cursor(&self, user: UserId) -> Result<u64, StoreError> {
        self.read(|connection| read::cursor(connection, user))
    }

    fn unread(&self, user: UserId) -> Result<u64, StoreError> {
        self.read(|connection| read::unread(connection, user))
    }

    fn conversations(&self, user: UserId, before: Option<u64>, limit: usize) -> Result<Folders, StoreError> {
        self.read(|connection| read::conversations(connection, user, before, limit))
    }

    fn messages(&self, user: UserId, with: &Address, before: Option<u64>, limit: usize) -> Result<Page, StoreError> {
        self.read(|connection| read::messages(connection, user, with, before, limit))
    }

    fn changes(&self, user: UserId, since: u64, limit: usize) -> Result<Changes, StoreError> {
        self.read(|connection| read::changes(connection, user, since, limit))
    }

    fn message(&self, user: UserId, direction: Direction, message_id: &MessageId) -> Result<Vec<Entry>, StoreError> {
        self.read(|connection| read::message(connection, user, direction, message_id))
    }

    fn pending(&self, user: UserId, after: Option<PendingId>, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| read::pending(connection, user, after, limit))
    }

    fn waiting(&self) -> Result<Vec<UserId>, StoreError> {
        self.read(read::waiting)
    }

    fn expired(&self, now: Time, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| {
            let mut expired = read::expired(connection, now, limit)?;
            expired.extend(held::expired(connection, now, limit)?);
            Ok(expired)
        })
    }

    fn held(&self, user: UserId, limit: usize) -> Result<HeldPage, StoreError> {
        self.read(|connection| held::list(connection, user, limit))
    }

    fn held_entries(&self, user: UserId, ids: &[PendingId]) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| ids.iter().filter_map(|id| held::entry(connection, user, *id).transpose()).collect())
    }

    fn reminders(&self, now: Time, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| held::reminders(connection, now, limit))
    }

    fn bindings(&self, user: UserId) -> Result<Vec<StoredBinding>, StoreError> {
        self.read(|connection| read::bindings(connection, Some(user)))
    }

    fn all_bindings(&self) -> Result<Vec<StoredBinding>, StoreError> {
        self.read(|connection| read::bindings(connection, None))
    }

    fn session(&self, token: &TokenHash) -> Result<Option<StoredSession>, StoreError> {
        self.read(|connection| read::session(connection, token))
    }

    fn sessions(&self, user: UserId) -> Result<Vec<StoredSession>, StoreError> {
        self.read(|connection| read::sessions(connection, user))
    }

    fn document(&self, user: UserId, kind: DocumentKind, name: &str) -> Result<Option<Document>, StoreError> {
        self.read(|connection| documents::document(connection, user, kind, name))
    }

    fn documents(&self, user: UserId, kind: DocumentKind) -> Result<Vec<Document>, StoreError> {
        self.read(|connection| documents::documents(connection, user, kind))
    }

    fn all_documents(&self, kind: DocumentKind) -> Result<Vec<Document>, StoreError> {
        self.read(|connection| documents::all_documents(connection, kind))
    }

    fn object(&self, user: UserId, seq: u64) -> Result<Option<Located>, StoreError> {
        self.read(|connection| objects::object(connection, user, seq))
    }

    fn spots(&self, user: UserId, seqs: &[u64]) -> Result<Vec<Option<Spot>>, StoreError> {
        self.read(|connection| objects::spots(connection, user, seqs))
    }

    fn payload(&self, user: UserId, seq: u64, from: u64, most: usize) -> Result<Option<Payload>, StoreError> {
        self.read(|connection| objects::payload(connection, user, seq, from, most))
    }

    fn index(&self, user: UserId, with: &Address, after: u64, limit: usize) -> Result<Index, StoreError> {
        self.read(|connection| objects::index(connection, user, with, after, limit))
    }

    fn search(&self, user: UserId, criteria: &Criteria) -> Result<Found, StoreError> {
        self.read(|connection| search::search(connection, user, criteria))
    }

    fn own_folders(&self, user: UserId) -> Result<OwnFolders, StoreError> {
        self.read(|connection| objects::own_folders(connection, user))
    }

    fn histories(&self, user: UserId, with: &Address, before: Option<u64>, limit: usize) -> Result<Histories, StoreError> {
        self.read(|connection| objects::histories(connection, user, with, before, limit))
    }

    fn thread(&self, user: UserId, seq: u64) -> Result<Option<Page>, StoreError> {
        self.read(|connection| objects::thread(connection, user, seq))
    }

    fn usage(&self, user: UserId) -> Result<Usage, StoreError> {
        self.read(|connection| objects::usage(connection, user))
    }

    fn overfull(&self, most: Usage, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.read(|connection| objects::overfull(connection, most, limit))
    }

    fn oldest(&self, user: UserId, limit: usize) -> Result<Vec<Spot>, StoreError> {
        self.read(|connection| objects::oldest(connection, user, limit))
    }

    fn stale(&self, what: Stale, limit: usize) -> Result<Vec<(UserId, Spot)>, StoreError> {
        self.read(|connection| objects::stale(connection, what, limit))
    }

    fn aged(&self, before: Time, from: i64, limit: usize) -> Result<Aged, StoreError> {
        self.read(|connection| objects::aged(connection, before, from, limit))
    }

    fn catch_up(&self, most: usize) -> Result<bool, StoreError> {
        let mut writer = self.writer();
        let mut step = || {
            if !search::lags(&writer.connection)? {
                return Ok(false);
            }
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let more = search::catch_up(&transaction, most)?;
            transaction.commit()?;
            Ok(more)
        };
        let more = step().map_err(|error| explain(&self.path, error))?;
        if let Some(beside) = &self.beside {
            beside.checkpoints.committed(&writer.connection);
        }
        Ok(more)
    }

    fn trails(&self, user: UserId) -> Result<Vec<bytes::Bytes>, StoreError> {
        self.read(|connection| trails::trails(connection, user))
    }
}
