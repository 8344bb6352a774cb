//! The world: sites (a node with its store), phones, the wires between them, and a clock that moves only when told.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use wasm_core::client::{self, Socket};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::cpm::preferences::Preferences;
use wasm_core::sip::digest::Ha1;
use wasm_core::wire::sip::Method;
use wasm_core::{Entropy, Text, Time};
use ws_gateway::devices::Devices;
use ws_gateway::msrp::{ConnectionId, Hub};
use ws_gateway::node::{Admission, Directory, FlowId, Input, Node, NodeConfig, Notice, Outlet, Peer, Rung, Transport};
use ws_gateway::store::{Account, DocumentKind, NewAccount, Secret, Sqlite, Store, StoredBinding, Unit, UserId, Write};

use crate::browser::Browser;
use crate::ladder::{self, Arrow, Flow};
use crate::phone::Phone;

mod edge;
mod msrp;

/// How long a message is on a wire, and how long the disk takes.
const WIRE: Duration = Duration::from_millis(10);
const DISK: Duration = Duration::from_millis(4);

/// A phone of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(usize);

/// How a phone is attached.
#[derive(Clone, Copy, Debug)]
enum Link {
    Udp { addr: SocketAddr },
    Flow { open: Option<FlowId> },
}

/// What a device is.
enum Kind {
    Phone(Box<Phone>),
    Browser(Box<Browser>),
}

struct Attached {
    kind: Kind,
    site: usize,
    link: Link,
    /// What is sent to or by a device that is unplugged is lost.
    plugged: bool,
    /// Of so many messages on its wire one is lost; and how many there were.
    loses: Option<u64>,
    carried: u64,
    /// What goes to it is lost: the responses, or else the requests.
    deaf: Option<bool>,
    /// How often the device has opened a connection: what belongs to an earlier one does not reach a later one.
    sockets: u64,
}

impl Attached {
    /// Whether the next message on the wire arrives.
    fn carries(&mut self) -> bool {
        self.carried += 1;
        self.plugged && self.loses.is_none_or(|every| !self.carried.is_multiple_of(every))
    }

    fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Phone(phone) => phone.name,
            Kind::Browser(browser) => browser.name,
        }
    }

    fn instance(&self) -> InstanceId {
        match &self.kind {
            Kind::Phone(phone) => InstanceId::parse(&Text::from(phone.instance.as_str())).unwrap(),
            Kind::Browser(browser) => browser.engine.profile().instance.clone(),
        }
    }

    fn phone(&self) -> &Phone {
        match &self.kind {
            Kind::Phone(phone) => phone,
            Kind::Browser(browser) => panic!("{} is a browser", browser.name),
        }
    }

    fn phone_mut(&mut self) -> &mut Phone {
        match &mut self.kind {
            Kind::Phone(phone) => phone,
            Kind::Browser(browser) => panic!("{} is a browser", browser.name),
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        match &self.kind {
            Kind::Phone(phone) => phone.next_timeout(),
            Kind::Browser(browser) => browser.engine.next_timeout(),
        }
    }

    fn timeout(&mut self, now: Time) {
        match &mut self.kind {
            Kind::Phone(phone) => phone.timeout(now),
            Kind::Browser(browser) => browser.handle(now, client::Input::Timeout),
        }
    }

    fn receive(&mut self, now: Time, bytes: &Bytes) {
        match &mut self.kind {
            Kind::Phone(phone) => phone.receive(now, bytes),
            Kind::Browser(browser) => browser.socket(now, Socket::Frame(bytes.clone())),
        }
    }

    /// The connection is gone, and the device notices.
    fn cut(&mut self, now: Time) {
        match &mut self.kind {
            Kind::Phone(phone) => phone.cut(now),
            Kind::Browser(browser) => browser.socket(now, Socket::Closed),
        }
    }

    fn busy(&self) -> Option<Time> {
        match &self.kind {
            Kind::Phone(phone) => phone.busy(),
            Kind::Browser(_) => None,
        }
    }
}

/// The accounts of a site, shared with its node.
#[derive(Clone, Default, Debug)]
pub struct Accounts(
    Arc<RwLock<HashMap<Address, Arc<Account>>>>,
    Arc<Devices>,
    Arc<RwLock<HashMap<UserId, Arc<Preferences>>>>,
    Arc<RwLock<HashMap<UserId, Vec<Outlet>>>>,
);

impl Directory for Accounts {
    fn account(&self, address: &Address) -> Option<Arc<Account>> {
        self.0.read().unwrap().get(address).cloned()
    }

    fn user(&self, user: UserId) -> Option<Arc<Account>> {
        self.0.read().unwrap().values().find(|account| account.user == user).cloned()
    }

    fn preferences(&self, user: UserId) -> Arc<Preferences> {
        self.2.read().unwrap().get(&user).cloned().unwrap_or_else(Preferences::usual)
    }

    fn outlets(&self, user: UserId) -> Vec<Outlet> {
        self.3.read().unwrap().get(&user).cloned().unwrap_or_default()
    }

    fn device(&self, user: UserId, instance: &InstanceId) -> Option<Arc<wasm_core::cpm::device::Device>> {
        self.1.get(user, instance)
    }

    fn admission(&self, user: UserId, instance: &InstanceId) -> Admission {
        self.1.admission(user, instance)
    }
}

struct Site {
    letter: char,
    node: Node<Accounts>,
    hub: Hub,
    config: NodeConfig,
    accounts: Accounts,
    store: Sqlite,
    addr: SocketAddr,
    next_flow: u64,
    /// Whether the disk answers.
    disk: bool,
    /// Whether the disk takes no more.
    full: bool,
    /// Whether the other sites cannot be reached.
    alone: bool,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test")]
enum Parcel {
    Site {
        site: usize,
        input: Input,
    },
    Device {
        device: usize,
        bytes: Bytes,
        flow: Option<FlowId>,
    },
    /// MSRP bytes for the gateway's end of a WebSocket; none when the other end is gone.
    ToHub {
        connection: ConnectionId,
        bytes: Option<Bytes>,
    },
    /// What the page's end of it hears.
    ToPage {
        connection: ConnectionId,
        socket: Socket,
    },
    /// Something that the page hears otherwise than over its socket.
    Page {
        device: usize,
        socket: Option<u64>,
        input: client::Input,
    },
}

pub struct World {
    pub now: Time,
    sites: Vec<Site>,
    phones: Vec<Attached>,
    carried: Vec<msrp::Carried>,
    wires: BinaryHeap<Reverse<(Time, u64)>>,
    parcels: HashMap<u64, Parcel>,
    sent: u64,
    arrows: Vec<Arrow>,
    pub changes: Vec<(UserId, u64)>,
    /// What devices were told out of band.
    pub notices: Vec<(UserId, Outlet, Arc<Notice>)>,
    /// The steps of messages, as their users may see them.
    pub rungs: Vec<Rung>,
    /// How long a response is on the wire between two sites.
    pub answers_take: Duration,
}

impl World {
    /// A site for each domain, each the others' peer.
    pub fn new(domains: &[&str]) -> World {
        World::with(domains, |_| {})
    }

    /// The same with other settings.
    pub fn with(domains: &[&str], settings: impl Fn(&mut NodeConfig)) -> World {
        let addr = |index: usize| SocketAddr::from(([10, 0, index as u8, 1], 5060));
        let sites = domains.iter().enumerate().map(|(index, domain)| {
            let mut config = NodeConfig::new(domain, &addr(index).ip().to_string(), [index as u8 + 1; 32]);
            config.steps = true;
            config.peers = domains
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(other, domain)| Peer { domain: Text::from(*domain), transport: Transport::Udp, addr: addr(other), any_port: false })
                .collect();
            settings(&mut config);
            let accounts = Accounts::default();
            let node = Node::new(config.clone(), accounts.clone(), Entropy::new([index as u8 + 100; 32]));
            Site {
                letter: (b'A' + index as u8) as char,
                node,
                hub: msrp::hub(index as u8 + 200),
                config,
                accounts,
                store: Sqlite::in_memory().unwrap(),
                addr: addr(index),
                next_flow: 0,
                disk: true,
                full: false,
                alone: false,
            }
        });
        let mut world = World {
            now: Time(1_800_000_000_000),
            sites: sites.collect(),
            phones: Vec::new(),
            carried: Vec::new(),
            wires: BinaryHeap::new(),
            parcels: HashMap::new(),
            sent: 0,
            arrows: Vec::new(),
            changes: Vec::new(),
            notices: Vec::new(),
            rungs: Vec::new(),
            answers_take: WIRE,
        };
        for site in 0..world.sites.len() {
            world.handle(site, Input::Restored { bindings: Vec::new(), waiting: Some(Vec::new()) });
        }
        world
    }

    // Setting up.

    /// A user of a site, with further addresses.
    pub fn user(&mut self, address: &str, more: &[&str]) -> Address {
        let address = Address::parse(address).unwrap();
        let domain = address.domain().unwrap().to_owned();
        let site = self.sites.iter_mut().find(|site| site.config.domains[0] == *domain).expect("a site for the domain");
        let mut addresses = vec![address.clone()];
        addresses.extend(more.iter().map(|more| Address::parse(more).unwrap()));
        let secret = Secret {
            username: Text::from(address.user()),
            realm: Text::from(domain.as_str()),
            ha1: Ha1::new(address.user(), &domain, &password(&address)),
        };
        let account = NewAccount { addresses, display_name: Text::from(address.user()), secrets: vec![secret] };
        site.store.commit(vec![Write::AddAccount(account).into()]).remove(0).unwrap();
        let accounts = site.store.accounts().unwrap();
        let all = accounts.into_iter().map(Arc::new);
        *site.accounts.0.write().unwrap() =
            all.flat_map(|account| account.addresses.clone().into_iter().map(move |address| (address, account.clone()))).collect();
        address
    }

    /// A device of a user on a WebSocket, connected.
    pub fn device(&mut self, name: &'static str, address: &Address) -> Device {
        let device = self.attach(name, address, None);
        self.connect(device);
        device
    }

    /// A phone of a user on UDP.
    pub fn phone(&mut self, name: &'static str, address: &Address) -> Device {
        let addr = SocketAddr::from(([10, 1, self.phones.len() as u8, 2], 5060));
        self.attach(name, address, Some(addr))
    }

    fn attach(&mut self, name: &'static str, address: &Address, udp: Option<SocketAddr>) -> Device {
        let index = self.phones.len();
        let phone = Phone::new(name, address, &password(address), index as u8 + 1, udp);
        let site = self.sites.iter().position(|site| Some(site.config.domains[0].as_str()) == address.domain()).unwrap();
        let link = udp.map_or(Link::Flow { open: None }, |addr| Link::Udp { addr });
        self.phones.push(Attached {
            kind: Kind::Phone(Box::new(phone)),
            site,
            link,
            plugged: true,
            loses: None,
            deaf: None,
            carried: 0,
            sockets: 0,
        });
        Device(index)
    }

    /// A browser of a user who is signed in, with the page open.
    pub fn browser(&mut self, name: &'static str, address: &Address) -> Device {
        let index = self.phones.len();
        let mut entropy = Entropy::new([index as u8 + 50; 32]);
        let profile = client::Profile {
            address: address.clone(),
            addresses: vec![address.clone()],
            display_name: Text::from(address.user()),
            domain: Text::from(address.domain().unwrap()),
            instance: InstanceId::new(&mut entropy),
            device_name: Text::from(name),
            is_secure: false,
            secret: None,
        };
        let mut browser = Browser::new(name, profile, index as u8 + 1);
        browser.open(self.now);
        let site = self.sites.iter().position(|site| Some(site.config.domains[0].as_str()) == address.domain()).unwrap();
        let link = Link::Flow { open: None };
        self.phones.push(Attached {
            kind: Kind::Browser(Box::new(browser)),
            site,
            link,
            plugged: true,
            loses: None,
            deaf: None,
            carried: 0,
            sockets: 0,
        });
        self.post(index);
        Device(index)
    }

    /// Lets a browser do something now.
    pub fn page<T>(&mut self, device: Device, act: impl FnOnce(&mut Browser, Time) -> T) -> T {
        let now = self.now;
        let Kind::Browser(browser) = &mut self.phones[device.0].kind else { panic!("not a browser") };
        let result = act(browser, now);
        self.post(device.0);
        result
    }

    pub fn look(&self, device: Device) -> &Browser {
        match &self.phones[device.0].kind {
            Kind::Browser(browser) => browser,
            Kind::Phone(phone) => panic!("{} is a phone", phone.name),
        }
    }

    /// A user prefers something from now on.
    pub fn prefers(&mut self, address: &Address, preferences: Preferences) {
        let user = self.user_id(address);
        self.site_of(address).accounts.2.write().unwrap().insert(user, Arc::new(preferences));
    }

    /// A user's devices can be told of messages out of band from now on: so.
    pub fn outlets(&mut self, address: &Address, outlets: &[Outlet]) {
        let user = self.user_id(address);
        self.site_of(address).accounts.3.write().unwrap().insert(user, outlets.to_vec());
    }

    /// What devices were told out of band since this was last asked: on which outlet, of what text.
    pub fn told(&mut self) -> Vec<(Outlet, String)> {
        let told = std::mem::take(&mut self.notices).into_iter();
        told.map(|(_, outlet, notice)| (outlet, notice.text.as_deref().unwrap_or_default().to_owned())).collect()
    }

    /// The page is loaded anew. Its connection breaks.
    pub fn reload(&mut self, device: Device) {
        self.drop_flow(device);
        self.cut_wires_of(device.0);
        self.page(device, Browser::reload);
    }

    /// Opens the device's connection, not signed in by anything.
    pub fn connect(&mut self, device: Device) {
        self.connect_as(device, None);
    }

    /// Opens the device's connection, signed in by a session's cookie.
    pub fn connect_as(&mut self, device: Device, user: Option<UserId>) {
        let attached = &mut self.phones[device.0];
        let user = user.map(|user| (user, attached.instance()));
        let site = &mut self.sites[attached.site];
        site.next_flow += 1;
        let flow = FlowId(site.next_flow);
        attached.link = Link::Flow { open: Some(flow) };
        attached.plugged = true;
        let remote = SocketAddr::from(([10, 2, device.0 as u8, 2], 40_000 + site.next_flow as u16));
        let site = attached.site;
        self.handle(site, Input::Opened { flow, transport: Transport::Ws, remote, user });
    }

    /// Closes the device's connection; both ends notice.
    pub fn disconnect(&mut self, device: Device) {
        let now = self.now;
        self.drop_flow(device);
        self.cut_wires_of(device.0);
        self.phones[device.0].cut(now);
        self.post(device.0);
    }

    fn drop_flow(&mut self, device: Device) {
        let attached = &mut self.phones[device.0];
        if let Link::Flow { open } = &mut attached.link
            && let Some(flow) = open.take()
        {
            let site = attached.site;
            self.handle(site, Input::Closed { flow });
        }
    }

    /// The device's wire is cut, and nobody notices.
    pub fn unplug(&mut self, device: Device) {
        self.phones[device.0].plugged = false;
    }

    pub fn plug(&mut self, device: Device) {
        self.phones[device.0].plugged = true;
    }

    /// Of so many messages to or from the device one is lost.
    pub fn lossy(&mut self, device: Device, every: u64) {
        self.phones[device.0].loses = Some(every);
    }

    /// Responses to a device are lost (`Some(true)`), or requests (`Some(false)`), or neither.
    pub fn deafen(&mut self, device: Device, deaf: Option<bool>) {
        self.phones[device.0].deaf = deaf;
    }

    /// The disk of a site is full, or has room again.
    pub fn full(&mut self, site: usize, full: bool) {
        self.sites[site].full = full;
    }

    /// The disk of a site stops answering, or answers again.
    pub fn disk(&mut self, site: usize, works: bool) {
        self.sites[site].disk = works;
    }

    /// What goes to the other sites or comes from them is lost, or arrives again.
    pub fn alone(&mut self, site: usize, alone: bool) {
        self.sites[site].alone = alone;
    }

    /// The node of a site is killed and started anew on the same store. Connections break.
    pub fn restart(&mut self, site: usize) {
        let lost: Vec<Device> = (0..self.phones.len()).filter(|&index| self.phones[index].site == site).map(Device).collect();
        let now = self.now;
        for device in lost {
            let attached = &mut self.phones[device.0];
            if let Link::Flow { open } = &mut attached.link {
                *open = None;
                attached.cut(now);
            }
            self.post(device.0);
        }
        self.cut_wires(|one| one.site == site);
        self.sites[site].hub = msrp::hub(self.sent as u8);
        self.parcels.retain(|_, parcel| !matches!(parcel, Parcel::Site { site: to, .. } if *to == site));
        let site_ref = &mut self.sites[site];
        let seed = [site_ref.next_flow as u8; 32];
        let known = site_ref.store.all_documents(DocumentKind::Device).unwrap();
        site_ref.accounts.1 = Arc::new(Devices::new(site_ref.accounts.1.policy(), known));
        site_ref.node = Node::new(site_ref.config.clone(), site_ref.accounts.clone(), Entropy::new(seed));
        let (bindings, waiting) = (site_ref.store.all_bindings().unwrap(), site_ref.store.waiting().unwrap());
        self.handle(site, Input::Restored { bindings, waiting: Some(waiting) });
    }

    // Acting.

    /// Lets a phone do something now.
    pub fn act<T>(&mut self, device: Device, act: impl FnOnce(&mut Phone, Time) -> T) -> T {
        let now = self.now;
        let result = act(self.phones[device.0].phone_mut(), now);
        self.post(device.0);
        result
    }

    /// Lets phones register one after the other, and forgets the arrows so far.
    pub fn online(&mut self, devices: &[Device]) {
        for &device in devices {
            self.act(device, |phone, now| phone.register(now, 600));
            self.settle();
            assert_eq!(self.see(device).outcomes(&Method::Register).last(), Some(&200), "{} registers", self.see(device).name);
        }
        self.forget();
    }

    pub fn instance(&self, device: Device) -> InstanceId {
        self.phones[device.0].instance()
    }

    pub fn see(&self, device: Device) -> &Phone {
        self.phones[device.0].phone()
    }

    pub fn change(&mut self, device: Device, change: impl FnOnce(&mut Phone)) {
        change(self.phones[device.0].phone_mut());
    }

    /// The user's box.
    pub fn history(&self, address: &Address, with: &Address) -> Vec<wasm_core::cpm::history::Object> {
        let site = self.site_of(address);
        let user = site.accounts.account(address).unwrap().user;
        site.store.messages(user, with, None, 1000).unwrap().objects
    }

    /// What waits for a user.
    pub fn waiting(&self, address: &Address) -> usize {
        let site = self.site_of(address);
        let user = site.accounts.account(address).unwrap().user;
        site.store.pending(user, None, 1000).unwrap().len()
    }

    /// The bindings that the store keeps of a user.
    pub fn kept(&self, address: &Address) -> Vec<StoredBinding> {
        let site = self.site_of(address);
        site.store.bindings(site.accounts.account(address).unwrap().user).unwrap()
    }

    /// What waits at a site for its peers.
    pub fn waiting_for_peers(&self, site: usize) -> usize {
        self.sites[site].store.pending(UserId::PEERS, None, 1000).unwrap().len()
    }

    pub fn user_id(&self, address: &Address) -> UserId {
        self.site_of(address).accounts.account(address).unwrap().user
    }

    pub fn bindings(&self, site: usize) -> usize {
        self.sites[site].node.bindings()
    }

    fn site_of(&self, address: &Address) -> &Site {
        self.sites.iter().find(|site| site.accounts.account(address).is_some()).unwrap()
    }

    /// The devices of a site's users.
    pub fn devices(&self, address: &Address) -> &Devices {
        &self.site_of(address).accounts.1
    }

    /// A user signs one of their devices out, as the edge does it.
    pub fn sign_out(&mut self, address: &Address, instance: &InstanceId) {
        let user = self.user_id(address);
        let site = self.sites.iter().position(|site| site.accounts.account(address).is_some()).unwrap();
        let plan = self.sites[site].accounts.1.dismiss(user, instance).unwrap();
        self.sites[site].store.commit(vec![Unit(plan.writes())]).remove(0).unwrap();
        self.sites[site].accounts.1.done(plan);
        self.handle(site, Input::SignedOut { user, instance: instance.clone() });
    }

    /// Puts an input to a node, as its edge would.
    pub fn inject(&mut self, site: usize, input: Input) {
        self.handle(site, input);
    }

    // The ladder.

    pub fn forget(&mut self) {
        self.arrows.clear();
    }

    pub fn ladder(&self, flow: &Flow) {
        ladder::check(flow, &self.arrows);
    }

    /// Leaves out what came from the first arrow of one name on until the first of another: of another flow.
    pub fn skip(&mut self, from: &str, until: &str) {
        let end = self.arrows.iter().position(|arrow| arrow.what == until).expect(until);
        let start = self.arrows[..end].iter().position(|arrow| arrow.what == from).expect(from);
        self.arrows.drain(start..end);
    }

    pub fn arrows(&self) -> &[Arrow] {
        &self.arrows
    }

    // Time.

    /// Lets everything that is on a wire arrive, and what follows from it.
    pub fn settle(&mut self) {
        loop {
            let wire = self.wires.peek().map(|Reverse((at, _))| *at);
            let busy = self.phones.iter().filter_map(Attached::busy).min();
            let Some(next) = wire.into_iter().chain(busy).min() else { return };
            self.run_until(next);
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        self.run_until(until);
        self.now = until;
    }

    fn run_until(&mut self, until: Time) {
        loop {
            let wire = self.wires.peek().map(|Reverse((at, _))| *at);
            let nodes = self.sites.iter().filter_map(|site| site.node.next_timeout());
            let phones = self.phones.iter().filter_map(Attached::next_timeout);
            let hubs = self.sites.iter().filter_map(|site| site.hub.next_timeout());
            let wires = self.carried.iter().filter_map(msrp::Carried::next_timeout);
            let timer = nodes.chain(phones).chain(hubs).chain(wires).min();
            let Some(next) = wire.into_iter().chain(timer).min().filter(|next| *next <= until) else { return };
            self.now = self.now.max(next);
            if wire.is_some_and(|wire| wire <= self.now)
                && let Some(Reverse((_, number))) = self.wires.pop()
            {
                if let Some(parcel) = self.parcels.remove(&number) {
                    self.arrive(parcel);
                }
                continue;
            }
            for site in 0..self.sites.len() {
                if self.sites[site].node.next_timeout().is_some_and(|at| at <= self.now) {
                    self.handle(site, Input::Timeout);
                }
            }
            self.msrp_timeouts();
            for device in 0..self.phones.len() {
                if self.phones[device].next_timeout().is_some_and(|at| at <= self.now) {
                    let now = self.now;
                    self.phones[device].timeout(now);
                    self.post(device);
                }
            }
        }
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Site { site, input } => self.handle(site, input),
            Parcel::Device { device, bytes, flow } => {
                let attached = &mut self.phones[device];
                let same = match attached.link {
                    Link::Udp { .. } => true,
                    Link::Flow { open } => open == flow,
                };
                if attached.carries() && same {
                    let now = self.now;
                    attached.receive(now, &bytes);
                    self.post(device);
                }
            }
            Parcel::ToHub { connection, bytes } => self.at_hub(connection, bytes),
            Parcel::ToPage { connection, socket } => self.at_page(connection, socket),
            Parcel::Page { device, socket, input } => {
                let attached = &self.phones[device];
                if socket.is_none_or(|socket| socket == attached.sockets) {
                    self.page(Device(device), |browser, now| browser.handle(now, input));
                }
            }
        }
    }

    fn wire(&mut self, delay: Duration, parcel: Parcel) {
        self.sent += 1;
        self.wires.push(Reverse((self.now + delay, self.sent)));
        self.parcels.insert(self.sent, parcel);
    }

    fn handle(&mut self, site: usize, input: Input) {
        self.sites[site].node.handle(self.now, input);
        while let Some(output) = self.sites[site].node.poll() {
            self.perform(site, output);
        }
    }
}

pub fn password(address: &Address) -> String {
    format!("secret of {}", address.user())
}
