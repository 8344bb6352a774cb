//! Notices to phones: a POST of JSON to an address of the operator's, who knows how to wake them (R351).
//!
//! The body is signed, so that its receiver can tell that it comes from here and is not an old one sent again.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ring::hmac;
use wasm_core::Time;

use super::endpoint::Endpoint;
use crate::config;
use crate::node::Notice;
use crate::store::Account;

/// Carries the signature: the time, and HMAC-SHA-256 of the time, a dot and the body.
const SIGNATURE: HeaderName = HeaderName::from_static("x-tandem-signature");

/// Where notices to phones go, and what they are signed with.
pub struct Webhook {
    pub endpoint: Endpoint,
    key: hmac::Key,
}

impl Webhook {
    /// The one that the settings name.
    pub fn new(settings: &config::Push) -> Option<Webhook> {
        let endpoint = Endpoint::parse(settings.webhook.as_deref()?)?;
        Some(Webhook { endpoint, key: hmac::Key::new(hmac::HMAC_SHA256, settings.webhook_secret.reveal().as_bytes()) })
    }

    /// The headers and the body of a notice.
    pub fn request(&self, to: &Account, notice: &Notice, unread: u64, now: Time) -> Option<(HeaderMap, Vec<u8>)> {
        let body = serde_json::json!({
            "user": to.primary(),
            "addresses": to.addresses,
            "to": notice.to,
            "from": notice.from,
            "name": notice.name,
            "subject": notice.subject,
            "text": notice.text,
            "date": notice.date.to_rfc3339(),
            "expires": notice.expires_at.to_rfc3339(),
            "size": notice.size,
            "conversation": notice.conversation,
            "message_id": notice.message_id,
            "unread": unread,
        });
        let body = serde_json::to_vec(&body).ok()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(SIGNATURE, HeaderValue::from_str(&self.signature(&body, now)).ok()?);
        Some((headers, body))
    }

    fn signature(&self, body: &[u8], now: Time) -> String {
        let time = now.seconds().to_string();
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(time.as_bytes());
        signing.update(b".");
        signing.update(body);
        format!("t={time},v1={}", wasm_core::entropy::hex(signing.sign().as_ref()))
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
