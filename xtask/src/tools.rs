//! The tools that are not Rust code of ours: found where they are, else installed once into a cache that every clone shares.
//!
//! Versions stand here and nowhere else, but for wasm-bindgen, whose command must equal the version in `Cargo.lock`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::shell::{command, find, output, quiet, root, run, step, within};

const TRUNK: &str = "0.21.14";
const BINARYEN: &str = "132";
/// How long `rustup target add` may take: where the download host cannot be reached it hangs instead of failing.
const TARGET_PATIENCE: Duration = Duration::from_secs(45);
/// Debian's second toolchain, which brings the sources of the standard library for targets without a prebuilt one.
const FALLBACK_TOOLCHAIN: &str = "debian-web";
const FALLBACK_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-22"];
const WASM: &str = "wasm32-unknown-unknown";

/// Where tools and shared build results live: outside every clone.
pub fn cache() -> Result<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("TANDEM_CACHE") {
        PathBuf::from(folder)
    } else if let Some(folder) = std::env::var_os("XDG_CACHE_HOME") {
        PathBuf::from(folder).join("tandem")
    } else {
        let home = std::env::home_dir().ok_or_else(|| anyhow!("no home folder is known; set TANDEM_CACHE to a folder for tools"))?;
        home.join(".cache/tandem")
    };
    std::fs::create_dir_all(folder.join("tools")).with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
    Ok(folder)
}

/// How this machine compiles to WASM.
pub enum Wasm {
    /// The ordinary way: the target's standard library came with rustup.
    Target,
    /// Debian's toolchain, which builds the standard library from its sources.
    BuildStd,
}

impl Wasm {
    /// Finds the way, installing what it needs.
    pub fn ensure() -> Result<Wasm> {
        if has_target()? {
            return Ok(Wasm::Target);
        }
        if has_fallback() {
            return Ok(Wasm::BuildStd);
        }
        step("Installing the WASM target", || {
            if within(TARGET_PATIENCE, command("rustup").args(["target", "add", WASM])) && has_target()? {
                return Ok(Wasm::Target);
            }
            println!("    rustup could not add {WASM}; trying Debian's toolchain with library sources");
            apt(FALLBACK_PACKAGES).context(
                "WASM cannot be built here: `rustup target add wasm32-unknown-unknown` failed, and so did Debian's packages \
                 rustc-web, cargo-web, rust-web-src, rust-web-clippy and lld-22",
            )?;
            run(command("rustup").args(["toolchain", "link", FALLBACK_TOOLCHAIN, "/usr"]))?;
            if !has_fallback() {
                bail!("Debian's toolchain is installed but cannot build for {WASM}");
            }
            Ok(Wasm::BuildStd)
        })
    }

    /// Makes `command` (cargo or Trunk) compile to WASM this way, into the shared build folder.
    pub fn prepare(&self, command: &mut Command) -> Result<()> {
        command.env("CARGO_TARGET_DIR", target_dir()?);
        // Set by the cargo that runs xtask; Trunk and the fallback need to choose for themselves.
        command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
        match self {
            Wasm::Target => {}
            Wasm::BuildStd => {
                command
                    .env("RUSTUP_TOOLCHAIN", FALLBACK_TOOLCHAIN)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22");
            }
        }
        Ok(())
    }
}

impl Wasm {
    /// The same for what people download: without the texts of panics and of `Debug`, which nobody would read there, and with the standard
    /// library built for size where its sources are at hand: 20 KB of brotli. The flags are unstable, but they only leave things out.
    pub fn prepare_release(&self, command: &mut Command) -> Result<()> {
        self.prepare(command)?;
        let mut flags = vec!["-Zlocation-detail=none", "-Zfmt-debug=none", "--cfg", "sha2_backend_soft=\"compact\""];
        let builds_std = match self {
            Wasm::Target => {
                has_sources()?
                    || (within(TARGET_PATIENCE, crate::shell::command("rustup").args(["component", "add", "rust-src"])) && has_sources()?)
            }
            Wasm::BuildStd => true,
        };
        if builds_std {
            flags.extend(["-Zunstable-options", "-Cpanic=immediate-abort"]);
            command.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort").env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
        }
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(())
    }
}

/// The build folder for WASM, shared by all clones so that the standard library and all dependencies are compiled once.
pub fn target_dir() -> Result<PathBuf> {
    Ok(cache()?.join("wasm-target"))
}

fn has_target() -> Result<bool> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(WASM).join("lib").is_dir())
}

/// Whether the standard library's sources are installed beside the toolchain.
fn has_sources() -> Result<bool> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib/src/rust/library").is_dir())
}

fn has_fallback() -> bool {
    find("wasm-ld-22").is_some() && quiet(command("cargo").arg(format!("+{FALLBACK_TOOLCHAIN}")).args(["clippy", "--version"]))
}

/// Trunk, which bundles the web app.
pub fn trunk() -> Result<PathBuf> {
    if let Some(path) = find("trunk").filter(|path| says(path, "--version", TRUNK)) {
        return Ok(path);
    }
    cargo_install("trunk", TRUNK, "trunk", true)
}

/// wasm-bindgen's command, of the version that `Cargo.lock` names; its folder holds the test runner too.
pub fn wasm_bindgen() -> Result<PathBuf> {
    let version = locked("wasm-bindgen")?;
    if let Some(path) = find("wasm-bindgen").filter(|path| says(path, "--version", &version)) {
        return Ok(path);
    }
    // Its own lock file names a crate version that the registry lacks.
    cargo_install("wasm-bindgen-cli", &version, "wasm-bindgen", false)
}

/// wasm-opt, from the npm package that carries it for every platform.
pub fn wasm_opt() -> Result<PathBuf> {
    if let Some(path) = find("wasm-opt").filter(|path| says(path, "--version", BINARYEN)) {
        return Ok(path);
    }
    let folder = cache()?.join("tools").join(format!("binaryen-{BINARYEN}"));
    let path = folder.join("node_modules/.bin/wasm-opt");
    if !path.exists() {
        node()?;
        step("Installing wasm-opt", || {
            std::fs::create_dir_all(&folder)?;
            run(command("npm")
                .args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"])
                .arg(&folder)
                .arg(format!("binaryen@{BINARYEN}.0.0")))
        })?;
    }
    Ok(path)
}

/// Node and npm must be there: every system has its own way to get them.
pub fn node() -> Result<()> {
    if find("node").is_some() && find("npm").is_some() {
        return Ok(());
    }
    apt(&["nodejs", "npm"]).context("Node.js 20 or newer, with npm, is needed: install it from your system's packages")
}

/// A Chromium and its driver, for the tests in a browser.
pub fn chromium() -> Result<(PathBuf, PathBuf)> {
    let browser = || {
        let named = std::env::var_os("TANDEM_CHROMIUM").map(PathBuf::from);
        named.or_else(|| ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| find(name)))
    };
    if browser().is_none() || find("chromedriver").is_none() {
        step("Installing Chromium", || apt(&["chromium", "chromium-driver"]))
            .context("the browser tests need Chromium and chromedriver: install them, or set TANDEM_CHROMIUM")?;
    }
    match (browser(), find("chromedriver")) {
        (Some(browser), Some(driver)) => Ok((browser, driver)),
        _ => bail!("Chromium or chromedriver is not on the search path"),
    }
}

/// The SIP software that the interop tests talk to.
pub fn sip_software() -> Result<()> {
    let wanted = [("sipp", "sip-tester"), ("baresip", "baresip-core")];
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    step("Installing sipp and baresip", || apt(&missing)).context("the interop tests need sipp and baresip: install them")
}

/// Finds or installs everything, and says where it is.
pub fn all() -> Result<()> {
    let wasm = match Wasm::ensure()? {
        Wasm::Target => "rustup's target".to_owned(),
        Wasm::BuildStd => format!("toolchain {FALLBACK_TOOLCHAIN}, standard library from source"),
    };
    println!("wasm          {wasm}");
    println!("trunk         {}", trunk()?.display());
    println!("wasm-bindgen  {}", wasm_bindgen()?.display());
    println!("wasm-opt      {}", wasm_opt()?.display());
    let (browser, driver) = chromium()?;
    println!("chromium      {}", browser.display());
    println!("chromedriver  {}", driver.display());
    sip_software()?;
    for program in ["sipp", "baresip", "kamailio"] {
        println!("{program:13} {}", find(program).map_or("not installed".to_owned(), |path| path.display().to_string()));
    }
    Ok(())
}

/// The search path with these programs' folders in front.
pub fn search_path(programs: &[&Path]) -> Result<std::ffi::OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let first = programs.iter().filter_map(|path| path.parent().map(Path::to_path_buf));
    Ok(std::env::join_paths(first.chain(std::env::split_paths(&old)))?)
}

/// Installs Debian packages where that is possible, and says what to do where it is not.
fn apt(packages: &[&str]) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("this system has no apt-get: install the equivalents of {} by hand", packages.join(", "));
    }
    let by_hand = || format!("run `sudo apt-get install {}` and try again", packages.join(" "));
    if output(command("id").arg("-u"))? != "0" {
        bail!("installing packages needs root: {}", by_hand());
    }
    let apt_get = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=120"]);
        apt
    };
    run(apt_get().arg("update")).with_context(by_hand)?;
    run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages).stdout(std::process::Stdio::null()))
        .with_context(by_hand)
}

/// Installs a command from crates.io into the cache.
fn cargo_install(package: &str, version: &str, program: &str, lock: bool) -> Result<PathBuf> {
    let tools = cache()?.join("tools");
    let folder = tools.join(format!("{package}-{version}"));
    let path = folder.join("bin").join(program);
    if !path.exists() {
        step(&format!("Installing {package} {version} (some minutes, once)"), || {
            let building = tools.join("building");
            let mut install = command("cargo");
            install.args(["install", "--quiet", package, "--version", version, "--root"]).arg(&folder);
            install.env("CARGO_TARGET_DIR", &building);
            if lock {
                install.arg("--locked");
            }
            run(&mut install)?;
            Ok(std::fs::remove_dir_all(building)?)
        })?;
    }
    Ok(path)
}

/// The version of a package that `Cargo.lock` names.
fn locked(package: &str) -> Result<String> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("no Cargo.lock")?;
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).map(|(_, after)| after);
    let version = after.and_then(|after| after.split('"').next());
    version.map(str::to_owned).ok_or_else(|| anyhow!("Cargo.lock does not name {package}"))
}

fn says(program: &Path, argument: &str, version: &str) -> bool {
    let output = Command::new(program).arg(argument).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == version))
}
