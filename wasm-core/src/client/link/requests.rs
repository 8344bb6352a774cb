//! What the link adds to the requests and responses of others: the headers of this hop, the route to the server, credentials.

use super::{Link, SOFTWARE, SUSPICION, State};
use crate::sip::digest::Authenticator;
use crate::sip::registration;
use crate::sip::transaction::{ClientId, ServerId};
use crate::wire::sip::{CSeq, CallId, Contact, From, HeaderName, MaxForwards, NameAddr, Request, Response, Route, To, UserAgent, Via};
use crate::{Text, Time};

impl Link {
    /// Sends a request, to which the hop's headers are added; the request that comes back has them, but for the Via.
    pub fn request(&mut self, now: Time, mut request: Request) -> (ClientId, Request) {
        let headers = &mut request.headers;
        let mut from = headers.read::<From>().unwrap_or_else(|| From::new(self.address.clone()));
        from.set_tag(&self.entropy.hex::<8>());
        headers.put(&from);
        headers.put(&CallId(self.entropy.hex::<16>().into()));
        headers.put(&CSeq::new(1, request.method.clone()));
        headers.put(&MaxForwards(70));
        headers.push(HeaderName::PPreferredIdentity, NameAddr::new(self.address.clone()).to_string());
        headers.push(HeaderName::UserAgent, SOFTWARE);
        for route in self.routes() {
            request.headers.put(&route);
        }
        (self.send(now, request.clone()), request)
    }

    /// Answers the challenge in `response` to `sent` by sending it again, if that can be done.
    pub fn authorize(&mut self, now: Time, mut sent: Request, response: &Response) -> Option<(ClientId, Request)> {
        if !self.has_secret || self.registration.authenticator().challenged(&sent, response).is_err() {
            return None;
        }
        let number = sent.headers.read::<CSeq>().map_or(1, |cseq| cseq.number);
        sent.headers.put(&CSeq::new(number.saturating_add(1), sent.method.clone()));
        self.registration.authenticator().authorize(&mut sent);
        Some((self.send(now, sent.clone()), sent))
    }

    /// The server challenges what it should not, or does not know the device: the registration is renewed.
    pub fn doubt(&mut self, now: Time) {
        self.registration.handle(now, registration::Input::Refresh);
        self.drive(now);
    }

    /// Where requests within a dialog are to come.
    pub fn contact(&self) -> Contact {
        Contact::new(self.contact.clone())
    }

    /// The way to the server.
    pub fn routes(&self) -> Vec<Route> {
        let granted = self.registration.granted();
        granted.map(|granted| granted.service_route.iter().map(|route| Route(route.0.clone())).collect()).unwrap_or_default()
    }

    /// What answers challenges.
    pub fn authenticator(&mut self) -> &mut Authenticator {
        self.registration.authenticator()
    }

    /// Sends the ACK of a 2xx.
    pub fn confirm(&mut self, now: Time, mut ack: Request) {
        let mut via = self.via.clone();
        via.set_branch(&format!("{}{}", Via::COOKIE, self.entropy.hex::<8>()));
        ack.headers.put_front(&via);
        self.layer.send(self.flow, ack.to_bytes());
        self.drive(now);
    }

    /// Sends a request that is complete but for the Via.
    pub fn send(&mut self, now: Time, mut request: Request) -> ClientId {
        request.headers.put_front(&self.via);
        let id = self.layer.request(now, self.flow, true, request);
        if let State::Open(open) = &mut self.state {
            open.suspect_at.get_or_insert(now + SUSPICION);
        }
        self.drive(now);
        id
    }

    /// Answers a request. The tag of an answer that begins a dialog is its author's.
    pub fn respond(&mut self, now: Time, id: ServerId, request: &Request, mut response: Response) {
        let to = response.headers.read::<To>().or_else(|| request.headers.read::<To>());
        if let Some(mut to) = to.filter(|to| to.tag().is_none()) {
            to.set_tag(&self.entropy.hex::<8>());
            response.headers.put(&to);
        }
        response.headers.put(&UserAgent(Text::from(SOFTWARE)));
        self.layer.respond(now, id, response);
        self.drive(now);
    }
}
