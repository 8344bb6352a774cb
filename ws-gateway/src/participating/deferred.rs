//! What waits in the store for a user's devices: written as a request, read as a parcel, and given up in the end (R050).

use std::sync::Arc;

use bytes::Bytes;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::wire::sip::{HeaderName, Limits, Message, Request, Via};

use super::lanes::Parcel;
use crate::store::{PendingKind, Queued};

/// A request as the queue keeps it. It has no hop yet, but a request without a Via could not be read again.
pub(super) fn encode(request: &Request) -> Bytes {
    let mut request = request.clone();
    request.headers.put_front(&Via::new("TCP", "queue.invalid", None));
    request.to_bytes()
}

/// The request that [`encode`] kept.
pub(super) fn decode(bytes: &Bytes) -> Option<Request> {
    let mut request = Message::parse(bytes, &Limits::default()).ok()?.request()?;
    request.headers.remove(&HeaderName::Via);
    Some(request)
}

/// What was queued, as something to send. What cannot be read any more is nothing.
pub(super) fn parcel(queued: &Queued) -> Option<Arc<Parcel>> {
    let request = decode(&queued.pending.request)?;
    let envelope = Envelope::unwrap(&request).ok()?;
    Some(Arc::new(Parcel { pending: Some(queued.id), kind: queued.pending.kind, letter: None, from: envelope.from, request }))
}

/// Whether something queued is a message to a person, whose sender wants to hear of its end.
pub(super) fn mourned(queued: &Queued) -> Option<Envelope> {
    match queued.pending.kind {
        PendingKind::Message => Envelope::unwrap(&decode(&queued.pending.request)?).ok().filter(|envelope| envelope.wants.failed),
        PendingKind::Notification => None,
    }
}
