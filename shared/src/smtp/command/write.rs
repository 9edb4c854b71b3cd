//! MAIL and RCPT as the client sends them.
//!
//! Contract: only what the peer offered is asked of it; one CRLF, at the end, whatever the texts contain. Whether a message can be sent
//! at all to a peer that lacks SMTPUTF8 is the caller's question.
//! RFC 5321 §4.1.1.2, §4.1.1.3; 1870, 3461, 6152, 6531.

use std::io::Write as _;

use crate::{
    envelope::{Envelope, Notify, Recipient, Ret},
    smtp::{capability::Capabilities, command::xtext},
};

/// `MAIL FROM:<sender>` with its parameters. `size` is that of the message, in bytes; `xcaller` is for our own agent.
pub fn write_mail(
    out: &mut Vec<u8>,
    envelope: &Envelope,
    size: u64,
    xcaller: Option<&Option<String>>,
    peer: &Capabilities,
) {
    let utf8 = envelope.content.utf8 && peer.smtputf8;
    push(out, format_args!("MAIL FROM:<{}>", envelope.sender));
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
            push(out, format_args!(" ENVID="));
            xtext::encode(envid, false, out);
        }
    }
    if let Some(name) = xcaller.filter(|_| peer.xcaller) {
        push(out, format_args!(" XCALLER"));
        if let Some(name) = name {
            out.push(b'=');
            xtext::encode(name, utf8, out);
        }
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
            push(out, format_args!(" ORCPT={kind};"));
            xtext::encode(address, utf8, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO:<name>`, for our own agent, which completes the name.
pub fn write_unqualified(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend(
        name.bytes()
            .map(|byte| if byte.is_ascii_control() { b'?' } else { byte }),
    );
    out.extend_from_slice(b">\r\n");
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
