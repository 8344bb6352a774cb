//! This browser as one device: runs the engine, performs its outputs, and keeps the tabs of the account together.
//!
//! Outputs are performed in their order. All [`Output::Persist`] that follow each other are one transaction, and what comes after them
//! (a transmission above all) waits until it is committed: what the network saw is on disk. The tab that leads does all that; a tab that
//! follows applies the leader's records to an engine of its own, draws from it, and hands what a person does to the leader.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use yew::Callback;

use wasm_core::client::view::{Bubble, Link, Quote, Thread, ThreadSummary};
use wasm_core::client::{Alert, Command, Engine, Input, Output, Profile, Record, Role, Settings as Privacy, Socket as SocketInput};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::Session;
use wasm_core::cpm::ids::MessageId;
use wasm_core::wire::json;

use super::json::Json;
use super::links::{self, Outside};
use super::settings::Settings;
use super::socket::{Said, Socket};
use super::storage::Storage;
use super::tabs::{Note, Tabs};
use super::{account, clock, entropy, http, notify};
use crate::prose;
use crate::route::Route;
use crate::texts::Phrase;

/// How long signing out waits for the server's answer before the device forgets everything anyhow.
const FAREWELL_MS: u32 = 3000;
/// How long after the event socket was lost it is opened again.
const EVENTS_AGAIN_MS: u32 = 4000;
/// The longest that a browser's timer can wait.
const LONGEST_WAIT_MS: u64 = 1 << 30;

/// What the page has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// What is shown has changed.
    Changed,
    SignedOut,
}

/// The device; clones are the same one.
#[derive(Clone)]
pub struct Device(Rc<Inner>);

struct Inner {
    session: Session,
    engine: RefCell<Engine>,
    tell: Callback<Event>,
    /// Whether a `Changed` is on its way.
    told: Cell<bool>,
    stage: Cell<Stage>,
    /// Outputs that wait for those before them.
    queue: RefCell<VecDeque<Job>>,
    performing: Cell<bool>,
    storage: RefCell<Option<Storage>>,
    keeps: Cell<bool>,
    tabs: RefCell<Option<Tabs>>,
    tab: String,
    sip: RefCell<Option<Socket>>,
    events: RefCell<Option<Socket>>,
    events_again: RefCell<Option<Timeout>>,
    timer: RefCell<Option<Timeout>>,
    /// Commands that no leader has confirmed yet.
    unconfirmed: RefCell<Vec<(u64, Command)>>,
    numbers: Cell<u64>,
    /// Which tab has the person's attention, and at which conversation.
    attention: RefCell<Option<(String, Option<Address>)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What was kept is being read.
    Starting,
    /// The engine leads or follows.
    Running,
    /// Signed out, or the page is gone.
    Over,
}

enum Job {
    Output(Output),
    /// All outputs of a follower's command have been performed.
    Confirm {
        tab: String,
        number: u64,
    },
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("stage", &self.0.stage.get()).finish_non_exhaustive()
    }
}

// What the page asks and does.
impl Device {
    /// Starts the device of a signed-in account: shows what is kept at once, then joins the other tabs.
    pub fn start(session: Session, tell: Callback<Event>) -> Device {
        let device = Device(Rc::new(Inner {
            engine: RefCell::new(engine(&session)),
            session,
            tell,
            told: Cell::new(false),
            stage: Cell::new(Stage::Starting),
            queue: RefCell::default(),
            performing: Cell::new(false),
            storage: RefCell::default(),
            keeps: Cell::new(true),
            tabs: RefCell::default(),
            tab: entropy::uuid(),
            sip: RefCell::default(),
            events: RefCell::default(),
            events_again: RefCell::default(),
            timer: RefCell::default(),
            unconfirmed: RefCell::default(),
            numbers: Cell::new(0),
            attention: RefCell::default(),
        }));
        // The channel is open before the records are read, so that none falls between; applying one twice changes nothing.
        let tabs = Tabs::join(&device.0.session.address, device.weak(|device, note| device.heard(note)));
        *device.0.tabs.borrow_mut() = Some(tabs);
        let starting = device.clone();
        spawn_local(async move { starting.restore().await });
        device
    }

    /// Ends it: another tab leads from now on.
    pub fn stop(&self) {
        let inner = &self.0;
        self.say(&Note::Attention { tab: inner.tab.clone(), attentive: false, at: None });
        inner.stage.set(Stage::Over);
        inner.timer.take();
        inner.events_again.take();
        inner.sip.take();
        inner.events.take();
        inner.tabs.take();
        inner.storage.take();
    }

    /// Does what a person wants.
    pub fn command(&self, command: Command) {
        self.feed(Input::Command(command));
    }

    /// Signs out: de-registers, forgets everything here and ends the session.
    pub fn sign_out(&self) {
        self.command(Command::SignOut);
        let device = self.clone();
        Timeout::new(FAREWELL_MS, move || device.leave()).forget();
    }

    /// The network or the page's visibility changed.
    pub fn outside(&self, outside: Outside) {
        let input = match outside {
            Outside::Network(up) => Input::Network(up),
            Outside::Visible(seen) => Input::Visible(seen),
            Outside::Focus(_) | Outside::Leaving => return,
        };
        self.feed(input);
    }

    /// The person looks at a conversation, or at something else.
    pub fn attend(&self, attentive: bool, at: Option<Address>) {
        let tab = self.0.tab.clone();
        self.note_attention(tab.clone(), attentive, at.clone());
        self.say(&Note::Attention { tab, attentive, at });
    }

    /// Whether messages are kept in this browser.
    pub fn keeps(&self) -> bool {
        self.0.keeps.get()
    }

    /// Whether what is kept in this browser is still being read.
    pub fn is_starting(&self) -> bool {
        self.0.stage.get() == Stage::Starting
    }

    /// Whether the conversations are not known yet.
    pub fn is_loading(&self) -> bool {
        self.is_starting() || self.0.engine.borrow().view().is_loading()
    }
}

// What is shown.
impl Device {
    /// How the connection stands.
    pub fn link(&self) -> Link {
        match self.0.stage.get() {
            Stage::Starting | Stage::Over => Link::Connecting { attempt: 0, retry_at: None },
            Stage::Running => self.0.engine.borrow().view().link().clone(),
        }
    }

    /// The conversations, newest first.
    pub fn threads(&self) -> Vec<ThreadSummary> {
        self.0.engine.borrow().view().threads()
    }

    /// What the user lets others know.
    pub fn privacy(&self) -> Privacy {
        self.0.engine.borrow().view().settings()
    }

    /// Reads something of a conversation; what has not begun yet reads as nothing.
    pub fn thread<T: Default>(&self, with: &Address, read: impl FnOnce(Thread<'_>) -> T) -> T {
        self.0.engine.borrow().view().thread(with).map(read).unwrap_or_default()
    }

    /// The messages of a conversation in their order.
    pub fn order(&self, with: &Address) -> Rc<[MessageId]> {
        self.thread(with, |thread| thread.ids().cloned().collect::<Vec<_>>()).into()
    }

    /// Some of them.
    pub fn bubbles(&self, with: &Address, range: Range<usize>) -> Vec<Bubble> {
        self.thread(with, |thread| thread.bubbles(range).collect())
    }

    /// One of them.
    pub fn bubble(&self, with: &Address, id: &MessageId) -> Option<Bubble> {
        self.thread(with, |thread| thread.bubble(id))
    }

    /// One of them as a reply quotes it.
    pub fn quote(&self, with: &Address, id: &MessageId) -> Option<Quote> {
        self.thread(with, |thread| thread.quote(id))
    }
}

// Starting, leading and following.
impl Device {
    /// A callback that does not keep the device alive.
    fn weak<T: 'static>(&self, act: impl Fn(&Device, T) + Clone + 'static) -> impl Fn(T) + Clone + 'static {
        let inner = Rc::downgrade(&self.0);
        move |argument| {
            if let Some(inner) = inner.upgrade().filter(|inner| inner.stage.get() != Stage::Over) {
                act(&Device(inner), argument);
            }
        }
    }

    async fn restore(&self) {
        let inner = &self.0;
        match Storage::open(&inner.session.address).await {
            Ok(storage) => {
                let records = storage.load().await.unwrap_or_default();
                self.restore_engine(&records);
                *inner.storage.borrow_mut() = Some(storage);
            }
            Err(_) => inner.keeps.set(false),
        }
        if inner.stage.get() == Stage::Over {
            return;
        }
        inner.stage.set(Stage::Running);
        self.changed();
        self.say(&Note::Hello);
        self.forward();
        let lead = self.weak(|device, ()| {
            let device = device.clone();
            spawn_local(async move { device.lead().await });
        });
        if let Some(tabs) = &*inner.tabs.borrow() {
            tabs.when_leading(move || lead(()));
        }
    }

    /// Becomes the leader, with all that the last one wrote down.
    async fn lead(&self) {
        let inner = &self.0;
        let reader = inner.storage.take();
        if let Some(storage) = &reader
            && let Ok(records) = storage.load().await
        {
            *inner.engine.borrow_mut() = engine(&inner.session);
            self.restore_engine(&records);
        }
        if inner.stage.get() == Stage::Over {
            return;
        }
        *inner.storage.borrow_mut() = reader;
        self.feed(Input::Network(links::network()));
        self.feed(Input::Visible(links::visible()));
        self.feed(Input::Lead);
        self.say(&Note::Leading);
        for (_, command) in inner.unconfirmed.take() {
            self.feed(Input::Command(command));
        }
        self.changed();
    }

    fn leads(&self) -> bool {
        self.0.engine.borrow().role() == Role::Leader
    }

    fn restore_engine(&self, records: &[String]) {
        let mut engine = self.0.engine.borrow_mut();
        for record in records {
            engine.restore(record);
        }
    }

    /// What another tab said.
    fn heard(&self, note: Note) {
        let inner = &self.0;
        let leads = self.leads();
        match note {
            Note::Hello if leads => self.share(&self.passing()),
            Note::Leading if !leads => self.forward(),
            Note::Records(records) if !leads => {
                {
                    let mut engine = inner.engine.borrow_mut();
                    for record in &records {
                        engine.restore(record);
                    }
                }
                self.drain();
            }
            Note::Command { tab, number, command } if leads => {
                self.feed(Input::Command(command));
                inner.queue.borrow_mut().push_back(Job::Confirm { tab, number });
                self.perform();
            }
            Note::Done { tab, number } if tab == inner.tab => inner.unconfirmed.borrow_mut().retain(|(other, _)| *other != number),
            Note::Attention { tab, attentive, at } => self.note_attention(tab, attentive, at),
            Note::SignedOut => self.depart(),
            Note::Hello | Note::Leading | Note::Records(_) | Note::Command { .. } | Note::Done { .. } => {}
        }
    }

    /// Says again what no leader has confirmed.
    fn forward(&self) {
        for (number, command) in self.0.unconfirmed.borrow().clone() {
            self.say(&Note::Command { tab: self.0.tab.clone(), number, command });
        }
    }

    fn say(&self, note: &Note) {
        if let Some(tabs) = &*self.0.tabs.borrow() {
            tabs.say(note);
        }
    }

    /// Tells the tabs that follow.
    fn share(&self, records: &[Record]) {
        self.say(&Note::Records(records.iter().filter_map(|record| json::write(record).ok()).collect()));
    }

    /// What is so at the moment and written nowhere, for a tab that has just come.
    fn passing(&self) -> Vec<Record> {
        let engine = self.0.engine.borrow();
        let view = engine.view();
        let mut records = vec![Record::Link(view.link().clone())];
        for ThreadSummary { with, typing, .. } in view.threads() {
            if typing {
                records.push(Record::Typing { with: with.clone(), active: true });
            }
            if view.thread(&with).is_some_and(|thread| thread.loading_older()) {
                records.push(Record::Loading { with, active: true });
            }
        }
        records
    }

    fn note_attention(&self, tab: String, attentive: bool, at: Option<Address>) {
        let mut attention = self.0.attention.borrow_mut();
        if attentive {
            *attention = Some((tab, at));
        } else if attention.as_ref().is_some_and(|(other, _)| *other == tab) {
            *attention = None;
        }
    }
}

// The engine's inputs and outputs.
impl Device {
    fn feed(&self, input: Input) {
        if self.0.stage.get() == Stage::Over {
            return;
        }
        self.0.engine.borrow_mut().handle(clock::now(), input);
        self.drain();
    }

    /// Takes what the engine wants done.
    fn drain(&self) {
        let mut changed = false;
        loop {
            let output = self.0.engine.borrow_mut().poll();
            match output {
                // Drawing, and handing on to the leader, wait for nothing.
                Some(Output::Changed(_)) => changed = true,
                Some(Output::Forward(command)) => self.hand_on(command),
                Some(output) => self.0.queue.borrow_mut().push_back(Job::Output(output)),
                None => break,
            }
        }
        self.set_timer();
        if changed {
            self.changed();
        }
        self.perform();
    }

    /// Gives a command to the leader, or keeps it until there is one.
    fn hand_on(&self, command: Command) {
        let inner = &self.0;
        let number = inner.numbers.get();
        inner.numbers.set(number + 1);
        inner.unconfirmed.borrow_mut().push((number, command.clone()));
        self.say(&Note::Command { tab: inner.tab.clone(), number, command });
    }

    fn set_timer(&self) {
        let next = self.0.engine.borrow().next_timeout();
        let timer = next.map(|at| {
            let wait = (at.since(clock::now()).as_millis() as u64).min(LONGEST_WAIT_MS);
            let fire = self.weak(|device, ()| device.feed(Input::Timeout));
            Timeout::new(wait as u32, move || fire(()))
        });
        *self.0.timer.borrow_mut() = timer;
    }

    /// Asks the page to draw, once for all that happens in this turn of the browser.
    fn changed(&self) {
        if self.0.told.replace(true) {
            return;
        }
        let inner = self.0.clone();
        spawn_local(async move {
            inner.told.set(false);
            if inner.stage.get() != Stage::Over {
                inner.tell.emit(Event::Changed);
            }
        });
    }

    /// Performs what is queued, one after the other, unless that is already going on.
    fn perform(&self) {
        if self.0.performing.replace(true) {
            return;
        }
        let device = self.clone();
        spawn_local(async move {
            loop {
                let batch = device.batch();
                if !batch.is_empty() {
                    device.persist(batch).await;
                    continue;
                }
                let job = device.0.queue.borrow_mut().pop_front();
                match job {
                    Some(Job::Output(output)) => device.perform_one(output),
                    Some(Job::Confirm { tab, number }) => device.say(&Note::Done { tab, number }),
                    None => break,
                }
            }
            device.0.performing.set(false);
        });
    }

    /// The records at the head of the queue.
    fn batch(&self) -> Vec<Record> {
        let mut queue = self.0.queue.borrow_mut();
        let mut batch = Vec::new();
        while let Some(Job::Output(Output::Persist(_))) = queue.front() {
            if let Some(Job::Output(Output::Persist(record))) = queue.pop_front() {
                batch.push(record);
            }
        }
        batch
    }

    async fn persist(&self, batch: Vec<Record>) {
        let inner = &self.0;
        // Taken out for the time of writing: nothing borrowed is held while waiting.
        let storage = inner.storage.take();
        if let Some(storage) = storage {
            let written = storage.write(&batch).await;
            // A browser that stops keeping (its disk is full) is told about; messages go on, the server has them.
            if inner.keeps.replace(written.is_ok()) != written.is_ok() {
                self.changed();
            }
            if inner.stage.get() != Stage::Over {
                *inner.storage.borrow_mut() = Some(storage);
            }
        }
        self.share(&batch);
    }

    fn perform_one(&self, output: Output) {
        let inner = &self.0;
        match output {
            Output::Connect => {
                let said = self.weak(|device, said| device.sip_said(said));
                let socket = Socket::open("/sip", Some("sip"), said);
                let refused = socket.is_none();
                *inner.sip.borrow_mut() = socket;
                if refused {
                    self.feed(Input::Socket(SocketInput::Closed));
                }
            }
            Output::Disconnect => {
                inner.sip.take();
                inner.events.take();
                inner.events_again.take();
            }
            Output::Transmit(frame) => {
                if let Some(socket) = &*inner.sip.borrow() {
                    socket.send(&frame);
                }
            }
            Output::Http { id, method, path, body } => {
                let answered = self.weak(move |device, answer: http::Answer| {
                    device.feed(Input::Http { id, status: answer.status, body: answer.body });
                });
                spawn_local(async move { answered(http::ask(method, &path, body.as_deref()).await) });
            }
            Output::Share(record) => self.share(&[record]),
            Output::Alert(alert) => self.alert(alert),
            Output::SignedOut => self.leave(),
            Output::Persist(_) | Output::Changed(_) | Output::Forward(_) => {}
        }
    }

    /// What the SIP socket said. Dealt with in a turn of its own, so that a socket may be dropped for what it said.
    fn sip_said(&self, said: Said) {
        let device = self.clone();
        spawn_local(async move {
            let input = match said {
                Said::Opened => {
                    device.open_events();
                    SocketInput::Opened
                }
                Said::Frame(frame) => SocketInput::Frame(frame),
                Said::Closed => {
                    device.0.events.take();
                    SocketInput::Closed
                }
            };
            device.feed(Input::Socket(input));
        });
    }

    /// The second socket, which says when the server's store has changed.
    fn open_events(&self) {
        let said = self.weak(|device, said| {
            let device = device.clone();
            spawn_local(async move { device.events_said(said) });
        });
        *self.0.events.borrow_mut() = Socket::open("/events", None, said);
    }

    fn events_said(&self, said: Said) {
        match said {
            Said::Opened => {}
            Said::Frame(frame) => {
                if let Some(cursor) = cursor(&frame) {
                    self.feed(Input::Changed { cursor });
                }
            }
            Said::Closed => {
                let again = self.weak(|device, ()| {
                    if device.0.sip.borrow().is_some() {
                        device.open_events();
                    }
                });
                *self.0.events_again.borrow_mut() = Some(Timeout::new(EVENTS_AGAIN_MS, move || again(())));
            }
        }
    }

    /// Tells the person of a new message, unless they are looking at it.
    fn alert(&self, alert: Alert) {
        let Alert { with, title, text, .. } = alert;
        let looked_at = self.0.attention.borrow().as_ref().is_some_and(|(_, at)| at.as_ref() == Some(&with));
        if looked_at {
            return;
        }
        let attentive = self.0.attention.borrow().is_some();
        let settings = Settings::load();
        if settings.sound {
            notify::sound();
        }
        if settings.notify && !attentive {
            let text = if settings.show_text { prose::one_line(&text) } else { Phrase::NewMessage.words().into_owned() };
            spawn_local(notify::show(title.to_string(), text, with.to_string(), Route::With(with).hash()));
        }
    }

    /// Signed out: the last tab's word to the others and the server.
    fn leave(&self) {
        if self.0.stage.get() == Stage::Over {
            return;
        }
        self.say(&Note::SignedOut);
        self.depart();
        let account = self.0.session.address.clone();
        spawn_local(async move {
            account::sign_out().await;
            // Kept by another tab for a moment longer, or not there at all: nothing more can be done.
            let _ = Storage::delete(&account).await;
        });
    }

    fn depart(&self) {
        self.stop();
        account::forget();
        self.0.tell.emit(Event::SignedOut);
    }
}

fn engine(session: &Session) -> Engine {
    let profile = Profile {
        address: session.address.clone(),
        addresses: session.addresses.clone(),
        display_name: session.name.clone(),
        domain: session.domain.clone(),
        instance: session.instance.clone(),
        device_name: session.device_name.clone(),
        secret: None,
    };
    Engine::new(profile, entropy::seed())
}

fn cursor(frame: &Bytes) -> Option<u64> {
    Json::parse(std::str::from_utf8(frame).ok()?)?.count("cursor")
}
