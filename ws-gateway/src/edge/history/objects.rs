//! One object over HTTP: itself, its payload and the parts of it, its flags, its thread, its end.
//!
//! Payloads are what somebody else sent: they are handed out as files to be saved, never as pages of this site.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use wasm_core::Text;
use wasm_core::cpm::history::{Flag, Object, Page};
use wasm_core::wire::mime::Part;
use wasm_core::wire::mime::multipart::Multipart;
use wasm_core::wire::sip::{ContentType, TypedHeader as _};

use super::{act, owner, status};
use crate::edge::Gateway;
use crate::edge::http::ApiError;
use crate::edge::session::Signed;
use crate::store::{Action, Payload, Spot, UserId};

/// The most bytes of one payload: no message is larger.
const LARGEST: usize = 64 << 20;
/// How many parts of a payload are told of.
const PARTS: usize = 100;

/// A number in a path; what is none names nothing.
pub fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Where one object lies.
pub async fn spot(gateway: &Arc<Gateway>, user: UserId, seq: &str) -> Result<Spot, ApiError> {
    let seq = number(seq)?;
    let spots = gateway.read(move |store| store.spots(user, &[seq])).await?;
    spots.into_iter().next().flatten().ok_or_else(ApiError::not_found)
}

type Name = Path<(String, String, String)>;

/// `GET …/objects/{seq}`
pub async fn show(State(gateway): State<Arc<Gateway>>, signed: Signed, Path((store, name, seq)): Name) -> Result<Json<Object>, ApiError> {
    let (user, seq) = (owner(&signed, &store, &name)?, number(&seq)?);
    let found = gateway.read(move |store| store.object(user, seq)).await?;
    found.map(|found| Json(found.entry.object())).ok_or_else(ApiError::not_found)
}

/// `DELETE …/objects/{seq}`: for good.
pub async fn remove(State(gateway): State<Arc<Gateway>>, signed: Signed, Path((store, name, seq)): Name) -> Result<StatusCode, ApiError> {
    let user = owner(&signed, &store, &name)?;
    let spot = spot(&gateway, user, &seq).await?;
    // What is gone already is at an address where nothing is.
    if gateway.read(move |store| store.object(user, spot.seq)).await?.is_none() {
        return Err(ApiError::not_found());
    }
    status(act(&gateway, user, vec![Action::Purge { spot }]).await?[0])
}

/// `GET …/objects/{seq}/thread`
pub async fn thread(State(gateway): State<Arc<Gateway>>, signed: Signed, Path((store, name, seq)): Name) -> Result<Json<Page>, ApiError> {
    let (user, seq) = (owner(&signed, &store, &name)?, number(&seq)?);
    gateway.read(move |store| store.thread(user, seq)).await?.map(Json).ok_or_else(ApiError::not_found)
}

/// `GET …/objects/{seq}/flags`
pub async fn flags(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, seq)): Name,
) -> Result<Json<Vec<Text>>, ApiError> {
    let (user, seq) = (owner(&signed, &store, &name)?, number(&seq)?);
    let found = gateway.read(move |store| store.object(user, seq)).await?.ok_or_else(ApiError::not_found)?;
    let seen = found.entry.seen.then(|| Text::from(Flag::Seen.as_str()));
    Ok(Json(seen.into_iter().chain(found.entry.flags).collect()))
}

type FlagName = Path<(String, String, String, String)>;

fn flag(text: &str) -> Result<Flag, ApiError> {
    Flag::parse(text).ok_or_else(|| ApiError::bad_request(format!("{text:?} is neither a flag nor a word of letters, digits and _-.$")))
}

/// `GET …/objects/{seq}/flags/{flag}`: 204 where it is set.
pub async fn flag_shown(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, seq, text)): FlagName,
) -> Result<StatusCode, ApiError> {
    let (user, seq, flag) = (owner(&signed, &store, &name)?, number(&seq)?, flag(&text)?);
    let found = gateway.read(move |store| store.object(user, seq)).await?.ok_or_else(ApiError::not_found)?;
    if found.entry.object().has(&flag) { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

async fn set(gateway: &Arc<Gateway>, signed: &Signed, Path((store, name, seq, text)): FlagName, on: bool) -> Result<StatusCode, ApiError> {
    let (user, flag) = (owner(signed, &store, &name)?, flag(&text)?);
    let spot = spot(gateway, user, &seq).await?;
    status(act(gateway, user, vec![Action::Flag { spot, flag, on }]).await?[0])
}

/// `PUT …/objects/{seq}/flags/{flag}`
pub async fn flag_set(State(gateway): State<Arc<Gateway>>, signed: Signed, path: FlagName) -> Result<StatusCode, ApiError> {
    set(&gateway, &signed, path, true).await
}

/// `DELETE …/objects/{seq}/flags/{flag}`
pub async fn flag_taken(State(gateway): State<Arc<Gateway>>, signed: Signed, path: FlagName) -> Result<StatusCode, ApiError> {
    set(&gateway, &signed, path, false).await
}

/// The bytes of a payload that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// The first and the last byte.
    Part(u64, u64),
    Nothing,
}

/// What a Range header asks for [RFC9110 §14.2]. Several ranges, or what cannot be read, mean the whole.
fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // The payload may have changed since the client began: then it gets all of it.
    if text(header::IF_RANGE).is_some_and(|known| known != etag) {
        return Wanted::Whole;
    }
    let Some((first, last)) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), Some(last)) if first > last => Wanted::Whole,
        (Some(first), _) if first >= length && (last.is_empty() || last.parse::<u64>().is_ok()) => Wanted::Nothing,
        (Some(first), Some(last)) => Wanted::Part(first, last.min(length - 1)),
        (Some(first), None) if last.is_empty() => Wanted::Part(first, length - 1),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.is_empty() && length == 0 => Wanted::Nothing,
        (None, Some(count)) if first.is_empty() => Wanted::Part(length.saturating_sub(count), length - 1),
        _ => Wanted::Whole,
    }
}

/// The answer with a payload, or with the part of it that was asked for: `bytes` gives what lies there.
fn answer(headers: &HeaderMap, etag: String, content_type: &str, length: u64, bytes: impl FnOnce(u64, u64) -> Bytes) -> Response {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let content_type = HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let (status, body, range) = match wanted(headers, &etag, length) {
        Wanted::Whole => (StatusCode::OK, bytes(0, length), None),
        Wanted::Part(first, last) => {
            (StatusCode::PARTIAL_CONTENT, bytes(first, last + 1 - first), Some(format!("bytes {first}-{last}/{length}")))
        }
        Wanted::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{length}"))),
    };
    let mut response = (status, Body::from(body)).into_response();
    let answered = response.headers_mut();
    answered.insert(header::CONTENT_TYPE, content_type);
    answered.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    answered.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    answered.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, value) in [(header::ETAG, Some(etag)), (header::CONTENT_RANGE, range)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            answered.insert(name, value);
        }
    }
    response
}

/// `GET …/objects/{seq}/payload`
pub async fn payload(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, seq)): Name,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (user, seq) = (owner(&signed, &store, &name)?, number(&seq)?);
    let read = |from: u64, most: usize| gateway.read(move |store| store.payload(user, seq, from, most));
    let etag = format!("\"{seq}\"");
    let Payload { content_type, length, .. } = read(0, 0).await?.ok_or_else(ApiError::not_found)?;
    let (from, most) = match wanted(&headers, &etag, length) {
        Wanted::Whole => (0, length),
        Wanted::Part(first, last) => (first, last + 1 - first),
        Wanted::Nothing => (0, 0),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(LARGEST);
    let bytes = read(from, most).await?.ok_or_else(ApiError::not_found)?.bytes;
    Ok(answer(&headers, etag, &content_type, length, |_, _| bytes))
}

/// The parts of a payload, or it itself as the only one.
pub async fn parts_of(gateway: &Arc<Gateway>, user: UserId, seq: u64) -> Result<Vec<Part>, ApiError> {
    let found = gateway.read(move |store| store.payload(user, seq, 0, LARGEST)).await?.ok_or_else(ApiError::not_found)?;
    let parsed = ContentType::parse(&found.content_type).ok().and_then(|kind| Multipart::of(&kind, &found.bytes).ok());
    Ok(match parsed {
        Some(multipart) => multipart.parts.into_iter().take(PARTS).collect(),
        None => vec![Part::new(found.content_type, found.bytes)],
    })
}

/// A part of a payload as it is listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    part: usize,
    content_type: Text,
    size: usize,
}

fn type_of(part: &Part) -> Text {
    part.field("Content-Type").cloned().unwrap_or_else(|| Text::from("text/plain"))
}

/// `GET …/objects/{seq}/parts`
pub async fn parts(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, seq)): Name,
) -> Result<Json<Vec<Listed>>, ApiError> {
    let (user, seq) = (owner(&signed, &store, &name)?, number(&seq)?);
    let parts = parts_of(&gateway, user, seq).await?;
    let listed = parts.iter().enumerate().map(|(part, found)| Listed { part, content_type: type_of(found), size: found.body.len() });
    Ok(Json(listed.collect()))
}

/// `GET …/objects/{seq}/parts/{part}`
pub async fn part(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path((store, name, seq, part)): FlagName,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (user, seq, nth) = (owner(&signed, &store, &name)?, number(&seq)?, number(&part)?);
    let parts = parts_of(&gateway, user, seq).await?;
    let found = usize::try_from(nth).ok().and_then(|nth| parts.get(nth)).ok_or_else(ApiError::not_found)?;
    let body = found.body.clone();
    let slice = |from: u64, most: u64| body.slice(from as usize..(from + most) as usize);
    Ok(answer(&headers, format!("\"{seq}-{nth}\""), &type_of(found), body.len() as u64, slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R326: ranges as browsers and download managers ask for them, and what must not be taken for one.
    #[test]
    fn ranges_are_read() {
        let ask = |range: &'static str, condition: Option<&'static str>, length| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(range));
            if let Some(condition) = condition {
                headers.insert(header::IF_RANGE, HeaderValue::from_static(condition));
            }
            wanted(&headers, "\"7\"", length)
        };
        for (range, length, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0, 0)),
            ("bytes=2-5", 10, Wanted::Part(2, 5)),
            ("bytes=2-", 10, Wanted::Part(2, 9)),
            ("bytes=2-99", 10, Wanted::Part(2, 9)),
            ("bytes=-3", 10, Wanted::Part(7, 9)),
            ("bytes=-99", 10, Wanted::Part(0, 9)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=10-12", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Nothing),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("bytes=", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("lines=1-2", 10, Wanted::Whole),
            ("bytes=99999999999999999999-", 10, Wanted::Whole),
            ("bytes=18446744073709551615-18446744073709551615", 10, Wanted::Nothing),
        ] {
            assert_eq!(ask(range, None, length), expected, "{range} of {length}");
        }
        assert_eq!(ask("bytes=1-2", Some("\"7\""), 10), Wanted::Part(1, 2));
        assert_eq!(ask("bytes=1-2", Some("\"8\""), 10), Wanted::Whole);
    }
}
