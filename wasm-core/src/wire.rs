//! Bytes to values and back: every format that Tandem speaks, without state.

pub mod cpim;
pub mod imdn;
pub mod iscomposing;
pub mod json;
pub mod mime;
pub mod msrp;
pub mod sdp;
pub mod sip;
pub mod text;
pub mod xml;
