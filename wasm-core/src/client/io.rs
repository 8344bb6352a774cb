//! What goes into the engine and what comes out of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::msrp;
use super::record::{Mark, Record, Settings};
use crate::Text;
use crate::cpm::address::Address;
use crate::cpm::deferred::Actions;
use crate::cpm::ids::{InstanceId, MessageId};
pub use crate::sip::digest::Secret;

/// The longest text of one message in bytes: with its envelope it stays within what a gateway takes.
pub const LONGEST_TEXT: usize = 60_000;

/// Who the user is and what device this is.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The address that the user sends from: the Primary Identity.
    pub address: Address,
    /// All the user's addresses, the primary one among them.
    pub addresses: Vec<Address>,
    /// The name that others see; may be empty.
    pub display_name: Text,
    /// The home domain, where the device registers.
    pub domain: Text,
    /// This device.
    pub instance: InstanceId,
    /// What its owner calls it; may be empty.
    pub device_name: Text,
    /// Whether the socket is one over TLS: SIP says so in its Via [RFC7118 §5.2.1].
    pub is_secure: bool,
    /// How digest challenges are answered. Without one the socket is authenticated by other means (a session's cookie), and a challenge
    /// means that this has ended.
    pub secret: Option<Secret>,
}

/// What an engine is for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It shows what another one does. Commands come out again as [`Output::Forward`]. Every engine starts like this.
    Follower,
    /// It owns the socket.
    Leader,
    /// The user has signed out; it does nothing any more.
    Ended,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The device's other engines are gone, or there never was one: from now on this one leads.
    Lead,
    /// Another engine has taken the lead.
    Follow,
    /// What the user wants.
    Command(Command),
    /// What the socket did.
    Socket(Socket),
    /// What the socket of an MSRP session did.
    Msrp(msrp::Wire, Socket),
    /// The answer to an [`Output::Http`].
    Http {
        /// The request's number.
        id: u64,
        /// The status, 0 when there was no answer.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// The server says that the history has changed, up to this cursor.
    Changed {
        /// The cursor.
        cursor: u64,
    },
    /// The device believes that it has a network, or none.
    Network(bool),
    /// The user looks at the app, or looks away.
    Visible(bool),
    /// [`super::Engine::next_timeout`] has come.
    Timeout,
}

/// What a WebSocket to the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// It is open.
    Opened,
    /// A frame came in, text or binary.
    Frame(Bytes),
    /// It closed, or could not be opened.
    Closed,
}

/// What the user wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Send a text.
    Send {
        /// To whom.
        to: Address,
        /// The text.
        text: String,
        /// The message that it answers.
        #[serde(default)]
        reply_to: Option<MessageId>,
    },
    /// The same under an identifier chosen before, so that doing it twice does it once: what a follower forwards.
    SendOnce {
        /// The message's identifier.
        id: MessageId,
        /// To whom.
        to: Address,
        /// The text.
        text: String,
        /// The message that it answers.
        #[serde(default)]
        reply_to: Option<MessageId>,
    },
    /// Send a message again that has failed.
    Retry(MessageId),
    /// Drop a message that was never sent.
    Delete(MessageId),
    /// Mark a message, or take the mark back: also a deletion, as long as it was the last.
    Mark {
        /// With whom it passed.
        with: Address,
        /// Which.
        id: MessageId,
        /// How.
        mark: Mark,
        /// Whether.
        on: bool,
    },
    /// The user writes to somebody, or has stopped writing.
    Typing {
        /// To whom.
        to: Address,
        /// Whether there is something in the composer.
        active: bool,
    },
    /// All that has come from this person has been seen.
    Read {
        /// From whom.
        with: Address,
    },
    /// The user has found this person under this name.
    Meet {
        /// Whom.
        with: Address,
        /// What they are called.
        name: Text,
    },
    /// The user looks at what passed with this person.
    Open {
        /// With whom.
        with: Address,
    },
    /// The user has scrolled to the oldest message there is here.
    LoadOlder {
        /// With whom.
        with: Address,
    },
    /// What stands in the composer, to be kept.
    Draft {
        /// For whom.
        with: Address,
        /// The text; empty for none.
        text: String,
        /// The message that it is going to answer.
        #[serde(default)]
        reply_to: Option<MessageId>,
    },
    /// What the user lets others know.
    Settings(Settings),
    /// What is to become of messages that wait for a decision.
    Deferred(Actions),
    /// Try to connect now; on a link that stands, see whether messages flow, and repair it where they do not.
    Reconnect,
    /// Leave: the device's binding is removed, then comes [`Output::SignedOut`].
    SignOut,
}

/// Something to be done, in the order in which it comes out.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a WebSocket; an older one is abandoned.
    Connect,
    /// Close the WebSocket. No [`Socket::Closed`] is expected for it.
    Disconnect,
    /// Send this as one frame.
    Transmit(Bytes),
    /// Do this with the WebSocket of an MSRP session.
    Msrp(msrp::Wire, msrp::Order),
    /// Make an HTTP request to the server, with the session's cookie.
    Http {
        /// To be repeated in [`Input::Http`].
        id: u64,
        /// The method.
        method: &'static str,
        /// The path with its query.
        path: String,
        /// The body, which is JSON.
        body: Option<String>,
    },
    /// Keep this durably and tell the device's followers. To be completed before any later output is begun.
    Persist(Record),
    /// Tell the device's followers.
    Share(Record),
    /// This engine does not lead: the leader is to have this command.
    Forward(Command),
    /// What [`super::Engine::view`] shows has changed.
    Changed(Change),
    /// Draw the user's attention to a new message, unless they are looking at it.
    Alert(Alert),
    /// The user is not signed in any more, by their own will or the server's. The engine has ended.
    SignedOut,
}

/// Which parts of the view have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The link.
    pub link: bool,
    /// The settings.
    pub settings: bool,
    /// What waits for a decision.
    pub deferred: bool,
    /// The threads with these people, and with them the list of threads.
    pub threads: Vec<Address>,
}

impl Change {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        !self.link && !self.settings && !self.deferred && self.threads.is_empty()
    }
}

/// A new message that deserves attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Who wrote it.
    pub with: Address,
    /// Their name.
    pub title: Text,
    /// The message.
    pub id: MessageId,
    /// Its text.
    pub text: Text,
}
