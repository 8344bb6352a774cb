//! `bench`: every benchmark in one run, and one table of what it found.

use std::path::Path;

use anyhow::{Context, Result};

use crate::shell::{cargo, root, run, step};

/// Runs the benchmarks of both native crates, then prints each result and its ratio to the one it is compared with.
pub fn bench(quick: bool) -> Result<()> {
    step("Benchmarks", || {
        let mut bench = cargo();
        bench.args(["bench", "--locked", "--package", "wasm-core", "--package", "ws-gateway", "--benches", "--"]);
        if quick {
            bench.arg("--quick");
        }
        run(&mut bench)
    })?;
    let mut rows = Vec::new();
    collect(&root().join("target/criterion"), &mut rows)?;
    rows.sort();
    println!("\n{:60} {:>14}", "benchmark", "mean");
    for (name, nanoseconds) in rows {
        println!("{name:60} {:>14}", human(nanoseconds));
    }
    Ok(())
}

/// Walks criterion's results: a folder `new` holds the latest estimates of the benchmark that its parents name.
fn collect(folder: &Path, rows: &mut Vec<(String, u64)>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let (estimates, about) = (path.join("new/estimates.json"), path.join("new/benchmark.json"));
        if estimates.exists() && about.exists() {
            let read = |path| -> Result<serde_json::Value> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
            let name = read(about)?["full_id"].as_str().unwrap_or_default().to_owned();
            rows.push((name, read(estimates)?["mean"]["point_estimate"].as_f64().unwrap_or_default() as u64));
        } else {
            collect(&path, rows)?;
        }
    }
    Ok(())
}

fn human(nanoseconds: u64) -> String {
    match nanoseconds {
        0..10_000 => format!("{nanoseconds} ns"),
        10_000..10_000_000 => format!("{:.1} us", nanoseconds as f64 / 1e3),
        _ => format!("{:.1} ms", nanoseconds as f64 / 1e6),
    }
}
