//! Headers of authentication: a scheme and its parameters, separated by commas [RFC3261 §25.1].

use std::borrow::Cow;
use std::fmt;

use super::error::{HeaderError, HeaderFault};
use super::headers::{Shape, TypedHeader};
use super::scan::{self, Scan};
use super::{HeaderName, Params};
use crate::Text;

/// A challenge or its answer: `Digest realm="…", nonce="…"`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// The scheme as written, in most cases `Digest`.
    pub scheme: Text,
    /// Its parameters; an opaque token of another scheme is one without value.
    pub params: Params,
}

impl Auth {
    /// `Digest` without parameters yet.
    pub fn digest() -> Auth {
        Auth { scheme: Text::from("Digest"), params: Params::new() }
    }

    /// Whether the scheme is Digest.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of a parameter, without quotes and escapes.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params.text(name)
    }

    /// The same with this parameter as a quoted string.
    pub fn with_quoted(mut self, name: &str, value: &str) -> Auth {
        self.params.set_quoted(name, value);
        self
    }

    /// The same with this parameter as a token.
    pub fn with_token(mut self, name: &str, value: &str) -> Auth {
        self.params.set(name, value);
        self
    }

    fn parse(value: &Text) -> Result<Auth, HeaderError> {
        let mut scan = Scan::new(value);
        let scheme = value.slice_of(scan.token()?);
        scan.space();
        let params = comma_params(&mut scan, value)?;
        Ok(Auth { scheme, params })
    }
}

impl PartialEq for Auth {
    fn eq(&self, other: &Auth) -> bool {
        self.scheme.eq_ignore_ascii_case(&other.scheme) && self.params == other.params
    }
}

impl Eq for Auth {}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        if !self.params.is_empty() {
            f.write_str(" ")?;
        }
        print_commas(&self.params, f)
    }
}

/// `name=value` with commas between, to the end of the value.
fn comma_params(scan: &mut Scan<'_>, source: &Text) -> Result<Params, HeaderError> {
    /// No scheme has more.
    const MOST: usize = 32;
    let mut params = Params::new();
    while !scan.is_done() {
        if scan.separator(b',') {
            continue;
        }
        if params.len() == MOST {
            return Err(scan.fail(HeaderFault::TooMany));
        }
        let start = scan.clone();
        let name = scan.run(scan::TOKEN);
        if !name.is_empty() && scan.separator(b'=') && !matches!(scan.peek(), None | Some(b',' | b'=')) {
            params.push(source.slice_of(name), Some(source.slice_of(scan.value()?)));
        } else {
            *scan = start;
            let token = scan.value()?;
            params.push(source.slice_of(token), None);
        }
        if !scan.is_done() && scan.peek() != Some(b',') {
            return Err(scan.fail(HeaderFault::Trailing));
        }
    }
    Ok(params)
}

fn print_commas(params: &Params, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, (name, value)) in params.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        f.write_str(name)?;
        if let Some(value) = value {
            write!(f, "={value}")?;
        }
    }
    Ok(())
}

macro_rules! auths {
    ($($name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub Auth);

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$name;
            const SHAPE: Shape = Shape::Line;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                Auth::parse(value).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

auths! {
    WwwAuthenticate "A challenge of a registrar or another end [RFC3261 §20.44].";
    ProxyAuthenticate "A challenge of a proxy [RFC3261 §20.27].";
    Authorization "The answer to a [`WwwAuthenticate`] [RFC3261 §20.7].";
    ProxyAuthorization "The answer to a [`ProxyAuthenticate`] [RFC3261 §20.28].";
}

/// What the server says after a successful authentication: the next nonce, its own proof [RFC3261 §20.6].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationInfo(pub Params);

impl TypedHeader for AuthenticationInfo {
    const NAME: HeaderName = HeaderName::AuthenticationInfo;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        comma_params(&mut Scan::new(value), value).map(AuthenticationInfo)
    }
}

impl fmt::Display for AuthenticationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_commas(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Headers;

    /// R008: the challenges of both algorithms are read and written.
    #[test]
    fn challenges_are_read_one_per_line() {
        let mut headers = Headers::new();
        for algorithm in ["SHA-256", "MD5"] {
            let challenge = Auth::digest().with_quoted("realm", "a \"b\"").with_token("algorithm", algorithm).with_quoted("qop", "auth");
            headers.put(&WwwAuthenticate(challenge));
        }
        let all = headers.list::<WwwAuthenticate>().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].to_string(), "Digest realm=\"a \\\"b\\\"\", algorithm=SHA-256, qop=\"auth\"");
        assert_eq!(all[1].0.text("realm").as_deref(), Some("a \"b\""));
        assert_eq!(all[1].0.text("Algorithm").as_deref(), Some("MD5"));
    }

    #[test]
    fn an_answer_and_an_unknown_scheme() {
        let text = "Digest username=\"bob\",uri=\"sip:x,y\",nc=00000001,response=\"6629fae4\" , opaque=\"\"";
        let answer = Authorization::parse(&text.into()).unwrap().0;
        assert_eq!(answer.text("uri").as_deref(), Some("sip:x,y"));
        assert_eq!(answer.text("opaque").as_deref(), Some(""));
        let unknown = Authorization::parse(&"NoOneKnowsThisScheme opaque-data=here".into()).unwrap().0;
        assert!(!unknown.is_digest());
        let bearer = Authorization::parse(&"Bearer ab/c+d==".into()).unwrap();
        assert_eq!(bearer.to_string(), "Bearer ab/c+d==");
        for text in ["", "Digest a b", "Digest a=\"x", "Digest a=b c=d"] {
            assert!(Authorization::parse(&text.into()).is_err(), "{text}");
        }
        assert_eq!(AuthenticationInfo::parse(&"nextnonce=\"x\", qop=auth".into()).unwrap().to_string(), "nextnonce=\"x\", qop=auth");
    }
}
