//! One folder: the messages that passed with one peer, in their order.

use std::collections::HashMap;
use std::ops::Range;

use crate::client::record::{self, Message, Place};
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, MessageId};

/// The messages that passed with one peer.
///
/// A message is inserted at its place by binary search; at the end, where nearly all of them go, that costs nothing.
#[derive(Debug)]
pub struct Folder {
    /// What is known besides the messages.
    pub row: record::Folder,
    /// Whether the other side is writing.
    pub typing: bool,
    /// Whether older messages are being fetched.
    pub loading: bool,
    messages: HashMap<MessageId, Message>,
    order: Vec<Slot>,
    contributions: HashMap<ContributionId, MessageId>,
    unseen: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    rank: (u64, u64),
    id: MessageId,
}

impl Slot {
    fn of(message: &Message) -> Slot {
        Slot { rank: message.place.rank(), id: message.id.clone() }
    }
}

impl Folder {
    /// An empty folder.
    pub fn new(with: Address) -> Self {
        Folder {
            row: record::Folder::new(with),
            typing: false,
            loading: false,
            messages: HashMap::new(),
            order: Vec::new(),
            contributions: HashMap::new(),
            unseen: 0,
        }
    }

    /// Puts a message in, in place of an older state of it.
    pub fn put(&mut self, message: Message) {
        let slot = Slot::of(&message);
        let unseen = is_unseen(&message);
        if let Some(contribution) = &message.contribution {
            self.contributions.insert(contribution.clone(), message.id.clone());
        }
        let old = self.messages.insert(message.id.clone(), message);
        self.unseen += u32::from(unseen);
        if let Some(old) = old {
            self.unseen -= u32::from(is_unseen(&old));
            if old.place.rank() == slot.rank {
                return;
            }
            self.unslot(&Slot::of(&old));
        }
        let at = match self.order.last() {
            Some(last) if *last > slot => self.order.partition_point(|other| *other < slot),
            Some(_) | None => self.order.len(),
        };
        self.order.insert(at, slot);
    }

    /// Takes a message out.
    pub fn remove(&mut self, id: &MessageId) {
        let Some(message) = self.messages.remove(id) else { return };
        self.unseen -= u32::from(is_unseen(&message));
        self.unslot(&Slot::of(&message));
        if let Some(contribution) = &message.contribution {
            self.contributions.remove(contribution);
        }
    }

    fn unslot(&mut self, slot: &Slot) {
        if let Ok(at) = self.order.binary_search(slot) {
            self.order.remove(at);
        }
    }

    /// A message.
    pub fn get(&self, id: &MessageId) -> Option<&Message> {
        self.messages.get(id)
    }

    /// The message that is this contribution.
    pub fn by_contribution(&self, contribution: &ContributionId) -> Option<&Message> {
        self.messages.get(self.contributions.get(contribution)?)
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The identifiers, oldest message first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &MessageId> + DoubleEndedIterator {
        self.order.iter().map(|slot| &slot.id)
    }

    /// The messages at these positions.
    pub fn range(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = &Message> {
        let end = range.end.min(self.order.len());
        self.order[range.start.min(end)..end].iter().filter_map(|slot| self.messages.get(&slot.id))
    }

    /// The position of a message.
    pub fn position(&self, id: &MessageId) -> Option<usize> {
        self.order.binary_search(&Slot::of(self.messages.get(id)?)).ok()
    }

    /// The newest message.
    pub fn last(&self) -> Option<&Message> {
        self.messages.get(&self.order.last()?.id)
    }

    /// The rank of the newest message.
    pub fn rank(&self) -> (u64, u64) {
        self.order.last().map_or((0, 0), |slot| slot.rank)
    }

    /// The place of the newest message that the server has.
    pub fn last_kept(&self) -> Option<u64> {
        self.order.iter().rev().find_map(|slot| self.messages.get(&slot.id)?.place.seq())
    }

    /// How many messages there are from this place on.
    pub fn len_from(&self, seq: u64) -> usize {
        self.order.len() - self.order.partition_point(|slot| slot.rank < (seq, 0))
    }

    /// The messages that the server's order is not known for, which have not been waiting either.
    pub fn unplaced(&self) -> impl Iterator<Item = &Message> {
        self.messages.values().filter(|message| matches!(message.place, Place::After(..)))
    }

    /// The messages that wait to be sent, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = &Message> {
        let first = self.order.partition_point(|slot| slot.rank < Place::Last(0).rank());
        self.range(first..self.order.len())
    }

    /// The incoming messages that are not seen, oldest first. It is looked for from the end, where they are.
    pub fn unseen(&self) -> impl Iterator<Item = &Message> {
        let mut left = self.unseen;
        let mut first = self.order.len();
        while left > 0 && first > 0 {
            first -= 1;
            left -= self.messages.get(&self.order[first].id).map_or(0, |message| u32::from(is_unseen(message)));
        }
        self.range(first..self.order.len()).filter(|message| is_unseen(message))
    }

    /// How many of the messages here are not seen.
    pub fn unseen_here(&self) -> u32 {
        self.unseen
    }

    /// How many messages are not seen, here and on the server.
    pub fn unread(&self) -> u32 {
        self.unseen.saturating_add(self.row.unread_older)
    }
}

fn is_unseen(message: &Message) -> bool {
    !message.outgoing && !message.seen
}
