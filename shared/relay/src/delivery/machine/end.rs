//! The end of a delivery: what is told of each recipient.

use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};

use super::{Delivery, State};

/// Why a recipient waits who had no answer when this program was told to end.
pub fn stopped() -> Failure {
    let status = EnhancedStatus::new(4, 4, 2);
    let text = "this program was stopped in its conversation";
    Failure {
        remedy: Some("it is tried again at the next start"),
        ..Failure::new(Blame::Network, Stage::Data, status, text)
    }
}

/// Why a recipient waits whose peer was silent while others waited for the connection.
pub fn cut() -> Failure {
    let status = EnhancedStatus::new(4, 4, 2);
    let text = "conversation timed out early, for other mail waited,";
    Failure::new(Blame::Network, Stage::Mail, status, text)
}

impl Delivery {
    /// It ends here with what is known; whoever has no outcome yet waits with this reason.
    pub fn halt(&mut self, why: &Failure) {
        self.actions.clear();
        self.state = State::Done;
        for known in &mut self.outcomes {
            known.get_or_insert_with(|| why.clone().outcome());
        }
    }

    /// Others have its connection, whose peer was silent in a session.
    pub fn cut(&mut self) {
        self.reached = true;
        self.halt(&cut());
    }

    /// One outcome for each recipient, in order; and why, if no session with any host came about.
    pub fn finish(self) -> (Vec<Outcome>, Option<Failure>) {
        let unknown = || Failure::ours("the delivery ended without an outcome").outcome();
        let outcomes: Vec<Outcome> = self
            .outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(unknown))
            .collect();
        let reached = self.reached;
        let stops = |outcome: &Outcome| match outcome {
            Outcome::Deferred(failure) => !reached || failure.blame == Blame::Us,
            Outcome::Delivered(_) | Outcome::Failed(_) => false,
        };
        let unusable = match outcomes.first() {
            Some(Outcome::Deferred(failure)) if outcomes.iter().all(stops) => Some(failure.clone()),
            _ => None,
        };
        (outcomes, unusable)
    }
}
