//! Light or dark.

use yew::prelude::*;

use crate::shell::settings::{Appearance, Settings};
use crate::texts::Phrase;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub settings: Settings,
    pub onchange: Callback<Settings>,
}

#[component]
pub fn Appearances(props: &Props) -> Html {
    let choice = |appearance: Appearance, phrase: Phrase<'static>| {
        let (settings, onchange) = (props.settings.clone(), props.onchange.clone());
        let checked = settings.appearance == appearance;
        let onchange = move |_: Event| onchange.emit(Settings { appearance, ..settings.clone() });
        html! { <label><input type="radio" name="appearance" {checked} {onchange} /><span>{ phrase.say() }</span></label> }
    };
    html! {
        <div role="radiogroup" aria-labelledby="appearance-title">
            <h3 id="appearance-title">{ Phrase::Appearance.say() }</h3>
            <div class="choices">
                { choice(Appearance::System, Phrase::AppearanceSystem) }
                { choice(Appearance::Light, Phrase::AppearanceLight) }
                { choice(Appearance::Dark, Phrase::AppearanceDark) }
            </div>
        </div>
    }
}
