//! How communications are handled for the user, as plain questions: what happens while nobody is there, when it is quiet, who is blocked.
//!
//! The questions are those of the profile that is active for this device. Every change is saved at once. Fields and buttons say by their
//! names and values what they change, so that one listener serves them all.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::{Days, MOST_PROFILES};

use crate::shell::devices::{self, Known};
use crate::shell::preferences::{self, Change, Element, Preferences, all, attribute, gets_messages, period, text};
use crate::shell::{account, dom};
use crate::texts::Phrase;
use crate::ui::button::{Weight, button as press};
use crate::ui::spinner::spinner;
use crate::who;

/// A question with its answers, each a word for us and words for people; where nothing was chosen, the first holds.
fn question(name: &'static str, label: Phrase<'_>, answers: Vec<(String, AttrValue)>, chosen: &str) -> Html {
    let chosen = answers.iter().position(|(value, _)| value == chosen).unwrap_or(0);
    html! {
        <label class="question">
            <span>{ label.say() }</span>
            <select {name}>
                { for answers.into_iter().enumerate().map(|(place, (value, words))| html! { <option selected={place == chosen} {value}>{ words }</option> }) }
            </select>
        </label>
    }
}

fn answers(words: &[(&str, Phrase<'_>)]) -> Vec<(String, AttrValue)> {
    words.iter().map(|(value, phrase)| ((*value).to_owned(), phrase.say())).collect()
}

/// A field to be ticked, or (of type `time`) to be filled in; it stands for a value.
fn field(kind: &'static str, name: &'static str, label: Phrase<'_>, value: String, checked: bool) -> Html {
    let role = (value == ON).then_some("switch");
    html! { <label class="question"><span>{ label.say() }</span><input type={kind} {role} required={kind == "time"} {name} {value} {checked} /></label> }
}

/// The value of a field that is on or off.
const ON: &str = "on";

fn button(name: &'static str, label: Phrase<'_>, value: String) -> Html {
    html! { <button type="button" class="button button--plain" {name} {value}>{ label.say() }</button> }
}

/// Which profile this device has; new ones, other names, another default, and the end of one.
fn profiles(all: &Preferences, instance: &InstanceId, profile: &Element, words: &NodeRef) -> Html {
    let (id, default) = (attribute(profile, "id"), all.default_id());
    let mut list: Vec<_> =
        all.profiles().iter().map(|profile| (attribute(profile, "id"), AttrValue::from(text(profile, "display-name")))).collect();
    let room = list.len() < MOST_PROFILES;
    let usual = list.iter().find(|(id, _)| *id == default).map(|(_, name)| name.clone()).unwrap_or_default();
    list.insert(0, (String::new(), Phrase::ProfileDefault(&usual).say()));
    let chosen = all.active(instance).map(|active| attribute(&active, "profile")).unwrap_or_default();
    let name = Phrase::ProfileName.say();
    html! {
        <>
            { question("profile", Phrase::ProfileHere, list, &chosen) }
            <details>
                <summary>{ Phrase::Profiles.say() }</summary>
                <input ref={words} class="field" aria-label={name.clone()} placeholder={name} maxlength="64" />
                <div class="question__line">
                    if room { { button("add", Phrase::ProfileAdd, String::new()) } }
                    { button("display-name", Phrase::ProfileRename, String::new()) }
                    if id != default {
                        { button("default", Phrase::ProfileMakeDefault, id.clone()) }
                        { button("remove", Phrase::ProfileDelete, id) }
                    }
                </div>
            </details>
        </>
    }
}

/// A button for each entry of the block list.
fn blocked(sender: &Element) -> Html {
    let entry = attribute(sender, "uri");
    let name = Address::parse(&entry).map_or_else(|| entry.clone(), |address| who::short(&address, ""));
    button("unblock", Phrase::UnblockName(&name), entry)
}

#[derive(Properties, PartialEq)]
pub struct Props {
    /// Counts up when there is another version.
    pub news: u32,
}

/// The section, with what the server has.
#[component]
pub fn Preferring(props: &Props) -> Html {
    let kept = use_state(|| None::<Preferences>);
    let owned = use_state(Vec::<Known>::new);
    let failed = use_state(|| false);
    let Some(session) = use_memo((), |()| account::remembered()).as_ref().clone() else { return html! {} };
    {
        let (known, kept, owned, address) = ((*kept).clone(), kept.setter(), owned.setter(), session.address.clone());
        use_effect_with(props.news, move |_| {
            spawn_local(async move {
                if let Ok(list) = devices::list().await {
                    owned.set(list);
                }
                if let Some(new) = preferences::load(&address, known.as_ref()).await {
                    kept.set(Some(new));
                }
            });
        });
    }
    let onchange = {
        let (kept, failed, address) = (kept.setter(), failed.setter(), session.address.clone());
        Callback::from(move |change: Change| {
            let (kept, failed, address) = (kept.clone(), failed.clone(), address.clone());
            spawn_local(async move {
                let new = preferences::change(&address, &change).await;
                failed.set(new.is_none());
                // What was not saved is not to look as if it were.
                if let Some(new) = if new.is_some() { new } else { preferences::load(&address, None).await } {
                    kept.set(Some(new));
                }
            });
        })
    };
    html! {
        <>
            if let Some(kept) = &*kept { { section(kept, &session.instance, &owned, &onchange) } } else { { spinner(Some(Phrase::Loading.say())) } }
            <p role="alert" class="field__wrong">{ failed.then(|| Phrase::NotSaved.say()) }</p>
        </>
    }
}

#[derive(Properties, PartialEq)]
pub struct BlockingProps {
    /// `block` or `unblock`.
    pub name: &'static str,
    /// Whose address it is about.
    pub who: AttrValue,
    pub ondone: Callback<()>,
}

/// Blocks or unblocks somebody at once, and says so only if it fails.
#[component]
pub fn Blocking(props: &BlockingProps) -> Html {
    let tries = use_state(|| 0);
    let failed = use_state(|| false);
    {
        let (name, who, ondone, failed) = (props.name, props.who.to_string(), props.ondone.clone(), failed.setter());
        use_effect_with(*tries, move |_| {
            spawn_local(async move {
                let Some(session) = account::remembered() else { return failed.set(true) };
                let change = Change { instance: session.instance, name: name.to_owned(), value: who };
                match preferences::change(&session.address, &change).await {
                    Some(_) => ondone.emit(()),
                    None => failed.set(true),
                }
            });
        });
    }
    if !*failed {
        return spinner(Some(Phrase::Loading.say()));
    }
    let retry = Callback::from(move |()| {
        failed.set(false);
        tries.set(*tries + 1);
    });
    html! { <div role="alert">{ Phrase::NotSaved.say() }{ " " }{ press(Phrase::Retry.say(), Weight::Plain, &retry) }</div> }
}

fn section(kept: &Preferences, instance: &InstanceId, owned: &[Known], onchange: &Callback<Change>) -> Html {
    let Some(profile) = kept.profile(instance) else { return html! {} };
    let words = NodeRef::default();
    let listen = |clicks: bool| {
        let (instance, onchange, words) = (instance.clone(), onchange.clone(), words.clone());
        move |target: Option<dom::Field>| {
            let Some(dom::Field { name, mut value, checked }) = target.filter(|field| !field.name.is_empty()) else { return };
            if clicks && value.is_empty() {
                value = dom::text(&words).trim().to_owned();
                if value.is_empty() {
                    return dom::focus(&words);
                }
            } else if value == ON {
                value = checked.to_string();
            }
            onchange.emit(Change { instance: instance.clone(), name, value });
        }
    };
    let onclick = {
        let listen = listen(true);
        Callback::from(move |event: MouseEvent| listen(dom::button_of(&event)))
    };
    let onchange = {
        let listen = listen(false);
        Callback::from(move |event: Event| listen(dom::field_of(&event)))
    };
    let (mut away, delivery) = (text(&profile, "when-unavailable"), text(&profile, "deferred-delivery"));
    let aways = answers(&[
        ("push", Phrase::AwayLater),
        ("notify", Phrase::AwayAsk),
        ("store", Phrase::AwayStore),
        ("discard", Phrase::AwayDiscard),
    ]);
    if away.is_empty() || away == "defer" {
        away = delivery;
    }
    let lates = answers(&[("store", Phrase::AwayStore), ("extend", Phrase::LateExtend), ("discard", Phrase::AwayDiscard)]);
    let (quiet, senders) = (period(&profile), all(&profile, "sender"));
    let hour = |name: &'static str, label| quiet.as_ref().map(|hours| field("time", name, label, attribute(hours, name), false));
    let day = |name: &'static str| {
        let checked = quiet.as_ref().is_some_and(|hours| attribute(hours, "days").contains(name));
        html! { <label><input type="checkbox" name="day" value={name} {checked} /><span>{ Phrase::Day(name).say() }</span></label> }
    };
    let device = |known: &Known| {
        let value = known.instance.to_string();
        let checked = gets_messages(&profile, &value);
        html! { <label><input type="checkbox" name="device" {value} {checked} /><span>{ &*known.name }</span></label> }
    };
    html! {
        <section aria-labelledby="preferences-title" {onclick} {onchange}>
            <h3 id="preferences-title">{ Phrase::Preferences.say() }</h3>
            { profiles(kept, instance, &profile, &words) }
            { question("away", Phrase::Away, aways, &away) }
            { question("when-expired", Phrase::Late, lates, &text(&profile, "when-expired")) }
            { field("checkbox", "quiet", Phrase::Quiet, ON.to_owned(), quiet.is_some()) }
            { for hour("from", Phrase::QuietFrom) }
            { for hour("to", Phrase::QuietTo) }
            if quiet.is_some() {
                <div class="choices" role="group" aria-label={Phrase::QuietDays.say()}>{ for Days::NAMES.into_iter().map(day) }</div>
            }
            <h3 id="receivers-title">{ Phrase::Receivers.say() }</h3>
            <div class="choices" role="group" aria-labelledby="receivers-title">{ for owned.iter().map(device) }</div>
            { field("checkbox", "read-reports", Phrase::TellRead, ON.to_owned(), kept.read_reports(instance)) }
            <h3>{ Phrase::BlockedPeople.say() }</h3>
            <div class="question__line">
                if senders.is_empty() { <p class="switch__hint">{ Phrase::NobodyBlocked.say() }</p> }
                { for senders.iter().map(blocked) }
            </div>
        </section>
    }
}
