//! Certificate and key of the listeners, and the TLS of each kind of them.
//!
//! Contract: files that are to be made are made once, for the daemon's user alone. A certificate
//! that is renewed for the same key is taken by itself; another key, which clients may have to pin
//! first, at a reload only.
//! Failures: texts with the file and what to do, for the administrator; what was read before stays.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use mail::clock::Timestamp;
use relay::{
    tls,
    trust::{Pin, Validity},
};
use rustls::ServerConfig;
use system::{fs, log};
use tables::{watch::Watch, watched::look};

use super::tickets::Tickets;
use crate::config::{Config, KeyFiles, ListenTls, Offer};

/// Who we are in a TLS handshake.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// For each kind of listener, and whether it asks for keys.
    configs: Vec<(Offer, bool, Arc<ServerConfig>)>,
    /// What clients pin.
    pub(crate) pin: Pin,
    /// When the certificate holds.
    pub(crate) validity: Option<Validity>,
    certificate: [u8; 32],
    watched: Arc<Mutex<Watched>>,
}

/// The files.
#[derive(Debug, Default)]
struct Watched {
    certificate: Watch,
    key: Watch,
}

impl Watched {
    /// Whether one of them is to be read.
    fn changed(&mut self, files: &KeyFiles, now: Timestamp) -> bool {
        let certificate = self.certificate.handle(&look(&files.certificate), now);
        self.key.handle(&look(&files.key), now) || certificate
    }
}

impl Identity {
    /// From the files that the settings name, which are made if they are to be.
    pub(super) fn load(
        settings: &Config,
        tickets: &Tickets,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let files = &settings.tls;
        if files.generate && !(files.certificate.exists() && files.key.exists()) {
            generate(files, &settings.hostname)?;
        }
        let mut watched = Watched::default();
        watched.changed(files, now);
        Self::read(settings, tickets, Arc::new(Mutex::new(watched)))
    }

    /// With a certificate that was renewed, if it was and can be taken.
    pub(super) fn renewed(
        &self,
        settings: &Config,
        tickets: &Tickets,
        now: Timestamp,
    ) -> Option<Self> {
        let files = &settings.tls;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if !watched.changed(files, now) {
            return None;
        }
        drop(watched);
        let file = files.certificate.display();
        match Self::read(settings, tickets, Arc::clone(&self.watched)) {
            Ok(new) if new.pin != self.pin => {
                let text = format_args!(
                    "{file}: it is of another key ({}) than clients know; a reload takes it",
                    new.pin
                );
                log::line(log::Level::Warning, &text);
                None
            }
            Ok(new) if new.certificate == self.certificate => None,
            Ok(new) => {
                let text = format_args!("{file}: the certificate is renewed, its key is the same");
                log::line(log::Level::Notice, &text);
                Some(new)
            }
            Err(why) => {
                let text = format_args!("{why:#}; the certificate that was read before stays");
                log::line(log::Level::Warning, &text);
                None
            }
        }
    }

    fn read(
        settings: &Config,
        tickets: &Tickets,
        watched: Arc<Mutex<Watched>>,
    ) -> anyhow::Result<Self> {
        let files = &settings.tls;
        let server = tls::server_config(&files.certificate, &files.key)?;
        let shown = tls::pins_of_file(&files.certificate)?;
        let pins = &settings.client_pins;
        let mut configs = Vec::new();
        for tls in [ListenTls::StartTls, ListenTls::Wrapped] {
            for submission in [false, true] {
                let offer = Offer { tls, submission };
                let pins = if submission { pins.as_slice() } else { &[] };
                // Only clients of ours have keys that mean something.
                for asks in [false, true].into_iter().filter(|asks| submission || !asks) {
                    let bound = tickets.of_listener(offer, asks, &shown, pins);
                    let config = tls::for_listener(&server, asks, bound)?;
                    configs.push((offer, asks, config));
                }
            }
        }
        Ok(Self {
            configs,
            pin: shown.pin(),
            validity: shown.validity,
            certificate: shown.certificate_sha256,
            watched,
        })
    }

    /// For a listener, which asks for keys or does not; `None` where it offers no TLS.
    pub(crate) fn at(&self, offer: Offer, asks: bool) -> Option<&Arc<ServerConfig>> {
        let mut configs = self.configs.iter();
        let found = configs.find(|it| (it.0, it.1) == (offer, asks));
        found.map(|(.., config)| config)
    }
}

fn generate(files: &KeyFiles, hostname: &str) -> anyhow::Result<()> {
    let (certificate, key) = tls::self_signed(hostname)?;
    for (path, text, mode) in [
        (&files.key, key, 0o600),
        (&files.certificate, certificate, 0o644),
    ] {
        if let Some(directory) = path.parent() {
            fs::create_directory(directory, 0o700)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        fs::replace(path, text.as_bytes(), mode)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    log::line(
        log::Level::Notice,
        &format_args!(
            "made a key and a self-signed certificate for {hostname}: {}",
            files.certificate.display()
        ),
    );
    Ok(())
}
