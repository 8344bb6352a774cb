//! The two requests that an INVITE gives rise to within its own transaction: its ACK when it fails, and its CANCEL.

use crate::wire::sip::{CSeq, HeaderName, MaxForwards, Method, Request, Response, Via};

/// The ACK for a failure [RFC3261 §17.1.1.3]: the INVITE's own branch, and the To of the response.
pub(super) fn acknowledgement(invite: &Request, response: &Response) -> Request {
    let mut ack = derived(invite, Method::Ack);
    if let Some(to) = response.headers.get(&HeaderName::To) {
        ack.headers.set(HeaderName::To, to.clone());
    }
    ack
}

/// The CANCEL of an INVITE [RFC3261 §9.1].
pub(super) fn cancellation(invite: &Request) -> Request {
    let mut cancel = derived(invite, Method::Cancel);
    cancel.headers.copy(&invite.headers, &HeaderName::Reason);
    cancel
}

/// A request with the branch, the route and the dialog of `invite`.
fn derived(invite: &Request, method: Method) -> Request {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    if let Some(via) = invite.headers.read::<Via>() {
        request.headers.put(&via);
    }
    request.headers.put(&MaxForwards(70));
    for name in [HeaderName::Route, HeaderName::From, HeaderName::To, HeaderName::CallId] {
        request.headers.copy(&invite.headers, &name);
    }
    let number = invite.headers.read::<CSeq>().map_or(0, |cseq| cseq.number);
    request.headers.put(&CSeq::new(number, method));
    request
}
