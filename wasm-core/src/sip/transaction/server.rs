//! The server transaction of every request but INVITE and ACK: [RFC3261 §17.2.2] under the rules of [RFC4320 §4].
//!
//! Those rules: no provisional response but 100; a 100 of its own once the client has slowed down to T2; never a 408, since by then its
//! sender has given up; and no answer at all after the transaction's lifetime.

use bytes::Bytes;

use super::machine::{Context, Effect, Effects, Ending, Machine};
use super::table::Kind;
use super::timer::Alarm;
use crate::wire::sip::Response;

#[derive(Debug)]
pub(super) enum Server {
    /// Nothing was sent yet; `trying` is the 100 to send when that lasts.
    Trying {
        trying: Box<Response>,
    },
    /// A 100 was sent.
    Proceeding {
        last: Bytes,
    },
    /// A final response was sent, or swallowed when there is none.
    Completed {
        last: Option<Bytes>,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    J,
    Trying,
    Lapsed,
}

#[derive(Debug)]
pub(super) enum Input {
    Retransmission,
    /// The user's 100.
    Trying(Bytes),
    /// Another provisional response.
    Provisional,
    /// Any final response but 408.
    Final(Bytes),
    /// A 408.
    Late,
    Fired(Timer),
    Unreachable,
}

impl Server {
    /// Takes in a new request, to which `trying` would be the 100.
    pub(super) fn start(trying: Box<Response>, context: &Context, effects: &mut Effects<Timer>) -> Server {
        effects.push(Effect::Arm(Timer::Trying, context.timers.slowdown()));
        effects.push(Effect::Arm(Timer::Lapsed, context.timers.lifetime()));
        Server::Trying { trying }
    }
}

impl Machine for Server {
    type Input<'a> = Input;
    type Timer = Timer;
    const TERMINATED: Server = Server::Terminated;
    const CLIENT: bool = false;

    fn of(kind: &mut Kind) -> Option<&mut Server> {
        if let Kind::Server(machine) = kind { Some(machine) } else { None }
    }

    fn alarm(timer: Timer) -> Alarm {
        Alarm::Server(timer)
    }

    fn is_terminated(&self) -> bool {
        matches!(self, Server::Terminated)
    }

    fn step(self, input: Input, context: &Context, effects: &mut Effects<Timer>) -> Server {
        use Server::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            (Trying { .. } | Proceeding { .. }, Input::Trying(wire)) => {
                effects.push(Effect::Send(wire.clone()));
                Proceeding { last: wire }
            }
            (Trying { trying }, Input::Fired(Timer::Trying)) => {
                let wire = trying.to_bytes();
                effects.push(Effect::Send(wire.clone()));
                Proceeding { last: wire }
            }
            (Trying { .. } | Proceeding { .. }, Input::Final(wire)) => {
                effects.push(Effect::Send(wire.clone()));
                if context.reliable {
                    return Terminated;
                }
                effects.push(Effect::Arm(Timer::J, context.timers.lifetime()));
                Completed { last: Some(wire) }
            }
            (Trying { .. } | Proceeding { .. }, Input::Late) => {
                effects.push(Effect::Arm(Timer::J, context.timers.lifetime()));
                Completed { last: None }
            }
            (Trying { .. } | Proceeding { .. }, Input::Fired(Timer::Lapsed)) => {
                effects.push(Effect::Report(Ending::Unanswered));
                Terminated
            }
            (Proceeding { last }, Input::Retransmission) => {
                effects.push(Effect::Send(last.clone()));
                Proceeding { last }
            }
            (waiting @ Trying { .. }, Input::Retransmission | Input::Provisional | Input::Unreachable | Input::Fired(Timer::J)) => waiting,
            (waiting @ Proceeding { .. }, Input::Provisional | Input::Unreachable | Input::Fired(Timer::J | Timer::Trying)) => waiting,

            (Completed { last }, Input::Retransmission) => {
                effects.extend(last.clone().map(Effect::Send));
                Completed { last }
            }
            (Completed { .. }, Input::Fired(Timer::J)) => Terminated,
            (
                completed @ Completed { .. },
                Input::Trying(_)
                | Input::Provisional
                | Input::Final(_)
                | Input::Late
                | Input::Unreachable
                | Input::Fired(Timer::Trying | Timer::Lapsed),
            ) => completed,

            (
                Terminated,
                Input::Retransmission
                | Input::Trying(_)
                | Input::Provisional
                | Input::Final(_)
                | Input::Late
                | Input::Unreachable
                | Input::Fired(_),
            ) => Terminated,
        }
    }
}
