//! Sessions with a user's device in which deferred messages travel: what pushed ones and pulled ones have in common.
//!
//! They are no CPM sessions: their other end is the queue itself, under `sip:deferred@` the home domain. A message counts as delivered when
//! the device has reported that it is kept (R226-R228).

use bytes::Bytes;
use wasm_core::Text;
use wasm_core::cpm::deferred;
use wasm_core::msrp::{Offer, Options};
use wasm_core::sip::dialog::{Dialog, DialogId};
use wasm_core::sip::transaction::ServerId;
use wasm_core::wire::cpim;
use wasm_core::wire::sdp::{Direction, Media, Sdp};
use wasm_core::wire::sip::{Method, Request, Response, SipUri, Status};

use super::super::{Effect, Flight, Hand, Participating};
use super::pull::Pull;
use super::push::Push;
use crate::node::{Function, Hop, MsrpCommand, MsrpEvent, SessionId};
use crate::sip_core::front_door::Source;
use crate::sip_core::refusal::Refusal;
use crate::store::UserId;

/// A session.
#[derive(Debug)]
pub(in crate::participating) enum Session {
    /// Offered by the service to a device that has registered.
    Push(Box<Push>),
    /// Asked for by a device.
    Pull(Box<Pull>),
}

impl Session {
    pub(super) fn user(&self) -> UserId {
        match self {
            Session::Push(push) => push.user,
            Session::Pull(pull) => pull.user,
        }
    }

    fn dialog(&self) -> Option<&DialogId> {
        match self {
            Session::Push(push) => push.dialog.as_ref().map(Dialog::id),
            Session::Pull(pull) => Some(pull.dialog.id()),
        }
    }
}

/// The address of the queue on a host.
pub(super) fn own_uri(host: &str) -> SipUri {
    SipUri::new(deferred::USER, host)
}

/// What this end says of itself: it sends CPIM and takes nothing.
pub(super) fn options() -> Options {
    Options { accept_types: vec![Text::from(cpim::MEDIA_TYPE)], ..Options::default() }
}

/// This end of a session, for messages from here alone.
pub(super) fn sending(offer: Offer) -> Offer {
    Offer { direction: Direction::Send, ..offer }
}

/// Whether the other end takes what is sent here.
pub(super) fn takes_cpim(types: &[Text]) -> bool {
    types.iter().any(|kind| ["*", "message/*", cpim::MEDIA_TYPE].iter().any(|taken| kind.eq_ignore_ascii_case(taken)))
}

impl Participating {
    /// The description of a session with these media.
    pub(super) fn describe(&mut self, medias: Vec<Media>) -> Bytes {
        let host = self.config.host.parse().unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        let number = u64::from(u32::from_be_bytes(self.entropy.bytes::<4>()));
        let mut sdp = Sdp::new(number, number, host);
        sdp.session.medias = medias;
        sdp.encode()
    }

    /// A request to the queue, from one of its user's devices.
    pub(in crate::participating) fn queue_asked(
        &mut self,
        hand: &mut Hand<'_>,
        id: ServerId,
        source: &Source,
        hop: Hop,
        request: &Request,
    ) {
        let Source::User { account, .. } = source else {
            return hand.core.refuse(hand.now, id, request, Refusal::new(Status::FORBIDDEN));
        };
        match request.method {
            Method::Subscribe => self.subscribe(hand, id, account.user, hop, request),
            Method::Invite => self.pull(hand, id, account, hop, request),
            Method::Bye => self.hung_up(hand, id, account.user, request),
            Method::Options => hand.core.respond(hand.now, id, Response::to(request, Status::OK)),
            _ => hand.core.refuse(hand.now, id, request, Refusal::new(Status::METHOD_NOT_ALLOWED)),
        }
    }

    /// A device ends its session. What was not confirmed is tried again otherwise.
    fn hung_up(&mut self, hand: &mut Hand<'_>, id: ServerId, user: UserId, request: &Request) {
        hand.core.step(Function::Core, Function::Participating, || "BYE".into());
        let dialog = DialogId::of_request(request);
        let of_dialog = |session: &Session| session.user() == user && dialog.is_some() && session.dialog() == dialog.as_ref();
        let Some(session) = self.sessions.iter().find(|(_, session)| of_dialog(session)).map(|(session, _)| session.clone()) else {
            return hand.core.refuse(hand.now, id, request, Refusal::new(Status::CALL_DOES_NOT_EXIST));
        };
        hand.core.step(Function::Participating, Function::Core, || "200".into());
        hand.core.respond(hand.now, id, Response::to(request, Status::OK));
        self.effects.push_back(Effect::Msrp(MsrpCommand::Close { session: session.clone() }));
        self.ended(hand, &session);
    }

    /// A session is no more: what it carried goes another way.
    fn ended(&mut self, hand: &mut Hand<'_>, session: &SessionId) {
        match self.sessions.remove(session) {
            Some(Session::Push(push)) => self.push_ended(hand, session, *push),
            Some(Session::Pull(pull)) => self.pull_ended(hand, *pull),
            None => {}
        }
    }

    /// Says goodbye to the other end.
    pub(super) fn hang_up(&mut self, hand: &mut Hand<'_>, hop: &Hop, dialog: &mut Dialog) {
        hand.core.step(Function::Participating, Function::Core, || "BYE".into());
        let bye = dialog.request(Method::Bye);
        if let Some(client) = hand.core.within(hand.now, hop, bye) {
            self.flights.insert(client, Flight::Bye);
        }
    }

    /// Something of an MSRP session. One that nobody has a use for ends.
    pub(crate) fn msrp(&mut self, hand: &mut Hand<'_>, event: MsrpEvent) {
        match event {
            MsrpEvent::Opened { session } => match self.sessions.get(&session) {
                Some(Session::Push(_)) => self.push_opened(hand, &session),
                Some(Session::Pull(_)) => {}
                None => self.effects.push_back(Effect::Msrp(MsrpCommand::Close { session })),
            },
            // Nothing that a device could say here is understood.
            MsrpEvent::Received { .. } => {}
            MsrpEvent::Sent { session, number, result } => match self.sessions.get(&session) {
                Some(Session::Push(_)) => self.pushed(hand, &session, number, result.is_ok()),
                Some(Session::Pull(_)) => self.pulled(hand, &session, number, result.is_ok()),
                None => {}
            },
            MsrpEvent::Closed { session, .. } => match self.sessions.get_mut(&session) {
                Some(Session::Push(_)) => self.push_closed(hand, &session),
                Some(Session::Pull(_)) => self.channel_lost(hand, &session),
                None => {}
            },
        }
    }
}
