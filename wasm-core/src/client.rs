//! The browser's engine: everything that one device does for its user, as a pure machine.
//!
//! What happens comes in as an [`Input`], what is to be done comes out as an [`Output`], what is durable is a [`Record`], what a person
//! sees is a [`view::View`]. The shell performs outputs strictly in their order and completes a `Persist` before it starts on the next
//! output: that is what makes an answer mean "kept" and a text survive a reload. A device has one leading engine, which owns the socket,
//! and any number of followers, which only [`Engine::apply`] the leader's records and show them (R348).
//!
//! | timer | value | what happens |
//! |---|---|---|
//! | opening | 15 s | the socket is given up |
//! | registering | 10 s | a REGISTER without answer: the socket is given up |
//! | ping, pong | 24-30 s of silence; 10 s | CRLFCRLF; the socket is given up |
//! | suspicion | 4 s after a request without any answer | a ping at once |
//! | reconnecting | 0.5-1 s, doubling up to 60 s | the socket is opened; at once when the network returns or the user looks |
//! | leaving | 3 s | signed out whether the server answered or not |
//! | probe | within 1 s of registering; 5-10 s after a message had no success; 25-50 min while the user looks | a probe, see `probe` |
//! | round | 6 s | the probe has stopped somewhere: another one after 2.5-5 s, doubling up to 120 s |
//! | refresh | 80-90 % of the granted interval | REGISTER, see `sip::registration` |
//! | no answer | 32 s (Timer F) | counts as a failure that passes |
//! | sending again | 1-2 s, doubling up to 60 s, or Retry-After | the same message again; after 8 failures while messages flow it has failed |
//! | history | 30 s; then 1-2 s, doubling up to 120 s | the question is asked again |
//! | composing | 15 s without a key; 60 s | others are told that it is over; that it goes on |
//! | writer | what the other side says, 120 s if nothing, at most 300 s | they do not write any more |

mod deferred;
mod engine;
mod failure;
mod inbox;
mod io;
mod link;
mod memory;
pub mod msrp;
mod outbox;
mod probe;
mod receipts;
mod record;
mod sorted;
mod sync;
mod typing;
pub mod view;

pub use engine::Engine;
pub use failure::Failure;
pub use io::{Alert, Change, Command, Input, LONGEST_TEXT, Output, Profile, Role, Secret, Socket};
pub use record::{Errand, Folder, Mark, Message, Notice, Place, Record, STORES, Settings};

#[cfg(test)]
mod tests;
