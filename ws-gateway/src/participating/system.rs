//! What the service itself has to say to a user: a CPM system message, from an address that no person has.
//!
//! It goes to the devices that are there, to the Primary Device alone where that is one of them, and is kept nowhere: neither in the
//! user's history nor in the queue, so that what was meant for a moment is not read later.

use std::sync::Arc;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::device::Kind;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::wire::imdn::Wants;
use wasm_core::wire::sip::Uri;

use super::lanes::Parcel;
use super::{Hand, Participating};
use crate::node::Function;
use crate::store::{PendingKind, UserId};

/// The user part of the service's own address, which no account may have.
pub const SYSTEM: &str = "system";
/// What the service calls itself.
const NAME: &str = "Tandem";

impl Participating {
    /// Says something to a user now.
    pub(crate) fn announce(&mut self, hand: &mut Hand<'_>, user: UserId, text: Text) {
        let Some(account) = hand.directory.user(user) else { return };
        let Some(from) = Address::from_parts(SYSTEM, account.domain()) else { return };
        let composed = Envelope::compose(&mut self.entropy, hand.now, from.clone(), account.primary().clone(), text, None);
        let envelope = Envelope { from_name: Some(Text::from(NAME)), wants: Wants::NOTHING, ..composed };
        let mut request = self.own_request(&envelope, &from, feature::SYSTEM_MESSAGE);
        let mut bound = hand.core.location().of(user).iter().filter_map(|binding| InstanceId::parse(binding.instance.as_ref()?));
        let is_primary = |instance: &InstanceId| hand.directory.device(user, instance).is_some_and(|device| device.kind == Kind::Primary);
        if let (Some(primary), Uri::Sip(uri)) = (bound.find(is_primary), &mut request.uri) {
            // A GRUU: for this device alone.
            uri.params.set("gr", primary.as_str());
        }
        let parcel =
            Arc::new(Parcel { pending: None, kind: PendingKind::Message, letter: None, about: None, expires_at: hand.now, from, request });
        hand.core.step(Function::Participating, Function::Core, || "MESSAGE (system)".into());
        self.deliver(hand, user, parcel);
    }
}
