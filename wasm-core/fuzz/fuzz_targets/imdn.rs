//! Disposition notifications and typing indications.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::wire::imdn::Notification;
use wasm_core::wire::iscomposing::IsComposing;
use wasm_core::wire::xml::Fault;

fuzz_target!(|data: &[u8]| {
    if let Ok(notification) = Notification::parse(data) {
        match Notification::parse(&notification.encode()) {
            Ok(again) => assert_eq!(again, notification),
            Err(error) => assert_eq!(error.fault, Fault::TooLarge),
        }
    }
    if let Ok(composing) = IsComposing::parse(data) {
        match IsComposing::parse(&composing.encode()) {
            Ok(again) => assert_eq!(again, composing),
            Err(error) => assert_eq!(error.fault, Fault::TooLarge),
        }
    }
});
