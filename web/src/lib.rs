//! The Tandem web app: draws the engine's view and performs its outputs.
//!
//! `shell` is the only part that touches the browser. `pages` and `components` draw what the engine shows and turn what a person does
//! into commands; `ui` is what they are made of; `texts` has every word. `prose`, `route`, `who` and `window` are plain functions.
//! `extra` is the second of the two programs, which is loaded when something in it is first opened.

#![allow(missing_debug_implementations, reason = "components and their properties are drawn, never printed")]

pub mod app;
pub mod components;
pub mod extra;
pub mod pages;
pub mod prose;
pub mod route;
pub mod shell;
pub mod texts;
pub mod ui;
pub mod who;
pub mod window;

use shell::settings::Settings;
use shell::{dom, updates};
use texts::Language;

/// Starts the app.
pub fn run() {
    let language = speak();
    dom::set_root("lang", Some(language.tag()));
    Settings::load().dress();
    updates::install();
    yew::Renderer::<app::App>::new().render();
}

/// Speaks the browser's language from now on.
fn speak() -> Language {
    let language = dom::languages().first().map_or(Language::English, |tag| Language::of(tag));
    texts::speak(language);
    language
}

#[cfg(test)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
