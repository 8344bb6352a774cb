//! sipp, run with one of the scenarios beside the interop tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A sipp that plays `scenario` `calls` times as `user`, from a port of its own.
#[derive(Debug)]
pub struct Sipp {
    command: Command,
    folder: tempfile::TempDir,
}

impl Sipp {
    /// Prepares a run; `port` is where it sends from and listens.
    pub fn new(scenario: &str, user: &str, password: &str, port: u16, calls: u32) -> Sipp {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(scenario);
        let mut command = Command::new("sipp");
        command.current_dir(&folder).arg("-sf").arg(file).args(["-s", user, "-au", user, "-ap", password, "-i", "127.0.0.1"]);
        command.args(["-p", &port.to_string(), "-m", &calls.to_string(), "-nostdin", "-trace_err", "-timeout", "90", "-timeout_error"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Sipp { command, folder }
    }

    /// Sets who the messages go to.
    pub fn to(mut self, user: &str) -> Sipp {
        self.command.args(["-key", "recipient", user]);
        self
    }

    /// Sets how many calls begin each second.
    pub fn rate(mut self, calls_per_second: u32) -> Sipp {
        self.command.args(["-r", &calls_per_second.to_string(), "-l", "200"]);
        self
    }

    /// Uses TCP, one connection for all calls.
    pub fn tcp(mut self) -> Sipp {
        self.command.args(["-t", "t1"]);
        self
    }

    /// Starts towards `peer`.
    pub fn start(mut self, peer: SocketAddr) -> Running {
        let child = self.command.arg(peer.to_string()).spawn().expect("sipp starts");
        Running { child, folder: self.folder }
    }

    /// Runs towards `peer` to the end, which has to be a success.
    pub fn run(self, peer: SocketAddr) {
        self.start(peer).succeeds();
    }
}

/// A sipp at work.
#[derive(Debug)]
pub struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    /// Waits for the end: every call must have gone as its scenario says.
    pub fn succeeds(mut self) {
        let status = self.child.wait().expect("sipp ends");
        let errors: String = std::fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .map(|text| text.chars().take(2000).collect::<String>())
            .collect();
        assert!(status.success(), "sipp ended with {status}: {errors}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
