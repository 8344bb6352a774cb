//! Texts, their receipts and failures, both ways.

use std::time::Duration;

use bytes::Bytes;

use super::stage::{START, Stage, address};
use crate::Text;
use crate::client::view::{Failure, Tick};
use crate::client::{Command, Input, LONGEST_TEXT, Settings, Socket};
use crate::cpm::envelope::{Content, Envelope, Wants};
use crate::cpm::feature;
use crate::wire::imdn::{Delivery, Display, Report};
use crate::wire::iscomposing::IsComposing;
use crate::wire::sip::{CSeq, HeaderName, Method, Response, RetryAfter, Status, To};

fn texts(stage: &Stage, with: &str) -> Vec<String> {
    stage.thread(with).into_iter().map(|(text, _)| text).collect()
}

fn ticks(stage: &Stage, with: &str) -> Vec<Tick> {
    stage.thread(with).into_iter().filter_map(|(_, tick)| tick).collect()
}

const DELIVERED: Report = Report::Delivery(Delivery::Delivered);
const DISPLAYED: Report = Report::Display(Display::Displayed);

/// R016, R031, R033, R034, R038, R039, R051, R053: a text goes out with who it is for, its conversation, its contribution, and what its
/// sender wants to be told; the reports come back as ticks.
#[test]
fn a_text_goes_out_and_its_receipts_come_back() {
    let mut stage = Stage::online();
    stage.sends("bob", "Hello Bob");
    assert_eq!(stage.thread("bob"), [("Hello Bob".to_owned(), Some(Tick::Sending))]);
    let request = stage.received[0].clone();
    assert_eq!((request.method.clone(), request.uri.to_string()), (Method::Message, "sip:bob@tandem.test".to_owned()));
    assert_eq!(request.headers.get(&HeaderName::PPreferredService).unwrap(), feature::PAGER);
    assert_eq!(request.headers.get(&HeaderName::PPreferredIdentity).unwrap(), "<sip:alice@tandem.test>");
    assert!(!request.headers.has(&HeaderName::Contact), "a MESSAGE has no Contact [RFC3428 §4]");
    let envelope = stage.answers(Status::OK);
    assert_eq!((envelope.from.clone(), envelope.to.clone()), (address("alice"), address("bob")));
    assert_eq!(envelope.content, Content::Text(Text::from("Hello Bob")));
    assert!(envelope.conversation.is_some() && envelope.contribution.is_some());
    assert_eq!((envelope.wants, envelope.date), (Wants::ALL, Some(START)));
    assert_eq!(ticks(&stage, "bob"), [Tick::Sent]);

    let id = envelope.message_id.unwrap();
    let report = stage.report("bob", &id, DELIVERED);
    assert_eq!(stage.arrives(&report), Status::OK);
    assert_eq!(ticks(&stage, "bob"), [Tick::Delivered]);
    let report = stage.report("bob", &id, DISPLAYED);
    stage.arrives(&report);
    assert_eq!(ticks(&stage, "bob"), [Tick::Read]);

    stage.sends("bob", "And again");
    let again = stage.answers(Status::ACCEPTED);
    assert_eq!(again.conversation, envelope.conversation);
    assert_ne!(again.contribution, envelope.contribution);
    assert_eq!(ticks(&stage, "bob"), [Tick::Read, Tick::Sent]);
    assert!(stage.received.is_empty(), "reports are not answered");
}

/// R051: what the user does not ask for is not asked of others.
#[test]
fn a_user_who_asks_for_nothing_is_told_nothing() {
    let mut stage = Stage::online();
    stage.command(Command::Settings(Settings { asks: Wants::NOTHING, ..Settings::default() }));
    stage.sends("bob", "Psst");
    assert_eq!(stage.answers(Status::OK).wants, Wants::NOTHING);
}

/// R032, R035: an answer names the contribution that it answers, and both ends show the quote.
#[test]
fn an_answer_names_what_it_answers() {
    let mut stage = Stage::online();
    let question = stage.text("bob", "Tea or coffee?");
    stage.arrives(&question);
    stage.answers(Status::OK);
    let id = question.message_id.clone();
    stage.command(Command::Send { to: address("bob"), text: "Tea".to_owned(), reply_to: id.clone() });
    let answer = stage.answers(Status::OK);
    assert_eq!(answer.in_reply_to, question.contribution);
    let quote = stage.bubbles("bob")[1].reply.clone().unwrap();
    assert_eq!((quote.id, quote.text, quote.outgoing), (id, Some(Text::from("Tea or coffee?")), false));

    let mut reply = stage.text("bob", "Good choice");
    reply.in_reply_to = answer.contribution;
    stage.arrives(&reply);
    assert!(stage.bubbles("bob")[2].reply.as_ref().unwrap().outgoing);

    let mut stranger = stage.text("bob", "About yesterday");
    stranger.in_reply_to = stage.text("bob", "").contribution;
    stage.arrives(&stranger);
    let quote = stage.bubbles("bob")[3].reply.clone().unwrap();
    assert_eq!((quote.id, quote.text), (None, None), "what is answered is not here");
}

/// R031, R033: two devices may start a conversation each; the thread is one, and goes on with the newest.
#[test]
fn two_conversations_with_one_person_are_one_thread() {
    let mut stage = Stage::online();
    stage.answer = Some(Status::OK);
    stage.sends("bob", "one");
    let first = stage.text("bob", "two");
    let second = stage.text("bob", "three");
    assert_ne!(first.conversation, second.conversation);
    stage.arrives(&first);
    stage.arrives(&second);
    assert_eq!(texts(&stage, "bob"), ["one", "two", "three"]);
    stage.answer = None;
    stage.sends("bob", "four");
    assert_eq!(stage.answers(Status::OK).conversation, second.conversation);
    let stranger = stage.text("carol", "hi");
    stage.arrives(&stranger);
    assert_eq!(stage.engine.view().threads().len(), 2);
}

/// R346: the socket dies between the message and its answer: it is sent again under the same identifier.
#[test]
fn a_message_whose_answer_was_lost_keeps_its_identifier() {
    let mut stage = Stage::online();
    stage.sends("bob", "once");
    let first = stage.received[0].clone();
    stage.breaks();
    assert_eq!(ticks(&stage, "bob"), [Tick::Sending]);
    stage.advance(Duration::from_secs(1));
    let second = stage.received[0].clone();
    assert_ne!(first.headers.get(&HeaderName::CallId), second.headers.get(&HeaderName::CallId));
    let again = stage.answers(Status::OK);
    assert_eq!(again.message_id, Envelope::unwrap(&first).unwrap().message_id);
    // The late answer to the first attempt belongs to nothing any more.
    stage.responds(Response::to(&first, Status::NOT_FOUND));
    assert_eq!(ticks(&stage, "bob"), [Tick::Sent]);
}

/// R039: texts to one person leave one after the other; those to others do not wait for them.
#[test]
fn texts_do_not_overtake_each_other() {
    let mut stage = Stage::online();
    for text in ["one", "two", "three"] {
        stage.sends("bob", text);
    }
    stage.sends("carol", "hello");
    assert_eq!(stage.received.len(), 2);
    let first = stage.received.pop_front().unwrap();
    stage.answers(Status::OK);
    assert_eq!(ticks(&stage, "carol"), [Tick::Sent]);
    let wait = RetryAfter::new(20);
    stage.responds(Response::to(&first, Status::SERVICE_UNAVAILABLE).with(&wait));
    stage.advance(Duration::from_millis(19_900));
    assert!(stage.received.is_empty());
    stage.advance(Duration::from_millis(200));
    for text in ["one", "two", "three"] {
        assert_eq!(stage.answers(Status::OK).content, Content::Text(Text::from(text)));
    }
    assert_eq!(ticks(&stage, "bob"), [Tick::Sent; 3]);
}

/// R039: what is written while there is no connection, or before a reload, is sent when there is one.
#[test]
fn what_is_written_offline_survives_a_reload() {
    let mut stage = Stage::online();
    stage.reachable = false;
    stage.breaks();
    stage.sends("bob", "one");
    stage.sends("bob", "two");
    stage.reload();
    assert_eq!(stage.thread("bob"), [("one".to_owned(), Some(Tick::Sending)), ("two".to_owned(), Some(Tick::Sending))]);
    stage.reachable = true;
    stage.answer = Some(Status::OK);
    stage.input(Input::Lead);
    assert_eq!(ticks(&stage, "bob"), [Tick::Sent; 2]);
}

/// R039: a refusal is told in words; sending again after one is a new message in the old one's place.
#[test]
fn a_refusal_has_its_reason_and_can_be_tried_again() {
    let mut stage = Stage::online();
    stage.sends("nobody", "hello?");
    let refused = stage.answers(Status::NOT_FOUND);
    let bubble = stage.bubbles("nobody").remove(0);
    assert_eq!((bubble.tick, bubble.failure), (Some(Tick::Failed), Some(Failure::Unknown)));
    stage.sends("nobody", "still there?");
    let second = stage.received.pop_front().unwrap();
    stage.responds(Response::to(&second, Status::FORBIDDEN));
    assert_eq!(stage.bubbles("nobody")[1].failure, Some(Failure::NotAllowed));

    stage.command(Command::Retry(bubble.id.clone()));
    assert_eq!(texts(&stage, "nobody"), ["still there?", "hello?"]);
    let retried = stage.answers(Status::OK);
    assert_ne!(retried.message_id, refused.message_id);
    assert_eq!(ticks(&stage, "nobody"), [Tick::Failed, Tick::Sent]);

    let failed = stage.bubbles("nobody")[0].id.clone();
    stage.command(Command::Delete(failed));
    assert_eq!(texts(&stage, "nobody"), ["hello?"]);
    let sent = stage.bubbles("nobody")[0].id.clone();
    stage.command(Command::Delete(sent));
    assert_eq!(texts(&stage, "nobody"), ["hello?"], "what the server has stays");
}

/// R039: trouble on the server's side is waited for, but not for ever; then sending again keeps the identifier, since a server may have it.
#[test]
fn trouble_passes_or_is_given_up() {
    let mut stage = Stage::online();
    stage.answer = Some(Status::SERVER_INTERNAL_ERROR);
    stage.sends("bob", "one");
    let id = stage.bubbles("bob")[0].id.clone();
    stage.advance(Duration::from_secs(60));
    assert_eq!(ticks(&stage, "bob"), [Tick::Sending]);
    stage.advance(Duration::from_secs(600));
    assert_eq!(stage.bubbles("bob")[0].failure, Some(Failure::NoAnswer));
    stage.answer = Some(Status::OK);
    stage.command(Command::Retry(id.clone()));
    assert_eq!(ticks(&stage, "bob"), [Tick::Sent]);
    assert_eq!(stage.bubbles("bob")[0].id, id);
}

/// R039: while the server answers pings but no message, Timer F counts as trouble that passes.
#[test]
fn a_message_without_an_answer_is_sent_again() {
    let mut stage = Stage::online();
    stage.sends("bob", "one");
    stage.advance(Duration::from_secs(31));
    assert_eq!(stage.received.len(), 1);
    stage.advance(Duration::from_secs(4));
    assert_eq!(stage.received.len(), 2);
    assert_eq!(stage.received[0].body, stage.received[1].body);
    assert_eq!(stage.connects, 1);
}

/// R039: a text that no server takes is not sent at all.
#[test]
fn a_text_that_is_too_long_is_said_to_be() {
    let mut stage = Stage::online();
    stage.sends("bob", &"a".repeat(LONGEST_TEXT + 1));
    let bubble = stage.bubbles("bob").remove(0);
    assert_eq!((bubble.tick, bubble.failure), (Some(Tick::Failed), Some(Failure::TooLong)));
    stage.command(Command::Retry(bubble.id));
    assert!(stage.received.is_empty());
    stage.sends("bob", &"é".repeat(LONGEST_TEXT / 2));
    assert_eq!(stage.received.len(), 1);
}

/// R180: a report that overtakes the server's answer counts, and no answer takes it back.
#[test]
fn a_report_may_come_before_the_answer() {
    let mut stage = Stage::online();
    stage.sends("bob", "one");
    stage.sends("bob", "two");
    let id = stage.bubbles("bob")[0].id.clone();
    let displayed = stage.report("bob", &id, DISPLAYED);
    stage.arrives(&displayed);
    assert_eq!(ticks(&stage, "bob"), [Tick::Read, Tick::Sending]);
    let delivered = stage.report("bob", &id, DELIVERED);
    stage.arrives(&delivered);
    stage.answers(Status::ACCEPTED);
    assert_eq!(ticks(&stage, "bob"), [Tick::Read, Tick::Sending]);
    stage.answers(Status::OK);
    assert_eq!(ticks(&stage, "bob"), [Tick::Read, Tick::Sent]);
}

/// R053: a negative report is a failure, until a device gets the message after all.
#[test]
fn a_message_that_expired_has_failed_until_it_is_delivered() {
    let mut stage = Stage::online();
    stage.sends("bob", "one");
    let id = stage.answers(Status::ACCEPTED).message_id.unwrap();
    let failed = stage.report("bob", &id, Report::Delivery(Delivery::Failed));
    stage.arrives(&failed);
    assert_eq!(stage.bubbles("bob")[0].failure, Some(Failure::NotDelivered));
    stage.command(Command::Retry(id.clone()));
    assert_ne!(stage.answers(Status::OK).message_id.as_ref(), Some(&id), "the server would take the old one for a repetition");
    let delivered = stage.report("bob", &id, DELIVERED);
    stage.arrives(&delivered);
    assert_eq!(ticks(&stage, "bob"), [Tick::Delivered, Tick::Sent]);
    let forbidden = stage.report("bob", &id, Report::Display(Display::Forbidden));
    stage.arrives(&forbidden);
    assert_eq!(ticks(&stage, "bob"), [Tick::Delivered, Tick::Sent], "a withheld report tells nothing");
}

/// R047, R054: what comes is kept, answered, shown once with one alert, and its delivery is reported once.
#[test]
fn a_message_is_kept_answered_and_reported() {
    let mut stage = Stage::online();
    let message = stage.text("bob", "Hi Alice");
    assert_eq!(stage.arrives(&message), Status::OK);
    assert_eq!(stage.thread("bob"), [("Hi Alice".to_owned(), None)]);
    assert_eq!(stage.alerts.len(), 1);
    assert_eq!(stage.alerts[0].text, "Hi Alice");
    assert_eq!(stage.engine.view().unread(), 1);

    let notice = stage.answers(Status::OK);
    let Content::Notification(notification) = &notice.content else { panic!("{notice:?}") };
    assert_eq!((notification.message_id.as_str(), notification.report), (message.message_id.as_ref().unwrap().as_str(), DELIVERED));
    assert_eq!((notice.to.clone(), notice.conversation.clone()), (address("bob"), message.conversation.clone()));
    assert_eq!(notice.wants, Wants::NOTHING);

    assert_eq!(stage.arrives(&message), Status::OK);
    assert_eq!((stage.bubbles("bob").len(), stage.alerts.len(), stage.received.len()), (1, 1, 0));
    assert_eq!(stage.errands(), 0);
}

/// R054: a delivery report that could not be sent is sent later, even after a reload, and is the same one.
#[test]
fn an_owed_report_is_not_forgotten() {
    let mut stage = Stage::online();
    let message = stage.text("bob", "Hi");
    stage.arrives(&message);
    let first = Envelope::unwrap(&stage.received[0]).unwrap();
    assert_eq!(stage.errands(), 1);
    stage.reload();
    stage.input(Input::Lead);
    let again = stage.answers(Status::OK);
    assert_eq!(again, first);
    assert_eq!(stage.errands(), 0);

    let message = stage.text("bob", "Hi again");
    stage.arrives(&message);
    stage.answers(Status::NOT_FOUND);
    assert_eq!(stage.errands(), 0, "a report that nobody wants is dropped");
}

/// R059: the sender is told when the user has seen a message, if they asked and the user allows it.
#[test]
fn a_message_that_was_seen_is_reported_if_that_is_allowed() {
    let mut stage = Stage::online();
    stage.command(Command::Settings(Settings { delivery_reports: false, ..Settings::default() }));
    let asked = stage.text("bob", "asked");
    let mut unasked = stage.text("bob", "unasked");
    unasked.wants = Wants::NOTHING;
    stage.arrives(&asked);
    stage.arrives(&unasked);
    assert!(stage.received.is_empty(), "a withheld delivery report");
    assert_eq!(stage.engine.view().thread(&address("bob")).unwrap().first_unread(), asked.message_id.as_ref());
    stage.command(Command::Read { with: address("bob") });
    let notice = stage.answers(Status::OK);
    let Content::Notification(notification) = notice.content else { panic!() };
    assert_eq!((notification.message_id.as_str(), notification.report), (asked.message_id.unwrap().as_str(), DISPLAYED));
    stage.command(Command::Read { with: address("bob") });
    assert!(stage.received.is_empty());
    assert_eq!(stage.engine.view().unread(), 0);

    stage.command(Command::Settings(Settings { delivery_reports: false, read_reports: false, ..Settings::default() }));
    let message = stage.text("bob", "private");
    stage.arrives(&message);
    stage.command(Command::Read { with: address("bob") });
    assert!(stage.received.is_empty(), "a withheld read report");
    assert_eq!(stage.engine.view().unread(), 0);
}

/// R047: what this device cannot read is refused with what it can; broken and foreign requests are answered and change nothing.
#[test]
fn what_cannot_be_read_is_refused() {
    let mut stage = Stage::online();
    let picture = Content::Other { content_type: Text::from("image/png"), body: Bytes::from_static(b"\x89PNG") };
    let mut message = stage.text("bob", "");
    message.content = picture;
    assert_eq!(stage.arrives(&message), Status::UNSUPPORTED_MEDIA_TYPE);
    assert!(stage.responses.last().unwrap().headers.has(&HeaderName::Accept));

    let text = stage.text("bob", "x");
    for (method, status) in [
        (Method::Options, Status::OK),
        (Method::Invite, Status::NOT_ACCEPTABLE_HERE),
        (Method::Bye, Status::CALL_DOES_NOT_EXIST),
        (Method::Notify, Status::CALL_DOES_NOT_EXIST),
    ] {
        let mut request = stage.request(&text);
        request.method = method.clone();
        request.headers.put(&CSeq::new(1, method));
        stage.input(Input::Socket(Socket::Frame(request.to_bytes())));
        let response = stage.responses.last().unwrap();
        assert_eq!(response.status, status);
        assert!(response.headers.read::<To>().unwrap().tag().is_some());
    }
    let mut request = stage.request(&text);
    request.headers.push(HeaderName::Require, "mind-reading");
    stage.input(Input::Socket(Socket::Frame(request.to_bytes())));
    assert_eq!(stage.responses.last().unwrap().status, Status::BAD_EXTENSION);
    for garbage in [&b""[..], b"\r\n", b"MESSAGE", b"\xff\xfe\x00", b"SIP/2.0 200 OK\r\n\r\n"] {
        stage.input(Input::Socket(Socket::Frame(Bytes::from_static(garbage))));
    }
    assert!(stage.bubbles("bob").is_empty());
}

/// R317: a report about a message that went to somebody else, or that never was, changes nothing.
#[test]
fn reports_about_strange_messages_change_nothing() {
    let mut stage = Stage::online();
    let message = stage.text("bob", "incoming");
    stage.arrives(&message);
    stage.answers(Status::OK);
    let before = stage.disk.clone();
    let about_incoming = stage.report("bob", message.message_id.as_ref().unwrap(), DISPLAYED);
    assert_eq!(stage.arrives(&about_incoming), Status::OK);
    let nothing = stage.text("bob", "").message_id.unwrap();
    let about_nothing = stage.report("bob", &nothing, DELIVERED);
    assert_eq!(stage.arrives(&about_nothing), Status::OK);
    assert_eq!(stage.disk, before);
}

/// R047: a sender's clock that goes wrong neither puts a message into the future nor into another order.
#[test]
fn wrong_clocks_do_not_disturb_the_order() {
    let mut stage = Stage::online();
    stage.answer = Some(Status::OK);
    let mut future = stage.text("bob", "from the future");
    future.date = Some(stage.now + Duration::from_secs(86_400));
    let mut past = stage.text("bob", "from the past");
    past.date = Some(stage.now - Duration::from_secs(86_400));
    stage.arrives(&future);
    stage.arrives(&past);
    stage.sends("bob", "now");
    assert_eq!(texts(&stage, "bob"), ["from the future", "from the past", "now"]);
    assert_eq!(stage.bubbles("bob")[0].at, stage.now);
}

/// R319: writing is told to others and shown when others do it; it is never kept and ends by itself.
#[test]
fn typing_goes_both_ways_and_is_not_kept() {
    let mut stage = Stage::online();
    stage.answer = Some(Status::OK);
    stage.sends("bob", "hi");
    stage.answer = None;
    stage.command(Command::Typing { to: address("bob"), active: true });
    let told = stage.answers(Status::OK);
    assert!(matches!(told.content, Content::Composing(_)));
    stage.command(Command::Typing { to: address("bob"), active: true });
    assert!(stage.received.is_empty());
    stage.sends("bob", "done");
    stage.answers(Status::OK);
    stage.advance(Duration::from_secs(60));
    assert!(stage.received.is_empty(), "the text itself says that the writing is over");

    let before = stage.disk.clone();
    let mut composing = stage.text("bob", "");
    composing.content = Content::Composing(IsComposing::active(60));
    assert_eq!(stage.arrives(&composing), Status::OK);
    assert!(stage.engine.view().thread(&address("bob")).unwrap().typing());
    stage.advance(Duration::from_secs(60));
    assert!(!stage.engine.view().thread(&address("bob")).unwrap().typing());
    assert_eq!(stage.disk, before);
    stage.arrives(&composing);
    let text = stage.text("bob", "sent");
    stage.arrives(&text);
    assert!(!stage.engine.view().thread(&address("bob")).unwrap().typing());

    stage.command(Command::Settings(Settings { typing: false, ..Settings::default() }));
    stage.received.clear();
    stage.command(Command::Typing { to: address("bob"), active: true });
    assert!(stage.received.is_empty());
}

/// A note to oneself is one bubble, and comes back as delivered.
#[test]
fn a_message_to_oneself_is_shown_once() {
    let mut stage = Stage::online();
    stage.sends("alice", "note");
    let sent = stage.answers(Status::OK);
    assert_eq!(stage.arrives(&sent), Status::OK);
    assert_eq!(stage.thread("alice"), [("note".to_owned(), Some(Tick::Delivered))]);
    assert!(stage.alerts.is_empty() && stage.received.is_empty());
    let elsewhere = Envelope { message_id: stage.text("bob", "").message_id, ..sent.clone() };
    stage.arrives(&elsewhere);
    assert_eq!(stage.thread("alice").len(), 2);
    assert_eq!((stage.alerts.len(), stage.engine.view().unread()), (0, 0));
    // Somebody else who uses that identifier only hides their own message.
    let mut forged = stage.text("bob", "forged");
    forged.message_id = sent.message_id;
    stage.arrives(&forged);
    assert_eq!(stage.thread("alice").len(), 2);
}

/// Drafts are kept with what they answer, and end with the message.
#[test]
fn drafts_survive_a_reload() {
    let mut stage = Stage::online();
    stage.command(Command::Draft { with: address("bob"), text: "Dear Bo".to_owned(), reply_to: None });
    stage.reload();
    let threads = stage.engine.view().threads();
    assert_eq!(threads[0].draft.as_deref(), Some("Dear Bo"));
    stage.input(Input::Lead);
    stage.sends("bob", "Dear Bob");
    assert_eq!(stage.engine.view().threads()[0].draft, None);
}

/// A phone that does not know what typing is, is not told again until the next connection.
#[test]
fn who_refuses_to_be_told_of_typing_is_left_alone() {
    let mut stage = Stage::online();
    let typing = |active| Command::Typing { to: address("bob"), active };
    stage.command(typing(true));
    stage.answers(Status::UNSUPPORTED_MEDIA_TYPE);
    stage.advance(Duration::from_secs(120));
    stage.command(typing(true));
    assert!(stage.received.is_empty());
    stage.breaks();
    stage.advance(Duration::from_secs(1));
    stage.command(typing(true));
    assert_eq!(stage.received.len(), 1);
}

/// R039: with more people written to than requests may be on their way, everybody has their turn and nothing spins.
#[test]
fn many_people_are_served_in_turn() {
    let mut stage = Stage::online();
    for at in 0..60 {
        stage.sends(&format!("user{at}"), "hello");
    }
    assert_eq!(stage.received.len(), 16);
    for _ in 0..16 {
        stage.answers(Status::SERVICE_UNAVAILABLE);
    }
    assert_eq!(stage.received.len(), 16);
    stage.advance(Duration::from_secs(40));
    let mut answered = 0;
    while !stage.received.is_empty() {
        stage.answers(Status::OK);
        stage.advance(Duration::from_secs(1));
        answered += 1;
    }
    assert!(answered >= 60);
    let threads = stage.engine.view().threads();
    assert!(threads.iter().all(|thread| thread.last.as_ref().unwrap().tick == Some(Tick::Sent)));
}
