//! Makes a script and its WebAssembly smaller, as wasm-bindgen writes them: out goes what only their authors read, and the long names with
//! hashes by which they call each other become short ones. Six KB of brotli for the first module.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// New names for the old ones.
type Names = BTreeMap<String, String>;

/// Slims all scripts of the folder, with the WebAssembly beside them.
pub fn slim(folder: &Path) -> Result<()> {
    for script in fs::read_dir(folder)? {
        let script = script?.path();
        if script.extension().is_none_or(|extension| extension != "js") {
            continue;
        }
        let mut names = Names::new();
        let module = PathBuf::from(format!("{}_bg.wasm", script.with_extension("").display()));
        if module.exists() {
            let slim = rename(&fs::read(&module)?, &mut names).with_context(|| format!("{} is not understood", module.display()))?;
            fs::write(&module, slim)?;
        }
        fs::write(&script, shorten(&fs::read_to_string(&script)?, &names))?;
    }
    Ok(())
}

/// The script without comments and indents, with the new names.
fn shorten(text: &str, names: &Names) -> String {
    let comment = |line: &&str| !["//", "/**", "* ", "*/"].iter().any(|start| line.starts_with(start)) && *line != "*";
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).filter(comment) {
        let mut rest = line;
        while !rest.is_empty() {
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
            let (word, after) = rest.split_at(rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()));
            let (between, after) = after.split_at(after.find(is_word).unwrap_or(after.len()));
            out.push_str(names.get(word).map_or(word, String::as_str));
            out.push_str(between);
            rest = after;
        }
        out.push('\n');
    }
    out
}

/// The module with new names for the imports, and for the exports that call closures.
fn rename(module: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    let mut bytes = Bytes(module);
    let mut out = bytes.take(8)?.to_vec();
    while !bytes.0.is_empty() {
        let section = bytes.take(1)?[0];
        let mut body = Bytes(bytes.sized()?);
        let mut new = Vec::new();
        if let 2 | 7 = section {
            let count = bytes_of_number(&mut body, &mut new)?;
            for _ in 0..count {
                if section == 2 {
                    put(&mut new, body.sized()?);
                }
                let name = std::str::from_utf8(body.sized()?)?;
                let ours = section == 2 || name.starts_with("wasm_bindgen_");
                let next = format!("${}", names.len());
                let name = if ours { names.entry(name.to_owned()).or_insert(next) } else { name };
                put(&mut new, name.as_bytes());
                let before = body.0;
                body.skip_what(section)?;
                new.extend(&before[..before.len() - body.0.len()]);
            }
        }
        new.extend(body.0);
        out.push(section);
        put(&mut out, &new);
    }
    Ok(out)
}

/// Copies a number, and says which it is.
fn bytes_of_number(from: &mut Bytes<'_>, to: &mut Vec<u8>) -> Result<usize> {
    let before = from.0;
    let number = from.number()?;
    to.extend(&before[..before.len() - from.0.len()]);
    Ok(number)
}

/// Writes bytes behind their count.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut count = bytes.len();
    while count > 0x7f {
        out.push(count as u8 | 0x80);
        count >>= 7;
    }
    out.push(count as u8);
    out.extend(bytes);
}

/// What is left to be read of a module.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number in LEB128.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number is too long")
    }

    /// Bytes behind their count.
    fn sized(&mut self) -> Result<&'a [u8]> {
        let count = self.number()?;
        self.take(count)
    }

    /// Passes by what an import (section 2) or an export is of.
    fn skip_what(&mut self, section: u8) -> Result<()> {
        let kind = self.take(1)?[0];
        match (section, kind) {
            (7, _) | (_, 0) => self.number().map(|_| ()),
            (_, 1) => self.take(1).and_then(|_| self.skip_limits()),
            (_, 2) => self.skip_limits(),
            (_, 3) => self.take(2).map(|_| ()),
            _ => bail!("there is an import of kind {kind}"),
        }
    }

    fn skip_limits(&mut self) -> Result<()> {
        let both = self.number()? & 1 == 1;
        self.number()?;
        if both {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_short_names() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let mut imports = vec![2];
        for (name, what) in [("__wbg_log_0123456789abcdef", &[0, 1][..]), ("memory", &[2, 1, 1, 0x80, 1])] {
            put(&mut imports, b"./web_bg.js");
            put(&mut imports, name.as_bytes());
            imports.extend(what);
        }
        module.push(2);
        put(&mut module, &imports);
        let mut names = Names::new();
        let slim = rename(&module, &mut names).unwrap();
        assert!(slim.len() < module.len());
        assert!(slim.windows(2).any(|two| two == b"$0") && slim.ends_with(&[2, 1, 1, 0x80, 1]));
        let script = "// words\n  const imports = {\n    __wbg_log_0123456789abcdef: function(arg0) { x(arg0); },\n";
        assert_eq!(shorten(script, &names), "const imports = {\n$0: function(arg0) { x(arg0); },\n");
        assert!(rename(&module[..module.len() - 1], &mut Names::new()).is_err());
    }
}
