//! JSON as a serde deserializer, driven by what the type wants: it never looks ahead further than one byte.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::JsonError;

type Result<T> = std::result::Result<T, JsonError>;

/// What is still to be read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Reader { rest: text }
    }

    /// Only white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(JsonError) }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Takes the next byte if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.rest = &self.rest[1..];
        }
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(JsonError) }
    }

    fn word(&mut self, word: &str) -> bool {
        self.peek();
        let rest = self.rest.strip_prefix(word.as_bytes());
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn number(&mut self) -> Result<u64> {
        self.peek();
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        if matches!(digits, [b'0', _, ..]) || matches!(rest, [b'.' | b'e' | b'E', ..]) {
            return Err(JsonError);
        }
        self.rest = rest;
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(JsonError)
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"')?;
        let mut whole = Cow::Borrowed("");
        loop {
            let length = self.rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ').ok_or(JsonError)?;
            let (plain, rest) = self.rest.split_at(length);
            whole += std::str::from_utf8(plain).map_err(|_| JsonError)?;
            self.rest = &rest[1..];
            match rest[0] {
                b'"' => return Ok(whole),
                b'\\' => whole.to_mut().push(self.escaped()?),
                _ => return Err(JsonError),
            }
        }
    }

    /// What stands after a backslash.
    fn escaped(&mut self) -> Result<char> {
        let (&byte, rest) = self.rest.split_first().ok_or(JsonError)?;
        self.rest = rest;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.code_unit()?;
                let low = if matches!(unit, 0xd800..=0xdbff) {
                    self.rest = self.rest.strip_prefix(b"\\u").ok_or(JsonError)?;
                    Some(self.code_unit()?)
                } else {
                    None
                };
                let mut characters = char::decode_utf16([unit].into_iter().chain(low));
                match (characters.next(), characters.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(JsonError),
                }
            }
            _ => return Err(JsonError),
        })
    }

    fn code_unit(&mut self) -> Result<u16> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(JsonError)?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, &digit| Ok(unit << 4 | char::from(digit).to_digit(16).ok_or(JsonError)? as u16))
    }

    /// Passes over a value of which nobody wants to know: its strings and brackets have to be whole, the rest is not looked at.
    fn skip(&mut self) -> Result<()> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or(JsonError)? {
                b'"' => drop(self.string()?),
                b'[' | b'{' => {
                    depth += 1;
                    self.rest = &self.rest[1..];
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1).ok_or(JsonError)?;
                    self.rest = &self.rest[1..];
                }
                b',' | b':' if depth > 0 => self.rest = &self.rest[1..],
                _ => {
                    let length = self.rest.iter().take_while(|&byte| !b",:[]{}\" \n\r\t".contains(byte)).count();
                    if length == 0 {
                        return Err(JsonError);
                    }
                    self.rest = &self.rest[length..];
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Whether there is another item before `close`, which is taken when there is none.
    fn another(&mut self, first: &mut bool, close: u8) -> Result<bool> {
        if std::mem::take(first) {
            return Ok(!self.take(close));
        }
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(close)?;
        Ok(false)
    }
}

/// Methods that take a number of this type.
macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_u64(self.number()?)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = JsonError;

    numbers! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 }

    /// Every type says what it is.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(JsonError)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let truth = self.word("true");
        if truth || self.word("false") { visitor.visit_bool(truth) } else { Err(JsonError) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_str(&self.string()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.word("null") { visitor.visit_unit() } else { Err(JsonError) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.expect(b'[')?;
        let mut items = Items { reader: self, first: true, done: false };
        let value = visitor.visit_seq(&mut items)?;
        if items.done || !items.reader.another(&mut items.first, b']')? { Ok(value) } else { Err(JsonError) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.expect(b'{')?;
        visitor.visit_map(Members { reader: self, first: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'"') {
            return visitor.visit_enum(self.string()?.as_ref().into_deserializer());
        }
        self.expect(b'{')?;
        let value = visitor.visit_enum(Variant { reader: &mut *self })?;
        self.expect(b'}')?;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { f32 f64 char bytes byte_buf unit_struct tuple_struct }
}

/// The items of an array.
struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
    /// The closing bracket was taken.
    done: bool,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, '_> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.done = self.done || !self.reader.another(&mut self.first, b']')?;
        if self.done { Ok(None) } else { seed.deserialize(&mut *self.reader).map(Some) }
    }
}

/// The members of an object.
struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.reader.another(&mut self.first, b'}')? {
            return Ok(None);
        }
        let key = seed.deserialize(&mut *self.reader)?;
        self.reader.expect(b':')?;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

/// A variant with something in it: an object with its name as the only key.
struct Variant<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = JsonError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = seed.deserialize(&mut *self.reader)?;
        self.reader.expect(b':')?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = JsonError;

    fn unit_variant(self) -> Result<()> {
        if self.reader.word("null") { Ok(()) } else { Err(JsonError) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.reader.deserialize_map(visitor)
    }
}
