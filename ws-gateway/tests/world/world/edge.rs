//! What an edge does for its node, and a page for its engine: they put bytes on wires, ask the store, answer HTTP.

use std::time::Duration;

use bytes::Bytes;
use wasm_core::Text;
use wasm_core::client::{self, Socket};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::history::{Changes, SeenUpTo};
use wasm_core::cpm::probe;
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::sip::{ContentType, Event, Limits, Message, Method};
use ws_gateway::node::{Directory, Function, Hop, Input, Loaded, Output, Query, Transport};
use ws_gateway::store::{Store, StoreError, Write};

use super::{DISK, Device, Kind, Link, Parcel, WIRE, World};
use crate::browser::Want;
use crate::ladder::Arrow;

impl World {
    /// Does what a device wants done.
    pub(super) fn post(&mut self, device: usize) {
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
            Want::Msrp(wire, order) => self.wire_wants(device, wire, order),
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
                let changes = store.changes(user, number("since").unwrap_or(0), limit).unwrap();
                let preferences = self.sites[self.phones[device].site].accounts.preferences(user);
                let quiet = preferences.profile(Some(&self.instance(Device(device))), self.now).quiet_until(self.now).is_some();
                json(serde_json::to_value(Changes { quiet, ..changes }).unwrap())
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

    pub(super) fn perform(&mut self, site: usize, output: Output) {
        let core = format!("Core {}", self.sites[site].letter);
        let function = |function| match function {
            Function::Core => core.clone(),
            Function::Participating => core.replace("Core", "PF"),
        };
        match output {
            Output::Send { hop, message } => self.send(site, &core, &hop, message),
            Output::Commit { ticket, unit } => {
                if self.sites[site].disk {
                    let result = match self.sites[site].full {
                        true => Err(StoreError::Full),
                        false => self.sites[site].store.commit(vec![unit]).remove(0),
                    };
                    self.wire(DISK, Parcel::Site { site, input: Input::Stored { ticket, result } });
                }
            }
            Output::Load { ticket, query } => {
                let store = &self.sites[site].store;
                let result = match query {
                    Query::Pending { user, after, limit } => store.pending(user, after, limit).map(Loaded::Pending),
                    Query::Expired { before, limit } => store.expired(before, limit).map(Loaded::Pending),
                    Query::Held { user, limit } => store.held(user, limit).map(Loaded::Held),
                    Query::HeldEntries { user, ids } => store.held_entries(user, &ids).map(Loaded::Pending),
                    Query::Reminders { before, limit } => store.reminders(before, limit).map(Loaded::Pending),
                    Query::Messages { user, direction, message_id } => store.message(user, direction, &message_id).map(Loaded::Messages),
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
            Output::Sighted(sighting) => {
                if let Some(write) = self.sites[site].accounts.1.sighted(self.now, sighting) {
                    self.sites[site].store.commit(vec![write.into()]).remove(0).unwrap();
                }
            }
            Output::Notify { user, outlet, notice } => {
                self.arrows.push(Arrow { from: core.replace("Core", "PF"), to: "Push".to_owned(), what: "notice".to_owned() });
                self.notices.push((user, outlet, notice));
            }
            Output::Msrp(command) => self.msrp(site, command),
            Output::Trail(rung) => self.rungs.push(rung),
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
            if self.phones[device].deaf.is_some_and(|deaf| deaf == matches!(parsed, Message::Response(_))) {
                return;
            }
            let flow = if let Hop::Flow(flow) = hop { Some(*flow) } else { None };
            return self.wire(WIRE, Parcel::Device { device, bytes, flow });
        }
        if let Hop::Udp(to) = hop
            && let Some(other) = self.sites.iter().position(|other| other.addr == *to)
        {
            self.arrows.push(arrow(format!("Core {}", self.sites[other].letter)));
            let delay = if matches!(parsed, Message::Response(_)) { self.answers_take } else { WIRE };
            let input = Input::Received { hop: Hop::Udp(self.sites[site].addr), transport: Transport::Udp, message: parsed };
            if !self.sites[site].alone && !self.sites[other].alone {
                self.wire(delay, Parcel::Site { site: other, input });
            }
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
                Ok(content) if probe::is_probe(&content) => "MESSAGE (probe)".into(),
                _ if plain => "MESSAGE (plain)".into(),
                _ => "MESSAGE".into(),
            }
        }
        Method::Subscribe | Method::Notify => {
            let event = request.headers.read::<Event>().map_or_else(Text::default, |event| event.package);
            format!("{} (Event: {event})", request.method.as_str())
        }
        _ => request.method.as_str().to_owned(),
    }
}
