//! The browser's engine: everything that one device does for its user, as a pure machine.
//!
//! What happens comes in as an [`Input`], what is to be done comes out as an [`Output`], what is durable is a [`Record`], what a person
//! sees is a [`view::View`]. The shell performs outputs strictly in their order and completes a `Persist` before it starts on the next
//! output: that is what makes an answer mean "kept" and a text survive a reload. A device has one leading engine, which owns the socket,
//! and any number of followers, which only [`Engine::apply`] the leader's records and show them (R348).

mod engine;
mod failure;
mod io;
mod memory;
mod record;
pub mod view;

pub use engine::Engine;
pub use failure::Failure;
pub use io::{Alert, Change, Command, Input, LONGEST_TEXT, Output, Profile, Role, Secret, Socket};
pub use record::{Errand, Folder, Message, Notice, Place, Record, STORES, Settings};
