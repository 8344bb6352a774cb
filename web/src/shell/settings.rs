//! What a person has chosen in this browser: appearance, notifications, sound, recent emoji.

use js_sys::Array;
use wasm_bindgen::JsValue;

use super::json::{Json, Writing};
use super::{dom, keep};

const KEY: &str = "settings";

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Appearance {
    #[default]
    System,
    Light,
    Dark,
}

/// All choices; what an older version did not know has its default.
#[derive(Clone, Debug, PartialEq)]
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
        let usual = Settings::default();
        let Some(json) = keep::load(KEY).and_then(|text| Json::parse(&text)) else { return usual };
        Settings {
            appearance: match json.text("appearance").as_deref() {
                Some("light") => Appearance::Light,
                Some("dark") => Appearance::Dark,
                _ => Appearance::System,
            },
            notify: json.flag("notify").unwrap_or(usual.notify),
            show_text: json.flag("show_text").unwrap_or(usual.show_text),
            sound: json.flag("sound").unwrap_or(usual.sound),
            recent_emoji: json.list("recent_emoji").iter().filter_map(Json::as_text).collect(),
        }
    }

    /// Keeps them for the next time.
    pub fn save(&self) {
        let appearance = match self.appearance {
            Appearance::System => "system",
            Appearance::Light => "light",
            Appearance::Dark => "dark",
        };
        let recent: Array = self.recent_emoji.iter().map(|emoji| JsValue::from_str(emoji)).collect();
        let settings = Writing::default().with("appearance", appearance).with("notify", self.notify).with("show_text", self.show_text);
        keep::save(KEY, &settings.with("sound", self.sound).with("recent_emoji", recent).finish());
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
