//! The Tandem server as a library: the pure node and what drives it, for the binary, its tests and its benchmarks.
//!
//! `node`, `sip_core` and `participating` are pure; `devices` knows everybody's devices; `store` keeps; `edge` owns sockets, HTTP and the clock.

pub mod accounts;
pub mod config;
pub mod devices;
pub mod edge;
pub mod msrp;
pub mod node;
mod participating;
mod sip_core;
pub mod store;
