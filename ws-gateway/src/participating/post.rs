//! One message as the service handles it: who sends it, who gets it, what it says, and the request that goes on.

use sha2::{Digest, Sha256};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::ids::{ContributionId, ConversationId, MessageId};
use wasm_core::cpm::preferences::Letter;
use wasm_core::cpm::probe;
use wasm_core::wire::cpim;
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::sip::{HeaderName, Headers, Request};
use wasm_core::{Entropy, Text, Time};

use super::deferred::Hold;
use crate::store::UserId;

/// One end of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// A user of this node.
    User { user: UserId, address: Address },
    /// Somebody at a peer.
    Peer { peer: usize, address: Address },
}

impl Party {
    pub(super) fn address(&self) -> &Address {
        match self {
            Party::User { address, .. } | Party::Peer { address, .. } => address,
        }
    }

    /// The user, if it is one of this node.
    pub(super) fn user(&self) -> Option<UserId> {
        match self {
            Party::User { user, .. } => Some(*user),
            Party::Peer { .. } => None,
        }
    }
}

/// What tells one message from another, and a second try from a second message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PostKey {
    from: Address,
    to: Address,
    message_id: MessageId,
    /// Which notification, where it is one: several about one message may be under way at once.
    report: Option<Report>,
}

impl PostKey {
    /// The key of a message that is no notification.
    pub(super) fn message(from: &Address, to: &Address, message_id: &MessageId) -> PostKey {
        PostKey { from: from.clone(), to: to.clone(), message_id: message_id.clone(), report: None }
    }
}

/// What becomes of a message to a user of this node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It waits for the devices; and whether a copy is kept.
    Delivered { kept: bool },
    /// It waits for its recipient's decision.
    Held(Hold),
    /// A copy is kept, and no more.
    Stored,
    /// It goes nowhere.
    Dropped,
}

/// One message.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) sender: Party,
    pub(super) recipient: Party,
    pub(super) envelope: Envelope,
    pub(super) message_id: MessageId,
    /// The device that it came from, where that names itself.
    pub(super) device: Option<Text>,
    /// Whom its sender wrote to, where somebody else gets it.
    pub(super) redirected: Option<Address>,
    /// What becomes of it for its recipient.
    pub(super) fate: Fate,
    /// Whether the sender keeps a copy.
    pub(super) sender_keeps: bool,
    /// When to give up.
    pub(super) expires_at: Time,
    /// What goes on: as it came, but for what belongs to the hop and for what the service asserts.
    pub(super) request: Request,
}

impl Post {
    /// Whom its sender wrote to.
    pub(super) fn addressed(&self) -> &Address {
        self.redirected.as_ref().unwrap_or_else(|| self.recipient.address())
    }

    /// A message that goes the usual way.
    pub(super) fn new(
        sender: Party,
        recipient: Party,
        envelope: Envelope,
        message_id: MessageId,
        expires_at: Time,
        request: Request,
    ) -> Post {
        let fate = Fate::Delivered { kept: true };
        Post { sender, recipient, envelope, message_id, device: None, redirected: None, fate, sender_keeps: true, expires_at, request }
    }

    pub(super) fn key(&self) -> PostKey {
        let (message_id, report) = match &self.envelope.content {
            // Two devices that report the same are one report.
            Content::Notification(notification) => {
                (MessageId::parse(&notification.message_id).unwrap_or_else(|| self.message_id.clone()), Some(notification.report))
            }
            Content::Text(_) | Content::Composing(_) | Content::Other { .. } => (self.message_id.clone(), None),
        };
        PostKey { from: self.sender.address().clone(), to: self.recipient.address().clone(), message_id, report }
    }

    /// What the ladder calls it.
    pub(super) fn label(&self) -> &'static str {
        label(&self.envelope.content)
    }
}

/// What preferences are asked about a message.
pub(super) fn letter<'a>(envelope: &'a Envelope, from: &'a Address) -> Letter<'a> {
    Letter { from: Some(from), size: envelope.content.size() as u64, content_type: envelope.content.content_type() }
}

/// What the ladder calls a MESSAGE that says this.
pub(super) fn label(content: &Content) -> &'static str {
    match content {
        content if probe::is_probe(content) => "MESSAGE (probe)",
        Content::Text(_) | Content::Other { .. } => "MESSAGE",
        Content::Composing(_) => "MESSAGE (typing)",
        Content::Notification(notification) => match notification.report {
            Report::Delivery(Delivery::Delivered) => "MESSAGE (IMDN delivered)",
            Report::Delivery(Delivery::Failed | Delivery::Forbidden | Delivery::Error) => "MESSAGE (IMDN failed)",
            Report::Display(Display::Displayed) => "MESSAGE (IMDN displayed)",
            Report::Display(Display::Forbidden | Display::Error) | Report::Processing(_) => "MESSAGE (IMDN)",
        },
    }
}

/// Gives a plain client's message what it lacks, and CPIM around it, so that the recipient can answer and report.
///
/// The identifiers follow from the request: sent again by a client that heard no answer, it is the same message again.
pub(super) fn complete(now: Time, secret: &[u8; 32], envelope: &mut Envelope, request: &mut Request) -> MessageId {
    envelope.date.get_or_insert(now);
    let pair = || {
        let (one, other) = (envelope.from.as_str(), envelope.to.as_str());
        if one < other { [one, other] } else { [other, one] }
    };
    if envelope.conversation.is_none() {
        let id = derived(secret, "conversation", &pair());
        request.headers.set(HeaderName::ConversationId, id.clone());
        envelope.conversation = ConversationId::parse(&id);
    }
    let header = |name: &HeaderName| request.headers.get(name).map_or("", Text::as_str).to_owned();
    let origin = [header(&HeaderName::From), header(&HeaderName::CallId), header(&HeaderName::CSeq)];
    let origin = [origin[0].as_str(), origin[1].as_str(), origin[2].as_str()];
    if envelope.contribution.is_none() {
        let id = derived(secret, "contribution", &origin);
        request.headers.set(HeaderName::ContributionId, id.clone());
        envelope.contribution = ContributionId::parse(&id);
    }
    if let Some(id) = &envelope.message_id {
        return id.clone();
    }
    let mut entropy = Entropy::new(digest(secret, "message", &origin));
    let id = MessageId::new(&mut entropy);
    envelope.message_id = Some(id.clone());
    // A typing notification travels bare: every client understands it so.
    if !matches!(envelope.content, Content::Composing(_)) {
        request.headers.set(HeaderName::ContentType, cpim::MEDIA_TYPE);
        request.body = envelope.to_cpim().encode();
    }
    id
}

fn digest(secret: &[u8; 32], what: &str, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(what);
    for part in parts {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().into()
}

fn derived(secret: &[u8; 32], what: &str, parts: &[&str]) -> Text {
    Text::from(Entropy::new(digest(secret, what, parts)).uuid())
}

/// Takes off what belonged to the hop that the request came over.
pub(super) fn strip_hop(headers: &mut Headers) {
    headers.retain(|header| {
        !matches!(
            header.name,
            HeaderName::Via
                | HeaderName::Route
                | HeaderName::RecordRoute
                | HeaderName::ProxyAuthorization
                | HeaderName::Authorization
                | HeaderName::ContentLength
        )
    });
}
