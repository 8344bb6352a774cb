//! Every state of the four machines against every input: the table of transitions is a snapshot.
//!
//! Pairs that are not listed change nothing and do nothing. What is listed is the whole behaviour of the machines.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::client::{self, Client};
use super::invite_client::{self, InviteClient};
use super::invite_server::{self, InviteServer};
use super::machine::{Context, Effect, Effects, Machine};
use super::server::{self, Server};
use super::timer::Timers;
use crate::sip::pair;
use crate::wire::sip::{Method, Request, Response, Status};

const T1: Duration = Duration::from_millis(500);

fn wire(name: &'static str) -> Bytes {
    Bytes::from_static(name.as_bytes())
}

/// The first words of what is sent, so that a line of the table says which message it is.
fn label(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut words = text.split([' ', '\r']);
    let first = words.next().unwrap_or_default();
    if first == "SIP/2.0" { words.next().unwrap_or_default().to_owned() } else { first.to_owned() }
}

fn name<M: Machine>(machine: &M) -> String {
    let text = format!("{machine:?}");
    let name = text.split([' ', '(', '{']).next().unwrap_or_default();
    let flag = |flag: &str| text.contains(&format!("{flag}: true")).then(|| flag.to_owned());
    let flags: Vec<String> = ["cancel", "heard", "cancelled"].into_iter().filter_map(flag).collect();
    if flags.is_empty() { name.to_owned() } else { format!("{name}({})", flags.join(", ")) }
}

fn describe<T: std::fmt::Debug>(effect: &Effect<T>) -> String {
    match effect {
        Effect::Send(message) => format!("send {}", label(message)),
        Effect::Arm(timer, after) => format!("arm {timer:?} {after:?}"),
        Effect::Deliver => "deliver".to_owned(),
        Effect::Cancel(request) => format!("start {}", request.method),
        Effect::Report(ending) => format!("report {ending:?}"),
    }
}

fn table<M: Machine>(out: &mut String, states: &[fn() -> M], inputs: &[(&str, &dyn Fn() -> M::Input<'static>)])
where
    M::Timer: std::fmt::Debug,
{
    for reliable in [false, true] {
        let machine = name(&M::TERMINATED);
        assert_eq!(machine, "Terminated");
        let kind = std::any::type_name::<M>().rsplit("::").next().unwrap_or_default();
        let _ = writeln!(out, "{kind}, {}", if reliable { "reliable" } else { "unreliable" });
        let context = Context { timers: Timers::default(), timer_c: Duration::from_secs(181), reliable };
        for state in states {
            for (input, make) in inputs {
                let before = state();
                let (was, whole) = (name(&before), format!("{before:?}"));
                let mut effects = Effects::new();
                let after = before.step(make(), &context, &mut effects);
                let effects: Vec<String> = effects.iter().map(describe).collect();
                if effects.is_empty() && whole == format!("{after:?}") {
                    continue;
                }
                assert_ne!(was, "Terminated", "nothing happens after the end");
                let _ = writeln!(out, "  {was} + {input} -> {}: {}", name(&after), effects.join(", "));
            }
        }
        out.push('\n');
    }
}

fn failure() -> &'static Response {
    Box::leak(Box::new(pair::answer(&pair::request(Method::Invite), Status::BUSY_HERE)))
}

fn invite() -> Box<Request> {
    Box::new(pair::request(Method::Invite))
}

fn trying() -> Box<Response> {
    Box::new(Response::to(&pair::request(Method::Invite), Status::TRYING))
}

/// Every transition of RFC 3261 §17 with RFC 6026 and RFC 4320, and that there is no other.
#[test]
fn transitions_are_those_of_the_table() {
    let mut out = String::new();

    table::<InviteClient>(
        &mut out,
        &[
            || InviteClient::Calling { request: invite(), wire: wire("INVITE"), interval: T1, cancel: false },
            || InviteClient::Calling { request: invite(), wire: wire("INVITE"), interval: T1, cancel: true },
            || InviteClient::Proceeding { request: invite(), heard: true, cancelled: false },
            || InviteClient::Proceeding { request: invite(), heard: false, cancelled: false },
            || InviteClient::Proceeding { request: invite(), heard: true, cancelled: true },
            || InviteClient::Proceeding { request: invite(), heard: false, cancelled: true },
            || InviteClient::Completed { ack: wire("ACK") },
            || InviteClient::Accepted,
            || InviteClient::Terminated,
        ],
        &[
            ("1xx", &|| invite_client::Input::Provisional),
            ("2xx", &|| invite_client::Input::Success),
            ("3xx-6xx", &|| invite_client::Input::Failure(failure())),
            ("cancel", &|| invite_client::Input::Cancel),
            ("unreachable", &|| invite_client::Input::Unreachable),
            ("A", &|| invite_client::Input::Fired(invite_client::Timer::A)),
            ("B", &|| invite_client::Input::Fired(invite_client::Timer::B)),
            ("C", &|| invite_client::Input::Fired(invite_client::Timer::C)),
            ("D", &|| invite_client::Input::Fired(invite_client::Timer::D)),
            ("M", &|| invite_client::Input::Fired(invite_client::Timer::M)),
            ("Cancelled", &|| invite_client::Input::Fired(invite_client::Timer::Cancelled)),
        ],
    );
    table::<Client>(
        &mut out,
        &[
            || Client::Trying { wire: wire("MESSAGE"), interval: T1 },
            || Client::Trying { wire: wire("MESSAGE"), interval: Duration::from_secs(4) },
            || Client::Proceeding { wire: wire("MESSAGE") },
            || Client::Completed,
            || Client::Terminated,
        ],
        &[
            ("1xx", &|| client::Input::Provisional),
            ("2xx-6xx", &|| client::Input::Final),
            ("unreachable", &|| client::Input::Unreachable),
            ("E", &|| client::Input::Fired(client::Timer::E)),
            ("F", &|| client::Input::Fired(client::Timer::F)),
            ("K", &|| client::Input::Fired(client::Timer::K)),
        ],
    );
    table::<InviteServer>(
        &mut out,
        &[
            || InviteServer::Proceeding { trying: Some(trying()), last: None },
            || InviteServer::Proceeding { trying: None, last: Some(wire("180")) },
            || InviteServer::Completed { last: wire("486"), interval: T1 },
            || InviteServer::Completed { last: wire("486"), interval: Duration::from_secs(4) },
            || InviteServer::Confirmed,
            || InviteServer::Accepted,
            || InviteServer::Terminated,
        ],
        &[
            ("INVITE", &|| invite_server::Input::Retransmission),
            ("ACK", &|| invite_server::Input::Ack),
            ("respond 1xx", &|| invite_server::Input::Provisional(wire("183"))),
            ("respond 2xx", &|| invite_server::Input::Success(wire("200"))),
            ("respond 3xx-6xx", &|| invite_server::Input::Failure(wire("603"))),
            ("unreachable", &|| invite_server::Input::Unreachable),
            ("G", &|| invite_server::Input::Fired(invite_server::Timer::G)),
            ("H", &|| invite_server::Input::Fired(invite_server::Timer::H)),
            ("I", &|| invite_server::Input::Fired(invite_server::Timer::I)),
            ("L", &|| invite_server::Input::Fired(invite_server::Timer::L)),
            ("Trying", &|| invite_server::Input::Fired(invite_server::Timer::Trying)),
            ("Lapsed", &|| invite_server::Input::Fired(invite_server::Timer::Lapsed)),
        ],
    );
    table::<Server>(
        &mut out,
        &[
            || Server::Trying { trying: trying() },
            || Server::Proceeding { last: wire("100") },
            || Server::Completed { last: Some(wire("200")) },
            || Server::Completed { last: None },
            || Server::Terminated,
        ],
        &[
            ("request", &|| server::Input::Retransmission),
            ("respond 100", &|| server::Input::Trying(wire("100"))),
            ("respond 1xx", &|| server::Input::Provisional),
            ("respond 2xx-6xx", &|| server::Input::Final(wire("404"))),
            ("respond 408", &|| server::Input::Late),
            ("unreachable", &|| server::Input::Unreachable),
            ("J", &|| server::Input::Fired(server::Timer::J)),
            ("Trying", &|| server::Input::Fired(server::Timer::Trying)),
            ("Lapsed", &|| server::Input::Fired(server::Timer::Lapsed)),
        ],
    );

    insta::assert_snapshot!("machines", out);
}
