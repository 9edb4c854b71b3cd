//! The rules, as configured.

use std::net::IpAddr;

use queue::rate::Window;

use crate::network::{Network, Networks};

/// Who may send how much.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// All apply at once; none: no limit.
    pub per_client: Vec<Window>,
    /// Never counted; never implied by "may relay".
    pub exempt: Networks,
}

impl Rules {
    /// What counts as one client: an IPv4 address, an IPv6 /64.
    pub fn client(address: IpAddr) -> Network {
        Network::of(address, 32, 64)
    }

    /// Index of the longest window.
    pub fn longest(&self) -> Option<usize> {
        (0..self.per_client.len())
            .max_by_key(|&index| self.per_client.get(index).map(|window| window.span))
    }
}
