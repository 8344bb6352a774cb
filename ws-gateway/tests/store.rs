//! The message store over HTTP, against a running gateway: objects, flags, folders, searches, drafts, operations, export, and what must
//! not be possible.

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/phone.rs"]
#[allow(dead_code, reason = "one transport is enough here")]
mod phone;
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;

use gateway::Gateway;
use phone::Phone;
use serde_json::Value;
use wasm_core::wire::sip::Status;
use web::{cookie, http};

const ALICE: &str = "sip%3Aalice%40tandem.test";
const BOB: &str = "sip%3Abob%40tandem.test";

/// One person's browser.
struct Browser {
    web: SocketAddr,
    cookie: String,
    path: String,
}

impl Browser {
    async fn sign_in(web: SocketAddr, user: &str) -> Browser {
        Browser { web, cookie: cookie(web, user).await, path: format!("/nms/v1/main/sip%3A{user}%40tandem.test") }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        self.ask_with(method, path, "", body).await
    }

    async fn ask_with(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let path = if path.starts_with("/api") { path.to_owned() } else { format!("{}/{path}", self.path) };
        http(self.web, &format!("{method} {path} HTTP/1.1\r\ncookie: {}{headers}", self.cookie), body).await
    }

    async fn status(&self, method: &str, path: &str, body: &str) -> u16 {
        self.ask(method, path, body).await.0
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.ask("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Bob's browser, after Alice's phone has said these things to him.
async fn told(gateway: &Gateway, texts: &[&str]) -> (Phone, Browser) {
    let mut alice = Phone::tcp("alice", gateway.address("sip")).await;
    assert_eq!(alice.register().await.status, Status::OK);
    for text in texts {
        assert_eq!(alice.say("bob", text).await, Status::ACCEPTED);
    }
    (alice, Browser::sign_in(gateway.address("http"), "bob").await)
}

/// R296, R326: an object, its payload in part, its flags, its end, each told to the other devices.
#[tokio::test]
async fn objects_are_read_flagged_and_ended() {
    let gateway = Gateway::start(&[]);
    let (_, bob) = told(&gateway, &["first words", "second words"]).await;
    let object = bob.get("objects/1").await;
    assert_eq!((&object["text"], &object["seen"]), (&Value::from("first words"), &Value::from(false)));
    let (status, head, body) = bob.ask_with("GET", "objects/1/payload", "\r\nrange: bytes=6-10", "").await;
    assert_eq!((status, body.as_str()), (206, "words"));
    for line in ["content-range: bytes 6-10/11", "etag: \"1\"", "content-disposition: attachment", "accept-ranges: bytes"] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(bob.ask_with("GET", "objects/1/payload", "\r\nrange: bytes=11-", "").await.0, 416);
    assert_eq!(bob.ask_with("GET", "objects/1/payload", "\r\nrange: bytes=0-1\r\nif-range: \"9\"", "").await.2, "first words");
    assert_eq!(bob.ask_with("GET", "objects/1/payload", "\r\nif-none-match: \"1\"", "").await.0, 304);
    assert_eq!(bob.get("objects/1/parts").await[0]["size"], 11);
    assert_eq!(bob.ask("GET", "objects/1/parts/0", "").await.2, "first words");
    assert_eq!(bob.status("GET", "objects/1/parts/1", "").await, 404);

    let since = bob.get("folders").await["cursor"].as_u64().unwrap();
    assert_eq!(bob.status("PUT", "objects/1/flags/%5CFlagged", "").await, 204);
    assert_eq!(bob.status("PUT", "objects/1/flags/work", "").await, 204);
    assert_eq!(bob.status("GET", "objects/1/flags/%5Cflagged", "").await, 204);
    assert_eq!(bob.status("GET", "objects/1/flags/%5CSeen", "").await, 404);
    assert_eq!(bob.get("objects/1/flags").await, serde_json::json!(["\\Flagged", "work"]));
    assert_eq!(bob.status("DELETE", "objects/1/flags/work", "").await, 204);
    let changes = bob.get(&format!("changes?since={since}")).await;
    assert_eq!(changes["objects"][0]["flags"], serde_json::json!(["\\Flagged"]));

    assert_eq!(bob.status("PUT", "objects/2/flags/%5CDeleted", "").await, 204);
    assert_eq!(bob.get(&format!("objects?with={ALICE}")).await["objects"].as_array().unwrap().len(), 1);
    assert_eq!(bob.status("DELETE", "objects/2/flags/%5CDeleted", "").await, 204);
    assert_eq!(bob.status("DELETE", "objects/2", "").await, 204);
    assert_eq!(bob.status("DELETE", "objects/2", "").await, 404);
    let changes = bob.get(&format!("changes?since={since}")).await;
    assert_eq!((&changes["gone"][0]["seq"], changes["quota"].is_null()), (&Value::from(2), true));
    assert_eq!(bob.get("quota").await["objects"], 1);
}

/// R324, R326: searching, folders of one's own, folder flags, drafts, bulk operations.
#[tokio::test]
async fn a_box_is_searched_and_kept_in_order() {
    let gateway = Gateway::start(&[]);
    let (_, bob) = told(&gateway, &["the station <b>at</b> six", "nothing", "Stations again"]).await;
    let found = bob.get("search?text=station").await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    assert_eq!(found["hits"][1]["snippet"]["matches"], serde_json::json!([[4, 7]]));
    assert_eq!(found["hits"][1]["snippet"]["text"], "the station <b>at</b> six");
    let found = bob.get(&format!("search?text=station&with={ALICE}&outgoing=false&order=rank&limit=1")).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);

    let (status, _, body) = bob.ask("POST", "own-folders", r#"{"name":" Travel "}"#).await;
    assert_eq!(status, 201);
    let travel = serde_json::from_str::<Value>(&body).unwrap()["id"].as_u64().unwrap();
    assert_eq!(bob.status("POST", "own-folders", r#"{"name":"Travel"}"#).await, 409);
    assert_eq!(bob.status("POST", "own-folders", r#"{"name":" "}"#).await, 400);
    assert_eq!(bob.status("PATCH", &format!("own-folders/{travel}"), r#"{"name":"Italy"}"#).await, 204);
    assert_eq!(bob.status("PUT", &format!("own-folders/{travel}/objects/1"), "").await, 204);
    let results = bob.ask("POST", "operations/copy", &format!(r#"{{"objects":[3,99],"folder":{travel}}}"#)).await.2;
    assert_eq!(results, r#"{"results":[{"seq":3,"status":204},{"seq":99,"status":404}]}"#);
    assert_eq!(bob.get("own-folders").await["folders"][0]["objects"], 2);
    assert_eq!(bob.get(&format!("search?folder={travel}")).await["hits"].as_array().unwrap().len(), 2);
    assert_eq!(bob.status("DELETE", &format!("own-folders/{travel}/objects/1"), "").await, 204);
    assert_eq!(bob.status("DELETE", &format!("own-folders/{travel}"), "").await, 204);
    assert_eq!(bob.get("objects/3").await["folders"], Value::Null);

    assert_eq!(bob.status("PUT", &format!("folders/{ALICE}/flags/%5CPinned"), "").await, 204);
    assert_eq!(bob.get("folders").await["folders"][0]["flags"], serde_json::json!(["\\Pinned"]));
    assert_eq!(bob.status("DELETE", &format!("folders/{ALICE}/flags/%5CPinned"), "").await, 204);

    let since = bob.get("folders").await["cursor"].as_u64().unwrap();
    assert_eq!(bob.status("PUT", &format!("drafts/{ALICE}"), r#"{"text":"Half a"}"#).await, 204);
    assert_eq!(bob.get(&format!("drafts/{ALICE}")).await["text"], "Half a");
    assert_eq!(bob.get(&format!("changes?since={since}")).await["documents"][0]["name"], "sip:alice@tandem.test");
    assert_eq!(bob.status("DELETE", &format!("drafts/{ALICE}"), "").await, 204);
    assert_eq!(bob.status("GET", &format!("drafts/{ALICE}"), "").await, 404);
    assert_eq!(bob.get(&format!("changes?since={since}")).await["documents"][0]["gone"], true);

    let (_, _, body) = bob.ask("POST", "operations/bulkUpdate", r#"{"objects":[1,3],"add":["\\Seen","\\Flagged"]}"#).await;
    assert_eq!(body.matches("204").count(), 2, "{body}");
    assert_eq!(bob.get("search?flag=%5CFlagged").await["hits"].as_array().unwrap().len(), 2);
    let (_, _, body) = bob.ask("POST", "operations/bulkDelete", r#"{"objects":[1,2,3,4]}"#).await;
    assert_eq!((body.matches("204").count(), body.matches("404").count()), (3, 1), "{body}");
    assert!(bob.get("search?text=station").await["hits"].as_array().unwrap().is_empty());
}

/// R270, R271: what is stored is sent on in its owner's name, without being here first.
#[tokio::test]
async fn stored_messages_are_sent_on() {
    let gateway = Gateway::start(&[]);
    let (mut alice, bob) = told(&gateway, &["pass this on"]).await;
    let body = r#"{"objects":[1],"to":["sip:alice@tandem.test"],"text":"You said:"}"#;
    let (status, _, answer) = bob.ask("POST", "operations/forward", body).await;
    assert_eq!(status, 202);
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["messages"].as_array().unwrap().len(), 2);
    for text in ["You said:", "pass this on"] {
        assert_eq!(alice.hear().await, ("sip:bob@tandem.test".to_owned(), text.to_owned()));
    }
    let sent = bob.get(&format!("search?outgoing=true&with={ALICE}")).await;
    assert_eq!(sent["hits"].as_array().unwrap().len(), 2);
    for bad in [r#"{"objects":[1],"to":[]}"#, r#"{"objects":[],"to":["sip:alice@tandem.test"]}"#, r#"{"objects":[1],"to":["nobody"]}"#, "{"]
    {
        assert!(matches!(bob.status("POST", "operations/forward", bad).await, 400 | 422), "{bad}");
    }
    assert_eq!(bob.status("POST", "operations/forward", r#"{"objects":[77],"to":["sip:alice@tandem.test"]}"#).await, 404);
}

/// R354: all that is kept, as a file that anybody can open.
#[tokio::test]
async fn everything_can_be_taken_away() {
    let gateway = Gateway::start(&[]);
    let (_, bob) = told(&gateway, &["Ahoj", "Zażółć"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.zip");
    let url = format!("http://{}/api/export", gateway.address("http"));
    let output =
        std::process::Command::new("curl").args(["-sf", "-H", &format!("cookie: {}", bob.cookie), "-o"]).arg(&file).arg(url).status();
    assert!(output.unwrap().success());
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                  sys.stdout.buffer.write(b'\\n'.join(n.encode() + b': ' + z.read(n) for n in z.namelist()))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "README.txt",
        "devices.json",
        "messages-0001.jsonl",
        "\"text\":\"Ahoj\"",
        "conversations/sip_alice_tandem.test-2-0001.txt",
        "    Zażółć",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert_eq!(http(gateway.address("http"), "GET /api/export HTTP/1.1", "").await.0, 401);
}

/// R317: nothing is anybody else's to see or to change, and nonsense is refused in words.
#[tokio::test]
async fn strangers_and_nonsense_are_refused() {
    let gateway = Gateway::start(&[]);
    let (_, bob) = told(&gateway, &["for bob alone"]).await;
    let alice = Browser::sign_in(gateway.address("http"), "alice").await;
    let (theirs, nobody) =
        (Browser { path: bob.path.clone(), ..alice }, Browser { web: bob.web, cookie: "x=y".into(), path: bob.path.clone() });
    let calls = [
        ("GET", "objects/1", ""),
        ("DELETE", "objects/1", ""),
        ("GET", "objects/1/payload", ""),
        ("GET", "objects/1/parts", ""),
        ("GET", "objects/1/parts/0", ""),
        ("GET", "objects/1/thread", ""),
        ("GET", "objects/1/flags", ""),
        ("PUT", "objects/1/flags/%5CFlagged", ""),
        ("DELETE", "objects/1/flags/%5CFlagged", ""),
        ("GET", "search?text=alone", ""),
        ("GET", "index?with=sip:alice@tandem.test", ""),
        ("GET", "histories?with=sip:alice@tandem.test", ""),
        ("GET", "quota", ""),
        ("GET", "own-folders", ""),
        ("POST", "own-folders", r#"{"name":"x"}"#),
        ("PATCH", "own-folders/1", r#"{"name":"x"}"#),
        ("DELETE", "own-folders/1", ""),
        ("PUT", "own-folders/1/objects/1", ""),
        ("DELETE", "own-folders/1/objects/1", ""),
        ("GET", "drafts/sip:alice@tandem.test", ""),
        ("PUT", "drafts/sip:alice@tandem.test", r#"{"text":"x"}"#),
        ("DELETE", "drafts/sip:alice@tandem.test", ""),
        ("POST", "operations/bulkDelete", r#"{"objects":[1]}"#),
        ("POST", "operations/forward", r#"{"objects":[1],"to":["sip:alice@tandem.test"]}"#),
        ("PUT", "folders/sip:alice@tandem.test/flags/%5CPinned", ""),
        ("DELETE", "folders/sip:alice@tandem.test/flags/%5CPinned", ""),
    ];
    for (method, path, body) in calls {
        assert_eq!(theirs.status(method, path, body).await, 403, "{method} {path}");
        assert_eq!(nobody.status(method, path, body).await, 401, "{method} {path}");
    }
    // What is at the same number in another box is another thing, or none.
    let mine = Browser { path: format!("/nms/v1/main/{ALICE}"), ..theirs };
    for path in
        ["objects/2", "objects/x", "objects/-1", "objects/99999999999999999999", "objects/2/payload", "own-folders/1", "drafts/sip:x@y"]
    {
        assert!(matches!(mine.status("GET", path, "").await, 404 | 405), "{path}");
    }
    for (method, path, body, status) in [
        ("GET", "search", "", 400),
        ("GET", "search?limit=x", "", 400),
        ("GET", "search?text=a&flag=%5CNonsense", "", 400),
        ("GET", "search?text=a&with=nobody%20at%20all", "", 400),
        ("GET", "search?kind=nothing", "", 400),
        ("GET", "search?text=%22%27%3B--%00*(NEAR", "", 200),
        ("GET", "index", "", 400),
        ("PUT", "objects/1/flags/a%20b", "", 400),
        ("POST", "operations/explode", "{}", 404),
        ("POST", "operations/move", r#"{"objects":[1]}"#, 400),
        ("POST", "operations/bulkUpdate", r#"{"objects":[1],"add":["a b"]}"#, 400),
        ("POST", "operations/bulkDelete", r#"{"objects":"all"}"#, 400),
        ("POST", "own-folders", r#"{"name":"x","parent":4711}"#, 409),
        ("PUT", "folders/sip:alice@tandem.test/flags/%5CNothing", "", 404),
        ("PUT", "folders/sip:alice@tandem.test/flags/%5CSeen", "nonsense", 400),
    ] {
        let (found, _, answer) = bob.ask(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(status == 200 || answer.starts_with("{\"error\":"), "{answer}");
    }
    let question = format!("search?text={}", "x".repeat(201));
    assert_eq!(bob.status("GET", &question, "").await, 400);
    let many = format!(r#"{{"objects":[{}1]}}"#, "1,".repeat(500));
    assert_eq!(bob.status("POST", "operations/bulkDelete", &many).await, 400);
    assert_eq!(bob.get("objects/1").await["text"], "for bob alone");
    assert_eq!(bob.path, format!("/nms/v1/main/{BOB}"));
}

/// R255: the owner of a box is told when it fills, and in a full one the oldest makes room.
#[tokio::test]
async fn a_full_box_makes_room_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tandem.toml");
    std::fs::write(&settings, "[store]\nobjects_per_user = 2\n").unwrap();
    let mut gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
    let (_, bob) = told(&gateway, &["one", "two", "three"]).await;
    assert_eq!(bob.get("quota").await["level"], "full");
    assert_eq!(bob.get("changes?since=1").await["quota"]["level"], "full");
    assert_eq!(bob.get(&format!("objects?with={ALICE}")).await["objects"][2]["text"], "three", "what is new is kept");
    // Housekeeping begins with the process.
    gateway.kill();
    gateway.restart();
    let begin = std::time::Instant::now();
    while bob.get("quota").await["objects"] != 2 {
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let page = bob.get(&format!("objects?with={ALICE}")).await;
    assert_eq!(page["objects"][0]["text"], "two", "the oldest has gone");
}
