//! MAIL and RCPT as the client sends them.
//!
//! Contract: only what the peer offered is asked of it; one CRLF, at the end, whatever the texts contain. Whether a message can be sent
//! at all to a peer that lacks SMTPUTF8 is the caller's question.
//! RFC 5321 §4.1.1.2, §4.1.1.3; 1870, 3461, 6152, 6531.

use std::io::Write as _;

use crate::{capability::Capabilities, command::xtext};
use mail::envelope::{Envelope, Notify, Recipient, Ret};

/// Longest ENVID and ORCPT that a server must take, as written (RFC 3461 §4.4, §4.2); a longer one is left out rather than refused for.
const MAX_ENVID: usize = 100;
const MAX_ORCPT: usize = 500;

/// What only our own agent is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own<'a> {
    /// `XCALLER`, with the full name if there is one.
    pub xcaller: Option<&'a Option<String>>,
    /// `XQUEUED`
    pub queued: bool,
}

/// `MAIL FROM:<sender>` with its parameters. `sender` is the envelope's, or a name without domain for our own agent; `size` that of the message,
/// in bytes; `utf8`: the transaction needs SMTPUTF8.
pub fn write_mail(
    out: &mut Vec<u8>,
    sender: &str,
    envelope: &Envelope,
    size: u64,
    utf8: bool,
    own: Own<'_>,
    peer: &Capabilities,
) {
    let utf8 = utf8 && peer.smtputf8;
    write_path(out, "MAIL FROM", sender);
    if peer.size.is_some() {
        push(out, format_args!(" SIZE={size}"));
    }
    if envelope.content.eight_bit && peer.eight_bit_mime {
        push(out, format_args!(" BODY=8BITMIME"));
    }
    if utf8 {
        push(out, format_args!(" SMTPUTF8"));
    }
    if peer.dsn {
        match envelope.ret {
            Some(Ret::Full) => push(out, format_args!(" RET=FULL")),
            Some(Ret::Headers) => push(out, format_args!(" RET=HDRS")),
            None => {}
        }
        if let Some(envid) = &envelope.envid {
            write_bounded(out, " ENVID=", envid, false, MAX_ENVID);
        }
    }
    if let Some(name) = own.xcaller.filter(|_| peer.xcaller) {
        push(out, format_args!(" XCALLER"));
        if let Some(name) = name {
            out.push(b'=');
            xtext::encode(name, utf8, out);
        }
    }
    if own.queued && peer.xcaller {
        push(out, format_args!(" XQUEUED"));
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<recipient>` with its parameters. `utf8`: MAIL said SMTPUTF8.
pub fn write_recipient(out: &mut Vec<u8>, recipient: &Recipient, utf8: bool, peer: &Capabilities) {
    push(out, format_args!("RCPT TO:<{}>", recipient.address));
    if peer.dsn {
        write_notify(out, recipient.notify);
        if let Some(orcpt) = original(recipient) {
            let (kind, address) = orcpt.split_once(';').unwrap_or(("rfc822", &orcpt));
            write_bounded(out, &format!(" ORCPT={kind};"), address, utf8, MAX_ORCPT);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<name>` with NOTIFY, for our own agent, which completes the name.
pub fn write_unqualified(out: &mut Vec<u8>, name: &str, notify: Notify, peer: &Capabilities) {
    write_path(out, "RCPT TO", name);
    if peer.dsn {
        write_notify(out, notify);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a name without domain can stand between `<` and `>` as it is: a word, or a quoted string (RFC 5321 §4.1.2, Local-part).
pub fn fits_path(name: &str) -> bool {
    let quoted = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if let Some(inner) = quoted {
        return is_quoted_content(inner);
    }
    let breaks = |c: char| c.is_control() || matches!(c, ' ' | '<' | '>' | '"');
    !name.is_empty() && !name.contains(breaks)
}

fn is_quoted_content(inner: &str) -> bool {
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let meant = if c == '\\' {
            chars.next()
        } else {
            Some(c).filter(|&c| c != '"')
        };
        if meant.is_none_or(char::is_control) {
            return false;
        }
    }
    true
}

/// Control characters become `?`, so that no name can begin another command.
fn write_path(out: &mut Vec<u8>, command: &str, path: &str) {
    let safe = path.replace(char::is_control, "?");
    push(out, format_args!("{command}:<{safe}>"));
}

fn write_bounded(out: &mut Vec<u8>, key: &str, text: &str, utf8: bool, max: usize) {
    let mut value = Vec::new();
    xtext::encode(text, utf8, &mut value);
    if !value.is_empty() && value.len() <= max {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&value);
    }
}

/// What ORCPT says: what it said when the message came, else the address that an alias replaced.
fn original(recipient: &Recipient) -> Option<String> {
    let replaced = recipient.original.as_ref();
    recipient.orcpt.clone().or_else(|| {
        replaced.map(|address| {
            format!(
                "{};{address}",
                if address.is_ascii() {
                    "rfc822"
                } else {
                    "utf-8"
                }
            )
        })
    })
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
