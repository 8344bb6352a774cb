//! The world: sites (a node with its store), phones, the wires between them, and a clock that moves only when told.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use wasm_core::client::{self, Socket};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::history::SeenUpTo;
use wasm_core::cpm::ids::InstanceId;
use wasm_core::sip::digest::Ha1;
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::sip::{ContentType, Limits, Message, Method};
use wasm_core::{Entropy, Text, Time};
use ws_gateway::node::{Directory, FlowId, Function, Hop, Input, Loaded, Node, NodeConfig, Output, Peer, Query, Transport};
use ws_gateway::store::{Account, Entry, NewAccount, Secret, Sqlite, Store, UserId, Write};

use crate::browser::{Browser, Want};
use crate::ladder::{self, Arrow, Flow};
use crate::phone::Phone;

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
pub struct Accounts(Arc<RwLock<HashMap<Address, Arc<Account>>>>);

impl Directory for Accounts {
    fn account(&self, address: &Address) -> Option<Arc<Account>> {
        self.0.read().unwrap().get(address).cloned()
    }

    fn user(&self, user: UserId) -> Option<Arc<Account>> {
        self.0.read().unwrap().values().find(|account| account.user == user).cloned()
    }
}

struct Site {
    letter: char,
    node: Node<Accounts>,
    config: NodeConfig,
    accounts: Accounts,
    store: Sqlite,
    addr: SocketAddr,
    next_flow: u64,
    /// Whether the disk answers.
    disk: bool,
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
    wires: BinaryHeap<Reverse<(Time, u64)>>,
    parcels: HashMap<u64, Parcel>,
    sent: u64,
    arrows: Vec<Arrow>,
    pub changes: Vec<(UserId, u64)>,
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
                config,
                accounts,
                store: Sqlite::in_memory().unwrap(),
                addr: addr(index),
                next_flow: 0,
                disk: true,
            }
        });
        let mut world = World {
            now: Time(1_800_000_000_000),
            sites: sites.collect(),
            phones: Vec::new(),
            wires: BinaryHeap::new(),
            parcels: HashMap::new(),
            sent: 0,
            arrows: Vec::new(),
            changes: Vec::new(),
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
        self.phones.push(Attached { kind: Kind::Phone(Box::new(phone)), site, link, plugged: true, loses: None, carried: 0, sockets: 0 });
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

    /// The page is loaded anew. Its connection breaks.
    pub fn reload(&mut self, device: Device) {
        self.drop_flow(device);
        self.page(device, Browser::reload);
    }

    /// Opens the device's connection, not signed in by anything.
    pub fn connect(&mut self, device: Device) {
        self.connect_as(device, None);
    }

    /// Opens the device's connection, signed in by a session's cookie.
    pub fn connect_as(&mut self, device: Device, user: Option<UserId>) {
        let attached = &mut self.phones[device.0];
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

    /// The disk of a site stops answering, or answers again.
    pub fn disk(&mut self, site: usize, works: bool) {
        self.sites[site].disk = works;
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
        self.parcels.retain(|_, parcel| !matches!(parcel, Parcel::Site { site: to, .. } if *to == site));
        let site_ref = &mut self.sites[site];
        let seed = [site_ref.next_flow as u8; 32];
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

    pub fn user_id(&self, address: &Address) -> UserId {
        self.site_of(address).accounts.account(address).unwrap().user
    }

    pub fn bindings(&self, site: usize) -> usize {
        self.sites[site].node.bindings()
    }

    fn site_of(&self, address: &Address) -> &Site {
        self.sites.iter().find(|site| site.accounts.account(address).is_some()).unwrap()
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
            let timer = nodes.chain(phones).min();
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

    /// Does what a device wants done.
    fn post(&mut self, device: usize) {
        match &mut self.phones[device].kind {
            Kind::Phone(phone) => {
                for bytes in phone.take() {
                    self.transmit(device, &bytes);
                }
            }
            Kind::Browser(browser) => {
                for want in browser.take() {
                    self.want(device, want);
                }
            }
        }
    }

    fn want(&mut self, device: usize, want: Want) {
        let plugged = self.phones[device].plugged;
        match want {
            Want::Connect => {
                self.drop_flow(Device(device));
                self.phones[device].sockets += 1;
                let socket = Some(self.phones[device].sockets);
                let opened = if plugged {
                    let Kind::Browser(browser) = &self.phones[device].kind else { return };
                    let user = self.user_id(&browser.engine.profile().address.clone());
                    self.connect_as(Device(device), Some(user));
                    Socket::Opened
                } else {
                    Socket::Closed
                };
                self.wire(WIRE * 2, Parcel::Page { device, socket, input: client::Input::Socket(opened) });
            }
            Want::Disconnect => self.drop_flow(Device(device)),
            Want::Transmit(bytes) if &bytes[..] == b"\r\n\r\n" => {
                if let Link::Flow { open: flow @ Some(_) } = self.phones[device].link
                    && plugged
                {
                    self.wire(WIRE * 2, Parcel::Device { device, bytes: Bytes::from_static(b"\r\n"), flow });
                }
            }
            Want::Transmit(bytes) => self.transmit(device, &bytes),
            Want::Http { id, method, path, body } => {
                let (status, body) = if plugged { self.http(device, method, &path, body.as_deref()) } else { (0, Bytes::new()) };
                self.wire(WIRE * 2, Parcel::Page { device, socket: None, input: client::Input::Http { id, status, body } });
            }
        }
    }

    /// The history API, as the edge has it.
    fn http(&mut self, device: usize, method: &str, path: &str, body: Option<&str>) -> (u16, Bytes) {
        let Kind::Browser(browser) = &self.phones[device].kind else { return (0, Bytes::new()) };
        let user = self.user_id(&browser.engine.profile().address.clone());
        let store = &self.sites[self.phones[device].site].store;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| unescape(value)))
        };
        let number = |name: &str| parameter(name).and_then(|value| value.parse::<u64>().ok());
        let limit = number("limit").unwrap_or(100) as usize;
        let parts: Vec<String> = path.trim_start_matches('/').split('/').map(unescape).collect();
        let json = |value: serde_json::Value| (200, Bytes::from(value.to_string()));
        match (method, parts.get(4).map(String::as_str)) {
            ("GET", Some("folders")) => json(serde_json::to_value(store.conversations(user, number("before"), limit).unwrap()).unwrap()),
            ("GET", Some("objects")) => {
                let with = Address::parse(&parameter("with").unwrap()).unwrap();
                json(serde_json::to_value(store.messages(user, &with, number("before"), limit).unwrap()).unwrap())
            }
            ("GET", Some("changes")) => {
                json(serde_json::to_value(store.changes(user, number("since").unwrap_or(0), limit).unwrap()).unwrap())
            }
            ("PUT", Some("folders")) => {
                let with = Address::parse(&parts[5]).unwrap();
                let seen: SeenUpTo = serde_json::from_str(body.unwrap()).unwrap();
                let applied = store.commit(vec![Write::Seen { user, with, up_to: seen.up_to }.into()]).remove(0).unwrap();
                let site = self.phones[device].site;
                for (user, cursor) in applied.cursors {
                    self.perform(site, Output::Changed { user, cursor });
                }
                (204, Bytes::new())
            }
            _ => panic!("nobody serves {method} {path}"),
        }
    }

    fn transmit(&mut self, device: usize, bytes: &Bytes) {
        let attached = &mut self.phones[device];
        let (site, carried) = (attached.site, attached.carries());
        let (hop, transport) = match attached.link {
            Link::Udp { addr } => (Hop::Udp(addr), Transport::Udp),
            Link::Flow { open: Some(flow) } => (Hop::Flow(flow), Transport::Ws),
            Link::Flow { open: None } => return,
        };
        let message = Message::parse(bytes, &Limits::default()).expect("devices send sound messages");
        self.arrows.push(Arrow {
            from: attached.name().to_owned(),
            to: format!("Core {}", self.sites[site].letter),
            what: label(&message),
        });
        if carried {
            self.wire(WIRE, Parcel::Site { site, input: Input::Received { hop, transport, message } });
        }
    }

    fn handle(&mut self, site: usize, input: Input) {
        self.sites[site].node.handle(self.now, input);
        while let Some(output) = self.sites[site].node.poll() {
            self.perform(site, output);
        }
    }

    fn perform(&mut self, site: usize, output: Output) {
        let core = format!("Core {}", self.sites[site].letter);
        let function = |function| match function {
            Function::Core => core.clone(),
            Function::Participating => core.replace("Core", "PF"),
        };
        match output {
            Output::Send { hop, message } => self.send(site, &core, &hop, message),
            Output::Commit { ticket, unit } => {
                if self.sites[site].disk {
                    let result = self.sites[site].store.commit(vec![unit]).remove(0);
                    self.wire(DISK, Parcel::Site { site, input: Input::Stored { ticket, result } });
                }
            }
            Output::Load { ticket, query } => {
                let store = &self.sites[site].store;
                let result = match query {
                    Query::Pending { user, after, limit } => store.pending(user, after, limit).map(Loaded::Pending),
                    Query::Expired { before, limit } => store.expired(before, limit).map(Loaded::Pending),
                    Query::Messages { user, direction, message_id } => {
                        store.message(user, direction, &message_id).map(|entries: Vec<Entry>| Loaded::Messages(entries))
                    }
                };
                self.wire(Duration::from_millis(1), Parcel::Site { site, input: Input::Loaded { ticket, result } });
            }
            Output::Close { flow, .. } => self.wire(Duration::ZERO, Parcel::Site { site, input: Input::Closed { flow } }),
            Output::Changed { user, cursor } => {
                self.changes.push((user, cursor));
                for device in 0..self.phones.len() {
                    let attached = &self.phones[device];
                    let Kind::Browser(browser) = &attached.kind else { continue };
                    let open = matches!(attached.link, Link::Flow { open: Some(_) });
                    if attached.site == site && attached.plugged && open && self.user_id(&browser.engine.profile().address) == user {
                        let socket = Some(attached.sockets);
                        self.wire(WIRE, Parcel::Page { device, socket, input: client::Input::Changed { cursor } });
                    }
                }
            }
            Output::Step(step) => {
                self.arrows.push(Arrow { from: function(step.from), to: function(step.to), what: step.what.as_str().to_owned() });
            }
        }
    }

    fn send(&mut self, site: usize, core: &str, hop: &Hop, bytes: Bytes) {
        let parsed = Message::parse(&bytes, &Limits::default()).expect("the node sends sound messages");
        let arrow = |to: String| Arrow { from: core.to_owned(), to, what: label(&parsed) };
        let phone = self.phones.iter().position(|attached| match (&attached.link, hop) {
            (Link::Udp { addr }, Hop::Udp(to)) => addr == to,
            (Link::Flow { open: Some(open) }, Hop::Flow(to)) => attached.site == site && open == to,
            _ => false,
        });
        if let Some(device) = phone {
            self.arrows.push(arrow(self.phones[device].name().to_owned()));
            let flow = if let Hop::Flow(flow) = hop { Some(*flow) } else { None };
            return self.wire(WIRE, Parcel::Device { device, bytes, flow });
        }
        if let Hop::Udp(to) = hop
            && let Some(other) = self.sites.iter().position(|other| other.addr == *to)
        {
            self.arrows.push(arrow(format!("Core {}", self.sites[other].letter)));
            let input = Input::Received { hop: Hop::Udp(self.sites[site].addr), transport: Transport::Udp, message: parsed };
            self.wire(WIRE, Parcel::Site { site: other, input });
        }
    }
}

/// Undoes percent-encoding.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = std::str::from_utf8(rest.get(1..3).unwrap_or_default()).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &rest[3..];
            }
            (byte, _) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub fn password(address: &Address) -> String {
    format!("secret of {}", address.user())
}

/// What the ladder calls a message.
fn label(message: &Message) -> String {
    let request = match message {
        Message::Response(response) => return response.status.0.to_string(),
        Message::Request(request) => request,
    };
    match request.method {
        Method::Message => {
            let plain = request.headers.read::<ContentType>().is_some_and(|kind| kind.is("text/plain"));
            match Envelope::unwrap(request).map(|envelope| envelope.content) {
                Ok(Content::Composing(_)) => "MESSAGE (typing)".into(),
                Ok(Content::Notification(notification)) => match notification.report {
                    Report::Delivery(Delivery::Delivered) => "MESSAGE (IMDN delivered)".into(),
                    Report::Delivery(_) => "MESSAGE (IMDN failed)".into(),
                    Report::Display(Display::Displayed) => "MESSAGE (IMDN displayed)".into(),
                    _ => "MESSAGE (IMDN)".into(),
                },
                _ if plain => "MESSAGE (plain)".into(),
                _ => "MESSAGE".into(),
            }
        }
        Method::Subscribe | Method::Notify => format!("{} (Event: reg)", request.method.as_str()),
        _ => request.method.as_str().to_owned(),
    }
}
