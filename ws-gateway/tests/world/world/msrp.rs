//! The MSRP wires of the world: WebSockets beside those of SIP, each a real connection of the site's hub, with delay and loss.

use std::sync::Arc;

use bytes::Bytes;
use wasm_core::client::msrp::{Order, Wire};
use wasm_core::client::{self, Socket};
use wasm_core::msrp::Options;
use wasm_core::wire::msrp::{Frame, Limits, Start, Transport};
use wasm_core::{Entropy, Time};
use ws_gateway::msrp::{Bounds, Carriage, Connection, ConnectionId, Hub, Output, Over};
use ws_gateway::node::{Input, MsrpCommand, MsrpEvent};

use super::{Kind, Parcel, WIRE, World};
use crate::ladder::Arrow;

/// A WebSocket to `/msrp`.
pub(super) struct Carried {
    pub(super) id: ConnectionId,
    pub(super) site: usize,
    device: usize,
    wire: Wire,
    connection: Connection,
}

impl Carried {
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.connection.next_timeout(Bounds::default().patience)
    }
}

/// A site's hub.
pub(super) fn hub(seed: u8) -> Hub {
    let options = Options { max_size: 256 * 1024, whole: 256 * 1024, ..Options::default() };
    Hub::new(Bounds::default(), Arc::new(options), Entropy::new([seed; 32]))
}

impl World {
    /// Does what a browser wants done with an MSRP socket.
    pub(super) fn wire_wants(&mut self, device: usize, wire: Wire, order: Order) {
        let found = self.carried.iter().find(|one| one.device == device && one.wire == wire).map(|one| one.id);
        match (order, found) {
            (Order::Connect, _) if !self.phones[device].plugged => {
                self.wire(WIRE * 2, Parcel::Page { device, socket: None, input: client::Input::Msrp(wire, Socket::Closed) });
            }
            (Order::Connect, _) => {
                let Kind::Browser(browser) = &self.phones[device].kind else { return };
                let user = self.user_id(&browser.engine.profile().address.clone());
                self.sent += 1;
                let (id, site) = (ConnectionId(self.sent), self.phones[device].site);
                let carriage = Carriage { carrier: Transport::WebSocket, secure: false };
                let connection = Connection::new(self.now, id, carriage, Some(user));
                self.carried.push(Carried { id, site, device, wire, connection });
                self.wire(WIRE * 2, Parcel::ToPage { connection: id, socket: Socket::Opened });
            }
            (Order::Transmit(bytes), Some(connection)) => {
                self.msrp_arrow(device, &bytes, true);
                self.wire(WIRE, Parcel::ToHub { connection, bytes: Some(bytes) });
            }
            (Order::Disconnect, Some(connection)) => self.wire(WIRE, Parcel::ToHub { connection, bytes: None }),
            (Order::Transmit(_) | Order::Disconnect, None) => {}
        }
    }

    /// Something arrives at the gateway's end; nothing, when the other end is gone.
    pub(super) fn at_hub(&mut self, id: ConnectionId, bytes: Option<Bytes>) {
        let Some(at) = self.carried.iter().position(|one| one.id == id) else { return };
        let device = self.carried[at].device;
        match bytes {
            Some(bytes) if self.phones[device].carries() => self.carried[at].connection.received(self.now, bytes),
            Some(_) => return,
            None => self.carried[at].connection.end(self.now, Over::Lost),
        }
        self.turn(id);
    }

    /// Something arrives at the browser's end.
    pub(super) fn at_page(&mut self, id: ConnectionId, socket: Socket) {
        let Some(one) = self.carried.iter().find(|one| one.id == id) else { return };
        let (device, wire) = (one.device, one.wire);
        if socket == Socket::Closed {
            self.carried.retain(|one| one.id != id);
        } else if !self.phones[device].carries() {
            return;
        }
        self.page(super::Device(device), |browser, now| browser.handle(now, client::Input::Msrp(wire, socket)));
    }

    /// The MSRP sockets of a device break, as when its page is loaded anew or its gateway restarts.
    pub(super) fn cut_wires(&mut self, is: impl Fn(&Carried) -> bool) {
        let cut: Vec<ConnectionId> = self.carried.iter().filter(|one| is(one)).map(|one| one.id).collect();
        for id in cut {
            self.at_hub(id, None);
            self.at_page(id, Socket::Closed);
        }
    }

    /// The same for one device.
    pub(super) fn cut_wires_of(&mut self, device: usize) {
        self.cut_wires(|one| one.device == device);
    }

    /// Does what the node wants.
    pub(super) fn msrp(&mut self, site: usize, command: MsrpCommand) {
        let now = self.now;
        self.sites[site].hub.command(now, command);
        self.hub_says(site);
    }

    /// Times of the hub and of connections that have come.
    pub(super) fn msrp_timeouts(&mut self) {
        let (now, patience) = (self.now, Bounds::default().patience);
        for site in 0..self.sites.len() {
            self.sites[site].hub.timeout(now);
            self.hub_says(site);
        }
        let due = self.carried.iter().filter(|one| one.next_timeout().is_some_and(|at| at <= now)).map(|one| one.id);
        for id in due.collect::<Vec<_>>() {
            if let Some(one) = self.carried.iter_mut().find(|one| one.id == id) {
                one.connection.timeout(now, patience);
            }
            self.turn(id);
        }
    }

    fn hub_says(&mut self, site: usize) {
        while let Some(output) = self.sites[site].hub.poll() {
            match output {
                Output::Event(event) => self.msrp_event(site, event),
                Output::Wake(id) => {
                    if let Some(one) = self.carried.iter_mut().find(|one| one.id == id) {
                        one.connection.wake();
                        self.turn(id);
                    }
                }
                // Nobody listens in this world.
                Output::Dial(dial) => self.sites[site].hub.undialled(&dial.session),
            }
        }
    }

    /// Lets a connection do what there is to do.
    fn turn(&mut self, id: ConnectionId) {
        let now = self.now;
        let (mut frames, mut events) = (Vec::new(), Vec::new());
        let Some(one) = self.carried.iter_mut().find(|one| one.id == id) else { return };
        let (site, device) = (one.site, one.device);
        loop {
            if one.connection.needs_hub() {
                one.connection.settle(now, &mut self.sites[site].hub);
            }
            while let Some(event) = one.connection.poll(now) {
                events.push(event);
            }
            while let Some(frame) = one.connection.transmit(now) {
                frames.push(frame);
            }
            if !one.connection.needs_hub() {
                break;
            }
        }
        let over = one.connection.over();
        for frame in frames {
            self.msrp_arrow(device, &frame, false);
            self.wire(WIRE, Parcel::ToPage { connection: id, socket: Socket::Frame(frame) });
        }
        if over.is_some() {
            self.wire(WIRE, Parcel::ToPage { connection: id, socket: Socket::Closed });
        }
        for event in events {
            self.msrp_event(site, event);
        }
        self.hub_says(site);
    }

    fn msrp_event(&mut self, site: usize, event: MsrpEvent) {
        self.wire(std::time::Duration::ZERO, Parcel::Site { site, input: Input::Msrp(event) });
    }

    fn msrp_arrow(&mut self, device: usize, frame: &Bytes, up: bool) {
        let parsed = Frame::parse(frame, &Limits::default()).expect("both ends send sound frames");
        let what = match &parsed.head.start {
            Start::Response(status, _) => format!("MSRP {status}"),
            Start::Request(method) if parsed.body.is_none() && method.as_str() == "SEND" => "MSRP SEND (empty)".to_owned(),
            Start::Request(method) => format!("MSRP {}", method.as_str()),
        };
        let name = self.phones[device].name().to_owned();
        let function = format!("PF {}", self.sites[self.phones[device].site].letter);
        let (from, to) = if up { (name, function) } else { (function, name) };
        self.arrows.push(Arrow { from, to, what });
    }
}
