//! A bounded pool of read-only connections.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::{PATIENCE, stabilise};

/// Lends connections to one reader each; whoever comes when all are lent waits.
pub(super) struct Pool {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    idle: Vec<Connection>,
    /// How many more may be opened or lent.
    free: usize,
}

impl Pool {
    pub(super) fn new(path: PathBuf, readers: usize) -> Pool {
        Pool { path, state: Mutex::new(State { idle: Vec::new(), free: readers.max(1) }), returned: Condvar::new() }
    }

    /// Runs a query on a connection of the pool.
    pub(super) fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let mut loan = self.lend()?;
        let connection = match loan.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let result = query(&connection);
        // A connection that failed may be the reason: the next reader gets a new one.
        loan.connection = result.is_ok().then_some(connection);
        result
    }

    fn lend(&self) -> rusqlite::Result<Loan<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.free == 0 {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.free -= 1;
        Ok(Loan { connection: state.idle.pop(), pool: self })
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(32);
        stabilise(&connection)?;
        Ok(connection)
    }
}

/// A place in the pool, given back when it is dropped, also by a panic.
struct Loan<'p> {
    connection: Option<Connection>,
    pool: &'p Pool,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.extend(self.connection.take());
        state.free += 1;
        self.pool.returned.notify_one();
    }
}
