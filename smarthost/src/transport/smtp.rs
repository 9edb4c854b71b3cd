//! SMTP: the hosts behind a next hop, and what is shown to them.
//!
//! Contract: towards the relayhost its own trust and its password, towards everybody else what
//! `tls_policy` and `tls_out` say.
//! RFC 5321 §5.1.

use mail::{nexthop::Nexthop, outcome::Failure};
use relay::{
    delivery::{Host, Way},
    tls::ClientTls,
    token,
};
use smtp::{
    client::Security,
    sasl::{Credentials, Secret},
};
use system::secret;

use super::demands::Demands;
use crate::{config::Config, dns::exchange, setup::Setup};

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
    let wrapped = security == Security::Wrapped;
    let port = nexthop.port.unwrap_or(if wrapped { 465 } else { 25 });
    let found = exchange::hosts(&setup.resolver, nexthop, &config.hostname).await;
    // A next hop of the administrator's that cannot be found is a fault of ours, never the
    // sender's.
    let (found, secure) =
        found.map_err(|failure| if named { failure.for_now() } else { failure })?;
    let hosts = found.into_iter().map(|name| Host { name, port, named });
    if let Some(demands) = demands {
        demands.hosts_are_secure = secure;
    }
    Ok(Way {
        hosts: hosts.collect(),
        security,
        clear_text_is_as_good: tls(setup, relayhost).clear_text_is_as_good,
    })
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
    let password = match &auth.password_file {
        Some(file) => secret::password(file),
        None => secret::credential(CREDENTIAL),
    };
    Ok(Some(Credentials {
        user: auth.user.clone(),
        secret: Secret::Password(password.map_err(wrong)?),
    }))
}
