//! Compiling to WASM, and Trunk, which does so and bundles the web app.
//!
//! Two ways lead to WASM: rustup's target, or, where rustup cannot fetch it, Debian's toolchain with the standard library's sources.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{command, find, output, quiet, root, run, run_patiently, step};
use crate::tools;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's second toolchain, as rustup knows it.
const FALLBACK_TOOLCHAIN: &str = "debian-web";
const FALLBACK_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-22"];
const FALLBACK_LINKER: &str = "wasm-ld-22";

/// How this machine compiles to WASM.
#[derive(Clone, Copy, Debug)]
pub enum Wasm {
    /// The ordinary way: the target's standard library came with rustup.
    Target,
    /// Debian's toolchain, which builds the standard library from its sources.
    BuildStd,
}

impl Wasm {
    /// Finds the way, installing what it needs.
    pub fn ensure() -> Result<Wasm> {
        let way = || -> Result<Option<Wasm>> {
            Ok(if in_sysroot(TARGET)? {
                Some(Wasm::Target)
            } else if has_fallback() {
                Some(Wasm::BuildStd)
            } else {
                None
            })
        };
        if let Some(way) = way()? {
            return Ok(way);
        }
        let _lock = tools::lock()?;
        if let Some(way) = way()? {
            return Ok(way);
        }
        step("Installing the WASM target", || {
            let Err(error) = rustup(&["target", "add", TARGET]) else {
                return if in_sysroot(TARGET)? { Ok(Wasm::Target) } else { bail!("rustup added {TARGET}, but to another toolchain") };
            };
            println!("    {error:#}; trying Debian's toolchain with library sources");
            tools::apt(FALLBACK_PACKAGES).with_context(|| {
                format!(
                    "WASM cannot be built here. Where the network allows it, `rustup target add {TARGET}` is all that is needed; it failed"
                )
            })?;
            run(command("rustup").args(["toolchain", "link", FALLBACK_TOOLCHAIN, "/usr"]))?;
            if !has_fallback() {
                bail!("Debian's toolchain is installed but cannot build for {TARGET}");
            }
            Ok(Wasm::BuildStd)
        })
    }

    /// Makes `command` (cargo or Trunk) compile to WASM this way.
    ///
    /// What is compiled of dependencies and of the standard library is shared by all clones, where cargo guards it by a lock. What comes out
    /// stays in the clone: neither cargo nor Trunk would keep one clone's app apart from another's.
    pub fn prepare(self, command: &mut Command) -> Result<()> {
        command.env("CARGO_TARGET_DIR", root().join("target/wasm")).env("CARGO_BUILD_BUILD_DIR", tools::cache()?.join("wasm-target"));
        // Set by the cargo that runs xtask; Trunk and the fallback choose theirs by the toolchain.
        command.env_remove("CARGO").env_remove("RUSTC");
        match self {
            Wasm::Target => {}
            Wasm::BuildStd => {
                command
                    .env("RUSTUP_TOOLCHAIN", FALLBACK_TOOLCHAIN)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", FALLBACK_LINKER);
            }
        }
        Ok(())
    }

    /// The same for what people download: without the texts of panics and of `Debug`, which nobody would read there, and with the standard
    /// library built for size where its sources are at hand: 20 KB of brotli. The flags are unstable, but they only leave things out.
    fn prepare_release(self, command: &mut Command) -> Result<()> {
        self.prepare(command)?;
        let mut flags = vec!["-Zlocation-detail=none", "-Zfmt-debug=none", "--cfg", "sha2_backend_soft=\"compact\""];
        let builds_std = match self {
            Wasm::Target => in_sysroot("src/rust/library")? || rustup(&["component", "add", "rust-src"]).is_ok(),
            Wasm::BuildStd => true,
        };
        if builds_std {
            flags.extend(["-Zunstable-options", "-Cpanic=immediate-abort"]);
            command.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort").env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
        }
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(())
    }

    /// What to call it in a list of tools.
    pub fn describe(self) -> String {
        match self {
            Wasm::Target => format!("rustup's {TARGET}"),
            Wasm::BuildStd => format!("toolchain {FALLBACK_TOOLCHAIN}, standard library from source"),
        }
    }
}

/// Trunk, with everything that it calls.
pub struct Trunk {
    wasm: Wasm,
    program: PathBuf,
    path: OsString,
}

impl Trunk {
    /// Finds or installs it all.
    pub fn ensure() -> Result<Trunk> {
        let wasm = Wasm::ensure()?;
        let program = tools::trunk()?;
        let path = tools::search_path(&[&tools::wasm_bindgen()?, &tools::wasm_opt()?])?;
        Ok(Trunk { wasm, program, path })
    }

    /// Trunk set up for what people download.
    pub fn release(&self) -> Result<Command> {
        self.command(|command| self.wasm.prepare_release(command))
    }

    /// Trunk set up for developers.
    pub fn dev(&self) -> Result<Command> {
        self.command(|command| self.wasm.prepare(command))
    }

    fn command(&self, prepare: impl Fn(&mut Command) -> Result<()>) -> Result<Command> {
        // Trunk works without the network, so that it fetches no tools of its own: what it compiles has to be there.
        let mut fetch = command("cargo");
        prepare(&mut fetch)?;
        run(fetch.args(["fetch", "--locked", "--quiet"]))?;
        let mut trunk = command(&self.program);
        prepare(&mut trunk)?;
        // Trunk takes NO_COLOR=1 for a mistake.
        trunk.env("PATH", &self.path).env_remove("NO_COLOR");
        Ok(trunk)
    }
}

/// Runs rustup for as long as it downloads: where its host cannot be reached it hangs instead of failing.
fn rustup(args: &[&str]) -> Result<()> {
    let home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".rustup")));
    let downloaded = || home.iter().flat_map(|home| [home.join("downloads"), home.join("tmp")]).map(|folder| size(&folder)).sum();
    run_patiently(tools::patience(), downloaded, command("rustup").args(args))
}

/// The size of all files below the folder.
fn size(folder: &Path) -> u64 {
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    below.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |about| about.len()) }).sum()
}

/// Whether the toolchain in use has this under `lib/rustlib`.
fn in_sysroot(part: &str) -> Result<bool> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(part).is_dir())
}

fn has_fallback() -> bool {
    find(FALLBACK_LINKER).is_some() && quiet(command("cargo").arg(format!("+{FALLBACK_TOOLCHAIN}")).args(["clippy", "--version"]))
}
