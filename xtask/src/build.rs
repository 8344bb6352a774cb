//! `build`: the web app into `target/web-dist`, compressed, and the release gateway with it inside.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, command, root, run, step};
use crate::tools;

/// What everything that a first visit loads may weigh, compressed with brotli.
const FIRST_LOAD_LIMIT: usize = 250 * 1024;
/// Files of the web app that a first visit does not load: icons of the installed app, and what is loaded on demand.
const NOT_FIRST_LOAD: &[&str] = &["png", "txt", "webmanifest", "wav", "mp3", "ogg"];

/// The folder that holds the built web app.
pub fn web_dist() -> PathBuf {
    root().join("target/web-dist")
}

/// Builds the web app for release and compresses its files.
pub fn web() -> Result<()> {
    let wasm = tools::Wasm::ensure()?;
    let (trunk, bindgen, optimiser) = (tools::trunk()?, tools::wasm_bindgen()?, tools::wasm_opt()?);
    step("Building the web app", || {
        // Trunk works without the network, so that it fetches no tools of its own: what it compiles has to be there.
        let mut fetch = command("cargo");
        wasm.prepare_release(&mut fetch)?;
        run(fetch.args(["fetch", "--locked", "--quiet"]))?;
        let mut build = command(&trunk);
        wasm.prepare_release(&mut build)?;
        build.env("PATH", tools::search_path(&[&bindgen, &optimiser])?);
        build.env_remove("NO_COLOR");
        run(build.args(["build", "--release", "--cargo-profile", "web", "--offline", "--log", "warn"]))?;
        let total = compress(&web_dist())?;
        println!("    first load: {:.1} KB brotli", total as f32 / 1024.0);
        if total > FIRST_LOAD_LIMIT {
            bail!("the first load is {total} bytes, over the limit of {FIRST_LOAD_LIMIT}");
        }
        Ok(())
    })
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

/// Writes `.br` and `.gz` beside every file that they make smaller; returns the brotli size of a first load.
fn compress(folder: &Path) -> Result<usize> {
    let mut total = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            total += compress(&path)?;
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
        if !NOT_FIRST_LOAD.contains(&extension.as_str()) {
            total += brotli.len().min(plain.len());
        }
    }
    Ok(total)
}
