//! WebSocket frames as a server reads and writes them [RFC6455 §5]: bytes to messages and back, without a socket.
//!
//! Ours, because an idle connection then holds no buffer at all: the general libraries keep at least 4 KB for each. No extensions are
//! negotiated, so a reserved bit is a violation. Fragments are joined up to the limit on a message.

use bytes::{Buf as _, Bytes, BytesMut};

/// A message of the other end, or one of its control frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text or binary message.
    Message(Bytes),
    /// To be answered by a pong with the same payload.
    Ping(Bytes),
    Pong,
    /// The other end closes, perhaps with a code.
    Close(Option<u16>),
}

/// What the other end did wrong, as the code to close with [RFC6455 §7.4.1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    Protocol,
    NotUtf8,
    TooBig,
}

impl Violation {
    /// The status code of the Close frame.
    pub fn code(self) -> u16 {
        match self {
            Violation::Protocol => 1002,
            Violation::NotUtf8 => 1007,
            Violation::TooBig => 1009,
        }
    }
}

/// Going away: the code when the gateway stops.
pub const GOING_AWAY: u16 = 1001;
/// The code when the gateway will not go on with a peer.
pub const POLICY: u16 = 1008;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The reading half: bytes in, messages out. Empty of allocations while nothing is under way.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// The fragments so far of a message, and whether it is text.
    partial: Option<Box<(bool, BytesMut)>>,
    limit: usize,
}

impl Decoder {
    /// A decoder that takes messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Decoder {
        Decoder { buffer: BytesMut::new(), partial: None, limit }
    }

    /// Takes in what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message or control frame, once it is whole. After a violation the decoder is of no more use.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends would say that the stream does")]
    pub fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        loop {
            let Some((head, size)) = self.head()? else { return Ok(None) };
            let Some(payload) = self.payload(head, size) else { return Ok(None) };
            let (fin, opcode) = (head.first & 0x80 != 0, head.first & 0x0f);
            match (opcode, fin) {
                (CLOSE, true) => {
                    let code = match payload.len() {
                        0 => None,
                        1 => return Err(Violation::Protocol),
                        _ if std::str::from_utf8(&payload[2..]).is_err() => return Err(Violation::NotUtf8),
                        _ => Some(u16::from_be_bytes([payload[0], payload[1]])),
                    };
                    return Ok(Some(Incoming::Close(code)));
                }
                (PING, true) => return Ok(Some(Incoming::Ping(payload.freeze()))),
                (PONG, true) => return Ok(Some(Incoming::Pong)),
                (TEXT | BINARY, true) if self.partial.is_none() => return finish(opcode == TEXT, payload).map(Some),
                (TEXT | BINARY, false) if self.partial.is_none() => self.partial = Some(Box::new((opcode == TEXT, payload))),
                (CONTINUATION, fin) => {
                    let Some(mut partial) = self.partial.take() else { return Err(Violation::Protocol) };
                    if partial.1.len() + payload.len() > self.limit {
                        return Err(Violation::TooBig);
                    }
                    partial.1.extend_from_slice(&payload);
                    if fin {
                        return finish(partial.0, partial.1).map(Some);
                    }
                    self.partial = Some(partial);
                }
                _ => return Err(Violation::Protocol),
            }
        }
    }

    /// The head of the frame that the buffer begins with and the length of its payload, checked before anything is waited for.
    fn head(&self) -> Result<Option<(Head, usize)>, Violation> {
        let [first, second, ..] = self.buffer[..] else { return Ok(None) };
        // Reserved bits belong to extensions; frames of a client are always masked [RFC6455 §5.1, §5.2].
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(Violation::Protocol);
        }
        let control = first & 0x08 != 0;
        let (length, size) = match second & 0x7f {
            short @ 0..=125 => (usize::from(short), 2),
            _ if control => return Err(Violation::Protocol),
            126 => match self.buffer[2..] {
                [a, b, ..] => (usize::from(u16::from_be_bytes([a, b])), 4),
                _ => return Ok(None),
            },
            _ => match self.buffer.get(2..10).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
                Some(bytes) => (usize::try_from(u64::from_be_bytes(bytes)).map_err(|_| Violation::TooBig)?, 10),
                None => return Ok(None),
            },
        };
        if length > self.limit {
            return Err(Violation::TooBig);
        }
        Ok(Some((Head { first, size }, length)))
    }

    /// Cuts the frame off the buffer and takes off its mask, once it is all there.
    fn payload(&mut self, head: Head, length: usize) -> Option<BytesMut> {
        let start = head.size + 4;
        if self.buffer.len() < start + length {
            // One allocation for a long frame instead of many that grow.
            self.buffer.reserve(start + length - self.buffer.len());
            return None;
        }
        let mask: [u8; 4] = self.buffer[head.size..start].try_into().ok()?;
        self.buffer.advance(start);
        let mut payload = self.buffer.split_to(length);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Some(payload)
    }
}

/// What precedes the mask of a frame.
#[derive(Clone, Copy)]
struct Head {
    first: u8,
    size: usize,
}

fn finish(text: bool, payload: BytesMut) -> Result<Incoming, Violation> {
    if text && std::str::from_utf8(&payload).is_err() {
        return Err(Violation::NotUtf8);
    }
    Ok(Incoming::Message(payload.freeze()))
}

/// The head of a frame that a server sends: up to ten bytes, unmasked.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingHead {
    bytes: [u8; 10],
    length: u8,
}

impl OutgoingHead {
    /// No head: what follows is framed already.
    pub const NONE: OutgoingHead = OutgoingHead { bytes: [0; 10], length: 0 };

    /// The head before a whole message, which is text where it is UTF-8.
    pub fn message(payload: &[u8]) -> OutgoingHead {
        OutgoingHead::new(if std::str::from_utf8(payload).is_ok() { TEXT } else { BINARY }, payload.len())
    }

    fn new(opcode: u8, length: usize) -> OutgoingHead {
        let mut bytes = [0; 10];
        bytes[0] = 0x80 | opcode;
        let size = match length {
            0..=125 => {
                bytes[1] = length as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(length as u64).to_be_bytes());
                10
            }
        };
        OutgoingHead { bytes, length: size }
    }

    /// The bytes to send before the payload.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A whole Pong frame for the payload of a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// A whole Close frame.
pub fn close(code: u16) -> Bytes {
    control(CLOSE, &code.to_be_bytes())
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(125)];
    [OutgoingHead::new(opcode, payload.len()).as_bytes(), payload].concat().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = OutgoingHead::new(0, payload.len()).as_bytes().to_vec();
        frame[0] = first;
        frame[1] |= 0x80;
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Incoming>, Violation> {
        let mut decoder = Decoder::new(1000);
        decoder.push(bytes);
        let mut all = Vec::new();
        while let Some(incoming) = decoder.next()? {
            all.push(incoming);
        }
        Ok(all)
    }

    /// The examples of [RFC6455 §5.7], and control frames amid fragments [RFC6455 §5.4].
    #[test]
    fn messages_and_fragments() {
        assert_eq!(
            decode(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).unwrap(),
            [Incoming::Message(Bytes::from_static(b"Hello"))]
        );
        let bytes =
            [masked(0x01, b"Hel"), masked(0x89, b"?"), masked(0x80, b"lo"), masked(0x82, &[7; 300]), masked(0x88, &[3, 232])].concat();
        assert_eq!(
            decode(&bytes).unwrap(),
            [
                Incoming::Ping(Bytes::from_static(b"?")),
                Incoming::Message(Bytes::from_static(b"Hello")),
                Incoming::Message(Bytes::from(vec![7; 300])),
                Incoming::Close(Some(1000)),
            ]
        );
    }

    #[test]
    fn violations_have_their_codes() {
        for (bytes, violation) in [
            (vec![0x81, 0x05, b'H'], Violation::Protocol),
            (masked(0xc1, b""), Violation::Protocol),
            (masked(0x83, b""), Violation::Protocol),
            (masked(0x80, b"x"), Violation::Protocol),
            (masked(0x09, b""), Violation::Protocol),
            (masked(0x88, b"x"), Violation::Protocol),
            ([masked(0x01, b"a"), masked(0x01, b"b")].concat(), Violation::Protocol),
            (masked(0x81, &[0xff]), Violation::NotUtf8),
            (masked(0x82, &[0; 1001]), Violation::TooBig),
            ([masked(0x02, &[0; 600]), masked(0x00, &[0; 600])].concat(), Violation::TooBig),
            (vec![0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Violation::TooBig),
        ] {
            assert_eq!(decode(&bytes), Err(violation), "{bytes:x?}");
        }
    }

    #[test]
    fn an_idle_decoder_holds_nothing() {
        let mut decoder = Decoder::new(1000);
        decoder.push(&masked(0x81, &[b'a'; 900]));
        drop(decoder.next());
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_in_any_pieces_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut decoder = Decoder::new(100);
            for piece in pieces {
                decoder.push(&piece);
                while let Ok(Some(_)) = decoder.next() {}
            }
        }

        #[test]
        fn messages_survive_any_cut(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6), cut in 1usize..50) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| masked(0x82, message)).collect();
            let mut decoder = Decoder::new(1000);
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(incoming) = decoder.next().unwrap() {
                    got.push(incoming);
                }
            }
            prop_assert_eq!(got, messages.into_iter().map(|message| Incoming::Message(message.into())).collect::<Vec<_>>());
        }
    }
}
