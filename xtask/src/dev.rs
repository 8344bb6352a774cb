//! `dev`: Trunk's server with reload, in front of a gateway that is built for development.

use std::process::Child;

use anyhow::{Context, Result};

use crate::shell::{cargo, command, root, run, step};
use crate::wasm::Trunk;

/// A gateway that ends with this program.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves until interrupted. Trunk.toml proxies the API and the WebSockets to the gateway's address.
pub fn dev() -> Result<()> {
    let trunk = Trunk::ensure()?;
    step("Building the gateway", || run(cargo().args(["build", "--package", "ws-gateway"])))?;
    let mut serve = command(root().join("target/debug/ws-gateway"));
    // Pages come from Trunk, with an origin of its own.
    serve.args(["serve", "--demo", "--allowed-origin", "http://127.0.0.1:8081", "--data-dir"]).arg(root().join("data"));
    let _gateway = Gateway(serve.spawn().context("cannot start the gateway")?);
    run(trunk.dev()?.args(["serve", "--offline", "--dist"]).arg(root().join("target/web-dev")))
}
