//! Whether the hosts to which routes, transports and `lmtp` lead are found, and whether anybody
//! listens there; nothing is said to them.
//!
//! Contract: all at once, and no longer than [`PATIENCE`] together, however many there are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use control::findings::Findings;
use mail::{nexthop::Nexthop, outcome::Failure};
use relay::delivery::{Found, Host, Locality, Place};
use tokio::{net::TcpStream, task::JoinSet, time};

use super::{
    reach::{ITSELF, PATIENCE, on_runtime, places},
    transports::{self, Hop},
};
use crate::{
    config::Config,
    destination::Kind,
    dns::{exchange, mx::Resolver},
};

/// A host that is alive takes a connection sooner.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses of a next hop that are tried.
const MOST: usize = 4;

/// What has become of one.
enum Reached {
    /// Somebody listens there.
    Yes,
    /// It is this very daemon.
    Itself,
    /// Its name leads nowhere.
    Unknown(Failure),
    /// Nobody listens at any of its addresses.
    Nobody(String),
    /// Not known in time.
    Late,
}

/// Tries all of them, and tells of those where mail would not arrive.
pub(super) fn check(config: &Config, routed: &[(String, Kind)], findings: &mut Findings) {
    let hops = transports::nexthops(config, routed);
    if hops.is_empty() {
        return;
    }
    let Ok(reached) = on_runtime(all(config, &hops)) else {
        return;
    };
    for (hop, reached) in hops.iter().zip(reached) {
        tell(config, hop, reached, findings);
    }
}

/// In their order.
async fn all(config: &Config, hops: &[Hop]) -> Vec<Reached> {
    let config = Arc::new(config.clone());
    let resolver = Arc::new(Resolver::new(config.resolver));
    let mut tasks = JoinSet::new();
    for (index, hop) in hops.iter().enumerate() {
        let (config, resolver) = (Arc::clone(&config), Arc::clone(&resolver));
        let (nexthop, port) = (hop.nexthop.clone(), hop.port);
        tasks.spawn(async move { (index, reached(&config, &resolver, &nexthop, port).await) });
    }
    let mut found: Vec<_> = hops.iter().map(|_| Reached::Late).collect();
    let finish = async {
        while let Some(done) = tasks.join_next().await {
            if let Ok((index, reached)) = done
                && let Some(place) = found.get_mut(index)
            {
                *place = reached;
            }
        }
    };
    // What is not done by then stays late.
    let _ = time::timeout(PATIENCE, finish).await;
    found
}

async fn reached(config: &Config, resolver: &Resolver, nexthop: &Nexthop, port: u16) -> Reached {
    let found = match next_hop(config, resolver, nexthop, port).await {
        Ok(found) => found,
        Err(why) => return Reached::Unknown(why),
    };
    if found
        .places
        .iter()
        .any(|(_, locality)| *locality == Locality::Itself)
    {
        return Reached::Itself;
    }
    let mut last = "it has no address".to_owned();
    for (place, _) in found.places.into_iter().take(MOST) {
        let Place::Tcp(address) = place else { continue };
        match listens(address).await {
            Ok(()) => return Reached::Yes,
            Err(why) => last = why,
        }
    }
    Reached::Nobody(last)
}

async fn listens(address: SocketAddr) -> Result<(), String> {
    match time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no answer in {} s", CONNECT.as_secs())),
    }
}

/// Where a host of a route is, by its address or, without brackets, by its MX.
async fn next_hop(
    config: &Config,
    resolver: &Resolver,
    nexthop: &Nexthop,
    port: u16,
) -> Result<Found, Failure> {
    let (names, _) = exchange::hosts(resolver, nexthop, &config.hostname).await?;
    let name = names.into_iter().next().unwrap_or_default();
    places(config, resolver, &Host::named(name, port)).await
}

fn tell(config: &Config, hop: &Hop, reached: Reached, findings: &mut Findings) {
    let (subject, nexthop) = (hop.setting, &hop.nexthop);
    let what = |why: &str| format!("{}: {nexthop}{why}", hop.place(config));
    match reached {
        Reached::Yes => {}
        Reached::Itself => {
            let what = what(&format!(" is {ITSELF}"));
            findings.fail(subject, what, "name another host, or leave the route out");
        }
        // A word without a dot is more likely a transport than a host.
        Reached::Unknown(why) if !nexthop.host.contains(['.', ':']) => {
            let remedy = transports::known(config, &nexthop.host);
            findings.fail(
                subject,
                what(&format!(" is no host: {}", why.text)),
                &remedy,
            );
        }
        Reached::Unknown(why) => {
            let (remedy, what) = (
                "mail for it waits until its host is found",
                what(&format!(": {}", why.text)),
            );
            // It may be the name server that fails.
            if why.status.class() == 5 {
                findings.fail(subject, what, remedy);
            } else {
                findings.warn(subject, what, remedy);
            }
        }
        Reached::Nobody(why) => {
            let what = what(&format!(": nothing listens there: {why}"));
            let remedy = "mail for it waits until then: is the server running, is the port right, \
                 does a firewall block it?";
            if hop.is_lmtp {
                findings.fail(subject, what, remedy);
            } else {
                findings.warn(subject, what, remedy);
            }
        }
        Reached::Late => {
            let what = what(&format!(": not found within {} s", PATIENCE.as_secs()));
            findings.warn(subject, what, "does the name server answer?");
        }
    }
}
