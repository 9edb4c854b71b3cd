//! Strangers, and some clients of ours, ask whether recipients would be taken: many at once, and
//! whatever the hosts do.

use std::{collections::HashMap, sync::Arc, time::Duration};

use mail::outcome::Outcome;

use super::{COMES, Coming, Day, Event, Kind};

/// How long a place is waited for.
const WAIT: Duration = Duration::from_secs(9);
/// How long an answer is.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of a question.
pub(super) enum Asking {
    /// Somebody asks.
    Comes,
    Withdrawn(u64),
    GivesUp(u64),
    Answered(u64, Outcome),
}

struct Question {
    provider: usize,
    destination: usize,
    /// It has a place, and a connection.
    has_place: bool,
    connected: bool,
    cut: bool,
}

#[derive(Default)]
pub(super) struct Questions {
    all: HashMap<u64, Question>,
}

impl Questions {
    /// The providers of those that have a place.
    pub(super) fn at(&self) -> impl Iterator<Item = usize> {
        let under_way = self.all.values().filter(|it| it.has_place);
        under_way.map(|it| it.provider)
    }

    pub(super) fn have_ended(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn has(&self, ticket: u64) -> bool {
        self.all.contains_key(&ticket)
    }
}

impl Day {
    pub(super) fn expect_questions(&mut self, count: usize) {
        for number in 0..4 * count {
            let within = if number % 2 == 0 { 60 } else { COMES };
            let at = Duration::from_secs((self.random.next() % within).into());
            self.later(at, Coming::Question(Asking::Comes));
        }
    }

    pub(super) fn question(&mut self, asking: Asking) {
        match asking {
            Asking::Comes => {
                // Most ask for what they all ask for.
                let few = if self.below(4) > 0 { 10 } else { usize::MAX };
                let destination = self.below(self.destinations.len().min(few));
                let own = self.below(10) == 0;
                let to = Arc::new(destination.to_string());
                let Some(ticket) = self.queue.ask(&to, own, self.now) else {
                    return self.drain();
                };
                let question = Question {
                    provider: self.destinations[destination],
                    destination,
                    has_place: false,
                    connected: false,
                    cut: false,
                };
                self.questions.all.insert(ticket, question);
                self.later(WAIT, Coming::Question(Asking::GivesUp(ticket)));
            }
            Asking::Withdrawn(ticket) => {
                self.questions.all.get_mut(&ticket).unwrap().has_place = false;
                self.queue.handle(Event::Withdrawn { ticket }, self.now);
            }
            Asking::GivesUp(ticket) => {
                let waits = |it: &mut Question| !it.has_place;
                if self.questions.all.get_mut(&ticket).is_some_and(waits) {
                    self.questions.all.remove(&ticket);
                    self.queue.answered(ticket, None, self.now);
                }
            }
            // One that was cut has ended.
            Asking::Answered(ticket, outcome) => self.answered(ticket, &outcome),
        }
        self.drain();
    }

    fn answered(&mut self, ticket: u64, outcome: &Outcome) {
        let Some(question) = self.questions.all.remove(&ticket) else {
            return;
        };
        if question.connected {
            let provider = &mut self.providers[question.provider];
            provider.open -= 1;
            provider.ended = Some(self.now);
        }
        let says = self.queue.answered(ticket, Some(outcome), self.now);
        let kind = self.providers[question.provider].kind;
        let takes_few = matches!(kind, Kind::Takes(_));
        assert!(says || takes_few || question.cut, "{kind:?}");
    }

    /// It is its turn.
    pub(super) fn may_ask(&mut self, ticket: u64) {
        let question = self.questions.all.get_mut(&ticket).unwrap();
        assert!(!std::mem::replace(&mut question.has_place, true));
        let (number, to) = (
            question.provider,
            Arc::new(question.destination.to_string()),
        );
        let hosts = self.providers[number].hosts.clone();
        if !self.queue.shares(ticket, &to, &hosts, self.now) {
            let back = Coming::Question(Asking::Withdrawn(ticket));
            return self.later(Duration::from_millis(1), back);
        }
        self.sees(number);
        self.questions.all.get_mut(&ticket).unwrap().connected = true;
        let connected = self.questions.all.values().filter(|it| it.connected);
        let there = connected.filter(|it| it.provider == number).count();
        let most = self.providers[number].transport.at_once();
        assert!(there <= (most / 2).max(1), "too many questions");
        let (mut took, mut outcome) = self.answer(number);
        if self.providers[number].falls_silent && self.below(3) == 0 {
            (took, outcome) = (PATIENCE, super::unreachable());
        }
        let answered = Asking::Answered(ticket, outcome);
        self.later(took, Coming::Question(answered));
    }

    /// Deliveries wait for its place.
    pub(super) fn cut_question(&mut self, ticket: u64) {
        assert!(self.questions.all[&ticket].has_place);
        self.questions.all.get_mut(&ticket).unwrap().cut = true;
        let answered = Asking::Answered(ticket, super::unreachable());
        let cut = Coming::Question(answered);
        self.later(Duration::from_millis(20), cut);
    }
}
