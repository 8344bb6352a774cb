//! A conversation: its messages in a window that follows the scrolling, and the composer under it.
//!
//! Only the rows near the view are in the page (see [`crate::window`]). Whatever changes above, the row that is being read stays where
//! it is; at the end, the view follows what is new. Nothing here decides about messages: what happens is a command to the engine.

mod rows;
mod scrolling;

use std::ops::Range;
use std::rc::Rc;

use gloo::events::EventListener;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::client::view::{Bubble, Quote, Tick};
use wasm_core::client::{Command, Mark};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::MessageId;

use crate::components::bubble::Deed;
use crate::components::composer::Composer;
use crate::components::extra::Extra;
use crate::components::thread_list::count;
use crate::route::Route;
use crate::shell::device::Device;
use crate::shell::dom;
use crate::shell::extra::{View, Word};
use crate::shell::links::{self, Outside};
use crate::shell::scroll::{self, Place, SizeWatch};
use crate::texts::Phrase;
use crate::ui::avatar::avatar;
use crate::ui::button::{Weight, button, icon_button};
use crate::ui::dialog::Dialog;
use crate::ui::icon::{Glyph, icon};
use crate::who;
use crate::window::{self, Heights, Layout};

/// How many rows are drawn at first, and around a row that is jumped to.
const MOST: usize = 60;
/// How far beyond the view rows are drawn, in CSS pixels.
const BEYOND: f64 = 1200.0;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub device: Device,
    pub with: Address,
    pub title: AttrValue,
    pub unread: u32,
    /// Whether the other side is on the block list.
    pub blocked: bool,
    /// Told when that has changed.
    pub onblocked: Callback<bool>,
    pub draft: AttrValue,
    pub draft_reply: Option<MessageId>,
    /// Counts up with every change of what the engine shows.
    pub version: u64,
    pub recent_emoji: Vec<String>,
    pub onemoji: Callback<AttrValue>,
    /// Says something in a short notice.
    pub ontoast: Callback<AttrValue>,
}

/// What happens to a thread.
#[derive(Debug)]
pub enum Msg {
    Scrolled,
    Resized,
    Outside(Outside),
    Deed(Deed),
    /// A message's way is known.
    CloseLadder,
    /// Blocks the other side, or unblocks it.
    Block(View),
    /// The second module has done so.
    Blocked,
    Send(String),
    Typing(bool),
    CancelReply,
    Undo,
    ToEnd,
    LoadOlder,
    Key(KeyboardEvent),
}

/// Where the view is to go once the rows are drawn.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    End,
    /// A row, with its upper edge at this part of the view's height.
    Row {
        id: MessageId,
        at: f64,
        flash: bool,
    },
}

pub struct Thread {
    log: NodeRef,
    above: NodeRef,
    below: NodeRef,
    /// All messages, oldest first.
    order: Rc<[MessageId]>,
    heights: Heights<MessageId>,
    layout: Layout,
    /// Which of them are drawn.
    drawn: Range<usize>,
    /// Whether the page does not show that yet: until it does, measuring it means nothing.
    stale: bool,
    /// The first row in view and where it ends (a day above it may come or go): what must not move.
    anchor: Option<(MessageId, f64)>,
    target: Option<Target>,
    place: Place,
    at_end: bool,
    /// The newest message when the end was last in view.
    seen: Option<MessageId>,
    /// The first message that was unread when the thread was opened.
    divider: Option<MessageId>,
    reply: Option<Quote>,
    /// The message that was deleted last, to be taken back.
    deleted: Option<MessageId>,
    active: Option<MessageId>,
    /// An answer whose quoted message is being fetched.
    pursued: Option<MessageId>,
    /// For how many messages older ones have been asked for.
    asked_at: Option<usize>,
    /// What a screen reader is told.
    spoken: Vec<(MessageId, AttrValue)>,
    focus: u32,
    /// The message whose way is looked at.
    ladder: Option<MessageId>,
    /// Whether the other side is about to be blocked, or unblocked.
    blocking: Option<View>,
    size: Option<SizeWatch>,
    _outside: Vec<EventListener>,
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thread").field("messages", &self.order.len()).field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

impl Component for Thread {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let props = ctx.props();
        props.device.command(Command::Open { with: props.with.clone() });
        let order = props.device.order(&props.with);
        let divider = props.device.thread(&props.with, |thread| thread.first_unread().cloned());
        let reply = props.draft_reply.as_ref().and_then(|id| props.device.quote(&props.with, id));
        let outside = links::on_outside({
            let link = ctx.link().clone();
            move |outside| link.send_message(Msg::Outside(outside))
        });
        let heights = Heights::default();
        let layout = Layout::new(order.iter(), &heights);
        let (drawn, target) = match divider.as_ref().and_then(|divider| order.iter().position(|id| id == divider)) {
            Some(at) => (window::around(at, MOST, order.len()), divider.clone().map(|id| Target::Row { id, at: 0.25, flash: false })),
            None => (order.len().saturating_sub(MOST)..order.len(), Some(Target::End)),
        };
        Thread {
            log: NodeRef::default(),
            above: NodeRef::default(),
            below: NodeRef::default(),
            seen: order.last().cloned(),
            order,
            heights,
            layout,
            drawn,
            stale: true,
            anchor: None,
            target,
            place: Place::default(),
            at_end: divider.is_none(),
            divider,
            reply,
            deleted: None,
            active: None,
            pursued: None,
            asked_at: None,
            spoken: Vec::new(),
            focus: u32::from(!dom::is_touch()),
            ladder: None,
            blocking: None,
            size: None,
            _outside: outside,
        }
    }

    fn changed(&mut self, ctx: &Context<Self>, _old: &Props) -> bool {
        self.refresh(ctx);
        true
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let props = ctx.props();
        let with = || props.with.clone();
        match msg {
            Msg::Scrolled => self.scrolled(ctx),
            Msg::Resized if self.stale => false,
            Msg::Resized => {
                let width = scroll::place(&self.log).width;
                if (width - self.place.width).abs() > 0.5 {
                    self.heights.forget();
                }
                self.settle(ctx);
                false
            }
            Msg::Outside(Outside::Focus(_) | Outside::Visible(_)) => {
                self.read(ctx);
                false
            }
            Msg::Outside(Outside::Network(_) | Outside::Leaving) => false,
            Msg::Deed(deed) => self.perform(ctx, deed),
            Msg::CloseLadder => {
                self.ladder = None;
                true
            }
            Msg::Block(view) => {
                self.blocking = Some(view);
                true
            }
            Msg::Blocked => {
                props.onblocked.emit(self.blocking.take() == Some(View::Block));
                true
            }
            Msg::Send(text) => {
                let reply_to = self.reply.take().and_then(|quote| quote.id);
                props.device.command(Command::Send { to: with(), text, reply_to });
                self.deleted = None;
                self.divider = None;
                self.target = Some(Target::End);
                self.stale = true;
                self.drawn = self.order.len().saturating_sub(MOST)..self.order.len();
                self.refresh(ctx);
                true
            }
            Msg::Typing(active) => {
                props.device.command(Command::Typing { to: with(), active });
                false
            }
            Msg::Undo => {
                if let Some(id) = self.deleted.take() {
                    props.device.command(Command::Mark { with: with(), id, mark: Mark::Deleted, on: false });
                }
                true
            }
            Msg::CancelReply => {
                self.reply = None;
                true
            }
            Msg::ToEnd => {
                if self.drawn.end == self.order.len() && self.place.below() < 2.0 * self.place.view {
                    scroll::to_end(&self.log, true);
                    return false;
                }
                self.target = Some(Target::End);
                self.stale = true;
                self.drawn = self.order.len().saturating_sub(MOST)..self.order.len();
                true
            }
            Msg::LoadOlder => {
                self.asked_at = Some(self.order.len());
                props.device.command(Command::LoadOlder { with: with() });
                false
            }
            Msg::Key(event) => {
                if dom::arrow(&event).is_some_and(|step| dom::move_focus(&self.log, "article", step)) {
                    event.prevent_default();
                }
                false
            }
        }
    }

    fn rendered(&mut self, ctx: &Context<Self>, first: bool) {
        if first {
            let link = ctx.link().clone();
            self.size = Some(SizeWatch::new(&[&self.log], move || link.send_message(Msg::Resized)));
        }
        self.settle(ctx);
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let props = ctx.props();
        let link = ctx.link();
        let name = props.title.clone();
        let typing = props.device.thread(&props.with, |thread| thread.typing());
        let news = self.news(ctx);
        let back = format!("#{}", Route::Home.hash());
        html! {
            <section class="thread" aria-label={Phrase::ConversationWith(&name).say()}>
                <header class="thread__head">
                    <a class="icon-button only-narrow" href={back} aria-label={Phrase::Back.say()} title={Phrase::Back.say()}>{ icon(Glyph::Back) }</a>
                    { avatar(props.with.as_str(), &name, false) }
                    <div class="thread__who">
                        <h2>{ name.clone() }</h2>
                        if typing {
                            <p class="thread__typing">{ Phrase::Typing.say() }</p>
                        } else {
                            <p>{ who::short(&props.with, "") }</p>
                        }
                    </div>
                    if !props.blocked && self.blocking.is_none() {
                        { icon_button(Glyph::Block, Phrase::Block.say(), &link.callback(|()| Msg::Block(View::Block))) }
                    }
                </header>
                <div role="status">
                    if let Some(view) = self.blocking {
                        <Extra {view} words={AttrValue::from(props.with.to_string())} onword={link.batch_callback(|word| (word == Word::Back).then_some(Msg::Blocked))} />
                    } else if props.blocked {
                        <div class="banner">
                            <span>{ Phrase::HaveBlocked(&name).say() }</span>
                            { button(Phrase::Unblock.say(), Weight::Plain, &link.callback(|()| Msg::Block(View::Unblock))) }
                        </div>
                    }
                </div>
                <div class="thread__stage">
                    <div ref={self.log.clone()} class="log" onscroll={link.callback(|_: Event| Msg::Scrolled)} onkeydown={link.callback(Msg::Key)}>
                        <div class="log__column">
                            { self.beginning(ctx) }
                            <div ref={self.above.clone()} aria-hidden="true"></div>
                            { self.rows(ctx) }
                            <div ref={self.below.clone()} aria-hidden="true"></div>
                            if typing && self.drawn.end == self.order.len() {
                                <div class="typing" role="status" aria-label={Phrase::TypingBy(&name).say()}><i></i><i></i><i></i></div>
                            }
                        </div>
                    </div>
                    if !self.at_end {
                        <button type="button" class="jump" onclick={link.callback(|_: MouseEvent| Msg::ToEnd)}
                            aria-label={if news > 0 { Phrase::JumpToLatestNew(news).say() } else { Phrase::JumpToLatest.say() }}>
                            { icon(Glyph::Down) }
                            if news > 0 { <span class="badge">{ count(news) }</span> }
                        </button>
                    }
                </div>
                if let Some(id) = &self.ladder {
                    <Dialog key="ladder" title={Phrase::Details.say()} onclose={link.callback(|()| Msg::CloseLadder)} class="ladder">
                        <Extra view={View::Ladder} words={AttrValue::from(id.to_string())} />
                    </Dialog>
                }
                <div role="status">
                    if self.deleted.is_some() {
                        <p class="toast">
                            { Phrase::Deleted.say() }{ " " }
                            <button type="button" onclick={link.callback(|_: MouseEvent| Msg::Undo)}>{ Phrase::Undo.say() }</button>
                        </p>
                    }
                </div>
                <div class="unseen" role="log" aria-live="polite" aria-label={Phrase::NewMessage.say()}>
                    { for self.spoken.iter().map(|(id, words)| html! { <p key={id.as_str()}>{ words.clone() }</p> }) }
                </div>
                <Composer peer={name} draft={props.draft.clone()} reply={self.reply.clone()} recent_emoji={props.recent_emoji.clone()} focus={self.focus}
                    onsend={link.callback(Msg::Send)} ontyping={link.callback(Msg::Typing)} ondraft={self.keeper(ctx)}
                    onemoji={props.onemoji.clone()} oncancelreply={link.callback(|()| Msg::CancelReply)} />
            </section>
        }
    }
}

impl Thread {
    /// Keeps a draft without this component, which may be on its way out when the last one comes.
    fn keeper(&self, ctx: &Context<Self>) -> Callback<String> {
        let (device, with) = (ctx.props().device.clone(), ctx.props().with.clone());
        let reply_to = self.reply.as_ref().and_then(|quote| quote.id.clone());
        Callback::from(move |text| device.command(Command::Draft { with: with.clone(), text, reply_to: reply_to.clone() }))
    }

    /// Takes over what the engine has now, with the same rows drawn, and what is new at the end if the end was in view.
    fn refresh(&mut self, ctx: &Context<Self>) {
        let props = ctx.props();
        let order = props.device.order(&props.with);
        if order == self.order {
            return;
        }
        self.stale = true;
        let was_empty = self.order.is_empty();
        let find = |id: Option<&MessageId>| id.and_then(|id| order.iter().position(|other| other == id));
        let first = find(self.order.get(self.drawn.start));
        let last = find(self.drawn.end.checked_sub(1).and_then(|last| self.order.get(last)));
        let newest = find(self.order.last());
        if !was_empty {
            self.announce(ctx, &order, newest.map_or(order.len(), |newest| newest + 1));
        }
        let end = if self.at_end || was_empty { order.len() } else { last.map_or(order.len(), |last| last + 1) };
        let start = match first {
            Some(first) if first < end => first.max(end.saturating_sub(4 * MOST)),
            _ => end.saturating_sub(MOST),
        };
        self.drawn = if self.target == Some(Target::End) { order.len().saturating_sub(MOST)..order.len() } else { start..end };
        if was_empty {
            self.divider = props.device.thread(&props.with, |thread| thread.first_unread().cloned());
            self.seen = order.last().cloned();
            self.target = Some(Target::End);
        }
        self.order = order;
        self.layout = Layout::new(self.order.iter(), &self.heights);
        if let Some(wanted) = self.pursued.clone() {
            self.follow(ctx, wanted);
        }
    }

    /// Tells a screen reader of new incoming messages.
    fn announce(&mut self, ctx: &Context<Self>, order: &[MessageId], from: usize) {
        let props = ctx.props();
        for message in props.device.bubbles(&props.with, from..order.len()).into_iter().filter(|message| !message.outgoing) {
            let words = Phrase::NewMessageFrom { author: &props.title, text: &message.text }.say();
            self.spoken.push((message.id.clone(), words));
        }
        let surplus = self.spoken.len().saturating_sub(5);
        self.spoken.drain(..surplus);
    }

    /// How many incoming messages there are below what has been seen.
    fn news(&self, ctx: &Context<Self>) -> u32 {
        if self.at_end {
            return 0;
        }
        let from = match self.seen.as_ref().and_then(|seen| self.order.iter().rposition(|id| id == seen)) {
            Some(seen) => seen + 1,
            None => return ctx.props().unread,
        };
        let props = ctx.props();
        let fresh = props.device.bubbles(&props.with, from..self.order.len()).iter().filter(|message| !message.outgoing).count() as u32;
        fresh.max(props.unread)
    }

    /// Says that all has been read, when the end is in view of a person.
    fn read(&mut self, ctx: &Context<Self>) {
        let props = ctx.props();
        if self.at_end && props.unread > 0 && links::attentive() {
            props.device.command(Command::Read { with: props.with.clone() });
        }
    }

    /// Asks for older messages when the beginning of what is known comes into view.
    fn ask_for_older(&mut self, ctx: &Context<Self>) {
        let props = ctx.props();
        let near = self.drawn.start == 0 && self.place.top < BEYOND;
        if near
            && self.asked_at != Some(self.order.len())
            && props.device.thread(&props.with, |thread| thread.has_older())
            && !props.device.thread(&props.with, |thread| thread.loading_older())
        {
            self.asked_at = Some(self.order.len());
            props.device.command(Command::LoadOlder { with: props.with.clone() });
        }
    }

    fn perform(&mut self, ctx: &Context<Self>, deed: Deed) -> bool {
        let props = ctx.props();
        match deed {
            Deed::Reply(id) => {
                self.reply = props.device.quote(&props.with, &id);
                self.focus += 1;
                true
            }
            Deed::Copy(id) => {
                let text = props.device.bubble(&props.with, &id).map(|message| message.text.to_string());
                let ontoast = props.ontoast.clone();
                if let Some(text) = text {
                    spawn_local(async move {
                        let done = dom::copy(text).await;
                        ontoast.emit(if done { Phrase::Copied.say() } else { Phrase::CopyFailed.say() });
                    });
                }
                false
            }
            Deed::Inspect(id) => {
                self.ladder = Some(id);
                true
            }
            Deed::Retry(id) => {
                props.device.command(Command::Retry(id));
                false
            }
            Deed::Flag(id, on) => {
                props.device.command(Command::Mark { with: props.with.clone(), id, mark: Mark::Flagged, on });
                false
            }
            Deed::Delete(id) => {
                // What was never sent is not on the server, to come back from there.
                let kept = |message: &Bubble| message.tick.is_none_or(|tick| !matches!(tick, Tick::Failed | Tick::Sending));
                self.deleted = props.device.bubble(&props.with, &id).filter(kept).map(|message| message.id);
                props.device.command(Command::Mark { with: props.with.clone(), id, mark: Mark::Deleted, on: true });
                self.focus += 1;
                true
            }
            Deed::Follow(id) => self.follow(ctx, id),
            Deed::Enter(id) => {
                self.active = Some(id);
                true
            }
        }
    }

    /// Goes to the message that `answer` answers, fetching older ones until it is there.
    fn follow(&mut self, ctx: &Context<Self>, answer: MessageId) -> bool {
        let props = ctx.props();
        let quoted = props.device.bubble(&props.with, &answer).and_then(|answer| answer.reply?.id);
        if let Some(id) = quoted
            && let Some(at) = self.order.iter().position(|other| *other == id)
        {
            self.pursued = None;
            self.stale = true;
            self.drawn = window::around(at, MOST, self.order.len());
            self.at_end = false;
            self.active = Some(id.clone());
            self.target = Some(Target::Row { id, at: 0.3, flash: true });
            return true;
        }
        let (has_older, loading) = props.device.thread(&props.with, |thread| (thread.has_older(), thread.loading_older()));
        self.pursued = has_older.then_some(answer);
        if has_older && !loading {
            props.device.command(Command::LoadOlder { with: props.with.clone() });
        }
        false
    }
}
