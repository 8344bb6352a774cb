//! The timers of all transactions of a layer.
//!
//! Their durations are few and fixed, so each duration has a queue of its own in which deadlines only grow: arming is a push at one
//! end, firing a pop at the other, and nothing is ever searched. A timer is not taken back when its transaction moves on; the machines
//! ignore a letter that means nothing in their state, and entries of transactions that are gone are swept when they outnumber the others.

use std::collections::VecDeque;
use std::time::Duration;

use super::table::Id;
use super::{client, invite_client, invite_server, server};
use crate::Time;

/// The base values of [RFC3261 §17.1.1.1]; everything else follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// The estimate of a round trip.
    pub t1: Duration,
    /// The longest interval between retransmissions of what is not an INVITE.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// How long a transaction lasts: 64 * T1.
    pub fn lifetime(&self) -> Duration {
        self.t1 * 64
    }

    /// When a client that was answered nothing has slowed its retransmissions down to T2.
    pub(super) fn slowdown(&self) -> Duration {
        let mut interval = self.t1;
        let mut sum = Duration::ZERO;
        while interval < self.t2 && !interval.is_zero() {
            sum += interval;
            interval *= 2;
        }
        sum
    }

    /// The next of a series of retransmission intervals.
    pub(super) fn doubled(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }
}

/// A timer of one of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    InviteClient(invite_client::Timer),
    Client(client::Timer),
    InviteServer(invite_server::Timer),
    Server(server::Timer),
}

#[derive(Debug)]
struct Entry {
    due: Time,
    id: Id,
    timer: Alarm,
}

/// Deadlines, by duration.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Vec<(Duration, VecDeque<Entry>)>,
}

impl Queues {
    /// Arms a timer. Time never runs backwards, so each queue stays in order.
    pub(super) fn arm(&mut self, now: Time, id: Id, timer: Alarm, after: Duration) {
        let entry = Entry { due: now + after, id, timer };
        match self.queues.iter_mut().find(|(duration, _)| *duration == after) {
            Some((_, queue)) => queue.push_back(entry),
            None => self.queues.push((after, VecDeque::from([entry]))),
        }
    }

    /// The earliest deadline, perhaps of a transaction that is gone.
    pub(super) fn next(&self) -> Option<Time> {
        self.queues.iter().filter_map(|(_, queue)| queue.front()).map(|entry| entry.due).min()
    }

    /// The earliest timer that is due.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Id, Alarm)> {
        let due = |queue: &VecDeque<Entry>| queue.front().map(|entry| entry.due).filter(|due| *due <= now);
        let (_, queue) = self.queues.iter_mut().filter(|(_, queue)| due(queue).is_some()).min_by_key(|(_, queue)| due(queue))?;
        queue.pop_front().map(|entry| (entry.id, entry.timer))
    }

    /// Drops the entries of transactions that are gone: those at the front, and all of them in a queue in which they may be the most.
    pub(super) fn sweep(&mut self, live: usize, is_live: impl Fn(Id) -> bool) {
        for (_, queue) in &mut self.queues {
            while queue.front().is_some_and(|entry| !is_live(entry.id)) {
                queue.pop_front();
            }
            if queue.len() > 4 * live + 64 {
                queue.retain(|entry| is_live(entry.id));
            }
        }
    }
}

#[cfg(test)]
impl Queues {
    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(|(_, queue)| queue.len()).sum()
    }
}
