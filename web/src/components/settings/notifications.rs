//! How this device tells of new messages: whether, how far that reaches, what it shows, and whether it can be heard.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::shell::notify::{self, Permission};
use crate::shell::push;
use crate::shell::settings::Settings;
use crate::texts::Phrase;
use crate::ui::switch::switch;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub settings: Settings,
    pub onchange: Callback<Settings>,
}

#[component]
pub fn Notifications(props: &Props) -> Html {
    let permission = use_state(notify::permission);
    // Whether notices come while no page is open; not known yet.
    let reach = use_state(|| None);
    let settings = &props.settings;
    let notifying = *permission == Permission::Granted && settings.notify;
    {
        let reach = reach.setter();
        use_effect_with((notifying, settings.show_text), move |&(on, text)| {
            spawn_local(async move {
                if on {
                    reach.set(Some(push::subscribe(text, &Phrase::NewMessage.words()).await));
                } else {
                    push::unsubscribe().await;
                }
            });
        });
    }
    let change = |apply: fn(&mut Settings, bool)| {
        let settings = settings.clone();
        props.onchange.reform(move |on: bool| {
            let mut settings = settings.clone();
            apply(&mut settings, on);
            settings
        })
    };
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
    let hint = match (*permission, *reach) {
        (Permission::Blocked, _) => Some(Phrase::NotificationsBlocked),
        (Permission::Unsupported, _) => Some(Phrase::NotificationsUnsupported),
        (Permission::Granted, Some(true)) if notifying => Some(Phrase::NotificationsAlways),
        (Permission::Granted, Some(false)) if notifying => Some(Phrase::NotificationsWhileOpen),
        (Permission::Granted | Permission::Open, _) => None,
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
    let never = matches!(*permission, Permission::Blocked | Permission::Unsupported);
    html! {
        <section aria-labelledby="notify-title">
            <h3 id="notify-title">{ Phrase::NewMessage.say() }</h3>
            { switch(Phrase::Notifications.say(), hint.map(Phrase::say), notifying, never, &onnotify) }
            if notifying {
                { switch(Phrase::ShowText.say(), Some(Phrase::ShowTextHint.say()), settings.show_text, false, &change(|settings, on| settings.show_text = on)) }
            }
            { switch(Phrase::Sound.say(), None, settings.sound, false, &onsound) }
        </section>
    }
}
