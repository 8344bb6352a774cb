//! The truth about the connection, in a line above everything; nothing when all is well.

use gloo::timers::callback::{Interval, Timeout};
use yew::prelude::*;

use wasm_core::client::view::Link;

use crate::shell::{clock, dom};
use crate::texts::Phrase;
use crate::ui::icon::{Glyph, Icon};
use crate::ui::spinner::Spinner;

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
        let online = matches!(props.link, Link::Online);
        use_effect_with(online, move |online| {
            patient.set(true);
            let timer = (!online).then(|| Timeout::new(PATIENCE_MS, move || patient.set(false)));
            move || drop(timer)
        });
    }
    let retry = || {
        let onclick = props.onretry.reform(|_: MouseEvent| ());
        html! { <button type="button" {onclick}>{ Phrase::TryNow.say() }</button> }
    };
    let (refused, content) = match &props.link {
        Link::Online => (false, None),
        Link::Refused(reason) => {
            let content = html! { <><Icon glyph={Glyph::Alert} /><span>{ Phrase::LinkRefused(reason).say() }</span>{ retry() }</> };
            (true, Some(content))
        }
        _ if *patient => (false, None),
        Link::Offline => {
            let content = html! { <><Icon glyph={Glyph::CloudOff} /><span><strong>{ Phrase::LinkOffline.say() }</strong>{ " " }{ Phrase::LinkOfflineHint.say() }</span></> };
            (false, Some(content))
        }
        Link::Connecting { retry_at, .. } => {
            let left = retry_at.map(|at| at.since(clock::now()).as_millis().div_ceil(1000) as u32).filter(|left| *left > 0);
            let content = match left {
                Some(left) => {
                    html! { <><Icon glyph={Glyph::CloudOff} /><span>{ Phrase::LinkConnectingIn(left).say() }</span>{ retry() }</> }
                }
                None => html! { <><Spinner /><span>{ Phrase::LinkConnecting.say() }</span></> },
            };
            (false, Some(content))
        }
    };
    // The region is always there, so that a screen reader notices what comes into it; the countdown itself stays quiet.
    html! {
        <aside class="frame__banner" aria-label={Phrase::Connection.say()}>
            <div class="unseen" role="status">{ announcement(&props.link, *patient) }</div>
            if let Some(content) = content {
                <div class={classes!("banner", refused.then_some("banner--refused"))} data-link={link_name(&props.link)}>{ content }</div>
            }
            if !props.storage { <div class="banner" role="status"><Icon glyph={Glyph::Alert} /><span>{ Phrase::StorageGone.say() }</span></div> }
            if props.outdated {
                <div class="banner banner--news" role="status">
                    <span>{ Phrase::UpdateReady.say() }</span>
                    <button type="button" onclick={Callback::from(|_: MouseEvent| dom::reload())}>{ Phrase::Reload.say() }</button>
                </div>
            }
        </aside>
    }
}

fn announcement(link: &Link, patient: bool) -> AttrValue {
    match link {
        Link::Online => Phrase::LinkOnline.say(),
        Link::Refused(reason) => Phrase::LinkRefused(reason).say(),
        _ if patient => AttrValue::Static(""),
        Link::Offline => Phrase::LinkOffline.say(),
        Link::Connecting { .. } => Phrase::LinkConnecting.say(),
    }
}

fn link_name(link: &Link) -> &'static str {
    match link {
        Link::Online => "online",
        Link::Offline => "offline",
        Link::Connecting { .. } => "connecting",
        Link::Refused(_) => "refused",
    }
}
