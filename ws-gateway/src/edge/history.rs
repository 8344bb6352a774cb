//! The history API: a user's box of messages over HTTP, in the manner of the OMA network message storage API.
//!
//! A box is named by any address of its owner, and open to its owner alone.

pub mod boxes;
pub mod export;
pub mod housekeeping;
pub mod objects;
pub mod operations;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Changes, Folders, Page, QuotaLevel};

use super::Gateway;
use super::http::ApiError;
use super::session::{Signed, write};
use crate::node::Directory;
use crate::store::{Action, Applied, Outcome, Unit, UserId, Write};

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
    after: Option<u64>,
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

/// `GET …/changes?since=&limit=`: 410 when too much was forgotten since, so that the client compares what it has with `…/index`.
pub async fn changes(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: ReadingQuery,
) -> Result<Json<Changes>, ApiError> {
    let (user, reading) = (owner(&signed, &store, &name)?, reading(query)?);
    let since = reading.since.unwrap_or(0);
    let mut changes = gateway.read(move |store| store.changes(user, since, reading.limit())).await?;
    if changes.reset && since <= changes.cursor {
        return Err(ApiError::new(StatusCode::GONE, "cursor-too-old", "This cursor is older than what is remembered of deletions."));
    }
    let quota = boxes::fullness(&gateway, user).await?;
    changes.quota = (quota.level > QuotaLevel::Ample).then_some(quota);
    let (preferences, now) = (gateway.accounts.preferences(user), gateway.clock.now());
    changes.quiet = preferences.profile(Some(&signed.session.instance), now).quiet_until(now).is_some();
    Ok(Json(changes))
}

/// Does something in a box, and tells its owner's devices.
async fn act(gateway: &Arc<Gateway>, user: UserId, actions: Vec<Action>) -> Result<Vec<Outcome>, ApiError> {
    let at = gateway.clock.now();
    let writes = actions.into_iter().map(|action| Write::Arrange { user, at, action }).collect();
    let applied = write(gateway, Unit(writes)).await?;
    let outcomes = applied.outcomes.clone();
    publish(gateway, applied);
    Ok(outcomes)
}

fn publish(gateway: &Gateway, applied: Applied) {
    for (user, cursor) in applied.cursors {
        gateway.events.publish(user, cursor);
    }
}

/// What became of one action.
fn status(outcome: Outcome) -> Result<StatusCode, ApiError> {
    match outcome {
        Outcome::Missing => Err(ApiError::not_found()),
        Outcome::Conflict => {
            Err(ApiError::new(StatusCode::CONFLICT, "conflict", "The name is taken, or it would be too many or too deep."))
        }
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
