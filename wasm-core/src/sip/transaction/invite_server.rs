//! The INVITE server transaction: [RFC3261 §17.2.1] with the Accepted state of [RFC6026 §7.1].
//!
//! It says 100 when its user is silent for 200 ms, and repeats a failure until it is acknowledged. Successes are repeated by whoever made
//! them [RFC3261 §13.3.1.4], through [`Input::Success`] again.

use std::time::Duration;

use bytes::Bytes;

use super::machine::{Context, Effect, Effects, Ending, Machine};
use super::table::Kind;
use super::timer::Alarm;
use crate::wire::sip::Response;

#[derive(Debug)]
pub(super) enum InviteServer {
    /// No final response yet; `trying` is the 100 to send when nothing else was.
    Proceeding {
        trying: Option<Box<Response>>,
        last: Option<Bytes>,
    },
    /// A failure was sent.
    Completed {
        last: Bytes,
        interval: Duration,
    },
    /// The failure was acknowledged; further ACKs are absorbed.
    Confirmed,
    /// A success was sent; retransmissions of the INVITE are absorbed.
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    G,
    H,
    I,
    L,
    Trying,
    Lapsed,
}

#[derive(Debug)]
pub(super) enum Input {
    Retransmission,
    Ack,
    Provisional(Bytes),
    Success(Bytes),
    Failure(Bytes),
    Fired(Timer),
    Unreachable,
}

impl InviteServer {
    /// How long the user may be silent before a 100 is sent.
    const PATIENCE: Duration = Duration::from_millis(200);

    /// Takes in a new INVITE, to which `trying` would be the 100.
    pub(super) fn start(trying: Box<Response>, effects: &mut Effects<Timer>) -> InviteServer {
        effects.push(Effect::Arm(Timer::Trying, Self::PATIENCE));
        InviteServer::Proceeding { trying: Some(trying), last: None }
    }
}

impl Machine for InviteServer {
    type Input<'a> = Input;
    type Timer = Timer;
    const TERMINATED: InviteServer = InviteServer::Terminated;
    const CLIENT: bool = false;

    fn of(kind: &mut Kind) -> Option<&mut InviteServer> {
        if let Kind::InviteServer(machine) = kind { Some(machine) } else { None }
    }

    fn alarm(timer: Timer) -> Alarm {
        Alarm::InviteServer(timer)
    }

    fn is_terminated(&self) -> bool {
        matches!(self, InviteServer::Terminated)
    }

    fn step(self, input: Input, context: &Context, effects: &mut Effects<Timer>) -> InviteServer {
        use InviteServer::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match (self, input) {
            (Proceeding { trying, last }, Input::Retransmission) => {
                effects.extend(last.clone().map(Effect::Send));
                Proceeding { trying, last }
            }
            (Proceeding { .. }, Input::Provisional(wire)) => {
                effects.push(Effect::Send(wire.clone()));
                Proceeding { trying: None, last: Some(wire) }
            }
            (Proceeding { .. }, Input::Success(wire)) => {
                effects.push(Effect::Send(wire));
                effects.push(Effect::Arm(Timer::L, context.timers.lifetime()));
                Accepted
            }
            (Proceeding { .. }, Input::Failure(wire)) => {
                effects.push(Effect::Send(wire.clone()));
                if !context.reliable {
                    effects.push(Effect::Arm(Timer::G, context.timers.t1));
                }
                effects.push(Effect::Arm(Timer::H, context.timers.lifetime()));
                Completed { last: wire, interval: context.timers.t1 }
            }
            (Proceeding { trying: Some(trying), .. }, Input::Fired(Timer::Trying)) => {
                let wire = trying.to_bytes();
                effects.push(Effect::Send(wire.clone()));
                Proceeding { trying: None, last: Some(wire) }
            }
            // The state outlives the transport's failure, to absorb retransmissions [RFC6026 §7.1], though not for ever.
            (proceeding @ Proceeding { .. }, Input::Unreachable) => {
                effects.push(Effect::Report(Ending::Unreachable));
                effects.push(Effect::Arm(Timer::Lapsed, context.timers.lifetime()));
                proceeding
            }
            (Proceeding { .. }, Input::Fired(Timer::Lapsed)) => Terminated,
            (proceeding @ Proceeding { .. }, Input::Ack | Input::Fired(Timer::Trying | Timer::G | Timer::H | Timer::I | Timer::L)) => {
                proceeding
            }

            (Completed { last, interval }, Input::Retransmission) => {
                effects.push(Effect::Send(last.clone()));
                Completed { last, interval }
            }
            (Completed { last, interval }, Input::Fired(Timer::G)) => {
                let interval = context.timers.doubled(interval);
                effects.push(Effect::Send(last.clone()));
                effects.push(Effect::Arm(Timer::G, interval));
                Completed { last, interval }
            }
            (Completed { .. }, Input::Fired(Timer::H)) => {
                effects.push(Effect::Report(Ending::Unacknowledged));
                Terminated
            }
            (Completed { .. }, Input::Ack) => {
                if context.reliable {
                    return Terminated;
                }
                effects.push(Effect::Arm(Timer::I, context.timers.t4));
                Confirmed
            }
            (
                completed @ Completed { .. },
                Input::Provisional(_)
                | Input::Success(_)
                | Input::Failure(_)
                | Input::Unreachable
                | Input::Fired(Timer::Trying | Timer::Lapsed | Timer::I | Timer::L),
            ) => completed,

            (Confirmed, Input::Fired(Timer::I)) => Terminated,
            (
                Confirmed,
                Input::Retransmission
                | Input::Ack
                | Input::Provisional(_)
                | Input::Success(_)
                | Input::Failure(_)
                | Input::Unreachable
                | Input::Fired(Timer::Trying | Timer::Lapsed | Timer::G | Timer::H | Timer::L),
            ) => Confirmed,

            (Accepted, Input::Success(wire)) => {
                effects.push(Effect::Send(wire));
                Accepted
            }
            (Accepted, Input::Ack) => {
                effects.push(Effect::Deliver);
                Accepted
            }
            (Accepted, Input::Fired(Timer::L)) => Terminated,
            (
                Accepted,
                Input::Retransmission
                | Input::Provisional(_)
                | Input::Failure(_)
                | Input::Unreachable
                | Input::Fired(Timer::Trying | Timer::Lapsed | Timer::G | Timer::H | Timer::I),
            ) => Accepted,

            (
                Terminated,
                Input::Retransmission
                | Input::Ack
                | Input::Provisional(_)
                | Input::Success(_)
                | Input::Failure(_)
                | Input::Unreachable
                | Input::Fired(_),
            ) => Terminated,
        }
    }
}
