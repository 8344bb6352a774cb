//! Frames of [RFC4975], frames at random in random pieces, and what is none.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::Text;
use crate::wire::mime::Field;

const HELLO: &str = "MSRP a786hjs2 SEND\r\n\
    To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n\
    From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n\
    Message-ID: 87652491\r\n\
    Byte-Range: 1-25/25\r\n\
    Content-Type: text/plain\r\n\r\n\
    Hey Bob, are you there?\r\n\r\n\
    -------a786hjs2$\r\n";

const OK: &str = "MSRP a786hjs2 200 OK\r\n\
    To-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n\
    From-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n\
    -------a786hjs2$\r\n";

const REPORT: &str = "MSRP dkei38sd REPORT\r\n\
    To-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp\r\n\
    From-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
    Message-ID: 12339sdqwer\r\n\
    Byte-Range: 1-106/106\r\n\
    Status: 000 200 OK\r\n\
    -------dkei38sd$\r\n";

const RELAYED: &str = "MSRP 6aef SEND\r\n\
    To-Path: msrps://a.example.org:9000/kjfjan;tcp msrps://b.example.net:9000/aeiug;tcp\t msrps://bob.example.net:8145/foo;tcp\r\n\
    From-Path: msrps://alice.example.org:7965/bar;tcp\r\n\
    Success-Report: yes\r\n\
    Failure-Report: partial\r\n\
    Byte-Range: 1-*/*\r\n\
    Message-ID: 87652\r\n\
    X-Unknown:  kept \r\n\
    Content-Type: text/plain\r\n\r\n\
    Hi Bob\r\n\
    -------6aef+\r\n";

const NICKNAME: &str = "MSRP d93kswow NICKNAME\r\n\
    To-Path: msrp://chat.example.com:7654/jshA7weztas;tcp\r\n\
    From-Path: msrp://alice.atlanta.example.com:7654/jshA7weztas;tcp\r\n\
    Use-Nickname: \"Alice the great\"\r\n\
    -------d93kswow$\r\n";

fn parse(text: impl Into<Bytes>) -> Result<Frame, MsrpError> {
    Frame::parse(&text.into(), &Limits::default())
}

fn sound(text: &str) -> Frame {
    parse(text.to_owned()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A stream that came in pieces of these sizes, put together again; the last error ends it.
fn stream(bytes: &[u8], sizes: &[usize]) -> (Vec<Frame>, Option<Fault>, bool) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut frames, mut open) = (Vec::new(), None::<(Head, bool, Vec<u8>)>);
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*size).clamp(1, rest.len()));
        rest = more;
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(Event::Head { head, body })) => open = Some((*head, body, Vec::new())),
                Ok(Some(Event::Body(piece))) => {
                    assert!(!piece.is_empty());
                    open.as_mut().expect("a head before a body").2.extend_from_slice(&piece);
                }
                Ok(Some(Event::End(flag))) => {
                    let (head, body, bytes) = open.take().expect("a head before an end");
                    frames.push(Frame { head, body: body.then(|| Bytes::from(bytes)), flag });
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error.fault), false),
            }
        }
        assert!(decoder.held() <= Limits::default().head, "a decoder holds no more than a head");
    }
    (frames, None, open.is_none() && decoder.is_between())
}

#[test]
fn the_examples_of_the_specification_are_read() {
    let hello = sound(HELLO);
    assert_eq!(hello.head.start, Start::Request(Method::Send));
    assert_eq!(hello.head.to.first().session(), "kjhd37s2s20w2a");
    assert_eq!(hello.head.message_id().map(Text::as_str), Some("87652491"));
    assert_eq!(hello.head.byte_range(), Ok(ByteRange::whole(25)));
    assert_eq!((hello.head.success_report(), hello.head.failure_report()), (Ok(false), Ok(FailureReport::Yes)));
    assert_eq!(hello.head.content_type().map(Text::as_str), Some("text/plain"));
    assert_eq!((hello.body.as_deref(), hello.flag), (Some(b"Hey Bob, are you there?\r\n".as_slice()), Flag::Complete));

    let ok = sound(OK);
    assert_eq!((ok.head.start, ok.body), (Start::Response(Status::OK, Some("OK".into())), None));

    let report = sound(REPORT);
    assert_eq!((&report.head.start, report.head.status()), (&Start::Request(Method::Report), Ok(Status::OK)));

    let relayed = sound(RELAYED);
    assert_eq!((relayed.head.to.len(), relayed.head.to.last().host()), (3, "bob.example.net"));
    assert_eq!((relayed.head.success_report(), relayed.head.failure_report()), (Ok(true), Ok(FailureReport::Partial)));
    assert_eq!((relayed.head.byte_range(), relayed.flag), (Ok(ByteRange::OPEN), Flag::Continued));
    assert_eq!(relayed.head.field("x-unknown").map(Text::as_str), Some("kept"));

    let nickname = sound(NICKNAME);
    assert_eq!(nickname.head.start, Start::Request(Method::Nickname));
    assert_eq!(nickname.head.field("Use-Nickname").map(Text::as_str), Some("\"Alice the great\""));
    for text in [HELLO, OK, REPORT, NICKNAME] {
        assert_eq!(sound(text).encode(), text);
    }
}

#[test]
fn an_empty_body_is_not_none() {
    let empty = |body: &str| HELLO.replace("\r\n\r\nHey Bob, are you there?\r\n\r\n", body);
    assert_eq!(sound(&empty("\r\n\r\n\r\n")).body, Some(Bytes::new()));
    // Without the break that belongs to the end-line: some write it so.
    assert_eq!(sound(&empty("\r\n\r\n")).body, Some(Bytes::new()));
    assert_eq!(sound(&empty("\r\n")).body, None);
}

#[test]
fn what_looks_like_an_end_line_is_body() {
    let body = "\r\n-------a786hjs\r\n-------a786hjs2\r\n-------a786hjs2$x\r\n-------a786hjs2$\r-------a786hjs2$\r\n\r\n\r";
    let text = HELLO.replace("Hey Bob, are you there?\r\n", body);
    assert_eq!(sound(&text).body.as_deref(), Some(body.as_bytes()));
    for size in 1..40 {
        let (frames, fault, whole) = stream(text.as_bytes(), &[size]);
        assert_eq!((frames.as_slice(), fault, whole), ([sound(&text)].as_slice(), None, true), "pieces of {size}");
    }
}

#[test]
fn what_is_no_frame_ends_the_stream() {
    let long = format!("MSRP abcd SEND\r\nX: {}\r\n", "x".repeat(5000));
    let many = format!("MSRP abcd SEND\r\n{}\r\n", "X: y\r\n".repeat(33));
    let head = format!("MSRP abcd SEND\r\n{}", format!("X: {}\r\n", "y".repeat(400)).repeat(30));
    let hops = HELLO.replace("To-Path: ", &format!("To-Path: {}", "msrp://r.example;tcp ".repeat(16)));
    for (text, fault) in [
        ("GET / HTTP/1.1\r\n", Fault::StartLine),
        ("\r\n", Fault::StartLine),
        ("MSRP abc SEND\r\n\r\n", Fault::StartLine),
        ("MSRP abcd\r\n\r\n", Fault::StartLine),
        ("MSRP abcd SEND please\r\n\r\n", Fault::StartLine),
        ("MSRP abcd send\r\n\r\n", Fault::StartLine),
        ("MSRP ab\"d SEND\r\n\r\n", Fault::StartLine),
        ("MSRP abcd SEND\r\n\r\n", Fault::Path),
        ("MSRP abcd SEND\r\nTo-Path: sip:x\r\n\r\n", Fault::Path),
        ("MSRP abcd SEND\r\nno field\r\n\r\n", Fault::Field),
        ("MSRP abcd SEND\nTo-Path: x\n\r\n", Fault::Encoding),
        ("MSRP abcd SEND\r\nX: \0\r\n\r\n", Fault::Encoding),
        (&long, Fault::TooLarge),
        (&many, Fault::TooLarge),
        (&head, Fault::TooLarge),
        (&hops, Fault::TooLarge),
        (&OK.replace("-------a786hjs2", "-------a786hjs3"), Fault::EndLine),
        (&OK.replace('$', "!"), Fault::EndLine),
        (&OK.replace("-------", "To-Path: msrp://a/b;tcp\r\n-------"), Fault::Path),
    ] {
        assert_eq!(parse(text.to_owned()).unwrap_err().fault, fault, "{text:.80}");
        assert_eq!(stream(text.as_bytes(), &[7]).1, Some(fault), "{text:.80}");
    }
    assert_eq!(parse(format!("{OK}{OK}")).unwrap_err().fault, Fault::Trailing);
    assert_eq!(parse(format!("{OK}\r\n")).unwrap_err().fault, Fault::Trailing);
    for length in 0..HELLO.len() {
        assert_eq!(parse(HELLO[..length].to_owned()).unwrap_err().fault, Fault::Truncated, "{length}");
    }
    let invalid = [b"MSRP abcd SEND\r\nX: ".as_slice(), b"\xff\r\n\r\n"].concat();
    assert_eq!(parse(invalid).unwrap_err(), MsrpError { fault: Fault::Encoding, offset: 19 });
}

/// Values that cannot be read do not end the stream: the session answers them with a status.
#[test]
fn a_value_that_cannot_be_read_is_the_readers_business() {
    let text = RELAYED.replace("partial", "perhaps").replace(": yes", ": y").replace("1-*", "0-*").replace("87652", "\"8\"");
    let head = sound(&text).head;
    assert_eq!((head.success_report(), head.failure_report()), (Err(Fault::Value), Err(Fault::Value)));
    assert_eq!((head.byte_range(), head.message_id(), head.status()), (Err(Fault::Value), None, Err(Fault::Value)));
}

#[test]
fn no_field_breaks_out_of_its_line() {
    let uri = MsrpUri::parse(&Text::from("msrp://a/b;tcp")).unwrap();
    let mut printer = Printer::request("abcd", "SEND", std::slice::from_ref(&uri), std::slice::from_ref(&uri));
    printer.field("Subject", "one\r\nTo-Path: two");
    let frame = parse(printer.finish(None, Flag::Complete)).unwrap();
    assert_eq!(frame.head.field("subject").map(Text::as_str), Some("one  To-Path: two"));
}

prop_compose! {
    fn uri()(secure: bool, host in "[a-z]{1,8}(\\.[a-z]{2,5})?|\\[2001:db8::[1-9]\\]", port: u16, session in "[A-Za-z0-9+=]{1,22}", ws: bool) -> MsrpUri {
        MsrpUri::new(secure, &host, port, &session, if ws { Transport::WebSocket } else { Transport::Tcp }).unwrap()
    }
}

prop_compose! {
    fn path()(uris in proptest::collection::vec(uri(), 1..4)) -> Path {
        let words: Vec<String> = uris.iter().map(MsrpUri::to_string).collect();
        Path::parse(&Text::from(words.join(" ")), 16).unwrap()
    }
}

fn start() -> impl Strategy<Value = Start> {
    let methods = prop_oneof![Just(Method::Send), Just(Method::Report), "[A-Z]{6,9}".prop_map(|word| Method::Other(word.into()))];
    prop_oneof![
        methods.prop_map(|method| Start::Request(if method.as_str() == "NICKNAME" { Method::Nickname } else { method })),
        (100u16..700, proptest::option::of("[A-Za-z][a-z ]{0,10}"))
            .prop_map(|(code, text)| Start::Response(Status(code), text.map(Text::from))),
    ]
}

prop_compose! {
    fn frame()(
        transaction in "[a-z0-9][a-z0-9.+=-]{3,31}",
        start in start(),
        to in path(),
        from in path(),
        fields in proptest::collection::vec(("X-[A-Za-z-]{1,10}", "([!-~é]([ -~é]{0,20}[!-~é])?)?"), 0..6),
        // Much of what an end-line is made of, never one: the transaction has a digit behind its hyphens.
        body in proptest::option::of(proptest::collection::vec(prop_oneof![Just(b"\r\n".to_vec()), Just(b"-------".to_vec()), Just(b"\r\n-------".to_vec()), any::<[u8; 3]>().prop_map(Vec::from)], 0..12)),
        flag in prop_oneof![Just(Flag::Complete), Just(Flag::Continued), Just(Flag::Aborted)],
    ) -> Frame {
        let fields = fields.into_iter().map(|(name, value)| Field { name: name.into(), value: value.into() }).collect();
        Frame { head: Head { transaction: transaction.into(), start, to, from, fields }, body: body.map(|pieces| pieces.concat().into()), flag }
    }
}

proptest! {
    /// What is printed reads back, in one piece and in any pieces.
    #[test]
    fn frames_read_back_at_any_fragmentation(frames in proptest::collection::vec(frame(), 1..4), sizes in proptest::collection::vec(1usize..200, 1..8)) {
        let printed: Vec<Bytes> = frames.iter().map(Frame::encode).collect();
        for (frame, bytes) in frames.iter().zip(&printed) {
            let read = parse(bytes.clone());
            prop_assert_eq!(read.as_ref(), Ok(frame));
        }
        let (read, fault, whole) = stream(&printed.concat(), &sizes);
        prop_assert_eq!((read, fault, whole), (frames, None, true));
    }

    /// Damaged frames are read alike in one piece and in any pieces, and never panic.
    #[test]
    fn damage_is_found_at_any_fragmentation(frame in frame(), at: proptest::sample::Index, byte: u8, cut: proptest::sample::Index, sizes in proptest::collection::vec(1usize..60, 1..8)) {
        let mut bytes = frame.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (whole, pieces) = (stream(&bytes, &[bytes.len()]), stream(&bytes, &sizes));
        prop_assert_eq!(&whole, &pieces);
        if let Ok(frame) = parse(bytes) {
            prop_assert_eq!(whole.0, vec![frame]);
        }
    }
}
