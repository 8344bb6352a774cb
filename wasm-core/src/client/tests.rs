//! The engine alone against scripted peers under virtual time.

mod history;
mod link;
mod messages;
mod model;
mod probe;
mod stage;
mod tabs;
