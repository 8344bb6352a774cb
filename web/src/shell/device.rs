//! This browser as one device: runs the engine, performs its outputs, and keeps the tabs of the account together.
//!
//! Outputs are performed in their order. All [`Output::Persist`] that follow each other are one transaction, and what comes after them
//! (a transmission above all) waits until it is committed: what the network saw is on disk. The tab that leads does all that; a tab that
//! follows applies the leader's records to an engine of its own, draws from it, and hands what a person does to the leader.

mod leading;
mod outputs;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use yew::Callback;

use wasm_core::client::msrp::Wire;
use wasm_core::client::view::{Bubble, Link, Quote, Thread, ThreadSummary, Waiting};
use wasm_core::client::{Command, Engine, Input, Output, Profile, Settings as Privacy};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::Session;
use wasm_core::cpm::ids::MessageId;

use super::entropy;
use super::links::{self, Outside};
use super::socket::Socket;
use super::storage::Storage;
use super::tabs::{Note, Tabs};

/// How long signing out waits for the server's answer before the device forgets everything anyhow.
const FAREWELL_MS: u32 = 3000;

/// What the page has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// What is shown has changed.
    Changed,
    /// The server's store has changed.
    Stored,
    SignedOut {
        /// Whether the server, and not the person, has ended the session.
        expelled: bool,
    },
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
    /// Whether the person wants to sign out.
    leaving: Cell<bool>,
    /// Outputs that wait for those before them.
    queue: RefCell<VecDeque<Job>>,
    performing: Cell<bool>,
    storage: RefCell<Option<Storage>>,
    keeps: Cell<bool>,
    tabs: RefCell<Option<Tabs>>,
    tab: String,
    sip: RefCell<Option<Socket>>,
    /// Those of MSRP sessions.
    wires: RefCell<Vec<(Wire, Socket)>>,
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
            leaving: Cell::new(false),
            queue: RefCell::default(),
            performing: Cell::new(false),
            storage: RefCell::default(),
            keeps: Cell::new(true),
            tabs: RefCell::default(),
            tab: entropy::uuid(),
            sip: RefCell::default(),
            wires: RefCell::default(),
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
        inner.wires.take();
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
        self.0.leaving.set(true);
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

    /// What waits for the person's decision.
    pub fn deferred(&self) -> Waiting {
        self.0.engine.borrow().view().deferred().clone()
    }

    /// How many messages do.
    pub fn waiting(&self) -> u32 {
        self.0.engine.borrow().view().deferred().list.total
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

fn engine(session: &Session) -> Engine {
    let profile = Profile {
        address: session.address.clone(),
        addresses: session.addresses.clone(),
        display_name: session.name.clone(),
        domain: session.domain.clone(),
        instance: session.instance.clone(),
        device_name: session.device_name.clone(),
        is_secure: links::is_secure(),
        secret: None,
    };
    Engine::new(profile, entropy::seed())
}
