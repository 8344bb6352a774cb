//! The call-flow ladder of a story as text: every arrow in its order, beside it the number of the step that it is in the flow's
//! description. A golden file holds it; `BLESS=1` writes the file anew.

use std::fmt::Write;
use std::path::PathBuf;

/// One arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub what: String,
}

/// A flow as its description has it.
pub struct Flow {
    /// The golden file's name.
    pub file: &'static str,
    pub title: &'static str,
    /// Who takes part: the name in the world and that in the description. Arrows of others are left out.
    pub parties: &'static [(&'static str, &'static str)],
    /// The numbered steps: `from -> to: what`.
    pub steps: &'static [(u32, &'static str)],
    /// Whether the description leaves the order open.
    pub any_order: bool,
}

/// Compares the arrows with the flow, step by step, and the whole with the golden file.
pub fn check(flow: &Flow, arrows: &[Arrow]) {
    let name = |world: &str| flow.parties.iter().find(|(own, _)| *own == world).map(|(_, name)| *name);
    let mut open: Vec<(u32, &str)> = flow.steps.to_vec();
    let mut last = 0;
    let mut text = format!("{}\n\n", flow.title);
    for arrow in arrows {
        let (Some(from), Some(to)) = (name(&arrow.from), name(&arrow.to)) else { continue };
        if from == to {
            continue;
        }
        let written = format!("{from} -> {to}: {}", arrow.what);
        let step = open.iter().position(|(_, step)| *step == written).map(|at| open.remove(at).0);
        let number = step.map_or_else(|| "-".to_owned(), |step| step.to_string());
        if let Some(step) = step {
            assert!(flow.any_order || step > last, "{}: step {step} came after step {last}:\n{text}", flow.file);
            last = step;
        }
        writeln!(text, "{number:>3}  {from:<12} -> {to:<12}  {}", arrow.what).unwrap();
    }
    assert!(open.is_empty(), "{}: these steps are missing: {open:?}\n{text}", flow.file);
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "world", "ladders", &format!("{}.txt", flow.file)].iter().collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{} differs; BLESS=1 writes it anew", path.display());
}
