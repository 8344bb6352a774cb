//! Which part of the app the address bar names, behind its `#`.

use wasm_core::cpm::address::Address;

/// Where in the app one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The conversation list.
    Home,
    /// A conversation.
    With(Address),
}

impl Route {
    /// What a hash means; what means nothing is the start.
    pub fn parse(hash: &str) -> Route {
        let with = hash.trim_start_matches('/').strip_prefix("with/").and_then(decode).and_then(|address| Address::parse(&address));
        with.map_or(Route::Home, Route::With)
    }

    /// The hash that means this.
    pub fn hash(&self) -> String {
        match self {
            Route::Home => "/".to_owned(),
            Route::With(address) => format!("/with/{}", encode(address.as_str())),
        }
    }
}

/// The code of a device to be linked, where a hash is what its QR symbol says.
pub fn link_code(hash: &str) -> Option<&str> {
    hash.strip_prefix("link=").filter(|code| code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Percent-encodes all but what stands for itself in a fragment.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' | b'+' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        };
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn routes_read_back() {
        for address in ["sip:alice@tandem.test", "tel:+15550100", "sip:a%20b&c;d/?@x.test"] {
            let route = Route::With(Address::parse(address).unwrap());
            assert_eq!(Route::parse(&route.hash()), route);
        }
        for nonsense in ["", "/", "/with/", "/with/%", "/with/%ff", "/with/bob", "/elsewhere"] {
            assert_eq!(Route::parse(nonsense), Route::Home, "{nonsense}");
        }
        assert_eq!(link_code("link=12345678"), Some("12345678"));
        assert_eq!(link_code("link=<b>"), None);
    }
}
