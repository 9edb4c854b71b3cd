//! SMTP: the hosts behind a next hop, and what is shown to them.
//!
//! Contract: towards the relayhost its own trust and its password, towards everybody else what
//! `tls_policy` and `tls_out` say.
//! RFC 5321 §5.1.

use mail::{nexthop::Nexthop, outcome::Failure};
use relay::{
    delivery::{Host, Way},
    relayhost::{By, Relayhost, in_order},
    tls::ClientTls,
    token,
};
use smtp::{
    client::Security,
    sasl::{Credentials, Secret},
};
use system::secret;

use super::demands::Demands;
use crate::{
    config::Config,
    dns::{exchange, mx::Resolver},
    setup::Setup,
};

/// The name of the relayhost's password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// Where mail for a next hop can go; `demands`, of others than the relayhost, learn whether its
/// hosts are known for sure.
/// `named`: the administrator named it.
pub(super) async fn way(
    setup: &Setup,
    nexthop: &Nexthop,
    relayhost: bool,
    named: bool,
    demands: Option<&mut Demands>,
) -> Result<Way, Failure> {
    let config = &setup.config;
    let security = demands
        .as_ref()
        .map_or(config.relay_tls.security, |it| it.security());
    let hosts = if relayhost {
        all_relayhosts(config, &setup.resolver).await?
    } else {
        let port = nexthop.port.unwrap_or(25);
        let found = exchange::hosts(&setup.resolver, nexthop, &config.hostname).await;
        // A next hop of the administrator's that cannot be found is a fault of ours, never the
        // sender's.
        let (found, secure) =
            found.map_err(|failure| if named { failure.for_now() } else { failure })?;
        if let Some(demands) = demands {
            demands.hosts_are_secure = secure;
        }
        let host = |name| Host {
            named,
            ..Host::named(name, port)
        };
        found.into_iter().map(host).collect()
    };
    Ok(Way {
        hosts,
        security,
        clear_text_is_as_good: tls(setup, relayhost).clear_text_is_as_good,
    })
}

/// The hosts of all relayhosts, in the order of this server; one that cannot be found is left out
/// where another can.
async fn all_relayhosts(config: &Config, resolver: &Resolver) -> Result<Vec<Host>, Failure> {
    let machine = config.hostname.to_string();
    let (mut hosts, mut lost) = (Vec::new(), None);
    for relayhost in in_order(&config.relayhost, config.relay_order, &machine) {
        match relayhosts(config, resolver, relayhost).await {
            Ok(found) => hosts.extend(found),
            Err(failure) => lost = Some(failure),
        }
    }
    match lost {
        Some(failure) if hosts.is_empty() => Err(failure),
        _ => Ok(hosts),
    }
}

/// The hosts behind one relayhost, in the order of this server.
pub(crate) async fn relayhosts(
    config: &Config,
    resolver: &Resolver,
    relayhost: &Relayhost,
) -> Result<Vec<Host>, Failure> {
    let wrapped = config.relay_tls.security == Security::Wrapped;
    let port = if wrapped { 465 } else { 25 };
    let own = config.hostname.to_string();
    if relayhost.by == By::Srv {
        let records = resolver.srv(&relayhost.service(wrapped)).await?;
        return Ok(relayhost.hosts(records, port, &own));
    }
    let port = relayhost.nexthop.port.unwrap_or(port);
    let found = exchange::hosts(resolver, &relayhost.nexthop, &own).await;
    let (names, _) = found.map_err(Failure::for_now)?;
    Ok(names
        .into_iter()
        .map(|name| Host::named(name, port))
        .collect())
}

/// Whom to believe, where a host itself says no more.
pub(super) fn tls(setup: &Setup, relayhost: bool) -> &ClientTls {
    if relayhost {
        &setup.relay_tls
    } else {
        setup.trusts.anybody()
    }
}

/// For the relayhost; the password is read anew, so that it can be changed at any time. Blocks,
/// where a token is fetched.
pub(crate) fn credentials(config: &Config) -> Result<Option<Credentials>, Failure> {
    let Some(auth) = &config.relay_auth else {
        return Ok(None);
    };
    let wrong = |why: String| Failure::ours(&format!("relay_auth: {why}"));
    if let Some(source) = &auth.token {
        let credentials = token::credentials(&auth.user, source);
        return credentials.map(Some).map_err(wrong);
    }
    let password = match config.password_file() {
        Some((file, copies)) => tables::secret::password(file, &copies),
        None => secret::credential(CREDENTIAL),
    };
    Ok(Some(Credentials {
        user: auth.user.clone(),
        secret: Secret::Password(password.map_err(wrong)?),
    }))
}
