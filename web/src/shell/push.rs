//! Being told of messages while no page is open: the service worker subscribes to push messages, and this asks it to.

use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, ServiceWorkerRegistration};

use super::dom::window;
use super::updates::has_workers;

/// Subscribes, where the person has allowed notifications; `words` stand for texts that are not to be shown. Says whether it worked.
pub async fn subscribe(text: bool, words: &str) -> bool {
    let wish = object(&[("text", text.into()), ("words", words.into())]);
    tell("subscribe", wish.into()).await.is_ok_and(|done| done.is_truthy())
}

/// Ends the subscription.
pub async fn unsubscribe() {
    // Where the worker cannot, the server does, as soon as the session has ended.
    let _ = tell("unsubscribe", JsValue::TRUE).await;
}

/// Takes the notifications of a conversation away, which is before the person's eyes now.
pub async fn dismiss(with: String) {
    // What stays is taken away by a click.
    let _ = tell("dismiss", with.into()).await;
}

fn object(members: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in members {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object
}

/// Asks the service worker for something, and waits for its answer.
async fn tell(what: &str, how: JsValue) -> Result<JsValue, JsValue> {
    // Without one there is never an answer.
    if !has_workers() || cfg!(debug_assertions) {
        return Err(JsValue::UNDEFINED);
    }
    let registration: ServiceWorkerRegistration = JsFuture::from(window().navigator().service_worker().ready()?).await?.dyn_into()?;
    let worker = registration.active().ok_or(JsValue::UNDEFINED)?;
    let channel = MessageChannel::new()?;
    worker.post_message_with_transferable(&object(&[(what, how)]), &Array::of1(&channel.port2()))?;
    let answer = Promise::new(&mut |resolve, _| channel.port1().set_onmessage(Some(&resolve)));
    Reflect::get(&JsFuture::from(answer).await?, &JsValue::from_str("data"))
}
