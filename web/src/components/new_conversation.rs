//! A new conversation: with a person of the domain, or with whatever address or number is entered.

use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::history::Person;

use crate::shell::{account, dom};
use crate::texts::Phrase;
use crate::ui::avatar::avatar;
use crate::ui::button::submit_button;
use crate::ui::dialog::Dialog;
use crate::who;

/// How long typing has to rest before people are looked up.
const REST_MS: u32 = 200;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub domain: AttrValue,
    /// The user's own addresses.
    pub own: Vec<Address>,
    /// Who was chosen, with their name where it is known, else with an empty one.
    pub onstart: Callback<Person>,
    pub onclose: Callback<()>,
}

#[derive(Clone, PartialEq)]
enum Found {
    Nothing,
    People(Vec<Person>),
    Failed,
}

#[component]
pub fn NewConversation(props: &Props) -> Html {
    let words = use_state(String::new);
    let wrong = use_state(|| None::<Phrase<'static>>);
    let found = use_state(|| Found::Nothing);
    let field = use_node_ref();
    let list = use_node_ref();
    {
        let field = field.clone();
        use_effect_with((), move |()| dom::focus(&field));
    }
    {
        let (found, own) = (found.setter(), props.own.clone());
        use_effect_with((*words).clone(), move |words| {
            let words = words.clone();
            let timer = Timeout::new(if words.is_empty() { 0 } else { REST_MS }, move || {
                spawn_local(async move {
                    found.set(match account::people(words.trim()).await {
                        Some(people) => Found::People(people.into_iter().filter(|person| !own.contains(&person.address)).collect()),
                        None => Found::Failed,
                    });
                });
            });
            move || drop(timer)
        });
    }
    let oninput = {
        let (words, wrong) = (words.clone(), wrong.clone());
        Callback::from(move |event: InputEvent| {
            words.set(dom::value(&event));
            wrong.set(None);
        })
    };
    let onsubmit = {
        let (words, wrong, found) = (words.clone(), wrong.clone(), found.clone());
        let (domain, own, onstart, field) = (props.domain.clone(), props.own.clone(), props.onstart.clone(), field.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            // A name that is one person's is that person, even if it is no address.
            let named = match &*found {
                Found::People(people) => {
                    people.iter().find(|person| !words.trim().is_empty() && person.name.eq_ignore_ascii_case(words.trim()))
                }
                Found::Nothing | Found::Failed => None,
            };
            let stranger = |address| {
                let known = match &*found {
                    Found::People(people) => people.iter().find(|person| person.address == address).cloned(),
                    Found::Nothing | Found::Failed => None,
                };
                known.unwrap_or(Person { address, name: Text::default() })
            };
            match named.map_or_else(|| who::address(&words, &domain).map(stranger), |person| Ok(person.clone())) {
                Ok(person) if own.contains(&person.address) => {
                    wrong.set(Some(Phrase::WhoSelf));
                    dom::focus(&field);
                }
                Ok(person) => onstart.emit(person),
                Err(phrase) => {
                    wrong.set(Some(phrase));
                    dom::focus(&field);
                }
            }
        })
    };
    let onkeydown = {
        let list = list.clone();
        Callback::from(move |event: KeyboardEvent| {
            let Some(step) = dom::arrow(&event) else { return };
            event.prevent_default();
            dom::move_focus(&list, "button", step);
        })
    };
    let person = |person: &Person| {
        let onclick = {
            let person = person.clone();
            props.onstart.reform(move |_: MouseEvent| person.clone())
        };
        html! {
            <li key={person.address.as_str()}>
                <button type="button" {onclick}>
                    { avatar(person.address.as_str(), &person.name, false) }
                    <span class="people__words"><span>{ &*person.name }</span><span>{ who::short(&person.address, "") }</span></span>
                </button>
            </li>
        }
    };
    let people = match &*found {
        Found::Nothing => html! {},
        Found::Failed => html! { <p class="people__none">{ Phrase::PeopleFailed.say() }</p> },
        Found::People(people) if people.is_empty() && !words.trim().is_empty() && who::address(&words, &props.domain).is_err() => {
            html! { <p class="people__none">{ Phrase::NoPeople.say() }</p> }
        }
        Found::People(people) if people.is_empty() => html! {},
        Found::People(people) => html! {
            <section ref={list} class="people" aria-labelledby="people-title">
                <h3 id="people-title">{ Phrase::PeopleTitle.say() }</h3>
                <ul>{ for people.iter().map(person) }</ul>
            </section>
        },
    };
    let invalid = wrong.is_some();
    html! {
        <Dialog title={Phrase::NewConversationTitle.say()} onclose={props.onclose.clone()}>
            <form class="ask" {onsubmit} novalidate=true onkeydown={onkeydown.clone()}>
                <div class={classes!("field", invalid.then_some("field--wrong"))}>
                    <label class="field__label" for="who">{ Phrase::WhoLabel.say() }</label>
                    <div class="field__box">
                        <input ref={field} id="who" type="text" value={(*words).clone()} {oninput} autocomplete="off" autocapitalize="none" spellcheck="false"
                            placeholder={Phrase::WhoPlaceholder.say()} aria-invalid={invalid.to_string()} aria-describedby="who-hint" />
                    </div>
                    <p id="who-hint" class={if invalid { "field__wrong" } else { "field__hint" }} aria-live="polite">
                        { wrong.map_or_else(|| Phrase::WhoHint(&props.domain).say(), Phrase::say) }
                    </p>
                </div>
                <div class="dialog__actions">
                    { submit_button(Phrase::StartConversation.say()) }
                </div>
            </form>
            <div {onkeydown}>{ people }</div>
        </Dialog>
    }
}
