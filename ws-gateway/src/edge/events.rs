//! Who wants to hear that a user's box changed: the senders and receivers behind `/events`.
//!
//! Only the newest cursor matters, so a slow listener misses nothing by missing the ones between.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::store::UserId;

/// The cursors of the boxes that somebody listens to.
#[derive(Debug, Default)]
pub struct Events(Mutex<HashMap<UserId, watch::Sender<u64>>>);

impl Events {
    /// Tells those who listen that a box has come to this cursor.
    pub fn publish(&self, user: UserId, cursor: u64) {
        let mut boxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = boxes.get(&user) else { return };
        if sender.receiver_count() == 0 {
            boxes.remove(&user);
            return;
        }
        sender.send_if_modified(|known| {
            let grown = cursor > *known;
            *known = cursor.max(*known);
            grown
        });
    }

    /// Listens to a box, whose cursor is at least this.
    pub fn subscribe(&self, user: UserId, cursor: u64) -> watch::Receiver<u64> {
        let mut boxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !boxes.contains_key(&user) && boxes.len() > 1000 && boxes.len().is_power_of_two() {
            boxes.retain(|_, sender| sender.receiver_count() > 0);
        }
        boxes.entry(user).or_insert_with(|| watch::Sender::new(cursor)).subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_the_newest_cursor() {
        let events = Events::default();
        let mut listener = events.subscribe(UserId(1), 5);
        events.publish(UserId(1), 7);
        events.publish(UserId(1), 6);
        events.publish(UserId(2), 9);
        listener.changed().await.unwrap();
        assert_eq!(*listener.borrow_and_update(), 7);
        drop(listener);
        events.publish(UserId(1), 8);
        assert!(events.0.lock().unwrap().is_empty());
    }
}
