//! Headers of event notification [RFC6665 §8.2].

use std::fmt;

use super::error::HeaderError;
use super::headers::TypedHeader;
use super::scan::Scan;
use super::{HeaderName, Params};
use crate::Text;

macro_rules! token_and_params {
    ($($name:ident $field:ident $doc:literal $of:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug)]
        pub struct $name {
            #[doc = $of]
            pub $field: Text,
            /// The parameters.
            pub params: Params,
        }

        impl $name {
            /// One without parameters.
            pub fn new($field: &str) -> Self {
                $name { $field: Text::from($field), params: Params::new() }
            }

            /// The same with this parameter, quoted where it has to be.
            pub fn with_param(mut self, name: &str, value: &str) -> Self {
                self.params.set(name, value);
                self
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                let mut scan = Scan::new(value);
                let $field = value.slice_of(scan.token()?);
                let params = Params::scan(&mut scan, value)?;
                scan.end()?;
                Ok($name { $field, params })
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                self.$field.eq_ignore_ascii_case(&other.$field) && self.params == other.params
            }
        }

        impl Eq for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.$field, self.params)
            }
        }
    )*};
}

token_and_params! {
    Event package "What is subscribed to or notified [RFC6665 §8.2.1]." "The event package, with its templates.";
    ContentDisposition kind "What the body is for [RFC3261 §20.11]." "`session`, `render`, `recipient-list`, or another token.";
}

impl Event {
    /// Which of several subscriptions in one dialog is meant.
    pub fn id(&self) -> Option<&str> {
        self.params.value("id")
    }

    /// Whether this is the package, whatever the id.
    pub fn is(&self, package: &str) -> bool {
        self.package.eq_ignore_ascii_case(package)
    }
}

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// Accepted and alive.
    Active,
    /// Not decided upon.
    Pending,
    /// Over.
    Terminated,
    /// A state of some extension.
    Other(Text),
}

/// How a subscription stands, for how long, and why it ended [RFC6665 §8.2.3].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state.
    pub state: Subscribed,
    /// `expires`, `reason`, `retry-after`.
    pub params: Params,
}

impl SubscriptionState {
    /// Active for so many seconds.
    pub fn active(expires: u32) -> SubscriptionState {
        SubscriptionState { state: Subscribed::Active, params: Params::new().with("expires", &expires.to_string()) }
    }

    /// Over for this reason.
    pub fn terminated(reason: &str) -> SubscriptionState {
        SubscriptionState { state: Subscribed::Terminated, params: Params::new().with("reason", reason) }
    }

    /// For how many seconds the subscription still lives.
    pub fn expires(&self) -> Option<u32> {
        super::number::seconds(self.params.value("expires")?)
    }

    /// Why it ended.
    pub fn reason(&self) -> Option<&str> {
        self.params.value("reason")
    }

    /// After how many seconds to subscribe again.
    pub fn retry_after(&self) -> Option<u32> {
        super::number::seconds(self.params.value("retry-after")?)
    }
}

impl TypedHeader for SubscriptionState {
    const NAME: HeaderName = HeaderName::SubscriptionState;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(value);
        let state = match scan.token()? {
            token if token.eq_ignore_ascii_case("active") => Subscribed::Active,
            token if token.eq_ignore_ascii_case("pending") => Subscribed::Pending,
            token if token.eq_ignore_ascii_case("terminated") => Subscribed::Terminated,
            token => Subscribed::Other(value.slice_of(token)),
        };
        let params = Params::scan(&mut scan, value)?;
        scan.end()?;
        Ok(SubscriptionState { state, params })
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            Subscribed::Active => "active",
            Subscribed::Pending => "pending",
            Subscribed::Terminated => "terminated",
            Subscribed::Other(state) => state,
        };
        write!(f, "{state}{}", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_states() {
        let event = Event::parse(&"reg;id=7".into()).unwrap();
        assert!(event.is("REG"));
        assert_eq!(event.id(), Some("7"));
        assert_eq!(event.to_string(), "reg;id=7");
        let state = SubscriptionState::parse(&"terminated;reason=deactivated;retry-after=5".into()).unwrap();
        assert_eq!((state.state.clone(), state.reason(), state.retry_after()), (Subscribed::Terminated, Some("deactivated"), Some(5)));
        assert_eq!(SubscriptionState::active(3600).to_string(), "active;expires=3600");
        assert_eq!(SubscriptionState::parse(&state.to_string().into()).unwrap(), state);
        assert!(Event::parse(&";id=1".into()).is_err());
        assert_eq!(
            ContentDisposition::parse(&"recipient-list; handling=optional".into()).unwrap(),
            ContentDisposition::new("recipient-list").with_param("handling", "optional")
        );
    }
}
