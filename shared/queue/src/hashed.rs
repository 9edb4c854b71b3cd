//! Maps by hash. Their order is random, so that nobody can choose keys that collide; in a
//! simulation it is always the same, so that a seed makes the same decisions in every run.

use std::collections::{HashMap, HashSet};

#[cfg(not(any(test, feature = "simulation")))]
type Order = std::hash::RandomState;
#[cfg(any(test, feature = "simulation"))]
type Order = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

pub(crate) type Map<K, V> = HashMap<K, V, Order>;
pub(crate) type Set<K> = HashSet<K, Order>;
