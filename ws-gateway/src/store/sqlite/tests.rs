//! What is peculiar to SQLite: files, versions, damage, other processes. The rest is in the contract.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use wasm_core::cpm::receipt::Receipt;

use super::schema::{APPLICATION_ID, MIGRATIONS, VERSION};
use super::*;
use crate::store::contract::{add, address, contract, id, message, one, pending};
use crate::store::{Outcome, Write};

mod in_memory {
    use super::*;

    fn fresh() -> Box<Sqlite> {
        Box::new(Sqlite::in_memory().unwrap())
    }

    contract!(fresh);
}

mod on_disk {
    use super::*;

    contract!(OnDisk::fresh);
}

/// A store in a directory that goes with it.
struct OnDisk(Sqlite, tempfile::TempDir);

impl OnDisk {
    fn fresh() -> OnDisk {
        let directory = tempfile::tempdir().unwrap();
        OnDisk(Sqlite::open(directory.path()).unwrap(), directory)
    }

    fn directory(&self) -> &Path {
        self.1.path()
    }
}

impl std::ops::Deref for OnDisk {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.0
    }
}

/// What a database of each version may hold: one user with one message. A migration cannot be added without its fixture.
const FIXTURES: [&str; MIGRATIONS.len()] = [
    include_str!("0001_fixture.sql"),
    concat!(include_str!("0001_fixture.sql"), include_str!("0002_fixture.sql")),
    concat!(include_str!("0001_fixture.sql"), include_str!("0002_fixture.sql"), include_str!("0003_fixture.sql")),
    concat!(
        include_str!("0001_fixture.sql"),
        include_str!("0002_fixture.sql"),
        include_str!("0003_fixture.sql"),
        include_str!("0004_fixture.sql")
    ),
    concat!(
        include_str!("0001_fixture.sql"),
        include_str!("0002_fixture.sql"),
        include_str!("0003_fixture.sql"),
        include_str!("0004_fixture.sql"),
        include_str!("0005_fixture.sql")
    ),
];

fn schema(path: &Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// Makes the database that the program of an earlier version left.
fn older(directory: &Path, version: usize) {
    let connection = Connection::open(directory.join(FILE)).unwrap();
    MIGRATIONS[..version].iter().for_each(|step| connection.execute_batch(step).unwrap());
    if version > 0 {
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.execute_batch(FIXTURES[version - 1]).unwrap();
    }
    connection.pragma_update(None, "user_version", version as i64).unwrap();
}

#[test]
fn every_older_version_is_brought_up_to_date() {
    let fresh = OnDisk::fresh();
    for version in 0..=MIGRATIONS.len() {
        let directory = tempfile::tempdir().unwrap();
        older(directory.path(), version);
        let store = Sqlite::open(directory.path()).unwrap();
        assert_eq!(schema(&directory.path().join(FILE)), schema(&fresh.directory().join(FILE)), "from version {version}");
        if version == 0 {
            continue;
        }
        let account = store.account(&address("sip:alice@tandem.test")).unwrap().unwrap();
        let page = store.messages(account.user, &address("sip:bob@tandem.test"), None, 9).unwrap();
        assert_eq!(page.objects[0].text.as_deref(), Some("hello from the past"));
        let with = vec![address("sip:bob@tandem.test")];
        let report = Write::Receipt { user: account.user, with, message_id: id("m1"), receipt: Receipt::Displayed };
        assert_eq!(one(&store, report), Ok(Outcome::Changed));
        if version >= 2 {
            assert_eq!(&*store.document(account.user, DocumentKind::Preferences, "index").unwrap().unwrap().body, b"<preferences/>");
        }
    }
}

#[test]
fn a_newer_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    older(directory.path(), MIGRATIONS.len());
    Connection::open(directory.path().join(FILE)).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let error = Sqlite::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found, known, .. } if found == VERSION + 1 && known == VERSION));
    assert!(error.to_string().contains("start the newer server"), "{error}");
}

#[test]
fn somebody_elses_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let error = Sqlite::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    let tables: i64 = Connection::open(&path).unwrap().query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
    fs::write(&path, "no database at all, but long enough to be taken for one".repeat(40)).unwrap();
    let error = Sqlite::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

/// The error says what to do, and the file is not made worse.
#[test]
fn a_damaged_database_is_recognised() {
    let store = OnDisk::fresh();
    let user = add(&*store, &["sip:alice@tandem.test"]);
    for n in 0..200 {
        one(&*store, Write::Store(message(user, Direction::In, "sip:bob@tandem.test", &format!("m{n}")))).unwrap();
    }
    let OnDisk(sqlite, directory) = store;
    drop(sqlite);
    let path = directory.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let error = Sqlite::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
    assert!(error.to_string().contains(FILE), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_directory_that_cannot_be_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Sqlite::open(&file.join("data")), Err(StoreError::Io(_))));
}

/// R317: nobody but the owner reads the hashes.
#[test]
fn the_files_are_their_owners_alone() {
    let store = OnDisk::fresh();
    add(&*store, &["sip:alice@tandem.test"]);
    for file in fs::read_dir(store.directory()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

/// When the disk is full nothing of the batch is acknowledged or kept, and once there is room the store goes on.
#[test]
fn a_full_disk_fails_the_batch_whole() {
    let store = OnDisk::fresh();
    let user = add(&*store, &["sip:alice@tandem.test"]);
    let limit = |pages: i64| {
        let writer = store.writer();
        writer.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let pages = limit(1);
    limit(pages + 20);
    let unit = |n: usize| {
        Unit(vec![
            Write::Store(message(user, Direction::In, "sip:bob@tandem.test", &format!("m{n}"))),
            Write::Queue(pending(user, &format!("m{n}"), 99)),
        ])
    };
    let results = store.commit((0..2000).map(unit).collect());
    assert!(results.iter().all(|result| *result == Err(StoreError::Full)));
    assert_eq!(store.cursor(user).unwrap(), 0);
    assert!(store.messages(user, &address("sip:bob@tandem.test"), None, 9).unwrap().objects.is_empty());
    assert!(store.pending(user, None, 9).unwrap().is_empty());
    limit(1_000_000);
    assert!(store.commit((0..2000).map(unit).collect()).iter().all(|result| result.as_ref().is_ok_and(Applied::whole)));
    assert_eq!(store.cursor(user).unwrap(), 2000);
}

/// What the operator changes beside a running server is seen by it, and nothing that it remembers brings a removed user back.
#[test]
fn another_process_may_change_the_accounts() {
    let server = OnDisk::fresh();
    let alice = add(&*server, &["sip:alice@tandem.test"]);
    let store = |message_id: &str| one(&*server, Write::Store(message(alice, Direction::In, "sip:bob@tandem.test", message_id)));
    assert_eq!(store("m1"), Ok(Outcome::Stored { seq: 1 }));
    let version = server.accounts_version().unwrap();
    let operator = Sqlite::open(server.directory()).unwrap();
    add(&operator, &["sip:bob@tandem.test"]);
    assert!(server.accounts_version().unwrap() > version);
    assert!(server.account(&address("sip:bob@tandem.test")).unwrap().is_some());
    assert_eq!(one(&operator, Write::RemoveAccount { user: alice }), Ok(Outcome::Done));
    drop(operator);
    assert_eq!(store("m2"), Err(StoreError::NoSuchUser(alice)));
    assert_eq!(server.cursor(alice).unwrap(), 0);
}

/// The counts of a folder do not depend on what the writer remembers.
#[test]
fn a_folder_is_counted_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bob = address("sip:bob@tandem.test");
    let mut store = Sqlite::open(directory.path()).unwrap();
    let user = add(&store, &["sip:alice@tandem.test"]);
    let unread = |store: &Sqlite| store.conversations(user, None, 9).unwrap().folders[0].unread;
    for (message_id, direction, expected) in [("m1", Direction::In, 1), ("m2", Direction::Out, 1), ("m3", Direction::In, 2)] {
        one(&store, Write::Store(message(user, direction, bob.as_str(), message_id))).unwrap();
        assert_eq!(unread(&store), expected);
        store = Sqlite::open(directory.path()).unwrap();
    }
    for (up_to, expected) in [(1, 1), (2, 1), (3, 0)] {
        one(&store, Write::Seen { user, with: bob.clone(), up_to }).unwrap();
        assert_eq!(unread(&store), expected);
        store = Sqlite::open(directory.path()).unwrap();
    }
    let folder = &store.conversations(user, None, 9).unwrap().folders[0];
    assert_eq!(folder.cursor, store.cursor(user).unwrap());
    one(&store, Write::Store(message(user, Direction::In, bob.as_str(), "m4"))).unwrap();
    assert_eq!(unread(&store), 1);
}

/// The log is emptied into the database without a commit that does it.
#[test]
fn the_log_is_brought_in_beside_the_commits() {
    let store = OnDisk::fresh();
    let user = add(&*store, &["sip:alice@tandem.test"]);
    let left = |pages| checkpoint::due(&store.writer().connection, pages);
    let checkpoints = checkpoint::Checkpoints::start(&store.path, Arc::clone(&store.writer), 100).unwrap();
    for n in 0..100 {
        let message = message(user, Direction::In, "sip:bob@tandem.test", &format!("m{n}"));
        one(&*store, Write::Store(message)).unwrap();
    }
    assert!(left(100));
    checkpoints.committed(&store.writer().connection);
    // When the thread has ended, so has what it was told to do.
    drop(checkpoints);
    assert!(!left(1));
    assert_eq!(store.messages(user, &address("sip:bob@tandem.test"), None, 1).unwrap().objects.len(), 1);
}

/// Both copies of a message in one unit share the body.
#[test]
fn a_body_is_kept_once() {
    let store = OnDisk::fresh();
    let (alice, bob) = (add(&*store, &["sip:alice@tandem.test"]), add(&*store, &["sip:bob@tandem.test"]));
    let sent = message(alice, Direction::Out, "sip:bob@tandem.test", "m1");
    let got = crate::store::StoredMessage { user: bob, direction: Direction::In, with: address("sip:alice@tandem.test"), ..sent.clone() };
    store.commit(vec![Unit(vec![Write::Store(sent), Write::Store(got.clone())])]);
    let contents =
        || store.read(|connection| connection.query_row("SELECT count(*) FROM content", [], |row| row.get::<_, i64>(0))).unwrap();
    assert_eq!(contents(), 1);
    one(&*store, Write::RemoveAccount { user: alice }).unwrap();
    assert_eq!(contents(), 1);
    assert_eq!(store.message(bob, Direction::In, &id("m1")).unwrap()[0].message, got);
    one(&*store, Write::RemoveAccount { user: bob }).unwrap();
    assert_eq!(contents(), 0);
}
