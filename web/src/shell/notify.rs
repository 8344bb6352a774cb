//! Telling a person who is looking elsewhere: a notification of the system, and a short sound made on the spot.

use std::cell::RefCell;

use js_sys::{Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioContext, Notification, NotificationOptions, NotificationPermission, OscillatorType, ServiceWorkerRegistration};

use super::dom::window;

/// Whether notifications can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Not asked yet.
    Open,
    Granted,
    /// The person, or the browser, said no; only they can change that.
    Blocked,
    /// The browser has none, or not on an insecure page.
    Unsupported,
}

/// What has been allowed so far.
pub fn permission() -> Permission {
    if !Reflect::has(&window(), &JsValue::from_str("Notification")).unwrap_or(false) {
        return Permission::Unsupported;
    }
    match Notification::permission() {
        NotificationPermission::Granted => Permission::Granted,
        NotificationPermission::Denied => Permission::Blocked,
        _ => Permission::Open,
    }
}

/// Asks; browsers allow that only while a click is being dealt with.
pub async fn ask() -> Permission {
    if permission() == Permission::Open
        && let Ok(asked) = Notification::request_permission()
    {
        // The answer is read from the browser below, whatever the promise says.
        let _ = JsFuture::from(asked).await;
    }
    permission()
}

/// Shows a notification; a newer one with the same tag takes its place. A click on it opens `hash`.
pub async fn show(title: String, text: String, tag: String, hash: String) {
    if permission() != Permission::Granted {
        return;
    }
    let options = NotificationOptions::new();
    options.set_body(&text);
    options.set_tag(&tag);
    options.set_icon("/icons/icon-192.png");
    options.set_silent(Some(true));
    options.set_renotify(true);
    let data = Object::new();
    if Reflect::set(&data, &JsValue::from_str("hash"), &JsValue::from_str(&format!("#{hash}"))).is_ok() {
        options.set_data(&data);
    }
    // Phones show notifications only through the service worker.
    if let Some(worker) = worker().await
        && let Ok(shown) = worker.show_notification_with_options(&title, &options)
        && JsFuture::from(shown).await.is_ok()
    {
        return;
    }
    if let Ok(notification) = Notification::new_with_options(&title, &options) {
        let clicked = wasm_bindgen::closure::Closure::once_into_js(move || {
            let _ = window().focus();
            super::links::go(&hash, false);
        });
        notification.set_onclick(Some(clicked.unchecked_ref()));
    }
}

async fn worker() -> Option<ServiceWorkerRegistration> {
    if !super::updates::has_workers() {
        return None;
    }
    let found = JsFuture::from(window().navigator().service_worker().get_registration()).await.ok()?;
    let worker: ServiceWorkerRegistration = found.dyn_into().ok()?;
    worker.active().is_some().then_some(worker)
}

thread_local! {
    static AUDIO: RefCell<Option<AudioContext>> = const { RefCell::new(None) };
}

/// Two short notes. Silent until the page has been clicked once: browsers want it so.
pub fn sound() {
    AUDIO.with_borrow_mut(|audio| {
        if audio.is_none() {
            *audio = AudioContext::new().ok();
        }
        if let Some(audio) = audio {
            let _ = audio.resume();
            let _ = note(audio, 659.25, 0.0).and_then(|()| note(audio, 987.77, 0.11));
        }
    });
}

fn note(audio: &AudioContext, pitch: f32, after: f64) -> Result<(), JsValue> {
    let start = audio.current_time() + after;
    let (tone, volume) = (audio.create_oscillator()?, audio.create_gain()?);
    tone.set_type(OscillatorType::Sine);
    tone.frequency().set_value(pitch);
    volume.gain().set_value_at_time(0.0001, start)?;
    volume.gain().exponential_ramp_to_value_at_time(0.12, start + 0.015)?;
    volume.gain().exponential_ramp_to_value_at_time(0.0001, start + 0.28)?;
    tone.connect_with_audio_node(&volume)?;
    volume.connect_with_audio_node(&audio.destination())?;
    tone.start_with_when(start)?;
    tone.stop_with_when(start + 0.3)
}
