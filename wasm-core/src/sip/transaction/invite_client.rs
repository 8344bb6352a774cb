//! The INVITE client transaction: [RFC3261 §17.1.1] with the Accepted state of [RFC6026 §7.2].
//!
//! It acknowledges failures itself; successes are for its user to acknowledge, which is why every one of them is delivered. A CANCEL
//! asked for before any provisional response waits for one [RFC3261 §9.1].

use std::time::Duration;

use bytes::Bytes;

use super::machine::{Context, Effect, Effects, Ending, Machine};
use super::table::Kind;
use super::timer::Alarm;
use crate::wire::sip::{HeaderName, Reason, Request, Response};

#[derive(Debug)]
pub(super) enum InviteClient {
    /// Nothing was heard yet.
    Calling {
        request: Box<Request>,
        wire: Bytes,
        interval: Duration,
        cancel: bool,
    },
    /// A provisional response came; `heard` says whether one came since Timer C last fired.
    Proceeding {
        request: Box<Request>,
        heard: bool,
        cancelled: bool,
    },
    /// A failure came and was acknowledged.
    Completed {
        ack: Bytes,
    },
    /// A success came; more may follow from other branches of a fork.
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    A,
    B,
    C,
    D,
    M,
    Cancelled,
}

#[derive(Debug)]
pub(super) enum Input<'a> {
    Provisional,
    Success,
    Failure(&'a Response),
    Cancel,
    Fired(Timer),
    Unreachable,
}

impl InviteClient {
    /// Sends the request, whose encoding is `wire`.
    pub(super) fn start(mut request: Box<Request>, wire: Bytes, context: &Context, effects: &mut Effects<Timer>) -> InviteClient {
        // From here on, the reason is that of the CANCEL.
        request.headers.remove(&HeaderName::Reason);
        effects.push(Effect::Send(wire.clone()));
        if !context.reliable {
            effects.push(Effect::Arm(Timer::A, context.timers.t1));
        }
        effects.push(Effect::Arm(Timer::B, context.timers.lifetime()));
        InviteClient::Calling { request, wire, interval: context.timers.t1, cancel: false }
    }

    /// Has a CANCEL that may follow say why [RFC3326].
    pub(super) fn explain(&mut self, reason: &Reason) {
        if let InviteClient::Calling { request, .. } | InviteClient::Proceeding { request, .. } = self {
            request.headers.set(HeaderName::Reason, reason.to_string());
        }
    }
}

impl Machine for InviteClient {
    type Input<'a> = Input<'a>;
    type Timer = Timer;
    const TERMINATED: InviteClient = InviteClient::Terminated;
    const CLIENT: bool = true;

    fn of(kind: &mut Kind) -> Option<&mut InviteClient> {
        if let Kind::InviteClient(machine) = kind { Some(machine) } else { None }
    }

    fn alarm(timer: Timer) -> Alarm {
        Alarm::InviteClient(timer)
    }

    fn is_terminated(&self) -> bool {
        matches!(self, InviteClient::Terminated)
    }

    fn step(self, input: Input<'_>, context: &Context, effects: &mut Effects<Timer>) -> InviteClient {
        use InviteClient::{Accepted, Calling, Completed, Proceeding, Terminated};
        match (self, input) {
            (Calling { request, cancel, .. }, Input::Provisional) => {
                effects.push(Effect::Deliver);
                effects.push(Effect::Arm(Timer::C, context.timer_c));
                if cancel {
                    send_cancel(&request, context, effects);
                }
                Proceeding { request, heard: true, cancelled: cancel }
            }
            (Calling { .. } | Proceeding { .. }, Input::Success) => {
                effects.push(Effect::Deliver);
                effects.push(Effect::Arm(Timer::M, context.timers.lifetime()));
                Accepted
            }
            (Calling { request, .. } | Proceeding { request, .. }, Input::Failure(response)) => {
                let ack = super::derived::acknowledgement(&request, response).to_bytes();
                effects.push(Effect::Send(ack.clone()));
                effects.push(Effect::Deliver);
                if context.reliable {
                    return Terminated;
                }
                effects.push(Effect::Arm(Timer::D, context.timers.lifetime()));
                Completed { ack }
            }
            (Calling { request, wire, interval, .. }, Input::Cancel) => Calling { request, wire, interval, cancel: true },
            (Calling { request, wire, interval, cancel }, Input::Fired(Timer::A)) => {
                effects.push(Effect::Send(wire.clone()));
                effects.push(Effect::Arm(Timer::A, interval * 2));
                Calling { request, wire, interval: interval * 2, cancel }
            }
            (Calling { .. }, Input::Fired(Timer::B)) | (Proceeding { cancelled: true, .. }, Input::Fired(Timer::Cancelled)) => {
                effects.push(Effect::Report(Ending::Timeout));
                Terminated
            }
            (Calling { .. } | Proceeding { .. }, Input::Unreachable) => {
                effects.push(Effect::Report(Ending::Unreachable));
                Terminated
            }
            (calling @ Calling { .. }, Input::Fired(Timer::C | Timer::D | Timer::M | Timer::Cancelled)) => calling,

            (Proceeding { request, cancelled, .. }, Input::Provisional) => {
                effects.push(Effect::Deliver);
                Proceeding { request, heard: true, cancelled }
            }
            (Proceeding { request, heard: true, cancelled }, Input::Fired(Timer::C)) => {
                effects.push(Effect::Arm(Timer::C, context.timer_c));
                Proceeding { request, heard: false, cancelled }
            }
            (Proceeding { request, heard, cancelled: false }, Input::Cancel)
            | (Proceeding { request, heard: heard @ false, cancelled: false }, Input::Fired(Timer::C)) => {
                send_cancel(&request, context, effects);
                Proceeding { request, heard, cancelled: true }
            }
            (
                proceeding @ Proceeding { .. },
                Input::Cancel | Input::Fired(Timer::A | Timer::B | Timer::C | Timer::D | Timer::M | Timer::Cancelled),
            ) => proceeding,

            (Completed { ack }, Input::Failure(_)) => {
                effects.push(Effect::Send(ack.clone()));
                Completed { ack }
            }
            (Completed { .. }, Input::Fired(Timer::D) | Input::Unreachable) => Terminated,
            (
                completed @ Completed { .. },
                Input::Provisional
                | Input::Success
                | Input::Cancel
                | Input::Fired(Timer::A | Timer::B | Timer::C | Timer::M | Timer::Cancelled),
            ) => completed,

            (Accepted, Input::Success) => {
                effects.push(Effect::Deliver);
                Accepted
            }
            (Accepted, Input::Fired(Timer::M)) => Terminated,
            (
                Accepted,
                Input::Provisional
                | Input::Failure(_)
                | Input::Cancel
                | Input::Unreachable
                | Input::Fired(Timer::A | Timer::B | Timer::C | Timer::D | Timer::Cancelled),
            ) => Accepted,

            (
                Terminated,
                Input::Provisional | Input::Success | Input::Failure(_) | Input::Cancel | Input::Unreachable | Input::Fired(_),
            ) => Terminated,
        }
    }
}

fn send_cancel(request: &Request, context: &Context, effects: &mut Effects<Timer>) {
    effects.push(Effect::Cancel(Box::new(super::derived::cancellation(request))));
    effects.push(Effect::Arm(Timer::Cancelled, context.timers.lifetime()));
}
