//! SIP messages [RFC3261]: the bytes of a datagram, frame or stream to typed values and back, without state beyond a stream's rest.
//!
//! [`Message::parse`] gives a message whose start line and mandatory headers are sound, or a [`ParseError`] with the response to send.
//! Headers stay text until somebody reads them: `headers.typed::<Event>()`, `headers.list::<Contact>()`. One family of headers is one
//! file below. What a message means (methods, required extensions, hops that are left) is the business of the layers above.

mod address;
mod auth;
mod caller;
mod content;
mod date;
mod dialog;
mod error;
mod event;
mod frame;
mod headers;
mod identity;
mod message;
mod method;
mod name;
mod number;
mod params;
mod parse;
mod reason;
mod scan;
mod status;
mod tokens;
mod uri;
mod via;

pub use address::{
    AlertInfo, CallInfo, Contact, ErrorInfo, From, HistoryInfo, NameAddr, PAssertedIdentity, PAssociatedUri, PCalledPartyId,
    PPreferredIdentity, Path, RecordRoute, ReferTo, ReferredBy, ReplyTo, Route, ServiceRoute, To,
};
pub use auth::{Auth, AuthenticationInfo, Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate};
pub use caller::{AcceptContact, RejectContact};
pub use content::{Accept, ContentType};
pub use date::Date;
pub use dialog::{Join, RAck, Replaces, TargetDialog};
pub use error::{HeaderError, HeaderFault, Limits, ParseError, ParseErrorKind, UriError};
pub use event::{ContentDisposition, Event, Subscribed, SubscriptionState};
pub use frame::{Frame, Framer};
pub use headers::{Header, Headers, Shape, TypedHeader};
pub use identity::{
    CallId, ContributionId, ConversationId, InReplyToContributionId, Organization, PAssertedService, PPreferredService, Priority, Server,
    SessionReplaces, SipEtag, SipIfMatch, Subject, UserAgent,
};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name::HeaderName;
pub use number::{CSeq, ContentLength, Expires, FlowTimer, MaxForwards, MinExpires, MinSe, RSeq, RetryAfter, SessionExpires};
pub use params::Params;
pub use reason::{Reason, Warning};
pub use status::Status;
pub use tokens::{
    Allow, AllowEvents, ContentEncoding, ContentLanguage, InReplyTo, Privacy, ProxyRequire, RequestDisposition, Require, Supported,
    Unsupported,
};
pub use uri::{Host, SipUri, TelUri, Uri};
pub use via::Via;
