//! The inbox: what others send to this device.
//!
//! A request is answered with a success only after its records came out, so that "200" means "kept". What came twice is answered like
//! the first time and shown once. Automatic messages are never answered by anything but their status.

use super::engine::Engine;
use super::io::{Alert, Output};
use super::link::ALLOWED;
use super::record::{Message, Place, Record};
use crate::cpm::address::Address;
use crate::cpm::envelope::{Content, Envelope, EnvelopeError};
use crate::cpm::ids::MessageId;
use crate::cpm::probe;
use crate::cpm::receipt::Receipt;
use crate::sip::transaction::ServerId;
use crate::wire::sip::{Accept, Allow, CSeq, CallId, ContentType, Headers, Method, Request, Require, Response, Status, Unsupported};
use crate::wire::{cpim, imdn, iscomposing};
use crate::{Text, Time};

/// The longest text that is kept, in bytes; what is longer is cut off. Frames are not longer than that anyway.
const LONGEST: usize = 128 * 1024;

impl Engine {
    /// A request came in.
    pub(super) fn requested(&mut self, now: Time, id: ServerId, request: &Request) {
        let response = self.answer(now, request);
        self.link.respond(now, id, request, response);
    }

    /// A CANCEL came in; what it cancels is answered already.
    pub(super) fn cancelled(&mut self, now: Time, id: ServerId, known: bool, request: &Request) {
        let status = if known { Status::OK } else { Status::CALL_DOES_NOT_EXIST };
        self.link.respond(now, id, request, Response::to(request, status));
    }

    fn answer(&mut self, now: Time, request: &Request) -> Response {
        if let Some(required) = request.headers.read::<Require>().filter(|required| !required.0.is_empty()) {
            return Response::to(request, Status::BAD_EXTENSION).with(&Unsupported(required.0));
        }
        match request.method {
            Method::Message => match Envelope::unwrap(request) {
                Ok(envelope) => {
                    let id = envelope.message_id.clone().or_else(|| stand_in(request));
                    let response = Response::to(request, self.received(now, id, &request.headers, &envelope));
                    if response.status == Status::UNSUPPORTED_MEDIA_TYPE { acceptable(response) } else { response }
                }
                Err(error) => refusal(request, &error),
            },
            Method::Options => acceptable(Response::to(request, Status::OK)).with(&Allow(ALLOWED.to_vec())),
            Method::Invite => self.invitation(now, request),
            Method::Bye => Response::to(request, self.goodbye(now, request)),
            Method::Notify => Response::to(request, self.queue_notified(now, request)),
            _ => Response::to(request, Status::METHOD_NOT_ALLOWED).with(&Allow(ALLOWED.to_vec())),
        }
    }

    /// Takes a message in, whatever it came in; `id` is what it is known by, as far as it has anything. The status is what to answer.
    pub(super) fn received(&mut self, now: Time, id: Option<MessageId>, headers: &Headers, envelope: &Envelope) -> Status {
        self.probe.delivered();
        match &envelope.content {
            Content::Text(text) => {
                let text = clip(text);
                if let Some(id) = id {
                    self.text_received(now, id, envelope, text);
                }
            }
            Content::Composing(composing) => {
                if self.memory.folder(&envelope.from).is_some() && self.typing.heard(now, &envelope.from, composing) {
                    let active = composing.state == iscomposing::State::Active;
                    self.share(Record::Typing { with: envelope.from.clone(), active });
                }
            }
            Content::Notification(notification) => self.notified(now, &envelope.from, notification),
            content if probe::is_probe(content) => self.probe_arrived(now, envelope.message_id.as_ref(), headers),
            Content::Other { .. } => return Status::UNSUPPORTED_MEDIA_TYPE,
        }
        Status::OK
    }

    fn text_received(&mut self, now: Time, id: MessageId, envelope: &Envelope, text: Text) {
        let with = envelope.from.clone();
        self.writer_stopped(&with);
        let known = self.memory.folder(&with).and_then(|folder| folder.get(&id)).cloned();
        let is_new = known.is_none();
        let message = match known {
            // One's own message to oneself comes back, or somebody uses an identifier of ours: neither is a new message.
            Some(known) if known.outgoing => {
                if self.is_self(&with) {
                    self.confirm_own(known);
                }
                return;
            }
            Some(known) => known,
            // Written to oneself on another device.
            None if self.is_self(&with) => {
                let receipt = Receipt::Delivered;
                Message { outgoing: true, seen: true, receipt, ..self.incoming(now, id, envelope, text) }
            }
            None => self.incoming(now, id, envelope, text),
        };
        if is_new {
            self.greet(&with, envelope);
        }
        let message = self.report_delivery(now, message);
        self.keep_if_changed(message.clone());
        if is_new && !message.outgoing {
            self.alert(&message);
        }
    }

    /// A message as it comes in.
    fn incoming(&self, now: Time, id: MessageId, envelope: &Envelope, text: Text) -> Message {
        Message {
            id,
            with: envelope.from.clone(),
            outgoing: false,
            place: Place::After(self.memory.top, self.memory.next_nth(now)),
            at: envelope.date.map_or(now, |date| date.min(now)),
            text,
            conversation: envelope.conversation.clone(),
            contribution: envelope.contribution.clone(),
            in_reply_to: envelope.in_reply_to.clone(),
            receipt: Receipt::Sent,
            seen: false,
            wants: envelope.wants,
            failure: None,
            flagged: false,
        }
    }

    /// Takes over what a message tells about its sender: their name, and the conversation to go on with.
    fn greet(&mut self, with: &Address, envelope: &Envelope) {
        let mut row = self.row(with);
        if let Some(name) = envelope.from_name.as_ref().filter(|_| row.title.is_empty()) {
            row.title = name.clone();
        }
        row.conversation = envelope.conversation.clone().or(row.conversation);
        self.keep_row_if_changed(row);
    }

    /// Asks for the user's attention.
    pub(super) fn alert(&mut self, message: &Message) {
        let title = self.title(&message.with);
        let alert = Alert { with: message.with.clone(), title, id: message.id.clone(), text: message.text.clone() };
        self.outputs.push_back(Output::Alert(alert));
    }

    /// Whoever has sent something is not writing it any more.
    pub(super) fn writer_stopped(&mut self, with: &Address) {
        if self.typing.stopped(with) {
            self.share(Record::Typing { with: with.clone(), active: false });
        }
    }
}

/// An identifier for a message of a client that gives none: the same when the request comes again.
fn stand_in(request: &Request) -> Option<MessageId> {
    let call_id = request.headers.read::<CallId>()?;
    let cseq = request.headers.read::<CSeq>()?;
    MessageId::parse(&Text::from(format!("{call_id} {}", cseq.number)))
}

fn clip(text: &Text) -> Text {
    if text.len() <= LONGEST {
        return text.clone();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.slice_of(&text[..end])
}

/// The response to what is no message that can be handled.
fn refusal(request: &Request, error: &EnvelopeError) -> Response {
    let response = Response::to(request, error.status());
    if error.status() == Status::UNSUPPORTED_MEDIA_TYPE { acceptable(response) } else { response }
}

/// Adds what can be read here.
fn acceptable(mut response: Response) -> Response {
    let types = [cpim::MEDIA_TYPE, "text/plain", imdn::MEDIA_TYPE, iscomposing::MEDIA_TYPE];
    let types = types.iter().filter_map(|media| media.split_once('/')).map(|(kind, subtype)| ContentType::new(kind, subtype));
    response.headers.put(&Accept(types.collect()));
    response
}
