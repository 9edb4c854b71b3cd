//! The key that clients pin: what `pin` prints, and what `check` says of its files.
//!
//! Contract: what the running daemon presents comes first, whatever lies in the files by now; a key
//! is made only where no daemon runs.

use std::path::Path;

use control::{findings::Findings, status::Status};
use mail::clock::{self, Timestamp};
use relay::{tls, trust::Pin};
use system::{fs, socket::is_of_nobody};

use super::{eyes::is_missing, failed::Failed, running, silent};
use crate::{
    config::{Config, ListenTls, Listener},
    setup::Setup,
};

/// Largest key that is read to know its pin, bytes.
const MAX_KEY: u64 = 64 * 1024;
/// Where clients come who were told neither port nor kind of TLS.
const SMTP: u16 = 25;

/// What a start would present.
enum Files {
    Of(Pin),
    /// No key is there any more: one would be made.
    Gone,
    /// They cannot be read, which is told elsewhere.
    Unknown,
}

impl Files {
    fn look(config: &Config) -> Self {
        let files = &config.tls;
        if files.generate && is_missing(&files.key) {
            return Self::Gone;
        }
        // A certificate of our own follows from its key.
        let of_key = || {
            let key = system::read::text(&files.key, MAX_KEY).ok()?;
            tls::pins_of_text(&tls::certify(&config.hostname, &key).ok()?)
        };
        let key = if files.generate {
            of_key()
        } else {
            tls::pins_of_file(&files.certificate).ok()
        };
        key.map_or(Self::Unknown, |key| Self::Of(key.pin()))
    }
}

/// Row B16: no pipeline of openssl commands.
pub(super) fn run(path: &Path) -> Result<String, Failed> {
    let config = Config::load(path)?;
    match running::asked(&config) {
        Ok(status) if !status.pin.is_empty() => {
            if let Ok(pin) = Pin::parse(&status.pin) {
                return Ok(presented(&config, pin));
            }
        }
        Err(error) if !is_of_nobody(&error) || silent::alone(&config).is_some() => {
            if matches!(Files::look(&config), Files::Gone) {
                return Err(Failed::new(format!(
                    "{error}; the daemon's key is not known without it, for {} is gone; none is made meanwhile",
                    config.tls.key.display()
                )));
            }
        }
        _ => {}
    }
    fs::create_directory(&config.state, 0o700)
        .map_err(|error| Failed::new(format!("{}: {error}", config.state.display())))?;
    // The daemon may have them.
    let held: Vec<_> = config.listen.iter().map(|it| it.address).collect();
    let setup = Setup::load(path, None, &held)?;
    if setup.identity.is_none() {
        return Err(Failed::new(
            "no listener offers TLS (listen = …): there is nothing to pin".to_owned(),
        ));
    }
    let key = tls::pins_of_file(&config.tls.certificate);
    let key = key.map_err(|error| Failed::new(error.to_string()))?;
    Ok(lines(&config, "", &[key.pin()]))
}

/// Of a daemon that runs.
fn presented(config: &Config, pin: Pin) -> String {
    let key = config.tls.key.display();
    match Files::look(config) {
        Files::Of(next) if next != pin => {
            let note = "# The daemon presents the key of the first pin now, and that of the second, which its files have, \
                        from the next reload or restart on.\n";
            lines(config, note, &[pin, next])
        }
        Files::Gone => {
            let note = format!(
                "# The daemon presents this key, but {key} is gone: without a copy from a backup the next start makes another one.\n"
            );
            lines(config, &note, &[pin])
        }
        Files::Of(_) | Files::Unknown => lines(config, "", &[pin]),
    }
}

fn lines(config: &Config, note: &str, pins: &[Pin]) -> String {
    let joined = |separator, form: fn(&Pin) -> String| {
        let all = pins.iter().map(form);
        all.collect::<Vec<_>>().join(separator)
    };
    // Where there is this one, clients need not be told.
    let is_usual = |it: &Listener| it.address.port() == SMTP && it.offer.tls == ListenTls::StartTls;
    let door = if config.listen.iter().any(is_usual) {
        None
    } else {
        config.door(|offer| offer.tls != ListenTls::None)
    };
    let port = door.map_or_else(String::new, |door| format!(":{}", door.address.port()));
    let (tls, wrapped) = match door.map(|door| door.offer.tls) {
        Some(ListenTls::Wrapped) => ("tls = \"wrapped\"\n", "smtp_tls_wrappermode = yes\n"),
        _ => ("", ""),
    };
    format!(
        "{note}# {certificate}, for /etc/sendmail-shim/config.toml on the clients (and relay_tls.pins of another smarthost):\n\
         relayhost = \"{hostname}{port}\"\n{tls}\
         pins = [{pins}]\n\
         \n\
         # A Postfix client: main.cf\n\
         relayhost = [{hostname}]{port}\n{wrapped}\
         smtp_tls_security_level = fingerprint\n\
         smtp_tls_fingerprint_digest = sha256\n\
         smtp_tls_fingerprint_cert_match = {postfix}\n",
        certificate = config.tls.certificate.display(),
        hostname = config.hostname,
        pins = joined(", ", |pin| format!("\"{pin}\"")),
        postfix = joined(", ", colons),
    )
}

/// Upper-case hexadecimal with colons, as Postfix writes fingerprints.
fn colons(pin: &Pin) -> String {
    let bytes: &[u8] = match pin {
        Pin::KeySha256(bytes) | Pin::CertificateSha256(bytes) => bytes,
        Pin::KeySha1(bytes) => bytes,
    };
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// Whether the certificate in the files is out of time, or soon; one of our own is made again by
/// itself.
fn expiry(config: &Config, status: Option<&Status>, findings: &mut Findings) {
    let shows = config
        .listen
        .iter()
        .any(|it| it.offer.tls != ListenTls::None);
    if config.tls.generate || !shows {
        return;
    }
    let Some(validity) = tls::pins_of_file(&config.tls.certificate)
        .ok()
        .and_then(|shown| shown.validity)
    else {
        return;
    };
    let (file, now) = (config.tls.certificate.display(), clock::now());
    let remedy = "renew it, then smarthost reload";
    let at = |at: Timestamp| at.rfc3339();
    if validity.until <= now {
        let until = at(validity.until);
        findings.fail(
            "certificate",
            format!("{file}: expired since {until}"),
            remedy,
        );
    } else if validity.from > now {
        let from = at(validity.from);
        let text = format!("{file}: it holds from {from} on, and not now");
        findings.fail(
            "certificate",
            text,
            "is the clock right? else another certificate",
        );
    } else if validity.ends_soon(now) && status.is_none() {
        // A daemon that runs has an alarm of it.
        let until = at(validity.until);
        findings.warn("certificate", format!("{file}: expires at {until}"), remedy);
    }
}

/// Whether the next start presents what the daemon does; where none runs, whether it makes a key.
pub(super) fn check(config: &Config, status: Option<&Status>, findings: &mut Findings) {
    expiry(config, status, findings);
    let pin = status.map_or("", |status| status.pin.as_str());
    if pin.is_empty() {
        if config.tls.generate && is_missing(&config.tls.certificate) {
            let text = "a key and a certificate will be made at the first start";
            findings.ok("certificate", text);
        }
        return;
    }
    let (key, certificate) = (config.tls.key.display(), config.tls.certificate.display());
    match Files::look(config) {
        Files::Gone => findings.warn(
            "certificate",
            format!(
                "the daemon presents {pin}, but {key} is gone: the next start makes another key, and clients that have \
                 pinned this one keep their mail"
            ),
            &format!(
                "put {key} back from a backup; if there is none, restart smarthost, and give clients what smarthost pin prints"
            ),
        ),
        Files::Of(next) if next.to_string() != pin => findings.warn(
            "certificate",
            format!(
                "the daemon presents {pin}, and from the next reload or restart on {next}, for {certificate} is of that key by now"
            ),
            "let clients pin both (smarthost pin), then smarthost reload; or put the old files back",
        ),
        Files::Of(_) | Files::Unknown => {}
    }
}
