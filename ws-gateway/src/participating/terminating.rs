//! The terminating side: what is written before anybody is told, and what goes to the devices (R046, R050).

use std::sync::Arc;

use bytes::Bytes;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::cpim;
use wasm_core::wire::sip::{HeaderName, Request};
use wasm_core::{Text, Time};

use super::LetterId;
use super::deferred;
use super::lanes::Parcel;
use super::post::{Fate, Party, Post};
use super::trail;
use crate::store::{Applied, Direction, Held, Outcome, Pending, PendingId, PendingKind, StoredMessage, Unit, UserId, Write};

/// A message to a user of this node: the sender's copy (if the sender is one too), the recipient's, and what waits for the devices. What is
/// held for a decision is not put into the recipient's box.
pub(super) fn unit(now: Time, post: &Post) -> Unit {
    let mut writes = Vec::with_capacity(3);
    if let Party::User { user, .. } = post.sender {
        writes.push(Write::Store(sender_copy(post, user)));
    }
    let Party::User { user, .. } = post.recipient else { return Unit(writes) };
    let pending = || Pending {
        user,
        message_id: post.message_id.clone(),
        kind: PendingKind::Message,
        request: deferred::encode(&post.request),
        arrived_at: now,
        expires_at: post.expires_at,
    };
    let copy = |kept| Write::Store(kept_or_blank(stored(&post.envelope, &post.message_id, post.expires_at, user, Direction::In), kept));
    match post.fate {
        Fate::Delivered { kept } => writes.extend([copy(kept), Write::Queue(pending())]),
        Fate::Held(hold) => {
            writes.push(Write::Hold(Box::new(Held { pending: pending(), about: deferred::about(&post.envelope, hold.remind_at) })));
        }
        Fate::Stored => writes.push(copy(true)),
        Fate::Dropped => {}
    }
    Unit(writes)
}

/// A message that a peer has taken: the sender's copy.
pub(super) fn sent(post: &Post) -> Unit {
    let copy = post.sender.user().map(|user| Write::Store(sender_copy(post, user)));
    Unit(copy.into_iter().collect())
}

/// What the sender keeps: under the address that they wrote to, whoever got it.
fn sender_copy(post: &Post, user: UserId) -> StoredMessage {
    let mut copy = stored(&post.envelope, &post.message_id, post.expires_at, user, Direction::Out);
    if let Some(addressed) = &post.redirected {
        (copy.with, copy.to) = (addressed.clone(), addressed.clone());
    }
    kept_or_blank(copy, post.sender_keeps)
}

/// Of what a user does not want kept (E1) a blank copy, out of their sight, by which reports are judged.
fn kept_or_blank(copy: StoredMessage, kept: bool) -> StoredMessage {
    if kept { copy } else { StoredMessage { user: copy.user.blank(), body: Bytes::new(), ..copy } }
}

/// A user's copy of a message.
pub(super) fn stored(envelope: &Envelope, message_id: &MessageId, expires_at: Time, user: UserId, direction: Direction) -> StoredMessage {
    let with = match direction {
        Direction::Out => &envelope.to,
        Direction::In => &envelope.from,
    };
    StoredMessage {
        user,
        direction,
        with: with.clone(),
        message_id: message_id.clone(),
        conversation: envelope.conversation.clone(),
        contribution: envelope.contribution.clone(),
        in_reply_to: envelope.in_reply_to.clone(),
        from: envelope.from.clone(),
        to: envelope.to.clone(),
        date: envelope.date.unwrap_or_default(),
        content_type: envelope.content.content_type().into(),
        body: envelope.content.body(),
        wants: envelope.wants,
        receipt: Receipt::Sent,
        expires: Some(expires_at),
    }
}

/// What a device gets that is not to get a message whole (B): what there is, in words, under the message's own identifiers.
pub(super) fn announcement(request: &Request, envelope: Envelope) -> Request {
    let kind = envelope.content.content_type().split(';').next().unwrap_or_default().trim();
    let size = envelope.content.size().div_ceil(1024);
    let words = Text::from(format!("{kind}, {size} KB: this device does not take it. It is in your history."));
    let announced = Envelope { content: Content::Text(words), ..envelope };
    let mut request = request.clone();
    request.headers.set(HeaderName::ContentType, cpim::MEDIA_TYPE);
    request.body = announced.to_cpim().encode();
    request
}

/// What the store's word means for a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new, and waits in this place.
    New(Option<PendingId>),
    /// It was there before.
    Known,
    /// A report that says nothing new; what was queued for it can go.
    NoNews(Option<PendingId>),
    /// A report about a message that never was.
    Unfounded,
}

/// Reads the outcomes of a letter's unit. From a peer, a report that changes nothing is no news; on this node the claim says so.
pub(super) fn verdict(applied: &Applied, from_peer: bool) -> Verdict {
    let has = |wanted: fn(&Outcome) -> bool| applied.outcomes.iter().any(wanted);
    let pending = applied.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Queued(id) => Some(*id),
        _ => None,
    });
    if has(|outcome| matches!(outcome, Outcome::Duplicate { .. } | Outcome::Already)) {
        Verdict::Known
    } else if has(|outcome| *outcome == Outcome::Missing) {
        Verdict::Unfounded
    } else if from_peer && has(|outcome| *outcome == Outcome::Unchanged) {
        Verdict::NoNews(pending)
    } else {
        Verdict::New(pending)
    }
}

/// What goes to the devices.
pub(super) fn parcel(post: &Post, pending: Option<PendingId>, letter: Option<LetterId>) -> Arc<Parcel> {
    let kind = if post.envelope.content.is_automatic() { PendingKind::Notification } else { PendingKind::Message };
    let (from, request) = (post.sender.address().clone(), post.request.clone());
    Arc::new(Parcel { pending, kind, letter, about: trail::about(post), expires_at: post.expires_at, from, request })
}
