//! The server's side of digest: challenges, and the judgement of their answers.
//!
//! Whoever gives a wrong password and whoever does not exist get the same verdict after the same work. That an answer is stale is only
//! said to those who proved to know the secret [RFC7616 §3.3].

use core::net::IpAddr;
use std::time::Duration;

use super::hash::{Algorithm, Count, Ha1, response, same};
use super::nonce::{Issuer, Windows};
use crate::wire::sip::{Auth, Request, Uri};
use crate::{Text, Time};

/// What an answer to a challenge is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It proves the secret, with a nonce and a count that were not used before.
    Valid,
    /// It proves the secret, but with a nonce that is too old or a count that was used: challenge again with `stale`.
    Stale,
    /// It proves nothing.
    Invalid,
}

/// Challenges for one realm.
#[derive(Debug)]
pub struct Verifier {
    realm: Text,
    issuer: Issuer,
    windows: Windows,
    started: bool,
}

impl Verifier {
    /// How long a nonce may be used.
    pub const LIFETIME: Duration = Duration::from_secs(600);
    /// How many nonces in use are remembered.
    const WINDOWS: usize = 65_536;
    /// What is hashed for a user who does not exist.
    const NOBODY: Ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };

    /// A verifier that signs its nonces with `key`, which only the servers of this realm know.
    pub fn new(realm: impl Into<Text>, key: [u8; 32]) -> Verifier {
        Verifier { realm: realm.into(), issuer: Issuer::new(key), windows: Windows::new(Self::WINDOWS), started: false }
    }

    /// The realm, usually the domain.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The challenges to offer, the strongest first [RFC8760 §2.4]: each on a header line of its own.
    pub fn challenges(&mut self, now: Time, stale: bool) -> [Auth; 2] {
        self.start(now);
        let nonce = self.issuer.issue(now);
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
            let challenge = Auth::digest()
                .with_quoted("realm", &self.realm)
                .with_quoted("nonce", &nonce)
                .with_token("algorithm", algorithm.as_str())
                .with_quoted("qop", "auth");
            if stale { challenge.with_token("stale", "true") } else { challenge }
        })
    }

    /// Judges the credentials that came with a request; `secret` is that of the user whom they name, if there is one.
    pub fn verify(&mut self, now: Time, credentials: &Auth, request: &Request, secret: Option<&Ha1>) -> Verdict {
        self.judge(now, credentials, request.method.as_str(), |uri| is_about(uri, &request.uri), secret)
    }

    /// The same for a request of any protocol, by its method and by whether the URI of the credentials is that of the request.
    pub fn judge(
        &mut self,
        now: Time,
        credentials: &Auth,
        method: &str,
        is_about: impl FnOnce(&str) -> bool,
        secret: Option<&Ha1>,
    ) -> Verdict {
        self.start(now);
        let Some(answer) = Answer::read(credentials) else { return Verdict::Invalid };
        let count = Count { nc: &answer.nc, cnonce: &answer.cnonce };
        let ha1 = secret.unwrap_or(&Self::NOBODY);
        let right = response(answer.algorithm, ha1, &answer.nonce, Some(count), method, &answer.uri);
        let proven = same(&right, &answer.response);
        let issue = self.issuer.issue_of(&answer.nonce);
        if !proven || secret.is_none() || *answer.realm != *self.realm || !is_about(&answer.uri) {
            return Verdict::Invalid;
        }
        let Some(issue) = issue.filter(|issue| !issue.expired(now, Self::LIFETIME)) else { return Verdict::Stale };
        self.windows.expire(now, Self::LIFETIME);
        if self.windows.admit(issue, answer.count) { Verdict::Valid } else { Verdict::Stale }
    }

    /// Nonces from before this verifier's time are stale: nobody remembers their counts.
    fn start(&mut self, now: Time) {
        if !self.started {
            self.started = true;
            self.windows.begin(now);
        }
    }
}

/// The parts of a set of credentials.
struct Answer {
    algorithm: Algorithm,
    realm: String,
    nonce: String,
    uri: String,
    nc: String,
    count: u32,
    cnonce: String,
    response: String,
}

impl Answer {
    fn read(credentials: &Auth) -> Option<Answer> {
        let text = |name: &str| credentials.text(name).map(|text| text.into_owned());
        let qop = text("qop")?;
        let nc = text("nc").filter(|nc| nc.len() == 8)?;
        if !credentials.is_digest() || !qop.eq_ignore_ascii_case("auth") {
            return None;
        }
        Some(Answer {
            algorithm: Algorithm::parse(text("algorithm").as_deref())?,
            realm: text("realm")?,
            nonce: text("nonce")?,
            uri: text("uri")?,
            count: u32::from_str_radix(&nc, 16).ok()?,
            nc,
            cnonce: text("cnonce")?,
            response: text("response")?.to_ascii_lowercase(),
        })
    }
}

/// Whether credentials for `uri` may be used for a request to `target`: the same user and host. Parameters may differ, since clients
/// leave them out of one or the other. Some (sipp) name no target but the IP address that they send to; that is a URI without a user.
fn is_about(uri: &str, target: &Uri) -> bool {
    let text = Text::from(uri);
    if text == *target.to_string() {
        return true;
    }
    Uri::parse(&text).is_ok_and(|uri| {
        let Some(host) = uri.host() else { return false };
        let is_literal = host.as_str().trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        uri.user() == target.user() && Some(host) == target.host() || uri.user().is_none() && is_literal
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::digest::client::tests::answered;
    use crate::sip::pair;
    use crate::wire::sip::Method;

    const KEY: [u8; 32] = [9; 32];

    fn alice() -> Ha1 {
        Ha1::new("alice", "tandem.test", "secret")
    }

    fn ready() -> (Verifier, Time) {
        let mut verifier = Verifier::new("tandem.test", KEY);
        verifier.challenges(Time(1), false);
        (verifier, Time(1_000_000))
    }

    /// R008: both algorithms are offered, SHA-256 first, qop=auth alone.
    #[test]
    fn challenges_offer_the_stronger_algorithm_first() {
        let mut verifier = Verifier::new("tandem.test", KEY);
        let [first, second] = verifier.challenges(Time(5), false);
        assert_eq!((first.text("algorithm").as_deref(), second.text("algorithm").as_deref()), (Some("SHA-256"), Some("MD5")));
        for challenge in [first, second] {
            assert_eq!((challenge.text("realm").as_deref(), challenge.text("qop").as_deref()), (Some("tandem.test"), Some("auth")));
            assert_eq!(challenge.text("stale"), None);
        }
        assert!(verifier.challenges(Time(5), true).iter().all(|challenge| challenge.text("stale").as_deref() == Some("true")));
    }

    /// R008: a right answer is taken once, by either algorithm.
    #[test]
    fn a_right_answer_is_taken_once() {
        let (mut verifier, now) = ready();
        let request = pair::request(Method::Message);
        for challenge in verifier.challenges(now, false) {
            let answer = |count| answered(&challenge, &request, "alice", "secret", count);
            let mut judge = |answer: &Auth| verifier.verify(now, answer, &request, Some(&alice()));
            let (one, two) = if challenge.text("algorithm").as_deref() == Some("MD5") { (3, 4) } else { (1, 2) };
            assert_eq!(judge(&answer(one)), Verdict::Valid);
            assert_eq!(judge(&answer(one)), Verdict::Stale, "a replay");
            assert_eq!(judge(&answer(two)), Verdict::Valid);
        }
    }

    /// R008: an old nonce, one of another key and one from before a restart are stale, when the password is right.
    #[test]
    fn a_right_answer_with_an_unusable_nonce_is_stale() {
        let (mut verifier, now) = ready();
        let request = pair::request(Method::Message);
        let [old, _] = verifier.challenges(now, false);
        let late = now + Verifier::LIFETIME + Duration::from_millis(1);
        assert_eq!(verifier.verify(late, &answered(&old, &request, "alice", "secret", 1), &request, Some(&alice())), Verdict::Stale);
        let [foreign, _] = Verifier::new("tandem.test", [8; 32]).challenges(now, false);
        assert_eq!(verifier.verify(now, &answered(&foreign, &request, "alice", "secret", 1), &request, Some(&alice())), Verdict::Stale);
        let mut restarted = Verifier::new("tandem.test", KEY);
        let soon = now + Duration::from_secs(1);
        assert_eq!(restarted.verify(soon, &answered(&old, &request, "alice", "secret", 1), &request, Some(&alice())), Verdict::Stale);
        assert_eq!(verifier.verify(late, &answered(&old, &request, "alice", "wrong", 1), &request, Some(&alice())), Verdict::Invalid);
    }

    /// R008: nobody learns from an answer who exists.
    #[test]
    fn an_unknown_user_and_a_wrong_password_look_alike() {
        let (mut verifier, now) = ready();
        let request = pair::request(Method::Register);
        let [challenge, _] = verifier.challenges(now, false);
        let wrong = answered(&challenge, &request, "alice", "guess", 1);
        let unknown = answered(&challenge, &request, "nobody", "guess", 1);
        assert_eq!(verifier.verify(now, &wrong, &request, Some(&alice())), Verdict::Invalid);
        assert_eq!(verifier.verify(now, &unknown, &request, None), Verdict::Invalid);
        // Even one who guesses what is hashed in place of a missing secret.
        let mut guessed = unknown.clone();
        let nonce = challenge.text("nonce").unwrap().into_owned();
        let count = Count { nc: "00000001", cnonce: "c" };
        let uri = request.uri.to_string();
        let digest = response(Algorithm::Sha256, &Verifier::NOBODY, &nonce, Some(count), "REGISTER", &uri);
        guessed = guessed.with_quoted("cnonce", "c").with_quoted("response", &digest);
        assert_eq!(verifier.verify(now, &guessed, &request, None), Verdict::Invalid);
    }

    #[test]
    fn an_answer_for_something_else_is_invalid() {
        let (mut verifier, now) = ready();
        let request = pair::request(Method::Message);
        let [challenge, _] = verifier.challenges(now, false);
        let right = answered(&challenge, &request, "alice", "secret", 1);
        let mut elsewhere = request.clone();
        elsewhere.uri = Uri::parse(&"sip:carol@tandem.test".into()).unwrap();
        assert_eq!(verifier.verify(now, &right, &elsewhere, Some(&alice())), Verdict::Invalid);
        let mut other = pair::request(Method::Options);
        other.uri = request.uri.clone();
        assert_eq!(verifier.verify(now, &right, &other, Some(&alice())), Verdict::Invalid);
        for (name, value) in [("realm", "other"), ("qop", "auth-int"), ("algorithm", "SHA-512"), ("nc", "1"), ("nonce", "x"), ("uri", "x")]
        {
            let changed = right.clone().with_quoted(name, value);
            assert_eq!(verifier.verify(now, &changed, &request, Some(&alice())), Verdict::Invalid, "{name}");
        }
        assert_eq!(verifier.verify(now, &Auth::digest(), &request, Some(&alice())), Verdict::Invalid);
        let mut with_params = request.clone();
        with_params.uri = Uri::parse(&"sip:bob@tandem.test;transport=ws".into()).unwrap();
        assert_eq!(verifier.verify(now, &right, &with_params, Some(&alice())), Verdict::Valid);
    }
}
