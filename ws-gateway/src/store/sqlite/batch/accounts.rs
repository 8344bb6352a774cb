//! Accounts come, change and go.

use rusqlite::params;

use super::{Batch, Fault};
use crate::store::sqlite::{ACCOUNTS, columns};
use crate::store::{NewAccount, Outcome, Secret, StoreError, UserId};

impl Batch<'_> {
    pub(super) fn add_account(&mut self, account: &NewAccount) -> Result<Outcome, Fault> {
        if account.addresses.is_empty() {
            return Err(Fault::Refused(StoreError::NoAddress));
        }
        for address in &account.addresses {
            let mut statement = self.connection.prepare_cached("SELECT 1 FROM address WHERE address = ?1")?;
            if statement.exists([address.as_str()])? {
                return Err(Fault::Refused(StoreError::AddressTaken(address.clone())));
            }
        }
        let user = self
            .connection
            .prepare_cached("INSERT INTO account (display_name) VALUES (?1)")?
            .insert([&*account.display_name])
            .map(UserId)?;
        self.run("INSERT INTO box (user, cursor) VALUES (?1, 0)", [user.0])?;
        for (place, address) in account.addresses.iter().enumerate() {
            // One that the list names twice keeps its first place.
            self.run(
                "INSERT OR IGNORE INTO address (address, user, place) VALUES (?1, ?2, ?3)",
                params![address.as_str(), user.0, columns::limit(place)],
            )?;
        }
        self.insert_secrets(user, &account.secrets)?;
        self.bump_accounts()?;
        Ok(Outcome::Created(user))
    }

    pub(super) fn set_secrets(&mut self, user: UserId, secrets: &[Secret]) -> Result<Outcome, Fault> {
        self.cursor(user)?;
        self.run("DELETE FROM secret WHERE user = ?1", [user.0])?;
        self.run("DELETE FROM session WHERE user = ?1", [user.0])?;
        self.insert_secrets(user, secrets)?;
        self.bump_accounts()?;
        Ok(Outcome::Done)
    }

    fn insert_secrets(&mut self, user: UserId, secrets: &[Secret]) -> Result<(), Fault> {
        for secret in secrets {
            self.run(
                "INSERT OR REPLACE INTO secret (user, realm, username, md5, sha256) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![user.0, &*secret.realm, &*secret.username, secret.ha1.md5, secret.ha1.sha256],
            )?;
        }
        Ok(())
    }

    pub(super) fn remove_account(&mut self, user: UserId) -> Result<Outcome, Fault> {
        self.cursor(user)?;
        for owner in [user, user.blank()] {
            self.cache.boxes.remove(&owner);
            self.cache.folders.remove(&owner);
            self.dirty_boxes.remove(&owner);
        }
        self.dirty_folders.retain(|(owner, _)| ![user, user.blank()].contains(owner));
        self.touched.retain(|touched| *touched != user);
        // Whose other copy is still in somebody's box stays. No index leads from a content to its copies: this is rare, so it may read.
        self.connection.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS orphan (content INTEGER PRIMARY KEY); \
             DELETE FROM temp.orphan;",
        )?;
        self.run("INSERT OR IGNORE INTO temp.orphan SELECT content FROM entry WHERE user IN (?1, -?1)", [user.0])?;
        self.run("DELETE FROM entry WHERE user IN (?1, -?1)", [user.0])?;
        self.run("DELETE FROM temp.orphan WHERE content IN (SELECT content FROM entry)", [])?;
        self.run("DELETE FROM content WHERE id IN (SELECT content FROM temp.orphan)", [])?;
        self.run("DELETE FROM words WHERE rowid IN (SELECT content FROM temp.orphan)", [])?;
        for table in ["keyword", "own_folder", "filed", "gone", "dropped_document"] {
            self.run(&format!("DELETE FROM {table} WHERE user = ?1"), [user.0])?;
        }
        self.run("DELETE FROM folder WHERE user IN (?1, -?1)", [user.0])?;
        self.run("DELETE FROM pending WHERE user = ?1", [user.0])?;
        self.run("DELETE FROM held WHERE user = ?1", [user.0])?;
        self.run("DELETE FROM box WHERE user IN (?1, -?1)", [user.0])?;
        // Addresses, secrets, sessions and bindings go with it.
        self.run("DELETE FROM account WHERE user = ?1", [user.0])?;
        self.bump_accounts()?;
        Ok(Outcome::Done)
    }

    fn bump_accounts(&self) -> Result<(), Fault> {
        self.set_counter(ACCOUNTS, self.counter(ACCOUNTS)? + 1)
    }
}
