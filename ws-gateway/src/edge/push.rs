//! Notices out of band: Web Push to browsers that are closed (RFC 8030), a web hook to phones (R218, R219, R224, R351).
//!
//! ```text
//! node: Notify ──► bounded channel ──► queue: a line per target ──► encrypt, sign, POST ──► 2xx
//!                                        ▲  rest, as long as asked for │  404, 410: the subscription goes
//!                                        └──── 429, 5xx, no answer ────┘
//! ```
//!
//! A notice is a courtesy: the message itself waits in the store, so nothing here is kept over a restart, and nobody waits for it. What a
//! push service carries is encrypted for the browser; what is logged and counted says nothing of whom or what.

pub mod api;
pub mod base64;
mod client;
mod encryption;
pub mod endpoint;
mod queue;
pub mod subscriptions;
mod vapid;
mod webhook;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;

use super::start::StartError;
use super::{Gateway, stopped};
use crate::config::Settings;
use crate::node::{Directory as _, Notice, Outlet};
use crate::store::{Store, StoreError, Unit, UserId, Write};
use client::{Answer, Client, Failure, Reach};
use encryption::Keys;
use queue::{Job, Outcome, Queue, Target};
use subscriptions::{Subscription, Subscriptions, dropping};
use vapid::Vapid;
use webhook::Webhook;

/// Notices that may wait to be put into the queue.
const CHANNEL: usize = 4096;
/// Requests under way at a time.
const WIDTH: usize = 32;
/// The longest time that push services keep a message, in seconds.
const LONGEST_TTL: u64 = 28 * 24 * 3600;

/// What sends notices, as the rest of the gateway sees it.
#[derive(Debug)]
pub struct Push {
    pub subscriptions: Subscriptions,
    vapid: Vapid,
    client: Client,
    webhook: Option<Webhook>,
    reach: Reach,
    notices: mpsc::Sender<(Target, Arc<Notice>)>,
}

/// What is on its way to [`run`].
pub type Notices = mpsc::Receiver<(Target, Arc<Notice>)>;

impl Push {
    /// Reads what was kept, and opens nothing.
    pub fn open(settings: &Settings, store: &dyn Store) -> Result<(Push, Notices), StartError> {
        let failed = |source| StartError::Store { path: settings.data_dir.clone(), source };
        let (notices, arriving) = mpsc::channel(CHANNEL);
        let webhook = Webhook::new(&settings.push);
        let push = Push {
            subscriptions: Subscriptions::load(store, webhook.is_some()).map_err(failed)?,
            vapid: Vapid::load(store, contact(settings)).map_err(failed)?,
            client: Client::new(settings.push.certificates.as_deref())?,
            webhook,
            reach: if settings.push.private_endpoints { Reach::Anywhere } else { Reach::Public },
            notices,
        };
        Ok((push, arriving))
    }

    /// The key that browsers subscribe for.
    pub fn public_key(&self) -> String {
        self.vapid.public()
    }

    /// Sends a notice as soon as that can be, or drops it when too many wait.
    pub fn notify(&self, user: UserId, outlet: Outlet, notice: Arc<Notice>) {
        if let Err(error) = self.notices.try_send(((user, outlet), notice)) {
            let ((_, outlet), _) = error.into_inner();
            count(&outlet, "dropped", 1);
        }
    }
}

/// Whom push services may write to about us.
fn contact(settings: &Settings) -> String {
    let public = settings.public_url.clone().filter(|url| url.starts_with("https://"));
    let domain = settings.domains.first().map_or(crate::config::DEFAULT_DOMAIN, String::as_str);
    settings.push.contact.clone().or(public).unwrap_or_else(|| format!("mailto:postmaster@{domain}"))
}

/// Writes subscriptions, and then knows them.
async fn write(gateway: &Gateway, writes: Vec<Write>) -> Result<(), StoreError> {
    let (sender, receiver) = oneshot::channel();
    let subscriptions = gateway.push.subscriptions.clone();
    gateway.writer.submit(Unit(writes.clone()), move |result| {
        // In the order of the store, and also when whoever asked has gone.
        if result.is_ok() {
            subscriptions.written(&writes);
        }
        let _ = sender.send(result);
    });
    let applied = receiver.await.unwrap_or(Err(StoreError::Closed))?;
    for (user, cursor) in applied.cursors {
        gateway.events.publish(user, cursor);
    }
    Ok(())
}

/// A device is signed out: it is told of nothing more.
pub async fn forget(gateway: &Gateway, user: UserId, device: &InstanceId) -> Result<(), StoreError> {
    if gateway.push.subscriptions.get(user, device).is_some() {
        write(gateway, vec![dropping(user, device)]).await?;
    }
    Ok(())
}

/// Sends what comes until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, mut notices: Notices) {
    let mut queue = Queue::default();
    let mut under_way: JoinSet<(Target, Job, Outcome)> = JoinSet::new();
    let mut stopping = gateway.stopping.subscribe();
    loop {
        while under_way.len() < WIDTH
            && let Some((target, job)) = queue.next(gateway.clock.now())
        {
            under_way.spawn(attempt(Arc::clone(&gateway), target, job));
        }
        let rest = queue.next_timeout().filter(|_| under_way.len() < WIDTH).map(|until| gateway.clock.instant(until));
        tokio::select! {
            arrived = notices.recv() => {
                let Some((target, notice)) = arrived else { return };
                let outlet = target.1.clone();
                count(&outlet, "dropped", queue.put(target, notice));
            }
            Some(Ok((target, job, outcome))) = under_way.join_next() => {
                let outlet = target.1.clone();
                count(&outlet, "dropped", queue.done(gateway.clock.now(), target, job, outcome));
            }
            () = async { tokio::time::sleep_until(rest.unwrap_or_else(std::time::Instant::now).into()).await }, if rest.is_some() => {}
            () = stopped(&mut stopping) => return,
        }
    }
}

fn count(outlet: &Outlet, result: &'static str, number: usize) {
    let to = match outlet {
        Outlet::Browser(_) => "browser",
        Outlet::Phones => "phones",
    };
    if number > 0 {
        metrics::counter!("tandem_push_total", "to" => to, "result" => result).increment(number as u64);
    }
}

/// Sends one notice to one target.
async fn attempt(gateway: Arc<Gateway>, target: Target, job: Job) -> (Target, Job, Outcome) {
    let (user, outlet) = &target;
    let outcome = match outlet {
        Outlet::Browser(device) => to_browser(&gateway, *user, device, &job.notice).await,
        Outlet::Phones => to_phones(&gateway, *user, &job.notice).await,
    };
    let outcome = outcome.unwrap_or_else(|error| {
        tracing::error!(%error, "the store failed a notice");
        Outcome::Later(None)
    });
    (target, job, outcome)
}

async fn to_browser(gateway: &Arc<Gateway>, user: UserId, device: &InstanceId, notice: &Notice) -> Result<Outcome, StoreError> {
    let push = &gateway.push;
    let Some(subscription) = push.subscriptions.get(user, device) else { return Ok(Outcome::Gone) };
    let now = gateway.clock.now();
    let (sessions, unread) = gateway.read(move |store| Ok((store.sessions(user)?, store.unread(user)?))).await?;
    // Signed out elsewhere, or for too long: the browser may be somebody else's by now.
    let alive = sessions.iter().any(|session| session.instance == *device && session.expires_at > now);
    let (true, Ok((keys, endpoint))) = (alive, subscription.read()) else {
        forget(gateway, user, device).await?;
        return Ok(Outcome::Gone);
    };
    let domain = gateway.accounts.user(user).map(|account| account.domain().to_owned()).unwrap_or_default();
    let shown = serde_json::to_vec(&Shown::of(notice, &subscription, unread, &domain)).unwrap_or_default();
    let request = keys.seal(&shown).ok().zip(push.headers(&keys, notice, &endpoint.origin(), now));
    let Some((body, headers)) = request else {
        count(&Outlet::Browser(device.clone()), "failed", 1);
        return Ok(Outcome::Done);
    };
    let answer = push.client.post(&endpoint, push.reach, headers, body, now).await;
    let outcome = judge(&Outlet::Browser(device.clone()), answer);
    // Unless the browser has subscribed anew meanwhile.
    if outcome == Outcome::Gone && push.subscriptions.get(user, device).is_some_and(|known| known == subscription) {
        forget(gateway, user, device).await?;
    }
    Ok(outcome)
}

async fn to_phones(gateway: &Arc<Gateway>, user: UserId, notice: &Notice) -> Result<Outcome, StoreError> {
    let Some((webhook, account)) = gateway.push.webhook.as_ref().zip(gateway.accounts.user(user)) else { return Ok(Outcome::Gone) };
    let unread = gateway.read(move |store| store.unread(user)).await?;
    let now = gateway.clock.now();
    let Some((headers, body)) = webhook.request(&account, notice, unread, now) else { return Ok(Outcome::Done) };
    let answer = gateway.push.client.post(&webhook.endpoint, Reach::Anywhere, headers, body, now).await;
    // The operator's address is no subscription that could end.
    Ok(match judge(&Outlet::Phones, answer) {
        Outcome::Gone => Outcome::Done,
        outcome @ (Outcome::Done | Outcome::Later(_)) => outcome,
    })
}

/// What an answer means for the notice and its target.
fn judge(outlet: &Outlet, answer: Result<Answer, Failure>) -> Outcome {
    let (result, outcome) = match answer {
        Ok(Answer { status, .. }) if status.is_success() => ("sent", Outcome::Done),
        Ok(Answer { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }) => ("gone", Outcome::Gone),
        Ok(Answer { status, retry_after }) => {
            tracing::debug!(%status, "a notice was not taken");
            let later = status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            ("failed", if later { Outcome::Later(retry_after) } else { Outcome::Done })
        }
        Err(Failure::NotPublic) => ("failed", Outcome::Done),
        Err(error @ (Failure::Late | Failure::Io(_) | Failure::Http(_))) => {
            tracing::debug!(%error, "a notice was not sent");
            ("failed", Outcome::Later(None))
        }
    };
    count(outlet, result, 1);
    outcome
}

impl Push {
    /// The headers of a push message [RFC8030 §5].
    fn headers(&self, keys: &Keys, notice: &Notice, origin: &str, now: Time) -> Option<HeaderMap> {
        let ttl = notice.expires_at.since(now).as_secs().min(LONGEST_TTL);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&self.vapid.authorization(origin, now)?).ok()?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        headers.insert("ttl", HeaderValue::from(ttl));
        headers.insert("urgency", HeaderValue::from_static("high"));
        // Of the messages of a conversation that wait for the browser, the push service keeps the newest; it cannot tell which one that is.
        let topic = Sha256::new().chain_update(keys.secret).chain_update(notice.from.as_str());
        headers.insert("topic", HeaderValue::from_str(&base64::encode(&topic.finalize()[..24])).ok()?);
        Some(headers)
    }
}

/// What the service worker shows.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    title: &'a str,
    body: &'a str,
    /// The conversation.
    with: &'a Address,
    date: u64,
    unread: u64,
}

impl<'a> Shown<'a> {
    fn of(notice: &'a Notice, subscription: &'a Subscription, unread: u64, domain: &str) -> Shown<'a> {
        let address = notice.from.as_str();
        let short = address.split_once(':').map_or(address, |(_, rest)| rest);
        let short = short.strip_suffix(domain).and_then(|short| short.strip_suffix('@')).unwrap_or(short);
        Shown {
            title: notice.name.as_deref().unwrap_or(short),
            body: notice.text.as_deref().filter(|text| subscription.text && !text.is_empty()).unwrap_or(&subscription.words),
            with: &notice.from,
            date: notice.date.0,
            unread,
        }
    }
}
