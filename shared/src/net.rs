//! Blocking connections: dialling, and the driver of the client machine over TCP, TLS and unix sockets. For sendmail-shim and the
//! administrators' commands; the daemon has a tokio driver of its own.

use std::{path::Path, time::Duration};

use crate::{
    nexthop::Nexthop,
    outcome::{Failure, Outcome},
    smtp::{
        capability::Capabilities,
        client::{Settings, Transaction},
    },
    tls::ClientTls,
};

/// A message to be sent: gives pieces until `Ok(0)`.
pub trait Content {
    /// Fills `buffer` with the next bytes.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize>;
}
impl<R: std::io::Read> Content for R {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::io::Read::read(self, buffer)
    }
}

/// An open connection that is ready for transactions.
pub struct Connection {
    // machine, stream, peer name
}
/// Where to connect.
pub enum Target<'a> {
    /// Host (all its addresses are tried, IPv6 and IPv4 in the resolver's order) and port.
    Tcp { nexthop: &'a Nexthop, default_port: u16, tls: Option<&'a ClientTls> },
    /// A unix socket; never TLS.
    Unix(&'a Path),
}
impl Connection {
    /// Connects, greets, and makes TLS as the settings ask.
    pub fn open(_target: &Target<'_>, _settings: &Settings, _connect_timeout: Duration) -> Result<Self, Failure> {
        todo!()
    }
    /// Sends one message; one outcome for each recipient, in order. After a failure of the connection [`Connection::is_usable`] is false.
    pub fn send(&mut self, _transaction: Transaction, _content: &mut dyn Content) -> Vec<Outcome> {
        todo!()
    }
    /// Whether another message can follow.
    pub fn is_usable(&self) -> bool {
        todo!()
    }
    /// `host[address]:port`
    pub fn relay(&self) -> &str {
        todo!()
    }
    /// `TLSv1.3 with cipher …`, if TLS.
    pub fn tls_summary(&self) -> Option<&str> {
        todo!()
    }
    /// The pin that the peer's key has, if TLS.
    pub fn peer_pin(&self) -> Option<crate::trust::Pin> {
        todo!()
    }
    /// What the peer offers.
    pub fn capabilities(&self) -> &Capabilities {
        todo!()
    }
    /// QUIT, without waiting long for the answer.
    pub fn quit(self) {
        todo!()
    }
}
