//! The terminating side: what is written before anybody is told, and what goes to the devices (R046, R050).

use std::sync::Arc;

use wasm_core::Time;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;

use super::LetterId;
use super::deferred::{self, Hold};
use super::lanes::Parcel;
use super::post::{Party, Post};
use crate::store::{Applied, Direction, Held, Outcome, Pending, PendingId, PendingKind, StoredMessage, Unit, UserId, Write};

/// A message to a user of this node: the sender's copy (if the sender is one too), the recipient's, and what waits for the devices. What is
/// held for a decision is not put into the recipient's box.
pub(super) fn unit(now: Time, post: &Post, hold: Option<Hold>) -> Unit {
    let mut writes = Vec::with_capacity(3);
    if let Party::User { user, .. } = post.sender {
        writes.push(Write::Store(copy(post, user, Direction::Out)));
    }
    if let Party::User { user, .. } = post.recipient {
        let pending = Pending {
            user,
            message_id: post.message_id.clone(),
            kind: PendingKind::Message,
            request: deferred::encode(&post.request),
            arrived_at: now,
            expires_at: post.expires_at,
        };
        match hold {
            Some(hold) => writes.push(Write::Hold(Box::new(Held { pending, about: deferred::about(&post.envelope, hold.remind_at) }))),
            None => {
                writes.push(Write::Store(copy(post, user, Direction::In)));
                writes.push(Write::Queue(pending));
            }
        }
    }
    Unit(writes)
}

/// A message that a peer has taken: the sender's copy.
pub(super) fn sent(post: &Post) -> Unit {
    let copy = post.sender.user().map(|user| Write::Store(copy(post, user, Direction::Out)));
    Unit(copy.into_iter().collect())
}

fn copy(post: &Post, user: UserId, direction: Direction) -> StoredMessage {
    stored(&post.envelope, &post.message_id, post.expires_at, user, direction)
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
    Arc::new(Parcel { pending, kind, letter, expires_at: post.expires_at, from, request })
}
