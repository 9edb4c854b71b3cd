//! Whether the relayhosts are found and reached; nothing is sent there.

use std::time::Duration;

use control::findings::{Findings, Level};
use mail::outcome::Failure;
use relay::{
    delivery::{Found, Host, Locality, Place, with_remedy},
    net::{Connection, Target},
    relayhost::Relayhost,
    tls::ClientTls,
};
use smtp::client::{Protocol, Settings as Smtp, Timeouts};

use crate::{
    config::Config,
    dns::{exchange, mx::Resolver},
    setup::Setup,
    transport,
};

/// A host that is alive answers sooner.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// As the configuration says it of what its text alone tells.
pub(super) const ITSELF: &str = "this machine itself: mail would go in circles";

/// The hosts to which all mail goes.
pub(super) fn relayhost(config: &Config, findings: &mut Findings) {
    if config.relayhost.is_empty() {
        return;
    }
    let mut ways = Findings::default();
    let ready = ready(config);
    for relayhost in &config.relayhost {
        let reached = match &ready {
            Ok((tls, smtp)) => reached(config, relayhost, tls, smtp),
            Err(why) => Err(why.clone()),
        };
        match reached {
            Ok((found, None)) => ways.ok("relayhost", format!("{relayhost}: {found}")),
            Ok((found, Some(why))) => ways.warn(
                "relayhost",
                format!("{relayhost}: {found}, because its STARTTLS does not work: {why}"),
                "mail goes there in clear text; ask its administrator, or demand TLS: relay_tls = { level = \"starttls\" }",
            ),
            Err(why) => ways.fail(
                "relayhost",
                format!("{relayhost}: {why}"),
                "mail goes to another relayhost, if there is one; otherwise it waits in the queue \
                 until this one can be reached",
            ),
        }
    }
    if ways.0.iter().any(|way| way.level < Level::Critical) {
        ways.soften();
    }
    findings.0.append(&mut ways.0);
}

/// What all of them are spoken to with.
fn ready(config: &Config) -> Result<(ClientTls, Smtp), String> {
    let tls = Setup::of_relay(config).map_err(|error| format!("{error:#}"))?;
    let smtp = Smtp {
        helo: config.hostname.to_string(),
        protocol: Protocol::Smtp,
        security: config.relay_tls.security,
        timeouts: Timeouts {
            opening: PATIENCE,
            reply: PATIENCE,
            ..Timeouts::default()
        },
        known: None,
        credentials: transport::credentials(config).map_err(told)?,
        enroll: None,
    };
    Ok((tls, smtp))
}

fn told(failure: Failure) -> String {
    with_remedy(failure, true).log_text()
}

/// Connects, encrypts, and names itself there; sends nothing, so that nothing is counted.
/// Where TLS was tried and clear text came of it, with why.
fn reached(
    config: &Config,
    relayhost: &Relayhost,
    tls: &ClientTls,
    smtp: &Smtp,
) -> Result<(String, Option<String>), String> {
    // What asks name servers lives no longer than what waits for it.
    let resolver = || Resolver::new(config.resolver);
    let hosts = waiting(async { transport::relayhosts(config, &resolver(), relayhost).await })?;
    let mut last = String::from("it has no host to ask");
    for host in hosts.map_err(told)? {
        let found = match waiting(async { places(config, &resolver(), &host).await })? {
            Ok(found) => found,
            Err(failure) => {
                last = told(failure);
                continue;
            }
        };
        for (place, locality) in found.places {
            let Place::Tcp(address) = place else {
                continue;
            };
            if locality == Locality::Itself {
                return Err(format!("{address} is {ITSELF}"));
            }
            let target = Target::tcp(&host.name, address, Some(tls));
            match Connection::open_or_clear(&target, smtp, PATIENCE) {
                Ok((connection, without)) => {
                    let tls = connection.tls_summary().unwrap_or("no TLS");
                    let answered = format!("{} answers, {tls}", connection.relay());
                    let refused = connection.has_refused_tls(smtp.security);
                    let refused = refused.then(|| "it is refused".to_owned());
                    connection.quit();
                    return Ok((answered, without.map(told).or(refused)));
                }
                Err(failure) => last = told(failure),
            }
        }
    }
    Err(last)
}

/// The addresses of a host, as the daemon finds them.
pub(super) async fn places(
    config: &Config,
    resolver: &Resolver,
    host: &Host,
) -> Result<Found, Failure> {
    let mut found = Found::from(exchange::places(resolver, host, &config.hostname).await?);
    exchange::mark_own_listeners(&mut found, host, config);
    Ok(found)
}

/// Waits a while for name servers.
pub(super) fn waiting<T>(asked: impl Future<Output = T>) -> Result<T, String> {
    let answered = on_runtime(async { tokio::time::timeout(PATIENCE, asked).await })?;
    answered.map_err(|_| "no name server answers".to_owned())
}

/// Work of one command. Name lookups may still hang in the system's resolver then: nobody waits
/// for them.
pub(super) fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}
