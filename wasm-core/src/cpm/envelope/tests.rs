//! Messages there and back, and messages as other clients write them.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::wire::imdn::{Delivery, Display};
use crate::wire::sip::{Limits, Message};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn alice() -> Address {
    address("sip:alice@tandem.test")
}

fn bob() -> Address {
    address("sip:bob@tandem.test")
}

/// The request after a journey through its bytes.
fn sent(request: Request) -> Request {
    let mut request = request;
    request.headers.push_front(HeaderName::Via, "SIP/2.0/WSS host.invalid;branch=z9hG4bK1");
    request.headers.push(HeaderName::CallId, "1");
    request.headers.push(HeaderName::CSeq, "1 MESSAGE");
    request.headers.push(HeaderName::MaxForwards, "70");
    let from = request.headers.get(&HeaderName::From).unwrap().to_string();
    request.headers.set(HeaderName::From, from + ";tag=1");
    Message::parse(&request.to_bytes(), &Limits::default()).unwrap().request().unwrap()
}

/// A MESSAGE to bob with this type and body and these headers before them.
fn message(headers: &str, content_type: &str, body: &[u8]) -> Request {
    let mut bytes = format!(
        "MESSAGE sip:bob@tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@tandem.test>;tag=1\r\nTo: sip:bob@Tandem.test\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n{headers}\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    Message::parse(&bytes, &Limits::default()).unwrap().request().unwrap()
}

fn text(words: &str) -> Content {
    Content::Text(Text::from(words))
}

/// R033, R034, R035, R038, R051: a composed message carries its address, its identifiers and its wishes to the other end.
#[test]
fn a_composed_message_arrives_whole() {
    let mut entropy = Entropy::new([1; 32]);
    let first = Envelope::compose(&mut entropy, Time(1_700_000_000_000), alice(), bob(), Text::from("hi\r\n\u{1f600}"), None);
    let mut reply = Envelope::compose(&mut entropy, Time(1_700_000_001_000), bob(), alice(), Text::from("yes"), first.conversation.clone());
    reply.in_reply_to = first.contribution.clone();
    assert_eq!(reply.conversation, first.conversation);
    assert_ne!(reply.contribution, first.contribution);
    assert_ne!(reply.message_id, first.message_id);
    for envelope in [first, reply] {
        let request = sent(envelope.wrap());
        assert_eq!(request.headers.get(&HeaderName::PPreferredService).unwrap(), feature::PAGER);
        assert_eq!(Address::from_uri(&request.uri), Some(envelope.to.clone()));
        assert_eq!(Envelope::unwrap(&request), Ok(envelope));
    }
}

/// R036: the three identifiers are those of the headers, whatever the CPIM says.
#[test]
fn identifiers_of_others_are_kept_and_bounded() {
    let identifiers = "Conversation-ID: f81d4fae-7dec@x\r\nContribution-ID: {c}\r\nInReplyTo-Contribution-ID: \r\n";
    let envelope = Envelope::unwrap(&message(identifiers, TEXT, b"hi")).unwrap();
    assert_eq!(envelope.conversation.unwrap().as_str(), "f81d4fae-7dec@x");
    assert_eq!((envelope.contribution.unwrap().as_str(), envelope.in_reply_to), ("{c}", None));
    let long = format!("Conversation-ID: {}\r\n", "x".repeat(300));
    assert_eq!(Envelope::unwrap(&message(&long, TEXT, b"hi")), Err(EnvelopeError::Identifier(HeaderName::ConversationId)));
}

#[test]
fn messages_of_plain_sip_clients_are_read() {
    let envelope =
        Envelope::unwrap(&message("Expires: 3600\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nSubject: Lunch\r\n", "text/plain", b"hi"))
            .unwrap();
    assert_eq!((envelope.from.clone(), envelope.to.clone(), envelope.content.clone()), (alice(), bob(), text("hi")));
    assert_eq!((envelope.message_id.clone(), envelope.wants, envelope.expires), (None, Wants::NOTHING, Some(3600)));
    assert_eq!((envelope.from_name.as_deref(), envelope.subject.as_deref()), (Some("Alice"), Some("Lunch")));
    assert_eq!(envelope.date, Some(Time(1_289_690_940_000)));
    for (content_type, body, words) in [
        ("text/plain;charset=UTF-8", "h\u{e9}".as_bytes(), "h\u{e9}"),
        ("text/plain; charset=\"iso-8859-1\"", b"h\xe9", "h\u{e9}"),
        ("text/plain", b"h\xe9", "h\u{e9}"),
        ("Text/Plain;format=flowed", b"\r\n", "\r\n"),
    ] {
        assert_eq!(Envelope::unwrap(&message("", content_type, body)).unwrap().content, text(words), "{content_type}");
    }
    let utf16 = Envelope::unwrap(&message("", "text/plain;charset=utf-16", b"h\0i\0")).unwrap();
    assert!(matches!(utf16.content, Content::Other { .. }));
}

#[test]
fn cpim_of_other_clients_is_read() {
    let body =
        b"From: <sip:mallory@evil.example>\r\nTo: sip:bob@tandem.test\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 9e3\r\n\
        imdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\nDateTime: 2020-01-01T00:00:00Z\r\n\
        NS: linphone <http://www.linphone.org/xsds/ephemeral.xsd>\r\nlinphone.Time: 5\r\n\r\n\
        Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\nContent-Length: 4\r\n\r\naGk=\r\n";
    let envelope = Envelope::unwrap(&message("Priority: normal\r\n", "Message/CPIM", body)).unwrap();
    assert_eq!((envelope.from, envelope.content), (alice(), text("hi")));
    assert_eq!((envelope.message_id.unwrap().as_str(), envelope.wants), ("9e3", Wants::ALL));
    assert_eq!(envelope.date, Time::parse_rfc3339("2020-01-01T00:00:00Z"));

    let empty =
        message("", "message/cpim", b"From: sip:alice@tandem.test\r\nTo: sip:bob@tandem.test\r\n\r\nContent-Type: text/plain\r\n\r\n");
    assert_eq!(Envelope::unwrap(&empty).unwrap().content, text(""));
    let picture = message("", "message/cpim", b"From: sip:alice@tandem.test\r\n\r\nContent-Type: image/png; name=x\r\n\r\n\x89PNG");
    let other = Content::Other { content_type: Text::from("image/png; name=x"), body: Bytes::from_static(b"\x89PNG") };
    assert_eq!(Envelope::unwrap(&picture).unwrap().content, other);
}

#[test]
fn notifications_and_typing_are_read_bare_or_in_cpim() {
    let notification = Notification::new(Text::from("m1"), Report::Delivery(Delivery::Delivered));
    for (kind, content) in
        [(imdn::MEDIA_TYPE, Content::Notification(notification)), (iscomposing::MEDIA_TYPE, Content::Composing(IsComposing::active(60)))]
    {
        let bare = message("", kind, &content.body());
        assert_eq!(Envelope::unwrap(&bare).unwrap().content, content);
        let mut body = b"From: <sip:alice@tandem.test>\r\nTo: <sip:bob@tandem.test>\r\n\r\n".to_vec();
        Part::new(kind, content.body()).encode_into(&mut body);
        assert_eq!(Envelope::unwrap(&message("", cpim::MEDIA_TYPE, &body)).unwrap().content, content);
        assert!(matches!(Envelope::unwrap(&message("", kind, b"<x/>")), Err(EnvelopeError::Xml(_))));
    }
}

/// R017, R317: whom the network vouches for is the sender, whatever the sender says.
#[test]
fn the_asserted_identity_is_the_sender() {
    let asserted = "P-Asserted-Identity: <tel:+15550100>, \"Alice A.\" <sip:alice@home.example;user=x>\r\n";
    let envelope = Envelope::unwrap(&message(asserted, TEXT, b"hi")).unwrap();
    assert_eq!((envelope.from, envelope.from_name.as_deref()), (address("sip:alice@home.example"), Some("Alice A.")));
    let number = Envelope::unwrap(&message("P-Asserted-Identity: <tel:+1-555-0100>\r\n", TEXT, b"hi")).unwrap();
    assert_eq!((number.from, number.from_name.as_deref()), (address("tel:+15550100"), Some("Alice")));
    assert_eq!(Envelope::unwrap(&message("P-Asserted-Identity: <urn:x:y>\r\n", TEXT, b"hi")), Err(EnvelopeError::From));
}

#[test]
fn what_is_no_message_is_refused_with_a_status() {
    let unwrap = |request: &Request| Envelope::unwrap(request).unwrap_err();
    let mut invite = message("", TEXT, b"hi");
    invite.method = Method::Invite;
    assert_eq!(unwrap(&invite), EnvelopeError::Method);
    assert_eq!(unwrap(&message("", TEXT, b"")), EnvelopeError::Empty);
    let encoded = unwrap(&message("Content-Encoding: deflate\r\nPriority: non-urgent\r\n", cpim::MEDIA_TYPE, b"x\x9c"));
    assert_eq!((&encoded, encoded.status()), (&EnvelopeError::Encoded, Status::UNSUPPORTED_MEDIA_TYPE));
    let broken = unwrap(&message("", cpim::MEDIA_TYPE, b"words"));
    assert!(matches!(broken, EnvelopeError::Cpim(_)) && broken.status() == Status::BAD_REQUEST);
    let required = b"NS: x <urn:x>\r\nRequire: x.Y\r\n\r\n\r\nhi";
    assert_eq!(unwrap(&message("", cpim::MEDIA_TYPE, required)), EnvelopeError::Required);
    let transfer = b"From: sip:a@b\r\n\r\nContent-Transfer-Encoding: x\r\n\r\nhi";
    assert_eq!(unwrap(&message("", cpim::MEDIA_TYPE, transfer)), EnvelopeError::Transfer);
    assert_eq!(unwrap(&message("", "text", b"hi")), EnvelopeError::Type);
    let mut nobody = message("", TEXT, b"hi");
    nobody.headers.set(HeaderName::From, "<sip:tandem.test>;tag=1");
    assert_eq!(unwrap(&nobody), EnvelopeError::From);
}

/// R053, R054, R059: a notification goes back to the sender if and only if it was asked for.
#[test]
fn only_what_was_asked_for_is_notified() {
    let mut entropy = Entropy::new([2; 32]);
    let mut message = Envelope::compose(&mut entropy, Time(1_000), alice(), bob(), Text::from("hi"), None);
    message.wants = Wants { displayed: false, ..Wants::ALL };
    let notification = message.notification(&mut entropy, Time(2_000), Report::Delivery(Delivery::Delivered)).unwrap();
    assert_eq!((&notification.from, &notification.to), (&bob(), &alice()));
    assert_eq!((&notification.conversation, &notification.in_reply_to), (&message.conversation, &message.contribution));
    let Content::Notification(told) = &notification.content else { panic!("{notification:?}") };
    assert_eq!((told.message_id.as_str(), told.date), (message.message_id.as_ref().unwrap().as_str(), Some(Time(1_000))));
    assert_eq!(Envelope::unwrap(&sent(notification.wrap())), Ok(notification));
    assert_eq!(message.notification(&mut entropy, Time(2_000), Report::Display(Display::Displayed)), None);
    message.message_id = None;
    assert_eq!(message.notification(&mut entropy, Time(2_000), Report::Delivery(Delivery::Delivered)), None);
}

/// Automatic answers never answer automatic messages, even if those ask for it.
#[test]
fn nothing_automatic_is_answered() {
    let mut entropy = Entropy::new([3; 32]);
    let notification = Notification::new(Text::from("m1"), Report::Display(Display::Displayed));
    for content in [Content::Notification(notification), Content::Composing(IsComposing::idle())] {
        let mut envelope = Envelope::compose(&mut entropy, Time(1), alice(), bob(), Text::default(), None);
        envelope.content = content;
        assert_eq!(envelope.wrap_plain(), None);
        for report in Report::ALL {
            assert_eq!(envelope.notification(&mut entropy, Time(2), report), None);
        }
    }
}

#[test]
fn a_text_goes_without_cpim_where_it_has_to() {
    let mut entropy = Entropy::new([4; 32]);
    let message = Envelope::compose(&mut entropy, Time(1), alice(), bob(), Text::from("h\u{e9}"), None);
    let plain = Envelope::unwrap(&sent(message.wrap_plain().unwrap())).unwrap();
    assert_eq!((plain.content, plain.message_id, plain.conversation), (message.content, None, message.conversation));
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        any::<String>().prop_map(|words| Content::Text(Text::from(words))),
        ("[!-~]{1,9}", select(&Report::ALL[..])).prop_map(|(id, report)| Content::Notification(Notification::new(Text::from(id), report))),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|body| Content::Other { content_type: Text::from("application/x;a=b"), body: Bytes::from(body) }),
    ]
}

proptest! {
    /// R036: whatever is wrapped is unwrapped to the same.
    #[test]
    fn wrapping_and_unwrapping_are_a_pair(
        seed in any::<[u8; 32]>(),
        name in option::of("[A-Za-z\\\\\"é\u{1f600}]{1,4}( [a-z\\\\\"]{1,4})?"),
        subject in option::of("[!-~é]{1,4}( [!-~\\\\]{1,4})?"),
        wants in any::<[bool; 3]>(),
        expires in any::<Option<u32>>(),
        date in 0u64..253_402_300_799_999,
        content in content(),
        tel in any::<bool>(),
    ) {
        let mut entropy = Entropy::new(seed);
        let to = if tel { address("tel:+15550101") } else { bob() };
        let envelope = Envelope {
            from_name: name.map(Text::from),
            subject: subject.map(Text::from),
            wants: Wants { delivered: wants[0], failed: wants[1], displayed: wants[2] },
            in_reply_to: wants[0].then(|| ContributionId::new(&mut entropy)),
            expires,
            content,
            ..Envelope::compose(&mut entropy, Time(date), alice(), to, Text::default(), None)
        };
        prop_assert_eq!(Envelope::unwrap(&sent(envelope.wrap())), Ok(envelope));
    }

    #[test]
    fn nothing_panics(kind in select(vec![TEXT, cpim::MEDIA_TYPE, imdn::MEDIA_TYPE, iscomposing::MEDIA_TYPE]), body in any::<Vec<u8>>()) {
        let _ = Envelope::unwrap(&message("", kind, &body));
    }
}
