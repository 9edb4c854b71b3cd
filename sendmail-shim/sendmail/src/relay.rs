//! The way to the relayhost, for the agent and for `sendmail` alone: what the settings say, for
//! [`relay::delivery`].

use mail::{nexthop::Nexthop, outcome::Failure, status::EnhancedStatus};
use relay::{
    delivery::{Host, Way},
    tls::ClientTls,
    token,
};
use smtp::{
    client::{Protocol, Settings as Smtp, Timeouts},
    sasl::{Credentials, Secret},
};
use system::secret;

use crate::config::{file::Auth, settings::Settings};

/// The name of the password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// The relayhosts in order.
pub fn way(settings: &Settings, tls: Option<&ClientTls>) -> Result<Way, Failure> {
    if settings.relayhost.is_empty() {
        return Err(match &settings.fault {
            Some(fault) => local(&fault.reason()),
            None => local("no relayhost is set in the configuration"),
        });
    }
    let host = |nexthop: &Nexthop| Host {
        name: nexthop.host.clone(),
        port: nexthop.port.unwrap_or_else(|| settings.default_port()),
        named: true,
    };
    Ok(Way {
        hosts: settings.relayhost.iter().map(host).collect(),
        security: settings.security,
        clear_text_is_as_good: tls.is_none_or(|tls| tls.clear_text_is_as_good),
    })
}

/// How the relayhosts are spoken to; the password is read anew, so that it can be changed at any
/// time. Blocks, where a token is fetched.
pub fn smtp(settings: &Settings, timeouts: Timeouts) -> Result<Smtp, Failure> {
    let credentials = match &settings.auth {
        Some(auth) => Some(credentials(auth).map_err(|why| local(&format!("auth: {why}")))?),
        None => None,
    };
    Ok(Smtp {
        helo: settings.hostname.to_string(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts,
        known: None,
        credentials,
    })
}

fn credentials(auth: &Auth) -> Result<Credentials, String> {
    let password = match (&auth.token, &auth.password_file) {
        (Some(source), _) => return token::credentials(&auth.user, source),
        (None, Some(file)) => secret::password(file)?,
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
