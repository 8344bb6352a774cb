//! The Tandem web app: draws the engine's view and performs its outputs.
//!
//! `shell` is the only part that touches the browser; `pages` and `components` draw, `ui` holds what they are made of.

use yew::prelude::*;

#[component]
fn App() -> Html {
    html! { <main><h1>{ "Tandem" }</h1></main> }
}

fn main() {
    yew::Renderer::<App>::new().render();
}
