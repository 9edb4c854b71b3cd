//! Whether "too many connections" is about connections, or may be about one message.
//!
//! Contract: what a session hears before there is mail is about connections; what it hears later
//! may be about that mail alone, and is for whoever compares it with others.

use super::{Failure, Outcome, connections};
use crate::status::{ReplyCode, Severity};

impl Outcome {
    /// Why mail waits that heard of too many connections: it may be meant alone.
    pub fn crowded(&self) -> Option<&Failure> {
        match self {
            Self::Deferred(failure) => Some(failure)
                .filter(|failure| failure.is_of_mail() && failure.means_too_many_connections()),
            Self::Delivered(_) | Self::Failed(_) => None,
        }
    }
}

impl Failure {
    /// Whether a peer says that it has too many connections or sessions of ours, in whatever words
    /// (row C7): fewer may be welcome.
    pub fn means_too_many_connections(&self) -> bool {
        let not_now = self.reply.map(ReplyCode::severity) == Some(Severity::Transient);
        not_now && connections::too_many(&self.text)
    }

    /// Whether a session hears it before there is mail, so that it is about connections.
    pub fn limits_connections(&self) -> bool {
        !self.is_of_mail() && self.means_too_many_connections()
    }
}
