//! The ladder of a message: the steps that it took, as one of its two users may see them (R347).
//!
//! Each side sees its own devices and what passed between them and the server; of the other side only what came from it.

use serde::{Deserialize, Serialize};

use crate::{Text, Time};

/// All that is known of a message's way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Those who took part; the first is the server.
    pub lanes: Vec<Text>,
    /// The flows that the steps belong to, by their names.
    pub flows: Vec<Text>,
    /// In their order.
    pub steps: Vec<Step>,
}

/// One arrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Time,
    /// From which lane.
    pub from: u32,
    /// To which lane.
    pub to: u32,
    /// What was sent.
    pub what: Text,
    /// In which flow.
    pub flow: u32,
}
