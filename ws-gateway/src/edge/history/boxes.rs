//! A box as a whole over HTTP: searching, its index and conversations, the owner's folders, drafts, how full it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use wasm_core::cpm::history::{Draft, Flag, FolderFlag, FolderPlan, Found, Histories, Index, ObjectKind, OwnFolders, Quota, SeenUpTo};
use wasm_core::cpm::ids::ConversationId;
use wasm_core::{Text, Time};

use super::objects::{number, spot};
use super::{Reading, act, owner, peer, publish, reading, status};
use crate::edge::Gateway;
use crate::edge::http::ApiError;
use crate::edge::session::{Signed, write};
use crate::store::{Action, Criteria, DocumentKind, Expect, Outcome, UserId, Write};

/// The longest question and the longest name of a folder, in characters.
const QUESTION: usize = 200;
const NAME: usize = 100;
/// The longest draft, in bytes, and how many a user may have.
const DRAFT: usize = 64 * 1024;
const DRAFTS: usize = 500;

/// What `…/search` is asked.
#[derive(Debug, Deserialize)]
pub struct Asked {
    text: Option<String>,
    with: Option<String>,
    outgoing: Option<bool>,
    flag: Option<String>,
    folder: Option<u64>,
    conversation: Option<String>,
    kind: Option<ObjectKind>,
    since: Option<u64>,
    until: Option<u64>,
    before: Option<u64>,
    order: Option<Order>,
    limit: Option<usize>,
}

/// The order of what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The newest first.
    #[default]
    Date,
    /// The best match first.
    Rank,
}

/// `GET …/search?text=&with=&outgoing=&flag=&folder=&conversation=&kind=&since=&until=&order=&before=&limit=`
pub async fn search(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Found>, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let Query(asked) = query.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    if asked.text.as_ref().is_some_and(|text| text.chars().count() > QUESTION) {
        return Err(ApiError::bad_request(format!("Search for {QUESTION} characters at most.")));
    }
    let flag = |text: String| Flag::parse(&text).ok_or_else(|| ApiError::bad_request(format!("{text:?} is no flag.")));
    let conversation = |text: String| {
        ConversationId::parse(&Text::from(text)).ok_or_else(|| ApiError::bad_request("This is not the identifier of a conversation."))
    };
    let criteria = Criteria {
        text: asked.text.map(Text::from),
        with: asked.with.as_deref().map(peer).transpose()?,
        outgoing: asked.outgoing,
        flag: asked.flag.map(flag).transpose()?,
        own: asked.folder,
        conversation: asked.conversation.map(conversation).transpose()?,
        kind: asked.kind,
        since: asked.since.map(Time),
        until: asked.until.map(Time),
        before: asked.before,
        ranked: asked.order == Some(Order::Rank),
        limit: asked.limit.unwrap_or(50).clamp(1, 100),
    };
    if criteria.is_empty() {
        return Err(ApiError::bad_request(
            "Say what to search for: text, with, outgoing, flag, folder, conversation, kind, since or until.",
        ));
    }
    Ok(Json(gateway.read(move |store| store.search(user, &criteria)).await?))
}

fn with(reading: &Reading) -> Result<wasm_core::cpm::address::Address, ApiError> {
    peer(reading.with.as_deref().ok_or_else(|| ApiError::bad_request("Say with whom: ?with=ADDRESS."))?)
}

/// `GET …/index?with=&after=&limit=`
pub async fn index(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: super::ReadingQuery,
) -> Result<Json<Index>, ApiError> {
    let (user, asked) = (owner(&signed, &store, &name)?, reading(query)?);
    let with = with(&asked)?;
    let limit = asked.limit.unwrap_or(5000).clamp(1, 5000);
    Ok(Json(gateway.read(move |store| store.index(user, &with, asked.after.unwrap_or(0), limit)).await?))
}

/// `GET …/histories?with=&before=&limit=`
pub async fn histories(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    query: super::ReadingQuery,
) -> Result<Json<Histories>, ApiError> {
    let (user, asked) = (owner(&signed, &store, &name)?, reading(query)?);
    let with = with(&asked)?;
    Ok(Json(gateway.read(move |store| store.histories(user, &with, asked.before, asked.limit())).await?))
}

/// How full a box is.
pub async fn fullness(gateway: &Arc<Gateway>, user: UserId) -> Result<Quota, ApiError> {
    let usage = gateway.read(move |store| store.usage(user)).await?;
    Ok(gateway.settings.store.quota(usage))
}

/// `GET …/quota`
pub async fn quota(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
) -> Result<Json<Quota>, ApiError> {
    Ok(Json(fullness(&gateway, owner(&signed, &store, &name)?).await?))
}

/// `GET …/own-folders`
pub async fn own_folders(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
) -> Result<Json<OwnFolders>, ApiError> {
    let user = owner(&signed, &store, &name)?;
    Ok(Json(gateway.read(move |store| store.own_folders(user)).await?))
}

fn plan(body: Result<Json<FolderPlan>, JsonRejection>) -> Result<FolderPlan, ApiError> {
    let Json(plan) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let name = plan.name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!("The name of a folder has 1 to {NAME} characters.")));
    }
    Ok(FolderPlan { name: Text::from(name), parent: plan.parent })
}

/// `POST …/own-folders`: 201 with the folder's number.
pub async fn make_folder(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    body: Result<Json<FolderPlan>, JsonRejection>,
) -> Result<(StatusCode, Json<serde_json::Value>), ApiError> {
    let user = owner(&signed, &store, &name)?;
    let FolderPlan { name, parent } = plan(body)?;
    match act(&gateway, user, vec![Action::MakeFolder { parent, name }]).await?[0] {
        Outcome::Kept { version } => Ok((StatusCode::CREATED, Json(serde_json::json!({ "id": version })))),
        outcome => Err(status(outcome).err().unwrap_or_else(ApiError::not_found)),
    }
}

/// `PATCH …/own-folders/{id}`
pub async fn change_folder(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, id)): Path<(String, String, String)>,
    body: Result<Json<FolderPlan>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let (user, id) = (owner(&signed, &store, &name)?, number(&id)?);
    let FolderPlan { name, parent } = plan(body)?;
    status(act(&gateway, user, vec![Action::ChangeFolder { id, parent, name }]).await?[0])
}

/// `DELETE …/own-folders/{id}`
pub async fn drop_folder(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, id)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let (user, id) = (owner(&signed, &store, &name)?, number(&id)?);
    status(act(&gateway, user, vec![Action::DropFolder { id }]).await?[0])
}

/// `PUT …/own-folders/{id}/objects/{seq}`
pub async fn file(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, own, seq)): Path<(String, String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let (user, own) = (owner(&signed, &store, &name)?, number(&own)?);
    let spot = spot(&gateway, user, &seq).await?;
    status(act(&gateway, user, vec![Action::File { spot, own, alone: false }]).await?[0])
}

/// `DELETE …/own-folders/{id}/objects/{seq}`
pub async fn unfile(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, own, seq)): Path<(String, String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let (user, own) = (owner(&signed, &store, &name)?, number(&own)?);
    let spot = spot(&gateway, user, &seq).await?;
    status(act(&gateway, user, vec![Action::Unfile { spot, own }]).await?[0])
}

/// `PUT …/folders/{with}/flags/{flag}`: `\Seen` up to a place, which the body tells; `\Archived` and `\Pinned` without a body.
pub async fn flag_folder(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with, flag)): Path<(String, String, String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let with = peer(&with)?;
    if let Some(flag) = FolderFlag::parse(&flag) {
        return status(act(&gateway, user, vec![Action::FlagFolder { with, flag, on: true }]).await?[0]);
    }
    if Flag::parse(&flag) != Some(Flag::Seen) {
        return Err(ApiError::not_found());
    }
    let SeenUpTo { up_to } = serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    publish(&gateway, write(&gateway, Write::Seen { user, with, up_to }.into()).await?);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/folders/{with}/flags/{flag}`
pub async fn unflag_folder(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with, flag)): Path<(String, String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let (with, flag) = (peer(&with)?, FolderFlag::parse(&flag).ok_or_else(ApiError::not_found)?);
    status(act(&gateway, user, vec![Action::FlagFolder { with, flag, on: false }]).await?[0])
}

/// `GET …/drafts/{with}`
pub async fn draft(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with)): Path<(String, String, String)>,
) -> Result<Json<Draft>, ApiError> {
    let (user, with) = (owner(&signed, &store, &name)?, peer(&with)?);
    let found = gateway.read(move |store| store.document(user, DocumentKind::Draft, with.as_str())).await?;
    let found = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(serde_json::from_slice(&found.body).unwrap_or_default()))
}

/// `PUT …/drafts/{with}`: what is being written is the same on all devices.
pub async fn put_draft(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with)): Path<(String, String, String)>,
    body: Result<Json<Draft>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let (user, with) = (owner(&signed, &store, &name)?, peer(&with)?);
    let Json(draft) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let body = serde_json::to_vec(&draft).map_err(|error| ApiError::bad_request(error.to_string()))?;
    if body.len() > DRAFT {
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "This draft is too long."));
    }
    let known = gateway.read(move |store| store.documents(user, DocumentKind::Draft)).await?;
    if known.len() >= DRAFTS && known.iter().all(|document| *document.name != *with.as_str()) {
        return Err(ApiError::new(StatusCode::CONFLICT, "conflict", "There are too many drafts."));
    }
    let write_it =
        Write::PutDocument { user, kind: DocumentKind::Draft, name: with.text().clone(), body: body.into(), expect: Expect::Any };
    publish(&gateway, write(&gateway, write_it.into()).await?);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/drafts/{with}`
pub async fn drop_draft(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, with)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let (user, with) = (owner(&signed, &store, &name)?, peer(&with)?);
    let dropping = Write::DropDocument { user, kind: DocumentKind::Draft, name: with.text().clone(), expect: Expect::Any };
    publish(&gateway, write(&gateway, dropping.into()).await?);
    Ok(StatusCode::NO_CONTENT)
}
