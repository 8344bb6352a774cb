//! Who asks: by the session's cookie as everywhere, or by HTTP Digest with the secrets that SIP uses [RFC7616, RFC4825 §14].
//!
//! A page is never challenged, since the browser would ask its user for a password in a window of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use wasm_core::Text;
use wasm_core::sip::digest::{Verdict, Verifier};
use wasm_core::wire::sip::{Authorization, TypedHeader as _};

use super::fault::Refused;
use crate::edge::Gateway;
use crate::edge::http::{ApiError, Peer};
use crate::edge::limits::Use;
use crate::edge::session::Signed;
use crate::sip_core::front_door::account_named;
use crate::store::Account;

/// Challenges over HTTP.
#[derive(Debug)]
pub struct Digest(Mutex<Verifier>);

impl Digest {
    /// Challenges for a realm, whose nonces are signed with `key`.
    pub fn new(realm: &str, key: [u8; 32]) -> Digest {
        Digest(Mutex::new(Verifier::new(realm, key)))
    }
}

/// The user who asks.
#[derive(Clone, Debug)]
pub struct Asker(pub Arc<Account>);

impl FromRequestParts<Arc<Gateway>> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Asker, Refused> {
        if let Some(signed) = Signed::by_cookie(&parts.headers, gateway).await? {
            return Ok(Asker(signed.account));
        }
        let target = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let peer = parts.extensions.get::<Peer>().ok_or_else(Refused::not_found)?;
        by_digest(gateway, &parts.headers, parts.method.as_str(), target, peer)
    }
}

fn by_digest(gateway: &Gateway, headers: &HeaderMap, method: &str, target: &str, peer: &Peer) -> Result<Asker, Refused> {
    let mut verifier = gateway.digest.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = gateway.clock.now();
    let lines = headers.get_all(header::AUTHORIZATION).iter().filter_map(|line| line.to_str().ok());
    let credentials = lines
        .filter_map(|line| Authorization::parse(&Text::from(line)).ok())
        .find(|credentials| credentials.0.is_digest() && credentials.0.text("realm").as_deref() == Some(verifier.realm()));
    let mut stale = false;
    if let Some(Authorization(credentials)) = credentials {
        let (ip, at) = (peer.remote.ip(), Instant::now());
        gateway.addresses.check(ip, Use::FailedLogin, at).map_err(ApiError::too_many)?;
        let username = credentials.text("username").unwrap_or_default().into_owned();
        let account = account_named(&gateway.accounts, &username, verifier.realm());
        let primary = account.as_ref().map(|account| account.primary());
        if let Some(wait) = primary.and_then(|address| gateway.failures.check(address, &gateway.addresses, at).err()) {
            return Err(ApiError::too_many(wait).into());
        }
        let secret = account.as_ref().and_then(|account| account.ha1(&username, verifier.realm()));
        match verifier.judge(now, &credentials, method, |uri| is_about(uri, target), secret) {
            Verdict::Valid => {
                if let Some(account) = account {
                    return Ok(Asker(account));
                }
            }
            Verdict::Stale => stale = true,
            Verdict::Invalid => {
                let _ = gateway.addresses.take(ip, Use::FailedLogin, at);
                if let Some(address) = primary {
                    gateway.failures.count(address.clone(), &gateway.addresses, at);
                }
            }
        }
    }
    let page = headers.contains_key("sec-fetch-mode") || headers.contains_key(header::COOKIE);
    let challenges = if page { Vec::new() } else { verifier.challenges(now, stale).map(|challenge| challenge.to_string()).to_vec() };
    Err(Refused::Unauthorized(challenges))
}

/// Whether credentials for `uri` are for a request to this path and query. Some clients name the whole address.
fn is_about(uri: &str, target: &str) -> bool {
    uri == target || uri.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])) == Some(target)
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn credentials_are_for_one_address() {
        assert!(is_about("/xcap/a?b", "/xcap/a?b") && is_about("http://x.test:1/xcap/a?b", "/xcap/a?b"));
        assert!(
            !is_about("/xcap/a", "/xcap/a?b") && !is_about("/xcap/b", "/xcap/a") && !is_about("http://x.test", "/") && !is_about("", "/")
        );
    }
}
