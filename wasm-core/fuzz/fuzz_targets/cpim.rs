//! CPIM envelopes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasm_core::wire::cpim::{Cpim, Fault};
use wasm_core::wire::mime;

fuzz_target!(|data: &[u8]| {
    let Ok(cpim) = Cpim::parse(&Bytes::copy_from_slice(data)) else { return };
    match Cpim::parse(&cpim.encode()) {
        Ok(again) => assert_eq!(again, cpim),
        // Escapes and declarations can make the print longer than what was read.
        Err(error) => assert!(matches!(error.fault, Fault::TooLarge | Fault::Content(mime::Fault::TooLarge)), "{error}"),
    }
});
