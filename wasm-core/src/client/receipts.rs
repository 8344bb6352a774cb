//! Notifications of delivery and display [RFC5438]: those that tell of the user's messages, and those that the user's device owes others.
//!
//! One is sent at most per message and kind, only if it was asked for and the user's settings allow it; the server sees to it that of
//! several devices one speaks. What is owed is an errand and durable.

use super::engine::Engine;
use super::outbox::Kind;
use super::record::{Errand, Message, Notice, Place, Record};
use crate::Time;
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, MessageId};
use crate::cpm::receipt::Receipt;
use crate::wire::imdn::Notification;

impl Engine {
    /// A notification came in: it raises the receipt of the message that it is about, if that is one of the user's to that person.
    pub(super) fn notified(&mut self, now: Time, from: &Address, notification: &Notification) {
        let (Some(receipt), Some(id)) = (Receipt::of(notification.report), MessageId::parse(&notification.message_id)) else { return };
        // The person may answer under another of their addresses; the server has checked that they were the recipient.
        let message = self.memory.folder(from).and_then(|folder| folder.get(&id)).or_else(|| self.memory.find(&id));
        if let Some(message) = message.filter(|message| message.outgoing).cloned() {
            self.raise(now, message, receipt);
        }
    }

    /// A message is known to have come further. A report may come before the server's answer: it is the better news.
    pub(super) fn raise(&mut self, now: Time, message: Message, receipt: Receipt) {
        let receipt = message.receipt.merge(receipt);
        let place = match message.place {
            Place::Last(_) if receipt > Receipt::Sending => Place::After(self.memory.top, self.memory.next_nth(now)),
            place @ (Place::Kept(_) | Place::After(..) | Place::Last(_)) => place,
        };
        let failure = message.failure.filter(|_| receipt == Receipt::Failed);
        self.keep_if_changed(Message { receipt, place, failure, ..message });
    }

    /// The user's own message to themselves came back: it is delivered.
    pub(super) fn confirm_own(&mut self, message: Message) {
        let receipt = message.receipt.merge(Receipt::Delivered);
        self.keep_if_changed(Message { receipt, ..message });
    }

    /// Owes the sender of a message the news that it is here, if they asked for it.
    pub(super) fn report_delivery(&mut self, now: Time, message: Message) -> Message {
        let owed = message.wants.delivered && self.memory.settings.delivery_reports;
        self.report(now, message, owed, Receipt::Delivered)
    }

    /// Owes the sender of a message the news that it was seen, if they asked for it.
    pub(super) fn report_display(&mut self, now: Time, message: Message) -> Message {
        let owed = message.wants.displayed && self.memory.settings.read_reports;
        self.report(now, message, owed, Receipt::Displayed)
    }

    fn report(&mut self, now: Time, message: Message, owed: bool, receipt: Receipt) -> Message {
        if !owed || message.receipt >= receipt || self.is_self(&message.with) {
            return message;
        }
        let notice = Notice {
            with: message.with.clone(),
            message_id: message.id.clone(),
            conversation: message.conversation.clone(),
            contribution: ContributionId::new(&mut self.entropy),
            in_reply_to: message.contribution.clone(),
            date: message.at,
            at: now,
            receipt,
            id: MessageId::new(&mut self.entropy),
            nth: self.memory.next_nth(now),
        };
        self.outbox.wake(&notice.with, Kind::Notices);
        self.keep(Record::Errand(Errand::Notice(notice)));
        Message { receipt, ..message }
    }

    /// The user has seen all that came from this person.
    pub(super) fn read(&mut self, now: Time, with: &Address) {
        let Some(folder) = self.memory.folder(with) else { return };
        if folder.unread() == 0 {
            return;
        }
        let unseen: Vec<Message> = folder.unseen().cloned().collect();
        let up_to = folder.last_kept();
        for message in unseen {
            let message = self.report_display(now, message);
            self.keep(Record::Message(Message { seen: true, ..message }));
        }
        let mut row = self.row(with);
        row.unread_older = 0;
        self.keep_row_if_changed(row);
        if let Some(up_to) = up_to {
            self.owe_seen(with, up_to);
        }
    }

    /// The server is to know that all up to this was seen.
    pub(super) fn owe_seen(&mut self, with: &Address, up_to: u64) {
        let errand = Errand::Seen { with: with.clone(), up_to };
        let key = errand.key();
        let known = matches!(self.memory.errand(&key), Some(Errand::Seen { up_to: known, .. }) if *known >= up_to);
        if !known {
            self.keep(Record::Errand(errand));
        }
        self.sync.owe(key);
    }
}
