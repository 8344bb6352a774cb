//! The engine itself: inputs go to the part that they concern, and what the parts decide becomes records and outputs.

use std::collections::VecDeque;

use super::Failure;
use super::deferred::Deferred;
use super::io::{Change, Command, Input, LONGEST_TEXT, Output, Profile, Role, Socket};
use super::link::{Link, Out};
use super::memory::{Effect, Memory};
use super::msrp::{self, Wires};
use super::outbox::{Kind, Outbox};
use super::probe::Probe;
use super::record::{Folder, Message, Place, Record};
use super::sorted::SortedSet;
use super::sync::Sync;
use super::typing::{self, Typing};
use super::view::{self, View};
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, ConversationId, MessageId};
use crate::cpm::receipt::Receipt;
use crate::wire::json;
use crate::{Entropy, Text, Time};

/// One device of a user.
///
/// Deadlines, inputs and the state of things go through [`Engine::handle`]; after every call of it or of [`Engine::apply`] the shell
/// takes outputs from [`Engine::poll`] until there are none, performs them in order, and calls again with [`Input::Timeout`] when
/// [`Engine::next_timeout`] has come.
#[derive(Debug)]
pub struct Engine {
    pub(super) profile: Profile,
    pub(super) entropy: Entropy,
    role: Role,
    leaving: bool,
    pub(super) memory: Memory,
    pub(super) link: Link,
    pub(super) wires: Wires,
    pub(super) outbox: Outbox,
    pub(super) typing: Typing,
    pub(super) sync: Sync,
    pub(super) deferred: Deferred,
    pub(super) probe: Probe,
    pub(super) outputs: VecDeque<Output>,
    changed: Changed,
}

/// What has changed since the last [`Output::Changed`].
#[derive(Debug, Default)]
struct Changed {
    link: bool,
    settings: bool,
    deferred: bool,
    folders: SortedSet<Address>,
}

impl Engine {
    /// An engine that knows nothing yet and follows. `seed` is secret and different every time.
    pub fn new(profile: Profile, seed: [u8; 32]) -> Self {
        let mut entropy = Entropy::new(seed);
        Engine {
            link: Link::new(&profile, entropy.fork()),
            outbox: Outbox::new(entropy.fork()),
            sync: Sync::new(&profile.address, entropy.fork()),
            probe: Probe::new(entropy.fork()),
            wires: Wires::new(profile.is_secure, entropy.fork()),
            deferred: Deferred::new(entropy.fork()),
            profile,
            entropy,
            role: Role::Follower,
            leaving: false,
            memory: Memory::default(),
            typing: Typing::default(),
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

    /// Takes in a fact from disk as JSON. What cannot be read is left out, and the history is read afresh.
    pub fn restore(&mut self, json: &str) {
        match json::read(json.as_bytes()) {
            Ok(Record::Cursor(_)) if self.memory.is_damaged => {}
            Ok(record) => self.apply(record),
            Err(_) => {
                self.memory.is_damaged = true;
                self.apply(Record::Cursor(None));
            }
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        match self.role {
            Role::Ended => return,
            Role::Follower => self.follow(now, input),
            Role::Leader => self.lead(now, input),
        }
        self.settle_all(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.changed.take().map(Output::Changed))
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Time> {
        match self.role {
            Role::Follower | Role::Ended => None,
            Role::Leader => {
                let up = self.link.is_up();
                let outbox = self.outbox.next_timeout().filter(|_| up);
                let probe = self.probe.next_timeout().filter(|_| up);
                let (link, wires) = (self.link.next_timeout(), self.wires.next_timeout());
                let deferred = self.deferred.next_timeout().filter(|_| up);
                [link, wires, outbox, probe, deferred, self.typing.next_timeout(), self.sync.next_timeout(up)].into_iter().flatten().min()
            }
        }
    }

    fn follow(&mut self, now: Time, input: Input) {
        match input {
            Input::Lead => self.take_lead(now),
            Input::Command(Command::Send { to, text, reply_to }) => {
                let id = MessageId::new(&mut self.entropy);
                self.outputs.push_back(Output::Forward(Command::SendOnce { id, to, text, reply_to }));
            }
            Input::Command(command) => self.outputs.push_back(Output::Forward(command)),
            Input::Network(there) => self.link.network(now, there),
            Input::Follow
            | Input::Socket(_)
            | Input::Msrp(..)
            | Input::Http { .. }
            | Input::Changed { .. }
            | Input::Visible(_)
            | Input::Timeout => {}
        }
    }

    fn lead(&mut self, now: Time, input: Input) {
        match input {
            Input::Lead => {}
            Input::Follow => self.cede_lead(now),
            Input::Command(command) => self.command(now, command),
            Input::Socket(Socket::Opened) => self.link.opened(now),
            Input::Socket(Socket::Frame(frame)) => self.link.received(now, &frame),
            Input::Socket(Socket::Closed) => self.link.closed(now),
            Input::Msrp(wire, socket) => self.wires.socket(now, wire, socket),
            Input::Http { id, status, body } => self.told(now, id, status, &body),
            Input::Changed { cursor } => {
                if self.memory.cursor.is_none_or(|known| known < cursor) {
                    self.sync.want();
                }
            }
            Input::Network(there) => self.link.network(now, there),
            Input::Visible(there) => {
                if there {
                    self.link.nudge(now);
                }
                self.probe.watched(now, there);
            }
            Input::Timeout => self.timeout(now),
        }
    }

    /// Resumes what the last leader left: what waits to be sent, what is owed, and the history from where it was known.
    fn take_lead(&mut self, now: Time) {
        self.role = Role::Leader;
        let passing: Vec<Record> = self
            .memory
            .folders()
            .flat_map(|folder| {
                let with = || folder.row.with.clone();
                let typing = folder.typing.then(|| Record::Typing { with: with(), active: false });
                typing.into_iter().chain(folder.loading.then(|| Record::Loading { with: with(), active: false }))
            })
            .collect();
        for record in passing {
            self.share(record);
        }
        self.refill_outbox();
        self.refill_sync();
        self.link.start(now);
    }

    /// Lets another engine lead. What is on its way stays in the memory and is resumed there.
    fn cede_lead(&mut self, now: Time) {
        self.link.stop(now);
        self.wires.stop(now);
        self.leave_queue(now);
        self.drain(now);
        self.role = Role::Follower;
        self.outbox.clear();
        self.sync.clear();
        self.probe = Probe::new(self.entropy.fork());
        self.typing = Typing::default();
    }

    fn timeout(&mut self, now: Time) {
        self.link.timeout(now);
        self.probe_overdue(now);
        self.wires.timeout(now);
        self.deferred_timeout(now);
        while let Some(id) = self.sync.overdue(now) {
            self.told(now, id, 0, &[]);
        }
        for out in self.typing.timeout(now) {
            match out {
                typing::Out::Tell(to, composing) => self.tell_typing(now, to, composing),
                typing::Out::Stopped(with) => self.share(Record::Typing { with, active: false }),
            }
        }
    }

    /// Lets the parts act on what has happened until there is nothing left to do.
    fn settle_all(&mut self, now: Time) {
        if self.role == Role::Leader {
            self.drain(now);
            self.pump(now);
            self.drain(now);
        }
        if self.role == Role::Leader {
            self.ask_history(now);
            let link = match self.link.view() {
                view::Link::Online(_) => view::Link::Online(self.probe.flow()),
                link => link,
            };
            if link != self.memory.link {
                self.share(Record::Link(link));
            }
        }
    }

    /// Acts on what the link and the MSRP sessions say.
    fn drain(&mut self, now: Time) {
        self.drain_link(now);
        while let Some(out) = self.wires.poll() {
            match out {
                msrp::Out::Socket(wire, order) => self.outputs.push_back(Output::Msrp(wire, order)),
                msrp::Out::Heard(wire, heard) => self.heard(now, wire, heard),
            }
            self.drain_link(now);
        }
    }

    fn drain_link(&mut self, now: Time) {
        while self.role == Role::Leader
            && let Some(out) = self.link.poll()
        {
            match out {
                Out::Connect => self.outputs.push_back(Output::Connect),
                Out::Disconnect => self.outputs.push_back(Output::Disconnect),
                Out::Transmit(frame) => self.outputs.push_back(Output::Transmit(frame)),
                Out::Up => {
                    self.outbox.refresh();
                    self.sync.refresh();
                    self.probe.up(now);
                    self.follow_queue(now);
                }
                Out::Down => {
                    self.typing.mute();
                    self.probe.down();
                    self.leave_queue(now);
                }
                Out::Request { id, request } => self.requested(now, id, &request),
                Out::Cancel { id, known, request } => self.cancelled(now, id, known, &request),
                Out::Response { id, response } => {
                    if !self.probe_responded(now, id, &response) && !self.queue_answered(now, id, Some(&response)) {
                        self.responded(now, id, &response);
                    }
                    self.pump(now);
                }
                Out::Unanswered { id, lost } => {
                    if !self.queue_answered(now, id, None) {
                        self.unanswered(now, id, lost);
                    }
                }
                Out::Ended => self.end(),
                Out::Left if self.leaving => self.end(),
                Out::Left => {}
            }
        }
    }

    /// The user is signed out.
    pub(super) fn end(&mut self) {
        if self.role == Role::Ended {
            return;
        }
        self.role = Role::Ended;
        let link = Record::Link(view::Link::Offline);
        self.share(link);
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::SignedOut);
    }

    fn command(&mut self, now: Time, command: Command) {
        match command {
            Command::Send { to, text, reply_to } => {
                let id = MessageId::new(&mut self.entropy);
                self.compose(now, id, to, text, reply_to);
            }
            Command::SendOnce { id, to, text, reply_to } => {
                if self.memory.folder(&to).is_none_or(|folder| folder.get(&id).is_none()) {
                    self.compose(now, id, to, text, reply_to);
                }
            }
            Command::Retry(id) => self.retry(now, &id),
            Command::Delete(id) => self.delete(&id),
            Command::Mark { with, id, mark, on } => self.mark(&with, &id, mark, on),
            Command::Typing { to, active } => {
                if self.memory.settings.typing
                    && self.link.is_up()
                    && let Some(composing) = self.typing.touched(now, &to, active)
                {
                    self.tell_typing(now, to, composing);
                }
            }
            Command::Read { with } => self.read(now, &with),
            Command::Meet { with, name } => self.keep_row_if_changed(Folder { title: name, ..self.row(&with) }),
            Command::Open { with } => self.open(now, &with),
            Command::LoadOlder { with } => self.load_older(now, &with),
            Command::Draft { with, mut text, reply_to } => {
                truncate(&mut text, LONGEST_TEXT);
                let row = Folder { draft: Text::from(text), draft_reply: reply_to, ..self.row(&with) };
                self.keep_row_if_changed(row);
            }
            Command::Deferred(actions) => self.decide(now, actions),
            Command::Settings(settings) => self.keep(Record::Settings(settings)),
            Command::Reconnect if self.link.is_up() => self.repair(now),
            Command::Reconnect => self.link.repair(now),
            Command::SignOut => {
                self.leaving = true;
                self.link.leave(now);
            }
        }
    }

    /// Writes a message, which then waits to be sent.
    fn compose(&mut self, now: Time, id: MessageId, to: Address, text: String, reply_to: Option<MessageId>) {
        if text.trim().is_empty() {
            return;
        }
        let answered = reply_to.and_then(|id| self.memory.folder(&to)?.get(&id)?.contribution.clone());
        self.write(now, id, to.clone(), Text::from(text), answered);
        let row = Folder { draft: Text::default(), draft_reply: None, ..self.row(&to) };
        self.keep_row_if_changed(row);
        self.typing.sent(&to);
    }

    fn write(&mut self, now: Time, id: MessageId, to: Address, text: Text, in_reply_to: Option<ContributionId>) {
        let mut row = self.row(&to);
        let conversation = row.conversation.get_or_insert_with(|| ConversationId::new(&mut self.entropy)).clone();
        self.keep_row_if_changed(row);
        let nth = self.memory.next_nth(now);
        let message = Message {
            id,
            with: to,
            outgoing: true,
            place: Place::Last(nth),
            at: now,
            text,
            conversation: Some(conversation),
            contribution: Some(ContributionId::new(&mut self.entropy)),
            in_reply_to,
            receipt: Receipt::Sending,
            seen: true,
            wants: self.memory.settings.asks,
            failure: None,
            flagged: false,
        };
        let message = match message.text.len() <= LONGEST_TEXT {
            true => message,
            false => {
                Message { place: Place::After(self.memory.top, nth), receipt: Receipt::Failed, failure: Some(Failure::TooLong), ..message }
            }
        };
        self.outbox.wake(&message.with, Kind::Texts);
        self.keep(Record::Message(message));
    }

    /// Sends a failed message again.
    ///
    /// Where no server has answered, one may have it all the same: then it keeps its identifier. Where it was refused, it becomes a new
    /// message in its place; where the server has kept it and failed to deliver it, it stays and a new one is written.
    fn retry(&mut self, now: Time, id: &MessageId) {
        let Some(message) = self.memory.find(id).filter(|message| message.outgoing && message.receipt == Receipt::Failed).cloned() else {
            return;
        };
        if message.failure.is_some_and(|failure| !failure.can_retry()) {
            return;
        }
        if message.failure == Some(Failure::NoAnswer) {
            let place = Place::Last(self.memory.next_nth(now));
            self.outbox.wake(&message.with, Kind::Texts);
            self.keep(Record::Message(Message { place, receipt: Receipt::Sending, failure: None, ..message }));
            return;
        }
        if message.failure.is_some() {
            self.keep(Record::Forgotten { with: message.with.clone(), id: message.id.clone() });
        }
        let id = MessageId::new(&mut self.entropy);
        self.write(now, id, message.with, message.text, message.in_reply_to);
    }

    /// Drops a message that no server has and that is not on its way.
    pub(super) fn delete(&mut self, id: &MessageId) {
        let Some(message) = self.memory.find(id).filter(|message| message.outgoing) else { return };
        let with = message.with.clone();
        let droppable = match message.place {
            Place::Kept(_) => false,
            Place::After(..) => message.receipt == Receipt::Failed && message.failure.is_some(),
            Place::Last(_) => {
                let first = self.memory.folder(&with).and_then(|folder| folder.waiting().next());
                first.is_some_and(|first| first.id != *id) || !self.outbox.is_on_its_way(&with, Kind::Texts)
            }
        };
        if droppable {
            self.keep(Record::Forgotten { with, id: id.clone() });
        }
    }

    /// Whether this is an address of the user's own.
    pub(super) fn is_self(&self, address: &Address) -> bool {
        self.profile.address == *address || self.profile.addresses.contains(address)
    }

    /// What is known of a folder besides its messages.
    pub(super) fn row(&self, with: &Address) -> Folder {
        self.memory.folder(with).map_or_else(|| Folder::new(with.clone()), |folder| folder.row.clone())
    }

    /// What a person is called.
    pub(super) fn title(&self, with: &Address) -> Text {
        self.view().thread(with).map_or_else(|| with.text().clone(), |thread| thread.title())
    }

    /// Makes something a fact.
    pub(super) fn keep(&mut self, record: Record) {
        self.apply(record.clone());
        self.outputs.push_back(Output::Persist(record));
    }

    /// Makes a message a fact, if it is not one already.
    pub(super) fn keep_if_changed(&mut self, message: Message) {
        let known = self.memory.folder(&message.with).and_then(|folder| folder.get(&message.id));
        if known != Some(&message) {
            self.keep(Record::Message(message));
        }
    }

    /// Makes a folder a fact, if it is not one already.
    pub(super) fn keep_row_if_changed(&mut self, row: Folder) {
        if self.memory.folder(&row.with).is_none_or(|folder| folder.row != row) {
            self.keep(Record::Folder(row));
        }
    }

    /// Tells the followers something that is not kept.
    pub(super) fn share(&mut self, record: Record) {
        self.apply(record.clone());
        self.outputs.push_back(Output::Share(record));
    }
}

impl Changed {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Link => self.link = true,
            Effect::Settings => self.settings = true,
            Effect::Deferred => self.deferred = true,
            Effect::Folder(with) => {
                self.folders.insert(with);
            }
        }
    }

    fn take(&mut self) -> Option<Change> {
        let Changed { link, settings, deferred, folders } = std::mem::take(self);
        let change = Change { link, settings, deferred, threads: folders.into_vec() };
        (!change.is_empty()).then_some(change)
    }
}

/// Cuts a text to so many bytes at a character's edge.
fn truncate(text: &mut String, longest: usize) {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
