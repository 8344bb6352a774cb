//! baresip, driven over its control socket (netstrings of JSON, its `ctrl_tcp` module) and watched by its SIP trace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A baresip with one account and one contact.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    control: TcpStream,
    received: Vec<u8>,
    trace: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
}

impl Baresip {
    /// Starts it as `user`, who knows `contact`, registering through `proxy` over UDP.
    pub fn start(user: &str, password: &str, contact: &str, proxy: SocketAddr) -> Baresip {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (listen, control) = (free_port(), free_port());
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{listen}\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule uuid.so\n\
             module_app account.so\nmodule_app contact.so\nmodule_app menu.so\nmodule ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n"
        );
        let account =
            format!("<sip:{user}@tandem.test>;auth_user={user};auth_pass={password};outbound=\"sip:{proxy};transport=udp\";regint=600\n");
        let contact = format!("\"{contact}\" <sip:{contact}@tandem.test>\n");
        for (name, text) in [("config", config), ("accounts", account), ("contacts", contact)] {
            std::fs::write(folder.path().join(name), text).expect("a file of settings");
        }
        let mut command = Command::new("baresip");
        command.args(["-4", "-s", "-f"]).arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("baresip starts");
        let trace = Arc::new(Mutex::new(String::new()));
        let (output, copy) = (BufReader::new(child.stdout.take().expect("its output")), Arc::clone(&trace));
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let mut trace = copy.lock().expect("the trace");
                trace.push_str(&String::from_utf8_lossy(&line));
                trace.push('\n');
            }
        });
        let control = eventually("a control socket", || TcpStream::connect(("127.0.0.1", control)).ok());
        control.set_read_timeout(Some(PATIENCE)).expect("a read limit");
        Baresip { child, control, received: Vec::new(), trace, _folder: folder }
    }

    /// Gives a command and returns what it answers.
    pub fn command(&mut self, command: &str, params: &str) -> String {
        let text = json!({ "command": command, "params": params, "token": "test" }).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("the control socket takes a command");
        loop {
            let said = self.next().expect("baresip answers its control socket");
            if said["response"] == true {
                return said["data"].as_str().unwrap_or_default().to_owned();
            }
        }
    }

    /// Waits until the account is registered.
    pub fn registered(&mut self) {
        eventually("a registration", || self.command("reginfo", "").contains("OK").then_some(()));
    }

    /// Writes to the contact.
    pub fn writes(&mut self, text: &str) {
        self.command("contact_next", "");
        self.command("message", text);
    }

    /// Waits until a text stands in its SIP trace `times` times.
    pub fn traces(&self, text: &str, times: usize) {
        eventually(text, || (self.trace.lock().expect("the trace").matches(text).count() >= times).then_some(()));
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

/// Asks again and again until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "baresip gives no sign of: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A UDP and TCP port that nobody has at this moment.
pub fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
