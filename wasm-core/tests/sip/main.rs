//! The SIP codec seen from outside: torture messages, properties, and another implementation to compare with.

mod differential;
mod properties;
mod torture;
