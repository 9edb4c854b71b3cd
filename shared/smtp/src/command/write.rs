//! MAIL and RCPT as the client sends them.
//!
//! Contract: only what the peer offered is asked of it; one CRLF, at the end, whatever the texts
//! contain. Whether a message can be sent at all to a peer that lacks SMTPUTF8 is the caller's
//! question.
//! RFC 5321 §4.1.1.2, §4.1.1.3; 1870, 3461, 6152, 6531.

use std::io::Write as _;

use crate::{capability::Capabilities, command::xtext};
use mail::envelope::{Mail, Notify, Rcpt, Ret};

/// Longest ENVID and ORCPT that a server must take, as written (RFC 3461 §4.4, §4.2); a longer one
/// is left out rather than refused for.
const MAX_ENVID: usize = 100;
/// Longest full name of a caller, encoded.
pub(super) const MAX_NAME: usize = 500;
const MAX_ORCPT: usize = 500;

/// `MAIL FROM:<sender>` with its parameters. `utf8`: the transaction needs SMTPUTF8.
pub fn write_mail(out: &mut Vec<u8>, mail: &Mail, utf8: bool, peer: &Capabilities) {
    let utf8 = utf8 && peer.smtputf8;
    match &mail.sender {
        Some(sender) => push(out, format_args!("MAIL FROM:<{sender}>")),
        None => push(out, format_args!("MAIL FROM:<>")),
    }
    if let Some(size) = mail.size.filter(|_| peer.size.is_some()) {
        push(out, format_args!(" SIZE={size}"));
    }
    if mail.eight_bit && peer.eight_bit_mime {
        push(out, format_args!(" BODY=8BITMIME"));
    }
    if utf8 {
        push(out, format_args!(" SMTPUTF8"));
    }
    if peer.dsn {
        match mail.ret {
            Some(Ret::Full) => push(out, format_args!(" RET=FULL")),
            Some(Ret::Headers) => push(out, format_args!(" RET=HDRS")),
            None => {}
        }
        if let Some(envid) = &mail.envid {
            write_bounded(out, " ENVID=", envid, false, MAX_ENVID);
        }
    }
    if let Some(name) = mail.xcaller.as_ref().filter(|_| peer.xcaller) {
        push(out, format_args!(" XCALLER"));
        if let Some(name) = name {
            out.push(b'=');
            write_cut(out, name, utf8, MAX_NAME);
        }
    }
    if mail.queued && peer.xcaller {
        push(out, format_args!(" XQUEUED"));
    }
    if mail.moved && peer.xmove {
        push(out, format_args!(" XMOVE"));
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<recipient>` with its parameters. `utf8`: MAIL said SMTPUTF8.
pub fn write_recipient(out: &mut Vec<u8>, rcpt: &Rcpt, utf8: bool, peer: &Capabilities) {
    push(out, format_args!("RCPT TO:<{}>", rcpt.to));
    if peer.dsn {
        write_notify(out, rcpt.notify);
        if let Some(orcpt) = &rcpt.orcpt {
            let (kind, address) = orcpt.split_once(';').unwrap_or(("rfc822", orcpt));
            write_bounded(out, &format!(" ORCPT={kind};"), address, utf8, MAX_ORCPT);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// As much of a text as there is room for: what is said of a caller must not cost the mail.
fn write_cut(out: &mut Vec<u8>, text: &str, utf8: bool, max: usize) {
    let (mut left, mut letter) = (max, Vec::new());
    for character in text.chars() {
        letter.clear();
        xtext::encode(character.encode_utf8(&mut [0; 4]), utf8, &mut letter);
        let Some(rest) = left.checked_sub(letter.len()) else {
            return;
        };
        left = rest;
        out.extend_from_slice(&letter);
    }
}

fn write_bounded(out: &mut Vec<u8>, key: &str, text: &str, utf8: bool, max: usize) {
    let mut value = Vec::new();
    xtext::encode(text, utf8, &mut value);
    if !value.is_empty() && value.len() <= max {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&value);
    }
}

fn write_notify(out: &mut Vec<u8>, notify: Notify) {
    if !notify.explicit {
        return;
    }
    let wishes = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let words: Vec<&str> = wishes
        .into_iter()
        .filter(|(wished, _)| *wished)
        .map(|(_, word)| word)
        .collect();
    push(
        out,
        format_args!(
            " NOTIFY={}",
            if words.is_empty() {
                "NEVER".to_owned()
            } else {
                words.join(",")
            }
        ),
    );
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec does not fail.
    let _ = out.write_fmt(text);
}
