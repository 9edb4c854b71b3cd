//! The commands of a transaction, as far as its envelope can be written; [`crate::command`] writes them.
//!
//! Contract: no command that is written here can hold a control byte or a second command, whatever the caller passed.
//! RFC 5321 §4.1.1.1 to §4.1.1.3; RFC 6531 §3.4.

use super::event::Transaction;
use crate::{
    capability::Capabilities,
    command::{Own, fits_path, write_mail, write_recipient, write_unqualified},
};
use mail::{
    address::Sender,
    envelope::{Notify, Recipient},
};

/// `EHLO name`, and its kin.
pub(super) fn hello(verb: &str, name: &str) -> Vec<u8> {
    let name: String = name.chars().filter(char::is_ascii_graphic).collect();
    format!("{verb} {name}\r\n").into_bytes()
}

/// Whether the transaction can only travel with SMTPUTF8 (RFC 6531 §3.4).
pub(super) fn needs_utf8(transaction: &Transaction) -> bool {
    let envelope = &transaction.envelope;
    let sender_is_ascii = match &envelope.sender {
        Sender::Null => true,
        Sender::Address(address) => address.is_ascii(),
    };
    let ascii = sender_is_ascii
        && envelope
            .recipients
            .iter()
            .all(|recipient| recipient.address.is_ascii())
        && transaction
            .unqualified_sender
            .as_ref()
            .is_none_or(|name| name.is_ascii())
        && transaction
            .unqualified
            .iter()
            .all(|(name, _)| name.is_ascii());
    envelope.content.utf8 || !ascii
}

/// MAIL; `None` if the unqualified sender cannot stand in a command.
pub(super) fn mail(transaction: &Transaction, peer: &Capabilities) -> Option<Vec<u8>> {
    let envelope = &transaction.envelope;
    let sender = match &transaction.unqualified_sender {
        Some(name) if !fits_path(name) => return None,
        Some(name) => name.clone(),
        None => envelope.sender.to_string(),
    };
    let mut out = Vec::new();
    write_mail(
        &mut out,
        &sender,
        envelope,
        transaction.size,
        needs_utf8(transaction),
        Own {
            xcaller: transaction.xcaller.as_ref(),
            queued: transaction.queued,
        },
        peer,
    );
    Some(out)
}

/// RCPT for a recipient of the envelope. `utf8`: the transaction needs SMTPUTF8.
pub(super) fn recipient(recipient: &Recipient, utf8: bool, peer: &Capabilities) -> Vec<u8> {
    let mut out = Vec::new();
    write_recipient(&mut out, recipient, utf8 && peer.smtputf8, peer);
    out
}

/// RCPT for a name without domain, to our agent; `None` if it cannot stand in a command.
pub(super) fn unqualified_recipient(
    name: &str,
    notify: Notify,
    peer: &Capabilities,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    write_unqualified(&mut out, name, notify, peer);
    fits_path(name).then_some(out)
}
