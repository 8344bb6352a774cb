//! Messages that the Participating Function sends in its user's name, of what the store holds: composed from stored resources and
//! forwarded without a download (R270, R271).
//!
//! They take the way of any other message of the user's, from the same checks on; nobody waits for their answer.

use std::ops::ControlFlow;
use std::sync::Arc;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::feature;
use wasm_core::cpm::ids::{ContributionId, ConversationId, MessageId};
use wasm_core::wire::imdn::Wants;

use super::{Hand, Participating, originating};
use crate::sip_core::front_door::Source;
use crate::store::UserId;

impl Participating {
    /// Sends something as the user.
    pub(crate) fn compose(&mut self, hand: &mut Hand<'_>, user: UserId, to: Address, message_id: MessageId, content: Content) {
        let Some(account) = hand.directory.user(user) else { return };
        let identity = account.primary().clone();
        let envelope = Envelope {
            from_name: Some(account.display_name.clone()).filter(|name| !name.is_empty()),
            message_id: Some(message_id.clone()),
            conversation: Some(ConversationId::new(&mut self.entropy)),
            contribution: Some(ContributionId::new(&mut self.entropy)),
            date: Some(hand.now),
            wants: Wants::ALL,
            ..Envelope::new(identity.clone(), to, content)
        };
        let request = self.own_request(&envelope, &identity, feature::PAGER);
        let source = Source::User { account: Arc::clone(&account), identity };
        let destination = hand.core.target(hand.directory, &request.uri);
        let post = match destination {
            ControlFlow::Continue(to) => originating::admit(hand.now, &self.config, hand.directory, &source, to, request),
            ControlFlow::Break(refusal) => ControlFlow::Break(refusal),
        };
        match post {
            ControlFlow::Continue(post) => self.take(hand, post, None),
            ControlFlow::Break(refusal) => tracing::debug!(%user, id = %message_id, status = refusal.status.0, "not sent on"),
        }
    }
}
