//! Sending on: what a proxy does to each request and response that passes [RFC3261 §16.6, §16.7], and the hops it sends them to.

use std::net::SocketAddr;
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};
use wasm_core::sip::transaction::{ClientId, ServerId};
use wasm_core::wire::sip::{HeaderName, MaxForwards, Method, RecordRoute, Request, Response, Route, SipUri, Status, To, TypedHeader, Via};
use wasm_core::{Entropy, Text, Time};

use super::location::Binding;
use super::proxy::Context;
use super::refusal::Refusal;
use super::registrar;
use super::routing::{Destination, Router};
use super::{Core, Owner};
use crate::node::{Directory, Hop, Transport};

/// Where a branch goes.
pub(crate) struct Target {
    pub(crate) hop: Hop,
    /// The new Request-URI, where the old one named a user.
    pub(crate) uri: Option<wasm_core::wire::sip::Uri>,
    /// Routes to put before the request's own: a Path.
    pub(crate) path: Vec<Text>,
}

impl Target {
    pub(crate) fn hop(hop: Hop) -> Self {
        Target { hop, uri: None, path: Vec::new() }
    }

    pub(crate) fn binding(binding: &Binding) -> Self {
        Target { hop: binding.hop.clone(), uri: Some(binding.uri.clone()), path: binding.path.clone() }
    }
}

impl Core {
    /// Sends a request to all of these targets and lets a fork wait for the best answer.
    pub(super) fn fork(&mut self, now: Time, id: ServerId, from: &Hop, request: Request, targets: Vec<Target>) {
        if self.forks.len() >= self.config.limits.forks {
            return self.refuse(now, id, &request, Refusal::later(Status::SERVICE_UNAVAILABLE, 10));
        }
        if request.method == Method::Invite {
            self.layer.respond(now, id, Response::to(&request, Status::TRYING));
        }
        let branches: Vec<(Hop, Request)> =
            targets.into_iter().map(|target| (target.hop.clone(), self.outbound(&request, from, target))).collect();
        let mut context = Context::new(request);
        let mut unreachable = Vec::new();
        for (hop, request) in branches {
            match self.transmit(now, hop, request, Owner::Fork(id)) {
                Some(branch) => context.branch(branch),
                None => unreachable.push(()),
            }
        }
        if context.branches().next().is_none() {
            let refusal = Refusal::new(if unreachable.is_empty() { Status::TEMPORARILY_UNAVAILABLE } else { Status::FLOW_FAILED });
            return self.refuse(now, id, context.request(), refusal);
        }
        self.forks.insert(id, context);
    }

    /// The request as it goes out on one branch.
    fn outbound(&self, request: &Request, from: &Hop, target: Target) -> Request {
        let mut request = request.clone();
        if let Some(uri) = target.uri {
            request.uri = uri;
        }
        one_hop_less(&mut request);
        // Who asked to stay unnamed is named to other servers, which are asked the same, but to no device [RFC3325 §7].
        if !self.is_peer(&target.hop) && registrar::has_token(&request, &HeaderName::Privacy, "id") {
            request.headers.remove(&HeaderName::PAssertedIdentity);
        }
        // Credentials for this node are nobody else's business.
        request.headers.remove(&HeaderName::ProxyAuthorization);
        for path in target.path.iter().rev() {
            request.headers.push_front(HeaderName::Route, path.clone());
        }
        if records(&request) {
            request.headers.put_front(&self.record_route(from));
            request.headers.put_front(&self.record_route(&target.hop));
        }
        request
    }

    /// The Record-Route entry that leads back over a hop.
    fn record_route(&self, hop: &Hop) -> RecordRoute {
        let token = self.tokens.seal(hop);
        let transport = self.transport(hop).unwrap_or(Transport::Udp);
        let mut uri = SipUri::new(&token, &self.config.host);
        uri.port = self.config.port(transport);
        if transport != Transport::Udp {
            uri = uri.with_param("transport", transport.param());
        }
        RecordRoute::new(uri.with_flag("lr"))
    }

    /// Starts a client transaction; `None` when the hop is a connection that is no more.
    pub(super) fn transmit(&mut self, now: Time, hop: Hop, mut request: Request, owner: Owner) -> Option<ClientId> {
        let transport = self.transport(&hop)?;
        request.headers.put_front(&self.via(transport, Some(&request)));
        let id = self.layer.request(now, hop, transport.reliable(), request);
        self.owners.insert(id, owner);
        self.flush();
        Some(id)
    }

    /// An ACK of a 2xx follows the dialog's route, outside of transactions.
    pub(super) fn acknowledge(&mut self, directory: &dyn Directory, mut request: Request) {
        let router = Router { tokens: &self.tokens, gruus: &self.gruus, directory, config: &self.config };
        let hop = match router.route(&mut request) {
            ControlFlow::Continue(Destination::Route(hop)) => hop,
            ControlFlow::Continue(Destination::Peer(peer)) => self.peer_hop(peer),
            ControlFlow::Continue(Destination::User { account, device, .. }) => {
                match self.location.of(account.user).iter().find(|binding| device.is(binding)) {
                    Some(binding) => {
                        request.uri = binding.uri.clone();
                        binding.hop.clone()
                    }
                    None => return,
                }
            }
            ControlFlow::Continue(Destination::Node | Destination::Deferred) | ControlFlow::Break(_) => return,
        };
        one_hop_less(&mut request);
        self.confirm(hop, request);
    }

    /// Sends the ACK of a 2xx, outside of transactions.
    pub(crate) fn confirm(&mut self, hop: Hop, mut request: Request) {
        let Some(transport) = self.transport(&hop) else { return };
        let mut via = self.via(transport, None);
        via.set_branch(&format!("{}{}", Via::COOKIE, self.entropy.hex::<8>()));
        request.headers.put_front(&via);
        self.layer.send(hop, request.to_bytes());
    }

    /// What a hop speaks; nothing when it is a connection that is no more.
    pub(crate) fn transport(&self, hop: &Hop) -> Option<Transport> {
        match hop {
            Hop::Flow(flow) => self.flows.get(*flow).map(|flow| flow.transport),
            Hop::Udp(_) => Some(Transport::Udp),
            Hop::Dial { transport, .. } => Some(*transport),
        }
    }

    /// The address at a hop's other end, where it is known.
    pub(crate) fn remote(&self, hop: &Hop) -> Option<std::net::IpAddr> {
        match hop {
            Hop::Flow(flow) => self.flows.get(*flow).map(|flow| flow.remote.ip()),
            Hop::Udp(addr) | Hop::Dial { addr, .. } => Some(addr.ip()),
        }
    }

    fn is_peer(&self, hop: &Hop) -> bool {
        (0..self.config.peers.len()).any(|peer| self.peer_hop(peer) == *hop)
    }

    /// The hop to a peer.
    pub(super) fn peer_hop(&self, peer: usize) -> Hop {
        let peer = &self.config.peers[peer];
        match peer.transport {
            Transport::Udp => Hop::Udp(peer.addr),
            transport => Hop::Dial { transport, addr: peer.addr },
        }
    }

    /// A Via of this node, whose branch ends with what tells a loop from a spiral [RFC3261 §16.6 step 8].
    fn via(&self, transport: Transport, request: Option<&Request>) -> Via {
        let mut via = Via::new(transport.via(), self.config.via_host(), self.config.port(transport));
        if transport == Transport::Udp {
            via.params.set_flag("rport");
        }
        if let Some(request) = request {
            via.set_branch(&fingerprint(request));
        }
        via
    }

    /// Whether this node has seen the request before, with the same target [RFC3261 §16.3 step 4].
    pub(super) fn looped(&self, request: &Request) -> bool {
        let vias = request.headers.all(&HeaderName::Via).count();
        if vias < 2 {
            return false;
        }
        let Ok(vias) = request.headers.list::<Via>() else { return false };
        let mark = fingerprint(request);
        let own = self.config.via_host();
        vias.iter().any(|via| via.host == own && via.branch().is_some_and(|branch| branch.ends_with(mark.as_str())))
    }
}

/// What a request must not have in common with itself when it comes by again: its target and its route. Max-Forwards and Via differ
/// each time; From tag, Call-ID and CSeq keep it apart from other requests to the same target.
fn fingerprint(request: &Request) -> String {
    let mut hash = Sha256::new();
    hash.update(request.uri.to_string().as_bytes());
    for name in [HeaderName::Route, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
        for value in request.headers.all(&name) {
            hash.update(value.as_bytes());
        }
    }
    wasm_core::entropy::hex(&hash.finalize()[..4])
}

/// Whether the request may begin a dialog, whose further requests should come by here.
fn records(request: &Request) -> bool {
    matches!(request.method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
}

fn one_hop_less(request: &mut Request) {
    let hops = request.headers.read::<MaxForwards>().map_or(70, |hops| hops.0.saturating_sub(1));
    request.headers.put(&MaxForwards(hops));
}

/// Takes this node's Via off a response.
pub(super) fn pop_via(response: &mut Response) {
    let _ = response.headers.take_first::<Via>();
}

/// Gives the To of a response a tag, where it has none and needs one.
pub(super) fn tag(response: &mut Response, entropy: &mut Entropy) {
    if response.status == Status::TRYING {
        return;
    }
    if let Some(mut to) = response.headers.read::<To>()
        && to.tag().is_none()
    {
        to.set_tag(&entropy.hex::<6>());
        response.headers.set(To::NAME, to.to_string());
    }
}

/// Notes in the top Via where a request came from, and says where its responses go [RFC3261 §18.2] [RFC3581 §4].
pub(super) fn mark_source(request: &mut Request, hop: Hop) -> Hop {
    let Hop::Udp(source) = hop else { return hop };
    let Some(mut via) = request.headers.read::<Via>() else { return hop };
    let symmetric = via.params.has("rport");
    if via.host.ip() == Some(source.ip()) && !symmetric && via.port.unwrap_or(5060) == source.port() {
        return hop;
    }
    via.params.set("received", &source.ip().to_string());
    let reply = if symmetric {
        via.params.set("rport", &source.port().to_string());
        source
    } else {
        SocketAddr::new(source.ip(), via.port.unwrap_or(5060))
    };
    request.headers.replace_first(&via);
    Hop::Udp(reply)
}

/// Routes that a request is sent with.
pub(super) fn put_routes(request: &mut Request, routes: &[Text]) {
    for route in routes {
        request.headers.push(Route::NAME, route.clone());
    }
}
