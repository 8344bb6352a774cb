//! Everything of the gateway that touches the world, except the store: sockets, HTTP, the clock, signals.
