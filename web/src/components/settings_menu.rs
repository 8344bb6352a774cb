//! The settings: who is signed in, what the engine tells others, the way out, and between them the sections of the second module.

use yew::prelude::*;

use wasm_core::client::Settings as Privacy;
use wasm_core::cpm::history::Session;

use crate::components::extra::Extra;
use crate::shell::extra::{View, Word};
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
    pub onword: Callback<Word>,
    /// What the user lets others know.
    pub privacy: Privacy,
    pub onprivacy: Callback<Privacy>,
    /// The state of the connection in a few words.
    pub connection: AttrValue,
    /// Counts up when the user's store has changed.
    pub news: u32,
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
    let privacy = props.privacy;
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
            <Extra key={props.code.as_deref().unwrap_or_default()} view={View::Settings} words={props.code.clone()} news={props.news} onword={props.onword.clone()} />
            <section aria-labelledby="privacy-title">
                <h3 id="privacy-title">{ Phrase::Privacy.say() }</h3>
                { switch(Phrase::TellTyping.say(), None, privacy.typing, false, &ontyping) }
            </section>
            <p><a href="/api/export" download="">{ Phrase::Export.say() }</a></p>
            <div class="dialog__actions">
                { button(Phrase::SignOut.say(), Weight::Danger, &leave) }
            </div>
        </Dialog>
    }
}
