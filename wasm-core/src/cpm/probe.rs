//! The probe: a message of a device to itself through the whole path, which shows whether messages flow (R345).
//!
//! It goes like any stand-alone message to the device's own GRUU, over both sides of the Participating Function and the disk, and is kept,
//! shown, pushed and counted nowhere. The server tells in it how long the disk took; the other hops the device measures itself.

use std::time::Duration;

use bytes::Bytes;

use super::address::Address;
use super::envelope::{Content, Envelope};
use super::ids::MessageId;
use crate::wire::sip::{HeaderName, Headers};
use crate::{Text, Time};

/// The media type that tells a probe from a message.
pub const MEDIA_TYPE: &str = "application/vnd.tandem.probe";
/// The header in which the server tells how many milliseconds the disk took.
const HEADER: &str = "Tandem-Probe";

/// A probe of one of the user's devices.
pub fn envelope(me: &Address, id: MessageId, now: Time) -> Envelope {
    let content = Content::Other { content_type: Text::from(MEDIA_TYPE), body: Bytes::from_static(b"?") };
    Envelope { message_id: Some(id), date: Some(now), ..Envelope::new(me.clone(), me.clone(), content) }
}

/// Whether a message is a probe.
pub fn is_probe(content: &Content) -> bool {
    matches!(content, Content::Other { content_type, .. } if content_type.eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Tells how long the disk took.
pub fn stamp(headers: &mut Headers, disk: Duration) {
    headers.set(HeaderName::Other(Text::from(HEADER)), disk.as_millis().to_string());
}

/// How long the disk took, by the server's word.
pub fn disk(headers: &Headers) -> Option<Duration> {
    let value = headers.get(&HeaderName::Other(Text::from(HEADER)))?;
    value.parse().ok().map(|millis: u32| Duration::from_millis(millis.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entropy;

    /// R345: a probe is known as one after the way over the wire, whatever it carries with it.
    #[test]
    fn a_probe_is_told_from_a_message() {
        let me = Address::parse("sip:alice@tandem.test").unwrap();
        let probe = envelope(&me, MessageId::new(&mut Entropy::new([1; 32])), Time(1000));
        let mut request = probe.wrap();
        stamp(&mut request.headers, Duration::from_millis(7));
        let read = Envelope::unwrap(&request).unwrap();
        assert!(is_probe(&read.content) && !is_probe(&Content::Text("?".into())));
        assert_eq!((disk(&request.headers), read.message_id), (Some(Duration::from_millis(7)), probe.message_id));
        request.headers.set(HeaderName::Other(Text::from(HEADER)), "-1");
        assert_eq!(disk(&request.headers), None);
    }
}
