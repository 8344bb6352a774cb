//! The admin listener: `/metrics` for Prometheus, `/health` (the process lives, and warnings) and `/ready` (it can serve). Meant to be private.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::Gateway;

/// Begins to count. None when counting began before in this process, as in tests.
pub fn start_metrics() -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().ok()?;
    metrics::gauge!("tandem_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}

/// Serves until the process ends.
pub async fn listen(gateway: Arc<Gateway>, listener: TcpListener, metrics: Option<PrometheusHandle>) {
    if let Some(metrics) = metrics.clone() {
        // Histograms gather samples until somebody looks.
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(10));
            loop {
                interval.tick().await;
                metrics.run_upkeep();
            }
        });
    }
    let router = Router::new()
        .route(
            "/metrics",
            get(|| async move {
                let text = metrics.map(|metrics| metrics.render()).unwrap_or_default();
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            }),
        )
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(gateway);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

/// The process lives; and what is not safe about its settings.
async fn health(State(gateway): State<Arc<Gateway>>) -> String {
    gateway.warnings.iter().fold("ok\n".to_owned(), |text, words| text + "warning: " + words + "\n")
}

/// Ready is who takes new work and can read its store.
async fn ready(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    if *gateway.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match gateway.read(|store| store.accounts_version()).await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready: the store cannot be read");
            (StatusCode::SERVICE_UNAVAILABLE, "store\n")
        }
    }
}
