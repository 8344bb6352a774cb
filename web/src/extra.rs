//! The app's second part: what is opened seldom and needs the HTTP API alone, never the engine.
//!
//! It is a WebAssembly module of its own (`bin/extra.rs`), so that nobody waits for it who only wants to read and write messages. The first
//! module makes room for it with [`components::extra`](crate::components::extra); `shell::extra` is how the two talk. Nothing that
//! the first module calls may name what is drawn here, or it would be in both.

use yew::prelude::*;

use crate::components::ladder::LadderOf;
use crate::components::settings::Sections;
use crate::components::settings::preferences::Blocking;
use crate::pages::link::LinkDevice;
use crate::shell::extra::{self, Call, View, Word};

/// Waits for rooms to fill.
pub fn run() {
    crate::speak();
    // Yew marks the elements of its trees with numbers from 1, by which it knows whose an event is. In the page, 1 is the first module's.
    yew::Renderer::<Nothing>::with_root(extra::outside()).render();
    extra::serve(|call| yew::Renderer::<Room>::with_root_and_props(call.host.clone(), Props { call }).render());
}

#[component]
fn Nothing() -> Html {
    html! {}
}

#[derive(Properties, PartialEq)]
struct Props {
    call: Call,
}

#[component]
fn Room(props: &Props) -> Html {
    let Call { host, view, words } = &props.call;
    let news = use_state(|| 0);
    {
        let (host, news, mut count) = (host.clone(), news.setter(), 0);
        use_effect_with((), move |()| {
            let heard = extra::on_news(&host, move || {
                count += 1;
                news.set(count);
            });
            move || drop(heard)
        });
    }
    let tell = Callback::from({
        let host = host.clone();
        move |word: Word| extra::tell(&host, word)
    });
    match view {
        View::Settings => html! { <Sections code={words.clone()} news={*news} onchange={tell.reform(|()| Word::Settings)} /> },
        View::Ladder => html! { <LadderOf id={words.clone().unwrap_or_default()} /> },
        View::Block | View::Unblock => html! {
            <Blocking name={view.name()} who={words.clone().unwrap_or_default()} ondone={tell.reform(|()| Word::Back)} />
        },
        View::Link => html! {
            <LinkDevice device={words.clone().unwrap_or_default()} onsignedin={tell.reform(|_| Word::SignedIn)} onback={tell.reform(|()| Word::Back)} />
        },
    }
}
