//! What is ended and forgotten in time: what was deleted, what is too old, what is too much, and the tombstones of it all.
//!
//! A full box makes room by its oldest messages, those that nobody flagged or filed first: what comes new is always kept, as reports
//! about it need it, and the owner was told at 80 and at 95 %. Everything goes in small units, with a pause between them, beside the
//! messages of the day.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use wasm_core::Time;
use wasm_core::cpm::history::Quota;

use super::publish;
use crate::edge::Gateway;
use crate::edge::session::write;
use crate::store::{Action, Spot, Stale, StoreError, Unit, Usage, UserId, Write};

/// The table `[store]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keeping {
    /// What a box may hold.
    pub objects_per_user: u64,
    pub megabytes_per_user: u64,
    /// How long a message is kept; 0 is for ever.
    pub keep_days: u64,
    /// How long what was deleted can be taken back, and how long devices that were away hear of it.
    pub deleted_days: u64,
    pub tombstone_days: u64,
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping { objects_per_user: 1_000_000, megabytes_per_user: 2048, keep_days: 0, deleted_days: 30, tombstone_days: 180 }
    }
}

impl Keeping {
    fn most(&self) -> Usage {
        Usage { objects: self.objects_per_user, bytes: self.megabytes_per_user << 20 }
    }

    /// How full a box is that holds this.
    pub fn quota(&self, usage: Usage) -> Quota {
        let most = self.most();
        Quota::new(usage.objects, usage.bytes, most.objects, most.bytes)
    }
}

/// How many objects are ended in one unit, and how many contents are looked at.
const BATCH: usize = 200;
const LOOKED_AT: usize = 2_000;
/// The pause between two units, and between two rounds.
const BREATH: Duration = Duration::from_millis(100);
const ROUND: Duration = Duration::from_secs(60);

fn before(now: Time, days: u64) -> Time {
    Time(now.0.saturating_sub(days.saturating_mul(86_400_000)))
}

/// Keeps house until the gateway ends.
pub async fn run(gateway: Arc<Gateway>) {
    let mut looked_at = 0;
    loop {
        if let Err(error) = round(&gateway, &mut looked_at).await {
            tracing::error!(%error, "what is over cannot be ended");
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// One round: `looked_at` is where the search for what is too old goes on.
async fn round(gateway: &Arc<Gateway>, looked_at: &mut i64) -> Result<(), StoreError> {
    let keeping = gateway.settings.store;
    let now = gateway.clock.now();
    loop {
        let deleted = Stale::Deleted(before(now, keeping.deleted_days));
        let found = gateway.read(move |store| store.stale(deleted, BATCH)).await?;
        if !end(gateway, found, |spot| Action::Purge { spot }).await? {
            break;
        }
    }
    loop {
        let gone = Stale::Gone(before(now, keeping.tombstone_days));
        let found = gateway.read(move |store| store.stale(gone, BATCH)).await?;
        if !end(gateway, found, |spot| Action::Forget { spot }).await? {
            break;
        }
    }
    if keeping.keep_days > 0 {
        loop {
            let (oldest, from) = (before(now, keeping.keep_days), *looked_at);
            let (found, next) = gateway.read(move |store| store.aged(oldest, from, LOOKED_AT)).await?;
            *looked_at = next.unwrap_or(0);
            for some in found.chunks(BATCH) {
                end(gateway, some.to_vec(), |spot| Action::Purge { spot }).await?;
            }
            if next.is_none() {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
    }
    let most = keeping.most();
    for user in gateway.read(move |store| store.overfull(most, BATCH)).await? {
        make_room(gateway, user, most).await?;
    }
    Ok(())
}

/// Ends the oldest objects of a box that is too full, as many as are too many.
async fn make_room(gateway: &Arc<Gateway>, user: UserId, most: Usage) -> Result<(), StoreError> {
    loop {
        let usage = gateway.read(move |store| store.usage(user)).await?;
        let excess = usage.objects.saturating_sub(most.objects);
        let excess_bytes = usage.bytes.saturating_sub(most.bytes);
        if excess == 0 && excess_bytes == 0 {
            return Ok(());
        }
        // How many bytes each object has is seen when it is gone: as many as it would take if all were alike.
        let alike = excess_bytes.div_ceil((usage.bytes / usage.objects.max(1)).max(1));
        let some = usize::try_from(excess.max(alike)).unwrap_or(BATCH).clamp(1, BATCH);
        let found = gateway.read(move |store| store.oldest(user, some)).await?;
        if !end(gateway, found.into_iter().map(|spot| (user, spot)).collect(), |spot| Action::Purge { spot }).await? {
            return Ok(());
        }
    }
}

/// Writes what becomes of these objects; says whether there were any.
async fn end(gateway: &Arc<Gateway>, found: Vec<(UserId, Spot)>, action: impl Fn(Spot) -> Action) -> Result<bool, StoreError> {
    if found.is_empty() {
        return Ok(false);
    }
    let at = gateway.clock.now();
    for some in found.chunks(BATCH) {
        let writes = some.iter().map(|&(user, spot)| Write::Arrange { user, at, action: action(spot) }).collect();
        match write(gateway, Unit(writes)).await {
            Ok(applied) => publish(gateway, applied),
            // An account that was removed meanwhile is no reason to stop.
            Err(StoreError::NoSuchUser(_)) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(true)
}
