//! The whole app: who is signed in decides which page there is.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::history::Session;

use crate::pages::messenger::Messenger;
use crate::pages::sign_in::SignInPage;
use crate::shell::account::{self, Standing};
use crate::shell::links;
use crate::shell::storage::Storage;

#[derive(Clone, PartialEq)]
enum Stage {
    /// Whether the server, and not the person, has ended the session.
    Out {
        expelled: bool,
    },
    In(Session),
}

#[component]
pub fn App() -> Html {
    // Whoever was signed in last time still is, until the server says otherwise: so the app opens without a network.
    let stage = use_state(|| account::remembered().map_or(Stage::Out { expelled: false }, Stage::In));
    {
        let stage = stage.clone();
        use_effect_with((), move |()| {
            let Stage::In(session) = (*stage).clone() else { return };
            spawn_local(async move {
                match account::standing().await {
                    Standing::In(session) => stage.set(Stage::In(session)),
                    Standing::Out => {
                        account::forget();
                        stage.set(Stage::Out { expelled: true });
                        // What was kept for a device that is none any more; kept by another tab for a moment longer, it goes then.
                        let _ = Storage::delete(&session.address).await;
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
        Callback::from(move |expelled: bool| {
            links::go("/", true);
            stage.set(Stage::Out { expelled });
        })
    };
    match &*stage {
        Stage::Out { expelled } => html! { <SignInPage {onsignedin} expelled={*expelled} /> },
        Stage::In(session) => html! { <Messenger key={session.address.as_str()} session={session.clone()} {onsignedout} /> },
    }
}
