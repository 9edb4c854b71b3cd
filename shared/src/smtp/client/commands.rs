//! MAIL and RCPT with the parameters that the peer knows.
//!
//! Contract: no command that is written here can hold a control byte or a second command, whatever the caller passed.
//! RFC 5321 §4.1.1.2 f.; RFC 1870 (SIZE), 3461 (RET, ENVID, NOTIFY, ORCPT, xtext), 6152 (BODY), 6531 (SMTPUTF8).

use std::fmt::Write as _;

use super::event::Transaction;
use crate::{
    address::Sender,
    envelope::{Notify, Recipient, Ret},
    smtp::capability::Capabilities,
};

/// Longest ENVID and ORCPT that a server must take, as written (RFC 3461 §4.4, §4.2); longer ones are left out rather than refused for.
const MAX_ENVID: usize = 100;
const MAX_ORCPT: usize = 500;

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
    let mut line = match &transaction.unqualified_sender {
        Some(name) if !is_plain(name) => return None,
        Some(name) => format!("MAIL FROM:<{name}>"),
        None => format!("MAIL FROM:<{}>", envelope.sender),
    };
    if peer.size.is_some() {
        // Writing to a String cannot fail, here and below.
        let _ = write!(line, " SIZE={}", transaction.size);
    }
    if peer.eight_bit_mime && envelope.content.eight_bit {
        line.push_str(" BODY=8BITMIME");
    }
    if peer.smtputf8 && needs_utf8(transaction) {
        line.push_str(" SMTPUTF8");
    }
    if peer.dsn {
        match envelope.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(id) = envelope
            .envid
            .as_deref()
            .map(xtext)
            .filter(|id| !id.is_empty() && id.len() <= MAX_ENVID)
        {
            let _ = write!(line, " ENVID={id}");
        }
    }
    match &transaction.xcaller {
        Some(Some(full_name)) => {
            let _ = write!(line, " XCALLER={}", xtext(full_name));
        }
        Some(None) => line.push_str(" XCALLER"),
        None => {}
    }
    line.push_str("\r\n");
    Some(line.into_bytes())
}

/// RCPT for a recipient of the envelope.
pub(super) fn recipient(recipient: &Recipient, peer: &Capabilities) -> Vec<u8> {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if peer.dsn {
        push_notify(&mut line, recipient.notify);
        if let Some(original) = recipient
            .orcpt
            .as_deref()
            .map(xtext)
            .filter(|text| !text.is_empty() && text.len() <= MAX_ORCPT)
        {
            let _ = write!(line, " ORCPT={original}");
        }
    }
    line.push_str("\r\n");
    line.into_bytes()
}

/// RCPT for a name without domain, to our agent; `None` if it cannot stand in a command.
pub(super) fn unqualified_recipient(
    name: &str,
    notify: Notify,
    peer: &Capabilities,
) -> Option<Vec<u8>> {
    if !is_plain(name) {
        return None;
    }
    let mut line = format!("RCPT TO:<{name}>");
    if peer.dsn {
        push_notify(&mut line, notify);
    }
    line.push_str("\r\n");
    Some(line.into_bytes())
}

fn push_notify(line: &mut String, notify: Notify) {
    if !notify.explicit {
        return;
    }
    let wishes = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let words: Vec<_> = wishes
        .into_iter()
        .filter_map(|(wanted, word)| wanted.then_some(word))
        .collect();
    line.push_str(" NOTIFY=");
    line.push_str(&if words.is_empty() {
        "NEVER".to_owned()
    } else {
        words.join(",")
    });
}

/// Whether a name can stand between `<` and `>` as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

/// RFC 3461 §4.
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' | ..=b' ' | 0x7f.. => {
                let _ = write!(out, "+{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}
