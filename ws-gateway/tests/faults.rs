//! What must survive: the gateway is killed at random moments under load, and a device's network goes away again and again.
//!
//! No message that was acknowledged is lost, none is shown twice, and their order is kept. `TANDEM_LONG=1` runs the long form.

#[path = "support/device.rs"]
mod device;
#[path = "support/gateway.rs"]
mod gateway;

use std::time::Duration;

use device::{Device, Screen};
use gateway::Gateway;
use wasm_core::Entropy;
use wasm_core::client::Command;
use wasm_core::client::view::Tick;
use wasm_core::cpm::address::Address;

/// How long everything may take to arrive once the faults are over.
const SETTLE: Duration = Duration::from_secs(60);

fn address(user: &str) -> Address {
    Address::parse(&format!("sip:{user}@tandem.test")).expect("an address")
}

fn long() -> bool {
    std::env::var_os("TANDEM_LONG").is_some()
}

/// The texts of one thread, as far as `outgoing` says.
fn texts(screen: &Screen, with: &Address, outgoing: bool) -> Vec<String> {
    let lines = screen.threads.get(with).into_iter().flatten();
    lines.filter(|line| line.outgoing == outgoing).map(|line| line.text.clone()).collect()
}

fn all_arrived(screen: &Screen, with: &Address) -> bool {
    let mut sent = screen.threads.get(with).into_iter().flatten().filter(|line| line.outgoing);
    sent.all(|line| matches!(line.tick, Some(Tick::Delivered | Tick::Read)))
}

/// Both sides have exactly `expected`, in order, and nobody was told of a message twice.
async fn settled(alice: &Device, bob: &Device, expected: &[String]) {
    alice.does(Command::Reconnect);
    bob.does(Command::Reconnect);
    let (to_bob, to_alice) = (address("bob"), address("alice"));
    bob.shows("every message", SETTLE, |screen| texts(screen, &to_alice, false).len() >= expected.len()).await;
    alice.shows("every delivery", SETTLE, |screen| all_arrived(screen, &to_bob)).await;
    assert_eq!(texts(&bob.screen(), &to_alice, false), expected);
    assert_eq!(texts(&alice.screen(), &to_bob, true), expected);
    let doubled: Vec<_> = bob.screen().alerts.into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(doubled.is_empty(), "alerted twice: {doubled:?}");
}

/// R036, R046, R050: the gateway dies under load at random moments, and everything that was written arrives once and in order.
#[test]
#[ignore = "kills gateways: cargo xtask test interop"]
fn kill_nine_loses_and_doubles_nothing() {
    let mut gateway = Gateway::start(&["--limits", "off"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut chance = Entropy::new([9; 32]);
    runtime.block_on(async {
        let alice = Device::sign_in(gateway.address("http"), "alice", "alice-demo").await;
        let bob = Device::sign_in(gateway.address("http"), "bob", "bob-demo").await;
        alice.shows("that it is online", SETTLE, |screen| screen.online).await;
        bob.shows("that it is online", SETTLE, |screen| screen.online).await;
        let mut expected = Vec::new();
        for round in 0..if long() { 100 } else { 10 } {
            let moment = Duration::from_millis(50 + chance.below(600));
            let until = tokio::time::Instant::now() + moment;
            while tokio::time::Instant::now() < until {
                let text = format!("round {round}, message {}", expected.len());
                alice.writes(&address("bob"), &text);
                expected.push(text);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            gateway.kill();
            gateway.restart();
            alice.does(Command::Reconnect);
            bob.does(Command::Reconnect);
        }
        settled(&alice, &bob, &expected).await;
    });
}

/// R228: the gateway dies while what waited is pushed in a session, and everything arrives once and in order.
#[test]
#[ignore = "kills gateways: cargo xtask test interop"]
fn kill_nine_while_the_queue_is_pushed() {
    let mut gateway = Gateway::start(&["--limits", "off"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let alice = Device::sign_in(gateway.address("http"), "alice", "alice-demo").await;
        alice.shows("that it is online", SETTLE, |screen| screen.online).await;
        let expected: Vec<String> = (0..if long() { 10_000 } else { 1_000 }).map(|n| format!("message {n}")).collect();
        for text in &expected {
            alice.writes(&address("bob"), text);
        }
        let accepted = |screen: &Screen| {
            let lines = screen.threads.get(&address("bob")).into_iter().flatten();
            lines.filter(|line| line.tick == Some(Tick::Sent)).count()
        };
        alice.shows("that all are accepted", SETTLE * 5, |screen| accepted(screen) == expected.len()).await;
        let bob = Device::sign_in(gateway.address("http"), "bob", "bob-demo").await;
        for share in 1..4 {
            let enough = expected.len() * share / 5;
            bob.shows("a part of them", SETTLE * 5, |screen| texts(screen, &address("alice"), false).len() >= enough).await;
            gateway.kill();
            gateway.restart();
            alice.does(Command::Reconnect);
            bob.does(Command::Reconnect);
        }
        bob.shows("every message", SETTLE * 5, |screen| texts(screen, &address("alice"), false).len() >= expected.len()).await;
        alice.shows("every delivery", SETTLE, |screen| all_arrived(screen, &address("bob"))).await;
        // A new device knows the newest message from the history before the others come. Their places follow, here with the next connection:
        // this device does not hear of changes.
        bob.cut();
        bob.does(Command::Reconnect);
        bob.shows("every message in its place", SETTLE * 5, |screen| texts(screen, &address("alice"), false) == expected).await;
        settled(&alice, &bob, &expected).await;
    });
}

/// R346: two hundred times the network goes away under both devices.
#[test]
#[ignore = "takes a while: cargo xtask test interop"]
fn two_hundred_flaps_lose_and_double_nothing() {
    let gateway = Gateway::start(&["--limits", "off"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut chance = Entropy::new([8; 32]);
    runtime.block_on(async {
        let alice = Device::sign_in(gateway.address("http"), "alice", "alice-demo").await;
        let bob = Device::sign_in(gateway.address("http"), "bob", "bob-demo").await;
        let mut expected = Vec::new();
        for flap in 0..200 {
            for _ in 0..chance.below(4) {
                let text = format!("flap {flap}, message {}", expected.len());
                alice.writes(&address("bob"), &text);
                expected.push(text);
            }
            tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
            let victim = if chance.below(2) == 0 { &alice } else { &bob };
            victim.cut();
            victim.does(Command::Reconnect);
        }
        settled(&alice, &bob, &expected).await;
    });
}
