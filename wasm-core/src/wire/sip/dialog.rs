//! Headers that name a dialog or one of its responses: Replaces, Join, Target-Dialog, RAck.

use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::TypedHeader;
use super::scan::{self, Scan};
use super::{HeaderName, Method, Params, identity};
use crate::Text;

macro_rules! dialogs {
    ($($name:ident $to:literal $from:literal $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// The Call-ID of the dialog.
            pub call_id: Text,
            /// The tags and what else there is.
            pub params: Params,
        }

        impl $name {
            /// The dialog of this Call-ID, seen from the recipient: the first tag is theirs.
            pub fn new(call_id: impl Into<Text>, recipient: &str, other: &str) -> Self {
                $name { call_id: call_id.into(), params: Params::new().with($to, recipient).with($from, other) }
            }

            /// The tag of the header's recipient.
            pub fn recipient_tag(&self) -> Option<&str> {
                self.params.value($to)
            }

            /// The tag of the other end.
            pub fn other_tag(&self) -> Option<&str> {
                self.params.value($from)
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                let mut scan = Scan::new(value);
                let call_id = scan.run_while(|byte| scan::is(scan::WORD, byte) || byte == b'@');
                identity::call_id(call_id)?;
                let params = Params::scan(&mut scan, value)?;
                scan.end()?;
                Ok($name { call_id: value.slice_of(call_id), params })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.call_id, self.params)
            }
        }
    )*};
}

dialogs! {
    Replaces "to-tag" "from-tag" "The dialog whose place the new one takes [RFC3891 §6.1].";
    Join "to-tag" "from-tag" "The dialog that the new one is joined with [RFC3911 §7.1].";
    TargetDialog "local-tag" "remote-tag" "The dialog that shows the sender's right to ask [RFC4538 §7].";
}

impl Replaces {
    /// Whether only a dialog that is not confirmed may be replaced.
    pub fn early_only(&self) -> bool {
        self.params.has("early-only")
    }
}

/// Which reliable provisional response a PRACK acknowledges [RFC3262 §7.2].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub response: u32,
    /// The number of the request's CSeq.
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

impl TypedHeader for RAck {
    const NAME: HeaderName = HeaderName::RAck;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let fault = scan.fail(HeaderFault::Number);
        let response = u32::try_from(scan.number()?).map_err(|_| fault)?;
        scan.space();
        let number = u32::try_from(scan.number()?).map_err(|_| fault)?;
        scan.space();
        let name = scan.token()?;
        scan.end()?;
        let method = Method::known(name).unwrap_or_else(|| Method::Other(value.slice_of(name)));
        Ok(RAck { response, number, method })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.response, self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_its_call_id_and_tags() {
        let text = "425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only";
        let replaces = Replaces::parse(&text.into()).unwrap();
        assert_eq!(
            (&*replaces.call_id, replaces.recipient_tag(), replaces.other_tag()),
            ("425928@bobster.example.org", Some("7743"), Some("6472"))
        );
        assert!(replaces.early_only());
        assert_eq!(replaces.to_string(), text);
        assert_eq!(TargetDialog::new("x@y", "1", "2").to_string(), "x@y;local-tag=1;remote-tag=2");
        assert!(Replaces::parse(&";to-tag=1".into()).is_err());
        assert_eq!(RAck::parse(&"776656 1 INVITE".into()).unwrap().to_string(), "776656 1 INVITE");
    }
}
