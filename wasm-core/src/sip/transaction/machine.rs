//! What the four machines have in common: a step from state and input to state and effects.
//!
//! A machine consumes itself and returns its successor, so that state is assigned in one place, the layer. Effects are values; the layer
//! performs them in order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::table::Kind;
use super::timer::{Alarm, Timers};
use crate::wire::sip::Request;

/// What does not change during a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub timers: Timers,
    /// How long a proxy waits between provisional responses [RFC3261 §16.6].
    pub timer_c: Duration,
    /// Whether the transport retransmits by itself.
    pub reliable: bool,
}

/// What a machine wants done.
#[derive(Debug)]
pub(super) enum Effect<T> {
    /// Send this to the transaction's destination.
    Send(Bytes),
    /// Start a timer.
    Arm(T, Duration),
    /// Hand the message at hand to the user.
    Deliver,
    /// Start a transaction for this CANCEL.
    Cancel(Box<Request>),
    /// Tell the user that the transaction went wrong.
    Report(Ending),
}

/// Why a transaction ended otherwise than by a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Client: no final response in time.
    Timeout,
    /// The transport could not send.
    Unreachable,
    /// Server: the user did not answer in time.
    Unanswered,
    /// Server: a failure sent for an INVITE was never acknowledged.
    Unacknowledged,
}

pub(super) type Effects<T> = SmallVec<[Effect<T>; 4]>;

pub(super) trait Machine: Sized + fmt::Debug {
    type Input<'a>;
    type Timer;
    /// The final state.
    const TERMINATED: Self;
    /// Whether it sends requests rather than answers them.
    const CLIENT: bool;

    fn is_terminated(&self) -> bool;

    /// The next state, and what is to be done on the way.
    fn step(self, input: Self::Input<'_>, context: &Context, effects: &mut Effects<Self::Timer>) -> Self;

    /// The machine within a transaction, when it is of this kind.
    fn of(kind: &mut Kind) -> Option<&mut Self>;

    fn alarm(timer: Self::Timer) -> Alarm;
}
