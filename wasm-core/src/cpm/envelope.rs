//! A stand-alone message as the layers that carry it.

pub use crate::wire::imdn::Wants;
