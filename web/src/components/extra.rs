//! Room for what the app's second module draws, which is loaded when somebody first wants it.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::shell::extra::{self, View, Word};
use crate::shell::{dom, updates};
use crate::texts::Phrase;
use crate::ui::button::{Weight, button};
use crate::ui::spinner::spinner;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub view: View,
    /// What the view is to know.
    #[prop_or_default]
    pub words: Option<AttrValue>,
    /// Counts up when what the view shows may have changed.
    #[prop_or_default]
    pub news: u32,
    #[prop_or_default]
    pub onword: Callback<Word>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Loading,
    Ready,
    Failed,
}

#[component]
pub fn Extra(props: &Props) -> Html {
    let host = use_node_ref();
    let stage = use_state(|| Stage::Loading);
    let attempt = use_state(|| 0);
    {
        let (host, stage, onword) = (host.clone(), stage.setter(), props.onword.clone());
        use_effect_with(*attempt, move |&attempt| {
            let room = extra::Room::new(&host, &onword);
            spawn_local(async move { stage.set(if extra::fill(&host, attempt).await { Stage::Ready } else { Stage::Failed }) });
            move || drop(room)
        });
    }
    {
        let host = host.clone();
        use_effect_with(props.news, move |_| extra::renew(&host));
    }
    let retry = {
        let (stage, attempt) = (stage.setter(), attempt.clone());
        Callback::from(move |()| {
            let (stage, attempt) = (stage.clone(), attempt.clone());
            stage.set(Stage::Loading);
            spawn_local(async move {
                // A newer server has another second module than this page wants.
                if updates::is_outdated().await {
                    dom::reload();
                }
                attempt.set(*attempt + 1);
            });
        })
    };
    html! {
        <>
            <div ref={host} class="extra" data-view={props.view.name()} data-words={props.words.clone()}></div>
            {
                match *stage {
                    Stage::Loading => spinner(Some(Phrase::Loading.say())),
                    Stage::Ready => html! {},
                    Stage::Failed => html! {
                        <div role="alert">
                            <p>{ Phrase::PartMissing.say() }</p>
                            { button(Phrase::Retry.say(), Weight::Plain, &retry) }
                        </div>
                    },
                }
            }
        </>
    }
}
