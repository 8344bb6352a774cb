//! A real gateway process in a folder of its own: started on free ports, killed, and started again at the same addresses.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);
const LISTENERS: [&str; 7] = ["http", "sip", "sips", "msrp", "msrps", "webrtc", "admin"];

/// A running (or killed) gateway; dropping it ends the process and removes the folder.
#[derive(Debug)]
pub struct Gateway {
    folder: tempfile::TempDir,
    flags: Vec<String>,
    child: Option<Child>,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Gateway {
    /// A gateway with the demo users.
    pub fn start(flags: &[&str]) -> Gateway {
        let mut gateway = Gateway {
            folder: tempfile::tempdir().expect("a temporary folder"),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            child: None,
            addresses: BTreeMap::new(),
        };
        gateway.restart();
        gateway
    }

    /// Where a listener listens: `http`, `sip`, …
    pub fn address(&self, listener: &str) -> SocketAddr {
        *self.addresses.get(listener).unwrap_or_else(|| panic!("the ready line names no {listener}: {:?}", self.addresses))
    }

    /// Starts the process on the same data, at the same addresses once they are known, and waits until it is ready.
    pub fn restart(&mut self) {
        let mut command = Command::new(binary());
        command.args(["serve", "--demo", "--data-dir"]).arg(self.folder.path());
        for listener in LISTENERS {
            let address = self.addresses.get(listener).map_or("127.0.0.1:0".to_owned(), SocketAddr::to_string);
            command.arg(format!("--{listener}")).arg(address);
        }
        let mut child = command.args(&self.flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the gateway starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, receiver) = mpsc::channel();
        // Goes on reading after the line, so that the gateway never waits for a reader.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if line.starts_with("ready") {
                    let _ = sender.send(line);
                }
            }
        });
        let ready = receiver.recv_timeout(PATIENCE).expect("the ready line in time");
        self.addresses = ready
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
            .collect();
        self.child = Some(child);
    }

    /// The folder of its data.
    #[allow(dead_code, reason = "not every test looks into it")]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Asks the process to end, and waits until it has.
    #[allow(dead_code, reason = "most tests kill it")]
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("a running gateway");
        let asked = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        child.wait().expect("the process ends")
    }

    /// Ends the process as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("the process ends");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The finished binary where one is named, else the one that cargo built for the tests.
pub fn binary() -> PathBuf {
    std::env::var_os("TANDEM_GATEWAY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ws-gateway")), PathBuf::from)
}
