//! The whole app: who is signed in decides which page there is.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::history::Session;

use crate::pages::messenger::Messenger;
use crate::pages::sign_in::SignInPage;
use crate::shell::account::{self, Standing};
use crate::shell::links;

#[derive(Clone, PartialEq)]
enum Stage {
    Out,
    In(Session),
}

#[component]
pub fn App() -> Html {
    // Whoever was signed in last time still is, until the server says otherwise: so the app opens without a network.
    let stage = use_state(|| account::remembered().map_or(Stage::Out, Stage::In));
    {
        let stage = stage.clone();
        use_effect_with((), move |()| {
            if *stage == Stage::Out {
                return;
            }
            spawn_local(async move {
                match account::standing().await {
                    Standing::In(session) => stage.set(Stage::In(session)),
                    Standing::Out => {
                        account::forget();
                        stage.set(Stage::Out);
                    }
                    Standing::Unknown => {}
                }
            });
        });
    }
    let onsignedin = {
        let stage = stage.clone();
        Callback::from(move |session: Session| stage.set(Stage::In(session)))
    };
    let onsignedout = {
        let stage = stage.clone();
        Callback::from(move |()| {
            links::go("/", true);
            stage.set(Stage::Out);
        })
    };
    match &*stage {
        Stage::Out => html! { <SignInPage {onsignedin} /> },
        Stage::In(session) => html! { <Messenger key={session.address.as_str()} session={session.clone()} {onsignedout} /> },
    }
}
