//! The engine itself: inputs go to the part that they concern, and what the parts decide becomes records and outputs.

use std::collections::{BTreeSet, VecDeque};

use super::Failure;
use super::io::{Change, Command, Input, LONGEST_TEXT, Output, Profile, Role};
use super::memory::{Effect, Memory};
use super::record::{Folder, Message, Place, Record};
use super::view::View;
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, ConversationId, MessageId};
use crate::cpm::receipt::Receipt;
use crate::{Entropy, Text, Time};

/// One device of a user.
#[derive(Debug)]
pub struct Engine {
    profile: Profile,
    entropy: Entropy,
    role: Role,
    memory: Memory,
    outputs: VecDeque<Output>,
    changed: Changed,
}

/// What has changed since the last [`Output::Changed`].
#[derive(Debug, Default)]
struct Changed {
    link: bool,
    settings: bool,
    folders: BTreeSet<Address>,
}

impl Engine {
    /// An engine that knows nothing yet and follows. `seed` is secret and different every time.
    pub fn new(profile: Profile, seed: [u8; 32]) -> Self {
        Engine {
            profile,
            entropy: Entropy::new(seed),
            role: Role::Follower,
            memory: Memory::default(),
            outputs: VecDeque::new(),
            changed: Changed::default(),
        }
    }

    /// Whose device it is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the engine is for its device.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What there is to see.
    pub fn view(&self) -> View<'_> {
        View::new(&self.memory)
    }

    /// Takes in a fact from disk or from the leading engine.
    pub fn apply(&mut self, record: Record) {
        let effect = self.memory.apply(record);
        self.changed.note(effect);
    }

    /// Takes in a fact from disk as JSON. What cannot be read is left out and fetched from the server again.
    pub fn restore(&mut self, json: &str) {
        match serde_json::from_str(json) {
            Ok(record) => self.apply(record),
            Err(_) => self.apply(Record::Cursor(None)),
        }
    }

    /// Takes in what happened. Then [`Engine::poll`] is to be called until it gives nothing.
    pub fn handle(&mut self, now: Time, input: Input) {
        match (self.role, input) {
            (Role::Ended, _) => {}
            (Role::Follower, Input::Lead) => self.role = Role::Leader,
            (Role::Leader, Input::Follow) => self.role = Role::Follower,
            (Role::Follower, Input::Command(command)) => self.outputs.push_back(Output::Forward(command)),
            (Role::Leader, Input::Command(command)) => self.command(now, command),
            _ => {}
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.changed.take().map(Output::Changed))
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    fn command(&mut self, now: Time, command: Command) {
        match command {
            Command::Send { to, text, reply_to } => self.compose(now, to, text, reply_to),
            Command::Draft { with, text, reply_to } => {
                let mut row = self.row(&with);
                row.draft = Text::from(text);
                row.draft_reply = reply_to;
                self.keep(Record::Folder(row));
            }
            Command::Settings(settings) => self.keep(Record::Settings(settings)),
            Command::Retry(_)
            | Command::Delete(_)
            | Command::Typing { .. }
            | Command::Read { .. }
            | Command::Open { .. }
            | Command::LoadOlder { .. }
            | Command::Reconnect
            | Command::SignOut => {}
        }
    }

    /// Writes a message, which then waits to be sent.
    fn compose(&mut self, now: Time, to: Address, text: String, reply_to: Option<MessageId>) {
        if text.trim().is_empty() {
            return;
        }
        let too_long = text.len() > LONGEST_TEXT;
        let answered = reply_to.and_then(|id| self.memory.folder(&to)?.get(&id)?.contribution.clone());
        let mut row = self.row(&to);
        let conversation = row.conversation.get_or_insert_with(|| ConversationId::new(&mut self.entropy)).clone();
        row.draft = Text::default();
        row.draft_reply = None;
        let nth = self.memory.nth.max(now.0) + 1;
        let message = Message {
            id: MessageId::new(&mut self.entropy),
            with: to,
            outgoing: true,
            place: if too_long { Place::After(self.memory.top, nth) } else { Place::Last(nth) },
            at: now,
            text: Text::from(text),
            conversation: Some(conversation),
            contribution: Some(ContributionId::new(&mut self.entropy)),
            in_reply_to: answered,
            receipt: if too_long { Receipt::Failed } else { Receipt::Sending },
            seen: true,
            wants: self.memory.settings.asks,
            failure: too_long.then_some(Failure::TooLong),
        };
        self.keep(Record::Message(message));
        self.keep(Record::Folder(row));
    }

    fn row(&self, with: &Address) -> Folder {
        self.memory.folder(with).map_or_else(|| Folder::new(with.clone()), |folder| folder.row.clone())
    }

    /// Makes something a fact.
    fn keep(&mut self, record: Record) {
        let effect = self.memory.apply(record.clone());
        self.changed.note(effect);
        self.outputs.push_back(Output::Persist(record));
    }
}

impl Changed {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Link => self.link = true,
            Effect::Settings => self.settings = true,
            Effect::Folder(with) => {
                self.folders.insert(with);
            }
        }
    }

    fn take(&mut self) -> Option<Change> {
        let Changed { link, settings, folders } = std::mem::take(self);
        let change = Change { link, settings, threads: folders.into_iter().collect() };
        (!change.is_empty()).then_some(change)
    }
}
