//! JSON as a serde serializer, without white space.

use std::fmt::Write as _;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::JsonError;

type Result<T> = std::result::Result<T, JsonError>;

/// What has been written.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) text: String,
}

impl Writer {
    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.text.extend(['\\', character]),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\0'..' ' => drop(write!(self.text, "\\u{:04x}", u32::from(character))),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    /// Opens what holds several values; `close` ends it.
    fn open(&mut self, open: char, close: &'static str) -> Many<'_> {
        self.text.push(open);
        Many { writer: self, first: true, close }
    }

    /// Begins a variant with something in it: an object with its name as the only key.
    fn variant(&mut self, name: &str) {
        self.text.push('{');
        self.string(name);
        self.text.push(':');
    }
}

/// Methods that write a number of this type.
macro_rules! numbers {
    ($($method:ident $number:ty)*) => {
        $(fn $method(self, number: $number) -> Result<()> {
            self.serialize_u64(number.into())
        })*
    };
}

/// Methods for kinds of values that our types do not have.
macro_rules! strangers {
    ($($method:ident $stranger:ty)*) => {
        $(fn $method(self, _: $stranger) -> Result<()> {
            Err(JsonError)
        })*
    };
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Many<'w>;
    type SerializeTuple = Many<'w>;
    type SerializeTupleStruct = Many<'w>;
    type SerializeTupleVariant = Many<'w>;
    type SerializeMap = Many<'w>;
    type SerializeStruct = Many<'w>;
    type SerializeStructVariant = Many<'w>;

    numbers! { serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 }
    strangers! {
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_f32 f32 serialize_f64 f64 serialize_char char
        serialize_bytes &[u8]
    }

    fn serialize_u64(self, number: u64) -> Result<()> {
        write!(self.text, "{number}").map_err(|_| JsonError)
    }

    fn serialize_bool(self, truth: bool) -> Result<()> {
        self.text.push_str(if truth { "true" } else { "false" });
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        self.string(text);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.text.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, name: &'static str, value: &T) -> Result<()> {
        self.variant(name);
        value.serialize(&mut *self)?;
        self.text.push('}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Many<'w>> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Many<'w>> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Many<'w>> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, name: &'static str, _: usize) -> Result<Many<'w>> {
        self.variant(name);
        Ok(self.open('[', "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Many<'w>> {
        Ok(self.open('{', "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Many<'w>> {
        Ok(self.open('{', "}"))
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, name: &'static str, _: usize) -> Result<Many<'w>> {
        self.variant(name);
        Ok(self.open('{', "}}"))
    }
}

/// An array or an object that is being written.
pub(super) struct Many<'w> {
    writer: &'w mut Writer,
    first: bool,
    close: &'static str,
}

impl Many<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.writer.text.push(',');
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.separate();
        self.writer.string(name);
        self.writer.text.push(':');
        value.serialize(&mut *self.writer)
    }

    fn close(self) -> Result<()> {
        self.writer.text.push_str(self.close);
        Ok(())
    }
}

/// The traits of what is written like an array, or like an object with known keys.
macro_rules! many {
    ($($kind:ident $method:ident ($($name:ident: $type:ty)?) $by:ident)*) => {
        $(impl $kind for Many<'_> {
            type Ok = ();
            type Error = JsonError;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<()> {
                self.$by($($name,)? value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

many! {
    SerializeSeq serialize_element () item
    SerializeTuple serialize_element () item
    SerializeTupleStruct serialize_field () item
    SerializeTupleVariant serialize_field () item
    SerializeStruct serialize_field (name: &'static str) member
    SerializeStructVariant serialize_field (name: &'static str) member
}

/// Its keys have to be strings, as those of all our maps are.
impl SerializeMap for Many<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.text.push(':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}
