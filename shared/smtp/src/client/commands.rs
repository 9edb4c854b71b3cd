//! The greeting command, and what a transaction needs of the peer; [`crate::command`] writes MAIL
//! and RCPT.
//!
//! RFC 5321 §4.1.1.1; RFC 6531 §3.4.

use super::event::Transaction;
use mail::address::Mailbox;

/// `EHLO name`, and its kin.
pub(super) fn hello(verb: &str, name: &str) -> Vec<u8> {
    let name: String = name.chars().filter(char::is_ascii_graphic).collect();
    format!("{verb} {name}\r\n").into_bytes()
}

/// Whether the transaction can only travel with SMTPUTF8 (RFC 6531 §3.4).
pub(super) fn needs_utf8(transaction: &Transaction) -> bool {
    let mail = &transaction.mail;
    let ascii = mail.sender.as_ref().is_none_or(Mailbox::is_ascii)
        && transaction.recipients.iter().all(|rcpt| rcpt.to.is_ascii());
    mail.utf8 || !ascii
}
