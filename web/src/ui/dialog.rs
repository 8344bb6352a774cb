//! A modal dialog on the browser's own `<dialog>`: focus is trapped and given back, Escape closes, the rest of the page is inert.

use yew::prelude::*;

use crate::shell::dom;
use crate::texts::Phrase;
use crate::ui::button::icon_button;
use crate::ui::icon::Glyph;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub title: AttrValue,
    pub onclose: Callback<()>,
    pub children: Html,
    #[prop_or_default]
    pub class: Classes,
}

#[component]
pub fn Dialog(props: &Props) -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with((), move |()| {
            dom::show_modal(&node);
            move || dom::close_modal(&node)
        });
    }
    // `cancel` is Escape; the state above decides what is shown, so the element does not close itself.
    let oncancel = props.onclose.reform(|event: Event| event.prevent_default());
    let onclick = {
        let (node, onclose) = (node.clone(), props.onclose.clone());
        Callback::from(move |event: MouseEvent| {
            if dom::is_backdrop(&node, &event) {
                onclose.emit(());
            }
        })
    };
    let onkeydown = Callback::from(|event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
        }
    });
    html! {
        <dialog ref={node} class={classes!("dialog", props.class.clone())} aria-labelledby="dialog-title" {oncancel} {onclick} {onkeydown}>
            <div class="dialog__frame">
                <header class="dialog__head">
                    <h2 id="dialog-title">{ props.title.clone() }</h2>
                    { icon_button(Glyph::Close, Phrase::Close.say(), &props.onclose) }
                </header>
                <div class="dialog__body">{ props.children.clone() }</div>
            </div>
        </dialog>
    }
}
