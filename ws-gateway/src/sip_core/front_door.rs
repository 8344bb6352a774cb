//! The front door: may this request come in, and who sends it?
//!
//! Every request that starts something passes three steps, each of which can stop it: [`sane`] (what any element checks first),
//! [`identify`] (who is it) and [`own_identity`] (is that who it says it is). A request from a peer is believed by its address; one on a
//! connection where its user has signed in is believed; everything else answers a digest challenge. Nobody learns here whether a
//! user exists: an unknown name and a wrong password get the same answer at the same cost.

use std::ops::ControlFlow;
use std::sync::Arc;

use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::sip::digest::{Verdict, Verifier};
use wasm_core::wire::sip::{
    Authorization, From as FromHeader, HeaderName, Headers, Method, PAssertedIdentity, PPreferredIdentity, Request, Status, To, TypedHeader,
};

use super::agents::{self, Offer};
use super::flows::Flows;
use super::refusal::Refusal;
use crate::node::{Directory, Hop, NodeConfig};
use crate::store::Account;

/// Who sends a request, as far as this node vouches for it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A user of this node, under this address of theirs.
    User { account: Arc<Account>, identity: Address },
    /// A trusted domain, in the name of this user of it.
    Peer { peer: usize, identity: Option<Address> },
    /// A party of a dialog that was set up through here, known by the route token in its request.
    Dialog,
}

/// What every element checks before anything else [RFC3261 §16.3].
pub(crate) fn sane(request: &Request) -> ControlFlow<Refusal> {
    let hops = request.headers.get(&HeaderName::MaxForwards);
    match hops.map(|value| value.trim().parse::<u32>()) {
        None => {}
        Some(Ok(0)) => return Refusal::new(Status::TOO_MANY_HOPS).stop(),
        Some(Ok(hops)) if hops <= 255 => {}
        Some(_) => return Refusal::because(Status::BAD_REQUEST, "Bad Max-Forwards").stop(),
    }
    if let Some(required) = request.headers.get(&HeaderName::ProxyRequire) {
        return Refusal::new(Status::BAD_EXTENSION).with(HeaderName::Unsupported, required.clone()).stop();
    }
    ControlFlow::Continue(())
}

/// The parts of the core that know who is who.
pub(crate) struct Door<'a> {
    pub(crate) flows: &'a mut Flows,
    pub(crate) verifier: &'a mut Verifier,
    pub(crate) directory: &'a dyn Directory,
    pub(crate) config: &'a NodeConfig,
}

impl Door<'_> {
    /// Who sends this request; for REGISTER, who registers.
    pub(crate) fn identify(&mut self, now: Time, hop: &Hop, request: &Request) -> ControlFlow<Refusal, Source> {
        if let Some(peer) = self.peer(hop) {
            return self.vouched(peer, request);
        }
        let Some(claimed) = claimed(request) else {
            return Refusal::because(Status::BAD_REQUEST, "Bad From").stop();
        };
        let account =
            match claimed.as_ref().and_then(|address| self.directory.account(address)).filter(|account| self.signed_in(hop, account)) {
                Some(account) => account,
                None => self.challenge(now, hop, request)?,
            };
        own_identity(request, account, claimed)
    }

    /// The peer that a request comes from.
    pub(crate) fn peer(&self, hop: &Hop) -> Option<usize> {
        let remote = match hop {
            Hop::Udp(addr) | Hop::Dial { addr, .. } => *addr,
            Hop::Flow(flow) => self.flows.get(*flow)?.remote,
        };
        self.config.peers.iter().position(|peer| {
            // What comes over a connection that the peer opened comes from any port.
            let same_port = matches!(hop, Hop::Flow(_)) && peer.transport.reliable() || peer.addr.port() == remote.port();
            peer.addr.ip() == remote.ip() && (peer.any_port || same_port)
        })
    }

    /// A trusted domain says who its user is; it cannot speak for ours.
    fn vouched(&self, peer: usize, request: &Request) -> ControlFlow<Refusal, Source> {
        let (asserted, from) = (asserted(&request.headers), from_address(request));
        let foreign = |address: &Address| match address.domain() {
            Some(domain) => !self.config.serves(domain),
            None => self.directory.account(address).is_none(),
        };
        if [&asserted, &from].into_iter().flatten().any(|address| !foreign(address)) {
            return Refusal::because(Status::FORBIDDEN, "Not Your User").stop();
        }
        ControlFlow::Continue(Source::Peer { peer, identity: asserted.or(from) })
    }

    fn signed_in(&self, hop: &Hop, account: &Account) -> bool {
        match hop {
            Hop::Flow(flow) => self.flows.get(*flow).is_some_and(|flow| flow.is(account.user)),
            Hop::Udp(_) | Hop::Dial { .. } => false,
        }
    }

    /// The account whose secret the request proves to know; else the challenge.
    fn challenge(&mut self, now: Time, hop: &Hop, request: &Request) -> ControlFlow<Refusal, Arc<Account>> {
        let registers = request.method == Method::Register;
        let (status, asks) = if registers {
            (Status::UNAUTHORIZED, HeaderName::WwwAuthenticate)
        } else {
            (Status::PROXY_AUTHENTICATION_REQUIRED, HeaderName::ProxyAuthenticate)
        };
        let given = if registers { HeaderName::Authorization } else { HeaderName::ProxyAuthorization };
        let realm = self.verifier.realm();
        let credentials = request.headers.all(&given).filter_map(|line| Authorization::parse(line).ok()).find(|credentials| {
            credentials.0.is_digest() && credentials.0.text("realm").is_some_and(|text| text.eq_ignore_ascii_case(realm))
        });
        let mut stale = false;
        if let Some(credentials) = credentials {
            let username = credentials.0.text("username").unwrap_or_default();
            let account = account_named(self.directory, &username, realm);
            let secret = account.as_ref().and_then(|account| account.ha1(&username, realm));
            match self.verifier.verify(now, &credentials.0, request, secret) {
                Verdict::Valid => {
                    if let Some(account) = account {
                        if let Hop::Flow(flow) = hop {
                            self.flows.proved(*flow, account.user, self.config.limits.users_per_flow);
                        }
                        return ControlFlow::Continue(account);
                    }
                }
                Verdict::Stale => stale = true,
                Verdict::Invalid => {}
            }
        }
        let mut refusal = Refusal::new(status);
        let mut challenges = self.verifier.challenges(now, stale).to_vec();
        match agents::offer(request) {
            Offer::Both => {}
            Offer::WeakestFirst => challenges.reverse(),
            Offer::WeakestAlone => drop(challenges.remove(0)),
        }
        for challenge in challenges {
            refusal = refusal.with(asks.clone(), challenge.to_string());
        }
        refusal.stop()
    }
}

/// The account that a digest user name means: the user part of an address in the realm, or a whole address.
pub(crate) fn account_named(directory: &dyn Directory, username: &str, realm: &str) -> Option<Arc<Account>> {
    let address = if username.contains(':') {
        Address::parse(username)
    } else if let Some((user, host)) = username.split_once('@') {
        Address::from_parts(user, host)
    } else {
        Address::from_parts(username, realm)
    };
    address.and_then(|address| directory.account(&address))
}

/// The address in whose name the request comes: the To of a REGISTER, else the From. The inner `None` is a From that names no user,
/// which is anonymous and not wrong [RFC3323 §4.1].
fn claimed(request: &Request) -> Option<Option<Address>> {
    if request.method == Method::Register {
        return Some(Some(Address::from_uri(&request.headers.typed::<To>()?.ok()?.uri)?));
    }
    Some(Address::from_uri(&request.headers.typed::<FromHeader>()?.ok()?.uri))
}

/// The address of the From header.
pub(crate) fn from_address(request: &Request) -> Option<Address> {
    Address::from_uri(&request.headers.typed::<FromHeader>()?.ok()?.uri)
}

/// The first identity that a trusted sender asserts.
fn asserted(headers: &Headers) -> Option<Address> {
    Address::from_uri(&headers.typed::<PAssertedIdentity>()?.ok()?.uri)
}

/// The address that the core asserts for a user (R017): the preferred one, else that of the From, each only if it is theirs.
fn own_identity(request: &Request, account: Arc<Account>, claimed: Option<Address>) -> ControlFlow<Refusal, Source> {
    let anonymous = claimed.as_ref().is_none_or(|address| address.domain() == Some("anonymous.invalid"));
    let own = claimed.filter(|address| account.owns(address));
    if own.is_none() && (!anonymous || request.method == Method::Register) {
        return Refusal::because(Status::FORBIDDEN, "Not Your Address").stop();
    }
    let preferred = request
        .headers
        .typed::<PPreferredIdentity>()
        .and_then(Result::ok)
        .and_then(|preferred| Address::from_uri(&preferred.uri))
        .filter(|address| account.owns(address));
    let identity = preferred.or(own).unwrap_or_else(|| account.primary().clone());
    ControlFlow::Continue(Source::User { account, identity })
}

/// Puts what the core vouches for in the place of what the sender said of itself [RFC3325 §5] (R016, R017).
pub(crate) fn assert_identity(headers: &mut Headers, source: &Source) {
    match source {
        // Trusted, and so is what it passes on.
        Source::Peer { .. } => {
            headers.remove(&HeaderName::PPreferredIdentity);
            headers.remove(&HeaderName::PPreferredService);
        }
        Source::User { identity, .. } => {
            headers.remove(&HeaderName::PPreferredIdentity);
            headers.remove(&HeaderName::PAssertedIdentity);
            headers.remove(&HeaderName::PAssertedService);
            headers.push(HeaderName::PAssertedIdentity, wasm_core::Text::from(format!("<{identity}>")));
        }
        Source::Dialog => {
            headers.remove(&HeaderName::PPreferredIdentity);
            headers.remove(&HeaderName::PAssertedIdentity);
            headers.remove(&HeaderName::PAssertedService);
        }
    }
}
