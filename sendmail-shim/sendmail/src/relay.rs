//! The way to the relayhost, for the agent and for `sendmail` alone: what the settings say, for
//! [`relay::delivery`].

use mail::{outcome::Failure, status::EnhancedStatus};
use relay::{
    delivery::{Host, Way},
    net::names::Names,
    relayhost::{By, Relayhost, in_order},
    tls::ClientTls,
    token,
};
use settings::last_good::Fault;
use smtp::{
    client::{Protocol, Security, Settings as Smtp, Timeouts},
    sasl::{Credentials, Secret},
};
use system::secret;

use crate::config::{file::Auth, settings::Settings};

/// The name of the password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// The hosts of all relayhosts, in the order of this machine; one that cannot be found is left out
/// where another can.
pub fn way(settings: &Settings, names: &Names, tls: Option<&ClientTls>) -> Result<Way, Failure> {
    if settings.relayhost.is_empty() {
        return Err(nowhere(settings.fault.as_ref()));
    }
    let (mut all, mut lost) = (Vec::new(), None);
    for relayhost in ordered(settings) {
        match hosts(settings, names, relayhost) {
            Ok(found) => all.extend(found),
            Err(failure) => lost = Some(failure),
        }
    }
    if let Some(failure) = lost.filter(|_| all.is_empty()) {
        return Err(failure);
    }
    Ok(Way {
        hosts: all,
        security: settings.security,
        clear_text_is_as_good: tls.is_none_or(|tls| tls.clear_text_is_as_good),
    })
}

/// No relayhost is set, for this fault of the configuration or for none.
pub fn nowhere(fault: Option<&Fault>) -> Failure {
    match fault {
        Some(fault) => local(&fault.reason()),
        None => local("no relayhost is set in the configuration"),
    }
}

/// The relayhosts in the order of this machine.
pub fn ordered(settings: &Settings) -> Vec<&Relayhost> {
    let machine = settings.hostname.to_string();
    in_order(&settings.relayhost, settings.relay_order, &machine)
}

/// The hosts behind one relayhost. Blocks, where DNS names them.
pub fn hosts(
    settings: &Settings,
    names: &Names,
    relayhost: &Relayhost,
) -> Result<Vec<Host>, Failure> {
    let port = settings.default_port();
    if relayhost.by == By::Text {
        let port = relayhost.nexthop.port.unwrap_or(port);
        return Ok(vec![Host::named(relayhost.nexthop.host.clone(), port)]);
    }
    let wrapped = settings.security == Security::Wrapped;
    let records = names.records(relayhost, wrapped)?;
    Ok(relayhost.hosts(records, port, &settings.hostname.to_string()))
}

/// How the relayhosts are spoken to; the password is read anew, so that it can be changed at any
/// time. Blocks, where a token is fetched.
pub fn smtp(settings: &Settings, timeouts: Timeouts) -> Result<Smtp, Failure> {
    let credentials = match &settings.auth {
        Some(auth) => {
            Some(credentials(settings, auth).map_err(|why| local(&format!("auth: {why}")))?)
        }
        None => None,
    };
    Ok(Smtp {
        helo: settings.hostname.to_string(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts,
        known: None,
        credentials,
        enroll: None,
    })
}

fn credentials(settings: &Settings, auth: &Auth) -> Result<Credentials, String> {
    let password = match (&auth.token, &auth.password_file) {
        (Some(source), _) => return token::credentials(&auth.user, source),
        (None, Some(file)) => tables::secret::password(file, &settings.password_place())?,
        (None, None) => secret::credential(CREDENTIAL)?,
    };
    Ok(Credentials {
        user: auth.user.clone(),
        secret: Secret::Password(password),
    })
}

/// A fault of this machine.
pub fn local(text: &str) -> Failure {
    Failure::local(EnhancedStatus::new(4, 3, 5), text)
}
