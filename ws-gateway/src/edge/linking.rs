//! Linking a device without a password: the new device shows a code, and a device that is signed in approves it; or a one-time code goes
//! to the person's Primary Device as a system message and is typed at the new one.
//!
//! ```text
//! new device                                      a device that is signed in
//! POST /api/link ─► id, code, QR; cookie
//! POST /api/link/{id}/session (waits) …           GET  /api/link/code/{code} ─► who asks, from where, since when
//!                 … ─► session, its own cookie ◄─ POST /api/link/{id}/answer
//! POST /api/link/{id}/code  (to whom)  ──────────► system message
//! POST /api/link/{id}/proof (what it said)
//! ```
//!
//! The cookie binds the request to the browser that asked. What somebody without it asks for is as good as not there, and an address that
//! nobody has gets the same answers as any other.

mod requests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::{self, CodeProof, CodeWish, LinkAnswer, LinkAsk, LinkOffer, LinkWish, Verdict};

use super::driver::Arrival;
use super::http::{ApiError, Peer, secure};
use super::limits::Use;
use super::session::{self, Signed};
use super::{Gateway, seed};
use crate::devices::Newcomer;
use crate::node::Directory as _;
use crate::store::{StoreError, TokenHash};

pub use requests::Requests;
use requests::{Asker, LIFE, Outcome, Proof, Refused};

/// The cookie that holds a request's secret.
const COOKIE: &str = "tandem_link";
/// How long one question for the outcome waits.
const PATIENCE: Duration = Duration::from_secs(25);

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        match refused {
            Refused::Gone => ApiError::not_found(),
            Refused::TooOften(wait) => ApiError::too_many(wait),
        }
    }
}

type Body<T> = Result<Json<T>, JsonRejection>;

fn read<T>(body: Body<T>) -> Result<T, ApiError> {
    body.map(|Json(value)| value).map_err(|rejection| ApiError::bad_request(rejection.body_text()))
}

fn secret(headers: &HeaderMap) -> Option<TokenHash> {
    session::cookie_value(headers, COOKIE).map(TokenHash::of)
}

fn gone() -> ApiError {
    ApiError::new(StatusCode::GONE, "gone", "This code is not valid any more: ask for another one.")
}

fn limited(gateway: &Gateway, peer: &Peer) -> Result<(), ApiError> {
    gateway.addresses.take(peer.remote.ip(), Use::Link, Instant::now()).map_err(ApiError::too_many)
}

fn chance() -> Result<[u8; 32], StoreError> {
    seed().map_err(|error| StoreError::Internal(error.to_string()))
}

/// What a browser says that it is, in words.
pub fn platform(headers: &HeaderMap) -> Text {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    match device::browser_and_system(agent) {
        (Some(browser), Some(system)) => Text::from(format!("{browser} on {system}")),
        (Some(one), None) | (None, Some(one)) => Text::from(one),
        (None, None) => Text::from("Browser"),
    }
}

/// `POST /api/link`: a device without a password wants to be linked.
pub async fn open(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body<LinkWish>,
) -> Result<Response, ApiError> {
    let wish = read(body)?;
    limited(&gateway, &peer)?;
    let platform = platform(&headers);
    let name = device::name(&wish.device_name).unwrap_or_else(|| platform.clone());
    let asker = Asker { instance: wish.instance, name, platform, remote: peer.remote.ip() };
    let opened = gateway.links.open(Instant::now(), gateway.clock.now(), asker, secret(&headers), chance()?)?;
    let (width, path) = symbol(&format!("{}/#link={}", site(&gateway, &peer, &headers), opened.code));
    let offer = LinkOffer { id: opened.id, code: Text::from(opened.code), width, path, seconds: LIFE.as_secs() };
    let cookie = cookie(&gateway, &peer, &opened.secret, 4 * LIFE);
    Ok((StatusCode::CREATED, AppendHeaders([cookie]), Json(offer)).into_response())
}

fn cookie(gateway: &Gateway, peer: &Peer, secret: &str, age: Duration) -> (HeaderName, String) {
    let secure = if secure(gateway, peer) { "; Secure" } else { "" };
    (header::SET_COOKIE, format!("{COOKIE}={secret}; Path=/api/link; HttpOnly; SameSite=Strict; Max-Age={}{secure}", age.as_secs()))
}

/// The address of this site as the asking browser knows it.
fn site(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(url) = &gateway.settings.public_url {
        return url.clone();
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        // Of an origin that may not be here the request would have been refused.
        (Some(origin), _) => origin.to_owned(),
        (None, host) => format!("{}://{}", if peer.secure { "https" } else { "http" }, host.unwrap_or("localhost")),
    }
}

/// The QR symbol of a text: how many modules it is wide, and the dark ones as the path of an SVG, run by run.
fn symbol(text: &str) -> (u32, String) {
    // A text that is too long for any symbol gives none: the code is still there to be typed.
    let Ok(symbol) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return (0, String::new()) };
    let width = symbol.size();
    let mut path = String::new();
    for y in 0..width {
        let mut x = 0;
        while x < width {
            let run = (x..width).take_while(|&x| symbol.get_module(x, y)).count() as i32;
            if run > 0 {
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            x += run + 1;
        }
    }
    (width.unsigned_abs(), path)
}

/// `POST /api/link/{id}/session`: waits for the answer for a while, and signs in once it is yes.
pub async fn take(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let secret = secret(&headers).ok_or_else(gone)?;
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match gateway.links.take(Instant::now(), &id, &secret) {
            Outcome::Waiting(changed) => {
                if tokio::time::timeout_at(until, changed.notified()).await.is_err() {
                    return Ok(StatusCode::NO_CONTENT.into_response());
                }
            }
            Outcome::Approved { user, origin, asker } => {
                let account = gateway.accounts.user(user).ok_or_else(gone)?;
                let Asker { instance, name, platform, .. } = asker;
                let newcomer = Newcomer { instance, name, platform, origin };
                let signed = session::admit(&gateway, &peer, account, newcomer, false).await?;
                tracing::info!(remote = %peer.remote.ip(), user = user.0, "linked a device");
                let cookie = cookie(&gateway, &peer, "", Duration::ZERO);
                return Ok((AppendHeaders([cookie]), signed).into_response());
            }
            Outcome::Refused => {
                return Err(ApiError::new(StatusCode::FORBIDDEN, "refused", "The other device has refused."));
            }
            Outcome::Gone => return Err(gone()),
        }
    }
}

/// `GET /api/link/code/{code}`: which device shows this code.
pub async fn find(State(gateway): State<Arc<Gateway>>, signed: Signed, Path(code): Path<String>) -> Result<Json<LinkAsk>, ApiError> {
    Ok(Json(gateway.links.find(Instant::now(), signed.account.user, &code)?))
}

/// `POST /api/link/{id}/answer`: whether that device becomes one of the user's.
pub async fn answer(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path(id): Path<String>,
    body: Body<LinkAnswer>,
) -> Result<StatusCode, ApiError> {
    let approve = read(body)?.answer == Verdict::Approve;
    let (now, user) = (Instant::now(), signed.account.user);
    let Asker { instance, name, platform, .. } = gateway.links.asker(now, &id).ok_or_else(ApiError::not_found)?;
    if approve {
        // Said here, where another device can be signed out, rather than at the new one.
        let origin = device::Origin::Linked { by: None };
        let _room = gateway.devices.enrol(gateway.clock.now(), user, Newcomer { instance, name, platform, origin }, false)?;
    }
    gateway.links.answer(now, &id, user, &signed.session.instance, approve)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/link/{id}/code`: sends a one-time code to somebody's devices.
pub async fn send(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body<CodeWish>,
) -> Result<StatusCode, ApiError> {
    let wish = read(body)?;
    limited(&gateway, &peer)?;
    let secret = secret(&headers).ok_or_else(gone)?;
    let domain = gateway.settings.domains.first().map_or("", String::as_str);
    let account = Address::complete(&wish.address, domain).and_then(|address| gateway.accounts.account(&address));
    let sent = gateway.links.send(Instant::now(), &id, &secret, account.map(|account| account.user), chance()?);
    let sent = sent.map_err(|refused| if refused == Refused::Gone { gone() } else { refused.into() })?;
    if let Some((user, code)) = sent {
        let text = format!(
            "Your Tandem code is {} {}. It links a new device to your account and is valid for two minutes: enter it only on a device of \
             your own, and tell it to nobody. If you did not ask for it, there is nothing to do.",
            &code[..4],
            &code[4..]
        );
        // The driver takes it when it can: who asks does not wait for it, and sees no difference.
        let _ = gateway.try_deliver(Arrival::Tell { user, text: Text::from(text) });
    }
    Ok(StatusCode::ACCEPTED)
}

/// `POST /api/link/{id}/proof`: the one-time code that came.
pub async fn prove(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body<CodeProof>,
) -> Result<StatusCode, ApiError> {
    let CodeProof { code } = read(body)?;
    let secret = secret(&headers).ok_or_else(gone)?;
    match gateway.links.prove(Instant::now(), &id, &secret, &code) {
        Proof::Right => Ok(StatusCode::NO_CONTENT),
        Proof::Wrong { left: 0 } | Proof::Gone => Err(gone()),
        Proof::Wrong { left } => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "wrong-code", format!("This is not the code that was sent: {left} more tries.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R353: what a camera reads is what the path draws: the finder in three corners, and nothing outside the symbol.
    #[test]
    fn a_symbol_is_drawn_run_by_run() {
        let (width, path) = symbol("https://chat.example.org/#link=12345678");
        assert_eq!(width, 29);
        assert!(path.starts_with("M0 0h7v1h-7z"), "{path}");
        let dark: i32 = path.split('M').filter_map(|run| run.split_once('h')?.1.split('v').next()?.parse::<i32>().ok()).sum();
        assert!((300..540).contains(&dark), "{dark}");
    }
}
