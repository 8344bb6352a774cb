//! What the engine makes of its probes, and what it tries when they do not come through.

use std::time::Duration;

use super::stage::Stage;
use crate::client::view::{Flow, Link, Repair, Stage as Stop};
use crate::client::{Command, Input};
use crate::cpm::envelope::Envelope;
use crate::cpm::probe;
use crate::wire::sip::Status;

const SECOND: Duration = Duration::from_secs(1);

/// A device whose first probe is on its way.
fn probing() -> Stage {
    let mut stage = Stage::new();
    stage.gruu = true;
    stage.input(Input::Lead);
    stage.advance(SECOND);
    assert_eq!(stage.received.len(), 1);
    stage
}

fn flow(stage: &Stage) -> Flow {
    match stage.engine.view().link() {
        Link::Online(flow) => *flow,
        link => panic!("{link:?}"),
    }
}

/// The oldest probe comes back to the device, the disk having taken so long.
fn comes_back(stage: &mut Stage, disk: Duration) {
    let mut request = stage.received.front().unwrap().clone();
    assert_eq!(request.uri.to_string(), "sip:alice@tandem.test;gr=urn:uuid:1", "to this very device");
    probe::stamp(&mut request.headers, disk);
    let returned = stage.request(&Envelope::unwrap(&request).unwrap());
    let mut returned = crate::wire::sip::Request { body: request.body, ..returned };
    probe::stamp(&mut returned.headers, disk);
    stage.input(Input::Socket(crate::client::Socket::Frame(returned.to_bytes())));
    assert_eq!(stage.responses.last().unwrap().status, Status::OK);
}

/// R345: what comes back and is confirmed proves that messages flow, with the time of each hop.
#[test]
fn a_round_is_measured() {
    let mut stage = probing();
    stage.advance(Duration::from_millis(30));
    comes_back(&mut stage, Duration::from_millis(9));
    assert_eq!(flow(&stage), Flow::Unproven, "not confirmed yet");
    stage.advance(Duration::from_millis(10));
    stage.answers(Status::OK);
    let Flow::Proven(round) = flow(&stage) else { panic!() };
    assert_eq!((round.disk, round.confirmed - round.total), (9, 10));
    assert!(stage.bubbles("alice").is_empty() && stage.alerts.is_empty() && stage.errands() == 0);
}

/// R345: a silent server is named after seconds; a repair tries again, registers anew, takes a new socket, and then says that it can do no
/// more; a proof ends all that.
#[test]
fn a_repair_goes_step_by_step() {
    let mut stage = probing();
    stage.advance(SECOND * 7);
    assert_eq!(flow(&stage), Flow::Stopped { at: Stop::Server, repair: Repair::Possible });
    let (registers, connects) = (stage.registers.len(), stage.connects);
    stage.command(Command::Reconnect);
    stage.command(Command::Reconnect);
    assert_eq!(flow(&stage), Flow::Stopped { at: Stop::Server, repair: Repair::Running });
    stage.advance(SECOND * 6);
    assert_eq!((stage.registers.len(), stage.connects), (registers + 1, connects));
    stage.advance(SECOND * 6);
    assert_eq!(stage.connects, connects + 1);
    stage.advance(SECOND * 7);
    assert_eq!(flow(&stage), Flow::Stopped { at: Stop::Server, repair: Repair::Failed });
    assert_eq!(stage.connects, connects + 1);
    stage.received.clear();
    while stage.received.is_empty() {
        stage.advance(SECOND);
    }
    comes_back(&mut stage, SECOND);
    stage.answers(Status::OK);
    assert!(matches!(flow(&stage), Flow::Proven(_)));
}

/// R345: a server that asks for patience has not failed.
#[test]
fn too_many_probes_prove_nothing() {
    let mut stage = probing();
    stage.answers(Status(429));
    assert_eq!(flow(&stage), Flow::Unproven);
    stage.advance(SECOND * 59);
    assert!(stage.received.is_empty());
    stage.advance(SECOND * 62);
    assert!(!stage.received.is_empty());
}
