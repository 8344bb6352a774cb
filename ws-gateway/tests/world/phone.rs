//! A scripted SIP device on the real transaction layer: an ordinary phone, or a CPM client with notifications, as the story wants it.

use std::time::Duration;

use bytes::Bytes;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::cpm::ids::{ConversationId, MessageId};
use wasm_core::sip::digest::{Authenticator, Secret};
use wasm_core::sip::transaction::{ClientId, Event, Layer, Out, ServerId, Timers};
use wasm_core::wire::imdn::{Delivery, Display, Report};
use wasm_core::wire::iscomposing::IsComposing;
use wasm_core::wire::sip::{
    CSeq, CallId, Contact, ContentType, Event as EventHeader, Expires, From, HeaderName, Limits, MaxForwards, Message, Method, Reason,
    RecordRoute, Request, Response, SipUri, Status, To, Uri, Via,
};
use wasm_core::wire::xml::reginfo::Reginfo;
use wasm_core::{Entropy, Text, Time};

/// How the device takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes CPIM and reports what it took.
    Cpm,
    /// Takes plain text only, and knows nothing of notifications.
    Plain,
    /// Refuses every message with this status.
    Refuses(u16),
}

/// What the device got.
#[derive(Clone, Debug, PartialEq)]
pub struct Got {
    pub from: Address,
    pub content: Content,
    pub envelope: Envelope,
    pub request: Request,
}

/// What a finished request of the device's ended with.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub method: Method,
    pub status: Status,
    pub response: Option<Response>,
}

/// The device.
pub struct Phone {
    pub name: &'static str,
    pub address: Address,
    pub manner: Manner,
    /// Whether it reports a delivery when asked.
    pub reports: bool,
    pub instance: String,
    pub got: Vec<Got>,
    pub ended: Vec<Ended>,
    pub notices: Vec<Reginfo>,
    /// Invitations that ring, and dialogs.
    pub ringing: Vec<(ServerId, Request)>,
    pub in_dialog: Vec<Request>,
    pub acks: Vec<Request>,
    /// Why invitations were cancelled, where the CANCEL said it.
    pub cancelled: Vec<Option<Reason>>,
    contact: SipUri,
    via: Via,
    domain: Text,
    layer: Layer<()>,
    auth: Authenticator,
    entropy: Entropy,
    reliable: bool,
    sent: Vec<(ClientId, Request, bool)>,
    cseq: u32,
    registration: Text,
    out: Vec<Bytes>,
    /// Reports that it is about to make.
    due: Vec<(Time, Envelope)>,
}

/// How long a device takes to report a delivery.
const THINKS: Duration = Duration::from_millis(100);

impl Phone {
    pub fn new(name: &'static str, address: &Address, password: &str, seed: u8, udp: Option<std::net::SocketAddr>) -> Phone {
        let mut entropy = Entropy::new([seed; 32]);
        let domain = Text::from(address.domain().unwrap());
        let (contact, via) = match udp {
            Some(addr) => {
                let host = addr.ip().to_string();
                let mut via = Via::new("UDP", host.as_str(), Some(addr.port()));
                via.params.set_flag("rport");
                (SipUri::new(address.user(), &host).with_port(addr.port()), via)
            }
            None => {
                let host = format!("{}.invalid", entropy.hex::<6>());
                (SipUri::new(address.user(), &host).with_param("transport", "ws"), Via::new("WS", host.as_str(), None))
            }
        };
        Phone {
            name,
            address: address.clone(),
            manner: Manner::Cpm,
            reports: true,
            instance: format!("urn:uuid:{}", entropy.uuid()),
            got: Vec::new(),
            ended: Vec::new(),
            notices: Vec::new(),
            ringing: Vec::new(),
            in_dialog: Vec::new(),
            acks: Vec::new(),
            cancelled: Vec::new(),
            contact,
            via,
            domain,
            layer: Layer::new(entropy.fork(), Timers::default()),
            auth: Authenticator::new(address.user(), Secret::Password(Text::from(password)), entropy.fork()),
            registration: Text::from(entropy.hex::<8>()),
            entropy,
            reliable: udp.is_none(),
            sent: Vec::new(),
            cseq: 0,
            out: Vec::new(),
            due: Vec::new(),
        }
    }

    // What it does.

    /// Registers, for so many seconds.
    pub fn register(&mut self, now: Time, expires: u32) {
        let mut request = Request::new(Method::Register, SipUri::of_host(&self.domain));
        let own = self.address.to_uri();
        let mut contact = Contact::new(self.contact.clone());
        if let Contact::Addr(contact) = &mut contact {
            contact.params.set_quoted("+sip.instance", &format!("<{}>", self.instance));
            contact.params.set("reg-id", "1");
            if self.manner == Manner::Cpm {
                contact.params.set_quoted("+g.3gpp.icsi-ref", "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg");
            }
        }
        request.headers.put(&From::new(own.clone()));
        request.headers.put(&To::new(own));
        request.headers.put(&CallId(self.registration.clone()));
        request.headers.put(&contact);
        request.headers.put(&Expires(expires));
        request.headers.push(HeaderName::Supported, "path, outbound, gruu");
        self.send(now, request);
    }

    /// Sends a text as a CPM client does, asking to be told everything.
    pub fn write(&mut self, now: Time, to: &Address, text: &str) -> MessageId {
        let envelope = self.compose(now, to, text);
        let id = envelope.message_id.clone().unwrap();
        self.post(now, &envelope);
        id
    }

    pub fn compose(&mut self, now: Time, to: &Address, text: &str) -> Envelope {
        let conversation = ConversationId::parse(&Text::from("f5a1e1a0-0000-4000-8000-000000000001"));
        Envelope::compose(&mut self.entropy, now, self.address.clone(), to.clone(), Text::from(text), conversation)
    }

    /// Sends what is in this envelope.
    pub fn post(&mut self, now: Time, envelope: &Envelope) {
        self.send(now, envelope.wrap());
    }

    /// Sends a text as an ordinary phone does.
    pub fn say(&mut self, now: Time, to: &Address, text: &str) {
        let mut request = Request::new(Method::Message, to.to_uri());
        request.headers.put(&From::new(self.address.to_uri()));
        request.headers.put(&To::new(to.to_uri()));
        request.headers.put(&ContentType::new("text", "plain"));
        request.body = Bytes::copy_from_slice(text.as_bytes());
        self.send(now, request);
    }

    /// Tells the sender of the last message that it was read.
    pub fn read(&mut self, now: Time) {
        self.report(now, Report::Display(Display::Displayed));
    }

    /// Tells the sender of the last message what became of it.
    pub fn report(&mut self, now: Time, report: Report) {
        let got = self.got.iter().rev().find(|got| !got.content.is_automatic()).expect("something to read").envelope.clone();
        if let Some(report) = got.notification(&mut self.entropy, now, report) {
            self.post(now, &report);
        }
    }

    pub fn type_to(&mut self, now: Time, to: &Address) {
        let envelope = Envelope::new(self.address.clone(), to.clone(), Content::Composing(IsComposing::active(60)));
        self.post(now, &envelope);
    }

    /// Watches its user's registrations.
    pub fn watch(&mut self, now: Time, expires: u32) {
        let mut request = Request::new(Method::Subscribe, self.address.to_uri());
        request.headers.put(&From::new(self.address.to_uri()));
        request.headers.put(&To::new(self.address.to_uri()));
        request.headers.put(&EventHeader::new("reg"));
        request.headers.put(&Expires(expires));
        request.headers.put(&Contact::new(self.contact.clone()));
        self.send(now, request);
    }

    /// Invites somebody.
    pub fn invite(&mut self, now: Time, to: &Address) -> ClientId {
        self.invite_to(now, to, to.to_uri())
    }

    /// Invites somebody at this very target.
    pub fn invite_to(&mut self, now: Time, to: &Address, target: Uri) -> ClientId {
        let mut request = Request::new(Method::Invite, target);
        request.headers.put(&From::new(self.address.to_uri()));
        request.headers.put(&To::new(to.to_uri()));
        request.headers.put(&Contact::new(self.contact.clone()));
        self.send(now, request)
    }

    pub fn cancel(&mut self, now: Time, id: ClientId) {
        self.layer.cancel(now, id, None);
        self.drain(now);
    }

    /// Rings, answers or declines the first invitation.
    pub fn answer(&mut self, now: Time, status: Status) {
        let (id, request) = self.ringing.first().cloned().expect("an invitation");
        let mut response = self.response(&request, status);
        response.headers.put(&Contact::new(self.contact.clone()));
        response.headers.copy(&request.headers, &HeaderName::RecordRoute);
        self.layer.respond(now, id, response);
        if status.is_final() {
            self.ringing.remove(0);
        }
        self.drain(now);
    }

    /// The ACK or the BYE of the last invitation that was accepted, along the dialog's route.
    pub fn within(&mut self, now: Time, method: Method) {
        let accepted = self.ended.iter().rev().find(|ended| ended.method == Method::Invite && ended.status.is_success());
        let response = accepted.and_then(|ended| ended.response.clone()).expect("a call");
        let target = response.headers.read::<Contact>().and_then(|contact| contact.addr().map(|addr| addr.uri.clone())).unwrap();
        let mut request = Request::new(method.clone(), target);
        for route in response.headers.list::<RecordRoute>().unwrap().iter().rev() {
            request.headers.push(HeaderName::Route, route.to_string());
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
            request.headers.copy(&response.headers, &name);
        }
        let number = response.headers.read::<CSeq>().unwrap().number;
        request.headers.put(&CSeq::new(if method == Method::Ack { number } else { number + 1 }, method));
        self.send(now, request);
    }

    /// Puts what is missing on a request and sends it.
    pub fn send(&mut self, now: Time, mut request: Request) -> ClientId {
        let headers = &mut request.headers;
        headers.put(&MaxForwards(70));
        if let Some(mut from) = headers.read::<From>().filter(|from| from.tag().is_none()) {
            from.set_tag(&self.entropy.hex::<4>());
            headers.put(&from);
        }
        if !headers.has(&HeaderName::CallId) {
            headers.put(&CallId(Text::from(self.entropy.hex::<8>())));
        }
        if !headers.has(&HeaderName::CSeq) {
            self.cseq += 1;
            headers.put(&CSeq::new(self.cseq, request.method.clone()));
        }
        self.auth.authorize(&mut request);
        self.transmit(now, request, false)
    }

    /// Sends a request without credentials or corrections of any kind.
    pub fn transmit(&mut self, now: Time, request: Request, again: bool) -> ClientId {
        let mut on_wire = request.clone();
        on_wire.headers.put_front(&self.via);
        let id = self.layer.request(now, (), self.reliable, on_wire);
        self.sent.push((id, request, again));
        self.drain(now);
        id
    }

    // What happens to it.

    pub fn receive(&mut self, now: Time, bytes: &Bytes) {
        let message = Message::parse(bytes, &Limits::default()).expect("the node sends sound messages");
        self.layer.receive(now, (), self.reliable, message);
        self.drain(now);
    }

    pub fn next_timeout(&self) -> Option<Time> {
        self.layer.next_timeout().into_iter().chain(self.busy()).min()
    }

    /// Until when it has something of its own to do.
    pub fn busy(&self) -> Option<Time> {
        self.due.iter().map(|(at, _)| *at).min()
    }

    pub fn timeout(&mut self, now: Time) {
        self.layer.timeout(now);
        for (_, report) in self.due.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.post(now, &report);
        }
        self.drain(now);
    }

    pub fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.out)
    }

    /// The connection is gone, and with it what was under way.
    pub fn cut(&mut self, now: Time) {
        self.due.clear();
        self.layer.failed(now, &());
        self.drain(now);
        self.out.clear();
    }

    fn drain(&mut self, now: Time) {
        while let Some(out) = self.layer.poll() {
            match out {
                Out::Send { message, .. } => self.out.push(message),
                Out::Event(Event::Request { id, request, .. }) => self.request(now, id, request),
                Out::Event(Event::Response { id, response }) if response.status.is_final() => self.response_to(now, id, response),
                Out::Event(Event::Timeout { id }) => self.over(id, Status::REQUEST_TIMEOUT, None),
                Out::Event(Event::Unreachable { id }) => self.over(id, Status::SERVICE_UNAVAILABLE, None),
                Out::Event(Event::Ack { request, .. }) => self.acks.push(request),
                Out::Event(Event::Cancel { invite, id, request, .. }) => {
                    self.cancelled.push(request.headers.read());
                    let response = self.response(&request, Status::OK);
                    self.layer.respond(now, id, response);
                    if let Some(at) = self.ringing.iter().position(|(ringing, _)| Some(*ringing) == invite) {
                        let (ringing, invitation) = self.ringing.remove(at);
                        let response = self.response(&invitation, Status::REQUEST_TERMINATED);
                        self.layer.respond(now, ringing, response);
                    }
                }
                Out::Event(Event::Response { .. } | Event::Ended { .. } | Event::Stray { .. }) => {}
            }
        }
    }

    fn response_to(&mut self, now: Time, id: ClientId, response: Response) {
        let Some(at) = self.sent.iter().position(|(sent, ..)| *sent == id) else { return };
        let (_, request, again) = &self.sent[at];
        let challenged = matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED);
        if challenged && !again && self.auth.challenged(request, &response).is_ok() {
            let mut request = request.clone();
            self.sent.remove(at);
            self.cseq += 1;
            request.headers.put(&CSeq::new(self.cseq, request.method.clone()));
            self.auth.authorize(&mut request);
            self.transmit(now, request, true);
            return;
        }
        self.over(id, response.status, Some(response));
    }

    fn over(&mut self, id: ClientId, status: Status, response: Option<Response>) {
        if let Some(at) = self.sent.iter().position(|(sent, ..)| *sent == id) {
            let (_, request, _) = self.sent.remove(at);
            self.ended.push(Ended { method: request.method, status, response });
        }
    }

    fn response(&mut self, request: &Request, status: Status) -> Response {
        let mut response = Response::to(request, status);
        if let Some(mut to) = response.headers.read::<To>().filter(|to| to.tag().is_none()) {
            to.set_tag("phone");
            response.headers.put(&to);
        }
        response
    }

    fn request(&mut self, now: Time, id: ServerId, request: Request) {
        match request.method {
            Method::Message => self.message(now, id, request),
            Method::Notify => {
                self.notices.push(Reginfo::parse(&request.body).expect("reginfo"));
                let response = self.response(&request, Status::OK);
                self.layer.respond(now, id, response);
            }
            Method::Invite => self.ringing.push((id, request)),
            _ => {
                let response = self.response(&request, Status::OK);
                self.layer.respond(now, id, response);
                self.in_dialog.push(request);
            }
        }
    }

    fn message(&mut self, now: Time, id: ServerId, request: Request) {
        let plain = request.headers.read::<ContentType>().is_none_or(|kind| kind.is("text/plain"));
        let status = match self.manner {
            Manner::Cpm => Status::OK,
            Manner::Plain if plain => Status::OK,
            Manner::Plain => Status::UNSUPPORTED_MEDIA_TYPE,
            Manner::Refuses(status) => Status(status),
        };
        let response = self.response(&request, status);
        self.layer.respond(now, id, response);
        if status != Status::OK {
            return;
        }
        let envelope = Envelope::unwrap(&request).expect("a message");
        let again = envelope.message_id.is_some() && self.got.iter().any(|got| got.envelope.message_id == envelope.message_id);
        if again {
            return;
        }
        self.got.push(Got { from: envelope.from.clone(), content: envelope.content.clone(), envelope: envelope.clone(), request });
        if self.manner == Manner::Cpm && self.reports {
            let report = envelope.notification(&mut self.entropy, now, Report::Delivery(Delivery::Delivered));
            self.due.extend(report.map(|report| (now + THINKS, report)));
        }
    }

    // What the story asks.

    /// The texts that it got, in order.
    pub fn texts(&self) -> Vec<&str> {
        self.got
            .iter()
            .filter_map(|got| match &got.content {
                Content::Text(text) => Some(text.as_str()),
                Content::Composing(_) | Content::Notification(_) | Content::Other { .. } => None,
            })
            .collect()
    }

    /// The reports that it got, in order.
    pub fn reported(&self) -> Vec<(Text, Report)> {
        self.got
            .iter()
            .filter_map(|got| match &got.content {
                Content::Notification(notification) => Some((notification.message_id.clone(), notification.report)),
                Content::Text(_) | Content::Composing(_) | Content::Other { .. } => None,
            })
            .collect()
    }

    /// The last request of this method that is under way.
    pub fn last(&self, method: &Method) -> Option<ClientId> {
        self.sent.iter().rev().find(|(_, request, _)| request.method == *method).map(|(id, ..)| *id)
    }

    /// What its requests of this method ended with.
    pub fn outcomes(&self, method: &Method) -> Vec<u16> {
        self.ended.iter().filter(|ended| ended.method == *method).map(|ended| ended.status.0).collect()
    }
}
