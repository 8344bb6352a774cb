//! Caller preferences: which of the recipient's devices a request is for [RFC3841 §9.2].

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::Scan;
use super::{HeaderName, Params};
use crate::Text;

macro_rules! preferences {
    ($($name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub Params);

        impl $name {
            /// Whether the feature of this name is meant, and its value without quotes.
            pub fn feature(&self, name: &str) -> Option<&str> {
                self.0.get(name).map(|_| self.0.value(name).unwrap_or_default())
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;
            const SHAPE: Shape = Shape::Each;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                let mut scan = Scan::new(value);
                scan.space();
                if !scan.eat(b'*') {
                    return Err(scan.fail(HeaderFault::Syntax));
                }
                let params = Params::scan(&mut scan, value)?;
                scan.end()?;
                Ok($name(params))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "*{}", self.0)
            }
        }
    )*};
}

preferences! {
    AcceptContact "Features of the devices that the request is for; `require` and `explicit` among its parameters.";
    RejectContact "Features of the devices that the request is not for.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_values() {
        let text = "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\";require;explicit";
        let accept = AcceptContact::parse(&text.into()).unwrap();
        assert_eq!(accept.feature("+g.3gpp.icsi-ref"), Some("urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"));
        assert_eq!(accept.feature("require"), Some(""));
        assert_eq!(accept.feature("isfocus"), None);
        assert_eq!(accept.to_string(), text);
        let reject = RejectContact::parse(&"*;+sip.instance=\"<urn:uuid:1>\"".into()).unwrap();
        assert_eq!(reject.feature("+sip.instance"), Some("<urn:uuid:1>"));
        assert!(AcceptContact::parse(&"sip:a@b".into()).is_err());
    }
}
