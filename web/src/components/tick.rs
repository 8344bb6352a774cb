//! How far a message of one's own has come, as a small mark with a name.

use yew::prelude::*;

use wasm_core::client::view::Tick;

use crate::texts::Phrase;

/// The mark.
pub fn tick_mark(tick: Tick) -> Html {
    let (class, phrase, path) = match tick {
        Tick::Sending => ("tick--sending", Phrase::TickSending, "M9 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM9 4v3l2 1.5"),
        Tick::Sent => ("tick--sent", Phrase::TickSent, "m4.5 7.5 3 3 6-7"),
        Tick::Delivered => ("tick--delivered", Phrase::TickDelivered, "m1.5 7.5 3 3 6-7M8.5 10.5l6.5-7"),
        Tick::Read => ("tick--read", Phrase::TickRead, "m1.5 7.5 3 3 6-7M8.5 10.5l6.5-7"),
        Tick::Failed => ("tick--failed", Phrase::TickFailed, "M9 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM9 4.2v3.3M9 9.8v.1"),
    };
    html! {
        <span class={classes!("tick", class)} role="img" aria-label={phrase.say()} title={phrase.say()}>
            <svg viewBox="0 0 18 14" aria-hidden="true" focusable="false"><path d={path} /></svg>
        </span>
    }
}
