//! How a queue is run.

use std::{sync::Arc, time::Duration};

use mail::limits;

use crate::retry::Schedule;

/// How a queue is run; `O`: whose mail it is.
#[derive(Clone, Copy, Debug)]
pub struct Settings<O> {
    pub schedule: Schedule,
    pub back_off: BackOff,
    /// Age at which the sender is warned that a message still waits; `None`: never.
    pub warning: Option<Duration>,
    pub slots: Slots,
    /// Whose mail goes before that of others, within bounds.
    pub first: Option<O>,
}

/// How a destination that cannot be reached is asked again.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    pub longest: Duration,
    /// Its mail stays ready and nothing is recorded of it: there is no other destination, and all
    /// of it goes when that one is back.
    /// New mail brings the next attempt forward.
    pub stays: bool,
}

impl BackOff {
    /// The pause after so many without a success between them.
    pub(crate) fn pause(&self, before: u32, random: u32) -> Duration {
        let pause = self.first.saturating_mul(1 << before.min(16));
        let pause = pause.min(self.longest);
        // Machines that lost the same relayhost do not come back together.
        let pause = if self.stays {
            pause.saturating_mul(8000 + random % 4001) / 10_000
        } else {
            pause
        };
        pause.max(Duration::from_millis(1))
    }

    /// For many destinations: each is asked after a fifth of the shortest retry step at first,
    /// after the longest one at last.
    pub fn of_many(schedule: &Schedule) -> Self {
        Self {
            first: schedule.minimal / 5,
            longest: schedule.maximal,
            stays: false,
        }
    }

    /// For one destination that takes all mail.
    pub fn of_one(schedule: &Schedule) -> Self {
        Self {
            first: Duration::from_secs(5).min(schedule.minimal),
            longest: Duration::from_mins(5).min(schedule.maximal),
            stays: true,
        }
    }
}

/// Where nothing limits them, so many times more deliveries than there are places may wait beside
/// these: for silent peers, also of one site, and for what is no connection.
pub(crate) const BESIDE: usize = 3;

/// How many deliveries there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Altogether.
    pub total: usize,
    /// To one destination.
    pub destination: usize,
    /// Connections to one, those whose peer is silent with them.
    pub open: usize,
    /// For one owner.
    pub owner: usize,
    /// To destinations that are not known to work, together.
    pub unproven: usize,
    /// With so many to those that do not work at this moment, none is trusted to, although it did
    /// today. None: it never is.
    pub trusted: usize,
    /// Of those that are under way for long, so many do not count any more; for one owner.
    pub slow: usize,
    pub slow_owner: usize,
    /// Of those: for one owner, for one message, to one host.
    pub unproven_owner: usize,
    pub unproven_message: usize,
    pub unproven_host: usize,
    /// Beside those, for the first deliveries to destinations that have neither answered nor failed
    /// yet: together, for one owner, for one message.
    pub fresh: usize,
    pub fresh_owner: usize,
    pub fresh_message: usize,
    /// Questions whether recipients would be taken: they count among all, and so many have a place
    /// also where deliveries have all of them.
    pub questions: usize,
    /// Jobs that must wait for each delivery under way before another one begins beside it.
    pub backlog: usize,
}

impl Slots {
    /// For many destinations (a `total` of none: mail is only queued): those that are not known to
    /// work share a quarter, or ten where there are so many; a tenth is for those alone that work
    /// at this moment.
    pub fn of_many(total: usize, destination: usize) -> Self {
        let unproven = (total / 4).max((total / 2).min(10)).max(1);
        let slow = total.saturating_sub(unproven) * 2 / 3;
        let fresh = (total / 15).max(usize::from(total >= 8));
        Self {
            total,
            destination: destination.max(1),
            open: beside(destination.max(1)),
            owner: (total - total / 10).max(1),
            unproven,
            trusted: total - total / 10,
            slow,
            slow_owner: slow - slow / 4,
            unproven_owner: (unproven - unproven / 4).max(1),
            unproven_message: (unproven / 3).max(1),
            unproven_host: 5,
            fresh,
            fresh_owner: fresh - fresh / 4,
            fresh_message: fresh.div_ceil(3),
            questions: (total / 10).clamp(2, 20),
            backlog: 0,
        }
    }

    /// For one destination: nothing is kept free for others, and another connection is worth it
    /// only where `backlog` messages wait for it.
    pub fn of_one(connections: usize, backlog: usize) -> Self {
        let total = connections.max(1);
        Self {
            total,
            destination: total,
            open: beside(total),
            owner: total,
            unproven: 2 * total,
            trusted: 0,
            slow: 0,
            slow_owner: 0,
            unproven_owner: total,
            unproven_message: total,
            unproven_host: total,
            fresh: 0,
            fresh_owner: 0,
            fresh_message: 0,
            questions: 0,
            backlog,
        }
    }

    /// The number of connections to one destination is a promise: silent ones count.
    #[must_use]
    pub fn strict(self) -> Self {
        Self {
            open: self.destination,
            ..self
        }
    }
}

fn beside(places: usize) -> usize {
    places.saturating_mul(1 + BESIDE)
}

/// How a transport is used, by each of its destinations and by all together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    /// `None`: the one that needs no name.
    pub name: Option<Arc<str>>,
    /// Deliveries at once to one destination, and how many of them at first.
    pub connections: usize,
    pub initial: usize,
    /// Connections to it, those whose peer is silent with them: as many, where the number was set.
    pub open: usize,
    /// Recipients of one delivery.
    pub recipients: usize,
    /// Pause of a destination after each delivery; there is one at a time then.
    pub delay: Duration,
    /// Deliveries at once to all its destinations.
    pub processes: usize,
}

impl Transport {
    /// Deliveries at once to a destination that nothing is known of.
    pub const INITIAL: usize = 5;

    /// One that is not limited but by the queue.
    pub fn unnamed(slots: &Slots) -> Self {
        Self {
            name: None,
            connections: slots.destination,
            open: slots.open,
            initial: Self::INITIAL,
            recipients: limits::SURE_RECIPIENTS,
            delay: Duration::ZERO,
            processes: usize::MAX,
        }
    }

    pub(crate) fn at_once(&self) -> usize {
        if self.delay.is_zero() {
            self.connections
        } else {
            1
        }
    }

    /// Connections at once, silent ones with them.
    pub(crate) fn open_at_once(&self) -> usize {
        if self.delay.is_zero() { self.open } else { 1 }
    }
}
