//! Refusals as XCAP says them: a status, and for a conflict a document that names it [RFC4825 §11].

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wasm_core::cpm::preferences::{self, PreferencesError};
use wasm_core::wire::xml;
use wasm_core::wire::xml::writer::Document;

use super::edit::Fault;
use crate::edge::http::ApiError;
use crate::store::StoreError;

/// The media type of a conflict's document.
const MEDIA_TYPE: &str = "application/xcap-error+xml";
const XML_NAMESPACE: &str = "urn:ietf:params:xml:ns:xcap-error";

/// Why a request is not done.
#[derive(Debug)]
pub enum Refused {
    /// The request goes against the document: the element of the error, what it refers to, and a sentence.
    Conflict { what: &'static str, detail: Option<(&'static str, String)>, phrase: String },
    /// Any other status, with a sentence.
    Status(StatusCode, &'static str),
    /// The same, with a header that belongs to it.
    With(StatusCode, &'static str, HeaderName, &'static str),
    /// Whoever asks has to prove who they are, by these challenges if there are any.
    Unauthorized(Vec<String>),
    /// As everywhere else.
    Api(ApiError),
}

impl Refused {
    /// A conflict without anything to refer to.
    pub fn conflict(what: &'static str, phrase: impl Into<String>) -> Refused {
        Refused::Conflict { what, detail: None, phrase: phrase.into() }
    }

    pub fn not_found() -> Refused {
        Refused::Status(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    pub fn too_large() -> Refused {
        Refused::Status(StatusCode::PAYLOAD_TOO_LARGE, "The document is too large.")
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Refused {
        Refused::Api(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Api(error.into())
    }
}

impl From<PreferencesError> for Refused {
    fn from(error: PreferencesError) -> Refused {
        let phrase = error.to_string();
        match error {
            PreferencesError::Xml(error) => match error.fault {
                xml::Fault::Encoding => Refused::conflict("not-utf-8", phrase),
                _ => Refused::conflict("not-well-formed", phrase),
            },
            PreferencesError::Schema { path, fault } => match fault {
                preferences::Fault::Twice(_) => Refused::Conflict { what: "uniqueness-failure", detail: Some(("exists", path)), phrase },
                preferences::Fault::Dangling(_) | preferences::Fault::TooMany(_) => Refused::conflict("constraint-failure", phrase),
                _ => Refused::conflict("schema-validation-error", phrase),
            },
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        match fault {
            Fault::Nothing => Refused::not_found(),
            Fault::NoParent => Refused::conflict("no-parent", "The element that should hold this is not there."),
            Fault::CannotInsert => Refused::conflict("cannot-insert", "The address would not lead to what was put there."),
            Fault::CannotDelete => Refused::conflict("cannot-delete", "The address would then lead to something else, or to no document."),
            Fault::NoElement => Refused::conflict("not-xml-frag", "This is not one well-formed element."),
            Fault::NoValue => Refused::conflict("not-xml-att-value", "This is no value of an attribute."),
            Fault::ReadOnly => read_only(),
        }
    }
}

/// The refusal to change what can only be read.
pub fn read_only() -> Refused {
    Refused::With(StatusCode::METHOD_NOT_ALLOWED, "This can only be read.", header::ALLOW, "GET")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::Conflict { what, detail, phrase } => {
                let mut xml = Document::new();
                xml.open("xcap-error", &[("xmlns", XML_NAMESPACE)]);
                match detail {
                    None => xml.empty(what, &[("phrase", &phrase)]),
                    Some((element, text)) => {
                        xml.open(what, &[("phrase", &phrase)]);
                        match element {
                            "exists" => xml.empty(element, &[("field", &text)]),
                            element => xml.leaf(element, &[], &text),
                        }
                        xml.close(what);
                    }
                }
                xml.close("xcap-error");
                (StatusCode::CONFLICT, [(header::CONTENT_TYPE, MEDIA_TYPE)], xml.finish()).into_response()
            }
            Refused::Status(status, phrase) => (status, phrase).into_response(),
            Refused::With(status, phrase, name, value) => (status, [(name, value)], phrase).into_response(),
            Refused::Unauthorized(challenges) => {
                let mut response = ApiError::unauthorized().into_response();
                for challenge in challenges {
                    if let Ok(challenge) = HeaderValue::try_from(challenge) {
                        response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
                    }
                }
                response
            }
            Refused::Api(error) => error.into_response(),
        }
    }
}
