//! Notices out of band: what devices that are not there are told of a message that waits for them (R218, R224, R275).
//!
//! A notice is due once for each message and outlet: when the message comes and nothing registered answers for the outlet, or when the
//! device that was tried could not be reached, or is as long in answering. What is read from the store, later or after a restart, was told
//! of when it came.

use std::sync::Arc;

use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::Delivery;
use wasm_core::wire::sip::Request;
use wasm_core::{Text, Time};

use super::lanes::Parcel;
use super::{Effect, Hand, LetterId, Participating};
use crate::node::{Directory, Notice, Outlet};
use crate::sip_core::location::Binding;
use crate::store::{PendingKind, UserId};

/// How much of a text a notice holds, in characters.
const BEGINNING: usize = 200;

/// The outlet of a registered device, which needs none while it answers: browsers register over WebSockets.
pub(super) fn outlet(binding: &Binding) -> Option<Outlet> {
    let transport = binding.uri.param("transport");
    match transport {
        Some(transport) if transport.eq_ignore_ascii_case("ws") => {
            binding.instance.as_ref().and_then(InstanceId::parse).map(Outlet::Browser)
        }
        Some(_) | None => Some(Outlet::Phones),
    }
}

/// Whether this user wants to be told of this message, on this outlet, now.
fn wanted(directory: &dyn Directory, now: Time, user: UserId, outlet: &Outlet, notice: &Notice) -> bool {
    let preferences = directory.preferences(user);
    let device = match outlet {
        Outlet::Browser(device) => Some(device),
        Outlet::Phones => None,
    };
    let own = directory.account(&notice.from).is_some_and(|sender| sender.user == user);
    !own && preferences.reaches(device, Delivery::Message, now) && preferences.profile(device, now).quiet_until(now).is_none()
}

impl Participating {
    /// A message has come and is about to be offered to the devices that are there: the others are told.
    pub(super) fn tell_absent(&mut self, hand: &Hand<'_>, user: UserId, parcel: &Parcel) {
        if parcel.kind == PendingKind::Message && parcel.pending.is_some() {
            self.tell_again(hand, user, &parcel.request, parcel.expires_at);
        }
    }

    /// The user is to be told again of a message that waits for a decision.
    pub(super) fn tell_again(&mut self, hand: &Hand<'_>, user: UserId, request: &Request, expires_at: Time) {
        for outlet in hand.directory.outlets(user) {
            if !self.answers_for(user, &outlet) {
                self.notify(hand, user, outlet, request, expires_at);
            }
        }
    }

    /// No device has answered for so long that its sender need not wait. Those that were there seem to be no more.
    pub(super) fn overdue(&mut self, hand: &Hand<'_>, id: LetterId) {
        let Some((user, post)) = self.letters.get(&id).and_then(|letter| Some((letter.post.recipient.user()?, &letter.post))) else {
            return;
        };
        let mut outlets = if post.envelope.content.is_automatic() { Vec::new() } else { hand.directory.outlets(user) };
        outlets.retain(|outlet| self.answers_for(user, outlet));
        if outlets.is_empty() {
            return;
        }
        let (request, expires_at) = (post.request.clone(), post.expires_at);
        for outlet in outlets {
            self.told.insert((id, outlet.clone()));
            self.notify(hand, user, outlet, &request, expires_at);
        }
    }

    /// A device could not be reached with these.
    pub(super) fn given_up(&mut self, hand: &Hand<'_>, user: UserId, outlet: Option<&Outlet>, parcels: &[Arc<Parcel>]) {
        let Some(outlet) = outlet else { return };
        for parcel in parcels {
            // What was read from the store was told of when it came.
            let Some(letter) = parcel.letter.filter(|_| parcel.kind == PendingKind::Message && parcel.pending.is_some()) else { continue };
            let told = self.told.remove(&(letter, outlet.clone()));
            if !told && !self.answers_for(user, outlet) && hand.directory.outlets(user).contains(outlet) {
                self.notify(hand, user, outlet.clone(), &parcel.request, parcel.expires_at);
            }
        }
    }

    /// A device has answered for a parcel, however late.
    pub(super) fn answered_for(&mut self, parcel: &Parcel, outlet: Option<&Outlet>) {
        if let Some((letter, outlet)) = parcel.letter.zip(outlet) {
            self.told.remove(&(letter, outlet.clone()));
        }
    }

    /// Whether a device is there that needs no notice.
    fn answers_for(&self, user: UserId, outlet: &Outlet) -> bool {
        self.mailboxes.get(&user).is_some_and(|mailbox| mailbox.answers_for(outlet))
    }

    fn notify(&mut self, hand: &Hand<'_>, user: UserId, outlet: Outlet, request: &Request, expires_at: Time) {
        if let Some(notice) = notice(hand, request, expires_at).filter(|notice| wanted(hand.directory, hand.now, user, &outlet, notice)) {
            self.effects.push_back(Effect::Notify { user, outlet, notice: Arc::new(notice) });
        }
    }
}

fn notice(hand: &Hand<'_>, request: &Request, expires_at: Time) -> Option<Notice> {
    let envelope = Envelope::unwrap(request).ok()?;
    let text = match &envelope.content {
        Content::Text(text) => Some(beginning(text)),
        Content::Composing(_) | Content::Notification(_) | Content::Other { .. } => None,
    };
    Some(Notice {
        message_id: envelope.message_id?,
        name: hand.directory.account(&envelope.from).map(|account| account.display_name.clone()).filter(|name| !name.is_empty()),
        from: envelope.from,
        to: envelope.to,
        conversation: envelope.conversation,
        subject: envelope.subject.map(|subject| beginning(&subject)),
        text,
        date: envelope.date.unwrap_or(hand.now),
        size: envelope.content.body().len(),
        expires_at,
    })
}

/// The first line that says something, cut short.
fn beginning(text: &str) -> Text {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(BEGINNING) {
        Some((end, _)) => Text::from(format!("{}…", line[..end].trim_end())),
        None => Text::from(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_the_first_line_and_short() {
        assert_eq!(beginning("\n  Hello \r\nworld"), "Hello");
        assert_eq!(beginning(" \n"), "");
        let cut = beginning(&"é".repeat(300));
        assert_eq!(cut.chars().count(), BEGINNING + 1);
        assert!(cut.ends_with('…'));
    }
}
