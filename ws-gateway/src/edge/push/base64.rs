//! Base64 for addresses, without padding [RFC4648 §5]: how Web Push writes keys, tokens and topics.

use crate::edge::assets;

/// Writes bytes.
pub fn encode(bytes: &[u8]) -> String {
    assets::base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Reads bytes; padding may be there.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Neither a lone letter nor bits that no byte has.
    (held < 6 && bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (plain, coded) in [(&b""[..], ""), (b"\xfb", "-w"), (b"\xff\xfe", "__4"), (b"foo", "Zm9v")] {
            assert_eq!(encode(plain), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain));
        }
        assert_eq!(decode("__4=").as_deref(), Some(&b"\xff\xfe"[..]));
        for wrong in ["A", "-x", "a+b/", "Zm9v!"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
