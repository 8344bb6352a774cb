//! JSON [RFC8259] for the types of `cpm::history` and `client`: through serde's derives, between bytes and values.
//!
//! The browser's half of what serde_json does in the gateway. It knows the kinds of values that our types are made of and no more:
//! no floating-point, negative or wide numbers, no structs written as arrays, no words about what is wrong. That leaves most of what a
//! derive generates unused: the app's first load is 26 KB (brotli) smaller than with serde_json.

mod reader;
mod writer;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The text is not JSON or not a value of the type, or the value is of a kind that is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError;

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the JSON that was expected")
    }
}

impl std::error::Error for JsonError {}

impl serde::de::Error for JsonError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        JsonError
    }
}

impl serde::ser::Error for JsonError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        JsonError
    }
}

/// Reads a value; fields that the type does not know are skipped.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let mut reader = reader::Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Writes a value.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, JsonError> {
    let mut writer = writer::Writer::default();
    value.serialize(&mut writer)?;
    Ok(writer.text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Newtype(String),
        Tuple(u64, u32),
        Struct { some: Option<bool>, list: Vec<Kind> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Whole {
        kinds: Vec<Kind>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u32>,
        #[serde(default)]
        text: String,
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let leaf = prop_oneof![
            Just(Kind::Unit),
            any::<String>().prop_map(Kind::Newtype),
            (any::<u64>(), any::<u32>()).prop_map(|(a, b)| Kind::Tuple(a, b)),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            (any::<Option<bool>>(), prop::collection::vec(inner, 0..3)).prop_map(|(some, list)| Kind::Struct { some, list })
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json(kinds in prop::collection::vec(kind(), 0..4), number in any::<Option<u32>>(), text in any::<String>()) {
            let whole = Whole { kinds, number, text };
            let written = write(&whole).unwrap();
            prop_assert_eq!(&written, &serde_json::to_string(&whole).unwrap());
            prop_assert_eq!(read::<Whole>(written.as_bytes()), Ok(whole.clone()));
            prop_assert_eq!(read::<Whole>(serde_json::to_string_pretty(&whole).unwrap().as_bytes()), Ok(whole));
        }

        #[test]
        fn whatever_is_skipped_is_skipped_whole(other in any::<f64>(), text in any::<String>(), list in prop::collection::vec(any::<i64>(), 0..4)) {
            let whole = serde_json::json!({ "before": { "x": [list, { "y": text }], "z": null }, "kinds": [], "number": 7, "after": other });
            prop_assert_eq!(read::<Whole>(whole.to_string().as_bytes()), Ok(Whole { kinds: vec![], number: Some(7), text: String::new() }));
        }

        #[test]
        fn garbage_never_panics(text in any::<Vec<u8>>(), shape in r#"[\[\]{}:," \\nu0-9kids]{0,40}"#) {
            let _ = (read::<Whole>(&text), read::<Whole>(shape.as_bytes()), read::<Kind>(shape.as_bytes()));
        }

        #[test]
        fn strings_are_read_as_serde_json_reads_them(inner in r#"([a-z"\\/ué\t]|\\u[0-9a-fA-F]{4}|\\[nrtbf"/\\]){0,12}"#) {
            let text = format!("\"{inner}\"");
            prop_assert_eq!(read::<String>(text.as_bytes()).ok(), serde_json::from_str::<String>(&text).ok(), "{}", text);
        }
    }

    #[test]
    fn what_is_not_the_value_is_refused() {
        for text in
            ["", "{", "{}", "[]", "null", r#"{"kinds":[}"#, r#"{"kinds":[],}"#, r#"{"kinds":[]"#, r#"{"kinds":[]} x"#, r#"{"kinds":[,]}"#]
        {
            assert_eq!(read::<Whole>(text.as_bytes()), Err(JsonError), "{text}");
        }
        for text in
            ["\"Nobody\"", "{\"Unit\":1}", "\"Newtype\"", "{\"Tuple\":[1]}", "{\"Tuple\":[1,2,3]}", "{\"Newtype\":\"a\",\"Unit\":null}"]
        {
            assert_eq!(read::<Kind>(text.as_bytes()), Err(JsonError), "{text}");
        }
        for text in ["-1", "1.5", "1e3", "01", "18446744073709551616", "x", "\"1\""] {
            assert_eq!(read::<u64>(text.as_bytes()), Err(JsonError), "{text}");
        }
        assert_eq!(read::<u32>(b"4294967296"), Err(JsonError));
        assert_eq!(read::<u64>(b" 18446744073709551615\n"), Ok(u64::MAX));
        assert_eq!(write(&1.5), Err(JsonError));
        let deep = format!("{{\"x\":{}", "[".repeat(1_000_000));
        assert_eq!(read::<Whole>(deep.as_bytes()), Err(JsonError));
    }
}
