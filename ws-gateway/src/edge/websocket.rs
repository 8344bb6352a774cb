//! SIP and events over WebSocket: the handshake, and the frames in [`frame`].

pub mod frame;
