//! Stand-alone messages: the first line of the input is the content type, the rest the body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::wire::sip::{HeaderName, Method, Request};

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    // As a header's value is after parsing: without white space around it and without controls.
    let Some(content_type) = std::str::from_utf8(&data[..end]).ok().map(str::trim).filter(|text| !text.contains(char::is_control)) else {
        return;
    };
    let (Some(alice), Some(bob)) = (Address::parse("sip:alice@tandem.test"), Address::parse("tel:+15550101")) else { return };
    let plain = Envelope::new(alice, bob.clone(), Content::Text("".into())).wrap();
    let mut request = Request::new(Method::Message, bob.to_uri());
    request.headers = plain.headers;
    request.headers.set(HeaderName::ContentType, content_type);
    request.body = Bytes::copy_from_slice(&data[end + 1..]);
    let Ok(envelope) = Envelope::unwrap(&request) else { return };
    match Envelope::unwrap(&envelope.wrap()) {
        // A typing indication goes without CPIM, and without what only CPIM can say.
        Ok(again) if matches!(envelope.content, Content::Composing(_)) => assert_eq!(again.content, envelope.content),
        Ok(again) => assert_eq!(again, envelope),
        Err(error) => assert!(error.to_string().ends_with("too large") || error.to_string().contains("too many"), "{error}"),
    }
});
