//! Small facts of this browser that outlive the page, in its local storage: the device's identity, who is signed in, choices.
//!
//! Where the browser refuses (private windows of some), they live as long as the page does, as properties of its window: all modules of
//! the app find them there.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use super::dom::window;

/// The text that was kept under `key`.
pub fn load(key: &str) -> Option<String> {
    let kept = window().local_storage().ok().flatten().and_then(|storage| storage.get_item(&name(key)).ok().flatten());
    kept.or_else(|| Reflect::get(&window(), &name(key).into()).ok()?.as_string())
}

/// Keeps `text` under `key`.
pub fn save(key: &str, text: &str) {
    let kept = window().local_storage().ok().flatten().is_some_and(|storage| storage.set_item(&name(key), text).is_ok());
    if !kept {
        // Setting a property of the window cannot fail.
        let _ = Reflect::set(&window(), &name(key).into(), &JsValue::from_str(text));
    }
}

/// Forgets `key`.
pub fn forget(key: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.remove_item(&name(key));
    }
    let _ = Reflect::set(&window(), &name(key).into(), &JsValue::UNDEFINED);
}

fn name(key: &str) -> String {
    format!("tandem.{key}")
}
