//! Everything of the gateway that touches the world, except the store: sockets, HTTP, the clock, signals.
//!
//! [`serve`] opens the listeners, says that it is ready and runs until a signal comes: then it stops accepting, lets the node finish
//! what is under way, closes the connections and writes what waits. One [`driver`] owns the node; everything else hands it values.

mod admin;
pub mod assets;
pub mod clock;
mod connection;
mod devices;
mod directory;
mod driver;
mod events;
mod history;
mod http;
pub mod limits;
pub mod link;
mod linking;
mod logs;
pub mod msrp;
pub mod push;
mod ready;
mod session;
mod sip;
mod start;
pub mod tls;
pub mod trails;
pub mod websocket;
mod xcap;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use wasm_core::wire::sip::Limits as SipLimits;

use crate::config::Settings;
use crate::devices::Devices;
use crate::node::FlowId;
use crate::store::{Store, StoreError, Writer};

pub use directory::Accounts;
pub use driver::Arrival;
pub use history::housekeeping::Keeping;
pub use logs::start as start_logs;
pub use start::{StartError, serve};

/// What the tasks of a running gateway share.
pub struct Gateway {
    pub settings: Settings,
    pub store: Arc<dyn Store>,
    pub writer: Writer,
    pub accounts: Accounts,
    pub devices: Arc<Devices>,
    /// Held by whoever plans a change of somebody's devices, until it is durable and done.
    pub planning: tokio::sync::Mutex<()>,
    pub links: linking::Requests,
    pub addresses: limits::Addresses,
    pub events: events::Events,
    pub failures: session::Failures,
    pub push: push::Push,
    pub wires: msrp::Wires,
    pub trails: trails::Trails,
    pub digest: xcap::access::Digest,
    pub clock: clock::Clock,
    pub sip_limits: SipLimits,
    /// Becomes true when the gateway is to stop.
    pub stopping: watch::Sender<bool>,
    connector: Option<TlsConnector>,
    /// What the settings ask for but is not safe.
    warnings: Vec<&'static str>,
    arrivals: mpsc::Sender<Arrival>,
    flows: AtomicU64,
}

impl Gateway {
    /// A number that no connection had before.
    fn next_flow(&self) -> FlowId {
        FlowId(self.flows.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands something to the driver, as soon as it can take it. After the end of the driver nothing is of interest.
    async fn deliver(&self, arrival: Arrival) {
        let _ = self.arrivals.send(arrival).await;
    }

    /// Hands something to the driver if it can take it now.
    #[expect(clippy::result_large_err, reason = "it is what was given")]
    fn try_deliver(&self, arrival: Arrival) -> Result<(), Arrival> {
        match self.arrivals.try_send(arrival) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(arrival)) => Err(arrival),
        }
    }

    /// Asks the store something, away from the threads that serve sockets.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        let answer = tokio::task::spawn_blocking(move || question(&*store)).await;
        answer.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// Waits until the gateway is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway; without it there is nothing to go on for either.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Random bytes of the operating system, without which nothing here is safe to start.
fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StartError::NoEntropy(error.to_string()))?;
    Ok(seed)
}
