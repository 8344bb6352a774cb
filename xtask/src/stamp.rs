//! Whether something must be made again: a hash over all that goes into it, kept with a hash over what came out.
//!
//! Contents count and times do not, so neither a checkout nor a touched, lost or half-written file can mislead it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Does `work`, which makes the folder `output`, unless the stamp at `stamp` says that the same `inputs` (files and folders, and `words`
/// for what is no file) made what lies there. Returns whether there was work.
pub fn unless_fresh(stamp: &Path, inputs: &Inputs, output: &Path, work: impl FnOnce() -> Result<()>) -> Result<bool> {
    // Taken before the work: what changes under way counts as changed the next time.
    let before = inputs.hash()?;
    let mark = |made: String| format!("{before} {made}\n");
    if output.is_dir() && fs::read_to_string(stamp).is_ok_and(|kept| hash([output], &[], "").is_ok_and(|made| kept == mark(made))) {
        return Ok(false);
    }
    if stamp.exists() {
        fs::remove_file(stamp)?;
    }
    work()?;
    fs::write(stamp, mark(hash([output], &[], "")?)).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(true)
}

/// What something is made of.
#[derive(Debug)]
pub struct Inputs {
    /// Files and folders; one that is not there is an input too.
    pub paths: Vec<PathBuf>,
    /// Folders below those which are none.
    pub but: Vec<PathBuf>,
    /// What matters and is no file: flags, versions.
    pub words: String,
}

impl Inputs {
    fn hash(&self) -> Result<String> {
        hash(self.paths.iter().map(PathBuf::as_path), &self.but, &self.words)
    }
}

fn hash<'a>(paths: impl IntoIterator<Item = &'a Path>, but: &[PathBuf], words: &str) -> Result<String> {
    let mut hash = Sha256::new();
    part(&mut hash, words.as_bytes());
    for path in paths {
        add(&mut hash, path, path, but)?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds a file's name below `top` and its contents, or a folder's in the order of their names.
fn add(hash: &mut Sha256, top: &Path, path: &Path, but: &[PathBuf]) -> Result<()> {
    if path.is_dir() {
        let mut below = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        below.sort();
        return below.iter().filter(|path| !but.contains(path)).try_for_each(|path| add(hash, top, path, but));
    }
    let name = path.strip_prefix(top).unwrap_or(path);
    part(hash, name.to_string_lossy().as_bytes());
    match fs::read(path) {
        Ok(bytes) => part(hash, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => hash.update([0xff]),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    Ok(())
}

/// The length comes first, so that no two lists of parts look alike.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with two inputs, and a "build" that copies one of them.
    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> Bench {
            let bench = Bench(tempfile::tempdir().expect("a temporary folder"));
            fs::create_dir_all(bench.at("in/sub")).expect("a folder");
            bench.write("in/page", "page");
            bench.write("in/sub/code", "code");
            bench
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.at(name), text).expect("a written file");
        }

        /// Whether it was made again.
        fn build(&self, words: &str) -> bool {
            self.attempt(words, || {
                fs::create_dir_all(self.at("out"))?;
                fs::copy(self.at("in/page"), self.at("out/page"))?;
                Ok(())
            })
            .expect("a build")
        }

        fn attempt(&self, words: &str, work: impl FnOnce() -> Result<()>) -> Result<bool> {
            let inputs = Inputs { paths: vec![self.at("in"), self.at("extra")], but: vec![self.at("in/tests")], words: words.to_owned() };
            unless_fresh(&self.at("stamp"), &inputs, &self.at("out"), work)
        }
    }

    #[test]
    fn what_has_not_changed_is_not_made_again() {
        let bench = Bench::new();
        assert!(bench.build("v1"));
        assert!(!bench.build("v1"));
        // The same bytes, written anew.
        bench.write("in/page", "page");
        assert!(!bench.build("v1"));
        fs::create_dir_all(bench.at("in/tests")).expect("a folder");
        bench.write("in/tests/story", "left out");
        assert!(!bench.build("v1"));
    }

    #[test]
    fn every_change_of_an_input_counts() {
        let bench = Bench::new();
        bench.build("v1");
        let again = |what: &str, change: &dyn Fn()| {
            change();
            assert!(bench.build("v1"), "{what}");
            assert!(!bench.build("v1"), "once after: {what}");
        };
        again("a changed byte of the same length", &|| bench.write("in/sub/code", "cude"));
        again("a new file", &|| bench.write("in/sub/more", ""));
        again("a renamed file", &|| fs::rename(bench.at("in/sub/more"), bench.at("in/sub/other")).expect("renamed"));
        again("a removed file", &|| fs::remove_file(bench.at("in/sub/other")).expect("removed"));
        again("an input that was not there", &|| bench.write("extra", ""));
        again("bytes moved from one file to the next", &|| {
            bench.write("in/page", "pag");
            bench.write("in/sub/code", "ecude");
        });
        assert!(bench.build("v2"), "another version of a tool");
    }

    #[test]
    fn an_output_that_is_lost_or_changed_is_made_again() {
        let bench = Bench::new();
        bench.build("v1");
        fs::remove_file(bench.at("out/page")).expect("removed");
        assert!(bench.build("v1"), "a lost file");
        bench.write("out/page", "half");
        assert!(bench.build("v1"), "a changed file");
        fs::remove_dir_all(bench.at("out")).expect("removed");
        assert!(bench.build("v1"), "a lost folder");
        fs::remove_file(bench.at("stamp")).expect("removed");
        assert!(bench.build("v1"), "a lost stamp");
        assert!(!bench.build("v1"));
    }

    #[test]
    fn a_build_that_failed_or_was_overtaken_is_done_again() {
        let bench = Bench::new();
        bench.build("v1");
        bench.write("in/page", "new");
        assert!(bench.attempt("v1", || anyhow::bail!("no")).is_err());
        bench.write("in/page", "page");
        assert!(bench.build("v1"), "the failed build may have left anything");
        bench.write("in/page", "newer");
        let overtaken = bench.attempt("v1", || {
            bench.write("in/page", "newest");
            Ok(())
        });
        assert!(overtaken.expect("a build"));
        assert!(bench.build("v1"), "an input changed during the build");
    }
}
