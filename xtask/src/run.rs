//! `run`: the product on this machine, with the embedded store and demo users.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result};

use crate::build;
use crate::shell::{command, root};

/// Builds everything and serves it until interrupted; `args` are further flags of `ws-gateway serve`.
pub fn run(args: &[String]) -> Result<()> {
    build::build()?;
    let mut serve = command(build::binary());
    serve.args(["serve", "--demo"]);
    if !args.iter().any(|arg| arg.starts_with("--data-dir")) {
        serve.arg("--data-dir").arg(root().join("data"));
    }
    println!("==> Starting (Ctrl+C stops)");
    Err(serve.args(args).exec()).context("cannot start the gateway")
}
