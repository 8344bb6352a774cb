//! What a person has chosen in this browser: appearance, notifications, sound, recent emoji.

use serde::{Deserialize, Serialize};

use wasm_core::wire::json;

use super::{dom, keep};

const KEY: &str = "settings";

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Appearance {
    #[default]
    System,
    Light,
    Dark,
}

/// All choices; what an older version did not know has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub appearance: Appearance,
    pub notify: bool,
    pub show_text: bool,
    pub sound: bool,
    pub recent_emoji: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { appearance: Appearance::System, notify: true, show_text: true, sound: true, recent_emoji: Vec::new() }
    }
}

impl Settings {
    /// As they were left.
    pub fn load() -> Settings {
        keep::load(KEY).and_then(|text| json::read(text.as_bytes()).ok()).unwrap_or_default()
    }

    /// Keeps them for the next time.
    pub fn save(&self) {
        if let Ok(text) = json::write(self) {
            keep::save(KEY, &text);
        }
    }

    /// Puts the chosen appearance on the page.
    pub fn dress(&self) {
        let (mark, colour) = match self.appearance {
            Appearance::System => (None, None),
            Appearance::Light => (Some("light"), Some("#ffffff")),
            Appearance::Dark => (Some("dark"), Some("#14161c")),
        };
        dom::set_root("data-appearance", mark);
        dom::set_theme_colour(colour);
    }
}
