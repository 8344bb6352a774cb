//! User agents that stumble over two challenges, and the order in which they can take them.
//!
//! A challenge with SHA-256 comes first and one with MD5 second [RFC8760 §2.1], and a client that does not know an algorithm is to skip it
//! [RFC3261 §22.4]. Some widely packaged ones give up instead: on any unknown algorithm, or on an unknown first one. They are
//! recognised by what they say of themselves, and every other client gets both challenges in the order of strength.

use wasm_core::wire::sip::{HeaderName, Request};

/// Which challenges a user agent can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// SHA-256, then MD5.
    Both,
    /// MD5, then SHA-256: it reads the first one only.
    WeakestFirst,
    /// MD5 alone: it gives up where it sees anything else.
    WeakestAlone,
}

/// What to offer the sender of this request.
pub(crate) fn offer(request: &Request) -> Offer {
    let agent = request.headers.get(&HeaderName::UserAgent).map(|agent| agent.trim()).unwrap_or_default();
    if let Some(version) = agent.strip_prefix("baresip v") {
        return if release(version) < (3, 12) { Offer::WeakestAlone } else { Offer::Both };
    }
    if let Some(version) = agent.strip_prefix("PJSUA v") {
        return if release(version) < (2, 11) { Offer::WeakestFirst } else { Offer::Both };
    }
    let branch = request.headers.get(&HeaderName::Via).and_then(|via| via.split_once("branch=")).map(|(_, branch)| branch);
    if branch.is_some_and(made_by_sipp) { Offer::WeakestFirst } else { Offer::Both }
}

/// The major and minor number at the start of a version, zero for what is no number.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// sipp says nothing of itself, but its branches are its process, the call and the step: `z9hG4bK-4711-1-0`.
fn made_by_sipp(branch: &str) -> bool {
    let Some(rest) = branch.strip_prefix("z9hG4bK-") else { return false };
    let rest = rest.split([';', ',', ' ']).next().unwrap_or_default();
    let mut parts = rest.split('-');
    let numbers = parts.by_ref().take(3).filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())).count();
    numbers == 3 && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use wasm_core::Text;
    use wasm_core::wire::sip::{Method, Uri};

    use super::*;

    fn offered(agent: &str, branch: &str) -> Offer {
        let mut request = Request::new(Method::Register, Uri::parse(&Text::from("sip:tandem.test")).expect("a URI"));
        request.headers.push(HeaderName::Via, format!("SIP/2.0/UDP 127.0.0.1:5062;branch={branch};rport"));
        request.headers.push(HeaderName::UserAgent, agent);
        offer(&request)
    }

    #[test]
    fn old_phones_are_known_by_their_names() {
        assert_eq!(offered("baresip v1.0.0 (x86_64/linux)", "z9hG4bK8295ffa1"), Offer::WeakestAlone);
        assert_eq!(offered("baresip v3.12.0 (x86_64/Linux)", "z9hG4bK8295ffa1"), Offer::Both);
        assert_eq!(offered("PJSUA v2.9 Linux", "z9hG4bKPj1"), Offer::WeakestFirst);
        assert_eq!(offered("PJSUA v2.14 Linux", "z9hG4bKPj1"), Offer::Both);
        assert_eq!(offered("Tandem", "z9hG4bK8295ffa1"), Offer::Both);
    }

    #[test]
    fn sipp_is_known_by_its_branches() {
        assert_eq!(offered("", "z9hG4bK-4711-1-0"), Offer::WeakestFirst);
        for other in ["z9hG4bK-4711-1", "z9hG4bK-4711-1-0-9", "z9hG4bK-47a1-1-0", "z9hG4bK-4711--0", "z9hG4bK4711-1-0"] {
            assert_eq!(offered("", other), Offer::Both, "{other}");
        }
    }
}
