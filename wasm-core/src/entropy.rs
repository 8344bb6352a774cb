//! Chance as an input: a generator seeded once by whoever has a good source of it.
//!
//! SHA-256 in counter mode over a 32-byte seed, so that identifiers, tags and nonces cannot be guessed from those seen before,
//! and so that a test with a fixed seed sees the same ones on every run.

use std::fmt;

use sha2::{Digest, Sha256};

/// A seeded source of unguessable bytes.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Entropy {
    /// A generator for this seed, which must be secret wherever its output has to be.
    pub fn new(seed: [u8; 32]) -> Self {
        Entropy { seed, counter: 0, block: [0; 32], used: 32 }
    }

    /// A generator of its own for one part of the program, which this one's later output says nothing about.
    pub fn fork(&mut self) -> Entropy {
        Entropy::new(self.bytes())
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for byte in &mut out {
            if self.used == self.block.len() {
                let mut hash = Sha256::new();
                hash.update(self.seed);
                hash.update(self.counter.to_be_bytes());
                self.block = hash.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
        out
    }

    /// A number below `bound`, or zero when the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()).checked_rem(bound).unwrap_or(0)
    }

    /// `2 * N` lower-case hexadecimal digits: a tag, a branch, a nonce.
    pub fn hex<const N: usize>(&mut self) -> String {
        hex(&self.bytes::<N>())
    }

    /// A random UUID (RFC 4122, version 4) as text.
    pub fn uuid(&mut self) -> String {
        let mut bytes = self.bytes::<16>();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let digits = hex(&bytes);
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}

impl fmt::Debug for Entropy {
    /// The seed stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").field("counter", &self.counter).finish_non_exhaustive()
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_a_fork_differs() {
        let mut one = Entropy::new([7; 32]);
        let mut two = Entropy::new([7; 32]);
        assert_eq!(one.hex::<40>(), two.hex::<40>());
        let mut fork = one.fork();
        assert_ne!(fork.hex::<16>(), one.hex::<16>());
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let uuid = Entropy::new([1; 32]).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
