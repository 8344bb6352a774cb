//! The engine's records in IndexedDB: one database per account, one entry per record's key, so that a reload shows everything at once.
//!
//! All writes of one batch are one transaction: after a crash either all of them are there or none.

use js_sys::{Array, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbFactory, IdbRequest, IdbTransaction, IdbTransactionMode};

use wasm_core::client::Record;
use wasm_core::cpm::address::Address;
use wasm_core::wire::json;

use super::dom::window;

const STORE: &str = "records";
const VERSION: u32 = 1;

/// What is kept of one account on this device.
#[derive(Debug)]
pub struct Storage {
    database: IdbDatabase,
    _makes_way: Closure<dyn FnMut(JsValue)>,
}

fn name(account: &Address) -> String {
    format!("tandem {account}")
}

fn factory() -> Result<IdbFactory, JsValue> {
    window().indexed_db()?.ok_or(JsValue::UNDEFINED)
}

impl Storage {
    /// Opens the account's database; an error when the browser allows none.
    pub async fn open(account: &Address) -> Result<Storage, JsValue> {
        let request = factory()?.open_with_u32(&name(account), VERSION)?;
        let opening = request.clone();
        let upgrade = Closure::once(move |_: JsValue| {
            // The version is the first: the store cannot be there yet. If it cannot be made, using it later fails and says so.
            if let Ok(database) = opening.result().map(JsValue::unchecked_into::<IdbDatabase>) {
                let _ = database.create_object_store(STORE);
            }
        });
        request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
        let database: IdbDatabase = answer(&request).await?.dyn_into()?;
        // Another tab signs out and deletes the database: it shall not wait for this one.
        let closing = database.clone();
        let makes_way = Closure::<dyn FnMut(JsValue)>::new(move |_| closing.close());
        database.set_onversionchange(Some(makes_way.as_ref().unchecked_ref()));
        Ok(Storage { database, _makes_way: makes_way })
    }

    /// All records as JSON, in no particular order.
    pub async fn load(&self) -> Result<Vec<String>, JsValue> {
        let transaction = self.database.transaction_with_str(STORE)?;
        let rows: Array = answer(&transaction.object_store(STORE)?.get_all()?).await?.dyn_into()?;
        Ok(rows.iter().filter_map(|row| row.as_string()).collect())
    }

    /// Writes a batch; done when it is committed.
    pub async fn write(&self, records: &[Record]) -> Result<(), JsValue> {
        let transaction = self.database.transaction_with_str_and_mode(STORE, IdbTransactionMode::Readwrite)?;
        let store = transaction.object_store(STORE)?;
        for record in records {
            let Some((table, key)) = record.key() else { continue };
            let key = JsValue::from(format!("{table}/{key}"));
            // The transaction waits for its requests; each one's own answer is not needed.
            if record.is_removal() {
                store.delete(&key)?;
            } else if let Ok(text) = json::write(record) {
                store.put_with_key(&JsValue::from(text), &key)?;
            }
        }
        committed(&transaction).await
    }

    /// Removes all that is kept of an account.
    pub async fn delete(account: &Address) -> Result<(), JsValue> {
        answer(factory()?.delete_database(&name(account))?.as_ref()).await.map(|_| ())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.database.close();
    }
}

/// Waits for a request's answer.
async fn answer(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let settled = Promise::new(&mut |fulfil, refuse| {
        request.set_onsuccess(Some(&fulfil));
        request.set_onerror(Some(&refuse));
    });
    JsFuture::from(settled).await?;
    request.result()
}

/// Waits until a transaction is committed.
async fn committed(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let settled = Promise::new(&mut |fulfil, refuse| {
        transaction.set_oncomplete(Some(&fulfil));
        transaction.set_onabort(Some(&refuse));
        transaction.set_onerror(Some(&refuse));
    });
    JsFuture::from(settled).await.map(|_| ())
}
