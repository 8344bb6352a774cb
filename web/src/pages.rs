//! The pages: before and after signing in.

pub mod link;
pub mod messenger;
pub mod sign_in;
