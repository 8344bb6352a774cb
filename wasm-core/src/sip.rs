//! SIP machines: what happens in which order and when, on typed values, without clock or socket.

pub mod dialog;
pub mod digest;
pub mod flow;
#[cfg(test)]
mod pair;
pub mod registration;
pub mod subscription;
pub mod transaction;
