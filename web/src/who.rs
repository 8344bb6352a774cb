//! What a person types to say whom they mean, as an address: `alice`, `alice@domain`, `sip:…`, `tel:…`, `+number`.

use wasm_core::cpm::address::Address;

use crate::texts::Phrase;

/// The address that is meant, or what is wrong with the words; a bare name is one of `domain`.
pub fn address(words: &str, domain: &str) -> Result<Address, Phrase<'static>> {
    let words = words.trim();
    if words.is_empty() {
        return Err(Phrase::WhoEmpty);
    }
    let lower = words.to_ascii_lowercase();
    if let Some(number) = lower.strip_prefix("tel:").or_else(|| lower.starts_with('+').then_some(lower.as_str())) {
        return number_address(number);
    }
    let bare = match lower.split_once(':') {
        Some(("sip" | "sips", _)) => &words[lower.find(':').map_or(0, |at| at + 1)..],
        _ => words,
    };
    if bare.contains(char::is_whitespace) {
        return Err(Phrase::WhoSpaces);
    }
    let (user, host) = bare.split_once('@').unwrap_or((bare, domain));
    if user.is_empty() {
        return Err(Phrase::WhoUser);
    }
    let name = host.split([':', ';', '?']).next().unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !name.split('.').all(is_label) {
        return Err(Phrase::WhoDomain);
    }
    Address::parse(&format!("sip:{user}@{host}")).ok_or(Phrase::WhoUser)
}

fn number_address(number: &str) -> Result<Address, Phrase<'static>> {
    let number = number.split(';').next().unwrap_or(number);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if !(3..=15).contains(&digits) {
        return Err(Phrase::WhoNumber);
    }
    Address::from_number(number).ok_or(Phrase::WhoNumber)
}

/// What stands for an address where no name is known: the user at home, the whole without its scheme elsewhere.
pub fn short(address: &Address, home: &str) -> String {
    match address.domain() {
        Some(domain) if domain == home => address.user().to_owned(),
        Some(domain) => format!("{}@{domain}", address.user()),
        None => address.user().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// R316: people write addresses in many forms.
    #[test]
    fn forms_that_are_understood() {
        for (words, meant) in [
            ("bob", "sip:bob@tandem.test"),
            (" bob ", "sip:bob@tandem.test"),
            ("Bob@Example.ORG", "sip:Bob@example.org"),
            ("sip:bob@example.org", "sip:bob@example.org"),
            ("SIPS:bob@example.org:5061", "sip:bob@example.org"),
            ("sip:bob", "sip:bob@tandem.test"),
            ("+1 (555) 01-00", "tel:+1555"),
            ("tel:+15550100", "tel:+15550100"),
        ] {
            let address = address(words, "tandem.test").unwrap();
            assert!(address.as_str().starts_with(meant), "{words}: {address}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, wrong) in [
            ("", Phrase::WhoEmpty),
            ("bob smith", Phrase::WhoSpaces),
            ("@example.org", Phrase::WhoUser),
            ("bob@", Phrase::WhoDomain),
            ("bob@-x", Phrase::WhoDomain),
            ("bob@a..b", Phrase::WhoDomain),
            ("+12", Phrase::WhoNumber),
            ("+1555x0100", Phrase::WhoNumber),
            ("tel:15550100", Phrase::WhoNumber),
        ] {
            assert_eq!(address(words, "tandem.test"), Err(wrong), "{words}");
        }
    }
}
