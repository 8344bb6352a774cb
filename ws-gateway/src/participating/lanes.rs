//! The lanes to a user's devices: what goes to each, in order, one message of a conversation at a time.
//!
//! The store is the truth about what waits; a lane holds what is about to be sent. A lane is in one of these states:
//!
//! | state | what it does with a new message | leaves it when |
//! |---|---|---|
//! | Live | sends it, after those of the same conversation | the device fails: Stalled |
//! | Catching | sends what the store had first, then what came meanwhile | the store has no more: Live; the device fails: Stalled |
//! | Stalled | leaves it to the store | its time comes, or the device registers anew: Catching |
//!
//! A device that refuses a message for good loses that message on this lane, and the next one follows. Everything is bounded: what
//! does not fit is left to the store, and the lane goes back to Catching.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use wasm_core::Time;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::MessageId;
use wasm_core::wire::sip::Request;

use super::LetterId;
use crate::node::{Outlet, SessionId};
use crate::sip_core::location::BindingId;
use crate::store::{PendingId, PendingKind};

/// How many messages of different conversations are under way to one device at a time.
const WIDTH: usize = 8;

/// One message on its way to a user's devices.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its place in the store's queue; a typing notification has none.
    pub(super) pending: Option<PendingId>,
    pub(super) kind: PendingKind,
    /// Whose answer depends on it. What was read from the store has none.
    pub(super) letter: Option<LetterId>,
    /// The message that it is, or is about; nothing for what leaves no trace.
    pub(super) about: Option<MessageId>,
    /// Until when it waits.
    pub(super) expires_at: Time,
    /// The other side: messages of one conversation stay in order.
    pub(super) from: Address,
    /// What to send, in CPIM where the service made it so.
    pub(super) request: Request,
}

/// How a device gets what is in its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// As MESSAGEs.
    Message,
    /// In a session that the device has not taken yet: nothing is sent meanwhile.
    Offered(SessionId),
    /// In this session.
    Session(SessionId),
}

impl Carrier {
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Carrier::Message => None,
            Carrier::Offered(session) | Carrier::Session(session) => Some(session),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Live,
    /// Reads the store's queue after this entry; whether it has asked already.
    Catching {
        after: Option<PendingId>,
        asked: bool,
    },
    Stalled {
        until: Time,
    },
}

/// The lane to one device.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) binding: BindingId,
    /// How the device can be told of something when this lane cannot.
    pub(super) outlet: Option<Outlet>,
    /// Whether the device takes sessions of deferred messages, and has not been offered one.
    pub(super) offers: bool,
    pub(super) carrier: Carrier,
    state: State,
    /// To be sent, in order.
    queue: VecDeque<Arc<Parcel>>,
    /// Came while catching up: sent after what the store had.
    held: VecDeque<Arc<Parcel>>,
    /// Read from the store in this bout of catching up.
    caught: HashSet<PendingId>,
    /// The conversations of what is under way.
    flying: Vec<Address>,
    /// When the store has something for the device that may not be sent yet.
    later: Option<Time>,
    limit: usize,
}

/// What became of a parcel that was put on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It will be tried.
    Taken,
    /// The store keeps it until the device can be reached.
    Left,
}

impl Lane {
    /// A lane that begins with what the store has, if it may have anything.
    pub(super) fn new(binding: BindingId, outlet: Option<Outlet>, limit: usize, waiting: bool) -> Self {
        let state = if waiting { State::Catching { after: None, asked: false } } else { State::Live };
        Lane {
            binding,
            outlet,
            offers: false,
            carrier: Carrier::Message,
            state,
            queue: VecDeque::new(),
            held: VecDeque::new(),
            caught: HashSet::new(),
            flying: Vec::new(),
            later: None,
            limit,
        }
    }

    /// Adds a parcel that has just come.
    pub(super) fn put(&mut self, parcel: &Arc<Parcel>) -> Put {
        let fits = self.queue.len() + self.held.len() < self.limit;
        match self.state {
            State::Live if fits => {
                self.queue.push_back(parcel.clone());
                Put::Taken
            }
            // The store will be asked for it too, but another device may have taken it by then.
            State::Catching { .. } if fits => {
                self.held.push_back(parcel.clone());
                Put::Taken
            }
            State::Live => {
                // Too much at once: what is queued is sent, and the rest comes from the store.
                self.state = State::Catching { after: parcel.pending.map(|PendingId(id)| PendingId(id - 1)), asked: false };
                Put::Left
            }
            State::Catching { .. } | State::Stalled { .. } => Put::Left,
        }
    }

    /// What to ask the store for now, if anything: what comes after this entry.
    pub(super) fn ask(&mut self) -> Option<Option<PendingId>> {
        match &mut self.state {
            State::Catching { after, asked } if !*asked && self.queue.is_empty() && self.flying.is_empty() => {
                *asked = true;
                Some(*after)
            }
            State::Live | State::Catching { .. } | State::Stalled { .. } => None,
        }
    }

    /// The store's answer: the next in line, the last that it looked at, and whether there may be more.
    pub(super) fn loaded(&mut self, parcels: Vec<Arc<Parcel>>, last: Option<PendingId>, more: bool) {
        let State::Catching { .. } = self.state else { return };
        // Of what has come meanwhile too, the one that came: a letter may hang on it.
        let came = |parcel: Arc<Parcel>| self.held.iter().find(|held| held.pending == parcel.pending).cloned().unwrap_or(parcel);
        let parcels: Vec<_> = parcels.into_iter().map(came).collect();
        self.caught.extend(parcels.iter().filter_map(|parcel| parcel.pending));
        self.queue.extend(parcels);
        if more {
            self.state = State::Catching { after: last, asked: false };
            return;
        }
        let caught = std::mem::take(&mut self.caught);
        let held = std::mem::take(&mut self.held);
        self.queue.extend(held.into_iter().filter(|parcel| parcel.pending.is_none_or(|id| !caught.contains(&id))));
        self.state = State::Live;
    }

    /// The next parcel that may be sent.
    pub(super) fn next(&mut self) -> Option<Arc<Parcel>> {
        if self.flying.len() >= WIDTH || matches!(self.carrier, Carrier::Offered(_)) {
            return None;
        }
        let at = self.queue.iter().position(|parcel| !self.flying.contains(&parcel.from))?;
        let parcel = self.queue.remove(at)?;
        self.flying.push(parcel.from.clone());
        Some(parcel)
    }

    /// Whether something waited that would go best in a session, which is to be offered now.
    pub(super) fn wants_session(&self) -> bool {
        let waited = |parcel: &Arc<Parcel>| parcel.kind == PendingKind::Message && parcel.letter.is_none();
        self.offers && self.queue.iter().any(waited)
    }

    /// The session that has nothing left to carry.
    pub(super) fn done(&self) -> Option<&SessionId> {
        let empty = self.state == State::Live && self.queue.is_empty() && self.flying.is_empty();
        self.carrier.session().filter(|_| empty)
    }

    /// Looks into the store again: something there is for the devices now.
    pub(super) fn catch_up(&mut self) {
        match self.state {
            State::Live | State::Catching { .. } => self.state = State::Catching { after: None, asked: false },
            State::Stalled { .. } => {}
        }
    }

    /// A parcel is no longer under way.
    pub(super) fn landed(&mut self, parcel: &Parcel) {
        if let Some(at) = self.flying.iter().position(|from| *from == parcel.from) {
            self.flying.swap_remove(at);
        }
    }

    /// The device cannot be reached: what was queued is left to the store. Returns what nobody will try now.
    pub(super) fn stall(&mut self, until: Time) -> Vec<Arc<Parcel>> {
        self.state = State::Stalled { until };
        self.caught.clear();
        self.queue.drain(..).chain(self.held.drain(..)).collect()
    }

    /// When the lane wants to be woken.
    pub(super) fn wakes(&self) -> Option<Time> {
        match self.state {
            State::Stalled { until } => Some(until),
            State::Live | State::Catching { .. } => None,
        }
    }

    /// The store keeps something for the device until then; says whether that is news.
    pub(super) fn later(&mut self, until: Time) -> bool {
        let news = self.later.is_none_or(|known| until < known);
        if news {
            self.later = Some(until);
        }
        news
    }

    /// Its time has come, if it has: it reads the store again. One that is reading must be woken once more; says whether it must.
    pub(super) fn wake(&mut self, now: Time) -> bool {
        let due = self.later.is_some_and(|until| until <= now);
        match self.state {
            State::Stalled { until } if until > now => return false,
            State::Live if !due => return false,
            State::Catching { .. } => return due,
            State::Stalled { .. } | State::Live => {}
        }
        self.state = State::Catching { after: None, asked: false };
        self.later = None;
        false
    }

    /// Takes out everything that was to be sent.
    pub(super) fn dissolve(self) -> Vec<Arc<Parcel>> {
        self.queue.into_iter().chain(self.held).collect()
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::wire::sip::{Method, SipUri};

    use super::*;

    fn parcel(pending: i64, from: &str) -> Arc<Parcel> {
        Arc::new(Parcel {
            pending: Some(PendingId(pending)),
            kind: PendingKind::Message,
            letter: None,
            about: None,
            expires_at: Time::NEVER,
            from: Address::from_parts(from, "tandem.test").unwrap(),
            request: Request::new(Method::Message, SipUri::new("bob", "tandem.test")),
        })
    }

    fn ids(lane: &mut Lane) -> Vec<i64> {
        std::iter::from_fn(|| lane.next()).filter_map(|parcel| parcel.pending.map(|id| id.0)).collect()
    }

    #[test]
    fn one_message_of_a_conversation_at_a_time_and_in_order() {
        let mut lane = Lane::new(BindingId(1), None, 16, false);
        for (id, from) in [(1, "alice"), (2, "alice"), (3, "carol"), (4, "alice")] {
            assert_eq!(lane.put(&parcel(id, from)), Put::Taken);
        }
        assert_eq!(ids(&mut lane), [1, 3]);
        lane.landed(&parcel(1, "alice"));
        assert_eq!(ids(&mut lane), [2]);
        lane.landed(&parcel(3, "carol"));
        assert_eq!(ids(&mut lane), Vec::<i64>::new());
        lane.landed(&parcel(2, "alice"));
        assert_eq!(ids(&mut lane), [4]);
    }

    /// R050: what waited comes first, and what came meanwhile follows once.
    #[test]
    fn catching_up_keeps_the_order_and_doubles_nothing() {
        let mut lane = Lane::new(BindingId(1), None, 16, true);
        assert_eq!(lane.ask(), Some(None));
        assert_eq!(lane.ask(), None);
        lane.put(&parcel(3, "alice"));
        lane.put(&parcel(4, "alice"));
        lane.loaded(vec![parcel(1, "alice"), parcel(2, "carol")], Some(PendingId(2)), true);
        assert_eq!(ids(&mut lane), [1, 2]);
        assert_eq!(lane.ask(), None);
        lane.landed(&parcel(1, "alice"));
        lane.landed(&parcel(2, "carol"));
        assert_eq!(lane.ask(), Some(Some(PendingId(2))));
        lane.loaded(vec![parcel(3, "alice")], Some(PendingId(3)), false);
        assert_eq!(ids(&mut lane), [3]);
        lane.landed(&parcel(3, "alice"));
        assert_eq!(ids(&mut lane), [4]);
    }

    #[test]
    fn a_device_that_fails_is_left_alone_and_then_read_from_the_store() {
        let mut lane = Lane::new(BindingId(1), None, 16, false);
        lane.put(&parcel(1, "alice"));
        lane.put(&parcel(2, "alice"));
        let first = lane.next().unwrap();
        lane.landed(&first);
        assert_eq!(lane.stall(Time(60)).len(), 1);
        assert_eq!(lane.put(&parcel(3, "alice")), Put::Left);
        lane.wake(Time(59));
        assert_eq!(lane.ask(), None);
        lane.wake(Time(60));
        assert_eq!(lane.ask(), Some(None));
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_store() {
        let mut lane = Lane::new(BindingId(1), None, 2, false);
        assert_eq!(lane.put(&parcel(1, "alice")), Put::Taken);
        assert_eq!(lane.put(&parcel(2, "alice")), Put::Taken);
        assert_eq!(lane.put(&parcel(3, "alice")), Put::Left);
        assert_eq!(ids(&mut lane), [1]);
        lane.landed(&parcel(1, "alice"));
        assert_eq!(ids(&mut lane), [2]);
        assert_eq!(lane.ask(), None);
        lane.landed(&parcel(2, "alice"));
        assert_eq!(lane.ask(), Some(Some(PendingId(2))));
    }
}
