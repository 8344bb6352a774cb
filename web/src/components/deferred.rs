//! The deferred inbox: messages that wait for the person's decision, and what to do with one, some or all of them (R341).

use yew::prelude::*;

use wasm_core::client::Command;
use wasm_core::client::view::Waiting;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::deferred::{Action, Actions, DeferredId, Item};

use crate::shell::clock;
use crate::shell::device::Device;
use crate::texts::Phrase;
use crate::ui::button::{Weight, button};
use crate::ui::dialog::Dialog;
use crate::who;

/// When somebody is reminded who keeps a message for later.
const LATER: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

#[derive(Properties, PartialEq)]
pub struct Props {
    pub device: Device,
    /// Counts up when what is shown changes.
    pub version: u64,
    /// The home domain.
    pub domain: AttrValue,
    pub onclose: Callback<()>,
}

#[component]
pub fn Deferred(props: &Props) -> Html {
    let chosen = use_state(Vec::<DeferredId>::new);
    let discarding = use_state(|| false);
    let waiting = props.device.deferred();
    let items = &waiting.list.items;
    let chosen_here: Vec<DeferredId> = items.iter().map(|item| item.id).filter(|id| chosen.contains(id)).collect();
    let all = !items.is_empty() && chosen_here.len() == items.len();
    let choose = |ids: Vec<DeferredId>| {
        let (chosen, discarding) = (chosen.clone(), discarding.clone());
        Callback::from(move |_: Event| {
            chosen.set(ids.clone());
            discarding.set(false);
        })
    };
    // What is done, is done with those that are chosen, or with all.
    let meant: Vec<DeferredId> = if chosen_here.is_empty() { items.iter().map(|item| item.id).collect() } else { chosen_here.clone() };
    let doing = |action: Action| {
        let (device, chosen, discarding, meant) = (props.device.clone(), chosen.clone(), discarding.clone(), meant.clone());
        Callback::from(move |()| {
            device.command(Command::Deferred(Actions(meant.iter().map(|id| (*id, action)).collect())));
            chosen.set(Vec::new());
            discarding.set(false);
        })
    };
    let ask = |sure: bool| {
        let discarding = discarding.clone();
        Callback::from(move |()| discarding.set(sure))
    };
    let line = |item: &Item| {
        let mut others = chosen_here.clone();
        others.retain(|id| *id != item.id);
        let checked = others.len() < chosen_here.len();
        if !checked {
            others.push(item.id);
        }
        line(item, &waiting, name(&props.device, &item.from, &props.domain), checked, choose(others))
    };
    let hidden = waiting.list.total.saturating_sub(items.len() as u32);
    let body = if items.is_empty() {
        html! { <p role="status">{ Phrase::NothingWaits.say() }</p> }
    } else {
        let everything = if all { Vec::new() } else { items.iter().map(|item| item.id).collect() };
        html! {
            <>
                <p class="field__hint">{ Phrase::WaitingHint.say() }</p>
                <label class="waiting__all"><input type="checkbox" checked={all} onchange={choose(everything)} />{ Phrase::ChooseAll.say() }</label>
                <ul class="waiting" aria-label={Phrase::WaitingTitle.say()}>{ for items.iter().map(line) }</ul>
                if hidden > 0 { <p class="field__hint">{ Phrase::MoreWait(hidden).say() }</p> }
                <p role="status">{ if chosen_here.is_empty() { Phrase::AllChosen } else { Phrase::Chosen(chosen_here.len() as u32) }.say() }</p>
                <div class="dialog__actions">
                    if *discarding {
                        <p role="alert">{ Phrase::DiscardHint(meant.len() as u32).say() }</p>
                        { button(Phrase::Cancel.say(), Weight::Plain, &ask(false)) }
                        { button(Phrase::DiscardForGood.say(), Weight::Danger, &doing(Action::Discard)) }
                    } else {
                        { button(Phrase::Discard.say(), Weight::Danger, &ask(true)) }
                        { button(Phrase::KeepInHistory.say(), Weight::Plain, &doing(Action::Store)) }
                        { button(Phrase::KeepForLater.say(), Weight::Plain, &doing(Action::Keep { remind: Some(clock::now() + LATER) })) }
                        { button(Phrase::GetNow.say(), Weight::Primary, &doing(Action::Retrieve { part: None })) }
                    }
                </div>
            </>
        }
    };
    html! { <Dialog title={Phrase::WaitingTitle.say()} onclose={props.onclose.clone()}>{ body }</Dialog> }
}

fn name(device: &Device, from: &Address, domain: &str) -> String {
    device.thread(from, |thread| Some(thread.title().to_string())).unwrap_or_else(|| who::short(from, domain))
}

/// One message of the list.
fn line(item: &Item, waiting: &Waiting, name: String, checked: bool, onchange: Callback<Event>) -> Html {
    let now = clock::now();
    let kind = item.content_types.first().map_or("", |kind| kind.as_str());
    let about = match &item.subject {
        Some(subject) => AttrValue::from(subject.to_string()),
        None if kind.starts_with("text/") => Phrase::AText.say(),
        None => AttrValue::from(kind.to_owned()),
    };
    let state = match (waiting.action(item.id), item.remind) {
        (Some(_), _) => Some(Phrase::BeingDone.say()),
        (None, Some(at)) => Some(Phrase::RemindedOn(&clock::in_full(at)).say()),
        (None, None) => None,
    };
    html! {
        <li key={item.id.0.to_string()}>
            <label>
                <input type="checkbox" {checked} {onchange} />
                <span class="entry__words">
                    <span class="entry__line">
                        <span class="entry__name">{ name }</span>
                        <time class="entry__time" datetime={item.date.to_rfc3339()}>{ clock::ago(item.date, now) }</time>
                    </span>
                    <span class="entry__line"><span class="entry__text">{ about }</span><span class="entry__time">{ Phrase::Size(item.size).say() }</span></span>
                    <span class="field__hint">{ state.unwrap_or_else(|| Phrase::WaitsUntil(&clock::in_full(item.expires)).say()) }</span>
                </span>
            </label>
        </li>
    }
}
