//! The outside as the browser reports it: the hash of the address bar, the network, whether the page is seen.

use gloo::events::EventListener;
use wasm_core::cpm::device;
use web_sys::VisibilityState;

use super::dom::{document, window};

/// The part of the address behind `#`, without it.
pub fn hash() -> String {
    window().location().hash().unwrap_or_default().trim_start_matches('#').to_owned()
}

/// Goes to another hash; `replace` leaves no step to go back to.
pub fn go(hash: &str, replace: bool) {
    if self::hash() == hash {
        return;
    }
    let location = window().location();
    let _ = match replace {
        true => location.replace(&format!("#{hash}")),
        false => location.set_hash(hash),
    };
}

/// Hears of each change of the hash, until it is dropped.
pub fn on_hash(mut changed: impl FnMut(String) + 'static) -> EventListener {
    EventListener::new(&window(), "hashchange", move |_| changed(hash()))
}

/// Whether the browser believes that there is a network.
pub fn network() -> bool {
    window().navigator().on_line()
}

/// Whether the page can be seen.
pub fn visible() -> bool {
    document().visibility_state() == VisibilityState::Visible
}

/// Whether the page is seen and has the focus: what is shown then counts as read.
pub fn attentive() -> bool {
    visible() && document().has_focus().unwrap_or(true)
}

/// What happens outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outside {
    Network(bool),
    Visible(bool),
    /// The window got or lost the focus.
    Focus(bool),
    /// The page goes away: the last chance to write something down.
    Leaving,
}

/// Hears of all of it, until the listeners are dropped.
pub fn on_outside(happened: impl Fn(Outside) + Clone + 'static) -> Vec<EventListener> {
    let listen = |target: &web_sys::EventTarget, name: &'static str, what: fn() -> Outside| {
        let happened = happened.clone();
        EventListener::new(target, name, move |_| happened(what()))
    };
    let window = window();
    vec![
        listen(&window, "online", || Outside::Network(true)),
        listen(&window, "offline", || Outside::Network(false)),
        listen(&window, "focus", || Outside::Focus(true)),
        listen(&window, "blur", || Outside::Focus(false)),
        listen(&window, "pagehide", || Outside::Leaving),
        listen(&document(), "visibilitychange", || Outside::Visible(visible())),
    ]
}

/// The address of a WebSocket of this server.
pub fn socket_address(path: &str) -> String {
    let scheme = if is_secure() { "wss" } else { "ws" };
    format!("{scheme}://{}{path}", window().location().host().unwrap_or_default())
}

/// Whether this server is reached over TLS.
pub fn is_secure() -> bool {
    window().location().protocol().is_ok_and(|protocol| protocol == "https:")
}

/// What browser and system this seems to be, for a first name of the device.
pub fn browser_and_system() -> (&'static str, &'static str) {
    let agent = window().navigator().user_agent().unwrap_or_default();
    let (browser, system) = device::browser_and_system(&agent);
    (browser.unwrap_or("Browser"), system.unwrap_or("this computer"))
}
