//! Sessions in which what waits goes to a device that has registered and says that it takes such sessions (R226, R227).
//!
//! The session is another carrier of the device's lane: what the lane would send as a MESSAGE is sent within the session while there is
//! one, so that order and end of each message are the lane's business as ever. A lane offers one session when it finds that something
//! waited; until the device has answered and connected, nothing is sent. A device that refuses, or stays silent, gets MESSAGEs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wasm_core::cpm::envelope::Envelope;
use wasm_core::cpm::feature::{self, Service};
use wasm_core::msrp::Offer;
use wasm_core::sip::dialog::Dialog;
use wasm_core::wire::cpim;
use wasm_core::wire::sdp::{self, Kind, Sdp};
use wasm_core::wire::sip::{CSeq, CallId, From, HeaderName, MaxForwards, Method, NameAddr, PAssertedIdentity, Request, Response, To};

use super::super::lanes::{Carrier, Parcel};
use super::super::mailbox::Reply;
use super::super::{Alarm, Effect, Flight, Hand, Participating};
use super::session::{self, Session};
use crate::node::{Function, Hop, MsrpCommand, SessionId};
use crate::sip_core::location::BindingId;
use crate::store::UserId;

/// How long a device may take to answer and to connect.
const PATIENCE: Duration = Duration::from_secs(8);

/// A session that was offered to a device.
#[derive(Debug)]
pub(in crate::participating) struct Push {
    pub(super) user: UserId,
    binding: BindingId,
    hop: Hop,
    offer: Offer,
    invite: Request,
    pub(super) dialog: Option<Dialog>,
    /// What was sent and is not confirmed.
    sending: HashMap<u64, Arc<Parcel>>,
    sent: u64,
    /// Whether the lane goes on without it: an answer that still comes is answered with BYE.
    given_up: bool,
}

impl Participating {
    /// Offers a session to a device; whether it was offered.
    pub(in crate::participating) fn offer(&mut self, hand: &mut Hand<'_>, user: UserId, binding: BindingId) -> bool {
        let Some((hop, aor)) = hand.core.location().get(user, binding).map(|binding| (binding.hop.clone(), binding.aor.clone())) else {
            return false;
        };
        let Some(transport) = hand.core.transport(&hop) else { return false };
        let Some(offer) = self.config.msrp.offer(transport, &mut self.entropy).map(session::sending) else { return false };
        let Ok(aor) = wasm_core::wire::sip::Uri::parse(&aor) else { return false };
        let own = NameAddr::new(session::own_uri(self.config.domain()));
        let mut from = From(own.clone());
        from.set_tag(&self.entropy.hex::<6>());
        let mut invite = Request::new(Method::Invite, aor.clone())
            .with(&MaxForwards(70))
            .with(&from)
            .with(&To::new(aor))
            .with(&CallId(self.entropy.hex::<12>().into()))
            .with(&CSeq::new(1, Method::Invite))
            .with(&hand.core.contact(&hop, session::own_uri(&self.config.host)))
            .with(&PAssertedIdentity(own))
            .with(&feature::accept_contact(Service::Deferred));
        invite.headers.push(HeaderName::PAssertedService, feature::DEFERRED);
        invite.headers.push(HeaderName::ContentType, sdp::MEDIA_TYPE);
        invite.body = self.describe(vec![offer.media(&session::options())]);
        hand.core.step(Function::Participating, Function::Core, || "INVITE".into());
        let Some(client) = hand.core.deliver(hand.now, user, binding, invite.clone()) else { return false };
        let session = SessionId::of(&offer.uri);
        let near = hand.core.remote(&hop);
        let open = MsrpCommand::Open { session: session.clone(), user, local: offer.uri.clone(), setup: None, near };
        self.effects.push_back(Effect::Msrp(open));
        self.flights.insert(client, Flight::Offer(session.clone()));
        self.alarms.push(Reverse((hand.now + PATIENCE, Alarm::Offer(session.clone()))));
        let push = Push { user, binding, hop, offer, invite, dialog: None, sending: HashMap::new(), sent: 0, given_up: false };
        self.sessions.insert(session.clone(), Session::Push(Box::new(push)));
        self.carry(user, binding, Carrier::Offered(session));
        true
    }

    fn pushing(&mut self, session: &SessionId) -> Option<&mut Push> {
        match self.sessions.get_mut(session)? {
            Session::Push(push) => Some(push),
            Session::Pull(_) => None,
        }
    }

    /// A device has answered an offer.
    pub(in crate::participating) fn offer_answered(&mut self, hand: &mut Hand<'_>, session: &SessionId, response: &Response) {
        hand.core.step(Function::Core, Function::Participating, || response.status.0.to_string());
        let Some(push) = self.pushing(session) else { return };
        let dialog = if response.status.is_success() { Dialog::of_client(&push.invite, response) } else { None };
        let Some(dialog) = dialog else { return self.abandon(hand, session) };
        hand.core.confirm(push.hop.clone(), dialog.acknowledge(1));
        let answer = Sdp::parse(&response.body).ok();
        let setup = answer.as_ref().and_then(|sdp| push.offer.accept(sdp.find(Kind::Message)?).ok());
        push.dialog = Some(dialog);
        match setup.filter(|setup| !push.given_up && session::takes_cpim(&setup.accept_types)) {
            Some(setup) => {
                let learn = MsrpCommand::Learn { session: session.clone(), setup: Box::new(setup) };
                self.effects.push_back(Effect::Msrp(learn));
            }
            None => self.abandon(hand, session),
        }
    }

    /// A device has connected: its lane goes on.
    pub(super) fn push_opened(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        let Some(push) = self.pushing(session) else { return };
        let (user, binding) = (push.user, push.binding);
        self.carry(user, binding, Carrier::Session(session.clone()));
        self.run(hand, user);
    }

    /// A device has taken too long, unless it has connected.
    pub(in crate::participating) fn offer_overdue(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        let Some(push) = self.pushing(session) else { return };
        let (user, binding) = (push.user, push.binding);
        if self.carrier(user, binding) == Some(Carrier::Offered(session.clone())) {
            self.abandon(hand, session);
        }
    }

    /// The session comes to nothing, or to its end, for its lane: that goes on with MESSAGEs.
    pub(in crate::participating) fn abandon(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        self.effects.push_back(Effect::Msrp(MsrpCommand::Close { session: session.clone() }));
        self.push_closed(hand, session);
    }

    /// The same, once its connection is gone.
    pub(super) fn push_closed(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        let unanswered = self.flights.values().any(|flight| matches!(flight, Flight::Offer(other) if other == session));
        let Some(push) = self.pushing(session) else { return };
        let (user, binding, sending) = (push.user, push.binding, std::mem::take(&mut push.sending));
        push.given_up = true;
        if !unanswered
            && let Some(Session::Push(mut push)) = self.sessions.remove(session)
            && let Some(dialog) = &mut push.dialog
        {
            self.hang_up(hand, &push.hop, dialog);
        }
        self.fall_back(hand, session, user, binding, sending);
    }

    /// The device has ended the session.
    pub(super) fn push_ended(&mut self, hand: &mut Hand<'_>, session: &SessionId, push: Push) {
        self.fall_back(hand, session, push.user, push.binding, push.sending);
    }

    /// What a session has not brought to an end goes as MESSAGEs.
    fn fall_back(
        &mut self,
        hand: &mut Hand<'_>,
        session: &SessionId,
        user: UserId,
        binding: BindingId,
        sending: HashMap<u64, Arc<Parcel>>,
    ) {
        let mut sending: Vec<(u64, Arc<Parcel>)> = sending.into_iter().collect();
        sending.sort_by_key(|(number, _)| *number);
        if self.carrier(user, binding).as_ref().and_then(Carrier::session) != Some(session) {
            // The lane has come to its end, or begun anew.
            return sending.into_iter().for_each(|(_, parcel)| self.device_done(hand, parcel.letter, false));
        }
        self.carry(user, binding, Carrier::Message);
        for (_, parcel) in sending {
            self.send_alone(hand, user, binding, parcel, false);
        }
        self.run(hand, user);
    }

    /// Sends a parcel of a lane within its session; whether that was possible.
    pub(in crate::participating) fn send_pushed(&mut self, session: &SessionId, parcel: &Arc<Parcel>) -> bool {
        let Ok(envelope) = Envelope::unwrap(&parcel.request) else { return false };
        let Some(push) = self.pushing(session) else { return false };
        push.sent += 1;
        let number = push.sent;
        push.sending.insert(number, parcel.clone());
        let (content_type, body) = (cpim::MEDIA_TYPE.into(), envelope.to_session());
        let send = MsrpCommand::Send { session: session.clone(), number, content_type, body, report: true };
        self.effects.push_back(Effect::Msrp(send));
        true
    }

    /// A device has kept a message of its session, or will not in this way.
    pub(super) fn pushed(&mut self, hand: &mut Hand<'_>, session: &SessionId, number: u64, kept: bool) {
        let Some(push) = self.pushing(session) else { return };
        let (user, binding) = (push.user, push.binding);
        let Some(parcel) = push.sending.remove(&number) else { return };
        if kept {
            self.device(hand, user, binding, parcel, false, Reply::Took);
        } else {
            self.send_alone(hand, user, binding, parcel, false);
        }
        self.run(hand, user);
    }
}
