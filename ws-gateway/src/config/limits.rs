//! How much of the gateway one peer may use.
//!
//! Rates are token buckets: so many per second, with a burst above it. `without_rates` lifts everything but the bounds on sizes
//! and queues, which memory safety under a flood depends on.

use serde::Deserialize;

/// The limits of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections of all kinds at a time.
    pub connections: usize,
    /// Connections at a time from one address.
    pub connections_per_address: usize,
    /// SIP messages per second on one connection, and how many at once.
    pub messages_per_connection: f64,
    pub burst_per_connection: f64,
    /// SIP messages per second from one address, and how many at once.
    pub messages_per_address: f64,
    pub burst_per_address: f64,
    /// HTTP requests per second from one address, and how many at once.
    pub requests_per_address: f64,
    pub request_burst_per_address: f64,
    /// Failed sign-ins per minute from one address and for one account, and how many at once.
    pub failed_logins_per_minute: f64,
    pub failed_login_burst: f64,
    /// Wishes to link a device, and one-time codes asked for, per minute from one address, and how many at once.
    pub link_requests_per_minute: f64,
    pub link_request_burst: f64,
    /// Seconds that a connection may live without anybody having signed in on it.
    pub unauthenticated_seconds: u64,
    /// Bytes that may wait for a peer that reads slowly before it is disconnected.
    pub send_queue_bytes: usize,
    /// Bytes of one SIP message, and of one body of an HTTP request.
    pub message_bytes: usize,
    pub http_body_bytes: usize,
    /// MSRP sessions of all users and of one user at a time.
    pub msrp_sessions: usize,
    pub msrp_sessions_per_user: usize,
    /// Devices of one user at a time.
    pub bindings_per_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 16_000,
            connections_per_address: 1_000,
            messages_per_connection: 50.0,
            burst_per_connection: 500.0,
            messages_per_address: 1_000.0,
            burst_per_address: 5_000.0,
            requests_per_address: 100.0,
            request_burst_per_address: 1_000.0,
            failed_logins_per_minute: 10.0,
            failed_login_burst: 10.0,
            link_requests_per_minute: 10.0,
            link_request_burst: 30.0,
            unauthenticated_seconds: 30,
            send_queue_bytes: 1_048_576,
            message_bytes: 65_536,
            http_body_bytes: 262_144,
            msrp_sessions: 20_000,
            msrp_sessions_per_user: 16,
            bindings_per_user: 16,
        }
    }
}

impl Limits {
    /// The same sizes, but no limit on rates, counts and lifetimes.
    pub fn without_rates(self) -> Limits {
        Limits {
            connections: usize::MAX,
            connections_per_address: usize::MAX,
            messages_per_connection: f64::INFINITY,
            burst_per_connection: f64::INFINITY,
            messages_per_address: f64::INFINITY,
            burst_per_address: f64::INFINITY,
            requests_per_address: f64::INFINITY,
            request_burst_per_address: f64::INFINITY,
            failed_logins_per_minute: f64::INFINITY,
            failed_login_burst: f64::INFINITY,
            link_requests_per_minute: f64::INFINITY,
            link_request_burst: f64::INFINITY,
            unauthenticated_seconds: u64::MAX,
            msrp_sessions: usize::MAX,
            msrp_sessions_per_user: usize::MAX,
            bindings_per_user: usize::MAX,
            ..self
        }
    }
}
