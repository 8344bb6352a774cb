//! Requests to our own server, with the session's cookie.

use std::pin::Pin;

use bytes::Bytes;
use gloo::timers::callback::Timeout;
use js_sys::{Uint8Array, encode_uri_component};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCredentials, RequestInit, Response};

use wasm_core::wire::json;

use super::dom::window;

/// How long an answer may take.
const PATIENCE_MS: u32 = 30_000;

/// What the server answered; status 0 when it did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The version of what the answer is about, where it has one.
    pub tag: Option<String>,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// What the body says, when the answer is a success.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        if self.is_success() { json::read(&self.body).ok() } else { None }
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A body of names and texts: cheaper than a type for each.
pub fn object(pairs: &[(&str, &str)]) -> String {
    let text = |text: &str| json::write(text).unwrap_or_default();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    encode_uri_component(text).into()
}

/// An answer to come. In a box, or the whole of it would be repeated wherever it is awaited.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// Asks; a body is JSON.
pub fn ask<'a>(method: &'a str, path: &'a str, body: Option<&'a str>) -> Asked<'a> {
    send(method, path, ["content-type", "application/json", "accept", "*/*"], body)
}

/// Asks with two headers, each a name and a value.
pub fn send<'a>(method: &'a str, path: &'a str, headers: [&'a str; 4], body: Option<&'a str>) -> Asked<'a> {
    Box::pin(async move { fetch(method, path, headers, body).await.unwrap_or(Answer { status: 0, tag: None, body: Bytes::new() }) })
}

async fn fetch(method: &str, path: &str, [name, value, other, content]: [&str; 4], body: Option<&str>) -> Result<Answer, JsValue> {
    let options = RequestInit::new();
    options.set_method(method);
    options.set_credentials(RequestCredentials::SameOrigin);
    let headers = Headers::new()?;
    headers.set(name, value)?;
    headers.set(other, content)?;
    options.set_headers(&headers);
    if let Some(body) = body {
        options.set_body(&JsValue::from_str(body));
    }
    let abort = AbortController::new()?;
    options.set_signal(Some(&abort.signal()));
    let _deadline = Timeout::new(PATIENCE_MS, move || abort.abort());
    let response: Response = JsFuture::from(window().fetch_with_str_and_init(path, &options)).await?.dyn_into()?;
    let body = JsFuture::from(response.array_buffer()?).await?;
    let tag = response.headers().get("etag")?;
    Ok(Answer { status: response.status(), tag, body: Bytes::from(Uint8Array::new(&body).to_vec()) })
}
