//! Where a message came from, as its envelope keeps it; and whether that is a stranger. Pure.
//!
//! Contract: a client that gave permission by its network, key or login is one of ours; whoever
//! cannot be named is not. A report that we write is our own, but what becomes of it when nobody
//! takes it depends on whose mail it is about.

use mail::envelope::Envelope;
use queue::notification::{ABOUT, REPORT};

use crate::network::Networks;

/// Behind the address in an origin: its key or login said who the client is, and that he may relay.
pub(crate) const KNOWN_AS: &str = "] as ";

/// Behind the address in an origin: it is that of a proxy, who did not say who the client is.
pub(crate) const OVER_PROXY: &str = "] over a proxy";

/// Name and address of the client that an envelope's origin names, `client.example[192.0.2.1]`;
/// empty: we wrote the message ourselves.
pub(crate) fn client_of(origin: &str) -> (&str, &str) {
    if origin.starts_with(REPORT) {
        return ("", "");
    }
    let (name, bracketed) = origin.rsplit_once('[').unwrap_or_default();
    let (address, _) = bracketed.split_once(']').unwrap_or((bracketed, ""));
    (name, address)
}

/// Whether a message is ours, or came from a client with permission to relay: not from a stranger.
pub fn is_trusted(envelope: &Envelope, networks: &Networks) -> bool {
    is_ours(&envelope.origin, networks)
}

/// Whether a stranger brought a message, or the one that it reports on.
pub fn is_strangers(envelope: &Envelope, networks: &Networks) -> bool {
    !is_ours(about(&envelope.origin), networks)
}

/// As whom the client is known that brought a message, or the one that it reports on: by name, or
/// by address. `None`: we wrote it ourselves.
pub(crate) fn who(envelope: &Envelope) -> Option<&str> {
    let origin = about(&envelope.origin);
    let known = origin.split_once(KNOWN_AS).map(|(_, known)| known);
    known.or_else(|| Some(client_of(origin).1).filter(|address| !address.is_empty()))
}

/// Where the message came from that a report is about.
fn about(origin: &str) -> &str {
    let report = origin.strip_prefix(REPORT);
    let about = report.map(|rest| rest.split_once(ABOUT).unwrap_or_default().1);
    about.unwrap_or(origin)
}

fn is_ours(origin: &str, networks: &Networks) -> bool {
    match client_of(origin) {
        (_, "") => true,
        _ if origin.contains(KNOWN_AS) => true,
        _ if origin.ends_with(OVER_PROXY) => false,
        (_, address) => address
            .parse()
            .is_ok_and(|client| networks.contains(client)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_names_nobody_lends_its_clients_no_trust_and_a_report_is_as_strange_as_its_cause()
     {
        let networks = Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        for (origin, trusted, client) in [
            ("unknown[10.0.0.5]".to_owned(), true, Some("10.0.0.5")),
            (
                ["unknown[10.0.0.5", OVER_PROXY].concat(),
                false,
                Some("10.0.0.5"),
            ),
            (
                ["unknown[10.0.0.5", KNOWN_AS, "vm7"].concat(),
                true,
                Some("vm7"),
            ),
            ("unknown[192.0.2.5]".to_owned(), false, Some("192.0.2.5")),
            (String::new(), true, None),
        ] {
            let of = |origin: &str| Envelope {
                origin: origin.to_owned(),
                ..Envelope::default()
            };
            let (it, report) = (of(&origin), of(&[REPORT, "7", ABOUT, &origin].concat()));
            assert_eq!(is_trusted(&it, &networks), trusted, "{origin}");
            assert!(is_trusted(&report, &networks), "we write reports: {origin}");
            for envelope in [&it, &report] {
                assert_eq!(is_strangers(envelope, &networks), !trusted, "{origin}");
                assert_eq!(who(envelope), client, "{origin}");
            }
        }
        // As earlier versions wrote it.
        let earlier = Envelope {
            origin: [REPORT, "7"].concat(),
            ..Envelope::default()
        };
        assert!(!is_strangers(&earlier, &networks));
    }
}
