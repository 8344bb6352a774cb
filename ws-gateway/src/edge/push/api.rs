//! `/api/push`: how the browser that asks is told of messages while it is closed. Each device has at most one subscription, its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::subscriptions::{Subscription, dropping};
use crate::edge::Gateway;
use crate::edge::http::ApiError;
use crate::edge::session::Signed;

/// What a browser needs to know.
#[derive(Debug, Serialize)]
pub struct Offer {
    /// The public key that it subscribes for.
    key: String,
    /// Whether this device has a subscription here.
    subscribed: bool,
}

/// What a browser says. What it leaves out stays as it is: the service worker subscribes anew on its own, and knows only the keys.
#[derive(Debug, Deserialize)]
pub struct Wish {
    endpoint: String,
    p256dh: String,
    auth: String,
    text: Option<bool>,
    words: Option<String>,
}

/// `GET /api/push`
pub async fn show(State(gateway): State<Arc<Gateway>>, signed: Signed) -> Json<Offer> {
    let subscribed = gateway.push.subscriptions.get(signed.account.user, &signed.session.instance).is_some();
    Json(Offer { key: gateway.push.public_key(), subscribed })
}

/// `PUT /api/push`
pub async fn put(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    body: Result<Json<Wish>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(wish) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let (user, device) = (signed.account.user, signed.session.instance);
    let known = gateway.push.subscriptions.get(user, &device);
    let subscription = Subscription {
        endpoint: wish.endpoint,
        p256dh: wish.p256dh,
        auth: wish.auth,
        text: wish.text.or(known.as_ref().map(|known| known.text)).unwrap_or(true),
        words: wish.words.or(known.as_ref().map(|known| known.words.clone())).unwrap_or_default(),
    };
    let (_, endpoint) = subscription.read().map_err(ApiError::bad_request)?;
    if endpoint.is_private() && !gateway.settings.push.private_endpoints {
        return Err(ApiError::bad_request("The endpoint has to be on the public Internet."));
    }
    if known.is_none_or(|known| *known != subscription) {
        let writes = gateway.push.subscriptions.putting(user, &device, &subscription);
        super::write(&gateway, writes).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/push`
pub async fn remove(State(gateway): State<Arc<Gateway>>, signed: Signed) -> Result<StatusCode, ApiError> {
    super::write(&gateway, vec![dropping(signed.account.user, &signed.session.instance)]).await?;
    Ok(StatusCode::NO_CONTENT)
}
