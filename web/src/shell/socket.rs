//! A WebSocket as events: open, frame, closed. Dropping it closes it, and then nothing more is heard of it.

use bytes::Bytes;
use gloo::events::EventListener;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
pub use wasm_core::client::Socket as Said;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use super::links;

/// An open or opening socket.
#[derive(Debug)]
pub struct Socket {
    socket: WebSocket,
    _listeners: [EventListener; 3],
}

impl Socket {
    /// Opens one to a path of our server; `None` when the browser refuses at once.
    pub fn open(path: &str, protocol: Option<&str>, said: impl Fn(Said) + Clone + 'static) -> Option<Socket> {
        let address = links::socket_address(path);
        let socket = match protocol {
            Some(protocol) => WebSocket::new_with_str(&address, protocol),
            None => WebSocket::new(&address),
        }
        .ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let listen = |name: &'static str, hear: fn(&web_sys::Event) -> Option<Said>| {
            let said = said.clone();
            EventListener::new(&socket, name, move |event| {
                if let Some(what) = hear(event) {
                    said(what);
                }
            })
        };
        // An error is always followed by `close`.
        let listeners = [listen("open", |_| Some(Said::Opened)), listen("close", |_| Some(Said::Closed)), listen("message", frame)];
        Some(Socket { socket, _listeners: listeners })
    }

    /// Sends a frame: text when it is UTF-8, which SIP nearly always is, else binary.
    pub fn send(&self, frame: &Bytes) {
        // A socket that is no longer open says so by `close`, and what was sent on it is sent again on the next one.
        if self.socket.ready_state() != WebSocket::OPEN {
            return;
        }
        let _ = match std::str::from_utf8(frame) {
            Ok(text) => self.socket.send_with_str(text),
            Err(_) => self.socket.send_with_u8_array(frame),
        };
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.socket.close();
    }
}

fn frame(event: &web_sys::Event) -> Option<Said> {
    let data = event.dyn_ref::<MessageEvent>()?.data();
    let bytes = match data.as_string() {
        Some(text) => text.into_bytes(),
        None => Uint8Array::new(data.dyn_ref::<ArrayBuffer>()?).to_vec(),
    };
    Some(Said::Frame(Bytes::from(bytes)))
}
