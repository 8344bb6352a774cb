//! Bytes to messages.
//!
//! The head becomes one shared text, of which every value is a slice. What every element of the network reads (Via, From, To, Call-ID,
//! CSeq, Contact, Max-Forwards, Content-Length) is checked here, so that a message that comes out has these headers and they can be
//! read; other headers are checked by who reads them. Where a request is refused, the response to send is made here too [RFC4475].

use std::sync::Arc;

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memmem, memrchr};
use smallvec::SmallVec;

use super::error::{Limits, ParseError, ParseErrorKind};
use super::headers::TypedHeader;
use super::scan;
use super::{HeaderName, Headers, Message, Method, Request, Response, Status, To, Uri, address, identity, number, uri, via};
use crate::Text;

/// What is wrong, and where in the bytes.
#[derive(Clone, Copy)]
struct Fault(ParseErrorKind, usize);

impl Message {
    /// Reads the one message in a datagram or a WebSocket frame; octets behind its Content-Length are left out.
    pub fn parse(data: &[u8], limits: &Limits) -> Result<Message, ParseError> {
        read(data, limits, Bytes::copy_from_slice)
    }

    /// Like [`Message::parse`], but the body shares the memory of the whole datagram.
    pub fn parse_shared(data: &Bytes, limits: &Limits) -> Result<Message, ParseError> {
        read(data, limits, |body| data.slice_ref(body))
    }
}

fn read<'a>(data: &'a [u8], limits: &Limits, body_of: impl FnOnce(&'a [u8]) -> Bytes) -> Result<Message, ParseError> {
    // [RFC3261 §7.5] Empty lines before the start line are keep-alives.
    let skipped = data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let data = &data[skipped..];
    if data.is_empty() {
        return Err(ParseError { kind: ParseErrorKind::Empty, offset: skipped, reply: None });
    }
    let head = Head::read(data, limits);
    let mut fault = head.fault;
    let start = match start_line(&head, limits) {
        Ok(start) => Some(start),
        Err(found) => {
            fault = fault.or(Some(found));
            None
        }
    };
    let Lines { headers, content_length, fault: bad_line } = header_lines(&head, limits);
    fault = fault.or(bad_line);
    let method = match &start {
        Some(Start::Request(method, _)) => Some(method),
        Some(Start::Response(..)) | None => None,
    };
    fault = fault.or(check(&headers, method, &head.text).err());
    let rest = data.get(head.body_at..).unwrap_or_default();
    let length = content_length.unwrap_or(rest.len());
    if length > limits.body {
        fault = fault.or(Some(Fault(ParseErrorKind::BodyTooLarge, head.body_at)));
    }
    if data.len() > limits.message {
        fault = fault.or(Some(Fault(ParseErrorKind::TooLarge, limits.message)));
    }
    match (start, rest.get(..length), fault) {
        (Some(Start::Request(method, uri)), Some(body), None) => {
            Ok(Message::Request(Request { method, uri, headers, body: body_of(body) }))
        }
        (Some(Start::Response(status, reason)), Some(body), None) => {
            Ok(Message::Response(Response { status, reason, headers, body: body_of(body) }))
        }
        (_, _, fault) => {
            let Fault(kind, offset) = fault.unwrap_or(Fault(ParseErrorKind::Truncated, data.len()));
            Err(ParseError { kind, offset: offset + skipped, reply: reply(&head, headers, kind) })
        }
    }
}

/// The start line and the header lines as text, with folds undone.
struct Head {
    text: Text,
    /// Where each line's CRLF starts.
    ends: SmallVec<[u32; 64]>,
    body_at: usize,
    fault: Option<Fault>,
}

impl Head {
    fn read(data: &[u8], limits: &Limits) -> Head {
        let window = &data[..data.len().min(limits.head)];
        let mut ends = SmallVec::new();
        let mut folded = false;
        let mut fault: Option<Fault> = None;
        let mut fail = |kind, at| fault = fault.or(Some(Fault(kind, at)));
        let mut end_of_head = None;
        let mut returns = 0;
        let mut start = 0;
        for newline in memchr_iter(b'\n', window) {
            let end = newline.wrapping_sub(1);
            if window.get(end) != Some(&b'\r') {
                // A bare line feed ends no line, but no reading of it is safe.
                fail(ParseErrorKind::HeaderLine, newline);
                continue;
            }
            if end == start {
                end_of_head = Some(end);
                break;
            }
            returns += 1;
            start = newline + 1;
            if matches!(window.get(start), Some(b' ' | b'\t')) {
                folded = true;
            } else if ends.len() <= limits.headers {
                ends.push(end as u32);
            } else {
                fail(ParseErrorKind::TooLarge, newline);
            }
        }
        let (bytes, body_at) = match end_of_head {
            Some(end) => (&window[..end], end + 2),
            None => {
                let too_large = data.len() > limits.head;
                fail(if too_large { ParseErrorKind::TooLarge } else { ParseErrorKind::Unterminated }, window.len());
                (window, data.len())
            }
        };
        if memchr_iter(b'\r', bytes).count() != returns {
            let bare = memchr_iter(b'\r', bytes).find(|at| bytes.get(at + 1) != Some(&b'\n')).unwrap_or_default();
            fail(ParseErrorKind::HeaderLine, bare);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if !folded => Arc::from(text),
            Ok(_) => mended(bytes, |byte| byte),
            Err(error) => {
                fault = fault.or(Some(Fault(ParseErrorKind::Encoding, error.valid_up_to())));
                mended(bytes, |byte| if byte.is_ascii() { byte } else { b'?' })
            }
        };
        Head { text: Text::from(text), ends, body_at, fault }
    }

    /// The lines, of which the first is the start line.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let text = self.text.as_str();
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let line = text.get(start..end as usize).unwrap_or_default();
            start = end as usize + 2;
            line
        })
    }

    /// Where a part of the text stands in the bytes.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

/// A copy of the same length in which each fold's line end is two spaces and each byte is what `byte` makes of it.
fn mended(bytes: &[u8], byte: impl Fn(u8) -> u8) -> Arc<str> {
    let mut out: Vec<u8> = bytes.iter().map(|&old| byte(old)).collect();
    for at in memmem::find_iter(bytes, b"\r\n") {
        if matches!(bytes.get(at + 2), Some(b' ' | b'\t')) {
            out[at..at + 2].fill(b' ');
        }
    }
    String::from_utf8_lossy(&out).into()
}

#[expect(clippy::large_enum_variant, reason = "it lives only until the message is made")]
enum Start {
    Request(Method, Uri),
    Response(Status, Text),
}

fn start_line(head: &Head, limits: &Limits) -> Result<Start, Fault> {
    let line = head.lines().next().unwrap_or_default();
    let bad = |part: &str| Fault(ParseErrorKind::StartLine, head.offset(part));
    if is_version(line.get(..4).unwrap_or_default(), "SIP/") {
        let (version, rest) = line.split_once(' ').ok_or(bad(line))?;
        version_is_ours(version, head)?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = scan::number(code).filter(|code| (100..700).contains(code) && rest.len() >= 3);
        let status = status.filter(|_| code.len() == 3).ok_or(Fault(ParseErrorKind::StatusCode, head.offset(code)))?;
        return Ok(Start::Response(Status(status as u16), head.text.slice_of(reason)));
    }
    let (name, rest) = memchr(b' ', line.as_bytes()).map(|space| (&line[..space], &line[space + 1..])).ok_or(bad(line))?;
    let method = match Method::known(name) {
        Some(method) => method,
        None if scan::is_token(name) => Method::Other(head.text.slice_of(name)),
        None => return Err(bad(name)),
    };
    let (target, version) = memrchr(b' ', rest.as_bytes()).map(|space| (&rest[..space], &rest[space + 1..])).ok_or(bad(rest))?;
    version_is_ours(version, head)?;
    if target.len() > limits.uri {
        return Err(Fault(ParseErrorKind::UriTooLong, head.offset(target)));
    }
    let parts = uri::split(target).map_err(|error| Fault(ParseErrorKind::RequestUri, head.offset(target) + error.offset))?;
    match &parts {
        // [RFC3261 §19.1.1] A Request-URI has no headers.
        uri::Parts::Sip(parts) if parts.headers.is_some() => Err(Fault(ParseErrorKind::RequestUri, head.offset(target))),
        uri::Parts::Other if !target.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:")) => {
            Err(Fault(ParseErrorKind::Scheme, head.offset(target)))
        }
        uri::Parts::Sip(_) | uri::Parts::Tel { .. } | uri::Parts::Other => Ok(Start::Request(method, Uri::of(&head.text, target, parts))),
    }
}

fn is_version(text: &str, version: &str) -> bool {
    text.eq_ignore_ascii_case(version)
}

/// Whether the version is 2.0, and where it is not, whether it is a version at all.
fn version_is_ours(version: &str, head: &Head) -> Result<(), Fault> {
    if is_version(version, "SIP/2.0") {
        return Ok(());
    }
    let number =
        version.get(4..).filter(|_| is_version(version.get(..4).unwrap_or_default(), "SIP/")).and_then(|rest| rest.split_once('.'));
    match number {
        Some((major, minor)) if scan::number(major).is_some() && scan::number(minor).is_some() => {
            Err(Fault(ParseErrorKind::Version, head.offset(version)))
        }
        Some(_) | None => Err(Fault(ParseErrorKind::StartLine, head.offset(version))),
    }
}

/// The header lines that can be read.
struct Lines {
    headers: Headers,
    /// It is not among the headers: it is a fact of the body.
    content_length: Option<usize>,
    fault: Option<Fault>,
}

fn header_lines(head: &Head, limits: &Limits) -> Lines {
    use ParseErrorKind::{Duplicate, Header, HeaderLine, TooLarge};
    let mut headers = Headers::with_capacity(head.ends.len());
    let mut content_length = None;
    let mut fault = None;
    let mut fail = |kind, part: &str| fault = fault.or(Some(Fault(kind, head.offset(part))));
    for line in head.lines().skip(1) {
        let Some((name, value)) = memchr(b':', line.as_bytes()).map(|colon| (scan::trim_end(&line[..colon]), &line[colon + 1..])) else {
            fail(HeaderLine, line);
            continue;
        };
        if line.len() > limits.header_line {
            fail(TooLarge, line);
            continue;
        }
        let value = scan::trim(value);
        match HeaderName::known(name) {
            Some(HeaderName::ContentLength) if content_length.is_some() => fail(Duplicate("Content-Length"), line),
            Some(HeaderName::ContentLength) => match scan::number(value).and_then(|length| usize::try_from(length).ok()) {
                Some(length) => content_length = Some(length),
                None => fail(Header("Content-Length"), line),
            },
            Some(name) => headers.push_read(name, head.text.slice_of(value)),
            None if scan::is_token(name) => headers.push_read(HeaderName::Other(head.text.slice_of(name)), head.text.slice_of(value)),
            None => fail(HeaderLine, line),
        }
    }
    Lines { headers, content_length, fault }
}

/// Checks the headers that every element reads.
fn check(headers: &Headers, method: Option<&Method>, head: &str) -> Result<(), Fault> {
    use ParseErrorKind::{Duplicate, Header, MethodMismatch, Missing};
    let (mut via, mut from, mut to, mut call_id, mut cseq, mut max_forwards) = (false, false, false, false, false, false);
    let base = head.as_ptr() as usize;
    for header in headers.iter() {
        let value = header.value.as_str();
        let at = (value.as_ptr() as usize).saturating_sub(base);
        let once = |seen: &mut bool, name| if std::mem::replace(seen, true) { Err(Fault(Duplicate(name), at)) } else { Ok(()) };
        let bad = |name, offset| Fault(Header(name), at + offset);
        match header.name {
            HeaderName::Via => {
                via = true;
                via::check(value).map_err(|error| bad("Via", error.offset))?;
            }
            HeaderName::From => {
                once(&mut from, "From")?;
                address::check(value).map_err(|error| bad("From", error.offset))?;
            }
            HeaderName::To => {
                once(&mut to, "To")?;
                address::check(value).map_err(|error| bad("To", error.offset))?;
            }
            HeaderName::Contact => address::check_contact(value).map_err(|error| bad("Contact", error.offset))?,
            HeaderName::CallId => {
                once(&mut call_id, "Call-ID")?;
                identity::call_id(value).map_err(|error| bad("Call-ID", error.offset))?;
            }
            HeaderName::CSeq => {
                once(&mut cseq, "CSeq")?;
                let (_, name) = number::split_cseq(value).map_err(|error| bad("CSeq", error.offset))?;
                if method.is_some_and(|method| method.as_str() != name) {
                    return Err(Fault(MethodMismatch, at));
                }
            }
            HeaderName::MaxForwards => {
                once(&mut max_forwards, "Max-Forwards")?;
                number::hops(value).ok_or(bad("Max-Forwards", 0))?;
            }
            _ => {}
        }
    }
    let missing = [(via, "Via"), (from, "From"), (to, "To"), (call_id, "Call-ID"), (cseq, "CSeq")].into_iter().find(|(seen, _)| !seen);
    match missing {
        Some((_, name)) => Err(Fault(Missing(name), head.len())),
        None => Ok(()),
    }
}

/// The response to a request that is refused, unless it is an ACK, or too little of it could be read to send one.
fn reply(head: &Head, headers: Headers, kind: ParseErrorKind) -> Option<Box<Response>> {
    let line = head.lines().next().unwrap_or_default();
    let method = line.split(' ').next().unwrap_or_default();
    if !scan::is_token(method) || method == "ACK" || !headers.has(&HeaderName::Via) {
        return None;
    }
    Some(Box::new(refusal(&headers, kind)))
}

/// Refuses a message that could be read, for a reason of its transport.
pub(crate) fn refuse(message: Message, kind: ParseErrorKind, offset: usize) -> ParseError {
    let reply = match &message {
        Message::Request(request) if request.method != Method::Ack => Some(Box::new(refusal(&request.headers, kind))),
        Message::Request(_) | Message::Response(_) => None,
    };
    ParseError { kind, offset, reply }
}

/// The same response with another status code.
pub(crate) fn with_status(response: Response, status: Status) -> Response {
    Response { status, reason: Text::from(status.reason()), ..response }
}

fn refusal(headers: &Headers, kind: ParseErrorKind) -> Response {
    let mut response = Response::answering(headers, kind.status());
    if let Some(mut to) = headers.read::<To>()
        && to.tag().is_none()
    {
        // The same for a retransmission [RFC3261 §8.2.7].
        let bytes = response.headers.iter().flat_map(|header| header.value.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        to.set_tag(&format!("{hash:016x}"));
        response.headers.set(To::NAME, to.to_string());
    }
    response
}
