//! SIP messages [RFC3261]: the bytes of a datagram, frame or stream to typed values and back, without state beyond a stream's rest.
//!
//! [`Message::parse`] gives a message whose start line and mandatory headers are sound, or a [`ParseError`] with the response to send.
//! Headers stay text until somebody reads them: `headers.typed::<Event>()`, `headers.list::<Contact>()`. One family of headers is one
//! file below. What a message means (methods, required extensions, hops that are left) is the business of the layers above.

mod address;
mod content;
mod error;
mod headers;
mod identity;
mod message;
mod method;
mod name;
mod number;
mod params;
mod parse;
mod scan;
mod status;
mod uri;
mod via;

pub use address::{
    AlertInfo, CallInfo, Contact, ErrorInfo, From, HistoryInfo, NameAddr, PAssertedIdentity, PAssociatedUri, PCalledPartyId,
    PPreferredIdentity, Path, RecordRoute, ReferTo, ReferredBy, ReplyTo, Route, ServiceRoute, To,
};
pub use content::{Accept, ContentType};
pub use error::{HeaderError, HeaderFault, Limits, ParseError, ParseErrorKind, UriError};
pub use headers::{Header, Headers, Shape, TypedHeader};
pub use identity::{
    CallId, ContributionId, ConversationId, InReplyToContributionId, Organization, PAssertedService, PPreferredService, Priority, Server,
    SipEtag, SipIfMatch, Subject, UserAgent,
};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name::HeaderName;
pub use number::{CSeq, ContentLength, Expires, FlowTimer, MaxForwards, MinExpires, MinSe, RSeq, RetryAfter, SessionExpires};
pub use params::Params;
pub use status::Status;
pub use uri::{Host, SipUri, TelUri, Uri};
pub use via::Via;
