//! SMTP: the hosts behind a next hop, and what is shown to them.
//!
//! Contract: towards the relayhost its own trust and its password, towards everybody else what `tls_out` says.
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

use crate::{
    config::{Config, TlsLevel},
    dns::exchange,
    setup::Setup,
};

/// The name of the relayhost's password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// Where mail for a next hop can go, and whether its hosts are known for sure. `named`: the administrator named it.
pub(super) async fn way(
    setup: &Setup,
    nexthop: &Nexthop,
    relayhost: bool,
    named: bool,
) -> Result<(Way, bool), Failure> {
    let config = &setup.config;
    let security = if relayhost {
        config.relay_tls.security
    } else {
        match config.tls_out.level {
            TlsLevel::None => Security::None,
            TlsLevel::Opportunistic | TlsLevel::Dane => Security::Opportunistic,
            TlsLevel::StartTls | TlsLevel::Verify | TlsLevel::DaneOnly => Security::StartTls,
        }
    };
    let wrapped = security == Security::Wrapped;
    let port = nexthop.port.unwrap_or(if wrapped { 465 } else { 25 });
    let found = exchange::hosts(&setup.resolver, nexthop, &config.hostname).await;
    // A next hop of the administrator's that cannot be found is a fault of ours, never the sender's.
    let (found, secure) =
        found.map_err(|failure| if named { failure.for_now() } else { failure })?;
    let hosts = found.into_iter().map(|name| Host { name, port, named });
    let way = Way {
        hosts: hosts.collect(),
        security,
        clear_text_is_as_good: tls(setup, relayhost).clear_text_is_as_good,
    };
    Ok((way, secure))
}

/// Whom to believe, where a host itself says no more.
pub(super) fn tls(setup: &Setup, relayhost: bool) -> &ClientTls {
    if relayhost {
        &setup.relay_tls
    } else {
        setup.trusts.anybody()
    }
}

/// For the relayhost; the password is read anew, so that it can be changed at any time. Blocks, where a token is fetched.
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
