//! The grammar's character classes, and a cursor over one header value.
//!
//! Both the check that a received message gets and the typed headers read through this cursor, so that they cannot disagree.
//! Folding is gone before a value comes here: white space is SP and HTAB [RFC3261 §25.1].

use super::error::{HeaderError, HeaderFault};

/// `token`: methods, header names, parameter names.
pub(crate) const TOKEN: u8 = 1;
/// The user part of a SIP URI, but for escapes.
pub(crate) const USER: u8 = 2;
/// The password of a SIP URI, but for escapes.
pub(crate) const PASSWORD: u8 = 4;
/// Host names and dotted addresses.
pub(crate) const HOST: u8 = 8;
/// Names and values of URI parameters, but for escapes.
pub(crate) const PARAM: u8 = 16;
/// The headers part of a SIP URI, but for escapes.
pub(crate) const FIELD: u8 = 32;
/// An unquoted value of a header parameter: tokens, hosts, and what is seen in the wild beside them.
pub(crate) const VALUE: u8 = 64;
/// `word`: the parts of a Call-ID.
pub(crate) const WORD: u8 = 128;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    table = with(table, b"-.!%*_+`'~", TOKEN | VALUE | WORD);
    table = with(table, b"-_.!~*'()", USER | PASSWORD | PARAM | FIELD);
    // Deviates [RFC3261 §25.1]: `#` belongs escaped, but phones dial it as it is.
    table = with(table, b"&=+$,;?/#", USER);
    table = with(table, b"&=+$,", PASSWORD);
    // Deviates [RFC3261 §25.1]: `_` is in no host name, but in those that container networks give.
    table = with(table, b"-._", HOST);
    table = with(table, b"[]/:&+$", PARAM);
    table = with(table, b"[]/?:+$&=", FIELD);
    table = with(table, b"[]:/@=$&()#?{}|^", VALUE);
    table = with(table, b"()<>:\\\"/[]?{}", WORD);
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = 255;
        }
        byte += 1;
    }
    table
}

const fn with(mut table: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
    table
}

/// Whether `byte` is of a class.
pub(crate) fn is(class: u8, byte: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Whether `text` is a `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| is(TOKEN, byte))
}

/// Where the first byte stands that is neither of the class nor part of a whole `%HH`.
pub(crate) fn escaped_run(class: u8, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            if !matches!(bytes.get(at + 1..at + 3), Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
                return at;
            }
            at += 3;
        } else if is(class, byte) {
            at += 1;
        } else {
            return at;
        }
    }
    at
}

/// `text` without the white space around it.
pub(crate) fn trim(text: &str) -> &str {
    let start = text.bytes().position(|byte| !is_space(byte)).unwrap_or(text.len());
    trim_end(&text[start..])
}

/// `text` without the white space behind it.
pub(crate) fn trim_end(text: &str) -> &str {
    let end = text.bytes().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
    &text[..end]
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A number of decimal digits alone, or nothing when it does not fit.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |sum, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// A cursor over one header value.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Scan { text, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next bytes, as many as were counted in [`Scan::rest`].
    pub(crate) fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// An error that points to where the cursor stands.
    pub(crate) fn fail(&self, fault: HeaderFault) -> HeaderError {
        HeaderError { fault, offset: self.at }
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space and says whether nothing is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// Success only when nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), HeaderError> {
        if self.is_done() { Ok(()) } else { Err(self.fail(HeaderFault::Trailing)) }
    }

    /// Steps over this byte if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over this byte and the white space on both sides of it, if it is next.
    pub(crate) fn separator(&mut self, byte: u8) -> bool {
        let start = self.at;
        self.space();
        if !self.eat(byte) {
            self.at = start;
            return false;
        }
        self.space();
        true
    }

    /// Like [`Scan::separator`], for a separator that has to be there.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), HeaderError> {
        if self.separator(byte) { Ok(()) } else { Err(self.fail(HeaderFault::Syntax)) }
    }

    /// The longest run of bytes of a class, which may be empty. Classes hold ASCII alone.
    pub(crate) fn run(&mut self, class: u8) -> &'a str {
        self.run_while(|byte| is(class, byte))
    }

    /// The longest run of bytes for which `keep` holds; it must treat all bytes beyond ASCII alike.
    pub(crate) fn run_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|&byte| keep(byte)) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn token(&mut self) -> Result<&'a str, HeaderError> {
        let token = self.run(TOKEN);
        if token.is_empty() { Err(self.fail(HeaderFault::Syntax)) } else { Ok(token) }
    }

    pub(crate) fn number(&mut self) -> Result<u64, HeaderError> {
        let fault = self.fail(HeaderFault::Number);
        number(self.run_while(|byte| byte.is_ascii_digit())).ok_or(fault)
    }

    /// A quoted string with its quotes.
    pub(crate) fn quoted(&mut self) -> Result<&'a str, HeaderError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        if !self.eat(b'"') {
            return Err(self.fail(HeaderFault::Syntax));
        }
        loop {
            match bytes.get(self.at) {
                None => return Err(HeaderError { fault: HeaderFault::Quote, offset: start }),
                Some(b'"') => break,
                // The escaped byte may be the first of several only in what is not a quoted-pair at all; the rest follows as text.
                Some(b'\\') if self.at + 1 < bytes.len() => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at).ok_or(HeaderError { fault: HeaderFault::Quote, offset: start })
    }

    /// The value of a parameter: quoted, with its quotes, or not.
    pub(crate) fn value(&mut self) -> Result<&'a str, HeaderError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let value = self.run(VALUE);
        if value.is_empty() { Err(self.fail(HeaderFault::Syntax)) } else { Ok(value) }
    }

    /// All the `;name=value` that come next.
    pub(crate) fn params(&mut self, mut each: impl FnMut(&'a str, Option<&'a str>)) -> Result<(), HeaderError> {
        while self.separator(b';') {
            let name = self.token()?;
            let value = if self.separator(b'=') { Some(self.value()?) } else { None };
            each(name, value);
        }
        Ok(())
    }
}

/// Whether a value is a list of what `head` scans, each with parameters.
pub(crate) fn check_list(value: &str, head: impl Fn(&mut Scan<'_>) -> Result<(), HeaderError>) -> Result<(), HeaderError> {
    let mut scan = Scan::new(value);
    loop {
        head(&mut scan)?;
        scan.params(|_, _| ())?;
        if !scan.separator(b',') {
            return scan.end();
        }
    }
}

/// The elements of a comma-separated list, trimmed; commas in quotes and in angle brackets do not separate. Empty ones are left out.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = element_end(rest.as_bytes());
            let (element, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

fn element_end(bytes: &[u8]) -> usize {
    let (mut quoted, mut bracketed) = (false, false);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' if !quoted && !bracketed => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The text within a quoted string's quotes with its escapes undone, or the value itself where it has no quotes.
pub(crate) fn unquote(value: &str) -> std::borrow::Cow<'_, str> {
    let inner = strip_quotes(value);
    if inner.len() == value.len() || !inner.contains('\\') {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.extend(chars.next()),
            char => out.push(char),
        }
    }
    out.into()
}

/// The text within the quotes with its escapes as they are.
pub(crate) fn strip_quotes(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// `text` as a quoted string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\r' | '\n' => out.push(' '),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_quotes_or_brackets_does_not_separate() {
        let value = "\"Bell, A\" <sip:a,b@c>;x=\"1\\\",2\" , sip:d@e,,<sip:f>";
        assert_eq!(elements(value).collect::<Vec<_>>(), ["\"Bell, A\" <sip:a,b@c>;x=\"1\\\",2\"", "sip:d@e", "<sip:f>"]);
    }

    #[test]
    fn quotes_come_off_and_go_on() {
        for text in ["", "plain", "a \"b\" \\ c", "ünï"] {
            assert_eq!(unquote(&quote(text)), text);
        }
        assert_eq!(unquote("token"), "token");
        assert_eq!(unquote("\""), "\"");
    }

    #[test]
    fn an_escape_needs_two_hexadecimal_digits() {
        assert_eq!(escaped_run(USER, "a%41b"), 5);
        assert_eq!(escaped_run(USER, "a%4"), 1);
        assert_eq!(escaped_run(USER, "a%zz"), 1);
    }
}
