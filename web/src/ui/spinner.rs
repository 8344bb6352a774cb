//! A ring that turns while something is under way; stands still for those who want less motion.

use yew::prelude::*;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// What is under way, for a screen reader; nothing when words stand beside it.
    #[prop_or_default]
    pub label: Option<AttrValue>,
}

#[component]
pub fn Spinner(props: &Props) -> Html {
    match &props.label {
        Some(label) => html! { <span class="spinner" role="status"><span class="unseen">{ label.clone() }</span></span> },
        None => html! { <span class="spinner" aria-hidden="true"></span> },
    }
}
