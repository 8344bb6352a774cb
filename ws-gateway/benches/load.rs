//! The load bench: what one REGISTER and one MESSAGE cost a running server, in CPU time, and how long a message takes on its way.
//!
//! The server under test is a process of its own on one core and this generator is on the other, so that what is measured is the
//! server's CPU time per transaction and not how well two programs share a core. Where Kamailio is installed it gets the same load in
//! the same run. Everything is closed-loop with a window, but for latency, which is measured at half of the throughput found before.

#[path = "load/peer.rs"]
mod peer;
#[path = "load/server.rs"]
mod server;
#[path = "load/websocket.rs"]
mod websocket;

use std::time::{Duration, Instant};

use peer::{Body, Pair};
use server::Server;

/// One line of the table.
struct Row {
    name: String,
    tandem: f64,
    kamailio: Option<f64>,
    unit: &'static str,
}

/// What a load brings to light.
struct Measured {
    cpu_us: f64,
    per_second: f64,
}

fn main() {
    let this = std::process::id().to_string();
    let _ = std::process::Command::new("taskset").args(["-acp", "1", &this]).stdout(std::process::Stdio::null()).status();
    let quick = std::env::args().any(|arg| arg == "--quick" || arg == "--test");
    let (transactions, sockets, seconds) = if quick { (4_000, 1_000, 0.5) } else { (40_000, 10_000, 4.0) };
    // Any other word picks the lines that contain it.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut rows = Vec::new();
    let mut both = |name: &str, unit: &'static str, measure: &dyn Fn(&Server) -> Vec<f64>, parts: &[&str]| {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word)) {
            return;
        }
        let tandem = measure(&Server::tandem());
        let kamailio = Server::kamailio().map(|server| measure(&server));
        for (index, part) in parts.iter().enumerate() {
            let kamailio = kamailio.as_ref().and_then(|values| values.get(index)).copied();
            rows.push(Row { name: format!("{name}{part}"), tandem: tandem[index], kamailio, unit });
        }
    };
    both("REGISTER over UDP", "us CPU", &|server| vec![registers(server, transactions).cpu_us], &[""]);
    both("MESSAGE over UDP, kept", "us CPU", &|server| vec![messages(server, transactions, Body::Text).cpu_us], &[""]);
    both("MESSAGE over UDP, typing notice", "us CPU", &|server| vec![messages(server, transactions, Body::Typing).cpu_us], &[""]);
    both("MESSAGE over UDP at half load", "us", &|server| latency(server, transactions / 4, seconds), &[", p50", ", p99"]);
    both("idle registered WebSocket", "KB", &|server| vec![websocket::memory_per_socket(server, sockets)], &[""]);
    both("REGISTER over WebSocket", "us CPU", &|server| vec![websocket::registers(server, transactions).cpu_us], &[""]);
    let over_websocket =
        |users: usize, body: Body| move |server: &Server| vec![websocket::messages(server, transactions / 2, users, body).cpu_us];
    both("MESSAGE over WebSocket, kept", "us CPU", &over_websocket(64, Body::Text), &[""]);
    both("MESSAGE over WebSocket, typing notice", "us CPU", &over_websocket(64, Body::Typing), &[""]);
    both("MESSAGE over WebSocket, kept, all in one conversation", "us CPU", &over_websocket(2, Body::Text), &[""]);
    report(&rows);
}

/// Authenticated re-REGISTERs of many users from one socket.
fn registers(server: &Server, count: usize) -> Measured {
    let mut pair = Pair::new(server);
    pair.register_all();
    measure(server, count, || pair.registers(count))
}

/// Authenticated MESSAGEs from many users to many users, each answered by its recipient.
fn messages(server: &Server, count: usize, body: Body) -> Measured {
    let mut pair = Pair::new(server);
    pair.register_all();
    pair.messages(200, body, 32);
    measure(server, count, || pair.messages(count, body, 64))
}

/// The time from a sender's send to the recipient's receipt, at half of what the server can do: p50 and p99 in microseconds. Both servers
/// are watched for as long, however fast they are: what disturbs the machine takes its share of time, not of messages.
fn latency(server: &Server, count: usize, seconds: f64) -> Vec<f64> {
    let rate = messages(server, count, Body::Typing).per_second / 2.0;
    let mut pair = Pair::new(server);
    pair.register_all();
    pair.messages(200, Body::Typing, 32);
    let mut delays = pair.paced((rate * seconds) as usize, Duration::from_secs_f64(1.0 / rate));
    delays.sort_unstable();
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).map_or(f64::NAN, |delay| delay.as_nanos() as f64 / 1000.0);
    vec![at(0.5), at(0.99)]
}

fn measure(server: &Server, count: usize, work: impl FnOnce()) -> Measured {
    let begun = Begun::at(server);
    work();
    begun.measured(server, count)
}

/// Where a load began.
struct Begun {
    cpu: Duration,
    at: Instant,
}

impl Begun {
    fn at(server: &Server) -> Begun {
        Begun { cpu: server.cpu(), at: Instant::now() }
    }

    fn measured(self, server: &Server, count: usize) -> Measured {
        let (cpu, took) = (server.cpu() - self.cpu, self.at.elapsed());
        Measured { cpu_us: cpu.as_nanos() as f64 / 1000.0 / count as f64, per_second: count as f64 / took.as_secs_f64() }
    }
}

/// Writes the rows for `cargo xtask bench`, and prints them for whoever runs this bench alone.
fn report(rows: &[Row]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (value, other) = (format!("{:.1} {}", row.tandem, row.unit), row.kamailio.map(|value| format!("{value:.1} {}", row.unit)));
            println!("{:54} {value:>14}   Kamailio {}", row.name, other.as_deref().unwrap_or("-"));
            serde_json::json!({ "name": row.name, "value": value, "other": other, "ratio": row.kamailio.map(|other| row.tandem / other) })
        })
        .collect();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("load.json");
    std::fs::write(file, serde_json::to_vec(&rows).expect("JSON")).expect("the results are written");
}
