//! Small facts of this browser that outlive the page, in its local storage: the device's identity, who is signed in, choices.
//!
//! Where the browser refuses (private windows of some), they live as long as the page does.

use std::cell::RefCell;
use std::collections::HashMap;

use super::dom::window;

thread_local! {
    static BESIDE: RefCell<HashMap<String, String>> = RefCell::default();
}

/// The text that was kept under `key`.
pub fn load(key: &str) -> Option<String> {
    let kept = window().local_storage().ok().flatten().and_then(|storage| storage.get_item(&name(key)).ok().flatten());
    kept.or_else(|| BESIDE.with_borrow(|beside| beside.get(key).cloned()))
}

/// Keeps `text` under `key`.
pub fn save(key: &str, text: &str) {
    let kept = window().local_storage().ok().flatten().is_some_and(|storage| storage.set_item(&name(key), text).is_ok());
    if !kept {
        BESIDE.with_borrow_mut(|beside| beside.insert(key.to_owned(), text.to_owned()));
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
