//! The messages of RFC 4475 and RFC 5118 with their verdicts.

use wasm_core::Text;
use wasm_core::wire::sip::{
    Accept, Auth, Authorization, CSeq, Contact, Date, Frame, Framer, From, HeaderName, Limits, Message, Method, Require, Route, To, Uri,
    Via,
};

/// What a document says about a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is a message. Where a status is given, a layer above the parser answers with it.
    Accept(Option<u16>),
    /// It is answered with this status.
    Refuse(u16),
    /// It is dropped.
    Discard,
}

/// One message of the documents.
pub struct Torture {
    pub name: String,
    pub verdict: Verdict,
    pub bytes: Vec<u8>,
}

impl Torture {
    /// All messages of both documents.
    pub fn all() -> Vec<Torture> {
        [include_str!("../torture/rfc4475.dat"), include_str!("../torture/rfc5118.dat")].into_iter().flat_map(Torture::read).collect()
    }

    /// The bytes of the message of this name.
    pub fn named(name: &str) -> Vec<u8> {
        Torture::all().into_iter().find(|torture| torture.name == name).map(|torture| torture.bytes).unwrap()
    }

    /// Reads a file of messages; what stands before the first is its description.
    fn read(file: &str) -> Vec<Torture> {
        file.split("\n#### ").skip(1).map(Torture::read_one).collect()
    }

    fn read_one(entry: &str) -> Torture {
        let (title, text) = entry.split_once('\n').unwrap();
        let title: Vec<&str> = title.split(" | ").collect();
        let &[name, _section, verdict, _note] = title.as_slice() else { panic!("a title has four parts: {title:?}") };
        let (word, status) = verdict.split_once(' ').map_or((verdict, None), |(word, status)| (word, status.parse().ok()));
        let verdict = match (word, status) {
            ("accept", status) => Verdict::Accept(status),
            ("refuse", Some(status)) => Verdict::Refuse(status),
            ("discard", None) => Verdict::Discard,
            _ => panic!("{name}: no verdict: {verdict}"),
        };
        Torture { name: name.into(), verdict, bytes: bytes(text) }
    }
}

/// The bytes that the notation of the files stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut joined: Option<String> = None;
    for line in text.lines() {
        match (line, &mut joined) {
            ("<allOneLine>", _) => joined = Some(String::new()),
            ("</allOneLine>", _) => lines.extend(joined.take()),
            (line, Some(joined)) => joined.push_str(line),
            (line, None) => lines.push(line.to_owned()),
        }
    }
    let mut out: Vec<u8> = lines.iter().flat_map(|line| [expand(line), b"\r\n".to_vec()].concat()).collect();
    let body = out.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| out.len() - end - 4);
    let mark = b"{length}";
    while let Some(at) = out.windows(mark.len()).position(|window| window == mark) {
        out.splice(at..at + mark.len(), body.to_string().into_bytes());
    }
    out
}

fn expand(line: &str) -> Vec<u8> {
    let Some((before, rest)) = line.split_once('<') else { return line.into() };
    let mut out = before.as_bytes().to_vec();
    let repeat = rest.strip_prefix("repeat count=").and_then(|rest| rest.split_once("</repeat>"));
    let hex = rest.strip_prefix("hex>").and_then(|rest| rest.split_once("</hex>"));
    let after = if let Some((repeat, after)) = repeat {
        let (count, what) = repeat.split_once('>').unwrap();
        out.extend(what.repeat(count.parse().unwrap()).bytes());
        after
    } else if let Some((digits, after)) = hex {
        out.extend((0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()));
        after
    } else {
        out.push(b'<');
        rest
    };
    out.extend(expand(after));
    out
}

fn accepted(name: &str) -> Message {
    Message::parse(&Torture::named(name), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every message of both documents gets the verdict that its document gives it.
#[test]
fn each_message_gets_its_verdict() {
    let all = Torture::all();
    assert_eq!(all.len(), 49 + 12);
    for torture in all {
        let name = &torture.name;
        match (torture.verdict, Message::parse(&torture.bytes, &Limits::default())) {
            (Verdict::Accept(_), Ok(message)) => {
                let printed = message.to_bytes();
                let again = Message::parse(&printed, &Limits::default()).unwrap_or_else(|error| panic!("{name} printed: {error}"));
                assert_eq!(again, message, "{name}");
                assert_eq!(again.to_bytes(), printed, "{name}");
            }
            (Verdict::Refuse(status), Err(error)) => {
                let reply = error.reply.unwrap_or_else(|| panic!("{name}: no reply to {}", error.kind));
                assert_eq!(reply.status.0, status, "{name}: {}", error.kind);
                assert!(reply.headers.has(&HeaderName::Via), "{name}");
            }
            (Verdict::Discard, Err(error)) => assert!(error.reply.is_none(), "{name}"),
            (verdict, result) => panic!("{name}: {verdict:?}, but {result:?}"),
        }
    }
}

/// The verdict on a stream is the same, where the length of the message can be known.
#[test]
fn a_stream_gives_the_same_verdicts() {
    for torture in Torture::all() {
        let name = torture.name.as_str();
        let mut framer = Framer::new(Limits::default());
        framer.push(&torture.bytes);
        match (torture.verdict, framer.next()) {
            (_, None) => assert_eq!(name, "clerr", "only this one waits for more"),
            (Verdict::Accept(_), Some(Ok(Frame::Message(_)))) => {}
            (Verdict::Accept(_), Some(Err(error))) => {
                assert_eq!((name, error.reply.map(|reply| reply.status.0)), ("inv2543", Some(400)), "only this one has no Content-Length")
            }
            (Verdict::Refuse(status), Some(Err(error))) => {
                assert_eq!(error.reply.map(|reply| reply.status.0), Some(status), "{name}: {}", error.kind)
            }
            (Verdict::Discard, Some(Err(error))) => assert!(error.reply.is_none(), "{name}"),
            (verdict, frame) => panic!("{name}: {verdict:?}, but {frame:?}"),
        }
    }
}

#[test]
fn white_space_and_folds_mean_nothing() {
    let message = accepted("wsinv");
    let headers = message.headers();
    let ways: Vec<String> = headers.list::<Via>().unwrap().iter().map(Via::to_string).collect();
    assert_eq!(
        ways,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239"
        ]
    );
    assert_eq!(headers.read::<To>().unwrap().tag().map(Text::as_str), Some("1918181833n"));
    assert_eq!(headers.read::<From>().unwrap().display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(headers.read::<CSeq>(), Some(CSeq::new(9, Method::Invite)));
    let contact = headers.read::<Contact>().unwrap();
    assert_eq!((contact.q(), contact.addr().and_then(|address| address.params.value("newparam"))), (330, Some("newvalue")));
    assert!(headers.read::<Route>().unwrap().uri.has_param("unknown-no-value"));
    assert_eq!(headers.get(&HeaderName::Subject).map(Text::as_str), Some(""));
    assert_eq!(headers.get(&HeaderName::Other("unknownheaderwithunusualvalue".into())).map(Text::as_str), Some(";;,,;;,;"));
    assert!(message.body().starts_with(b"v=0\r\n"));
}

#[test]
fn unusual_characters_are_kept() {
    let message = accepted("intmeth");
    let headers = message.headers();
    assert_eq!(headers.read::<To>().unwrap().display.as_deref(), Some("BEL:\x07 NUL:\0 DEL:\x7f"));
    assert_eq!(headers.read::<From>().unwrap().params.value("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(headers.get(&HeaderName::Other("extensionHeader-!.%*+_`'~".into())).map(Text::as_str), Some("\u{feff}大停電"));
    let Message::Request(request) = message else { panic!("a request") };
    assert_eq!(request.method.as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(request.uri.user().map(Text::as_str), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(request.uri.sip().and_then(|uri| uri.password.as_deref()), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
}

#[test]
fn escapes_count_only_in_uris() {
    let Message::Request(request) = accepted("esc01") else { panic!("a request") };
    assert_eq!(request.uri.sip().unwrap().user_name().as_deref(), Some("sips:user@example.com"));
    assert_eq!(request.headers.read::<To>().unwrap().uri, Uri::parse(&"sip:user@example.com".into()).unwrap());
    let contact = request.headers.read::<Contact>().unwrap();
    assert_eq!(contact.addr().unwrap().uri, Uri::parse(&"sip:caller@host5.example.net;%6C%72;n%61me=value%2541".into()).unwrap());
    let nulls = accepted("escnull").headers().list::<Contact>().unwrap();
    assert_eq!(nulls[1].addr().unwrap().uri.sip().unwrap().user_name().as_deref(), Some("\0\0"));
    let Message::Request(request) = accepted("esc02") else { panic!("a request") };
    assert_ne!(request.method, Method::Register);
    assert_eq!(request.headers.list::<Contact>().unwrap().len(), 2);
    assert_eq!(request.headers.read::<To>().unwrap().display.as_deref(), Some("%Z%45"));
}

#[test]
fn bodies_are_bytes_of_the_given_length() {
    assert!(accepted("dblreq").body().is_empty());
    let binary = accepted("mpart01");
    assert!(binary.body().windows(3).any(|window| window == [0xff, 0xfe, 0x80]));
}

#[test]
fn reasons_may_be_anything() {
    let Message::Response(response) = accepted("unreason") else { panic!("a response") };
    assert!(response.reason.starts_with("= 2**3 * 5**2 но сто"));
    let Message::Response(response) = accepted("noreason") else { panic!("a response") };
    assert_eq!((response.status.0, &*response.reason), (100, ""));
}

#[test]
fn parameters_belong_to_what_they_stand_in() {
    let outside = accepted("cparam01").headers().read::<Contact>().unwrap();
    assert!(outside.addr().unwrap().params.has("unknownparam") && !outside.addr().unwrap().uri.has_param("unknownparam"));
    let inside = accepted("cparam02").headers().read::<Contact>().unwrap();
    assert!(!inside.addr().unwrap().params.has("unknownparam") && inside.addr().unwrap().uri.has_param("unknownparam"));
    let escaped = accepted("regescrt").headers().read::<Contact>().unwrap();
    assert_eq!(escaped.addr().unwrap().uri.sip().unwrap().headers.as_deref(), Some("Route=%3Csip:sip.example.com%3E"));
    let Message::Request(semi) = accepted("semiuri") else { panic!("a request") };
    assert_eq!(semi.uri.user().map(Text::as_str), Some("user;par=u%40example.net"));
    assert_eq!(semi.headers.read::<Accept>().unwrap().0.len(), 6);
}

/// What the layers above need to give their verdicts.
#[test]
fn verdicts_of_other_layers_can_be_given() {
    assert!(accepted("bext01").headers().read::<Require>().unwrap().has("nothingSupportsThisEither"));
    assert!(!accepted("regaut01").headers().read::<Authorization>().is_some_and(|Authorization(auth)| Auth::is_digest(&auth)));
    assert!(accepted("baddate").headers().typed::<Date>().unwrap().is_err());
    assert_eq!(accepted("badbranch").headers().read::<Via>().unwrap().branch().map(Text::as_str), Some(Via::COOKIE));
    assert!(matches!(accepted("unksm2").headers().read::<To>().unwrap().uri, Uri::Other(_)));
}

/// A port is one only behind the brackets.
#[test]
fn an_ipv6_reference_ends_with_its_bracket() {
    let target = |name| match accepted(name) {
        Message::Request(request) => request.uri,
        Message::Response(_) => panic!("a request"),
    };
    let ambiguous = target("port-ambiguous");
    assert_eq!(ambiguous.sip().map(|uri| (uri.host.ip(), uri.port)), Some(("2001:db8::10:5070".parse().ok(), None)));
    let unambiguous = target("port-unambiguous");
    assert_eq!(unambiguous.sip().map(|uri| (uri.host.ip(), uri.port)), Some(("2001:db8::10".parse().ok(), Some(5070))));
    let right = "2001:db8::192.0.2.1".parse().ok();
    for name in ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"] {
        assert_eq!(target(name).host().unwrap().ip(), right, "{name}");
    }
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let via = accepted(name).headers().read::<Via>().unwrap();
        assert_eq!(via.received().map(|received| received.trim_matches(['[', ']'])), Some("2001:db8::9:255"), "{name}");
    }
}
