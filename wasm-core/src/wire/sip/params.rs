//! Parameters of header values and of URIs: ordered, names without regard to case, values as they were written.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::error::HeaderError;
use super::scan::{self, Scan};
use crate::Text;

/// `;name`, `;name=value` and `;name="quoted value"` in their order.
#[derive(Clone, Debug, Default)]
pub struct Params(SmallVec<[(Text, Option<Text>); 2]>);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Params::default()
    }

    /// Reads the parameters that come next; the names and values are slices of `source`.
    pub(crate) fn scan(scan: &mut Scan<'_>, source: &Text) -> Result<Params, HeaderError> {
        let mut params = Params::new();
        scan.params(|name, value| params.0.push((source.slice_of(name), value.map(|value| source.slice_of(value)))))?;
        Ok(params)
    }

    /// The first parameter of this name as it was written: `Some(None)` when it has no value.
    pub fn get(&self, name: &str) -> Option<Option<&Text>> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    /// Whether a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of a parameter without the quotes around it; escapes within quotes stay, see [`Params::text`].
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten().map(|value| scan::strip_quotes(value))
    }

    /// The value of a parameter without quotes and with escapes undone.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).flatten().map(|value| scan::unquote(value))
    }

    /// The value of a parameter that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(scan::number)
    }

    /// Sets a parameter, in its old place where it has one. A value that is no token is quoted.
    pub fn set(&mut self, name: &str, value: &str) {
        let plain = !value.is_empty() && value.bytes().all(|byte| scan::is(scan::TOKEN, byte) || matches!(byte, b'[' | b']' | b':'));
        let value = if plain { Text::from(value) } else { Text::from(scan::quote(value)) };
        self.place(name, Some(value));
    }

    /// Sets a parameter to a quoted string, whatever the value.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.place(name, Some(Text::from(scan::quote(value))));
    }

    /// Sets a parameter without value.
    pub fn set_flag(&mut self, name: &str) {
        self.place(name, None);
    }

    /// Like [`Params::set`], for building in one expression.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Like [`Params::set_flag`], for building in one expression.
    pub fn with_flag(mut self, name: &str) -> Self {
        self.set_flag(name);
        self
    }

    /// Adds or replaces a parameter with the value as it is to be written, quotes included.
    pub(crate) fn place(&mut self, name: &str, value: Option<Text>) {
        match self.0.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((Text::from(name), value)),
        }
    }

    /// Adds a parameter as it was read.
    pub(crate) fn push(&mut self, name: Text, value: Option<Text>) {
        self.0.push((name, value));
    }

    /// Removes all parameters of this name and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.0.len() < before
    }

    /// Keeps those parameters for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    /// The names and the values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, Option<&Text>)> {
        self.0.iter().map(|(name, value)| (name, value.as_ref()))
    }

    /// How many parameters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The same names, without regard to case, with the same values in the same order.
impl PartialEq for Params {
    fn eq(&self, other: &Params) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(one, two)| one.0.eq_ignore_ascii_case(&two.0) && one.1 == two.1)
    }
}

impl Eq for Params {}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            f.write_str(";")?;
            f.write_str(name)?;
            if let Some(value) = value {
                f.write_str("=")?;
                f.write_str(value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_values_lose_their_quotes_on_demand() {
        let source = Text::from(";Tag = abc ; lr;text=\"a \\\"b\\\"\"");
        let mut params = Params::scan(&mut Scan::new(&source), &source).unwrap();
        assert_eq!(params.value("tag"), Some("abc"));
        assert_eq!(params.get("LR"), Some(None));
        assert_eq!(params.text("text").as_deref(), Some("a \"b\""));
        params.set("tag", "<x>");
        params.set_flag("ob");
        params.remove("lr");
        assert_eq!(params.to_string(), ";Tag=\"<x>\";text=\"a \\\"b\\\"\";ob");
    }

    #[test]
    fn an_empty_parameter_is_refused() {
        for text in [";", ";;a", ";a=", ";a=\"b"] {
            let source = Text::from(text);
            assert!(Params::scan(&mut Scan::new(&source), &source).is_err(), "{text}");
        }
    }
}
