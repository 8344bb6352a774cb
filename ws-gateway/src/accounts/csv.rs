//! The file of `user import`: comma-separated values [RFC4180], UTF-8, with or without a header line.

use super::{AccountError, NewUser};

/// One record and the line that it begins in, counted from one.
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) user: Result<NewUser, AccountError>,
}

/// The records of a file; empty lines and a header line are left out.
pub(super) fn records(file: &str) -> impl Iterator<Item = Record> {
    let mut rest = file.strip_prefix('\u{feff}').unwrap_or(file);
    let mut next_line = 1;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let line = next_line;
            let (fields, after) = record(rest);
            next_line += rest[..rest.len() - after.len()].matches('\n').count();
            rest = after;
            match fields {
                Ok(fields) if fields.iter().all(|field| field.trim().is_empty()) => {}
                Ok(fields) if line == 1 && fields[0].trim().eq_ignore_ascii_case("address") => {}
                fields => return Some(Record { line, user: fields.and_then(user) }),
            }
        }
        None
    })
}

fn user(fields: Vec<String>) -> Result<NewUser, AccountError> {
    let mut fields = fields.into_iter();
    let mut next = || fields.next().unwrap_or_default();
    let user = NewUser {
        address: next(),
        password: next(),
        others: next().split([' ', ';']).filter(|text| !text.is_empty()).map(str::to_owned).collect(),
        name: next(),
    };
    match fields.next() {
        Some(_) => Err(AccountError::Unreadable("more than the four fields address,password,tel,name")),
        None => Ok(user),
    }
}

/// The fields of the first record, and what comes after it.
fn record(text: &str) -> (Result<Vec<String>, AccountError>, &str) {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let field = match rest.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some((field, after)) => {
                    rest = after;
                    field
                }
                // Where it should have ended nobody knows: the next line is taken for a new record.
                None => return (Err(AccountError::Unreadable("a quotation mark is not closed")), after_line(text)),
            },
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let field = rest[..end].trim_end_matches('\r').to_owned();
                rest = &rest[end..];
                field
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    match rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
        Some(after) => (Ok(fields), after),
        None if rest.is_empty() => (Ok(fields), rest),
        None => (Err(AccountError::Unreadable("text after a closing quotation mark")), after_line(text)),
    }
}

/// The text up to the closing quotation mark, with doubled ones taken for one, and what comes after.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, after)| after)
}
