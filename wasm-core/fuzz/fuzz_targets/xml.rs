//! Registration information and recipient lists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_core::wire::xml::Fault;
use wasm_core::wire::xml::reginfo::Reginfo;
use wasm_core::wire::xml::resource_lists::ResourceLists;

fuzz_target!(|data: &[u8]| {
    if let Ok(reginfo) = Reginfo::parse(data) {
        match Reginfo::parse(&reginfo.encode()) {
            Ok(again) => assert_eq!(again, reginfo),
            Err(error) => assert_eq!(error.fault, Fault::TooLarge),
        }
    }
    if let Ok(lists) = ResourceLists::parse(data) {
        let _ = lists.entries();
        match ResourceLists::parse(&lists.encode()) {
            Ok(again) => assert_eq!(again, lists),
            Err(error) => assert_eq!(error.fault, Fault::TooLarge),
        }
    }
});
