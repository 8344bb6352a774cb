//! Offer and answer of an MSRP session [RFC4975 §8], of who opens its connection [RFC6135] and of where it is opened to [RFC6714].
//!
//! An [`Offer`] is what this end has to say; [`Offer::media`] puts it into a description, [`Offer::answer`] answers another's, and
//! [`Offer::accept`] reads the answer to one's own. Both of the latter give the [`Setup`] that a session is made of. The other media of the
//! description, and the dialog, are the business of whoever composes it. File selectors [RFC5547] are not looked at.

use thiserror::Error;

use super::Options;
use crate::wire::msrp::{Limits, MsrpUri, Path, Transport};
use crate::wire::sdp::{self, Attribute, Direction, Media, Section};
use crate::{Entropy, Text};

/// Which end opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This one, and it sends at once.
    Active,
    /// The other.
    Passive,
}

/// Which roles this end can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody can connect to it: a browser, or a client behind a translator of addresses.
    Outwards,
    /// It takes connections, and opens none.
    Inwards,
    /// It does both.
    Both,
}

/// This end of a session that is to be.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where it is reached, with the id of the session.
    pub uri: MsrpUri,
    /// Whether it takes or opens connections.
    pub reach: Reach,
    /// Which way messages go, from this end.
    pub direction: Direction,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Which end opens the connection.
    pub role: Role,
    /// This end.
    pub local: MsrpUri,
    /// The way to the other end.
    pub remote: Path,
    /// Where to connect to, if it is on this end to do so: a host and a port.
    pub connect: (Text, u16),
    /// Which way messages go, from this end.
    pub direction: Direction,
    /// The media types that the other end takes as they are, and within another.
    pub accept_types: Vec<Text>,
    /// The media types that the other end takes within another.
    pub accept_wrapped_types: Vec<Text>,
    /// Bytes of the largest message that the other end takes.
    pub max_size: Option<u64>,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The medium is not MSRP, is refused, or is not encrypted where the path is, or the other way round.
    #[error("the medium is no MSRP session")]
    Media,
    /// There is no path, or what should be one is none.
    #[error("the path is malformed")]
    Path,
    /// Both ends would open the connection, or neither.
    #[error("neither end can open the connection")]
    Roles,
    /// The media type that has to be sent is not taken.
    #[error("the media type is not accepted")]
    Types,
}

impl Reach {
    /// What an offer says [RFC6135 §4].
    fn offered(self) -> sdp::Setup {
        match self {
            Reach::Outwards => sdp::Setup::Active,
            Reach::Inwards => sdp::Setup::Passive,
            Reach::Both => sdp::Setup::ActPass,
        }
    }

    /// The role to play when the other end offers this. Without a word the offerer opens the connection [RFC4975 §5.4].
    fn role(self, offered: sdp::Setup) -> Option<Role> {
        match (offered, self) {
            (sdp::Setup::Active, Reach::Inwards | Reach::Both) => Some(Role::Passive),
            (sdp::Setup::Passive, Reach::Outwards | Reach::Both) => Some(Role::Active),
            // Who may be behind a translator of addresses connects outwards.
            (sdp::Setup::ActPass, Reach::Outwards | Reach::Both) => Some(Role::Active),
            (sdp::Setup::ActPass, Reach::Inwards) => Some(Role::Passive),
            (sdp::Setup::Active, Reach::Outwards) | (sdp::Setup::Passive, Reach::Inwards) | (sdp::Setup::HoldConn, _) => None,
        }
    }
}

impl Offer {
    /// An end for a session that nobody can guess the id of: 128 random bits.
    ///
    /// # Panics
    /// If `host` is no host.
    pub fn new(secure: bool, host: &str, port: u16, transport: Transport, reach: Reach, entropy: &mut Entropy) -> Offer {
        let uri = MsrpUri::new(secure, host, port, &entropy.hex::<16>(), transport).expect("a host of our own is one");
        Offer { uri, reach, direction: Direction::SendReceive }
    }

    /// The medium of an offer.
    pub fn media(&self, options: &Options) -> Media {
        self.describe(self.reach.offered(), options)
    }

    /// The answer to another's medium, and what was agreed on.
    pub fn answer(&self, offered: Section<'_>, options: &Options) -> Result<(Media, Setup), Refusal> {
        let role = self.reach.role(offered.setup().unwrap_or(sdp::Setup::Active)).ok_or(Refusal::Roles)?;
        let setup = self.agree(role, offered)?;
        let answer = match role {
            Role::Active => sdp::Setup::Active,
            Role::Passive => sdp::Setup::Passive,
        };
        let mut media = Offer { direction: setup.direction, ..self.clone() }.describe(answer, options);
        media.fmt.clone_from(&offered.media.fmt);
        Ok((media, setup))
    }

    /// What was agreed on by the answer to the own medium.
    pub fn accept(&self, answered: Section<'_>) -> Result<Setup, Refusal> {
        // An end that does not know the attribute waits for the connection [RFC4975 §5.4].
        let role = match (answered.setup().unwrap_or(sdp::Setup::Passive), self.reach) {
            (sdp::Setup::Active, Reach::Inwards | Reach::Both) => Role::Passive,
            (sdp::Setup::Passive, Reach::Outwards | Reach::Both) => Role::Active,
            (sdp::Setup::Active, Reach::Outwards)
            | (sdp::Setup::Passive, Reach::Inwards)
            | (sdp::Setup::ActPass | sdp::Setup::HoldConn, _) => return Err(Refusal::Roles),
        };
        self.agree(role, answered)
    }

    fn describe(&self, setup: sdp::Setup, options: &Options) -> Media {
        let words = |types: &[Text]| types.iter().map(Text::as_str).collect::<Vec<_>>().join(" ");
        let line = |name: &str, value: Option<String>| Attribute { attribute: name.to_owned(), value };
        let mut attributes = vec![line("accept-types", Some(words(&options.accept_types)))];
        if !options.accept_wrapped_types.is_empty() {
            attributes.push(line("accept-wrapped-types", Some(words(&options.accept_wrapped_types))));
        }
        attributes.push(line("path", Some(self.uri.to_string())));
        attributes.push(line("setup", Some(setup.to_string())));
        attributes.push(line("msrp-cema", None));
        attributes.push(line("max-size", Some(options.max_size.to_string())));
        attributes.push(line(self.direction.as_str(), None));
        let host = self.uri.host().trim_start_matches('[').trim_end_matches(']');
        let addrtype = if host.contains(':') { sdp::AddrType::Ip6 } else { sdp::AddrType::Ip4 };
        let address = sdp::Connection { nettype: sdp::NetType::In, addrtype, connection_address: host.to_owned() };
        Media {
            media: "message".to_owned(),
            port: self.uri.port().unwrap_or(DEFAULT_PORT),
            num_ports: None,
            proto: if self.uri.is_secure() { "TCP/TLS/MSRP" } else { "TCP/MSRP" }.to_owned(),
            fmt: "*".to_owned(),
            media_title: None,
            connections: vec![address],
            bandwidths: Vec::new(),
            key: None,
            attributes,
        }
    }

    fn agree(&self, role: Role, other: Section<'_>) -> Result<Setup, Refusal> {
        let path = other.value("path").ok_or(Refusal::Path)?;
        let remote = Path::parse(&Text::from(path), Limits::default().hops).map_err(|_| Refusal::Path)?;
        if !other.is_msrp() || other.is_refused() || remote.first().is_secure() != other.is_secure() {
            return Err(Refusal::Media);
        }
        let types = |types: &mut dyn Iterator<Item = &str>| types.take(64).map(Text::from).collect::<Vec<Text>>();
        let accept_types = types(&mut other.accept_types());
        if accept_types.is_empty() {
            return Err(Refusal::Types);
        }
        Ok(Setup {
            role,
            local: self.uri.clone(),
            connect: connect(other, &remote),
            remote,
            direction: both(self.direction, other.direction().reversed()),
            accept_types,
            accept_wrapped_types: types(&mut other.accept_wrapped_types()),
            max_size: other.max_size(),
        })
    }
}

/// The port of a URI without one [RFC4975 §15.4].
const DEFAULT_PORT: u16 = 2855;

/// Where to connect to: the address of the medium where both ends know CEMA, which middleboxes may have changed, unless the path goes
/// over relays; else the address in the path [RFC6714 §4].
fn connect(other: Section<'_>, remote: &Path) -> (Text, u16) {
    let first = remote.first();
    match other.connection().filter(|_| other.has("msrp-cema") && remote.len() == 1 && other.media.port != 9) {
        Some(connection) => (Text::from(connection.connection_address.as_str()), other.media.port),
        None => (Text::from(first.host().trim_start_matches('[').trim_end_matches(']')), first.port().unwrap_or(DEFAULT_PORT)),
    }
}

/// The directions that both have.
fn both(one: Direction, other: Direction) -> Direction {
    let sends = |direction| matches!(direction, Direction::SendReceive | Direction::Send);
    let receives = |direction| matches!(direction, Direction::SendReceive | Direction::Receive);
    match (sends(one) && sends(other), receives(one) && receives(other)) {
        (true, true) => Direction::SendReceive,
        (true, false) => Direction::Send,
        (false, true) => Direction::Receive,
        (false, false) => Direction::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::{Kind, Sdp};

    fn offer(reach: Reach, host: &str, seed: u8) -> Offer {
        Offer::new(false, host, 7654, Transport::Tcp, reach, &mut Entropy::new([seed; 32]))
    }

    /// A medium as the other end reads it.
    fn carried(media: Media) -> Sdp {
        let mut sdp = Sdp::new(1, 1, [192, 0, 2, 9].into());
        sdp.session.medias.push(media);
        Sdp::parse(&sdp.encode()).unwrap()
    }

    fn medium(sdp: &Sdp) -> Section<'_> {
        sdp.media().find(|section| section.kind() == Kind::Message).unwrap()
    }

    /// Who opens the connection [RFC6135 §4].
    #[test]
    fn one_end_opens_the_connection_or_there_is_no_session() {
        let options = Options::default();
        let all = [Reach::Outwards, Reach::Inwards, Reach::Both];
        for (one, other) in all.into_iter().flat_map(|one| all.map(|other| (one, other))) {
            let (a, b) = (offer(one, "192.0.2.1", 1), offer(other, "192.0.2.2", 2));
            let answered = b.answer(medium(&carried(a.media(&options))), &options);
            if one == other && one != Reach::Both {
                assert_eq!(answered.unwrap_err(), Refusal::Roles);
                continue;
            }
            let (answer, theirs) = answered.unwrap();
            let ours = a.accept(medium(&carried(answer))).unwrap();
            assert_ne!(ours.role, theirs.role);
            let expected = match (one, other) {
                (Reach::Outwards, _) | (_, Reach::Inwards) => Role::Active,
                (Reach::Inwards | Reach::Both, _) => Role::Passive,
            };
            assert_eq!(ours.role, expected, "{one:?} {other:?}");
            assert_eq!((&ours.local, ours.remote.first()), (theirs.remote.first(), &theirs.local));
            assert_eq!(ours.connect, ("192.0.2.2".into(), 7654));
        }
    }

    #[test]
    fn an_end_that_knows_no_roles_waits_and_an_offerer_connects() {
        let options = Options::default();
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=message 7777 TCP/MSRP *\r\n\
            a=accept-types:message/cpim text/plain\r\na=path:msrp://relay.example:2855/r;tcp msrp://192.0.2.1:7777/s;tcp\r\na=max-size:500\r\na=sendonly\r\n";
        let old = Sdp::parse(text.as_bytes()).unwrap();
        let (media, setup) = offer(Reach::Both, "[2001:db8::1]", 1).answer(medium(&old), &options).unwrap();
        assert_eq!((setup.role, setup.direction, setup.max_size), (Role::Passive, Direction::Receive, Some(500)));
        assert_eq!(setup.accept_types, ["message/cpim", "text/plain"]);
        let answer = carried(media);
        assert_eq!(medium(&answer).setup(), Some(sdp::Setup::Passive));
        assert_eq!(medium(&answer).direction(), Direction::Receive);
        assert_eq!(medium(&answer).connection().unwrap().connection_address, "2001:db8::1");
        let accepted = offer(Reach::Both, "192.0.2.2", 2).accept(medium(&old)).unwrap();
        assert_eq!((accepted.role, accepted.connect), (Role::Active, ("relay.example".into(), 2855)));
        assert_eq!(offer(Reach::Inwards, "192.0.2.2", 2).accept(medium(&old)), Err(Refusal::Roles));
    }

    /// What a middlebox wrote counts where both ends know CEMA [RFC6714 §4].
    #[test]
    fn the_address_of_the_medium_counts_where_both_know_cema() {
        let options = Options::default();
        let offered = offer(Reach::Both, "10.0.0.1", 1).media(&options);
        let mut changed = offered.clone();
        changed.port = 4000;
        changed.connections[0].connection_address = "203.0.113.7".to_owned();
        let b = offer(Reach::Both, "192.0.2.2", 2);
        assert_eq!(b.answer(medium(&carried(changed.clone())), &options).unwrap().1.connect, ("203.0.113.7".into(), 4000));
        changed.attributes.retain(|attribute| attribute.attribute != "msrp-cema");
        assert_eq!(b.answer(medium(&carried(changed)), &options).unwrap().1.connect, ("10.0.0.1".into(), 7654));
    }

    #[test]
    fn what_is_no_session_is_refused() {
        let options = Options::default();
        let a = offer(Reach::Both, "192.0.2.1", 1);
        let b = offer(Reach::Both, "192.0.2.2", 2);
        let sound = a.media(&options);
        let without = |name: &str| {
            let mut media = sound.clone();
            media.attributes.retain(|attribute| attribute.attribute != name);
            media
        };
        let refused = Media { port: 0, ..sound.clone() };
        let encrypted = Media { proto: "TCP/TLS/MSRP".to_owned(), ..sound.clone() };
        let foreign = Media { proto: "TCP/TELNET".to_owned(), ..sound.clone() };
        let mut broken = without("path");
        broken.attributes.push(Attribute { attribute: "path".to_owned(), value: Some("sip:x".to_owned()) });
        for (media, refusal) in [
            (refused, Refusal::Media),
            (encrypted, Refusal::Media),
            (foreign, Refusal::Media),
            (without("path"), Refusal::Path),
            (broken, Refusal::Path),
            (without("accept-types"), Refusal::Types),
        ] {
            assert_eq!(b.answer(medium(&carried(media)), &options).unwrap_err(), refusal);
        }
    }

    #[test]
    fn a_session_id_has_128_random_bits() {
        let mut entropy = Entropy::new([5; 32]);
        let ids = [(); 2].map(|()| Offer::new(true, "a.invalid", 2855, Transport::WebSocket, Reach::Outwards, &mut entropy).uri);
        assert_ne!(ids[0], ids[1]);
        assert!(ids.iter().all(|uri| uri.session().len() == 32 && uri.session().bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
