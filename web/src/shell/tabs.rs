//! Several tabs of one browser as one device: one of them leads and runs the engine's connection, the others follow.
//!
//! Leading is a Web Lock: the browser hands it on when the leading tab is closed, crashes or signs out. A broadcast channel carries
//! what the leader recorded to the others, and what people do in the others to the leader. Where the browser has no locks
//! (an insecure page), every tab leads itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo::events::EventListener;
use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};

use wasm_core::Text;
use wasm_core::client::view::Waiting;
use wasm_core::client::{Command, Mark, Record};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::deferred::Actions;
use wasm_core::cpm::ids::MessageId;
use wasm_core::wire::json;

use super::dom::window;

/// What tabs say to each other.
#[derive(Clone, Debug)]
pub enum Note {
    /// A new tab asks the leader how things stand.
    Hello,
    /// A tab has become the leader: what the last one did not confirm is to be said again.
    Leading,
    /// The leader: facts as JSON; those that are kept have been written down.
    Records(Vec<String>),
    /// To the leader: something a person did in tab `tab`.
    Command { tab: String, number: u64, command: Command },
    /// The leader has done it, and what had to be written down is.
    Done { tab: String, number: u64 },
    /// A tab has the person's attention, at a conversation or elsewhere; or has lost it.
    Attention { tab: String, attentive: bool, at: Option<Address> },
    /// The account was signed out of.
    SignedOut {
        /// By the server, and not by the person.
        expelled: bool,
    },
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
                let words = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().dyn_into::<Array>().ok());
                let words = words.map(|words| words.iter().filter_map(|word| word.as_string()).collect::<Vec<_>>());
                if let Some(note) = words.and_then(Note::read) {
                    heard(note);
                }
            })
        });
        Tabs { name, channel, _listener: listener, closed: Rc::default(), release: Rc::default() }
    }

    /// Says something to all other tabs.
    pub fn say(&self, note: &Note) {
        if let Some(channel) = &self.channel {
            let words: Array = note.write().into_iter().map(JsValue::from).collect();
            // Fails only for a closed channel, and this one is closed when `self` goes.
            let _ = channel.post_message(&words);
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

// Notes and commands travel as lists of words. Both ends are the same program, and a list costs a tenth of what deriving costs the download.

const YES: &str = "yes";
const NO: &str = "";

fn flag(on: bool) -> String {
    if on { YES } else { NO }.to_owned()
}

impl Note {
    fn write(&self) -> Vec<String> {
        let mut words = match self {
            Note::Hello => vec!["hello".to_owned()],
            Note::Leading => vec!["leading".to_owned()],
            Note::Records(records) => {
                let mut words = vec!["records".to_owned()];
                words.extend_from_slice(records);
                words
            }
            Note::Command { tab, number, .. } => vec!["command".to_owned(), tab.clone(), number.to_string()],
            Note::Done { tab, number } => vec!["done".to_owned(), tab.clone(), number.to_string()],
            Note::Attention { tab, attentive, at } => {
                vec!["attention".to_owned(), tab.clone(), flag(*attentive), at.as_ref().map(Address::to_string).unwrap_or_default()]
            }
            Note::SignedOut { expelled } => vec!["signed-out".to_owned(), flag(*expelled)],
        };
        if let Note::Command { command, .. } = self {
            words.append(&mut write_command(command));
        }
        words
    }

    fn read(words: Vec<String>) -> Option<Note> {
        let mut words = words.into_iter();
        Some(match words.next()?.as_str() {
            "hello" => Note::Hello,
            "leading" => Note::Leading,
            "records" => Note::Records(words.collect()),
            "command" => {
                let (tab, number) = (words.next()?, words.next()?.parse().ok()?);
                Note::Command { tab, number, command: read_command(&mut words)? }
            }
            "done" => Note::Done { tab: words.next()?, number: words.next()?.parse().ok()? },
            "attention" => Note::Attention { tab: words.next()?, attentive: words.next()? == YES, at: Address::parse(&words.next()?) },
            "signed-out" => Note::SignedOut { expelled: words.next()? == YES },
            _ => return None,
        })
    }
}

fn write_command(command: &Command) -> Vec<String> {
    let answer = |reply_to: &Option<MessageId>| reply_to.as_ref().map(MessageId::to_string).unwrap_or_default();
    let (name, words) = match command {
        Command::Send { to, text, reply_to } => ("send", vec![to.to_string(), text.clone(), answer(reply_to)]),
        Command::SendOnce { id, to, text, reply_to } => ("send-once", vec![id.to_string(), to.to_string(), text.clone(), answer(reply_to)]),
        Command::Retry(id) => ("retry", vec![id.to_string()]),
        Command::Delete(id) => ("delete", vec![id.to_string()]),
        Command::Mark { with, id, mark, on } => ("mark", vec![with.to_string(), id.to_string(), flag(*mark == Mark::Deleted), flag(*on)]),
        Command::Typing { to, active } => ("typing", vec![to.to_string(), flag(*active)]),
        Command::Read { with } => ("read", vec![with.to_string()]),
        Command::Meet { with, name } => ("meet", vec![with.to_string(), name.to_string()]),
        Command::Open { with } => ("open", vec![with.to_string()]),
        Command::LoadOlder { with } => ("load-older", vec![with.to_string()]),
        Command::Draft { with, text, reply_to } => ("draft", vec![with.to_string(), text.clone(), answer(reply_to)]),
        // A record holds the same settings and is written as JSON anyhow.
        Command::Deferred(Actions(doing)) => {
            let waiting = Waiting { doing: doing.clone(), ..Waiting::default() };
            ("deferred", json::write(&Record::Deferred(waiting)).into_iter().collect())
        }
        Command::Settings(settings) => ("settings", json::write(&Record::Settings(*settings)).into_iter().collect()),
        Command::Reconnect => ("reconnect", Vec::new()),
        Command::SignOut => ("sign-out", Vec::new()),
    };
    std::iter::once(name.to_owned()).chain(words).collect()
}

fn read_command(words: &mut dyn Iterator<Item = String>) -> Option<Command> {
    let name = words.next()?;
    let mut word = || words.next();
    let id = |word: String| MessageId::parse(&Text::from(word));
    Some(match name.as_str() {
        "send" => Command::Send { to: Address::parse(&word()?)?, text: word()?, reply_to: id(word()?) },
        "send-once" => Command::SendOnce { id: id(word()?)?, to: Address::parse(&word()?)?, text: word()?, reply_to: id(word()?) },
        "retry" => Command::Retry(id(word()?)?),
        "delete" => Command::Delete(id(word()?)?),
        "mark" => Command::Mark {
            with: Address::parse(&word()?)?,
            id: id(word()?)?,
            mark: if word()? == YES { Mark::Deleted } else { Mark::Flagged },
            on: word()? == YES,
        },
        "typing" => Command::Typing { to: Address::parse(&word()?)?, active: word()? == YES },
        "read" => Command::Read { with: Address::parse(&word()?)? },
        "meet" => Command::Meet { with: Address::parse(&word()?)?, name: Text::from(word()?) },
        "open" => Command::Open { with: Address::parse(&word()?)? },
        "load-older" => Command::LoadOlder { with: Address::parse(&word()?)? },
        "draft" => Command::Draft { with: Address::parse(&word()?)?, text: word()?, reply_to: id(word()?) },
        "settings" => match json::read(word()?.as_bytes()).ok()? {
            Record::Settings(settings) => Command::Settings(settings),
            _ => return None,
        },
        "deferred" => match json::read(word()?.as_bytes()).ok()? {
            Record::Deferred(waiting) => Command::Deferred(Actions(waiting.doing)),
            _ => return None,
        },
        "reconnect" => Command::Reconnect,
        "sign-out" => Command::SignOut,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;
    use wasm_core::cpm::deferred::{Action, DeferredId};

    /// R348: what one tab says is what the others hear.
    #[test]
    fn notes_and_commands_read_back() {
        let bob = Address::parse("sip:bob@tandem.test").unwrap();
        let id = MessageId::parse(&Text::from("m1")).unwrap();
        let (with, to, text) = (bob.clone(), bob.clone(), "yes\n\"no\"".to_owned());
        let commands = [
            Command::Send { to: to.clone(), text: text.clone(), reply_to: Some(id.clone()) },
            Command::SendOnce { id: id.clone(), to: to.clone(), text: text.clone(), reply_to: None },
            Command::Retry(id.clone()),
            Command::Delete(id.clone()),
            Command::Mark { with: bob.clone(), id: id.clone(), mark: Mark::Deleted, on: true },
            Command::Mark { with: bob.clone(), id: id.clone(), mark: Mark::Flagged, on: false },
            Command::Typing { to: to.clone(), active: true },
            Command::Typing { to, active: false },
            Command::Read { with: with.clone() },
            Command::Meet { with: with.clone(), name: Text::from(text.as_str()) },
            Command::Open { with: with.clone() },
            Command::LoadOlder { with: with.clone() },
            Command::Draft { with: with.clone(), text, reply_to: Some(id) },
            Command::Draft { with, text: String::new(), reply_to: None },
            Command::Settings(wasm_core::client::Settings { typing: false, ..Default::default() }),
            Command::Deferred(Actions(vec![
                (DeferredId(7), Action::Discard),
                (DeferredId(8), Action::Keep { remind: Some(wasm_core::Time(9)) }),
            ])),
            Command::Reconnect,
            Command::SignOut,
        ];
        let notes = commands.map(|command| Note::Command { tab: "t".to_owned(), number: 7, command });
        let others = [
            Note::Hello,
            Note::Leading,
            Note::Records(vec!["{}".to_owned(), String::new()]),
            Note::Done { tab: "t".to_owned(), number: u64::MAX },
            Note::Attention { tab: "t".to_owned(), attentive: true, at: Some(bob) },
            Note::Attention { tab: "t".to_owned(), attentive: false, at: None },
            Note::SignedOut { expelled: true },
        ];
        for note in notes.into_iter().chain(others) {
            assert_eq!(format!("{:?}", Note::read(note.write())), format!("{:?}", Some(note)));
        }
        assert!(Note::read(vec!["nonsense".to_owned()]).is_none());
        assert!(Note::read(Vec::new()).is_none());
    }
}
