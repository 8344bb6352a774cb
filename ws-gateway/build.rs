//! Puts the built web app (`target/web-dist`) into the binary, when it is there: every file with its compressed twins.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../target/web-dist");
    // A path that is not there would count as changed for ever, and everything would be built anew each time.
    fs::create_dir_all(&dist)?;
    let dist = dist.canonicalize()?;
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let mut code = String::from("pub static FILES: &[File] = &[\n");
    for file in files.iter().filter(|file| !is_twin(file, &files)) {
        let name = file.strip_prefix(&dist).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        let twin = |extension: &str| match files.contains(&with(file, extension)) {
            true => format!("Some(include_bytes!({:?}))", with(file, extension)),
            false => "None".to_owned(),
        };
        let (brotli, gzip) = (twin("br"), twin("gz"));
        writeln!(code, "    File {{ name: {name:?}, plain: include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip} }},")
            .map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("assets.rs"), code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Folders of a build under way begin with a dot.
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn is_twin(file: &Path, files: &[PathBuf]) -> bool {
    file.extension().is_some_and(|extension| extension == "br" || extension == "gz") && files.contains(&file.with_extension(""))
}

fn with(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
