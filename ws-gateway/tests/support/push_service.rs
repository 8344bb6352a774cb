//! A push service that stands in for the browsers' vendors', and the browser's half of Web Push: a real HTTPS server that checks what a
//! real one checks, and keys that open what it was sent [RFC8030, RFC8188, RFC8291, RFC8292].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ring::{aead, hkdf, hmac, signature};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use ws_gateway::edge::push::base64;

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing has to come before there is nothing.
const SILENCE: Duration = Duration::from_millis(1500);

/// One request.
#[derive(Debug)]
pub struct Pushed {
    pub at: Instant,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Pushed {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The claims of the sender's token, whose signature holds for this key.
    pub fn claims(&self, key: &str) -> serde_json::Value {
        let (token, said) = self.header("authorization").strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(said, key);
        let (signed, mark) = token.rsplit_once('.').unwrap();
        let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, base64::decode(key).unwrap());
        key.verify(signed.as_bytes(), &base64::decode(mark).unwrap()).expect("a sound signature");
        serde_json::from_slice(&base64::decode(signed.split_once('.').unwrap().1).unwrap()).unwrap()
    }

    /// The body as JSON, whose signature holds for this secret.
    pub fn signed_json(&self, secret: &str) -> serde_json::Value {
        let (time, mark) = self.header("x-tandem-signature").strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let signed = [time.as_bytes(), b".", &self.body].concat();
        let mark: Vec<u8> = (0..mark.len()).step_by(2).map(|at| u8::from_str_radix(&mark[at..at + 2], 16).unwrap()).collect();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed, &mark).expect("a sound signature");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The service; it ends with the test.
pub struct PushService {
    address: SocketAddr,
    folder: tempfile::TempDir,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    pushed: mpsc::UnboundedReceiver<Pushed>,
}

impl PushService {
    pub async fn start() -> PushService {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("push.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, pushed) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<&'static str>>> = Arc::default();
        let script = Arc::clone(&answers);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, sender, script) = (tls.clone(), sender.clone(), Arc::clone(&script));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let mut stream = BufReader::new(stream);
                    let Some(pushed) = read(&mut stream).await else { return };
                    let answer = script.lock().unwrap().pop_front().unwrap_or("201 Created");
                    let _ = sender.send(pushed);
                    let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        PushService { address, folder, answers, pushed }
    }

    /// Whose certificate it has.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("push.pem")
    }

    /// A resource of the service.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// How the next requests are answered: status line, perhaps with headers.
    pub fn answers(&self, answers: &[&'static str]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The next request.
    pub async fn next(&mut self) -> Pushed {
        tokio::time::timeout(PATIENCE, self.pushed.recv()).await.expect("a notice in time").unwrap()
    }

    /// Nothing comes.
    pub async fn is_silent(&mut self) {
        if let Ok(pushed) = tokio::time::timeout(SILENCE, self.pushed.recv()).await {
            panic!("{pushed:?}");
        }
    }
}

async fn read(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<Pushed> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await.ok().filter(|read| *read > 0)?;
    }
    let mut lines = head.lines();
    let path = lines.next()?.strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?.to_owned();
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut pushed = Pushed { at: Instant::now(), path, headers, body: Vec::new() };
    pushed.body.resize(pushed.header("content-length").parse().ok()?, 0);
    stream.read_exact(&mut pushed.body).await.ok()?;
    Some(pushed)
}

/// A browser's keys for one subscription.
pub struct Subscriber {
    private: p256::SecretKey,
    secret: [u8; 16],
}

impl Subscriber {
    pub fn new(seed: u8) -> Subscriber {
        Subscriber { private: p256::SecretKey::from_slice(&[seed; 32]).unwrap(), secret: [seed; 16] }
    }

    fn point(&self) -> Box<[u8]> {
        self.private.public_key().to_sec1_bytes()
    }

    /// What the page tells the gateway, with further members.
    pub fn wish(&self, endpoint: &str, more: &str) -> String {
        let (point, secret) = (base64::encode(&self.point()), base64::encode(&self.secret));
        format!(r#"{{"endpoint":"{endpoint}","p256dh":"{point}","auth":"{secret}"{more}}}"#)
    }

    /// What the service worker gets.
    pub fn open(&self, pushed: &Pushed) -> serde_json::Value {
        let (head, record) = pushed.body.split_at(86);
        let (salt, other) = (&head[..16], &head[21..]);
        assert_eq!((&head[16..20], head[20], pushed.body.len() <= 4096), (&4096u32.to_be_bytes()[..], 65, true));
        let shared = self.private.diffie_hellman(&p256::PublicKey::from_sec1_bytes(other).unwrap());
        let expand = |salt: &[u8], material: &[u8], info: &[&[u8]], out: &mut [u8]| {
            let length = Length(out.len());
            hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material).expand(info, length).unwrap().fill(out).unwrap();
        };
        let (mut agreed, mut key, mut nonce) = ([0; 32], [0; 16], [0; 12]);
        expand(&self.secret, shared.raw_secret_bytes(), &[b"WebPush: info\0", &self.point(), other], &mut agreed);
        expand(salt, &agreed, &[b"Content-Encoding: aes128gcm\0"], &mut key);
        expand(salt, &agreed, &[b"Content-Encoding: nonce\0"], &mut nonce);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap());
        let mut record = record.to_vec();
        let plain = key.open_in_place(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut record).expect("ours");
        let end = plain.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(plain[end], 2);
        serde_json::from_slice(&plain[..end]).unwrap()
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
