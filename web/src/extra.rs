//! The app's second part: what is opened seldom and needs the HTTP API alone, never the engine.
//!
//! It is a WebAssembly module of its own (`bin/extra.rs`), so that nobody waits for it who only wants to read and write messages. The first
//! module makes room for it with [`components::extra`](crate::components::extra); `shell::extra` is how the two talk. Nothing that
//! the first module calls may name what is drawn here, or it would be in both.

use yew::prelude::*;

use crate::components::ladder::LadderOf;
use crate::components::settings::Sections;
use crate::pages::link::LinkDevice;
use crate::shell::extra::{self, View, Wish, Word};

/// Waits for rooms to fill.
pub fn run() {
    crate::speak();
    // Yew marks the elements of its trees with numbers from 1, by which it knows whose an event is. In the page, 1 is the first module's.
    yew::Renderer::<Nothing>::with_root(extra::outside()).render();
    extra::serve(|host, wish, tell| yew::Renderer::<Room>::with_root_and_props(host, Props { wish, tell }).render());
}

#[component]
fn Nothing() -> Html {
    html! {}
}

#[derive(Properties, PartialEq)]
struct Props {
    wish: Wish,
    tell: Callback<Word>,
}

#[component]
fn Room(props: &Props) -> Html {
    let Props { wish: Wish { view, words }, tell } = props;
    match view {
        View::Settings => html! { <Sections code={words.clone()} onchange={tell.reform(|()| Word::Settings)} /> },
        View::Ladder => html! { <LadderOf id={words.clone().unwrap_or_default()} /> },
        View::Link => html! {
            <LinkDevice device={words.clone().unwrap_or_default()} onsignedin={tell.reform(|_| Word::SignedIn)} onback={tell.reform(|()| Word::Back)} />
        },
    }
}
