//! XCLIENT: a front end hands a session on, and says whose it is.
//!
//! Contract: from there on the session is the named client's in networks, limits, places,
//! restrictions, log and Received.
//! A login that is named gives what a login gives. Whom the front end cannot name has its address,
//! and no network covers it.
//! Failures: no place for the named client: 421; a name that nobody can be counted under: 501.
//! Postfix's `XCLIENT_README`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use smtp::{
    command::xclient::{Override, Told},
    reply::Reply,
    session::Verdict,
};

use super::{listen::enter_as, places::Visitor, session::Connection};
use crate::{limits, maillog, policy::ClientName};

impl Connection {
    pub(super) async fn hand_on(&mut self, said: &Override) -> Verdict {
        let login = match &said.login {
            Some(Told::Is(login)) => Some(login),
            _ => None,
        };
        if login.is_some_and(|login| limits::name(login).is_err()) {
            return Verdict::Refuse(Reply::literal("501 5.5.4 Error: bad LOGIN parameter"));
        }
        let before = self.name.clone();
        match &said.address {
            None => {}
            Some(Told::Is(address)) => (self.client, self.unnamed) = (*address, false),
            Some(Told::Unavailable | Told::Unknown) => {
                (self.client, self.unnamed) = (self.connected, true);
            }
        }
        self.setup = self.server.current.get();
        self.own = login.is_some() || !self.unnamed && self.setup.policy.may_relay(self.client);
        // Its own place first: it needs no second one.
        self.place = None;
        let visitor = Visitor {
            address: self.client,
            own: self.own,
        };
        match enter_as(visitor, &self.setup, &self.server) {
            Ok(place) => self.place = Some(place),
            Err(reply) => return Verdict::Close(reply),
        }
        self.port = of(said.port.as_ref(), self.port, 0);
        self.local = server(said, self.local);
        self.called = match (&said.name, &said.address) {
            (Some(Told::Is(name)), _) => Some(ClientName::Confirmed(name.clone())),
            (Some(Told::Unavailable), _) => Some(ClientName::Missing),
            (Some(Told::Unknown), _) => Some(ClientName::Unknown),
            (None, Some(_)) => None,
            (None, None) => self.called.take(),
        };
        let name = self.called.as_ref().and_then(ClientName::confirmed);
        self.name = format!("{}[{}]", name.unwrap_or("unknown"), self.client);
        self.rights.login = None;
        self.rights.handed_on = Some(self.connected);
        // Of the front end.
        (self.key, self.pinned) = (None, None);
        self.method = if login.is_some() { "XCLIENT" } else { "" };
        // Filters are told of a new connection.
        self.quit_filters().await;
        self.renew_filters().await;
        maillog::handed_on(&before, &self.name);
        Verdict::Accept
    }
}

/// What is told, what was, or what stands for nothing.
fn of<T: Copy>(told: Option<&Told<T>>, before: T, nothing: T) -> T {
    match told {
        None => before,
        Some(Told::Is(it)) => *it,
        Some(Told::Unavailable | Told::Unknown) => nothing,
    }
}

fn server(said: &Override, before: Option<SocketAddr>) -> Option<SocketAddr> {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let (address, port) = before.map_or((nobody, 0), |at| (at.ip(), at.port()));
    let address = of(said.server.as_ref(), address, nobody);
    let port = of(said.server_port.as_ref(), port, 0);
    (address != nobody).then(|| SocketAddr::new(address, port))
}
