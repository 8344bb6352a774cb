//! The sections of the settings, a component each.

pub mod devices;
pub mod notifications;
