//! An agent that is just starting, or starting again after a crash, is waited for: under an init
//! system without socket activation nobody listens in that moment.
//!
//! Contract: at most [`PATIENCE`], and only for faults that an agent may end by listening.

use std::{
    iter, thread,
    time::{Duration, Instant},
};

/// An agent with a large queue needs some seconds to read it before it listens.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause; each is twice as long as the one before,
const SHORTEST: Duration = Duration::from_millis(20);
/// up to this one.
const LONGEST: Duration = Duration::from_millis(500);

/// Tries until it succeeds, fails in a way that is not momentary, or the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when the next agent listens"
)]
pub(super) fn wait_for<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_momentary: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let begun = Instant::now();
    let pauses = &mut pauses();
    loop {
        let tried = attempt();
        let left = PATIENCE.saturating_sub(begun.elapsed());
        match (&tried, pauses.next()) {
            (Err(error), Some(pause)) if is_momentary(error) && !left.is_zero() => {
                thread::sleep(pause.min(left));
            }
            _ => return tried,
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let longer = |pause: &Duration| Some(pause.saturating_mul(2).min(LONGEST));
    iter::successors(Some(SHORTEST), longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_listens_after_a_while_is_reached_and_another_fault_is_told_at_once() {
        let mut left = 4;
        let listens_later = || {
            left -= 1;
            if left == 0 { Ok("here") } else { Err("nobody") }
        };
        let reached = wait_for(listens_later, |error| *error == "nobody");
        assert_eq!((reached, left), (Ok("here"), 0));

        let mut tries = 0;
        let forbidden = || {
            tries += 1;
            Err::<(), _>("forbidden")
        };
        let told = wait_for(forbidden, |error| *error == "nobody");
        assert_eq!((told, tries), (Err("forbidden"), 1));
    }

    #[test]
    fn pauses_grow_and_stay_short_enough_for_an_agent_that_comes_late() {
        let first: Vec<_> = pauses().take(7).map(|pause| pause.as_millis()).collect();
        assert_eq!(first, [20, 40, 80, 160, 320, 500, 500]);
    }
}
