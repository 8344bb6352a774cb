//! Session descriptions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::wire::sdp::{Fault, Sdp};

fuzz_target!(|data: &[u8]| {
    let Ok(sdp) = Sdp::parse(data) else { return };
    for section in sdp.media() {
        let _ = (section.kind(), section.is_refused(), section.is_secure(), section.direction(), section.setup(), section.max_size());
        let _ = (section.accepts("text/plain"), section.accepts_wrapped("text/plain"), section.path().count());
        let _ = section.data_channel("msrp").and_then(|stream| section.channel_value(stream, "path"));
    }
    let printed = sdp.encode();
    match Sdp::parse(&printed) {
        Ok(again) => assert_eq!(again.encode(), printed),
        // Lines that were left out are printed, such as the time.
        Err(error) => assert_eq!(error.fault, Fault::TooLarge),
    }
});
