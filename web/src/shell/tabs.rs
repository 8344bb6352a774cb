//! Several tabs of one browser as one device: one of them leads and runs the engine's connection, the others follow.
//!
//! Leading is a Web Lock: the browser hands it on when the leading tab is closed, crashes or signs out. A broadcast channel carries
//! what the leader recorded to the others, and what people do in the others to the leader. Where the browser has no locks
//! (an insecure page), every tab leads itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo::events::EventListener;
use js_sys::{Function, Promise, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};

use wasm_core::client::{Command, Record};
use wasm_core::cpm::address::Address;
use wasm_core::wire::json;

use super::dom::window;

/// What tabs say to each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Note {
    /// A new tab asks the leader how things stand.
    Hello,
    /// A tab has become the leader: what the last one did not confirm is to be said again.
    Leading,
    /// The leader: facts; those that are kept have been written down.
    Records(Vec<Record>),
    /// To the leader: something a person did in tab `tab`.
    Command { tab: String, number: u64, command: Command },
    /// The leader has done it, and what had to be written down is.
    Done { tab: String, number: u64 },
    /// A tab has the person's attention, at a conversation or elsewhere; or has lost it.
    Attention { tab: String, attentive: bool, at: Option<Address> },
    /// The account was signed out of.
    SignedOut,
}

/// This tab among the others.
#[derive(Debug)]
pub struct Tabs {
    name: String,
    channel: Option<BroadcastChannel>,
    _listener: Option<EventListener>,
    closed: Rc<Cell<bool>>,
    /// Ends the leadership.
    release: Rc<RefCell<Option<Function>>>,
}

impl Tabs {
    /// Joins the tabs of an account.
    pub fn join(account: &Address, heard: impl Fn(Note) + 'static) -> Tabs {
        let name = format!("tandem {account}");
        let channel = BroadcastChannel::new(&name).ok();
        let listener = channel.as_ref().map(|channel| {
            EventListener::new(channel, "message", move |event| {
                let text = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
                if let Some(note) = text.and_then(|text| json::read(text.as_bytes()).ok()) {
                    heard(note);
                }
            })
        });
        Tabs { name, channel, _listener: listener, closed: Rc::default(), release: Rc::default() }
    }

    /// Says something to all other tabs.
    pub fn say(&self, note: &Note) {
        if let (Some(channel), Ok(text)) = (&self.channel, json::write(note)) {
            // Fails only for a closed channel, and this one is closed when `self` goes.
            let _ = channel.post_message(&JsValue::from_str(&text));
        }
    }

    /// Calls `lead` when this tab is the one to lead: at once when it is alone, or when the leader is gone.
    pub fn when_leading(&self, lead: impl FnOnce() + 'static) {
        let locks = Reflect::get(&window().navigator(), &JsValue::from_str("locks")).unwrap_or(JsValue::UNDEFINED);
        let request = if locks.is_object() { Reflect::get(&locks, &JsValue::from_str("request")).ok() } else { None };
        let Some(request) = request.and_then(|request| request.dyn_into::<Function>().ok()) else { return lead() };
        let (closed, release) = (self.closed.clone(), self.release.clone());
        let granted = Closure::once_into_js(move |_lock: JsValue| {
            if closed.get() {
                return Promise::resolve(&JsValue::UNDEFINED);
            }
            // The lock is held until this promise is fulfilled.
            let held = Promise::new(&mut |fulfil, _| *release.borrow_mut() = Some(fulfil));
            lead();
            held
        });
        // A refused request leaves this tab a follower.
        let _ = request.call2(&locks, &JsValue::from_str(&self.name), &granted);
    }
}

impl Drop for Tabs {
    fn drop(&mut self) {
        self.closed.set(true);
        if let Some(release) = self.release.borrow_mut().take() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
        if let Some(channel) = &self.channel {
            channel.close();
        }
    }
}
