//! HTTP digest as SIP uses it [RFC3261 §22] [RFC8760], both ends, SHA-256 before MD5.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

/// What stands for a password in digest: H(user:realm:password), per algorithm. As good as the password itself within its realm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    /// For `algorithm=MD5`.
    pub md5: [u8; 16],
    /// For `algorithm=SHA-256`.
    pub sha256: [u8; 32],
}

impl Ha1 {
    /// The hashes of a password, which belongs to this user name and realm alone.
    pub fn new(user: &str, realm: &str, password: &str) -> Ha1 {
        let text = format!("{user}:{realm}:{password}");
        Ha1 { md5: Md5::digest(&text).into(), sha256: Sha256::digest(&text).into() }
    }
}

impl fmt::Debug for Ha1 {
    /// Secrets stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::hex;

    /// The user of the examples in [RFC2617 §3.5] and [RFC7616 §3.9.1].
    #[test]
    fn hashes_are_those_of_the_examples() {
        assert_eq!(hex(&Ha1::new("Mufasa", "testrealm@host.com", "Circle Of Life").md5), "939e7578ed9e3c518a452acee763bce9");
        assert_eq!(
            hex(&Ha1::new("Mufasa", "http-auth@example.org", "Circle of Life").sha256),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
