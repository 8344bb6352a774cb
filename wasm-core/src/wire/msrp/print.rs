//! Writing a frame.

use std::fmt::Display;
use std::io::Write as _;

use bytes::Bytes;

use super::{Flag, MsrpUri, Status};

/// A frame that is being written: a start line and the paths, then fields, then the end.
#[derive(Debug)]
pub struct Printer<'a> {
    out: Vec<u8>,
    transaction: &'a str,
}

impl<'a> Printer<'a> {
    /// Begins a request.
    pub fn request(transaction: &'a str, method: &str, to: &[MsrpUri], from: &[MsrpUri]) -> Printer<'a> {
        Printer::new(transaction, format_args!("{method}"), to, from)
    }

    /// Begins a response.
    pub fn response(transaction: &'a str, status: Status, comment: Option<&str>, to: &[MsrpUri], from: &[MsrpUri]) -> Printer<'a> {
        match comment {
            Some(comment) => Printer::new(transaction, format_args!("{status} {comment}"), to, from),
            None => Printer::new(transaction, format_args!("{status}"), to, from),
        }
    }

    fn new(transaction: &'a str, what: impl Display, to: &[MsrpUri], from: &[MsrpUri]) -> Printer<'a> {
        let mut printer = Printer { out: Vec::with_capacity(512), transaction };
        printer.write(format_args!("MSRP {transaction} {what}\r\n"));
        for (name, path) in [("To-Path", to), ("From-Path", from)] {
            printer.write(format_args!("{name}:"));
            for uri in path {
                printer.write(format_args!(" {uri}"));
            }
            printer.out.extend_from_slice(b"\r\n");
        }
        printer
    }

    fn write(&mut self, arguments: impl Display) {
        write!(self.out, "{arguments}").expect("a vector takes every write");
    }

    /// Adds a header field. `Content-Type` has to be the last before a body [RFC4975 §9].
    pub fn field(&mut self, name: &str, value: impl Display) {
        self.write(format_args!("{name}: "));
        let start = self.out.len();
        self.write(value);
        // A line break in a value would begin a field of its own.
        for byte in self.out[start..].iter_mut().filter(|byte| byte.is_ascii_control() && **byte != b'\t') {
            *byte = b' ';
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends the frame, with a body, which may be empty, or without.
    pub fn finish(mut self, body: Option<&[u8]>, flag: Flag) -> Bytes {
        if let Some(body) = body {
            self.out.reserve(body.len() + 48);
            self.out.extend_from_slice(b"\r\n");
            self.out.extend_from_slice(body);
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(b"-------");
        self.out.extend_from_slice(self.transaction.as_bytes());
        self.out.extend_from_slice(&[flag.byte(), b'\r', b'\n']);
        Bytes::from(self.out)
    }
}
