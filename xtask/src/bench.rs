//! `bench`: every benchmark in one run, and one table of what it found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell::{cargo, root, run, step};

/// One line of the table.
struct Row {
    name: String,
    value: String,
    /// What it is compared with, and the ratio to that.
    other: String,
    ratio: Option<f64>,
}

/// A result of criterion.
struct Measured {
    nanoseconds: f64,
    /// How many things one iteration does.
    elements: Option<f64>,
}

/// Runs the benchmarks of both native crates, then prints all results with their ratios.
pub fn bench(quick: bool) -> Result<()> {
    step("Benchmarks", || {
        let mut bench = cargo();
        bench.args(["bench", "--locked", "--package", "wasm-core", "--package", "ws-gateway", "--benches", "--"]);
        if quick {
            bench.arg("--quick");
        }
        run(&mut bench)
    })?;
    let mut measured = BTreeMap::new();
    collect(&root().join("target/criterion"), &mut measured)?;
    let mut rows: Vec<Row> = measured.iter().map(|(name, result)| row(name, result, &measured)).collect();
    rows.extend(load()?);
    println!("\n{:58} {:>16}   {:28} {:>6}", "benchmark", "result", "compared with", "ratio");
    for row in rows {
        let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        println!("{:58} {:>16}   {:28} {ratio:>6}", row.name, row.value, row.other);
    }
    Ok(())
}

/// Compares "X" with "X by somebody", and a series over a number ("batches/100") with its smallest, by the time for each thing.
fn row(name: &str, result: &Measured, all: &BTreeMap<String, Measured>) -> Row {
    let by = all.iter().find(|(other, _)| other.strip_prefix(name).is_some_and(|rest| rest.starts_with(" by ")));
    let number = |name: &str| name.rsplit_once('/').and_then(|(series, number)| Some((series.to_owned(), number.parse::<u64>().ok()?)));
    let first = number(name).and_then(|(series, _)| {
        let same = all.iter().filter(|(other, _)| number(other).is_some_and(|(one, _)| one == series));
        same.min_by_key(|(other, _)| number(other).map(|(_, number)| number))
    });
    let each = |result: &Measured| result.nanoseconds / result.elements.unwrap_or(1.0);
    let compared = by.or(first).filter(|(other, _)| *other != name);
    let value = match result.elements {
        Some(elements) => format!("{:.0}/s", elements * 1e9 / result.nanoseconds),
        None => human(result.nanoseconds),
    };
    Row {
        name: name.to_owned(),
        value,
        other: compared.map(|(other, _)| other.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default(),
        ratio: compared.map(|(_, other)| each(result) / each(other)),
    }
}

/// Walks criterion's results: a folder `new` holds the latest estimates of the benchmark that its parents name.
fn collect(folder: &Path, found: &mut BTreeMap<String, Measured>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let (estimates, about) = (path.join("new/estimates.json"), path.join("new/benchmark.json"));
        if estimates.exists() && about.exists() {
            let read = |path| -> Result<serde_json::Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
            let about = read(about)?;
            let measured = Measured {
                nanoseconds: read(estimates)?["mean"]["point_estimate"].as_f64().unwrap_or_default(),
                elements: about["throughput"]["Elements"].as_f64(),
            };
            found.insert(about["full_id"].as_str().unwrap_or_default().to_owned(), measured);
        } else {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// What the load bench wrote: the gateway beside Kamailio.
fn load() -> Result<Vec<Row>> {
    #[derive(Deserialize)]
    struct Load {
        name: String,
        value: String,
        other: Option<String>,
        ratio: Option<f64>,
    }
    let text = fs::read(root().join("target/tmp/load.json")).context("the load bench left no results")?;
    let rows: Vec<Load> = serde_json::from_slice(&text)?;
    let row = |row: Load| Row {
        name: row.name,
        value: row.value,
        other: row.other.map_or("Kamailio is not installed".to_owned(), |other| format!("Kamailio {other}")),
        ratio: row.ratio,
    };
    Ok(rows.into_iter().map(row).collect())
}

fn human(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1e4 => format!("{nanoseconds:.0} ns"),
        1e4..1e7 => format!("{:.1} us", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
