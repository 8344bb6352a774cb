//! Probes: messages of devices to themselves, by which they see whether messages flow (R345).
//!
//! A probe goes the way of a message, over both sides of this function, a commit and the lane to the device, but what is committed is a
//! mark that means nothing, and nobody hears of a probe that reaches no device. The statuses tell where it stopped: 500 or 504 the store,
//! 503 no time for it, 202 the device. Of one user there are only so many in a minute.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use wasm_core::Time;
use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::probe;
use wasm_core::wire::sip::{HeaderName, Request, Status};

use super::post::Party;
use super::{Alarm, Awaited, Hand, LetterId, Participating, Phase};
use crate::sip_core::refusal::Refusal;
use crate::store::{StoreError, Unit, UserId, Write};

/// The probes of one user within [`WINDOW`]: enough for repairs on several devices.
const MOST: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);

/// Whose probes came within this minute.
#[derive(Debug, Default)]
pub(super) struct Probes {
    since: Time,
    counts: HashMap<UserId, u32>,
}

impl Probes {
    /// Counts a probe; false when it is one too many.
    fn count(&mut self, now: Time, user: UserId) -> bool {
        if now.since(self.since) >= WINDOW {
            *self = Probes { since: now, counts: HashMap::new() };
        }
        let count = self.counts.entry(user).or_default();
        *count += 1;
        *count <= MOST
    }
}

/// A probe is for one of its sender's own devices; to anybody else it would be a message that leaves no trace.
pub(super) fn own(envelope: &Envelope, request: &Request, sender: &Party, recipient: &Party) -> ControlFlow<Refusal> {
    let to_device = request.uri.sip().is_some_and(|uri| uri.params.has("gr"));
    let own = sender.user().is_some() && sender.user() == recipient.user() && to_device;
    if own || !probe::is_probe(&envelope.content) {
        ControlFlow::Continue(())
    } else {
        Refusal::because(Status::FORBIDDEN, "Not Your Device").stop()
    }
}

impl Participating {
    /// A probe has been admitted.
    pub(super) fn probe(&mut self, hand: &mut Hand<'_>, id: LetterId, user: UserId) {
        if !self.probes.count(hand.now, user) {
            return self.refuse(hand, id, Refusal::because(Status(429), "Too Many Probes").with(HeaderName::RetryAfter, "60"));
        }
        if let Some(letter) = self.letters.get_mut(&id) {
            letter.phase = Phase::Committing;
        }
        self.alarms.push(Reverse((hand.now + self.config.policy.delivery_wait, Alarm::Letter(id))));
        self.commit(Awaited::Letter(id), Unit::from(Write::Mark));
    }

    /// The disk has not answered for a probe: who asks shall know, while a message may wait.
    pub(super) fn probe_overdue(&mut self, hand: &mut Hand<'_>, id: LetterId) {
        let waits = |letter: &super::Letter| letter.phase == Phase::Committing && probe::is_probe(&letter.post.envelope.content);
        if self.letters.get(&id).is_some_and(waits) {
            self.answer(hand, id, Status::SERVER_TIMEOUT);
        }
    }

    /// What the sender is told when the store could not keep a letter.
    pub(super) fn unkept(&self, id: LetterId, error: &StoreError) -> Status {
        let is_probe = self.letters.get(&id).is_some_and(|letter| probe::is_probe(&letter.post.envelope.content));
        match error {
            StoreError::Busy(_) => Status::SERVICE_UNAVAILABLE,
            _ if is_probe => Status::SERVER_INTERNAL_ERROR,
            _ => Status::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R345: one user's probes are bounded, and bound nobody else's.
    #[test]
    fn there_are_only_so_many_in_a_minute() {
        let mut probes = Probes::default();
        let start = Time(1_800_000_000_000);
        assert!((0..MOST).all(|_| probes.count(start, UserId(1))));
        assert!(!probes.count(start, UserId(1)) && probes.count(start, UserId(2)));
        assert!(probes.count(start + WINDOW, UserId(1)));
    }
}
