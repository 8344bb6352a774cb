//! The originating side: whether a message may be sent, and what the service makes of it before it goes on (R041).

use std::ops::ControlFlow;

use bytes::Bytes;
use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::feature;
use wasm_core::wire::cpim::{self, Cpim};
use wasm_core::wire::sip::{ContentType, From, HeaderName, MaxForwards, Request, Status};

use super::policy;
use super::post::{self, Party, Post};
use super::probes;
use crate::node::{Directory, NodeConfig};
use crate::sip_core::front_door::Source;
use crate::sip_core::refusal::Refusal;
use crate::sip_core::routing::Destination;
use crate::store::Account;

/// Reads a message, checks it, and makes it ready to go on.
pub(super) fn admit(
    now: Time,
    config: &NodeConfig,
    directory: &dyn Directory,
    source: &Source,
    destination: Destination,
    mut request: Request,
) -> ControlFlow<Refusal, Post> {
    sized(config, &request)?;
    single(&request)?;
    named(&request)?;
    inflate(config, &mut request)?;
    let mut envelope = match Envelope::unwrap(&request) {
        Ok(envelope) => envelope,
        Err(error) => return Refusal::new(error.status()).stop(),
    };
    let sender = match source {
        Source::User { account, identity } => Party::User { user: account.user, address: identity.clone() },
        Source::Peer { peer, identity: Some(identity) } => Party::Peer { peer: *peer, address: identity.clone() },
        Source::Peer { identity: None, .. } | Source::Dialog => return Refusal::because(Status::FORBIDDEN, "No Sender").stop(),
    };
    honest(&request, source, config, directory)?;
    let account = if let Destination::User { account, .. } = &destination { Some(account.clone()) } else { None };
    let recipient = match destination {
        Destination::User { account, address, .. } => Party::User { user: account.user, address },
        Destination::Peer(peer) => match (&sender, Address::from_uri(&request.uri)) {
            (Party::User { .. }, Some(address)) => Party::Peer { peer, address },
            (Party::User { .. }, None) => return Refusal::new(Status::ADDRESS_INCOMPLETE).stop(),
            (Party::Peer { .. }, _) => return Refusal::because(Status::FORBIDDEN, "No Transit").stop(),
        },
        Destination::Node | Destination::Deferred | Destination::Route(_) => return Refusal::new(Status::NOT_FOUND).stop(),
    };
    probes::own(&envelope, &request, &sender, &recipient)?;
    let writer = if let Source::User { account, .. } = source { Some(&**account) } else { None };
    let content = (!envelope.content.is_automatic()).then(|| (envelope.content.size() as u64, envelope.content.content_type()));
    policy::permitted(&config.policy, writer, (recipient.address(), account.as_deref()), content)?;
    let sender = match source {
        Source::User { account, .. } if hides(now, directory, account) && !envelope.content.is_automatic() => {
            conceal(account, &mut envelope, &mut request);
            Party::User { user: account.user, address: account.primary().clone() }
        }
        Source::User { .. } | Source::Peer { .. } | Source::Dialog => sender,
    };
    envelope.from = sender.address().clone();
    envelope.to = recipient.address().clone();
    let message_id = post::complete(now, &config.secret, &mut envelope, &mut request);
    let longest = now + config.policy.message_expiry;
    let asked = envelope.expires.map(|seconds| now + std::time::Duration::from_secs(u64::from(seconds)));
    let hops = request.headers.read::<MaxForwards>().map_or(70, |hops| hops.0.saturating_sub(1));
    post::strip_hop(&mut request.headers);
    request.headers.put(&MaxForwards(hops));
    // The service is asserted by the server, never by the client (R317).
    request.headers.remove(&HeaderName::PPreferredService);
    request.headers.set(HeaderName::PAssertedService, feature::PAGER);
    let expires_at = asked.map_or(longest, |asked| asked.min(longest));
    ControlFlow::Continue(Post::new(sender, recipient, envelope, message_id, expires_at, request))
}

fn sized(config: &NodeConfig, request: &Request) -> ControlFlow<Refusal> {
    if request.body.len() > config.limits.body {
        return Refusal::new(Status::REQUEST_ENTITY_TOO_LARGE).stop();
    }
    ControlFlow::Continue(())
}

/// Whether a sender does not want to be known.
fn hides(now: Time, directory: &dyn Directory, account: &Account) -> bool {
    policy::chosen(directory, account.user).is_some_and(|chosen| chosen.profile(None, now).hide_address)
}

/// Takes out of a message whatever tells of its sender but the one address by which it is answered, which it needs (R318): numbers and
/// further addresses, their name, and what they write with.
fn conceal(account: &Account, envelope: &mut Envelope, request: &mut Request) {
    let tag = request.headers.read::<From>().and_then(|from| from.tag().cloned());
    let mut from = From::new(account.primary().to_uri());
    if let Some(tag) = tag {
        from.set_tag(&tag);
    }
    let headers = &mut request.headers;
    headers.put(&from);
    headers.set(HeaderName::PAssertedIdentity, format!("<{}>", account.primary()));
    for name in [HeaderName::Contact, HeaderName::UserAgent, HeaderName::Organization] {
        headers.remove(&name);
    }
    (envelope.from, envelope.from_name) = (account.primary().clone(), None);
    if headers.read::<ContentType>().is_some_and(|kind| kind.is(cpim::MEDIA_TYPE)) {
        request.body = envelope.to_cpim().encode();
    }
}

/// A list of recipients needs somebody to explode it, which nobody here does.
fn single(request: &Request) -> ControlFlow<Refusal> {
    match request.headers.get(&HeaderName::Require) {
        Some(required) => Refusal::new(Status::BAD_EXTENSION).with(HeaderName::Unsupported, required.clone()).stop(),
        None => ControlFlow::Continue(()),
    }
}

/// A message has a sender in everybody's history: there is no anonymous one, and none that is only said to be so.
fn named(request: &Request) -> ControlFlow<Refusal> {
    let hidden = request.headers.get(&HeaderName::Privacy).is_some_and(|wishes| !wishes.trim().eq_ignore_ascii_case("none"));
    if hidden { Refusal::because(Status::FORBIDDEN, "No Anonymous Messages").stop() } else { ControlFlow::Continue(()) }
}

/// Some clients compress their notifications.
fn inflate(config: &NodeConfig, request: &mut Request) -> ControlFlow<Refusal> {
    let Some(encoding) = request.headers.get(&HeaderName::ContentEncoding) else { return ControlFlow::Continue(()) };
    if !encoding.trim().eq_ignore_ascii_case("deflate") {
        return Refusal::new(Status::UNSUPPORTED_MEDIA_TYPE).with(HeaderName::AcceptEncoding, "deflate").stop();
    }
    let limit = config.limits.body;
    // With a header as RFC 1950 has it, or bare as many make it.
    let plain = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&request.body, limit)
        .or_else(|_| miniz_oxide::inflate::decompress_to_vec_with_limit(&request.body, limit));
    match plain {
        Ok(plain) => {
            request.body = Bytes::from(plain);
            request.headers.remove(&HeaderName::ContentEncoding);
            ControlFlow::Continue(())
        }
        Err(_) => Refusal::because(Status::BAD_REQUEST, "Bad Deflate").stop(),
    }
}

/// The From within CPIM is what some clients show: it must not name somebody else.
fn honest(request: &Request, source: &Source, config: &NodeConfig, directory: &dyn Directory) -> ControlFlow<Refusal> {
    let in_cpim = request.headers.read::<ContentType>().is_some_and(|kind| kind.is(cpim::MEDIA_TYPE));
    if !in_cpim {
        return ControlFlow::Continue(());
    }
    let written = Cpim::parse(&request.body).ok().and_then(|cpim| cpim.from).and_then(|from| Address::parse(&from.uri));
    let Some(written) = written.filter(|address| address.domain() != Some("anonymous.invalid")) else {
        return ControlFlow::Continue(());
    };
    let honest = match source {
        Source::User { account, .. } => account.owns(&written),
        Source::Peer { .. } | Source::Dialog => {
            !written.domain().is_some_and(|domain| config.serves(domain)) && directory.account(&written).is_none()
        }
    };
    if honest { ControlFlow::Continue(()) } else { Refusal::because(Status::FORBIDDEN, "Not Your Address").stop() }
}
