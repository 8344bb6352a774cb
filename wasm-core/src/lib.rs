//! The protocol core of Tandem, one crate for both ends of the wire.
//!
//! It has no clock, no socket, no browser and no async runtime: time ([`Time`]) and chance ([`Entropy`]) come in as inputs, and what
//! a machine wants done comes out as values. The layers, each importing only those before it:
//! `wire` (bytes to values), `sip` and `msrp` (machines), `cpm` (the service's own words), `client` (the browser's engine).

pub mod client;
pub mod cpm;
pub mod entropy;
pub mod msrp;
pub mod sip;
pub mod time;
pub mod wire;

pub use entropy::Entropy;
pub use time::Time;
pub use wire::text::Text;
