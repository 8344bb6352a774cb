//! What was sent lately: enough to judge a notification about it without asking the store.
//!
//! A bounded memory, oldest forgotten first. What it does not know, the store does.

use std::collections::{HashMap, VecDeque};

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::ids::MessageId;
use wasm_core::wire::sip::Status;

use crate::store::{Direction, UserId};

/// A message in one user's box.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) user: UserId,
    pub(super) direction: Direction,
    pub(super) with: Address,
    pub(super) message_id: MessageId,
}

/// What is remembered of it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) wants: Wants,
    /// The sender's device that it came from, where that is known.
    pub(super) device: Option<Text>,
    /// What its sender was answered.
    pub(super) answer: Option<Status>,
}

/// The memory.
#[derive(Debug)]
pub(super) struct Recent {
    known: HashMap<Key, Known>,
    order: VecDeque<Key>,
    limit: usize,
}

impl Recent {
    pub(super) fn new(limit: usize) -> Self {
        Recent { known: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Known> {
        self.known.get(key).cloned()
    }

    pub(super) fn insert(&mut self, key: Key, known: Known) {
        if self.known.insert(key.clone(), known).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn answered(&mut self, key: &Key, answer: Status) {
        if let Some(known) = self.known.get_mut(key) {
            known.answer = Some(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Key {
        Key {
            user: UserId(1),
            direction: Direction::Out,
            with: Address::parse("sip:bob@tandem.test").unwrap(),
            message_id: MessageId::parse(&id.into()).unwrap(),
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        for id in ["a", "b", "b", "c"] {
            recent.insert(key(id), Known { wants: Wants::default(), device: None, answer: None });
        }
        recent.answered(&key("c"), Status::OK);
        assert!(recent.get(&key("a")).is_none());
        assert!(recent.get(&key("b")).is_some());
        assert_eq!(recent.get(&key("c")).unwrap().answer, Some(Status::OK));
        assert_eq!(recent.order.len(), recent.known.len());
    }
}
