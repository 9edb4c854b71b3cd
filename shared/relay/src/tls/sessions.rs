//! Sessions that hosts let us resume, of one trust.
//!
//! Contract: a session is used by the name under which it was made, and for a day at most. The host
//! asked for longest ago makes room for new ones. A host that breaks a handshake in which it is
//! offered a session is offered none for a day; that one refused a handshake is known for as long.
//! RFC 8446 §2.2, RFC 5246 §7.3 (abbreviated handshakes).

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// How long one is offered; tickets of TLS 1.3 may say a week.
const LIFE: Duration = Duration::from_hours(24);
/// Tickets of one host, each of which is good for one connection.
const TICKETS: usize = 8;
/// Hosts and what is kept of them, all together. Each may hold a chain of certificates.
const MOST: usize = 512;

/// Sessions by the names of hosts.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Hosts>);

#[derive(Default)]
struct Hosts {
    known: HashMap<ServerName<'static>, Host>,
    /// Counts what is asked for, so that it is known who was asked for last.
    turn: u64,
}

#[derive(Default)]
struct Host {
    turn: u64,
    group: Option<NamedGroup>,
    /// Of TLS 1.2.
    session: Option<(Instant, Tls12ClientSessionValue)>,
    /// Of TLS 1.3, the oldest first.
    tickets: VecDeque<(Instant, Tls13ClientSessionValue)>,
    /// When it broke over one.
    broke: Option<Instant>,
    /// When it refused a handshake, whatever was offered.
    refused: Option<Instant>,
}

/// Names nobody.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Host {
    fn weight(&self) -> usize {
        let session = usize::from(self.session.is_some());
        self.tickets.len().saturating_add(session).saturating_add(1)
    }

    /// Forgets what is too old.
    fn age(&mut self, now: Instant) {
        let is_old = |since: &Instant| now.saturating_duration_since(*since) >= LIFE;
        self.session.take_if(|it| is_old(&it.0));
        self.tickets.retain(|it| !is_old(&it.0));
        self.broke.take_if(|since| is_old(since));
        self.refused.take_if(|since| is_old(since));
    }
}

impl Hosts {
    fn get(&mut self, name: &ServerName<'_>, now: Instant) -> Option<&mut Host> {
        self.turn = self.turn.saturating_add(1);
        let host = self.known.get_mut(&name.to_owned())?;
        host.turn = self.turn;
        host.age(now);
        Some(host)
    }

    fn change(&mut self, name: ServerName<'static>, now: Instant, change: impl FnOnce(&mut Host)) {
        self.turn = self.turn.saturating_add(1);
        let host = self.known.entry(name).or_default();
        host.turn = self.turn;
        host.age(now);
        change(host);
        while self.known.values().map(Host::weight).sum::<usize>() > MOST {
            let oldest = self.known.iter().min_by_key(|(_, host)| host.turn);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.known.remove(&name);
        }
    }
}

impl Sessions {
    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session would be offered.
    pub(super) fn holds(&self, name: &ServerName<'_>) -> bool {
        let mut hosts = self.hosts();
        let host = hosts.get(name, Instant::now());
        host.is_some_and(|host| host.session.is_some() || !host.tickets.is_empty())
    }

    /// Whether it has refused a handshake lately.
    pub(super) fn has_refused(&self, name: &ServerName<'_>) -> bool {
        let mut hosts = self.hosts();
        let host = hosts.get(name, Instant::now());
        host.is_some_and(|host| host.refused.is_some())
    }

    /// It refuses one; whether that is new.
    pub(super) fn refuses(&self, name: &ServerName<'static>) -> bool {
        let now = Instant::now();
        let mut is_new = false;
        self.hosts().change(name.clone(), now, |host| {
            is_new = host.refused.is_none();
            host.refused.get_or_insert(now);
        });
        is_new
    }

    /// The host cannot bear what it was offered.
    pub(super) fn broke(&self, name: &ServerName<'static>) {
        let now = Instant::now();
        self.hosts().change(name.clone(), now, |host| {
            host.session = None;
            host.tickets.clear();
            host.broke = Some(now);
        });
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        let mut hosts = self.hosts();
        hosts.change(name, Instant::now(), |host| host.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.hosts().get(name, Instant::now())?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        let now = Instant::now();
        self.hosts().change(name, now, |host| {
            if host.broke.is_none() {
                host.session = Some((now, value));
            }
        });
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let mut hosts = self.hosts();
        let session = &hosts.get(name, Instant::now())?.session;
        session.as_ref().map(|(_, session)| session.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(host) = self.hosts().get(name, Instant::now()) {
            host.session = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let now = Instant::now();
        self.hosts().change(name, now, |host| {
            if host.broke.is_none() {
                if host.tickets.len() >= TICKETS {
                    host.tickets.pop_front();
                }
                host.tickets.push_back((now, value));
            }
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut hosts = self.hosts();
        let newest = hosts.get(name, Instant::now())?.tickets.pop_back();
        newest.map(|(_, ticket)| ticket)
    }
}
