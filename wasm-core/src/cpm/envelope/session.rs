//! A message within a session, where no SIP is around it: CPIM with the identifiers of its conversation among its headers.

use bytes::Bytes;

use super::{Content, Envelope, EnvelopeError, identifier_of};
use crate::Text;
use crate::cpm::address::Address;
use crate::cpm::ids::{ContributionId, ConversationId};
use crate::wire::cpim::{self, Cpim, CpimAddr, Name};
use crate::wire::sip::HeaderName;

fn name(local: &HeaderName) -> Name {
    Name { namespace: Some(Text::from(cpim::CPM)), prefix: Text::from("cpm"), local: Text::from(local.as_str()) }
}

impl Envelope {
    /// The message as it travels within a session.
    pub fn to_session(&self) -> Bytes {
        let mut cpim = self.to_cpim();
        for (header, id) in self.identifiers() {
            if let Some(id) = id {
                cpim.set(name(&header), id);
            }
        }
        cpim.encode()
    }

    /// Reads a message of a session with somebody who is believed to name its sender.
    pub fn of_session(body: &Bytes) -> Result<Envelope, EnvelopeError> {
        let cpim = Cpim::parse(body)?;
        let address = |address: Option<&CpimAddr>| address.and_then(|address| Address::parse(&address.uri));
        let from = address(cpim.from.as_ref()).ok_or(EnvelopeError::From)?;
        let to = address(cpim.to.first()).ok_or(EnvelopeError::To)?;
        let header = |name: &HeaderName| cpim.header(cpim::CPM, name.as_str());
        let mut envelope = Envelope {
            conversation: identifier_of(header, HeaderName::ConversationId, ConversationId::parse)?,
            contribution: identifier_of(header, HeaderName::ContributionId, ContributionId::parse)?,
            in_reply_to: identifier_of(header, HeaderName::InReplyToContributionId, ContributionId::parse)?,
            ..Envelope::new(from, to, Content::Text(Text::default()))
        };
        envelope.content = envelope.take_cpim(cpim)?;
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entropy, Time};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// R034: the identifiers of a message are the same in a session as outside.
    #[test]
    fn a_message_is_the_same_in_a_session() {
        let mut entropy = Entropy::new([1; 32]);
        let (alice, bob) = (address("sip:alice@tandem.test"), address("tel:+15550101"));
        let mut envelope = Envelope::compose(&mut entropy, Time(1_000), alice, bob, Text::from("Hé\r\n<you>"), None);
        envelope.in_reply_to = Some(ContributionId::new(&mut entropy));
        envelope.subject = Some(Text::from("Lunch"));
        envelope.from_name = Some(Text::from("Alice \"A\""));
        assert_eq!(Envelope::of_session(&envelope.to_session()).unwrap(), envelope);
        let nobody = Bytes::from_static(b"To: <sip:bob@tandem.test>\r\n\r\nContent-Type: text/plain\r\n\r\nHi");
        assert_eq!(Envelope::of_session(&nobody), Err(EnvelopeError::From));
    }
}
