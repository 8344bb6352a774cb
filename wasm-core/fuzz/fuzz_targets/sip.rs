//! SIP messages, as they come in a datagram.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::wire::sip::{Contact, Limits, Message, ParseErrorKind, Via};

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    match Message::parse(data, &limits) {
        Ok(message) => {
            let printed = message.to_bytes();
            match Message::parse(&printed, &limits) {
                Ok(again) => {
                    assert_eq!(again, message);
                    assert_eq!(again.to_bytes(), printed);
                }
                // A compact name is printed in its long form.
                Err(error) => assert_eq!(error.kind, ParseErrorKind::TooLarge),
            }
            let hops = message.headers().list::<Via>();
            assert!(hops.is_ok_and(|hops| !hops.is_empty()) || data.len() > 4096, "the hops have been checked");
            let contacts = message.headers().list::<Contact>();
            assert!(contacts.is_ok() || data.len() > 2048, "the contacts have been checked");
        }
        Err(error) => {
            assert!(error.offset <= data.len());
            drop(error.reply.map(|reply| reply.to_bytes()));
        }
    }
});
