//! The service's own words, used by both ends: who (addresses, devices), what (identifiers, receipts) and what was kept (history).

pub mod address;
pub mod deferred;
pub mod device;
pub mod envelope;
pub mod feature;
pub mod history;
pub mod ids;
pub mod ladder;
pub mod preferences;
pub mod probe;
pub mod receipt;
