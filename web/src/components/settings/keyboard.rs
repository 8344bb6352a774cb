//! What the keys do.

use yew::prelude::*;

use crate::texts::Phrase;

/// The section.
pub fn keyboard() -> Html {
    html! {
        <section class="settings__keys" aria-labelledby="keys-title">
            <h3 id="keys-title">{ Phrase::Keyboard.say() }</h3>
            <dl class="keys">
                <dt><kbd>{ "Ctrl" }</kbd>{ " " }<kbd>{ "K" }</kbd></dt><dd>{ Phrase::KeySearch.say() }</dd>
                <dt><kbd>{ "Alt" }</kbd>{ " " }<kbd>{ "N" }</kbd></dt><dd>{ Phrase::KeyNew.say() }</dd>
                <dt><kbd>{ "↑" }</kbd>{ " " }<kbd>{ "↓" }</kbd></dt><dd>{ Phrase::KeyMove.say() }</dd>
                <dt><kbd>{ "Enter" }</kbd></dt><dd>{ Phrase::KeySend.say() }</dd>
                <dt><kbd>{ "Shift" }</kbd>{ " " }<kbd>{ "Enter" }</kbd></dt><dd>{ Phrase::KeyLine.say() }</dd>
                <dt><kbd>{ "Esc" }</kbd></dt><dd>{ Phrase::KeyEscape.say() }</dd>
            </dl>
        </section>
    }
}
