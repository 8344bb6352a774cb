//! A switch: on or off, with its name, and words about what it does.

use yew::prelude::*;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub label: AttrValue,
    pub on: bool,
    pub onchange: Callback<bool>,
    #[prop_or_default]
    pub hint: Option<AttrValue>,
    #[prop_or_default]
    pub disabled: bool,
}

#[component]
pub fn Switch(props: &Props) -> Html {
    let onclick = {
        let (onchange, on) = (props.onchange.clone(), props.on);
        Callback::from(move |_: MouseEvent| onchange.emit(!on))
    };
    html! {
        <button type="button" class="switch" role="switch" aria-checked={props.on.to_string()} aria-label={props.label.clone()}
            disabled={props.disabled} {onclick}>
            <span class="switch__words">
                <span>{ props.label.clone() }</span>
                if let Some(hint) = &props.hint { <span class="switch__hint">{ hint.clone() }</span> }
            </span>
            <span class="switch__track" aria-hidden="true"><span class="switch__knob"></span></span>
        </button>
    }
}
