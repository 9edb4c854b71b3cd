//! What a refusal is about, in the log and for administrators who ask later.
//!
//! Contract: a message that is refused at its end is remembered with its sender and its recipients,
//! though the transaction is over then; of many recipients with the first [`MOST`].

use mail::address::{Address, Sender};

use crate::maillog;

/// Recipients of one message that are remembered.
const MOST: usize = 10;

/// The envelope of the message that is being received, or was.
#[derive(Clone, Debug)]
pub(super) struct About {
    sender: Sender,
    pub(super) recipients: Vec<Address>,
}

impl About {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            recipients: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, recipient: Option<&Address>) {
        if self.recipients.len() < MOST {
            self.recipients.extend(recipient.cloned());
        }
    }

    /// As Postfix logs it: with its first recipient.
    pub(super) fn subject(&self) -> maillog::Subject {
        maillog::Subject {
            sender: Some(self.sender.clone()),
            recipient: self.recipients.first().cloned(),
        }
    }
}

/// Whether a refusal is of a message as a whole.
pub(super) fn is_of_message(stage: &str) -> bool {
    ["DATA", "BDAT", "END-OF-MESSAGE"].contains(&stage)
}
