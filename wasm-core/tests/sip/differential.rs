//! The same messages read by rsip, as far as it can read them.

use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use wasm_core::Text;
use wasm_core::wire::sip::{CSeq, CallId, From, Limits, Message, NameAddr, To, Via};

use crate::torture::{Torture, Verdict};

/// Messages of the kinds that rsip was made for.
const PLAIN: &[&str] = &[
    "REGISTER sip:tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\nMax-Forwards: 70\r\n\
     From: \"Alice\" <sip:alice@tandem.test>;tag=1\r\nTo: <sip:alice@tandem.test>\r\nCall-ID: 1@192.0.2.1\r\nCSeq: 1 REGISTER\r\n\
     Contact: <sip:alice@192.0.2.1:5060>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
    "MESSAGE sip:bob@tandem.test SIP/2.0\r\nVia: SIP/2.0/TCP host.example;branch=z9hG4bKdef\r\nMax-Forwards: 70\r\n\
     From: <sip:alice@tandem.test>;tag=1\r\nTo: <sip:bob@tandem.test>\r\nCall-ID: 2@192.0.2.1\r\nCSeq: 2 MESSAGE\r\n\
     Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP server10.biloxi.com;branch=z9hG4bK4b43c2ff8.1\r\n\
     From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\nTo: Bob <sip:bob@biloxi.com>;tag=a6c85cf\r\nCall-ID: a84b4c76e66710\r\n\
     CSeq: 314159 INVITE\r\nContact: <sip:bob@192.0.2.4>\r\nContent-Length: 0\r\n\r\n",
];

/// What both make of an address.
fn same_address(ours: &NameAddr, display: Option<&str>, uri: &rsip::Uri, tag: Option<String>, name: &str) {
    assert_eq!(ours.display.as_deref(), display.map(|display| display.trim_matches('"')), "{name}");
    assert_eq!(ours.tag().map(Text::as_str), tag.as_deref(), "{name}");
    let Some(sip) = ours.uri.sip() else { return };
    let host = uri.host_with_port.host.to_string();
    // Without brackets rsip takes the user for a part of the host.
    if host.contains('@') {
        return;
    }
    assert!(sip.host == *host, "{name}: {} and {host}", sip.host);
    assert_eq!(sip.port, uri.host_with_port.port.as_ref().map(|port| *port.value()), "{name}");
    assert_eq!(sip.user.as_deref(), uri.auth.as_ref().map(|auth| &*auth.user), "{name}");
}

/// Compares what both read, and says whether rsip could read the message at all.
fn compare(name: &str, bytes: &[u8]) -> bool {
    let ours = Message::parse(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Ok(theirs) = rsip::SipMessage::try_from(bytes) else { return false };
    match (&ours, &theirs) {
        (Message::Request(ours), rsip::SipMessage::Request(theirs)) => {
            assert_eq!(ours.method.as_str(), theirs.method.to_string(), "{name}")
        }
        (Message::Response(ours), rsip::SipMessage::Response(theirs)) => assert_eq!(ours.status.0, theirs.status_code.code(), "{name}"),
        _ => panic!("{name}: one sees a request, the other a response"),
    }
    let is_length = |header: &&rsip::Header| match header {
        rsip::Header::ContentLength(_) => true,
        rsip::Header::Other(name, _) => name.eq_ignore_ascii_case("l"),
        _ => false,
    };
    assert_eq!(ours.headers().len(), theirs.headers().iter().filter(|header| !is_length(header)).count(), "{name}");
    let headers = ours.headers();
    if let Ok(call_id) = theirs.call_id_header() {
        assert_eq!(headers.read::<CallId>().unwrap().as_str(), call_id.value().trim(), "{name}");
    }
    if let Some(cseq) = theirs.cseq_header().ok().and_then(|cseq| cseq.typed().ok()) {
        assert_eq!(headers.read::<CSeq>().unwrap().number, cseq.seq, "{name}");
    }
    if let Some(from) = theirs.from_header().ok().and_then(|from| from.clone().typed().ok()) {
        let tag = from.tag().map(|tag| tag.value().to_owned());
        same_address(&headers.read::<From>().unwrap(), from.display_name.as_deref(), &from.uri, tag, name);
    }
    if let Some(to) = theirs.to_header().ok().and_then(|to| to.clone().typed().ok()) {
        let tag = to.tag().map(|tag| tag.value().to_owned());
        same_address(&headers.read::<To>().unwrap(), to.display_name.as_deref(), &to.uri, tag, name);
    }
    if let Some(via) = theirs.via_header().ok().and_then(|via| via.typed().ok()) {
        let ours = headers.read::<Via>().unwrap();
        assert_eq!(ours.branch().map(Text::as_str), via.branch().map(|branch| branch.value()), "{name}");
        assert_eq!(ours.transport.to_ascii_uppercase(), via.transport.to_string(), "{name}");
    }
    true
}

#[test]
fn both_read_plain_messages_alike() {
    for message in PLAIN {
        assert!(compare(message, message.as_bytes()), "rsip reads it");
    }
}

/// Where rsip reads a torture message, it reads the same. Left out are those that it reads wrongly: folds, several spaces.
#[test]
fn both_read_torture_messages_alike() {
    let wrong = ["wsinv", "intmeth", "esc01", "esc02"];
    let read = Torture::all()
        .iter()
        .filter(|torture| matches!(torture.verdict, Verdict::Accept(_)) && !wrong.contains(&torture.name.as_str()))
        .filter(|torture| compare(&torture.name, &torture.bytes))
        .count();
    assert!(read >= 15, "rsip reads {read}");
}
