//! `sendmail-shim pin`: which key a relayhost presents, as a line for the configuration (row B16).
//!
//! Contract: what is printed is what the network shows: compare it with what the relayhost's administrator tells, or with
//! `smarthost pin` on it, before it is trusted.

use shared::{
    nexthop::Nexthop,
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
        let mut asked = settings.clone();
        asked.security = match (host.port, settings.security) {
            (Some(465), _) | (None, Security::Wrapped) => Security::Wrapped,
            _ => Security::StartTls,
        };
        let mut result = connect(&asked, host, Some(&tls));
        if result.is_err() && settings.security == Security::Wrapped {
            asked.security = Security::Wrapped;
            result = connect(&asked, host, Some(&tls));
        }
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
