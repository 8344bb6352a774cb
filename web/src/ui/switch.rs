//! A switch: on or off, with its name, and words about what it does.

use yew::prelude::*;

/// The switch; `onchange` is told what it becomes.
pub fn switch(label: AttrValue, hint: Option<AttrValue>, on: bool, disabled: bool, onchange: &Callback<bool>) -> Html {
    let onclick = onchange.reform(move |_: MouseEvent| !on);
    html! {
        <button type="button" class="switch" role="switch" aria-checked={on.to_string()} aria-label={label.clone()} {disabled} {onclick}>
            <span class="switch__words">
                <span>{ label }</span>
                if let Some(hint) = hint { <span class="switch__hint">{ hint }</span> }
            </span>
            <span class="switch__track" aria-hidden="true"><span class="switch__knob"></span></span>
        </button>
    }
}
