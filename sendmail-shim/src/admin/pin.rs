//! `sendmail-shim pin`: which key a relayhost presents, as a line for the configuration (row B16).
//!
//! Contract: what is printed is what the network shows: compare it with what the relayhost's administrator tells, or with
//! `smarthost pin` on it, before it is trusted.

use shared::{
    net::Connection,
    nexthop::Nexthop,
    outcome::Failure,
    smtp::client::Security,
    sysexits::Exit,
    tls::{ClientTls, Trust},
    trust::{PeerKey, Pin},
};

use super::{
    check::connect,
    terminal::{Trouble, complain, say},
};
use crate::config::settings::Settings;

/// Prints the pins of one host, or of each relayhost.
pub fn run(settings: &Settings, host: Option<Nexthop>) -> Result<Exit, Trouble> {
    let hosts = host.map_or_else(|| settings.relayhost.clone(), |host| vec![host]);
    if hosts.is_empty() {
        return Err(Trouble::new(
            Exit::Usage,
            "name a host: no relayhost is set",
        ));
    }
    let tls = ClientTls::new(&Trust::Opportunistic)
        .map_err(|error| Trouble::new(Exit::Software, error.0))?;
    let mut exit = Exit::Ok;
    for host in &hosts {
        let result = shown(settings, host, &tls);
        match result {
            Ok(connection) => {
                match connection.peer_key() {
                    Some(key) => tell(connection.relay(), key),
                    None => complain("sendmail-shim", format_args!("{host}: no key was shown")),
                }
                connection.quit();
            }
            Err(failure) => {
                complain(
                    "sendmail-shim",
                    format_args!("{host}: {}", failure.log_text()),
                );
                exit = Exit::Unavailable;
            }
        }
    }
    Ok(exit)
}

/// Connects with STARTTLS or wrapped TLS: the likelier one first.
fn shown(settings: &Settings, host: &Nexthop, tls: &ClientTls) -> Result<Connection, Failure> {
    let wrapped = match host.port {
        Some(port) => port == 465,
        None => settings.security == Security::Wrapped,
    };
    let [first, second] = if wrapped {
        [Security::Wrapped, Security::StartTls]
    } else {
        [Security::StartTls, Security::Wrapped]
    };
    let attempt = |security| {
        connect(
            &Settings {
                security,
                ..settings.clone()
            },
            host,
            Some(tls),
        )
    };
    attempt(first).or_else(|failure| attempt(second).map_err(|_| failure))
}

fn tell(relay: &str, key: &PeerKey) {
    let certificate = Pin::CertificateSha256(key.certificate_sha256);
    say(format_args!("# {relay}"));
    say(format_args!(
        "pins = [\"{}\"]    # its key, whatever certificate it has",
        key.pin()
    ));
    say(format_args!(
        "# or, only until the certificate is renewed: \"{certificate}\""
    ));
}
