//! Where a request goes: by its Route set where it has one, else by its Request-URI.

use std::ops::ControlFlow;
use std::sync::Arc;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::deferred;
use wasm_core::wire::sip::{HeaderName, Host, Method, Request, Route, SipUri, Status, Uri};

use super::gruu::{self, Gruus, Temporary};
use super::refusal::Refusal;
use super::token::Tokens;
use crate::node::{Directory, Hop, NodeConfig};
use crate::store::Account;

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// It is for this node itself.
    Node,
    /// A user of ours, on one device or on all.
    User { account: Arc<Account>, address: Address, device: Device },
    /// The domain of a peer.
    Peer(usize),
    /// The queue of whoever asks: where devices follow and fetch what is deferred.
    Deferred,
    /// Along a dialog's route, as a token of ours says.
    Route(Hop),
}

/// Which of a user's devices.
#[derive(Clone, Debug)]
pub(crate) enum Device {
    /// All of them.
    Any,
    /// The one with this instance: a public GRUU.
    Instance(Text),
    /// The one that a temporary GRUU names.
    Temporary(Temporary),
}

/// What routing looks at.
pub(crate) struct Router<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) gruus: &'a Gruus,
    pub(crate) directory: &'a dyn Directory,
    pub(crate) config: &'a NodeConfig,
}

impl Router<'_> {
    /// Takes this node's own entries off the Route set and says where the rest leads.
    pub(crate) fn route(&self, request: &mut Request) -> ControlFlow<Refusal, Destination> {
        if request.headers.get(&HeaderName::Route).is_none() {
            return self.target(&request.uri, &request.method);
        }
        let Ok(routes) = request.headers.list::<Route>() else {
            return Refusal::because(Status::BAD_REQUEST, "Bad Route").stop();
        };
        let mut token = None;
        let mut own = 0;
        for route in &routes {
            let Some(uri) = route.uri.sip().filter(|uri| self.is_node(uri)) else { break };
            own += 1;
            let Some(user) = &uri.user else { continue };
            match self.tokens.open(user) {
                Some(hop) => token = Some(hop),
                // A route of an earlier run, whose connection is gone [RFC5626 §5.3.1].
                None => return Refusal::new(Status::FLOW_FAILED).stop(),
            }
        }
        if own > 0 {
            request.headers.remove(&HeaderName::Route);
            for route in &routes[own..] {
                request.headers.push(HeaderName::Route, Text::from(route.to_string()));
            }
        }
        if let Some(hop) = token {
            return ControlFlow::Continue(Destination::Route(hop));
        }
        let Some(next) = routes.get(own) else {
            return self.target(&request.uri, &request.method);
        };
        match next.uri.host().and_then(|host| self.peer(host, None)) {
            Some(peer) => ControlFlow::Continue(Destination::Peer(peer)),
            None => Refusal::because(Status::FORBIDDEN, "No Route").stop(),
        }
    }

    /// Where a Request-URI leads.
    pub(crate) fn target(&self, uri: &Uri, method: &Method) -> ControlFlow<Refusal, Destination> {
        let sip = match uri {
            Uri::Sip(sip) => sip,
            Uri::Tel(_) => return self.user(uri, Device::Any),
            Uri::Other(_) => return Refusal::new(Status::UNSUPPORTED_URI_SCHEME).stop(),
        };
        if *method == Method::Register && (self.is_node(sip) || self.config.serves(sip.host.as_str())) {
            return ControlFlow::Continue(Destination::Node);
        }
        let of_queue = sip.user.as_ref().is_some_and(|user| user.eq_ignore_ascii_case(deferred::USER));
        if of_queue && (self.is_node(sip) || self.config.serves(sip.host.as_str())) {
            return ControlFlow::Continue(Destination::Deferred);
        }
        if let Some(temporary) = self.gruus.open(sip).filter(|_| self.config.serves(sip.host.as_str())) {
            return match self.directory.user(temporary.user) {
                Some(account) => {
                    let address = account.primary().clone();
                    ControlFlow::Continue(Destination::User { account, address, device: Device::Temporary(temporary) })
                }
                None => Refusal::new(Status::NOT_FOUND).stop(),
            };
        }
        if self.config.serves(sip.host.as_str()) && sip.user.is_some() {
            let device = gruu::instance(uri).map_or(Device::Any, |instance| Device::Instance(Text::from(instance)));
            return self.user(uri, device);
        }
        if self.is_node(sip) {
            return ControlFlow::Continue(Destination::Node);
        }
        match self.peer(&sip.host, sip.port) {
            Some(peer) => ControlFlow::Continue(Destination::Peer(peer)),
            None => Refusal::because(Status::FORBIDDEN, "Unknown Domain").stop(),
        }
    }

    fn user(&self, uri: &Uri, device: Device) -> ControlFlow<Refusal, Destination> {
        let found = Address::from_uri(uri).and_then(|address| self.directory.account(&address).map(|account| (account, address)));
        match found {
            Some((account, address)) => ControlFlow::Continue(Destination::User { account, address, device }),
            None => Refusal::new(Status::NOT_FOUND).stop(),
        }
    }

    /// Whether a URI names this node rather than a user or somebody else.
    fn is_node(&self, uri: &SipUri) -> bool {
        let host = uri.host.as_str();
        let config = self.config;
        let named = host.eq_ignore_ascii_case(&config.host)
            || config.aliases.iter().any(|alias| host.eq_ignore_ascii_case(alias))
            || config.serves(host);
        let ports = &config.ports;
        named && uri.port.is_none_or(|port| port == ports.sip || port == ports.sips || ports.others.contains(&port))
    }

    fn peer(&self, host: &Host, port: Option<u16>) -> Option<usize> {
        self.config.peers.iter().position(|peer| {
            host.as_str().eq_ignore_ascii_case(&peer.domain)
                || host.ip() == Some(peer.addr.ip()) && port.is_none_or(|port| port == peer.addr.port())
        })
    }
}
