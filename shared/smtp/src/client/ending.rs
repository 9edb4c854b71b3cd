//! The ways out: a transaction that ends, a connection that is of no use any more.

use std::time::Instant;

use super::{
    attempt::{Attempt, Purpose},
    event::{Action, Transaction},
    machine::{Client, Expect, Phase},
    parameters::Asked,
};
use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};

impl Client {
    pub(super) fn send(&mut self, expect: Expect, bytes: Vec<u8>, now: Instant) {
        self.expected.push_back(expect);
        self.since = Some(now);
        self.actions.push_back(Action::Send(bytes));
    }

    /// What is being done, for a failure.
    pub(super) fn stage(&self) -> Stage {
        match (self.expected.front(), self.phase) {
            (Some(expect), _) => expect.stage(),
            (None, Phase::New) => Stage::Connect,
            (None, Phase::Handshake) => Stage::Tls,
            (None, Phase::Body) => Stage::Body,
            (None, Phase::End) => Stage::Message,
            (None, _) => Stage::Mail,
        }
    }

    pub(super) fn failure(&self, blame: Blame, status: EnhancedStatus, text: &str) -> Failure {
        Failure::new(blame, self.stage(), status, text)
    }

    /// The connection ends without the peer having said so: if the message was out already, the
    /// peer may have taken it.
    pub(super) fn cut(&mut self, failure: Failure) {
        let text = match self.phase {
            // Where mail moves between servers, the same is told again.
            Phase::End if !self.moved => {
                format!("message may be sent more than once: {}", failure.text)
            }
            _ => failure.text,
        };
        self.fail(Failure { text, ..failure });
    }

    /// The connection is of no use any more; never a reason to give up a recipient.
    pub(super) fn fail(&mut self, failure: Failure) {
        let failure = if failure.status.class() == 4 {
            failure
        } else {
            Failure {
                status: EnhancedStatus::new(4, 4, 0),
                ..failure
            }
        };
        if let Some(attempt) = &mut self.attempt {
            self.accepted = attempt.accepted().count();
            if self.doubt {
                attempt.forget();
            }
            self.finish(&Outcome::Deferred(failure));
        } else {
            self.why_closed = Some(failure.clone());
            self.actions.push_back(Action::Failed(failure));
        }
        self.close();
    }

    /// The transaction cannot be brought to an end that the peer would understand.
    pub(super) fn abandon(&mut self, outcome: &Outcome) {
        self.finish(outcome);
        self.close();
    }

    pub(super) fn finish(&mut self, rest: &Outcome) {
        self.commands.clear();
        self.doubt = false;
        if let Some(attempt) = self.attempt.take() {
            self.actions
                .push_back(Action::Finished(attempt.finish(rest)));
        }
    }

    pub(super) fn refuse_closed(&mut self, transaction: &Transaction) {
        let unknown = || {
            Failure::new(
                Blame::Local,
                Stage::Connect,
                EnhancedStatus::new(4, 4, 2),
                "the connection is closed already",
            )
        };
        let failure = self.why_closed.clone().unwrap_or_else(unknown);
        let recipients = transaction.recipients.len();
        self.actions.push_back(Action::Finished(
            Attempt::new(recipients, Purpose::Deliver, Asked::default())
                .finish(&Outcome::Deferred(failure)),
        ));
    }

    pub(super) fn quit(&mut self, phase: Phase) {
        if phase == Phase::Idle && !self.hello_due {
            self.actions.push_back(Action::Send(b"QUIT\r\n".to_vec()));
        }
        self.close();
    }

    pub(super) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.expected.clear();
        self.actions.push_back(Action::Close);
    }
}
