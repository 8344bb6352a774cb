//! The probe behind the link's state: whether messages really flow, and the repair of a link that stands but carries none (R345).
//!
//! A probe is sent after every registration, when a message had no success, when the user wants it or looks after a while, and else every
//! 25 to 50 minutes while the user looks: 100,000 devices that are looked at make 45 probes a second, each of them one row of a commit
//! that it shares with others, and four SIP messages.
//! What comes back, or does not, tells where the way ends:
//!
//! | came back | confirmed | then the way ends at |
//! |---|---|---|
//! | yes | 200 | nowhere |
//! | any | 202 | the delivery, unless other messages came meanwhile |
//! | any | 503 | the server, which is busy |
//! | any | 500, 504 | the store |
//! | any | another refusal | the refusal |
//! | yes | nothing in time | the confirmation |
//! | no | nothing in time | the server, or the line when nothing at all was heard |
//!
//! A repair tries one remedy after the other, each followed by a probe: nothing, a new registration, a new socket.

use std::time::Duration;

use super::engine::Engine;
use super::view::{Flow, Repair, Round, Stage};
use crate::cpm::ids::MessageId;
use crate::cpm::probe;
use crate::sip::flow::Backoff;
use crate::sip::transaction::ClientId;
use crate::wire::sip::{Headers, Request, Response, Status};
use crate::{Entropy, Time};

/// How long a probe may take.
const ROUND: Duration = Duration::from_secs(6);
/// After a registration.
const SETTLING: Duration = Duration::from_secs(1);
/// After a message without success.
const SUSPICION: Backoff = Backoff { base: Duration::from_secs(10), longest: Duration::from_secs(10) };
/// While messages flow and the user looks.
const RARELY: Backoff = Backoff { base: Duration::from_secs(3000), longest: Duration::from_secs(3000) };
/// After this time, a proof is worth a new one when the user looks.
const STALE: Duration = Duration::from_secs(300);
/// While messages do not flow.
const AGAIN: Backoff = Backoff { base: Duration::from_secs(5), longest: Duration::from_secs(120) };
/// How often a challenge is answered.
const CHALLENGES: u32 = 2;

/// What a repair has tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Nothing,
    Registration,
    Socket,
}

/// A probe that is on its way.
#[derive(Debug)]
struct Flying {
    id: MessageId,
    client: ClientId,
    request: Request,
    challenges: u32,
    sent: Time,
    /// When it came back, and how long the disk took.
    back: Option<(Time, Duration)>,
    /// Whether anything else was delivered meanwhile.
    others: bool,
}

/// What is known of the way, and what is done to know more.
#[derive(Debug)]
pub struct Probe {
    entropy: Entropy,
    flow: Flow,
    flying: Option<Flying>,
    /// When the next one is sent.
    due: Option<Time>,
    /// When the last one came through.
    proven: Option<Time>,
    failures: u32,
    remedy: Option<Remedy>,
    /// Whether the user looks.
    watched: bool,
}

impl Probe {
    /// Nothing is known.
    pub fn new(entropy: Entropy) -> Self {
        Probe { entropy, flow: Flow::Unproven, flying: None, due: None, proven: None, failures: 0, remedy: None, watched: true }
    }

    /// Whether messages flow.
    pub fn flow(&self) -> Flow {
        match (self.flow, self.remedy) {
            (Flow::Stopped { at, .. }, Some(_)) => Flow::Stopped { at, repair: Repair::Running },
            (flow, _) => flow,
        }
    }

    /// The device is registered.
    pub fn up(&mut self, now: Time) {
        // Many come at once when a server has restarted.
        let wait = if self.remedy.is_some() { 0 } else { self.entropy.below(SETTLING.as_millis() as u64) };
        self.due = Some(now + Duration::from_millis(wait));
    }

    /// The device is not registered any more. A repair goes on when it was the one that left the socket.
    pub fn down(&mut self) {
        self.flying = None;
        self.due = None;
        if self.remedy != Some(Remedy::Socket) {
            self.remedy = None;
            self.flow = Flow::Unproven;
        }
    }

    /// The user looks, or looks away.
    pub fn watched(&mut self, now: Time, watched: bool) {
        self.watched = watched;
        match self.proven {
            Some(then) if watched && now.since(then) >= STALE => self.hurry(now),
            Some(then) if watched => self.due = self.due.or(Some(then + RARELY.base)),
            // Where messages do not flow, they are asked for all the same: the user may be writing into the void.
            Some(_) if matches!(self.flow, Flow::Proven(_)) => self.due = None,
            Some(_) | None => {}
        }
    }

    /// A message had no success.
    pub fn suspect(&mut self, now: Time) {
        if !matches!(self.flow, Flow::Stopped { .. }) {
            let at = now + SUSPICION.wait(0, &mut self.entropy);
            self.hurry(at);
        }
    }

    /// Something was delivered to this device.
    pub fn delivered(&mut self) {
        if let Some(flying) = &mut self.flying {
            flying.others = true;
        }
    }

    /// When the next probe is sent, or the one on its way is given up.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.flying {
            Some(flying) => Some(flying.sent + ROUND),
            None => self.due,
        }
    }

    /// Not later than this.
    fn hurry(&mut self, at: Time) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Flying {
    /// What the server's confirmation shows; nothing when the server has only asked for patience.
    fn verdict(&self, now: Time, status: Status) -> Option<Result<Round, Stage>> {
        let took = |then: Time| u32::try_from(then.since(self.sent).as_millis()).unwrap_or(u32::MAX);
        let round = |(back, disk): (Time, Duration)| Round { total: took(back), disk: disk.as_millis() as u32, confirmed: took(now) };
        Some(match status.0 {
            429 => return None,
            503 => Err(Stage::Busy),
            500 | 504 => Err(Stage::Store),
            200..300 => match self.back {
                Some(back) => Ok(round(back)),
                None if self.others => Ok(round((now, Duration::ZERO))),
                None => Err(Stage::Delivery),
            },
            _ => Err(Stage::Refused),
        })
    }
}

impl Engine {
    /// Sends a probe, or gives one up, where its time has come.
    pub(super) fn probe_overdue(&mut self, now: Time) {
        if !self.link.is_up() || self.probe.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.probe.flying.take() {
            None => self.send_probe(now),
            Some(flying) => {
                let stage = match flying.back {
                    Some(_) => Stage::Answer,
                    None if self.link.heard_since(flying.sent) => Stage::Server,
                    None => Stage::Line,
                };
                self.probe_stopped(now, stage);
            }
        }
    }

    fn send_probe(&mut self, now: Time) {
        self.probe.due = None;
        // A server that gives devices no addresses of their own cannot be asked.
        let Some(gruu) = self.link.gruu() else { return self.probe.remedy = None };
        let id = MessageId::new(&mut self.entropy);
        let mut request = probe::envelope(&self.profile.address, id.clone(), now).wrap();
        request.uri = gruu;
        let (client, request) = self.link.request(now, request);
        self.probe.flying = Some(Flying { id, client, request, challenges: 0, sent: now, back: None, others: false });
    }

    /// A probe has come back to this device.
    pub(super) fn probe_arrived(&mut self, now: Time, id: Option<&MessageId>, headers: &Headers) {
        if let Some(flying) = self.probe.flying.as_mut().filter(|flying| Some(&flying.id) == id) {
            flying.back.get_or_insert((now, probe::disk(headers).unwrap_or_default()));
        }
    }

    /// The server has answered; false when it was not a probe that it answered.
    pub(super) fn probe_responded(&mut self, now: Time, id: ClientId, response: &Response) -> bool {
        let Some(mut flying) = self.probe.flying.take_if(|flying| flying.client == id) else { return false };
        let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
        if challenged
            && flying.challenges < CHALLENGES
            && let Some((client, request)) = self.link.authorize(now, flying.request.clone(), response)
        {
            flying = Flying { client, request, challenges: flying.challenges + 1, ..flying };
            self.probe.flying = Some(flying);
            return true;
        }
        match flying.verdict(now, response.status) {
            Some(Ok(round)) => self.probe_through(now, round),
            Some(Err(stage)) => self.probe_stopped(now, stage),
            None => {
                let probe = &mut self.probe;
                probe.remedy = None;
                probe.due = Some(now + AGAIN.wait(u32::MAX, &mut probe.entropy));
            }
        }
        true
    }

    fn probe_through(&mut self, now: Time, round: Round) {
        let probe = &mut self.probe;
        if let Flow::Stopped { .. } = probe.flow {
            // What waited for better times need not wait longer.
            self.outbox.refresh();
        }
        probe.flow = Flow::Proven(round);
        probe.proven = Some(now);
        (probe.failures, probe.remedy) = (0, None);
        probe.due = probe.watched.then(|| now + RARELY.wait(0, &mut probe.entropy));
    }

    fn probe_stopped(&mut self, now: Time, at: Stage) {
        let probe = &mut self.probe;
        probe.flow = Flow::Stopped { at, repair: Repair::Possible };
        // Nothing that this device does helps a server in trouble.
        let helps = !matches!(at, Stage::Busy | Stage::Store);
        match probe.remedy {
            Some(Remedy::Nothing) if helps => {
                probe.remedy = Some(Remedy::Registration);
                self.link.doubt(now);
                self.send_probe(now);
            }
            Some(Remedy::Registration) if helps => {
                probe.remedy = Some(Remedy::Socket);
                self.link.replace(now);
            }
            tried => {
                if tried.is_some() {
                    probe.flow = Flow::Stopped { at, repair: Repair::Failed };
                }
                probe.remedy = None;
                probe.due = Some(now + AGAIN.wait(probe.failures, &mut probe.entropy));
                probe.failures = probe.failures.saturating_add(1);
            }
        }
    }

    /// The user wants messages to flow.
    pub(super) fn repair(&mut self, now: Time) {
        if self.probe.remedy.is_none() {
            self.probe.remedy = Some(Remedy::Nothing);
            self.send_probe(now);
        }
    }
}
