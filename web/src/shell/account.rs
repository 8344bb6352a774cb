//! Who is signed in: the session API, and the memory of it that lets the app open without a network.

use wasm_bindgen_futures::spawn_local;

use wasm_core::Text;
use wasm_core::cpm::history::{People, Person, Session, SignIn};
use wasm_core::cpm::ids::InstanceId;
use wasm_core::wire::json;

use super::{entropy, http, keep, push};

const SESSION: &str = "session";
const INSTANCE: &str = "instance";
const DEVICE_NAME: &str = "device-name";

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown address or wrong password.
    Wrong,
    /// There are as many devices as there may be.
    TooMany,
    TooOften,
    Unreachable,
    Failed(u16),
}

/// What the server says about the session.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    In(Session),
    Out,
    /// Not known; the memory of the last session serves until it is.
    Unknown,
}

/// The session of last time, if there was no signing out since.
pub fn remembered() -> Option<Session> {
    json::read(keep::load(SESSION)?.as_bytes()).ok()
}

/// This browser as a device: the same for all its tabs, for ever.
pub fn instance() -> InstanceId {
    keep::load(INSTANCE).and_then(|kept| InstanceId::parse(&Text::from(kept))).unwrap_or_else(|| {
        let made = Text::from(format!("urn:uuid:{}", entropy::uuid()));
        let instance = InstanceId::parse(&made).expect("a UUID is an identifier");
        keep::save(INSTANCE, instance.as_str());
        instance
    })
}

/// What the device was called last time.
pub fn device_name() -> Option<String> {
    keep::load(DEVICE_NAME)
}

/// Asks who is signed in.
pub async fn standing() -> Standing {
    let answer = http::ask("GET", "/api/session", None).await;
    match (answer.status, taken(&answer)) {
        (_, Some(session)) => Standing::In(session),
        (401 | 403, _) => Standing::Out,
        _ => Standing::Unknown,
    }
}

/// Signs in; with `replace`, in the place of the device that was not used for the longest time, where there are too many.
pub async fn sign_in(address: &str, password: String, device_name: &str, replace: bool) -> Result<Session, Refusal> {
    keep::save(DEVICE_NAME, device_name);
    let (address, device_name) = (Text::from(address), Text::from(device_name));
    let sign_in = SignIn { address, password, instance: instance(), device_name, replace };
    let answer = http::ask("POST", "/api/session", json::write(&sign_in).ok().as_deref()).await;
    if let Some(session) = taken(&answer) {
        return Ok(session);
    }
    Err(match answer.status {
        0 | 502..=504 => Refusal::Unreachable,
        409 => Refusal::TooMany,
        400 | 401 | 403 | 404 | 422 => Refusal::Wrong,
        429 => Refusal::TooOften,
        status => Refusal::Failed(status),
    })
}

/// Ends the session here and at the server.
pub async fn sign_out() {
    keep::forget(SESSION);
    spawn_local(push::unsubscribe());
    http::ask("DELETE", "/api/session", None).await;
}

/// Forgets who was signed in, when the server says that nobody is.
pub fn forget() {
    keep::forget(SESSION);
}

/// The people of the domain whose name or address has `query` in it.
pub async fn people(query: &str) -> Option<Vec<Person>> {
    let query = js_sys::encode_uri_component(query);
    let answer = http::ask("GET", &format!("/api/people?q={}", String::from(query)), None).await;
    answer.json().map(|People { people }| people)
}

/// The session that an answer tells of, which is remembered.
pub fn taken(answer: &http::Answer) -> Option<Session> {
    let session = answer.json()?;
    keep::save(SESSION, answer.text()?);
    Some(session)
}
