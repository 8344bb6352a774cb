//! The settings file: what it may say, and the documented example.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::policy::PolicyTable;
use super::{ConfigError, Keeping, Limits, Listen, LogFormat, Ports, Push, TlsMode};
use crate::devices;

/// A settings file with every setting at its built-in value. Lines that begin with `#: ` are settings without a built-in value.
pub const EXAMPLE: &str = include_str!("example.toml");

/// What a settings file may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    pub data_dir: Option<PathBuf>,
    pub domains: Vec<String>,
    pub public_url: Option<String>,
    pub public_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<IpAddr>,
    pub demo: bool,
    pub listen: Listeners,
    pub tls: TlsTable,
    pub log: LogTable,
    pub limits: Limits,
    pub devices: devices::Policy,
    pub policy: PolicyTable,
    pub store: Keeping,
    pub push: Push,
    #[serde(rename = "peer")]
    pub peers: Vec<Peer>,
}

/// The table `[listen]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listeners {
    pub http: Option<Listen>,
    pub sip: Option<Listen>,
    pub sips: Option<Listen>,
    pub msrp: Option<Listen>,
    pub msrps: Option<Listen>,
    pub webrtc: Option<Listen>,
    pub rtp_ports: Option<Ports>,
    pub admin: Option<Listen>,
}

/// The table `[tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsTable {
    pub mode: Option<TlsMode>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub peer_certificates: Option<PathBuf>,
}

/// The table `[log]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogTable {
    pub level: Option<String>,
    pub format: Option<LogFormat>,
}

/// A table `[[peer]]`: where requests for another domain go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    pub domain: String,
    pub transport: PeerTransport,
    pub address: SocketAddr,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerTransport {
    Udp,
    Tcp,
    Tls,
}

impl File {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<File, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Malformed { path: path.into(), source: Box::new(source) })
    }
}
