//! Several tabs of one browser as one device.

use super::stage::{Stage, address};
use crate::client::view::Tick;
use crate::client::{Command, Input, Record, Role};
use crate::cpm::envelope::Content;
use crate::wire::iscomposing::IsComposing;
use crate::wire::sip::Status;

/// Lets a follower hear what the leader has said since.
fn follow(leader: &mut Stage, follower: &mut Stage) {
    for record in std::mem::take(&mut leader.heard) {
        // Between tabs records travel as JSON.
        let json = serde_json::to_string(&record).unwrap();
        follower.engine.apply(serde_json::from_str::<Record>(&json).unwrap());
    }
    // They share the disk.
    follower.disk.clone_from(&leader.disk);
    follower.perform();
}

/// R348: a follower shows what the leader does, and its commands go to the leader.
#[test]
fn a_follower_sees_the_same_and_forwards() {
    let mut leader = Stage::online();
    let mut follower = Stage::new();
    leader.answer = Some(Status::OK);
    follower.command(Command::Send { to: address("bob"), text: "from the second tab".to_owned(), reply_to: None });
    assert_eq!(follower.connects, 0);
    let command = follower.forwarded.pop().unwrap();
    let command: Command = serde_json::from_str(&serde_json::to_string(&command).unwrap()).unwrap();
    // It is said again when the leader's word that it is done got lost.
    leader.command(command.clone());
    leader.command(command);
    let message = leader.text("carol", "hello");
    leader.arrives(&message);
    let mut composing = leader.text("bob", "");
    composing.content = Content::Composing(IsComposing::active(60));
    leader.arrives(&composing);
    follow(&mut leader, &mut follower);
    assert_eq!(follower.engine.view().threads(), leader.engine.view().threads());
    assert!(follower.engine.view().link().is_online());
    assert_eq!(follower.thread("bob"), [("from the second tab".to_owned(), Some(Tick::Sent))]);
    assert!(follower.engine.view().thread(&address("bob")).unwrap().typing());
    assert_eq!(follower.engine.view().unread(), 1);
    assert!(!follower.changes.is_empty());
    assert_eq!(follower.engine.next_timeout(), None);
}

/// R348: when the leading tab is closed in the middle of sending, the next one goes on with the same message, reports and history.
#[test]
fn a_follower_takes_over_where_the_leader_ended() {
    let mut leader = Stage::online();
    let mut follower = Stage::new();
    let message = leader.text("carol", "hello");
    leader.arrives(&message);
    leader.sends("bob", "one");
    leader.sends("bob", "two");
    assert_eq!(leader.received.len(), 2);
    follow(&mut leader, &mut follower);
    let sent = leader.received.pop_back().unwrap();

    follower.now = leader.now;
    follower.input(Input::Lead);
    assert_eq!((follower.engine.role(), follower.connects), (Role::Leader, 1));
    let mut ids = Vec::new();
    while !follower.received.is_empty() {
        ids.push(follower.answers(Status::OK).message_id.unwrap());
    }
    let sent = crate::cpm::envelope::Envelope::unwrap(&sent).unwrap();
    assert_eq!(ids.len(), 3, "a report and two texts");
    assert!(ids.contains(&sent.message_id.unwrap()));
    assert_eq!(follower.thread("bob"), [("one".to_owned(), Some(Tick::Sent)), ("two".to_owned(), Some(Tick::Sent))]);
    let path = follower.serves(200, r#"{"cursor":0,"objects":[],"more":false,"reset":false}"#);
    assert_eq!(path, "/nms/v1/main/sip%3Aalice%40tandem.test/changes?since=0&limit=200");
}

/// R348: a tab that lost the lead stops at once, whatever is on its way, and can lead again.
#[test]
fn a_leader_that_is_replaced_falls_silent() {
    let mut stage = Stage::online();
    stage.sends("bob", "one");
    stage.input(Input::Follow);
    assert_eq!((stage.engine.role(), stage.open, stage.engine.next_timeout()), (Role::Follower, false, None));
    stage.sends("bob", "two");
    assert_eq!(stage.forwarded.len(), 1);
    stage.input(Input::Lead);
    stage.answers(Status::OK);
    assert_eq!(stage.thread("bob"), [("one".to_owned(), Some(Tick::Sent))]);
}
