//! Loopback addresses of `listen` that could not be had at the start: told for as long as it lasts,
//! and tried again and again. What cron and others hand to `sendmail` is taken all the same.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Mutex, MutexGuard, PoisonError},
};

use system::{
    log::{Level, line},
    socket::not_bound,
};

/// The addresses, each with why.
#[derive(Debug, Default)]
pub(crate) struct Deaf(Mutex<Vec<(SocketAddr, String)>>);

impl Deaf {
    /// Listens on all of them, as far as that works now; tells of the others.
    pub(crate) fn listen(addresses: impl Iterator<Item = SocketAddr>) -> (Vec<TcpListener>, Self) {
        let (mut listeners, mut deaf) = (Vec::new(), Vec::new());
        for address in addresses {
            match TcpListener::bind(address) {
                Ok(listener) => listeners.push(listener),
                Err(error) => deaf.push((address, not_bound(address, &error))),
            }
        }
        let deaf = Self(Mutex::new(deaf));
        for alarm in deaf.alarms() {
            line(Level::Error, &alarm);
        }
        (listeners, deaf)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SocketAddr, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.lock().iter().any(|(deaf, _)| *deaf == address)
    }

    /// A sentence for each where nothing listens yet.
    pub(super) fn alarms(&self) -> Vec<String> {
        let told = |(_, why): &(SocketAddr, String)| format!("{why}; it is tried again and again");
        self.lock().iter().map(told).collect()
    }

    /// Those that listen now.
    pub(super) fn opened(&self) -> Vec<TcpListener> {
        let mut opened = Vec::new();
        self.lock().retain(|(address, _)| {
            let Ok(listener) = TcpListener::bind(address) else {
                return true;
            };
            line(Level::Notice, &format_args!("listens on {address} now"));
            opened.push(listener);
            false
        });
        opened
    }
}
