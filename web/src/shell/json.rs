//! JSON by the browser's own parser, for the few small bodies and settings of the shell.
//!
//! Deriving costs a kilobyte of download for each type; what the engine keeps and reads (`wasm_core`) is derived.

use js_sys::{Array, JSON, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Json(JsValue);

impl Json {
    /// Reads a text.
    pub fn parse(text: &str) -> Option<Json> {
        JSON::parse(text).ok().map(Json)
    }

    /// What an object has under a name.
    pub fn get(&self, name: &str) -> Option<Json> {
        Reflect::get(&self.0, &JsValue::from_str(name)).ok().map(Json)
    }

    /// The string under a name.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.0.as_string()
    }

    /// The truth value under a name.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.0.as_bool()
    }

    /// The number under a name, if it is a whole one that counts something.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.get(name)?.0.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0).map(|number| number as u64)
    }

    /// The list under a name; an empty one when there is none.
    pub fn list(&self, name: &str) -> Vec<Json> {
        let list = self.get(name).and_then(|list| list.0.dyn_into::<Array>().ok());
        list.map(|list| list.iter().map(Json).collect()).unwrap_or_default()
    }

    /// The string that this is.
    pub fn as_text(&self) -> Option<String> {
        self.0.as_string()
    }
}

/// An object that is being written.
#[derive(Clone, Debug, Default)]
pub struct Writing(Object);

impl Writing {
    /// Puts something under a name.
    pub fn with(self, name: &str, value: impl Into<JsValue>) -> Writing {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&self.0, &JsValue::from_str(name), &value.into());
        self
    }

    /// The object as text.
    pub fn finish(self) -> String {
        JSON::stringify(&self.0).map(String::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_written_reads_back() {
        let words: Array = ["a", "\"b\""].into_iter().map(JsValue::from_str).collect();
        let text = Writing::default().with("text", "x\ny").with("on", true).with("count", 7u32).with("words", words).finish();
        let json = Json::parse(&text).unwrap();
        assert_eq!((json.text("text").as_deref(), json.flag("on"), json.count("count")), (Some("x\ny"), Some(true), Some(7)));
        assert_eq!(json.list("words").iter().filter_map(Json::as_text).collect::<Vec<_>>(), ["a", "\"b\""]);
        assert!(json.text("count").is_none() && json.list("none").is_empty() && json.count("text").is_none());
        assert!(Json::parse("{").is_none());
    }
}
