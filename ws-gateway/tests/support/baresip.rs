//! baresip, driven over its control socket: netstrings of JSON, as its `ctrl_tcp` module speaks them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A baresip with one account.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    control: TcpStream,
    received: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Baresip {
    /// Starts it as `user`, registering through `proxy` over UDP.
    pub fn start(user: &str, password: &str, proxy: SocketAddr) -> Baresip {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (listen, control) = (free_port(), free_port());
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{listen}\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule uuid.so\n\
             module_app account.so\nmodule_app menu.so\nmodule ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n"
        );
        let account =
            format!("<sip:{user}@tandem.test>;auth_user={user};auth_pass={password};outbound=\"sip:{proxy};transport=udp\";regint=600\n");
        for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
            std::fs::write(folder.path().join(name), text).expect("a file of settings");
        }
        let mut command = Command::new("baresip");
        command.arg("-4").arg("-f").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("baresip starts");
        let begin = Instant::now();
        let control = loop {
            match TcpStream::connect(("127.0.0.1", control)) {
                Ok(stream) => break stream,
                Err(error) if begin.elapsed() > PATIENCE => panic!("baresip opens no control socket: {error}"),
                Err(_) => std::thread::yield_now(),
            }
        };
        control.set_read_timeout(Some(PATIENCE)).expect("a read limit");
        Baresip { child, control, received: Vec::new(), _folder: folder }
    }

    /// Gives a command, such as `message` with `sip:bob@tandem.test Hello`.
    pub fn command(&mut self, command: &str, params: &str) {
        let text = json!({ "command": command, "params": params, "token": "test" }).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("the control socket takes a command");
    }

    /// Waits for an event that `wanted` accepts.
    pub fn event(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut seen = Vec::new();
        while begin.elapsed() < PATIENCE {
            match self.next() {
                Some(value) if wanted(&value) => return value,
                Some(value) => seen.push(value.to_string()),
                None => break,
            }
        }
        panic!("baresip does not say '{what}'; it said: {}", seen.join("\n"));
    }

    /// Waits until the account is registered.
    pub fn registered(&mut self) {
        self.event("registered", |event| event["type"] == "REGISTER_OK");
    }

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(colon) = self.received.iter().position(|byte| *byte == b':') {
                let length: usize = std::str::from_utf8(&self.received[..colon]).ok()?.parse().ok()?;
                let end = colon + 1 + length;
                if self.received.len() > end {
                    let value = serde_json::from_slice(&self.received[colon + 1..end]).ok()?;
                    self.received.drain(..=end);
                    return Some(value);
                }
            }
            let mut chunk = [0; 4096];
            match self.control.read(&mut chunk) {
                Ok(length) if length > 0 => self.received.extend_from_slice(&chunk[..length]),
                _ => return None,
            }
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A UDP and TCP port that nobody has at this moment.
pub fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
