//! `cargo xtask`: builds, runs, tests and measures Tandem, and installs every tool that this needs.
//!
//! Each command is a file of its own; `tools` finds or installs what is not Rust code of ours, into a cache that every clone on
//! the machine shares; `wasm` compiles for the browser with them; `stamp` knows what need not be done again; `shell` runs programs.

mod bench;
mod build;
mod dev;
mod run;
mod shell;
mod slim;
mod stamp;
mod test;
mod tools;
mod wasm;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  run [ARGS]     build everything, start the gateway with demo users, print the address; ARGS go to `ws-gateway serve`
  dev            serve the web app with reload, in front of a gateway of its own
  build          the finished binary, web app inside: target/release/ws-gateway
  test [PART]    formatting, lints, Rust tests, WASM tests, interop and browser tests, or one PART:
                 lint | rust | wasm | interop | e2e
  bench [quick]  every benchmark, one table; `quick` measures for less long
  tools          find or install every tool, and say where it is

What has not changed is not built again. Tools are kept in $TANDEM_CACHE, or else in tandem/ under the user's cache folder; a download that
stands still for $TANDEM_PATIENCE seconds (45) is given up.
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_str() {
        "run" => run::run(&rest),
        "dev" => dev::dev(),
        "build" => build::build(),
        "test" => test::test(rest.first().map(String::as_str)),
        "bench" => bench::bench(rest.first().map(String::as_str)),
        "tools" => tools::all(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("cargo xtask has no command '{other}'\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
