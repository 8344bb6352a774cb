//! The sections of the settings that the app's second module draws, a component each.

pub mod appearance;
pub mod devices;
pub mod keyboard;
pub mod notifications;
pub mod preferences;

use yew::prelude::*;

use crate::shell::settings::Settings;

use appearance::Appearances;
use devices::Devices;
use keyboard::keyboard;
use notifications::Notifications;
use preferences::Preferring;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The code of a device that was scanned, to be linked.
    pub code: Option<AttrValue>,
    /// Counts up when what the server keeps for the user has changed.
    pub news: u32,
    /// Told when what is kept in this browser has changed.
    pub onchange: Callback<()>,
}

#[component]
pub fn Sections(props: &Props) -> Html {
    let settings = use_state(Settings::load);
    let onchange = {
        let (settings, onchange) = (settings.setter(), props.onchange.clone());
        Callback::from(move |new: Settings| {
            new.save();
            settings.set(new);
            onchange.emit(());
        })
    };
    html! {
        <>
            <Devices code={props.code.clone()} />
            <Appearances settings={(*settings).clone()} onchange={onchange.clone()} />
            <Notifications settings={(*settings).clone()} {onchange} />
            <Preferring news={props.news} />
            { keyboard() }
        </>
    }
}
