//! `build`: the web app into `target/web-dist`, compressed, and the release gateway with it inside.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::shell::{cargo, command, lock, output, root, run, step};
use crate::slim::slim;
use crate::stamp::{Inputs, unless_fresh};
use crate::wasm::Trunk;

/// What everything that a first visit loads may weigh, compressed with brotli. The aim is 250 KB: it was met before the engine learnt
/// MSRP and SDP, which take the rest. Only to be made smaller.
const FIRST_LOAD_LIMIT: usize = 288 * 1024;
/// What the second module may weigh: Yew is in both.
const EXTRA_LIMIT: usize = 150 * 1024;
/// The second module, as Trunk names it.
const EXTRA: [&str; 2] = ["extra_bg.wasm", "extra.js"];
/// Files of the web app that a first visit does not load: icons of the installed app, and what is loaded on demand.
const NOT_FIRST_LOAD: &[&str] = &["png", "txt", "webmanifest", "wav", "mp3", "ogg"];
/// What the web app is made of.
const INPUTS: &[&str] = &[
    "web",
    "wasm-core",
    "static",
    "xtask/src/build.rs",
    "xtask/src/slim.rs",
    "xtask/src/tools.rs",
    "xtask/src/wasm.rs",
    "Cargo.toml",
    "Cargo.lock",
    "Trunk.toml",
    ".cargo",
];
/// Folders therein of which nothing gets into the app.
const NO_INPUTS: &[&str] = &["web/tests", "wasm-core/tests", "wasm-core/benches", "wasm-core/fuzz"];
/// Beginnings of the names of variables by which a person may change what cargo and Trunk make.
const INPUT_VARIABLES: &[&str] = &["TRUNK_", "CARGO_PROFILE_", "RUSTFLAGS"];

/// The folder that holds the built web app.
pub fn web_dist() -> PathBuf {
    root().join("target/web-dist")
}

/// Builds the web app for release and compresses its files, unless it lies there made of just the same.
pub fn web() -> Result<()> {
    let trunk = Trunk::ensure()?;
    let _lock = lock(&root().join("target/web-dist.lock"), "building this web app")?;
    let mut build = trunk.release()?;
    build.args(["build", "--release", "--offline", "--log", "warn"]);
    let inputs = inputs(&build)?;
    let built = unless_fresh(&root().join("target/web-dist.stamp"), &inputs, &web_dist(), || {
        step("Building the web app", || {
            run(&mut build)?;
            slim(&web_dist())?;
            hash_extra(&web_dist())?;
            let sizes = compress(&web_dist())?;
            sizes.check()
        })
    })?;
    if !built {
        println!("==> The web app is up to date");
    }
    Ok(())
}

/// All that the web app is made of: sources, settings, what this program does with them (which fixes the tools' versions), the command with
/// its flags, and the compiler.
fn inputs(build: &Command) -> Result<Inputs> {
    let below_root = |names: &[&str]| names.iter().map(|name| root().join(name)).collect();
    let mut rustc = command("rustc");
    let mut words = String::new();
    for (name, value) in build.get_envs().filter(|(name, _)| *name != "PATH") {
        words += &format!("{name:?}={value:?}\n");
        match value {
            Some(value) => rustc.env(name, value),
            None => rustc.env_remove(name),
        };
    }
    let by_hand = std::env::vars_os().filter(|(name, _)| INPUT_VARIABLES.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)));
    words.extend(by_hand.map(|(name, value)| format!("{name:?}={value:?}\n")));
    words += &format!("{:?}\n{}", build.get_args().collect::<Vec<_>>(), output(rustc.arg("-vV"))?);
    Ok(Inputs { paths: below_root(INPUTS), but: below_root(NO_INPUTS), words })
}

/// Builds the finished binary.
pub fn build() -> Result<()> {
    web()?;
    gateway()?;
    println!("    {}", binary().display());
    Ok(())
}

/// Compiles the release gateway around the web app that is there.
pub fn gateway() -> Result<()> {
    step("Building the gateway", || run(cargo().args(["build", "--release", "--locked", "--package", "ws-gateway"])))
}

/// The finished binary.
pub fn binary() -> PathBuf {
    root().join("target/release/ws-gateway")
}

/// Gives the second module names with a hash, which Trunk does for the first alone, and tells them the page.
fn hash_extra(folder: &Path) -> Result<()> {
    let files = EXTRA.map(|name| folder.join(name));
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(fs::read(file).with_context(|| format!("no {}", file.display()))?);
    }
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    for (name, within) in [(EXTRA[0], EXTRA[1]), (EXTRA[1], "index.html")] {
        let (path, hashed) = (folder.join(within), name.replacen("extra", &format!("extra-{hash}"), 1));
        let text = fs::read_to_string(&path)?;
        if !text.contains(name) {
            bail!("{within} does not name {name}");
        }
        fs::write(&path, text.replace(name, &hashed))?;
        fs::rename(folder.join(name), folder.join(hashed))?;
    }
    Ok(())
}

/// What people download, in bytes of brotli.
#[derive(Debug, Default)]
struct Sizes {
    first_load: usize,
    extra: usize,
}

impl Sizes {
    fn check(&self) -> Result<()> {
        for (what, size, limit) in [("first load", self.first_load, FIRST_LOAD_LIMIT), ("second module", self.extra, EXTRA_LIMIT)] {
            println!("    {what}: {:.1} KB brotli", size as f32 / 1024.0);
            if size > limit {
                bail!("the {what} is {size} bytes, over the limit of {limit}");
            }
        }
        Ok(())
    }
}

/// Writes `.br` and `.gz` beside every file that they make smaller.
fn compress(folder: &Path) -> Result<Sizes> {
    let mut sizes = Sizes::default();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let below = compress(&path)?;
            sizes.first_load += below.first_load;
            sizes.extra += below.extra;
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_owned();
        if ["br", "gz"].contains(&extension.as_str()) {
            continue;
        }
        let plain = fs::read(&path)?;
        let mut brotli = Vec::new();
        let options = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
        brotli::BrotliCompress(&mut plain.as_slice(), &mut brotli, &options)?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain)?;
        let gzip = gzip.finish()?;
        for (twin, bytes) in [("br", &brotli), ("gz", &gzip)] {
            let beside = path.with_extension(format!("{extension}.{twin}"));
            if bytes.len() < plain.len() {
                fs::write(beside, bytes)?;
            } else if beside.exists() {
                fs::remove_file(beside)?;
            }
        }
        let size = brotli.len().min(plain.len());
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"extra-")) {
            sizes.extra += size;
        } else if !NOT_FIRST_LOAD.contains(&extension.as_str()) {
            sizes.first_load += size;
        }
    }
    Ok(sizes)
}
