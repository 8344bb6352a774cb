//! Where a message is written: several lines, a reply's quote, emoji, and a draft that is kept.

use gloo::timers::callback::Timeout;
use yew::prelude::*;

use wasm_core::client::LONGEST_TEXT;
use wasm_core::client::view::Quote;

use crate::components::emoji_picker::EmojiPicker;
use crate::prose;
use crate::shell::dom;
use crate::texts::Phrase;
use crate::ui::button::{IconButton, icon_button};
use crate::ui::icon::Glyph;

/// How long typing has to rest before the draft is kept.
const REST_MS: u32 = 400;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub peer: AttrValue,
    /// What stands there at first: the draft as it was left.
    pub draft: AttrValue,
    pub reply: Option<Quote>,
    pub recent_emoji: Vec<String>,
    /// Counts up whenever the field should take the focus.
    pub focus: u32,
    pub onsend: Callback<String>,
    /// The text was changed; empty when it was cleared.
    pub ontyping: Callback<bool>,
    pub ondraft: Callback<String>,
    pub onemoji: Callback<AttrValue>,
    pub oncancelreply: Callback<()>,
}

/// What happens to the composer.
#[derive(Debug)]
pub enum Msg {
    Typed,
    Rested,
    Key(KeyboardEvent),
    Send,
    ToggleEmoji,
    Insert(AttrValue),
    CancelReply,
}

/// The composer. The text lives in the field itself, so that input methods are not disturbed while they compose.
#[derive(Debug)]
pub struct Composer {
    field: NodeRef,
    toggle: NodeRef,
    length: usize,
    empty: bool,
    emoji: bool,
    rest: Option<Timeout>,
}

impl Component for Composer {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let draft = &ctx.props().draft;
        Composer {
            field: NodeRef::default(),
            toggle: NodeRef::default(),
            length: draft.len(),
            empty: draft.trim().is_empty(),
            emoji: false,
            rest: None,
        }
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let props = ctx.props();
        match msg {
            Msg::Typed => {
                dom::fit_height(&self.field);
                let text = dom::text(&self.field);
                props.ontyping.emit(!text.trim().is_empty());
                let link = ctx.link().clone();
                self.rest = Some(Timeout::new(REST_MS, move || link.send_message(Msg::Rested)));
                self.measure(&text)
            }
            Msg::Rested => {
                self.keep(props);
                false
            }
            Msg::Key(event) => {
                match event.key().as_str() {
                    // 229 is what browsers say of a key that an input method took.
                    "Enter" if !event.shift_key() && !event.is_composing() && event.key_code() != 229 && !dom::is_touch() => {
                        event.prevent_default();
                        ctx.link().send_message(Msg::Send);
                    }
                    "Escape" if self.emoji => {
                        event.stop_propagation();
                        ctx.link().send_message(Msg::ToggleEmoji);
                    }
                    "Escape" if props.reply.is_some() => {
                        event.stop_propagation();
                        props.oncancelreply.emit(());
                    }
                    _ => {}
                }
                false
            }
            Msg::Send => {
                let text = dom::text(&self.field);
                dom::focus(&self.field);
                if text.trim().is_empty() || text.len() > LONGEST_TEXT {
                    return false;
                }
                self.rest = None;
                self.emoji = false;
                dom::set_text(&self.field, "");
                dom::fit_height(&self.field);
                props.onsend.emit(text.trim().to_owned());
                self.measure("");
                true
            }
            Msg::ToggleEmoji => {
                self.emoji = !self.emoji;
                if !self.emoji {
                    dom::focus(&self.field);
                }
                true
            }
            Msg::Insert(emoji) => {
                let text = dom::insert_text(&self.field, &emoji);
                props.onemoji.emit(emoji);
                self.measure(&text);
                ctx.link().send_message(Msg::Typed);
                false
            }
            Msg::CancelReply => {
                props.oncancelreply.emit(());
                dom::focus(&self.field);
                false
            }
        }
    }

    fn changed(&mut self, ctx: &Context<Self>, old: &Props) -> bool {
        if ctx.props().focus != old.focus {
            dom::focus(&self.field);
        }
        true
    }

    fn rendered(&mut self, ctx: &Context<Self>, first: bool) {
        if first {
            dom::set_text(&self.field, &ctx.props().draft);
            dom::fit_height(&self.field);
            if ctx.props().focus > 0 {
                dom::focus(&self.field);
            }
        }
    }

    fn destroy(&mut self, ctx: &Context<Self>) {
        if self.rest.take().is_some() {
            self.keep(ctx.props());
        }
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let props = ctx.props();
        let link = ctx.link();
        let onsubmit = link.callback(|event: SubmitEvent| {
            event.prevent_default();
            Msg::Send
        });
        let over = self.length.saturating_sub(LONGEST_TEXT) as u32;
        let toggle = IconButton::new(Glyph::Emoji, Phrase::ChooseEmoji.say()).press(&link.callback(|()| Msg::ToggleEmoji));
        let toggle = IconButton { anchor: self.toggle.clone(), expanded: Some(self.emoji), ..toggle };
        let send = IconButton::new(Glyph::Send, Phrase::Send.say());
        let send = IconButton { class: "composer__send", disabled: self.empty || over > 0, ..send };
        html! {
            <form class="composer" {onsubmit} onkeydown={link.batch_callback(|event: KeyboardEvent| (event.key() == "Escape").then_some(Msg::Key(event)))}>
                if self.emoji {
                    <EmojiPicker anchor={self.toggle.clone()} recent={props.recent_emoji.clone()} onpick={link.callback(Msg::Insert)} onclose={link.callback(|()| Msg::ToggleEmoji)} />
                }
                <div class="composer__frame">
                    if let Some(reply) = &props.reply { { self.quote(ctx, reply) } }
                    <div class="composer__row">
                        { toggle.draw() }
                        <textarea ref={self.field.clone()} rows="1" dir="auto" aria-label={Phrase::MessageLabel.say()} enterkeyhint="send"
                            placeholder={Phrase::MessagePlaceholder(&props.peer).say()} aria-describedby={(over > 0).then_some("composer-long")}
                            oninput={link.callback(|_: InputEvent| Msg::Typed)} onkeydown={link.batch_callback(|event: KeyboardEvent| (event.key() == "Enter").then_some(Msg::Key(event)))} />
                        { send.draw() }
                    </div>
                    if over > 0 { <p id="composer-long" class="composer__long" role="alert">{ Phrase::TooLong { over }.say() }</p> }
                </div>
            </form>
        }
    }
}

impl Composer {
    fn quote(&self, ctx: &Context<Self>, reply: &Quote) -> Html {
        let author = if reply.outgoing { Phrase::You.say() } else { ctx.props().peer.clone() };
        html! {
            <div class="composer__reply">
                <div class="quote">
                    <span class="quote__author">{ Phrase::ReplyTo(&author).say() }</span>
                    <span class="quote__text">{ reply.text.as_deref().map(prose::one_line) }</span>
                </div>
                { icon_button(Glyph::Close, Phrase::CancelReply.say(), &ctx.link().callback(|()| Msg::CancelReply)) }
            </div>
        }
    }

    /// Notes length and emptiness; true when what is drawn depends on the change.
    fn measure(&mut self, text: &str) -> bool {
        let (empty, length) = (text.trim().is_empty(), text.len());
        let changed = empty != self.empty || length.max(self.length) > LONGEST_TEXT;
        (self.empty, self.length) = (empty, length);
        changed
    }

    fn keep(&mut self, props: &Props) {
        self.rest = None;
        props.ondraft.emit(dom::text(&self.field));
    }
}
