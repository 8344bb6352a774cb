//! A small SIP client over real sockets: UDP, TCP, TLS or WebSocket, built on the core's codec and digest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};
use wasm_core::cpm::address::Address;
use wasm_core::cpm::envelope::{Content, Envelope};
use wasm_core::sip::digest::{Authenticator, Secret};
use wasm_core::wire::sip::{
    CSeq, CallId, Contact, ContentLength, Expires, Frame, Framer, From as FromHeader, Limits, MaxForwards, Message, Method, NameAddr,
    Request, Response, SipUri, Status, Supported, To, Uri, Via,
};
use wasm_core::{Entropy, Text, Time};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

enum Wire {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Framer),
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

/// A connection within TLS to a gateway with this certificate.
#[allow(dead_code, reason = "not every test speaks TLS")]
pub async fn tls(address: SocketAddr, certificate: &std::path::Path) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("tandem.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap()
}

/// One device of one user.
pub struct Phone {
    wire: Wire,
    via: Via,
    contact: SipUri,
    user: &'static str,
    address: Address,
    authenticator: Authenticator,
    entropy: Entropy,
    cseq: u32,
    /// The instance that it registers with, if it names one.
    instance: Option<&'static str>,
}

impl Phone {
    pub async fn udp(user: &'static str, proxy: SocketAddr) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(proxy).await.unwrap();
        let local = socket.local_addr().unwrap();
        Phone::new(user, Wire::Udp(socket), "UDP", "127.0.0.1", Some(local.port()))
    }

    pub async fn tcp(user: &'static str, proxy: SocketAddr) -> Phone {
        let stream = TcpStream::connect(proxy).await.unwrap();
        let port = stream.local_addr().unwrap().port();
        Phone::new(user, Wire::Stream(Box::new(stream), Framer::opened(Limits::default())), "TCP", "127.0.0.1", Some(port))
    }

    #[allow(dead_code, reason = "not every test speaks TLS")]
    pub async fn tls(user: &'static str, proxy: SocketAddr, certificate: &std::path::Path) -> Phone {
        let stream = tls(proxy, certificate).await;
        let port = stream.get_ref().0.local_addr().unwrap().port();
        Phone::new(user, Wire::Stream(Box::new(stream), Framer::opened(Limits::default())), "TLS", "127.0.0.1", Some(port))
    }

    /// A WebSocket, with further headers in its handshake; the status where it is refused.
    pub async fn websocket(user: &'static str, http: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Phone, u16> {
        let mut request = format!("ws://{http}/sip").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(http).await.unwrap();
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Phone::new(user, Wire::WebSocket(Box::new(stream)), "WS", "phone.invalid", None)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    fn new(user: &'static str, wire: Wire, transport: &str, host: &str, port: Option<u16>) -> Phone {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let mut entropy = Entropy::new(seed);
        let mut via = Via::new(transport, wasm_core::wire::sip::Host::parse(&Text::from(host)).unwrap(), port);
        via.params.set_flag("rport");
        let mut contact = SipUri::new(user, host);
        contact.port = port;
        if transport != "UDP" {
            contact = contact.with_param("transport", &transport.to_lowercase());
        }
        let authenticator = Authenticator::new(user, Secret::Password(Text::from(format!("{user}-demo"))), entropy.fork());
        let address = Address::parse(&format!("sip:{user}@tandem.test")).unwrap();
        Phone { wire, via, contact, user, address, authenticator, entropy, cseq: 0, instance: None }
    }

    /// The same phone, with an instance that it registers with.
    #[allow(dead_code, reason = "not every test has phones that name themselves")]
    pub fn named(self, instance: &'static str) -> Phone {
        Phone { instance: Some(instance), ..self }
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        match &mut self.wire {
            Wire::Udp(socket) => drop(socket.send(bytes).await.unwrap()),
            Wire::Stream(stream, _) => stream.write_all(bytes).await.unwrap(),
            Wire::WebSocket(stream) => stream.send(WsMessage::binary(bytes.to_vec())).await.unwrap(),
        }
    }

    /// The next message; none when the other end has closed.
    pub async fn next(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.receive()).await.expect("something in time")
    }

    async fn receive(&mut self) -> Option<Message> {
        let limits = Limits::default();
        loop {
            match &mut self.wire {
                Wire::Udp(socket) => {
                    let mut buffer = vec![0; 65_536];
                    let length = socket.recv(&mut buffer).await.ok()?;
                    return Some(Message::parse(&buffer[..length], &limits).unwrap());
                }
                Wire::Stream(stream, framer) => {
                    match framer.next() {
                        Some(Ok(Frame::Message(message))) => return Some(message),
                        Some(Ok(Frame::Ping | Frame::Pong)) => continue,
                        Some(Err(error)) => panic!("{error:?}"),
                        None => {}
                    }
                    let mut buffer = vec![0; 4096];
                    let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
                    framer.push(&buffer[..length]);
                }
                Wire::WebSocket(stream) => match stream.next().await?.ok()? {
                    WsMessage::Text(text) => return Some(Message::parse(text.as_bytes(), &limits).unwrap()),
                    WsMessage::Binary(bytes) => return Some(Message::parse(&bytes, &limits).unwrap()),
                    WsMessage::Close(_) => return None,
                    _ => {}
                },
            }
        }
    }

    fn complete(&mut self, request: &mut Request, to: &Uri) {
        self.cseq += 1;
        let mut via = self.via.clone();
        via.set_branch(&format!("{}{}", Via::COOKIE, self.entropy.hex::<8>()));
        let mut from = NameAddr::new(self.address.to_uri());
        from.set_tag(&self.entropy.hex::<4>());
        request.headers.put_front(&via);
        request.headers.put(&FromHeader(from));
        request.headers.put(&To(NameAddr::new(to.clone())));
        request.headers.put(&CallId(Text::from(self.entropy.hex::<8>())));
        request.headers.put(&CSeq { number: self.cseq, method: request.method.clone() });
        request.headers.put(&MaxForwards(70));
        request.headers.put(&ContentLength(request.body.len() as u32));
    }

    /// Sends a request, answers a challenge, and gives the final answer. Requests that come meanwhile are lost.
    pub async fn ask(&mut self, mut request: Request) -> Response {
        self.authenticator.authorize(&mut request);
        for _ in 0..3 {
            self.send_bytes(&request.to_bytes()).await;
            let response = loop {
                match self.next().await.expect("an answer") {
                    Message::Response(response) if response.status.is_final() => break response,
                    Message::Response(_) | Message::Request(_) => {}
                }
            };
            if !matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
                || self.authenticator.challenged(&request, &response).is_err()
            {
                return response;
            }
            self.cseq += 1;
            request.headers.replace_first(&CSeq { number: self.cseq, method: request.method.clone() });
            let mut via = self.via.clone();
            via.set_branch(&format!("{}{}", Via::COOKIE, self.entropy.hex::<8>()));
            request.headers.replace_first(&via);
            self.authenticator.authorize(&mut request);
        }
        panic!("challenged over and over");
    }

    /// Registers, for 600 seconds.
    pub async fn register(&mut self) -> Response {
        let mut request = Request::new(Method::Register, SipUri::of_host("tandem.test"));
        let address = self.address.to_uri();
        self.complete(&mut request, &address);
        let mut contact = Contact::new(self.contact.clone());
        if let (Some(instance), Contact::Addr(contact)) = (self.instance, &mut contact) {
            contact.params.set_quoted("+sip.instance", &format!("<urn:uuid:{instance}>"));
        }
        request.headers.put(&contact);
        request.headers.put(&Expires(600));
        request.headers.put(&Supported(vec![Text::from("path"), Text::from("outbound")]));
        self.ask(request).await
    }

    /// A text message, not sent yet.
    pub fn compose(&mut self, to: &str, text: &str) -> Request {
        self.compose_to(&Address::parse(&format!("sip:{to}@tandem.test")).unwrap(), text)
    }

    /// The same to somebody anywhere.
    #[allow(dead_code, reason = "not every test leaves the domain")]
    pub fn compose_to(&mut self, to: &Address, text: &str) -> Request {
        let envelope =
            Envelope::compose(&mut self.entropy, Time(1_790_000_000_000), self.address.clone(), to.clone(), Text::from(text), None);
        let mut request = envelope.wrap();
        self.complete(&mut request, &to.to_uri());
        request
    }

    /// Sends a text message and gives the answer's status.
    pub async fn say(&mut self, to: &str, text: &str) -> Status {
        let request = self.compose(to, text);
        self.ask(request).await.status
    }

    /// The next text message for this phone, which is accepted; notifications on the way are accepted as well.
    pub async fn hear(&mut self) -> (String, String) {
        loop {
            let Some(Message::Request(request)) = self.next().await else { panic!("{} hears nothing", self.user) };
            self.send_bytes(&Response::to(&request, Status::OK).to_bytes()).await;
            let envelope = Envelope::unwrap(&request).unwrap();
            if let Content::Text(text) = envelope.content {
                return (envelope.from.to_string(), text.to_string());
            }
        }
    }
}
