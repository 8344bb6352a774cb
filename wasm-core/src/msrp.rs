//! MSRP sessions [RFC4975]: who opens the connection, whose it is, and what travels over it, without clock or socket.
//!
//! [`Offer`] and [`setup`] settle a session in SDP (RFC 6135, RFC 6714). Its owner then opens the connection or waits for one, which a
//! [`Knock`] attributes to a session by the first request on it, and runs a [`Session`] over it: a stream (TCP, TLS) or WebSocket messages,
//! which of them the session's own URI says. One connection carries one session; this end is no relay, but understands paths over relays.
//!
//! ```text
//! handle(Connected) · for bytes read while wants_read(): handle(Received(bytes)) · next_timeout(): handle(Timeout)
//! after each: poll() until None · while the connection takes bytes: transmit(), then poll() again · after a body was used: handle(Drained(n))
//! ```

mod knock;
mod options;
#[cfg(test)]
mod pair;
mod ranges;
pub mod session;
pub mod setup;
#[cfg(test)]
mod tests;

pub use knock::{Knock, Knocked};
pub use options::Options;
pub use session::{Ending, Id, Incoming, Input, Key, Outgoing, Output, Receipt, Session, Source};
pub use setup::{Offer, Refusal, Role, Setup};
