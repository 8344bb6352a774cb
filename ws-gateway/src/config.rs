//! The settings of a running gateway: one TOML file, overruled by the environment (`TANDEM_*`), overruled by flags.
//!
//! [`Settings`] is what the rest of the gateway sees: every value is there and checked. [`Flags`] is what the command line and the
//! environment may say, [`File`] what the file may say; both leave out what they do not set. `config example` prints the documented file.

mod file;
mod limits;
mod policy;
mod push;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};

pub use crate::edge::Keeping;
pub use file::{EXAMPLE, File, Peer, PeerTransport};
pub use limits::Limits;
pub use push::Push;

use crate::devices;
use crate::node::Policy;

/// The domain of user addresses when none is set; the demo users live there.
pub const DEFAULT_DOMAIN: &str = "tandem.test";
/// The name under which the file and the flags place what the gateway keeps.
const DEFAULT_DATA_DIR: &str = "data";

/// Why the settings cannot be used, in words that say what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the settings file {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the settings file {path} is wrong: {source}")]
    Malformed { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{0}")]
    Invalid(String),
}

/// Where one listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Off,
    At(SocketAddr),
}

impl Listen {
    /// The address, when there is one.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Listen::Off);
        }
        let unusable = || format!("`{text}` is not an address to listen on: write HOST:PORT, for example 127.0.0.1:8080, or `off`");
        text.to_socket_addrs().map_err(|_| unusable())?.next().map(Listen::At).ok_or_else(unusable)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A range of UDP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of ports: write FIRST-LAST, for example 30000-30999");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let ports = Ports { first: first.trim().parse().map_err(|_| wrong())?, last: last.trim().parse().map_err(|_| wrong())? };
        if ports.first > ports.last || ports.first == 0 { Err(wrong()) } else { Ok(ports) }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which limits apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LimitsPreset {
    /// Those of the settings file, or the built-in ones.
    Default,
    /// None on rates, counts and lifetimes, for measurements. Sizes stay bounded.
    Off,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where the certificate of HTTPS and SIP over TLS comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// HTTP stays in the clear; SIP over TLS makes do with the self-signed certificate.
    Off,
    /// One made on first use and kept in the data directory.
    SelfSigned,
    /// PEM files.
    Files { certificate: PathBuf, key: PathBuf },
}

/// The choice that a flag can make about TLS; files are named by two more flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    Off,
    SelfSigned,
}

/// What the command line and the environment may say about a gateway to serve.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Domain of user addresses that this gateway serves; may be given several times
    #[arg(long = "domain", value_name = "NAME", env = "TANDEM_DOMAIN", value_delimiter = ',')]
    pub domains: Vec<String>,
    /// Web app, API and WebSockets
    #[arg(long, value_name = "ADDR", env = "TANDEM_HTTP")]
    pub http: Option<Listen>,
    /// SIP over UDP and TCP
    #[arg(long, value_name = "ADDR", env = "TANDEM_SIP")]
    pub sip: Option<Listen>,
    /// SIP over TLS
    #[arg(long, value_name = "ADDR", env = "TANDEM_SIPS")]
    pub sips: Option<Listen>,
    /// MSRP over TCP
    #[arg(long, value_name = "ADDR", env = "TANDEM_MSRP")]
    pub msrp: Option<Listen>,
    /// MSRP over TLS
    #[arg(long, value_name = "ADDR", env = "TANDEM_MSRPS")]
    pub msrps: Option<Listen>,
    /// WebRTC, one UDP port
    #[arg(long, value_name = "ADDR", env = "TANDEM_WEBRTC")]
    pub webrtc: Option<Listen>,
    /// RTP to native endpoints, for example 30000-30999
    #[arg(long, value_name = "A-B", env = "TANDEM_RTP_PORTS")]
    pub rtp_ports: Option<Ports>,
    /// Metrics and health
    #[arg(long, value_name = "ADDR", env = "TANDEM_ADMIN")]
    pub admin: Option<Listen>,
    /// Which limits apply
    #[arg(long, value_enum, env = "TANDEM_LIMITS")]
    pub limits: Option<LimitsPreset>,
    /// TLS for the web app
    #[arg(long, value_enum, env = "TANDEM_TLS", conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls: Option<TlsMode>,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", env = "TANDEM_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key, PEM
    #[arg(long, value_name = "FILE", env = "TANDEM_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Address under which browsers reach this gateway when a proxy stands before it, for example https://chat.example.org
    #[arg(long, value_name = "URL", env = "TANDEM_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Further origin that may open WebSockets, for example https://app.example.org; may be given several times
    #[arg(long = "allowed-origin", value_name = "ORIGIN", env = "TANDEM_ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
    /// What to log: a level, or directives such as `info,ws_gateway::edge=debug`
    #[arg(long, value_name = "LEVEL", env = "TANDEM_LOG")]
    pub log: Option<String>,
    /// How to write log lines
    #[arg(long, value_enum, env = "TANDEM_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Create the demo users alice, bob and carol on first start
    #[arg(long, env = "TANDEM_DEMO")]
    pub demo: bool,
    /// Open file descriptor that gets the `ready` line too
    #[arg(long, value_name = "N", env = "TANDEM_READY_FD")]
    pub ready_fd: Option<u32>,
}

/// Everything that is set about a gateway.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub domains: Vec<String>,
    pub http: Listen,
    pub sip: Listen,
    pub sips: Listen,
    pub msrp: Listen,
    pub msrps: Listen,
    pub webrtc: Listen,
    pub rtp_ports: Ports,
    pub admin: Listen,
    pub tls: Tls,
    pub peer_certificates: Option<PathBuf>,
    pub public_url: Option<String>,
    pub public_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpAddr>,
    pub limits: Limits,
    /// What the provider allows of people's devices.
    pub devices: devices::Policy,
    /// What the provider decides over its users' preferences.
    pub policy: Policy,
    /// What is kept of messages, and for how long.
    pub store: Keeping,
    pub log: String,
    pub log_format: LogFormat,
    pub peers: Vec<Peer>,
    pub push: Push,
    pub demo: bool,
    pub ready_fd: Option<u32>,
}

impl Settings {
    /// The settings from a file (the built-in ones where there is none) and what overrules it.
    pub fn load(config: Option<&Path>, data_dir: Option<PathBuf>, flags: Flags) -> Result<Settings, ConfigError> {
        let file = match config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        Settings::combine(file, data_dir, flags)
    }

    /// The directory of everything that is kept, for the commands that need nothing else.
    pub fn data_dir(config: Option<&Path>, data_dir: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
        let file = match (data_dir, config) {
            (Some(data_dir), _) => return Ok(data_dir),
            (None, Some(path)) => File::read(path)?,
            (None, None) => File::default(),
        };
        Ok(file.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()))
    }

    fn combine(file: File, data_dir: Option<PathBuf>, flags: Flags) -> Result<Settings, ConfigError> {
        let pick = |flag: Option<Listen>, set: Option<Listen>, default: &str| -> Result<Listen, ConfigError> {
            flag.or(set).map_or_else(|| default.parse().map_err(ConfigError::Invalid), Ok)
        };
        let or_else = |flags: Vec<String>, file: Vec<String>| if flags.is_empty() { file } else { flags };
        let mut domains = or_else(flags.domains, file.domains);
        if domains.is_empty() {
            domains.push(DEFAULT_DOMAIN.to_owned());
        }
        for domain in &mut domains {
            domain.make_ascii_lowercase();
            check_domain(domain)?;
        }
        let files = |certificate: Option<PathBuf>, key: Option<PathBuf>| {
            certificate.zip(key).map(|(certificate, key)| Tls::Files { certificate, key })
        };
        let tls = match (flags.tls, files(flags.tls_cert, flags.tls_key)) {
            (Some(mode), _) => mode.into(),
            (None, Some(files)) => files,
            (None, None) if file.tls.certificate.is_some() != file.tls.key.is_some() => {
                return Err(ConfigError::Invalid("[tls] needs both `certificate` and `key`".into()));
            }
            (None, None) => files(file.tls.certificate, file.tls.key).or(file.tls.mode.map(Tls::from)).unwrap_or(Tls::Off),
        };
        let allowed_origins = or_else(flags.allowed_origins, file.allowed_origins);
        let public_url = flags.public_url.or(file.public_url);
        for origin in allowed_origins.iter().chain(&public_url) {
            if !origin.starts_with("https://") && !origin.starts_with("http://") {
                return Err(ConfigError::Invalid(format!(
                    "`{origin}` is not an origin: write scheme and host, for example https://app.example.org"
                )));
            }
        }
        let unbelieved = file.peers.iter().find(|peer| peer.transport == PeerTransport::Tls && file.tls.peer_certificates.is_none());
        if let Some(peer) = unbelieved {
            let domain = &peer.domain;
            return Err(ConfigError::Invalid(format!(
                "the peer {domain} is reached over TLS: [tls] needs `peer_certificates`, or nobody could be believed"
            )));
        }
        file.push.check()?;
        Ok(Settings {
            data_dir: data_dir.or(file.data_dir).unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            domains,
            http: pick(flags.http, file.listen.http, "127.0.0.1:8080")?,
            sip: pick(flags.sip, file.listen.sip, "127.0.0.1:5060")?,
            sips: pick(flags.sips, file.listen.sips, "127.0.0.1:5061")?,
            msrp: pick(flags.msrp, file.listen.msrp, "127.0.0.1:2855")?,
            msrps: pick(flags.msrps, file.listen.msrps, "127.0.0.1:2856")?,
            webrtc: pick(flags.webrtc, file.listen.webrtc, "127.0.0.1:8444")?,
            rtp_ports: flags.rtp_ports.or(file.listen.rtp_ports).unwrap_or(Ports { first: 30000, last: 30999 }),
            admin: pick(flags.admin, file.listen.admin, "127.0.0.1:9091")?,
            tls,
            peer_certificates: file.tls.peer_certificates,
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            public_hosts: file.public_hosts,
            allowed_origins: allowed_origins.into_iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            trusted_proxies: file.trusted_proxies,
            limits: match flags.limits {
                Some(LimitsPreset::Off) => file.limits.without_rates(),
                Some(LimitsPreset::Default) | None => file.limits,
            },
            devices: file.devices,
            policy: file.policy.policy()?,
            store: file.store,
            log: flags.log.or(file.log.level).unwrap_or_else(|| "info".into()),
            log_format: flags.log_format.or(file.log.format).unwrap_or_default(),
            peers: file.peers,
            push: file.push,
            demo: flags.demo || file.demo,
            ready_fd: flags.ready_fd,
        })
    }
}

impl From<TlsMode> for Tls {
    fn from(mode: TlsMode) -> Tls {
        match mode {
            TlsMode::Off => Tls::Off,
            TlsMode::SelfSigned => Tls::SelfSigned,
        }
    }
}

/// A domain is a host name, never an address: requests within a dialog to an address of our own would come back to us for ever.
fn check_domain(domain: &str) -> Result<(), ConfigError> {
    let label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if domain.parse::<IpAddr>().is_ok() {
        return Err(ConfigError::Invalid(format!(
            "`{domain}` cannot be a domain of user addresses: take a name such as {DEFAULT_DOMAIN}, clients may still connect to the address"
        )));
    }
    if domain.len() > 253 || !domain.split('.').all(label) {
        return Err(ConfigError::Invalid(format!("`{domain}` is not a domain name")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combine(file: &str, flags: Flags) -> Result<Settings, ConfigError> {
        Settings::combine(toml::from_str(file).unwrap(), None, flags)
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let settings = combine("", Flags::default()).unwrap();
        assert_eq!(settings.http, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(settings.sip, "127.0.0.1:5060".parse().unwrap());
        assert_eq!(settings.sips, "127.0.0.1:5061".parse().unwrap());
        assert_eq!(settings.admin, "127.0.0.1:9091".parse().unwrap());
        assert_eq!(settings.domains, ["tandem.test"]);
        assert_eq!(settings.tls, Tls::Off);
    }

    #[test]
    fn the_example_says_what_holds_without_it() {
        let example = combine(EXAMPLE, Flags::default()).unwrap();
        let built_in = combine("", Flags::default()).unwrap();
        assert_eq!(format!("{example:?}"), format!("{built_in:?}"));
        let uncommented: String =
            EXAMPLE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).fold(String::new(), |text, line| text + line + "\n");
        combine(&uncommented, Flags::default()).unwrap();
    }

    #[test]
    fn a_flag_overrules_the_file() {
        let flags = Flags { http: Some(Listen::Off), domains: vec!["Rcs.Test".into()], ..Flags::default() };
        let settings = combine("domains = [\"a.test\"]\n[listen]\nhttp = \"127.0.0.1:1\"\nsip = \"127.0.0.1:2\"", flags).unwrap();
        assert_eq!(settings.http, Listen::Off);
        assert_eq!(settings.sip, "127.0.0.1:2".parse().unwrap());
        assert_eq!(settings.domains, ["rcs.test"]);
    }

    #[test]
    fn what_cannot_work_is_refused_in_words() {
        assert!(combine("domains = [\"127.0.0.1\"]", Flags::default()).unwrap_err().to_string().contains("cannot be a domain"));
        assert!(combine("domains = [\"a..b\"]", Flags::default()).is_err());
        assert!(combine("[tls]\ncertificate = \"x\"", Flags::default()).unwrap_err().to_string().contains("both"));
        let peer = "[[peer]]\ndomain = \"b.test\"\ntransport = \"tls\"\naddress = \"192.0.2.7:5061\"";
        assert!(combine(peer, Flags::default()).unwrap_err().to_string().contains("peer_certificates"));
        assert!(
            combine("[policy]\nbarred_destinations = [\"eve\"]", Flags::default()).unwrap_err().to_string().contains("`eve` is neither")
        );
        assert!(combine("[policy]\nprofiles_per_user = 0", Flags::default()).is_err());
        assert!(combine("allowed_origins = [\"example.org\"]", Flags::default()).is_err());
        assert!(toml::from_str::<File>("colour = \"red\"").is_err());
        assert!(toml::from_str::<File>("[listen]\nhttp = \"nowhere\"").is_err());
        assert!("5-2".parse::<Ports>().is_err());
    }
}
