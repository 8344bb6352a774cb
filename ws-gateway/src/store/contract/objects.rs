//! The clauses about objects: flags, ends, folders of the owner's, what a box holds, searches, threads.

use wasm_core::cpm::history::{Flag, FolderFlag, Found, ObjectKind, SESSION_HISTORY, SessionHistory};

use super::*;

const BOB: &str = "sip:bob@tandem.test";
const CAROL: &str = "sip:carol@tandem.test";

fn arrange(store: &impl Store, user: UserId, action: Action) -> Outcome {
    one(store, Write::Arrange { user, at: Time(1000), action }).unwrap()
}

fn spot(store: &impl Store, user: UserId, seq: u64) -> Spot {
    store.spots(user, &[seq]).unwrap()[0].unwrap()
}

fn flag(store: &impl Store, user: UserId, seq: u64, flag: &str, on: bool) -> Outcome {
    let spot = spot(store, user, seq);
    arrange(store, user, Action::Flag { spot, flag: Flag::parse(flag).unwrap(), on })
}

fn purge(store: &impl Store, user: UserId, seq: u64) -> Outcome {
    let spot = spot(store, user, seq);
    arrange(store, user, Action::Purge { spot })
}

fn says(store: &impl Store, user: UserId, with: &str, message_id: &str, text: &str) -> u64 {
    let message = StoredMessage { body: Bytes::from(text.to_owned()), ..message(user, Direction::In, with, message_id) };
    match one(store, Write::Store(message)) {
        Ok(Outcome::Stored { seq }) => seq,
        other => panic!("{other:?}"),
    }
}

fn index(store: &impl Store) {
    while store.catch_up(7).unwrap() {}
}

fn find(store: &impl Store, user: UserId, criteria: Criteria) -> Found {
    store.search(user, &Criteria { limit: 20, ..criteria }).unwrap()
}

fn text(words: &str) -> Criteria {
    Criteria { text: Some(Text::from(words)), ..Criteria::default() }
}

fn found(store: &impl Store, user: UserId, criteria: Criteria) -> Vec<String> {
    find(store, user, criteria).hits.into_iter().map(|hit| hit.object.message_id.to_string()).collect()
}

/// R326: flags of one object; each change is told once, and unread messages stay counted.
pub(in super::super) fn flags_are_set_and_taken_away(store: &impl Store) {
    let (alice, bob) = pair(store);
    let (one_seq, two) = (store_in(store, alice, BOB, "m1"), store_in(store, alice, BOB, "m2"));
    let unread = || (store.conversations(alice, None, 9).unwrap().folders[0].unread, store.unread(alice).unwrap());
    assert_eq!(unread(), (2, 2));
    assert_eq!(flag(store, alice, two, "\\Seen", true), Outcome::Changed);
    assert_eq!(flag(store, alice, two, "\\Seen", true), Outcome::Unchanged);
    assert_eq!(unread(), (1, 1));
    one(store, Write::Seen { user: alice, with: address(BOB), up_to: 99 }).unwrap();
    assert_eq!(unread(), (0, 0));
    assert_eq!(flag(store, alice, two, "\\Seen", false), Outcome::Changed);
    assert_eq!(unread(), (1, 1));
    assert_eq!(flag(store, alice, one_seq, "\\Flagged", true), Outcome::Changed);
    assert_eq!(flag(store, alice, one_seq, "work", true), Outcome::Changed);
    assert_eq!(flag(store, alice, one_seq, "Later", true), Outcome::Changed);
    assert_eq!(flag(store, alice, one_seq, "work", true), Outcome::Unchanged);
    let since = store.cursor(alice).unwrap();
    assert_eq!(flag(store, alice, one_seq, "Later", false), Outcome::Changed);
    let changes = store.changes(alice, since, 9).unwrap();
    assert_eq!(changes.objects.len(), 1);
    assert_eq!(changes.objects[0].flags, ["\\Flagged", "work"].map(Text::from));
    let object = store.object(alice, one_seq).unwrap().unwrap();
    assert_eq!(object.entry.flags, changes.objects[0].flags);
    assert_eq!(store.messages(alice, &address(BOB), None, 9).unwrap().objects[0], object.entry.object());
    for n in 0..MOST_KEYWORDS - 1 {
        assert_eq!(flag(store, alice, one_seq, &format!("k{n}"), true), Outcome::Changed);
    }
    assert_eq!(flag(store, alice, one_seq, "many", true), Outcome::Conflict);
    assert!(store.spots(bob, &[one_seq, 4711]).unwrap().iter().all(Option::is_none), "places are those of the owner");
    let foreign = Action::Flag { spot: Spot { folder: 1, seq: 1 }, flag: Flag::Flagged, on: true };
    assert_eq!(arrange(store, bob, foreign.clone()), Outcome::Missing);
    assert_eq!(one(store, Write::Arrange { user: UserId(4711), at: Time(0), action: foreign }), Err(StoreError::NoSuchUser(UserId(4711))));
}

/// R326: `\Deleted` takes out of sight and can be taken back; a purged message leaves nothing to read, and does not come back when its
/// sender sends it again.
pub(in super::super) fn what_is_deleted_comes_back_until_it_is_purged(store: &impl Store) {
    let (alice, _) = pair(store);
    let first = store_in(store, alice, BOB, "m1");
    let last = store_in(store, alice, BOB, "m2");
    let shown = || ids(&store.messages(alice, &address(BOB), None, 9).unwrap().objects).join(" ");
    assert_eq!(flag(store, alice, last, "\\Deleted", true), Outcome::Changed);
    assert_eq!(shown(), "m1");
    let folder = store.conversations(alice, None, 9).unwrap().folders.remove(0);
    assert_eq!((folder.unread, folder.last.unwrap().seq, folder.cursor), (1, first, store.cursor(alice).unwrap()));
    assert_eq!(store.stale(Stale::Deleted(Time(1001)), 9).unwrap(), [(alice, spot(store, alice, last))]);
    assert!(store.stale(Stale::Deleted(Time(1000)), 9).unwrap().is_empty());
    assert_eq!(flag(store, alice, last, "\\Deleted", false), Outcome::Changed);
    assert_eq!(shown(), "m1 m2");
    assert!(store.stale(Stale::Deleted(Time(9999)), 9).unwrap().is_empty());
    index(store);
    assert_eq!(found(store, alice, text("m2")), ["m2"]);
    assert_eq!(purge(store, alice, last), Outcome::Changed);
    assert_eq!(purge(store, alice, last), Outcome::Unchanged);
    assert_eq!(flag(store, alice, last, "\\Flagged", true), Outcome::Missing);
    assert_eq!(shown(), "m1");
    assert!(store.object(alice, last).unwrap().is_none() && store.payload(alice, last, 0, 9).unwrap().is_none());
    assert!(found(store, alice, text("m2")).is_empty());
    assert!(store.message(alice, Direction::In, &id("m2")).unwrap()[0].message.body.is_empty());
    let again = one(store, Write::Store(message(alice, Direction::In, BOB, "m2")));
    assert_eq!(again, Ok(Outcome::Duplicate { seq: last }));
    // What else is unread is counted on.
    store_in(store, alice, BOB, "m3");
    assert_eq!(store.conversations(alice, None, 9).unwrap().folders[0].unread, 2);
    // The other copy of a message is its owner's.
    let (carol, dave) = (add(store, &[CAROL]), add(store, &["sip:dave@tandem.test"]));
    let sent = message(carol, Direction::Out, "sip:dave@tandem.test", "shared");
    let got = StoredMessage { user: dave, direction: Direction::In, with: address(CAROL), ..sent.clone() };
    unit(store, vec![Write::Store(sent), Write::Store(got)]).unwrap();
    purge(store, carol, 1);
    assert_eq!(store.object(dave, 1).unwrap().unwrap().entry.object().text.as_deref(), Some("text of shared"));
}

/// R296, R326: devices hear what is gone; one that was away for longer than tombstones are kept has to start afresh.
pub(in super::super) fn a_tombstone_is_told_of_and_forgotten(store: &impl Store) {
    let (alice, _) = pair(store);
    let first = store_in(store, alice, BOB, "m1");
    let second = store_in(store, alice, BOB, "m2");
    let since = store.cursor(alice).unwrap();
    purge(store, alice, first);
    purge(store, alice, second);
    let changes = store.changes(alice, since, 9).unwrap();
    assert!(changes.objects.is_empty());
    let gone: Vec<_> = changes.gone.iter().map(|gone| (gone.seq, gone.message_id.as_str(), gone.with.as_str())).collect();
    assert_eq!(gone, [(first, "m1", BOB), (second, "m2", BOB)]);
    let part = store.changes(alice, since, 1).unwrap();
    assert!(part.more && part.gone.len() == 1 && part.cursor == changes.gone[0].change);
    let stale = store.stale(Stale::Gone(Time(1001)), 9).unwrap();
    assert_eq!(stale.len(), 2);
    let forgotten: Vec<_> = stale.iter().map(|(user, spot)| arrange(store, *user, Action::Forget { spot: *spot })).collect();
    assert_eq!(forgotten, [Outcome::Changed, Outcome::Unchanged], "the newest keeps the counts of its folder");
    assert!(store.stale(Stale::Gone(Time(1001)), 9).unwrap().is_empty());
    assert!(store.changes(alice, since, 9).unwrap().reset, "something before the horizon is not known any more");
    assert!(!store.changes(alice, changes.gone[0].change, 9).unwrap().reset);
    assert!(!store.changes(alice, 0, 9).unwrap().reset, "whoever knows nothing has nothing to forget");
    let third = store_in(store, alice, BOB, "m3");
    assert_eq!(store.conversations(alice, None, 9).unwrap().folders[0].unread, 1);
    let marks = store.index(alice, &address(BOB), 0, 9).unwrap();
    assert_eq!((marks.marks.iter().map(|mark| mark.0).collect::<Vec<_>>(), marks.more), (vec![third], false));
}

/// R326: folders of the owner's: made, named, nested, dropped; what is filed stays in its conversation.
pub(in super::super) fn own_folders_hold_what_stays_where_it_is(store: &impl Store) {
    let (alice, bob) = pair(store);
    let seq = store_in(store, alice, BOB, "m1");
    let place = spot(store, alice, seq);
    let make = |parent, name: &str| arrange(store, alice, Action::MakeFolder { parent, name: Text::from(name) });
    let Outcome::Kept { version: travel } = make(None, "Travel") else { panic!() };
    assert_eq!(make(None, "Travel"), Outcome::Conflict);
    assert_eq!(make(Some(4711), "Nowhere"), Outcome::Conflict);
    let Outcome::Kept { version: work } = make(None, "Work") else { panic!() };
    let Outcome::Kept { version: inner } = make(Some(travel), "Work") else { panic!() };
    let change = |id, parent, name: &str| arrange(store, alice, Action::ChangeFolder { id, parent, name: Text::from(name) });
    assert_eq!(change(travel, Some(inner), "Travel"), Outcome::Conflict, "nothing lies within itself");
    assert_eq!(change(inner, None, "Work"), Outcome::Conflict);
    assert_eq!(change(inner, Some(travel), "Italy"), Outcome::Changed);
    let mut deepest = inner;
    for depth in 3..=DEEPEST {
        let Outcome::Kept { version } = make(Some(deepest), &format!("d{depth}")) else { panic!() };
        deepest = version;
    }
    assert_eq!(make(Some(deepest), "too deep"), Outcome::Conflict);
    assert_eq!(change(travel, Some(work), "Travel"), Outcome::Conflict, "what lies in it would lie too deep");
    let file = |own, alone| arrange(store, alice, Action::File { spot: place, own, alone });
    assert_eq!(file(travel, false), Outcome::Changed);
    assert_eq!(file(travel, false), Outcome::Unchanged);
    assert_eq!(file(work, false), Outcome::Changed);
    assert_eq!(store.object(alice, seq).unwrap().unwrap().entry.folders, [travel, work]);
    assert_eq!(file(inner, true), Outcome::Changed);
    assert_eq!(store.object(alice, seq).unwrap().unwrap().entry.folders, [inner]);
    assert_eq!(file(4711, false), Outcome::Conflict);
    assert_eq!(ids(&store.messages(alice, &address(BOB), None, 9).unwrap().objects), ["m1"]);
    assert_eq!(found(store, alice, Criteria { own: Some(inner), ..Criteria::default() }), ["m1"]);
    let counts: Vec<_> =
        store.own_folders(alice).unwrap().folders.into_iter().map(|folder| (folder.name.to_string(), folder.objects)).collect();
    assert!(counts.contains(&("Italy".into(), 1)) && counts.contains(&("Travel".into(), 0)), "{counts:?}");
    assert!(store.own_folders(bob).unwrap().folders.is_empty());
    let since = store.cursor(alice).unwrap();
    assert_eq!(arrange(store, alice, Action::DropFolder { id: travel }), Outcome::Changed);
    let changes = store.changes(alice, since, 99).unwrap();
    assert!(changes.own_folders.len() >= 2 && changes.own_folders.iter().all(|folder| folder.gone));
    assert_eq!(changes.objects[0].folders, Vec::<u64>::new());
    assert_eq!(store.own_folders(alice).unwrap().folders.len(), 1);
    assert_eq!(arrange(store, alice, Action::DropFolder { id: travel }), Outcome::Missing);
    for n in 1..MOST_OWN_FOLDERS {
        assert!(matches!(make(None, &format!("n{n}")), Outcome::Kept { .. }));
    }
    assert_eq!(make(None, "one more"), Outcome::Conflict);
}

pub(in super::super) fn folders_have_flags(store: &impl Store) {
    let (alice, _) = pair(store);
    store_in(store, alice, BOB, "m1");
    let since = store.cursor(alice).unwrap();
    let set = |flag, on| arrange(store, alice, Action::FlagFolder { with: address(BOB), flag, on });
    assert_eq!(set(FolderFlag::Pinned, true), Outcome::Changed);
    assert_eq!(set(FolderFlag::Archived, true), Outcome::Changed);
    assert_eq!(set(FolderFlag::Archived, true), Outcome::Unchanged);
    assert_eq!(set(FolderFlag::Archived, false), Outcome::Changed);
    let folder = store.conversations(alice, None, 9).unwrap().folders.remove(0);
    assert_eq!((folder.flags, folder.cursor), (vec![Text::from("\\Pinned")], store.cursor(alice).unwrap()));
    let changes = store.changes(alice, since, 9).unwrap();
    assert!(changes.objects.is_empty() && changes.folders.len() == 1 && changes.folders[0].flags == ["\\Pinned"].map(Text::from));
    let nobody = Action::FlagFolder { with: address(CAROL), flag: FolderFlag::Pinned, on: true };
    assert_eq!(arrange(store, alice, nobody), Outcome::Missing);
}

/// R296: drafts and other documents are told of with everything else, and bounded tombstones of them.
pub(in super::super) fn documents_are_among_the_changes(store: &impl Store) {
    let (alice, _) = pair(store);
    let since = store.cursor(alice).unwrap();
    one(store, put(alice, DocumentKind::Draft, BOB, "{}", Expect::Any)).unwrap();
    let told = |since| {
        let changes = store.changes(alice, since, 999).unwrap();
        assert!(!changes.reset);
        changes.documents.into_iter().map(|change| (change.kind.to_string(), change.name.to_string(), change.gone)).collect::<Vec<_>>()
    };
    assert_eq!(told(since), [("draft".into(), BOB.into(), false)]);
    let drop = |name: &str| Write::DropDocument { user: alice, kind: DocumentKind::Draft, name: Text::from(name), expect: Expect::Any };
    one(store, drop(BOB)).unwrap();
    assert_eq!(told(since), [("draft".into(), BOB.into(), true)]);
    one(store, put(alice, DocumentKind::Draft, BOB, "{}", Expect::Any)).unwrap();
    assert_eq!(told(since), [("draft".into(), BOB.into(), false)]);
    let later = store.cursor(alice).unwrap();
    for n in 0..300 {
        one(store, put(alice, DocumentKind::Draft, &format!("n{n}"), "{}", Expect::Any)).unwrap();
        one(store, drop(&format!("n{n}"))).unwrap();
    }
    assert!(store.changes(alice, later, 9).unwrap().reset);
    assert!(!store.changes(alice, store.cursor(alice).unwrap() - 400, 9).unwrap().reset);
}

/// R255: the counters of a box follow every store and every end.
pub(in super::super) fn a_box_is_weighed(store: &impl Store) {
    let (alice, bob) = pair(store);
    let seq = says(store, alice, BOB, "m1", "12345");
    says(store, alice, CAROL, "m2", "1234567890");
    one(store, Write::Store(message(alice, Direction::In, CAROL, "m2"))).unwrap();
    assert_eq!(store.usage(alice).unwrap(), Usage { objects: 2, bytes: 15 });
    flag(store, alice, seq, "\\Deleted", true);
    assert_eq!(store.usage(alice).unwrap(), Usage { objects: 2, bytes: 15 }, "it can come back");
    purge(store, alice, seq);
    assert_eq!(store.usage(alice).unwrap(), Usage { objects: 1, bytes: 10 });
    assert_eq!(store.usage(bob).unwrap(), Usage::default());
    assert_eq!(store.overfull(Usage { objects: 9, bytes: 9 }, 9).unwrap(), [alice]);
    assert_eq!(store.overfull(Usage { objects: 0, bytes: 99 }, 9).unwrap(), [alice]);
    assert!(store.overfull(Usage { objects: 1, bytes: 10 }, 9).unwrap().is_empty());
}

/// R255, R326: what makes room first is the oldest that nobody has marked; what is too old is found bit by bit.
pub(in super::super) fn the_oldest_goes_first(store: &impl Store) {
    let (alice, _) = pair(store);
    let seqs: Vec<u64> = (0..5).map(|n| store_in(store, alice, [BOB, CAROL][n % 2], &format!("m{n}"))).collect();
    flag(store, alice, seqs[0], "\\Flagged", true);
    purge(store, alice, seqs[1]);
    let oldest = |limit| store.oldest(alice, limit).unwrap().iter().map(|spot| spot.seq).collect::<Vec<_>>();
    assert_eq!(oldest(2), [seqs[2], seqs[3]]);
    assert_eq!(oldest(9), [seqs[2], seqs[3], seqs[4], seqs[0]]);
    let date = message(alice, Direction::In, BOB, "x").date;
    let (none, next) = store.aged(date, 0, 2).unwrap();
    assert!(none.is_empty() && next.is_some());
    let (mut aged, mut from) = (Vec::new(), Some(0));
    while let Some(place) = from {
        let (some, next) = store.aged(date + std::time::Duration::from_secs(1), place, 2).unwrap();
        aged.extend(some.into_iter().map(|(_, spot)| spot.seq));
        from = next;
    }
    assert_eq!(aged, [seqs[2], seqs[3], seqs[4]]);
}

/// R324, R326: words in any order and case, with or without their marks, the last one as a beginning; where they are is told as data.
pub(in super::super) fn words_are_found(store: &impl Store) {
    let (alice, _) = pair(store);
    says(store, alice, BOB, "m1", "Zażółć <b>gęślą</b> jaźń");
    says(store, alice, CAROL, "m2", "A résumé of the Station");
    says(store, alice, BOB, "m3", "station to station");
    says(store, alice, BOB, "m4", "nothing");
    for round in 0..2 {
        assert_eq!(found(store, alice, text("station")), ["m3", "m2"], "round {round}");
        assert_eq!(found(store, alice, text("STAT")), ["m3", "m2"]);
        assert_eq!(found(store, alice, text("stat resume")), Vec::<String>::new(), "only the last is a beginning");
        assert_eq!(found(store, alice, text("station resu")), ["m2"]);
        assert_eq!(found(store, alice, text("zazołc gesla")), ["m1"]);
        assert_eq!(found(store, alice, text("gęśl")), ["m1"]);
        assert_eq!(found(store, alice, text("gesl")), ["m1"]);
        for nothing in ["-", "\"", "zzz", "a* OR b", "NEAR(", "m1:", "'; DROP"] {
            assert!(found(store, alice, text(nothing)).is_empty(), "{nothing}");
        }
        let hit = find(store, alice, text("gesla")).hits.remove(0).snippet.unwrap();
        assert_eq!((&*hit.text, &hit.matches[..]), ("Zażółć <b>gęślą</b> jaźń", &[(10, 5)][..]));
        assert!(!hit.cut_before && !hit.cut_after);
        let ranked = found(store, alice, Criteria { ranked: true, ..text("station") });
        assert_eq!(ranked, ["m3", "m2"], "twice in few words is more");
        index(store);
    }
    let long = format!("{} needle {}", "hay ".repeat(100), "hay ".repeat(100));
    says(store, alice, BOB, "m5", &long);
    let hit = find(store, alice, text("needle")).hits.remove(0).snippet.unwrap();
    assert!(hit.cut_before && hit.cut_after && hit.text.chars().count() == 160);
    let (at, length) = hit.matches[0];
    assert_eq!(hit.text.chars().skip(at as usize).take(length as usize).collect::<String>(), "needle");
    // A text that brings the brackets along moves nothing.
    says(store, alice, BOB, "m6", "\u{2}odd\u{3} marks");
    let hit = find(store, alice, text("marks")).hits.remove(0).snippet.unwrap();
    assert_eq!(hit.matches, [(6, 5)]);
}

/// R326: a message is found at once, whether the index has come to it or not, in one order.
pub(in super::super) fn what_is_not_indexed_is_found_as_well(store: &impl Store) {
    let (alice, _) = pair(store);
    let mut expected = Vec::new();
    for n in 0..30 {
        says(store, alice, [BOB, CAROL][n % 2], &format!("m{n}"), "the word");
        expected.insert(0, format!("m{n}"));
        if n == 12 {
            index(store);
        }
        if n == 20 {
            store.catch_up(3).unwrap();
        }
        let all = store.search(alice, &Criteria { limit: 100, ..text("word") }).unwrap();
        assert_eq!(all.hits.iter().map(|hit| hit.object.message_id.to_string()).collect::<Vec<_>>(), expected);
        assert_eq!(all.before, None);
    }
}

/// R326: by sender, folder, date, flag, kind, with or without words.
pub(in super::super) fn conditions_meet(store: &impl Store) {
    let (alice, _) = pair(store);
    let dated = |message_id: &str, direction, with: &str, date: u64| StoredMessage {
        date: Time(date),
        body: Bytes::from_static(b"the same words"),
        conversation: ConversationId::parse(&Text::from(format!("c{}", date % 2))),
        ..message(alice, direction, with, message_id)
    };
    for message in [
        dated("m1", Direction::In, BOB, 100),
        dated("m2", Direction::Out, BOB, 201),
        dated("m3", Direction::In, CAROL, 300),
        dated("m4", Direction::Out, CAROL, 401),
    ] {
        one(store, Write::Store(message)).unwrap();
    }
    flag(store, alice, 2, "\\Flagged", true);
    flag(store, alice, 3, "work", true);
    flag(store, alice, 4, "\\Deleted", true);
    for _ in 0..2 {
        for words in [None, Some(Text::from("same"))] {
            let all = || Criteria { text: words.clone(), ..Criteria::default() };
            let hits = |criteria| found(store, alice, criteria).join(" ");
            assert_eq!(hits(Criteria { with: Some(address(BOB)), ..all() }), "m2 m1");
            assert_eq!(hits(Criteria { with: Some(address("sip:nobody@x")), ..all() }), "");
            assert_eq!(hits(Criteria { outgoing: Some(false), ..all() }), "m3 m1");
            assert_eq!(hits(Criteria { outgoing: Some(true), with: Some(address(BOB)), ..all() }), "m2");
            assert_eq!(hits(Criteria { since: Some(Time(201)), ..all() }), "m3 m2");
            assert_eq!(hits(Criteria { until: Some(Time(201)), ..all() }), "m1");
            assert_eq!(hits(Criteria { flag: Some(Flag::Flagged), ..all() }), "m2");
            assert_eq!(hits(Criteria { flag: Some(Flag::Deleted), ..all() }), "m4");
            assert_eq!(hits(Criteria { flag: Some(Flag::Keyword(Text::from("work"))), ..all() }), "m3");
            assert_eq!(hits(Criteria { flag: Some(Flag::Keyword(Text::from("none"))), ..all() }), "");
            assert_eq!(hits(Criteria { flag: Some(Flag::Seen), ..all() }), "m2");
            assert_eq!(hits(Criteria { conversation: ConversationId::parse(&Text::from("c0")), ..all() }), "m3 m1");
            assert_eq!(hits(Criteria { kind: Some(ObjectKind::Session), ..all() }), "");
            assert_eq!(hits(Criteria { kind: Some(ObjectKind::Message), ..all() }), "m3 m2 m1");
        }
        assert!(found(store, alice, Criteria::default()).is_empty(), "nothing was asked");
        index(store);
    }
}

/// R326: page by page, without gap or overlap, with the index in the middle of it.
pub(in super::super) fn searches_go_on_in_pages(store: &impl Store) {
    let (alice, _) = pair(store);
    for n in 0..25 {
        says(store, alice, [BOB, CAROL][n % 2], &format!("m{n}"), "the word");
        if n % 3 == 0 {
            flag(store, alice, store.cursor(alice).unwrap(), "\\Flagged", true);
        }
        if n == 14 {
            index(store);
        }
    }
    for criteria in
        [text("word"), Criteria { with: Some(address(BOB)), ..text("wo") }, Criteria { flag: Some(Flag::Flagged), ..text("word") }]
    {
        let whole = store.search(alice, &Criteria { limit: 100, ..criteria.clone() }).unwrap();
        assert_eq!(whole.before, None);
        let (mut paged, mut before) = (Vec::new(), None);
        for _ in 0..20 {
            let page = store.search(alice, &Criteria { limit: 4, before, ..criteria.clone() }).unwrap();
            assert!(page.hits.len() <= 4);
            paged.extend(page.hits);
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole.hits);
    }
}

/// R317: a copy is its owner's; so is what is found.
pub(in super::super) fn nobody_finds_what_is_anothers(store: &impl Store) {
    let (alice, bob) = pair(store);
    says(store, alice, CAROL, "m1", "a secret word");
    // A text that looks like another user's words in the index.
    says(store, bob, CAROL, "m2", &format!("{0}qsecret {0}i {0}o {0}kf1", alice.0));
    for _ in 0..2 {
        assert_eq!(found(store, alice, text("secret")), ["m1"]);
        assert!(found(store, bob, text("secret")).is_empty());
        assert_eq!(found(store, bob, Criteria { outgoing: Some(false), ..Criteria::default() }), ["m2"]);
        index(store);
    }
    one(store, Write::RemoveAccount { user: alice }).unwrap();
    assert!(found(store, alice, text("secret")).is_empty());
}

/// R205, R324: the conversations of a folder, and the answers to a message and to these.
pub(in super::super) fn conversations_and_threads_are_read_from_the_box(store: &impl Store) {
    let (alice, _) = pair(store);
    let id = |text: &str| Text::from(text);
    let send = |message_id: &str, conversation: &str, contribution: &str, answers: Option<&str>| {
        let message = StoredMessage {
            conversation: ConversationId::parse(&id(conversation)),
            contribution: ContributionId::parse(&id(contribution)),
            in_reply_to: answers.and_then(|answers| ContributionId::parse(&id(answers))),
            ..message(alice, Direction::In, BOB, message_id)
        };
        one(store, Write::Store(message)).unwrap();
    };
    send("m1", "c1", "k1", None);
    send("m2", "c2", "k2", None);
    send("m3", "c1", "k3", Some("k1"));
    send("m4", "c1", "k4", Some("k3"));
    send("m5", "c1", "k5", Some("k9"));
    let histories = store.histories(alice, &address(BOB), None, 9).unwrap();
    let seen: Vec<_> = histories.histories.iter().map(|h| (h.conversation.as_str(), h.objects, h.first, h.last)).collect();
    assert_eq!((seen, histories.before), (vec![("c1", 4, 1, 5), ("c2", 1, 2, 2)], None));
    let first = store.histories(alice, &address(BOB), None, 1).unwrap();
    assert_eq!((first.histories.len(), first.before), (1, Some(3)));
    for seq in [1, 3, 4] {
        assert_eq!(ids(&store.thread(alice, seq).unwrap().unwrap().objects), ["m1", "m3", "m4"]);
    }
    assert_eq!(ids(&store.thread(alice, 5).unwrap().unwrap().objects), ["m5"]);
    assert_eq!(store.thread(alice, 99).unwrap(), None);
    // Answers in a circle end as well.
    send("m6", "c1", "k6", Some("k7"));
    send("m7", "c1", "k7", Some("k6"));
    assert_eq!(ids(&store.thread(alice, 6).unwrap().unwrap().objects), ["m6", "m7"]);
}

/// R324: the history of a session is an object like a message, and found by its kind and its words.
pub(in super::super) fn histories_are_objects(store: &impl Store) {
    let (alice, _) = pair(store);
    let history = SessionHistory {
        service: Text::from("chat"),
        subject: Some(Text::from("Holidays in Rome")),
        participants: vec![address(BOB)],
        started: Time(5),
        ended: Time(9),
        reason: None,
    };
    let stored = StoredMessage {
        content_type: Text::from(SESSION_HISTORY),
        body: Bytes::from(serde_json::to_vec(&history).unwrap()),
        ..message(alice, Direction::Out, BOB, "s1")
    };
    one(store, Write::Store(stored)).unwrap();
    store_in(store, alice, BOB, "m1");
    for _ in 0..2 {
        assert_eq!(found(store, alice, Criteria { kind: Some(ObjectKind::Session), ..Criteria::default() }), ["s1"]);
        assert_eq!(found(store, alice, text("rome")), ["s1"]);
        index(store);
    }
    let payload = store.payload(alice, 1, 0, 9999).unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<SessionHistory>(&payload.bytes).unwrap(), history);
}

/// R326: a part of a payload is read without the rest.
pub(in super::super) fn payloads_are_read_in_part(store: &impl Store) {
    let (alice, bob) = pair(store);
    let seq = says(store, alice, BOB, "m1", "0123456789");
    let part = |from, most| store.payload(alice, seq, from, most).unwrap().unwrap();
    assert_eq!((part(2, 3).bytes, part(2, 3).length), (Bytes::from_static(b"234"), 10));
    assert_eq!(part(0, 99).bytes, Bytes::from_static(b"0123456789"));
    assert_eq!(part(10, 1).bytes, Bytes::new());
    assert_eq!(part(u64::MAX, usize::MAX).bytes, Bytes::new());
    assert_eq!(store.payload(bob, seq, 0, 9).unwrap(), None);
    assert_eq!(store.payload(alice, 99, 0, 9).unwrap(), None);
}
