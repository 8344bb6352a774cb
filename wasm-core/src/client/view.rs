//! What a person sees: threads, bubbles and ticks, read from the engine's memory when asked for and never kept twice.
//!
//! A [`View`] and a [`Thread`] are handles; a long thread costs only what is drawn of it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use super::deferred::Waiting;
pub use super::failure::Failure;
use super::memory::{Folder, Memory};
use super::record::{Message, Place, Settings};
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, MessageId};
use crate::cpm::receipt::Receipt;
use crate::{Text, Time};

/// The truth about the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The device has no network.
    #[default]
    Offline,
    /// Not connected yet, or not any more.
    Connecting {
        /// How many attempts have failed in a row.
        attempt: u32,
        /// When the next one begins, `None` while one is under way.
        retry_at: Option<Time>,
    },
    /// Registered, and the server was heard lately.
    Online(Flow),
    /// The server does not let this device in; the reason is in words.
    Refused(Text),
}

impl Link {
    /// Whether the device is registered.
    pub fn is_online(&self) -> bool {
        matches!(self, Link::Online(_))
    }
}

/// Whether messages flow over a link that stands, as the last probe has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Not known yet.
    #[default]
    Unproven,
    /// They do.
    Proven(Round),
    /// They do not.
    Stopped {
        /// Where they got to.
        at: Stage,
        /// What is done about it.
        repair: Repair,
    },
}

/// How long a probe took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// To the server and back to this device.
    pub total: u32,
    /// Of these, on the server's disk.
    pub disk: u32,
    /// Until the server's confirmation, from the start.
    pub confirmed: u32,
}

/// The part of the way on which messages stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The connection: nothing at all is heard.
    Line,
    /// The server hears and says nothing.
    Server,
    /// The server takes in nothing new for now: it is stopping, or has too much to do.
    Busy,
    /// The server cannot keep messages.
    Store,
    /// The server refuses this device's messages.
    Refused,
    /// The way from the server to this device.
    Delivery,
    /// The server's confirmations get lost.
    Answer,
}

/// What is done about messages that do not flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// It is looked at again from time to time; the user may want more.
    Possible,
    /// The user has asked for it, and it is under way.
    Running,
    /// All that this device can do was done.
    Failed,
}

/// How far a message of one's own has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tick {
    /// On its way to the server.
    Sending,
    /// The server has it.
    Sent,
    /// A device of the other side has it.
    Delivered,
    /// The other side has seen it.
    Read,
    /// It was not sent or reached nobody.
    Failed,
}

/// One thread in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSummary {
    /// The other side.
    pub with: Address,
    /// Their name, or what stands for it.
    pub title: Text,
    /// The newest message.
    pub last: Option<LastLine>,
    /// How many messages are not seen.
    pub unread: u32,
    /// What stands in the composer.
    pub draft: Option<Text>,
    /// The message that the draft is going to answer.
    pub draft_reply: Option<MessageId>,
    /// Whether the other side is writing.
    pub typing: bool,
}

/// The newest message of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLine {
    /// Its text.
    pub text: Text,
    /// When it was.
    pub at: Time,
    /// Whether the user wrote it.
    pub outgoing: bool,
    /// How far it came, when the user wrote it.
    pub tick: Option<Tick>,
}

/// One message as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubble {
    /// Its identifier.
    pub id: MessageId,
    /// Whether the user wrote it.
    pub outgoing: bool,
    /// What it says.
    pub text: Text,
    /// When it was.
    pub at: Time,
    /// How far it came, when the user wrote it.
    pub tick: Option<Tick>,
    /// What it answers.
    pub reply: Option<Quote>,
    /// Why it failed, as far as this is known.
    pub failure: Option<Failure>,
    /// Whether the user has marked it.
    pub flagged: bool,
}

/// The message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The contribution that it is.
    pub contribution: Option<ContributionId>,
    /// Its identifier, `None` while the message is not on this device.
    pub id: Option<MessageId>,
    /// Whether the user wrote it.
    pub outgoing: bool,
    /// What it says, `None` while the message is not on this device.
    pub text: Option<Text>,
}

/// Everything that there is to see.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    memory: &'a Memory,
}

impl<'a> View<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        View { memory }
    }

    /// The truth about the connection.
    pub fn link(&self) -> &'a Link {
        &self.memory.link
    }

    /// What the user lets others know.
    pub fn settings(&self) -> Settings {
        self.memory.settings
    }

    /// What waits for the user's decision.
    pub fn deferred(&self) -> &'a Waiting {
        &self.memory.deferred
    }

    /// Whether the history has not been read yet for the first time.
    pub fn is_loading(&self) -> bool {
        self.memory.cursor.is_none()
    }

    /// The threads that have a message or a draft, the one with the newest message first.
    pub fn threads(&self) -> Vec<ThreadSummary> {
        let mut listed: Vec<&Folder> = self.memory.folders().filter(|folder| !folder.is_empty() || !folder.row.draft.is_empty()).collect();
        listed.sort_by(|one, other| other.rank().cmp(&one.rank()).then_with(|| one.row.with.cmp(&other.row.with)));
        listed.into_iter().map(summary).collect()
    }

    /// What passed with this person.
    pub fn thread(&self, with: &Address) -> Option<Thread<'a>> {
        self.memory.folder(with).map(|folder| Thread { folder })
    }

    /// How many messages are not seen, in all threads.
    pub fn unread(&self) -> u32 {
        self.memory.folders().map(Folder::unread).fold(0, u32::saturating_add)
    }
}

/// One thread in full.
#[derive(Clone, Copy, Debug)]
pub struct Thread<'a> {
    folder: &'a Folder,
}

impl<'a> Thread<'a> {
    /// The line that stands for it in the list.
    pub fn summary(&self) -> ThreadSummary {
        summary(self.folder)
    }

    /// The other side's name, or what stands for it.
    pub fn title(&self) -> Text {
        title(self.folder)
    }

    /// How many messages there are on this device.
    pub fn len(&self) -> usize {
        self.folder.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.folder.is_empty()
    }

    /// The identifiers of all messages, oldest first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &'a MessageId> + DoubleEndedIterator {
        self.folder.ids()
    }

    /// The bubbles in a range of positions, oldest first; what is beyond the end is left out.
    pub fn bubbles(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = Bubble> + 'a {
        let folder = self.folder;
        folder.range(range).map(move |message| bubble(folder, message))
    }

    /// One bubble.
    pub fn bubble(&self, id: &MessageId) -> Option<Bubble> {
        self.folder.get(id).map(|message| bubble(self.folder, message))
    }

    /// The position of a message.
    pub fn position(&self, id: &MessageId) -> Option<usize> {
        self.folder.position(id)
    }

    /// The oldest message on this device that is not seen.
    pub fn first_unread(&self) -> Option<&'a MessageId> {
        self.folder.unseen().next().map(|message| &message.id)
    }

    /// A message as one that is answered.
    pub fn quote(&self, id: &MessageId) -> Option<Quote> {
        self.folder.get(id).map(quote)
    }

    /// How many messages are not seen.
    pub fn unread(&self) -> u32 {
        self.folder.unread()
    }

    /// Whether the server has older messages than those on this device.
    pub fn has_older(&self) -> bool {
        self.folder.row.has_older
    }

    /// Whether older messages are being fetched.
    pub fn loading_older(&self) -> bool {
        self.folder.loading
    }

    /// Whether the other side is writing.
    pub fn typing(&self) -> bool {
        self.folder.typing
    }

    /// What stands in the composer.
    pub fn draft(&self) -> &'a Text {
        &self.folder.row.draft
    }

    /// The message that the draft is going to answer.
    pub fn draft_reply(&self) -> Option<&'a MessageId> {
        self.folder.row.draft_reply.as_ref()
    }
}

fn title(folder: &Folder) -> Text {
    match folder.row.title.is_empty() {
        false => folder.row.title.clone(),
        true => folder.row.with.text().slice_of(folder.row.with.user()),
    }
}

fn summary(folder: &Folder) -> ThreadSummary {
    let last = folder.last().map(|message| LastLine {
        text: message.text.clone(),
        at: message.at,
        outgoing: message.outgoing,
        tick: tick(message),
    });
    let row = &folder.row;
    ThreadSummary {
        with: row.with.clone(),
        title: title(folder),
        last,
        unread: folder.unread(),
        draft: (!row.draft.is_empty()).then(|| row.draft.clone()),
        draft_reply: row.draft_reply.clone(),
        typing: folder.typing,
    }
}

fn tick(message: &Message) -> Option<Tick> {
    message.outgoing.then_some(match (message.receipt, message.place) {
        (Receipt::Failed, _) => Tick::Failed,
        (Receipt::Sending, Place::After(..)) if message.failure.is_some() => Tick::Failed,
        (Receipt::Sending, _) => Tick::Sending,
        (Receipt::Sent, _) => Tick::Sent,
        (Receipt::Delivered, _) => Tick::Delivered,
        (Receipt::Displayed, _) => Tick::Read,
    })
}

fn bubble(folder: &Folder, message: &Message) -> Bubble {
    let reply = message.in_reply_to.as_ref().map(|contribution| match folder.by_contribution(contribution) {
        Some(answered) => quote(answered),
        None => Quote { contribution: Some(contribution.clone()), id: None, outgoing: false, text: None },
    });
    let tick = tick(message);
    let failure = (tick == Some(Tick::Failed)).then(|| message.failure.unwrap_or(Failure::NotDelivered));
    Bubble {
        id: message.id.clone(),
        outgoing: message.outgoing,
        text: message.text.clone(),
        at: message.at,
        tick,
        reply,
        failure,
        flagged: message.flagged,
    }
}

fn quote(message: &Message) -> Quote {
    Quote {
        contribution: message.contribution.clone(),
        id: Some(message.id.clone()),
        outgoing: message.outgoing,
        text: Some(message.text.clone()),
    }
}
