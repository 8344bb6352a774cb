//! The device's tabs: how one comes to lead, and what leader and followers tell each other (R348).
//!
//! A follower's command is said again to every new leader until one has confirmed it.

use std::rc::Rc;

use wasm_bindgen_futures::spawn_local;

use wasm_core::client::view::ThreadSummary;
use wasm_core::client::{Input, Record, Role};
use wasm_core::cpm::address::Address;
use wasm_core::wire::json;

use super::{Device, Job, Stage, engine};
use crate::shell::links;
use crate::shell::storage::Storage;
use crate::shell::tabs::Note;

impl Device {
    /// A callback that does not keep the device alive.
    pub(super) fn weak<T: 'static>(&self, act: impl Fn(&Device, T) + Clone + 'static) -> impl Fn(T) + Clone + 'static {
        let inner = Rc::downgrade(&self.0);
        move |argument| {
            if let Some(inner) = inner.upgrade().filter(|inner| inner.stage.get() != Stage::Over) {
                act(&Device(inner), argument);
            }
        }
    }

    pub(super) async fn restore(&self) {
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
    pub(super) fn heard(&self, note: Note) {
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
            Note::SignedOut { expelled } => self.depart(expelled),
            Note::Hello | Note::Leading | Note::Records(_) | Note::Command { .. } | Note::Done { .. } => {}
        }
    }

    /// Says again what no leader has confirmed.
    fn forward(&self) {
        for (number, command) in self.0.unconfirmed.borrow().clone() {
            self.say(&Note::Command { tab: self.0.tab.clone(), number, command });
        }
    }

    pub(super) fn say(&self, note: &Note) {
        if let Some(tabs) = &*self.0.tabs.borrow() {
            tabs.say(note);
        }
    }

    /// Tells the tabs that follow.
    pub(super) fn share(&self, records: &[Record]) {
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

    pub(super) fn note_attention(&self, tab: String, attentive: bool, at: Option<Address>) {
        let mut attention = self.0.attention.borrow_mut();
        if attentive {
            *attention = Some((tab, at));
        } else if attention.as_ref().is_some_and(|(other, _)| *other == tab) {
            *attention = None;
        }
    }
}
