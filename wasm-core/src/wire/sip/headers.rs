//! The headers of a message, in order, and the trait by which a typed header is read from them and written to them.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::{HeaderName, scan};
use crate::Text;

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value, trimmed and without folds.
    pub value: Text,
}

/// All header lines of a message in their order.
///
/// They are one piece of the heap, made in the right size when a message is read: kept in the message itself they cost more in
/// moving it about than the allocation does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

/// More elements than this in one header are refused: no route, fork or list of addresses is that long.
const ELEMENTS: usize = 256;

/// How the values of a header are spread over lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value, on one line.
    Single,
    /// Any number of values, separated by commas or on lines of their own: Via, Route, Contact.
    Each,
    /// Any number of values, one on each line, with commas of their own: WWW-Authenticate.
    Line,
    /// One value made of all the elements of all the lines: Supported, Allow.
    Whole,
}

/// A header that is read as a value of its own type.
pub trait TypedHeader: Sized + fmt::Display {
    /// Its name.
    const NAME: HeaderName;
    /// How its values are spread over lines.
    const SHAPE: Shape = Shape::Single;

    /// Reads one value, of which the parts are slices.
    fn parse(value: &Text) -> Result<Self, HeaderError>;
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Headers::default()
    }

    pub(crate) fn with_capacity(lines: usize) -> Self {
        Headers(Vec::with_capacity(lines))
    }

    /// Adds a line as it was read, without looking for line ends in the value.
    pub(crate) fn push_read(&mut self, name: HeaderName, value: Text) {
        self.0.push(Header { name, value });
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&Text> {
        self.0.iter().find(|header| header.name == *name).map(|header| &header.value)
    }

    /// The values of all lines of this name.
    pub fn all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a Text> {
        self.0.iter().filter(move |header| header.name == *name).map(|header| &header.value)
    }

    /// Whether there is a line of this name.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// All lines.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Header> {
        self.0.iter()
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: HeaderName, value: impl Into<Text>) {
        self.0.push(Header { name, value: one_line(value.into()) });
    }

    /// Adds a line before all others.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<Text>) {
        self.0.insert(0, Header { name, value: one_line(value.into()) });
    }

    /// Makes this the only line of its name, in the place of the first one where there is one.
    pub fn set(&mut self, name: HeaderName, value: impl Into<Text>) {
        let value = one_line(value.into());
        let Some(at) = self.position(&name) else { return self.0.push(Header { name, value }) };
        let mut index = 0;
        self.0.retain(|header| {
            let keep = index <= at || header.name != name;
            index += 1;
            keep
        });
        self.0[at].value = value;
    }

    /// Removes all lines of this name and says whether there was one.
    pub fn remove(&mut self, name: &HeaderName) -> bool {
        let before = self.0.len();
        self.0.retain(|header| header.name != *name);
        self.0.len() < before
    }

    /// Removes the first line of this name.
    pub fn remove_first(&mut self, name: &HeaderName) -> Option<Text> {
        self.position(name).map(|at| self.0.remove(at).value)
    }

    /// Keeps those lines for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&Header) -> bool) {
        self.0.retain(|header| keep(header));
    }

    /// Adds copies of all lines of this name in `other`, which share their text.
    pub fn copy(&mut self, other: &Headers, name: &HeaderName) {
        self.0.extend(other.0.iter().filter(|header| header.name == *name).cloned());
    }

    /// The first value of a typed header; for [`Shape::Whole`] the value made of all lines.
    pub fn typed<H: TypedHeader>(&self) -> Option<Result<H, HeaderError>> {
        let name = H::NAME;
        match H::SHAPE {
            Shape::Single | Shape::Line => self.get(&name).map(H::parse),
            Shape::Each => self.all(&name).find_map(|line| scan::elements(line).next().map(|element| H::parse(&line.slice_of(element)))),
            Shape::Whole => {
                let mut lines = self.all(&name);
                let first = lines.next()?;
                let Some(second) = lines.next() else { return Some(H::parse(first)) };
                let joined = lines.fold(format!("{first}, {second}"), |joined, line| joined + ", " + line);
                Some(H::parse(&Text::from(joined)))
            }
        }
    }

    /// The first value of a typed header where it is there and can be read.
    pub fn read<H: TypedHeader>(&self) -> Option<H> {
        self.typed::<H>().and_then(Result::ok)
    }

    /// All values of a typed header, from all lines.
    pub fn list<H: TypedHeader>(&self) -> Result<Vec<H>, HeaderError> {
        let name = H::NAME;
        match H::SHAPE {
            Shape::Single | Shape::Whole => return self.typed::<H>().into_iter().collect(),
            Shape::Line => return self.all(&name).take(ELEMENTS).map(H::parse).collect(),
            Shape::Each => {}
        }
        let mut values = Vec::new();
        for line in self.all(&name) {
            for element in scan::elements(line) {
                let text = line.slice_of(element);
                let offset = element.as_ptr() as usize - line.as_ptr() as usize;
                if values.len() == ELEMENTS {
                    return Err(HeaderError { fault: HeaderFault::TooMany, offset });
                }
                values.push(H::parse(&text).map_err(|error| HeaderError { offset: error.offset + offset, ..error })?);
            }
        }
        Ok(values)
    }

    /// Writes a typed header: a further line at the end for [`Shape::Each`] and [`Shape::Line`], the only line of its name otherwise.
    pub fn put<H: TypedHeader>(&mut self, header: &H) {
        let value = header.to_string();
        match H::SHAPE {
            Shape::Each | Shape::Line => self.push(H::NAME, value),
            Shape::Single | Shape::Whole => self.set(H::NAME, value),
        }
    }

    /// Writes a typed header as a line before all others: a proxy's Via, Route or Record-Route.
    pub fn put_front<H: TypedHeader>(&mut self, header: &H) {
        self.push_front(H::NAME, header.to_string());
    }

    /// Replaces all lines of a typed header by these, one value per line, in the place of the first.
    pub fn put_all<'a, H: TypedHeader + 'a>(&mut self, values: impl IntoIterator<Item = &'a H>) {
        let name = H::NAME;
        let at = self.position(&name).unwrap_or(self.0.len());
        self.remove(&name);
        let lines: Vec<Header> =
            values.into_iter().map(|value| Header { name: H::NAME, value: one_line(Text::from(value.to_string())) }).collect();
        self.0.splice(at..at, lines);
    }

    /// Takes the first value of a list header out, from whatever else is on its line: a proxy's own Via or Route.
    pub fn take_first<H: TypedHeader>(&mut self) -> Option<Result<H, HeaderError>> {
        let at = self.position(&H::NAME)?;
        let line = self.0[at].value.clone();
        let Some(element) = scan::elements(&line).next() else {
            self.0.remove(at);
            return self.take_first::<H>();
        };
        match rest_after(&line, element) {
            Some(rest) => self.0[at].value = rest,
            None => drop(self.0.remove(at)),
        }
        Some(H::parse(&line.slice_of(element)))
    }

    /// Puts another value in the place of the first of a list header, or of a single one: the Via that gets `received`.
    pub fn replace_first<H: TypedHeader>(&mut self, header: &H) {
        let Some(at) = self.position(&H::NAME) else { return self.push_front(H::NAME, header.to_string()) };
        let line = self.0[at].value.clone();
        let rest = scan::elements(&line).next().and_then(|element| rest_after(&line, element));
        let value = match rest {
            Some(rest) if H::SHAPE == Shape::Each => format!("{header}, {rest}"),
            Some(_) | None => header.to_string(),
        };
        self.0[at].value = one_line(Text::from(value));
    }

    fn position(&self, name: &HeaderName) -> Option<usize> {
        self.0.iter().position(|header| header.name == *name)
    }
}

/// What is left of a list behind one of its elements, where that is anything.
fn rest_after(line: &Text, element: &str) -> Option<Text> {
    let end = element.as_ptr() as usize - line.as_ptr() as usize + element.len();
    let rest = line.get(end..)?.trim_start_matches([' ', '\t', ',']);
    (!rest.is_empty()).then(|| line.slice_of(rest))
}

/// The value with line ends made spaces, so that no value can bring a header of its own.
fn one_line(value: Text) -> Text {
    match memchr::memchr2(b'\r', b'\n', value.as_bytes()) {
        None => value,
        Some(_) => Text::from(value.replace(['\r', '\n'], " ")),
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|header| (&header.name, &header.value))).finish()
    }
}
