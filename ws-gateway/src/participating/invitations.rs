//! Invitations, as far as they pass here on their way: whether one may be sent, and which of its recipient's devices it is not for
//! (R075, R077, R244, R261, R273).
//!
//! The service lists the devices to leave out in Reject-Contact, and the core forks to all others (R078), cancels them when one has
//! answered, and tells them why. What is negotiated in the session is nobody's business here yet.

use std::ops::ControlFlow;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::feature;
use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::sip::{RejectContact, Request};

use super::{Hand, policy};
use crate::node::{Function, Hop, NodeConfig};
use crate::sip_core::front_door::Source;
use crate::sip_core::routing::Destination;

/// An invitation has come.
pub(super) fn invited(
    config: &NodeConfig,
    hand: &mut Hand<'_>,
    id: ServerId,
    from: &Hop,
    source: &Source,
    destination: &Destination,
    mut request: Request,
) {
    hand.core.step(Function::Core, Function::Participating, || "INVITE".into());
    let (writer, caller) = match source {
        Source::User { account, identity } => (Some(&**account), Some(identity)),
        Source::Peer { identity, .. } => (None, identity.as_ref()),
        Source::Dialog => (None, None),
    };
    let (address, recipient) = match destination {
        Destination::User { account, address, .. } => (Some(address.clone()), Some(account)),
        Destination::Peer(_) | Destination::Node | Destination::Deferred | Destination::Route(_) => (Address::from_uri(&request.uri), None),
    };
    if let Some(address) = address
        && let ControlFlow::Break(refusal) =
            policy::permitted(&config.policy, writer, (&address, recipient.map(|account| &**account)), None)
    {
        hand.core.step(Function::Participating, Function::Core, || refusal.status.0.to_string());
        return hand.core.refuse(hand.now, id, &request, refusal);
    }
    if let Some(account) = recipient {
        let chosen = policy::chosen(hand.directory, account.user);
        let devices = hand.core.location().of(account.user);
        let caller = caller.map(|from| chosen.as_ref().map_or_else(|| from.clone(), |chosen| policy::known_as(chosen, writer, from)));
        for instance in policy::uninvited(hand.now, chosen.as_deref(), devices, caller.as_ref(), &request) {
            let mut reject = RejectContact::default();
            reject.0.set_quoted(feature::SIP_INSTANCE, &format!("<{instance}>"));
            request.headers.put(&reject);
        }
    }
    hand.core.step(Function::Participating, Function::Core, || "INVITE".into());
    hand.core.proceed(hand.now, id, from, source, destination, request);
}
