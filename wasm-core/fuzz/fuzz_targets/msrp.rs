//! MSRP streams: however one is cut, the same comes out, and what is a frame is the same after it was printed.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasm_core::wire::msrp::{Decoder, Event, Fault, Frame, Limits};

/// What came out of a stream that came in pieces of this size: heads, ends and the bodies' bytes.
fn events(data: &[u8], size: usize) -> (Vec<Event>, Vec<u8>, bool) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut events, mut bodies) = (Vec::new(), Vec::new());
    for piece in data.chunks(size.max(1)) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(Event::Body(body))) => bodies.extend_from_slice(&body),
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, bodies, true),
            }
        }
    }
    (events, bodies, false)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    assert_eq!(events(data, usize::from(size)), events(data, data.len()));
    let limits = Limits::default();
    let Ok(frame) = Frame::parse(&Bytes::copy_from_slice(data), &limits) else { return };
    let head = &frame.head;
    let _ = (head.message_id(), head.byte_range(), head.success_report(), head.failure_report(), head.status());
    match Frame::parse(&frame.encode(), &limits) {
        Ok(again) => assert_eq!(again, frame),
        // Spaces that were missing are printed.
        Err(error) => assert_eq!(error.fault, Fault::TooLarge),
    }
});
