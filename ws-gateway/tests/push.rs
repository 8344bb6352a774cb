//! Notices out of band over real sockets: a push service and a web hook that are told of messages, and what may go wrong with them.

#[path = "support/gateway.rs"]
mod gateway;
#[allow(dead_code, reason = "two of its transports are enough here")]
#[path = "support/phone.rs"]
mod phone;
#[path = "support/push_service.rs"]
mod push_service;
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::time::Duration;

use gateway::Gateway;
use phone::Phone;
use push_service::{PushService, Subscriber};
use wasm_core::wire::sip::Status;
use web::{cookie, http};

const SECRET: &str = "a secret of some length";

/// A push service, and a gateway that may reach it; alice is online.
async fn stage(more: &str) -> (PushService, Gateway, Phone) {
    let service = PushService::start().await;
    let settings = service.certificate().with_file_name("tandem.toml");
    let text = format!(
        "[push]\nprivate_endpoints = true\ncertificates = {:?}\n{}",
        service.certificate(),
        more.replace("HOOK", &service.url("/hook"))
    );
    std::fs::write(&settings, text).unwrap();
    let gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
    let alice = online(&gateway).await;
    (service, gateway, alice)
}

async fn online(gateway: &Gateway) -> Phone {
    let mut alice = Phone::udp("alice", gateway.address("sip")).await;
    assert_eq!(alice.register().await.status, Status::OK);
    alice
}

async fn ask(web: SocketAddr, method: &str, cookie: &str, body: &str) -> (u16, serde_json::Value) {
    let (status, _, body) = http(web, &format!("{method} /api/push HTTP/1.1\r\ncookie: {cookie}"), body).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// R219, R224, R351: a browser that is closed is told who wrote what, in a message that it alone can read and that says from whom it comes.
#[tokio::test]
async fn a_closed_browser_is_told() {
    let (mut service, mut gateway, mut alice) = stage("").await;
    let (web, browser) = (gateway.address("http"), Subscriber::new(7));
    let bob = cookie(web, "bob").await;
    let (_, offer) = ask(web, "GET", &bob, "").await;
    let key = offer["key"].as_str().unwrap().to_owned();
    assert_eq!(offer["subscribed"], false);
    let wish = browser.wish(&service.url("/bob"), r#","words":"New message""#);
    assert_eq!(ask(web, "PUT", &bob, &wish).await.0, 204);

    assert_eq!(alice.say("bob", "Are you there?\nSecond line").await, Status::ACCEPTED);
    let first = service.next().await;
    let shown = browser.open(&first);
    assert_eq!((&shown["title"], &shown["body"]), (&"Alice".into(), &"Are you there?".into()));
    assert_eq!((&shown["with"], &shown["unread"]), (&"sip:alice@tandem.test".into(), &1.into()));
    assert_eq!((first.path.as_str(), first.header("content-encoding"), first.header("urgency")), ("/bob", "aes128gcm", "high"));
    let week = 7 * 24 * 3600;
    assert!((week - 60..=week).contains(&first.header("ttl").parse().unwrap()), "{first:?}");
    assert_eq!(first.claims(&key)["aud"], service.url(""));
    assert_eq!(first.header("topic").len(), 32);
    assert!(!String::from_utf8_lossy(&first.body).contains("there"));

    // The person wants no texts shown; the service worker, which subscribes anew by itself, does not know that.
    assert_eq!(ask(web, "PUT", &bob, &browser.wish(&service.url("/bob"), r#","text":false"#)).await.0, 204);
    assert_eq!(ask(web, "PUT", &bob, &browser.wish(&service.url("/again"), "")).await.0, 204);
    alice.say("bob", "Secret").await;
    let second = service.next().await;
    assert_eq!(browser.open(&second)["body"], "New message");
    assert_eq!((second.path.as_str(), second.header("topic")), ("/again", first.header("topic")));

    // Over a restart the subscription and our key stay, and nothing is told again.
    gateway.kill();
    gateway.restart();
    let (_, offer) = ask(web, "GET", &bob, "").await;
    assert_eq!((&offer["key"], &offer["subscribed"]), (&key.into(), &true.into()));
    service.is_silent().await;
}

/// R224: a subscription ends when the push service says so, when the person turns notices off, and when they sign out.
#[tokio::test]
async fn a_subscription_ends() {
    let (mut service, gateway, mut alice) = stage("").await;
    let (web, browser) = (gateway.address("http"), Subscriber::new(8));
    let wish = browser.wish(&service.url("/bob"), "");
    let bob = cookie(web, "bob").await;
    assert_eq!(ask(web, "PUT", &bob, &wish).await.0, 204);
    service.answers(&["410 Gone"]);
    alice.say("bob", "One").await;
    service.next().await;
    while ask(web, "GET", &bob, "").await.1["subscribed"] == true {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    alice.say("bob", "Two").await;
    service.is_silent().await;

    assert_eq!(ask(web, "PUT", &bob, &wish).await.0, 204);
    assert_eq!(ask(web, "DELETE", &bob, "").await.0, 204);
    alice.say("bob", "Three").await;
    service.is_silent().await;

    assert_eq!(ask(web, "PUT", &bob, &wish).await.0, 204);
    assert_eq!(http(web, &format!("DELETE /api/session HTTP/1.1\r\ncookie: {bob}"), "").await.0, 204);
    alice.say("bob", "Four").await;
    service.is_silent().await;
    assert_eq!(ask(web, "PUT", &bob, &wish).await.0, 401);
    let (_, _, metrics) = http(gateway.address("admin"), "GET /metrics HTTP/1.1", "").await;
    assert!(metrics.contains(r#"tandem_push_total{to="browser",result="gone"} 1"#), "{metrics}");
}

/// R224: a push service that has too much to do is left alone for as long as it asks, and one that redirects is not followed.
#[tokio::test]
async fn a_push_service_that_asks_for_time_gets_it() {
    let (mut service, gateway, mut alice) = stage("").await;
    let (web, browser) = (gateway.address("http"), Subscriber::new(9));
    let bob = cookie(web, "bob").await;
    assert_eq!(ask(web, "PUT", &bob, &browser.wish(&service.url("/bob"), "")).await.0, 204);
    service.answers(&["429 Too Many Requests\r\nretry-after: 2", "201 Created", "307 Temporary Redirect\r\nlocation: /elsewhere"]);
    alice.say("bob", "Patience").await;
    let (first, second) = (service.next().await, service.next().await);
    assert!(second.at - first.at >= Duration::from_secs(2));
    assert_eq!(browser.open(&first)["body"], browser.open(&second)["body"]);
    assert_ne!(first.body, second.body, "encrypted anew");
    alice.say("bob", "Elsewhere").await;
    service.next().await;
    service.is_silent().await;
}

/// R317: nobody makes the gateway connect to its own network, nor keeps what is no subscription.
#[tokio::test]
async fn endpoints_are_not_trusted() {
    let mut service = PushService::start().await;
    let gateway = Gateway::start(&[]);
    let (web, browser) = (gateway.address("http"), Subscriber::new(10));
    let bob = cookie(web, "bob").await;
    for endpoint in
        ["https://127.0.0.1:9/", "https://[::1]/", "https://10.0.0.1/x", "http://push.example/", "https://user@push.example/", "nonsense"]
    {
        assert_eq!(ask(web, "PUT", &bob, &browser.wish(endpoint, "")).await.0, 400, "{endpoint}");
    }
    let keys = r#"{"endpoint":"https://push.example/","p256dh":"BAAA","auth":"AAAA"}"#;
    let words = browser.wish("https://push.example/", &format!(r#","words":"{}""#, "x".repeat(200)));
    for body in [keys, &words, "{}", "nonsense"] {
        assert_eq!(ask(web, "PUT", &bob, body).await.0, 400, "{body}");
    }
    assert_eq!(ask(web, "PUT", "tandem_session=0", keys).await.0, 401);
    // A name may lead anywhere: this one leads home.
    assert_eq!(ask(web, "PUT", &bob, &browser.wish(&service.url("/bob"), "")).await.0, 204);
    let mut alice = online(&gateway).await;
    assert_eq!(alice.say("bob", "Hello").await, Status::ACCEPTED);
    service.is_silent().await;
}

/// R351: the operator's web hook is told of messages to people none of whose phones is there, and can tell that it comes from here.
#[tokio::test]
async fn phones_are_told_by_the_web_hook() {
    let hook = format!("webhook = \"HOOK\"\nwebhook_secret = \"{SECRET}\"\n");
    let (mut service, gateway, mut alice) = stage(&hook).await;
    service.answers(&["503 Service Unavailable\r\nretry-after: 1"]);
    assert_eq!(alice.say("carol", "Call me").await, Status::ACCEPTED);
    let (first, second) = (service.next().await, service.next().await);
    let told = second.signed_json(SECRET);
    assert_eq!(told, first.signed_json(SECRET));
    assert_eq!(
        (second.path.as_str(), &told["user"], &told["from"]),
        ("/hook", &"sip:carol@tandem.test".into(), &"sip:alice@tandem.test".into())
    );
    assert_eq!((&told["name"], &told["text"], &told["size"], &told["unread"]), (&"Alice".into(), &"Call me".into(), &7.into(), &1.into()));
    assert!(told["addresses"].as_array().unwrap().contains(&"tel:+15550102".into()) && told["message_id"].is_string());
    let mut carol = Phone::tcp("carol", gateway.address("sip")).await;
    assert_eq!(carol.register().await.status, Status::OK);
    carol.hear().await;
    let request = alice.compose("carol", "You are there");
    let (response, _) = tokio::join!(alice.ask(request), carol.hear());
    assert_eq!(response.status, Status::OK);
    service.is_silent().await;
}
