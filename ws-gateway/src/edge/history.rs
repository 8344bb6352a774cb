//! The history API: a user's box of messages over HTTP, in the manner of the OMA network message storage API.
//!
//! A box is named by any address of its owner, and open to its owner alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Changes, Folders, Page, SeenUpTo};

use super::Gateway;
use super::http::ApiError;
use super::session::{Signed, write};
use crate::store::{UserId, Write};

/// The one store of this gateway.
const STORE: &str = "main";
/// What one answer holds at most, and when nothing is said.
const MOST: usize = 500;
const USUAL: usize = 100;

/// The parameters of the three kinds of reading; each uses those that it knows.
#[derive(Debug, Deserialize)]
pub struct Reading {
    with: Option<String>,
    before: Option<u64>,
    since: Option<u64>,
    limit: Option<usize>,
}

impl Reading {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }
}

type ReadingQuery = Result<Query<Reading>, QueryRejection>;

fn reading(query: ReadingQuery) -> Result<Reading, ApiError> {
    query.map(|Query(reading)| reading).map_err(|rejection| ApiError::bad_request(rejection.body_text()))
}

/// The owner of the box, who is the one who asks.
fn owner(signed: &Signed, store: &str, name: &str) -> Result<UserId, ApiError> {
    if store != STORE {
        return Err(ApiError::not_found());
    }
    match Address::parse(name) {
        Some(address) if signed.account.owns(&address) => Ok(signed.account.user),
        _ => Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "This box belongs to somebody else.")),
    }
}

fn peer(text: &str) -> Result<Address, ApiError> {
    Address::parse(text).ok_or_else(|| ApiError::bad_request(format!("{text:?} is not an address.")))
}

/// `GET …/folders?before=&limit=`
pub async fn folders(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: ReadingQuery,
) -> Result<Json<Folders>, ApiError> {
    let (user, reading) = (owner(&signed, &store, &name)?, reading(query)?);
    Ok(Json(gateway.read(move |store| store.conversations(user, reading.before, reading.limit())).await?))
}

/// `GET …/objects?with=&before=&limit=`
pub async fn objects(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: ReadingQuery,
) -> Result<Json<Page>, ApiError> {
    let (user, reading) = (owner(&signed, &store, &name)?, reading(query)?);
    let with = peer(reading.with.as_deref().ok_or_else(|| ApiError::bad_request("Say with whom: ?with=ADDRESS."))?)?;
    Ok(Json(gateway.read(move |store| store.messages(user, &with, reading.before, reading.limit())).await?))
}

/// `GET …/changes?since=&limit=`
pub async fn changes(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: ReadingQuery,
) -> Result<Json<Changes>, ApiError> {
    let (user, reading) = (owner(&signed, &store, &name)?, reading(query)?);
    Ok(Json(gateway.read(move |store| store.changes(user, reading.since.unwrap_or(0), reading.limit())).await?))
}

/// `PUT …/folders/{with}/flags/\Seen`
pub async fn flag(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with, flag)): Path<(String, String, String, String)>,
    body: Result<Json<SeenUpTo>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let with = peer(&with)?;
    if !flag.eq_ignore_ascii_case("\\Seen") {
        return Err(ApiError::not_found());
    }
    let Json(SeenUpTo { up_to }) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let applied = write(&gateway, Write::Seen { user, with, up_to }.into()).await?;
    for (user, cursor) in applied.cursors {
        gateway.events.publish(user, cursor);
    }
    Ok(StatusCode::NO_CONTENT)
}
