//! `sendmail-shim check`: everything between a program and the relayhost, tried one by one. Sends no mail.
//!
//! Exit status, for monitoring: 0 all good, 69 the agent or no relayhost can be used, 78 the configuration cannot work.

use std::{net::ToSocketAddrs as _, os::unix::net::UnixStream, time::Duration};

use shared::{
    net::{Connection, Target},
    nexthop::Nexthop,
    outcome::Failure,
    smtp::client::{Protocol, Settings as Smtp, Timeouts},
    sysexits::Exit,
    tls::ClientTls,
};

use super::terminal::say;
use crate::config::settings::Settings;

const CONNECT: Duration = Duration::from_secs(10);
const REPLY: Duration = Duration::from_secs(20);

/// Tries everything and tells.
pub fn run(settings: &Settings) -> Exit {
    for file in &settings.files {
        say(format_args!("ok    configuration {}", file.display()));
    }
    if settings.files.is_empty() {
        say("ok    no configuration file: defaults");
    }
    settings
        .warnings()
        .iter()
        .for_each(|warning| say(format_args!("warn  {warning}")));
    say(format_args!(
        "ok    this machine is {}, names get @{}",
        settings.hostname, settings.domain
    ));
    let agent = agent(settings);
    let tls = match settings.client_tls() {
        Ok(tls) => tls,
        Err(error) => {
            say(format_args!("FAIL  tls: {}", error.0));
            return Exit::Config;
        }
    };
    if settings.relayhost.is_empty() {
        return Exit::Config;
    }
    let reached = settings
        .relayhost
        .iter()
        .filter(|nexthop| relayhost(settings, nexthop, tls.as_ref()))
        .count();
    if agent && reached > 0 {
        Exit::Ok
    } else {
        Exit::Unavailable
    }
}

fn agent(settings: &Settings) -> bool {
    let socket = settings.socket.display();
    match UnixStream::connect(&settings.socket) {
        Ok(_) => {
            say(format_args!("ok    the agent listens on {socket}"));
            true
        }
        Err(error) => {
            say(format_args!(
                "FAIL  no agent on {socket}: {error}; start it: systemctl start sendmail-shim.socket"
            ));
            false
        }
    }
}

fn relayhost(settings: &Settings, nexthop: &Nexthop, tls: Option<&ClientTls>) -> bool {
    let port = nexthop.port.unwrap_or_else(|| settings.default_port());
    match (nexthop.host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.map(|address| address.ip().to_string()).collect();
            say(format_args!("ok    {nexthop} is {}", addresses.join(", ")));
        }
        Err(error) => {
            say(format_args!(
                "FAIL  {nexthop} has no address: {error}; check relayhost and the name server"
            ));
            return false;
        }
    }
    match connect(settings, nexthop, tls) {
        Ok(connection) => {
            let session = connection.tls_summary().unwrap_or("no TLS").to_owned();
            let pin = connection
                .peer_key()
                .map_or_else(String::new, |key| format!(", key {}", key.pin()));
            say(format_args!(
                "ok    {} answers: {session}{pin}",
                connection.relay()
            ));
            connection.quit();
            true
        }
        Err(failure) => {
            say(format_args!("FAIL  {nexthop}: {}", failure.log_text()));
            false
        }
    }
}

/// A connection that is greeted, and made secure as the settings ask.
pub(super) fn connect(
    settings: &Settings,
    nexthop: &Nexthop,
    tls: Option<&ClientTls>,
) -> Result<Connection, Failure> {
    let smtp = Smtp {
        helo: settings.hostname.clone(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts: Timeouts {
            reply: REPLY,
            ..Timeouts::default()
        },
        known: None,
    };
    Connection::open(
        &Target::Tcp {
            nexthop,
            default_port: settings.default_port(),
            tls,
        },
        &smtp,
        CONNECT,
    )
}
