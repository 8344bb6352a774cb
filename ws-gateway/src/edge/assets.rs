//! The web app, out of the binary: compressed twins, caching, and the headers that fence it in.
//!
//! Files with a hash in their name never change and are kept for ever; others are asked for again with their ETag. Every other path
//! without a file of its own is the app's, so that a deep link opens it. The Content-Security-Policy lets nothing run but these files
//! and the inline scripts of `index.html`, named by their hashes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

/// A file of the web app.
#[derive(Debug)]
pub struct File {
    name: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

mod embedded {
    use super::File;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// What is served when the binary was built without the web app.
const NOT_BUILT: &[u8] = include_bytes!("not_built.html");
const PAGE: &str = "index.html";

/// The embedded web app.
pub static APP: LazyLock<Assets> = LazyLock::new(|| Assets::new(embedded::FILES));

/// Files ready to be served.
#[derive(Debug)]
pub struct Assets {
    files: HashMap<&'static str, Asset>,
    policy: HeaderValue,
    /// Whether the web app is here.
    pub built: bool,
}

#[derive(Debug)]
struct Asset {
    file: &'static File,
    kind: &'static str,
    etag: String,
    immutable: bool,
}

static NO_APP: File = File { name: PAGE, plain: NOT_BUILT, brotli: None, gzip: None };

impl Assets {
    fn new(files: &'static [File]) -> Assets {
        let built = files.iter().any(|file| file.name == PAGE);
        let page = files.iter().find(|file| file.name == PAGE).unwrap_or(&NO_APP);
        let mut table: HashMap<&'static str, Asset> = files.iter().map(|file| (file.name, Asset::new(file))).collect();
        table.entry(PAGE).or_insert_with(|| Asset::new(page));
        let policy = policy(&String::from_utf8_lossy(page.plain));
        Assets { files: table, policy: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'")), built }
    }

    /// The answer to a request for a file or for a page of the app.
    pub fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
        if *method != Method::GET && *method != Method::HEAD {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let path = uri.path().trim_start_matches('/');
        let last = path.rsplit('/').next().unwrap_or_default();
        let asset = match self.files.get(path) {
            Some(asset) => asset,
            None if last.contains('.') => return status(StatusCode::NOT_FOUND),
            None => match self.files.get(PAGE) {
                Some(page) => page,
                None => return status(StatusCode::NOT_FOUND),
            },
        };
        let mut response = asset.answer(*method == Method::HEAD, headers);
        if asset.file.name == PAGE {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
            if !self.built {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        response
    }
}

impl Asset {
    fn new(file: &'static File) -> Asset {
        let hash = wasm_core::entropy::hex(&Sha256::digest(file.plain)[..12]);
        Asset { file, kind: kind(file.name), etag: hash, immutable: is_hashed(file.name) }
    }

    fn answer(&self, head: bool, headers: &HeaderMap) -> Response {
        let accepted = |encoding: &str| {
            let lists = headers.get_all(header::ACCEPT_ENCODING);
            lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|item| {
                let (name, quality) = item.split_once(';').unwrap_or((item, ""));
                name.trim().eq_ignore_ascii_case(encoding) && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
            })
        };
        let (bytes, encoding) = match (self.file.brotli, self.file.gzip) {
            (Some(bytes), _) if accepted("br") => (bytes, Some("br")),
            (_, Some(bytes)) if accepted("gzip") => (bytes, Some("gzip")),
            _ => (self.file.plain, None),
        };
        // One tag for each encoding: they are different bytes under one address.
        let etag = format!("\"{}{}\"", self.etag, encoding.map(|name| format!("-{name}")).unwrap_or_default());
        let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let fresh = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
        let cache = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut response = Response::builder()
            .status(if fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK })
            .header(header::CACHE_CONTROL, cache)
            .header(header::VARY, "accept-encoding")
            .header(header::ETAG, etag);
        if !fresh {
            response = response.header(header::CONTENT_TYPE, self.kind).header(header::CONTENT_LENGTH, bytes.len());
            if let Some(encoding) = encoding {
                response = response.header(header::CONTENT_ENCODING, encoding);
            }
        }
        let body = if head || fresh { Body::empty() } else { Body::from(bytes) };
        response.body(body).unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Headers of every answer.
pub const SECURITY: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What the page may load and run. Inline scripts are allowed by their hash; nothing is evaluated but WebAssembly.
fn policy(page: &str) -> String {
    let mut scripts = String::from("'self' 'wasm-unsafe-eval'");
    for script in inline_scripts(page) {
        let _ = write!(scripts, " 'sha256-{}'", base64(&Sha256::digest(script)));
    }
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; media-src 'self' blob:; \
         connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// The contents of the `script` elements of a page that name no source.
fn inline_scripts(page: &str) -> Vec<&str> {
    let mut scripts = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find("<script") {
        rest = &rest[at + "<script".len()..];
        let Some((attributes, content)) = rest.split_once('>') else { break };
        let Some((content, after)) = content.split_once("</script") else { break };
        let has_source = attributes.split_ascii_whitespace().any(|attribute| attribute.starts_with("src=") || attribute == "src");
        if !has_source && !content.is_empty() {
            scripts.push(content);
        }
        rest = after;
    }
    scripts
}

/// Base64 with padding [RFC4648 §4].
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            out.push(if place <= chunk.len() { ALPHABET[(group >> (18 - 6 * place) & 63) as usize] as char } else { '=' });
        }
    }
    out
}

/// Whether the name carries a hash of the content, as the web app's build writes it: `web-0123456789abcdef_bg.wasm`.
fn is_hashed(name: &str) -> bool {
    name.split(['-', '_', '.', '/']).any(|part| part.len() >= 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TREE: &[File] = &[
        File { name: "index.html", plain: b"<script src=\"x.js\"></script><script type=module>go()</script>", brotli: None, gzip: None },
        File { name: "web-0123456789abcdef_bg.wasm", plain: b"plain wasm", brotli: Some(b"br"), gzip: Some(b"gz") },
    ];

    fn ask(assets: &Assets, path: &'static str, headers: &[(HeaderName, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        assets.answer(&Method::GET, &Uri::from_static(path), &headers)
    }

    #[test]
    fn the_smallest_twin_is_served_and_hashed_names_are_kept() {
        let assets = Assets::new(TREE);
        let response = ask(&assets, "/web-0123456789abcdef_bg.wasm", &[(header::ACCEPT_ENCODING, "gzip, br;q=0.9")]);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/wasm");
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let response = ask(&assets, "/web-0123456789abcdef_bg.wasm", &[(header::ACCEPT_ENCODING, "br;q=0")]);
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }

    #[test]
    fn a_known_tag_is_not_sent_again() {
        let assets = Assets::new(TREE);
        let etag = ask(&assets, "/", &[]).headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(ask(&assets, "/", &[(header::IF_NONE_MATCH, &etag)]).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(&assets, "/", &[(header::IF_NONE_MATCH, "\"other\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn paths_of_the_app_open_its_page_and_missing_files_do_not() {
        let assets = Assets::new(TREE);
        assert_eq!(ask(&assets, "/chat/bob", &[]).headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(ask(&assets, "/missing.js", &[]).status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(&assets, "/../Cargo.toml", &[]).status(), StatusCode::NOT_FOUND);
    }

    /// R317: only the app's own scripts run.
    #[test]
    fn inline_scripts_are_allowed_by_hash_alone() {
        let policy = ask(&Assets::new(TREE), "/", &[]).headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let hash = base64(&Sha256::digest("go()"));
        assert!(policy.contains(&format!("'sha256-{hash}'")));
        assert!(!policy.contains("unsafe-inline"));
    }

    #[test]
    fn without_the_app_a_page_says_how_to_build_it() {
        let response = ask(&Assets::new(&[]), "/", &[]);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn base64_pads() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
