//! The list of deferred messages and what is to be done with them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::cpm::deferred::{Actions, List};

fuzz_target!(|data: &[u8]| {
    if let Ok(list) = List::parse(data)
        && let Ok(again) = List::parse(&list.encode())
    {
        assert_eq!(again.items.len(), list.items.len());
    }
    if let Ok(actions) = Actions::parse(data) {
        assert_eq!(Actions::parse(&actions.encode()), Ok(actions));
    }
});
