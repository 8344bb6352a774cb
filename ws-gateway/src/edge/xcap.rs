//! The XDMS: a user's documents over XCAP [RFC4825], of which there is one so far, the preferences.
//!
//! A document, or one element or attribute of it by a node [`selector`], is read, put and deleted by its owner alone. What a change makes
//! of the document is checked whole, and it is on disk before the answer; every device hears of it by `/events`. Documents are kept as they
//! were put, byte by byte.

pub mod access;
mod conditions;
mod edit;
mod fault;
mod selector;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use wasm_core::Text;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::preferences::{MEDIA_TYPE, MOST_BYTES, Preferences, XML_NAMESPACE};
use wasm_core::wire::xml::writer::Document as Xml;

use super::Gateway;
use super::session::write;
use crate::node::Policy;
use crate::store::{Document, DocumentKind, Expect, Outcome, UserId, Write};
use access::Asker;
use conditions::{Conditions, tag};
use edit::Source;
use fault::{Refused, read_only};
use selector::{Part, Selector, decode};

/// The application usages, each of which names a kind of document.
const PREFERENCES: &str = "vnd.tandem.preferences";
const CAPABILITIES: &str = "xcap-caps";
const CAPABILITIES_NAMESPACE: &str = "urn:ietf:params:xml:ns:xcap-caps";
/// The name of a user's document.
const DOCUMENT: &str = "index";
/// How often a change is tried that depends on nothing, while others change the same document.
const ATTEMPTS: usize = 5;

/// What a URI is about.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// What this server can do.
    Capabilities,
    /// A document of a user, named by one of their addresses, or a part of it.
    Document { owner: String, name: String, node: Option<&'a str> },
}

impl Place<'_> {
    /// Reads the path after `/xcap/`.
    fn parse(path: &str) -> Option<Place<'_>> {
        let (document, node) = match path.split_once("/~~/") {
            Some((document, node)) => (document, Some(node)),
            None => (path, None),
        };
        let mut parts = document.splitn(4, '/').map(|part| decode(part).map(|part| part.into_owned()));
        let mut part = || parts.next().flatten();
        match (part()?.as_str(), part()?.as_str()) {
            (CAPABILITIES, "global") => (part()? == DOCUMENT && node.is_none() && part().is_none()).then_some(Place::Capabilities),
            (PREFERENCES, "users") => Some(Place::Document { owner: part()?, name: part()?, node }),
            _ => None,
        }
    }
}

/// `GET`, `PUT` and `DELETE /xcap/…`
pub async fn answer(
    State(gateway): State<Arc<Gateway>>,
    asker: Asker,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let Asker(account) = asker;
    let place = uri.path().strip_prefix("/xcap/").and_then(Place::parse).ok_or_else(Refused::not_found)?;
    let (owner, name, node) = match place {
        Place::Capabilities if matches!(method, Method::GET | Method::HEAD) => return Ok(capabilities()),
        Place::Capabilities => return Err(read_only()),
        Place::Document { owner, name, node } => (owner, name, node),
    };
    // Whether the other's document is there, or the other at all, makes no difference.
    if !Address::parse(&owner).is_some_and(|owner| account.owns(&owner)) {
        return Err(Refused::Status(StatusCode::FORBIDDEN, "This document belongs to somebody else."));
    }
    if name != DOCUMENT {
        return Err(match method {
            Method::PUT => Refused::conflict("constraint-failure", format!("The only document here is {DOCUMENT}.")),
            _ => Refused::not_found(),
        });
    }
    let selector = match node {
        Some(node) => Some(Selector::parse(node, uri.query(), XML_NAMESPACE).ok_or_else(Refused::not_found)?),
        None => None,
    };
    let conditions = Conditions::of(&headers);
    let request = Request { user: account.user, path: uri.path(), selector, conditions };
    match method {
        Method::PUT => {
            let body = body.map_err(|_| Refused::too_large())?;
            let given = request.given(&headers, body)?;
            request.change(&gateway, |found| request.put(found, &given)).await
        }
        Method::DELETE => request.change(&gateway, |found| request.delete(found)).await,
        _ => request.read(&gateway).await,
    }
}

/// A request for the asker's own document.
struct Request<'a> {
    user: UserId,
    path: &'a str,
    selector: Option<Selector>,
    conditions: Conditions,
}

/// What becomes of a document.
struct Change {
    /// The document, or nothing where it is dropped.
    body: Option<Bytes>,
    /// Whether the part that the request is about is new.
    created: bool,
}

impl Request<'_> {
    /// The media type of what the request is about.
    fn media_type(&self) -> &'static str {
        match self.selector.as_ref().map(|selector| &selector.part) {
            None => MEDIA_TYPE,
            Some(Part::Element) => "application/xcap-el+xml",
            Some(Part::Attribute(_)) => "application/xcap-att+xml",
            Some(Part::Namespaces) => "application/xcap-ns+xml",
        }
    }

    async fn find(&self, gateway: &Arc<Gateway>) -> Result<Option<Document>, Refused> {
        let user = self.user;
        Ok(gateway.read(move |store| store.document(user, DocumentKind::Preferences, DOCUMENT)).await?)
    }

    async fn read(&self, gateway: &Arc<Gateway>) -> Result<Response, Refused> {
        let found = self.find(gateway).await?;
        let version = found.as_ref().map(|found| found.version);
        if !self.conditions.matched(version) {
            return Err(precondition());
        }
        let found = found.ok_or_else(Refused::not_found)?;
        let body = match &self.selector {
            None => found.body,
            Some(selector) => Bytes::from(source(&found.body)?.get(selector)?),
        };
        let headers = [(header::ETAG, tag(found.version)), (header::CACHE_CONTROL, header::HeaderValue::from_static("private, no-cache"))];
        if !self.conditions.is_new(version) {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        Ok((headers, [(header::CONTENT_TYPE, self.media_type())], body).into_response())
    }

    /// What is to be put, as text.
    fn given(&self, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refused> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(self.media_type()) {
            return Err(Refused::With(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the media type that Accept names.",
                header::ACCEPT,
                self.media_type(),
            ));
        }
        match body.len() {
            0..=MOST_BYTES => Ok(body),
            _ => Err(Refused::too_large()),
        }
    }

    fn put(&self, found: Option<&Document>, given: &Bytes) -> Result<Change, Refused> {
        let Some(selector) = &self.selector else {
            return Ok(Change { body: Some(given.clone()), created: found.is_none() });
        };
        let text = std::str::from_utf8(given).map_err(|_| Refused::conflict("not-utf-8", "This is not UTF-8."))?;
        let Some(found) = found else { return Err(self.no_parent(0)) };
        let source = source(&found.body)?;
        let edited = source.put(selector, text).map_err(|fault| match fault {
            edit::Fault::NoParent => self.no_parent(source.known_steps(selector)),
            fault => fault.into(),
        })?;
        Ok(Change { body: Some(Bytes::from(edited.document)), created: edited.created })
    }

    fn delete(&self, found: Option<&Document>) -> Result<Change, Refused> {
        let found = found.ok_or_else(Refused::not_found)?;
        let body = match &self.selector {
            None => None,
            Some(selector) => Some(Bytes::from(source(&found.body)?.delete(selector)?)),
        };
        Ok(Change { body, created: false })
    }

    /// The refusal to put something into what is not there; it names the nearest that is.
    fn no_parent(&self, known: usize) -> Refused {
        let ancestor = match self.path.split_once("/~~/") {
            Some((document, node)) if known > 0 => format!("{document}/~~/{}", node.split('/').take(known).collect::<Vec<_>>().join("/")),
            Some((document, _)) => document.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
            None => self.path.to_owned(),
        };
        let phrase = String::from("The element that should hold this is not there.");
        Refused::Conflict { what: "no-parent", detail: Some(("ancestor", ancestor)), phrase }
    }

    /// Makes a change, checks what the document has become, and has it on disk.
    async fn change(
        &self,
        gateway: &Arc<Gateway>,
        make: impl Fn(Option<&Document>) -> Result<Change, Refused>,
    ) -> Result<Response, Refused> {
        for _ in 0..ATTEMPTS {
            let found = self.find(gateway).await?;
            let version = found.as_ref().map(|found| found.version);
            if !self.conditions.matched(version) || !self.conditions.is_new(version) {
                return Err(precondition());
            }
            let change = make(found.as_ref())?;
            let preferences = change.body.as_ref().map(|body| checked(body, &gateway.settings.policy)).transpose()?;
            let expect = version.map_or(Expect::Absent, Expect::Version);
            let (user, kind, name) = (self.user, DocumentKind::Preferences, Text::from(DOCUMENT));
            let unit = match change.body {
                Some(body) => Write::PutDocument { user, kind, name, body, expect },
                None => Write::DropDocument { user, kind, name, expect },
            };
            let applied = write(gateway, unit.into()).await?;
            if applied.outcomes.contains(&Outcome::Conflict) {
                // Somebody was faster. What depends on a version has lost; anything else is made of the newer one.
                continue;
            }
            for (user, cursor) in applied.cursors {
                gateway.accounts.prefers(user, cursor, preferences.clone());
                gateway.events.publish(user, cursor);
            }
            let status = if change.created { StatusCode::CREATED } else { StatusCode::OK };
            return Ok(match applied.outcomes[..] {
                [Outcome::Kept { version }] => (status, [(header::ETAG, tag(version))]).into_response(),
                _ => status.into_response(),
            });
        }
        Err(if self.conditions.any() { precondition() } else { Refused::Status(StatusCode::SERVICE_UNAVAILABLE, "Try again.") })
    }
}

fn precondition() -> Refused {
    Refused::Status(StatusCode::PRECONDITION_FAILED, "The document is not the one that you know.")
}

/// A document that is kept, to be looked into.
fn source(body: &Bytes) -> Result<Source<'_>, Refused> {
    let text = std::str::from_utf8(body).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    text.and_then(Source::read).ok_or_else(|| Refused::conflict("not-well-formed", "The document that is kept is damaged: put another."))
}

/// What a document says, if it is one that may be kept.
fn checked(body: &Bytes, policy: &Policy) -> Result<Preferences, Refused> {
    if body.len() > MOST_BYTES {
        return Err(Refused::too_large());
    }
    let preferences = Preferences::parse(body)?;
    policy.permits(&preferences).map_err(|phrase| Refused::conflict("constraint-failure", phrase))?;
    Ok(preferences)
}

/// What this server can do [RFC4825 §12].
fn capabilities() -> Response {
    let mut xml = Xml::new();
    xml.open("xcap-caps", &[("xmlns", CAPABILITIES_NAMESPACE)]);
    let lists: [(&str, &str, &[&str]); 3] = [
        ("auids", "auid", &[CAPABILITIES, PREFERENCES]),
        ("extensions", "extension", &[]),
        ("namespaces", "namespace", &[CAPABILITIES_NAMESPACE, XML_NAMESPACE]),
    ];
    for (list, item, values) in lists {
        xml.open(list, &[]);
        values.iter().for_each(|value| xml.leaf(item, &[], value));
        xml.close(list);
    }
    xml.close("xcap-caps");
    ([(header::CONTENT_TYPE, "application/xcap-caps+xml")], xml.finish()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_document_or_a_part_of_it() {
        let document = |owner: &str, name: &str, node| Some(Place::Document { owner: owner.into(), name: name.into(), node });
        assert_eq!(Place::parse("vnd.tandem.preferences/users/sip%3Aa%40b/index"), document("sip:a@b", "index", None));
        assert_eq!(Place::parse("vnd.tandem.preferences/users/sip:a@b/index/~~/p/@q"), document("sip:a@b", "index", Some("p/@q")));
        assert_eq!(Place::parse("vnd.tandem.preferences/users/sip:a@b/x/y"), document("sip:a@b", "x/y", None));
        assert_eq!(Place::parse("xcap-caps/global/index"), Some(Place::Capabilities));
        for nothing in [
            "",
            "xcap-caps",
            "xcap-caps/users/a/index",
            "xcap-caps/global/index/~~/a",
            "other/users/a/index",
            "vnd.tandem.preferences/users/a",
            "%ff/a/b/c",
        ] {
            assert_eq!(Place::parse(nothing), None, "{nothing}");
        }
    }
}
