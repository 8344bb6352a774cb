//! Digest authentication as SIP uses it [RFC3261 §22] [RFC8760], both ends, SHA-256 before MD5.
//!
//! [`Verifier`] challenges and judges; [`Authenticator`] answers. Only `qop=auth` is offered: `auth-int` covers no header, and breaks
//! wherever a proxy may change a body. Secrets are [`Ha1`]: what is stored in place of a password.

mod client;
mod hash;
mod nonce;
mod verifier;

pub use self::client::{Authenticator, Secret, Unanswerable};
pub use self::hash::{Algorithm, Count, Ha1, response};
pub use self::verifier::{Verdict, Verifier};
