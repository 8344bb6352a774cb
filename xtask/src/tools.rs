//! The tools that are not Rust code of ours: found where they are, else installed once into a cache that every clone shares.
//!
//! Versions stand here and nowhere else, but for wasm-bindgen, whose command must equal the version in `Cargo.lock`. An install fills a
//! folder that takes its name when it is whole, so one that was interrupted is gone on with; a lock lets one xtask at a time install.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::shell::{self, cargo, command, find, output, root, run, run_within, step};
use crate::wasm::Wasm;

const TRUNK: &str = "0.21.14";
const BINARYEN: &str = "132";
/// The oldest Node.js that runs the browser tests.
const NODE: u32 = 20;
/// How long the download of packages may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long a tool may take to compile, on a slow machine with others at work.
const COMPILE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// How long a download may stand still: 45 s, or `TANDEM_PATIENCE` in seconds.
pub fn patience() -> Duration {
    let wanted = std::env::var("TANDEM_PATIENCE").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(wanted.unwrap_or(45))
}

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

/// Held while something is installed.
pub fn lock() -> Result<File> {
    shell::lock(&cache()?.join("tools/lock"), "installing tools")
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
    installed(&format!("binaryen-{BINARYEN}"), "node_modules/.bin/wasm-opt", "wasm-opt", |folder| {
        npm(folder, &["install", &format!("binaryen@{BINARYEN}.0.0")])
            .with_context(|| format!("cannot get wasm-opt {BINARYEN}; one on the search path does as well"))
    })
}

/// Runs npm in the folder.
pub fn npm(folder: &Path, args: &[&str]) -> Result<()> {
    node()?;
    let mut npm = command("npm");
    npm.args(args).arg("--prefix").arg(folder).args(["--no-audit", "--no-fund", "--loglevel", "error", "--prefer-offline"]);
    npm.args(["--fetch-retries", "1", "--fetch-timeout"]).arg(patience().as_millis().to_string());
    // The browser is the system's own.
    npm.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    run_within(DOWNLOAD_LIMIT, &mut npm).context("look at the network and at npm's `registry` and `proxy`, and try again")
}

/// Node and npm must be there: every system has its own way to get them.
pub fn node() -> Result<()> {
    if find("node").is_none() || find("npm").is_none() {
        step("Installing Node.js", || apt(&["nodejs", "npm"])).with_context(|| format!("Node.js {NODE} or newer, with npm, is needed"))?;
    }
    let version = output(command("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        bail!("Node.js {NODE} or newer is needed, and this is {version}");
    }
    Ok(())
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

/// Finds or installs everything, says where it is, and what is missing.
pub fn all() -> Result<()> {
    let place = |path: Result<PathBuf>| path.map(|path| path.display().to_string());
    let finders: [(&str, &dyn Fn() -> Result<String>); 8] = [
        ("wasm", &|| Ok(Wasm::ensure()?.describe())),
        ("trunk", &|| place(trunk())),
        ("wasm-bindgen", &|| place(wasm_bindgen())),
        ("wasm-opt", &|| place(wasm_opt())),
        ("node", &|| place(node().and_then(|()| find("node").context("not on the search path")))),
        ("chromium", &|| chromium().map(|(browser, driver)| format!("{} and {}", browser.display(), driver.display()))),
        ("sip software", &|| sip_software().map(|()| "sipp and baresip".to_owned())),
        ("kamailio", &|| {
            Ok(find("kamailio").map_or("not installed; only `bench` looks for it".to_owned(), |path| path.display().to_string()))
        }),
    ];
    let found: Vec<_> = finders.iter().map(|(name, find)| (*name, find())).collect();
    println!();
    for (name, found) in &found {
        match found {
            Ok(place) => println!("{name:13} {place}"),
            Err(error) => println!("{name:13} MISSING: {error:#}"),
        }
    }
    let missing: Vec<&str> = found.iter().filter(|(_, found)| found.is_err()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        bail!("missing: {}", missing.join(", "));
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
pub fn apt(packages: &[&str]) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("this system has no apt-get: install the equivalents of {} by hand", packages.join(", "));
    }
    let by_hand = || format!("run `sudo apt-get install {}` and try again", packages.join(" "));
    if output(command("id").arg("-u"))? != "0" {
        bail!("installing packages needs root: {}", by_hand());
    }
    let apt_get = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=1"]);
        apt.args(["-o".to_owned(), format!("Acquire::http::Timeout={}", patience().as_secs())]);
        apt
    };
    run_within(DOWNLOAD_LIMIT, apt_get().arg("update")).with_context(by_hand)?;
    let install = |word: &str| {
        let mut install = apt_get();
        install.args(["install", "--no-install-recommends", word]).args(packages);
        install
    };
    // Unpacking has no limit: ended half-way it would leave a broken system.
    run_within(DOWNLOAD_LIMIT, &mut install("--download-only")).with_context(by_hand)?;
    run(&mut install("--no-download")).with_context(by_hand)
}

/// Installs a command from crates.io into the cache. What an interrupted run has compiled is used again.
fn cargo_install(package: &str, version: &str, program: &str, lock: bool) -> Result<PathBuf> {
    let title = format!("{package} {version}, which takes some minutes once");
    installed(&format!("{package}-{version}"), &format!("bin/{program}"), &title, |folder| {
        let building = cache()?.join("tools/building");
        let mut install = cargo();
        // By force, in case the last run ended between two programs of one package.
        install.args(["install", package, "--version", version, "--force", "--root"]).arg(folder);
        install.env("CARGO_TARGET_DIR", &building).env("CARGO_HTTP_TIMEOUT", patience().as_secs().to_string());
        if lock {
            install.arg("--locked");
        }
        run_within(COMPILE_LIMIT, &mut install).with_context(|| {
            format!(
                "cannot install {package}: look at the network and at cargo's proxy and registry, then try again; it goes on where it \
                 stopped. A {program} {version} on the search path does as well"
            )
        })?;
        Ok(std::fs::remove_dir_all(building)?)
    })
}

/// The program in the folder of this name among the tools. Where it is not there, `install` fills another folder, which then takes the name:
/// a tool is whole or not there.
fn installed(name: &str, program: &str, title: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(name);
    let program = folder.join(program);
    if program.exists() {
        return Ok(program);
    }
    let _lock = lock()?;
    if !program.exists() {
        step(&format!("Installing {title}"), || {
            let part = folder.with_file_name(format!("{name}.part"));
            std::fs::create_dir_all(&part)?;
            install(&part)?;
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            Ok(std::fs::rename(part, &folder)?)
        })?;
    }
    Ok(program)
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
