//! The pure heart of the gateway: SIP in, SIP out, with the store asked by values. No socket, no clock, no thread.
//!
//! ```text
//! Input ──► Node ──► SIP/IP core (sip_core): transactions, front door, registrar, routing, proxy, reg event
//!             │            ▲ │ Service: a MESSAGE, an answer, a registration
//!             │            │ ▼
//!             │       Participating Function (participating): originating, terminating, lanes to devices, notifications
//!             ▼
//!           Output: Send, Commit, Load, Changed, Close
//! ```
//!
//! Whoever drives it hands in one [`Input`] at a time, takes [`Node::poll`] until it is empty, and comes back at
//! [`Node::next_timeout`]. A request becomes an answer only after what it changed is durable: the answer waits for its
//! [`Output::Commit`].

mod config;
mod io;

use std::collections::VecDeque;

use wasm_core::{Entropy, Time};

pub use config::{NodeConfig, NodeLimits, Peer, Policy, Ports};
pub use io::{Closing, Directory, FlowId, Function, Hop, Input, Loaded, Output, Query, Step, Ticket, Transport};

/// The gateway without its edges.
#[derive(Debug)]
pub struct Node<D> {
    config: NodeConfig,
    directory: D,
    entropy: Entropy,
    outputs: VecDeque<Output>,
}

impl<D: Directory> Node<D> {
    /// A node that nobody has spoken to yet.
    pub fn new(config: NodeConfig, directory: D, entropy: Entropy) -> Self {
        Node { config, directory, entropy, outputs: VecDeque::new() }
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, _now: Time, _input: Input) {}

    /// What to do next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is to be handed in at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// Whether nothing is under way: a drained node may stop now.
    pub fn idle(&self) -> bool {
        true
    }

    /// The accounts.
    pub fn directory(&self) -> &D {
        &self.directory
    }
}
