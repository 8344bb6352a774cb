//! What waits to be sent: a line for each target, in order, one request at a time, with a rest after a failure.
//!
//! A newer notice of a conversation takes the place of one that still waits: the person would see the newer one alone. No clock and no
//! task: whoever owns it says what time it is, and sends what [`Queue::next`] gives.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasm_core::Time;

use crate::node::{Notice, Outlet};
use crate::store::UserId;

/// Notices in all lines.
const MOST: usize = 20_000;
/// Notices in one line.
const MOST_IN_LINE: usize = 32;
/// How often one notice is tried.
const ATTEMPTS: u32 = 5;
/// The rest after the first failure, four times as long after each further one.
const REST: Duration = Duration::from_secs(5);
/// The shortest and the longest rest that a target may ask for.
const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// Whom a notice goes to.
pub type Target = (UserId, Outlet);

/// A notice on its way to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub notice: Arc<Notice>,
    /// How often it was tried.
    pub attempts: u32,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing more to do about this notice.
    Done,
    /// Not now; perhaps not before this is over.
    Later(Option<Duration>),
    /// The target is no more.
    Gone,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Job>,
    /// A request is under way, or the line rests.
    held: bool,
}

/// The lines.
#[derive(Debug, Default)]
pub struct Queue {
    lines: HashMap<Target, Line>,
    ready: VecDeque<Target>,
    resting: BinaryHeap<Reverse<(Time, u64)>>,
    rests: HashMap<u64, Target>,
    next_rest: u64,
    len: usize,
}

impl Queue {
    /// Puts a notice into the line of its target. Says how many there is no room for.
    pub fn put(&mut self, target: Target, notice: Arc<Notice>) -> usize {
        let line = self.lines.entry(target.clone()).or_default();
        let before = line.waiting.len();
        // One that failed keeps its place, as it may be the one that others wait behind.
        line.waiting.retain(|job| job.attempts > 0 || job.notice.from != notice.from);
        self.len -= before - line.waiting.len();
        let mut dropped = 0;
        if line.waiting.len() >= MOST_IN_LINE {
            line.waiting.pop_front();
            self.len -= 1;
            dropped += 1;
        }
        if self.len >= MOST {
            dropped += 1;
        } else {
            line.waiting.push_back(Job { notice, attempts: 0 });
            self.len += 1;
        }
        self.offer(target);
        dropped
    }

    /// A line that has something and is not held is ready, once; one that has nothing is forgotten.
    fn offer(&mut self, target: Target) {
        let Some(line) = self.lines.get_mut(&target).filter(|line| !line.held) else { return };
        if line.waiting.is_empty() {
            self.lines.remove(&target);
        } else {
            line.held = true;
            self.ready.push_back(target);
        }
    }

    /// The next to be sent; its line is held until [`Queue::done`].
    pub fn next(&mut self, now: Time) -> Option<(Target, Job)> {
        while let Some(Reverse((until, rest))) = self.resting.peek().copied()
            && until <= now
        {
            self.resting.pop();
            self.ready.extend(self.rests.remove(&rest));
        }
        while let Some(target) = self.ready.pop_front() {
            let Some(line) = self.lines.get_mut(&target) else { continue };
            let before = line.waiting.len();
            while line.waiting.front().is_some_and(|job| job.notice.expires_at <= now) {
                line.waiting.pop_front();
            }
            self.len -= before - line.waiting.len();
            if let Some(job) = line.waiting.pop_front() {
                self.len -= 1;
                return Some((target, job));
            }
            self.lines.remove(&target);
        }
        None
    }

    /// An attempt has ended. Says how many notices are given up.
    pub fn done(&mut self, now: Time, target: Target, job: Job, outcome: Outcome) -> usize {
        let Some(line) = self.lines.get_mut(&target) else { return 0 };
        let mut dropped = 0;
        match outcome {
            Outcome::Done => line.held = false,
            Outcome::Gone => {
                let line = self.lines.remove(&target);
                dropped = line.map_or(0, |line| line.waiting.len());
                self.len -= dropped;
            }
            Outcome::Later(wish) => {
                let attempts = job.attempts + 1;
                let rest = wish.unwrap_or(REST * 4u32.pow(job.attempts.min(ATTEMPTS))).clamp(SHORTEST_REST, LONGEST_REST);
                if attempts >= ATTEMPTS || now + rest >= job.notice.expires_at {
                    dropped = 1;
                } else {
                    line.waiting.push_front(Job { attempts, ..job });
                    self.len += 1;
                }
                self.next_rest += 1;
                self.resting.push(Reverse((now + rest, self.next_rest)));
                self.rests.insert(self.next_rest, target);
                return dropped;
            }
        }
        self.offer(target);
        dropped
    }

    /// When [`Queue::next`] may have something that it has not now.
    pub fn next_timeout(&self) -> Option<Time> {
        self.resting.peek().map(|Reverse((until, _))| *until)
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::Text;
    use wasm_core::cpm::address::Address;
    use wasm_core::cpm::ids::MessageId;

    use super::*;

    const NOW: Time = Time(1_000_000);

    fn target(user: i64) -> Target {
        (UserId(user), Outlet::Phones)
    }

    fn notice(from: &str, id: &str) -> Arc<Notice> {
        let address = |name| Address::from_parts(name, "tandem.test").unwrap();
        Arc::new(Notice {
            message_id: MessageId::parse(&Text::from(id)).unwrap(),
            from: address(from),
            name: None,
            to: address("bob"),
            conversation: None,
            subject: None,
            text: None,
            date: NOW,
            size: 0,
            expires_at: NOW + Duration::from_secs(24 * 3600),
        })
    }

    fn id(next: Option<&(Target, Job)>) -> &str {
        next.map_or("", |(_, job)| job.notice.message_id.as_str())
    }

    #[test]
    fn one_at_a_time_for_each_target_and_the_newest_of_a_conversation() {
        let mut queue = Queue::default();
        queue.put(target(1), notice("alice", "1"));
        let first = queue.next(NOW).unwrap();
        for (from, id) in [("alice", "2"), ("carol", "3"), ("alice", "4")] {
            queue.put(target(1), notice(from, id));
        }
        assert_eq!(queue.next(NOW), None);
        queue.put(target(2), notice("alice", "5"));
        assert_eq!(id(queue.next(NOW).as_ref()), "5");
        queue.done(NOW, first.0, first.1, Outcome::Done);
        let next = queue.next(NOW).unwrap();
        assert_eq!(next.1.notice.message_id.as_str(), "3");
        queue.done(NOW, next.0, next.1, Outcome::Done);
        assert_eq!(id(queue.next(NOW).as_ref()), "4");
    }

    /// R224: a target that is overloaded is left alone for as long as it asks, others are not.
    #[test]
    fn a_target_that_fails_rests_and_is_given_up_in_the_end() {
        let mut queue = Queue::default();
        queue.put(target(1), notice("alice", "1"));
        let (mut now, mut tries) = (NOW, Vec::new());
        let wishes = [Some(Duration::from_secs(60)), None, None, None, None];
        for wish in wishes {
            let (target, job) = queue.next(now).unwrap();
            tries.push(now.since(NOW).as_secs());
            let given_up = queue.done(now, target, job, Outcome::Later(wish));
            assert_eq!(given_up, usize::from(tries.len() == wishes.len()));
            assert_eq!(queue.next(now), None);
            now = queue.next_timeout().unwrap();
        }
        assert_eq!(tries, [0, 60, 80, 160, 480]);
        assert_eq!(queue.next(now), None);
        assert_eq!((queue.len, queue.lines.len(), queue.rests.len()), (0, 0, 0));
    }

    #[test]
    fn what_has_expired_or_lost_its_target_is_not_sent() {
        let mut queue = Queue::default();
        queue.put(target(1), notice("alice", "1"));
        queue.put(target(1), notice("carol", "2"));
        let (target, job) = queue.next(NOW).unwrap();
        assert_eq!(queue.done(NOW, target.clone(), job, Outcome::Gone), 1);
        queue.put(target, notice("alice", "3"));
        assert_eq!(queue.next(NOW + Duration::from_secs(48 * 3600)), None);
        assert_eq!((queue.len, queue.lines.len()), (0, 0));
    }

    #[test]
    fn a_line_is_bounded() {
        let mut queue = Queue::default();
        let dropped: usize = (0..40).map(|nth| queue.put(target(1), notice(&format!("user{nth}"), "x"))).sum();
        assert_eq!((dropped, queue.len), (40 - MOST_IN_LINE, MOST_IN_LINE));
    }
}
