//! The service worker that keeps the app shell, and newer versions of the app.

use gloo::events::EventListener;
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, MessageEvent};

use super::dom::{document, window};
use super::{extra, http, links};

/// Whether the browser has service workers here: not on an insecure page.
pub fn has_workers() -> bool {
    Reflect::has(&window().navigator(), &JsValue::from_str("serviceWorker")).unwrap_or(false)
}

/// Installs the service worker, and follows it when a click on a notification asks for a conversation.
pub fn install() {
    // During development the shell changes with every save, and a kept one would hide it.
    if !has_workers() || cfg!(debug_assertions) {
        return;
    }
    let workers = window().navigator().service_worker();
    let _ = workers.register("/sw.js");
    EventListener::new(&workers, "message", |event| {
        let wanted = event.dyn_ref::<MessageEvent>().and_then(|event| Reflect::get(&event.data(), &JsValue::from_str("navigate")).ok());
        if let Some(hash) = wanted.and_then(|hash| hash.as_string()) {
            links::go(hash.trim_start_matches('#'), false);
        }
    })
    .forget();
}

/// Whether the server now has another version than the one that runs: its page names other scripts than ours.
pub async fn is_outdated() -> bool {
    let script = document().query_selector("link[rel=modulepreload]").ok().flatten().and_then(|link: Element| link.get_attribute("href"));
    let Some(ours) = script.zip(extra::address()) else { return false };
    let page = http::ask("GET", "/", None).await;
    let differs = |page: &str| page.contains("modulepreload") && !(page.contains(&ours.0) && page.contains(&ours.1));
    page.is_success() && page.text().is_some_and(differs)
}
