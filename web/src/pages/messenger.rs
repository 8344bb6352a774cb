//! The page of somebody who is signed in: conversations, the one that is open, and what lies above them.

use gloo::events::EventListener;
use gloo::timers::callback::{Interval, Timeout};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::client::view::ThreadSummary;
use wasm_core::client::{Command, Settings as Privacy};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::{Person, Session};

use crate::components::deferred::Deferred;
use crate::components::link_banner::{self, LinkBanner};
use crate::components::new_conversation::NewConversation;
use crate::components::settings_menu::SettingsMenu;
use crate::components::thread::Thread;
use crate::components::thread_list::ThreadList;
use crate::route::{self, Route};
use crate::shell::device::{Device, Event as Happening};
use crate::shell::extra::Word;
use crate::shell::links::{self, Outside};
use crate::shell::notify::{self, Permission};
use crate::shell::settings::Settings;
use crate::shell::{clock, dom, preferences, push, updates};
use crate::texts::Phrase;
use crate::ui::icon::{Glyph, icon};
use crate::ui::spinner::spinner;
use crate::who;

/// How long a notice stays.
const TOAST_MS: u32 = 2500;
/// How often a newer version of the app is looked for.
const UPDATE_MS: u32 = 30 * 60 * 1000;
/// How long changes of the store are gathered before what depends on them is read again.
const GATHER_MS: u32 = 500;
/// How many emoji count as recent.
const RECENT: usize = 14;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub session: Session,
    /// Told whether the server, and not the person, has ended the session.
    pub onsignedout: Callback<bool>,
}

/// What happens on this page.
pub enum Msg {
    Happened(Happening),
    /// The server's store has changed, a moment ago.
    Stored,
    Moved(String),
    Key(Key),
    Outside(Outside),
    Minute,
    Outdated,
    Ask(Option<Overlay>),
    Start(Person),
    /// The kept settings have changed.
    Settings,
    Privacy(Privacy),
    /// Whether somebody is on the block list.
    Blocked(Address, bool),
    Emoji(AttrValue),
    Toast(Option<AttrValue>),
    Retry,
    SignOut,
}

/// The keys that mean something everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Search,
    New,
    Escape,
}

/// What lies above the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overlay {
    NewConversation,
    Settings,
    Deferred,
}

#[derive(Debug)]
pub struct Messenger {
    device: Device,
    version: u64,
    route: Route,
    overlay: Option<Overlay>,
    /// The code of a device to be linked, which was scanned.
    code: Option<AttrValue>,
    settings: Settings,
    /// The other side of the conversation that is open, if it is on the block list.
    blocked: Option<Address>,
    /// Counts the changes of the store.
    news: u32,
    /// Until what depends on the store is read again.
    again: Option<Timeout>,
    search: NodeRef,
    toast: Option<(AttrValue, Timeout)>,
    outdated: bool,
    day: i64,
    _listeners: Vec<EventListener>,
    _beats: [Interval; 2],
}

impl Component for Messenger {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let link = ctx.link();
        let device = Device::start(ctx.props().session.clone(), link.callback(Msg::Happened));
        let route = Route::parse(&links::hash());
        let mut listeners = links::on_outside({
            let link = link.clone();
            move |outside| link.send_message(Msg::Outside(outside))
        });
        listeners.push(links::on_hash({
            let link = link.clone();
            move |hash| link.send_message(Msg::Moved(hash))
        }));
        listeners.push(dom::on_key({
            let link = link.clone();
            move |event| {
                let key = match event.key().as_str() {
                    "k" | "K" if event.ctrl_key() || event.meta_key() => Key::Search,
                    _ if event.alt_key() && event.code() == "KeyN" => Key::New,
                    "Escape" => return link.send_message(Msg::Key(Key::Escape)),
                    _ => return,
                };
                event.prevent_default();
                link.send_message(Msg::Key(key));
            }
        }));
        let minute = Interval::new(60_000, {
            let link = link.clone();
            move || link.send_message(Msg::Minute)
        });
        let update = Interval::new(UPDATE_MS, {
            let link = link.clone();
            move || {
                let link = link.clone();
                spawn_local(async move {
                    if updates::is_outdated().await {
                        link.send_message(Msg::Outdated);
                    }
                });
            }
        });
        let mut page = Messenger {
            device,
            version: 0,
            route,
            overlay: None,
            code: None,
            settings: Settings::load(),
            blocked: None,
            news: 0,
            again: None,
            search: NodeRef::default(),
            toast: None,
            outdated: false,
            day: clock::day(clock::now()),
            _listeners: listeners,
            _beats: [minute, update],
        };
        page.scanned(&links::hash());
        page.look(ctx);
        let settings = &page.settings;
        if settings.notify && notify::permission() == Permission::Granted {
            // Anew each time: what the server or the push service has lost is there again.
            let text = settings.show_text;
            spawn_local(async move {
                push::subscribe(text, &Phrase::NewMessage.words()).await;
            });
        }
        page
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Happened(Happening::Changed) => {
                let privacy = self.device.privacy();
                if !privacy.read_reports {
                    // The server withholds them, where the preferences say so, for all devices alike.
                    self.device.command(Command::Settings(Privacy { read_reports: true, ..privacy }));
                }
                self.version += 1;
                true
            }
            Msg::Happened(Happening::Stored) => {
                let link = ctx.link().clone();
                self.again = Some(Timeout::new(GATHER_MS, move || link.send_message(Msg::Stored)));
                false
            }
            Msg::Stored => {
                self.news += 1;
                self.ask_blocked(ctx);
                self.overlay == Some(Overlay::Settings)
            }
            Msg::Happened(Happening::SignedOut { expelled }) => {
                ctx.props().onsignedout.emit(expelled);
                false
            }
            Msg::Moved(hash) if self.scanned(&hash) => true,
            Msg::Moved(hash) => {
                let route = Route::parse(&hash);
                let changed = route != self.route;
                self.route = route;
                self.look(ctx);
                changed
            }
            Msg::Key(key) => self.key(key),
            Msg::Outside(outside) => {
                self.device.outside(outside);
                self.look(ctx);
                false
            }
            Msg::Minute => {
                let day = clock::day(clock::now());
                std::mem::replace(&mut self.day, day) != day
            }
            Msg::Outdated => !std::mem::replace(&mut self.outdated, true),
            Msg::Ask(overlay) => {
                self.overlay = overlay;
                self.code = None;
                true
            }
            Msg::Start(Person { address, name }) => {
                self.overlay = None;
                if !name.is_empty() {
                    self.device.command(Command::Meet { with: address.clone(), name });
                }
                links::go(&Route::With(address).hash(), false);
                true
            }
            Msg::Settings => {
                self.settings = Settings::load();
                self.settings.dress();
                true
            }
            Msg::Privacy(privacy) => {
                self.device.command(Command::Settings(privacy));
                false
            }
            Msg::Blocked(with, on) => {
                // Perhaps another conversation has been opened meanwhile.
                let changed = self.route == Route::With(with.clone()) && on != (self.blocked.as_ref() == Some(&with));
                if changed {
                    self.blocked = on.then_some(with);
                }
                changed
            }
            Msg::Emoji(emoji) => {
                let recent = &mut self.settings.recent_emoji;
                recent.retain(|other| *other != emoji.as_str());
                recent.insert(0, emoji.to_string());
                recent.truncate(RECENT);
                self.settings.save();
                true
            }
            Msg::Toast(Some(words)) => {
                let link = ctx.link().clone();
                self.toast = Some((words, Timeout::new(TOAST_MS, move || link.send_message(Msg::Toast(None)))));
                true
            }
            Msg::Toast(None) => {
                self.toast = None;
                true
            }
            Msg::Retry => {
                self.device.command(Command::Reconnect);
                false
            }
            Msg::SignOut => {
                self.overlay = None;
                self.device.sign_out();
                true
            }
        }
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let session = &ctx.props().session;
        let threads = self.device.threads();
        self.title(&threads);
        let current = match &self.route {
            Route::With(with) => Some(with.clone()),
            Route::Home => None,
        };
        let side = if current.is_some() { "frame--thread" } else { "frame--list" };
        let ask = |overlay: Option<Overlay>| link.callback(move |()| Msg::Ask(overlay));
        html! {
            <>
                <div class={classes!("frame", side)}>
                    <LinkBanner link={self.device.link()} onretry={link.callback(|()| Msg::Retry)} storage={self.device.keeps()} outdated={self.outdated} />
                    <ThreadList threads={threads.clone()} current={current.clone()} loading={self.device.is_loading()} search={self.search.clone()} day={self.day}
                        onnew={ask(Some(Overlay::NewConversation))} onsettings={ask(Some(Overlay::Settings))} waiting={self.device.waiting()} onwaiting={ask(Some(Overlay::Deferred))} />
                    <main class="frame__main">{ self.main(ctx, current, &threads) }</main>
                </div>
                if self.overlay == Some(Overlay::NewConversation) {
                    <NewConversation domain={AttrValue::from(session.domain.to_string())} own={session.addresses.clone()}
                        onstart={link.callback(Msg::Start)} onclose={ask(None)} />
                }
                if self.overlay == Some(Overlay::Deferred) {
                    <Deferred device={self.device.clone()} version={self.version} domain={AttrValue::from(session.domain.to_string())} onclose={ask(None)} />
                }
                if self.overlay == Some(Overlay::Settings) {
                    <SettingsMenu session={session.clone()} code={self.code.clone()} onword={link.batch_callback(|word| (word == Word::Settings).then_some(Msg::Settings))}
                        privacy={self.device.privacy()} onprivacy={link.callback(Msg::Privacy)}
                        news={self.news}
                        connection={link_banner::state(&self.device.link())} onsignout={link.callback(|()| Msg::SignOut)} onclose={ask(None)} />
                }
                <div role="status">
                    if let Some((words, _)) = &self.toast { <p class="toast">{ words.clone() }</p> }
                </div>
            </>
        }
    }

    fn destroy(&mut self, _ctx: &Context<Self>) {
        self.device.stop();
    }
}

impl Messenger {
    fn main(&self, ctx: &Context<Self>, current: Option<Address>, threads: &[ThreadSummary]) -> Html {
        let link = ctx.link();
        let Some(with) = current else {
            return html! {
                <div class="blank">
                    <span class="blank__mark">{ icon(Glyph::Bubbles) }</span>
                    <h2>{ Phrase::NoThreadTitle.say() }</h2>
                    <p>{ Phrase::NoThreadHint.say() }</p>
                </div>
            };
        };
        if self.device.is_starting() {
            return html! { <div class="blank">{ spinner(Some(Phrase::Loading.say())) }</div> };
        }
        let summary = threads.iter().find(|thread| thread.with == with);
        let domain = &ctx.props().session.domain;
        let title = self.device.thread(&with, |thread| Some(thread.title().to_string())).unwrap_or_else(|| who::short(&with, domain));
        let draft = summary.and_then(|thread| thread.draft.as_deref().map(str::to_owned)).unwrap_or_default();
        let peer = with.clone();
        html! {
            <Thread key={with.as_str()} device={self.device.clone()} with={with.clone()} title={AttrValue::from(title)}
                unread={summary.map_or(0, |thread| thread.unread)} draft={AttrValue::from(draft)} draft_reply={summary.and_then(|thread| thread.draft_reply.clone())}
                blocked={self.blocked.as_ref() == Some(&with)} onblocked={link.callback(move |on| Msg::Blocked(peer.clone(), on))}
                version={self.version} recent_emoji={self.settings.recent_emoji.clone()} onemoji={link.callback(Msg::Emoji)}
                ontoast={link.callback(|words| Msg::Toast(Some(words)))} />
        }
    }

    /// Asks the server whether the other side is blocked.
    fn ask_blocked(&self, ctx: &Context<Self>) {
        let Route::With(with) = self.route.clone() else { return };
        let (account, link) = (ctx.props().session.address.clone(), ctx.link().clone());
        spawn_local(async move {
            if let Some(on) = preferences::blocks(&account, &with).await {
                link.send_message(Msg::Blocked(with, on));
            }
        });
    }

    /// The title of the tab: how much is unread, and whose conversation is open.
    fn title(&self, threads: &[ThreadSummary]) {
        let unread: u32 = threads.iter().map(|thread| thread.unread).sum();
        let name = match &self.route {
            Route::With(with) => threads.iter().find(|thread| thread.with == *with).map(|thread| thread.title.to_string()),
            Route::Home => None,
        };
        let app = Phrase::AppName.words();
        let title = name.map_or_else(|| app.to_string(), |name| format!("{name} · {app}"));
        dom::set_title(&if unread > 0 { format!("({unread}) {title}") } else { title });
    }

    /// Whether the address bar has the code of a device to be linked; then the settings show it, and it is taken out of there.
    fn scanned(&mut self, hash: &str) -> bool {
        let Some(code) = route::link_code(hash) else { return false };
        self.code = Some(AttrValue::from(code.to_owned()));
        self.overlay = Some(Overlay::Settings);
        links::go(&Route::Home.hash(), true);
        true
    }

    /// Tells the device what the person looks at.
    fn look(&self, ctx: &Context<Self>) {
        self.ask_blocked(ctx);
        let at = match &self.route {
            Route::With(with) => Some(with.clone()),
            Route::Home => None,
        };
        let attentive = links::attentive();
        if let Some(with) = at.as_ref().filter(|_| attentive) {
            spawn_local(push::dismiss(with.to_string()));
        }
        self.device.attend(attentive, at);
    }

    fn key(&mut self, key: Key) -> bool {
        match key {
            _ if self.overlay.is_some() => false,
            Key::Search => {
                if self.route != Route::Home && dom::is_narrow() {
                    links::go(&Route::Home.hash(), false);
                }
                dom::focus(&self.search);
                false
            }
            Key::New => {
                self.overlay = Some(Overlay::NewConversation);
                true
            }
            Key::Escape => {
                links::go(&Route::Home.hash(), false);
                false
            }
        }
    }
}
