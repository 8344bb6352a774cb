//! Buttons: one with words, and one with an icon whose name is spoken and shown as a tooltip.

use yew::prelude::*;

use crate::ui::icon::{Glyph, icon};

/// How much a button stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Weight {
    Primary,
    #[default]
    Plain,
    Danger,
}

impl Weight {
    fn class(self) -> &'static str {
        match self {
            Weight::Primary => "button--primary",
            Weight::Plain => "button--plain",
            Weight::Danger => "button--danger",
        }
    }
}

/// A button with words.
pub fn button(label: AttrValue, weight: Weight, onpress: &Callback<()>) -> Html {
    let onclick = onpress.reform(|_: MouseEvent| ());
    html! { <button class={classes!("button", weight.class())} type="button" {onclick}>{ label }</button> }
}

/// The button that submits the form around it.
pub fn submit_button(label: AttrValue) -> Html {
    html! { <button class={classes!("button", Weight::Primary.class())} type="submit">{ label }</button> }
}

/// A button with an icon and nothing unusual.
pub fn icon_button(glyph: Glyph, label: AttrValue, onpress: &Callback<()>) -> Html {
    IconButton::new(glyph, label).press(onpress).draw()
}

/// A button with an icon.
#[derive(Clone, Debug)]
pub struct IconButton {
    /// What it shows.
    pub glyph: Glyph,
    /// Its name.
    pub label: AttrValue,
    /// What it does; nothing for one that submits the form around it.
    pub onpress: Option<Callback<()>>,
    /// Does not react.
    pub disabled: bool,
    /// Further class of the style sheet.
    pub class: &'static str,
    /// For a button that opens something: whether it is open.
    pub expanded: Option<bool>,
    /// For a button that is on or off.
    pub pressed: Option<bool>,
    /// Out of the reach of the Tab key, because something around it leads there.
    pub skip: bool,
    /// Where it is in the page.
    pub anchor: NodeRef,
}

impl IconButton {
    /// One that submits the form around it, unless it is given something else to do.
    pub fn new(glyph: Glyph, label: AttrValue) -> IconButton {
        let anchor = NodeRef::default();
        IconButton { glyph, label, onpress: None, disabled: false, class: "", expanded: None, pressed: None, skip: false, anchor }
    }

    /// Gives it something to do.
    pub fn press(self, onpress: &Callback<()>) -> IconButton {
        IconButton { onpress: Some(onpress.clone()), ..self }
    }

    /// The button.
    pub fn draw(self) -> Html {
        let kind = if self.onpress.is_some() { "button" } else { "submit" };
        let onclick = self.onpress.map(|onpress| onpress.reform(|_: MouseEvent| ()));
        html! {
            <button ref={self.anchor} class={classes!("icon-button", self.class)} type={kind} disabled={self.disabled}
                tabindex={self.skip.then_some("-1")} aria-label={self.label.clone()} title={self.label}
                aria-expanded={self.expanded.map(|on| on.to_string())} aria-pressed={self.pressed.map(|on| on.to_string())} {onclick}>
                { icon(self.glyph) }
            </button>
        }
    }
}
