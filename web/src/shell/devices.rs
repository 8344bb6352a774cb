//! The device API: the list of one's own devices, and linking a new one, from either side.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use wasm_core::cpm::device::{Kind, LinkAsk, LinkOffer};
use wasm_core::cpm::history::Session;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::{Text, Time};

use super::account;
use super::http::{self, Answer};

/// What is shown of a [`Listed`](wasm_core::cpm::device::Listed) device: what is not read costs no download.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Known {
    pub instance: InstanceId,
    pub name: Text,
    pub kind: Kind,
    pub platform: Text,
    pub last_seen: Time,
    pub barred: bool,
    pub this: bool,
    pub online: bool,
    pub may_be_primary: bool,
}

#[derive(Deserialize)]
struct List {
    devices: Vec<Known>,
}

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
        409 => Trouble::TooMany,
        403 => Trouble::Refused,
        404 | 410 => Trouble::Gone,
        429 => Trouble::TooOften,
        _ => Trouble::Failed,
    })
}

/// Something to be done, of which only the success is of interest: all of them together cost one future.
#[derive(Clone, Debug)]
pub struct Deed(&'static str, String, String);

/// Does it.
pub async fn act(Deed(method, path, body): Deed) -> Result<(), Trouble> {
    done(&http::ask(method, &path, Some(&body)).await)
}

fn device(instance: &InstanceId) -> String {
    format!("/api/devices/{}", http::segment(instance.as_str()))
}

fn link(id: &str, what: &str) -> String {
    format!("/api/link/{id}/{what}")
}

/// One's own devices.
pub async fn list() -> Result<Vec<Known>, Trouble> {
    read::<List>(&http::ask("GET", "/api/devices", None).await).map(|list| list.devices)
}

/// Gives something of a device another value.
pub fn change(instance: &InstanceId, what: &str, value: &str) -> Deed {
    Deed("PATCH", device(instance), http::object(&[(what, value)]))
}

/// Signs a device out.
pub fn dismiss(instance: &InstanceId) -> Deed {
    Deed("DELETE", device(instance), String::new())
}

/// Which device shows a code.
pub async fn find(code: &str) -> Result<LinkAsk, Trouble> {
    let code = http::segment(code);
    read(&http::ask("GET", &format!("/api/link/code/{code}"), None).await)
}

/// Says yes or no to a device that asks.
pub fn answer(id: &str, approve: bool) -> Deed {
    Deed("POST", link(id, "answer"), http::object(&[("answer", if approve { "approve" } else { "refuse" })]))
}

/// Asks to be linked.
pub async fn offer(name: &str) -> Result<LinkOffer, Trouble> {
    let wish = http::object(&[("instance", account::instance().as_str()), ("device_name", name)]);
    read(&http::ask("POST", "/api/link", Some(&wish)).await)
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
pub fn send_code(id: &str, address: &str) -> Deed {
    Deed("POST", link(id, "code"), http::object(&[("address", address)]))
}

/// Tells the code that came.
pub fn prove(id: &str, code: &str) -> Deed {
    Deed("POST", link(id, "proof"), http::object(&[("code", code)]))
}
