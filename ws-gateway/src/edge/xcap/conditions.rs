//! What a request makes its success depend on: `If-Match` and `If-None-Match` [RFC9110 §13.1], with the versions of documents as strong
//! entity tags.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The tag of a version.
pub fn tag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The conditions of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    matches: Option<Tags>,
    none_match: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    value: String,
}

impl Conditions {
    /// The conditions in these headers. What is no tag is one that nothing has.
    pub fn of(headers: &HeaderMap) -> Conditions {
        Conditions { matches: Tags::of(headers, header::IF_MATCH), none_match: Tags::of(headers, header::IF_NONE_MATCH) }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.matches.is_some() || self.none_match.is_some()
    }

    /// Whether the document that there is may be acted on.
    pub fn matched(&self, found: Option<u64>) -> bool {
        self.matches.as_ref().is_none_or(|tags| tags.name(found, false))
    }

    /// Whether whoever asks does not have the document that there is.
    pub fn is_new(&self, found: Option<u64>) -> bool {
        self.none_match.as_ref().is_none_or(|tags| !tags.name(found, true))
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
        let mut lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).peekable();
        lines.peek()?;
        let mut tags = Vec::new();
        for item in lines.flat_map(|line| line.split(',')).map(str::trim) {
            if item == "*" {
                return Some(Tags::Any);
            }
            let (weak, quoted) = item.strip_prefix("W/").map_or((false, item), |quoted| (true, quoted));
            let value = quoted.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            tags.extend(value.map(|value| Tag { weak, value: value.to_owned() }));
        }
        Some(Tags::These(tags))
    }

    /// Whether these name the version that was found. A weak tag says too little to change what it is about.
    fn name(&self, found: Option<u64>, weakly: bool) -> bool {
        let Some(found) = found.map(|version| version.to_string()) else { return false };
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| tag.value == found && (weakly || !tag.weak)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: HeaderName, value: &'static str) -> Conditions {
        Conditions::of(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    /// R232: a change depends on the version that its author has seen.
    #[test]
    fn tags_name_versions() {
        let matched = |value, found| conditions(header::IF_MATCH, value).matched(found);
        assert!(matched("\"7\"", Some(7)) && matched("\"1\", \"7\"", Some(7)) && matched("*", Some(7)));
        for foreign in ["\"8\"", "7", "W/\"7\"", "", "\"", "\"07\"", "x"] {
            assert!(!matched(foreign, Some(7)), "{foreign}");
        }
        assert!(!matched("*", None) && !matched("\"7\"", None));
        let is_new = |value, found| conditions(header::IF_NONE_MATCH, value).is_new(found);
        assert!(is_new("*", None) && is_new("\"8\"", Some(7)) && !is_new("*", Some(7)) && !is_new("W/\"7\"", Some(7)));
        let none = Conditions::of(&HeaderMap::new());
        assert!(none.matched(None) && none.is_new(Some(7)) && !none.any());
    }
}
