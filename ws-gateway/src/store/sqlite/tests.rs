//! What is peculiar to SQLite: files, versions, damage. The rest is in the contract.

use super::*;
use crate::store::contract::contract;

mod in_memory {
    use super::*;

    fn fresh() -> Box<Sqlite> {
        Box::new(Sqlite::in_memory().unwrap())
    }

    contract!(fresh);
}

mod on_disk {
    use super::*;

    contract!(OnDisk::fresh);
}

/// A store in a directory that goes with it.
struct OnDisk(Sqlite, #[expect(dead_code, reason = "held for its drop")] tempfile::TempDir);

impl OnDisk {
    fn fresh() -> OnDisk {
        let directory = tempfile::tempdir().unwrap();
        OnDisk(Sqlite::open(directory.path()).unwrap(), directory)
    }
}

impl std::ops::Deref for OnDisk {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.0
    }
}
