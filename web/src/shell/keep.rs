//! Small facts of this browser that outlive the page, in its local storage: the device's identity, who is signed in, choices.
//!
//! Where the browser refuses (private windows of some), they live as long as the page does.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use wasm_core::wire::json;

use super::dom::window;

thread_local! {
    static BESIDE: RefCell<HashMap<String, String>> = RefCell::default();
}

/// What was kept under `key`, if it can still be read.
pub fn load<T: DeserializeOwned>(key: &str) -> Option<T> {
    let kept = window().local_storage().ok().flatten().and_then(|storage| storage.get_item(&name(key)).ok().flatten());
    let text = kept.or_else(|| BESIDE.with_borrow(|beside| beside.get(key).cloned()))?;
    json::read(text.as_bytes()).ok()
}

/// Keeps `value` under `key`.
pub fn save<T: Serialize>(key: &str, value: &T) {
    let Ok(text) = json::write(value) else { return };
    let kept = window().local_storage().ok().flatten().is_some_and(|storage| storage.set_item(&name(key), &text).is_ok());
    if !kept {
        BESIDE.with_borrow_mut(|beside| beside.insert(key.to_owned(), text));
    }
}

/// Forgets `key`.
pub fn forget(key: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.remove_item(&name(key));
    }
    BESIDE.with_borrow_mut(|beside| beside.remove(key));
}

fn name(key: &str) -> String {
    format!("tandem.{key}")
}
