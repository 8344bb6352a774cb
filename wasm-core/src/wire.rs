//! Bytes to values and back: every format that Tandem speaks, without state.

pub mod text;
