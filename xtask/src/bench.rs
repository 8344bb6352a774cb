//! `bench`: every benchmark in one run, and one table of what it found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{cargo, find, root, run, step};

/// One line of the table.
#[derive(Clone)]
struct Row {
    name: String,
    value: String,
    /// What it is compared with, and the ratio to that: below 1, it costs less.
    other: String,
    ratio: Option<f64>,
}

/// A result of criterion.
struct Measured {
    nanoseconds: f64,
    /// How many things one iteration does.
    elements: Option<f64>,
}

impl Measured {
    /// The cost of one thing.
    fn each(&self) -> f64 {
        self.nanoseconds / self.elements.unwrap_or(1.0)
    }

    fn describe(&self) -> String {
        match self.elements {
            Some(_) => format!("{}/s", thousands(1e9 / self.each())),
            None => human(self.nanoseconds),
        }
    }
}

/// Runs the benchmarks of both native crates, then prints what this run found, with ratios.
pub fn bench(how: Option<&str>) -> Result<()> {
    let quick = match how {
        None => false,
        Some("quick") => true,
        Some(other) => bail!("bench knows `quick` alone, and not '{other}'"),
    };
    let load = root().join("target/tmp/load.json");
    if load.exists() {
        fs::remove_file(&load)?;
    }
    let begin = SystemTime::now();
    step("Benchmarks", || {
        let mut bench = cargo();
        // Criterion compares with the last run, which may have been another's, on a busier day: the table below says what matters.
        bench.args(["bench", "--locked", "--package", "wasm-core", "--package", "ws-gateway", "--benches", "--", "--quiet", "--noplot"]);
        if quick {
            bench.arg("--quick");
        }
        run(&mut bench)
    })?;
    let mut measured = BTreeMap::new();
    collect(&root().join("target/criterion"), begin, &mut measured)?;
    print(&[rows(&measured), load_rows(&load)?].concat());
    println!("\nRatio: what one costs, divided by what one costs in the other; below 1 is better than the other.");
    if quick {
        println!("Measured quickly: the figures are rough, those of disks and of the slowest per cent above all.");
    }
    if find("kamailio").is_none() {
        println!("Kamailio is not installed: the SIP servers were not compared.");
    }
    Ok(())
}

fn print(rows: &[Row]) {
    let width = |cell: fn(&Row) -> &str| rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or_default();
    let (name, value, other) = (width(|row| &row.name), width(|row| &row.value), width(|row| &row.other));
    println!("\n{:name$}  {:>value$}  {:other$}  {:>5}", "benchmark", "result", "compared with", "ratio");
    let mut group = None;
    for row in rows {
        // A line between groups.
        let now = row.name.split_once('/').map(|(group, _)| group);
        if group.replace(now).is_some_and(|before| before != now) {
            println!();
        }
        let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let line = format!("{:name$}  {:>value$}  {:other$}  {ratio:>5}", row.name, row.value, row.other);
        println!("{}", line.trim_end());
    }
}

/// The rows of criterion's results. "X by somebody" is what "X" is compared with, and has no row of its own; in a series over a number
/// ("batches/100") the smallest is what the others are compared with, by the cost of each thing.
fn rows(all: &BTreeMap<String, Measured>) -> Vec<Row> {
    let mut rows: Vec<(Option<u64>, Row)> = Vec::new();
    for (name, result) in all {
        if name.rsplit_once(" by ").is_some_and(|(ours, _)| all.contains_key(ours)) {
            continue;
        }
        let by = all.iter().find_map(|(other, theirs)| Some((other.strip_prefix(name)?.strip_prefix(" by ")?.to_owned(), theirs)));
        let first = || {
            let (series, number) = in_series(name)?;
            let same = all.iter().filter_map(|(other, theirs)| Some((in_series(other).filter(|(one, _)| *one == series)?.1, theirs)));
            same.min_by_key(|(other, _)| *other)
                .filter(|(other, _)| *other != number)
                .map(|(other, theirs)| (format!("at {other}"), theirs))
        };
        let compared = by.or_else(first);
        let row = Row {
            name: name.clone(),
            value: result.describe(),
            other: compared.as_ref().map_or(String::new(), |(other, theirs)| format!("{other}: {}", theirs.describe())),
            ratio: compared.map(|(_, theirs)| result.each() / theirs.each()),
        };
        rows.push((in_series(name).map(|(_, number)| number), row));
    }
    // By name, but a series by its number.
    rows.sort_by(|(a_number, a), (b_number, b)| {
        let stem = |number: &Option<u64>, name: &str| {
            number.map_or(name.to_owned(), |number| name.trim_end_matches(&number.to_string()).to_owned())
        };
        (stem(a_number, &a.name), a_number).cmp(&(stem(b_number, &b.name), b_number))
    });
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The series that a benchmark belongs to, and its number there.
fn in_series(name: &str) -> Option<(&str, u64)> {
    let (series, number) = name.rsplit_once('/')?;
    Some((series, number.parse().ok()?))
}

/// Walks criterion's results: a folder `new` holds the latest estimates of the benchmark that its parents name.
/// What was measured before `since` is left out.
fn collect(folder: &Path, since: SystemTime, found: &mut BTreeMap<String, Measured>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let (estimates, about) = (path.join("new/estimates.json"), path.join("new/benchmark.json"));
        if estimates.exists() && about.exists() {
            if fs::metadata(&estimates)?.modified()? < since {
                continue;
            }
            let read = |path| -> Result<serde_json::Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
            let about = read(about)?;
            let measured = Measured {
                nanoseconds: read(estimates)?["mean"]["point_estimate"].as_f64().unwrap_or_default(),
                elements: about["throughput"]["Elements"].as_f64(),
            };
            found.insert(about["full_id"].as_str().unwrap_or_default().to_owned(), measured);
        } else {
            collect(&path, since, found)?;
        }
    }
    Ok(())
}

/// What the load bench wrote: the gateway beside Kamailio.
fn load_rows(file: &Path) -> Result<Vec<Row>> {
    #[derive(Deserialize)]
    struct Load {
        name: String,
        value: String,
        other: Option<String>,
        ratio: Option<f64>,
    }
    let rows: Vec<Load> = serde_json::from_slice(&fs::read(file).context("the load bench left no results")?)?;
    let row = |row: Load| Row {
        name: format!("load/{}", row.name),
        value: row.value,
        other: row.other.map_or(String::new(), |other| format!("Kamailio: {other}")),
        ratio: row.ratio,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// A time with three digits.
fn human(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        0.0..1e3 => (nanoseconds, "ns"),
        1e3..1e6 => (nanoseconds / 1e3, "us"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// A whole number with its thousands apart.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn measured(results: &[(&str, f64, Option<f64>)]) -> BTreeMap<String, Measured> {
        results
            .iter()
            .map(|(name, nanoseconds, elements)| (name.to_string(), Measured { nanoseconds: *nanoseconds, elements: *elements }))
            .collect()
    }

    /// Name, value, what it is compared with, and the ratio, as they are printed.
    fn lines(results: &[(&str, f64, Option<f64>)]) -> Vec<String> {
        let line = |row: Row| format!("{} | {} | {} | {:?}", row.name, row.value, row.other, row.ratio);
        rows(&measured(results)).into_iter().map(line).collect()
    }

    #[test]
    fn a_benchmark_is_compared_with_the_same_by_somebody_else() {
        let lines = lines(&[("sip/parse", 500.0, None), ("sip/parse by rsip", 2000.0, None), ("sip/parse and read", 1500.0, None)]);
        assert_eq!(lines, ["sip/parse | 500 ns | rsip: 2.00 us | Some(0.25)", "sip/parse and read | 1.50 us |  | None"]);
    }

    #[test]
    fn a_series_is_compared_with_its_smallest_by_the_cost_of_each() {
        let lines =
            lines(&[("store/batch/1000", 5e6, Some(1000.0)), ("store/batch/2", 2e6, Some(2.0)), ("store/batch/30", 3e6, Some(30.0))]);
        let expected = [
            "store/batch/2 | 1,000/s |  | None",
            "store/batch/30 | 10,000/s | at 2: 1,000/s | Some(0.1)",
            "store/batch/1000 | 200,000/s | at 2: 1,000/s | Some(0.005)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_an_earlier_run_left_is_not_in_the_table() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str| {
            let at = folder.path().join(name).join("new");
            fs::create_dir_all(&at).expect("a folder");
            fs::write(at.join("estimates.json"), r#"{"mean":{"point_estimate":12.5}}"#).expect("estimates");
            fs::write(at.join("benchmark.json"), format!(r#"{{"full_id":"{name}","throughput":null}}"#)).expect("a description");
            at.join("estimates.json")
        };
        let old = fs::File::options().write(true).open(write("node/old")).expect("the estimates");
        let begin = SystemTime::now() - Duration::from_secs(60);
        old.set_modified(begin - Duration::from_secs(60)).expect("another time");
        write("node/new");
        let mut found = BTreeMap::new();
        collect(folder.path(), begin, &mut found).expect("results");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["node/new"]);
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            [1.0, 12.34, 999.0, 8259.0, 20_249.0, 5.3e6].map(human),
            ["1.00 ns", "12.3 ns", "999 ns", "8.26 us", "20.2 us", "5.30 ms"]
        );
        assert_eq!([12.0, 1397.0, 1_179_515.0].map(thousands), ["12", "1,397", "1,179,515"]);
    }
}
