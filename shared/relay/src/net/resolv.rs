//! /etc/resolv.conf, for both programs.
//!
//! Contract: total and bounded; a line that means nothing here is passed over. Without a name
//! server in it, the one on this machine is asked, as resolv.conf(5) has it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

/// Where it is.
const PATH: &str = "/etc/resolv.conf";
/// Largest file.
const MOST: u64 = 64 * 1024;
/// Name servers that are asked (as its own readers do).
const SERVERS: usize = 3;
/// How long each is waited for, and at most.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30);

/// Whom names are asked of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvConf {
    /// At least one, in the order of the file.
    pub servers: Vec<SocketAddr>,
    /// `options timeout:N`
    pub timeout: Duration,
    /// `options use-vc`: over TCP alone.
    pub tcp: bool,
}

impl ResolvConf {
    /// The system's, as it is now; one that cannot be read is an empty one.
    pub fn of_system() -> Self {
        Self::parse(&system::read::text(Path::new(PATH), MOST).unwrap_or_default())
    }

    /// Of its text.
    pub fn parse(text: &str) -> Self {
        let mut servers = Vec::new();
        let (mut timeout, mut tcp) = (PATIENCE, false);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if servers.len() < SERVERS => {
                    // The zone of a link-local address cannot be told without asking the kernel.
                    let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.extend(ip.map(|ip| SocketAddr::new(ip, 53)));
                }
                Some("options") => {
                    for word in words {
                        tcp |= word == "use-vc";
                        let seconds = word.strip_prefix("timeout:");
                        let seconds = seconds.and_then(|it| it.parse().ok());
                        timeout = seconds.map_or(timeout, Duration::from_secs);
                    }
                }
                _ => {}
            }
        }
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        Self {
            servers,
            timeout: timeout.clamp(Duration::from_secs(1), LONGEST),
            tcp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_those_of_resolv_conf_or_the_one_on_this_machine() {
        let conf = "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver 2001:db8::53 # second\n\
                    nameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        let conf = ResolvConf::parse(conf);
        let found: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::53]:53", "192.0.2.3:53"]);
        assert_eq!((conf.timeout, conf.tcp), (PATIENCE, false));
        let none = ResolvConf::parse("nameserver here\noptions ndots:2 timeout:x\n");
        assert_eq!(none.servers[0].to_string(), "127.0.0.1:53");
        assert_eq!(none, ResolvConf::parse(""));
    }

    #[test]
    fn options_are_read_wherever_they_stand_and_bounded() {
        for (line, seconds, tcp) in [
            ("options timeout:2 use-vc", 2, true),
            ("options use-vc\noptions rotate timeout:7", 7, true),
            ("options timeout:0", 1, false),
            ("options timeout:99999999999", 30, false),
        ] {
            let conf = ResolvConf::parse(line);
            assert_eq!(conf.timeout, Duration::from_secs(seconds), "{line}");
            assert_eq!(conf.tcp, tcp, "{line}");
        }
    }
}
