//! What every back end has to do: a clause takes any empty [`Store`], and `contract!` makes the tests of a back end from them.

use bytes::Bytes;
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::Wants;
use wasm_core::cpm::history::Object;
use wasm_core::cpm::ids::{ContributionId, ConversationId, InstanceId, MessageId};
use wasm_core::cpm::receipt::Receipt;
use wasm_core::sip::digest::Ha1;
use wasm_core::{Text, Time};

use super::*;

mod objects;
pub(super) use objects::*;

/// A test for each clause of the contract, against the store that `$fresh` makes: a function that gives anything which derefs to a
/// [`Store`].
macro_rules! contract {
    ($fresh:path) => {
        contract! { $fresh;
            accounts_are_found_by_each_address
            an_address_has_one_owner
            a_removed_account_leaves_nothing
            a_new_password_ends_the_sessions
            a_message_is_stored_once
            a_stranger_cannot_take_an_identifier
            a_duplicate_skips_the_rest_of_the_unit
            a_failing_unit_hurts_nobody
            what_comes_back_is_what_was_stored
            a_folder_is_read_in_pages
            folders_are_sorted_by_their_newest_message
            receipts_are_merged
            the_first_claim_wins
            blank_copies_are_read_by_nobody
            changes_are_complete_and_in_order
            a_foreign_cursor_means_start_afresh
            seen_messages_are_counted
            the_queue_keeps_its_order
            the_queue_expires
            what_is_held_waits_for_a_decision
            bindings_are_replaced_and_dropped
            sessions_are_opened_and_closed
            secrets_are_made_once
            documents_are_kept_by_name
            a_document_is_changed_by_those_who_know_it
            changes_by_random_steps_lead_to_the_same_box
            flags_are_set_and_taken_away
            what_is_deleted_comes_back_until_it_is_purged
            a_tombstone_is_told_of_and_forgotten
            own_folders_hold_what_stays_where_it_is
            folders_have_flags
            documents_are_among_the_changes
            a_box_is_weighed
            the_oldest_goes_first
            words_are_found
            what_is_not_indexed_is_found_as_well
            conditions_meet
            searches_go_on_in_pages
            nobody_finds_what_is_anothers
            conversations_and_threads_are_read_from_the_box
            histories_are_objects
            payloads_are_read_in_part
         }
    };
    ($fresh:path; $($clause:ident)*) => {
        $(#[test]
        fn $clause() {
            $crate::store::contract::$clause(&*$fresh());
        })*
    };
}
pub(super) use contract;

/// The reads of a store that wraps another in its field `$inner`.
macro_rules! forward_reads {
    ($inner:ident) => {
        $crate::store::contract::forward_reads! { $inner;
            account(address: &wasm_core::cpm::address::Address) -> Option<$crate::store::Account>;
            accounts() -> Vec<$crate::store::Account>;
            accounts_version() -> u64;
            secret(name: &str, fresh: [u8; 32]) -> [u8; 32];
            cursor(user: $crate::store::UserId) -> u64;
            unread(user: $crate::store::UserId) -> u64;
            conversations(user: $crate::store::UserId, before: Option<u64>, limit: usize) -> Folders;
            messages(user: $crate::store::UserId, with: &wasm_core::cpm::address::Address, before: Option<u64>, limit: usize) -> Page;
            changes(user: $crate::store::UserId, since: u64, limit: usize) -> Changes;
            message(
                user: $crate::store::UserId,
                direction: $crate::store::Direction,
                message_id: &wasm_core::cpm::ids::MessageId
            ) -> Vec<$crate::store::Entry>;
            pending(user: $crate::store::UserId, after: Option<$crate::store::PendingId>, limit: usize) -> Vec<$crate::store::Queued>;
            waiting() -> Vec<$crate::store::UserId>;
            expired(now: wasm_core::Time, limit: usize) -> Vec<$crate::store::Queued>;
            held(user: $crate::store::UserId, limit: usize) -> $crate::store::HeldPage;
            held_entries(user: $crate::store::UserId, ids: &[$crate::store::PendingId]) -> Vec<$crate::store::Queued>;
            reminders(now: wasm_core::Time, limit: usize) -> Vec<$crate::store::Queued>;
            bindings(user: $crate::store::UserId) -> Vec<$crate::store::StoredBinding>;
            all_bindings() -> Vec<$crate::store::StoredBinding>;
            session(token: &$crate::store::TokenHash) -> Option<$crate::store::StoredSession>;
            sessions(user: $crate::store::UserId) -> Vec<$crate::store::StoredSession>;
            document(user: $crate::store::UserId, kind: $crate::store::DocumentKind, name: &str) -> Option<$crate::store::Document>;
            documents(user: $crate::store::UserId, kind: $crate::store::DocumentKind) -> Vec<$crate::store::Document>;
            all_documents(kind: $crate::store::DocumentKind) -> Vec<$crate::store::Document>;
            object(user: $crate::store::UserId, seq: u64) -> Option<$crate::store::Located>;
            spots(user: $crate::store::UserId, seqs: &[u64]) -> Vec<Option<$crate::store::Spot>>;
            payload(user: $crate::store::UserId, seq: u64, from: u64, most: usize) -> Option<$crate::store::Payload>;
            index(
                user: $crate::store::UserId,
                with: &wasm_core::cpm::address::Address,
                after: u64,
                limit: usize
            ) -> wasm_core::cpm::history::Index;
            search(user: $crate::store::UserId, criteria: &$crate::store::Criteria) -> wasm_core::cpm::history::Found;
            own_folders(user: $crate::store::UserId) -> wasm_core::cpm::history::OwnFolders;
            histories(
                user: $crate::store::UserId,
                with: &wasm_core::cpm::address::Address,
                before: Option<u64>,
                limit: usize
            ) -> wasm_core::cpm::history::Histories;
            thread(user: $crate::store::UserId, seq: u64) -> Option<Page>;
            usage(user: $crate::store::UserId) -> $crate::store::Usage;
            overfull(most: $crate::store::Usage, limit: usize) -> Vec<$crate::store::UserId>;
            oldest(user: $crate::store::UserId, limit: usize) -> Vec<$crate::store::Spot>;
            stale(what: $crate::store::Stale, limit: usize) -> Vec<($crate::store::UserId, $crate::store::Spot)>;
            aged(
                before: wasm_core::Time,
                from: i64,
                limit: usize
            ) -> (Vec<($crate::store::UserId, $crate::store::Spot)>, Option<i64>);
            catch_up(most: usize) -> bool;
            trails(user: $crate::store::UserId) -> Vec<bytes::Bytes>;
        }
    };
    ($inner:ident; $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Result<$result, $crate::store::StoreError> {
            self.$inner.$name($($arg),*)
        })*
    };
}
pub(super) use forward_reads;

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(super) fn id(text: &str) -> MessageId {
    MessageId::parse(&Text::from(text)).unwrap()
}

pub(super) fn secret(realm: &str, password: &str) -> Secret {
    Secret { username: Text::from("user"), realm: Text::from(realm), ha1: Ha1::new("user", realm, password) }
}

pub(super) fn one(store: &impl Store, write: Write) -> Result<Outcome, StoreError> {
    unit(store, vec![write]).map(|applied| applied.outcomes[0])
}

pub(super) fn unit(store: &impl Store, writes: Vec<Write>) -> Result<Applied, StoreError> {
    let mut results = store.commit(vec![Unit(writes)]);
    assert_eq!(results.len(), 1);
    results.remove(0)
}

pub(super) fn add(store: &impl Store, addresses: &[&str]) -> UserId {
    let account = NewAccount {
        addresses: addresses.iter().map(|text| address(text)).collect(),
        display_name: Text::from("Some One"),
        secrets: vec![secret("tandem.test", "pw")],
    };
    match one(store, Write::AddAccount(account)) {
        Ok(Outcome::Created(user)) => user,
        other => panic!("{other:?}"),
    }
}

/// Alice and Bob; a third account before them, so that no number is taken for another by chance.
fn pair(store: &impl Store) -> (UserId, UserId) {
    add(store, &["sip:zoe@tandem.test"]);
    (add(store, &["sip:alice@tandem.test"]), add(store, &["sip:bob@tandem.test", "tel:+15550101"]))
}

pub(super) fn message(user: UserId, direction: Direction, with: &str, message_id: &str) -> StoredMessage {
    let (me, other) = (address("sip:me@tandem.test"), address(with));
    let (from, to) = match direction {
        Direction::In => (other.clone(), me),
        Direction::Out => (me, other.clone()),
    };
    StoredMessage {
        user,
        direction,
        with: other,
        message_id: id(message_id),
        conversation: None,
        contribution: None,
        in_reply_to: None,
        from,
        to,
        date: Time(1_700_000_000_000),
        content_type: Text::from("text/plain;charset=UTF-8"),
        body: Bytes::from(format!("text of {message_id}")),
        wants: Wants { delivered: true, failed: false, displayed: true },
        receipt: Receipt::Sent,
        expires: None,
    }
}

fn store_in(store: &impl Store, user: UserId, with: &str, message_id: &str) -> u64 {
    match one(store, Write::Store(message(user, Direction::In, with, message_id))) {
        Ok(Outcome::Stored { seq }) => seq,
        other => panic!("{other:?}"),
    }
}

pub(super) fn pending(user: UserId, message_id: &str, expires_at: u64) -> Pending {
    Pending {
        user,
        message_id: id(message_id),
        kind: PendingKind::Message,
        request: Bytes::from(format!("MESSAGE {message_id}\0\r\n")),
        arrived_at: Time(7),
        expires_at: Time(expires_at),
    }
}

fn ids(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.message_id.as_str()).collect()
}

/// R316: an account is found by any of its addresses, the primary one first.
pub(super) fn accounts_are_found_by_each_address(store: &impl Store) {
    let before = store.accounts_version().unwrap();
    let user = add(store, &["sip:bob@tandem.test", "tel:+15550101", "sip:bob@tandem.test"]);
    assert!(store.accounts_version().unwrap() > before);
    for text in ["sip:bob@tandem.test", "tel:+15550101"] {
        let account = store.account(&address(text)).unwrap().unwrap();
        assert_eq!(account.user, user);
        assert_eq!(account.addresses, [address("sip:bob@tandem.test"), address("tel:+15550101")]);
        assert_eq!(&*account.display_name, "Some One");
        assert_eq!(account.ha1("user", "TANDEM.test"), Some(&Ha1::new("user", "tandem.test", "pw")));
        assert_eq!(account.ha1("other", "tandem.test"), None);
    }
    assert_eq!(store.account(&address("sip:carol@tandem.test")).unwrap(), None);
    let carol = add(store, &["sip:aaa@tandem.test"]);
    assert_eq!(store.accounts().unwrap().iter().map(|account| account.user).collect::<Vec<_>>(), [carol, user]);
}

/// R242, R286: of what a user does not want kept a blank copy takes claims and receipts, and nobody reads it.
pub(super) fn blank_copies_are_read_by_nobody(store: &impl Store) {
    let (alice, bob) = (add(store, &["sip:alice@tandem.test"]), add(store, &["sip:bob@tandem.test"]));
    let (from, to) = (address("sip:alice@tandem.test"), address("sip:bob@tandem.test"));
    let incoming = StoredMessage { user: bob.blank(), body: Bytes::new(), ..message(bob, Direction::In, from.as_str(), "m") };
    let outgoing = StoredMessage { user: alice.blank(), body: Bytes::new(), ..message(alice, Direction::Out, to.as_str(), "m") };
    let stored = store.commit(vec![Unit(vec![Write::Store(outgoing), Write::Store(incoming.clone())])]).remove(0).unwrap();
    assert!(stored.whole() && stored.cursors.is_empty(), "{stored:?}");
    assert!(matches!(one(store, Write::Store(incoming)), Ok(Outcome::Duplicate { .. })));
    for (user, with) in [(alice, &to), (bob, &from)] {
        assert!(store.messages(user, with, None, 10).unwrap().objects.is_empty());
        assert!(store.conversations(user, None, 10).unwrap().folders.is_empty());
        assert!(store.changes(user, 0, 10).unwrap().objects.is_empty());
    }
    assert_eq!(store.message(bob, Direction::In, &id("m")).unwrap().len(), 1);
    let claim = || Write::Claim { user: bob, with: from.clone(), message_id: id("m"), kind: Disposition::Delivery };
    assert_eq!((one(store, claim()), one(store, claim())), (Ok(Outcome::First), Ok(Outcome::Already)));
    let receipt = || Write::Receipt { user: alice, with: vec![to.clone()], message_id: id("m"), receipt: Receipt::Delivered };
    assert_eq!((one(store, receipt()), one(store, receipt())), (Ok(Outcome::Changed), Ok(Outcome::Unchanged)));
    assert_eq!(one(store, Write::RemoveAccount { user: bob }), Ok(Outcome::Done));
    assert!(store.message(bob, Direction::In, &id("m")).unwrap().is_empty());
}

pub(super) fn an_address_has_one_owner(store: &impl Store) {
    add(store, &["sip:bob@tandem.test", "tel:+15550101"]);
    let version = store.accounts_version().unwrap();
    let taken = NewAccount {
        addresses: vec![address("sip:bill@tandem.test"), address("tel:+15550101")],
        display_name: Text::from("Bill"),
        secrets: Vec::new(),
    };
    assert_eq!(one(store, Write::AddAccount(taken)), Err(StoreError::AddressTaken(address("tel:+15550101"))));
    let nameless = NewAccount { addresses: Vec::new(), display_name: Text::default(), secrets: Vec::new() };
    assert_eq!(one(store, Write::AddAccount(nameless)), Err(StoreError::NoAddress));
    assert_eq!(store.account(&address("sip:bill@tandem.test")).unwrap(), None);
    assert_eq!(store.accounts_version().unwrap(), version);
}

pub(super) fn a_removed_account_leaves_nothing(store: &impl Store) {
    let (alice, bob) = pair(store);
    let session = session(bob, 1);
    let out = message(alice, Direction::Out, "sip:bob@tandem.test", "m1");
    let copy = StoredMessage { user: bob, direction: Direction::In, with: address("sip:alice@tandem.test"), ..out.clone() };
    unit(
        store,
        vec![
            Write::Store(out.clone()),
            Write::Store(copy),
            Write::Queue(pending(bob, "m1", 99)),
            Write::OpenSession(session.clone()),
            Write::Bind(binding(bob, "k")),
        ],
    )
    .unwrap();
    store_in(store, bob, "sip:alice@tandem.test", "m2");
    assert_eq!(one(store, Write::RemoveAccount { user: bob }), Ok(Outcome::Done));
    assert_eq!(store.account(&address("sip:bob@tandem.test")).unwrap(), None);
    assert_eq!(store.account(&address("tel:+15550101")).unwrap(), None);
    assert_eq!(store.session(&session.token).unwrap(), None);
    assert!(store.bindings(bob).unwrap().is_empty());
    assert!(store.pending(bob, None, 9).unwrap().is_empty());
    assert!(store.expired(Time(1000), 9).unwrap().is_empty());
    assert!(store.messages(bob, &address("sip:alice@tandem.test"), None, 9).unwrap().objects.is_empty());
    assert_eq!(store.conversations(bob, None, 9).unwrap().folders, []);
    // What Alice sent is still hers.
    assert_eq!(store.message(alice, Direction::Out, &id("m1")).unwrap()[0].message, out);
    for write in [
        Write::RemoveAccount { user: bob },
        Write::SetSecrets { user: bob, secrets: Vec::new() },
        Write::Store(message(bob, Direction::In, "sip:alice@tandem.test", "m3")),
        Write::Queue(pending(bob, "m3", 99)),
        Write::Bind(binding(bob, "k")),
        Write::OpenSession(session),
    ] {
        assert_eq!(one(store, write), Err(StoreError::NoSuchUser(bob)));
    }
    let again = add(store, &["sip:bob@tandem.test"]);
    assert_ne!(again, bob, "a number is never used twice");
}

pub(super) fn a_new_password_ends_the_sessions(store: &impl Store) {
    let (_, bob) = pair(store);
    one(store, Write::OpenSession(session(bob, 1))).unwrap();
    let version = store.accounts_version().unwrap();
    one(store, Write::SetSecrets { user: bob, secrets: vec![secret("tandem.test", "new")] }).unwrap();
    assert!(store.accounts_version().unwrap() > version);
    assert!(store.sessions(bob).unwrap().is_empty());
    let account = store.account(&address("sip:bob@tandem.test")).unwrap().unwrap();
    assert_eq!(account.secrets, [secret("tandem.test", "new")]);
}

/// R326: a repeated message is recognised, in each direction for itself.
pub(super) fn a_message_is_stored_once(store: &impl Store) {
    let (alice, _) = pair(store);
    let incoming = message(alice, Direction::In, "sip:bob@tandem.test", "m1");
    let seq = store_in(store, alice, "sip:bob@tandem.test", "m1");
    let cursor = store.cursor(alice).unwrap();
    let applied = unit(store, vec![Write::Store(incoming)]).unwrap();
    assert_eq!(applied, Applied { outcomes: vec![Outcome::Duplicate { seq }], cursors: Vec::new() });
    assert!(!applied.whole());
    assert_eq!(store.cursor(alice).unwrap(), cursor);
    let outgoing = message(alice, Direction::Out, "sip:bob@tandem.test", "m1");
    assert_eq!(one(store, Write::Store(outgoing)), Ok(Outcome::Stored { seq: seq + 1 }));
    // Also within one transaction.
    let twice = Unit(vec![Write::Store(message(alice, Direction::In, "sip:carol@tandem.test", "m2"))]);
    let results = store.commit(vec![twice.clone(), twice]);
    assert_eq!(results[0].as_ref().unwrap().outcomes, [Outcome::Stored { seq: seq + 2 }]);
    assert_eq!(results[1].as_ref().unwrap().outcomes, [Outcome::Duplicate { seq: seq + 2 }]);
}

/// R317: who knows an identifier cannot keep another's message out by using it first.
pub(super) fn a_stranger_cannot_take_an_identifier(store: &impl Store) {
    let (alice, _) = pair(store);
    store_in(store, alice, "sip:mallory@tandem.test", "m1");
    store_in(store, alice, "sip:bob@tandem.test", "m1");
    let found = store.message(alice, Direction::In, &id("m1")).unwrap();
    let senders: Vec<_> = found.iter().map(|entry| entry.message.with.as_str()).collect();
    assert_eq!(senders, ["sip:mallory@tandem.test", "sip:bob@tandem.test"]);
}

pub(super) fn a_duplicate_skips_the_rest_of_the_unit(store: &impl Store) {
    let (alice, bob) = pair(store);
    let writes = vec![
        Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", "m1")),
        Write::Store(message(bob, Direction::In, "sip:alice@tandem.test", "m1")),
        Write::Queue(pending(bob, "m1", 99)),
    ];
    let first = unit(store, writes.clone()).unwrap();
    assert!(first.whole());
    assert_eq!(first.cursors, [(alice, 1), (bob, 1)]);
    let second = unit(store, writes).unwrap();
    assert_eq!(second.outcomes, [Outcome::Duplicate { seq: 1 }, Outcome::Skipped, Outcome::Skipped]);
    assert_eq!(store.pending(bob, None, 9).unwrap().len(), 1);
}

pub(super) fn a_failing_unit_hurts_nobody(store: &impl Store) {
    let (alice, bob) = pair(store);
    let gone = UserId(4711);
    let good = |message_id: &str| {
        Unit(vec![
            Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", message_id)),
            Write::Store(message(bob, Direction::In, "sip:alice@tandem.test", message_id)),
            Write::Queue(pending(bob, message_id, 99)),
        ])
    };
    let bad = Unit(vec![
        Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", "bad")),
        Write::Queue(pending(bob, "bad", 99)),
        Write::Store(message(gone, Direction::In, "sip:alice@tandem.test", "bad")),
    ]);
    let results = store.commit(vec![good("m1"), bad.clone(), good("m2"), bad, good("m1")]);
    assert!(results[0].as_ref().unwrap().whole());
    assert_eq!(results[1], Err(StoreError::NoSuchUser(gone)));
    assert!(results[2].as_ref().unwrap().whole());
    assert_eq!(results[3], Err(StoreError::NoSuchUser(gone)));
    assert_eq!(results[4].as_ref().unwrap().outcomes[0], Outcome::Duplicate { seq: 1 });
    let page = store.messages(alice, &address("sip:bob@tandem.test"), None, 9).unwrap();
    assert_eq!(ids(&page.objects), ["m1", "m2"]);
    let waiting = store.pending(bob, None, 9).unwrap();
    assert_eq!(waiting.iter().map(|queued| queued.pending.message_id.as_str()).collect::<Vec<_>>(), ["m1", "m2"]);
    assert_eq!(store.conversations(bob, None, 9).unwrap().folders[0].unread, 2);
}

pub(super) fn what_comes_back_is_what_was_stored(store: &impl Store) {
    let (alice, _) = pair(store);
    let text = |text: &str| Text::from(text);
    let sent = StoredMessage {
        conversation: ConversationId::parse(&text("c-1")),
        contribution: ContributionId::parse(&text("k-1")),
        in_reply_to: ContributionId::parse(&text("k-0")),
        from: address("tel:+15550100"),
        body: Bytes::from_static(b"\x00\xff binary"),
        content_type: text("application/octet-stream"),
        wants: Wants { delivered: false, failed: true, displayed: false },
        receipt: Receipt::Sending,
        expires: Some(Time::NEVER),
        ..message(alice, Direction::Out, "tel:+15550101", "Ünïcode 'id' --")
    };
    one(store, Write::Store(sent.clone())).unwrap();
    let entry = store.message(alice, Direction::Out, &sent.message_id).unwrap().remove(0);
    assert_eq!(entry.message, sent);
    assert_eq!((entry.seq, entry.change, entry.seen), (1, 1, true));
    assert_eq!((entry.delivery_claimed, entry.display_claimed), (false, false));
    let object = entry.object();
    assert_eq!(object.text, None, "what is no text is not shown as text");
    assert!(object.outgoing);
    assert!(store.message(alice, Direction::In, &sent.message_id).unwrap().is_empty());
}

/// R326: a folder is read backwards page by page, without gap or overlap.
pub(super) fn a_folder_is_read_in_pages(store: &impl Store) {
    let (alice, bob) = pair(store);
    for n in 0..10 {
        store_in(store, alice, "sip:bob@tandem.test", &format!("b{n}"));
        store_in(store, alice, "sip:carol@tandem.test", &format!("c{n}"));
        store_in(store, bob, "sip:alice@tandem.test", &format!("a{n}"));
    }
    let with = address("sip:bob@tandem.test");
    let last = store.messages(alice, &with, None, 4).unwrap();
    assert_eq!(ids(&last.objects), ["b6", "b7", "b8", "b9"]);
    assert!(last.has_older);
    let middle = store.messages(alice, &with, Some(last.objects[0].seq), 5).unwrap();
    assert_eq!(ids(&middle.objects), ["b1", "b2", "b3", "b4", "b5"]);
    assert!(middle.has_older);
    let first = store.messages(alice, &with, Some(middle.objects[0].seq), 5).unwrap();
    assert_eq!(ids(&first.objects), ["b0"]);
    assert!(!first.has_older);
    let exact = store.messages(alice, &with, None, 10).unwrap();
    assert_eq!((exact.objects.len(), exact.has_older), (10, false));
    assert!(store.messages(alice, &address("sip:nobody@x"), None, 5).unwrap().objects.is_empty());
}

pub(super) fn folders_are_sorted_by_their_newest_message(store: &impl Store) {
    let (alice, _) = pair(store);
    store_in(store, alice, "sip:bob@tandem.test", "m1");
    store_in(store, alice, "sip:stranger@example.org", "m2");
    let last = store_in(store, alice, "sip:bob@tandem.test", "m3");
    let folders = store.conversations(alice, None, 9).unwrap();
    assert_eq!(folders.cursor, last);
    let shown: Vec<_> = folders.folders.iter().map(|folder| (folder.with.as_str(), &*folder.title, folder.unread)).collect();
    assert_eq!(shown, [("sip:bob@tandem.test", "Some One", 2), ("sip:stranger@example.org", "sip:stranger@example.org", 1)]);
    assert_eq!(folders.folders[0].last.as_ref().unwrap().text.as_deref(), Some("text of m3"));
    let older = store.conversations(alice, Some(last), 9).unwrap();
    assert_eq!(older.folders.len(), 1);
    assert_eq!(older.folders[0].with, address("sip:stranger@example.org"));
    assert_eq!(store.conversations(alice, None, 1).unwrap().folders.len(), 1);
}

/// R297: reports may come in any order and more than once.
pub(super) fn receipts_are_merged(store: &impl Store) {
    let (alice, bob) = pair(store);
    one(store, Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", "m1"))).unwrap();
    // A message that Bob received under the same identifier is no message that he sent.
    one(store, Write::Store(message(bob, Direction::In, "sip:alice@tandem.test", "m1"))).unwrap();
    one(store, Write::Store(message(alice, Direction::Out, "sip:carol@tandem.test", "m1"))).unwrap();
    let report = |user, message_id: &str, receipt| {
        let with = vec![address("sip:bob@tandem.test"), address("tel:+15550199")];
        one(store, Write::Receipt { user, with, message_id: id(message_id), receipt }).unwrap()
    };
    assert_eq!(report(alice, "m1", Receipt::Failed), Outcome::Changed);
    assert_eq!(report(alice, "m1", Receipt::Displayed), Outcome::Changed);
    let cursor = store.cursor(alice).unwrap();
    assert_eq!(report(alice, "m1", Receipt::Delivered), Outcome::Unchanged);
    assert_eq!(report(alice, "m1", Receipt::Failed), Outcome::Unchanged);
    assert_eq!(report(alice, "m2", Receipt::Delivered), Outcome::Missing);
    assert_eq!(report(bob, "m1", Receipt::Delivered), Outcome::Missing);
    assert_eq!(report(UserId(4711), "m1", Receipt::Delivered), Outcome::Missing);
    assert_eq!(store.cursor(alice).unwrap(), cursor);
    let mut entries = store.message(alice, Direction::Out, &id("m1")).unwrap();
    entries.sort_by(|one, two| one.message.with.as_str().cmp(two.message.with.as_str()));
    assert_eq!((entries[0].message.receipt, entries[0].change), (Receipt::Displayed, cursor));
    // The same identifier to somebody else is another message, of which Bob cannot report.
    assert_eq!(entries[1].message.receipt, Receipt::Sent);
}

/// R286, R287: exactly one delivery and one display notification of all of a user's devices.
pub(super) fn the_first_claim_wins(store: &impl Store) {
    let (alice, bob) = pair(store);
    one(store, Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", "m1"))).unwrap();
    one(store, Write::Store(message(bob, Direction::In, "sip:alice@tandem.test", "m1"))).unwrap();
    let claim = |with: &str, message_id: &str, kind| {
        let writes = vec![
            Write::Claim { user: bob, with: address(with), message_id: id(message_id), kind },
            Write::Receipt {
                user: alice,
                with: vec![address("sip:bob@tandem.test")],
                message_id: id(message_id),
                receipt: Receipt::Delivered,
            },
            Write::Queue(Pending { kind: PendingKind::Notification, ..pending(alice, message_id, 99) }),
        ];
        unit(store, writes).unwrap()
    };
    let first = claim("sip:alice@tandem.test", "m1", Disposition::Delivery);
    assert!(matches!(first.outcomes[..], [Outcome::First, Outcome::Changed, Outcome::Queued(_)]));
    assert_eq!(first.cursors.len(), 2);
    let second = claim("sip:alice@tandem.test", "m1", Disposition::Delivery);
    assert_eq!(second.outcomes, [Outcome::Already, Outcome::Skipped, Outcome::Skipped]);
    assert!(second.cursors.is_empty());
    let display = claim("sip:alice@tandem.test", "m1", Disposition::Display);
    assert!(matches!(display.outcomes[..], [Outcome::First, Outcome::Unchanged, Outcome::Queued(_)]));
    assert_eq!(claim("sip:mallory@tandem.test", "m1", Disposition::Display).outcomes[0], Outcome::Missing);
    assert_eq!(claim("sip:alice@tandem.test", "m2", Disposition::Delivery).outcomes[0], Outcome::Missing);
    assert_eq!(store.pending(alice, None, 9).unwrap().len(), 2);
    let entry = store.message(bob, Direction::In, &id("m1")).unwrap().remove(0);
    assert!(entry.delivery_claimed && entry.display_claimed);
    assert_eq!(entry.message.receipt, Receipt::Displayed);
}

/// R326: who follows the cursor sees every change once it is the newest, in the order of the commits.
pub(super) fn changes_are_complete_and_in_order(store: &impl Store) {
    let (alice, _) = pair(store);
    for n in 0..5 {
        one(store, Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", &format!("o{n}")))).unwrap();
        store_in(store, alice, "sip:carol@tandem.test", &format!("i{n}"));
    }
    let all = store.changes(alice, 0, 100).unwrap();
    assert_eq!((all.objects.len(), all.more, all.reset, all.cursor), (10, false, false, 10));
    let with = vec![address("sip:bob@tandem.test")];
    one(store, Write::Receipt { user: alice, with, message_id: id("o1"), receipt: Receipt::Delivered }).unwrap();
    let next = store.changes(alice, all.cursor, 100).unwrap();
    assert_eq!(ids(&next.objects), ["o1"]);
    assert_eq!((next.objects[0].seq, next.objects[0].change, next.cursor), (3, 11, 11));
    assert!(store.changes(alice, next.cursor, 100).unwrap().objects.is_empty());
    let mut pages = Vec::new();
    let mut since = 0;
    loop {
        let page = store.changes(alice, since, 3).unwrap();
        assert!(page.cursor > since && page.objects.len() <= 3);
        assert!(page.objects.iter().all(|object| object.change > since && object.change <= page.cursor));
        pages.extend(page.objects);
        since = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(ids(&pages), ["o0", "i0", "i1", "o2", "i2", "o3", "i3", "o4", "i4", "o1"]);
}

pub(super) fn a_foreign_cursor_means_start_afresh(store: &impl Store) {
    let (alice, _) = pair(store);
    store_in(store, alice, "sip:bob@tandem.test", "m1");
    assert!(store.changes(alice, 2, 9).unwrap().reset);
    assert!(!store.changes(alice, 1, 9).unwrap().reset);
}

/// R296, R297: what one device has shown is not unread on another.
pub(super) fn seen_messages_are_counted(store: &impl Store) {
    let (alice, _) = pair(store);
    let with = address("sip:bob@tandem.test");
    let seqs: Vec<u64> = (0..4).map(|n| store_in(store, alice, "sip:bob@tandem.test", &format!("m{n}"))).collect();
    store_in(store, alice, "sip:carol@tandem.test", "other");
    one(store, Write::Store(message(alice, Direction::Out, "sip:bob@tandem.test", "mine"))).unwrap();
    let unread = || {
        let folders = store.conversations(alice, None, 9).unwrap().folders;
        assert_eq!(store.unread(alice).unwrap(), folders.iter().map(|folder| u64::from(folder.unread)).sum::<u64>());
        folders.iter().map(|folder| folder.unread).collect::<Vec<_>>()
    };
    let seen = |up_to| one(store, Write::Seen { user: alice, with: with.clone(), up_to }).unwrap();
    assert_eq!(unread(), [4, 1]);
    let cursor = store.cursor(alice).unwrap();
    assert_eq!(seen(seqs[1]), Outcome::Changed);
    assert_eq!(unread(), [2, 1]);
    let changes = store.changes(alice, cursor, 9).unwrap();
    assert_eq!(ids(&changes.objects), ["m0", "m1"]);
    assert!(changes.objects.iter().all(|object| object.seen));
    assert_eq!(seen(seqs[0]), Outcome::Unchanged);
    assert_eq!(seen(u64::MAX), Outcome::Changed);
    assert_eq!(unread(), [0, 1]);
    assert_eq!(seen(u64::MAX), Outcome::Unchanged);
    let nobody = Write::Seen { user: alice, with: address("sip:nobody@x"), up_to: 9 };
    assert_eq!(one(store, nobody), Ok(Outcome::Missing));
}

/// R050: what waits is handed out in the order it came, and once a device has it no more.
pub(super) fn the_queue_keeps_its_order(store: &impl Store) {
    let (alice, bob) = pair(store);
    let mut queued = Vec::new();
    for n in 0..5 {
        for user in [bob, alice] {
            let what = pending(user, &format!("m{n}"), 100 - n);
            match one(store, Write::Queue(what.clone())) {
                Ok(Outcome::Queued(id)) if user == bob => queued.push(Queued { id, held: false, pending: what }),
                Ok(Outcome::Queued(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(store.pending(bob, None, 9).unwrap(), queued);
    assert_eq!(store.waiting().unwrap(), [alice, bob]);
    // What is for a peer has no account.
    let Ok(Outcome::Queued(for_peer)) = one(store, Write::Queue(pending(UserId::PEERS, "m0", 100))) else { panic!("not queued") };
    assert_eq!(store.pending(UserId::PEERS, None, 9).unwrap()[0].id, for_peer);
    one(store, Write::Unqueue { user: UserId::PEERS, id: for_peer }).unwrap();
    assert_eq!(store.pending(bob, Some(queued[1].id), 2).unwrap(), queued[2..4]);
    // Another's entry is not removed in one's own name.
    one(store, Write::Unqueue { user: alice, id: queued[0].id }).unwrap();
    for n in [0, 4] {
        one(store, Write::Unqueue { user: bob, id: queued[n].id }).unwrap();
    }
    assert_eq!(store.pending(bob, None, 9).unwrap(), queued[1..4]);
    assert_eq!(store.pending(alice, None, 9).unwrap().len(), 5);
    match one(store, Write::Queue(pending(bob, "later", 9))) {
        Ok(Outcome::Queued(id)) => assert!(id > queued[4].id, "a place is never given twice"),
        other => panic!("{other:?}"),
    }
}

pub(super) fn the_queue_expires(store: &impl Store) {
    let (_, bob) = pair(store);
    for (name, at) in [("late", 300), ("early", 100), ("middle", 200)] {
        one(store, Write::Queue(pending(bob, name, at))).unwrap();
    }
    let expired = store.expired(Time(200), 9).unwrap();
    assert_eq!(expired.iter().map(|queued| queued.pending.message_id.as_str()).collect::<Vec<_>>(), ["early", "middle"]);
    assert!(store.expired(Time(99), 9).unwrap().is_empty());
    assert_eq!(store.expired(Time(1000), 1).unwrap().len(), 1);
}

fn hold(user: UserId, message_id: &str, expires_at: u64) -> Held {
    let about = About {
        from: address("sip:zoe@tandem.test"),
        subject: Some(Text::from("Lunch")),
        date: Time(3),
        size: 12,
        content_types: ["text/plain", "image/png"].map(Text::from).into(),
        remind_at: None,
    };
    Held { pending: pending(user, message_id, expires_at), about }
}

/// R220, R223: each way out of the queue leads to one place, and is taken once.
pub(super) fn what_is_held_waits_for_a_decision(store: &impl Store) {
    let (alice, bob) = pair(store);
    let mut held = Vec::new();
    for n in 0..5 {
        let what = hold(bob, &format!("m{n}"), 100 + n);
        let Ok(Outcome::Queued(id)) = one(store, Write::Hold(Box::new(what.clone()))) else { panic!("not held") };
        held.push((id, what));
    }
    // A second try is no second message, while it is held or when it is in the box.
    assert_eq!(one(store, Write::Hold(Box::new(hold(bob, "m1", 100)))).unwrap(), Outcome::Duplicate { seq: 0 });
    store_in(store, bob, "sip:zoe@tandem.test", "had");
    let again = unit(store, vec![Write::Hold(Box::new(hold(bob, "had", 100))), Write::Queue(pending(alice, "x", 9))]).unwrap();
    assert_eq!(again.outcomes, [Outcome::Duplicate { seq: 0 }, Outcome::Skipped]);

    let page = store.held(bob, 2).unwrap();
    assert_eq!((page.items.len(), page.total), (2, 5));
    assert_eq!(page.items[1], HeldItem { id: held[1].0, expires_at: Time(101), about: held[1].1.about.clone() });
    assert_eq!((store.pending(bob, None, 9).unwrap().len(), store.waiting().unwrap()), (0, vec![]));
    let ids = [held[3].0, PendingId(999), held[0].0];
    let entries = store.held_entries(bob, &ids).unwrap();
    let expected = |n: usize| Queued { id: held[n].0, held: true, pending: held[n].1.pending.clone() };
    assert_eq!(entries, [expected(3), expected(0)]);
    assert_eq!((store.held_entries(alice, &ids).unwrap(), store.held(alice, 9).unwrap()), (vec![], HeldPage::default()));

    // Nobody else can decide, and nobody twice.
    assert_eq!(one(store, Write::Release { user: alice, id: held[0].0 }).unwrap(), Outcome::Missing);
    let take = |n: usize| {
        vec![Write::Release { user: bob, id: held[n].0 }, Write::Store(message(bob, Direction::In, "sip:zoe@tandem.test", "m0"))]
    };
    assert_eq!(unit(store, take(0)).unwrap().outcomes[0], Outcome::Done);
    assert_eq!(unit(store, take(0)).unwrap().outcomes, [Outcome::Missing, Outcome::Skipped]);
    assert_eq!(store.pending(bob, None, 9).unwrap(), [Queued { held: false, ..expected(0) }]);
    assert_eq!(one(store, Write::Unhold { user: bob, id: held[1].0 }).unwrap(), Outcome::Done);
    assert_eq!(one(store, Write::Unhold { user: bob, id: held[1].0 }).unwrap(), Outcome::Missing);

    one(store, Write::Remind { user: bob, id: held[2].0, at: Some(Time(50)) }).unwrap();
    assert_eq!(store.reminders(Time(49), 9).unwrap(), []);
    assert_eq!(store.reminders(Time(50), 9).unwrap(), [expected(2)]);
    one(store, Write::Remind { user: bob, id: held[2].0, at: None }).unwrap();
    assert_eq!(store.reminders(Time(50), 9).unwrap(), []);

    one(store, Write::Extend { user: bob, id: held[3].0, until: Time(900) }).unwrap();
    assert_eq!(store.expired(Time(500), 9).unwrap(), [Queued { held: false, ..expected(0) }, expected(2), expected(4)]);
    one(store, Write::Extend { user: bob, id: held[0].0, until: Time(900) }).unwrap();
    assert_eq!(store.expired(Time(500), 9).unwrap().len(), 2);
    one(store, Write::RemoveAccount { user: bob }).unwrap();
    assert_eq!(store.held(bob, 9).unwrap(), HeldPage::default());
}

fn binding(user: UserId, key: &str) -> StoredBinding {
    StoredBinding {
        user,
        key: BindingKey(Text::from(key)),
        address: address("sip:bob@tandem.test"),
        contact: Text::from("<sip:bob@192.0.2.4>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"),
        path: vec![Text::from("<sip:p1.example.org;lr>"), Text::from("\"a, b\" <sip:p2.example.org;lr>")],
        call_id: Text::from("call"),
        cseq: u32::MAX,
        hop: Text::from("udp 192.0.2.4:5060"),
        user_agent: Text::from("phone/1"),
        registered_at: Time(1),
        expires_at: Time(100),
    }
}

/// R298: one address, many devices.
pub(super) fn bindings_are_replaced_and_dropped(store: &impl Store) {
    let (alice, bob) = pair(store);
    for (user, key) in [(bob, "one"), (bob, "two"), (alice, "one")] {
        one(store, Write::Bind(binding(user, key))).unwrap();
    }
    let newer = StoredBinding { cseq: 8, expires_at: Time(500), ..binding(bob, "one") };
    one(store, Write::Bind(newer.clone())).unwrap();
    assert_eq!(store.bindings(bob).unwrap(), [newer.clone(), binding(bob, "two")]);
    assert_eq!(store.all_bindings().unwrap().len(), 3);
    one(store, Write::Unbind { user: alice, key: BindingKey(Text::from("one")) }).unwrap();
    one(store, Write::Sweep { now: Time(100) }).unwrap();
    assert_eq!(store.all_bindings().unwrap(), [newer]);
}

fn session(user: UserId, n: u8) -> StoredSession {
    StoredSession {
        token: TokenHash([n; 32]),
        user,
        instance: InstanceId::parse(&Text::from("urn:uuid:1")).unwrap(),
        device_name: Text::from("Bob's laptop"),
        created_at: Time(u64::from(n)),
        expires_at: Time(100 * u64::from(n)),
    }
}

pub(super) fn sessions_are_opened_and_closed(store: &impl Store) {
    let (alice, bob) = pair(store);
    for (user, n) in [(bob, 1), (bob, 2), (alice, 3)] {
        one(store, Write::OpenSession(session(user, n))).unwrap();
    }
    assert_eq!(store.session(&TokenHash([2; 32])).unwrap(), Some(session(bob, 2)));
    assert_eq!(store.session(&TokenHash::of("2")).unwrap(), None);
    assert_eq!(store.sessions(bob).unwrap(), [session(bob, 1), session(bob, 2)]);
    one(store, Write::CloseSession { token: TokenHash([2; 32]) }).unwrap();
    one(store, Write::CloseSessions { user: bob, instance: session(bob, 1).instance }).unwrap();
    one(store, Write::Sweep { now: Time(100) }).unwrap();
    assert!(store.sessions(bob).unwrap().is_empty());
    assert_eq!(store.sessions(alice).unwrap().len(), 1);
}

pub(super) fn secrets_are_made_once(store: &impl Store) {
    assert_eq!(store.secret("nonce", [1; 32]).unwrap(), [1; 32]);
    assert_eq!(store.secret("nonce", [2; 32]).unwrap(), [1; 32]);
    assert_eq!(store.secret("other", [3; 32]).unwrap(), [3; 32]);
}

fn put(user: UserId, kind: DocumentKind, name: &str, body: &'static str, expect: Expect) -> Write {
    Write::PutDocument { user, kind, name: Text::from(name), body: Bytes::from(body), expect }
}

/// R232: what is kept by name comes back, for its user and its kind, and goes with the account.
pub(super) fn documents_are_kept_by_name(store: &impl Store) {
    use DocumentKind::{Device, Draft};
    let (alice, bob) = pair(store);
    let before = store.cursor(alice).unwrap();
    let applied = unit(store, vec![put(alice, Device, "b", "1", Expect::Any), put(alice, Device, "a", "2", Expect::Any)]).unwrap();
    let [Outcome::Kept { version: first }, Outcome::Kept { version }] = applied.outcomes[..] else { panic!("{applied:?}") };
    assert!(before < first && first < version, "in the order of the changes");
    assert_eq!(applied.cursors, [(alice, version)]);
    assert_eq!(store.cursor(alice).unwrap(), version);
    assert!(store.changes(alice, before, 9).unwrap().objects.is_empty(), "a document is no message");
    one(store, put(alice, Draft, "a", "3", Expect::Any)).unwrap();
    one(store, put(bob, Device, "a", "4", Expect::Any)).unwrap();
    let found = store.document(alice, Device, "a").unwrap().unwrap();
    assert_eq!(found, Document { user: alice, kind: Device, name: Text::from("a"), body: Bytes::from("2"), version });
    assert_eq!(store.document(alice, Device, "c").unwrap(), None);
    let names = |documents: Vec<Document>| documents.into_iter().map(|found| (found.user, found.name.to_string())).collect::<Vec<_>>();
    assert_eq!(names(store.documents(alice, Device).unwrap()), [(alice, "a".into()), (alice, "b".into())]);
    assert_eq!(names(store.all_documents(Device).unwrap()), [(alice, "a".into()), (alice, "b".into()), (bob, "a".into())]);
    one(store, Write::RemoveAccount { user: alice }).unwrap();
    assert_eq!(names(store.all_documents(Device).unwrap()), [(bob, "a".into())]);
    assert_eq!(one(store, put(alice, Device, "a", "5", Expect::Any)), Err(StoreError::NoSuchUser(alice)));
}

/// R232: whoever expects another version than there is changes nothing, nor does the rest of the unit.
pub(super) fn a_document_is_changed_by_those_who_know_it(store: &impl Store) {
    const KIND: DocumentKind = DocumentKind::Preferences;
    let (alice, _) = pair(store);
    let change = |writes| unit(store, writes).unwrap().outcomes;
    let fetch = || store.document(alice, KIND, "n").unwrap();
    let dropped = |expect| Write::DropDocument { user: alice, kind: KIND, name: Text::from("n"), expect };
    let other = || Write::Queue(pending(alice, "m1", 99));
    assert_eq!(change(vec![put(alice, KIND, "n", "1", Expect::Version(1)), other()]), [Outcome::Conflict, Outcome::Skipped]);
    assert_eq!((fetch(), store.pending(alice, None, 9).unwrap()), (None, vec![]));
    assert_eq!(change(vec![dropped(Expect::Any)]), [Outcome::Missing]);
    let [Outcome::Kept { version }] = change(vec![put(alice, KIND, "n", "1", Expect::Absent)])[..] else { panic!() };
    for (refused, cursor) in [
        (put(alice, KIND, "n", "2", Expect::Absent), store.cursor(alice).unwrap()),
        (put(alice, KIND, "n", "2", Expect::Version(version + 1)), store.cursor(alice).unwrap()),
        (dropped(Expect::Version(version + 1)), store.cursor(alice).unwrap()),
        (dropped(Expect::Absent), store.cursor(alice).unwrap()),
    ] {
        assert_eq!(change(vec![refused, other()]), [Outcome::Conflict, Outcome::Skipped]);
        assert_eq!((&*fetch().unwrap().body, store.cursor(alice).unwrap()), (&b"1"[..], cursor));
    }
    let [Outcome::Kept { version: next }] = change(vec![put(alice, KIND, "n", "2", Expect::Version(version))])[..] else { panic!() };
    assert!(next > version && fetch().unwrap().version == next);
    assert_eq!(change(vec![dropped(Expect::Version(next))]), [Outcome::Done]);
    assert_eq!(fetch(), None);
    let [Outcome::Kept { version: again }] = change(vec![put(alice, KIND, "n", "3", Expect::Absent)])[..] else { panic!() };
    assert!(again > next + 1, "no version comes twice");
}

/// R326: whoever follows the changes has the box that is read at once, whatever happened and however it was grouped into transactions.
pub(super) fn changes_by_random_steps_lead_to_the_same_box(store: &impl Store) {
    let mut entropy = wasm_core::Entropy::new([11; 32]);
    for run in 0..8 {
        let alice = add(store, &[&format!("sip:alice{run}@tandem.test")]);
        let peers = ["sip:bob@tandem.test", "sip:carol@tandem.test", "tel:+15550199"];
        let mut followed = std::collections::BTreeMap::new();
        let mut since = 0;
        for _ in 0..30 {
            let units = (0..entropy.below(6)).map(|_| {
                let peer = peers[entropy.below(3) as usize];
                let name = format!("m{}", entropy.below(25));
                Unit::from(match entropy.below(6) {
                    0 | 1 => Write::Store(message(alice, Direction::In, peer, &name)),
                    2 => Write::Store(message(alice, Direction::Out, peer, &name)),
                    3 => Write::Receipt { user: alice, with: vec![address(peer)], message_id: id(&name), receipt: Receipt::Delivered },
                    4 => Write::Claim { user: alice, with: address(peer), message_id: id(&name), kind: Disposition::Display },
                    _ => Write::Seen { user: alice, with: address(peer), up_to: entropy.below(40) },
                })
            });
            let units: Vec<Unit> = units.collect();
            for result in store.commit(units) {
                result.unwrap();
            }
            let page = store.changes(alice, since, 4).unwrap();
            since = page.cursor;
            followed.extend(page.objects.into_iter().map(|object| (object.seq, object)));
        }
        loop {
            let page = store.changes(alice, since, 4).unwrap();
            since = page.cursor;
            followed.extend(page.objects.into_iter().map(|object| (object.seq, object)));
            if !page.more {
                break;
            }
        }
        let mut read = std::collections::BTreeMap::new();
        for folder in store.conversations(alice, None, 9).unwrap().folders {
            let page = store.messages(alice, &folder.with, None, 1000).unwrap();
            let unread = page.objects.iter().filter(|object| !object.outgoing && !object.seen).count();
            assert_eq!(folder.unread as usize, unread);
            assert_eq!(folder.last.as_ref(), page.objects.last());
            assert_eq!(Some(folder.cursor), page.objects.iter().map(|object| object.change).max());
            read.extend(page.objects.into_iter().map(|object| (object.seq, object)));
        }
        assert_eq!(followed, read);
    }
}
