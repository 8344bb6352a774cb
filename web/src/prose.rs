//! Message text as pieces to draw: plain runs and safe links. Text is only ever text; nothing of it becomes markup.

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Plain(&'a str),
    /// A link to the web: `href` has the scheme http or https, whatever the text.
    Link {
        text: &'a str,
        href: String,
    },
}

/// The most links that are made of one message; what comes after them stays plain.
const MOST_LINKS: usize = 100;

/// Splits a text.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut plain = 0;
    let mut at = 0;
    let mut links = 0;
    while at < text.len() && links < MOST_LINKS {
        let rest = &text[at..];
        let before = text[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '@' | '-' | '_'))
            && let Some((length, scheme)) = link(rest)
        {
            if plain < at {
                out.push(Piece::Plain(&text[plain..at]));
            }
            let text = &rest[..length];
            out.push(Piece::Link { text, href: format!("{scheme}{text}") });
            at += length;
            plain = at;
            links += 1;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    if plain < text.len() {
        out.push(Piece::Plain(&text[plain..]));
    }
    out
}

/// How long the link is that `text` begins with, and what its address lacks in front.
fn link(text: &str) -> Option<(usize, &'static str)> {
    let begins = |prefix: &str| text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    let (prefix, scheme) = ["https://", "http://"]
        .iter()
        .find(|prefix| begins(prefix))
        .map(|prefix| (prefix.len(), ""))
        .or_else(|| begins("www.").then_some((4, "https://")))?;
    let end = text
        .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`' | '«' | '»' | '“' | '”'))
        .unwrap_or(text.len());
    let mut length = end;
    // Punctuation at the end belongs to the sentence, and so does a bracket that was opened before the link.
    while let Some(last) = text[..length].chars().next_back() {
        let unopened =
            |open: char, close: char| last == close && text[..length].matches(close).count() > text[..length].matches(open).count();
        if matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '…')
            || unopened('(', ')')
            || unopened('[', ']')
            || unopened('{', '}')
        {
            length -= last.len_utf8();
        } else {
            break;
        }
    }
    let host = text.get(prefix..length)?.split(['/', '?', '#']).next()?;
    let host_ok = host.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '[') && (scheme.is_empty() || host.contains('.'));
    host_ok.then_some((length, scheme))
}

/// Whether a message is nothing but a few emoji, which are drawn large.
pub fn is_only_emoji(text: &str) -> bool {
    let is_joiner = |c: char| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
    let is_emoji = |c: char| matches!(c, '\u{1f300}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{2b50}' | '\u{2b55}' | '\u{231a}' | '\u{231b}' | '\u{23e9}'..='\u{23fa}');
    let trimmed = text.trim();
    !trimmed.is_empty()
        && trimmed.chars().all(|c| is_joiner(c) || is_emoji(c) || c == ' ')
        && trimmed.chars().filter(|c| is_emoji(*c)).count() <= 6
}

/// The text on one line, for lists and quotes.
pub fn one_line(text: &str) -> String {
    const MOST: usize = 160;
    let mut out = String::new();
    for word in text.split_whitespace() {
        if out.len() > MOST {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().take(MOST));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn links(text: &str) -> Vec<String> {
        let hrefs = |piece| if let Piece::Link { href, .. } = piece { Some(href) } else { None };
        pieces(text).into_iter().filter_map(hrefs).collect()
    }

    #[test]
    fn links_are_found() {
        for (text, found) in [
            ("see https://example.org/a?b=c#d.", "https://example.org/a?b=c#d"),
            ("(http://example.org/x_(y))", "http://example.org/x_(y)"),
            ("www.example.org, please", "https://www.example.org"),
            ("HTTPS://EXAMPLE.org!", "HTTPS://EXAMPLE.org"),
            ("日本https", ""),
            ("a line\nhttps://example.org\nanother", "https://example.org"),
        ] {
            assert_eq!(links(text).join(" "), found, "{text}");
        }
    }

    #[test]
    fn what_is_no_web_address_stays_text() {
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "xhttp://example.org",
            "http://",
            "https:///x",
            "www.",
            "mailto:a@b",
            "a@www.example.org",
            "file:///etc",
        ] {
            assert_eq!(links(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(pieces("<b>hi</b>"), [Piece::Plain("<b>hi</b>")]);
    }

    #[test]
    fn nothing_is_lost() {
        for text in ["", "plain", "https://a.b", "x https://a.b y www.c.d z", "é https://é.fr é"] {
            let whole: String = pieces(text)
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(text) | Piece::Link { text, .. } => *text,
                })
                .collect();
            assert_eq!(whole, text);
        }
    }

    #[test]
    fn emoji_alone_are_told_apart() {
        assert!(is_only_emoji("👍"));
        assert!(is_only_emoji(" 👩‍💻 🎉 "));
        assert!(!is_only_emoji("ok 👍"));
        assert!(!is_only_emoji(""));
    }

    #[test]
    fn many_lines_become_one() {
        assert_eq!(one_line(" a\n\nb  c "), "a b c");
    }
}
