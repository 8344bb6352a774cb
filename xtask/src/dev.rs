//! `dev`: Trunk's server with reload and a gateway that is built for development, behind one address.
//!
//! Trunk proxies the API as Trunk.toml says, but it drops the subprotocol of a WebSocket, without which no browser opens one for SIP. So
//! this program stands in front, and takes the sockets to the gateway itself.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, command, root, run, step};
use crate::wasm::Trunk;

/// What a developer opens.
const FRONT: &str = "127.0.0.1:8081";
/// Trunk's own address, as Trunk.toml has it.
const TRUNK: &str = "127.0.0.1:8082";
/// The gateway's, which Trunk.toml names too.
const GATEWAY: &str = "127.0.0.1:8080";
const SOCKETS: [&str; 2] = ["/sip", "/events"];
/// Trunk listens once the first build is done.
const FIRST_BUILD: Duration = Duration::from_secs(15 * 60);
/// What the line may have that a browser asks for a page with.
const REQUEST_LINE: u64 = 8 * 1024;

/// Serves until interrupted.
pub fn dev() -> Result<()> {
    let trunk = Trunk::ensure()?;
    step("Building the gateway", || run(cargo().args(["build", "--locked", "--package", "ws-gateway"])))?;
    let front = TcpListener::bind(FRONT).with_context(|| format!("cannot listen on {FRONT}"))?;
    let _gateway = Gateway::start()?;
    thread::spawn(move || {
        for browser in front.incoming().flatten() {
            // A connection that breaks is the browser's to make again.
            thread::spawn(move || forward(browser));
        }
    });
    println!(
        "==> Open http://{FRONT}/ (the first build takes a minute; then every change in web/, wasm-core/ or static/ reloads the page)"
    );
    run(trunk.dev()?.args(["serve", "--offline", "--log", "warn", "--dist"]).arg(root().join("target/web-dev")))
}

/// A gateway that ends with this program.
struct Gateway(Child);

impl Gateway {
    /// Returns when it is ready.
    fn start() -> Result<Gateway> {
        let mut serve = command(root().join("target/debug/ws-gateway"));
        // Its pages come from Trunk, with an origin of their own.
        let origins = format!("http://{FRONT},http://{}", FRONT.replace("127.0.0.1", "localhost"));
        serve.args(["serve", "--demo", "--http", GATEWAY, "--allowed-origin", &origins, "--data-dir"]).arg(root().join("data"));
        let mut gateway = Gateway(serve.stdout(Stdio::piped()).spawn().context("cannot start the gateway")?);
        let mut lines = BufReader::new(gateway.0.stdout.take().context("the gateway has no output")?).lines();
        loop {
            let Some(line) = lines.next().transpose()? else { bail!("the gateway did not start: see above; does another one run?") };
            // Where the gateway would serve the app as it was last built for release.
            if line.starts_with("Web app:") {
                continue;
            }
            println!("{line}");
            if line.starts_with("ready") {
                break;
            }
        }
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        Ok(gateway)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Joins a browser's connection to the gateway when it asks for a socket, else to Trunk. A socket has a connection of its own, so the first
/// line of each connection tells.
fn forward(browser: TcpStream) -> io::Result<()> {
    let mut from_browser = BufReader::new(browser.try_clone()?);
    let mut line = Vec::new();
    from_browser.by_ref().take(REQUEST_LINE).read_until(b'\n', &mut line)?;
    let mut server = connect(server_for(&line))?;
    server.write_all(&line)?;
    let (mut from_server, mut to_browser) = (server.try_clone()?, browser);
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_browser);
        let _ = to_browser.shutdown(Shutdown::Both);
    });
    let copied = io::copy(&mut from_browser, &mut server);
    let _ = server.shutdown(Shutdown::Both);
    copied.map(drop)
}

fn server_for(request_line: &[u8]) -> &'static str {
    let target = request_line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    if SOCKETS.iter().any(|socket| socket.as_bytes() == path) { GATEWAY } else { TRUNK }
}

/// Waits for a server that is not there yet: a page that is opened too early loads when it can.
fn connect(address: &str) -> io::Result<TcpStream> {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && begin.elapsed() < FIRST_BUILD => {
                thread::sleep(Duration::from_millis(200));
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_go_straight_to_the_gateway() {
        for (line, server) in [
            ("GET /sip HTTP/1.1\r\n", GATEWAY),
            ("GET /events?since=4 HTTP/1.1\r\n", GATEWAY),
            ("GET /api/session HTTP/1.1\r\n", TRUNK),
            ("GET / HTTP/1.1\r\n", TRUNK),
            ("GET /sipper HTTP/1.1\r\n", TRUNK),
            ("", TRUNK),
        ] {
            assert_eq!(server_for(line.as_bytes()), server, "{line}");
        }
    }
}
