//! The stateful proxy [RFC3261 §16]: one request, several branches, one answer.
//!
//! A [`Context`] is the machine for one forwarded request. It is told what its branches hear and says what to do: pass a response
//! back, cancel branches. It never sends anything itself. Provisional responses and every 2xx go back at once; the other final
//! responses wait until all branches are done, and the best of them goes back.
//!
//! Timer C belongs to the transaction layer, which cancels a branch that rings for too long and in the end reports a time-out.
//!
//! Per branch: Calling → Ringing (1xx) → Done (final, time-out, failure). A branch that is cancelled stays where it is until it says so.

use wasm_core::wire::sip::{HeaderName, Method, Reason, Request, Response, Status};

/// What the context wants done.
#[derive(Debug)]
pub(crate) enum Action<B> {
    /// Pass this back.
    Respond(Response),
    /// Cancel this branch, and say why if that is known.
    Cancel(B, Option<Reason>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Ringing,
    Done,
}

#[derive(Debug)]
struct Branch<B> {
    id: B,
    state: State,
    cancelled: bool,
}

/// One forwarded request.
#[derive(Debug)]
pub(crate) struct Context<B> {
    /// As it came, for the responses that are made here.
    request: Request,
    branches: Vec<Branch<B>>,
    best: Option<Response>,
    /// Whether a final response went back.
    answered: bool,
    call: Call,
}

/// Whether an INVITE got a 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Unanswered,
    Answered,
    /// And whoever keeps the context knows.
    Lingering,
}

/// What is to become of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for something.
    Open,
    /// A call was answered: its 2xx may come again until the caller's ACK has gone all the way [RFC6026 §7.2].
    Connected,
    /// Nothing will come any more.
    Over,
}

impl<B: Copy + PartialEq> Context<B> {
    pub(crate) fn new(request: Request) -> Self {
        Context { request, branches: Vec::with_capacity(1), best: None, answered: false, call: Call::Unanswered }
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Adds a branch that was just sent.
    pub(crate) fn branch(&mut self, id: B) {
        self.branches.push(Branch { id, state: State::Calling, cancelled: false });
    }

    /// Whether nothing is to be expected any more.
    pub(crate) fn done(&self) -> bool {
        self.branches.iter().all(|branch| branch.state == State::Done)
    }

    /// What is to become of the context now.
    pub(crate) fn stage(&mut self) -> Stage {
        if !self.done() {
            return Stage::Open;
        }
        match self.call {
            Call::Unanswered => Stage::Over,
            Call::Answered => {
                self.call = Call::Lingering;
                Stage::Connected
            }
            Call::Lingering => Stage::Open,
        }
    }

    /// The branches, whatever their state.
    pub(crate) fn branches(&self) -> impl Iterator<Item = B> + '_ {
        self.branches.iter().map(|branch| branch.id)
    }

    /// A branch heard this; its top Via is gone already.
    pub(crate) fn response(&mut self, id: B, response: Response) -> Vec<Action<B>> {
        let Some(branch) = self.branches.iter_mut().find(|branch| branch.id == id) else { return Vec::new() };
        if response.status.is_provisional() {
            if branch.state == State::Calling {
                branch.state = State::Ringing;
            }
            // 100 is hop by hop, and says nothing about a person.
            if response.status == Status::TRYING {
                return Vec::new();
            }
            return if self.answered { Vec::new() } else { vec![Action::Respond(response)] };
        }
        branch.state = State::Done;
        if response.status.is_success() {
            // Also when one went back before: the caller's side has to end the surplus dialog [RFC3261 §16.7 step 5].
            let surplus = self.answered && self.request.method != Method::Invite;
            self.answered = true;
            if self.request.method == Method::Invite && self.call == Call::Unanswered {
                self.call = Call::Answered;
            }
            let mut actions = self.cancel(Some(&Reason::sip(Status::OK, "Call completed elsewhere")));
            if !surplus {
                actions.insert(0, Action::Respond(response));
            }
            return actions;
        }
        let decline = response.status.0 >= 600;
        self.keep(response);
        let elsewhere = Reason::sip(Status::DECLINE, "Declined elsewhere");
        let mut actions = if decline { self.cancel(Some(&elsewhere)) } else { Vec::new() };
        actions.extend(self.conclude());
        actions
    }

    /// A branch heard nothing in time, or could not be reached.
    pub(crate) fn failed(&mut self, id: B, status: Status) -> Vec<Action<B>> {
        let Some(branch) = self.branches.iter_mut().find(|branch| branch.id == id) else { return Vec::new() };
        branch.state = State::Done;
        self.keep(Response::to(&self.request, status));
        self.conclude().into_iter().collect()
    }

    /// The caller does not want it any more, or somebody else answered: for this reason, which the devices that stop ringing are told
    /// [RFC3326].
    pub(crate) fn cancel(&mut self, reason: Option<&Reason>) -> Vec<Action<B>> {
        let mut actions = Vec::new();
        for branch in &mut self.branches {
            if branch.state != State::Done && !branch.cancelled && self.request.method == Method::Invite {
                branch.cancelled = true;
                actions.push(Action::Cancel(branch.id, reason.cloned()));
            }
        }
        actions
    }

    fn keep(&mut self, response: Response) {
        match &mut self.best {
            Some(best) if rank(best.status) <= rank(response.status) => merge_challenges(best, &response),
            Some(best) => {
                let mut response = response;
                merge_challenges(&mut response, best);
                *best = response;
            }
            None => self.best = Some(response),
        }
    }

    fn conclude(&mut self) -> Option<Action<B>> {
        if self.answered || !self.done() {
            return None;
        }
        self.answered = true;
        let mut best = self.best.take().unwrap_or_else(|| Response::to(&self.request, Status::TEMPORARILY_UNAVAILABLE));
        // That one server is out of service does not mean that this one is [RFC3261 §16.7 step 6].
        if best.status == Status::SERVICE_UNAVAILABLE {
            best.status = Status::SERVER_INTERNAL_ERROR;
            best.reason = best.status.reason().into();
        }
        Some(Action::Respond(best))
    }
}

/// The order in which final responses are preferred [RFC3261 §16.7 step 6]: a refusal by the person, then the lowest class, and in it
/// what the caller can do something about before what only says that one device was not there.
fn rank(status: Status) -> u16 {
    match status.0 {
        600.. => 0,
        300..400 => 1,
        401 | 407 | 415 | 420 | 484 => 2,
        408 | 480 => 5,
        487 => 4,
        400..500 => 3,
        503 => 7,
        _ => 6,
    }
}

/// All challenges go back together, so that the caller can answer each branch [RFC3261 §16.7 step 7].
fn merge_challenges(best: &mut Response, other: &Response) {
    let challenged = |response: &Response| matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
    if challenged(best) && challenged(other) {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for value in other.headers.all(&name) {
                best.headers.push(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::Text;
    use wasm_core::wire::sip::{SipUri, Uri};

    use super::*;

    fn request(method: Method) -> Request {
        Request::new(method, Uri::Sip(SipUri::new("bob", "tandem.test")))
    }

    fn context(method: Method, branches: u32) -> Context<u32> {
        let mut context = Context::new(request(method));
        (0..branches).for_each(|id| context.branch(id));
        context
    }

    fn says(context: &mut Context<u32>, id: u32, status: u16) -> Vec<String> {
        let response = Response::to(&context.request().clone(), Status(status));
        context.response(id, response).into_iter().map(show).collect()
    }

    fn show(action: Action<u32>) -> String {
        match action {
            Action::Respond(response) => response.status.0.to_string(),
            Action::Cancel(id, reason) => format!("cancel {id} {}", reason.and_then(|reason| reason.cause()).unwrap_or_default()),
        }
    }

    #[test]
    fn the_first_to_answer_wins_and_the_others_are_cancelled() {
        let mut context = context(Method::Invite, 3);
        assert_eq!(says(&mut context, 0, 100), Vec::<String>::new());
        assert_eq!(says(&mut context, 0, 180), ["180"]);
        assert_eq!(says(&mut context, 1, 486), Vec::<String>::new());
        assert_eq!(says(&mut context, 0, 200), ["200", "cancel 2 200"]);
        assert_eq!(says(&mut context, 2, 487), Vec::<String>::new());
        assert!(context.done());
    }

    #[test]
    fn an_answer_that_comes_again_goes_back_again() {
        let mut context = context(Method::Invite, 1);
        assert_eq!(context.stage(), Stage::Open);
        assert_eq!(says(&mut context, 0, 200), ["200"]);
        assert_eq!(context.stage(), Stage::Connected);
        assert_eq!(says(&mut context, 0, 200), ["200"]);
        assert_eq!(context.stage(), Stage::Open);
        let mut missed = self::context(Method::Invite, 1);
        assert_eq!(says(&mut missed, 0, 486), ["486"]);
        assert_eq!(missed.stage(), Stage::Over);
    }

    #[test]
    fn two_that_answer_at_once_both_reach_the_caller() {
        let mut context = context(Method::Invite, 2);
        assert_eq!(says(&mut context, 0, 200), ["200", "cancel 1 200"]);
        assert_eq!(says(&mut context, 1, 200), ["200"]);
    }

    #[test]
    fn a_surplus_answer_to_anything_but_an_invitation_is_dropped() {
        let mut context = context(Method::Options, 2);
        assert_eq!(says(&mut context, 0, 200), ["200"]);
        assert_eq!(says(&mut context, 1, 200), Vec::<String>::new());
    }

    #[test]
    fn the_best_of_the_failures_goes_back() {
        for (answers, best) in [([486, 480], "486"), ([404, 302], "302"), ([500, 486], "486"), ([503, 503], "500"), ([480, 415], "415")] {
            let mut context = context(Method::Invite, 2);
            assert_eq!(says(&mut context, 0, answers[0]), Vec::<String>::new());
            assert_eq!(says(&mut context, 1, answers[1]), [best]);
        }
    }

    #[test]
    fn a_decline_ends_the_search() {
        let mut context = context(Method::Invite, 2);
        assert_eq!(says(&mut context, 0, 603), ["cancel 1 603"]);
        assert_eq!(says(&mut context, 1, 487), ["603"]);
    }

    #[test]
    fn challenges_are_gathered() {
        let mut context = context(Method::Invite, 2);
        for id in 0..2 {
            let mut response = Response::to(&context.request().clone(), Status::UNAUTHORIZED);
            response.headers.push(HeaderName::WwwAuthenticate, Text::from(format!("Digest realm=\"{id}\"")));
            let actions = context.response(id, response);
            if let Some(Action::Respond(response)) = actions.first() {
                assert_eq!(response.headers.all(&HeaderName::WwwAuthenticate).count(), 2);
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_counts_as_an_answer() {
        let mut context = context(Method::Invite, 2);
        assert!(context.failed(0, Status::REQUEST_TIMEOUT).is_empty());
        let actions: Vec<String> = context.failed(1, Status::SERVICE_UNAVAILABLE).into_iter().map(show).collect();
        assert_eq!(actions, ["408"]);
    }
}
