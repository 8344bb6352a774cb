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
use std::sync::Arc;

use wasm_core::wire::sip::{Request, Status};
use wasm_core::{Entropy, Time};

use crate::sip_core::refusal::Refusal;
use crate::sip_core::{Core, Effect, Service};
use crate::store::Unit;

pub use config::{NodeConfig, NodeLimits, Peer, Policy, Ports};
pub use io::{Closing, Directory, FlowId, Function, Hop, Input, Loaded, Output, Query, Step, Ticket, Transport};

/// The gateway without its edges.
#[derive(Debug)]
pub struct Node<D> {
    directory: D,
    core: Core,
    outputs: VecDeque<Output>,
    tickets: u64,
}

impl<D: Directory> Node<D> {
    /// A node that nobody has spoken to yet.
    pub fn new(config: NodeConfig, directory: D, mut entropy: Entropy) -> Self {
        let config = Arc::new(config);
        Node { directory, core: Core::new(config, pager, entropy.fork()), outputs: VecDeque::new(), tickets: 0 }
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        let core = &mut self.core;
        match input {
            Input::Opened { flow, transport, remote, user } => core.opened(flow, transport, remote, user),
            Input::Closed { flow } => core.closed(now, &self.directory, flow),
            Input::Received { hop, transport, message } => core.received(now, &self.directory, hop, transport, message),
            Input::Failed { hop } => core.failed(now, &self.directory, &hop),
            Input::Stored { .. } | Input::Loaded { .. } => {}
            Input::Restored { bindings, waiting: _ } => core.restored(now, bindings),
            Input::AccountsChanged => core.accounts_changed(now, &self.directory),
            Input::Drain => core.drain(),
            Input::Timeout => core.timeout(now, &self.directory),
        }
        self.settle(now);
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is to be handed in at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        self.core.next_timeout()
    }

    /// Whether nothing is under way: a drained node may stop now.
    pub fn idle(&self) -> bool {
        self.core.idle()
    }

    /// The accounts.
    pub fn directory(&self) -> &D {
        &self.directory
    }

    /// Lets the core and the service behind it talk until neither has anything to say.
    fn settle(&mut self, now: Time) {
        loop {
            while let Some(effect) = self.core.poll() {
                match effect {
                    Effect::Send { hop, message } => self.outputs.push_back(Output::Send { hop, message }),
                    Effect::Write(unit) => self.write(unit),
                    Effect::Close { flow, why } => self.outputs.push_back(Output::Close { flow, why }),
                    Effect::Step(step) => self.outputs.push_back(Output::Step(step)),
                    Effect::Service(Service::Request { id, request, .. }) => {
                        self.core.refuse(now, id, &request, Refusal::later(Status::SERVICE_UNAVAILABLE, 60));
                    }
                    Effect::Service(Service::Registered { user }) => self.core.watch(user),
                    Effect::Service(_) => {}
                }
            }
            if !self.core.pump(now, &self.directory) {
                return;
            }
        }
    }

    fn write(&mut self, unit: Unit) {
        self.tickets += 1;
        self.outputs.push_back(Output::Commit { ticket: Ticket(self.tickets), unit });
    }
}

/// What triggers the Participating Function: stand-alone messages.
fn pager(request: &Request) -> bool {
    request.method == wasm_core::wire::sip::Method::Message
}
