//! The HTTP listener: the web app, the API and the doors to the WebSockets.
//!
//! Connections are served by hyper under a time limit on request heads; what an upgrade leaves is the bare socket, for
//! [`connection`](super::connection). Each request passes the limits on its address and, where it changes something, the check of its
//! Origin. Every error is JSON: a word for programs and a sentence for people.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;
use wasm_core::Text;
use wasm_core::cpm::history;

use super::history::{boxes as whole, export, objects, operations};
use super::limits::{Permit, Use};
use super::{Gateway, assets, devices, history as boxes, linking, push, session, sip, stopped, trails, websocket, xcap};
use crate::store::StoreError;

/// How long a peer may take for the head of a request, the first or the next.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// How long a request may take in all, its body included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The other end of an HTTP connection, put into each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    pub remote: SocketAddr,
    /// Whether the connection is within TLS.
    pub secure: bool,
    pub permit: Arc<Permit>,
}

/// A refusal, as JSON.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    error: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, error, message: message.into(), retry_after: None }
    }

    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    pub fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign in first.")
    }

    pub fn not_found() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this address.")
    }

    pub fn too_many(wait: Duration) -> ApiError {
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many attempts: wait a little.");
        ApiError { retry_after: Some(wait), ..error }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        tracing::error!(%error, "the store failed a request");
        match error {
            StoreError::Busy(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server is busy: try again."),
            _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server could not do it."),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = history::ApiError { error: Text::from(self.error), message: Text::from(self.message) };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        response
    }
}

/// Everything that is served on the HTTP listener.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let body_limit = gateway.settings.limits.http_body_bytes;
    Router::new()
        .route("/api/session", get(session::show).post(session::open).delete(session::close))
        .route("/api/messages/{id}/ladder", get(trails::show))
        .route("/api/people", get(session::people))
        .route("/api/devices", get(devices::list))
        .route("/api/devices/{instance}", patch(devices::change).delete(devices::dismiss))
        .route("/api/link", post(linking::open))
        .route("/api/link/code/{code}", get(linking::find))
        .route("/api/link/{id}/session", post(linking::take))
        .route("/api/link/{id}/answer", post(linking::answer))
        .route("/api/link/{id}/code", post(linking::send))
        .route("/api/link/{id}/proof", post(linking::prove))
        .route("/api/push", get(push::api::show).put(push::api::put).delete(push::api::remove))
        .route("/nms/v1/{store}/{box}/folders", get(boxes::folders))
        .route("/nms/v1/{store}/{box}/objects", get(boxes::objects))
        .route("/nms/v1/{store}/{box}/changes", get(boxes::changes))
        .route("/nms/v1/{store}/{box}/folders/{with}/flags/{flag}", put(whole::flag_folder).delete(whole::unflag_folder))
        .route("/nms/v1/{store}/{box}/objects/{seq}", get(objects::show).delete(objects::remove))
        .route("/nms/v1/{store}/{box}/objects/{seq}/payload", get(objects::payload))
        .route("/nms/v1/{store}/{box}/objects/{seq}/parts", get(objects::parts))
        .route("/nms/v1/{store}/{box}/objects/{seq}/parts/{part}", get(objects::part))
        .route("/nms/v1/{store}/{box}/objects/{seq}/thread", get(objects::thread))
        .route("/nms/v1/{store}/{box}/objects/{seq}/flags", get(objects::flags))
        .route(
            "/nms/v1/{store}/{box}/objects/{seq}/flags/{flag}",
            get(objects::flag_shown).put(objects::flag_set).delete(objects::flag_taken),
        )
        .route("/nms/v1/{store}/{box}/search", get(whole::search))
        .route("/nms/v1/{store}/{box}/index", get(whole::index))
        .route("/nms/v1/{store}/{box}/histories", get(whole::histories))
        .route("/nms/v1/{store}/{box}/quota", get(whole::quota))
        .route("/nms/v1/{store}/{box}/own-folders", get(whole::own_folders).post(whole::make_folder))
        .route("/nms/v1/{store}/{box}/own-folders/{id}", patch(whole::change_folder).delete(whole::drop_folder))
        .route("/nms/v1/{store}/{box}/own-folders/{id}/objects/{seq}", put(whole::file).delete(whole::unfile))
        .route("/nms/v1/{store}/{box}/drafts/{with}", get(whole::draft).put(whole::put_draft).delete(whole::drop_draft))
        .route("/nms/v1/{store}/{box}/operations/forward", post(operations::forward))
        .route("/nms/v1/{store}/{box}/operations/{operation}", post(operations::bulk))
        .route("/api/export", get(export::download))
        .route("/xcap/{*document}", get(xcap::answer).put(xcap::answer).delete(xcap::answer))
        .route("/sip", get(websocket::sip))
        .route("/msrp", get(websocket::msrp))
        .route("/events", get(websocket::events))
        .fallback(fallback)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard))
        .with_state(gateway)
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here.")
}

async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    if ["/api/", "/nms/", "/xcap", "/ft"].iter().any(|prefix| path.starts_with(prefix)) {
        return ApiError::not_found().into_response();
    }
    assets::APP.answer(request.method(), request.uri(), request.headers())
}

/// What every request passes: the limits, the check of its Origin where it changes something, the headers of the answer.
async fn guard(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server could not do it.").into_response();
    };
    let api = request.uri().path().starts_with("/api/") || request.uri().path().starts_with("/nms/");
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match gateway.addresses.take(peer.remote.ip(), Use::Request, Instant::now()) {
        Err(wait) => {
            metrics::counter!("tandem_limited_total", "what" => "request").increment(1);
            ApiError::too_many(wait).into_response()
        }
        Ok(()) if changes && !origin_allowed(&gateway, request.headers()) => origin_refused().into_response(),
        Ok(()) => match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long.").into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in assets::SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if secure(&gateway, &peer) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    metrics::counter!("tandem_http_requests_total", "status" => response.status().as_u16().to_string()).increment(1);
    response
}

/// Whether the browser's side of the connection is encrypted: by us, or by the proxy that the public address names.
pub fn secure(gateway: &Gateway, peer: &Peer) -> bool {
    peer.secure || gateway.settings.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
}

/// Whether a page of this origin may do more than read: the gateway's own pages, those of the public address, and those set. A request
/// without Origin comes from no page.
pub fn origin_allowed(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let settings = &gateway.settings;
    (authority.is_some() && authority == host.as_deref())
        || settings.allowed_origins.contains(&origin)
        || settings.public_url.as_ref().is_some_and(|url| url.eq_ignore_ascii_case(&origin))
}

/// The refusal of a page from elsewhere.
pub fn origin_refused() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "origin-not-allowed", "Pages from this origin may not do this: see the setting allowed_origins.")
}

/// Who a proxy says that it serves: the last address, which is the one that the proxy itself has added.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = line.rsplit(',').next()?.trim();
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Accepts connections until the gateway stops.
pub async fn listen(gateway: Arc<Gateway>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let router = router(Arc::clone(&gateway));
    let mut stopping = gateway.stopping.subscribe();
    loop {
        let (stream, remote) = tokio::select! {
            accepted = sip::accept(&listener) => accepted,
            () = stopped(&mut stopping) => return,
        };
        let proxy = gateway.settings.trusted_proxies.contains(&remote.ip().to_canonical());
        let Some(permit) = gateway.addresses.connect(remote.ip(), proxy) else {
            metrics::counter!("tandem_limited_total", "what" => "connection").increment(1);
            continue;
        };
        let peer = Peer { remote, secure: tls.is_some(), permit: Arc::new(permit) };
        let (gateway, router, tls) = (Arc::clone(&gateway), router.clone(), tls.clone());
        tokio::spawn(async move {
            let Some(socket) = Box::pin(sip::secure(stream, tls)).await else { return };
            let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let mut request = request.map(Body::new);
                let mut peer = peer.clone();
                if proxy && let Some(client) = forwarded(request.headers()) {
                    peer.remote.set_ip(client);
                }
                request.extensions_mut().insert(peer);
                let mut router = router.clone();
                async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(32 * 1024);
            let mut stopping = gateway.stopping.subscribe();
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service).with_upgrades());
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = stopped(&mut stopping) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%remote, %error, "HTTP connection ended");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R317: what a client itself writes into the header is not believed.
    #[test]
    fn a_proxy_is_believed_about_its_own_peer_alone() {
        let headers = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            forwarded(&headers)
        };
        assert_eq!(headers(&["1.2.3.4, 192.0.2.1"]), "192.0.2.1".parse().ok());
        assert_eq!(headers(&["1.2.3.4", "[2001:db8::1]:99"]), "2001:db8::1".parse().ok());
        assert_eq!(headers(&["nonsense"]), None);
        assert_eq!(headers(&[]), None);
    }
}
