//! A stand-alone message as the layers that carry it: content, CPIM, SIP.
//!
//! [`Envelope::wrap`] and [`Envelope::unwrap`] are a pure pair over the whole of it: text, a notification or a typing indication, in CPIM
//! [RFC3862, RFC5438], in a MESSAGE [RFC3428] with the identifiers of its conversation. What belongs to the hop (Via, tags, Call-ID, CSeq,
//! Contact, caller preferences) is the caller's. Messages of plain SIP clients, with a text and no CPIM, unwrap too; what they do not say
//! is `None`. Who sent a message is taken from the network's assertion where there is one, never from CPIM, which the sender writes as
//! they like.

mod session;

use bytes::Bytes;
use thiserror::Error;

use super::address::Address;
use super::feature;
use super::ids::{ContributionId, ConversationId, MessageId};
use super::probe;
use crate::wire::cpim::{self, Cpim, CpimAddr, CpimError};
pub use crate::wire::imdn::Wants;
use crate::wire::imdn::{self, Notification, Report};
use crate::wire::iscomposing::{self, IsComposing};
use crate::wire::mime::Part;
use crate::wire::sip::{self, ContentType, HeaderName, Headers, Method, NameAddr, PAssertedIdentity, Request, Status, TypedHeader, Uri};
use crate::wire::xml::XmlError;
use crate::{Entropy, Text, Time};

/// The media type of a text.
const TEXT: &str = "text/plain";

/// A stand-alone message: who, to whom, in which conversation, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub from: Address,
    /// The sender's name, as they call themselves.
    pub from_name: Option<Text>,
    /// The recipient.
    pub to: Address,
    /// What notifications refer to it by; plain clients have none.
    pub message_id: Option<MessageId>,
    /// The conversation that it belongs to.
    pub conversation: Option<ConversationId>,
    /// The contribution that it is.
    pub contribution: Option<ContributionId>,
    /// The contribution that it answers.
    pub in_reply_to: Option<ContributionId>,
    /// When it was sent, by the sender's word.
    pub date: Option<Time>,
    /// Which notifications the sender asks for.
    pub wants: Wants,
    /// For how many seconds it is worth delivering.
    pub expires: Option<u32>,
    /// What it is about.
    pub subject: Option<Text>,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Words for a person.
    Text(Text),
    /// Whether the sender is typing.
    Composing(IsComposing),
    /// What became of another message.
    Notification(Notification),
    /// Anything else, as it came.
    Other {
        /// Its media type with parameters.
        content_type: Text,
        /// Its bytes, without transfer encoding.
        body: Bytes,
    },
}

/// Why a request is no message that can be handled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// The request is not a MESSAGE.
    #[error("not a MESSAGE")]
    Method,
    /// The sender's address is none of a user.
    #[error("the sender is not a user's address")]
    From,
    /// The recipient's address is none of a user.
    #[error("the recipient is not a user's address")]
    To,
    /// An identifier is empty, too long, or holds control characters.
    #[error("{0:?} is not an identifier")]
    Identifier(HeaderName),
    /// The same of CPIM's `imdn.Message-ID`.
    #[error("imdn.Message-ID is not an identifier")]
    MessageId,
    /// There is no body.
    #[error("the message is empty")]
    Empty,
    /// The body is compressed; who can decode it does so first.
    #[error("the body is encoded")]
    Encoded,
    /// The type of the body cannot be read.
    #[error("the content type is malformed")]
    Type,
    /// The transfer encoding of the content cannot be undone.
    #[error("the content's transfer encoding is not understood")]
    Transfer,
    /// The CPIM around the content is broken.
    #[error("CPIM: {0}")]
    Cpim(#[from] CpimError),
    /// The sender wants a CPIM header understood that is not.
    #[error("a required header is not understood")]
    Required,
    /// A notification or typing indication is broken.
    #[error("XML: {0}")]
    Xml(#[from] XmlError),
}

impl EnvelopeError {
    /// The status that the request is refused with.
    pub fn status(&self) -> Status {
        match self {
            EnvelopeError::Method => Status::METHOD_NOT_ALLOWED,
            EnvelopeError::Encoded | EnvelopeError::Transfer => Status::UNSUPPORTED_MEDIA_TYPE,
            EnvelopeError::Required => Status::NOT_ACCEPTABLE_HERE,
            EnvelopeError::From
            | EnvelopeError::To
            | EnvelopeError::Identifier(_)
            | EnvelopeError::MessageId
            | EnvelopeError::Empty
            | EnvelopeError::Type
            | EnvelopeError::Cpim(_)
            | EnvelopeError::Xml(_) => Status::BAD_REQUEST,
        }
    }
}

impl Content {
    /// Whether a machine wrote this: nothing automatic ever answers it.
    pub fn is_automatic(&self) -> bool {
        match self {
            Content::Composing(_) | Content::Notification(_) => true,
            Content::Text(_) => false,
            Content::Other { .. } => probe::is_probe(self),
        }
    }

    /// The media type with parameters.
    pub fn content_type(&self) -> &str {
        match self {
            Content::Text(_) => "text/plain;charset=UTF-8",
            Content::Composing(_) => iscomposing::MEDIA_TYPE,
            Content::Notification(_) => imdn::MEDIA_TYPE,
            Content::Other { content_type, .. } => content_type,
        }
    }

    /// The bytes.
    pub fn body(&self) -> Bytes {
        match self {
            Content::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Content::Composing(composing) => composing.encode(),
            Content::Notification(notification) => notification.encode(),
            Content::Other { body, .. } => body.clone(),
        }
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Other { body, .. } => body.len(),
            Content::Composing(_) | Content::Notification(_) => self.body().len(),
        }
    }

    /// What a part or body of this type says.
    pub fn read(content_type: &Text, body: Bytes) -> Result<Content, EnvelopeError> {
        let media = ContentType::parse(content_type).map_err(|_| EnvelopeError::Type)?;
        if media.is(imdn::MEDIA_TYPE) {
            return Ok(Content::Notification(Notification::parse(&body)?));
        }
        if media.is(iscomposing::MEDIA_TYPE) {
            return Ok(Content::Composing(IsComposing::parse(&body)?));
        }
        let text = if media.is(TEXT) { decode(media.params.value("charset").unwrap_or("utf-8"), &body) } else { None };
        Ok(text.map_or_else(|| Content::Other { content_type: content_type.clone(), body }, Content::Text))
    }
}

/// The characters of a text. What claims to be UTF-8 and is not comes from phones that mean ISO 8859-1.
fn decode(charset: &str, body: &[u8]) -> Option<Text> {
    let latin = ["us-ascii", "iso-8859-1", "latin1"].iter().any(|name| charset.eq_ignore_ascii_case(name));
    if !latin && !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("utf8") {
        return None;
    }
    let utf8 = if latin && !body.is_ascii() { None } else { std::str::from_utf8(body).ok() };
    Some(utf8.map_or_else(|| Text::from(body.iter().copied().map(char::from).collect::<String>()), Text::from))
}

impl Envelope {
    /// A message that says no more than who, to whom and what.
    pub fn new(from: Address, to: Address, content: Content) -> Self {
        Envelope {
            from,
            from_name: None,
            to,
            message_id: None,
            conversation: None,
            contribution: None,
            in_reply_to: None,
            date: None,
            wants: Wants::NOTHING,
            expires: None,
            subject: None,
            content,
        }
    }

    /// A text as a person sends it: with new identifiers, in this conversation or a new one, asking to be told everything.
    pub fn compose(entropy: &mut Entropy, now: Time, from: Address, to: Address, text: Text, conversation: Option<ConversationId>) -> Self {
        Envelope {
            message_id: Some(MessageId::new(entropy)),
            conversation: Some(conversation.unwrap_or_else(|| ConversationId::new(entropy))),
            contribution: Some(ContributionId::new(entropy)),
            date: Some(now),
            wants: Wants::ALL,
            ..Envelope::new(from, to, Content::Text(text))
        }
    }

    /// The notification of this message's fate to its sender, if the sender asked for it. Nothing automatic is ever answered.
    pub fn notification(&self, entropy: &mut Entropy, now: Time, report: Report) -> Option<Envelope> {
        let wanted = match report {
            Report::Delivery(imdn::Delivery::Delivered) => self.wants.delivered,
            Report::Delivery(imdn::Delivery::Failed | imdn::Delivery::Error | imdn::Delivery::Forbidden) => self.wants.failed,
            Report::Display(_) => self.wants.displayed,
            Report::Processing(_) => false,
        };
        let message_id = self.message_id.as_ref().filter(|_| wanted && !self.content.is_automatic())?;
        let notification =
            Notification { date: self.date, recipient: Some(Text::from(&self.to)), ..Notification::new(Text::from(message_id), report) };
        Some(Envelope {
            message_id: Some(MessageId::new(entropy)),
            conversation: self.conversation.clone(),
            contribution: Some(ContributionId::new(entropy)),
            in_reply_to: self.contribution.clone(),
            date: Some(now),
            ..Envelope::new(self.to.clone(), self.from.clone(), Content::Notification(notification))
        })
    }

    /// The MESSAGE with this in CPIM; a typing indication goes without, as every client understands it so.
    pub fn wrap(&self) -> Request {
        match self.content {
            Content::Composing(_) => self.request(self.content.content_type(), self.content.body()),
            Content::Text(_) | Content::Notification(_) | Content::Other { .. } => self.request(cpim::MEDIA_TYPE, self.to_cpim().encode()),
        }
    }

    /// The MESSAGE with the content alone, for a peer that does not take CPIM: a text or other words for people, nothing automatic.
    pub fn wrap_plain(&self) -> Option<Request> {
        (!self.content.is_automatic()).then(|| self.request(self.content.content_type(), self.content.body()))
    }

    /// The CPIM layer.
    pub fn to_cpim(&self) -> Cpim {
        let mut content = Part::new(self.content.content_type(), self.content.body());
        if let Content::Notification(_) = self.content {
            content.set("Content-Disposition", "notification");
        }
        let mut cpim = Cpim {
            from: Some(CpimAddr { display: self.from_name.clone(), uri: Text::from(&self.from) }),
            to: vec![CpimAddr::new(&self.to)],
            date: self.date,
            subject: self.subject.clone(),
            content,
            ..Cpim::default()
        };
        if let Some(id) = &self.message_id {
            cpim.set_message_id(id);
        }
        cpim.set_wants(self.wants);
        cpim
    }

    /// The identifiers with the names of their headers.
    fn identifiers(&self) -> [(HeaderName, Option<&Text>); 3] {
        [
            (HeaderName::ConversationId, self.conversation.as_ref().map(ConversationId::text)),
            (HeaderName::ContributionId, self.contribution.as_ref().map(ContributionId::text)),
            (HeaderName::InReplyToContributionId, self.in_reply_to.as_ref().map(ContributionId::text)),
        ]
    }

    fn request(&self, content_type: &str, body: Bytes) -> Request {
        let mut request = Request::new(Method::Message, self.to.to_uri());
        let headers = &mut request.headers;
        let mut from = NameAddr::new(self.from.to_uri());
        from.display = self.from_name.clone();
        headers.put(&sip::From(from));
        headers.put(&sip::To::new(self.to.to_uri()));
        headers.push(HeaderName::PPreferredService, feature::PAGER);
        for (name, id) in self.identifiers() {
            if let Some(id) = id {
                headers.push(name, id);
            }
        }
        if let Some(expires) = self.expires {
            headers.put(&sip::Expires(expires));
        }
        headers.push(HeaderName::ContentType, content_type);
        request.body = body;
        request
    }

    /// Reads a MESSAGE, whether of this service or of a plain SIP client. A compressed body is for the caller to decode beforehand.
    pub fn unwrap(request: &Request) -> Result<Envelope, EnvelopeError> {
        if request.method != Method::Message {
            return Err(EnvelopeError::Method);
        }
        let headers = &request.headers;
        if headers.get(&HeaderName::ContentEncoding).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(EnvelopeError::Encoded);
        }
        if request.body.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let default = Text::from(TEXT);
        let content_type = headers.get(&HeaderName::ContentType).unwrap_or(&default);
        let media = ContentType::parse(content_type).map_err(|_| EnvelopeError::Type)?;
        let (from, from_name) = sender(request).ok_or(EnvelopeError::From)?;
        let to = headers.read::<sip::To>().and_then(|to| Address::from_uri(&to.uri)).or_else(|| Address::from_uri(&request.uri));
        let mut envelope = Envelope {
            from,
            from_name,
            to: to.ok_or(EnvelopeError::To)?,
            message_id: None,
            conversation: identifier(headers, HeaderName::ConversationId, ConversationId::parse)?,
            contribution: identifier(headers, HeaderName::ContributionId, ContributionId::parse)?,
            in_reply_to: identifier(headers, HeaderName::InReplyToContributionId, ContributionId::parse)?,
            date: headers.read::<sip::Date>().map(|date| date.0),
            wants: Wants::NOTHING,
            expires: headers.read::<sip::Expires>().map(|expires| expires.0),
            subject: headers.get(&HeaderName::Subject).filter(|subject| !subject.is_empty()).cloned(),
            content: Content::Text(Text::default()),
        };
        envelope.content = match media.is(cpim::MEDIA_TYPE) {
            true => envelope.take_cpim(Cpim::parse(&request.body)?)?,
            false => Content::read(content_type, request.body.clone())?,
        };
        Ok(envelope)
    }

    /// Takes over what CPIM adds, and gives the content within.
    fn take_cpim(&mut self, cpim: Cpim) -> Result<Content, EnvelopeError> {
        let known =
            |name: &cpim::Name| name.namespace.is_none() || name.namespace.as_deref().is_some_and(|ns| ns == cpim::IMDN || ns == cpim::CPM);
        if !cpim.required.iter().all(known) {
            return Err(EnvelopeError::Required);
        }
        if let Some(id) = cpim.message_id() {
            self.message_id = Some(MessageId::parse(id).ok_or(EnvelopeError::MessageId)?);
        }
        self.wants = cpim.wants();
        self.date = cpim.date.or(self.date);
        // Line breaks and other controls, which CPIM can escape, are no part of a name.
        let name = |from: CpimAddr| from.display.filter(|name| !name.chars().any(char::is_control));
        self.from_name = self.from_name.take().or_else(|| cpim.from.and_then(name));
        self.subject = cpim.subject.filter(|subject| !subject.is_empty()).or_else(|| self.subject.take());
        let body = cpim.content.decoded().map_err(|_| EnvelopeError::Transfer)?;
        let content_type = cpim.content.field("Content-Type").cloned().unwrap_or_else(|| Text::from(TEXT));
        Content::read(&content_type, body)
    }
}

/// The identifier in a header; an empty one is none.
fn identifier<T>(headers: &Headers, name: HeaderName, parse: fn(&Text) -> Option<T>) -> Result<Option<T>, EnvelopeError> {
    identifier_of(|name| headers.get(name), name, parse)
}

fn identifier_of<'h, T>(
    header: impl Fn(&HeaderName) -> Option<&'h Text>,
    name: HeaderName,
    parse: fn(&Text) -> Option<T>,
) -> Result<Option<T>, EnvelopeError> {
    match header(&name).filter(|text| !text.is_empty()) {
        Some(text) => parse(text).map(Some).ok_or(EnvelopeError::Identifier(name)),
        None => Ok(None),
    }
}

/// Who sent a request: whom the network vouches for, else whom the sender names.
fn sender(request: &Request) -> Option<(Address, Option<Text>)> {
    let asserted = request.headers.list::<PAssertedIdentity>().unwrap_or_default();
    let from = request.headers.read::<sip::From>().map(|from| from.0);
    let user = |address: NameAddr| Some((Address::from_uri(&address.uri)?, address.display.filter(|name| !name.is_empty())));
    let is_sip = |address: &PAssertedIdentity| matches!(address.uri, Uri::Sip(_));
    let (address, name) = match asserted.iter().find(|address| is_sip(address)).or(asserted.first()) {
        Some(address) => user(address.0.clone())?,
        None => return user(from?),
    };
    Some((address, name.or_else(|| from.and_then(|from| from.display).filter(|name| !name.is_empty()))))
}

#[cfg(test)]
mod tests;
