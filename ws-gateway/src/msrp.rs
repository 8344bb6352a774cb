//! The gateway's end of MSRP without its sockets: where devices find it.

mod places;

pub use places::{Place, Places};
