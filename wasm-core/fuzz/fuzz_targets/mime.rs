//! Bodies of several parts and their transfer encodings; the first line of the input is the boundary.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasm_core::wire::mime::Fault;
use wasm_core::wire::mime::multipart::Multipart;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(boundary) = std::str::from_utf8(&data[..end]) else { return };
    let Ok(multipart) = Multipart::parse(boundary, &Bytes::copy_from_slice(&data[end + 1..])) else { return };
    for part in &multipart.parts {
        let _ = (part.decoded(), part.content_type());
    }
    match Multipart::parse(boundary, &multipart.encode()) {
        Ok(again) => assert_eq!(again, multipart),
        Err(error) => assert_eq!(error.fault, Fault::TooLarge),
    }
});
