//! The page for signing in.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::Session;

use crate::components::extra::Extra;
use crate::shell::account::{self, Refusal};
use crate::shell::extra::{View, Word};
use crate::shell::{dom, links};
use crate::texts::Phrase;
use crate::ui::button::{IconButton, Weight, button};
use crate::ui::icon::{Glyph, icon};
use crate::ui::spinner::spinner;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub onsignedin: Callback<Session>,
    /// Whether this device was signed out, and not by the person before it.
    pub expelled: bool,
}

/// What keeps the form from being sent, or what came back.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    NoAddress,
    NoPassword,
    Refused(Refusal),
}

impl Trouble {
    fn phrase(self) -> Phrase<'static> {
        match self {
            Trouble::NoAddress => Phrase::AddressMissing,
            Trouble::NoPassword => Phrase::PasswordMissing,
            Trouble::Refused(Refusal::Wrong) => Phrase::SignInRefused,
            Trouble::Refused(Refusal::TooMany) => Phrase::SignInTooMany,
            Trouble::Refused(Refusal::TooOften) => Phrase::SignInTooOften,
            Trouble::Refused(Refusal::Unreachable) => Phrase::SignInUnreachable,
            Trouble::Refused(Refusal::Failed(status)) => Phrase::SignInFailed(status),
        }
    }
}

#[component]
pub fn SignInPage(props: &Props) -> Html {
    let address = use_state(String::new);
    let password = use_state(String::new);
    let device = use_state(|| {
        account::device_name().unwrap_or_else(|| {
            let (browser, system) = links::browser_and_system();
            Phrase::DeviceName { browser, system }.words().into_owned()
        })
    });
    let shown = use_state(|| false);
    let linking = use_state(|| false);
    let busy = use_state(|| false);
    let trouble = use_state(|| None::<Trouble>);
    let (address_field, password_field) = (use_node_ref(), use_node_ref());
    {
        let address_field = address_field.clone();
        use_effect_with((), move |()| {
            dom::set_title(&Phrase::AppName.words());
            if !dom::is_touch() {
                dom::focus(&address_field);
            }
        });
    }
    let typed = |state: &UseStateHandle<String>| {
        let (state, trouble) = (state.clone(), trouble.clone());
        Callback::from(move |event: InputEvent| {
            state.set(dom::value(&event));
            trouble.set(None);
        })
    };
    let onsubmit = {
        let (address, password, device) = (address.clone(), password.clone(), device.clone());
        let (busy, trouble, onsignedin) = (busy.clone(), trouble.clone(), props.onsignedin.clone());
        let (address_field, password_field) = (address_field.clone(), password_field.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if *busy {
                return;
            }
            if address.trim().is_empty() {
                trouble.set(Some(Trouble::NoAddress));
                return dom::focus(&address_field);
            }
            if password.is_empty() {
                trouble.set(Some(Trouble::NoPassword));
                return dom::focus(&password_field);
            }
            // Told that there are too many devices, the person presses the same button again.
            let replace = *trouble == Some(Trouble::Refused(Refusal::TooMany));
            busy.set(true);
            trouble.set(None);
            let (address, password, device) = (canonical(&address), (*password).clone(), device.trim().to_owned());
            let (busy, trouble, onsignedin, password_field) = (busy.clone(), trouble.clone(), onsignedin.clone(), password_field.clone());
            spawn_local(async move {
                match account::sign_in(&address, password, &device, replace).await {
                    Ok(session) => onsignedin.emit(session),
                    Err(refusal) => {
                        busy.set(false);
                        trouble.set(Some(Trouble::Refused(refusal)));
                        dom::focus(&password_field);
                    }
                }
            });
        })
    };
    let toggle = {
        let shown = shown.clone();
        Callback::from(move |()| shown.set(!*shown))
    };
    let eye = IconButton::new(if *shown { Glyph::EyeOff } else { Glyph::Eye }, Phrase::ShowPassword.say()).press(&toggle);
    let eye = IconButton { pressed: Some(*shown), ..eye };
    let link = {
        let linking = linking.clone();
        Callback::from(move |()| linking.set(!*linking))
    };
    let onword = {
        let (linking, onsignedin) = (linking.setter(), props.onsignedin.clone());
        Callback::from(move |word: Word| match word {
            Word::SignedIn => account::remembered().into_iter().for_each(|session| onsignedin.emit(session)),
            Word::Back => linking.set(false),
            Word::Settings => {}
        })
    };
    let wrong = |which: Trouble| (*trouble == Some(which)).then_some("field--wrong");
    let invalid = |which: Trouble| (*trouble == Some(which) || *trouble == Some(Trouble::Refused(Refusal::Wrong))).to_string();
    html! {
        <main class="sign-in">
            <div class="sign-in__card">
                <div class="sign-in__brand">
                    <img src="/icons/icon.svg" alt="" width="64" height="64" />
                    <h1>{ Phrase::SignInTitle.say() }</h1>
                    <p>{ Phrase::Motto.say() }</p>
                </div>
                if props.expelled { <p class="notice" role="status">{ icon(Glyph::Alert) }<span>{ Phrase::Expelled.say() }</span></p> }
                if *linking {
                    <Extra view={View::Link} words={AttrValue::from(device.trim().to_owned())} {onword} />
                } else {
                    <form {onsubmit} novalidate=true aria-busy={busy.to_string()}>
                        <div class={classes!("field", wrong(Trouble::NoAddress))}>
                            <label class="field__label" for="address">{ Phrase::AddressLabel.say() }</label>
                            <div class="field__box">
                                <input ref={address_field} id="address" name="username" type="text" autocomplete="username" autocapitalize="none" spellcheck="false"
                                    required=true value={(*address).clone()} oninput={typed(&address)} aria-describedby="address-hint"
                                    aria-invalid={invalid(Trouble::NoAddress)} />
                            </div>
                            <p id="address-hint" class="field__hint">{ Phrase::AddressHint.say() }</p>
                        </div>
                        <div class={classes!("field", wrong(Trouble::NoPassword))}>
                            <label class="field__label" for="password">{ Phrase::PasswordLabel.say() }</label>
                            <div class="field__box">
                                <input ref={password_field} id="password" name="password" type={if *shown { "text" } else { "password" }} autocomplete="current-password"
                                    autocapitalize="none" spellcheck="false" required=true value={(*password).clone()} oninput={typed(&password)}
                                    aria-invalid={invalid(Trouble::NoPassword)} />
                                { eye.draw() }
                            </div>
                        </div>
                        <div class="field">
                            <label class="field__label" for="device">{ Phrase::DeviceLabel.say() }</label>
                            <div class="field__box">
                                <input id="device" name="device" type="text" autocomplete="off" maxlength="64" value={(*device).clone()} oninput={typed(&device)}
                                    aria-describedby="device-hint" />
                            </div>
                            <p id="device-hint" class="field__hint">{ Phrase::DeviceHint.say() }</p>
                        </div>
                        <div role="alert">
                            if let Some(trouble) = *trouble {
                                <p class="notice notice--wrong">{ icon(Glyph::Alert) }<span>{ trouble.phrase().say() }</span></p>
                            }
                        </div>
                        <button type="submit" class="button button--primary sign-in__go" disabled={*busy}>
                            if *busy { { spinner(None) } }
                            { if *busy { Phrase::SigningIn.say() } else { Phrase::SignIn.say() } }
                        </button>
                        { button(Phrase::LinkTitle.say(), Weight::Plain, &link) }
                    </form>
                }
            </div>
        </main>
    }
}

/// The address as the server knows it, where what was typed is one; else the words, for the server to judge.
fn canonical(words: &str) -> String {
    let words = words.trim();
    let whole = [words.to_owned(), format!("sip:{words}"), format!("tel:{words}")];
    whole.iter().find_map(|form| Address::parse(form)).map_or_else(|| words.to_owned(), |address| address.to_string())
}
