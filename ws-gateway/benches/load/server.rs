//! The servers under test: the release gateway, and Kamailio where it is installed, each pinned to the first core.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many users send and receive; u0 and so on, each with the password `secret`.
pub const USERS: usize = 200;
/// How many users have accounts: one for each idle WebSocket.
const ACCOUNTS: usize = 10_000;

/// A running server.
pub struct Server {
    child: Child,
    /// Where it takes SIP over UDP and TCP.
    pub sip: SocketAddr,
    /// Where it takes WebSockets, and with which path.
    pub websocket: (SocketAddr, &'static str),
    _folder: tempfile::TempDir,
}

impl Server {
    /// The gateway with limits off, a fresh store and its users.
    pub fn tandem() -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_ws-gateway"));
        let csv: String = (0..ACCOUNTS).map(|user| format!("sip:u{user}@tandem.test,secret,,User {user}\n")).collect();
        let file = folder.path().join("users.csv");
        std::fs::write(&file, csv).expect("a file of users");
        let data = folder.path().join("data");
        let import = Command::new(&binary).args(["user", "import"]).arg(&file).arg("--data-dir").arg(&data).stdout(Stdio::null()).status();
        assert!(import.is_ok_and(|status| status.success()), "the users are imported");
        let mut command = pinned(&binary);
        command.args(["serve", "--limits", "off", "--domain", "tandem.test", "--data-dir"]).arg(&data);
        for listener in ["http", "sip", "sips", "msrp", "msrps", "webrtc", "admin"] {
            command.arg(format!("--{listener}")).arg("127.0.0.1:0");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the gateway starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let ready = output.lines().map_while(Result::ok).find(|line| line.starts_with("ready")).expect("the ready line");
        let address = |name: &str| {
            let word = ready.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            word.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no {name} in {ready}"))
        };
        Server { sip: address("sip"), websocket: (address("http"), "/sip"), child, _folder: folder }
    }

    /// Kamailio with one worker, when it is installed.
    pub fn kamailio() -> Option<Server> {
        Command::new("kamailio").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        // A port that is free for UDP may still be held by a TCP connection that has just closed.
        let server = (0..5).find_map(|_| Server::try_kamailio());
        Some(server.expect("Kamailio listens"))
    }

    fn try_kamailio() -> Option<Server> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sip = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let config = include_str!("kamailio.cfg").replace("PORT", &sip.port().to_string());
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, config).expect("its settings");
        let mut command = pinned("kamailio".as_ref());
        command.args(["-DD", "-E", "-m", "1024", "-M", "64", "-f"]).arg(&file).arg("-w").arg(folder.path());
        command.arg("-Y").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("Kamailio starts");
        let begin = Instant::now();
        while std::net::TcpStream::connect(sip).is_err() {
            if begin.elapsed() > Duration::from_secs(20) || child.try_wait().is_ok_and(|ended| ended.is_some()) {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Server { child, sip, websocket: (sip, "/"), _folder: folder })
    }

    /// The CPU time that the server has used, in all its processes and threads, those of them that still run.
    pub fn cpu(&self) -> Duration {
        // USER_HZ is 100 on every Linux that we know.
        self.processes().iter().map(|process| Duration::from_millis(ticks(*process) * 10)).sum()
    }

    /// The resident memory that belongs to the server alone.
    pub fn memory(&self) -> u64 {
        let private = |process: u32| {
            let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
            let value = text.lines().find(|line| line.starts_with("Pss:")).and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            value.unwrap_or(0u64) * 1024
        };
        self.processes().into_iter().map(private).sum()
    }

    fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut at = 0;
        while let Some(process) = found.get(at) {
            let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
            at += 1;
        }
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.processes().into_iter().rev() {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.child.wait();
    }
}

/// A command on the first core; `main` keeps this process off it.
fn pinned(program: &std::path::Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn ticks(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
