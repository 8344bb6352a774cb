//! Operations on many objects at once, each with a result of its own, and sending stored ones on without having them here first.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::history::{Bulk, BulkResult, BulkResults, Flag, Forwarded, Forwarding, ObjectKind};
use wasm_core::cpm::ids::MessageId;
use wasm_core::{Entropy, Text};

use super::objects::parts_of;
use super::{act, owner};
use crate::edge::driver::Arrival;
use crate::edge::http::ApiError;
use crate::edge::session::Signed;
use crate::edge::{Gateway, seed};
use crate::store::{Action, Outcome, Spot, StoreError};

/// How many objects one operation may name, and how many flags.
const MOST: usize = 500;
const FLAGS: usize = 16;
/// How many messages one forwarding may make.
const MESSAGES: usize = 50;

/// `POST …/operations/{operation}`: `bulkDelete`, `bulkUpdate`, `move`, `copy`.
pub async fn bulk(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, operation)): Path<(String, String, String)>,
    body: Result<Json<Bulk>, JsonRejection>,
) -> Result<Json<BulkResults>, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let known = ["bulkDelete", "bulkUpdate", "move", "copy"];
    if !known.contains(&operation.as_str()) {
        return Err(ApiError::not_found());
    }
    let Json(Bulk { objects, add, remove, folder }) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    if objects.len() > MOST || add.len() + remove.len() > FLAGS {
        return Err(ApiError::bad_request(format!("Name at most {MOST} objects and {FLAGS} flags.")));
    }
    let flag = |text: &Text| Flag::parse(text).ok_or_else(|| ApiError::bad_request(format!("{text:?} is no flag.")));
    let mut flags = Vec::new();
    for (texts, on) in [(&add, true), (&remove, false)] {
        for text in texts {
            flags.push((flag(text)?, on));
        }
    }
    let actions = |spot: Spot| -> Result<Vec<Action>, ApiError> {
        Ok(match (operation.as_str(), folder) {
            ("bulkDelete", _) => vec![Action::Purge { spot }],
            ("bulkUpdate", _) => flags.iter().map(|(flag, on)| Action::Flag { spot, flag: flag.clone(), on: *on }).collect(),
            (_, Some(own)) => vec![Action::File { spot, own, alone: operation == "move" }],
            (_, None) => return Err(ApiError::bad_request("Say where to: \"folder\".")),
        })
    };
    // Also where no object is named: what is asked for is checked.
    actions(Spot { folder: 0, seq: 0 })?;
    let asked = objects.clone();
    let spots = gateway.read(move |store| store.spots(user, &asked)).await?;
    let (mut all, mut counts) = (Vec::new(), Vec::new());
    for spot in &spots {
        let some = spot.map(&actions).transpose()?.unwrap_or_default();
        counts.push(some.len());
        all.extend(some);
    }
    let outcomes = if all.is_empty() { Vec::new() } else { act(&gateway, user, all).await? };
    let mut outcomes = outcomes.into_iter();
    let results = objects.iter().zip(spots).zip(counts).map(|((seq, spot), count)| {
        let own: Vec<Outcome> = outcomes.by_ref().take(count).collect();
        let status = if spot.is_none() || own.contains(&Outcome::Missing) {
            404
        } else if own.contains(&Outcome::Conflict) {
            409
        } else {
            204
        };
        BulkResult { seq: *seq, status }
    });
    Ok(Json(BulkResults { results: results.collect() }))
}

/// `POST …/operations/forward`: 202, and the Participating Function sends them in the owner's name (R270, R271).
pub async fn forward(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name)): Path<(String, String)>,
    body: Result<Json<Forwarding>, JsonRejection>,
) -> Result<(StatusCode, Json<Forwarded>), ApiError> {
    let user = owner(&signed, &store, &name)?;
    let Json(Forwarding { objects, parts, to, text }) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let contents = objects.len() + parts.len() + usize::from(text.is_some());
    if to.is_empty() || contents == 0 || to.len().saturating_mul(contents) > MESSAGES {
        return Err(ApiError::bad_request(format!("Name what to send and to whom: {MESSAGES} messages at most.")));
    }
    let mut sent = Vec::new();
    sent.extend(text.filter(|text| !text.is_empty()).map(Content::Text));
    for seq in objects {
        let found = gateway.read(move |store| store.object(user, seq)).await?.ok_or_else(ApiError::not_found)?;
        let message = found.entry.message;
        if ObjectKind::of(&message.content_type) != ObjectKind::Message {
            return Err(ApiError::new(StatusCode::CONFLICT, "conflict", "Only messages can be sent on."));
        }
        sent.push(content(message.content_type, message.body)?);
    }
    for (seq, nth) in parts {
        let parts = parts_of(&gateway, user, seq).await?;
        let part = usize::try_from(nth).ok().and_then(|nth| parts.get(nth)).ok_or_else(ApiError::not_found)?;
        let content_type = part.field("Content-Type").cloned().unwrap_or_else(|| Text::from("text/plain"));
        sent.push(content(content_type, part.body.clone())?);
    }
    let mut entropy = Entropy::new(seed().map_err(|error| StoreError::Internal(error.to_string()))?);
    let mut messages = Vec::new();
    for to in to {
        for content in &sent {
            let message_id = MessageId::new(&mut entropy);
            messages.push(message_id.clone());
            let arrival = Arrival::Compose { user, to: to.clone(), message_id, content: Box::new(content.clone()) };
            gateway.deliver(arrival).await;
        }
    }
    Ok((StatusCode::ACCEPTED, Json(Forwarded { messages })))
}

/// What is sent on. What a machine wrote for a machine is not.
fn content(content_type: Text, body: bytes::Bytes) -> Result<Content, ApiError> {
    Content::read(&content_type, body)
        .ok()
        .filter(|content| !content.is_automatic())
        .ok_or_else(|| ApiError::new(StatusCode::CONFLICT, "conflict", "This cannot be sent on."))
}
