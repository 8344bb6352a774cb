//! Notifications: who may report what about which message, and what a report changes (R178, R286, R287).
//!
//! A report is believed when the reporting user has the message from the one to whom the report goes, and was asked for it. The first
//! positive report of each kind counts; the same from a second device is answered and goes no further. That one device failed is no
//! news for the sender: another may still take the message.

use std::ops::ControlFlow;

use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::receipt::Receipt;
use wasm_core::wire::imdn::{Delivery, Display, Notification, Report};
use wasm_core::wire::sip::{AcceptContact, HeaderName, Request, Status};
use wasm_core::{Text, Time};

use super::post::{Party, Post};
use super::recent::Key;
use crate::node::Directory;
use crate::sip_core::refusal::Refusal;
use crate::store::{Direction, Disposition, Pending, PendingKind, Unit, UserId, Write};

/// What a report amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It counts, once.
    Positive(Disposition),
    /// It is for the sender to know, when it comes from another server.
    Negative,
    /// It changes nothing.
    Nothing,
}

pub(super) fn weight(report: Report) -> Weight {
    match report {
        Report::Delivery(Delivery::Delivered) => Weight::Positive(Disposition::Delivery),
        Report::Display(Display::Displayed) => Weight::Positive(Disposition::Display),
        Report::Delivery(Delivery::Failed | Delivery::Error) => Weight::Negative,
        Report::Delivery(Delivery::Forbidden) | Report::Display(Display::Forbidden | Display::Error) | Report::Processing(_) => {
            Weight::Nothing
        }
    }
}

/// The message that a report is about, as it lies in the box of the one side that this node knows: the reporter's, else the sender's.
pub(super) fn subject(post: &Post, notification: &Notification) -> Option<Key> {
    let message_id = MessageId::parse(&notification.message_id)?;
    Some(match (&post.sender, &post.recipient) {
        (Party::User { user, .. }, recipient) => {
            Key { user: *user, direction: Direction::In, with: recipient.address().clone(), message_id }
        }
        (sender @ Party::Peer { .. }, Party::User { user, .. }) => {
            Key { user: *user, direction: Direction::Out, with: sender.address().clone(), message_id }
        }
        (Party::Peer { .. }, Party::Peer { .. }) => return None,
    })
}

/// Whether the sender of the message asked for this report.
pub(super) fn asked(wants: Option<Wants>, report: Report) -> ControlFlow<Refusal> {
    let Some(wants) = wants else {
        return Refusal::because(Status::FORBIDDEN, "No Such Message").stop();
    };
    let asked = match weight(report) {
        Weight::Positive(Disposition::Delivery) => wants.delivered,
        Weight::Positive(Disposition::Display) => wants.displayed,
        Weight::Negative => wants.failed,
        Weight::Nothing => true,
    };
    if asked { ControlFlow::Continue(()) } else { Refusal::because(Status::FORBIDDEN, "Not Asked For").stop() }
}

/// Says which of the sender's devices a report is for before all others: the one that sent the message (R284). It gets the report whatever
/// was chosen for it, as it asked; the others by choice (R245, R285). Written as a caller's preference [RFC3841], so that the queue keeps it.
pub(super) fn address(request: &mut Request, device: Option<Text>) {
    if let Some(device) = device {
        let mut accept = AcceptContact::default();
        accept.0.set_quoted(feature::SIP_INSTANCE, &format!("<{device}>"));
        request.headers.put(&accept);
    }
}

/// The device that a report is for before all others.
pub(super) fn addressee(request: &Request) -> Option<Text> {
    request.headers.get(&HeaderName::AcceptContact)?;
    let accepts = request.headers.list::<AcceptContact>().ok()?;
    let instance = accepts.iter().find_map(|accept| accept.feature(feature::SIP_INSTANCE))?;
    Some(Text::from(instance.trim_start_matches('<').trim_end_matches('>')))
}

/// What a report writes before it goes on: the claim that keeps a second one out, the sender's tick where the sender is a user of this
/// node, and the notification that waits for the sender's devices or their peer. The message went to one of the reporter's addresses.
pub(super) fn unit(now: Time, directory: &dyn Directory, post: &Post, notification: &Notification) -> Unit {
    let mut writes = claim(post, notification);
    if let (Some(receipt), Some(message_id)) = (Receipt::of(notification.report), MessageId::parse(&notification.message_id)) {
        if let Some(user) = post.recipient.user() {
            let reporter = post.sender.user().and_then(|user| directory.user(user));
            let with = reporter.map_or_else(|| vec![post.sender.address().clone()], |account| account.addresses.clone());
            writes.push(Write::Receipt { user, with, message_id: message_id.clone(), receipt });
        }
        writes.push(Write::Queue(Pending {
            user: post.recipient.user().unwrap_or(UserId::PEERS),
            message_id,
            kind: PendingKind::Notification,
            request: super::deferred::encode(&post.request),
            arrived_at: now,
            expires_at: post.expires_at,
        }));
    }
    Unit(writes)
}

/// The claim alone: for a report that went to a peer.
pub(super) fn claim(post: &Post, notification: &Notification) -> Vec<Write> {
    match (&post.sender, weight(notification.report), MessageId::parse(&notification.message_id)) {
        (Party::User { user, .. }, Weight::Positive(kind), Some(message_id)) => {
            vec![Write::Claim { user: *user, with: post.recipient.address().clone(), message_id, kind }]
        }
        _ => Vec::new(),
    }
}
