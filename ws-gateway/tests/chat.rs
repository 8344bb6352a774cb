//! Two people and their devices on a real gateway: what one writes the other gets, and what became of it comes back.

#[path = "support/device.rs"]
mod device;
#[path = "support/gateway.rs"]
mod gateway;

use std::time::Duration;

use device::{Device, Line, Screen};
use gateway::Gateway;
use wasm_core::client::Command;
use wasm_core::client::view::Tick;
use wasm_core::cpm::address::Address;

const SOON: Duration = Duration::from_secs(15);

fn address(user: &str) -> Address {
    Address::parse(&format!("sip:{user}@tandem.test")).expect("an address")
}

fn lines(screen: &Screen, with: &str) -> Vec<Line> {
    screen.threads.get(&address(with)).cloned().unwrap_or_default()
}

fn has(screen: &Screen, with: &str, text: &str, tick: Option<Tick>) -> bool {
    lines(screen, with).iter().any(|line| line.text == text && line.tick == tick)
}

/// R039, R047, R050, R054, R059, R296, R297: a message waits for its recipient, is delivered, reported, read, and known to the sender's
/// and the recipient's other devices.
#[test]
fn a_message_its_receipts_and_the_other_devices() {
    let gateway = Gateway::start(&["--limits", "off"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let http = gateway.address("http");
        let alice = Device::sign_in(http, "alice", "alice-demo").await;
        alice.shows("that it is online", SOON, |screen| screen.online).await;
        alice.writes(&address("bob"), "are you there?");
        alice.shows("that it is sent", SOON, |screen| has(screen, "bob", "are you there?", Some(Tick::Sent))).await;

        let bob = Device::sign_in(http, "bob", "bob-demo").await;
        bob.shows("what waited", SOON, |screen| has(screen, "alice", "are you there?", None)).await;
        alice.shows("that it is delivered", SOON, |screen| has(screen, "bob", "are you there?", Some(Tick::Delivered))).await;
        bob.does(Command::Read { with: address("alice") });
        alice.shows("that it is read", SOON, |screen| has(screen, "bob", "are you there?", Some(Tick::Read))).await;

        bob.writes(&address("alice"), "yes");
        bob.shows("that it is delivered", SOON, |screen| has(screen, "alice", "yes", Some(Tick::Delivered))).await;
        alice.writes(&address("nobody"), "hello?");
        alice.shows("that nobody has it", SOON, |screen| has(screen, "nobody", "hello?", Some(Tick::Failed))).await;

        // A second device of hers has the newest at once, and all when she looks.
        let tablet = Device::sign_in(http, "alice", "alice-demo").await;
        tablet.shows("the newest", SOON, |screen| has(screen, "bob", "yes", None)).await;
        tablet.does(Command::Open { with: address("bob") });
        tablet.shows("what she wrote elsewhere", SOON, |screen| has(screen, "bob", "are you there?", Some(Tick::Read))).await;
        // Her network goes away in the middle of a sentence.
        alice.writes(&address("bob"), "one moment");
        alice.cut();
        bob.shows("it once", SOON, |screen| has(screen, "alice", "one moment", None)).await;
        alice.shows("that it is delivered", SOON, |screen| has(screen, "bob", "one moment", Some(Tick::Delivered))).await;
        bob.writes(&address("alice"), "both of you");
        alice.shows("it", SOON, |screen| has(screen, "bob", "both of you", None)).await;
        tablet.shows("it too", SOON, |screen| has(screen, "bob", "both of you", None)).await;
        let texts = |device: &Device, with| lines(&device.screen(), with).into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(&bob, "alice"), ["are you there?", "yes", "one moment", "both of you"]);
        assert_eq!(texts(&alice, "bob"), texts(&bob, "alice"));
        assert!(alice.screen().alerts.values().chain(bob.screen().alerts.values()).all(|times| *times == 1));
    });
}
