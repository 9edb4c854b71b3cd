//! From a next hop to the hosts to try, in order.
//!
//! Contract: brackets or an address skip MX (row D1); MX hosts come by preference, equal ones
//! shuffled; this host and all that are not better than it are left out, so that no message
//! circles.
//! Failures: temporary, unless the name servers say for sure that the domain or its hosts do not
//! exist, takes no mail, or is us.
//! RFC 5321 §5.1, RFC 7505 §4.2.

use std::{
    fs::File,
    io::Read as _,
    net::{IpAddr, SocketAddr},
};

use mail::{
    address::domain::ends_in_number,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use relay::delivery::{self, Found, Host, Locality, Place};

use super::mx::{Answer, Mx, Resolver};
use crate::config::Config;

/// The hosts to try for a next hop, and whether DNSSEC, or the administrator, says that they are
/// its hosts; `own` is this host's name.
pub(crate) async fn hosts(
    resolver: &Resolver,
    nexthop: &Nexthop,
    own: &str,
) -> Result<(Vec<String>, bool), Failure> {
    let is_address = nexthop.host.parse::<IpAddr>().is_ok();
    if !nexthop.mx || is_address {
        return Ok((vec![nexthop.host.clone()], true));
    }
    if ends_in_number(&nexthop.host) {
        return Err(no_name(&nexthop.host));
    }
    let (answer, secure) = resolver.mx_with_proof(&nexthop.host).await;
    let answered = !matches!(answer, Answer::Failed(_));
    resolver.lookups.count(answered);
    if answer == Answer::NoDomain
        && tokio::net::lookup_host((nexthop.host.as_str(), 25))
            .await
            .is_ok_and(|mut found| found.next().is_some())
    {
        // The hosts file, or another source of the system, knows what DNS does not (row C3).
        return Ok((vec![nexthop.host.clone()], false));
    }
    let ordered = order(answer, &nexthop.host, own, random)?;
    Ok((ordered, secure))
}

/// The same from an answer; `random` orders hosts of equal preference.
pub fn order(
    answer: Answer,
    domain: &str,
    own: &str,
    mut random: impl FnMut() -> u32,
) -> Result<Vec<String>, Failure> {
    let refuse =
        |status, text: String| Err(Failure::new(Blame::Network, Stage::Lookup, status, &text));
    let found = match answer {
        Answer::Found(found) => found,
        Answer::NoMx if domain.eq_ignore_ascii_case(own) => {
            return refuse(EnhancedStatus::new(5, 4, 6), loops(domain));
        }
        Answer::NoMx => return Ok(vec![domain.to_owned()]),
        Answer::NullMx => {
            return refuse(
                EnhancedStatus::new(5, 1, 10),
                format!("Domain {domain} does not accept mail (nullMX)"),
            );
        }
        Answer::NoDomain => {
            let text = format!(
                "Host or domain name not found. Name service error for name={domain} type=MX: Host not found"
            );
            return refuse(EnhancedStatus::new(5, 4, 4), text);
        }
        Answer::Failed(why) => {
            let text = format!(
                "Host or domain name not found. Name service error for name={domain} type=MX: {why}, try again"
            );
            return refuse(EnhancedStatus::new(4, 4, 3), text);
        }
    };
    let own_preference = found
        .iter()
        .filter(|mx| mx.host.eq_ignore_ascii_case(own))
        .map(|mx| mx.preference)
        .min();
    let mut better: Vec<(u16, u32, Mx)> = found
        .into_iter()
        .filter(|mx| own_preference.is_none_or(|own| mx.preference < own))
        .map(|mx| (mx.preference, random(), mx))
        .collect();
    better.sort();
    if better.is_empty() {
        return refuse(EnhancedStatus::new(5, 4, 6), loops(domain));
    }
    Ok(better.into_iter().map(|(_, _, mx)| mx.host).collect())
}

/// The addresses of a host in the system resolver's order, the hosts file first, each with where it
/// leads; if the system knows none, those that our own name server has.
///
/// "There is none" is only said when name servers say so for both kinds of addresses.
pub(crate) async fn places(
    resolver: &Resolver,
    host: &Host,
    own: &str,
) -> Result<Vec<(Place, Locality)>, Failure> {
    if ends_in_number(&host.name) && host.name.parse::<IpAddr>().is_err() {
        return Err(no_name(&host.name));
    }
    let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await;
    let found: Vec<SocketAddr> = found
        .map(|found| found.take(delivery::MOST_ADDRESSES).collect())
        .unwrap_or_default();
    if found.is_empty() {
        return match resolver.host(&host.name).await {
            Ok(asked) if !asked.addresses.is_empty() => Ok(known(host, &asked.addresses)),
            Ok(_) => Err(not_found(
                &host.name,
                EnhancedStatus::new(5, 4, 4),
                "Host not found",
            )),
            Err(why) => Err(not_found(&host.name, EnhancedStatus::new(4, 4, 3), &why)),
        };
    }
    let mut places = leading(found);
    let back = places
        .iter()
        .any(|(_, locality)| *locality != Locality::Elsewhere);
    if back && !host.name.eq_ignore_ascii_case(own) && hosts_file_names(&host.name) {
        for (_, locality) in &mut places {
            *locality = Locality::Elsewhere;
        }
    }
    Ok(places)
}

/// The same of addresses that are known already.
pub(crate) fn known(host: &Host, addresses: &[IpAddr]) -> Vec<(Place, Locality)> {
    let found = addresses.iter().take(delivery::MOST_ADDRESSES);
    leading(found.map(|ip| SocketAddr::new(*ip, host.port)).collect())
}

/// Marks those at which this very daemon takes mail, whoever named them.
pub(crate) fn mark_own_listeners(found: &mut Found, host: &Host, config: &Config) {
    let named = config.listens_as(&host.name, host.port);
    for (place, locality) in &mut found.places {
        if let Place::Tcp(address) = place
            && (named
                || config.listens_at(*address, delivery::locality(address.ip(), delivery::is_own)))
        {
            *locality = Locality::Itself;
        }
    }
}

fn leading(found: Vec<SocketAddr>) -> Vec<(Place, Locality)> {
    let found = found.into_iter().map(|address| {
        let locality = delivery::locality(address.ip(), delivery::is_own);
        (Place::Tcp(address), locality)
    });
    found.collect()
}

/// The system's resolver would take it for an address, which nobody has written as one.
fn no_name(host: &str) -> Failure {
    let text = format!("{host} is no domain name: it ends in a number");
    let status = EnhancedStatus::new(5, 1, 2);
    Failure::new(Blame::Network, Stage::Lookup, status, &text)
}

fn not_found(host: &str, status: EnhancedStatus, why: &str) -> Failure {
    let text = format!("Host or domain name not found. Name service error for name={host}: {why}");
    Failure::new(Blame::Network, Stage::Lookup, status, &text)
}

/// Whether the administrator names a host in the hosts file (row C3). Names of this machine's
/// loopback that every system has do not count.
pub(crate) fn hosts_file_names(host: &str) -> bool {
    /// Bytes of it that are read.
    const MOST: u64 = 4 * 1024 * 1024;
    let lower = host.to_ascii_lowercase();
    if lower.starts_with("localhost") || lower.ends_with(".localhost") || lower.starts_with("ip6-")
    {
        return false;
    }
    let mut text = String::new();
    let read = File::open("/etc/hosts").and_then(|file| file.take(MOST).read_to_string(&mut text));
    let names = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1);
        names.any(|name| name.eq_ignore_ascii_case(host))
    };
    read.is_ok() && text.lines().any(names)
}

fn loops(domain: &str) -> String {
    format!("mail for {domain} loops back to myself")
}

fn random() -> u32 {
    // Without random numbers the order is merely always the same.
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[(u16, &str)]) -> Answer {
        Answer::Found(
            list.iter()
                .map(|&(preference, host)| Mx {
                    preference,
                    host: host.to_owned(),
                })
                .collect(),
        )
    }

    #[test]
    fn mail_exchangers_are_tried_by_preference_and_equal_ones_in_random_order() {
        let answer = found(&[(20, "c.example"), (10, "a.example"), (10, "b.example")]);
        let mut falling = (0..10).rev();
        let hosts = order(answer.clone(), "example", "me.example", || {
            falling.next().unwrap()
        })
        .unwrap();
        assert_eq!(hosts, ["b.example", "a.example", "c.example"]);
        let mut rising = 0..10;
        let hosts = order(answer, "example", "me.example", || rising.next().unwrap()).unwrap();
        assert_eq!(hosts, ["a.example", "b.example", "c.example"]);
    }

    /// Row A5: a backup MX hands on to better ones only.
    #[test]
    fn a_backup_mx_never_sends_to_itself_or_to_a_worse_one() {
        let answer = found(&[
            (10, "primary.example"),
            (20, "ME.example"),
            (30, "third.example"),
        ]);
        assert_eq!(
            order(answer, "example", "me.example", || 0).unwrap(),
            ["primary.example"]
        );
        let best = found(&[(10, "me.example"), (20, "other.example")]);
        let failure = order(best, "example", "me.example", || 0).unwrap_err();
        assert_eq!(failure.text, "mail for example loops back to myself");
        assert_eq!(failure.status.to_string(), "5.4.6");
    }

    #[test]
    fn only_a_definite_no_of_dns_is_permanent() {
        for (answer, status) in [
            (Answer::Failed("timed out".to_owned()), "4.4.3"),
            (Answer::NoDomain, "5.4.4"),
            (Answer::NullMx, "5.1.10"),
        ] {
            assert_eq!(
                order(answer, "example", "me.example", || 0)
                    .unwrap_err()
                    .status
                    .to_string(),
                status
            );
        }
        assert_eq!(
            order(Answer::NoMx, "example", "me.example", || 0).unwrap(),
            ["example"]
        );
    }
}
