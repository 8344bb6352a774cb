//! What waits in the store for a user's devices: written as a request, read as a parcel, and given up in the end (R050).

mod list;
mod pull;
mod push;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use wasm_core::cpm::deferred::{LONGEST_SUBJECT, MOST_TYPES};
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::preferences::{Absence, DeferredDelivery, Expiry, Letter};
use wasm_core::wire::mime::multipart::Multipart;
use wasm_core::wire::sip::{ContentType, HeaderName, Limits, Message, Request, TypedHeader, Via};
use wasm_core::{Text, Time};

use super::lanes::Parcel;
use super::post::Post;
use super::{Awaited, Hand, Mailbox, Participating};
use crate::node::Policy;
use crate::store::{About, PendingKind, Queued, Unit, UserId, Write};
pub(super) use list::Followers;
pub(super) use pull::Decision;
pub(super) use session::Session;

/// The longest media type that is told, in characters.
const LONGEST_TYPE: usize = 80;

/// A request as the queue keeps it. It has no hop yet, but a request without a Via could not be read again.
pub(super) fn encode(request: &Request) -> Bytes {
    let mut request = request.clone();
    request.headers.put_front(&Via::new("TCP", "queue.invalid", None));
    request.to_bytes()
}

/// What has been let in once is read again, however much the service has added to it.
const OWN: Limits = Limits { message: usize::MAX, head: 1 << 20, body: usize::MAX, headers: 1024, header_line: 1 << 18, uri: 1 << 14 };

/// The request that [`encode`] kept.
pub(super) fn decode(bytes: &Bytes) -> Option<Request> {
    let mut request = Message::parse_shared(bytes, &OWN).ok()?.request()?;
    request.headers.remove(&HeaderName::Via);
    Some(request)
}

/// That a message waits for its recipient's decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    /// When the recipient is to be told of it again.
    pub(super) remind_at: Option<Time>,
}

impl Participating {
    /// Whether a message is to wait for its recipient's decision: no device answers, and the recipient wants to be asked (R049, R190).
    pub(super) fn hold(&self, hand: &Hand<'_>, post: &Post) -> Option<Hold> {
        let user = post.recipient.user()?;
        let preferences = hand.directory.preferences(user);
        let profile = preferences.profile(None, hand.now);
        if profile.deferred_delivery != DeferredDelivery::Notify || self.mailboxes.get(&user).is_some_and(Mailbox::is_reachable) {
            return None;
        }
        let content = &post.envelope.content;
        let letter = Letter { from: Some(post.sender.address()), size: content.body().len() as u64, content_type: content.content_type() };
        let asks = profile.unavailable(letter, &[]) == Absence::Defer(DeferredDelivery::Notify);
        asks.then(|| held(hand, post))
    }

    /// What users wanted to be told of again by now (R191).
    pub(super) fn reminded(&mut self, hand: &mut Hand<'_>, queued: &[Queued]) {
        for entry in queued {
            let (user, id, expires_at) = (entry.pending.user, entry.id, entry.pending.expires_at);
            if !self.burying.insert(id) {
                continue;
            }
            let at = next_reminder(hand, Some(user), expires_at);
            self.commit(Awaited::Noted(user, id), Unit::from(Write::Remind { user, id, at }));
            if let Some(request) = decode(&entry.pending.request) {
                self.tell_again(hand, user, &request, expires_at);
            }
        }
    }
}

/// That a message waits for its recipient's decision.
pub(super) fn held(hand: &Hand<'_>, post: &Post) -> Hold {
    Hold { remind_at: next_reminder(hand, post.recipient.user(), post.expires_at) }
}

/// When a user who wants it is told again by itself.
fn next_reminder(hand: &Hand<'_>, user: Option<UserId>, expires_at: Time) -> Option<Time> {
    let every = hand.directory.preferences(user?).profile(None, hand.now).remind_every?;
    Some(hand.now + every).filter(|at| *at < expires_at)
}

/// What becomes of a message whose time is over.
pub(super) fn expiry(hand: &Hand<'_>, policy: &Policy, entry: &Queued) -> Expiry {
    let preferences = hand.directory.preferences(entry.pending.user);
    preferences.profile(None, hand.now).expired(entry.pending.arrived_at, hand.now, policy.extended_expiry)
}

/// What the recipient is told of a message that is held.
pub(super) fn about(envelope: &Envelope, remind_at: Option<Time>) -> About {
    let content_type = envelope.content.content_type();
    let body = envelope.content.body();
    let bare = |kind: &str| Text::from(kind.split(';').next().unwrap_or_default().trim().chars().take(LONGEST_TYPE).collect::<String>());
    let parts = ContentType::parse(&Text::from(content_type)).ok().and_then(|kind| Multipart::of(&kind, &body).ok());
    About {
        from: envelope.from.clone(),
        subject: envelope.subject.as_ref().map(|subject| Text::from(subject.chars().take(LONGEST_SUBJECT).collect::<String>())),
        date: envelope.date.unwrap_or_default(),
        size: body.len() as u64,
        content_types: match parts {
            Some(multipart) => multipart.parts.iter().take(MOST_TYPES).map(|part| bare(part.media_type())).collect(),
            None => vec![bare(content_type)],
        },
        remind_at,
    }
}

/// What was queued, as something to send. What cannot be read any more is nothing.
pub(super) fn parcel(queued: &Queued) -> Option<Arc<Parcel>> {
    let request = decode(&queued.pending.request)?;
    let envelope = Envelope::unwrap(&request).ok()?;
    Some(Arc::new(Parcel {
        pending: Some(queued.id),
        kind: queued.pending.kind,
        letter: None,
        about: Some(queued.pending.message_id.clone()),
        expires_at: queued.pending.expires_at,
        from: envelope.from,
        request,
    }))
}

/// Whether something queued is a message to a person, whose sender wants to hear of its end.
pub(super) fn mourned(queued: &Queued) -> Option<Envelope> {
    match queued.pending.kind {
        PendingKind::Message => Envelope::unwrap(&decode(&queued.pending.request)?).ok().filter(|envelope| envelope.wants.failed),
        PendingKind::Notification => None,
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::cpm::address::Address;
    use wasm_core::cpm::envelope::Content;
    use wasm_core::wire::sip::{CSeq, CallId, From, Method};

    use super::*;

    #[test]
    fn what_was_queued_is_read_again_however_large() {
        let address = |name| Address::from_parts(name, "tandem.test").unwrap();
        let text = "x".repeat(200_000);
        let mut request = Envelope::new(address("alice"), address("bob"), Content::Text(text.as_str().into())).wrap();
        let mut from = request.headers.read::<From>().unwrap();
        from.set_tag("a");
        request.headers.put(&from);
        request.headers.put(&CallId("call".into()));
        request.headers.put(&CSeq::new(1, Method::Message));
        (0..200).for_each(|nth| request.headers.push(HeaderName::Subject, format!("header {nth}")));
        let read = decode(&encode(&request)).unwrap();
        assert_eq!(read.headers.len(), request.headers.len());
        assert_eq!(Envelope::unwrap(&read).unwrap().content, Content::Text(text.as_str().into()));
    }
}
