//! The client transaction of every request but INVITE and ACK: [RFC3261 §17.1.2].

use std::time::Duration;

use bytes::Bytes;

use super::machine::{Context, Effect, Effects, Ending, Machine};
use super::table::Kind;
use super::timer::Alarm;

#[derive(Debug)]
pub(super) enum Client {
    /// Nothing was heard yet.
    Trying {
        wire: Bytes,
        interval: Duration,
    },
    /// A provisional response came: retransmissions slow down to T2.
    Proceeding {
        wire: Bytes,
    },
    /// A final response came; its retransmissions are absorbed.
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    E,
    F,
    K,
}

#[derive(Debug)]
pub(super) enum Input {
    Provisional,
    Final,
    Fired(Timer),
    Unreachable,
}

impl Client {
    /// Sends the request, whose encoding is `wire`.
    pub(super) fn start(wire: Bytes, context: &Context, effects: &mut Effects<Timer>) -> Client {
        effects.push(Effect::Send(wire.clone()));
        effects.push(Effect::Arm(Timer::F, context.timers.lifetime()));
        if context.reliable {
            // Nothing is sent twice, so nothing need be kept.
            return Client::Trying { wire: Bytes::new(), interval: Duration::ZERO };
        }
        effects.push(Effect::Arm(Timer::E, context.timers.t1));
        Client::Trying { wire, interval: context.timers.t1 }
    }
}

impl Machine for Client {
    type Input<'a> = Input;
    type Timer = Timer;
    const TERMINATED: Client = Client::Terminated;
    const CLIENT: bool = true;

    fn of(kind: &mut Kind) -> Option<&mut Client> {
        if let Kind::Client(machine, _) = kind { Some(machine) } else { None }
    }

    fn alarm(timer: Timer) -> Alarm {
        Alarm::Client(timer)
    }

    fn is_terminated(&self) -> bool {
        matches!(self, Client::Terminated)
    }

    fn step(self, input: Input, context: &Context, effects: &mut Effects<Timer>) -> Client {
        use Client::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            (Trying { wire, .. } | Proceeding { wire }, Input::Provisional) => {
                effects.push(Effect::Deliver);
                Proceeding { wire }
            }
            (Trying { .. } | Proceeding { .. }, Input::Final) => {
                effects.push(Effect::Deliver);
                if context.reliable {
                    return Terminated;
                }
                effects.push(Effect::Arm(Timer::K, context.timers.t4));
                Completed
            }
            (Trying { wire, interval }, Input::Fired(Timer::E)) => {
                let interval = context.timers.doubled(interval);
                effects.push(Effect::Send(wire.clone()));
                effects.push(Effect::Arm(Timer::E, interval));
                Trying { wire, interval }
            }
            (Proceeding { wire }, Input::Fired(Timer::E)) => {
                effects.push(Effect::Send(wire.clone()));
                effects.push(Effect::Arm(Timer::E, context.timers.t2));
                Proceeding { wire }
            }
            (Trying { .. } | Proceeding { .. }, Input::Fired(Timer::F)) => {
                effects.push(Effect::Report(Ending::Timeout));
                Terminated
            }
            (Trying { .. } | Proceeding { .. }, Input::Unreachable) => {
                effects.push(Effect::Report(Ending::Unreachable));
                Terminated
            }
            (waiting @ (Trying { .. } | Proceeding { .. }), Input::Fired(Timer::K)) => waiting,

            (Completed, Input::Fired(Timer::K) | Input::Unreachable) => Terminated,
            (Completed, Input::Provisional | Input::Final | Input::Fired(Timer::E | Timer::F)) => Completed,

            (Terminated, Input::Provisional | Input::Final | Input::Fired(_) | Input::Unreachable) => Terminated,
        }
    }
}
