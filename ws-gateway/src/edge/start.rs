//! From settings to a running gateway, and from a signal to its end.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use wasm_core::wire::sip::Limits as SipLimits;
use wasm_core::{Entropy, Text};

use super::clock::Clock;
use super::directory::Accounts;
use super::driver::{Driver, QUEUE};
use super::limits::Addresses;
use super::push::{self, Push};
use super::ready::Bound;
use super::xcap::access::Digest;
use super::{Gateway, admin, devices, events, history, http, linking, msrp, seed, session, sip, tls, trails};
use crate::accounts::{self, NewUser};
use crate::config::{Listen, PeerTransport, Settings, Tls};
use crate::devices::Devices;
use crate::msrp::{Place, Places};
use crate::node::{Input, Node, NodeConfig, NodeLimits, Peer, Ports, Transport};
use crate::store::{self, DocumentKind, Sqlite, Store, StoreError, Write, Writer};

/// How long the node may take to finish what is under way when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// The demo users: name, further address, password.
const DEMO: [(&str, &str, &str); 3] =
    [("alice", "+15550100", "alice-demo"), ("bob", "+15550101", "bob-demo"), ("carol", "+15550102", "carol-demo")];

/// Why a gateway does not start, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} for {name}: {source}. {advice}")]
    Listen { name: &'static str, address: SocketAddr, source: std::io::Error, advice: &'static str },
    #[error("{0} is in use by another gateway: stop that one, or choose another data directory with --data-dir")]
    Locked(PathBuf),
    #[error("the data directory {path} cannot be used: {source}")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("the store in {path} cannot be opened: {source}")]
    Store { path: PathBuf, source: StoreError },
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("the demo users cannot be created: {0}")]
    Demo(#[from] accounts::AccountError),
    #[error("the operating system gives no random bytes: {0}")]
    NoEntropy(String),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// The exit status of the process.
    pub fn status(&self) -> u8 {
        match self {
            StartError::Listen { .. } => 3,
            StartError::Locked(_) => 4,
            StartError::Tls(_) => 2,
            StartError::DataDir { .. } | StartError::Store { .. } | StartError::Demo(_) | StartError::NoEntropy(_) | StartError::Io(_) => 1,
        }
    }
}

/// Runs a gateway until a signal ends it.
pub async fn serve(settings: Settings) -> Result<(), StartError> {
    let metrics = admin::start_metrics();
    let _lock = lock(&settings.data_dir)?;
    let store_error = |source| StartError::Store { path: settings.data_dir.clone(), source };
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&settings.data_dir).map_err(store_error)?);
    let seeded = if settings.demo { seed_demo(&*store, &settings)? } else { false };
    let secret = store.secret("node", seed()?).map_err(store_error)?;
    let (push, notices) = Push::open(&settings, &*store)?;
    let digest_key = store.secret("http", seed()?).map_err(store_error)?;
    let known = store.all_documents(DocumentKind::Device).map_err(store_error)?;
    let devices = Arc::new(Devices::new(settings.devices, known));
    let accounts = Accounts::load(Arc::clone(&store), Arc::clone(&devices), push.subscriptions.clone()).map_err(store_error)?;
    let bindings = store.all_bindings().map_err(store_error)?;
    let waiting = store.waiting().map_err(store_error)?;
    let writer = Writer::start(Arc::clone(&store), store::Limits::default())?;

    let mut bound = Bound::default();
    let web = bind("http", settings.http, &mut bound).await?;
    let (udp, tcp) = match settings.sip {
        Listen::At(address) => {
            let (udp, tcp) = sip_sockets(address).await?;
            bound.add("sip", tcp.local_addr()?);
            (Some(udp), Some(tcp))
        }
        Listen::Off => (None, None),
    };
    let sips = bind("sips", settings.sips, &mut bound).await?;
    let msrp_tcp = bind("msrp", settings.msrp, &mut bound).await?;
    let msrp_tls = bind("msrps", settings.msrps, &mut bound).await?;
    let control = bind("admin", settings.admin, &mut bound).await?;
    let tls_acceptor = if sips.is_some() || msrp_tls.is_some() { Some(tls::acceptor(&settings, &[])?) } else { None };
    let web_acceptor = if settings.tls == Tls::Off { None } else { Some(tls::acceptor(&settings, &[b"http/1.1"])?) };

    let connector = tls::connector(&settings)?;
    let (arrivals, arrived) = mpsc::channel(QUEUE);
    let limits = settings.limits;
    let (clock, stopping) = (Clock::start(), watch::Sender::new(false));
    let wires = msrp::Wires::new(&limits, Entropy::new(seed()?), clock, stopping.subscribe(), connector.clone(), arrivals.clone());
    let gateway = Arc::new(Gateway {
        store,
        writer,
        accounts: accounts.clone(),
        devices,
        planning: tokio::sync::Mutex::default(),
        links: linking::Requests::default(),
        addresses: Addresses::new(limits),
        events: events::Events::default(),
        failures: session::Failures::default(),
        push,
        wires,
        trails: trails::Trails::default(),
        digest: Digest::new(settings.domains.first().map_or("", String::as_str), digest_key),
        clock,
        sip_limits: SipLimits { message: limits.message_bytes, body: limits.message_bytes, ..SipLimits::default() },
        stopping,
        connector,
        warnings: warnings(&settings, &bound),
        arrivals,
        flows: AtomicU64::new(1),
        settings,
    });
    let directory = tokio::spawn(accounts.clone().follow());
    let mut node = Node::new(node_config(&gateway.settings, &bound, secret), accounts, Entropy::new(seed()?));
    node.handle(gateway.clock.now(), Input::Restored { bindings, waiting: Some(waiting) });
    let driver = Driver::new(Arc::clone(&gateway), node, udp, arrived);
    let (stop_driver, driver_stops) = watch::channel(false);
    let driver = tokio::spawn(driver.run(driver_stops, DRAIN));

    if let Some(listener) = tcp {
        tokio::spawn(sip::listen(Arc::clone(&gateway), listener, None));
    }
    if let Some(listener) = sips {
        tokio::spawn(sip::listen(Arc::clone(&gateway), listener, tls_acceptor.clone()));
    }
    if let Some(listener) = msrp_tcp {
        tokio::spawn(msrp::listen(gateway.wires.clone(), gateway.addresses.clone(), listener, None));
    }
    if let Some(listener) = msrp_tls {
        tokio::spawn(msrp::listen(gateway.wires.clone(), gateway.addresses.clone(), listener, tls_acceptor));
    }
    tokio::spawn(msrp::expire(gateway.wires.clone()));
    if let Some(listener) = web {
        tokio::spawn(http::listen(Arc::clone(&gateway), listener, web_acceptor));
    }
    if let Some(listener) = control {
        tokio::spawn(admin::listen(Arc::clone(&gateway), listener, metrics));
    }
    tokio::spawn(push::run(Arc::clone(&gateway), notices));
    let housekeeping = tokio::spawn(sweep(Arc::clone(&gateway)));
    let keeping = tokio::spawn(history::housekeeping::run(Arc::clone(&gateway)));
    let trails = tokio::spawn(trails::run(Arc::clone(&gateway)));
    gateway.warnings.iter().for_each(|words| tracing::warn!("{words}"));
    if gateway.settings.demo {
        print_demo(seeded, &gateway.settings, &bound);
    }
    bound.announce(gateway.settings.ready_fd);

    wait_for_signal().await?;
    tracing::info!("stopping: finishing what is under way");
    gateway.stopping.send_replace(true);
    let _ = stop_driver.send(true);
    tokio::select! {
        // A driver that panicked has nothing left to finish.
        _ = driver => {}
        () = second_signal() => tracing::warn!("stopping at once"),
    }
    housekeeping.abort();
    keeping.abort();
    trails.abort();
    gateway.trails.write(&gateway, usize::MAX);
    devices::remember(&gateway, true);
    directory.abort();
    // Connections say good-bye while the store writes what waits.
    let writer = gateway.writer.clone();
    let closed = tokio::task::spawn_blocking(move || writer.close());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _ = closed.await;
    tracing::info!("stopped");
    Ok(())
}

/// Makes the data directory and keeps other gateways out of it while the file is open.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let unusable = |source| StartError::DataDir { path: data_dir.to_owned(), source };
    std::fs::create_dir_all(data_dir).map_err(unusable)?;
    let file = File::create(data_dir.join("gateway.lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::Locked(data_dir.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn cannot_listen(name: &'static str, address: SocketAddr, source: std::io::Error) -> StartError {
    let advice = match source.kind() {
        std::io::ErrorKind::AddrInUse => "Another program has it: stop that one, or choose another port",
        std::io::ErrorKind::PermissionDenied => "Ports below 1024 need a privilege: choose a higher one",
        std::io::ErrorKind::AddrNotAvailable => "This machine has no such address",
        _ => "Choose another address",
    };
    StartError::Listen { name, address, source, advice }
}

async fn bind(name: &'static str, listen: Listen, bound: &mut Bound) -> Result<Option<TcpListener>, StartError> {
    let Listen::At(address) = listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|source| cannot_listen(name, address, source))?;
    bound.add(name, listener.local_addr()?);
    Ok(Some(listener))
}

/// UDP and TCP on one port; where any port will do, one that is free for both.
async fn sip_sockets(address: SocketAddr) -> Result<(UdpSocket, TcpListener), StartError> {
    let mut attempts = if address.port() == 0 { 20 } else { 1 };
    loop {
        attempts -= 1;
        let tcp = TcpListener::bind(address).await.map_err(|source| cannot_listen("SIP over TCP", address, source))?;
        let taken = tcp.local_addr()?;
        match UdpSocket::bind(taken).await {
            Ok(udp) => {
                // Bursts wait in the system's buffers; it may grant less than is asked for.
                let socket = socket2::SockRef::from(&udp);
                let _ = socket.set_recv_buffer_size(4 << 20);
                let _ = socket.set_send_buffer_size(4 << 20);
                return Ok((udp, tcp));
            }
            Err(source) if attempts == 0 => return Err(cannot_listen("SIP over UDP", taken, source)),
            Err(_) => {}
        }
    }
}

fn node_config(settings: &Settings, bound: &Bound, secret: [u8; 32]) -> NodeConfig {
    let sip = bound.of("sip").or(bound.of("sips")).or(bound.of("http"));
    let host = match (settings.public_hosts.first(), sip) {
        (Some(name), _) => name.clone(),
        (None, Some(address)) if !address.ip().is_unspecified() => match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        },
        _ => settings.domains.first().cloned().unwrap_or_default(),
    };
    let port = |name| bound.of(name).map(|address| address.port());
    let mut config = NodeConfig::new("", &host, secret);
    // A proxy adds TLS for browsers where the public address says so.
    let secure = settings.tls != Tls::Off || settings.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    let place = |name, secure| port(name).and_then(|port| Place::new(secure, &host, port));
    config.msrp = Places { websocket: place("http", secure), tcp: place("msrp", false), tls: place("msrps", true) };
    config.domains = settings.domains.iter().map(|domain| Text::from(domain.as_str())).collect();
    config.aliases =
        settings.public_hosts.iter().cloned().chain(bound.0.iter().map(|(_, address)| address.ip().to_string())).map(Text::from).collect();
    config.aliases.push(Text::from("localhost"));
    config.ports =
        Ports { sip: port("sip").unwrap_or(5060), sips: port("sips").unwrap_or(5061), others: port("http").into_iter().collect() };
    config.peers = settings
        .peers
        .iter()
        .map(|peer| Peer {
            domain: Text::from(peer.domain.as_str()),
            transport: match peer.transport {
                PeerTransport::Udp => Transport::Udp,
                PeerTransport::Tcp => Transport::Tcp,
                PeerTransport::Tls => Transport::Tls,
            },
            addr: peer.address,
            any_port: !peer.address.ip().is_loopback(),
        })
        .collect();
    config.policy = settings.policy.clone();
    config.limits =
        NodeLimits { bindings_per_user: settings.limits.bindings_per_user, body: settings.limits.message_bytes, ..NodeLimits::default() };
    config
}

/// Creates those demo users that are not there. True when there was one to create.
fn seed_demo(store: &dyn Store, settings: &Settings) -> Result<bool, StartError> {
    let domain = settings.domains.first().map_or(crate::config::DEFAULT_DOMAIN, String::as_str);
    let mut created = false;
    for (name, number, password) in DEMO {
        let address = format!("sip:{name}@{domain}");
        let mut initial = name[..1].to_uppercase();
        initial.push_str(&name[1..]);
        let user = NewUser { address, password: password.into(), others: vec![number.into()], name: initial };
        match accounts::add(store, &user) {
            Ok(_) => created = true,
            Err(accounts::AccountError::Store(StoreError::AddressTaken(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(created)
}

fn print_demo(created: bool, settings: &Settings, bound: &Bound) {
    if let Some(address) = bound.of("http") {
        let scheme = if settings.tls == Tls::Off { "http" } else { "https" };
        println!("Web app: {}", settings.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}/")));
    }
    println!("Demo users{}:", if created { "" } else { " (the passwords may have been changed since)" });
    for (name, number, password) in DEMO {
        println!("  {name:<6} {number}   password {password}");
    }
    if let Some(address) = bound.of("sip") {
        println!("SIP phones: outbound proxy {address} (UDP or TCP)");
    }
}

/// What is asked for but not safe.
fn warnings(settings: &Settings, bound: &Bound) -> Vec<&'static str> {
    let open = |name: &str| bound.of(name).is_some_and(|address| !address.ip().is_loopback());
    let plain_web = open("http") && settings.tls == Tls::Off && settings.public_url.as_ref().is_none_or(|url| !url.starts_with("https://"));
    let all = [
        (plain_web, "the web app is served without TLS beyond this machine: set --tls, or --public-url when a proxy adds it"),
        (open("sip"), "SIP over UDP and TCP is not encrypted and open beyond this machine: let phones use --sips, and keep --sip private"),
        (open("msrp"), "MSRP over TCP is not encrypted and open beyond this machine: let devices use --msrps, and keep --msrp private"),
        (open("admin"), "metrics are served beyond this machine: they are meant to be private"),
        (settings.demo && ["http", "sip", "sips"].into_iter().any(open), "the demo users' passwords are known to everybody"),
    ];
    all.into_iter().filter_map(|(holds, words)| holds.then_some(words)).collect()
}

/// Forgets ended sessions and bindings now and then.
async fn sweep(gateway: Arc<Gateway>) {
    let mut interval = tokio::time::interval(Duration::from_secs(600));
    loop {
        interval.tick().await;
        let now = gateway.clock.now();
        gateway.writer.submit(Write::Sweep { now }.into(), |result| {
            if let Err(error) = result {
                tracing::error!(%error, "cannot forget what has ended");
            }
        });
        devices::remember(&gateway, false);
    }
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn second_signal() {
    if wait_for_signal().await.is_err() {
        std::future::pending().await
    }
}
