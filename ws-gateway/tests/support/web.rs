//! HTTP as a browser speaks it, one request per connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer to one HTTP request, on a connection of its own: status, headers and body.
pub async fn http(address: SocketAddr, request: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!(
        "{request}\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), head.to_lowercase(), body.to_owned())
}

/// What signs a demo user in, or fails to.
pub fn sign_in(user: &str, password: &str) -> String {
    format!(r#"{{"address":"sip:{user}@tandem.test","password":"{password}","instance":"urn:uuid:{user}","device_name":"Test"}}"#)
}

/// The cookie of a new session.
pub async fn cookie(address: SocketAddr, user: &str) -> String {
    let (status, head, _) = http(address, "POST /api/session HTTP/1.1", &sign_in(user, &format!("{user}-demo"))).await;
    assert_eq!(status, 200);
    let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(line.contains("httponly") && line.contains("samesite=strict") && !line.contains("secure"));
    line.split(';').next().unwrap().to_owned()
}
