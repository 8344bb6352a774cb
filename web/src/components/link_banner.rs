//! The truth about the connection, in a line above everything; nothing when all is well.

use gloo::timers::callback::{Interval, Timeout};
use yew::prelude::*;

use wasm_core::client::view::{Flow, Link, Repair};

use crate::shell::{clock, dom};
use crate::texts::Phrase;
use crate::ui::icon::{Glyph, icon};
use crate::ui::spinner::spinner;

/// A connection that comes back within this time is not worth a word.
const PATIENCE_MS: u32 = 1200;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub link: Link,
    pub onretry: Callback<()>,
    /// Whether messages can be kept in this browser.
    pub storage: bool,
    /// Whether the server has a newer app.
    pub outdated: bool,
}

#[component]
pub fn LinkBanner(props: &Props) -> Html {
    let beat = use_state(|| 0u32);
    let patient = use_state(|| true);
    {
        // While a countdown runs, the seconds are drawn anew.
        let beat = beat.setter();
        let counting = matches!(&props.link, Link::Connecting { retry_at: Some(_), .. });
        use_effect_with(counting, move |counting| {
            let timer = counting.then(|| Interval::new(500, move || beat.set((clock::now().0 / 500) as u32)));
            move || drop(timer)
        });
    }
    {
        let patient = patient.setter();
        let online = props.link.is_online();
        use_effect_with(online, move |online| {
            patient.set(true);
            let timer = (!online).then(|| Timeout::new(PATIENCE_MS, move || patient.set(false)));
            move || drop(timer)
        });
    }
    let retry = |words: Phrase<'static>| {
        let onclick = props.onretry.reform(|_: MouseEvent| ());
        html! { <button type="button" {onclick}>{ words.say() }</button> }
    };
    let left = match &props.link {
        Link::Connecting { retry_at: Some(at), .. } => at.since(clock::now()).as_millis().div_ceil(1000) as u32,
        Link::Connecting { retry_at: None, .. } | Link::Offline | Link::Online(_) | Link::Refused(_) => 0,
    };
    let line =
        |glyph: Glyph, words: AttrValue, extra: Html| html! { <div class="banner">{ icon(glyph) }<span>{ words }</span>{ extra }</div> };
    // What a screen reader is told when it changes; the countdown, which changes every second, stands outside.
    let told = match &props.link {
        Link::Online(Flow::Unproven | Flow::Proven(_)) => html! { <span class="unseen">{ state(&props.link) }</span> },
        Link::Online(Flow::Stopped { at, repair }) => {
            let extra = match repair {
                Repair::Possible => retry(Phrase::Repair),
                Repair::Running => html! { <>{ spinner(None) }<span>{ Phrase::Repairing.say() }</span></> },
                Repair::Failed => html! { <><span>{ Phrase::FlowAdvice(*at).say() }</span>{ retry(Phrase::Retry) }</> },
            };
            line(Glyph::Alert, Phrase::FlowStopped(*at).say(), extra)
        }
        Link::Refused(reason) => html! {
            <div class="banner banner--refused">{ icon(Glyph::Alert) }<span>{ Phrase::LinkRefused(reason).say() }</span>{ retry(Phrase::TryNow) }</div>
        },
        Link::Offline | Link::Connecting { .. } if *patient => html! {},
        Link::Offline => line(Glyph::CloudOff, Phrase::LinkOffline.say(), html! { <span>{ Phrase::LinkOfflineHint.say() }</span> }),
        Link::Connecting { .. } if left > 0 => html! { <span class="unseen">{ Phrase::LinkLost.say() }</span> },
        Link::Connecting { .. } => html! { <div class="banner">{ spinner(None) }<span>{ Phrase::LinkConnecting.say() }</span></div> },
    };
    html! {
        <aside class="frame__banner" aria-label={Phrase::Connection.say()}>
            <div role="status" aria-label={Phrase::Connection.say()}>{ told }</div>
            if left > 0 && !*patient {
                { line(Glyph::CloudOff, Phrase::LinkConnectingIn(left).say(), retry(Phrase::TryNow)) }
            }
            if !props.storage {
                <div role="status">{ line(Glyph::Alert, Phrase::StorageGone.say(), html! {}) }</div>
            }
            if props.outdated {
                <div class="banner banner--news" role="status">
                    <span>{ Phrase::UpdateReady.say() }</span>
                    <button type="button" onclick={Callback::from(|_: MouseEvent| dom::reload())}>{ Phrase::Reload.say() }</button>
                </div>
            }
        </aside>
    }
}

/// The state of the connection in a few words.
pub fn state(link: &Link) -> AttrValue {
    match link {
        Link::Online(Flow::Unproven) => Phrase::LinkOnline,
        Link::Online(Flow::Proven(round)) => Phrase::FlowProven(round.total),
        Link::Online(Flow::Stopped { at, .. }) => Phrase::FlowStopped(*at),
        Link::Offline => Phrase::LinkOffline,
        Link::Connecting { .. } => Phrase::LinkLost,
        Link::Refused(reason) => return Phrase::LinkRefused(reason).say(),
    }
    .say()
}
