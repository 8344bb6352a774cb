//! The gateway beside SIP software that others wrote: sipp and baresip, as Debian ships them.
//!
//! These tests start real processes, so a plain `cargo test` leaves them out; `cargo xtask test interop` installs the programs and runs them.

#[path = "support/baresip.rs"]
mod baresip;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/sipp.rs"]
mod sipp;

use baresip::{Baresip, free_port};
use gateway::Gateway;
use sipp::Sipp;

/// The demo users' passwords.
const ALICE: &str = "alice-demo";
const BOB: &str = "bob-demo";

/// R001, R003, R008: a REGISTER is challenged, answered and accepted.
#[test]
#[ignore = "needs sipp: cargo xtask test interop"]
fn sipp_registers_with_digest() {
    let gateway = Gateway::start(&[]);
    Sipp::new("register.xml", "alice", ALICE, free_port(), 1).run(gateway.address("sip"));
}

/// R041, R046, R047: 1,000 messages from sipp over UDP to sipp, and 1,000 back over TCP, all of which arrive.
#[test]
#[ignore = "needs sipp: cargo xtask test interop"]
fn sipp_sends_a_thousand_messages_each_way() {
    let gateway = Gateway::start(&["--limits", "off"]);
    let sip = gateway.address("sip");
    for (from, to, tcp) in [(("alice", ALICE), ("bob", BOB), false), (("bob", BOB), ("alice", ALICE), true)] {
        let port = free_port();
        Sipp::new("register.xml", to.0, to.1, port, 1).run(sip);
        let receiver = Sipp::new("receive.xml", to.0, to.1, port, 1000).start(sip);
        let sender = Sipp::new("send.xml", from.0, from.1, free_port(), 1000).to(to.0).rate(400);
        let sender = if tcp { sender.tcp() } else { sender };
        sender.run(sip);
        receiver.succeeds();
    }
}

/// R047, R054: a phone that knows no CPIM gets plain text, and what it writes arrives.
#[test]
#[ignore = "needs baresip: cargo xtask test interop"]
fn baresip_registers_sends_and_gets_messages() {
    let gateway = Gateway::start(&[]);
    let sip = gateway.address("sip");
    let mut alice = Baresip::start("alice", ALICE, "bob", sip);
    alice.registered();
    let mut bob = Baresip::start("bob", BOB, "alice", sip);
    bob.registered();
    alice.writes("Hello from one phone to another");
    bob.traces("Hello from one phone to another", 1);
    // It refuses CPIM, is given plain text, and takes that; the sender hears of the delivery by the 200.
    bob.traces("SIP/2.0 415", 1);
    bob.writes("And back");
    alice.traces("And back", 1);
    // Registration and message, each answered after its challenge.
    bob.traces("SIP/2.0 200", 3);
}
