//! Whatever the network does, each text is taken once: the engine against a server that only remembers Message-IDs.

use std::collections::BTreeMap;
use std::time::Duration;

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
}

impl Model {
    fn take(&mut self, envelope: &Envelope) {
        let (Content::Text(text), Some(id)) = (&envelope.content, &envelope.message_id) else { panic!("{envelope:?}") };
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

/// After the storm everything is taken: once each, in the order of writing to each person, and shown as sent.
fn settle(stage: &mut Stage, model: &mut Model) {
    stage.reachable = true;
    stage.input(Input::Network(true));
    for _ in 0..600 {
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
        let shown = stage.thread(person);
        assert!(shown.iter().all(|(_, tick)| *tick == Some(Tick::Sent)), "{shown:?}");
        let shown: Vec<_> = shown.into_iter().map(|(text, _)| text).collect();
        assert_eq!(taken, shown, "to {person}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// R346: random breaks, reloads, lost answers and trouble: every text is taken exactly once and in order.
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
