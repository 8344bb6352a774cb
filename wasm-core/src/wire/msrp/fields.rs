//! The values of MSRP's own header fields [RFC4975 §9].

use std::fmt;

use super::Fault;

/// Which bytes of a message a chunk holds, counted from one, or a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The last byte, where the sender knew it; one less than the first where there is none.
    pub end: Option<u64>,
    /// The bytes of the whole message, where the sender knew them.
    pub total: Option<u64>,
}

impl ByteRange {
    /// A chunk that begins a message of unknown length, which is what a request without the header field is.
    pub const OPEN: ByteRange = ByteRange { start: 1, end: None, total: None };

    /// A whole message of so many bytes.
    pub fn whole(size: u64) -> ByteRange {
        ByteRange { start: 1, end: Some(size), total: Some(size) }
    }

    /// Reads `1-39/39` or `1-*/*`.
    pub fn parse(text: &str) -> Result<ByteRange, Fault> {
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| Fault::Value),
            false => Err(Fault::Value),
        };
        let open = |text: &str| if text == "*" { Ok(None) } else { number(text).map(Some) };
        let (start, rest) = text.trim().split_once('-').ok_or(Fault::Value)?;
        let (end, total) = rest.split_once('/').ok_or(Fault::Value)?;
        let range = ByteRange { start: number(start)?, end: open(end)?, total: open(total)? };
        let before = range.start.checked_sub(1).ok_or(Fault::Value)?;
        let last = range.end.unwrap_or(before);
        if last >= before && range.total.is_none_or(|total| last <= total) { Ok(range) } else { Err(Fault::Value) }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start)?;
        match self.end {
            Some(end) => write!(f, "{end}/")?,
            None => f.write_str("*/")?,
        }
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// What the sender of a request wants to hear of it when it fails [RFC4975 §7.1.1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureReport {
    /// Every request is answered, and silence is a failure.
    #[default]
    Yes,
    /// Failures alone are answered.
    Partial,
    /// Nothing is answered.
    No,
}

impl FailureReport {
    /// The value of the header field.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReport::Yes => "yes",
            FailureReport::Partial => "partial",
            FailureReport::No => "no",
        }
    }

    /// Reads the value of the header field.
    pub fn parse(text: &str) -> Result<FailureReport, Fault> {
        let all = [FailureReport::Yes, FailureReport::Partial, FailureReport::No];
        all.into_iter().find(|value| value.as_str().eq_ignore_ascii_case(text.trim())).ok_or(Fault::Value)
    }
}

/// A status code [RFC4975 §10].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Taken.
    pub const OK: Status = Status(200);
    /// The request was not understood.
    pub const BAD_REQUEST: Status = Status(400);
    /// Not allowed.
    pub const FORBIDDEN: Status = Status(403);
    /// No answer came in time.
    pub const TIMEOUT: Status = Status(408);
    /// The rest of this message is not wanted.
    pub const STOP: Status = Status(413);
    /// The media type is not wanted.
    pub const UNSUPPORTED_TYPE: Status = Status(415);
    /// A value is out of bounds.
    pub const OUT_OF_BOUNDS: Status = Status(423);
    /// There is no such session here.
    pub const NO_SESSION: Status = Status(481);
    /// The method is not known.
    pub const UNKNOWN_METHOD: Status = Status(501);
    /// The session has another connection.
    pub const OTHER_CONNECTION: Status = Status(506);

    /// Whether it is a success.
    pub fn is_success(self) -> bool {
        self.0 / 100 == 2
    }

    /// What is written behind the code.
    pub fn comment(self) -> &'static str {
        match self.0 {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            408 => "Request Timeout",
            413 => "Stop Sending Message",
            415 => "Unsupported Media Type",
            423 => "Parameter Out of Bounds",
            481 => "No Such Session",
            501 => "Unknown Method",
            506 => "Session In Use",
            _ => "",
        }
    }

    /// Reads three digits.
    pub(super) fn parse(text: &str) -> Option<Status> {
        (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().map(Status).ok())?
    }

    /// Reads the value of a Status header field: a namespace, which has to be that of the status codes, a code and a comment.
    pub fn parse_field(text: &str) -> Result<Status, Fault> {
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some("000") {
            return Err(Fault::Value);
        }
        words.next().and_then(Status::parse).ok_or(Fault::Value)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_ordered_and_within_its_total() {
        assert_eq!(ByteRange::parse("1-39/39"), Ok(ByteRange::whole(39)));
        assert_eq!(ByteRange::parse("1-*/*"), Ok(ByteRange::OPEN));
        assert_eq!(ByteRange::parse("1-0/0"), Ok(ByteRange::whole(0)));
        let last = u64::MAX.to_string();
        assert!(ByteRange::parse(&format!("{last}-{last}/{last}")).is_ok());
        for text in
            ["", "1", "1-2", "0-2/2", "3-1/5", "1-6/5", "9-*/5", "+1-2/2", "1-2/+2", "-1-2/2", "1-18446744073709551616/*", "1-2/2 x"]
        {
            assert_eq!(ByteRange::parse(text), Err(Fault::Value), "{text}");
        }
    }

    #[test]
    fn reports_and_statuses_are_read() {
        assert_eq!(FailureReport::parse(" Partial"), Ok(FailureReport::Partial));
        assert_eq!(FailureReport::parse("maybe"), Err(Fault::Value));
        assert_eq!(Status::parse_field("000 413 enough"), Ok(Status::STOP));
        for text in ["", "200 OK", "001 200 OK", "000 20 OK", "000 2000"] {
            assert_eq!(Status::parse_field(text), Err(Fault::Value), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_range_reads_back(start in 1u64.., length in proptest::option::of(0u64..1000), more in proptest::option::of(0u64..1000)) {
            let end = length.map(|length| (start - 1).saturating_add(length));
            let range = ByteRange { start, end, total: more.map(|more| end.unwrap_or(start).saturating_add(more)) };
            prop_assert_eq!(ByteRange::parse(&range.to_string()), Ok(range));
        }
    }
}
