//! What commands ask beyond addresses, and how a refusal of that is told; [`super::retract`]
//! decides which it is.

use super::event::Transaction;
use crate::{capability::Capabilities, reply::Reply};
use mail::{
    outcome::{Failure, Outcome, Stage},
    status::{EnhancedStatus, ReplyCode, Severity},
};

/// Invalid command arguments, for now.
const RETRACTED: EnhancedStatus = EnhancedStatus::new(4, 5, 4);

/// What the commands of a transaction ask of the peer beyond addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Asked {
    pub(super) size: bool,
    /// RET or ENVID.
    pub(super) dsn: bool,
    pub(super) eight_bit: bool,
    pub(super) utf8: bool,
    /// NOTIFY or ORCPT, by recipient.
    pub(super) recipients: Vec<bool>,
}

impl Asked {
    /// As [`crate::command::write_mail`] and [`crate::command::write_recipient`] write it.
    pub(super) fn of(transaction: &Transaction, peer: &Capabilities) -> Self {
        let mail = &transaction.mail;
        let recipients = transaction.recipients.iter();
        Self {
            size: peer.size.is_some() && mail.size.is_some(),
            dsn: peer.dsn && (mail.ret.is_some() || mail.envid.is_some()),
            eight_bit: peer.eight_bit_mime && mail.eight_bit,
            utf8: peer.smtputf8 && super::commands::needs_utf8(transaction),
            recipients: recipients
                .map(|rcpt| peer.dsn && (rcpt.notify.explicit || rcpt.orcpt.is_some()))
                .collect(),
        }
    }
}

/// What a recipient is told that is to be sent to again.
pub(super) fn retraction(stage: Stage, reply: &Reply) -> Outcome {
    let failure = Failure::replied(stage, reply.code, reply.status, &reply.text());
    Outcome::Deferred(Failure {
        status: RETRACTED,
        ..failure
    })
}

/// Whether a recipient was refused for a parameter that is not sent again over the same connection.
pub fn is_retraction(failure: &Failure) -> bool {
    let code = |code: ReplyCode| code.severity() == Severity::Permanent || code.value() == 455;
    failure.status == RETRACTED && failure.reply.is_some_and(code)
}
