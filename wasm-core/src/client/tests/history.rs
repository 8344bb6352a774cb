//! The server's history: first start, changes, pages, what was seen.

use std::time::Duration;

use super::stage::{START, Stage, address};
use crate::client::view::Tick;
use crate::client::{Command, Input, Mark};
use crate::cpm::address::Address;
use crate::cpm::history::{Changes, Folder, Folders, Gone, Object, Page};
use crate::cpm::ids::MessageId;
use crate::cpm::receipt::Receipt;
use crate::wire::sip::Status;
use crate::{Text, Time};

fn object(seq: u64, with: &str, text: &str) -> Object {
    Object {
        seq,
        change: seq,
        message_id: MessageId::parse(&Text::from(format!("m{seq}"))).unwrap(),
        with: address(with),
        outgoing: false,
        conversation: None,
        contribution: None,
        in_reply_to: None,
        date: Time(START.0 - 1_000_000 + seq),
        content_type: Text::from("text/plain"),
        text: Some(Text::from(text)),
        receipt: Receipt::Sent,
        seen: false,
        wants_display: true,
        wants_delivery: true,
        flags: Vec::new(),
        folders: Vec::new(),
    }
}

fn changes(cursor: u64, objects: Vec<Object>) -> String {
    serde_json::to_string(&Changes { cursor, objects, more: false, reset: false, ..Changes::default() }).unwrap()
}

fn folder(with: &str, last: Object, unread: u32, cursor: u64) -> Folder {
    Folder { with: address(with), title: Text::from("Bob B."), conversation: None, last: Some(last), unread, cursor, flags: Vec::new() }
}

fn texts(stage: &Stage, with: &str) -> Vec<String> {
    stage.thread(with).into_iter().map(|(text, _)| text).collect()
}

/// R296, R326: at the first start the folders come, then pages when somebody looks, then only what changes.
#[test]
fn the_first_start_reads_folders_and_pages_on_demand() {
    let mut stage = Stage::new();
    stage.input(Input::Lead);
    assert!(stage.engine.view().is_loading());
    let folders = Folders { folders: vec![folder("bob", object(70, "bob", "newest"), 3, 70)], cursor: 72 };
    let path = stage.serves(200, &serde_json::to_string(&folders).unwrap());
    assert_eq!(path, "/nms/v1/main/sip%3Aalice%40tandem.test/folders");
    assert!(!stage.engine.view().is_loading());
    let summary = stage.engine.view().threads().remove(0);
    assert_eq!((summary.title.as_str(), summary.unread, summary.last.unwrap().text.as_str()), ("Bob B.", 3, "newest"));
    assert!(stage.alerts.is_empty(), "what was there before is no news");
    // The socket came up meanwhile.
    assert_eq!(stage.serves(200, &changes(72, vec![])), "/nms/v1/main/sip%3Aalice%40tandem.test/changes?since=72&limit=200");

    stage.command(Command::Open { with: address("bob") });
    assert!(stage.engine.view().thread(&address("bob")).unwrap().loading_older());
    stage.command(Command::LoadOlder { with: address("bob") });
    assert_eq!(stage.http.len(), 1, "one page at a time");
    let page = Page { objects: (20..70).map(|seq| object(seq, "bob", &format!("t{seq}"))).collect(), has_older: true };
    let mut page = page;
    for object in &mut page.objects {
        object.seen = object.seq < 68;
    }
    let path = stage.serves(200, &serde_json::to_string(&page).unwrap());
    assert_eq!(path, "/nms/v1/main/sip%3Aalice%40tandem.test/objects?with=sip%3Abob%40tandem.test&before=70&limit=50");
    let view = stage.engine.view();
    let thread = view.thread(&address("bob")).unwrap();
    assert_eq!((thread.len(), thread.unread(), thread.has_older(), thread.loading_older()), (51, 3, true, false));
    assert_eq!(thread.bubbles(49..60).map(|bubble| bubble.text.to_string()).collect::<Vec<_>>(), ["t69", "newest"]);

    stage.command(Command::LoadOlder { with: address("bob") });
    let page = Page { objects: vec![object(3, "bob", "oldest")], has_older: false };
    stage.serves(200, &serde_json::to_string(&page).unwrap());
    assert!(!stage.engine.view().thread(&address("bob")).unwrap().has_older());
    assert_eq!(texts(&stage, "bob")[0], "oldest");

    // A reload asks for nothing but changes, and shows everything at once.
    stage.reload();
    assert_eq!(stage.bubbles("bob").len(), 52);
    stage.input(Input::Lead);
    assert!(stage.serves(200, &changes(72, vec![])).ends_with("changes?since=72&limit=200"));
}

/// R296: what came over the socket and comes again from the history is one message, in the server's order.
#[test]
fn history_and_socket_tell_of_the_same_message() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.answer = Some(Status::OK);
    let message = stage.text("bob", "live");
    stage.arrives(&message);
    stage.sends("bob", "mine");
    let mine = stage.bubbles("bob")[1].id.clone();
    // The server had taken ours first.
    let ours = Object { outgoing: true, message_id: mine, seen: true, receipt: Receipt::Delivered, ..object(4, "bob", "mine") };
    let theirs = Object { message_id: message.message_id.clone().unwrap(), receipt: Receipt::Delivered, ..object(5, "bob", "live") };
    stage.input(Input::Changed { cursor: 5 });
    stage.serves(200, &changes(5, vec![ours.clone(), theirs.clone()]));
    assert_eq!(stage.thread("bob"), [("mine".to_owned(), Some(Tick::Delivered)), ("live".to_owned(), None)]);
    assert_eq!((stage.alerts.len(), stage.engine.view().unread()), (1, 1));
    let before = stage.disk.clone();
    stage.input(Input::Changed { cursor: 5 });
    assert!(stage.http.is_empty(), "the cursor is known");
    stage.input(Input::Changed { cursor: 6 });
    stage.serves(200, &changes(5, vec![ours, theirs]));
    assert_eq!(stage.disk, before, "the same again changes nothing");
}

/// R296, R297: what other devices sent, got and saw shows up here; one alert per person tells of what is new.
#[test]
fn other_devices_of_the_user_are_followed() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.meets("carol");
    stage.input(Input::Changed { cursor: 4 });
    let sent = Object { outgoing: true, seen: true, ..object(1, "bob", "from my phone") };
    stage.serves(200, &changes(4, vec![sent, object(2, "bob", "a"), object(3, "bob", "b"), object(4, "carol", "c")]));
    assert_eq!(texts(&stage, "bob"), ["from my phone", "a", "b"]);
    assert_eq!(stage.thread("bob")[0].1, Some(Tick::Sent));
    assert_eq!(stage.engine.view().unread(), 3);
    assert_eq!(stage.alerts.iter().map(|alert| alert.text.to_string()).collect::<Vec<_>>(), ["b", "c"]);
    let order: Vec<String> = stage.engine.view().threads().iter().map(|thread| thread.title.to_string()).collect();
    assert_eq!(order, ["carol", "bob"]);
    stage.input(Input::Changed { cursor: 6 });
    let seen = |seq| Object { seen: true, change: seq + 3, ..object(seq, "bob", "") };
    stage.serves(200, &changes(6, vec![seen(2), seen(3)]));
    assert_eq!(stage.engine.view().unread(), 1);
    assert_eq!(texts(&stage, "bob"), ["from my phone", "a", "b"]);
}

/// R297: what is seen here is told to the server, again if it must be, and not while it is already being told.
#[test]
fn what_was_seen_is_told_to_the_server() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.answer = Some(Status::OK);
    stage.input(Input::Changed { cursor: 2 });
    stage.serves(200, &changes(2, vec![object(1, "bob", "a"), object(2, "bob", "b")]));
    stage.command(Command::Read { with: address("bob") });
    let (id, method, path, body) = stage.http.pop_front().unwrap();
    assert_eq!((method, path.as_str()), ("PUT", "/nms/v1/main/sip%3Aalice%40tandem.test/folders/sip%3Abob%40tandem.test/flags/%5CSeen"));
    assert_eq!(body.as_deref(), Some(r#"{"up_to":2}"#));
    stage.input(Input::Http { id, status: 503, body: Default::default() });
    assert_eq!(stage.errands(), 1);
    stage.advance(Duration::from_secs(3));
    stage.serves(204, "");
    assert_eq!(stage.errands(), 0);

    // Seen before the server's place was known: told once it is.
    let message = stage.text("bob", "live");
    stage.arrives(&message);
    stage.command(Command::Read { with: address("bob") });
    stage.serves(204, "");
    stage.input(Input::Changed { cursor: 3 });
    let live = Object { message_id: message.message_id.unwrap(), receipt: Receipt::Displayed, ..object(3, "bob", "live") };
    stage.serves(200, &changes(3, vec![live]));
    assert_eq!(stage.http[0].3.as_deref(), Some(r#"{"up_to":3}"#));
    assert_eq!(stage.engine.view().unread(), 0);
}

/// R296: a message that the server has is sent, whatever became of the answer.
#[test]
fn the_history_confirms_what_was_never_answered() {
    let mut stage = Stage::online();
    stage.sends("bob", "one");
    stage.sends("bob", "two");
    let id = stage.bubbles("bob")[0].id.clone();
    stage.input(Input::Changed { cursor: 1 });
    stage.serves(200, &changes(1, vec![Object { outgoing: true, seen: true, message_id: id, ..object(1, "bob", "one") }]));
    assert_eq!(stage.thread("bob")[0].1, Some(Tick::Sent));
    stage.breaks();
    stage.advance(Duration::from_secs(1));
    let envelope = stage.answers(Status::OK);
    assert_eq!(envelope.content, crate::cpm::envelope::Content::Text(Text::from("two")));
    assert!(stage.received.is_empty());
}

/// R326: a change of an object that is not on this device leaves no hole in the thread, and the counts are read again.
#[test]
fn changes_below_the_floor_leave_no_holes() {
    let mut stage = Stage::new();
    stage.input(Input::Lead);
    let mut folders = Folders { folders: vec![folder("bob", object(70, "bob", "newest"), 5, 70)], cursor: 70 };
    stage.serves(200, &serde_json::to_string(&folders).unwrap());
    assert_eq!(stage.engine.view().unread(), 5);
    stage.serves(200, &changes(71, vec![Object { seen: true, change: 71, ..object(7, "bob", "old") }]));
    assert_eq!(texts(&stage, "bob"), ["newest"]);
    folders.folders[0].unread = 2;
    assert!(stage.serves(200, &serde_json::to_string(&folders).unwrap()).ends_with("/folders"));
    assert_eq!(stage.engine.view().unread(), 2);
    assert!(stage.http.is_empty());
}

/// R235: in quiet hours what is new is shown, without a sound; afterwards it is no news.
#[test]
fn quiet_hours_are_silent() {
    let mut stage = Stage::online();
    stage.meets("bob");
    for (cursor, quiet) in [(9, true), (10, false)] {
        stage.input(Input::Changed { cursor });
        let changes = Changes { cursor, objects: vec![object(cursor, "bob", "psst")], quiet, ..Changes::default() };
        stage.serves(200, &serde_json::to_string(&changes).unwrap());
    }
    assert_eq!(stage.bubbles("bob").len(), 2);
    assert_eq!(stage.alerts.len(), 1);
}

/// R326: changes come in batches; a server that makes no progress is not asked for ever.
#[test]
fn long_absences_are_caught_up_in_batches() {
    let mut stage = Stage::online();
    stage.input(Input::Changed { cursor: 400 });
    for batch in 0..3 {
        let objects = (1..=100).map(|at| object(batch * 100 + at, "bob", "x")).collect();
        let changes = Changes { cursor: (batch + 1) * 100, objects, more: batch < 2, reset: false, ..Changes::default() };
        stage.serves(200, &serde_json::to_string(&changes).unwrap());
    }
    assert_eq!(stage.bubbles("bob").len(), 300);
    stage.input(Input::Changed { cursor: 400 });
    let stuck = serde_json::to_string(&Changes { cursor: 300, objects: vec![], more: true, reset: false, ..Changes::default() }).unwrap();
    stage.serves(200, &stuck);
    assert!(stage.http.is_empty());
    stage.advance(Duration::from_secs(2));
    assert_eq!(stage.http.len(), 1, "it is asked again after a while");
    stage.serves(200, "not json");
    stage.advance(Duration::from_secs(4));
    stage.serves(0, "");
    stage.advance(Duration::from_secs(8));
    stage.advance(Duration::from_secs(45));
    assert!(stage.http.len() >= 2, "a question without an answer is asked again");
}

/// R326: when the server has another history, this one is forgotten, but not what was never sent.
#[test]
fn a_new_history_replaces_the_old_one() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.input(Input::Changed { cursor: 9 });
    stage.serves(200, &changes(9, vec![object(8, "bob", "old"), object(9, "bob", "older")]));
    stage.sends("bob", "unsent");
    stage.input(Input::Changed { cursor: 10 });
    stage.serves(
        200,
        &serde_json::to_string(&Changes { cursor: 0, objects: vec![], more: false, reset: true, ..Changes::default() }).unwrap(),
    );
    assert_eq!(texts(&stage, "bob"), ["unsent"]);
    let folders = Folders { folders: vec![folder("bob", object(1, "bob", "new"), 1, 1)], cursor: 1 };
    assert!(stage.serves(200, &serde_json::to_string(&folders).unwrap()).ends_with("/folders"));
    assert_eq!(texts(&stage, "bob"), ["new", "unsent"]);
    stage.answers(Status::OK);
    assert_eq!(texts(&stage, "bob"), ["new", "unsent"]);
}

/// R326: a record that cannot be read is left out, and what it held comes from the server again.
#[test]
fn a_damaged_disk_is_healed_from_the_server() {
    let mut stage = Stage::online();
    stage.input(Input::Changed { cursor: 2 });
    stage.serves(200, &changes(2, vec![object(1, "bob", "a"), object(2, "bob", "b")]));
    let key = stage.disk.keys().find(|(store, key)| store == "messages" && key.ends_with("m1")).unwrap().clone();
    stage.disk.insert(key, "{\"message\":{\"id\":".to_owned());
    stage.reload();
    assert_eq!(texts(&stage, "bob"), ["b"]);
    stage.input(Input::Lead);
    let folders = Folders { folders: vec![folder("bob", object(2, "bob", "b"), 2, 2)], cursor: 2 };
    assert!(stage.serves(200, &serde_json::to_string(&folders).unwrap()).ends_with("/folders"));
    stage.serves(200, &changes(2, vec![]));
    stage.command(Command::Open { with: address("bob") });
    stage.serves(200, &serde_json::to_string(&Page { objects: vec![object(1, "bob", "a")], has_older: false }).unwrap());
    assert_eq!(texts(&stage, "bob"), ["a", "b"]);
    assert_eq!(stage.engine.view().unread(), 2);
}

/// R001: the session is over when the history says so.
#[test]
fn a_session_that_is_over_is_noticed_over_http() {
    let mut stage = Stage::online();
    stage.input(Input::Changed { cursor: 1 });
    stage.serves(401, "");
    assert!(stage.signed_out);
}

/// A thread of 10,000 messages: what arrives costs the same as in a short one, and what is drawn is a slice.
#[test]
fn a_long_thread_stays_cheap() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.answer = Some(Status::OK);
    let mut cursor = 0;
    while cursor < 10_000 {
        stage.input(Input::Changed { cursor: cursor + 200 });
        let objects = (1..=200).map(|at| Object { seen: true, ..object(cursor + at, "bob", "x") }).collect();
        cursor += 200;
        stage.serves(200, &changes(cursor, objects));
    }
    stage.heard.clear();
    for _ in 0..200 {
        let message = stage.text("bob", "live");
        stage.arrives(&message);
    }
    assert!(stage.heard.len() <= 1200, "a message touches few records: {}", stage.heard.len());
    let view = stage.engine.view();
    let thread = view.thread(&address("bob")).unwrap();
    assert_eq!((thread.len(), thread.unread()), (10_200, 200));
    assert_eq!(thread.bubbles(9_999..10_001).count(), 2);
    assert_eq!(thread.position(thread.first_unread().unwrap()), Some(10_000));
    stage.reload();
    assert_eq!(stage.bubbles("bob").len(), 10_200);
}

/// R326: a long thread is cut down on this device when it is looked at, and what is gone comes from the server again.
#[test]
fn a_long_thread_is_kept_in_part() {
    let mut stage = Stage::online();
    stage.meets("bob");
    for batch in 0..6 {
        let objects = (1..=200).map(|at| Object { seen: batch > 0, ..object(batch * 200 + at, "bob", "x") }).collect();
        stage.input(Input::Changed { cursor: (batch + 1) * 200 });
        stage.serves(200, &changes((batch + 1) * 200, objects));
    }
    stage.sends("bob", "waits to be sent");
    stage.command(Command::Open { with: address("carol") });
    let rows = |stage: &Stage| stage.disk.keys().filter(|(store, _)| store == "messages").count();
    assert_eq!((stage.bubbles("bob").len(), rows(&stage)), (500, 500));
    assert_eq!(texts(&stage, "bob").last().unwrap(), "waits to be sent");
    assert_eq!(stage.engine.view().unread(), 200, "what was not seen is still counted");
    stage.reload();
    stage.input(Input::Lead);
    stage.serves(200, &changes(1200, vec![]));
    stage.serves(200, &changes(1200, vec![]));
    let thread = |stage: &Stage| stage.engine.view().thread(&address("bob")).map(|thread| (thread.len(), thread.has_older()));
    assert_eq!(thread(&stage), Some((500, true)));
    stage.command(Command::LoadOlder { with: address("bob") });
    let page = Page { objects: (652..702).map(|seq| Object { seen: true, ..object(seq, "bob", "x") }).collect(), has_older: true };
    assert!(stage.serves(200, &serde_json::to_string(&page).unwrap()).ends_with("&before=702&limit=50"));
    assert_eq!(thread(&stage), Some((550, true)));
    // A change below the floor leaves no hole.
    stage.input(Input::Changed { cursor: 1201 });
    stage.serves(200, &changes(1201, vec![Object { change: 1201, receipt: Receipt::Displayed, ..object(5, "bob", "x") }]));
    assert_eq!(thread(&stage), Some((550, true)));
}

/// R296: a new thread has the name under which the person was found, and then the one that the server knows.
#[test]
fn a_new_thread_has_a_name() {
    let mut stage = Stage::online();
    let title = |stage: &Stage, with| stage.engine.view().thread(&address(with)).unwrap().title().to_string();
    stage.command(Command::Meet { with: address("carol"), name: Text::from("Carol C.") });
    assert!(stage.engine.view().threads().is_empty(), "to have found somebody is no conversation yet");
    stage.sends("carol", "hello");
    assert_eq!(title(&stage, "carol"), "Carol C.");
    stage.sends("bob", "hello");
    assert_eq!(title(&stage, "bob"), "bob");
    let id = stage.bubbles("bob")[0].id.clone();
    let sent = Object { outgoing: true, seen: true, message_id: id, ..object(1, "bob", "hello") };
    stage.input(Input::Changed { cursor: 1 });
    stage.serves(200, &changes(1, vec![sent.clone()]));
    let folders = Folders { folders: vec![folder("bob", sent, 0, 1)], cursor: 1 };
    assert!(stage.serves(200, &serde_json::to_string(&folders).unwrap()).ends_with("/folders"));
    assert_eq!(title(&stage, "bob"), "Bob B.");
    assert!(stage.http.is_empty());
    stage.reload();
    assert_eq!((title(&stage, "bob"), title(&stage, "carol")), ("Bob B.".to_owned(), "Carol C.".to_owned()));
}

/// R316: the server may know the recipient by another of their addresses; the message is in one thread, and not sent again.
#[test]
fn a_message_moves_to_the_address_that_the_server_knows() {
    let mut stage = Stage::online();
    stage.command(Command::Send { to: Address::parse("tel:+15550101").unwrap(), text: "hi".to_owned(), reply_to: None });
    let id = stage.engine.view().thread(&Address::parse("tel:+15550101").unwrap()).unwrap().ids().next().unwrap().clone();
    stage.input(Input::Changed { cursor: 1 });
    stage.serves(200, &changes(1, vec![Object { outgoing: true, seen: true, message_id: id, ..object(1, "bob", "hi") }]));
    assert_eq!(stage.thread("bob"), [("hi".to_owned(), Some(Tick::Sent))]);
    assert_eq!(stage.engine.view().threads().len(), 1);
    stage.breaks();
    stage.advance(Duration::from_secs(1));
    assert!(stage.received.is_empty());
}

/// R326: while there is no link, the history is not asked for again and again.
#[test]
fn without_a_link_the_history_waits() {
    let mut stage = Stage::new();
    stage.reachable = false;
    stage.input(Input::Lead);
    stage.serves(0, "");
    stage.advance(Duration::from_secs(3600));
    assert!(stage.http.is_empty());
    stage.reachable = true;
    stage.input(Input::Network(true));
    assert!(stage.serves(200, r#"{"folders":[],"cursor":0}"#).ends_with("/folders"));
}

/// R326: a message that is deleted here is gone at once, the server hears of it when it can, and it can be taken back.
#[test]
fn a_message_is_deleted_and_comes_back() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.input(Input::Changed { cursor: 2 });
    stage.serves(200, &changes(2, vec![object(1, "bob", "a"), object(2, "bob", "b")]));
    let id = stage.bubbles("bob")[0].id.clone();
    let mark = |on| Command::Mark { with: address("bob"), id: id.clone(), mark: Mark::Deleted, on };
    stage.command(mark(true));
    assert_eq!(texts(&stage, "bob"), ["b"]);
    // What the server says meanwhile does not bring it back; and a device that restarts goes on telling.
    stage.reload();
    stage.input(Input::Lead);
    assert!(stage.serves(503, "").contains("/changes") || stage.errands() == 1);
    stage.advance(Duration::from_secs(5));
    stage.input(Input::Changed { cursor: 3 });
    while let Some(asked) = (!stage.http.is_empty()).then(|| stage.serves(503, "")) {
        assert!(asked.contains("/changes") || asked.ends_with("/objects/1/flags/%5CDeleted"), "{asked}");
    }
    assert_eq!(texts(&stage, "bob"), ["b"]);
    stage.command(mark(false));
    assert_eq!(texts(&stage, "bob"), ["a", "b"]);
    assert_eq!(stage.errands(), 1);
}

/// R297, R326: marks and deletions of other devices are followed, and those that are gone for good.
#[test]
fn marks_of_other_devices_are_followed() {
    let mut stage = Stage::online();
    stage.meets("bob");
    stage.input(Input::Changed { cursor: 3 });
    stage.serves(200, &changes(3, vec![object(1, "bob", "a"), object(2, "bob", "b"), object(3, "bob", "c")]));
    let marked = |seq, flag: &str| Object { change: seq + 3, seen: true, flags: vec![Text::from(flag)], ..object(seq, "bob", "x") };
    stage.input(Input::Changed { cursor: 6 });
    let gone = Gone { seq: 3, change: 6, message_id: object(3, "bob", "").message_id, with: address("bob") };
    let objects = vec![marked(1, "\\Flagged"), marked(2, "\\Deleted")];
    stage.serves(200, &serde_json::to_string(&Changes { cursor: 6, objects, gone: vec![gone], ..Changes::default() }).unwrap());
    assert_eq!(texts(&stage, "bob"), ["a"]);
    assert!(stage.bubbles("bob")[0].flagged);
    stage.input(Input::Changed { cursor: 7 });
    stage.serves(410, "");
    assert!(texts(&stage, "bob").is_empty(), "too much was forgotten: the history is read again");
    let folders = Folders { folders: vec![folder("bob", object(1, "bob", "a"), 0, 7)], cursor: 7 };
    assert!(stage.serves(200, &serde_json::to_string(&folders).unwrap()).ends_with("/folders"));
    assert_eq!(texts(&stage, "bob"), ["a"]);
}
