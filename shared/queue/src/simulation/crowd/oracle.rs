//! What must hold at each step of a busy day, and at its end.

use std::time::Duration;

use mail::outcome::Failure;

use super::{
    COMES, Day, EACH, FLOOD, KEPT, LIFETIME, SILENT_TURN, START, TURN,
    providers::{Kind, PROCESSES},
    schedule,
};

impl Day {
    /// Given up is only what was refused, or is too old.
    pub(super) fn bounce(&self, message: usize, failed: &[(u32, Failure)], expired: bool) {
        let message = &self.messages[message];
        let age = self.now.since(message.arrival);
        for (recipient, failure) in failed {
            let provider = self.destinations[message.recipients[*recipient as usize]];
            let provider = &self.providers[provider];
            let refused = failure.status.class() == 5 && provider.kind == Kind::Refuses;
            let lifetime = if provider.kept { KEPT } else { LIFETIME };
            assert!(
                refused || expired && age >= lifetime,
                "{provider:?} {failure:?}"
            );
            assert_ne!(provider.kind, Kind::Works, "{failure:?}");
        }
    }

    /// One more connection is within what its transport allows.
    pub(super) fn sees(&mut self, number: usize) {
        let now = self.now;
        let provider = &mut self.providers[number];
        provider.open += 1;
        let transport = &provider.transport;
        // Silent or not.
        assert!(provider.open <= transport.open_at_once(), "{provider:?}");
        if provider.too_many > 0 {
            let lessons = self.queue.lessons(now).into_iter();
            let mut own = lessons.filter(|it| it.hosts[..] == provider.hosts[..]);
            let taught = own.all(|lesson| provider.open <= lesson.most(now));
            assert!(taught, "it has said how many it takes: {provider:?}");
        }
        let rested = provider
            .ended
            .is_none_or(|then| now.since(then) >= transport.delay);
        assert!(rested, "no pause: {provider:?}");
        let Some(name) = transport.name.clone() else {
            return;
        };
        let by = |provider: &usize| {
            let its = &self.providers[*provider].transport;
            its.name.as_ref() == Some(&name)
        };
        let flights = self.flights.values().map(|flight| flight.provider);
        let all = flights.chain(self.questions.at());
        assert!(all.filter(by).count() <= PROCESSES);
    }

    /// Neither the flood nor what is dead keeps others waiting.
    pub(super) fn has_its_turn(&mut self, number: usize) {
        let message = &mut self.messages[number];
        let mut to = message.recipients.iter();
        let mut turn = TURN;
        let works = to.all(|at| {
            let provider = &self.providers[self.destinations[*at]];
            if provider.falls_silent {
                turn = SILENT_TURN;
            }
            provider.kind == Kind::Works && provider.transport.name.is_none() && !provider.suspended
        });
        if !std::mem::replace(&mut message.began, true) && works && message.owner != FLOOD {
            let waited = self.now.since(message.arrival);
            let to = &self.providers[self.destinations[message.recipients[0]]];
            assert!(waited <= turn, "{waited:?}: {message:?}, {to:?}");
        }
    }

    /// All that came has ended, in time, and as it had to.
    pub(super) fn balance(&self) {
        assert_eq!((self.queue.len(), self.queue.in_flight()), (0, 0));
        assert!(self.questions.have_ended());
        let last = KEPT + 2 * schedule().maximal + Duration::from_secs(COMES.into());
        assert!(self.now.since(START) <= last, "mail outlives its lifetime");
        for message in &self.messages {
            for (at, end) in message.recipients.iter().zip(&message.ends) {
                let provider = &self.providers[self.destinations[*at]];
                let delivered = match provider.kind {
                    Kind::Dead | Kind::Refuses => false,
                    Kind::Works | Kind::Slow | Kind::Away(_) | Kind::Takes(_) => true,
                };
                assert_eq!(*end, Some(delivered), "{provider:?}");
            }
        }
        for provider in &self.providers {
            // Once by each of those that went at first, then one in an hour.
            let hours = usize::try_from(self.now.since(START).as_secs() / 3600).unwrap();
            assert!(provider.too_many <= EACH + hours, "{provider:?}");
        }
    }
}
