//! The gateway's end of MSRP without its sockets: whose a connection is, what goes over it, and where devices find it.
//!
//! The node says by [`crate::node::MsrpCommand`] which sessions there are. A [`Hub`] knows them, a [`Connection`] carries them, and
//! whoever owns the sockets, the edge or a test's world, moves bytes between both. Bulk never waits in a queue here: a connection is
//! asked for bytes when its socket takes some, and read from when the node has taken what came.

mod connection;
mod hub;
mod places;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Over};
pub use hub::{Bounds, Carriage, ConnectionId, Dial, Hub, Output};
pub use places::{Place, Places};
