//! What is told of a message's way, for the ladder that its users may look at (R347).
//!
//! Each side has a trail of its own: what passed between this server and its own devices, the store and the other side. Nothing of it says
//! which devices the other side has. A step costs the copy of a few shared texts; what is done with it is not the service's business.

use wasm_core::cpm::envelope::Content;
use wasm_core::cpm::ids::MessageId;
use wasm_core::cpm::probe;
use wasm_core::wire::sip::Status;
use wasm_core::{Text, Time};

use super::lanes::Parcel;
use super::post::{Fate, Post};
use super::{Effect, Hand, LetterId, Participating};
use crate::node::{End, Rung, Sent};
use crate::sip_core::location::{Binding, BindingId};
use crate::store::UserId;

/// The message that a letter is, or that its notification is about; nothing for what leaves no trace.
pub(super) fn about(post: &Post) -> Option<MessageId> {
    let id = match &post.envelope.content {
        Content::Composing(_) => return None,
        content if probe::is_probe(content) => return None,
        Content::Notification(notification) => &notification.message_id,
        Content::Text(_) | Content::Other { .. } => post.message_id.text(),
    };
    // A copy of its own: the request that it was read from is not kept in memory for its sake.
    MessageId::parse(&Text::from(id.as_str()))
}

/// How a trail names a device.
pub(super) fn name(binding: &Binding) -> Text {
    binding.instance.clone().unwrap_or_else(|| binding.agent.clone())
}

impl Participating {
    fn note(&mut self, at: Time, user: UserId, message_id: &MessageId, end: End, came: bool, what: Sent) {
        if user != UserId::PEERS {
            self.effects.push_back(Effect::Trail(Rung { user, message_id: message_id.clone(), at, end, came, what }));
        }
    }

    /// A message or notification has come from a device or from the other side's server, and was admitted.
    pub(super) fn note_arrival(&mut self, at: Time, post: &Post, device: Option<&Text>) {
        let (Some(id), Some(user), Some(device)) = (about(post), post.sender.user(), device) else { return };
        self.note(at, user, &id, End::Device(device.clone()), true, Sent::Word(post.label()));
    }

    /// What came is durable: both sides may know of it from now on.
    pub(super) fn note_kept(&mut self, at: Time, id: LetterId) {
        let Some(post) = self.letters.get(&id).map(|letter| &letter.post) else { return };
        let Some(about) = about(post) else { return };
        let (label, is_report) = (post.label(), matches!(post.envelope.content, Content::Notification(_)));
        // What goes nowhere leaves no trace there either.
        let recipient = post.recipient.user().filter(|_| !matches!(post.fate, Fate::Dropped));
        let sender = post.sender.user();
        if let Some(user) = sender.filter(|_| !is_report) {
            self.note(at, user, &about, End::Store, false, Sent::Word("store"));
        }
        if let Some(user) = sender {
            self.note(at, user, &about, End::Other, false, Sent::Word(label));
        }
        if let Some(user) = recipient {
            self.note(at, user, &about, End::Other, true, Sent::Word(label));
        }
        if let Some(user) = recipient.filter(|_| !is_report) {
            self.note(at, user, &about, End::Store, false, Sent::Word("store"));
        }
    }

    /// A device of the sender's hears what became of its try.
    pub(super) fn note_answer(&mut self, at: Time, post: &Post, device: Option<&Text>, status: Status) {
        let (Some(id), Some(user), Some(device)) = (about(post), post.sender.user(), device) else { return };
        self.note(at, user, &id, End::Device(device.clone()), false, Sent::Answer(status));
    }

    /// The other side's server has answered.
    pub(super) fn note_peer(&mut self, at: Time, id: LetterId, status: Status) {
        let Some((about, user)) = self.letters.get(&id).and_then(|letter| Some((about(&letter.post)?, letter.post.sender.user()?))) else {
            return;
        };
        self.note(at, user, &about, End::Other, true, Sent::Answer(status));
    }

    /// Something goes to a device, or its answer has come: what it said, or why there is none.
    pub(super) fn note_device(&mut self, hand: &Hand<'_>, user: UserId, binding: BindingId, parcel: &Parcel, came: bool, what: Sent) {
        let Some(id) = &parcel.about else { return };
        let Some(device) = hand.core.location().get(user, binding).map(name) else { return };
        self.note(hand.now, user, id, End::Device(device), came, what);
    }

    /// A message has waited for too long.
    pub(super) fn note_expiry(&mut self, at: Time, user: UserId, id: &MessageId) {
        self.note(at, user, id, End::Store, true, Sent::Word("expired"));
    }
}
