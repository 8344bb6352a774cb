//! Messages that wait for their recipient's decision, as values.
//!
//! A message is held or pending, never both. While it is held no device gets it and it lies in nobody's box but its sender's.

use wasm_core::cpm::address::Address;
use wasm_core::{Text, Time};

use super::{Pending, PendingId};

/// A message that is to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The request, as it waits once it is released.
    pub pending: Pending,
    /// What the recipient is told of it.
    pub about: About,
}

/// What a list says of a message that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The sender.
    pub from: Address,
    /// What the sender says it is about.
    pub subject: Option<Text>,
    /// When it was sent.
    pub date: Time,
    /// The bytes of its content.
    pub size: u64,
    /// The type of its content, or those of its parts.
    pub content_types: Vec<Text>,
    /// When the user is to be told of it again.
    pub remind_at: Option<Time>,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldItem {
    /// Its place in the queue.
    pub id: PendingId,
    /// Until when it waits.
    pub expires_at: Time,
    /// What it is.
    pub about: About,
}

/// The oldest that a user has to decide on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldPage {
    /// These, in the order in which they came.
    pub items: Vec<HeldItem>,
    /// How many there are in all.
    pub total: u64,
}
