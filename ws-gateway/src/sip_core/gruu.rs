//! Globally routable addresses of one device [RFC5627].
//!
//! The public one is the address of record with the device in its `gr` parameter. The temporary one hides both: an opaque user part,
//! sealed by a keyed hash, that names the user and the device and holds while that device is registered.

use sha2::{Digest, Sha256};
use wasm_core::Text;
use wasm_core::wire::sip::{SipUri, Uri};

use super::location::Binding;
use super::token::Seal;
use crate::store::UserId;

const PREFIX: &str = "tgruu.";

/// Makes and understands GRUUs.
#[derive(Debug)]
pub(crate) struct Gruus {
    seal: Seal,
}

/// What a temporary GRUU names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Temporary {
    pub(crate) user: UserId,
    device: [u8; 8],
}

impl Temporary {
    /// Whether the binding is the device that was meant.
    pub(crate) fn is(&self, binding: &Binding) -> bool {
        binding.instance.as_ref().is_some_and(|instance| fingerprint(instance) == self.device)
    }
}

impl Gruus {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Gruus { seal: Seal::new(b"tandem gruu", secret) }
    }

    /// The public GRUU of a device at this address of record.
    pub(crate) fn public(&self, aor: &str, instance: &str) -> Text {
        Text::from(format!("{aor};gr={instance}"))
    }

    /// A temporary GRUU of a device, at `domain`; `salt` makes it another one each time.
    pub(crate) fn temporary(&self, user: UserId, instance: &str, salt: [u8; 4], domain: &str) -> Text {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(&user.0.to_be_bytes());
        bytes.extend_from_slice(&fingerprint(instance));
        Text::from(format!("sip:{PREFIX}{}@{domain};gr", self.seal.close(&bytes)))
    }

    /// What a user part of ours names.
    pub(crate) fn open(&self, uri: &SipUri) -> Option<Temporary> {
        let bytes = self.seal.open(uri.user.as_ref()?.strip_prefix(PREFIX)?)?;
        Some(Temporary {
            user: UserId(i64::from_be_bytes(bytes.get(4..12)?.try_into().ok()?)),
            device: bytes.get(12..20)?.try_into().ok()?,
        })
    }
}

/// The device that a public GRUU names.
pub(crate) fn instance(uri: &Uri) -> Option<&str> {
    match uri {
        Uri::Sip(uri) => uri.params.value("gr"),
        Uri::Tel(_) | Uri::Other(_) => None,
    }
}

fn fingerprint(instance: &str) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&Sha256::digest(instance.as_bytes())[..8]);
    out
}
