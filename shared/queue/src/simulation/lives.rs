//! What happens in the world: mail comes, administrators give orders, the clock is set; and what
//! must hold at the end.

use std::time::Duration;

use mail::{outcome::Failure, status::EnhancedStatus};
use proptest::prelude::*;

use super::{End, Event, LIFETIME, Message, Mode, World, id, settings};
use crate::clock::Step;

impl World {
    fn order(&mut self) {
        let key = id(u64::from(self.random.next()) % self.messages.len() as u64);
        let event = match self.random.next() % 8 {
            0 => Event::FlushAll,
            1 => Event::Flush { id: key },
            2 => Event::Hold { id: key },
            3 | 4 => Event::Release { id: key },
            5 => Event::Return {
                id: key,
                failure: Failure::local(EnhancedStatus::new(5, 7, 1), "returned"),
                null_sender: self.messages[&self.index(key)].origin.unwrap().unreturnable,
            },
            6 => return self.set_the_clock(),
            _ => Event::Remove { id: key },
        };
        self.tell(event);
    }

    /// By up to a month, forward or back; what is under way takes as long as it takes.
    fn set_the_clock(&mut self) {
        let by = Duration::from_secs(u64::from(self.random.next() % 2_500_000));
        let step = if self.chance(50) {
            Step::Forward(by)
        } else {
            Step::Back(by)
        };
        let coming = std::mem::take(&mut self.coming).into_iter();
        self.coming = coming
            .map(|((at, n), event)| ((step.shift(at), n), event))
            .collect();
        for message in self.messages.values_mut() {
            message.arrival = step.shift(message.arrival);
        }
        self.failed
            .values_mut()
            .for_each(|at| *at = step.shift(*at));
        self.began = step.shift(self.began);
        self.now = step.shift(self.now);
        self.tell(Event::Stepped(step));
    }
}

fn live(
    seed: u64,
    mode: Mode,
    messages: Vec<Vec<usize>>,
    orders: u32,
) -> Result<(), TestCaseError> {
    let mut world = World::new(seed, mode);
    for destinations in messages {
        world.submit(destinations);
        for _ in 0..world.random.next() % 20 {
            world.step();
        }
        if orders > 0 && world.chance(orders) {
            world.order();
        }
    }
    let held = |(key, message): (&u64, &Message)| {
        (message.held && !message.origin.unwrap().unreturnable).then_some(*key)
    };
    for key in world.messages.iter().filter_map(held).collect::<Vec<_>>() {
        world.tell(Event::Release { id: id(key) });
    }
    // Age is looked at after an attempt: the last may be an interval late, and so may each bounce
    // that finds no room, and mail of senders who were refused, behind that of others.
    let most = world.now.since(world.began) + LIFETIME + 6 * settings(mode).schedule.maximal;
    let mut steps = 0u32;
    while world.step() {
        steps += 1;
        prop_assert!(steps < 200_000, "it never ends");
        prop_assert!(
            world.now.since(world.began) < most,
            "mail outlives its lifetime"
        );
    }
    prop_assert!(world.queue.in_flight() == 0);
    for (key, message) in &world.messages {
        let dead = !message.ended;
        prop_assert!(
            !dead || message.held && message.origin.unwrap().unreturnable,
            "{message:?}"
        );
        prop_assert_eq!(world.queue.contains(id(*key)), dead);
        for (recipient, end) in &message.ends {
            let to = message.destinations[*recipient as usize];
            let works = mode == Mode::Many && to < 2;
            prop_assert!(*end != End::Delivered || to < 4 || mode == Mode::One);
            prop_assert!(
                *end != End::Bounced || !works || orders > 0,
                "working destination {to} bounced"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_recipient_ends_exactly_once_and_none_starves(
        seed in any::<u64>(),
        messages in proptest::collection::vec(proptest::collection::vec(0usize..6, 1..6), 1..40),
        orders in 0u32..40,
    ) {
        live(seed, Mode::Many, messages, orders)?;
    }

    #[test]
    fn with_one_relayhost_that_comes_and_goes_every_recipient_ends_exactly_once_too(
        seed in any::<u64>(),
        messages in proptest::collection::vec(proptest::collection::vec(0usize..1, 1..6), 1..40),
        orders in 0u32..40,
    ) {
        live(seed, Mode::One, messages, orders)?;
    }
}

/// A bounce that nobody has read since the start, and that the administrator returns, is dead mail
/// like any other.
#[test]
fn a_bounce_that_was_found_at_the_start_has_nobody_to_be_returned_to() {
    let counts = [3usize, 2, 1, 1, 4, 3, 2, 4, 3, 2, 1, 1, 1];
    let messages = counts.map(|count| vec![0; count]).to_vec();
    live(13_483_404_735_843_158_540, Mode::One, messages, 25).unwrap();
}
