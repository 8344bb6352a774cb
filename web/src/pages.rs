//! The two pages: before and after signing in.

pub mod messenger;
pub mod sign_in;
