//! The conversation list with its search, newest first.

use yew::prelude::*;

use wasm_core::Time;
use wasm_core::client::view::ThreadSummary;
use wasm_core::cpm::address::Address;

use crate::components::tick::tick_mark;
use crate::prose;
use crate::route::Route;
use crate::shell::{case, clock, dom, links};
use crate::texts::Phrase;
use crate::ui::avatar::avatar;
use crate::ui::button::{IconButton, Weight, button, icon_button};
use crate::ui::icon::{Glyph, icon};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub threads: Vec<ThreadSummary>,
    pub current: Option<Address>,
    /// Whether the history is still being fetched for the first time.
    pub loading: bool,
    pub search: NodeRef,
    pub onnew: Callback<()>,
    pub onsettings: Callback<()>,
    /// How many messages wait for a decision.
    #[prop_or_default]
    pub waiting: u32,
    #[prop_or_default]
    pub onwaiting: Callback<()>,
    /// Counts up when the local day changes, so that times are written anew.
    pub day: i64,
}

#[component]
pub fn ThreadList(props: &Props) -> Html {
    let query = use_state(String::new);
    let list = use_node_ref();
    let wanted = case::lower(query.trim());
    let matches = |thread: &&ThreadSummary| {
        wanted.is_empty()
            || case::lower(&thread.title).contains(&wanted)
            || case::lower(thread.with.as_str()).contains(&wanted)
            || thread.last.as_ref().is_some_and(|last| case::lower(&last.text).contains(&wanted))
    };
    let found: Vec<&ThreadSummary> = props.threads.iter().filter(matches).collect();
    let oninput = {
        let query = query.clone();
        Callback::from(move |event: InputEvent| query.set(dom::value(&event)))
    };
    let clear = {
        let (query, search) = (query.clone(), props.search.clone());
        Callback::from(move |()| {
            query.set(String::new());
            dom::focus(&search);
        })
    };
    let onsearchkey = {
        let (query, list) = (query.clone(), list.clone());
        let first = found.first().map(|thread| thread.with.clone());
        Callback::from(move |event: KeyboardEvent| match event.key().as_str() {
            "ArrowDown" => {
                event.prevent_default();
                dom::move_focus(&list, ".entry", 1);
            }
            "Enter" if !query.trim().is_empty() => {
                if let Some(first) = &first {
                    links::go(&Route::With(first.clone()).hash(), false);
                    query.set(String::new());
                }
            }
            "Escape" if !query.is_empty() => {
                event.stop_propagation();
                query.set(String::new());
            }
            _ => {}
        })
    };
    let onlistkey = {
        let (list, search) = (list.clone(), props.search.clone());
        Callback::from(move |event: KeyboardEvent| {
            let Some(step) = dom::arrow(&event) else { return };
            event.prevent_default();
            if !dom::move_focus(&list, ".entry", step) && step < 0 {
                dom::focus(&search);
            }
        })
    };
    let now = clock::now();
    let body = if props.threads.is_empty() && props.loading {
        html! { <div class="blank" role="status"><p>{ Phrase::Loading.say() }</p></div> }
    } else if props.threads.is_empty() {
        html! {
            <div class="blank">
                <span class="blank__mark">{ icon(Glyph::Bubbles) }</span>
                <h2>{ Phrase::NoConversationsTitle.say() }</h2>
                <p>{ Phrase::NoConversationsHint.say() }</p>
                { button(Phrase::StartConversation.say(), Weight::Primary, &props.onnew) }
            </div>
        }
    } else if found.is_empty() {
        html! {
            <div class="blank" role="status">
                <h2>{ Phrase::NothingFoundTitle.say() }</h2>
                <p>{ Phrase::NothingFoundHint(query.trim()).say() }</p>
                { button(Phrase::StartConversation.say(), Weight::Plain, &props.onnew) }
            </div>
        }
    } else {
        let entry = |thread: &ThreadSummary| {
            html! {
                <li key={thread.with.as_str()}>
                    { line(thread, props.current.as_ref() == Some(&thread.with), now) }
                </li>
            }
        };
        html! {
            <nav ref={list} class="threads" aria-label={Phrase::Conversations.say()} onkeydown={onlistkey}>
                <ul>{ for found.into_iter().map(entry) }</ul>
            </nav>
        }
    };
    html! {
        <section class="frame__side" aria-label={Phrase::Conversations.say()}>
            <header class="side__head">
                <h1>{ Phrase::AppName.say() }</h1>
                { icon_button(Glyph::Settings, Phrase::Settings.say(), &props.onsettings) }
                { IconButton { class: "side__new", ..IconButton::new(Glyph::Compose, Phrase::NewConversation.say()).press(&props.onnew) }.draw() }
            </header>
            <div class="search" role="search">
                { icon(Glyph::Search) }
                <input ref={props.search.clone()} type="search" aria-label={Phrase::SearchConversations.say()} placeholder={Phrase::SearchConversations.say()}
                    aria-keyshortcuts="Control+K" autocomplete="off" value={(*query).clone()} {oninput} onkeydown={onsearchkey} />
                if !query.is_empty() { { icon_button(Glyph::Close, Phrase::ClearSearch.say(), &clear) } }
            </div>
            if props.waiting > 0 {
                <button class="entry entry--waiting" type="button" onclick={props.onwaiting.reform(|_: MouseEvent| ())}>{ icon(Glyph::Alert) }{ Phrase::MessagesWait(props.waiting).say() }</button>
            }
            { body }
        </section>
    }
}

/// One conversation of the list.
fn line(thread: &ThreadSummary, is_current: bool, now: Time) -> Html {
    let draft = thread.draft.as_deref().filter(|draft| !draft.trim().is_empty() && !is_current);
    let line = if thread.typing {
        html! { <span class="entry__typing">{ Phrase::Typing.say() }</span> }
    } else if let Some(draft) = draft {
        html! { <><span class="entry__draft">{ Phrase::DraftMark.say() }</span><span>{ prose::one_line(draft) }</span></> }
    } else if let Some(last) = &thread.last {
        html! {
            <>
                if let Some(tick) = last.tick { { tick_mark(tick) } }
                <span>{ prose::one_line(&last.text) }</span>
            </>
        }
    } else {
        html! { <span></span> }
    };
    let current = is_current.then_some("page");
    html! {
        <a class={classes!("entry", (thread.unread > 0).then_some("entry--unread"))} href={format!("#{}", Route::With(thread.with.clone()).hash())} aria-current={current}>
            { avatar(thread.with.as_str(), &thread.title, false) }
            <span class="entry__words">
                <span class="entry__line">
                    <span class="entry__name">{ &*thread.title }</span>
                    if let Some(last) = &thread.last { <time class="entry__time" datetime={last.at.to_rfc3339()}>{ clock::ago(last.at, now) }</time> }
                </span>
                <span class="entry__line">
                    <span class="entry__text">{ line }</span>
                    if thread.unread > 0 {
                        <span class="badge" role="img" aria-label={Phrase::Unread(thread.unread).say()}>{ count(thread.unread) }</span>
                    }
                </span>
            </span>
        </a>
    }
}

/// A number that fits on a badge.
pub fn count(number: u32) -> String {
    if number > 999 { "999+".to_owned() } else { number.to_string() }
}
