//! Where devices find this gateway's MSRP: the listeners as others reach them, and which of them a session's end names.
//!
//! A device on a WebSocket gets a `;ws` path [RFC7977], any other a `;tcp` one, within TLS where its SIP is. Nobody can connect to a
//! browser, so over WebSockets this end takes connections only; over TCP it does both [RFC6135].

use wasm_core::msrp::Offer;
use wasm_core::msrp::setup::Reach;
use wasm_core::wire::msrp::{Limits, MsrpUri, Path, Transport as Carrier};
use wasm_core::wire::sdp::Section;
use wasm_core::{Entropy, Text};

use crate::node::Transport;

/// A listener as others reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    secure: bool,
    host: Text,
    port: u16,
}

impl Place {
    /// A place, unless the host is none.
    pub fn new(secure: bool, host: &str, port: u16) -> Option<Place> {
        MsrpUri::new(secure, host, port, "0", Carrier::Tcp).ok()?;
        Some(Place { secure, host: Text::from(host), port })
    }

    fn offer(&self, carrier: Carrier, reach: Reach, entropy: &mut Entropy) -> Offer {
        Offer::new(self.secure, &self.host, self.port, carrier, reach, entropy)
    }
}

/// The places of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `/msrp` of the HTTP listener.
    pub websocket: Option<Place>,
    /// TCP.
    pub tcp: Option<Place>,
    /// TLS.
    pub tls: Option<Place>,
}

impl Places {
    /// The places of a gateway with the built-in ports.
    pub fn at(host: &str) -> Places {
        Places { websocket: Place::new(false, host, 8080), tcp: Place::new(false, host, 2855), tls: None }
    }

    /// This end of a session that is offered to a device which speaks SIP over this transport; none without a listener for it.
    pub fn offer(&self, device: Transport, entropy: &mut Entropy) -> Option<Offer> {
        let (tcp, tls) = (self.tcp.as_ref(), self.tls.as_ref());
        match device {
            Transport::Ws | Transport::Wss => Some(self.websocket.as_ref()?.offer(Carrier::WebSocket, Reach::Inwards, entropy)),
            Transport::Udp | Transport::Tcp => Some(tcp.or(tls)?.offer(Carrier::Tcp, Reach::Both, entropy)),
            Transport::Tls => Some(tls.or(tcp)?.offer(Carrier::Tcp, Reach::Both, entropy)),
        }
    }

    /// This end of a session that a device has offered; none where what it offers is not carried here.
    pub fn answering(&self, offered: Section<'_>, entropy: &mut Entropy) -> Option<Offer> {
        let path = Path::parse(&Text::from(offered.value("path")?), Limits::default().hops).ok()?;
        let secure = path.first().is_secure();
        match path.first().transport() {
            // Whether the browser's side is encrypted, the browser knows better where a proxy stands between.
            Carrier::WebSocket => {
                let place = Place { secure, ..self.websocket.clone()? };
                Some(place.offer(Carrier::WebSocket, Reach::Inwards, entropy))
            }
            Carrier::Tcp => {
                let place = if secure { &self.tls } else { &self.tcp };
                Some(place.as_ref()?.offer(Carrier::Tcp, Reach::Both, entropy))
            }
            Carrier::DataChannel | Carrier::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_core::msrp::{Options, Role};
    use wasm_core::wire::sdp::{Kind, Sdp};

    use super::*;

    fn entropy() -> Entropy {
        Entropy::new([1; 32])
    }

    fn described(offer: &Offer) -> Sdp {
        let mut sdp = Sdp::new(1, 1, [192, 0, 2, 1].into());
        sdp.session.medias.push(offer.media(&Options::default()));
        sdp
    }

    /// A device gets a path that it can use, and no path where nobody listens.
    #[test]
    fn a_place_fits_the_device() {
        let mut places = Places::at("192.0.2.1");
        let path = |places: &Places, transport| places.offer(transport, &mut entropy()).map(|offer| offer.uri.to_string());
        let id = entropy().hex::<16>();
        assert_eq!(path(&places, Transport::Ws), Some(format!("msrp://192.0.2.1:8080/{id};ws")));
        assert_eq!(path(&places, Transport::Udp), Some(format!("msrp://192.0.2.1:2855/{id};tcp")));
        assert_eq!(path(&places, Transport::Tls), Some(format!("msrp://192.0.2.1:2855/{id};tcp")));
        places.tls = Place::new(true, "192.0.2.1", 2856);
        assert_eq!(path(&places, Transport::Tls), Some(format!("msrps://192.0.2.1:2856/{id};tcp")));
        places = Places::default();
        assert_eq!(path(&places, Transport::Ws).or(path(&places, Transport::Tcp)), None);
        assert_eq!(Place::new(true, "no host", 1), None);
    }

    /// The answer is carried as the offer is, and a browser is never connected to.
    #[test]
    fn an_offer_is_answered_in_kind() {
        let places = Places::at("192.0.2.1");
        let options = Options::default();
        let offered = |secure, carrier| described(&Offer::new(secure, "x.invalid", 9, carrier, Reach::Both, &mut entropy()));
        for (secure, carrier) in [(false, Carrier::WebSocket), (true, Carrier::WebSocket), (false, Carrier::Tcp)] {
            let sdp = offered(secure, carrier);
            let section = sdp.find(Kind::Message).unwrap();
            let end = places.answering(section, &mut entropy()).unwrap();
            let (_, setup) = end.answer(section, &options).unwrap();
            assert_eq!((setup.local.is_secure(), setup.local.transport()), (secure, carrier));
            assert_eq!(setup.role == Role::Passive, carrier == Carrier::WebSocket);
        }
        assert!(places.answering(offered(true, Carrier::Tcp).find(Kind::Message).unwrap(), &mut entropy()).is_none());
        assert!(places.answering(offered(false, Carrier::DataChannel).find(Kind::Message).unwrap(), &mut entropy()).is_none());
    }
}
