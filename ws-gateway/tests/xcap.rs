//! The XDMS over real HTTP: a user's preferences put, read and changed by parts, by their owner alone; and everything that others try.

#[path = "support/gateway.rs"]
mod gateway;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use gateway::Gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use wasm_core::Text;
use wasm_core::cpm::preferences::{MEDIA_TYPE, MOST_BYTES, Preferences, XML_NAMESPACE};
use wasm_core::sip::digest::{Algorithm, Count, Ha1, response};
use wasm_core::wire::sip::{TypedHeader as _, WwwAuthenticate};

const PATIENCE: Duration = Duration::from_secs(10);
const ALICE: &str = "/xcap/vnd.tandem.preferences/users/sip:alice@tandem.test/index";
const BOB: &str = "/xcap/vnd.tandem.preferences/users/sip:bob@tandem.test/index";
const DOCUMENT: &str = "<?xml version='1.0'?>\n<preferences xmlns='urn:tandem:params:xml:ns:preferences' default='usual'>\n \
    <!-- mine --><profile id='usual'><read-reports>true</read-reports></profile>\n</preferences>\n";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }

    fn tag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("{} {}", self.head, self.body)).to_owned()
    }
}

/// One request on a connection of its own.
async fn ask(web: SocketAddr, request: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(web).await.unwrap();
    let mut text = format!("{request} HTTP/1.1\r\nhost: {web}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    stream.write_all((text + "\r\n").as_bytes()).await.unwrap();
    // A body that is refused may not be read to its end.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The cookie of a new session.
async fn cookie(web: SocketAddr, user: &str) -> String {
    let body = format!(r#"{{"address":"sip:{user}@tandem.test","password":"{user}-demo","instance":"urn:uuid:{user}"}}"#);
    let answer = ask(web, "POST /api/session", &[("content-type", "application/json")], body.as_bytes()).await;
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

struct User {
    web: SocketAddr,
    cookie: String,
}

impl User {
    async fn new(gateway: &Gateway, user: &str) -> User {
        let web = gateway.address("http");
        User { web, cookie: cookie(web, user).await }
    }

    async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.web, request, &[&[("cookie", self.cookie.as_str())], headers].concat(), body.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    async fn put(&self, path: &str, kind: &str, body: &str) -> Answer {
        self.ask(&format!("PUT {path}"), &[("content-type", kind)], body).await
    }

    async fn put_part(&self, node: &str, body: &str) -> Answer {
        let kind = if node.contains("/@") { "application/xcap-att+xml" } else { "application/xcap-el+xml" };
        self.put(&format!("{ALICE}/~~/{node}"), kind, body).await
    }
}

/// R229, R230, R232: a document is put whole and by parts, keeps every byte that was not changed, and survives a restart.
#[tokio::test]
async fn a_document_is_put_read_and_changed() {
    let mut gateway = Gateway::start(&[]);
    let alice = User::new(&gateway, "alice").await;
    assert_eq!(alice.get(ALICE).await.status, 404);
    let put = alice.put(ALICE, MEDIA_TYPE, DOCUMENT).await;
    assert_eq!((put.status, put.body.as_str()), (201, ""));
    let got = alice.get(ALICE).await;
    assert_eq!((got.status, got.body.as_str(), got.header("content-type")), (200, DOCUMENT, Some(MEDIA_TYPE)));
    assert_eq!(got.tag(), put.tag());
    assert_eq!(alice.ask(&format!("GET {ALICE}"), &[("if-none-match", &got.tag())], "").await.status, 304);

    let report = "preferences/profile%5B@id=%22usual%22%5D/read-reports";
    assert_eq!(alice.get(&format!("{ALICE}/~~/{report}")).await.body, "<read-reports>true</read-reports>");
    let changed = alice.put_part(report, "<read-reports>false</read-reports>").await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.tag(), put.tag());
    let inserted = alice.put_part("preferences/profile%5B1%5D/hide-address", "<hide-address>true</hide-address>").await;
    assert_eq!(inserted.status, 201);
    let whole = alice.get(ALICE).await.body;
    let expected = DOCUMENT.replace("true</read-reports>", "false</read-reports><hide-address>true</hide-address>");
    assert_eq!(whole, expected);

    let query = format!("?xmlns(p={XML_NAMESPACE})");
    let attribute = format!("{ALICE}/~~/p:preferences/p:profile/@id{query}");
    let answer = alice.get(&attribute).await;
    assert_eq!((answer.body.as_str(), answer.header("content-type")), ("usual", Some("application/xcap-att+xml")));
    let spaces = alice.get(&format!("{ALICE}/~~/preferences/profile/namespace::*")).await.body;
    assert_eq!(spaces, format!("<profile xmlns=\"{XML_NAMESPACE}\"/>"));
    assert_eq!(alice.ask(&format!("DELETE {ALICE}/~~/preferences/profile/hide-address"), &[], "").await.status, 200);
    assert!(!alice.get(ALICE).await.body.contains("hide-address"));

    gateway.kill();
    gateway.restart();
    let alice = User::new(&gateway, "alice").await;
    let (got, before) = (alice.get(ALICE).await, expected.replace("<hide-address>true</hide-address>", ""));
    assert_eq!(got.body, before);
    let telephone = "/xcap/vnd.tandem.preferences/users/tel:+15550100/index";
    assert_eq!(alice.get(telephone).await.body, before, "any address of theirs names the owner");
    assert_eq!(alice.ask(&format!("DELETE {ALICE}"), &[], "").await.status, 200);
    assert_eq!((alice.get(ALICE).await.status, alice.ask(&format!("DELETE {ALICE}"), &[], "").await.status), (404, 404));
    let caps = alice.get("/xcap/xcap-caps/global/index").await;
    assert!(
        caps.status == 200 && caps.body.contains("<auid>vnd.tandem.preferences</auid>") && caps.body.contains(XML_NAMESPACE),
        "{}",
        caps.body
    );
    assert_eq!(alice.put("/xcap/xcap-caps/global/index", MEDIA_TYPE, DOCUMENT).await.status, 405);
}

/// R230, R296: two devices that change the same document do not undo each other's work, and each hears of it.
#[tokio::test]
async fn a_change_depends_on_what_its_author_knows() {
    let gateway = Gateway::start(&[]);
    let alice = User::new(&gateway, "alice").await;
    let web = alice.web;
    let mut request = format!("ws://{web}/events").into_client_request().unwrap();
    request.headers_mut().insert("Cookie", alice.cookie.parse().unwrap());
    let (mut events, _) = tokio_tungstenite::client_async(request, TcpStream::connect(web).await.unwrap()).await.unwrap();
    let mut hear = async || tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap().into_text().unwrap().to_string();
    hear().await;
    let put = async |header: (&str, &str)| {
        let kind = ("content-type", MEDIA_TYPE);
        alice.ask(&format!("PUT {ALICE}"), &[kind, header], DOCUMENT).await
    };
    assert_eq!(put(("if-match", "*")).await.status, 412);
    let first = put(("if-none-match", "*")).await;
    assert_eq!(first.status, 201);
    assert_eq!(hear().await, format!("{{\"cursor\":{}}}", first.tag().trim_matches('"')));
    assert_eq!(put(("if-none-match", "*")).await.status, 412);
    let second = put(("if-match", &first.tag())).await;
    assert_eq!(second.status, 200);
    for foreign in [first.tag(), String::from("\"x\""), format!("W/{}", second.tag()), String::from("7"), String::from("\"")] {
        assert_eq!(put(("if-match", &foreign)).await.status, 412, "{foreign}");
        let gone = alice.ask(&format!("DELETE {ALICE}"), &[("if-match", &foreign)], "").await;
        assert_eq!(gone.status, 412, "{foreign}");
    }
    assert_eq!(alice.get(ALICE).await.tag(), second.tag(), "nothing has changed");
    // Of many at once that know the same version, one wins.
    let tag = second.tag();
    let outcomes = futures_util::future::join_all((0..8).map(|_| put(("if-match", &tag)))).await;
    let mut statuses: Vec<u16> = outcomes.iter().map(|answer| answer.status).collect();
    statuses.sort();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    // And those that depend on nothing are all done.
    let parts = (0..3).map(|place| {
        let part = format!("<sender uri='sip:eve{place}@tandem.test'/>");
        let node = format!("preferences/profile/blocked/sender%5B@uri='sip:eve{place}@tandem.test'%5D");
        let alice = &alice;
        async move { alice.put_part(&node, &part).await.status }
    });
    assert_eq!(alice.put_part("preferences/profile/blocked", "<blocked/>").await.status, 201);
    assert_eq!(futures_util::future::join_all(parts).await, [201; 3]);
    assert_eq!(Preferences::parse(alice.get(ALICE).await.body.as_bytes()).unwrap().profiles[0].blocked.len(), 3);
}

/// R232: a refusal says what is wrong, and nothing has changed.
#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let gateway = Gateway::start(&[]);
    let alice = User::new(&gateway, "alice").await;
    let conflict = |answer: Answer, what: &str, words: &str| {
        assert_eq!((answer.status, answer.header("content-type")), (409, Some("application/xcap-error+xml")), "{what}: {}", answer.body);
        assert!(answer.body.contains(&format!("<{what} phrase=\"")) && answer.body.contains(words), "{what} {words}: {}", answer.body);
    };
    conflict(alice.put_part("preferences/profile", "<profile id='usual'/>").await, "no-parent", "users/sip:alice@tandem.test</ancestor>");
    let put = alice.put(ALICE, MEDIA_TYPE, DOCUMENT).await;
    let document = |inside: &str| format!("<preferences xmlns='{XML_NAMESPACE}' default='usual'>{inside}</preferences>");
    for (body, what, words) in [
        (String::from("words"), "not-well-formed", "not well-formed"),
        (String::new(), "not-well-formed", "too early"),
        (document("<profile id='usual'/>") + "x", "not-well-formed", ""),
        (document(&"<profile>".repeat(2000)), "not-well-formed", "nested too deeply"),
        (
            format!("<!DOCTYPE preferences [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{}", document("<profile id='usual'/>&e;")),
            "not-well-formed",
            "document type",
        ),
        (document("<profile id='usual'><display-name>&e;</display-name></profile>"), "not-well-formed", "entity"),
        (String::from("<preferences default='usual'><profile id='usual'/></preferences>"), "schema-validation-error", "urn:tandem"),
        (
            document("<profile id='usual'><when-blocked>shout</when-blocked></profile>"),
            "schema-validation-error",
            "reject, discard, or an address",
        ),
        (document("<profile id='usual'><colour/></profile>"), "schema-validation-error", "preferences/profile[1]/colour"),
        (document("<profile id='usual'/><profile id='usual'/>"), "uniqueness-failure", "<exists field=\"preferences/profile/@id\"/>"),
        (document("<profile id='work'/>"), "constraint-failure", "no profile"),
        (document(&"<profile id='usual'/>".repeat(17)), "constraint-failure", "more than 16"),
    ] {
        conflict(alice.put(ALICE, MEDIA_TYPE, &body).await, what, words);
    }
    for (node, body, what, words) in [
        ("preferences/profile/devices/device", "<device instance='urn:uuid:1'/>", "no-parent", "/index/~~/preferences/profile</ancestor>"),
        ("preferences/profile%5B@id='work'%5D", "<profile id='play'/>", "cannot-insert", ""),
        ("preferences/profile%5B@id='work'%5D", "<profile id='work'><colour/></profile>", "schema-validation-error", "profile[2]/colour"),
        ("preferences/profile/read-reports", "<read-reports>", "not-xml-frag", ""),
        ("preferences/profile/read-reports", "<read-reports/></profile><profile id='x'>", "cannot-insert", ""),
        ("preferences/profile/read-reports", "<!DOCTYPE x><read-reports/>", "not-xml-frag", ""),
        ("preferences/profile/@id", "<", "not-xml-att-value", ""),
        ("preferences/@default", "work", "constraint-failure", "no profile"),
    ] {
        conflict(alice.put_part(node, body).await, what, words);
    }
    let delete = async |node: &str| alice.ask(&format!("DELETE {ALICE}/~~/{node}"), &[], "").await;
    conflict(delete("preferences/profile").await, "schema-validation-error", "missing");
    conflict(delete("preferences").await, "cannot-delete", "");
    let latin = ask(alice.web, &format!("PUT {ALICE}"), &[("cookie", &alice.cookie), ("content-type", MEDIA_TYPE)], b"<a>\xff</a>").await;
    conflict(latin, "not-utf-8", "");
    conflict(alice.put(&ALICE.replace("index", "other"), MEDIA_TYPE, DOCUMENT).await, "constraint-failure", "index");
    for (path, status) in [
        (format!("{ALICE}/~~/preferences/nothing"), 404),
        (format!("{ALICE}/~~/preferences%5B"), 404),
        (format!("{ALICE}/~~/{}", "a/".repeat(3000)), 404),
        (format!("{ALICE}/~~/"), 404),
        (ALICE.replace("index", "other"), 404),
        (ALICE.replace("vnd.tandem", "other"), 404),
        (String::from("/xcap/"), 404),
        (String::from("/xcap"), 404),
        (ALICE.replace("sip:alice@tandem.test", "%ff"), 404),
        (ALICE.replace("sip:alice@tandem.test", "nobody"), 403),
    ] {
        assert_eq!(alice.get(&path).await.status, status, "{path}");
    }
    assert_eq!(alice.put(ALICE, "text/xml", DOCUMENT).await.status, 415);
    assert_eq!(alice.put(&format!("{ALICE}/~~/preferences/profile"), MEDIA_TYPE, "<profile id='usual'/>").await.status, 415);
    for size in [MOST_BYTES + 1, 300 * 1024] {
        assert_eq!(alice.put(ALICE, MEDIA_TYPE, &" ".repeat(size)).await.status, 413, "{size}");
    }
    let grown =
        alice.put_part("preferences/profile/display-name", &format!("<display-name>a{}</display-name>", " ".repeat(MOST_BYTES - 60))).await;
    assert_eq!(grown.status, 413);
    assert_eq!(alice.ask(&format!("POST {ALICE}"), &[], "").await.status, 405);
    let got = alice.get(ALICE).await;
    assert_eq!((got.body.as_str(), got.tag()), (DOCUMENT, put.tag()));
}

/// R232, R317: nobody but the owner reads or changes a document, or learns whether there is one, or whether there is such a user.
#[tokio::test]
async fn others_are_kept_out() {
    let gateway = Gateway::start(&["--limits", "off"]);
    let web = gateway.address("http");
    let (alice, bob) = (User::new(&gateway, "alice").await, User::new(&gateway, "bob").await);
    assert_eq!(alice.put(ALICE, MEDIA_TYPE, DOCUMENT).await.status, 201);
    let nobody = ALICE.replace("alice", "nobody");
    for method in ["GET", "PUT", "DELETE"] {
        let answers = [
            bob.ask(&format!("{method} {ALICE}"), &[("content-type", MEDIA_TYPE)], DOCUMENT).await,
            bob.ask(&format!("{method} {ALICE}"), &[("content-type", MEDIA_TYPE), ("if-match", "*")], DOCUMENT).await,
            bob.ask(&format!("{method} {ALICE}/~~/preferences/profile"), &[("content-type", MEDIA_TYPE)], DOCUMENT).await,
            bob.ask(&format!("{method} {nobody}"), &[("content-type", MEDIA_TYPE)], DOCUMENT).await,
        ];
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (403, &answers[0].body), "{method}");
        }
        let strange = ask(web, &format!("{method} {ALICE}"), &[("cookie", "tandem_session=0")], b"").await;
        assert!(strange.status == 401 && strange.header("www-authenticate").is_none(), "a page is not challenged");
        let foreign = [("cookie", bob.cookie.as_str()), ("origin", "https://evil.test"), ("content-type", MEDIA_TYPE)];
        if method != "GET" {
            assert_eq!(ask(web, &format!("{method} {BOB}"), &foreign, DOCUMENT.as_bytes()).await.status, 403);
        }
    }
    assert_eq!(alice.get(ALICE).await.body, DOCUMENT);
    assert_eq!(bob.get(BOB).await.status, 404);
}

/// The credentials that answer a challenge.
fn credentials(challenge: &Answer, user: &str, password: &str, method: &str, uri: &str, nc: &str) -> Vec<String> {
    let lines = challenge.head.lines().filter_map(|line| line.strip_prefix("www-authenticate: "));
    let answer = |line: &str| {
        let challenge = WwwAuthenticate::parse(&Text::from(line)).unwrap().0;
        let text = |name: &str| challenge.text(name).unwrap().into_owned();
        let ha1 = Ha1::new(user, &text("realm"), password);
        let algorithm = Algorithm::parse(Some(&text("algorithm"))).unwrap();
        let digest = response(algorithm, &ha1, &text("nonce"), Some(Count { nc, cnonce: "c" }), method, uri);
        format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", algorithm={}, qop=auth, nc={nc}, cnonce=\"c\", response=\"{digest}\"",
            text("realm"),
            text("nonce"),
            text("algorithm"),
        )
    };
    lines.map(answer).collect()
}

/// R008, R232: a client without a cookie proves its password by digest, with either algorithm, once; a wrong password and an unknown user
/// look alike.
#[tokio::test]
async fn native_clients_use_digest() {
    let gateway = Gateway::start(&[]);
    let web = gateway.address("http");
    let get = async |path: &str, header: &str| ask(web, &format!("GET {path}"), &[("authorization", header)], b"").await;
    let challenge = ask(web, &format!("GET {ALICE}"), &[], b"").await;
    assert_eq!(challenge.status, 401);
    let answers = credentials(&challenge, "alice", "alice-demo", "GET", ALICE, "00000001");
    assert_eq!(answers.len(), 2);
    assert_eq!(get(ALICE, &answers[0]).await.status, 404, "hers, and there is none yet");
    let replayed = get(ALICE, &answers[0]).await;
    assert!(replayed.status == 401 && replayed.head.contains("stale=true"));
    let put = credentials(&challenge, "alice@tandem.test", "alice-demo", "PUT", ALICE, "00000002").remove(1);
    let kind = ("content-type", MEDIA_TYPE);
    let answer = ask(web, &format!("PUT {ALICE}"), &[("authorization", &put), kind], DOCUMENT.as_bytes()).await;
    assert_eq!(answer.status, 201);
    let other = credentials(&challenge, "alice", "alice-demo", "GET", BOB, "00000003").remove(0);
    assert_eq!(get(BOB, &other).await.status, 403);
    let elsewhere = credentials(&challenge, "alice", "alice-demo", "GET", BOB, "00000004").remove(0);
    assert_eq!(get(ALICE, &elsewhere).await.status, 401, "an answer for another address");
    let method = credentials(&challenge, "alice", "alice-demo", "GET", ALICE, "00000005").remove(0);
    assert_eq!(ask(web, &format!("DELETE {ALICE}"), &[("authorization", &method)], b"").await.status, 401);
    let mut looks = Vec::new();
    for (user, password) in [("alice", "wrong"), ("nobody", "wrong"), ("", "")] {
        let answer = get(ALICE, &credentials(&challenge, user, password, "GET", ALICE, "00000006")[0]).await;
        let stable: String = answer.head.lines().filter(|line| !line.contains("nonce=") && !line.starts_with("date")).collect();
        looks.push((answer.status, stable, answer.body));
    }
    assert!(looks[0].0 == 401 && looks.iter().all(|look| *look == looks[0]), "{looks:?}");
    for nonsense in ["Digest", "Digest realm=\"tandem.test\"", "Basic YWxpY2U6YWxpY2UtZGVtbw==", "\u{7f}", "Digest realm=tandem.test,,,=,"]
    {
        assert!(matches!(get(ALICE, nonsense).await.status, 400 | 401), "{nonsense}");
    }
    assert_eq!(get(ALICE, &credentials(&challenge, "alice", "alice-demo", "GET", ALICE, "00000007")[0]).await.body, DOCUMENT);
    // Guessing is slowed down as everywhere.
    let mut limited = false;
    for number in 0x10..0x40 {
        limited |= get(ALICE, &credentials(&challenge, "bob", "wrong", "GET", ALICE, &format!("{number:08x}"))[0]).await.status == 429;
    }
    assert!(limited);
}
