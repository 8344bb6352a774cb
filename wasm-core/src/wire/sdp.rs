//! Session descriptions [RFC8866], as far as sessions of messages and calls look into them.
//!
//! A thin layer over `sdp-types`, which keeps every line: bounds on what is read, and typed views of the attributes that MSRP
//! [RFC4975, RFC6135, RFC6714] and data channels [RFC8864] add. Offer and answer are negotiated elsewhere.

use core::net::IpAddr;

use bytes::Bytes;
pub use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Session, Setup};
use sdp_types::{Origin, ParserError};
use thiserror::Error;

/// The media type of a session description.
pub const MEDIA_TYPE: &str = "application/sdp";

/// At most so many bytes in a description; an offer of a browser has about six thousand.
pub const MAX_BYTES: usize = 64 * 1024;

/// At most so many lines in a description.
pub const MAX_LINES: usize = 2048;

/// At most so many media in a session.
pub const MAX_MEDIA: usize = 64;

/// Why a description was refused, and in which line, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} in line {line}")]
pub struct SdpError {
    /// What is wrong.
    pub fault: Fault,
    /// The line, or 0 for the whole.
    pub line: usize,
}

/// What can be wrong with a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// More bytes, lines or media than the limits allow.
    #[error("the description is too large")]
    TooLarge,
    /// Not UTF-8.
    #[error("the description is not UTF-8")]
    Encoding,
    /// A line that is none, or holds what it cannot hold.
    #[error("a line is malformed")]
    Line,
    /// A line that may be there only once.
    #[error("a line is there twice")]
    Duplicate,
    /// The version is not 0, or not said at the start.
    #[error("the version is not 0")]
    Version,
}

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    /// All lines, taken apart.
    pub session: Session,
}

/// What a medium carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Messages over MSRP.
    Message,
    /// Data channels, floor control.
    Application,
    /// Anything else.
    Other,
}

/// Which way a medium flows, from the side of who wrote the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendReceive,
    /// Away from the writer.
    Send,
    /// To the writer.
    Receive,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// The attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendReceive => "sendrecv",
            Direction::Send => "sendonly",
            Direction::Receive => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction as the other side sees it.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Send => Direction::Receive,
            Direction::Receive => Direction::Send,
            Direction::SendReceive | Direction::Inactive => self,
        }
    }
}

impl Sdp {
    /// A description without media, of a session that this host began.
    pub fn new(id: u64, version: u64, host: IpAddr) -> Self {
        let mut session = Session::new(Origin::with_ip_addr(id, version, host), "-");
        session.origin.username = Some("-".to_owned());
        session.connection = Some(Connection::from_ip_addr(host));
        Sdp { session }
    }

    /// Reads a description.
    pub fn parse(body: &[u8]) -> Result<Sdp, SdpError> {
        let too_large = SdpError { fault: Fault::TooLarge, line: 0 };
        if body.len() > MAX_BYTES || memchr::memchr_iter(b'\n', body).count() > MAX_LINES {
            return Err(too_large);
        }
        let session = Session::parse(body).map_err(SdpError::of)?;
        if session.medias.len() > MAX_MEDIA { Err(too_large) } else { Ok(Sdp { session }) }
    }

    /// Prints the description.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        self.session.write(&mut out).expect("a vector takes every write");
        Bytes::from(out)
    }

    /// The media in their order.
    pub fn media(&self) -> impl Iterator<Item = Section<'_>> {
        self.session.medias.iter().map(|media| Section { session: &self.session, media })
    }

    /// The first medium of this kind that is not refused.
    pub fn find(&self, kind: Kind) -> Option<Section<'_>> {
        self.media().find(|section| section.kind() == kind && !section.is_refused())
    }
}

impl SdpError {
    fn of(error: ParserError) -> SdpError {
        #[allow(deprecated)] // The compiler wants all variants of the library's enum, those it no longer makes too.
        let (fault, line) = match error {
            ParserError::InvalidFieldEncoding(line, _) => (Fault::Encoding, line),
            ParserError::InvalidVersion(line, _) => (Fault::Version, line),
            ParserError::NoVersion => (Fault::Version, 1),
            ParserError::MultipleVersions(line)
            | ParserError::MultipleOrigins(line)
            | ParserError::MultipleSessionNames(line)
            | ParserError::MultipleSessionDescription(line)
            | ParserError::MultipleUris(line)
            | ParserError::MultipleConnections(line)
            | ParserError::MultipleTimeZones(line)
            | ParserError::MultipleMediaTitles(line)
            | ParserError::MultipleKeys(line) => (Fault::Duplicate, line),
            ParserError::UnexpectedLine(line, _)
            | ParserError::InvalidLineFormat(line, _)
            | ParserError::InvalidFieldFormat(line, _)
            | ParserError::MissingField(line, _)
            | ParserError::FieldTrailingData(line, _)
            | ParserError::RepeatWithoutTime(line) => (Fault::Line, line),
            ParserError::NoOrigin | ParserError::NoSessionName => (Fault::Line, 0),
        };
        SdpError { fault, line }
    }
}

/// A medium within its session, whose attributes it inherits.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    session: &'a Session,
    /// The medium's own lines.
    pub media: &'a Media,
}

impl<'a> Section<'a> {
    /// What the medium carries.
    pub fn kind(self) -> Kind {
        match self.media.media.as_str() {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            "message" => Kind::Message,
            "application" => Kind::Application,
            _ => Kind::Other,
        }
    }

    /// Whether the medium is not wanted: port zero, unless a bundle gives it another [RFC8843 §6].
    pub fn is_refused(self) -> bool {
        self.media.port == 0 && !self.has("bundle-only")
    }

    /// Whether the medium is MSRP, over TCP or TLS.
    pub fn is_msrp(self) -> bool {
        let proto = &self.media.proto;
        proto.eq_ignore_ascii_case("TCP/MSRP") || proto.eq_ignore_ascii_case("TCP/TLS/MSRP")
    }

    /// Whether the medium's transport is encrypted.
    pub fn is_secure(self) -> bool {
        let proto = self.media.proto.to_ascii_uppercase();
        ["TLS", "DTLS", "SAVP", "SAVPF"].iter().any(|word| proto.split('/').any(|part| part == *word))
    }

    /// The formats of the medium: payload types, or a star.
    pub fn formats(self) -> impl Iterator<Item = &'a str> {
        self.media.fmt.split_ascii_whitespace()
    }

    /// The address that the medium is to be sent to: its own, or the session's.
    pub fn connection(self) -> Option<&'a Connection> {
        self.media.connections.first().or(self.session.connection.as_ref())
    }

    /// The value of one of the medium's own attributes, the first by this name.
    pub fn value(self, name: &str) -> Option<&'a str> {
        value(&self.media.attributes, name)
    }

    /// The values of all of the medium's own attributes by this name.
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.media.attributes.iter().filter(move |attribute| attribute.attribute == name).filter_map(|attribute| attribute.value.as_deref())
    }

    /// Whether the medium has an attribute by this name.
    pub fn has(self, name: &str) -> bool {
        self.media.attributes.iter().any(|attribute| attribute.attribute == name)
    }

    /// The value of an attribute of the medium, or else of the session.
    pub fn inherited(self, name: &str) -> Option<&'a str> {
        self.value(name).or_else(|| value(&self.session.attributes, name))
    }

    /// Which way the medium flows.
    pub fn direction(self) -> Direction {
        const ALL: [Direction; 4] = [Direction::SendReceive, Direction::Send, Direction::Receive, Direction::Inactive];
        let stated = |attributes: &[Attribute]| {
            attributes.iter().find_map(|attribute| ALL.into_iter().find(|direction| direction.as_str() == attribute.attribute))
        };
        stated(&self.media.attributes).or_else(|| stated(&self.session.attributes)).unwrap_or(Direction::SendReceive)
    }

    /// Who opens the connection [RFC4145, RFC6135].
    pub fn setup(self) -> Option<Setup> {
        self.inherited("setup")?.trim().parse().ok()
    }

    /// The MSRP URIs on the way to the writer, the nearest first [RFC4975 §8.2].
    pub fn path(self) -> impl Iterator<Item = &'a str> {
        self.value("path").unwrap_or_default().split_ascii_whitespace()
    }

    /// The media types that may be sent as they are [RFC4975 §8.6]; a star is any.
    pub fn accept_types(self) -> impl Iterator<Item = &'a str> {
        self.value("accept-types").unwrap_or_default().split_ascii_whitespace()
    }

    /// The media types that may be sent within another, such as CPIM.
    pub fn accept_wrapped_types(self) -> impl Iterator<Item = &'a str> {
        self.value("accept-wrapped-types").unwrap_or_default().split_ascii_whitespace()
    }

    /// Whether the writer takes this media type as it is.
    pub fn accepts(self, media_type: &str) -> bool {
        self.accept_types().any(|range| in_range(range, media_type))
    }

    /// Whether the writer takes this media type within another; what is taken as it is is taken within another too [RFC4975 §8.6].
    pub fn accepts_wrapped(self, media_type: &str) -> bool {
        self.accept_wrapped_types().any(|range| in_range(range, media_type)) || self.accepts(media_type)
    }

    /// The largest message that the writer takes, in bytes.
    pub fn max_size(self) -> Option<u64> {
        self.value("max-size")?.trim().parse().ok()
    }

    /// The stream of the data channel for this subprotocol [RFC8864 §5.1].
    pub fn data_channel(self, subprotocol: &str) -> Option<u16> {
        self.values("dcmap").find_map(|map| {
            let (stream, options) = map.trim().split_once(' ')?;
            let named = options.split(';').filter_map(|option| option.trim().split_once('='));
            let matches = |(name, value): (&str, &str)| name == "subprotocol" && value.trim_matches('"').eq_ignore_ascii_case(subprotocol);
            named.into_iter().any(matches).then(|| stream.parse().ok())?
        })
    }

    /// The value of an attribute that belongs to one data channel [RFC8864 §5.2].
    pub fn channel_value(self, stream: u16, name: &str) -> Option<&'a str> {
        self.values("dcsa").find_map(|line| {
            let (number, attribute) = line.trim().split_once(' ')?;
            let (own, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            (number.parse() == Ok(stream) && own == name).then_some(value)
        })
    }
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}

/// Whether a media type is in a range such as `*`, `text/*` or `text/plain`.
pub(crate) fn in_range(range: &str, media_type: &str) -> bool {
    let whole = |kind: &str| {
        media_type.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)) && media_type[kind.len()..].starts_with('/')
    };
    range == "*" || range.eq_ignore_ascii_case(media_type) || range.strip_suffix("/*").is_some_and(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAT: &str = "v=0\r\no=- 2890844526 2890844527 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=setup:passive\r\n\
        m=message 7654 TCP/TLS/MSRP *\r\na=accept-types:message/cpim text/*\r\na=accept-wrapped-types:message/imdn+xml *\r\n\
        a=path:msrps://relay.example:2855/r;tcp msrps://192.0.2.1:7654/jshA7weztas;tcp\r\na=setup:actpass\r\na=max-size:1000\r\na=x-unknown:kept\r\n\
        m=audio 0 RTP/AVP 0 8\r\na=recvonly\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP6 2001:db8::1\r\na=dcmap:0 label=\"chat\";subprotocol=\"MSRP\"\r\na=dcsa:0 path:msrps://x:1/y;dc\r\n";

    #[test]
    fn media_and_their_attributes_are_found() {
        let sdp = Sdp::parse(CHAT.as_bytes()).unwrap();
        assert_eq!(sdp.encode(), CHAT);
        let chat = sdp.find(Kind::Message).unwrap();
        assert!(chat.is_msrp() && chat.is_secure());
        assert_eq!(chat.path().collect::<Vec<_>>(), ["msrps://relay.example:2855/r;tcp", "msrps://192.0.2.1:7654/jshA7weztas;tcp"]);
        assert!(chat.accepts("message/CPIM") && chat.accepts("text/html") && !chat.accepts("textual/x") && !chat.accepts("image/png"));
        assert!(chat.accepts_wrapped("message/imdn+xml") && chat.accepts_wrapped("a/b"));
        assert_eq!((chat.setup(), chat.max_size()), (Some(Setup::ActPass), Some(1000)));
        assert_eq!(chat.connection().unwrap().connection_address, "192.0.2.1");
        assert_eq!(chat.direction(), Direction::SendReceive);
        let audio = sdp.media().nth(1).unwrap();
        assert!(audio.is_refused() && sdp.find(Kind::Audio).is_none());
        assert_eq!(
            (audio.direction(), audio.direction().reversed(), audio.setup()),
            (Direction::Receive, Direction::Send, Some(Setup::Passive))
        );
        assert_eq!(audio.formats().collect::<Vec<_>>(), ["0", "8"]);
        let data = sdp.find(Kind::Application).unwrap();
        assert_eq!(data.data_channel("msrp"), Some(0));
        assert_eq!((data.channel_value(0, "path"), data.channel_value(1, "path")), (Some("msrps://x:1/y;dc"), None));
        assert_eq!(data.connection().unwrap().connection_address, "2001:db8::1");
    }

    #[test]
    fn a_new_description_reads_back() {
        let sdp = Sdp::new(1, 2, IpAddr::from([127, 0, 0, 1]));
        let text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
        assert_eq!(sdp.encode(), text);
        assert_eq!(Sdp::parse(text.as_bytes()).unwrap().encode(), text);
    }

    #[test]
    fn what_is_broken_is_refused() {
        let start = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n";
        for (text, fault, line) in [
            (String::new(), Fault::Version, 1),
            ("v=1\r\n".to_owned(), Fault::Version, 1),
            (format!("{start}s=-\r\n"), Fault::Duplicate, 4),
            (format!("{start}m=audio x RTP/AVP 0\r\n"), Fault::Line, 4),
            (format!("{start}m=audio 1\r\n"), Fault::Line, 4),
            (format!("{start}{}", "a=x\r\n".repeat(MAX_LINES)), Fault::TooLarge, 0),
            (format!("{start}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(65)), Fault::TooLarge, 0),
            (format!("{start}a={}\r\n", "x".repeat(MAX_BYTES)), Fault::TooLarge, 0),
        ] {
            assert_eq!(Sdp::parse(text.as_bytes()).unwrap_err(), SdpError { fault, line }, "{:.60}", text);
        }
        for length in 0..CHAT.len() {
            let _ = Sdp::parse(&CHAT.as_bytes()[..length]);
        }
    }

    proptest! {
        #[test]
        fn reading_is_a_fixed_point(lines in proptest::collection::vec("[a-z]=[ -~]{0,20}|a=(path|dcmap|dcsa|setup|accept-types)(:[ -~]{0,12})?|m=audio [0-9]{1,2} RTP/AVP( [0-9]){1,3}|t=0 0", 0..8)) {
            let text = lines.iter().fold("v=0\r\n".to_owned(), |text, line| text + line + "\r\n");
            if let Ok(sdp) = Sdp::parse(text.as_bytes()) {
                let printed = sdp.encode();
                prop_assert_eq!(Sdp::parse(&printed).unwrap().encode(), printed);
                for section in sdp.media() {
                    let _ = (section.data_channel("msrp"), section.channel_value(0, "path"), section.setup(), section.accepts("a/b"));
                }
            }
        }
    }
}
