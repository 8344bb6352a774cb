//! CPIM as the specification shows it, as other clients write it, and as an enemy would.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Cpim, CpimError> {
    Cpim::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn fault(text: &str) -> Fault {
    parse(text).expect_err(text).fault
}

fn again(cpim: &Cpim) -> Cpim {
    Cpim::parse(&cpim.encode()).unwrap()
}

#[test]
fn headers_namespaces_and_content_are_read() {
    let cpim = parse(
        "From: MR SANDERS <im:piglet@100akerwood.com>\r\n\
         To: \"Depressed \\\"<Donkey>\\\"\" <im:eeyore@100akerwood.com>\r\n\
         cc: <im:pooh@100akerwood.com>\r\n\
         DateTime: 2000-12-13T13:40:00-08:00\r\n\
         Subject: the weather will be \\u0066ine today\r\n\
         Subject:;lang=fr beau temps prevu pour aujourd'hui\r\n\
         NS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n\
         Require: MyFeatures.VitalMessageOption\r\n\
         MyFeatures.VitalMessageOption: Confirmation-requested\r\n\
         X-Other: kept\r\n\
         \r\n\
         Content-type: text/xml; charset=utf-8\r\n\
         Content-ID: <1234567890@foo.com>\r\n\
         X-Folded: one\r\n \t two\r\n\
         \r\n\
         <body>\r\n\r\n</body>",
    )
    .unwrap();
    assert_eq!(cpim.from.as_ref().unwrap().display.as_deref(), Some("MR SANDERS"));
    assert_eq!(cpim.to[0].display.as_deref(), Some("Depressed \"<Donkey>\""));
    assert_eq!(cpim.to[0].uri, "im:eeyore@100akerwood.com");
    assert_eq!(cpim.cc, [CpimAddr::new("im:pooh@100akerwood.com")]);
    assert_eq!(cpim.date, Time::parse_rfc3339("2000-12-13T21:40:00Z"));
    assert_eq!(cpim.subject.as_deref(), Some("the weather will be fine today"));
    assert!(cpim.required[0].is("mid:MessageFeatures@id.foo.com", "VitalMessageOption"));
    assert_eq!(cpim.header("mid:MessageFeatures@id.foo.com", "VitalMessageOption").unwrap(), "Confirmation-requested");
    let french = &cpim.headers[0];
    assert_eq!((french.params.as_str(), french.value.as_str()), (";lang=fr", "beau temps prevu pour aujourd'hui"));
    assert_eq!(cpim.headers.last().unwrap().value, "kept");
    assert!(cpim.content.is("text/XML"));
    assert_eq!(cpim.content.field("content-id").unwrap(), "<1234567890@foo.com>");
    assert_eq!(cpim.content.field("x-folded").unwrap(), "one two");
    assert_eq!(&cpim.content.body[..], b"<body>\r\n\r\n</body>");
    assert_eq!(again(&cpim), cpim);
}

/// R051, R053: the notifications that a sender asks for are read whatever prefix the namespace has.
#[test]
fn disposition_notifications_are_asked_for() {
    for (declaration, prefix) in [
        ("NS: imdn <urn:ietf:params:imdn>\r\n", "imdn."),
        ("NS: d <urn:ietf:params:imdn>\r\n", "d."),
        ("NS: <urn:ietf:params:imdn>\r\n", ""),
        ("", "imdn."),
    ] {
        let text = format!(
            "From: <sip:a@b>\r\nTo: <sip:c@d>\r\n{declaration}{prefix}Message-ID: Abc9\r\n\
             {prefix}Disposition-Notification: positive-delivery, negative-delivery\r\n\r\n\r\nhi"
        );
        let cpim = parse(&text).unwrap();
        assert_eq!(cpim.message_id().unwrap(), "Abc9", "{declaration}");
        assert_eq!(cpim.wants(), Wants { delivered: true, failed: true, displayed: false });
        assert_eq!(again(&cpim), cpim);
    }
    let mut cpim = Cpim::default();
    cpim.set_message_id("x");
    cpim.set_wants(Wants::ALL);
    cpim.set_message_id("y");
    assert_eq!((again(&cpim).message_id().unwrap().as_str(), again(&cpim).wants()), ("y", Wants::ALL));
    cpim.set_wants(Wants::NOTHING);
    assert_eq!(again(&cpim).wants(), Wants::NOTHING);
    assert_eq!(again(&cpim).headers.len(), 1);
}

#[test]
fn habits_of_other_clients_are_accepted() {
    let bare = parse("From: sip:a@b\r\nTo: sip:c@d;gr=urn:uuid:1\r\nDateTime: soon\r\n\r\nContent-Type: text/plain\r\n\r\nhi").unwrap();
    assert_eq!(bare.to, [CpimAddr::new("sip:c@d;gr=urn:uuid:1")]);
    assert_eq!((bare.date, bare.headers[0].value.as_str()), (None, "soon"));
    assert_eq!(again(&bare), bare);

    let lines =
        parse("from: <sip:a@b>\nTO:<sip:c@d>\nns: imdn <urn:ietf:params:imdn>\nimdn.message-id: 1\n\nContent-Type:text/plain\n\nhi\n")
            .unwrap();
    assert_eq!(lines.message_id().unwrap(), "1");
    assert_eq!(&lines.content.body[..], b"hi\n");

    let counted = parse("From: <sip:a@b>\r\n\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n").unwrap();
    assert_eq!(&counted.content.body[..], b"hi");
    assert_eq!(again(&counted), counted);
    let miscounted = parse("From: <sip:a@b>\r\n\r\nContent-Length: 2\r\n\r\nhi there").unwrap();
    assert_eq!(&miscounted.content.body[..], b"hi there");

    let empty = parse("From: <sip:a@b>\r\n\r\n").unwrap();
    assert!(empty.content.is("text/plain") && empty.content.body.is_empty());
}

#[test]
fn what_two_readers_could_take_differently_is_refused() {
    assert_eq!(fault("From: <sip:a@b>\r\nFrom: <sip:c@d>\r\n\r\n\r\n"), Fault::Duplicate);
    assert_eq!(fault("DateTime: x\r\nDateTime: 2024-01-01T00:00:00Z\r\n\r\n\r\n"), Fault::Duplicate);
    assert_eq!(fault("NS: a <urn:ietf:params:imdn>\r\na.Message-ID: 1\r\nimdn.Message-ID: 2\r\n\r\n\r\n"), Fault::Duplicate);
}

#[test]
fn what_is_broken_is_refused_with_its_place() {
    for (text, wanted) in [
        ("", Fault::Content(mime::Fault::Truncated)),
        ("From: <sip:a@b>\r\n", Fault::Content(mime::Fault::Truncated)),
        ("words\r\n\r\n", Fault::Header),
        (": x\r\n\r\n", Fault::Header),
        ("From\u{0}: <sip:a@b>\r\n\r\n", Fault::Header),
        ("X: a\rb\r\n\r\n", Fault::Header),
        ("From: <>\r\n\r\n", Fault::Address),
        ("From: <sip:a b>\r\n\r\n", Fault::Address),
        ("From: \"A <sip:a@b>\r\n\r\n", Fault::Address),
        ("From: A <sip:a@b\r\n\r\n", Fault::Address),
        ("From: Alice\r\n\r\n", Fault::Address),
        ("To: a sip:a@b\r\n\r\n", Fault::Address),
        ("x.y: 1\r\n\r\n", Fault::Namespace),
        (".From: 1\r\n\r\n", Fault::Namespace),
        ("imdn.: 1\r\n\r\n", Fault::Namespace),
        ("NS: \"a b\" <urn:x>\r\n\r\n", Fault::Namespace),
        ("NS: nothing\r\n\r\n", Fault::Namespace),
        ("Require: z.Y\r\n\r\n", Fault::Namespace),
        ("From: <sip:a@b>\r\n\r\nno field\r\n\r\n", Fault::Content(mime::Fault::Field)),
        ("From: <sip:a@b>\r\n\r\n folded\r\n\r\n", Fault::Content(mime::Fault::Field)),
        ("From: <sip:a@b>\r\n\r\nA: \u{7}\r\n\r\n", Fault::Content(mime::Fault::Encoding)),
    ] {
        assert_eq!(fault(text), wanted, "{text:?}");
    }
    let at = |text: &str| parse(text).unwrap_err().offset;
    assert_eq!(at("From: <sip:a@b>\r\nTo: <>\r\n\r\n"), 17);
    assert_eq!(at("From: <sip:a@b>\r\n\r\nA: b\r\nbad\r\n\r\n"), 25);
    let error = Cpim::parse(&Bytes::from_static(b"From: <sip:\xff@b>\r\n\r\n")).unwrap_err();
    assert_eq!(error, CpimError { fault: Fault::Content(mime::Fault::Encoding), offset: 11 });
}

#[test]
fn counts_and_lengths_are_bounded() {
    assert_eq!(fault(&format!("{}\r\n", "A: b\r\n".repeat(65))), Fault::TooLarge);
    assert_eq!(fault(&format!("A: {}\r\n\r\n", "x".repeat(20_000))), Fault::Content(mime::Fault::TooLarge));
    assert_eq!(fault(&"x".repeat(20_000)), Fault::Content(mime::Fault::TooLarge));
    assert_eq!(fault(&format!("From: <sip:a@b>\r\n\r\n{}\r\n", "A: b\r\n".repeat(65))), Fault::Content(mime::Fault::TooLarge));
}

#[test]
fn every_truncation_is_read_or_refused() {
    let cpim = Cpim {
        from: Some(CpimAddr { display: Some(Text::from("Zoë \"Z\"")), uri: Text::from("sip:zoe@tandem.test") }),
        subject: Some(Text::from("\u{1f600}\\")),
        content: Part::text("hi"),
        ..Cpim::default()
    };
    let bytes = cpim.encode();
    for length in 0..bytes.len() {
        let _ = Cpim::parse(&bytes.slice(..length));
    }
    assert_eq!(again(&cpim), cpim);
}

#[test]
fn nothing_that_is_printed_can_add_a_header() {
    let evil = "x\r\nFrom: <sip:mallory@evil.example>";
    let mut cpim = Cpim { subject: Some(Text::from(evil)), content: Part::new(evil, Bytes::new()), ..Cpim::default() };
    cpim.to.push(CpimAddr { display: Some(Text::from(evil)), uri: Text::from(evil) });
    cpim.set(Name { namespace: Some(Text::from(evil)), prefix: Text::from("p"), local: Text::from("l") }, evil);
    let read = again(&cpim);
    assert_eq!(read.from, None);
    assert_eq!(read.content.fields.len(), 1);
    assert_eq!(read.subject, cpim.subject);
}

fn text() -> impl Strategy<Value = Text> {
    "[ -~é\u{1f600}\\\\\"\t\n\r]{0,16}".prop_map(|text| Text::from(text.trim()))
}

fn address() -> impl Strategy<Value = CpimAddr> {
    (option::of(text()), "[a-z]{1,5}:[!-;=?-~é]{1,20}")
        .prop_map(|(display, uri)| CpimAddr { display: display.filter(|text| !text.is_empty()), uri: Text::from(uri) })
}

fn header() -> impl Strategy<Value = Header> {
    let name = (option::of("urn:[a-c]"), "[a-c]", "[A-Za-z-]{1,8}");
    (name, "(;[a-z]=[a-z]){0,2}", "[!-~é]{0,8}( [!-~]{1,4})?").prop_map(|((namespace, prefix, local), params, value)| {
        let prefix = if namespace.is_some() { prefix } else { String::new() };
        let local = if namespace.is_some() { local } else { format!("X-{local}") };
        let name = Name { namespace: namespace.map(Text::from), prefix: Text::from(prefix), local: Text::from(local) };
        Header { name, params: Text::from(params), value: Text::from(value.trim()) }
    })
}

proptest! {
    #[test]
    fn messages_print_and_read_back(
        from in option::of(address()),
        to in vec(address(), 0..3),
        cc in vec(address(), 0..2),
        date in option::of(0u64..253_402_300_799_999),
        subject in option::of(text()),
        headers in vec(header(), 0..6),
        body in any::<Vec<u8>>(),
    ) {
        let required = headers.iter().map(|header| header.name.clone()).collect();
        let content = Part::new("application/octet-stream", body);
        let cpim = Cpim { from, to, cc, date: date.map(Time), subject, required, headers, content };
        prop_assert_eq!(again(&cpim), cpim);
    }

    /// Whatever can be read is the same when it is printed and read again.
    #[test]
    fn reading_is_a_fixed_point(
        lines in vec("(From|To|NS|Require|Subject|DateTime|a\\.b|imdn\\.Message-ID|X)(: |:;)[ -~]{0,6}(a <urn:x>|<urn:y>|\"q\"|;l=e|)", 0..6),
        fields in vec("[A-Za-z]{1,3}: ?[ -~]{0,6}(\r\n x)?", 0..3),
        body in any::<Vec<u8>>(),
    ) {
        let mut bytes = lines.iter().chain([&String::new()]).chain(&fields).chain([&String::new()]).fold(String::new(), |text, line| text + line + "\r\n").into_bytes();
        bytes.extend(body);
        if let Ok(cpim) = Cpim::parse(&Bytes::from(bytes)) {
            prop_assert_eq!(again(&cpim), cpim);
        }
    }
}
