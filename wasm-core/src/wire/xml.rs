//! XML as the service uses it: small documents, namespaces, no document types.
//!
//! [`reader`] pulls elements out of an untrusted document under limits on size, depth and counts; [`tree`] keeps all of one with the place
//! of each part; [`writer`] prints one. The children
//! beside them are the documents themselves: [`reginfo`] [RFC3680, RFC5628] and [`resource_lists`] [RFC4826, RFC5364, RFC5365]. IMDN and
//! is-composing documents live with their formats in `wire`. A document type declaration is refused, so that no entity can be defined;
//! the encoding is UTF-8 whatever the declaration says.

pub mod reader;
pub mod reginfo;
pub mod resource_lists;
pub mod tree;
pub mod writer;

use thiserror::Error;

/// Why a document was refused, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}")]
pub struct XmlError {
    /// What is wrong.
    pub fault: Fault,
    /// Where it was noticed.
    pub offset: usize,
}

/// What can be wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// More bytes, elements or namespaces than the limits allow.
    #[error("the document is too large")]
    TooLarge,
    /// Elements within elements beyond the limit.
    #[error("the document is nested too deeply")]
    TooDeep,
    /// Not UTF-8.
    #[error("the document is not UTF-8")]
    Encoding,
    /// A document type declaration.
    #[error("a document type declaration is not accepted")]
    Doctype,
    /// A reference to an entity that XML does not predefine, or to a character that it does not allow.
    #[error("an unknown entity is referred to")]
    Entity,
    /// Not well-formed.
    #[error("the document is not well-formed")]
    Malformed,
    /// The end came before the last element was closed.
    #[error("the document ends too early")]
    Truncated,
    /// The outermost element is another than the one that the format has.
    #[error("the document's outermost element is not {0}")]
    Root(&'static str),
    /// An element or attribute that the format requires is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An element or attribute holds what the format does not allow.
    #[error("the value of {0} is not understood")]
    Value(&'static str),
}
