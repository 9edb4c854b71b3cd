//! The keys of session tickets, as they lie in the state directory.
//!
//! Contract: read once, then written before they are used; new ones daily. What a ticket is bound
//! to: whether TLS began with STARTTLS, whether keys and logins are asked for, the certificate that
//! was shown, and the keys of clients that are believed. So a change of any of them costs a full
//! handshake, and whoever's key is believed no more has nothing of a session from before.
//! Failures: a file that cannot be used is told and replaced; where none can be written the keys
//! are good until the end of the daemon.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mail::clock::Timestamp;
use relay::{
    tls::{KeyRing, TicketKeys},
    trust::{PeerKey, Pin},
};
use rustls::server::ProducesTickets;
use system::{
    fs,
    log::{self, Level},
    secret,
};

use crate::config::{ListenTls, Offer};

/// Their file in `state`.
const FILE: &str = "tls-ticket-keys";

#[derive(Debug)]
pub(crate) struct Tickets {
    file: PathBuf,
    keys: Arc<TicketKeys>,
    /// The file was looked at.
    begun: Mutex<bool>,
}

impl Tickets {
    /// Those in a state directory, where nothing is read or written yet, and no ticket is given.
    pub(super) fn new(state: &Path) -> Self {
        Self {
            file: state.join(FILE),
            keys: Arc::default(),
            begun: Mutex::default(),
        }
    }

    /// Tickets for one kind of listener, which shows this certificate, asks for keys or does not,
    /// and believes these.
    pub(super) fn of_listener(
        &self,
        offer: Offer,
        asks: bool,
        shown: &PeerKey,
        pins: &[(Pin, String)],
    ) -> Arc<dyn ProducesTickets> {
        let tls: &[u8] = if offer.tls == ListenTls::Wrapped {
            b"wrapped"
        } else {
            b"starttls"
        };
        let service: &[u8] = if offer.submission {
            b"submission"
        } else {
            b"mx"
        };
        let mut pins: Vec<String> = pins.iter().map(|(pin, _)| pin.to_string()).collect();
        pins.sort();
        let keys: &[u8] = if asks { b"keys" } else { b"no keys" };
        let mut parts = vec![tls, service, keys, &shown.certificate_sha256];
        parts.extend(pins.iter().map(String::as_bytes));
        self.keys.bound_to(&parts)
    }

    /// Reads the keys at first, and makes a new one when it is time. Blocks.
    pub(crate) fn turn(&self, now: Timestamp) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = if std::mem::replace(&mut *begun, true) {
            self.keys.ring()
        } else {
            Arc::new(self.read())
        };
        let turned = ring.turned(now);
        if let Some(Err(error)) = turned.as_ref().map(|turned| self.write(turned)) {
            let file = self.file.display();
            let text =
                format_args!("{file}: {error}; clients cannot resume TLS sessions after a restart");
            log::line(Level::Warning, &text);
        }
        self.keys.set(turned.unwrap_or_else(|| (*ring).clone()));
    }

    fn read(&self) -> KeyRing {
        let read = match self.file.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return KeyRing::default(),
            Ok(known) if !known.is_file() => {
                Err(format!("{}: it is not a regular file", self.file.display()))
            }
            _ => secret::text(&self.file).and_then(|text| {
                let ring = KeyRing::parse(&text);
                ring.map_err(|why| format!("{}: {why}", self.file.display()))
            }),
        };
        read.unwrap_or_else(|why| {
            let text = format_args!("{why}; new keys of TLS session tickets are made");
            log::line(Level::Warning, &text);
            KeyRing::default()
        })
    }

    fn write(&self, ring: &KeyRing) -> io::Result<()> {
        if let Some(state) = self.file.parent() {
            fs::create_directory(state, 0o700)?;
        }
        fs::replace(&self.file, ring.to_text().as_bytes(), 0o600)
    }
}
