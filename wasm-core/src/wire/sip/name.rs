//! Header names: those that this product reads, with their compact forms, and any other token.
//!
//! A name is looked up by a hash of its length and its first and last byte in a table made at compile time, without an allocation.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::scan;
use crate::Text;

macro_rules! names {
    ($($variant:ident $name:literal $($compact:literal)?;)*) => {
        /// The name of a header; names are compared without regard to case and printed in their long form.
        #[derive(Clone)]
        pub enum HeaderName {
            $(#[doc = $name] $variant,)*
            /// Any other name, as written.
            Other(Text),
        }

        /// Every known name.
        const NAMES: &[&str] = &[$($name),*];
        /// Every known name again, to be indexed alike.
        const KNOWN: &[HeaderName] = &[$(HeaderName::$variant),*];

        impl HeaderName {
            /// The long form of the name.
            pub fn as_str(&self) -> &str {
                match self {
                    $(HeaderName::$variant => $name,)*
                    HeaderName::Other(name) => name,
                }
            }

            fn compact(letter: u8) -> Option<HeaderName> {
                match letter.to_ascii_lowercase() {
                    $($($compact => Some(HeaderName::$variant),)?)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Accept "Accept";
    AcceptContact "Accept-Contact" b'a';
    AcceptEncoding "Accept-Encoding";
    AcceptLanguage "Accept-Language";
    AlertInfo "Alert-Info";
    Allow "Allow";
    AllowEvents "Allow-Events" b'u';
    AuthenticationInfo "Authentication-Info";
    Authorization "Authorization";
    CallId "Call-ID" b'i';
    CallInfo "Call-Info";
    Contact "Contact" b'm';
    ContentDisposition "Content-Disposition";
    ContentEncoding "Content-Encoding" b'e';
    ContentLanguage "Content-Language";
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    ContributionId "Contribution-ID";
    ConversationId "Conversation-ID";
    CSeq "CSeq";
    Date "Date";
    ErrorInfo "Error-Info";
    Event "Event" b'o';
    Expires "Expires";
    FlowTimer "Flow-Timer";
    From "From" b'f';
    HistoryInfo "History-Info";
    InReplyTo "In-Reply-To";
    InReplyToContributionId "InReplyTo-Contribution-ID";
    Join "Join";
    MaxForwards "Max-Forwards";
    MessageExpires "Message-Expires";
    MimeVersion "MIME-Version";
    MinExpires "Min-Expires";
    MinSe "Min-SE";
    Organization "Organization";
    PAccessNetworkInfo "P-Access-Network-Info";
    PAssertedIdentity "P-Asserted-Identity";
    PAssertedService "P-Asserted-Service";
    PAssociatedUri "P-Associated-URI";
    PCalledPartyId "P-Called-Party-ID";
    PChargingVector "P-Charging-Vector";
    PPreferredIdentity "P-Preferred-Identity";
    PPreferredService "P-Preferred-Service";
    PVisitedNetworkId "P-Visited-Network-ID";
    Path "Path";
    Priority "Priority";
    Privacy "Privacy";
    ProxyAuthenticate "Proxy-Authenticate";
    ProxyAuthorization "Proxy-Authorization";
    ProxyRequire "Proxy-Require";
    RAck "RAck";
    RSeq "RSeq";
    Reason "Reason";
    RecordRoute "Record-Route";
    ReferSub "Refer-Sub";
    ReferTo "Refer-To" b'r';
    ReferredBy "Referred-By" b'b';
    RejectContact "Reject-Contact" b'j';
    Replaces "Replaces";
    ReplyTo "Reply-To";
    RequestDisposition "Request-Disposition" b'd';
    Require "Require";
    RetryAfter "Retry-After";
    Route "Route";
    Server "Server";
    ServiceRoute "Service-Route";
    SessionExpires "Session-Expires" b'x';
    SessionReplaces "Session-Replaces";
    SipEtag "SIP-ETag";
    SipIfMatch "SIP-If-Match";
    Subject "Subject" b's';
    SubscriptionState "Subscription-State";
    SuppressIfMatch "Suppress-If-Match";
    Supported "Supported" b'k';
    TargetDialog "Target-Dialog";
    Timestamp "Timestamp";
    To "To" b't';
    Unsupported "Unsupported";
    UserAgent "User-Agent";
    Via "Via" b'v';
    Warning "Warning";
    WwwAuthenticate "WWW-Authenticate";
}

const SLOTS: usize = 512;
const FREE: u8 = u8::MAX;

/// The index of each known name at its hash or in the next slot that was free.
static TABLE: [u8; SLOTS] = table();

const fn slot(name: &[u8]) -> usize {
    let (first, last) = (name[0] | 0x20, name[name.len() - 1] | 0x20);
    let middle = name[name.len() / 2] | 0x20;
    (first as usize * 7 + last as usize * 31 + middle as usize * 113 + name.len() * 17) % SLOTS
}

const fn table() -> [u8; SLOTS] {
    let mut table = [FREE; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        let mut at = slot(NAMES[index].as_bytes());
        while table[at] != FREE {
            at = (at + 1) % SLOTS;
        }
        table[at] = index as u8;
        index += 1;
    }
    table
}

impl HeaderName {
    /// The name that this text is, long or compact, or nothing where it is no token.
    pub fn parse(name: &Text) -> Option<HeaderName> {
        HeaderName::known(name).or_else(|| scan::is_token(name).then(|| HeaderName::Other(name.clone())))
    }

    /// The known name that this text is, long or compact.
    pub(crate) fn known(name: &str) -> Option<HeaderName> {
        match name.as_bytes() {
            [] => None,
            [letter] => HeaderName::compact(*letter),
            bytes => {
                let mut at = slot(bytes);
                loop {
                    let index = usize::from(TABLE[at]);
                    let candidate = NAMES.get(index)?;
                    // Most senders write the names as the specifications do.
                    if *candidate == name || candidate.eq_ignore_ascii_case(name) {
                        return KNOWN.get(index).cloned();
                    }
                    at = (at + 1) % SLOTS;
                }
            }
        }
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &HeaderName) -> bool {
        match (self, other) {
            (HeaderName::Other(one), HeaderName::Other(two)) => one.eq_ignore_ascii_case(two),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for HeaderName {}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_str().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        assert!(NAMES.len() < usize::from(FREE));
        for (name, known) in NAMES.iter().zip(KNOWN) {
            for name in [name.to_string(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert_eq!(HeaderName::parse(&Text::from(&*name)).as_ref(), Some(known), "{name}");
            }
            assert_eq!(known.as_str(), *name);
        }
    }

    #[test]
    fn compact_forms_and_strangers() {
        for (letter, name) in [("v", "Via"), ("F", "From"), ("l", "Content-Length"), ("o", "Event"), ("j", "Reject-Contact")] {
            assert_eq!(HeaderName::parse(&letter.into()).unwrap().as_str(), name);
        }
        let stranger = HeaderName::parse(&"NewFangledHeader".into()).unwrap();
        assert_eq!(stranger, HeaderName::Other("newfangledheader".into()));
        assert_eq!(stranger.as_str(), "NewFangledHeader");
        assert_eq!(HeaderName::parse(&"z".into()), Some(HeaderName::Other("z".into())));
        assert_eq!(HeaderName::parse(&"".into()), None);
        assert_eq!(HeaderName::parse(&"a b".into()), None);
    }
}
