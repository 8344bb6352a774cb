//! Settings of this browser: appearance, notifications, sound, the keyboard, and the way out.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::client::Settings as Privacy;
use wasm_core::cpm::history::Session;

use crate::shell::notify::{self, Permission};
use crate::shell::settings::{Appearance, Settings};
use crate::texts::Phrase;
use crate::ui::avatar::Avatar;
use crate::ui::button::{Button, Weight};
use crate::ui::dialog::Dialog;
use crate::ui::switch::Switch;
use crate::who;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub session: Session,
    pub settings: Settings,
    pub onchange: Callback<Settings>,
    /// What the user lets others know.
    pub privacy: Privacy,
    pub onprivacy: Callback<Privacy>,
    pub onsignout: Callback<()>,
    pub onclose: Callback<()>,
}

#[component]
pub fn SettingsMenu(props: &Props) -> Html {
    let permission = use_state(notify::permission);
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
                    <Button label={Phrase::Cancel.say()} onpress={stay} />
                    <Button label={Phrase::SignOut.say()} weight={Weight::Danger} onpress={props.onsignout.clone()} />
                </div>
            </Dialog>
        };
    }
    let change = |apply: fn(&mut Settings, bool)| {
        let (settings, onchange) = (props.settings.clone(), props.onchange.clone());
        Callback::from(move |on: bool| {
            let mut settings = settings.clone();
            apply(&mut settings, on);
            onchange.emit(settings);
        })
    };
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
    let notifying = *permission == Permission::Granted && props.settings.notify;
    let onnotify = {
        let (permission, set) = (permission.clone(), change(|settings, on| settings.notify = on));
        Callback::from(move |on: bool| {
            set.emit(on);
            if on {
                let permission = permission.clone();
                // Asked for while the click is being dealt with, as browsers want it.
                spawn_local(async move { permission.set(notify::ask().await) });
            }
        })
    };
    let hint = match *permission {
        Permission::Blocked => Some(Phrase::NotificationsBlocked.say()),
        Permission::Unsupported => Some(Phrase::NotificationsUnsupported.say()),
        Permission::Open | Permission::Granted => None,
    };
    let onsound = {
        let set = change(|settings, on| settings.sound = on);
        Callback::from(move |on: bool| {
            set.emit(on);
            if on {
                notify::sound();
            }
        })
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
                <Avatar address={AttrValue::from(session.address.to_string())} name={AttrValue::from(session.name.to_string())} />
                <div>
                    <strong>{ &*session.name }</strong>
                    <p>{ who::short(&session.address, "") }</p>
                    if !others.is_empty() { <p>{ Phrase::OtherAddresses.say() }{ " " }{ others }</p> }
                    <p>{ Phrase::ThisDevice(&session.device_name).say() }</p>
                </div>
            </section>
            <div role="radiogroup" aria-labelledby="appearance-title">
                <h3 id="appearance-title">{ Phrase::Appearance.say() }</h3>
                <div class="choices">
                    { appearance(Appearance::System, Phrase::AppearanceSystem) }
                    { appearance(Appearance::Light, Phrase::AppearanceLight) }
                    { appearance(Appearance::Dark, Phrase::AppearanceDark) }
                </div>
            </div>
            <section aria-labelledby="notify-title">
                <h3 id="notify-title">{ Phrase::NewMessage.say() }</h3>
                <Switch label={Phrase::Notifications.say()} on={notifying} onchange={onnotify} {hint}
                    disabled={matches!(*permission, Permission::Blocked | Permission::Unsupported)} />
                if notifying {
                    <Switch label={Phrase::ShowText.say()} hint={Phrase::ShowTextHint.say()} on={props.settings.show_text}
                        onchange={change(|settings, on| settings.show_text = on)} />
                }
                <Switch label={Phrase::Sound.say()} on={props.settings.sound} onchange={onsound} />
            </section>
            <section aria-labelledby="privacy-title">
                <h3 id="privacy-title">{ Phrase::Privacy.say() }</h3>
                <Switch label={Phrase::TellRead.say()} hint={Phrase::TellReadHint.say()} on={props.privacy.read_reports} onchange={onread} />
                <Switch label={Phrase::TellTyping.say()} on={props.privacy.typing} onchange={ontyping} />
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
            <div class="dialog__actions">
                <Button label={Phrase::SignOut.say()} weight={Weight::Danger} onpress={leave} />
            </div>
        </Dialog>
    }
}
