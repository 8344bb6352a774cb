//! What pages and components are made of: plain pieces without any knowledge of messages.

pub mod avatar;
pub mod button;
pub mod dialog;
pub mod icon;
pub mod spinner;
pub mod switch;
