//! What is in force: configuration, tables and keys, loaded together and exchanged as a whole at a reload.
//!
//! Contract: a transaction or delivery that has begun keeps the setup it began with, and the next one of the same session takes that in force; a
//! reload that fails leaves the old one. Session tickets survive a reload, so that clients resume (row B7).
//! Failures: texts with file, line and remedy, for the administrator.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;
use relay::{
    tls::{self, ClientTls, Trust},
    trust::Pin,
};
use rustls::{ServerConfig, server::ProducesTickets};
use system::{fs, log};

use crate::{
    config::{Config, KeyFiles, ListenTls},
    policy::Policy,
    route::Router,
};

/// All that a reload exchanges.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) router: Router,
    /// Towards the relayhost: one TLS configuration for it and its pins.
    pub(crate) relay_tls: ClientTls,
    /// Towards everybody else: opportunistic.
    pub(crate) world_tls: ClientTls,
    /// For the listeners; `None` if none offers TLS.
    pub(crate) identity: Option<Identity>,
}

/// Who we are in a TLS handshake.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) tls: Arc<ServerConfig>,
    /// What clients pin.
    pub(crate) pin: Pin,
}

impl Setup {
    /// Loads everything that a configuration names; `before` lends its session tickets.
    pub(crate) fn load(path: &Path, before: Option<&Self>) -> anyhow::Result<Self> {
        let config = Config::load(path)?;
        let (aliases, problems) = config.read_aliases()?;
        for problem in problems {
            log::line(log::Level::Warning, &problem);
        }
        let wants_tls = config
            .listen
            .iter()
            .any(|listener| listener.tls != ListenTls::None);
        let tickets = before
            .and_then(|setup| setup.identity.as_ref())
            .map(|identity| identity.tls.ticketer.clone());
        let identity = if wants_tls {
            Some(Identity::load(&config.tls, &config.hostname, tickets)?)
        } else {
            None
        };
        let trust = if config.relay_tls.pins.is_empty() {
            Trust::Opportunistic
        } else {
            Trust::Pins(config.relay_tls.pins.clone())
        };
        let shown = config.relay_tls.identity.as_ref();
        let shown = shown.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        Ok(Self {
            policy: Policy::new(&config, Arc::clone(&aliases)),
            router: Router::new(&config, aliases),
            relay_tls: ClientTls::with_identity(&trust, shown)
                .context("cannot set up TLS towards the relayhost")?,
            world_tls: ClientTls::new(&Trust::Opportunistic).context("cannot set up TLS")?,
            identity,
            config,
        })
    }
}

impl Identity {
    fn load(
        files: &KeyFiles,
        hostname: &str,
        tickets: Option<Arc<dyn ProducesTickets>>,
    ) -> anyhow::Result<Self> {
        if files.generate && !(files.certificate.exists() && files.key.exists()) {
            generate(files, hostname)?;
        }
        let mut config = ServerConfig::clone(&*tls::server_config(&files.certificate, &files.key)?);
        config.ticketer = match tickets {
            Some(tickets) => tickets,
            None => rustls::crypto::ring::Ticketer::new()
                .context("no random numbers for session tickets")?,
        };
        Ok(Self {
            tls: Arc::new(config),
            pin: tls::pins_of_file(&files.certificate)?.pin(),
        })
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

/// The setup in force now.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<Setup>>);

impl Current {
    pub(crate) fn new(setup: Setup) -> Self {
        Self(RwLock::new(Arc::new(setup)))
    }

    /// What is in force; kept by the caller as long as its work lasts.
    pub(crate) fn get(&self) -> Arc<Setup> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this.
    pub(crate) fn set(&self, setup: Setup) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
    }
}
