//! Notices out of band.

mod base64;
mod encryption;
mod vapid;
