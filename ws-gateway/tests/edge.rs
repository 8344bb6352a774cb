//! The gateway's edge over real sockets: every transport, sign-in, limits, and what peers send that they should not.

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/phone.rs"]
mod phone;
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use gateway::Gateway;
use phone::{PATIENCE, Phone};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use wasm_core::cpm::address::Address;
use wasm_core::wire::sip::{Frame, Framer, Limits, Message, Response, Status};
use web::{cookie, http, sign_in};

async fn registered(mut phone: Phone) -> Phone {
    let response = phone.register().await;
    assert_eq!(response.status, Status::OK);
    phone
}

/// R008, R009, R041, R046: a device on any transport registers with digest and exchanges messages with one on any other.
#[tokio::test]
async fn every_transport_carries_messages() {
    let gateway = Gateway::start(&[]);
    let certificate = gateway.folder().join("tls/self-signed.pem");
    let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
    let mut tcp = registered(Phone::tcp("bob", gateway.address("sip")).await).await;
    let mut tls = registered(Phone::tls("bob", gateway.address("sips"), &certificate).await).await;
    let mut websocket = registered(Phone::websocket("bob", gateway.address("http"), &[]).await.unwrap()).await;
    for round in 0..3 {
        let text = format!("Round {round}: zażółć");
        let request = alice.compose("bob", &text);
        let (response, one, two, three) = tokio::join!(alice.ask(request), tcp.hear(), tls.hear(), websocket.hear());
        assert_eq!(response.status, Status::OK);
        let expected = ("sip:alice@tandem.test".to_owned(), text);
        assert_eq!([&one, &two, &three], [&expected; 3]);
        let bob = match round {
            0 => &mut tcp,
            1 => &mut tls,
            _ => &mut websocket,
        };
        let request = bob.compose("alice", "Back");
        let (response, heard) = tokio::join!(bob.ask(request), alice.hear());
        assert_eq!(response.status, Status::OK);
        assert_eq!(heard, ("sip:bob@tandem.test".to_owned(), "Back".to_owned()));
    }
}

/// R008, R317: a session's cookie signs a WebSocket in, and opens the history of its owner alone; signing out ends it.
#[tokio::test]
async fn a_session_opens_its_owners_box_and_socket() {
    let gateway = Gateway::start(&[]);
    let web = gateway.address("http");
    assert_eq!(http(web, "GET /api/session HTTP/1.1", "").await.0, 401);
    let (status, _, body) = http(web, "POST /api/session HTTP/1.1", &sign_in("alice", "wrong")).await;
    let (unknown, _, other) = http(web, "POST /api/session HTTP/1.1", &sign_in("nobody", "wrong")).await;
    assert_eq!((status, &body), (unknown, &other), "unknown users and wrong passwords look alike");
    assert!(body.contains("wrong-credentials"));
    let alice = cookie(web, "alice").await;

    // The answer to the first REGISTER is no challenge.
    let mut phone = Phone::websocket("alice", web, &[("Cookie", &alice)]).await.unwrap();
    let response = phone.register().await;
    assert_eq!(response.status, Status::OK);
    assert_eq!(phone.say("bob", "Kept").await, Status::ACCEPTED, "bob has no device");

    let bob = cookie(web, "bob").await;
    let path = "/nms/v1/main/sip%3Abob%40tandem.test";
    let get = |path: String, cookie: &str| format!("GET {path} HTTP/1.1\r\ncookie: a=b; {cookie}");
    let (status, _, folders) = http(web, &get(format!("{path}/folders"), &bob), "").await;
    assert_eq!(status, 200);
    assert!(folders.contains("Kept") && folders.contains("\"unread\":1"), "{folders}");
    let (status, _, page) = http(web, &get(format!("{path}/objects?with=sip%3Aalice%40tandem.test"), &bob), "").await;
    assert!(status == 200 && page.contains("Kept"), "{page}");
    assert_eq!(http(web, &get(format!("{path}/folders"), &alice), "").await.0, 403);
    assert_eq!(http(web, &get(format!("{path}/folders"), "tandem_session=0"), "").await.0, 401);
    assert_eq!(http(web, &get(format!("{path}/objects"), &bob), "").await.0, 400);

    // What bob has seen is told to those who listen.
    let mut request = format!("ws://{web}/events").into_client_request().unwrap();
    request.headers_mut().insert("Cookie", bob.parse().unwrap());
    let (mut events, _) = tokio_tungstenite::client_async(request, TcpStream::connect(web).await.unwrap()).await.unwrap();
    let first = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap().into_text().unwrap();
    let seen = format!("PUT {path}/folders/sip%3Aalice%40tandem.test/flags/%5CSeen HTTP/1.1\r\ncookie: {bob}");
    assert_eq!(http(web, &seen, r#"{"up_to":1000}"#).await.0, 204);
    let second = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap().into_text().unwrap();
    assert!(first.starts_with("{\"cursor\":") && first != second, "{first} {second}");
    let (_, _, changes) = http(web, &get(format!("{path}/changes?since=0"), &bob), "").await;
    assert!(changes.contains("\"seen\":true"), "{changes}");
    let (_, _, people) = http(web, &get("/api/people?q=CAR".into(), &bob), "").await;
    assert!(people.contains("carol") && !people.contains("alice"), "{people}");

    assert_eq!(http(web, &format!("DELETE /api/session HTTP/1.1\r\ncookie: {bob}"), "").await.0, 204);
    assert_eq!(http(web, &get(format!("{path}/folders"), &bob), "").await.0, 401);
}

/// R347: the two users of a message see its way, each their own side of it, and nobody else learns that it exists.
#[tokio::test]
async fn a_message_shows_its_ladder_to_its_users_alone() {
    let gateway = Gateway::start(&[]);
    let web = gateway.address("http");
    let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
    let mut bob = registered(Phone::tcp("bob", gateway.address("sip")).await).await;
    let request = alice.compose("bob", "what becomes of me?");
    let (response, _) = tokio::join!(alice.ask(request), bob.hear());
    assert_eq!(response.status, Status::OK);
    let cookies = [cookie(web, "alice").await, cookie(web, "bob").await, cookie(web, "carol").await];
    let get = async |path: &str, cookie: &str| http(web, &format!("GET {path} HTTP/1.1\r\ncookie: {cookie}"), "").await;
    let (_, _, history) = get("/nms/v1/main/sip%3Aalice%40tandem.test/changes?since=0", &cookies[0]).await;
    let id = history.split("\"message_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/api/messages/{id}/ladder");
    // At once, and after it was written.
    for _ in 0..2 {
        let (status, _, sent) = get(&path, &cookies[0]).await;
        assert!(status == 200 && sent.contains("C.3.1.1.1") && sent.contains("sip:bob@tandem.test") && sent.contains("200 OK"), "{sent}");
        let (status, _, received) = get(&path, &cookies[1]).await;
        assert!(status == 200 && received.contains("C.3.1.1.2") && received.contains("sip:alice@tandem.test"), "{received}");
        assert_eq!(get(&path, &cookies[2]).await.0, 404);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert_eq!(http(web, &format!("GET {path} HTTP/1.1"), "").await.0, 401);
    assert_eq!(get("/api/messages/nothing/ladder", &cookies[0]).await.0, 404);
}

/// R317: a page from elsewhere opens no socket and changes nothing.
#[tokio::test]
async fn other_origins_are_kept_out() {
    let gateway = Gateway::start(&["--allowed-origin", "https://app.example.org"]);
    let web = gateway.address("http");
    assert_eq!(Phone::websocket("alice", web, &[("Origin", "https://evil.test")]).await.err(), Some(403));
    assert_eq!(Phone::websocket("alice", web, &[("Origin", "null")]).await.err(), Some(403));
    assert!(Phone::websocket("alice", web, &[("Origin", &format!("http://{web}"))]).await.is_ok());
    assert!(Phone::websocket("alice", web, &[("Origin", "https://app.example.org")]).await.is_ok());
    let (status, _, body) = http(web, "POST /api/session HTTP/1.1\r\norigin: https://evil.test", &sign_in("alice", "alice-demo")).await;
    assert_eq!(status, 403);
    assert!(body.contains("origin-not-allowed"));
    assert_eq!(http(web, "GET /sip HTTP/1.1", "").await.0, 426);
    assert_eq!(http(web, "GET /nowhere.js HTTP/1.1", "").await.0, 404);
    assert!(http(web, "GET /api/nothing HTTP/1.1", "").await.2.contains("not-found"));
}

/// R317: guessing passwords is slowed down, for each address and for each account.
#[tokio::test]
async fn failed_sign_ins_are_limited() {
    let gateway = Gateway::start(&[]);
    let web = gateway.address("http");
    let mut refused = 0;
    let limited = loop {
        let (status, head, _) = http(web, "POST /api/session HTTP/1.1", &sign_in("alice", "guess")).await;
        match status {
            401 => refused += 1,
            429 => break head,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused, 10);
    assert!(limited.contains("retry-after"));
}

/// Whatever arrives on a port, the gateway goes on serving.
#[tokio::test]
async fn garbage_is_survived_on_every_port() {
    let gateway = Gateway::start(&[]);
    let mut noise = vec![0u8; 3000];
    let mut state = 1u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let texts: [&[u8]; 6] = [
        &noise,
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
        b"\r\n\r\n\r\n\r\nMESSAGE\r\n\r\n",
        b"REGISTER sip:tandem.test SIP/2.0\r\nVia: SIP/2.0/UDP\r\nContent-Length: -1\r\n\r\n",
        b"GET /sip HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\nsec-websocket-protocol: sip\r\n\r\n\xff\xff\xff\xff\xff\xff\xff",
        b"SIP/2.0 200 OK\r\n\r\n",
    ];
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for text in texts {
        udp.send_to(text, gateway.address("sip")).await.unwrap();
        for port in ["sip", "sips", "http", "admin"] {
            let mut stream = TcpStream::connect(gateway.address(port)).await.unwrap();
            let _ = stream.write_all(text).await;
            let _ = stream.shutdown().await;
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        }
    }
    let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
    assert_eq!(alice.say("bob", "Still there?").await, Status::ACCEPTED);
    assert_eq!(http(gateway.address("admin"), "GET /ready HTTP/1.1", "").await.0, 200);
    let (_, _, metrics) = http(gateway.address("admin"), "GET /metrics HTTP/1.1", "").await;
    assert!(metrics.contains("tandem_sip_malformed_total"), "{metrics}");
}

/// What is too large is refused with a status where there is somebody to tell, and ends the connection where it cannot be skipped.
#[tokio::test]
async fn oversize_is_refused() {
    let gateway = Gateway::start(&[]);
    let mut alice = registered(Phone::tcp("alice", gateway.address("sip")).await).await;
    let request = alice.compose("bob", &"x".repeat(70_000));
    alice.send_bytes(&request.to_bytes()).await;
    let answer = alice.next().await.map(|message| message.response().unwrap().status);
    assert_eq!(answer, Some(Status::REQUEST_ENTITY_TOO_LARGE));
    let mut bob = registered(Phone::websocket("bob", gateway.address("http"), &[]).await.unwrap()).await;
    let request = bob.compose("alice", &"x".repeat(70_000));
    bob.send_bytes(&request.to_bytes()).await;
    assert!(bob.next().await.is_none(), "closed");
    let (status, _, _) = http(gateway.address("http"), "POST /api/session HTTP/1.1", &"x".repeat(300_000)).await;
    assert!(matches!(status, 400 | 413), "{status}");
}

/// A peer that asks and never reads is disconnected, and others do not feel it.
#[tokio::test]
async fn a_slow_reader_is_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tandem.toml");
    std::fs::write(&settings, "[limits]\nsend_queue_bytes = 20000\nburst_per_connection = 1e9\nburst_per_address = 1e9\n").unwrap();
    let gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
    let mut stream = TcpStream::connect(gateway.address("sip")).await.unwrap();
    let request = "OPTIONS sip:tandem.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-NUMBER\r\nFrom: <sip:x@y.test>;tag=1\r\nTo: <sip:tandem.test>\r\n\
                   Call-ID: slow\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let begin = Instant::now();
    let mut number = 0;
    loop {
        number += 1;
        let text = request.replace("NUMBER", &number.to_string());
        match tokio::time::timeout(Duration::from_secs(5), stream.write_all(text.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => panic!("neither read from nor disconnected"),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "still connected after {number} requests");
    }
    let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
    assert_eq!(alice.say("bob", "Unhurt").await, Status::ACCEPTED);
}

/// R317: a connection on which nobody signs in does not live for long; one on which somebody did stays.
#[tokio::test]
async fn strangers_are_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tandem.toml");
    std::fs::write(&settings, "[limits]\nunauthenticated_seconds = 2\n").unwrap();
    let gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
    let mut alice = registered(Phone::websocket("alice", gateway.address("http"), &[]).await.unwrap()).await;
    let mut stranger = Phone::websocket("bob", gateway.address("http"), &[]).await.unwrap();
    let mut silent = Phone::tcp("bob", gateway.address("sip")).await;
    assert!(stranger.next().await.is_none());
    assert!(silent.next().await.is_none());
    assert_eq!(alice.say("bob", "Still here").await, Status::ACCEPTED);
}

/// R317: what is asked for but not safe is told to the operator.
#[tokio::test]
async fn unsafe_settings_are_warned_about() {
    let health = async |gateway: &Gateway| http(gateway.address("admin"), "GET /health HTTP/1.1", "").await.2;
    assert_eq!(health(&Gateway::start(&[])).await, "ok\n");
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = std::process::Command::new(gateway::binary())
        .args(["serve", "--http=off", "--sip=0.0.0.0:0", "--sips=off", "--msrp=off", "--msrps=off", "--admin=127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let admin = line.split_whitespace().find_map(|word| word.strip_prefix("admin=")).unwrap().parse().unwrap();
    let (status, _, body) = http(admin, "GET /health HTTP/1.1", "").await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status == 200 && body.starts_with("ok\nwarning: SIP over UDP and TCP is not encrypted") && body.lines().count() == 2, "{body}");
    assert!(std::fs::read_to_string(folder.path().join("log")).unwrap().contains("SIP over UDP and TCP is not encrypted"));
}

/// R317: a peer is dialled over TLS and believed when its certificate names its domain, and not when it names another.
#[tokio::test]
async fn a_peer_proves_its_name() {
    for (certified, outcome) in [("peer.test", Status::OK), ("other.test", Status::SERVICE_UNAVAILABLE)] {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
        let certificate = folder.path().join("peer.pem");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = folder.path().join("tandem.toml");
        let text = format!(
            "[tls]\npeer_certificates = {certificate:?}\n[[peer]]\ndomain = \"peer.test\"\ntransport = \"tls\"\naddress = \"{}\"\n",
            listener.local_addr().unwrap()
        );
        std::fs::write(&settings, text).unwrap();
        // The peer: it takes every message that comes over a connection that was believed, and says how many.
        let peer = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
            let Ok(mut stream) = acceptor.accept(stream).await else { return 0 };
            let mut framer = Framer::opened(Limits::default());
            let mut buffer = vec![0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                framer.push(&buffer[..length]);
                if let Some(Ok(Frame::Message(Message::Request(request)))) = framer.next() {
                    assert!(String::from_utf8_lossy(&request.body).contains("Over TLS"));
                    stream.write_all(&Response::to(&request, Status::OK).to_bytes()).await.unwrap();
                    return 1;
                }
            }
            0
        });
        let gateway = Gateway::start(&["--config", settings.to_str().unwrap()]);
        let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
        let request = alice.compose_to(&Address::parse("sip:paula@peer.test").unwrap(), "Over TLS");
        assert_eq!(alice.ask(request).await.status, outcome, "{certified}");
        assert_eq!(peer.await.unwrap(), u32::from(outcome == Status::OK), "{certified}");
    }
}

/// One data directory belongs to one gateway; a listener that is taken is named; both say what to do.
#[test]
fn a_second_gateway_is_refused() {
    let gateway = Gateway::start(&[]);
    let second = |flags: &[&str]| {
        let listeners = ["http", "sip", "sips", "msrp", "msrps", "admin"].map(|name| format!("--{name}=127.0.0.1:0"));
        let output = std::process::Command::new(gateway::binary()).arg("serve").args(listeners).args(flags).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, message) = second(&["--data-dir", gateway.folder().to_str().unwrap()]);
    assert_eq!(status, Some(4));
    assert!(message.contains("--data-dir"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("--admin={}", taken.local_addr().unwrap());
    let flags = [&admin, "--data-dir", folder.path().to_str().unwrap()];
    let output = std::process::Command::new(gateway::binary())
        .args(["serve", "--http=127.0.0.1:0", "--sip=127.0.0.1:0", "--sips=off", "--msrp=off", "--msrps=off"])
        .args(flags)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Another program has it"));
}

/// A script is told through a descriptor of its choice, and the web app is served over TLS when that is asked for.
#[tokio::test]
async fn the_ready_line_reaches_a_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let line = folder.path().join("line");
    let script = r#"exec "$0" serve --tls self-signed --http 127.0.0.1:0 --sip off --sips off --msrp off --msrps off --admin off --ready-fd 3 --data-dir "$1" 3>"$2""#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(gateway::binary()).arg(folder.path().join("data")).arg(&line).stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    let ready = loop {
        match std::fs::read_to_string(&line) {
            Ok(text) if text.ends_with('\n') => break text,
            _ if begin.elapsed() > PATIENCE => panic!("no line"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let address: SocketAddr = ready.trim().strip_prefix("ready http=").unwrap().parse().unwrap();
    let mut stream = phone::tls(address, &folder.path().join("data/tls/self-signed.pem")).await;
    stream.write_all(b"GET /api/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A server may leave out the end of TLS.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("strict-transport-security"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What was acknowledged is there after a crash, and a stop ends with success.
#[tokio::test]
async fn messages_survive_a_kill() {
    let mut gateway = Gateway::start(&[]);
    let mut alice = registered(Phone::udp("alice", gateway.address("sip")).await).await;
    assert_eq!(alice.say("bob", "Not lost").await, Status::ACCEPTED);
    gateway.kill();
    gateway.restart();
    let mut bob = registered(Phone::tcp("bob", gateway.address("sip")).await).await;
    assert_eq!(bob.hear().await.1, "Not lost");
    assert!(gateway.stop().success());
}
