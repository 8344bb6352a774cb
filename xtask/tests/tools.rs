//! `cargo xtask tools` on machines made of scripts: which way to WASM is taken, and what is said when a tool cannot be had.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A machine whose search path holds these scripts alone.
struct Machine(tempfile::TempDir);

/// What a command printed on both channels, and whether it succeeded.
struct Outcome {
    text: String,
    success: bool,
}

impl Outcome {
    /// What the list of tools says of one.
    fn of(&self, tool: &str) -> &str {
        let line = self.text.lines().rfind(|line| line.starts_with(tool));
        line.unwrap_or_else(|| panic!("no line on {tool} in:\n{}", self.text)).trim_start_matches(tool).trim()
    }
}

impl Machine {
    /// Everything is there but a way to WASM, and rustup does what the script says. Its `$TARGET` is where the target belongs.
    fn with_rustup(rustup: &str) -> Machine {
        let machine = Machine(tempfile::tempdir().expect("a temporary folder"));
        for folder in ["bin", "sysroot/lib/rustlib", "rustup/downloads"] {
            fs::create_dir_all(machine.at(folder)).expect("a folder");
        }
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).expect("Cargo.lock");
        let bindgen =
            lock.split_once("name = \"wasm-bindgen\"\nversion = \"").and_then(|(_, rest)| rest.split('"').next()).expect("a version");
        machine.script("rustc", &format!("echo {}", machine.at("sysroot").display()));
        machine.script("rustup", rustup);
        machine.script("id", "echo 1000");
        machine.script("apt-get", "exit 1");
        machine.script("cargo", "exit 1");
        machine.script("trunk", "echo trunk 0.21.14");
        machine.script("wasm-bindgen", &format!("echo wasm-bindgen {bindgen}"));
        machine.script("wasm-opt", "echo wasm-opt version 132");
        machine.script("node", "echo v20.1.0");
        for program in ["npm", "chromium", "chromedriver", "sipp", "baresip"] {
            machine.script(program, "exit 0");
        }
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("an executable script");
    }

    fn without(self, program: &str) -> Machine {
        fs::remove_file(self.at("bin").join(program)).expect("the program was there");
        self
    }

    /// `cargo xtask tools`, with little patience.
    fn command(&self) -> Command {
        let mut tools = Command::new(env!("CARGO_BIN_EXE_xtask"));
        tools.arg("tools").env_clear().env("PATH", self.at("bin")).env("HOME", self.0.path()).env("RUSTUP_HOME", self.at("rustup"));
        tools.env("TANDEM_CACHE", self.at("cache")).env("TANDEM_PATIENCE", "2");
        tools.env("TARGET", self.at("sysroot/lib/rustlib/wasm32-unknown-unknown")).stdin(Stdio::null());
        tools
    }

    fn tools(&self) -> Outcome {
        let output = self.command().output().expect("xtask runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Outcome { text, success: output.status.success() }
    }
}

#[test]
fn a_target_that_rustup_can_add_is_added_once() {
    let machine = Machine::with_rustup("/bin/mkdir \"$TARGET\" && echo \"$@\" >> \"$RUSTUP_HOME/calls\"");
    for _ in 0..2 {
        let outcome = machine.tools();
        assert!(outcome.success, "{}", outcome.text);
        assert_eq!(outcome.of("wasm "), "rustup's wasm32-unknown-unknown");
    }
    assert_eq!(fs::read_to_string(machine.at("rustup/calls")).expect("a call"), "target add wasm32-unknown-unknown\n");
}

#[test]
fn where_rustup_fails_without_root_it_is_said_what_to_do() {
    let outcome = Machine::with_rustup("exit 1").tools();
    assert!(!outcome.success);
    let wasm = outcome.of("wasm ");
    assert!(wasm.contains("rustup target add wasm32-unknown-unknown") && wasm.contains("needs root"), "{wasm}");
    assert!(wasm.contains("sudo apt-get install rustc-web"), "{wasm}");
    // One that is missing does not hide the others.
    assert!(outcome.of("trunk ").ends_with("bin/trunk"));
}

#[test]
fn a_rustup_that_hangs_is_ended() {
    let machine = Machine::with_rustup("exec /bin/sleep 300");
    let begin = Instant::now();
    let outcome = machine.tools();
    assert!(begin.elapsed() < Duration::from_secs(20), "it took {:?}", begin.elapsed());
    assert!(outcome.text.contains("did nothing for 2 s"), "{}", outcome.text);
    assert!(outcome.of("wasm ").contains("sudo apt-get install"));
}

#[test]
fn a_rustup_that_downloads_slowly_is_left_to_it() {
    let slowly = "for part in 1 2 3 4; do echo $part >> \"$RUSTUP_HOME/downloads/part\"; /bin/sleep 1; done; /bin/mkdir \"$TARGET\"";
    let outcome = Machine::with_rustup(slowly).tools();
    assert_eq!(outcome.of("wasm "), "rustup's wasm32-unknown-unknown", "{}", outcome.text);
}

#[test]
fn where_rustup_fails_root_gets_the_packages_of_debian() {
    let machine = Machine::with_rustup("test $1 = toolchain && echo \"$@\" > \"$RUSTUP_HOME/linked\"");
    machine.script("id", "echo 0");
    // The packages bring the linker, and a cargo that knows the toolchain once it is linked.
    machine.script("apt-get", "case \"$*\" in *--no-download*lld-22*) echo > \"${0%/*}/wasm-ld-22\";; esac");
    machine.script("cargo", "test \"$1\" = +debian-web && test -e \"$RUSTUP_HOME/linked\"");
    let outcome = machine.tools();
    assert!(outcome.success, "{}", outcome.text);
    assert_eq!(outcome.of("wasm "), "toolchain debian-web, standard library from source");
}

/// An install that fails leaves nothing that would pass for a tool, and the next run does it again.
#[test]
fn what_was_interrupted_is_installed_by_the_next_run() {
    let machine = Machine::with_rustup("/bin/mkdir \"$TARGET\"").without("trunk");
    fs::create_dir_all(machine.at("cache/tools/trunk-0.21.14/bin")).expect("a folder that lost its program");
    machine.script("cargo", "while test \"$1\" != --root; do shift; done; /bin/mkdir -p \"$2/bin\"; echo half > \"$2/bin/trunk\"; exit 1");
    let outcome = machine.tools();
    assert!(!outcome.success);
    let trunk = outcome.of("trunk ");
    assert!(trunk.contains("MISSING") && trunk.contains("goes on where it stopped"), "{trunk}");
    machine.script(
        "cargo",
        "while test \"$1\" != --root; do shift; done; /bin/mkdir -p \"$2/bin\" \"$CARGO_TARGET_DIR\"; echo whole > \"$2/bin/trunk\"",
    );
    let outcome = machine.tools();
    assert!(outcome.success, "{}", outcome.text);
    assert_eq!(fs::read_to_string(outcome.of("trunk ")).expect("Trunk"), "whole\n");
}

#[test]
fn an_old_node_is_named() {
    let machine = Machine::with_rustup("/bin/mkdir \"$TARGET\"");
    machine.script("node", "echo v18.20.4");
    let outcome = machine.tools();
    assert!(!outcome.success);
    assert!(outcome.of("node ").contains("20 or newer is needed, and this is v18.20.4"), "{}", outcome.text);
}

#[test]
fn two_at_once_install_a_tool_once() {
    let machine = Machine::with_rustup("/bin/mkdir \"$TARGET\"").without("trunk");
    let install = "echo install >> \"$RUSTUP_HOME/calls\"; /bin/sleep 1; while test \"$1\" != --root; do shift; done; \
                   /bin/mkdir -p \"$2/bin\" \"$CARGO_TARGET_DIR\"; echo > \"$2/bin/trunk\"";
    machine.script("cargo", install);
    let both: Vec<_> = (0..2).map(|_| machine.command().stdout(Stdio::piped()).spawn().expect("xtask runs")).collect();
    let both: Vec<_> = both.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    assert!(both.iter().all(|output| output.status.success()));
    assert!(both.iter().any(|output| String::from_utf8_lossy(&output.stdout).contains("waiting for another xtask")));
    assert_eq!(fs::read_to_string(machine.at("rustup/calls")).expect("a call"), "install\n");
}
