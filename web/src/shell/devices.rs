//! The device API: the list of one's own devices, and linking a new one, from either side.

use js_sys::encode_uri_component;
use serde::Serialize;
use serde::de::DeserializeOwned;

use wasm_core::Text;
use wasm_core::cpm::device::{Change, CodeProof, CodeWish, Devices, LinkAnswer, LinkAsk, LinkOffer, LinkWish, Listed};
use wasm_core::cpm::history::Session;
use wasm_core::wire::json;

use super::account;
use super::http::{self, Answer};

/// Why something did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such thing, or not any more.
    Gone,
    /// The code is not the right one, or the other side said no.
    Refused,
    TooOften,
    /// There are as many devices as there may be.
    TooMany,
    /// The server did not do it.
    Failed,
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    done(answer)?;
    answer.json().ok_or(Trouble::Failed)
}

fn done(answer: &Answer) -> Result<(), Trouble> {
    Err(match answer.status {
        200..=299 => return Ok(()),
        403 if answer.is("too-many-devices") => Trouble::TooMany,
        403 => Trouble::Refused,
        404 | 410 => Trouble::Gone,
        429 => Trouble::TooOften,
        _ => Trouble::Failed,
    })
}

async fn tell<T: Serialize>(method: &str, path: &str, body: &T) -> Answer {
    http::ask(method, path, json::write(body).ok().as_deref()).await
}

fn device(instance: &str) -> String {
    format!("/api/devices/{}", String::from(encode_uri_component(instance)))
}

fn link(id: &str, what: &str) -> String {
    format!("/api/link/{id}/{what}")
}

/// One's own devices.
pub async fn list() -> Result<Vec<Listed>, Trouble> {
    read::<Devices>(&http::ask("GET", "/api/devices", None).await).map(|list| list.devices)
}

/// Makes something of a device different.
pub async fn change(instance: &str, change: Change) -> Result<(), Trouble> {
    done(&tell("PATCH", &device(instance), &change).await)
}

/// Signs a device out.
pub async fn dismiss(instance: &str) -> Result<(), Trouble> {
    done(&http::ask("DELETE", &device(instance), None).await)
}

/// Which device shows a code.
pub async fn find(code: &str) -> Result<LinkAsk, Trouble> {
    let code = String::from(encode_uri_component(code));
    read(&http::ask("GET", &format!("/api/link/code/{code}"), None).await)
}

/// Says yes or no to a device that asks.
pub async fn answer(id: &str, approve: bool) -> Result<(), Trouble> {
    done(&tell("POST", &link(id, "answer"), &LinkAnswer { approve }).await)
}

/// Asks to be linked.
pub async fn offer(name: &str) -> Result<LinkOffer, Trouble> {
    let wish = LinkWish { instance: account::instance(), device_name: Text::from(name) };
    read(&tell("POST", "/api/link", &wish).await)
}

/// Waits for a while for the answer to one's request; nothing when there is none yet.
pub async fn wait(id: &str) -> Result<Option<Session>, Trouble> {
    let answer = http::ask("POST", &link(id, "session"), None).await;
    match account::taken(&answer) {
        Some(session) => Ok(Some(session)),
        None => done(&answer).map(|()| None),
    }
}

/// Has a one-time code sent to the devices of the person with this address.
pub async fn send_code(id: &str, address: &str) -> Result<(), Trouble> {
    done(&tell("POST", &link(id, "code"), &CodeWish { address: Text::from(address) }).await)
}

/// Tells the code that came.
pub async fn prove(id: &str, code: &str) -> Result<(), Trouble> {
    done(&tell("POST", &link(id, "proof"), &CodeProof { code: Text::from(code) }).await)
}
