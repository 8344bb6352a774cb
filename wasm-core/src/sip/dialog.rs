//! Dialogs: what two user agents know of each other after a request that sets one up [RFC3261 §12].
//!
//! A [`Dialog`] makes requests within itself (route set, target, CSeq) and judges those of the other end. What a dialog is for, a
//! subscription or a session, is kept by others; when it ends is theirs to say. The identifiers are the Call-ID and the two tags.

use std::cmp::Ordering;

use crate::Text;
use crate::wire::sip::{
    CSeq, CallId, Contact, From, Headers, MaxForwards, Method, NameAddr, RecordRoute, Request, Response, Route, SipUri, Status, To, Uri,
};

/// What tells a dialog from every other one, as this end sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: Text,
    /// The tag of this end.
    pub local_tag: Text,
    /// The tag of the other end; empty when that is of RFC 2543.
    pub remote_tag: Text,
}

impl DialogId {
    /// The dialog that a request from the other end belongs to: one with a To tag.
    pub fn of_request(request: &Request) -> Option<DialogId> {
        let to = request.headers.read::<To>()?;
        let from = request.headers.read::<From>()?;
        DialogId::new(&request.headers.read::<CallId>()?, to.tag()?, from.tag())
    }

    /// The dialog that a response to a request of this end belongs to.
    pub fn of_response(response: &Response) -> Option<DialogId> {
        let to = response.headers.read::<To>()?;
        let from = response.headers.read::<From>()?;
        DialogId::new(&response.headers.read::<CallId>()?, from.tag()?, to.tag())
    }

    fn new(call_id: &CallId, local: &Text, remote: Option<&Text>) -> Option<DialogId> {
        // Copies, so that the identifier does not keep the whole message in memory.
        let own = |text: &Text| Text::from(text.as_str());
        Some(DialogId { call_id: own(&call_id.0), local_tag: own(local), remote_tag: remote.map(own).unwrap_or_default() })
    }
}

/// Whether both ends have agreed to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Set up by a provisional response.
    Early,
    /// Set up, or confirmed, by a 2xx.
    Confirmed,
}

/// A request that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Its CSeq is not above that of the last one [RFC3261 §12.2.2]: answer 500.
    OutOfOrder,
    /// It cannot be read: answer 400.
    Malformed,
}

impl Misfit {
    /// What to answer.
    pub fn status(self) -> Status {
        match self {
            Misfit::OutOfOrder => Status::SERVER_INTERNAL_ERROR,
            Misfit::Malformed => Status::BAD_REQUEST,
        }
    }
}

/// One end's state of a dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    phase: Phase,
    local: NameAddr,
    remote: NameAddr,
    /// Where the other end is reached.
    target: Uri,
    routes: Vec<Route>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
}

impl Dialog {
    /// The dialog that a response to this end's request sets up; nothing when the response sets up none.
    pub fn of_client(request: &Request, response: &Response) -> Option<Dialog> {
        let phase = phase_of(response.status)?;
        let id = DialogId::of_response(response)?;
        if phase == Phase::Early && id.remote_tag.is_empty() {
            return None;
        }
        let mut routes: Vec<Route> = record_route(&response.headers);
        routes.reverse();
        Some(Dialog {
            id,
            phase,
            local: request.headers.read::<From>()?.0,
            remote: response.headers.read::<To>()?.0,
            target: contact(&response.headers).or_else(|| (response.status.is_provisional()).then(|| request.uri.clone()))?,
            routes,
            local_cseq: request.headers.read::<CSeq>()?.number,
            remote_cseq: None,
        })
    }

    /// The dialog that this end's response, with its tag in the To, sets up [RFC3261 §12.1.1].
    pub fn of_server(request: &Request, response: &Response) -> Option<Dialog> {
        let phase = phase_of(response.status)?;
        let local = response.headers.read::<To>()?.0;
        let remote = request.headers.read::<From>()?.0;
        Some(Dialog {
            id: DialogId::new(&request.headers.read::<CallId>()?, local.tag()?, remote.tag())?,
            phase,
            local,
            remote,
            target: contact(&request.headers)?,
            routes: record_route(&request.headers),
            local_cseq: 0,
            remote_cseq: Some(request.headers.read::<CSeq>()?.number),
        })
    }

    /// The dialog that the other end's NOTIFY sets up for the one that subscribed, before or without a response [RFC6665 §4.4.1].
    pub fn of_notify(subscribe: &Request, notify: &Request) -> Option<Dialog> {
        let local = subscribe.headers.read::<From>()?.0;
        let id = DialogId::of_request(notify).filter(|id| local.tag().is_some_and(|tag| *tag == id.local_tag))?;
        Some(Dialog {
            id,
            phase: Phase::Confirmed,
            local,
            remote: notify.headers.read::<From>()?.0,
            target: contact(&notify.headers)?,
            routes: record_route(&notify.headers),
            local_cseq: subscribe.headers.read::<CSeq>()?.number,
            remote_cseq: Some(notify.headers.read::<CSeq>()?.number),
        })
    }

    /// Its identifier.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Whether it is confirmed.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// This end's address, with its tag.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The other end's address, with its tag.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Where the other end is reached.
    pub fn target(&self) -> &Uri {
        &self.target
    }

    /// The proxies on the way.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Takes in another response to the request that set the dialog up: a 2xx confirms it, and its route and target are the ones that hold
    /// [RFC3261 §13.2.2.4].
    pub fn confirm(&mut self, response: &Response) {
        if self.phase == Phase::Early && response.status.is_success() {
            self.phase = Phase::Confirmed;
            self.routes = record_route(&response.headers);
            self.routes.reverse();
        }
        self.refresh(response);
    }

    /// Takes in the response to a request that may move the target [RFC3261 §12.2.1.2].
    pub fn refresh(&mut self, response: &Response) {
        if response.status.is_success()
            && let Some(target) = contact(&response.headers)
        {
            self.target = target;
        }
    }

    /// A request within the dialog, without Via, Contact and body.
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.numbered(method, self.local_cseq)
    }

    /// The ACK for a 2xx of the INVITE with this number [RFC3261 §13.2.2.4].
    pub fn acknowledge(&self, cseq: u32) -> Request {
        self.numbered(Method::Ack, cseq)
    }

    /// The route set decides what stands in the Request-URI [RFC3261 §12.2.1.1].
    fn numbered(&self, method: Method, cseq: u32) -> Request {
        let strict = self.routes.first().filter(|route| !route.uri.has_param("lr"));
        let uri = strict.map_or(&self.target, |route| &route.uri);
        let mut request = Request::new(method.clone(), plain(uri))
            .with(&MaxForwards(70))
            .with(&From(self.local.clone()))
            .with(&To(self.remote.clone()))
            .with(&CallId(self.id.call_id.clone()))
            .with(&CSeq::new(cseq, method));
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            request.headers.put(route);
        }
        if strict.is_some() {
            request.headers.put(&Route::new(self.target.clone()));
        }
        request
    }

    /// Takes in a request of the other end within the dialog: its number has to grow, and its Contact may move the target.
    pub fn receive(&mut self, request: &Request) -> Result<(), Misfit> {
        let cseq = request.headers.read::<CSeq>().ok_or(Misfit::Malformed)?;
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        match self.remote_cseq.map(|last| cseq.number.cmp(&last)) {
            None | Some(Ordering::Greater) => self.remote_cseq = Some(cseq.number),
            Some(Ordering::Equal | Ordering::Less) => return Err(Misfit::OutOfOrder),
        }
        if is_target_refresh(&request.method)
            && let Some(target) = contact(&request.headers)
        {
            self.target = target;
        }
        Ok(())
    }
}

fn phase_of(status: Status) -> Option<Phase> {
    match status.0 {
        101..=199 => Some(Phase::Early),
        200..=299 => Some(Phase::Confirmed),
        _ => None,
    }
}

/// Methods whose Contact is the target from then on.
fn is_target_refresh(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

fn contact(headers: &Headers) -> Option<Uri> {
    headers.read::<Contact>()?.addr().map(|addr| addr.uri.clone())
}

fn record_route(headers: &Headers) -> Vec<Route> {
    headers.list::<RecordRoute>().unwrap_or_default().into_iter().map(|route| Route(route.0)).collect()
}

/// A Request-URI has neither headers nor a method.
fn plain(uri: &Uri) -> Uri {
    match uri {
        Uri::Sip(uri) => {
            let mut uri = SipUri { headers: None, ..uri.clone() };
            uri.params.remove("method");
            Uri::Sip(uri)
        }
        Uri::Tel(_) | Uri::Other(_) => uri.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::pair;
    use crate::wire::sip::HeaderName;

    /// The headers of a test's message that only dialogs look at.
    fn with(method: Method, contact: &str, routes: &[&str]) -> Request {
        let mut request = pair::request(method);
        request.headers.remove(&HeaderName::Route);
        request.headers.put(&Contact::new(Uri::parse(&contact.into()).unwrap()));
        for route in routes {
            request.headers.put(&RecordRoute::new(Uri::parse(&(*route).into()).unwrap()));
        }
        request
    }

    fn answered(request: &Request, status: Status, contact: &str) -> Response {
        let mut response = pair::answer(request, status);
        response.headers.put(&Contact::new(Uri::parse(&contact.into()).unwrap()));
        for route in request.headers.list::<RecordRoute>().unwrap() {
            response.headers.put(&route);
        }
        response
    }

    fn both(routes: &[&str]) -> (Dialog, Dialog) {
        let request = with(Method::Subscribe, "sip:alice@a.invalid", routes);
        let response = answered(&request, Status::OK, "sip:bob@b.invalid;ob?X=1");
        (Dialog::of_client(&request, &response).unwrap(), Dialog::of_server(&request, &response).unwrap())
    }

    fn routes(request: &Request) -> Vec<String> {
        request.headers.list::<Route>().unwrap().iter().map(|route| route.uri.to_string()).collect()
    }

    #[test]
    fn both_ends_agree_on_the_dialog_and_mirror_it() {
        let (mut alice, mut bob) = both(&["sip:p1.test;lr", "sip:p2.test;lr"]);
        assert_eq!((alice.phase(), bob.phase()), (Phase::Confirmed, Phase::Confirmed));
        assert_eq!((&alice.id().local_tag, &alice.id().remote_tag), (&bob.id().remote_tag, &bob.id().local_tag));
        let notify = bob.request(Method::Notify);
        assert_eq!(notify.uri.to_string(), "sip:alice@a.invalid");
        assert_eq!(routes(&notify), ["sip:p1.test;lr", "sip:p2.test;lr"]);
        assert_eq!(DialogId::of_request(&notify).as_ref(), Some(alice.id()));
        assert_eq!(alice.receive(&notify), Ok(()));
        assert_eq!(alice.receive(&notify), Err(Misfit::OutOfOrder));
        let subscribe = alice.request(Method::Subscribe);
        assert_eq!(subscribe.uri.to_string(), "sip:bob@b.invalid;ob", "no headers in a Request-URI");
        assert_eq!(routes(&subscribe), ["sip:p2.test;lr", "sip:p1.test;lr"]);
        assert_eq!(subscribe.headers.read::<CSeq>(), Some(CSeq::new(8, Method::Subscribe)));
        assert_eq!(bob.receive(&subscribe), Ok(()));
    }

    /// [RFC3261 §12.2.1.1]: a strict router takes the place of the target, which goes to the end.
    #[test]
    fn a_strict_router_gets_the_request_in_its_own_name() {
        let (alice, _) = both(&["sip:loose.test;lr", "sip:strict.test"]);
        let ack = alice.acknowledge(7);
        assert_eq!(ack.uri.to_string(), "sip:strict.test");
        assert_eq!(routes(&ack), ["sip:loose.test;lr", "sip:bob@b.invalid;ob?X=1"]);
        assert_eq!(ack.headers.read::<CSeq>(), Some(CSeq::new(7, Method::Ack)));
    }

    #[test]
    fn an_early_dialog_is_confirmed_and_its_target_moves() {
        let invite = with(Method::Invite, "sip:alice@a.invalid", &[]);
        assert!(Dialog::of_client(&invite, &pair::answer(&invite, Status::TRYING)).is_none());
        assert!(Dialog::of_client(&invite, &pair::answer(&invite, Status::BUSY_HERE)).is_none());
        let mut dialog = Dialog::of_client(&invite, &answered(&invite, Status::RINGING, "sip:bob@early.invalid")).unwrap();
        assert_eq!(dialog.phase(), Phase::Early);
        dialog.confirm(&answered(&invite, Status::OK, "sip:bob@late.invalid"));
        assert_eq!((dialog.phase(), dialog.target().to_string().as_str()), (Phase::Confirmed, "sip:bob@late.invalid"));
        let mut update = with(Method::Update, "sip:bob@moved.invalid", &[]);
        update.headers.put(&CSeq::new(3, Method::Update));
        assert_eq!(dialog.receive(&update), Ok(()));
        assert_eq!(dialog.target().to_string(), "sip:bob@moved.invalid");
        let mut info = with(Method::Info, "sip:bob@elsewhere.invalid", &[]);
        info.headers.put(&CSeq::new(4, Method::Info));
        assert_eq!(dialog.receive(&info), Ok(()));
        assert_eq!(dialog.target().to_string(), "sip:bob@moved.invalid", "INFO does not move it");
        info.headers.remove(&HeaderName::CSeq);
        assert_eq!(dialog.receive(&info), Err(Misfit::Malformed));
    }

    /// [RFC6665 §4.4.1]: a NOTIFY may come before the response to the SUBSCRIBE.
    #[test]
    fn a_notify_sets_a_dialog_up() {
        let subscribe = with(Method::Subscribe, "sip:alice@a.invalid", &["sip:p.test;lr"]);
        let response = answered(&subscribe, Status::OK, "sip:bob@b.invalid");
        let mut bob = Dialog::of_server(&subscribe, &response).unwrap();
        let mut notify = bob.request(Method::Notify);
        notify.headers.put(&Contact::new(Uri::parse(&"sip:bob@b.invalid".into()).unwrap()));
        let alice = Dialog::of_notify(&subscribe, &notify).unwrap();
        assert_eq!(alice.id(), Dialog::of_client(&subscribe, &response).unwrap().id());
        assert_eq!((alice.local_cseq, alice.remote_cseq), (7, Some(1)));
        let mut stranger = subscribe.clone();
        let mut from = stranger.headers.read::<From>().unwrap();
        from.set_tag("other");
        stranger.headers.put(&from);
        assert!(Dialog::of_notify(&stranger, &notify).is_none());
    }
}
