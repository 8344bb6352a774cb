//! World tests: users with several devices, real nodes, a real store and a network with delay, on one thread under a virtual clock.
//!
//! Each test is a story. The golden files under `ladders/` are the stories' call flows, compared step by step with the flows of the
//! system description's appendix C.

mod browser;
mod calls;
mod chats;
mod deferred;
mod devices;
mod hostile;
mod ladder;
mod messages;
mod multi_device;
mod notices;
mod notifications;
mod phone;
mod policies;
mod preferences;
mod probes;
mod queue;
mod registration;
mod trails;
mod world;
