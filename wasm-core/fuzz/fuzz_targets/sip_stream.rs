//! SIP messages in a stream: however it is cut, the same frames come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::wire::sip::{Frame, Framer, Limits, ParseErrorKind};

/// What came out of a stream that came in chunks of this size.
fn frames(data: &[u8], size: usize) -> Vec<Result<Frame, ParseErrorKind>> {
    let limits = Limits { message: 4096, head: 2048, body: 3072, headers: 64, header_line: 512, uri: 256 };
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for chunk in data.chunks(size.max(1)) {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            frames.push(frame.map_err(|error| error.kind));
        }
    }
    frames
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    assert_eq!(frames(data, usize::from(size)).len(), frames(data, data.len()).len());
});
