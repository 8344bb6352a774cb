//! SIP over TCP and TLS: accepting connections, and dialling peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::connection::{self, Opening};
use super::driver::Arrival;
use super::tls::Socket;
use super::{Gateway, stopped};
use crate::node::Transport;

/// How long a handshake or a connection attempt may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Accepts connections until the gateway stops.
pub async fn listen(gateway: Arc<Gateway>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut stopping = gateway.stopping.subscribe();
    loop {
        let (stream, remote) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stopping) => return,
        };
        let Some(permit) = gateway.addresses.connect(remote.ip(), false) else {
            metrics::counter!("tandem_limited_total", "what" => "connection").increment(1);
            continue;
        };
        let (gateway, tls) = (Arc::clone(&gateway), tls.clone());
        tokio::spawn(async move {
            let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
            let Some(socket) = Box::pin(secure(stream, tls)).await else { return };
            let opening =
                Opening { transport, remote, user: None, socket, head: Bytes::new(), permit: Some(Arc::new(permit)), dialled: false };
            connection::serve(gateway, opening).await;
        });
    }
}

/// The next connection. Errors of single connections are passed over; when descriptors run out, it waits for some to be given back.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                prepare(&stream);
                return (stream, remote);
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Small messages leave at once, and a peer that vanished is noticed by the system.
pub fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(20));
    let socket = socket2::SockRef::from(stream);
    if let Err(error) = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive)) {
        tracing::debug!(%error, "a socket's options cannot be set");
    }
}

/// The socket after the TLS handshake, where there is one; none when it failed.
pub async fn secure(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Socket> {
    let Some(tls) = tls else { return Some(Socket::Plain(stream)) };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Socket::Tls(Box::new(TlsStream::Server(stream)))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Opens a connection to a peer and serves it.
pub async fn dial(gateway: Arc<Gateway>, transport: Transport, addr: SocketAddr) {
    let attempt = async {
        let stream = TcpStream::connect(addr).await?;
        prepare(&stream);
        Ok::<_, std::io::Error>(match (transport, &gateway.connector) {
            (Transport::Tls, Some(connector)) => {
                let peer = gateway.settings.peers.iter().find(|peer| peer.address == addr);
                let name = peer.and_then(|peer| ServerName::try_from(peer.domain.clone()).ok()).unwrap_or_else(|| addr.ip().into());
                Socket::Tls(Box::new(TlsStream::Client(connector.connect(name, stream).await?)))
            }
            (Transport::Tls, None) => return Err(std::io::Error::other("no certificates of peers are known")),
            _ => Socket::Plain(stream),
        })
    };
    let attempt = tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    match attempt {
        Ok(socket) => {
            let opening = Opening { transport, remote: addr, user: None, socket, head: Bytes::new(), permit: None, dialled: true };
            connection::serve(gateway, opening).await;
        }
        Err(error) => {
            tracing::warn!(%addr, %error, "cannot connect to a peer");
            gateway.deliver(Arrival::NotDialled { transport, addr }).await;
        }
    }
}
