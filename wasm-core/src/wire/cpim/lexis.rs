//! The characters of CPIM headers [RFC3862 §3]: backslash escapes, quoted strings, addresses.
//!
//! What is printed can never end its line, whatever it holds.

use std::borrow::Cow;

use crate::Text;
use crate::wire::mime::has_control;

/// Resolves backslash escapes. A backslash that begins none stands for itself.
pub(super) fn unescape(head: &Text, escaped: &str) -> Text {
    match unescaped(escaped) {
        Cow::Borrowed(plain) => head.slice_of(plain),
        Cow::Owned(plain) => Text::from(plain),
    }
}

fn unescaped(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped);
    }
    let mut plain = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut characters = rest.chars();
        let (character, after) = match characters.next() {
            Some('b') => ('\u{8}', characters.as_str()),
            Some('t') => ('\t', characters.as_str()),
            Some('n') => ('\n', characters.as_str()),
            Some('r') => ('\r', characters.as_str()),
            Some(same @ ('"' | '\'' | '\\')) => (same, characters.as_str()),
            Some('u') => code_point(characters.as_str()).unwrap_or(('\\', rest)),
            Some(_) | None => ('\\', rest),
        };
        plain.push(character);
        rest = after;
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The character of four hexadecimal digits, or of two such escapes that are a surrogate pair, and what follows.
fn code_point(digits: &str) -> Option<(char, &str)> {
    let unit = |text: &str| -> Option<u32> {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(digits)?;
    let rest = &digits[4..];
    if let Some(character) = char::from_u32(high) {
        return Some((character, rest));
    }
    let low = unit(rest.strip_prefix("\\u")?)?;
    let pair = char::decode_utf16([u16::try_from(high).ok()?, u16::try_from(low).ok()?]).next()?.ok()?;
    Some((pair, &rest[6..]))
}

/// Writes a value so that [`unescape`] gives it back.
pub(super) fn push_escaped(out: &mut String, plain: &str) {
    for character in plain.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            character if character.is_control() => push_control(out, character),
            character => out.push(character),
        }
    }
}

/// Writes a value that is escaped already; only controls, which it cannot hold, are escaped.
pub(super) fn push_quiet(out: &mut String, value: &str) {
    if !has_control(value) {
        return out.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\t' => out.push('\t'),
            character if character.is_control() => push_control(out, character),
            character => out.push(character),
        }
    }
}

/// Writes a name to show, always as a quoted string.
pub(super) fn push_display(out: &mut String, display: &str) {
    out.push('"');
    for character in display.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            character if character.is_control() => push_control(out, character),
            character => out.push(character),
        }
    }
    out.push('"');
}

/// Writes a URI in angle brackets. Characters that a URI cannot have and that would end it early are percent-encoded.
pub(super) fn push_uri(out: &mut String, uri: &str) {
    out.push('<');
    for character in uri.chars() {
        if character.is_control() || matches!(character, ' ' | '<' | '>') {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push('%');
                push_hex(out, u32::from(byte), 2);
            }
        } else {
            out.push(character);
        }
    }
    out.push('>');
}

fn push_control(out: &mut String, character: char) {
    match character {
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        other => {
            out.push_str("\\u");
            push_hex(out, u32::from(other), 4);
        }
    }
}

fn push_hex(out: &mut String, value: u32, digits: u32) {
    for place in (0..digits).rev() {
        out.extend(char::from_digit(value >> (4 * place) & 15, 16).map(|digit| digit.to_ascii_uppercase()));
    }
}

/// The first place of `wanted` outside quoted strings.
pub(super) fn find_unquoted(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            character if character == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// What is between the quotes, where the text has them around it.
pub(super) fn unquote(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// A URI that stands alone: a scheme, a colon, and no white space.
pub(super) fn bare_uri(text: &str) -> Option<&str> {
    let scheme = text.split(':').next().filter(|scheme| scheme.len() < text.len())?;
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'));
    good.then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_resolved_and_strangers_stay() {
        for (escaped, plain) in [
            ("plain", "plain"),
            (r"a\tb\\c\'d\'", "a\tb\\c'd'"),
            (r"\u00e9\u20AC", "\u{e9}\u{20ac}"),
            (r"\ud83d\ude00!", "\u{1f600}!"),
            (r"\ud83d", r"\ud83d"),
            (r"\ud83d\u0041", r"\ud83dA"),
            (r"\u12", r"\u12"),
            (r"\u00\u{e9}", r"\u00\u{e9}"),
            ("\\u0\u{e9}0", "\\u0\u{e9}0"),
            (r"\x \", r"\x \"),
        ] {
            assert_eq!(unescaped(escaped), plain, "{escaped}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back_and_stays_on_its_line(plain in any::<String>()) {
            let mut out = String::new();
            push_escaped(&mut out, &plain);
            prop_assert!(!out.contains(['\r', '\n']));
            prop_assert_eq!(unescaped(&out), plain.as_str());
            let mut quoted = String::new();
            push_display(&mut quoted, &plain);
            prop_assert_eq!(unescaped(unquote(&quoted).unwrap()), plain.as_str());
        }
    }
}
