//! Settings of this browser: appearance, notifications, privacy, the keyboard, and the way out.

use yew::prelude::*;

use wasm_core::client::Settings as Privacy;
use wasm_core::cpm::history::Session;

use crate::components::settings::devices::Devices;
use crate::components::settings::notifications::Notifications;
use crate::shell::settings::{Appearance, Settings};
use crate::texts::Phrase;
use crate::ui::avatar::avatar;
use crate::ui::button::{Weight, button};
use crate::ui::dialog::Dialog;
use crate::ui::switch::switch;
use crate::who;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub session: Session,
    /// The code of a device that was scanned, to be linked.
    pub code: Option<AttrValue>,
    pub settings: Settings,
    pub onchange: Callback<Settings>,
    /// What the user lets others know.
    pub privacy: Privacy,
    pub onprivacy: Callback<Privacy>,
    /// The state of the connection in a few words.
    pub connection: AttrValue,
    pub onsignout: Callback<()>,
    pub onclose: Callback<()>,
}

#[component]
pub fn SettingsMenu(props: &Props) -> Html {
    let leaving = use_state(|| false);
    if *leaving {
        let stay = {
            let leaving = leaving.clone();
            Callback::from(move |()| leaving.set(false))
        };
        return html! {
            <Dialog key="leaving" title={Phrase::SignOutTitle.say()} onclose={stay.clone()}>
                <p>{ Phrase::SignOutHint.say() }</p>
                <div class="dialog__actions">
                    { button(Phrase::Cancel.say(), Weight::Plain, &stay) }
                    { button(Phrase::SignOut.say(), Weight::Danger, &props.onsignout) }
                </div>
            </Dialog>
        };
    }
    let appearance = |choice: Appearance, phrase: Phrase<'static>| {
        let onchange = {
            let (settings, onchange) = (props.settings.clone(), props.onchange.clone());
            Callback::from(move |_: Event| onchange.emit(Settings { appearance: choice, ..settings.clone() }))
        };
        html! {
            <label>
                <input type="radio" name="appearance" checked={props.settings.appearance == choice} {onchange} />
                <span>{ phrase.say() }</span>
            </label>
        }
    };
    let privacy = props.privacy;
    let onread = props.onprivacy.reform(move |on| Privacy { read_reports: on, ..privacy });
    let ontyping = props.onprivacy.reform(move |on| Privacy { typing: on, ..privacy });
    let session = &props.session;
    let others = session
        .addresses
        .iter()
        .filter(|address| **address != session.address)
        .map(|address| who::short(address, ""))
        .collect::<Vec<_>>()
        .join(", ");
    let leave = {
        let leaving = leaving.clone();
        Callback::from(move |()| leaving.set(true))
    };
    html! {
        <Dialog key="settings" title={Phrase::Settings.say()} onclose={props.onclose.clone()} class="settings">
            <section class="settings__who">
                { avatar(session.address.as_str(), &session.name, false) }
                <div>
                    <strong>{ &*session.name }</strong>
                    <p>{ who::short(&session.address, "") }</p>
                    if !others.is_empty() { <p>{ Phrase::OtherAddresses.say() }{ " " }{ others }</p> }
                    <p>{ Phrase::ThisDevice(&session.device_name).say() }</p>
                    <p>{ props.connection.clone() }</p>
                </div>
            </section>
            <Devices key={props.code.as_deref().unwrap_or_default()} code={props.code.clone()} />
            <div role="radiogroup" aria-labelledby="appearance-title">
                <h3 id="appearance-title">{ Phrase::Appearance.say() }</h3>
                <div class="choices">
                    { appearance(Appearance::System, Phrase::AppearanceSystem) }
                    { appearance(Appearance::Light, Phrase::AppearanceLight) }
                    { appearance(Appearance::Dark, Phrase::AppearanceDark) }
                </div>
            </div>
            <Notifications settings={props.settings.clone()} onchange={props.onchange.clone()} />
            <section aria-labelledby="privacy-title">
                <h3 id="privacy-title">{ Phrase::Privacy.say() }</h3>
                { switch(Phrase::TellRead.say(), Some(Phrase::TellReadHint.say()), privacy.read_reports, false, &onread) }
                { switch(Phrase::TellTyping.say(), None, privacy.typing, false, &ontyping) }
            </section>
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
            <p><a href="/api/export" download="">{ Phrase::Export.say() }</a></p>
            <div class="dialog__actions">
                { button(Phrase::SignOut.say(), Weight::Danger, &leave) }
            </div>
        </Dialog>
    }
}
