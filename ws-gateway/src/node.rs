//! The pure heart of the gateway: SIP in, SIP out, with the store asked by values. No socket, no clock, no thread.
//!
//! ```text
//! Input ──► Node ──► SIP/IP core (sip_core): transactions, front door, registrar, routing, proxy, reg event
//!             │            ▲ │ Service: a MESSAGE, an answer, a registration
//!             │            │ ▼
//!             │       Participating Function (participating): originating, terminating, lanes to devices, notifications
//!             ▼
//!           Output: Send, Commit, Load, Changed, Notify, Msrp, Close
//! ```
//!
//! Whoever drives it hands in one [`Input`] at a time, takes [`Node::poll`] until it is empty, and comes back at
//! [`Node::next_timeout`]. A request becomes an answer only after what it changed is durable: the answer waits for its
//! [`Output::Commit`].

mod config;
mod io;
mod policy;

use std::collections::VecDeque;
use std::sync::Arc;

use wasm_core::{Entropy, Time};

use crate::participating::{self, Hand, Participating};
use crate::sip_core::{self, Core};

pub use config::{NodeConfig, NodeLimits, Peer, Ports};
pub use io::{
    Admission, Closing, Directory, End, FlowId, Function, Hop, Input, Loaded, MsrpCommand, MsrpEnding, MsrpEvent, Notice, Outlet, Output,
    Query, Rung, Seen, Sent, SessionId, Sighting, Step, Ticket, Transport,
};
pub use policy::Policy;

/// The gateway without its edges.
#[derive(Debug)]
pub struct Node<D> {
    directory: D,
    core: Core,
    participating: Participating,
    outputs: VecDeque<Output>,
}

impl<D: Directory> Node<D> {
    /// The ticket of what nobody waits for.
    const NOBODY: Ticket = Ticket(0);

    /// A node that nobody has spoken to yet.
    pub fn new(config: NodeConfig, directory: D, mut entropy: Entropy) -> Self {
        let config = Arc::new(config);
        Node {
            directory,
            core: Core::new(config.clone(), Participating::triggers, entropy.fork()),
            participating: Participating::new(config, entropy.fork()),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        let Node { directory, core, participating, .. } = self;
        let directory: &dyn Directory = directory;
        match input {
            Input::Opened { flow, transport, remote, user } => core.opened(flow, transport, remote, user),
            Input::Closed { flow } => core.closed(now, directory, flow),
            Input::Received { hop, transport, message } => core.received(now, directory, hop, transport, message),
            Input::Failed { hop } => core.failed(now, directory, &hop),
            Input::Stored { ticket, result } if ticket.is_core() => core.stored(now, directory, ticket, result),
            Input::Stored { ticket, result } => participating.stored(&mut Hand { now, core, directory }, ticket, result),
            Input::Loaded { ticket, result } => participating.loaded(&mut Hand { now, core, directory }, ticket, result),
            Input::Restored { bindings, waiting } => {
                participating.restored(now, waiting);
                core.restored(now, bindings);
            }
            Input::AccountsChanged { renewed } => core.accounts_changed(now, directory, &renewed),
            Input::SignedOut { user, instance } => core.signed_out(now, directory, user, &instance),
            Input::Tell { user, text } => participating.announce(&mut Hand { now, core, directory }, user, text),
            Input::Msrp(event) => participating.msrp(&mut Hand { now, core, directory }, event),
            Input::Compose { user, to, message_id, content } => {
                participating.compose(&mut Hand { now, core, directory }, user, to, message_id, *content);
            }
            Input::Drain => core.drain(),
            Input::Timeout => {
                core.timeout(now, directory);
                participating.timeout(&mut Hand { now, core, directory });
            }
        }
        self.settle(now);
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is to be handed in at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        self.core.next_timeout().into_iter().chain(self.participating.next_timeout()).min()
    }

    /// Whether nothing is under way: a drained node may stop now.
    pub fn idle(&self) -> bool {
        self.core.idle() && self.participating.idle()
    }

    /// How many bindings there are, for those who watch the node.
    pub fn bindings(&self) -> usize {
        self.core.location().len()
    }

    /// Whether somebody has proved to be at the other end of a connection.
    pub fn signed_in(&self, flow: FlowId) -> bool {
        self.core.signed_in(flow)
    }

    /// The accounts.
    pub fn directory(&self) -> &D {
        &self.directory
    }

    /// Lets the core and the service behind it talk until neither has anything to say. What the core sent before it told the
    /// service of something goes out first, so that the ladder reads as it happened.
    fn settle(&mut self, now: Time) {
        loop {
            while let Some(effect) = self.core.poll() {
                match effect {
                    sip_core::Effect::Send { hop, message } => self.outputs.push_back(Output::Send { hop, message }),
                    sip_core::Effect::Commit { ticket, unit } => self.outputs.push_back(Output::Commit { ticket, unit }),
                    sip_core::Effect::Write(unit) => self.outputs.push_back(Output::Commit { ticket: Self::NOBODY, unit }),
                    sip_core::Effect::Close { flow, why } => self.outputs.push_back(Output::Close { flow, why }),
                    sip_core::Effect::Sighted(sighting) => self.outputs.push_back(Output::Sighted(sighting)),
                    sip_core::Effect::Step(step) => self.outputs.push_back(Output::Step(step)),
                    sip_core::Effect::Service(service) => {
                        let hand = &mut Hand { now, core: &mut self.core, directory: &self.directory };
                        self.participating.service(hand, service);
                    }
                }
                // In the order in which it was wanted: the layer's messages come between the steps.
                self.core.pump(now, &self.directory);
            }
            while let Some(effect) = self.participating.poll() {
                self.outputs.push_back(match effect {
                    participating::Effect::Commit { ticket, unit } => Output::Commit { ticket, unit },
                    participating::Effect::Load { ticket, query } => Output::Load { ticket, query },
                    participating::Effect::Changed { user, cursor } => Output::Changed { user, cursor },
                    participating::Effect::Notify { user, outlet, notice } => Output::Notify { user, outlet, notice },
                    participating::Effect::Msrp(command) => Output::Msrp(command),
                    participating::Effect::Trail(rung) => Output::Trail(rung),
                });
            }
            if !self.core.pump(now, &self.directory) {
                return;
            }
        }
    }
}
