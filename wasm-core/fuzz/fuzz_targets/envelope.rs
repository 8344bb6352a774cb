//! Stand-alone messages: the first line of the input is the content type, the rest the body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::wire::sip::{HeaderName, Method, Request};

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(content_type) = std::str::from_utf8(&data[..end]) else { return };
    let (Some(alice), Some(bob)) = (Address::parse("sip:alice@tandem.test"), Address::parse("tel:+15550101")) else { return };
    let plain = Envelope::new(alice, bob.clone(), Content::Text("".into())).wrap();
    let mut request = Request::new(Method::Message, bob.to_uri());
    request.headers = plain.headers;
    request.headers.set(HeaderName::ContentType, content_type);
    request.body = Bytes::copy_from_slice(&data[end + 1..]);
    if let Ok(envelope) = Envelope::unwrap(&request) {
        let _ = Envelope::unwrap(&envelope.wrap());
    }
});
