//! Certificate and key of the listeners, and the TLS of each kind of them.
//!
//! Contract: files that are to be made are made once, for the daemon's user alone.
//! Failures: texts with the file and what to do, for the administrator.

use std::sync::Arc;

use anyhow::Context as _;
use relay::{
    tls,
    trust::{Pin, Validity},
};
use rustls::ServerConfig;
use system::{fs, log};

use super::tickets::Tickets;
use crate::config::{Config, KeyFiles, ListenTls, Offer};

/// Who we are in a TLS handshake.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// For each kind of listener.
    configs: Vec<(Offer, Arc<ServerConfig>)>,
    /// What clients pin.
    pub(crate) pin: Pin,
    /// When the certificate holds.
    pub(crate) validity: Option<Validity>,
}

impl Identity {
    /// From the files that the settings name, which are made if they are to be.
    pub(super) fn load(settings: &Config, tickets: &Tickets) -> anyhow::Result<Self> {
        let files = &settings.tls;
        if files.generate && !(files.certificate.exists() && files.key.exists()) {
            generate(files, &settings.hostname)?;
        }
        let server = tls::server_config(&files.certificate, &files.key)?;
        let shown = tls::pins_of_file(&files.certificate)?;
        let pins = &settings.client_pins;
        let mut configs = Vec::new();
        for tls in [ListenTls::StartTls, ListenTls::Wrapped] {
            for submission in [false, true] {
                let offer = Offer { tls, submission };
                let pins = if submission { pins.as_slice() } else { &[] };
                let bound = tickets.of_listener(offer, &shown, pins);
                let config = tls::for_listener(&server, !pins.is_empty(), bound)?;
                configs.push((offer, config));
            }
        }
        Ok(Self {
            configs,
            pin: shown.pin(),
            validity: shown.validity,
        })
    }

    /// For a listener; `None` where it offers no TLS.
    pub(crate) fn at(&self, offer: Offer) -> Option<&Arc<ServerConfig>> {
        let mut configs = self.configs.iter();
        configs.find(|it| it.0 == offer).map(|(_, config)| config)
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
