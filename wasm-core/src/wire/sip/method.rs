//! Methods: those that this product acts on, and any other token.

use std::fmt;

use super::scan;
use crate::Text;

macro_rules! methods {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// A request's method. Methods are case-sensitive [RFC3261 §7.1].
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method {
            $(#[doc = $doc] $variant,)*
            /// An extension method.
            Other(Text),
        }

        impl Method {
            /// The method as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $name,)*
                    Method::Other(name) => name,
                }
            }

            pub(crate) fn known(name: &str) -> Option<Method> {
                match name {
                    $($name => Some(Method::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    Invite "INVITE" "[RFC3261]";
    Ack "ACK" "[RFC3261]";
    Bye "BYE" "[RFC3261]";
    Cancel "CANCEL" "[RFC3261]";
    Options "OPTIONS" "[RFC3261]";
    Register "REGISTER" "[RFC3261]";
    Message "MESSAGE" "[RFC3428]";
    Subscribe "SUBSCRIBE" "[RFC6665]";
    Notify "NOTIFY" "[RFC6665]";
    Refer "REFER" "[RFC3515]";
    Info "INFO" "[RFC6086]";
    Update "UPDATE" "[RFC3311]";
    Prack "PRACK" "[RFC3262]";
    Publish "PUBLISH" "[RFC3903]";
}

impl Method {
    /// The method of this name, or nothing where it is no token.
    pub fn parse(name: &Text) -> Option<Method> {
        Method::known(name).or_else(|| scan::is_token(name).then(|| Method::Other(name.clone())))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse(&"INVITE".into()), Some(Method::Invite));
        assert_eq!(Method::parse(&"invite".into()), Some(Method::Other("invite".into())));
        assert_eq!(Method::parse(&"RE%47IST%45R".into()).as_ref().map(Method::as_str), Some("RE%47IST%45R"));
        assert_eq!(Method::parse(&"".into()), None);
        assert_eq!(Method::parse(&"BAD(METHOD".into()), None);
    }
}
