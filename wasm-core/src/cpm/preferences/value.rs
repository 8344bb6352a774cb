//! What stands in an attribute or in an element without children: how each kind of value is read, printed, and explained to whoever got
//! it wrong.

use std::fmt;
use std::time::Duration;

use super::{Days, LONGEST_NAME, Refusal, clock};
use crate::Text;
use crate::cpm::address::Address;
use crate::cpm::ids::InstanceId;

/// A value of a document.
pub(super) trait Value {
    /// Takes the value that stands there; false when it is none.
    fn read(&mut self, text: &str) -> bool;

    /// The value as it stands in a document; nothing where it is left out.
    fn print(&self) -> Option<String>;

    /// What may stand there, as the end of a sentence.
    fn allowed(&self) -> String;
}

/// Values that are read as a whole or not at all.
macro_rules! value {
    ($type:ty, $parse:expr, $print:expr, $allowed:expr) => {
        impl Value for $type {
            fn read(&mut self, text: &str) -> bool {
                let parse: fn(&str) -> Option<$type> = $parse;
                parse(text).map(|value| *self = value).is_some()
            }

            fn print(&self) -> Option<String> {
                let print: fn(&$type) -> Option<String> = $print;
                print(self)
            }

            fn allowed(&self) -> String {
                String::from($allowed)
            }
        }
    };
}

/// An enumeration, each of whose variants is a word.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, each with its word.
            pub const ALL: &[($name, &str)] = &[$(($name::$variant, $word),)*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// The one of a word.
            pub fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
            }
        }

        impl $crate::cpm::preferences::value::Value for $name {
            fn read(&mut self, text: &str) -> bool {
                $name::parse(text).map(|value| *self = value).is_some()
            }

            fn print(&self) -> Option<String> {
                Some(self.as_str().to_owned())
            }

            fn allowed(&self) -> String {
                concat!("one of:" $(, " ", $word)*).to_owned()
            }
        }
    };
}
pub(super) use words;

/// What a profile is known by: letters, digits, dots, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Text);

impl ProfileId {
    /// That of the profile that everybody has at first.
    pub fn usual() -> ProfileId {
        ProfileId(Text::from("usual"))
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<ProfileId> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (!text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(good)).then(|| ProfileId(Text::from(text)))
    }

    /// The identifier as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom an entry of a list means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// One sender.
    Address(Address),
    /// Everybody of a domain.
    Domain(Text),
    /// Telephone numbers that begin with these digits; the plus is not among them.
    Numbers(Text),
    /// Those who do not say who they are.
    Anonymous,
}

impl Party {
    /// Reads an address, `*@domain`, `tel:+digits*` or `anonymous`.
    pub fn parse(text: &str) -> Option<Party> {
        if text == "anonymous" {
            return Some(Party::Anonymous);
        }
        if let Some(domain) = text.strip_prefix("*@") {
            let address = Address::from_parts("x", domain)?;
            return address.domain().map(|domain| Party::Domain(Text::from(domain)));
        }
        if let Some(digits) = text.strip_prefix("tel:+").and_then(|text| text.strip_suffix('*')) {
            let good = !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_digit());
            return good.then(|| Party::Numbers(Text::from(digits)));
        }
        Address::parse(text).map(Party::Address)
    }

    /// Whether a sender is meant.
    pub fn covers(&self, sender: Option<&Address>) -> bool {
        match (self, sender) {
            (Party::Anonymous, sender) => sender.is_none(),
            (_, None) => false,
            (Party::Address(address), Some(sender)) => address == sender,
            (Party::Domain(domain), Some(sender)) => sender.domain() == Some(domain),
            (Party::Numbers(digits), Some(sender)) => {
                sender.is_tel() && sender.user().get(1..).is_some_and(|all| all.starts_with(&**digits))
            }
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Address(address) => f.write_str(address.as_str()),
            Party::Domain(domain) => write!(f, "*@{domain}"),
            Party::Numbers(digits) => write!(f, "tel:+{digits}*"),
            Party::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// Types of contents: `type/subtype`, `type/*` or `*/*`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaRange(Text);

impl MediaRange {
    /// Reads one.
    pub fn parse(text: &str) -> Option<MediaRange> {
        let token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
        let (kind, sub) = text.split_once('/')?;
        let good = text.len() <= LONGEST_NAME * 2 && (kind == "*" && sub == "*" || token(kind) && (sub == "*" || token(sub)));
        good.then(|| MediaRange(Text::from(text.to_ascii_lowercase())))
    }

    /// All types.
    pub fn everything() -> MediaRange {
        MediaRange(Text::from("*/*"))
    }

    /// Whether a content type, with or without parameters, is in the range.
    pub fn covers(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match self.0.strip_suffix('*') {
            Some("*/") => true,
            Some(start) => essence.get(..start.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(start)),
            None => self.0.eq_ignore_ascii_case(essence),
        }
    }

    /// The range as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A time of day, kept in minutes.
pub(super) struct Clock<'a>(pub(super) &'a mut u16);

/// What local time is ahead of UTC, kept in minutes.
pub(super) struct Offset<'a>(pub(super) &'a mut i16);

impl Value for Clock<'_> {
    fn read(&mut self, text: &str) -> bool {
        clock::parse(text).map(|minutes| *self.0 = minutes).is_some()
    }

    fn print(&self) -> Option<String> {
        Some(clock::print(*self.0))
    }

    fn allowed(&self) -> String {
        String::from("a time of day like 22:30")
    }
}

impl Value for Offset<'_> {
    fn read(&mut self, text: &str) -> bool {
        let sign = match text.get(..1) {
            Some("+") => 1,
            Some("-") => -1,
            _ => return false,
        };
        let minutes = clock::parse(&text[1..]).filter(|minutes| *minutes <= 14 * 60);
        minutes.map(|minutes| *self.0 = sign * minutes as i16).is_some()
    }

    fn print(&self) -> Option<String> {
        let sign = if *self.0 < 0 { "-" } else { "+" };
        Some(sign.to_owned() + &clock::print(self.0.unsigned_abs()))
    }

    fn allowed(&self) -> String {
        String::from("an offset from UTC like +01:00")
    }
}

value!(ProfileId, ProfileId::parse, |id| Some(id.0.to_string()), "1 to 64 of the characters A-Z, a-z, 0-9, dot, hyphen and underscore");
value!(
    Text,
    |text| {
        let good = !text.is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
        good.then(|| Text::from(text))
    },
    |text| Some(text.to_string()),
    "1 to 64 characters"
);
value!(InstanceId, |text| InstanceId::parse(&Text::from(text)), |id| Some(id.to_string()), "a device's instance identifier");
value!(Party, Party::parse, |entry| Some(entry.to_string()), "an address, *@domain, tel:+digits* or anonymous");
value!(MediaRange, MediaRange::parse, |range| Some(range.0.to_string()), "a media type like image/png, or a range like image/*");
value!(
    bool,
    |text| match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    },
    |value| Some(value.to_string()),
    "true or false"
);
value!(Option<u64>, |text| number(text, 1 << 40).map(Some), |size| size.map(|size| size.to_string()), "a number of bytes");
value!(Duration, seconds, |time| Some(time.as_secs().to_string()), "a number of seconds, 60 to 31536000");
value!(
    Option<Duration>,
    |text| seconds(text).map(Some),
    |time| time.map(|time| time.as_secs().to_string()),
    "a number of seconds, 60 to 31536000"
);
value!(
    Refusal,
    |text| match text {
        "reject" => Some(Refusal::Reject),
        "discard" => Some(Refusal::Discard),
        _ => Address::parse(text).map(Refusal::Redirect),
    },
    |refusal| Some(match refusal {
        Refusal::Reject => String::from("reject"),
        Refusal::Discard => String::from("discard"),
        Refusal::Redirect(address) => address.to_string(),
    }),
    "reject, discard, or an address to redirect to"
);
value!(
    Days,
    |text| {
        let bit = |name| Days::NAMES.iter().position(|known| *known == name).map(|day| 1 << day);
        text.split_ascii_whitespace().try_fold(0, |days, name| bit(name).map(|bit| days | bit)).map(Days)
    },
    |days| {
        let names: Vec<&str> = Days::NAMES.into_iter().enumerate().filter(|(day, _)| days.has(*day)).map(|(_, name)| name).collect();
        Some(names.join(" "))
    },
    "days of the week like mon tue"
);

fn number(text: &str, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|number| *number <= most)
}

fn seconds(text: &str) -> Option<Duration> {
    number(text, 31_536_000).filter(|seconds| *seconds >= 60).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R235: a block list names persons, domains, ranges of numbers, and those who do not say who they are.
    #[test]
    fn an_entry_covers_whom_it_means() {
        let address = |text: &str| Address::parse(text).unwrap();
        let covers = |entry: &str, sender: &str| Party::parse(entry).unwrap().covers(Some(&address(sender)));
        assert!(covers("sip:Eve@Example.ORG;transport=tcp", "sips:Eve@example.org"));
        assert!(covers("*@Example.org", "sip:anybody@example.org"));
        assert!(!covers("*@example.org", "sip:anybody@sub.example.org"));
        assert!(covers("tel:+1900*", "tel:+1900555"));
        assert!(!covers("tel:+1900*", "tel:+1901555") && !covers("tel:+1900*", "sip:1900@example.org"));
        assert!(!covers("anonymous", "sip:eve@example.org") && Party::Anonymous.covers(None));
        for bad in ["", "eve", "*@", "*@a b", "tel:+*", "tel:+12x*", "tel:12*", "http://x"] {
            assert_eq!(Party::parse(bad), None, "{bad}");
        }
    }

    /// R235, R237, R240, R242: rules are about types, whatever their letter case and parameters.
    #[test]
    fn a_range_covers_types() {
        let covers = |range: &str, kind: &str| MediaRange::parse(range).unwrap().covers(kind);
        assert!(covers("Image/*", "IMAGE/png; name=x") && covers("*/*", "anything") && covers("text/plain", "Text/Plain;charset=UTF-8"));
        assert!(!covers("image/*", "imagery/png") && !covers("text/plain", "text/plainer") && !covers("image/*", "é"));
        for bad in ["", "image", "*/png", "image/", "/png", "image/p g", "image/*/*", "a/b;c=d"] {
            assert_eq!(MediaRange::parse(bad), None, "{bad}");
        }
    }
}
