//! `sendmail-shim pin`: which key a relayhost presents, as a line for the configuration (row B16).
//!
//! Contract: what is printed is what the network shows: compare it with what the relayhost's
//! administrator tells, or with `smarthost pin` on it, before it is trusted. Any TLS server can be
//! asked, and nobody is sent mail.

use std::time::Duration;

use ::relay::{
    delivery::Host,
    net::{Presented, names::Names, presented},
    relayhost::{By, Relayhost},
    trust::Pin,
};
use clap::Args;
use mail::{nexthop::Nexthop, outcome::Failure};
use smtp::client::Security;
use system::sysexits::Exit;

use crate::terminal::{CommandError, complain, say};
use crate::{config::settings::Settings, relay};

/// A server that waits for our first byte of TLS says nothing; so long is its greeting waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// `pin …`
#[derive(Debug, Args)]
pub struct Options {
    /// HOST or HOST:PORT; by default each relayhost of the configuration.
    #[arg(value_parser = Nexthop::parse)]
    pub host: Option<Nexthop>,
    /// TLS from the first byte. Without this and --starttls, both are tried, the likelier one
    /// first.
    #[arg(long, conflicts_with = "starttls")]
    pub wrapped: bool,
    /// STARTTLS only.
    #[arg(long)]
    pub starttls: bool,
    /// For scripts: one line per host, with its pin, starttls or wrapped, and what else it shows.
    #[arg(long)]
    pub brief: bool,
}

/// Prints the pins of one host, or of each relayhost.
pub fn run(settings: &Settings, options: &Options) -> Result<Exit, CommandError> {
    let given = options.host.clone();
    let hosts = match given {
        Some(host) => vec![host],
        None => configured(settings).map_err(|why| CommandError::new(Exit::Unavailable, why))?,
    };
    if hosts.is_empty() {
        return Err(CommandError::new(
            Exit::Usage,
            "name a host: no relayhost is set",
        ));
    }
    let mut exit = Exit::Ok;
    for host in &hosts {
        match shown(settings, options, host) {
            Ok((wrapped, shown)) if options.brief => say(line(wrapped, &shown)),
            Ok((wrapped, shown)) => text(settings, host, wrapped, &shown).iter().for_each(say),
            Err(failure) => {
                let text = failure.log_text();
                let why = if text.contains(&host.host) {
                    text
                } else {
                    format!("{host}: {text}")
                };
                complain("sendmail-shim", why);
                exit = Exit::Unavailable;
            }
        }
    }
    Ok(exit)
}

/// The hosts of the configuration; those that DNS names as it does now.
fn configured(settings: &Settings) -> Result<Vec<Nexthop>, String> {
    let names = Names::new(settings.resolver);
    let all = settings.relayhost.iter();
    let all = all.map(|relayhost| found(settings, &names, relayhost));
    Ok(all.collect::<Result<Vec<_>, _>>()?.concat())
}

fn found(
    settings: &Settings,
    names: &Names,
    relayhost: &Relayhost,
) -> Result<Vec<Nexthop>, String> {
    if relayhost.by == By::Text {
        return Ok(vec![relayhost.nexthop.clone()]);
    }
    let found = relay::hosts(settings, names, relayhost);
    let found = found.map_err(|failure| format!("{relayhost}: {}", failure.log_text()))?;
    let nexthop = |host: Host| Nexthop {
        host: host.name,
        port: Some(host.port),
        mx: false,
    };
    Ok(found.into_iter().map(nexthop).collect())
}

/// Asks with STARTTLS or wrapped TLS, and tells which it was.
fn shown(
    settings: &Settings,
    options: &Options,
    host: &Nexthop,
) -> Result<(bool, Presented), Failure> {
    let likely = match (options.wrapped, options.starttls, host.port) {
        (true, ..) => true,
        (_, true, _) => false,
        (.., Some(port)) => port == 465,
        _ => settings.security == Security::Wrapped,
    };
    let attempt = |wrapped| {
        let port = host.port.unwrap_or(if wrapped { 465 } else { 25 });
        presented(host, port, wrapped, &settings.hostname, PATIENCE).map(|shown| (wrapped, shown))
    };
    let first = attempt(likely);
    if options.wrapped || options.starttls {
        return first;
    }
    first.or_else(|failure| attempt(!likely).map_err(|_| failure))
}

/// What a host shows: its pin, how TLS begins there, and all of it in a line.
pub(super) fn ask(
    settings: &Settings,
    relayhost: &Relayhost,
) -> Result<(String, &'static str, String), String> {
    let hosts = found(settings, &Names::new(settings.resolver), relayhost)?;
    let host = hosts.first().ok_or("it has no host")?;
    let either = Options {
        host: None,
        wrapped: false,
        starttls: false,
        brief: true,
    };
    let (wrapped, shown) = shown(settings, &either, host).map_err(|failure| failure.log_text())?;
    let pin = shown.key.pin().to_string();
    Ok((pin, security(wrapped), line(wrapped, &shown)))
}

fn security(wrapped: bool) -> &'static str {
    if wrapped { "wrapped" } else { "starttls" }
}

fn line(wrapped: bool, shown: &Presented) -> String {
    let valid = shown.key.validity.map_or_else(String::new, |validity| {
        let (from, until) = (validity.from.rfc3339(), validity.until.rfc3339());
        format!(", its certificate says: from {from} until {until}")
    });
    let (pin, security) = (shown.key.pin(), security(wrapped));
    format!("{pin} {security} {}, {}{valid}", shown.relay, shown.session)
}

fn text(settings: &Settings, host: &Nexthop, wrapped: bool, shown: &Presented) -> Vec<String> {
    let key = &shown.key;
    let security = security(wrapped);
    let mut lines = vec![format!("# {}, {}", shown.relay, shown.session)];
    if let Some(validity) = key.validity {
        lines.push(format!(
            "# its certificate says: from {} until {}",
            validity.from.rfc3339(),
            validity.until.rfc3339()
        ));
    }
    let is_ours = settings
        .relayhost
        .iter()
        .any(|it| it.by != By::Text || it.nexthop == *host);
    if !settings.pins.is_empty() && is_ours {
        let position = settings.pins.iter().position(|pin| pin.matches(key));
        lines.push(match position {
            Some(index) => format!(
                "# number {} of {} in pins of the configuration",
                index.saturating_add(1),
                settings.pins.len()
            ),
            None => "# NOT in pins of the configuration: mail waits until it is, or the relayhost has its old key again"
                .to_owned(),
        });
    }
    let certificate = Pin::CertificateSha256(key.certificate_sha256);
    lines.extend([
        "# compare with what the relayhost's administrator says (on a smarthost: smarthost pin) before you paste:".to_owned(),
        format!("tls = \"{security}\""),
        format!("pins = [\"{}\"]    # its key, whatever certificate it has; add the next key before it changes", key.pin()),
        format!("# only until the certificate is renewed: \"{certificate}\""),
    ]);
    lines
}

#[cfg(test)]
mod tests {
    use ::relay::trust::PeerKey;

    use super::*;

    #[test]
    fn what_is_printed_can_be_pasted_and_a_key_that_is_not_pinned_is_told() {
        let key = |byte| PeerKey {
            key_sha256: [byte; 32],
            key_sha1: [byte; 20],
            certificate_sha256: [byte; 32],
            validity: None,
        };
        let shown = |byte| Presented {
            relay: "relay.example[192.0.2.1]:465".into(),
            key: key(byte),
            session: "TLSv1.3".into(),
        };
        let config = format!(
            "relayhost = \"relay.example\"\ntls = \"wrapped\"\npins = [\"{}\"]\n",
            key(1).pin()
        );
        let brief = line(true, &shown(1));
        let expected = format!(
            "{} wrapped relay.example[192.0.2.1]:465, TLSv1.3",
            key(1).pin()
        );
        assert_eq!(brief, expected);
        let settings = Settings::parse(None, &config).unwrap();
        let host = Nexthop::parse("relay.example").unwrap();
        let same = text(&settings, &host, true, &shown(1)).join("\n");
        assert!(same.contains("number 1 of 1"), "{same}");
        let other = text(&settings, &host, true, &shown(2)).join("\n");
        assert!(other.contains("NOT in pins"), "{other}");
        let pasted = Settings::parse(None, &format!("relayhost = \"relay.example\"\n{other}"));
        let pasted = pasted.unwrap();
        assert_eq!(pasted.pins, [key(2).pin()]);
        assert_eq!(pasted.security, Security::Wrapped);
    }
}
