//! Transfer encodings [RFC2045 §6]: how a body was made fit for a narrower path.
//!
//! Ours travel as they are; some clients send even plain text in base64.

use bytes::Bytes;

use super::{Fault, MimeError, Part};

impl Part {
    /// The body with its transfer encoding undone. An encoding that is not known is refused.
    pub fn decoded(&self) -> Result<Bytes, MimeError> {
        let encoding = self.field("Content-Transfer-Encoding").map_or("", |value| value.as_str());
        if ["", "7bit", "8bit", "binary"].iter().any(|same| encoding.eq_ignore_ascii_case(same)) {
            Ok(self.body.clone())
        } else if encoding.eq_ignore_ascii_case("base64") {
            base64(&self.body).map(Bytes::from)
        } else if encoding.eq_ignore_ascii_case("quoted-printable") {
            Ok(Bytes::from(quoted_printable(&self.body)))
        } else {
            Err(MimeError { fault: Fault::Transfer, offset: 0 })
        }
    }
}

/// Undoes base64; white space is passed over, and the padding may be missing.
fn base64(input: &[u8]) -> Result<Vec<u8>, MimeError> {
    let mut out = Vec::with_capacity(input.len() / 4 * 3 + 3);
    let (mut bits, mut held, mut ended) = (0u32, 0, false);
    for (offset, &byte) in input.iter().enumerate() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                ended = true;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return Err(MimeError { fault: Fault::Transfer, offset }),
        };
        if ended {
            return Err(MimeError { fault: Fault::Transfer, offset });
        }
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Ok(out)
}

/// Undoes quoted-printable; what is no escape stands for itself.
fn quoted_printable(input: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        match (digit(after.first()), digit(after.get(1))) {
            (Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                let blank = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                match &after[blank..] {
                    [b'\r', b'\n', next @ ..] | [b'\n', next @ ..] => rest = next,
                    [] => rest = &[],
                    _ => out.push(byte),
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: &str, body: &str) -> Option<String> {
        let mut part = Part::new("text/plain", Bytes::copy_from_slice(body.as_bytes()));
        part.set("Content-Transfer-Encoding", encoding);
        part.decoded().ok().map(|body| String::from_utf8_lossy(&body).into_owned())
    }

    #[test]
    fn encodings_are_undone() {
        assert_eq!(decoded("8BIT", "a=20").as_deref(), Some("a=20"));
        for (encoded, plain) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm\r\n9v", "foo"), ("Zm9vYmFy\r\n", "foobar")] {
            assert_eq!(decoded("Base64", encoded).as_deref(), Some(plain), "{encoded}");
        }
        for (encoded, plain) in [("a=3Db=\r\nc= \nd", "a=bcd"), ("=C3=A9", "é"), ("=", ""), ("=zz", "=zz"), ("==3d", "==")] {
            assert_eq!(decoded("quoted-printable", encoded).as_deref(), Some(plain), "{encoded}");
        }
    }

    #[test]
    fn what_cannot_be_undone_is_refused() {
        for (encoding, body) in [("base64", "Z*"), ("base64", "Zg==Zg"), ("x-uuencode", "")] {
            assert_eq!(decoded(encoding, body), None, "{encoding} {body}");
        }
    }
}
