//! What happens goes into the engine, and what it wants is done: in order, and kept before it is sent.

use bytes::Bytes;
use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;

use wasm_core::client::msrp::{Order, Wire};
use wasm_core::client::{Alert, Command, Input, Output, Record};
use wasm_core::cpm::history;
use wasm_core::wire::json;

use super::{Device, Event, Job, Stage};
use crate::prose;
use crate::route::Route;
use crate::shell::settings::Settings;
use crate::shell::socket::{Said, Socket};
use crate::shell::storage::Storage;
use crate::shell::tabs::Note;
use crate::shell::{account, clock, http, notify};
use crate::texts::Phrase;

/// How long after the event socket was lost it is opened again.
const EVENTS_AGAIN_MS: u32 = 4000;
/// The longest that a browser's timer can wait.
const LONGEST_WAIT_MS: u64 = 1 << 30;

impl Device {
    pub(super) fn feed(&self, input: Input) {
        if self.0.stage.get() == Stage::Over {
            return;
        }
        self.0.engine.borrow_mut().handle(clock::now(), input);
        self.drain();
    }

    /// Takes what the engine wants done.
    pub(super) fn drain(&self) {
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
    pub(super) fn changed(&self) {
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
    pub(super) fn perform(&self) {
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
                    self.feed(Input::Socket(Said::Closed));
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
            Output::Msrp(wire, order) => self.wire(wire, order),
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

    /// Does what is wanted of the socket of an MSRP session.
    fn wire(&self, wire: Wire, order: Order) {
        let wires = &self.0.wires;
        match order {
            Order::Connect => {
                let said = self.weak(move |device, said| {
                    let device = device.clone();
                    spawn_local(async move { device.feed(Input::Msrp(wire, said)) });
                });
                match Socket::open("/msrp", Some("msrp"), said) {
                    Some(socket) => wires.borrow_mut().push((wire, socket)),
                    None => self.feed(Input::Msrp(wire, Said::Closed)),
                }
            }
            Order::Transmit(frame) => {
                if let Some((_, socket)) = wires.borrow().iter().find(|(other, _)| *other == wire) {
                    socket.send(&frame);
                }
            }
            Order::Disconnect => wires.borrow_mut().retain(|(other, _)| *other != wire),
        }
    }

    /// What the SIP socket said. Dealt with in a turn of its own, so that a socket may be dropped for what it said.
    fn sip_said(&self, said: Said) {
        let device = self.clone();
        spawn_local(async move {
            match &said {
                Said::Opened => device.open_events(),
                Said::Frame(_) => {}
                Said::Closed => drop(device.0.events.take()),
            }
            device.feed(Input::Socket(said));
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
                    self.0.tell.emit(Event::Stored);
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
    pub(super) fn leave(&self) {
        if self.0.stage.get() == Stage::Over {
            return;
        }
        let expelled = !self.0.leaving.get();
        self.say(&Note::SignedOut { expelled });
        self.depart(expelled);
        let account = self.0.session.address.clone();
        spawn_local(async move {
            account::sign_out().await;
            // Kept by another tab for a moment longer, or not there at all: nothing more can be done.
            let _ = Storage::delete(&account).await;
        });
    }

    pub(super) fn depart(&self, expelled: bool) {
        self.stop();
        account::forget();
        self.0.tell.emit(Event::SignedOut { expelled });
    }
}

fn cursor(frame: &Bytes) -> Option<u64> {
    json::read(frame).ok().map(|history::Event { cursor }| cursor)
}
