//! Everything of the gateway that touches the world, except the store: sockets, HTTP, the clock, signals.

pub mod assets;
pub mod limits;
pub mod link;
pub mod tls;
pub mod websocket;
