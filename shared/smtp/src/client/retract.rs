//! A peer that refuses a parameter which it offered to take: firewalls that rewrite EHLO, and
//! servers that say more than they do.
//!
//! Contract: such a refusal is no word about sender, recipient or message. What it names, else what
//! the mail can do without (SIZE, DSN), else what is left is not believed any more on this
//! connection, and whoever is concerned is deferred with 4.5.4 and the peer's own code, for whoever
//! drives the delivery to send again in the same session ([`super::is_retraction`]). A command
//! without any parameter that is refused in the same words was refused for something else: then all
//! of what was offered is believed again.
//! RFC 5321 §4.1.1.11 (455, 501, 504, 555); RFC 3463 §3.4, §3.6, §3.7.

use super::{
    machine::{Client, Expect},
    parameters::Asked,
};
use crate::reply::Reply;

impl Client {
    /// Whether a reply to MAIL or RCPT refuses a parameter; what is refused is then not offered any
    /// more.
    pub(super) fn retracts(&mut self, expect: Expect, reply: &Reply) -> bool {
        let Some(attempt) = &self.attempt else {
            return false;
        };
        // A program of ours means what it says.
        if self.settings.known.is_some() || !is_about_parameters(reply, expect) {
            return false;
        }
        let asked = &attempt.asked;
        let offer = &mut self.capabilities;
        match expect {
            Expect::Recipient(index) => {
                let asked = asked.recipients.get(index) == Some(&true);
                offer.dsn &= !asked;
                return asked;
            }
            Expect::Mail => {}
            _ => return false,
        }
        let text = reply.text().to_ascii_uppercase();
        let names = |keywords: &[&str]| {
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
            words.any(|word| keywords.contains(&word))
        };
        let told = Asked {
            size: asked.size && names(&["SIZE"]),
            dsn: asked.dsn && names(&["RET", "ENVID", "DSN"]),
            eight_bit: asked.eight_bit && names(&["BODY", "8BITMIME"]),
            utf8: asked.utf8 && names(&["SMTPUTF8", "UTF8"]),
            recipients: Vec::new(),
        };
        let refused = if told != Asked::default() {
            told
        } else if asked.size || asked.dsn {
            Asked {
                size: asked.size,
                dsn: asked.dsn,
                ..Asked::default()
            }
        } else if asked.eight_bit || asked.utf8 {
            asked.clone()
        } else {
            *offer = self.offered.clone();
            return false;
        };
        if refused.size {
            offer.size = None;
        }
        offer.dsn &= !refused.dsn;
        offer.eight_bit_mime &= !refused.eight_bit;
        offer.smtputf8 &= !refused.utf8;
        true
    }
}

/// Whether a refusal of MAIL or RCPT can be about a parameter; a status about an address or a
/// policy is not.
fn is_about_parameters(reply: &Reply, expect: Expect) -> bool {
    let status = reply
        .status
        .map(|status| (status.subject(), status.detail()));
    match (reply.code.value(), status) {
        // 503 is about the order of commands: "503 5.5.4 send AUTH first".
        (..400 | 503, _) => false,
        (_, Some((5, 4) | (3, 3)))
        | (455 | 504 | 555, _)
        | (500..=502, None | Some((5 | 0, _))) => true,
        // BODY: conversion is required, or the medium not supported.
        (500.., Some((6, 1 | 3))) => expect == Expect::Mail,
        _ => false,
    }
}
