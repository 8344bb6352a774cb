//! Common Presence and Instant Messaging, `message/cpim` [RFC3862]: the envelope that travels with a message from end to end.
//!
//! First the message headers with their namespaces, then one MIME part. Header names are kept with the namespace that their prefix
//! stands for, so that `imdn.Message-ID` [RFC5438] is found whatever prefix the sender chose; printing declares the namespaces again.
//! Beyond the format this accepts lines that end in LF, addresses without angle brackets, and the prefix `imdn` without a declaration.
//! Headers that are not known are kept.

mod lexis;

use bytes::Bytes;
use thiserror::Error;

use super::imdn::Wants;
use super::mime::{self, Head, Part, has_control};
use crate::{Text, Time};
use lexis::{bare_uri, find_unquoted, push_display, push_quiet, push_uri, unescape, unquote};

/// The media type of the format.
pub const MEDIA_TYPE: &str = "message/cpim";

/// The namespace of the disposition notification headers [RFC5438].
pub const IMDN: &str = "urn:ietf:params:imdn";

/// The namespace of the headers that CPM adds.
pub const CPM: &str = "http://www.openmobilealliance.org/cpm/";

/// The namespace of the format's own headers, in force until another default is declared.
const CORE: &str = "urn:ietf:params:cpim-headers:";

const MAX_HEADERS: usize = 64;

/// A message in its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpim {
    /// Who wrote it.
    pub from: Option<CpimAddr>,
    /// Whom it is for.
    pub to: Vec<CpimAddr>,
    /// Who else gets it.
    pub cc: Vec<CpimAddr>,
    /// When it was sent.
    pub date: Option<Time>,
    /// The subject; subjects in a stated language stay among the `headers`.
    pub subject: Option<Text>,
    /// The headers that a recipient must understand to accept the message.
    pub required: Vec<Name>,
    /// All other headers in their order.
    pub headers: Vec<Header>,
    /// What is in the envelope.
    pub content: Part,
}

/// An address with the name to show for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpimAddr {
    /// The name to show.
    pub display: Option<Text>,
    /// The address.
    pub uri: Text,
}

/// A header's name in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The namespace's URI; `None` for the format's own headers.
    pub namespace: Option<Text>,
    /// The prefix that stands for the namespace in this message; empty for the default namespace.
    pub prefix: Text,
    /// The name without the prefix.
    pub local: Text,
}

/// A header that has no field of its own in [`Cpim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: Name,
    /// Its parameters as they came, each with its semicolon.
    pub params: Text,
    /// Its value as it came, escapes included.
    pub value: Text,
}

/// Why an envelope was refused, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}")]
pub struct CpimError {
    /// What is wrong.
    pub fault: Fault,
    /// Where it was noticed.
    pub offset: usize,
}

/// What can be wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// More headers, or longer ones, than the limits allow.
    #[error("there are too many headers")]
    TooLarge,
    /// A line that is no header, or a header that holds a control character.
    #[error("a line is not a header")]
    Header,
    /// An address that is none.
    #[error("an address is not understood")]
    Address,
    /// A prefix that stands for nothing.
    #[error("a namespace is not declared")]
    Namespace,
    /// A header that may be there only once, or that two readers could take differently, is there twice.
    #[error("a header is there twice")]
    Duplicate,
    /// The part within is broken.
    #[error("{0}")]
    Content(mime::Fault),
}

impl CpimAddr {
    /// An address without a name.
    pub fn new(uri: impl Into<Text>) -> Self {
        CpimAddr { display: None, uri: uri.into() }
    }
}

impl Name {
    /// A name in the namespace of disposition notifications.
    pub fn imdn(local: &str) -> Self {
        Name { namespace: Some(Text::from(IMDN)), prefix: Text::from("imdn"), local: Text::from(local) }
    }

    /// Whether this is `local` in `namespace`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace.as_deref() == Some(namespace) && self.local.eq_ignore_ascii_case(local)
    }
}

impl Cpim {
    /// Reads an envelope.
    pub fn parse(input: &Bytes) -> Result<Cpim, CpimError> {
        let head = Head::find(input, 0, false)?;
        let mut cpim = Cpim::default();
        let mut namespaces = Namespaces::default();
        let mut dated = false;
        for (count, (offset, line)) in head.lines().enumerate() {
            let at = |fault| CpimError { fault, offset };
            if count + cpim.required.len() >= MAX_HEADERS {
                return Err(at(Fault::TooLarge));
            }
            let (name, rest) = line.split_once(':').ok_or(at(Fault::Header))?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) || has_control(rest) {
                return Err(at(Fault::Header));
            }
            let (params, value) = match rest.starts_with(';') {
                true => find_unquoted(rest, ' ').map_or((rest.trim_end(), ""), |space| rest.split_at(space)),
                false => ("", rest),
            };
            let value = value.trim();
            let keep = |name: Name| Header { name, params: head.text.slice_of(params), value: head.text.slice_of(value) };
            let own = || Name { namespace: None, prefix: Text::default(), local: head.text.slice_of(name) };
            match Known::of(name) {
                Some(Known::From) if cpim.from.is_some() => return Err(at(Fault::Duplicate)),
                Some(Known::From) => cpim.from = Some(address(&head.text, value).ok_or(at(Fault::Address))?),
                Some(Known::To) => cpim.to.push(address(&head.text, value).ok_or(at(Fault::Address))?),
                Some(Known::Cc) => cpim.cc.push(address(&head.text, value).ok_or(at(Fault::Address))?),
                Some(Known::DateTime) if dated => return Err(at(Fault::Duplicate)),
                Some(Known::DateTime) => {
                    dated = true;
                    cpim.date = Time::parse_rfc3339(value);
                    if cpim.date.is_none() {
                        cpim.headers.push(keep(own()));
                    }
                }
                Some(Known::Subject) if params.is_empty() && cpim.subject.is_none() => cpim.subject = Some(unescape(&head.text, value)),
                Some(Known::Subject) => cpim.headers.push(keep(own())),
                Some(Known::Ns) => {
                    let declared = address(&head.text, value).filter(|declared| is_prefix(declared.display.as_deref().unwrap_or_default()));
                    let declared = declared.ok_or(at(Fault::Namespace))?;
                    namespaces.declare(declared.display.unwrap_or_default(), Some(declared.uri).filter(|uri| uri != CORE));
                }
                Some(Known::Require) => {
                    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                        cpim.required.push(namespaces.resolve(&head.text, word).ok_or(at(Fault::Namespace))?);
                    }
                }
                None => {
                    let header = keep(namespaces.resolve(&head.text, name).ok_or(at(Fault::Namespace))?);
                    // Two identifiers would let two readers take one message for different ones.
                    if header.name.is(IMDN, "Message-ID") && cpim.header(IMDN, "Message-ID").is_some() {
                        return Err(at(Fault::Duplicate));
                    }
                    cpim.headers.push(header);
                }
            }
        }
        let (fields, body) = mime::parse_head(input, head.body)?;
        cpim.content = Part { fields, body: input.slice(body..) };
        cpim.cut_to_content_length();
        Ok(cpim)
    }

    /// Prints the envelope.
    pub fn encode(&self) -> Bytes {
        let mut out = String::with_capacity(512);
        let addresses = self.from.iter().map(|from| ("From: ", from));
        let addresses = addresses.chain(self.to.iter().map(|to| ("To: ", to))).chain(self.cc.iter().map(|cc| ("cc: ", cc)));
        for (name, address) in addresses {
            out.push_str(name);
            if let Some(display) = &address.display {
                push_display(&mut out, display);
                out.push(' ');
            }
            push_uri(&mut out, &address.uri);
            out.push_str("\r\n");
        }
        if let Some(date) = self.date {
            out.push_str("DateTime: ");
            out.push_str(&date.to_rfc3339());
            out.push_str("\r\n");
        }
        if let Some(subject) = &self.subject {
            out.push_str("Subject: ");
            lexis::push_escaped(&mut out, subject);
            out.push_str("\r\n");
        }
        let mut namespaces = Namespaces::default();
        for name in &self.required {
            namespaces.print(&mut out, name);
            out.push_str("Require: ");
            push_name(&mut out, name);
            out.push_str("\r\n");
        }
        for header in &self.headers {
            namespaces.print(&mut out, &header.name);
            push_name(&mut out, &header.name);
            out.push(':');
            push_quiet(&mut out, &header.params);
            out.push(' ');
            push_quiet(&mut out, &header.value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.reserve(self.content.body.len() + 128);
        self.content.encode_into(&mut out);
        Bytes::from(out)
    }

    /// The value of a header that has no field of its own.
    pub fn header(&self, namespace: &str, local: &str) -> Option<&Text> {
        self.headers.iter().find(|header| header.name.is(namespace, local)).map(|header| &header.value)
    }

    /// Replaces a header by this name, or adds it.
    pub fn set(&mut self, name: Name, value: impl Into<Text>) {
        let value = value.into();
        match self.headers.iter_mut().find(|header| header.name == name) {
            Some(header) => header.value = value,
            None => self.headers.push(Header { name, params: Text::default(), value }),
        }
    }

    /// `imdn.Message-ID`: the identifier that notifications refer to.
    pub fn message_id(&self) -> Option<&Text> {
        self.header(IMDN, "Message-ID").filter(|id| !id.is_empty())
    }

    /// Sets `imdn.Message-ID`.
    pub fn set_message_id(&mut self, id: impl Into<Text>) {
        self.set(Name::imdn("Message-ID"), id);
    }

    /// `imdn.Disposition-Notification`: what the sender asks to be told.
    pub fn wants(&self) -> Wants {
        self.header(IMDN, "Disposition-Notification").map_or(Wants::NOTHING, |value| Wants::parse(value))
    }

    /// Sets `imdn.Disposition-Notification`, or removes it when nothing is asked for.
    pub fn set_wants(&mut self, wants: Wants) {
        match wants.is_nothing() {
            true => self.headers.retain(|header| !header.name.is(IMDN, "Disposition-Notification")),
            false => self.set(Name::imdn("Disposition-Notification"), wants.to_string()),
        }
    }

    /// Clients that count their content sometimes end the message with a line break that they did not count.
    fn cut_to_content_length(&mut self) {
        let length = self.content.field("Content-Length").and_then(|value| value.parse::<usize>().ok());
        let body = &self.content.body;
        if let Some(length) = length.filter(|length| body.get(*length..).is_some_and(|rest| matches!(rest, b"\r\n" | b"\n" | b"\r\n\r\n")))
        {
            self.content.body.truncate(length);
        }
    }
}

/// The headers that the format itself defines.
enum Known {
    From,
    To,
    Cc,
    DateTime,
    Subject,
    Ns,
    Require,
}

impl Known {
    fn of(name: &str) -> Option<Known> {
        Some(match name.len() {
            2 if name.eq_ignore_ascii_case("To") => Known::To,
            2 if name.eq_ignore_ascii_case("cc") => Known::Cc,
            2 if name.eq_ignore_ascii_case("NS") => Known::Ns,
            4 if name.eq_ignore_ascii_case("From") => Known::From,
            7 if name.eq_ignore_ascii_case("Subject") => Known::Subject,
            7 if name.eq_ignore_ascii_case("Require") => Known::Require,
            8 if name.eq_ignore_ascii_case("DateTime") => Known::DateTime,
            _ => return None,
        })
    }
}

/// The namespaces that are declared so far; `None` is the format's own.
#[derive(Default)]
struct Namespaces(Vec<(Text, Option<Text>)>);

impl Namespaces {
    /// What a prefix stands for; nothing at all where it is not declared.
    fn find(&self, prefix: &str) -> Option<Option<&Text>> {
        let declared = self.0.iter().rev().find(|(declared, _)| declared == prefix).map(|(_, uri)| uri.as_ref());
        declared.or_else(|| prefix.is_empty().then_some(None))
    }

    fn declare(&mut self, prefix: Text, uri: Option<Text>) {
        self.0.push((prefix, uri));
    }

    /// The name that a word stands for here; `None` where its prefix is not declared.
    fn resolve(&self, head: &Text, word: &str) -> Option<Name> {
        let (prefix, local) = match word.split_once('.') {
            Some((prefix, local)) if !prefix.is_empty() => (prefix, local),
            Some(_) => return None,
            None => ("", word),
        };
        let namespace = match self.find(prefix) {
            Some(uri) => uri.cloned(),
            None if prefix == "imdn" => Some(Text::from(IMDN)),
            None => return None,
        };
        (!local.is_empty()).then(|| Name { namespace, prefix: head.slice_of(prefix), local: head.slice_of(local) })
    }

    /// Declares what `name` needs, if that is not in force.
    fn print(&mut self, out: &mut String, name: &Name) {
        if self.find(&name.prefix) == Some(name.namespace.as_ref()) {
            return;
        }
        out.push_str("NS: ");
        if !name.prefix.is_empty() {
            push_quiet(out, &name.prefix);
            out.push(' ');
        }
        push_uri(out, name.namespace.as_deref().unwrap_or(CORE));
        out.push_str("\r\n");
        self.declare(name.prefix.clone(), name.namespace.clone());
    }
}

/// Whether this can stand for a namespace before the dot of a header's name.
fn is_prefix(prefix: &str) -> bool {
    prefix.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'.' | b':' | b',' | b'"' | b'\\' | b'<' | b'>'))
}

fn push_name(out: &mut String, name: &Name) {
    if !name.prefix.is_empty() {
        push_quiet(out, &name.prefix);
        out.push('.');
    }
    push_quiet(out, &name.local);
}

/// An optional display name and a URI, in angle brackets or bare.
fn address(head: &Text, value: &str) -> Option<CpimAddr> {
    let Some(open) = find_unquoted(value, '<') else {
        return bare_uri(value).map(|uri| CpimAddr { display: None, uri: head.slice_of(uri) });
    };
    let (display, rest) = (value[..open].trim(), &value[open + 1..]);
    let uri = rest[..rest.find('>')?].trim();
    if uri.is_empty() || uri.contains([' ', '\t', '<']) {
        return None;
    }
    let display = match unquote(display) {
        Some(quoted) => unescape(head, quoted),
        None => unescape(head, display),
    };
    Some(CpimAddr { display: (!display.is_empty()).then_some(display), uri: head.slice_of(uri) })
}

impl From<mime::MimeError> for CpimError {
    fn from(error: mime::MimeError) -> Self {
        CpimError { fault: Fault::Content(error.fault), offset: error.offset }
    }
}

#[cfg(test)]
mod tests;
