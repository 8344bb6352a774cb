//! Requests and responses, and how they are printed.

use std::fmt::{self, Write};

use bytes::Bytes;

use super::{HeaderName, Headers, Method, Status, TypedHeader, Uri};
use crate::Text;

/// A SIP message [RFC3261 §7].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most messages are requests, and a box would cost each of them an allocation")]
pub enum Message {
    /// From a client.
    Request(Request),
    /// From a server.
    Response(Response),
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// Its headers, without the Content-Length, which the body has.
    pub headers: Headers,
    /// Its body, empty where it has none.
    pub body: Bytes,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Its status code.
    pub status: Status,
    /// Its reason phrase, which may be empty.
    pub reason: Text,
    /// Its headers, without the Content-Length, which the body has.
    pub headers: Headers,
    /// Its body, empty where it has none.
    pub body: Bytes,
}

impl Message {
    /// The headers of either.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// The headers of either, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Message::Request(request) => &mut request.headers,
            Message::Response(response) => &mut response.headers,
        }
    }

    /// The body of either.
    pub fn body(&self) -> &Bytes {
        match self {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        }
    }

    /// The request that this is, if it is one.
    pub fn request(self) -> Option<Request> {
        match self {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        }
    }

    /// The response that this is, if it is one.
    pub fn response(self) -> Option<Response> {
        match self {
            Message::Request(_) => None,
            Message::Response(response) => Some(response),
        }
    }

    /// Prints the message behind what `out` holds.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Request(request) => request.encode(out),
            Message::Response(response) => response.encode(out),
        }
    }

    /// The printed message.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Message {
        Message::Response(response)
    }
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: impl Into<Uri>) -> Request {
        Request { method, uri: uri.into(), headers: Headers::new(), body: Bytes::new() }
    }

    /// The same with this header, as [`Headers::put`] writes it.
    pub fn with<H: TypedHeader>(mut self, header: &H) -> Request {
        self.headers.put(header);
        self
    }

    /// Prints the request behind what `out` holds. The Content-Length is always that of the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(256 + length(&self.headers) + self.body.len());
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        let mut line = Line(out);
        write!(line, "{}", self.uri).ok();
        out.extend_from_slice(b" SIP/2.0\r\n");
        rest(out, &self.headers, &self.body);
    }

    /// The printed request.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }
}

impl Response {
    /// A response without headers, with the status code's usual phrase.
    pub fn new(status: Status) -> Response {
        Response { status, reason: Text::from(status.reason()), headers: Headers::new(), body: Bytes::new() }
    }

    /// A response to this request: its Via, From, To, Call-ID and CSeq, in a 100 its Timestamp too [RFC3261 §8.2.6].
    /// A tag for the To is the caller's to add.
    pub fn to(request: &Request, status: Status) -> Response {
        Response::answering(&request.headers, status)
    }

    pub(crate) fn answering(request: &Headers, status: Status) -> Response {
        let mut response = Response::new(status);
        response.headers.copy(request, &HeaderName::Via);
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            if let Some(value) = request.get(&name) {
                response.headers.push_read(name, value.clone());
            }
        }
        if status == Status::TRYING {
            response.headers.copy(request, &HeaderName::Timestamp);
        }
        response
    }

    /// The same with this header, as [`Headers::put`] writes it.
    pub fn with<H: TypedHeader>(mut self, header: &H) -> Response {
        self.headers.put(header);
        self
    }

    /// Prints the response behind what `out` holds. The Content-Length is always that of the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(64 + self.reason.len() + length(&self.headers) + self.body.len());
        out.extend_from_slice(b"SIP/2.0 ");
        decimal(out, usize::from(self.status.0));
        out.push(b' ');
        Line(out).write_str(&self.reason).ok();
        out.extend_from_slice(b"\r\n");
        rest(out, &self.headers, &self.body);
    }

    /// The printed response.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }
}

/// How many bytes the headers take at most.
fn length(headers: &Headers) -> usize {
    headers.iter().map(|header| header.name.as_str().len() + header.value.len() + 4).sum::<usize>() + 32
}

/// Prints the headers and the body.
fn rest(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    for header in headers.iter() {
        // The body decides; a second line would be one too many.
        if header.name == HeaderName::ContentLength {
            continue;
        }
        out.extend_from_slice(header.name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, body.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

fn decimal(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes to the start line: what would end the line becomes a space.
struct Line<'a>(&'a mut Vec<u8>);

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        for byte in &mut self.0[start..] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        Ok(())
    }
}
