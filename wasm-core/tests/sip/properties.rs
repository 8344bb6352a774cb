//! What holds for any bytes and for any message.

use std::fmt;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use wasm_core::Text;
use wasm_core::wire::sip::*;

use crate::torture::Torture;

/// What reads must print to something that reads as the same.
fn settles(bytes: &[u8]) {
    let limits = Limits::default();
    match Message::parse(bytes, &limits) {
        Ok(message) => {
            let printed = message.to_bytes();
            let again = Message::parse(&printed, &limits).unwrap_or_else(|error| panic!("{error} in {printed:?}"));
            assert_eq!(again, message);
            assert_eq!(again.to_bytes(), printed);
            let shared = Message::parse_shared(&Bytes::copy_from_slice(bytes), &limits).unwrap();
            assert_eq!(shared, message);
            read_all(message.headers());
        }
        Err(error) => {
            assert!(error.offset <= bytes.len());
            drop(error.reply.map(|reply| reply.to_bytes()));
        }
    }
}

/// Reads one type of header from a value; what reads must print to something that reads as the same.
fn typed<H: TypedHeader + PartialEq + fmt::Debug>(value: &Text) {
    if let Ok(header) = H::parse(value) {
        let printed = header.to_string();
        let again = H::parse(&Text::from(&*printed)).unwrap_or_else(|error| panic!("{error}: {printed:?} of {value:?}"));
        assert_eq!(again, header, "{printed:?} of {value:?}");
        assert_eq!(again.to_string(), printed);
    }
}

/// Reads a value as each type of header.
fn typed_any(value: &Text) {
    macro_rules! each {
        ($($header:ident)*) => { $(typed::<$header>(value);)* };
    }
    each! {
        Accept AcceptContact AlertInfo Allow AllowEvents AuthenticationInfo Authorization CSeq CallId Contact ContentDisposition
        ContentEncoding ContentLength ContentType ContributionId ConversationId Date Event Expires From HistoryInfo InReplyTo Join
        MaxForwards MinSe Organization PAssertedIdentity PPreferredService Path Priority Privacy ProxyAuthenticate RAck RSeq Reason
        RecordRoute ReferTo RejectContact Replaces Require RetryAfter Route ServiceRoute SessionExpires SessionReplaces Subject
        SubscriptionState Supported TargetDialog To UserAgent Via Warning WwwAuthenticate
    }
    if let Ok(uri) = Uri::parse(value) {
        assert_eq!(uri.to_string().parse_uri(), Some(uri));
    }
}

trait ParseUri {
    fn parse_uri(&self) -> Option<Uri>;
}

impl ParseUri for String {
    fn parse_uri(&self) -> Option<Uri> {
        Uri::parse(&Text::from(self.as_str())).ok()
    }
}

fn read_all(headers: &Headers) {
    for header in headers.iter() {
        typed_any(&header.value);
    }
    headers.list::<Via>().unwrap();
    headers.list::<Contact>().unwrap();
    drop(headers.list::<Route>());
    drop(headers.typed::<Supported>());
}

/// A change to a message.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    const PIECES: &[&[u8]] = &[b" ", b"\r\n", b"\r\n ", b";", b",", b":", b"\"", b"<", b">", b"=", b"@", b"%", b"[", b"\\", b"\0", b"\xff"];
    let piece = select(PIECES);
    let edit = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece.to_vec())),
        (any::<Index>(), 1..40usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), 1..200usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ];
    vec(edit, 1..5)
}

fn edited(mut bytes: Vec<u8>, edits: Vec<Edit>) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match edit {
            Edit::Replace(at, byte) => bytes[at.index(length)] = byte,
            Edit::Insert(at, piece) => drop(bytes.splice(at.index(length)..at.index(length), piece)),
            Edit::Remove(at, count) => drop(bytes.drain(at.index(length)..(at.index(length) + count).min(length))),
            Edit::Repeat(at, count) => {
                let piece = bytes[at.index(length)..(at.index(length) + count).min(length)].to_vec();
                bytes.splice(at.index(length)..at.index(length), piece);
            }
        }
    }
    bytes
}

fn uris() -> impl Strategy<Value = Uri> {
    let sip = ("[a-z0-9%;?@ \u{e9}]{0,8}", "[a-z]{1,8}(\\.[a-z]{2,4})?", any::<Option<u16>>(), "[a-zA-Z0-9 /&:]{1,6}").prop_map(
        |(user, host, port, gr)| {
            let mut uri = SipUri::new(&user, &host).with_param("gr", &gr).with_flag("lr");
            uri.port = port;
            Uri::from(uri)
        },
    );
    prop_oneof![4 => sip, 1 => "\\+[0-9][0-9-]{0,8}".prop_map(|number| Uri::from(TelUri::new(&number)))]
}

fn addresses() -> impl Strategy<Value = NameAddr> {
    (uris(), proptest::option::of(".{0,12}"), vec(("[a-z+.]{1,6}", ".{0,8}"), 0..4)).prop_map(|(uri, display, params)| {
        let mut address = NameAddr::new(uri);
        // Line ends cannot be kept in a header.
        address.display = display.map(|display| Text::from(display.replace(['\r', '\n'], " ")));
        for (name, value) in params {
            address.params.set(&name, &value.replace(['\r', '\n'], " "));
        }
        address
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let method =
        prop_oneof![Just(Method::Message), Just(Method::Invite), "[A-Z!%]{3,9}".prop_map(|name| Method::parse(&Text::from(name)).unwrap())];
    (method, uris(), addresses(), addresses(), vec(addresses(), 0..3), "\\PC{0,20}", vec(any::<u8>(), 0..80), 0u32..1 << 31).prop_map(
        |(method, uri, from, to, contacts, subject, body, number)| {
            let mut request = Request::new(method.clone(), uri)
                .with(&Via::new("WS", "x.invalid", None))
                .with(&From(from))
                .with(&To(to))
                .with(&CallId("a@b".into()))
                .with(&CSeq::new(number, method));
            for contact in contacts {
                request.headers.put(&Contact::from(contact));
            }
            request.headers.push(HeaderName::Subject, subject.trim());
            request.body = body.into();
            request
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_safe(bytes in vec(any::<u8>(), 0..300)) {
        settles(&bytes);
    }

    #[test]
    fn any_text_is_safe_in_a_header(value in "\\PC{0,40}|[ -~]{0,40}|[a-z0-9;=\"<>,:@\\\\ %\\[\\]/*.-]{0,40}") {
        typed_any(&Text::from(value));
    }

    #[test]
    fn a_damaged_message_is_safe((torture, edits) in (select(Torture::all().into_iter().map(|torture| torture.bytes).collect::<Vec<_>>()), edits())) {
        settles(&edited(torture, edits));
    }

    #[test]
    fn what_is_printed_reads_the_same(request in requests()) {
        let printed = request.to_bytes();
        let read = Message::parse(&printed, &Limits::default()).unwrap_or_else(|error| panic!("{error} in {printed:?}")).request().unwrap();
        prop_assert_eq!(read, request);
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(requests in vec(requests(), 1..4), cuts in vec(1..700usize, 1..6)) {
        let mut stream: Vec<u8> = requests.iter().flat_map(|request| request.to_bytes()).collect();
        let mut framer = Framer::new(Limits::default());
        let mut bodies = Vec::new();
        let mut cuts = cuts.iter().cycle();
        while !stream.is_empty() {
            let rest = stream.split_off(stream.len().min(*cuts.next().unwrap()));
            framer.push(&stream);
            stream = rest;
            while let Some(frame) = framer.next() {
                let Ok(Frame::Message(message)) = frame else { panic!("{frame:?}") };
                bodies.push(message.body().clone());
            }
        }
        prop_assert!(!framer.is_partial());
        prop_assert_eq!(bodies, requests.into_iter().map(|request| request.body).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_stream_is_safe(messages in vec(select(Torture::all().into_iter().map(|torture| torture.bytes).collect::<Vec<_>>()), 1..4), edits in edits(), size in 1..500usize) {
        let limits = Limits { message: 3000, head: 1500, ..Limits::default() };
        let mut framer = Framer::new(limits);
        for chunk in edited(messages.concat(), edits).chunks(size) {
            framer.push(chunk);
            while framer.next().is_some() {}
        }
    }
}
