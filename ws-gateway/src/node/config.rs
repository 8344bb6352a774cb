//! What the operator decides about the node, and the few names it needs of the world: read once at start.
//!
//! Nothing here opens anything. Whoever owns the sockets resolves names and passes addresses.

use std::net::SocketAddr;

use wasm_core::Text;
use wasm_core::wire::sip::Host;

use super::{Policy, Transport};
use crate::msrp::Places;

/// Everything the node is told at start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The domains whose users live here, the first being the one that the node itself is named after.
    pub domains: Vec<Text>,
    /// The host that Via, Record-Route and Contact name: what a peer can resolve, or an address.
    pub host: Text,
    /// Further names and addresses under which this node is reached, as a client may write them into a Route.
    pub aliases: Vec<Text>,
    /// The ports of the listeners that are open to others.
    pub ports: Ports,
    /// Where devices find this gateway's MSRP.
    pub msrp: Places,
    /// The other domains that this one exchanges requests with.
    pub peers: Vec<Peer>,
    /// Keys the nonces, the GRUUs and the route tokens. The same over restarts, or phones must authenticate and register anew.
    pub secret: [u8; 32],
    /// Where the node stops being generous.
    pub limits: NodeLimits,
    /// What the provider wants.
    pub policy: Policy,
    /// Whether the steps between the SIP/IP core and the Participating Function are told as [`super::Output::Step`].
    pub steps: bool,
}

impl NodeConfig {
    /// A node for one domain, everything else as it is by default.
    pub fn new(domain: &str, host: &str, secret: [u8; 32]) -> Self {
        NodeConfig {
            domains: vec![Text::from(domain)],
            host: Text::from(host),
            aliases: Vec::new(),
            ports: Ports::default(),
            msrp: Places::at(host),
            peers: Vec::new(),
            secret,
            limits: NodeLimits::default(),
            policy: Policy::default(),
            steps: false,
        }
    }
}

impl NodeConfig {
    /// The domain that the node is named after.
    pub fn domain(&self) -> &Text {
        self.domains.first().unwrap_or(&self.host)
    }

    /// The host as a Via names it.
    pub(crate) fn via_host(&self) -> Host {
        Host::parse(&self.host).unwrap_or_else(|| Host::from("localhost"))
    }

    /// The port that a listener for this transport is reached at, where SIP has one of its own.
    pub(crate) fn port(&self, transport: Transport) -> Option<u16> {
        match transport {
            Transport::Udp | Transport::Tcp => Some(self.ports.sip),
            Transport::Tls => Some(self.ports.sips),
            Transport::Ws | Transport::Wss => None,
        }
    }

    /// Whether the users of this domain live here.
    pub fn serves(&self, domain: &str) -> bool {
        self.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    }
}

/// The ports that requests to this node may name.
#[derive(Clone, Debug)]
pub struct Ports {
    /// SIP over UDP and TCP.
    pub sip: u16,
    /// SIP over TLS.
    pub sips: u16,
    /// Further ports under which the node is reached: HTTP's, for SIP over WebSocket.
    pub others: Vec<u16>,
}

impl Default for Ports {
    fn default() -> Self {
        Ports { sip: 5060, sips: 5061, others: vec![8080] }
    }
}

/// A domain that is trusted to say who its users are, known by the address that it sends from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The domain.
    pub domain: Text,
    /// How to reach it.
    pub transport: Transport,
    /// Where to reach it.
    pub addr: SocketAddr,
    /// Whether the address alone decides (a host of its own), or the port counts as well (several servers on one host).
    pub any_port: bool,
}

/// Bounds on what one party can make the node hold.
#[derive(Clone, Debug)]
pub struct NodeLimits {
    /// Bindings of one user; a device more is refused.
    pub bindings_per_user: usize,
    /// Users that one connection may authenticate as before each request has to prove itself.
    pub users_per_flow: usize,
    /// Messages waiting in memory for one device; beyond it they are read from the store again.
    pub lane: usize,
    /// Requests with several branches under way in the whole node.
    pub forks: usize,
    /// Messages between arrival and answer in the whole node.
    pub messages: usize,
    /// Bytes of a pager message's body.
    pub body: usize,
    /// Reg event subscriptions of one user.
    pub subscriptions_per_user: usize,
    /// SIP transactions in the whole node.
    pub transactions: usize,
}

impl Default for NodeLimits {
    fn default() -> Self {
        NodeLimits {
            bindings_per_user: 16,
            users_per_flow: 16,
            lane: 256,
            forks: 100_000,
            messages: 100_000,
            body: 64 * 1024,
            subscriptions_per_user: 16,
            transactions: 400_000,
        }
    }
}
