//! The engine's records in IndexedDB: one database per account, one entry per record's key, so that a reload shows everything at once.
//!
//! All writes of one batch are one transaction: after a crash either all of them are there or none.

use idb::{Database, DatabaseEvent, Error, Factory, ObjectStoreParams, TransactionMode};
use wasm_bindgen::JsValue;

use wasm_core::client::Record;
use wasm_core::cpm::address::Address;
use wasm_core::wire::json;

const STORE: &str = "records";
const VERSION: u32 = 1;

/// What is kept of one account on this device.
#[derive(Debug)]
pub struct Storage {
    database: Database,
}

fn name(account: &Address) -> String {
    format!("tandem {account}")
}

impl Storage {
    /// Opens the account's database; an error when the browser allows none.
    pub async fn open(account: &Address) -> Result<Storage, Error> {
        let mut request = Factory::new()?.open(&name(account), Some(VERSION))?;
        request.on_upgrade_needed(|event| {
            // The version is the first: the store cannot be there yet. If it cannot be made, opening it later fails and says so.
            if let Ok(database) = event.database() {
                let _ = database.create_object_store(STORE, ObjectStoreParams::new());
            }
        });
        let mut database = request.await?;
        // Another tab signs out and deletes the database: let it.
        database.on_version_change(|event| {
            if let Some(Ok(database)) = event.target().map(Database::try_from) {
                database.close();
            }
        });
        Ok(Storage { database })
    }

    /// All records as JSON, in no particular order.
    pub async fn load(&self) -> Result<Vec<String>, Error> {
        let transaction = self.database.transaction(&[STORE], TransactionMode::ReadOnly)?;
        let rows = transaction.object_store(STORE)?.get_all(None, None)?.await?;
        Ok(rows.iter().filter_map(|row| row.as_string()).collect())
    }

    /// Writes a batch; done when it is committed.
    pub async fn write(&self, records: &[Record]) -> Result<(), Error> {
        let transaction = self.database.transaction(&[STORE], TransactionMode::ReadWrite)?;
        let store = transaction.object_store(STORE)?;
        for record in records {
            let Some((table, key)) = record.key() else { continue };
            let key = JsValue::from_str(&format!("{table}/{key}"));
            // The transaction waits for its requests; each one's own answer is not needed.
            if record.is_removal() {
                store.delete(key)?;
            } else if let Ok(text) = json::write(record) {
                store.put(&JsValue::from_str(&text), Some(&key))?;
            }
        }
        transaction.commit()?.await?;
        Ok(())
    }

    /// Removes all that is kept of an account.
    pub async fn delete(account: &Address) -> Result<(), Error> {
        Factory::new()?.delete(&name(account))?.await
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.database.close();
    }
}
