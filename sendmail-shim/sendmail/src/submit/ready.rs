//! A message with its recipients, on its way to the agent or the relayhost.

use std::io;

use mail::{envelope::Rcpt, outcome::Failure};

use crate::{compose::read::Message, plan::Submission};

/// A message with its recipients, ready to be handed over.
#[derive(Debug)]
pub struct Ready {
    pub submission: Submission,
    pub message: Message,
    /// Without duplicates.
    pub recipients: Vec<Rcpt>,
}

impl Ready {
    /// The recipients as text.
    pub fn names(&self) -> Vec<String> {
        self.recipients
            .iter()
            .map(|rcpt| rcpt.to.to_string())
            .collect()
    }
}

/// The message itself cannot be read back.
pub(super) fn unreadable(error: &io::Error) -> Failure {
    Failure::ours(&format!("cannot read the message back: {error}"))
}
