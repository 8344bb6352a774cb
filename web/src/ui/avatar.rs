//! A person as a coloured circle with initials: the same colour for the same address, on every device.

use yew::prelude::*;

use crate::shell::case;

/// How many colours there are in `style/base.css`.
const TONES: u32 = 8;

/// The circle; the colour follows from the address, the initials from the name. Decoration: the name always stands beside it, so it is
/// hidden from screen readers.
pub fn avatar(address: &str, name: &str, large: bool) -> Html {
    let tone = format!("avatar--tone-{}", tone(address));
    html! { <span class={classes!("avatar", tone, large.then_some("avatar--large"))} aria-hidden="true">{ initials(name) }</span> }
}

/// Which of the colours belongs to an address (FNV-1a).
fn tone(address: &str) -> u32 {
    address.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) % TONES
}

/// One or two letters that stand for a name; a digit pair for a telephone number.
pub fn initials(name: &str) -> String {
    let name = name.trim();
    if name.starts_with('+') {
        let digits: Vec<char> = name.chars().filter(char::is_ascii_digit).collect();
        return digits[digits.len().saturating_sub(2)..].iter().collect();
    }
    let mut words = name.split(|c: char| c.is_whitespace() || matches!(c, '.' | '_' | '-' | '@')).filter(|word| !word.is_empty());
    let first = words.next().and_then(|word| word.chars().next());
    let last = if name.contains('@') { None } else { words.next_back().and_then(|word| word.chars().next()) };
    case::upper(&first.into_iter().chain(last).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn initials_of_names_addresses_and_numbers() {
        assert_eq!(initials("Alice Example"), "AE");
        assert_eq!(initials("Ada King Lovelace"), "AL");
        assert_eq!(initials("bob"), "B");
        assert_eq!(initials("bob@tandem.test"), "B");
        assert_eq!(initials("+15550142"), "42");
        assert_eq!(initials("élodie"), "É");
        assert_eq!(initials(""), "");
    }
}
