//! One POST request over HTTP/1.1, with or without TLS: bounded in time and size, following no redirect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wasm_core::wire::sip::{Date, TypedHeader as _};
use wasm_core::{Text, Time};

use super::endpoint::{Endpoint, is_public};
use crate::edge::tls::{Socket, TlsError};

/// How long one request may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest head of an answer.
const HEAD: usize = 16 * 1024;

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public Internet: for addresses that users give.
    Public,
    /// All: for addresses that the operator gives, or where they say so.
    Anywhere,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the name stands for no public address")]
    NotPublic,
    #[error("no answer in time")]
    Late,
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    #[error("no sound answer: {0}")]
    Http(#[from] hyper::Error),
}

/// What counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
}

/// What sends requests.
pub struct Client {
    tls: TlsConnector,
}

impl Client {
    /// A client that believes the certificates in a file, or else those that this machine believes.
    pub fn new(certificates: Option<&std::path::Path>) -> Result<Client, TlsError> {
        let mut roots = rustls::RootCertStore::empty();
        let believed = match certificates {
            Some(path) => CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|source| TlsError::Unreadable { what: "certificates for notices", path: path.to_owned(), source })?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        if roots.add_parsable_certificates(believed).0 == 0 {
            tracing::warn!("this machine knows no certificate authorities: notices cannot be pushed; see [push] certificates");
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Client { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends a body, and says what came back.
    pub async fn post(&self, endpoint: &Endpoint, reach: Reach, headers: HeaderMap, body: Vec<u8>, now: Time) -> Result<Answer, Failure> {
        tokio::time::timeout(PATIENCE, self.exchange(endpoint, reach, headers, body, now)).await.unwrap_or(Err(Failure::Late))
    }

    async fn exchange(&self, endpoint: &Endpoint, reach: Reach, headers: HeaderMap, body: Vec<u8>, now: Time) -> Result<Answer, Failure> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.path().parse().map_err(io::Error::other)?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(endpoint.authority()).map_err(io::Error::other)?;
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));

        let socket = self.connect(endpoint, reach).await?;
        let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(socket)).await?;
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What came before the end is still there.
            _ = connection => answer.await,
        }?;
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer { status: answer.status(), retry_after: retry_after.and_then(|value| wait(value, now)) })
    }

    async fn connect(&self, endpoint: &Endpoint, reach: Reach) -> Result<Socket, Failure> {
        let found = match endpoint.host().parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, endpoint.port())],
            Err(_) => tokio::net::lookup_host((endpoint.host(), endpoint.port())).await?.collect(),
        };
        // The very addresses that were looked at are connected to: a name cannot mean something else a moment later.
        let allowed: Vec<_> = found.into_iter().filter(|address| reach == Reach::Anywhere || is_public(address.ip())).collect();
        if allowed.is_empty() {
            return Err(Failure::NotPublic);
        }
        let stream = TcpStream::connect(&*allowed).await?;
        if !endpoint.is_secure() {
            return Ok(Socket::Plain(stream));
        }
        let name = ServerName::try_from(endpoint.host().to_owned()).map_err(io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        Ok(Socket::Tls(Box::new(stream.into())))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Retry-After: seconds, or a date in the form that SIP has from HTTP.
fn wait(value: &str, now: Time) -> Option<Duration> {
    let date = || Date::parse(&Text::from(value.trim())).ok().map(|date| date.0.since(now));
    value.trim().parse().ok().map(Duration::from_secs).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = Time::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        assert_eq!(wait("120", now), Some(Duration::from_secs(120)));
        assert_eq!(wait("Fri, 20 Nov 2026 12:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait("soon", now), None);
    }
}
