//! Checks of the tree itself: who may import whom, what stays out of the pure parts, and how a module begins.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Every Rust file below `folder`, relative to the workspace, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("a readable source file");
                found.push((name, text));
            }
        }
    }
    found.sort();
    found
}

/// The lines of code in which one of `words` stands, comments left out.
fn uses<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

/// Asserts that no file of `folders` (a folder, or a single `.rs` file) names any of `words`.
fn nobody_names(folders: &[&str], words: &[&str]) {
    let mut faults = Vec::new();
    let mut seen = 0;
    for folder in folders {
        let files = match folder.ends_with(".rs") {
            true => fs::read_to_string(root().join(folder)).map(|text| vec![(folder.to_string(), text)]).unwrap_or_default(),
            false => sources(folder),
        };
        for (name, text) in files {
            seen += 1;
            faults.extend(uses(&text, words).into_iter().map(|line| format!("{name}: {}", line.trim())));
        }
    }
    assert!(seen > 0, "{folders:?} hold no source file: the rule checks nothing");
    assert!(faults.is_empty(), "these lines reach for a layer that they may not know:\n{}", faults.join("\n"));
}

#[test]
fn the_layers_of_the_core_look_downwards_only() {
    nobody_names(&["wasm-core/src/wire", "wasm-core/src/wire.rs"], &["crate::sip", "crate::msrp", "crate::cpm", "crate::client"]);
    nobody_names(&["wasm-core/src/sip", "wasm-core/src/sip.rs"], &["crate::msrp", "crate::cpm", "crate::client"]);
    nobody_names(&["wasm-core/src/msrp", "wasm-core/src/msrp.rs"], &["crate::sip", "crate::cpm", "crate::client"]);
    nobody_names(&["wasm-core/src/cpm", "wasm-core/src/cpm.rs"], &["crate::client"]);
}

#[test]
fn the_core_has_no_clock_no_socket_and_no_browser() {
    nobody_names(
        &["wasm-core/src"],
        &["std::net", "std::fs", "std::thread", "SystemTime", "Instant::now", "tokio", "web_sys", "js_sys", "wasm_bindgen"],
    );
}

#[test]
fn the_pure_parts_of_the_gateway_touch_nothing() {
    let pure =
        ["ws-gateway/src/node.rs", "ws-gateway/src/node", "ws-gateway/src/msrp", "ws-gateway/src/sip_core", "ws-gateway/src/participating"];
    nobody_names(&pure, &["tokio", "axum", "rusqlite", "crate::edge", "std::fs", "SystemTime", "Instant::now"]);
}

#[test]
fn the_gateway_leaves_the_client_to_the_client() {
    nobody_names(&["ws-gateway/src"], &["wasm_core::client"]);
}

#[test]
fn only_the_shell_of_the_web_app_touches_the_browser() {
    let elsewhere: Vec<String> = sources("web/src").into_iter().map(|(name, _)| name).filter(|name| !name.contains("/shell")).collect();
    let names: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    nobody_names(&names, &["use web_sys", "use js_sys", "use wasm_bindgen::JsValue"]);
}

/// Or the first module of the web app would have what is to be loaded later.
#[test]
fn only_the_second_module_names_what_is_drawn_there() {
    let second = ["src/extra.rs", "/pages/link.rs", "/components/ladder.rs", "/components/settings.rs", "/components/settings/"];
    let elsewhere: Vec<String> = sources("web/src").into_iter().map(|(name, _)| name).collect();
    let names: Vec<&str> = elsewhere.iter().map(String::as_str).filter(|name| !second.iter().any(|part| name.contains(part))).collect();
    nobody_names(&names, &["components::settings::", "components::ladder", "pages::link"]);
}

#[test]
fn every_module_says_what_it_is() {
    let folders = ["wasm-core/src", "ws-gateway/src", "web/src", "xtask/src"];
    let silent: Vec<String> =
        folders.iter().flat_map(|folder| sources(folder)).filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "modules without a `//!` header: {silent:?}");
}

#[test]
fn no_file_is_named_mod_and_none_is_endless() {
    let folders = ["wasm-core/src", "ws-gateway/src", "web/src", "xtask/src"];
    for (name, text) in folders.iter().flat_map(|folder| sources(folder)) {
        assert!(!name.ends_with("/mod.rs"), "{name}: use foo.rs beside foo/");
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
        assert!(code <= 900, "{name} has {code} lines without its tests: split it");
    }
}
