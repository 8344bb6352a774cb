//! A ring that turns while something is under way; stands still for those who want less motion.

use yew::prelude::*;

/// The ring; `label` says what is under way to a screen reader, and is nothing when words stand beside it.
pub fn spinner(label: Option<AttrValue>) -> Html {
    match label {
        Some(label) => html! { <span class="spinner" role="status"><span class="unseen">{ label }</span></span> },
        None => html! { <span class="spinner" aria-hidden="true"></span> },
    }
}
