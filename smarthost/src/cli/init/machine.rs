//! Which networks this machine is in, of both address families, as the kernel tells in `/proc/net`.
//! Reads nothing else.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use crate::network::Network;

/// Largest file of the kernel's that is read, bytes.
const MOST: u64 = 1024 * 1024;

/// The networks that were found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Networks {
    /// The private ones, as an answer.
    pub(super) own: String,
    /// Those that others may be in, too.
    pub(super) others: Vec<Network>,
}

pub(super) fn networks(root: &Path) -> Networks {
    let text = |name: &str| {
        let place = system::copied::below(root, Path::new("/proc/net").join(name));
        let read = place.and_then(|place| system::read::text(&place, MOST));
        read.unwrap_or_default()
    };
    of(&text("route"), &text("if_inet6"))
}

fn of(route: &str, if_inet6: &str) -> Networks {
    let v4 = route.lines().skip(1).filter_map(connected);
    let v6 = if_inet6.lines().filter_map(global);
    let mut found: Vec<_> = v4
        .chain(v6)
        .filter(|it| !it.address().is_loopback())
        .collect();
    found.sort_unstable();
    found.dedup();
    let (own, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|it| is_private(it.address()));
    let own: Vec<_> = own.iter().map(ToString::to_string).collect();
    Networks {
        own: own.join(" "),
        others,
    }
}

/// A line of `route`: interface, destination, gateway, flags, …, mask at the eighth place; numbers
/// as they lie in memory.
fn connected(line: &str) -> Option<Network> {
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |place: usize| {
        let number = u32::from_str_radix(words.get(place)?, 16).ok()?;
        Some(u32::from_be_bytes(number.to_ne_bytes()))
    };
    let (destination, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    if gateway != 0 || mask == 0 {
        return None;
    }
    Network::around(&format!(
        "{}/{}",
        Ipv4Addr::from(destination),
        mask.leading_ones()
    ))
    .ok()
}

/// A line of `if_inet6`: address, interface's number, prefix, scope (0 is global), flags,
/// interface.
fn global(line: &str) -> Option<Network> {
    let words: Vec<_> = line.split_whitespace().collect();
    let address = u128::from_str_radix(words.first()?, 16).ok()?;
    let number = |place: usize| u8::from_str_radix(words.get(place)?, 16).ok();
    let (prefix, scope) = (number(2)?, number(3)?);
    (scope == 0).then_some(())?;
    Network::around(&format!("{}/{prefix}", Ipv6Addr::from(address))).ok()
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        eth1\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        eth1\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        wg0\t0001A8C0\t0100000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const INET6: &str = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
        00000000000000000000000000000001 01 80 10 80       lo\n\
        20010db8000000000000000000000007 02 40 00 80     eth0\n\
        fd000000000000000000000000000002 04 40 00 82     eth0\n";

    #[test]
    fn private_networks_of_both_families_are_proposed_and_public_ones_only_told() {
        let found = of(ROUTE, INET6);
        assert_eq!(found.own, "10.0.0.0/16 fd00::/64");
        let others: Vec<_> = found.others.iter().map(ToString::to_string).collect();
        assert_eq!(others, ["192.0.2.0/24", "2001:db8::/64"]);
    }

    #[test]
    fn lines_that_are_no_lines_of_the_kernels_are_left_out() {
        let nothing = of("", "");
        assert_eq!(nothing, Networks::default());
        for line in [
            "x",
            "a b c d e f g h",
            "eth0 zz 00000000 0 0 0 0 00FFFFFF",
            "\u{0}\t\t",
        ] {
            let text = format!("{line}\n{line}\n");
            assert_eq!(of(&text, &text), nothing, "{line}");
        }
    }
}
