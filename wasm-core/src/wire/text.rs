//! [`Text`]: immutable UTF-8 that is cheap to clone and to slice.
//!
//! A parsed message keeps its head in one allocation and every header value, token and URI in it is a `Text` into that allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A range of shared, immutable UTF-8.
#[derive(Clone)]
pub struct Text {
    source: Arc<str>,
    start: u32,
    end: u32,
}

impl Text {
    /// The text as a string slice.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.source[self.start as usize..self.end as usize]
    }

    /// The part of this text that `part` is, without a copy where `part` lies within it, else as a text of its own.
    #[inline]
    pub fn slice_of(&self, part: &str) -> Text {
        if part.is_empty() {
            return Text { source: Arc::clone(&self.source), start: self.start, end: self.start };
        }
        let base = self.source.as_ptr() as usize;
        let at = (part.as_ptr() as usize).wrapping_sub(base);
        if at < self.start as usize || at + part.len() > self.end as usize {
            return Text::from(part);
        }
        Text { source: Arc::clone(&self.source), start: at as u32, end: (at + part.len()) as u32 }
    }
}

impl From<Arc<str>> for Text {
    /// Text beyond 4 GiB, which no limit of ours lets in, is cut off.
    fn from(source: Arc<str>) -> Self {
        let mut end = source.len().min(u32::MAX as usize);
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        Text { source, start: 0, end: end as u32 }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::from(Arc::<str>::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::from(Arc::<str>::from(text))
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::from("")
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer).map(|text| Text::from(&*text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shares_and_a_stranger_is_copied() {
        let whole = Text::from("sip:alice@tandem.test");
        let user = whole.slice_of(&whole[4..9]);
        assert_eq!(user, "alice");
        assert!(Arc::ptr_eq(&user.source, &whole.source));
        let stranger = whole.slice_of("bob");
        assert_eq!(stranger, "bob");
        assert!(!Arc::ptr_eq(&stranger.source, &whole.source));
    }
}
