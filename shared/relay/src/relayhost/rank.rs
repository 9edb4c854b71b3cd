//! The order of its own that each machine has among several hosts.
//!
//! Contract: it depends on the machine's name and the hosts alone, so that it is the same after
//! every start. Over many machines each host is first in proportion to its weight, and where one is
//! missing its machines divide themselves among the others, while all other machines keep theirs
//! (rendezvous hashing). A weight of 0 gives a very small chance beside others (RFC 2782).

use sha2::{Digest as _, Sha256};

/// The weight of 0 beside others.
const ALMOST_NONE: f64 = 0.01;

/// What is given with its key and weight, in the order of this machine.
pub(super) fn ranked<T>(all: Vec<(T, String, u16)>, machine: &str) -> Vec<T> {
    let mut all: Vec<_> = all
        .into_iter()
        .map(|(it, key, weight)| (distance(machine, &key, weight), key, it))
        .collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
    all.into_iter().map(|(_, _, it)| it).collect()
}

/// A random number that is always the same: the more weight, the less far.
fn distance(machine: &str, key: &str, weight: u16) -> f64 {
    let mut hash = Sha256::new();
    for part in [machine, key] {
        hash.update(part.to_ascii_lowercase());
        hash.update([0]);
    }
    let mut first = [0; 4];
    first
        .iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    // Of (0, 1): its logarithm is finite.
    let part = (f64::from(u32::from_be_bytes(first)) + 0.5) / (f64::from(u32::MAX) + 1.0);
    let weight = if weight == 0 {
        ALMOST_NONE
    } else {
        f64::from(weight)
    };
    -part.ln() / weight
}
