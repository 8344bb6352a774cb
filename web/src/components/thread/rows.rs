//! What a thread's log shows: the rows that are drawn, and what stands before the first message.

use yew::prelude::*;

use wasm_core::client::view::{Bubble as Message, Tick};

use super::{Msg, Thread};
use crate::components::bubble::Bubble;
use crate::shell::clock;
use crate::texts::Phrase;
use crate::ui::avatar::avatar;
use crate::ui::spinner::spinner;

/// Messages of one side that are closer in time than this are drawn as one run.
const RUN_MS: u64 = 5 * 60 * 1000;

impl Thread {
    pub(super) fn beginning(&self, ctx: &Context<Self>) -> Html {
        let props = ctx.props();
        if self.drawn.start > 0 {
            return html! {};
        }
        if props.device.thread(&props.with, |thread| thread.loading_older()) {
            return html! { <div class="log__older">{ spinner(Some(Phrase::LoadingOlder.say())) }</div> };
        }
        if props.device.thread(&props.with, |thread| thread.has_older()) {
            let onclick = ctx.link().callback(|_: MouseEvent| Msg::LoadOlder);
            return html! { <div class="log__older"><button type="button" class="button button--plain" {onclick}>{ Phrase::LoadOlder.say() }</button></div> };
        }
        if self.order.is_empty() {
            return html! {
                <div class="blank">
                    { avatar(props.with.as_str(), &props.title, true) }
                    <h2>{ Phrase::EmptyThreadTitle(&props.title).say() }</h2>
                    <p>{ Phrase::EmptyThreadHint.say() }</p>
                </div>
            };
        }
        html! { <p class="log__older">{ Phrase::BeginningOfThread(&props.title).say() }</p> }
    }

    pub(super) fn rows(&self, ctx: &Context<Self>) -> Html {
        let props = ctx.props();
        if self.order.is_empty() {
            return html! {};
        }
        // One more on either side tells whether a run or a day begins there.
        let wide = self.drawn.start.saturating_sub(1)..(self.drawn.end + 1).min(self.order.len());
        let messages = props.device.bubbles(&props.with, wide.clone());
        let now = clock::now();
        let count = self.order.len().to_string();
        let active = self
            .active
            .as_ref()
            .filter(|active| messages.iter().any(|message| message.id == **active))
            .or(self.order[self.drawn.clone()].last());
        let row = |at: usize| {
            let nth = at - wide.start;
            let message = messages.get(nth)?;
            let before = nth.checked_sub(1).and_then(|before| messages.get(before));
            let new_day = before.is_none_or(|before| clock::day(before.at) != clock::day(message.at));
            let divided = self.divider.as_ref() == Some(&message.id);
            let first = new_day || divided || !before.is_some_and(|before| is_run(before, message));
            let next = messages.get(nth + 1).filter(|next| self.divider.as_ref() != Some(&next.id));
            let last = !next.is_some_and(|next| is_run(message, next) && clock::day(next.at) == clock::day(message.at));
            Some(html! {
                <li key={message.id.as_str()} class="row" data-row="" aria-setsize={count.clone()} aria-posinset={(at + 1).to_string()}>
                    if new_day { <div class="day"><span>{ clock::day_in_words(message.at, now) }</span></div> }
                    if divided { <div class="divider">{ Phrase::UnreadDivider.say() }</div> }
                    <Bubble message={message.clone()} peer={props.title.clone()} {first} {last} active={active == Some(&message.id)} ondeed={ctx.link().callback(Msg::Deed)} />
                </li>
            })
        };
        html! { <ol aria-label={Phrase::MessagesWith(&props.title).say()}>{ for self.drawn.clone().filter_map(row) }</ol> }
    }
}

fn is_run(before: &Message, after: &Message) -> bool {
    before.outgoing == after.outgoing && after.at.0.abs_diff(before.at.0) < RUN_MS && before.tick != Some(Tick::Failed)
}
