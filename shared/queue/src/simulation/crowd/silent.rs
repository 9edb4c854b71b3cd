//! Peers that fall silent at some messages: for hours, before or after the final dot, or for a
//! moment.

use std::{collections::HashSet, time::Duration};

use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};

use super::{Coming, Day, Kind};
use crate::{
    Patience, Silence,
    simulation::{Delivery, Event, sent},
};

/// When the driver tells of a silence.
const QUIET: Duration = Duration::from_secs(5);
/// At messages that are younger.
const YOUNG: Duration = Duration::from_hours(3);

/// What a message meets.
pub(super) enum Met {
    Silence {
        in_doubt: bool,
    },
    /// It is answered after all.
    Pause,
}

/// Deliveries whose peer is silent.
#[derive(Default)]
pub(super) struct Silences {
    /// Those that keep no place among all.
    pub(super) aside: HashSet<u64>,
    in_doubt: HashSet<u64>,
    /// Those that were cut.
    cut: HashSet<u64>,
}

impl Day {
    /// What a message meets there; `None`: it is answered.
    pub(super) fn met(&self, provider: usize, message: usize) -> Option<Met> {
        let provider = &self.providers[provider];
        let answers = match provider.kind {
            Kind::Works => true,
            Kind::Takes(most) => provider.open <= most,
            _ => false,
        };
        let is_young = self.now.since(self.messages[message].arrival) < YOUNG;
        if !provider.falls_silent || !answers {
            return None;
        }
        match message % 10 {
            0..=2 if is_young => Some(Met::Silence { in_doubt: false }),
            3 if is_young && provider.named => Some(Met::Silence { in_doubt: true }),
            4 => Some(Met::Pause),
            _ => None,
        }
    }

    /// How long it takes unless it is cut, and what comes of it.
    pub(super) fn falls_silent(
        &mut self,
        delivery: &Delivery,
        met: &Met,
        named: bool,
    ) -> (Duration, Outcome) {
        let ticket = delivery.ticket;
        let patience = match delivery.patience {
            Patience::Full => Duration::from_mins(5),
            Patience::Short => Duration::from_secs(20),
        };
        let (in_doubt, took) = match met {
            Met::Silence { in_doubt: true } => (true, Duration::from_mins(10)),
            Met::Silence { in_doubt: false } => (false, patience),
            Met::Pause => {
                let after = Coming::News(Event::Speaks { ticket });
                self.later(QUIET + Duration::from_secs(2), after);
                (false, QUIET + Duration::from_secs(4))
            }
        };
        let silence = Silence { in_doubt, named };
        self.later(QUIET, Coming::News(Event::Silent { ticket, silence }));
        let outcome = match met {
            Met::Silence { .. } => silent(in_doubt, named),
            Met::Pause => sent(),
        };
        (took, outcome)
    }

    /// The queue has others who wait.
    pub(super) fn cut(&mut self, ticket: u64) {
        if self.questions.has(ticket) {
            return self.cut_question(ticket);
        }
        let Some(flight) = self.flights.get(&ticket) else {
            panic!("it has ended")
        };
        assert!(!self.silences.in_doubt.contains(&ticket), "it may be taken");
        assert!(self.silences.cut.insert(ticket), "cut twice");
        let named = self.providers[flight.provider].named;
        let outcomes = vec![silent(false, named); flight.recipients];
        let ended = Event::Finished { ticket, outcomes };
        self.later(Duration::from_millis(20), Coming::News(ended));
    }

    /// Whether an event is still about something: what was cut has ended sooner.
    pub(super) fn takes_note(&mut self, event: &Event) -> bool {
        let silences = &mut self.silences;
        match event {
            Event::Silent { ticket, silence } => {
                if silence.named {
                    silences.aside.insert(*ticket);
                }
                if silence.in_doubt {
                    silences.in_doubt.insert(*ticket);
                }
                true
            }
            Event::Finished { ticket, .. } => {
                silences.aside.remove(ticket);
                self.flights.contains_key(ticket) || !silences.cut.contains(ticket)
            }
            _ => true,
        }
    }
}

fn silent(in_doubt: bool, named: bool) -> Outcome {
    let stage = if in_doubt {
        Stage::Message
    } else {
        Stage::Recipient
    };
    let status = EnhancedStatus::new(4, 4, 2);
    let failure = Failure::new(Blame::Network, stage, status, "conversation timed out");
    Failure { named, ..failure }.outcome()
}
