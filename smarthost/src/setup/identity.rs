//! Certificate and key of the listeners, and the TLS of each kind of them.
//!
//! Contract: where no files are named a key is made once, for the daemon's user alone, and never
//! replaced: clients pin it. Its certificate, which follows from it, is made again at a start or
//! reload where it is missing, of another key or out of time. A certificate that is renewed for the
//! same key is taken by itself; another key, which clients may have to pin first, at a reload only.
//! Failures: texts with the file and what to do, for the administrator; what was read before stays.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use mail::clock::Timestamp;
use relay::{
    tls,
    trust::{Pin, Validity},
};
use rustls::ServerConfig;
use system::{fs, log, within};
use tables::{watch::Watch, watched::look};

use super::tickets::Tickets;
use crate::config::{Config, KeyFiles, ListenTls, Offer};

/// Largest key that is read to make a certificate of it, bytes.
const MAX_KEY: u64 = 64 * 1024;

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
        if files.generate {
            make(files, &settings.hostname, now)?;
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
                    "{file}: it has another key ({}) than the one that clients know; it takes \
                     effect at a reload",
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
                let text = format_args!(
                    "{why:#}; the certificate that was read before stays in \
                     use"
                );
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
        let (files, minimum) = (&settings.tls, settings.tls_minimum);
        let server = tls::server_config(&files.certificate, &files.key, minimum)?;
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
                    let config = tls::for_listener((&server, minimum), asks, bound)?;
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

/// Whether a certificate, and perhaps its key, are to be made at the next start or reload; an error
/// where they cannot be.
pub(super) fn is_to_be_made(
    files: &KeyFiles,
    hostname: &str,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let KeyFiles {
        certificate, key, ..
    } = files;
    if !files.generate {
        return Ok(false);
    }
    match (is_there(key)?, is_there(certificate)?) {
        (false, false) => Ok(true),
        (true, false) => certified(key, hostname).map(|_| true),
        (false, true) => Err(without_key(files)),
        (true, true) => Ok(another(files, hostname, now).is_some()),
    }
}

/// A link that leads nowhere is there as well: what it led to may come back. Failures: nobody can
/// look.
fn is_there(path: &Path) -> anyhow::Result<bool> {
    match within::ask(path, Path::symlink_metadata) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(anyhow::anyhow!(
            "{}: it is not known whether it exists: {error}; run this as root or as the daemon's \
             user",
            path.display()
        )),
    }
}

fn without_key(files: &KeyFiles) -> anyhow::Error {
    let (key, certificate) = (files.key.display(), files.certificate.display());
    anyhow::anyhow!(
        "{key}: the key that clients pin is gone, and {certificate} is its certificate: restore \
         the key from a backup; or remove the certificate as well, and a new key is made, which \
         all clients must then pin"
    )
}

/// Makes what is missing of a pair of our own.
fn make(files: &KeyFiles, hostname: &str, now: Timestamp) -> anyhow::Result<()> {
    let KeyFiles {
        certificate, key, ..
    } = files;
    let made = match (is_there(key)?, is_there(certificate)?) {
        (false, true) => return Err(without_key(files)),
        (false, false) => {
            let (text, secret) = tls::self_signed(hostname)?;
            write(key, &secret, 0o600)?;
            write(certificate, &text, 0o644)?;
            "made a key and a self-signed certificate"
        }
        (true, false) => {
            write(certificate, &certified(key, hostname)?, 0o644)?;
            "made a self-signed certificate of the key that is there"
        }
        (true, true) => match another(files, hostname, now) {
            Some(text) => {
                write(certificate, &text, 0o644)?;
                "made another self-signed certificate of the same key"
            }
            None => return Ok(()),
        },
    };
    let file = certificate.display();
    log::line(
        log::Level::Notice,
        &format_args!("{made} for {hostname}: {file}"),
    );
    Ok(())
}

/// In the place of a self-signed one that is of another key, or out of time.
fn another(files: &KeyFiles, hostname: &str, now: Timestamp) -> Option<String> {
    if !tls::is_self_issued(&files.certificate).ok()? {
        return None;
    }
    let shown = tls::pins_of_file(&files.certificate).ok()?;
    let text = certified(&files.key, hostname).ok()?;
    let is_good = shown.validity.is_none_or(|it| it.is_good(now));
    (!is_good || tls::pins_of_text(&text)?.pin() != shown.pin()).then_some(text)
}

fn certified(key: &Path, hostname: &str) -> anyhow::Result<String> {
    let text = system::read::text(key, MAX_KEY);
    let text = text.with_context(|| format!("cannot read {}", key.display()))?;
    tls::certify(hostname, &text).with_context(|| key.display().to_string())
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_directory(directory, 0o700)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::replace(path, text.as_bytes(), mode)
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first start before the clock was set, and after ten years.
    #[test]
    fn a_certificate_of_our_own_that_is_out_of_time_is_made_again_for_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let files = KeyFiles {
            certificate: file("cert.pem"),
            key: file("key.pem"),
            generate: true,
        };
        let now = mail::clock::now();
        make(&files, "mx.example.org", now).unwrap();
        let read = || {
            (
                std::fs::read(&files.key).unwrap(),
                std::fs::read(&files.certificate).unwrap(),
            )
        };
        let (key, certificate) = read();
        make(&files, "mx.example.org", now).unwrap();
        assert_eq!(
            read(),
            (key.clone(), certificate.clone()),
            "nothing to make"
        );
        let year = std::time::Duration::from_hours(365 * 24);
        for other in [now.after(10 * year), Timestamp::from_secs(7)] {
            make(&files, "mx.example.org", other).unwrap();
            let (same, another) = read();
            assert!(same == key && another != certificate);
        }
        // What an authority has signed is an administrator's.
        let theirs = include_str!("testdata/signed.pem");
        write(&files.certificate, theirs, 0o644).unwrap();
        make(&files, "mx.example.org", now.after(90 * year)).unwrap();
        assert_eq!(read().1, theirs.as_bytes());
    }
}
