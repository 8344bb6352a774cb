//! Who we are to a push service [RFC8292]: a key of this installation's own, and a token signed with it for each request.
//!
//! The key is made on first use and kept in the store: a browser subscribes for this key, and another would find every subscription
//! closed to it.

use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use wasm_core::Time;

use super::base64;
use crate::store::{Store, StoreError};

/// How long a token holds; no push service takes more than a day.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Where the private number is in what ring generates, and how long it is.
const PRIVATE: std::ops::Range<usize> = 36..68;
/// How often a key is looked for whose parts do not fit.
const ATTEMPTS: usize = 8;

/// The key and whom to write to about it.
pub struct Vapid {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// An address, `mailto:` or `https:`.
    contact: String,
}

impl Vapid {
    /// The installation's key, made where there is none.
    pub fn load(store: &dyn Store, contact: String) -> Result<Vapid, StoreError> {
        let random = SystemRandom::new();
        let broken = || StoreError::Internal("no key for push services can be made".into());
        // A secret of the store is 32 bytes, and a key three of them. Where a crash came between, they do not fit: then the next three.
        for attempt in 0..ATTEMPTS {
            let fresh = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| broken())?;
            let made = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, fresh.as_ref(), &random).map_err(|_| broken())?;
            let part = |name: &str, bytes: Option<&[u8]>| {
                let fresh = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(broken)?;
                store.secret(&format!("push {name} {attempt}"), fresh)
            };
            let point = made.public_key().as_ref();
            let private = part("private", fresh.as_ref().get(PRIVATE))?;
            let (x, y) = (part("x", point.get(1..33))?, part("y", point.get(33..))?);
            let point = [&[4][..], &x, &y].concat();
            let kept = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, &point, &random);
            if let Ok(key) = kept {
                return Ok(Vapid { key, random, contact });
            }
        }
        Err(broken())
    }

    /// The public key, as browsers want it.
    pub fn public(&self) -> String {
        base64::encode(self.key.public_key().as_ref())
    }

    /// The Authorization of a request to a push service, `audience` being its origin.
    pub fn authorization(&self, audience: &str, now: Time) -> Option<String> {
        let part = |json: serde_json::Value| base64::encode(json.to_string().as_bytes());
        let head = part(serde_json::json!({ "typ": "JWT", "alg": "ES256" }));
        let claims = part(serde_json::json!({ "aud": audience, "exp": (now + LIFETIME).seconds(), "sub": self.contact }));
        let said = format!("{head}.{claims}");
        let signature = self.key.sign(&self.random, said.as_bytes()).ok()?;
        Some(format!("vapid t={said}.{}, k={}", base64::encode(signature.as_ref()), self.public()))
    }
}

impl std::fmt::Debug for Vapid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vapid").field("contact", &self.contact).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn the_key_outlives_a_restart_and_a_crash_while_it_was_made() {
        let store = Sqlite::in_memory().unwrap();
        // The last run came no further than this.
        store.secret("push private 0", [9; 32]).unwrap();
        let vapid = Vapid::load(&store, "mailto:me@tandem.test".into()).unwrap();
        assert_eq!(base64::decode(&vapid.public()).unwrap().len(), 65);
        assert_eq!(vapid.public(), Vapid::load(&store, String::new()).unwrap().public());
    }

    /// R224: a token that a push service can check, for it alone and not for ever.
    #[test]
    fn the_token_is_signed_for_one_push_service() {
        let vapid = Vapid::load(&Sqlite::in_memory().unwrap(), "mailto:me@tandem.test".into()).unwrap();
        let line = vapid.authorization("https://push.example", Time(1_000_000)).unwrap();
        let (token, key) = line.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let (said, signature) = token.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, base64::decode(key).unwrap());
        key.verify(said.as_bytes(), &base64::decode(signature).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&base64::decode(said.split_once('.').unwrap().1).unwrap()).unwrap();
        assert_eq!(claims, serde_json::json!({ "aud": "https://push.example", "exp": 1000 + 43_200, "sub": "mailto:me@tandem.test" }));
    }
}
