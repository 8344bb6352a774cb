//! Message encryption for Web Push [RFC8291]: what a push service carries is readable in the browser alone.
//!
//! One record of `aes128gcm` [RFC8188] under keys from an ECDH agreement on P-256 between a key of the moment and that of the
//! subscription, and from a secret that only the browser and we know. Padding hides how long the message is.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// A point of P-256, uncompressed.
pub const POINT: usize = 65;
/// The browser's secret.
pub const SECRET: usize = 16;
/// What every push service has to take [RFC8291 §4].
const RECORD: usize = 4096;
const SALT: usize = 16;
const TAG: usize = 16;
/// The longest message: a record without its header, its tag and the byte that ends the message.
pub const LONGEST: usize = RECORD - (SALT + 4 + 1 + POINT) - TAG - 1;
/// Messages are filled up to a multiple of this.
const STEP: usize = 256;

/// The keys of a subscription: what the browser gives out for those who may send to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keys {
    pub point: [u8; POINT],
    pub secret: [u8; SECRET],
}

impl Keys {
    /// Keys that can be agreed with: the point is on the curve.
    pub fn new(point: [u8; POINT], secret: [u8; SECRET]) -> Option<Keys> {
        let keys = Keys { point, secret };
        keys.seal(b"").ok().map(|_| keys)
    }

    /// The body of a push message that says this. An error when it is too long, or the point is not on the curve.
    pub fn seal(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        let mut salt = [0; SALT];
        random.fill(&mut salt)?;
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
        let mut own_point = [0; POINT];
        own_point.copy_from_slice(own.compute_public_key()?.as_ref());
        let peer = UnparsedPublicKey::new(&ECDH_P256, self.point);
        let filled = (message.len() + 1).next_multiple_of(STEP).min(LONGEST + 1);
        agree_ephemeral(own, &peer, |shared| self.seal_with(shared, &own_point, salt, message, filled))?
    }

    /// `filled` is the length that the message gets by padding, the byte that ends it included.
    fn seal_with(&self, shared: &[u8], own: &[u8; POINT], salt: [u8; SALT], message: &[u8], filled: usize) -> Result<Vec<u8>, Unspecified> {
        if message.len() > LONGEST {
            return Err(Unspecified);
        }
        let agreed = Salt::new(HKDF_SHA256, &self.secret).extract(shared);
        let mut ikm = [0; 32];
        agreed.expand(&[b"WebPush: info\0", &self.point, own], HKDF_SHA256)?.fill(&mut ikm)?;
        let drawn = Salt::new(HKDF_SHA256, &salt).extract(&ikm);
        let key: UnboundKey = drawn.expand(&[b"Content-Encoding: aes128gcm\0"], &AES_128_GCM)?.into();
        let mut nonce = [0; 12];
        drawn.expand(&[b"Content-Encoding: nonce\0"], NonceLength)?.fill(&mut nonce)?;

        let mut record = Vec::with_capacity(filled + TAG);
        record.extend_from_slice(message);
        // The delimiter of the last record, before the padding [RFC8188 §2].
        record.push(2);
        record.resize(filled.max(record.len()), 0);
        LessSafeKey::new(key).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)?;

        let mut body = Vec::with_capacity(RECORD);
        body.extend_from_slice(&salt);
        body.extend_from_slice(&(RECORD as u32).to_be_bytes());
        body.push(POINT as u8);
        body.extend_from_slice(own);
        body.extend_from_slice(&record);
        Ok(body)
    }
}

/// As many bytes as a nonce has.
struct NonceLength;

impl KeyType for NonceLength {
    fn len(&self) -> usize {
        12
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::push::base64;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        base64::decode(text).unwrap().try_into().unwrap()
    }

    /// R224: the example of RFC 8291 §5, with the agreement of its appendix A.
    #[test]
    fn the_example_of_rfc_8291_comes_out() {
        let keys = Keys {
            point: bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            secret: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let own = bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let shared: [u8; 32] = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");
        let body = keys.seal_with(&shared, &own, salt, b"When I grow up, I want to be a watermelon", 0).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(base64::encode(&body), expected);
    }

    #[test]
    fn the_length_says_little_and_is_bounded() {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let point = private.compute_public_key().unwrap().as_ref().try_into().unwrap();
        let keys = Keys::new(point, [7; SECRET]).unwrap();
        assert_eq!(keys.seal(b"yes").unwrap().len(), keys.seal(&[b'x'; 200]).unwrap().len());
        assert_eq!(keys.seal(&vec![b'x'; LONGEST]).unwrap().len(), RECORD);
        assert!(keys.seal(&vec![b'x'; LONGEST + 1]).is_err());
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        assert_eq!(Keys::new([4; POINT], [0; SECRET]), None);
        assert_eq!(Keys::new([0; POINT], [0; SECRET]), None);
    }
}
