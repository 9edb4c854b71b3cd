//! What restrictions see: facts of the session, of the transaction and of the message.

use std::net::{IpAddr, SocketAddr};

use mail::address::{Address, Sender};

use crate::{limits::Peer, srs::Wrong};

/// All that is known when a question is decided.
#[derive(Clone, Debug)]
pub struct Facts {
    pub session: Session,
    pub transaction: Transaction,
    pub message: Message,
}

/// From the connection on.
#[derive(Clone, Debug)]
pub struct Session {
    /// The client; IPv4-mapped addresses are taken as IPv4.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Where it came to.
    pub server: Option<SocketAddr>,
    /// `SMTP` or `ESMTP`
    pub protocol: &'static str,
    /// As the client called itself.
    pub helo: Option<String>,
    /// How the session is encrypted: `TLSv1.3 with cipher …`
    pub tls: Option<String>,
    /// The login that it gave, and proved.
    pub login: Option<String>,
    /// By which mechanism; empty without a login.
    pub method: &'static str,
    /// As whom the key of its certificate is known (`client_pins`).
    pub pinned: Option<String>,
    /// It has shown a key that nobody has.
    pub strange_key: bool,
    /// It came over a proxy that does not say who it is: no network covers it.
    pub unnamed: bool,
    /// It sent commands ahead where that is forbidden.
    pub sent_ahead: bool,
}

/// From MAIL on.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    pub sender: Option<Sender>,
    /// The one in question, at RCPT.
    pub recipient: Option<Address>,
    /// It is a rewritten sender that leads nowhere, and why.
    pub returns_nowhere: Option<Wrong>,
    /// What MAIL said of the size, bytes.
    pub size: Option<u64>,
    /// Somebody among its recipients could not be verified.
    pub unverified: bool,
    /// A name for this transaction, the same for all its recipients.
    pub instance: String,
    /// Those that were accepted before.
    pub recipients: usize,
}

/// At the end of the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// Bytes.
    pub size: u64,
    /// Its `Received` fields.
    pub hops: usize,
}

impl Session {
    /// As whom the client is counted: by the name of its key, else its login, else its address.
    pub fn peer(&self) -> Peer {
        let name = self.pinned.as_deref().or(self.login.as_deref());
        Peer {
            address: self.address,
            name: name.map(Into::into),
            unnamed: self.unnamed,
        }
    }

    /// Its key or its login says who it is.
    pub fn is_known(&self) -> bool {
        self.login.is_some() || self.pinned.is_some()
    }
}

impl Facts {
    /// Of a client who has said nothing yet.
    pub fn of(address: IpAddr) -> Self {
        Self {
            session: Session {
                address,
                port: 0,
                server: None,
                protocol: "SMTP",
                helo: None,
                tls: None,
                login: None,
                method: "",
                pinned: None,
                strange_key: false,
                unnamed: false,
                sent_ahead: false,
            },
            transaction: Transaction::default(),
            message: Message::default(),
        }
    }
}
