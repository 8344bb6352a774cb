//! Whatever the network does, each text is taken once: the engine against a server that only remembers Message-IDs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::stage::{Stage, address};
use crate::client::view::Tick;
use crate::client::{Command, Input, Socket};
use crate::cpm::envelope::{Content, Envelope};
use crate::cpm::ids::MessageId;
use crate::wire::sip::{Response, Status};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Send {
        to: usize,
    },
    /// The server takes the oldest request in; its answer may get lost with the socket.
    Take {
        answer: Answer,
    },
    /// Somebody writes to the device's user; the device's answer may get lost.
    Arrive {
        from: usize,
        answer_lost: bool,
    },
    Read {
        with: usize,
    },
    Break,
    Reload,
    Wait {
        millis: u64,
    },
    Unreachable,
    Reachable,
    Network(bool),
    Look,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Arrives,
    IsLost,
    Trouble,
}

const PEOPLE: [&str; 3] = ["bob", "carol", "dave"];

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![4 => Just(Answer::Arrives), 2 => Just(Answer::IsLost), 1 => Just(Answer::Trouble)];
    prop_oneof![
        5 => (0..PEOPLE.len()).prop_map(|to| Step::Send { to }),
        6 => answer.prop_map(|answer| Step::Take { answer }),
        3 => (0..PEOPLE.len(), any::<bool>()).prop_map(|(from, answer_lost)| Step::Arrive { from, answer_lost }),
        1 => (0..PEOPLE.len()).prop_map(|with| Step::Read { with }),
        3 => Just(Step::Break),
        1 => Just(Step::Reload),
        4 => (1u64..5_000).prop_map(|millis| Step::Wait { millis }),
        1 => Just(Step::Unreachable),
        2 => Just(Step::Reachable),
        1 => any::<bool>().prop_map(Step::Network),
        1 => Just(Step::Look),
    ]
}

/// A server that takes every text once, in the order in which it first came.
#[derive(Debug, Default)]
struct Model {
    taken: BTreeMap<MessageId, String>,
    order: Vec<(String, String)>,
    /// What is for the device, until it has said that it has it.
    pending: Vec<Envelope>,
    arrived: usize,
    /// The notifications that came, by what they say about which message.
    notices: BTreeMap<(String, String), BTreeSet<MessageId>>,
}

impl Model {
    fn take(&mut self, envelope: &Envelope) {
        let Some(id) = &envelope.message_id else { panic!("{envelope:?}") };
        let text = match &envelope.content {
            Content::Text(text) => text,
            Content::Notification(about) => {
                let what = (about.message_id.to_string(), format!("{:?}", about.report));
                self.notices.entry(what).or_default().insert(id.clone());
                return;
            }
            other => panic!("{other:?}"),
        };
        match self.taken.get(id) {
            Some(known) => assert_eq!(known.as_str(), text.as_str(), "an identifier stands for one text"),
            None => {
                self.taken.insert(id.clone(), text.to_string());
                self.order.push((envelope.to.to_string(), text.to_string()));
            }
        }
    }
}

fn perform(stage: &mut Stage, model: &mut Model, step: Step, count: &mut usize) {
    match step {
        Step::Send { to } => {
            *count += 1;
            stage.command(Command::Send { to: address(PEOPLE[to]), text: format!("text {count}"), reply_to: None });
        }
        Step::Take { answer } => {
            let Some(request) = stage.received.pop_front() else { return };
            match answer {
                Answer::Trouble => stage.responds(Response::to(&request, Status::SERVICE_UNAVAILABLE)),
                Answer::IsLost => {
                    model.take(&Envelope::unwrap(&request).unwrap());
                    stage.breaks();
                }
                Answer::Arrives => {
                    model.take(&Envelope::unwrap(&request).unwrap());
                    stage.responds(Response::to(&request, Status::OK));
                }
            }
        }
        Step::Arrive { from, answer_lost } => {
            model.arrived += 1;
            let text = format!("news {}", model.arrived);
            model.pending.push(stage.text(PEOPLE[from], &text));
            push(stage, model, answer_lost);
        }
        Step::Read { with } => stage.command(Command::Read { with: address(PEOPLE[with]) }),
        Step::Break => {
            if stage.open {
                stage.breaks();
            } else {
                stage.input(Input::Socket(Socket::Closed));
            }
        }
        Step::Reload => {
            stage.reload();
            stage.input(Input::Lead);
        }
        Step::Wait { millis } => stage.advance(Duration::from_millis(millis)),
        Step::Unreachable => stage.reachable = false,
        Step::Reachable => stage.reachable = true,
        Step::Network(there) => stage.input(Input::Network(there)),
        Step::Look => stage.input(Input::Visible(true)),
    }
}

/// The server passes on what waits for the device, in order, and forgets what is answered.
fn push(stage: &mut Stage, model: &mut Model, answer_lost: bool) {
    while stage.engine.view().link().is_online() && !model.pending.is_empty() {
        let envelope = model.pending[0].clone();
        assert_eq!(stage.arrives(&envelope), Status::OK);
        if answer_lost {
            stage.breaks();
        } else {
            model.pending.remove(0);
        }
    }
}

/// After the storm everything is taken: once each, in the order of writing to each person, and shown as sent.
fn settle(stage: &mut Stage, model: &mut Model) {
    stage.reachable = true;
    stage.input(Input::Network(true));
    for _ in 0..600 {
        push(stage, model, false);
        while !stage.received.is_empty() {
            perform(stage, model, Step::Take { answer: Answer::Arrives }, &mut 0);
        }
        stage.advance(Duration::from_secs(1));
    }
}

fn check(stage: &Stage, model: &Model, count: usize) {
    assert_eq!(model.order.len(), count, "each text is taken exactly once");
    for person in PEOPLE {
        let to = address(person).to_string();
        let taken: Vec<_> = model.order.iter().filter(|(other, _)| *other == to).map(|(_, text)| text.clone()).collect();
        let shown: Vec<_> = stage.thread(person).into_iter().filter(|(_, tick)| tick.is_some()).collect();
        assert!(shown.iter().all(|(_, tick)| *tick == Some(Tick::Sent)), "{shown:?}");
        let shown: Vec<_> = shown.into_iter().map(|(text, _)| text).collect();
        assert_eq!(taken, shown, "to {person}");
    }
    let incoming = |stage: &Stage, person| stage.bubbles(person).into_iter().filter(|bubble| !bubble.outgoing).count();
    assert_eq!(PEOPLE.iter().map(|person| incoming(stage, person)).sum::<usize>(), model.arrived, "all that came is shown once");
    let alerted: BTreeSet<_> = stage.alerts.iter().map(|alert| &alert.id).collect();
    assert_eq!((stage.alerts.len(), alerted.len()), (model.arrived, model.arrived), "each was announced once");
    assert!(model.notices.values().all(|ids| ids.len() == 1), "a report is one message, however often it is sent");
    let delivered = model.notices.keys().filter(|(_, report)| report.contains("Delivered")).count();
    assert_eq!(delivered, model.arrived, "each delivery was reported");
    assert!(stage.disk.keys().all(|(store, key)| store != "errands" || key.starts_with("seen")), "nothing is owed any more");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// R346, R047, R054: random breaks, reloads, lost answers and trouble: every text is taken exactly once and in order, every text that
    /// comes is shown, announced and reported once.
    #[test]
    fn every_text_is_taken_exactly_once(steps in proptest::collection::vec(step(), 1..80)) {
        let mut stage = Stage::online();
        let mut model = Model::default();
        let mut count = 0;
        for step in steps {
            perform(&mut stage, &mut model, step, &mut count);
        }
        settle(&mut stage, &mut model);
        check(&stage, &model, count);
    }
}

proptest! {
    /// Whatever comes over the wire, the engine neither falls nor shows anything.
    #[test]
    fn no_frame_and_no_answer_is_fatal(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8),
        cut in 0usize..700, at in 0usize..700, byte in any::<u8>(), status in any::<u16>(),
    ) {
        let mut stage = Stage::online();
        for frame in frames {
            stage.input(Input::Socket(Socket::Frame(Bytes::from(frame.clone()))));
            stage.input(Input::Changed { cursor: 1 });
            if let Some((id, ..)) = stage.http.pop_front() {
                stage.input(Input::Http { id, status: if status == 401 { 400 } else { status }, body: Bytes::from(frame) });
            }
        }
        prop_assert!(stage.engine.view().threads().is_empty());
        let envelope = stage.text("bob", "hello");
        let mut message = stage.request(&envelope).to_bytes().to_vec();
        message.truncate(cut.max(1));
        let at = at % message.len();
        message[at] = byte;
        stage.input(Input::Socket(Socket::Frame(Bytes::from(message))));
    }
}

/// R346: a chat over 1,000 reconnections loses and doubles nothing, in either direction.
#[test]
fn a_thousand_reconnections_lose_and_double_nothing() {
    let mut stage = Stage::online();
    let mut model = Model::default();
    let mut count = 0;
    let mut arrived = 0;
    for round in 0..1_000 {
        perform(&mut stage, &mut model, Step::Send { to: 0 }, &mut count);
        // Every third answer is lost with the socket, every third request with it, and the rest go well.
        let step = match round % 3 {
            0 => Step::Take { answer: Answer::IsLost },
            1 => Step::Break,
            _ => Step::Take { answer: Answer::Arrives },
        };
        perform(&mut stage, &mut model, step, &mut count);
        if stage.open {
            let mut message = stage.text("carol", &format!("from carol {round}"));
            message.wants = crate::cpm::envelope::Wants::NOTHING;
            stage.arrives(&message);
            arrived += 1;
            stage.breaks();
        }
        stage.advance(Duration::from_secs(20));
    }
    assert!(stage.connects >= 1_000, "{}", stage.connects);
    settle(&mut stage, &mut model);
    assert_eq!(model.order.len(), count);
    assert_eq!(stage.bubbles("carol").len(), arrived);
    let texts: Vec<_> = stage.thread("bob").into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, (1..=1_000).map(|at| format!("text {at}")).collect::<Vec<_>>());
}
