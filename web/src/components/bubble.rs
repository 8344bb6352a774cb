//! One message: its text, when it was, how far it came, what it answers, and what can be done with it.

use yew::prelude::*;

use wasm_core::client::view::{Bubble as Message, Tick};
use wasm_core::cpm::ids::MessageId;

use crate::components::tick::tick_mark;
use crate::prose::{self, Piece};
use crate::shell::clock;
use crate::texts::Phrase;
use crate::ui::button::IconButton;
use crate::ui::icon::Glyph;

/// What a person did with a bubble.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Reply(MessageId),
    Copy(MessageId),
    /// See which way it took.
    Inspect(MessageId),
    Retry(MessageId),
    Delete(MessageId),
    /// Mark it, or no longer.
    Flag(MessageId, bool),
    /// Go to the message that this one answers.
    Follow(MessageId),
    /// The bubble got the focus.
    Enter(MessageId),
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub message: Message,
    /// The other side's name.
    pub peer: AttrValue,
    /// The first and the last of a run of messages of one side.
    pub first: bool,
    pub last: bool,
    /// Whether this is the one that the Tab key reaches.
    pub active: bool,
    pub ondeed: Callback<Deed>,
}

#[component]
pub fn Bubble(props: &Props) -> Html {
    let message = &props.message;
    let id = &message.id;
    let author = if message.outgoing { Phrase::You.say() } else { props.peer.clone() };
    let time = clock::time_of_day(message.at);
    let failed = message.tick == Some(Tick::Failed);
    let failure = message.failure.filter(|_| failed);
    let deed = |deed: Deed| props.ondeed.reform(move |()| deed.clone());
    let tab = if props.active { "0" } else { "-1" };
    let large = prose::is_only_emoji(&message.text) && message.reply.is_none();
    let class = classes!(
        "bubble",
        if message.outgoing { "bubble--mine" } else { "bubble--theirs" },
        props.first.then_some("bubble--first"),
        props.last.then_some("bubble--last"),
        failed.then_some("bubble--failed"),
        message.flagged.then_some("bubble--flagged"),
    );
    let onfocus = {
        let enter = deed(Deed::Enter(id.clone()));
        (!props.active).then(|| Callback::from(move |_: FocusEvent| enter.emit(())))
    };
    let quote = message.reply.as_ref().map(|quote| {
        let author = if quote.outgoing { Phrase::You.say() } else { props.peer.clone() };
        let follow = deed(Deed::Follow(id.clone()));
        let text = quote.text.as_deref().map_or_else(|| Phrase::QuoteGone.say(), |text| AttrValue::from(prose::one_line(text)));
        html! {
            <button type="button" class="quote" tabindex={tab} aria-label={Phrase::RepliesTo(&author).say()} onclick={Callback::from(move |_: MouseEvent| follow.emit(()))}>
                <span class="quote__author">{ author }</span>
                <span class="quote__text">{ text }</span>
            </button>
        }
    });
    let tool = |glyph: Glyph, phrase: Phrase<'static>, what: Deed| {
        IconButton { skip: !props.active, ..IconButton::new(glyph, phrase.say()).press(&deed(what)) }.draw()
    };
    let pressed = |deed: Deed| props.ondeed.reform(move |_: MouseEvent| deed.clone());
    html! {
        <article {class} tabindex={tab} aria-label={Phrase::BubbleName { author: &author, time: &time }.say()} {onfocus}>
            <div class="bubble__box">
                { quote }
                <div class={classes!("bubble__text", large.then_some("bubble__text--large"))}>
                    <span class="bubble__words" dir="auto">{ for prose::pieces(&message.text).into_iter().map(piece) }</span>
                    <span class="bubble__meta">
                        <time datetime={message.at.to_rfc3339()} title={clock::in_full(message.at)}>{ time }</time>
                        if let Some(tick) = message.tick { { tick_mark(tick) } }
                    </span>
                </div>
            </div>
            <div class="bubble__tools">
                { tool(Glyph::Reply, Phrase::Reply, Deed::Reply(id.clone())) }
                { tool(Glyph::Copy, Phrase::CopyText, Deed::Copy(id.clone())) }
                { tool(Glyph::Info, Phrase::Details, Deed::Inspect(id.clone())) }
                { tool(Glyph::Heart, if message.flagged { Phrase::Unflag } else { Phrase::Flag }, Deed::Flag(id.clone(), !message.flagged)) }
                if !failed { { tool(Glyph::Close, Phrase::Delete, Deed::Delete(id.clone())) } }
            </div>
            if failed {
                <div class="bubble__failure">
                    <span>{ failure.map_or(Phrase::NotSentMark, Phrase::Failed).say() }</span>
                    if failure.is_none_or(|failure| failure.can_retry()) {
                        <button type="button" onclick={pressed(Deed::Retry(id.clone()))}>{ Phrase::Retry.say() }</button>
                    }
                    <button type="button" onclick={pressed(Deed::Delete(id.clone()))}>{ Phrase::Delete.say() }</button>
                </div>
            }
        </article>
    }
}

fn piece(piece: Piece<'_>) -> Html {
    match piece {
        Piece::Plain(text) => html! { { text } },
        Piece::Link { text, href } => html! { <a {href} target="_blank" rel="noopener noreferrer nofollow">{ text }</a> },
    }
}
