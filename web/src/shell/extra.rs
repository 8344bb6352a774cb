//! Between the app's two modules: loading the second, and the few words that they exchange.
//!
//! The first module gives the second an element to draw in, with the wish in its attributes, by an event in that element; the second answers
//! by events there. What is kept (`shell::keep`) both of them read.

use gloo::events::{EventListener, EventListenerOptions};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, Event};
use yew::{AppHandle, AttrValue, BaseComponent, Callback, NodeRef};

use super::dom::{document, window};

const OPEN: &str = "tandem-open";
const CLOSE: &str = "tandem-close";
const NEWS: &str = "tandem-news";
/// The attributes of the element.
pub const VIEW: &str = "data-view";
pub const WORDS: &str = "data-words";

/// What the second module can draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The settings but for those of the engine; the words are the code of a device to be linked.
    Settings,
    /// Linking this device; the words are its name.
    Link,
    /// The way of a message; the words are its identifier.
    Ladder,
    /// Blocking somebody; the words are their address.
    Block,
    /// Unblocking them.
    Unblock,
}

impl View {
    const ALL: [View; 5] = [View::Settings, View::Link, View::Ladder, View::Block, View::Unblock];

    /// Its name in the attribute.
    pub fn name(self) -> &'static str {
        match self {
            View::Settings => "settings",
            View::Link => "link",
            View::Ladder => "ladder",
            View::Block => "block",
            View::Unblock => "unblock",
        }
    }
}

/// What is to be drawn, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub host: Element,
    pub view: View,
    pub words: Option<AttrValue>,
}

/// What the second module tells the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The kept settings have changed.
    Settings,
    /// Somebody is signed in, and remembered.
    SignedIn,
    /// The person wants to leave, or there is nothing more to do.
    Back,
}

impl Word {
    const ALL: [Word; 3] = [Word::Settings, Word::SignedIn, Word::Back];

    /// The name of its event.
    fn name(self) -> &'static str {
        match self {
            Word::Settings => "tandem-settings",
            Word::SignedIn => "tandem-signed-in",
            Word::Back => "tandem-back",
        }
    }
}

/// An element of the first module that the second draws in, until this is dropped.
#[derive(Debug)]
pub struct Room {
    host: Element,
    _words: [EventListener; 3],
}

impl Room {
    /// Hears what the second module says.
    pub fn new(host: &NodeRef, onword: &Callback<Word>) -> Option<Room> {
        let host: Element = host.cast()?;
        let words = Word::ALL.map(|word| {
            let onword = onword.clone();
            EventListener::new(&host, word.name(), move |_| onword.emit(word))
        });
        Some(Room { host, _words: words })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        say(&self.host, CLOSE);
    }
}

/// Has the element drawn in, once the second module is there; false when it cannot be loaded. A browser may remember what could not be
/// loaded, so that each `attempt` has an address of its own.
pub async fn fill(host: &NodeRef, attempt: u32) -> bool {
    if load(attempt).await.is_err() {
        return false;
    }
    if let Some(host) = host.cast::<Element>() {
        say(&host, OPEN);
    }
    true
}

/// Says that what is drawn there may have changed.
pub fn renew(host: &NodeRef) {
    host.cast::<Element>().iter().for_each(|host| say(host, NEWS));
}

/// Where the page says that the second module is.
pub fn address() -> Option<String> {
    document().query_selector("meta[name=extra]").ok()??.get_attribute("content")
}

async fn load(attempt: u32) -> Result<(), JsValue> {
    let mut address = address().ok_or(JsValue::UNDEFINED)?;
    if attempt > 0 {
        address = format!("{address}?{attempt}");
    }
    let load: Function = Reflect::get(&window(), &JsValue::from_str("loadPart"))?.dyn_into()?;
    let loaded: Promise = load.call1(&JsValue::UNDEFINED, &JsValue::from_str(&address))?.dyn_into()?;
    JsFuture::from(loaded).await.map(|_| ())
}

fn say(host: &Element, word: &str) {
    if let Ok(event) = Event::new(word) {
        // Nobody may call it off.
        let _ = host.dispatch_event(&event);
    }
}

/// An element outside of the page.
pub fn outside() -> Element {
    document().create_element("div").expect("the name is one")
}

/// In the second module: tells the first.
pub fn tell(host: &Element, word: Word) {
    say(host, word.name());
}

/// In the second module: what is drawn may have changed.
pub fn on_news(host: &Element, mut happened: impl FnMut() + 'static) -> EventListener {
    EventListener::new(host, NEWS, move |_| happened())
}

/// In the second module: `draw` fills an element.
pub fn serve<C: BaseComponent>(draw: impl Fn(Call) -> AppHandle<C> + 'static) {
    // The events do not bubble, but what captures gets them.
    EventListener::new_with_options(&document(), OPEN, EventListenerOptions::run_in_capture_phase(), move |event| {
        let Some(host) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        let named = host.get_attribute(VIEW).unwrap_or_default();
        let Some(view) = View::ALL.into_iter().find(|view| view.name() == named) else { return };
        let words = host.get_attribute(WORDS).map(AttrValue::from);
        let drawn = draw(Call { host: host.clone(), view, words });
        EventListener::once(&host, CLOSE, move |_| drawn.destroy()).forget();
    })
    .forget();
}
