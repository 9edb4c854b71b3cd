//! The greeting command, and what a transaction needs of the peer; [`crate::command`] writes MAIL
//! and RCPT.
//!
//! RFC 5321 §4.1.1.1; RFC 6531 §3.4.

use super::event::Transaction;
use mail::envelope::Mail;

/// `EHLO name`, and its kin.
pub(super) fn hello(verb: &str, name: &str) -> Vec<u8> {
    let name: String = name.chars().filter(char::is_ascii_graphic).collect();
    format!("{verb} {name}\r\n").into_bytes()
}

/// Whether the transaction says SMTPUTF8, where it is offered (RFC 6531 §3.4).
pub(super) fn needs_utf8(transaction: &Transaction) -> bool {
    needs_utf8_for_all(&transaction.mail) || in_utf8(transaction).next().is_some()
}

/// Whether it can travel with SMTPUTF8 alone, whoever the recipients are.
pub(super) fn needs_utf8_for_all(mail: &Mail) -> bool {
    mail.utf8 || mail.sender.as_ref().is_some_and(|it| !it.is_ascii())
}

/// The recipients that nobody can be told of without SMTPUTF8.
pub(super) fn in_utf8(transaction: &Transaction) -> impl Iterator<Item = usize> + '_ {
    let all = transaction.recipients.iter().enumerate();
    all.filter(|(_, rcpt)| !rcpt.to.is_ascii())
        .map(|(index, _)| index)
}
