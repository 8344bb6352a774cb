//! The doors to the WebSockets, `/sip`, `/msrp` and `/events`: the handshake [RFC6455 §4.2], and what is served behind them.
//!
//! Frames are in [`frame`]. A page has to come from an allowed origin; a client without Origin is no page and is let in, to be
//! challenged by SIP's own means.

pub mod frame;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasm_core::cpm::history::Event;

use self::frame::{Decoder, Incoming, OutgoingHead};
use super::assets::base64;
use super::connection::{self, Opening};
use super::http::{ApiError, Peer, origin_allowed, origin_refused};
use super::session::Signed;
use super::tls::Socket;
use super::{Gateway, stopped};
use crate::msrp::Carriage;
use crate::node::Transport;

/// The subprotocols of SIP [RFC7118 §4] and of MSRP [RFC7977 §4].
const SIP: &str = "sip";
const MSRP: &str = "msrp";

/// `GET /sip`: SIP over WebSocket [RFC7118], signed in already where a session's cookie comes along.
pub async fn sip(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if !origin_allowed(&gateway, request.headers()) {
        return Err(origin_refused());
    }
    let response = handshake(request.headers(), Some(SIP))?;
    let signed = Signed::by_cookie(request.headers(), &gateway).await?;
    let transport = if peer.secure { Transport::Wss } else { Transport::Ws };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some((socket, head)) = Box::pin(upgraded(upgrade)).await else { return };
        let user = signed.map(|signed| (signed.account.user, signed.session.instance));
        let opening = Opening { transport, remote: peer.remote, user, socket, head, permit: Some(peer.permit), dialled: false };
        connection::serve(gateway, opening).await;
    });
    Ok(response)
}

/// `GET /msrp`: MSRP over WebSocket [RFC7977]. What lets a client in is the path of a session, which nobody can guess; where a session's
/// cookie comes along, it has to be that user's too.
pub async fn msrp(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if !origin_allowed(&gateway, request.headers()) {
        return Err(origin_refused());
    }
    let response = handshake(request.headers(), Some(MSRP))?;
    let signed = Signed::by_cookie(request.headers(), &gateway).await?;
    let carriage = Carriage { carrier: wasm_core::wire::msrp::Transport::WebSocket, secure: peer.secure };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some((socket, head)) = Box::pin(upgraded(upgrade)).await else { return };
        let user = signed.map(|signed| signed.account.user);
        let wires = gateway.wires.clone();
        super::msrp::accepted(wires, socket, &head, carriage, user).await;
        drop(peer);
    });
    Ok(response)
}

/// `GET /events`: the cursor of the user's box, now and whenever it moves.
pub async fn events(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    signed: Signed,
    mut request: Request,
) -> Result<Response, ApiError> {
    if !origin_allowed(&gateway, request.headers()) {
        return Err(origin_refused());
    }
    let response = handshake(request.headers(), None)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some((socket, head)) = Box::pin(upgraded(upgrade)).await else { return };
        tell(gateway, signed, socket, head).await;
        drop(peer);
    });
    Ok(response)
}

/// The answer to a handshake, or why it is none.
fn handshake(headers: &HeaderMap, protocol: Option<&'static str>) -> Result<Response, ApiError> {
    let has = |name: header::HeaderName, wanted: &str| {
        let lists = headers.get_all(name).iter().filter_map(|list| list.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "This address is for WebSockets.");
        return Err(error);
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(ApiError::bad_request("WebSockets are spoken here in version 13."));
    }
    if let Some(protocol) = protocol
        && !has(header::SEC_WEBSOCKET_PROTOCOL, protocol)
    {
        return Err(ApiError::bad_request(format!("Offer the subprotocol `{protocol}` on this WebSocket.")));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() <= 64);
    let key = key.ok_or_else(|| ApiError::bad_request("The handshake lacks its key."))?;
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&base64(hash.finish().as_ref())) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}

/// The bare socket after the handshake, and what was read beyond it.
async fn upgraded(upgrade: hyper::upgrade::OnUpgrade) -> Option<(Socket, Bytes)> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Socket>>().ok()?;
    // A copy, so that the connection does not keep the buffer of its handshake.
    Some((parts.io.into_inner(), Bytes::copy_from_slice(&parts.read_buf)))
}

/// Sends the cursor whenever it has moved, until either side ends it.
async fn tell(gateway: Arc<Gateway>, signed: Signed, mut socket: Socket, head: Bytes) {
    let (user, token, instance) = (signed.account.user, signed.session.token, signed.session.instance.clone());
    drop(signed);
    // Listening begins before the first look, so that no change falls between.
    let mut cursors = gateway.events.subscribe(user, 0);
    let Ok(first) = gateway.read(move |store| store.cursor(user)).await else { return };
    gateway.events.publish(user, first);
    let mut stopping = gateway.stopping.subscribe();
    let mut decoder = Decoder::new(1024);
    decoder.push(&head);
    let mut said = None;
    let mut known = true;
    let mut chunk = [0; 256];
    loop {
        let cursor = *cursors.borrow_and_update();
        if said != Some(cursor) {
            said = Some(cursor);
            let Ok(text) = serde_json::to_vec(&Event { cursor }) else { return };
            let frame = [OutgoingHead::message(&text).as_bytes(), &text].concat();
            if !put(&mut socket, &frame).await {
                return;
            }
        }
        tokio::select! {
            changed = cursors.changed() => match changed {
                Ok(()) => known = gateway.devices.get(user, &instance).is_some(),
                Err(_) => return,
            },
            read = socket.read(&mut chunk) => match read {
                Ok(read @ 1..) => decoder.push(&chunk[..read]),
                Ok(0) | Err(_) => return,
            },
            () = stopped(&mut stopping) => {
                put(&mut socket, &frame::close(frame::GOING_AWAY)).await;
                return;
            }
            () = tokio::time::sleep(Duration::from_secs(300)) => known = false,
        }
        // A session that was ended elsewhere no longer hears anything.
        if !known {
            match gateway.read(move |store| store.session(&token)).await {
                Ok(Some(session)) if session.expires_at > gateway.clock.now() => known = true,
                _ => {
                    put(&mut socket, &frame::close(frame::POLICY)).await;
                    return;
                }
            }
        }
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some(Incoming::Ping(payload))) => {
                    if !put(&mut socket, &frame::pong(&payload)).await {
                        return;
                    }
                }
                Ok(Some(Incoming::Message(_) | Incoming::Pong)) => {}
                Ok(Some(Incoming::Close(_))) => {
                    put(&mut socket, &frame::close(1000)).await;
                    return;
                }
                Err(violation) => {
                    put(&mut socket, &frame::close(violation.code())).await;
                    return;
                }
            }
        }
    }
}

/// Sends a frame. False when the peer takes nothing.
async fn put(socket: &mut Socket, bytes: &[u8]) -> bool {
    let sent = async {
        socket.write_all(bytes).await?;
        socket.flush().await
    };
    matches!(Box::pin(tokio::time::timeout(Duration::from_secs(10), sent)).await, Ok(Ok(())))
}
