//! People's devices over real sockets: linked by a code or a one-time code, listed, renamed, signed out.

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/phone.rs"]
mod phone;
#[allow(dead_code, reason = "these browsers keep their cookies themselves")]
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use gateway::Gateway;
use phone::{PATIENCE, Phone};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use wasm_core::wire::sip::Status;
use web::http;

/// A browser: what it says goes with the cookies that it got.
#[derive(Clone)]
struct Browser {
    web: SocketAddr,
    name: &'static str,
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn new(gateway: &Gateway, name: &'static str) -> Browser {
        Browser { web: gateway.address("http"), name, cookies: Vec::new() }
    }

    async fn signed_in(gateway: &Gateway, name: &'static str, user: &str) -> Browser {
        let mut browser = Browser::new(gateway, name);
        assert_eq!(browser.sign_in(user, false).await.0, 200);
        browser
    }

    async fn sign_in(&mut self, user: &str, replace: bool) -> (u16, Value) {
        let instance = format!("urn:uuid:{}", self.name);
        let password = format!("{user}-demo");
        self.ask(
            "POST",
            "/api/session",
            json!({ "address": user, "password": password, "instance": instance, "device_name": self.name, "replace": replace }),
        )
        .await
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn ask(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let head = format!("{method} {path} HTTP/1.1\r\nuser-agent: {agent}\r\ncookie: {}", self.cookie());
        let (status, head, body) = http(self.web, &head, &body).await;
        for line in head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(other, _)| other != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Asks to be linked.
    async fn offer(&mut self) -> (String, String) {
        let wish = json!({ "instance": format!("urn:uuid:{}", self.name), "device_name": self.name });
        let (status, offer) = self.ask("POST", "/api/link", wish).await;
        assert_eq!(status, 201, "{offer}");
        assert!(offer["width"].as_u64().unwrap() >= 25 && offer["path"].as_str().unwrap().starts_with("M0 0h7"), "{offer}");
        assert_eq!(offer["seconds"], 120);
        (offer["id"].as_str().unwrap().to_owned(), offer["code"].as_str().unwrap().to_owned())
    }

    async fn take(&mut self, id: &str) -> (u16, Value) {
        self.ask("POST", &format!("/api/link/{id}/session"), Value::Null).await
    }

    async fn prove(&mut self, id: &str, code: &str) -> u16 {
        self.ask("POST", &format!("/api/link/{id}/proof"), json!({ "code": code })).await.0
    }

    async fn send(&mut self, id: &str, address: &str) -> (u16, Value) {
        self.ask("POST", &format!("/api/link/{id}/code"), json!({ "address": address })).await
    }

    async fn answer(&mut self, id: &str, approve: bool) -> (u16, Value) {
        self.ask("POST", &format!("/api/link/{id}/answer"), json!({ "answer": if approve { "approve" } else { "refuse" } })).await
    }

    async fn list(&mut self) -> Vec<Value> {
        let (status, list) = self.ask("GET", "/api/devices", Value::Null).await;
        assert_eq!(status, 200);
        list["devices"].as_array().unwrap().clone()
    }

    async fn device(&mut self, method: &str, name: &str, body: Value) -> (u16, Value) {
        self.ask(method, &format!("/api/devices/urn%3Auuid%3A{name}"), body).await
    }
}

fn named<'a>(list: &'a [Value], name: &str) -> &'a Value {
    list.iter().find(|listed| listed["instance"] == format!("urn:uuid:{name}")).unwrap_or_else(|| panic!("no {name} in {list:?}"))
}

async fn registered(mut phone: Phone) -> Phone {
    assert_eq!(phone.register().await.status, Status::OK);
    phone
}

/// R298, R353: a browser shows a code, a device that is signed in approves it, and the browser is in at once, with a session of its own;
/// nobody else is, and nothing can be done twice.
#[tokio::test]
async fn a_browser_is_linked_by_its_code() {
    let gateway = Gateway::start(&[]);
    let mut phone = Browser::signed_in(&gateway, "phone", "alice").await;
    let (mut pc, mut thief) = (Browser::new(&gateway, "pc"), Browser::new(&gateway, "thief"));
    let (id, code) = pc.offer().await;
    assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let find = format!("/api/link/code/{code}");
    assert_eq!(thief.ask("GET", &find, Value::Null).await.0, 401);
    assert_eq!(thief.answer(&id, true).await.0, 401);
    assert_eq!(thief.take(&id).await.0, 410, "the code and the identifier are not the secret");
    thief.offer().await;
    assert_eq!(thief.take(&id).await.0, 410, "nor is the secret of another request");

    let (status, ask) = phone.ask("GET", &find, Value::Null).await;
    assert_eq!(
        (status, &ask["device_name"], &ask["platform"], &ask["remote"]),
        (200, &json!("pc"), &json!("Firefox on Linux"), &json!("127.0.0.1"))
    );
    let waiting = tokio::spawn({
        let (mut pc, id) = (pc.clone(), id.clone());
        async move {
            let taken = pc.take(&id).await;
            (pc, taken, Instant::now())
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let approved = Instant::now();
    assert_eq!(phone.answer(ask["id"].as_str().unwrap(), true).await.0, 204);
    let (mut linked, (status, session), told) = waiting.await.unwrap();
    assert_eq!((status, &session["address"], &session["device_name"]), (200, &json!("sip:alice@tandem.test"), &json!("pc")));
    assert!(told - approved < Duration::from_secs(2), "told at once");

    assert_eq!(phone.answer(&id, true).await.0, 404, "not twice");
    assert_eq!(phone.ask("GET", &find, Value::Null).await.0, 404);
    assert_eq!(pc.take(&id).await.0, 410);
    let list = linked.list().await;
    assert_eq!(list.len(), 2);
    assert_eq!((&named(&list, "pc")["this"], &named(&list, "phone")["this"]), (&json!(true), &json!(false)));
    assert_eq!(named(&list, "pc")["origin"], json!({ "linked": { "by": "urn:uuid:phone" } }));

    let (id, code) = pc.offer().await;
    let (_, ask) = phone.ask("GET", &format!("/api/link/code/{code}"), Value::Null).await;
    assert_eq!(phone.answer(ask["id"].as_str().unwrap(), false).await.0, 204);
    assert_eq!(pc.take(&id).await.1["error"], "refused");
    for nonsense in ["nonsense", "%00", "..%2F..%2Fx"] {
        assert_eq!(pc.take(nonsense).await.0, 410);
        assert_eq!(phone.answer(nonsense, true).await.0, 404);
    }
    assert_eq!(pc.ask("POST", "/api/link", json!({ "instance": "" })).await.0, 400);
}

/// R353: guessing what others show ends after five guesses, also for the right one.
#[tokio::test]
async fn codes_cannot_be_guessed() {
    let gateway = Gateway::start(&[]);
    let mut alice = Browser::signed_in(&gateway, "phone", "alice").await;
    let mut bob = Browser::signed_in(&gateway, "other", "bob").await;
    let (_, code) = Browser::new(&gateway, "pc").offer().await;
    for guess in 0..5 {
        let wrong = (code.parse::<u32>().unwrap() + 1 + guess) % 100_000_000;
        assert_eq!(alice.ask("GET", &format!("/api/link/code/{wrong:08}"), Value::Null).await.0, 404);
    }
    assert_eq!(alice.ask("GET", &format!("/api/link/code/{code}"), Value::Null).await.0, 429);
    assert_eq!(bob.ask("GET", &format!("/api/link/code/{code}"), Value::Null).await.0, 200, "it is she who is slowed down");
    let mut requests = 0;
    let limited = loop {
        let wish = json!({ "instance": "urn:uuid:flood", "device_name": "flood" });
        let (status, answer) = Browser::new(&gateway, "flood").ask("POST", "/api/link", wish).await;
        match status {
            201 => requests += 1,
            429 => break answer,
            other => panic!("{other} {answer}"),
        }
    };
    assert!(requests < 40, "{requests}");
    assert_eq!(limited["error"], "too-many-requests");
}

/// R313, R353: a one-time code goes to the Primary Device as a system message, once and into nobody's history; an address that nobody has
/// looks the same from outside.
#[tokio::test]
async fn a_browser_is_linked_by_a_one_time_code() {
    let gateway = Gateway::start(&[]);
    let mut phone = registered(Phone::tcp("alice", gateway.address("sip")).await.named("phone")).await;
    let mut desk = registered(Phone::tcp("alice", gateway.address("sip")).await.named("desk")).await;
    let mut pc = Browser::new(&gateway, "pc");
    let (id, _) = pc.offer().await;
    assert_eq!(pc.prove(&id, "12345678").await, 410, "nothing was sent");
    assert_eq!(pc.send(&id, "alice").await.0, 202);
    let (from, text) = phone.hear().await;
    assert_eq!(from, "sip:system@tandem.test");
    let code: String = text.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(code.len(), 8, "{text}");
    let mut thief = Browser::new(&gateway, "thief");
    let (own, _) = thief.offer().await;
    assert_eq!((thief.prove(&id, &code).await, thief.prove(&own, &code).await), (410, 410), "it is bound to the browser that asked");
    assert_eq!(pc.prove(&id, "x").await, 403);
    assert_eq!(pc.prove(&id, &code).await, 204);
    assert_eq!(pc.take(&id).await.0, 200);
    assert_eq!(pc.prove(&id, &code).await, 410);
    let list = pc.list().await;
    assert_eq!(named(&list, "pc")["origin"], json!({ "linked": {} }));
    assert_eq!(named(&list, "phone")["kind"], "primary");
    let (_, folders) = pc.ask("GET", "/nms/v1/main/sip%3Aalice%40tandem.test/folders", Value::Null).await;
    assert_eq!(folders["folders"], json!([]), "it is in nobody's history");
    // What comes next at the desk is this, and not the code.
    let mut bob = registered(Phone::tcp("bob", gateway.address("sip")).await).await;
    bob.say("alice", "Hello").await;
    assert_eq!((desk.hear().await.1, phone.hear().await.1), ("Hello".to_owned(), "Hello".to_owned()));

    // The same questions about somebody and about nobody get the same answers, and the sixth try is dead whatever it says.
    let mut seen = Vec::new();
    for address in ["alice", "nobody", "not an address"] {
        let mut browser = Browser::new(&gateway, "other");
        let (id, _) = browser.offer().await;
        let mut answers = vec![browser.send(&id, address).await];
        for _ in 0..6 {
            answers.push(browser.ask("POST", &format!("/api/link/{id}/proof"), json!({ "code": "00000000" })).await);
        }
        answers.push(browser.send(&id, address).await);
        if address == "alice" {
            let code = phone.hear().await.1;
            answers.push((browser.prove(&id, &code).await, Value::Null));
        } else {
            answers.push((browser.prove(&id, "12345678").await, Value::Null));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0].iter().map(|(status, _)| *status).collect::<Vec<_>>(), [202, 403, 403, 403, 403, 410, 410, 429, 410]);
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
}

/// R295, R353: names are the owner's; a device that is signed out from another loses its session, its sockets and its history at once.
#[tokio::test]
async fn a_browser_is_signed_out_from_another() {
    let gateway = Gateway::start(&[]);
    let web = gateway.address("http");
    let mut phone = Browser::signed_in(&gateway, "phone", "alice").await;
    let mut pc = Browser::signed_in(&gateway, "pc", "alice").await;
    let mut bob = Browser::signed_in(&gateway, "bobs", "bob").await;
    assert_eq!(phone.device("PATCH", "pc", json!({ "name": " Kitchen \u{7}" })).await.0, 204);
    assert_eq!(pc.ask("GET", "/api/session", Value::Null).await.1["device_name"], "Kitchen");
    assert_eq!(phone.device("PATCH", "pc", json!({ "name": "" })).await.0, 400);
    assert_eq!(phone.device("PATCH", "pc", json!({ "colour": "red" })).await.0, 400);
    assert_eq!(phone.device("PATCH", "pc", json!({ "kind": "primary" })).await.1["error"], "not-primary");

    // Somebody else's device is not there.
    for (method, body) in [("PATCH", json!({ "name": "Mine" })), ("DELETE", Value::Null)] {
        let foreign = bob.device(method, "pc", body.clone()).await;
        assert_eq!(foreign, bob.device(method, "nowhere", body).await);
        assert_eq!(foreign.0, 404);
    }
    assert_eq!(bob.list().await.len(), 1);

    let cookie = pc.cookie();
    let mut sip = registered(Phone::websocket("alice", web, &[("Cookie", &cookie)]).await.unwrap().named("pc")).await;
    let mut request = format!("ws://{web}/events").into_client_request().unwrap();
    request.headers_mut().insert("Cookie", cookie.parse().unwrap());
    let (mut events, _) = tokio_tungstenite::client_async(request, TcpStream::connect(web).await.unwrap()).await.unwrap();
    assert_eq!(named(&phone.list().await, "pc")["online"], true);

    assert_eq!(phone.device("DELETE", "pc", Value::Null).await.0, 204);
    assert!(sip.next().await.is_none(), "its SIP socket is closed");
    let closed = async {
        while let Some(Ok(message)) = events.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("its event socket is closed");
    assert_eq!(pc.ask("GET", "/api/session", Value::Null).await.0, 401);
    assert_eq!(pc.device("DELETE", "phone", Value::Null).await.0, 401);
    assert_eq!(phone.list().await.len(), 1);
    assert_eq!(phone.device("DELETE", "pc", Value::Null).await.0, 404);
    let mut late = Phone::websocket("bob", web, &[("Cookie", &cookie)]).await.unwrap();
    assert_eq!(late.register().await.status, Status::OK, "the cookie opens nothing, bob's password does");
}

/// R303, R353: a native client that is signed out may not register until it is allowed again, also after a restart; and there are only so
/// many devices.
#[tokio::test]
async fn a_phone_is_signed_out_and_devices_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tandem.toml");
    std::fs::write(&settings, "[devices]\nprimary = \"any\"\nsecondaries = 2\n").unwrap();
    let mut gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
    let mut pc = Browser::signed_in(&gateway, "pc", "alice").await;
    let mut phone = registered(Phone::tcp("alice", gateway.address("sip")).await.named("phone")).await;
    let mut desk = registered(Phone::udp("alice", gateway.address("sip")).await.named("desk")).await;
    let list = pc.list().await;
    assert_eq!((&named(&list, "phone")["kind"], &named(&list, "desk")["kind"]), (&json!("primary"), &json!("secondary")));
    assert_eq!(named(&list, "phone")["online"], true);

    let mut third = Phone::tcp("alice", gateway.address("sip")).await.named("third");
    let refused = third.register().await;
    assert_eq!((refused.status, refused.reason.as_str()), (Status::FORBIDDEN, "Too Many Devices"));
    let mut tablet = Browser::new(&gateway, "tablet");
    assert_eq!(tablet.sign_in("alice", false).await.1["error"], "too-many-devices");
    let (id, code) = tablet.offer().await;
    assert_eq!(pc.ask("GET", &format!("/api/link/code/{code}"), Value::Null).await.0, 200);
    assert_eq!(pc.answer(&id, true).await.1["error"], "too-many-devices", "said where something can be done about it");
    assert_eq!(tablet.sign_in("alice", true).await.0, 200, "in the place of the one that was not used for the longest time");
    assert_eq!(pc.ask("GET", "/api/session", Value::Null).await.0, 401);

    assert_eq!(tablet.device("DELETE", "desk", Value::Null).await.0, 204);
    assert_eq!(tablet.device("DELETE", "phone", Value::Null).await.0, 204);
    assert!(phone.next().await.is_none(), "its connection is closed");
    let refused = desk.register().await;
    assert_eq!((refused.status, refused.reason.as_str()), (Status::FORBIDDEN, "Device Signed Out"));
    gateway.kill();
    gateway.restart();
    assert_eq!(desk.register().await.status, Status::FORBIDDEN);
    let list = tablet.list().await;
    assert_eq!((&named(&list, "desk")["barred"], &named(&list, "desk")["online"]), (&json!(true), &json!(false)));
    assert_eq!(tablet.device("PATCH", "desk", json!({ "access": "allowed" })).await.0, 204);
    assert_eq!(desk.register().await.status, Status::OK);
    assert_eq!(tablet.device("PATCH", "tablet", json!({ "kind": "primary" })).await.0, 204, "by the provider's leave");
    assert_eq!(tablet.list().await[0]["name"], "tablet");

    // A sign-out by oneself is one as well.
    assert_eq!(tablet.ask("DELETE", "/api/session", Value::Null).await.0, 204);
    let mut again = Browser::signed_in(&gateway, "again", "alice").await;
    assert!(again.list().await.iter().all(|listed| listed["name"] != "tablet"));
}

/// R317: a new password puts everybody out who came in by the old one.
#[tokio::test]
async fn a_new_password_ends_what_the_old_one_opened() {
    let gateway = Gateway::start(&[]);
    let mut pc = Browser::signed_in(&gateway, "pc", "alice").await;
    let mut phone = registered(Phone::tcp("alice", gateway.address("sip")).await.named("phone")).await;
    let mut desk = registered(Phone::udp("alice", gateway.address("sip")).await.named("desk")).await;
    let mut bob = registered(Phone::tcp("bob", gateway.address("sip")).await.named("bob")).await;
    let changed = std::process::Command::new(gateway::binary())
        .args(["user", "passwd", "sip:alice@tandem.test", "--password", "another", "--data-dir"])
        .arg(gateway.folder())
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    assert!(phone.next().await.is_none(), "its connection is closed");
    assert_eq!(pc.ask("GET", "/api/session", Value::Null).await.0, 401);
    assert_eq!(desk.register().await.status, Status::UNAUTHORIZED);
    assert_eq!(bob.register().await.status, Status::OK, "nobody else is put out");
}
