//! `test`: everything that must hold before a change lands, cheapest first.

use anyhow::{Result, bail};

use crate::build;
use crate::shell::{cargo, command, root, run, step};
use crate::tools;
use crate::wasm::Wasm;

const NATIVE: &[&str] = &["--package", "wasm-core", "--package", "ws-gateway", "--package", "xtask"];

/// Runs one part, or all of them.
pub fn test(part: Option<&str>) -> Result<()> {
    match part {
        None => {
            lint()?;
            rust()?;
            build::build()?;
            wasm()?;
            interop()?;
            e2e()
        }
        Some("lint") => lint(),
        Some("rust") => rust(),
        Some("wasm") => wasm(),
        Some("interop") => build::build().and_then(|()| interop()),
        Some("e2e") => build::build().and_then(|()| e2e()),
        Some(other) => bail!("there is no part '{other}'; the parts are lint, rust, wasm, interop and e2e"),
    }
}

fn lint() -> Result<()> {
    step("Formatting", || run(cargo().args(["fmt", "--all", "--check"])))?;
    step("Clippy", || run(cargo().args(["clippy", "--locked", "--all-targets"]).args(NATIVE).args(["--", "--deny", "warnings"])))?;
    let wasm = Wasm::ensure()?;
    step("Clippy of the web app", || {
        let mut clippy = command("cargo");
        wasm.prepare(&mut clippy)?;
        // The core has been checked above; on 32 bits its values are smaller, and what it expects of clippy does not come.
        clippy.args([
            "clippy",
            "--quiet",
            "--locked",
            "--all-targets",
            "--no-deps",
            "--package",
            "web",
            "--target",
            "wasm32-unknown-unknown",
        ]);
        run(clippy.args(["--", "--deny", "warnings"]))
    })
}

fn rust() -> Result<()> {
    step("Rust tests", || run(cargo().args(["test", "--locked", "--quiet"]).args(NATIVE)))
}

fn wasm() -> Result<()> {
    let wasm = Wasm::ensure()?;
    let bindgen = tools::wasm_bindgen()?;
    let (_, driver) = tools::chromium()?;
    step("WASM tests in Chromium", || {
        let mut test = command("cargo");
        wasm.prepare(&mut test)?;
        test.env("PATH", tools::search_path(&[&bindgen])?);
        test.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner").env("CHROMEDRIVER", driver);
        run(test.args(["test", "--locked", "--package", "web", "--target", "wasm32-unknown-unknown"]))
    })
}

/// Tests that need other people's SIP software, or kill gateways, are marked `#[ignore]` so that a plain `cargo test` needs neither.
fn interop() -> Result<()> {
    tools::sip_software()?;
    step("Interop and fault tests", || {
        let mut test = cargo();
        test.args(["test", "--locked", "--package", "ws-gateway", "--test", "interop", "--test", "faults"]);
        run(test.env("TANDEM_GATEWAY", build::binary()).args(["--", "--ignored", "--test-threads", "1"]))
    })
}

fn e2e() -> Result<()> {
    tools::sip_software()?;
    let (browser, _) = tools::chromium()?;
    let folder = root().join("e2e");
    step("Installing Playwright", || tools::npm(&folder, &["ci"]))?;
    step("Types of the browser tests", || run(command("npx").current_dir(&folder).args(["--no-install", "tsc", "--project", "."])))?;
    step("Browser tests", || {
        let mut test = command("npx");
        test.current_dir(&folder).env("TANDEM_GATEWAY", build::binary()).env("TANDEM_CHROMIUM", browser);
        run(test.args(["--no-install", "playwright", "test"]))
    })
}
