//! Typed headers: the first byte of the input chooses one, the rest is its value.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use wasm_core::Text;
use wasm_core::wire::sip::*;

fn read<H: TypedHeader + PartialEq + Debug>(value: &Text) {
    let Ok(header) = H::parse(value) else { return };
    let printed = header.to_string();
    let again = H::parse(&Text::from(&*printed));
    assert_eq!(again.as_ref(), Ok(&header), "{printed:?}");
    assert_eq!(again.map(|again| again.to_string()), Ok(printed));
}

macro_rules! choose {
    ($choice:expr, $value:expr, $($header:ident)*) => {{
        let readers: &[fn(&Text)] = &[$(read::<$header>),*];
        readers[usize::from($choice) % readers.len()]($value)
    }};
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, value)) = data.split_first() else { return };
    let Ok(value) = std::str::from_utf8(value) else { return };
    // As a value is after parsing: without white space around it and without line ends.
    let value = value.trim_matches([' ', '\t']);
    if value.contains(['\r', '\n']) {
        return;
    }
    choose!(choice, &Text::from(value),
        Accept AcceptContact Allow AuthenticationInfo Authorization CSeq CallId Contact ContentDisposition ContentType ConversationId
        Date Event Expires From InReplyTo Privacy RAck Reason Replaces RetryAfter Route SessionExpires SubscriptionState Supported Via
        Warning);
});
