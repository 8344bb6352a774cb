//! The client's side of digest: answers challenges, and goes on answering with the same nonce until the server wants another.
//!
//! One [`Authenticator`] serves a user agent: it remembers the last challenge of each realm and puts credentials into every request
//! from then on, which spares most requests the round trip of a refusal.

use std::fmt;

use super::hash::{Algorithm, Count, Ha1, response};
use crate::wire::sip::{Auth, Authorization, ProxyAuthenticate, ProxyAuthorization, Request, Response, TypedHeader, Uri, WwwAuthenticate};
use crate::{Entropy, Text};

/// What proves who the user is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password, good for any realm.
    Password(Text),
    /// Its hashes, good for this realm alone.
    Ha1 {
        /// The realm.
        realm: Text,
        /// The hashes.
        ha1: Ha1,
    },
}

impl fmt::Debug for Secret {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a challenge is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// There is no challenge of a known algorithm and of a realm for which there is a secret.
    Unknown,
    /// The answer to this very challenge was refused: the user name or the password is wrong.
    Refused,
}

/// Answers challenges in the name of one user.
#[derive(Debug)]
pub struct Authenticator {
    username: Text,
    secret: Secret,
    entropy: Entropy,
    challenges: Vec<Challenge>,
}

/// The last challenge of a realm.
#[derive(Debug)]
struct Challenge {
    from: Challenger,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    ha1: Ha1,
    /// With `qop=auth`, the number of times that the nonce was used.
    count: Option<u32>,
}

/// Who wants to know.
#[derive(Clone, Debug, PartialEq)]
enum Challenger {
    /// A proxy on the way of every request.
    Proxy,
    /// The server that requests to this URI end at.
    Server(Box<Uri>),
}

impl Authenticator {
    /// Challenges of more realms than this on one path are not remembered.
    const REALMS: usize = 4;

    /// An authenticator that has seen no challenge.
    pub fn new(username: impl Into<Text>, secret: Secret, entropy: Entropy) -> Authenticator {
        Authenticator { username: username.into(), secret, entropy, challenges: Vec::new() }
    }

    /// Takes in the challenge of a 401 or 407, the answer to `sent`. On success the request can be sent again, [authorised](Self::authorize).
    pub fn challenged(&mut self, sent: &Request, response: &Response) -> Result<(), Unanswerable> {
        let servers = response
            .headers
            .list::<WwwAuthenticate>()
            .unwrap_or_default()
            .into_iter()
            .map(|challenge| (Challenger::Server(Box::new(sent.uri.clone())), challenge.0));
        let proxies =
            response.headers.list::<ProxyAuthenticate>().unwrap_or_default().into_iter().map(|challenge| (Challenger::Proxy, challenge.0));
        let mut best: Vec<(Challenge, bool)> = Vec::new();
        for (from, auth) in servers.chain(proxies) {
            let Some(challenge) = self.read(from, &auth) else { continue };
            let stale = auth.text("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
            let known = best.iter().position(|(other, _)| other.from == challenge.from && other.realm == challenge.realm);
            match known {
                Some(at) if best[at].0.algorithm < challenge.algorithm => best[at] = (challenge, stale),
                Some(_) => {}
                None if best.len() < Self::REALMS => best.push((challenge, stale)),
                None => {}
            }
        }
        if best.is_empty() {
            return Err(Unanswerable::Unknown);
        }
        for (challenge, stale) in best {
            if !stale && refused(sent, &challenge) {
                return Err(Unanswerable::Refused);
            }
            self.challenges.retain(|other| other.from != challenge.from || other.realm != challenge.realm);
            if self.challenges.len() == Self::REALMS {
                self.challenges.remove(0);
            }
            self.challenges.push(challenge);
        }
        Ok(())
    }

    /// Puts credentials into a request for each challenge seen that concerns it, in place of older ones.
    pub fn authorize(&mut self, request: &mut Request) {
        request.headers.remove(&Authorization::NAME);
        request.headers.remove(&ProxyAuthorization::NAME);
        for challenge in &mut self.challenges {
            if matches!(&challenge.from, Challenger::Server(uri) if **uri != request.uri) {
                continue;
            }
            let credentials = challenge.answer(&self.username, request, &mut self.entropy);
            match challenge.from {
                Challenger::Proxy => request.headers.put(&ProxyAuthorization(credentials)),
                Challenger::Server(_) => request.headers.put(&Authorization(credentials)),
            }
        }
    }

    /// Reads a challenge that can be answered.
    fn read(&self, from: Challenger, auth: &Auth) -> Option<Challenge> {
        let text = |name: &str| auth.text(name).map(|text| text.into_owned());
        let algorithm = Algorithm::parse(text("algorithm").as_deref())?;
        let realm = text("realm")?;
        let ha1 = match &self.secret {
            Secret::Password(password) => Ha1::new(&self.username, &realm, password),
            Secret::Ha1 { realm: own, ha1 } if *own == *realm.as_str() => *ha1,
            Secret::Ha1 { .. } => return None,
        };
        Challenge::new(from, auth, realm, algorithm, ha1)
    }
}

impl Challenge {
    fn new(from: Challenger, auth: &Auth, realm: String, algorithm: Algorithm, ha1: Ha1) -> Option<Challenge> {
        let text = |name: &str| auth.text(name).map(|text| text.into_owned());
        let count = match text("qop") {
            None => None,
            Some(qop) if qop.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => Some(0),
            Some(_) => return None,
        };
        let nonce = text("nonce").filter(|_| auth.is_digest())?;
        Some(Challenge { from, realm, nonce, opaque: text("opaque"), algorithm, ha1, count })
    }

    fn answer(&mut self, username: &str, request: &Request, entropy: &mut Entropy) -> Auth {
        let uri = request.uri.to_string();
        let method = request.method.as_str();
        let mut credentials = Auth::digest()
            .with_quoted("username", username)
            .with_quoted("realm", &self.realm)
            .with_quoted("nonce", &self.nonce)
            .with_quoted("uri", &uri)
            .with_token("algorithm", self.algorithm.as_str());
        let digest = match &mut self.count {
            None => response(self.algorithm, &self.ha1, &self.nonce, None, method, &uri),
            Some(count) => {
                *count = count.wrapping_add(1);
                let (nc, cnonce) = (format!("{count:08x}"), entropy.hex::<8>());
                credentials = credentials.with_token("qop", "auth").with_token("nc", &nc).with_quoted("cnonce", &cnonce);
                response(self.algorithm, &self.ha1, &self.nonce, Some(Count { nc: &nc, cnonce: &cnonce }), method, &uri)
            }
        };
        credentials = credentials.with_quoted("response", &digest);
        match &self.opaque {
            Some(opaque) => credentials.with_quoted("opaque", opaque),
            None => credentials,
        }
    }
}

/// Whether `sent` answered a challenge of this realm for the first time, so that being challenged again means that the answer was wrong.
/// A nonce that has worked before may have been forgotten by a server that does not say `stale`.
fn refused(sent: &Request, challenge: &Challenge) -> bool {
    let of_realm = |auth: &Auth| auth.text("realm").as_deref() == Some(challenge.realm.as_str());
    let given = match challenge.from {
        Challenger::Proxy => sent.headers.list::<ProxyAuthorization>().unwrap_or_default().into_iter().map(|auth| auth.0).find(of_realm),
        Challenger::Server(_) => sent.headers.list::<Authorization>().unwrap_or_default().into_iter().map(|auth| auth.0).find(of_realm),
    };
    given.is_some_and(|given| given.text("nc").is_none_or(|nc| nc == "00000001"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sip::pair;
    use crate::wire::sip::{Method, Status};

    /// The answer to a challenge with this count.
    pub(in crate::sip::digest) fn answered(challenge: &Auth, request: &Request, username: &str, password: &str, count: u32) -> Auth {
        let secret = Secret::Password(password.into());
        let authenticator = Authenticator::new(username, secret, Entropy::new([1; 32]));
        let mut challenge = authenticator.read(Challenger::Proxy, challenge).expect("a challenge that can be answered");
        challenge.count = Some(count - 1);
        challenge.answer(username, request, &mut Entropy::new([2; 32]))
    }

    fn authenticator(secret: Secret) -> Authenticator {
        Authenticator::new("alice", secret, Entropy::new([1; 32]))
    }

    fn challenge(algorithm: &str, nonce: &str) -> Auth {
        Auth::digest()
            .with_quoted("realm", "tandem.test")
            .with_quoted("nonce", nonce)
            .with_token("algorithm", algorithm)
            .with_quoted("qop", "auth,auth-int")
    }

    fn unauthorized(request: &Request, challenges: &[Auth]) -> Response {
        let mut response = pair::answer(request, Status::UNAUTHORIZED);
        for challenge in challenges {
            response.headers.put(&WwwAuthenticate(challenge.clone()));
        }
        response
    }

    /// R008: of what the server offers the strongest is taken, and counted on.
    #[test]
    fn the_strongest_challenge_is_answered_and_counted() {
        let mut authenticator = authenticator(Secret::Password("secret".into()));
        let mut request = pair::request(Method::Register);
        authenticator.authorize(&mut request);
        assert!(!request.headers.has(&Authorization::NAME));
        let offered = [challenge("SHA-512-256", "x"), challenge("MD5", "n"), challenge("SHA-256", "n")];
        authenticator.challenged(&request, &unauthorized(&request, &offered)).unwrap();
        for count in ["00000001", "00000002"] {
            authenticator.authorize(&mut request);
            let given = request.headers.list::<Authorization>().unwrap();
            assert_eq!(given.len(), 1);
            assert_eq!(given[0].0.text("algorithm").as_deref(), Some("SHA-256"));
            assert_eq!(given[0].0.text("nc").as_deref(), Some(count));
        }
    }

    /// R008: a wrong password is found out, a stale nonce is not mistaken for one.
    #[test]
    fn a_refusal_is_told_from_staleness() {
        let mut authenticator = authenticator(Secret::Password("secret".into()));
        let mut request = pair::request(Method::Register);
        let fresh = |nonce| unauthorized(&pair::request(Method::Register), &[challenge("MD5", nonce)]);
        authenticator.challenged(&request, &fresh("1")).unwrap();
        authenticator.authorize(&mut request);
        let stale = unauthorized(&request, &[challenge("MD5", "2").with_token("stale", "true")]);
        assert_eq!(authenticator.challenged(&request, &stale), Ok(()));
        authenticator.authorize(&mut request);
        assert_eq!(authenticator.challenged(&request, &fresh("3")), Err(Unanswerable::Refused));
        authenticator.authorize(&mut request);
        assert_eq!(authenticator.challenged(&request, &fresh("4")), Ok(()), "the nonce worked before, so it was forgotten");
    }

    #[test]
    fn what_cannot_be_answered_is_said_so() {
        let request = pair::request(Method::Register);
        let ha1 = Ha1::new("alice", "tandem.test", "secret");
        let elsewhere = Secret::Ha1 { realm: "other.test".into(), ha1 };
        let offer = unauthorized(&request, &[challenge("MD5", "n")]);
        assert_eq!(authenticator(elsewhere).challenged(&request, &offer), Err(Unanswerable::Unknown));
        let here = Secret::Ha1 { realm: "tandem.test".into(), ha1 };
        assert_eq!(authenticator(here.clone()).challenged(&request, &offer), Ok(()));
        for odd in [Auth::digest(), challenge("MD5", "n").with_quoted("qop", "auth-int"), challenge("SHA-512", "n")] {
            assert_eq!(authenticator(here.clone()).challenged(&request, &unauthorized(&request, &[odd])), Err(Unanswerable::Unknown));
        }
    }

    /// [RFC3261 §22.3]: a proxy and a server may both want to know.
    #[test]
    fn proxy_and_server_are_answered_each_in_its_header() {
        let mut authenticator = authenticator(Secret::Password("secret".into()));
        let mut request = pair::request(Method::Invite);
        let mut response = unauthorized(&request, &[challenge("MD5", "server")]);
        response.headers.put(&ProxyAuthenticate(challenge("MD5", "proxy")));
        authenticator.challenged(&request, &response).unwrap();
        authenticator.authorize(&mut request);
        let server = request.headers.read::<Authorization>().unwrap().0;
        let proxy = request.headers.read::<ProxyAuthorization>().unwrap().0;
        assert_eq!((server.text("nonce").as_deref(), proxy.text("nonce").as_deref()), (Some("server"), Some("proxy")));
    }

    /// R317: whoever a message is for learns nothing from which the password could be guessed.
    #[test]
    fn credentials_for_a_server_go_to_that_server_alone() {
        let mut authenticator = authenticator(Secret::Password("secret".into()));
        let mut register = pair::request(Method::Register);
        register.uri = Uri::parse(&"sip:tandem.test".into()).unwrap();
        authenticator.challenged(&register, &unauthorized(&register, &[challenge("MD5", "n")])).unwrap();
        let mut message = pair::request(Method::Message);
        authenticator.authorize(&mut message);
        assert!(!message.headers.has(&Authorization::NAME));
        authenticator.authorize(&mut register);
        assert!(register.headers.has(&Authorization::NAME));
    }

    /// A server of RFC 2069 offers no qop, and gets neither a count nor a cnonce.
    #[test]
    fn without_qop_there_is_no_count() {
        let mut authenticator = authenticator(Secret::Password("secret".into()));
        let mut request = pair::request(Method::Register);
        let plain = Auth::digest().with_quoted("realm", "tandem.test").with_quoted("nonce", "n").with_quoted("opaque", "o");
        authenticator.challenged(&request, &unauthorized(&request, &[plain])).unwrap();
        authenticator.authorize(&mut request);
        let given = request.headers.read::<Authorization>().unwrap().0;
        assert_eq!((given.text("nc"), given.text("opaque").as_deref()), (None, Some("o")));
    }
}
