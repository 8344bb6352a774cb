//! Signing in and out over HTTP: a password against a cookie, whose token only the browser knows in full.
//!
//! An unknown user and a wrong password cost the same and get the same answer; failed attempts are limited for each address and for
//! each account. The cookie is out of reach of scripts and is sent by pages of this site alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use tokio::sync::oneshot;
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::Origin;
use wasm_core::cpm::history::{People, Person, Session, SignIn};

use super::http::{ApiError, Peer, secure};
use super::limits::{Addresses, Bucket, Use};
use super::{Gateway, devices, linking, seed};
use crate::accounts;
use crate::devices::Newcomer;
use crate::node::Directory as _;
use crate::store::{Account, Applied, StoreError, StoredSession, TokenHash, Unit, Write};

/// The cookie that holds the token.
const COOKIE: &str = "tandem_session";
/// How long a session lasts without signing in again.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// So many accounts' failures are remembered.
const MOST_ACCOUNTS: usize = 10_000;

/// Failed sign-ins for each account that somebody tried.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<Address, Bucket>>);

impl Failures {
    /// Whether another attempt may be made.
    pub fn check(&self, address: &Address, addresses: &Addresses, now: Instant) -> Result<(), Duration> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get_mut(address).map_or(Ok(()), |bucket| bucket.wait(now, addresses.rate(Use::FailedLogin)))
    }

    /// Counts an attempt that failed.
    pub fn count(&self, address: Address, addresses: &Addresses, now: Instant) {
        let rate = addresses.rate(Use::FailedLogin);
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_ACCOUNTS {
            failures.retain(|_, bucket| !bucket.is_full(now, rate));
            if failures.len() >= MOST_ACCOUNTS {
                failures.clear();
            }
        }
        // Beyond the burst nothing is taken: the attempt was let through together with the last token.
        let _ = failures.entry(address).or_insert_with(|| Bucket::new(now, rate)).take(now, rate);
    }
}

/// Who a request comes from, by its cookie.
#[derive(Clone, Debug)]
pub struct Signed {
    pub account: Arc<Account>,
    pub session: StoredSession,
}

impl FromRequestParts<Arc<Gateway>> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Signed, ApiError> {
        Signed::by_cookie(&parts.headers, gateway).await?.ok_or_else(ApiError::unauthorized)
    }
}

impl Signed {
    /// Who is signed in with the cookie of these headers, if anybody.
    pub async fn by_cookie(headers: &HeaderMap, gateway: &Arc<Gateway>) -> Result<Option<Signed>, StoreError> {
        let Some(token) = token(headers).map(TokenHash::of) else { return Ok(None) };
        let session = gateway.read(move |store| store.session(&token)).await?;
        let session = session.filter(|session| session.expires_at > gateway.clock.now());
        let Some((account, session)) = session.and_then(|session| Some((gateway.accounts.user(session.user)?, session))) else {
            return Ok(None);
        };
        let mut signed = Signed { account, session };
        signed.appear(gateway).await?;
        Ok(Some(signed))
    }

    /// The device has shown itself; where it is not known, its session is older than the list of devices.
    async fn appear(&mut self, gateway: &Arc<Gateway>) -> Result<(), StoreError> {
        let StoredSession { token, user, instance, .. } = self.session.clone();
        gateway.devices.seen(gateway.clock.now(), user, &instance);
        if gateway.devices.get(user, &instance).is_none() {
            let _planning = gateway.planning.lock().await;
            let alive = gateway.read(move |store| store.session(&token)).await?.is_some();
            let (name, platform) = (self.session.device_name.clone(), Text::default());
            let newcomer = Newcomer { instance: instance.clone(), name, platform, origin: Origin::Password };
            if let (true, Ok(plan)) = (alive, gateway.devices.enrol(self.session.created_at, user, newcomer, false)) {
                devices::carry_out(gateway, user, plan, None).await?;
            }
        }
        if let Some(device) = gateway.devices.get(user, &instance) {
            self.session.device_name = device.name.clone();
        }
        Ok(())
    }

    fn describe(&self) -> Session {
        Session {
            address: self.account.primary().clone(),
            addresses: self.account.addresses.clone(),
            name: self.account.display_name.clone(),
            domain: Text::from(self.account.domain()),
            instance: self.session.instance.clone(),
            device_name: self.session.device_name.clone(),
        }
    }
}

/// The token of the session cookie.
fn token(headers: &HeaderMap) -> Option<&str> {
    cookie_value(headers, COOKIE)
}

/// The value of a cookie.
pub fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn cookie(gateway: &Gateway, peer: &Peer, token: &str, age: Duration) -> [(header::HeaderName, String); 1] {
    let secure = if secure(gateway, peer) { "; Secure" } else { "" };
    [(header::SET_COOKIE, format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", age.as_secs()))]
}

/// Has a unit written, and waits until it is durable.
pub async fn write(gateway: &Gateway, unit: Unit) -> Result<Applied, StoreError> {
    let (sender, receiver) = oneshot::channel();
    gateway.writer.submit(unit, move |result| {
        // Whoever asked may have gone; it is written all the same.
        let _ = sender.send(result);
    });
    receiver.await.unwrap_or(Err(StoreError::Closed))
}

/// `POST /api/session`: signs in.
pub async fn open(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(sign_in) = body.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let now = Instant::now();
    let ip = peer.remote.ip();
    let domain = gateway.settings.domains.first().map_or("", String::as_str);
    let address = Address::complete(&sign_in.address, domain);
    let limited = gateway.addresses.check(ip, Use::FailedLogin, now).err();
    let limited = limited.max(address.as_ref().and_then(|address| gateway.failures.check(address, &gateway.addresses, now).err()));
    if let Some(wait) = limited {
        metrics::counter!("tandem_sign_ins_total", "result" => "limited").increment(1);
        return Err(ApiError::too_many(wait));
    }
    let account = address.as_ref().and_then(|address| gateway.accounts.account(address));
    let authenticated = accounts::authenticates(account.as_deref(), &sign_in.password);
    let Some(account) = account.filter(|_| authenticated) else {
        let _ = gateway.addresses.take(ip, Use::FailedLogin, now);
        if let Some(address) = address {
            gateway.failures.count(address, &gateway.addresses, now);
        }
        metrics::counter!("tandem_sign_ins_total", "result" => "refused").increment(1);
        tracing::info!(remote = %ip, "sign-in refused");
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong-credentials", "The address or the password is wrong."));
    };
    let SignIn { instance, device_name: name, replace, .. } = sign_in;
    let newcomer = Newcomer { instance, name, platform: linking::platform(&headers), origin: Origin::Password };
    let user = account.user;
    let signed = admit(&gateway, &peer, account, newcomer, replace).await?;
    metrics::counter!("tandem_sign_ins_total", "result" => "accepted").increment(1);
    tracing::info!(remote = %ip, user = user.0, "signed in");
    Ok(signed)
}

/// Makes a device one of its user's and opens its session: the answer with the cookie.
pub async fn admit(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    account: Arc<Account>,
    newcomer: Newcomer,
    replace: bool,
) -> Result<Response, ApiError> {
    let seed = seed().map_err(|error| StoreError::Internal(error.to_string()))?;
    let token = wasm_core::entropy::hex(&seed);
    let (created_at, instance, user) = (gateway.clock.now(), newcomer.instance.clone(), account.user);
    let _planning = gateway.planning.lock().await;
    let plan = gateway.devices.enrol(created_at, user, newcomer, replace)?;
    let device_name = plan.name().cloned().unwrap_or_default();
    let expires_at = created_at + LIFETIME;
    let session = StoredSession { token: TokenHash::of(&token), user, instance, device_name, created_at, expires_at };
    devices::carry_out(gateway, user, plan, Some(Write::OpenSession(session.clone()))).await?;
    let described = Signed { account, session }.describe();
    Ok((AppendHeaders(cookie(gateway, peer, &token, LIFETIME)), Json(described)).into_response())
}

/// `GET /api/session`: who is signed in.
pub async fn show(signed: Signed) -> Json<Session> {
    Json(signed.describe())
}

/// `DELETE /api/session`: signs out. There is no error in not having been signed in.
pub async fn close(
    State(gateway): State<Arc<Gateway>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    if let Some(token) = token(&headers).map(TokenHash::of) {
        let _planning = gateway.planning.lock().await;
        let session = gateway.read(move |store| store.session(&token)).await?;
        let plan = session.and_then(|session| Some((session.user, gateway.devices.dismiss(session.user, &session.instance).ok()?)));
        match plan {
            Some((user, plan)) => devices::carry_out(&gateway, user, plan, Some(Write::CloseSession { token })).await?,
            None => drop(write(&gateway, Write::CloseSession { token }.into()).await?),
        }
    }
    Ok((StatusCode::NO_CONTENT, AppendHeaders(cookie(&gateway, &peer, "", Duration::ZERO))))
}

/// What `/api/people` is asked.
#[derive(Debug, serde::Deserialize)]
pub struct PeopleQuery {
    #[serde(default)]
    q: String,
}

/// `GET /api/people?q=`: others of the same domain.
pub async fn people(State(gateway): State<Arc<Gateway>>, signed: Signed, Query(query): Query<PeopleQuery>) -> Json<People> {
    let found = gateway.accounts.people(signed.account.domain(), signed.account.user, &query.q, 50);
    let people = found.iter().map(|account| Person { address: account.primary().clone(), name: account.display_name.clone() }).collect();
    Json(People { people })
}
