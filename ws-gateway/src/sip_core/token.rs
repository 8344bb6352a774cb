//! Route tokens: where a dialog's next request goes, written into Record-Route so that nobody can make one up [RFC5626 §5.3].
//!
//! A token is a hop and a keyed hash over it. The node keeps no state for it: a token from before a restart still names a UDP
//! address, while one that names a connection dies with the process, because connection numbers start again.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};
use wasm_core::Text;
use wasm_core::entropy::hex;

use crate::node::{FlowId, Hop, Transport};

const MAC: usize = 10;

/// Bytes of ours that pass through others' hands: in hexadecimal, with a keyed hash.
#[derive(Clone)]
pub(crate) struct Seal {
    key: [u8; 32],
}

impl Seal {
    /// A seal for one purpose.
    pub(crate) fn new(purpose: &[u8], secret: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(secret);
        Seal { key: hash.finalize().into() }
    }

    /// The text that stands for `payload`.
    pub(crate) fn close(&self, payload: &[u8]) -> String {
        let mut bytes = payload.to_vec();
        bytes.extend_from_slice(&self.mac(payload));
        hex(&bytes)
    }

    /// The payload, if this seal made the text.
    pub(crate) fn open(&self, text: &str) -> Option<Vec<u8>> {
        // The longest payload is a connection's or an IPv6 address's, well below this.
        if text.len() > 128 {
            return None;
        }
        let mut bytes = unhex(text)?;
        let (payload, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&self.mac(payload)[..], mac)) {
            return None;
        }
        bytes.truncate(bytes.len() - MAC);
        Some(bytes)
    }

    fn mac(&self, payload: &[u8]) -> [u8; MAC] {
        // Hashed a second time under the key, so that nothing can be appended to the payload.
        let inner = Sha256::new().chain_update(self.key).chain_update(payload).finalize();
        let outer = Sha256::new().chain_update(self.key).chain_update(b"outer").chain_update(inner).finalize();
        let mut mac = [0; MAC];
        mac.copy_from_slice(&outer[..MAC]);
        mac
    }
}

impl std::fmt::Debug for Seal {
    /// The key stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// Seals and opens tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    seal: Seal,
    /// Distinguishes this run's connections from those of the last one.
    run: [u8; 4],
}

impl Tokens {
    pub(crate) fn new(secret: &[u8; 32], run: [u8; 4]) -> Self {
        Tokens { seal: Seal::new(b"tandem route token", secret), run }
    }

    /// The user part that stands for `hop`.
    pub(crate) fn seal(&self, hop: &Hop) -> Text {
        Text::from(self.seal.close(&self.payload(hop)))
    }

    /// The hop that a user part stands for, if this node wrote it.
    pub(crate) fn open(&self, token: &str) -> Option<Hop> {
        let payload = self.seal.open(token)?;
        let (kind, rest) = payload.split_first()?;
        match kind {
            b'f' => {
                let (run, flow) = rest.split_at_checked(4)?;
                (run == self.run).then_some(())?;
                Some(Hop::Flow(FlowId(u64::from_be_bytes(flow.try_into().ok()?))))
            }
            b'u' => Some(Hop::Udp(address(rest)?)),
            b'd' => {
                let (transport, rest) = rest.split_first()?;
                let transport = match transport {
                    1 => Transport::Tcp,
                    2 => Transport::Tls,
                    _ => return None,
                };
                Some(Hop::Dial { transport, addr: address(rest)? })
            }
            _ => None,
        }
    }

    fn payload(&self, hop: &Hop) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        match hop {
            Hop::Flow(FlowId(flow)) => {
                bytes.push(b'f');
                bytes.extend_from_slice(&self.run);
                bytes.extend_from_slice(&flow.to_be_bytes());
            }
            Hop::Udp(addr) => {
                bytes.push(b'u');
                push_address(&mut bytes, addr);
            }
            Hop::Dial { transport, addr } => {
                bytes.push(b'd');
                bytes.push(if *transport == Transport::Tls { 2 } else { 1 });
                push_address(&mut bytes, addr);
            }
        }
        bytes
    }
}

fn push_address(bytes: &mut Vec<u8>, addr: &SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
    }
    bytes.extend_from_slice(&addr.port().to_be_bytes());
}

fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_to_its_hop_and_no_other_opens_at_all() {
        let tokens = Tokens::new(&[1; 32], [9; 4]);
        let hops = [
            Hop::Flow(FlowId(77)),
            Hop::Udp("192.0.2.1:5060".parse().unwrap()),
            Hop::Udp("[2001:db8::1]:5062".parse().unwrap()),
            Hop::Dial { transport: Transport::Tls, addr: "192.0.2.7:5061".parse().unwrap() },
        ];
        for hop in hops {
            let token = tokens.seal(&hop);
            assert_eq!(tokens.open(&token), Some(hop));
            for at in 0..token.len() {
                let mut forged = token.as_str().to_owned();
                let other = if &forged[at..=at] == "0" { "1" } else { "0" };
                forged.replace_range(at..=at, other);
                assert_eq!(tokens.open(&forged), None);
            }
            assert_eq!(Tokens::new(&[2; 32], [9; 4]).open(&token), None);
        }
    }

    #[test]
    fn a_connection_of_an_earlier_run_is_gone_and_an_address_is_not() {
        let before = Tokens::new(&[1; 32], [1; 4]);
        let after = Tokens::new(&[1; 32], [2; 4]);
        assert_eq!(after.open(&before.seal(&Hop::Flow(FlowId(1)))), None);
        let udp = Hop::Udp("192.0.2.1:5060".parse().unwrap());
        assert_eq!(after.open(&before.seal(&udp)), Some(udp));
        for junk in ["", "zz", "f", "00", &"a".repeat(500)] {
            assert_eq!(after.open(junk), None);
        }
    }
}
