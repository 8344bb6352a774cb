//! The arithmetic of digest access authentication: what is hashed with what [RFC7616 §3.4].
//!
//! One pass of one algorithm over borrowed pieces, no allocation. HMAC-SHA-256 [RFC2104], with which the server signs its nonces,
//! is here too. What travels in a header, and when, is told by the neighbouring modules.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::entropy::hex;

/// A hash that a challenge may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// The fallback of [RFC3261 §22.4], for clients that know nothing newer.
    Md5,
    /// The one that is offered first [RFC8760 §2.3].
    Sha256,
}

impl Algorithm {
    /// The name in a challenge and in its answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The algorithm of that name; a challenge without a name means MD5.
    pub fn parse(name: Option<&str>) -> Option<Algorithm> {
        match name {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    /// The hash of `parts`, joined by colons, in lower-case hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        fn run<H: Digest>(parts: &[&str]) -> String {
            let mut hash = H::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    hash.update(b":");
                }
                hash.update(part.as_bytes());
            }
            hex(&hash.finalize())
        }
        match self {
            Algorithm::Md5 => run::<Md5>(parts),
            Algorithm::Sha256 => run::<Sha256>(parts),
        }
    }
}

/// The hash of user, realm and password by each algorithm: a secret as good as the password within its realm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    /// By MD5.
    pub md5: [u8; 16],
    /// By SHA-256.
    pub sha256: [u8; 32],
}

impl Ha1 {
    /// The hashes of a password.
    pub fn new(user: &str, realm: &str, password: &str) -> Ha1 {
        let text = [user, ":", realm, ":", password];
        let mut md5 = Md5::new();
        let mut sha256 = Sha256::new();
        for part in text {
            md5.update(part.as_bytes());
            sha256.update(part.as_bytes());
        }
        Ha1 { md5: md5.finalize().into(), sha256: sha256.finalize().into() }
    }

    /// The one that `algorithm` takes, in the hexadecimal form in which it is hashed again.
    fn digits(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Md5 => hex(&self.md5),
            Algorithm::Sha256 => hex(&self.sha256),
        }
    }
}

impl fmt::Debug for Ha1 {
    /// The hashes stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// What a client adds to the hash under `qop=auth`.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    /// Eight hexadecimal digits, as they stand in the header.
    pub nc: &'a str,
    /// The client's nonce.
    pub cnonce: &'a str,
}

/// The `response` of a set of credentials; without a count as RFC 2069 had it.
pub fn response(algorithm: Algorithm, ha1: &Ha1, nonce: &str, count: Option<Count<'_>>, method: &str, uri: &str) -> String {
    let secret = ha1.digits(algorithm);
    let request = algorithm.hash(&[method, uri]);
    match count {
        Some(Count { nc, cnonce }) => algorithm.hash(&[&secret, nonce, nc, cnonce, "auth", &request]),
        None => algorithm.hash(&[&secret, nonce, &request]),
    }
}

/// Whether two strings are the same, in a time that says nothing about where they differ.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// HMAC-SHA-256 of `parts`, one after the other.
pub fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let padded = |filler: u8| {
        let mut block = [filler; BLOCK];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let mut inner = Sha256::new();
    inner.update(padded(0x36));
    for part in parts {
        inner.update(part);
    }
    let mut outer = Sha256::new();
    outer.update(padded(0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R008: the example of RFC 2617 §3.5.
    #[test]
    fn the_example_of_rfc_2617() {
        let ha1 = Ha1::new("Mufasa", "testrealm@host.com", "Circle Of Life");
        let count = Count { nc: "00000001", cnonce: "0a4f113b" };
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let answer = response(Algorithm::Md5, &ha1, nonce, Some(count), "GET", "/dir/index.html");
        assert_eq!(answer, "6629fae49393a05397450978507c4ef1");
    }

    /// R008: the example of RFC 2069 as its erratum corrects it, without qop.
    #[test]
    fn the_example_of_rfc_2069() {
        let ha1 = Ha1::new("Mufasa", "testrealm@host.com", "CircleOfLife");
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        assert_eq!(response(Algorithm::Md5, &ha1, nonce, None, "GET", "/dir/index.html"), "1949323746fe6a43ef61f9606e7febea");
    }

    /// R008: the two answers of RFC 7616 §3.9.1, whose algorithms RFC 8760 brings to SIP.
    #[test]
    fn the_examples_of_rfc_7616() {
        let ha1 = Ha1::new("Mufasa", "http-auth@example.org", "Circle of Life");
        let count = Count { nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ" };
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let answer = |algorithm| response(algorithm, &ha1, nonce, Some(count), "GET", "/dir/index.html");
        assert_eq!(answer(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(answer(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    /// The second case of RFC 4231 has a key of four bytes; zeros that pad it to 32 change nothing.
    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let sum = hmac(&key, &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&sum), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn algorithms_have_names() {
        assert_eq!(Algorithm::parse(None), Some(Algorithm::Md5));
        assert_eq!(Algorithm::parse(Some("sha-256")), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::parse(Some("SHA-256-sess")), None);
        assert!(Algorithm::Sha256 > Algorithm::Md5);
    }
}
