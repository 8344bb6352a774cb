//! The steps of messages: gathered while they happen, written when there is time, shown to their users as ladders (R347).
//!
//! A step costs the node its way into a map. Every second what has come together is written, one row for each user, by units that nobody
//! waits for. When more comes than can be written, steps are left out, and counted: they are for people to look at, and nothing is built
//! on them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasm_core::cpm::ids::{InstanceId, MessageId};
use wasm_core::cpm::ladder::{Ladder, Step};
use wasm_core::{Text, Time};

use super::Gateway;
use super::http::ApiError;
use super::session::{Signed, write};
use crate::node::{Directory as _, End, Rung, Sent};
use crate::store::{Direction, StoredMessage, Unit, UserId, Write};

/// Steps that wait to be written: of all users, and of one.
const MOST: usize = 50_000;
const MOST_OF_USER: usize = 100;
/// Rows written in one second.
const ROWS: usize = 500;
/// Steps of one ladder.
const LONGEST: usize = 200;

/// The steps that are not written yet.
#[derive(Debug, Default)]
pub struct Trails(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    users: HashMap<UserId, Vec<Rung>>,
    count: usize,
}

/// A step as it is kept: a line of JSON with short names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    #[serde(rename = "m")]
    message_id: MessageId,
    #[serde(rename = "t")]
    at: Time,
    #[serde(rename = "e")]
    end: Kept,
    #[serde(rename = "c")]
    came: bool,
    #[serde(rename = "w")]
    what: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    #[serde(rename = "d")]
    Device(Text),
    #[serde(rename = "o")]
    Other,
    #[serde(rename = "s")]
    Store,
}

impl From<&Rung> for Line {
    fn from(rung: &Rung) -> Line {
        let end = match &rung.end {
            End::Device(name) => Kept::Device(name.clone()),
            End::Other => Kept::Other,
            End::Store => Kept::Store,
        };
        let what = match rung.what {
            Sent::Word(word) => Text::from(word),
            Sent::Answer(status) => {
                let mut words = status.0.to_string();
                let _ = write!(words, " {}", status.reason());
                Text::from(words)
            }
        };
        Line { message_id: rung.message_id.clone(), at: rung.at, end, came: rung.came, what }
    }
}

impl Trails {
    /// Takes a step, if there is room.
    pub fn note(&self, rung: Rung) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.count >= MOST;
        let steps = waiting.users.entry(rung.user).or_default();
        if full || steps.len() >= MOST_OF_USER {
            metrics::counter!("tandem_trail_steps_dropped_total").increment(1);
            return;
        }
        steps.push(rung);
        waiting.count += 1;
    }

    /// The steps of some users, which are not waiting any more.
    fn take(&self, users: usize) -> Vec<(UserId, Vec<Rung>)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen: Vec<UserId> = waiting.users.keys().take(users).copied().collect();
        let taken: Vec<_> = chosen.into_iter().filter_map(|user| waiting.users.remove_entry(&user)).collect();
        waiting.count -= taken.iter().map(|(_, steps)| steps.len()).sum::<usize>();
        taken
    }

    /// The steps of one user's message that wait.
    fn of(&self, user: UserId, id: &MessageId) -> Vec<Line> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = waiting.users.get(&user).into_iter().flatten();
        steps.filter(|rung| rung.message_id == *id).map(Line::from).collect()
    }

    /// Has the steps of so many users written.
    pub fn write(&self, gateway: &Gateway, users: usize) {
        for (user, steps) in self.take(users) {
            let Some(last) = steps.last() else { continue };
            let (at, body) = (last.at, encode(&steps));
            gateway.writer.submit(Write::Trail { user, at, body }.into(), move |result| {
                if let Err(error) = result {
                    tracing::debug!(%user, %error, "the steps of messages could not be written");
                }
            });
        }
    }
}

fn encode(steps: &[Rung]) -> Bytes {
    let mut body = Vec::with_capacity(steps.len() * 120);
    for step in steps {
        // A line of texts and numbers is always JSON.
        if serde_json::to_writer(&mut body, &Line::from(step)).is_ok() {
            body.push(b'\n');
        }
    }
    Bytes::from(body)
}

/// The lines about a message; what cannot be read is left out.
fn lines<'a>(body: &'a Bytes, id: &'a MessageId) -> impl Iterator<Item = Line> + 'a {
    let lines = body.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()).filter(move |line| line.message_id == *id)
}

/// Writes what has come together, every second.
pub async fn run(gateway: Arc<Gateway>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        gateway.trails.write(&gateway, ROWS);
    }
}

/// `GET /api/messages/{id}/ladder`
pub async fn show(State(gateway): State<Arc<Gateway>>, signed: Signed, Path(id): Path<String>) -> Result<Json<Ladder>, ApiError> {
    let id = MessageId::parse(&Text::from(id)).ok_or_else(|| ApiError::bad_request("This is not a message's identifier."))?;
    let user = signed.account.user;
    let wanted = id.clone();
    let waiting = gateway.trails.of(user, &id);
    // What is on its way to the disk is there when what was handed in after it is.
    write(&gateway, Unit::default()).await?;
    let (message, written) = gateway
        .read(move |store| {
            let mut entries = store.message(user, Direction::Out, &wanted)?;
            if entries.is_empty() {
                entries = store.message(user, Direction::In, &wanted)?;
            }
            Ok((entries.pop().map(|entry| entry.message), store.trails(user)?))
        })
        .await?;
    let message = message.ok_or_else(ApiError::not_found)?;
    let mut steps: Vec<Line> = written.iter().flat_map(|body| lines(body, &id)).chain(waiting).take(LONGEST).collect();
    steps.sort_by_key(|line| line.at);
    // Written while it was looked at.
    steps.dedup();
    let device = |name: &Text| {
        let device = InstanceId::parse(name).and_then(|instance| gateway.accounts.device(user, &instance));
        match device {
            Some(device) => device.name.clone(),
            None if name.starts_with("urn:") => Text::from("Device"),
            None => name.clone(),
        }
    };
    Ok(Json(ladder(&message, &steps, device)))
}

/// Draws the steps: who took part, in which flows.
fn ladder(message: &StoredMessage, lines: &[Line], device: impl Fn(&Text) -> Text) -> Ladder {
    let mut ladder = Ladder { lanes: vec![Text::from("Server")], ..Ladder::default() };
    let mut ends: Vec<&Kept> = Vec::new();
    for line in lines {
        let lane = match ends.iter().position(|end| **end == line.end) {
            Some(at) => at + 1,
            None => {
                ends.push(&line.end);
                ladder.lanes.push(match &line.end {
                    Kept::Device(name) => device(name),
                    Kept::Other => message.with.text().clone(),
                    Kept::Store => Text::from("Message store"),
                });
                ends.len()
            }
        } as u32;
        let name = flow(message.direction, &line.what, &line.end, ladder.steps.last().map(|step| &*ladder.flows[step.flow as usize]));
        let flow = match ladder.flows.iter().position(|flow| *flow == name) {
            Some(at) => at,
            None => {
                ladder.flows.push(Text::from(name));
                ladder.flows.len() - 1
            }
        } as u32;
        let (from, to) = if line.came { (lane, 0) } else { (0, lane) };
        ladder.steps.push(Step { at: line.at, from, to, what: line.what.clone(), flow });
    }
    ladder
}

const SENT: &str = "Pager message, originating side (C.3.1.1.1)";
const RECEIVED: &str = "Pager message, terminating side (C.3.1.1.2)";
const NOTIFIED: &str = "Notification to the sender (C.3.1.4.1)";
const NOTIFIES: &str = "Notification by the recipient (C.3.1.4.2)";
const UNDELIVERED: &str = "Unsuccessful delivery (C.3.1.4.3)";

/// The flow that a step belongs to. An answer belongs to what it answers, which came before.
fn flow<'a>(direction: Direction, what: &str, end: &Kept, before: Option<&'a str>) -> &'a str {
    let is_report = what.contains("IMDN");
    let is_request = ["MESSAGE", "SEND"].iter().any(|word| what.starts_with(word)) || *end == Kept::Store;
    match (direction, before) {
        _ if what.contains("failed") || what == "expired" => UNDELIVERED,
        (_, Some(before)) if !is_request => before,
        (Direction::Out, _) if is_report => NOTIFIED,
        (Direction::In, _) if is_report => NOTIFIES,
        (Direction::Out, _) => SENT,
        (Direction::In, _) => RECEIVED,
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::cpm::address::Address;
    use wasm_core::cpm::envelope::Wants;
    use wasm_core::cpm::receipt::Receipt;
    use wasm_core::wire::sip::Status;

    use super::*;

    fn rung(id: &str, at: u64, end: End, came: bool, what: Sent) -> Rung {
        Rung { user: UserId(1), message_id: MessageId::parse(&id.into()).unwrap(), at: Time(at), end, came, what }
    }

    fn message() -> StoredMessage {
        let (alice, bob) = (Address::parse("sip:alice@tandem.test").unwrap(), Address::parse("sip:bob@tandem.test").unwrap());
        StoredMessage {
            user: UserId(1),
            direction: Direction::Out,
            with: bob.clone(),
            message_id: MessageId::parse(&"m".into()).unwrap(),
            conversation: None,
            contribution: None,
            in_reply_to: None,
            from: alice,
            to: bob,
            date: Time(1),
            content_type: "text/plain".into(),
            body: Bytes::new(),
            wants: Wants::ALL,
            receipt: Receipt::Sent,
            expires: None,
        }
    }

    /// R347: the steps become arrows between those who took part, each in its flow.
    #[test]
    fn steps_are_drawn() {
        let laptop = || End::Device("urn:uuid:1".into());
        let steps = [
            rung("m", 1, laptop(), true, Sent::Word("MESSAGE")),
            rung("other", 1, laptop(), true, Sent::Word("MESSAGE")),
            rung("m", 2, End::Store, false, Sent::Word("store")),
            rung("m", 3, laptop(), false, Sent::Answer(Status::OK)),
            rung("m", 4, End::Other, true, Sent::Word("MESSAGE (IMDN delivered)")),
        ];
        let body = encode(&steps);
        let id = MessageId::parse(&"m".into()).unwrap();
        let lines: Vec<Line> = lines(&body, &id).collect();
        let drawn = ladder(&message(), &lines, |_| Text::from("Laptop"));
        assert_eq!(drawn.lanes, ["Server", "Laptop", "Message store", "sip:bob@tandem.test"]);
        assert_eq!(drawn.flows, [SENT, NOTIFIED]);
        let arrows: Vec<_> = drawn.steps.iter().map(|step| (step.from, step.to, &*step.what, step.flow)).collect();
        let (ok, delivered) = ("200 OK", "MESSAGE (IMDN delivered)");
        assert_eq!(arrows, [(1, 0, "MESSAGE", 0), (0, 2, "store", 0), (0, 1, ok, 0), (3, 0, delivered, 1)]);
    }

    /// R347: what does not fit is left out, whoever it belongs to.
    #[test]
    fn what_waits_is_bounded() {
        let trails = Trails::default();
        for at in 0..MOST_OF_USER as u64 + 5 {
            trails.note(rung("m", at, End::Other, true, Sent::Word("MESSAGE")));
        }
        let id = MessageId::parse(&"m".into()).unwrap();
        assert_eq!(trails.of(UserId(1), &id).len(), MOST_OF_USER);
        assert_eq!(trails.take(1).len(), 1);
        assert!(trails.take(1).is_empty() && trails.of(UserId(1), &id).is_empty());
    }
}
