//! What a test draws, and what its own environment asks of it.

use std::hash::{BuildHasher as _, RandomState};

/// A number that nobody can foresee, from the kernel's hash seeds.
pub fn random(below: usize) -> usize {
    usize::try_from(RandomState::new().hash_one(0) % 1_000_000_007).unwrap() % below
}

/// A number that whoever runs the test may set; anything else there is his mistake.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own environment, not the programs'"
)]
pub fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name} is a number"))
    })
}
