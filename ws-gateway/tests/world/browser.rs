//! A browser of the world: the real client engine, with a disk of its own and whatever the page around it would do.

use std::collections::BTreeMap;

use bytes::Bytes;
use wasm_core::Time;
use wasm_core::client::msrp::{Order, Wire};
use wasm_core::client::view::Tick;
use wasm_core::client::{Alert, Command, Engine, Input, Output, Profile, Record, Socket};
use wasm_core::cpm::address::Address;

/// What the page has to do.
#[derive(Debug)]
pub enum Want {
    Connect,
    Disconnect,
    Transmit(Bytes),
    Msrp(Wire, Order),
    Http { id: u64, method: &'static str, path: String, body: Option<String> },
}

pub struct Browser {
    pub name: &'static str,
    pub engine: Engine,
    pub alerts: Vec<Alert>,
    pub signed_out: bool,
    profile: Profile,
    /// IndexedDB.
    disk: BTreeMap<(&'static str, String), Record>,
    wants: Vec<Want>,
    seed: u8,
    generation: u8,
}

impl Browser {
    pub fn new(name: &'static str, profile: Profile, seed: u8) -> Browser {
        Browser {
            name,
            engine: Engine::new(profile.clone(), [seed; 32]),
            alerts: Vec::new(),
            signed_out: false,
            profile,
            disk: BTreeMap::new(),
            wants: Vec::new(),
            seed,
            generation: 0,
        }
    }

    /// The page is opened: the engine leads.
    pub fn open(&mut self, now: Time) {
        self.handle(now, Input::Lead);
    }

    /// The page is loaded anew: everything but the disk is gone.
    pub fn reload(&mut self, now: Time) {
        self.generation += 1;
        let mut seed = [self.seed; 32];
        seed[31] = 100 + self.generation;
        self.engine = Engine::new(self.profile.clone(), seed);
        self.wants.clear();
        for record in self.disk.values() {
            self.engine.restore(&serde_json::to_string(record).unwrap());
        }
        self.open(now);
    }

    pub fn command(&mut self, now: Time, command: Command) {
        self.handle(now, Input::Command(command));
    }

    pub fn send(&mut self, now: Time, to: &Address, text: &str) {
        self.command(now, Command::Send { to: to.clone(), text: text.to_owned(), reply_to: None });
    }

    pub fn read(&mut self, now: Time, with: &Address) {
        self.command(now, Command::Open { with: with.clone() });
        self.command(now, Command::Read { with: with.clone() });
    }

    pub fn socket(&mut self, now: Time, socket: Socket) {
        self.handle(now, Input::Socket(socket));
    }

    pub fn handle(&mut self, now: Time, input: Input) {
        self.engine.handle(now, input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Connect => self.wants.push(Want::Connect),
                Output::Disconnect => self.wants.push(Want::Disconnect),
                Output::Transmit(bytes) => self.wants.push(Want::Transmit(bytes)),
                Output::Msrp(wire, order) => self.wants.push(Want::Msrp(wire, order)),
                Output::Http { id, method, path, body } => self.wants.push(Want::Http { id, method, path, body }),
                Output::Persist(record) => self.keep(record),
                Output::Alert(alert) => self.alerts.push(alert),
                Output::SignedOut => self.signed_out = true,
                Output::Share(_) | Output::Forward(_) | Output::Changed(_) => {}
            }
        }
    }

    fn keep(&mut self, record: Record) {
        let Some(key) = record.key() else { return };
        match record {
            Record::Forgotten { .. } | Record::Done(_) => drop(self.disk.remove(&key)),
            record => drop(self.disk.insert(key, record)),
        }
    }

    pub fn take(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    // What the story asks.

    /// The bubbles of a thread: what was written, and how far one's own have come.
    pub fn thread(&self, with: &Address) -> Vec<(String, Option<Tick>)> {
        let view = self.engine.view();
        let Some(thread) = view.thread(with) else { return Vec::new() };
        thread.bubbles(0..thread.len()).map(|bubble| (bubble.text.as_str().to_owned(), bubble.tick)).collect()
    }

    /// The same without ticks.
    pub fn texts(&self, with: &Address) -> Vec<String> {
        self.thread(with).into_iter().map(|(text, _)| text).collect()
    }

    pub fn unread(&self) -> u32 {
        self.engine.view().unread()
    }
}
