//! Digest authentication as SIP uses it [RFC3261 §22] [RFC8760], both ends, SHA-256 before MD5.

mod hash;
mod nonce;

pub use self::hash::{Algorithm, Count, Ha1, response};
