//! `conformance.md` is true as far as a machine can tell: every requirement once, an honest state, and tests that exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The requirements' numbers: two runs without gaps.
fn requirements() -> impl Iterator<Item = u32> {
    (1..=332).chain(340..=355)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

struct Row {
    state: String,
    proofs: Vec<String>,
}

/// The table's rows: `| R001 | done | what | crate/path.rs::test_name, … |`.
fn rows() -> BTreeMap<u32, Row> {
    let text = fs::read_to_string(root().join("conformance.md")).expect("conformance.md beside the README");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| R")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "four cells in {line}");
        let number = cells[0][1..].parse().unwrap_or_else(|_| panic!("no requirement number in {line}"));
        let proofs = cells[3].split(',').map(|proof| proof.trim().trim_matches('`').to_owned()).filter(|proof| !proof.is_empty()).collect();
        assert!(rows.insert(number, Row { state: cells[1].to_owned(), proofs }).is_none(), "R{number:03} stands twice");
    }
    rows
}

#[test]
fn every_requirement_has_one_row() {
    let rows = rows();
    let missing: Vec<u32> = requirements().filter(|number| !rows.contains_key(number)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    assert_eq!(rows.len(), requirements().count(), "rows for what is no requirement");
}

#[test]
fn a_state_is_honest_and_what_is_done_is_proved() {
    for (number, row) in rows() {
        assert!(["done", "part", "not yet"].contains(&row.state.as_str()), "R{number:03}: state '{}'", row.state);
        assert!(row.state == "not yet" || !row.proofs.is_empty(), "R{number:03} is {} but names no test", row.state);
    }
}

/// A proof is `path::name`: a Rust file with `fn name`, or a Playwright file with a test of that title.
#[test]
fn every_named_test_exists() {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (number, row) in rows() {
        for proof in row.proofs {
            let (path, name) = proof.split_once("::").unwrap_or_else(|| panic!("R{number:03}: '{proof}' is not path::test"));
            let path = root().join(path);
            let text = files.entry(path.clone()).or_insert_with(|| fs::read_to_string(&path).unwrap_or_default());
            let found = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => {
                    text.contains(&format!("fn {name}(")) && text.contains("#[test]") || text.contains(&format!("async fn {name}("))
                }
                _ => text.contains(&format!("test('{name}'")) || text.contains(&format!("test(\"{name}\"")),
            };
            assert!(found, "R{number:03} names {proof}, which does not exist");
        }
    }
}
