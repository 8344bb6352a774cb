//! Buttons: one with words, and one with an icon whose name is spoken and shown as a tooltip.

use yew::prelude::*;

use crate::ui::icon::{Glyph, Icon};

/// How much a button stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Weight {
    Primary,
    #[default]
    Plain,
    Danger,
}

#[derive(Properties, PartialEq)]
pub struct ButtonProps {
    pub label: AttrValue,
    #[prop_or_default]
    pub weight: Weight,
    #[prop_or_default]
    pub disabled: bool,
    /// Submits the form around it instead of being pressed by itself.
    #[prop_or_default]
    pub submit: bool,
    #[prop_or_default]
    pub onpress: Callback<()>,
    #[prop_or_default]
    pub class: Classes,
}

#[component]
pub fn Button(props: &ButtonProps) -> Html {
    let weight = match props.weight {
        Weight::Primary => "button--primary",
        Weight::Plain => "button--plain",
        Weight::Danger => "button--danger",
    };
    let onclick = (!props.submit).then(|| props.onpress.reform(|_: MouseEvent| ()));
    html! {
        <button class={classes!("button", weight, props.class.clone())} type={if props.submit { "submit" } else { "button" }}
            disabled={props.disabled} {onclick}>{ props.label.clone() }</button>
    }
}

#[derive(Properties, PartialEq)]
pub struct IconButtonProps {
    pub glyph: Glyph,
    pub label: AttrValue,
    #[prop_or_default]
    pub disabled: bool,
    #[prop_or_default]
    pub submit: bool,
    #[prop_or_default]
    pub onpress: Callback<()>,
    #[prop_or_default]
    pub class: Classes,
    /// For a button that opens something: whether it is open.
    #[prop_or_default]
    pub expanded: Option<bool>,
    /// For a button that is on or off.
    #[prop_or_default]
    pub pressed: Option<bool>,
    /// Out of the reach of the Tab key, because something around it leads there.
    #[prop_or_default]
    pub skip: bool,
    #[prop_or_default]
    pub anchor: NodeRef,
}

#[component]
pub fn IconButton(props: &IconButtonProps) -> Html {
    let onclick = (!props.submit).then(|| props.onpress.reform(|_: MouseEvent| ()));
    html! {
        <button ref={props.anchor.clone()} class={classes!("icon-button", props.class.clone())} type={if props.submit { "submit" } else { "button" }}
            disabled={props.disabled} tabindex={props.skip.then_some("-1")} aria-label={props.label.clone()} title={props.label.clone()}
            aria-expanded={props.expanded.map(|on| on.to_string())} aria-pressed={props.pressed.map(|on| on.to_string())} {onclick}>
            <Icon glyph={props.glyph} />
        </button>
    }
}
