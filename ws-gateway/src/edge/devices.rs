//! The list of a user's devices over HTTP, and what the node sees of them.
//!
//! A list is its owner's alone; somebody else's device is not there.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use wasm_core::Text;
use wasm_core::cpm::device::{Change, Devices};
use wasm_core::cpm::ids::InstanceId;

use super::driver::Arrival;
use super::http::ApiError;
use super::session::{Signed, write};
use super::{Gateway, push};
use crate::devices::{Plan, Trouble};
use crate::node::{Directory as _, Sighting};
use crate::store::{StoreError, Unit, UserId, Write};

impl From<Trouble> for ApiError {
    fn from(trouble: Trouble) -> ApiError {
        match trouble {
            Trouble::Unknown => ApiError::not_found(),
            Trouble::Full => ApiError::new(
                StatusCode::CONFLICT,
                "too-many-devices",
                "There are as many devices as there may be: sign one of them out first.",
            ),
            Trouble::NotPrimary => ApiError::new(StatusCode::FORBIDDEN, "not-primary", "This device cannot be the Primary Device."),
            Trouble::BadName => ApiError::bad_request("A device needs a name."),
        }
    }
}

/// Makes a plan durable, together with what belongs to it, and true: devices that it signs out lose what they have. Whoever planned it
/// holds [`Gateway::planning`].
pub async fn carry_out(gateway: &Gateway, user: UserId, plan: Plan, more: Option<Write>) -> Result<(), StoreError> {
    let signed_out: Vec<InstanceId> = plan.signed_out().cloned().collect();
    let unit = Unit(plan.writes().into_iter().chain(more).collect());
    let applied = write(gateway, unit).await?;
    gateway.devices.done(plan);
    for instance in signed_out {
        tracing::info!(user = user.0, %instance, "signed a device out");
        gateway.deliver(Arrival::SignedOut { user, instance: instance.clone() }).await;
        push::forget(gateway, user, &instance).await?;
    }
    // Its own event sockets hear of it too, and find that they are not let in any more.
    for (user, cursor) in applied.cursors {
        gateway.events.publish(user, cursor);
    }
    Ok(())
}

fn instance(text: &str) -> Result<InstanceId, ApiError> {
    InstanceId::parse(&Text::from(text)).ok_or_else(ApiError::not_found)
}

/// `GET /api/devices`
pub async fn list(State(gateway): State<Arc<Gateway>>, signed: Signed) -> Json<Devices> {
    let devices = gateway.devices.list(signed.account.user, &signed.session.instance);
    Json(Devices { devices, most: gateway.devices.policy().secondaries })
}

/// `PATCH /api/devices/{instance}`: another name, another role, let in again.
pub async fn change(
    State(gateway): State<Arc<Gateway>>,
    signed: Signed,
    Path(name): Path<String>,
    body: Result<Json<Change>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(change) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let (user, instance) = (signed.account.user, instance(&name)?);
    let _planning = gateway.planning.lock().await;
    let plan = gateway.devices.change(user, &instance, &change)?;
    carry_out(&gateway, user, plan, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/devices/{instance}`: signs it out, wherever it is.
pub async fn dismiss(State(gateway): State<Arc<Gateway>>, signed: Signed, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    let (user, instance) = (signed.account.user, instance(&name)?);
    let _planning = gateway.planning.lock().await;
    let plan = gateway.devices.dismiss(user, &instance)?;
    carry_out(&gateway, user, plan, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The node has seen a device.
pub fn sighted(gateway: &Arc<Gateway>, sighting: Sighting) {
    if let Some(write) = gateway.devices.sighted(gateway.clock.now(), sighting) {
        submit(gateway, write.into());
    }
}

/// Writes down when devices were last seen, as far as it is due or the gateway stops.
pub fn remember(gateway: &Arc<Gateway>, all: bool) {
    for unit in gateway.devices.overdue(gateway.clock.now(), all, |user| gateway.accounts.user(user).is_some()) {
        submit(gateway, unit);
    }
}

fn submit(gateway: &Arc<Gateway>, unit: Unit) {
    let told = Arc::clone(gateway);
    gateway.writer.submit(unit, move |result| match result {
        Ok(applied) => applied.cursors.into_iter().for_each(|(user, cursor)| told.events.publish(user, cursor)),
        Err(error) => tracing::error!(%error, "a device cannot be written down"),
    });
}
