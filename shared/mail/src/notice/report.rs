//! Delivery status notifications: bounces, delay warnings, and news of success.
//!
//! Contract: three parts, in this order: text, `message/delivery-status`, the original message or
//! its header. The second is always ASCII; addresses that are not go into it as `utf-8;
//! j\x{FC}rgen@…` (RFC 6533 §3). An original whose header is UTF-8 says so by its type (RFC 6533
//! §4, §5).
//! RFC 3464 §2; RFC 6522 (multipart/report); RFC 2045 §6.4 (a returned message is never
//! re-encoded).
#![warn(clippy::indexing_slicing)]

use std::fmt::Write as _;

use lettre::message::{
    Body, MultiPart, SinglePart,
    header::{ContentTransferEncoding, ContentType},
};

use crate::{
    clock::Timestamp,
    envelope::Recipient,
    limits,
    message::{Field, Header, conform},
    notice::{
        compose::{Heading, plain},
        facts::Bounce,
        words,
    },
    outcome::{Delivery, Handover},
    status::EnhancedStatus,
};

/// A complete message in canonical CRLF lines: `multipart/report; report-type=delivery-status`,
/// `Auto-Submitted: auto-replied`.
pub fn bounce(bounce: &Bounce<'_>) -> Vec<u8> {
    let told: Vec<_> = failures(bounce, "failed").collect();
    report(bounce, words::failed(bounce), &told, None)
}

/// A warning that the message has not been delivered yet and is tried until `give_up`; otherwise
/// like [`bounce`].
pub fn delay(bounce: &Bounce<'_>, give_up: Timestamp) -> Vec<u8> {
    let told: Vec<_> = failures(bounce, "delayed").collect();
    report(
        bounce,
        words::delayed(bounce, give_up),
        &told,
        Some(give_up),
    )
}

/// What NOTIFY=SUCCESS asks for: delivered, or relayed to a host that reports nothing itself (RFC
/// 3461 §5.2.2).
pub fn success(facts: &Bounce<'_>, reached: &[(Recipient, Delivery)]) -> Vec<u8> {
    let told: Vec<_> = reached
        .iter()
        .map(|(recipient, delivery)| Told {
            recipient,
            action: if delivery.handover == Handover::Final {
                "delivered"
            } else {
                "relayed"
            },
            status: EnhancedStatus::new(2, 0, 0),
            remote: Some(delivery.relay.as_str()).filter(|relay| relay.contains('[')),
            diagnostic: None,
            tried: Some(facts.now),
        })
        .collect();
    report(facts, words::succeeded(facts, reached), &told, None)
}

/// What is told of one recipient (RFC 3464 §2.3).
struct Told<'a> {
    recipient: &'a Recipient,
    action: &'static str,
    status: EnhancedStatus,
    /// `host[address]:port` of the peer that spoke.
    remote: Option<&'a str>,
    diagnostic: Option<String>,
    /// When that was tried, if it is known: an order may come long after the last attempt.
    tried: Option<Timestamp>,
}

fn failures<'a>(bounce: &'a Bounce<'_>, action: &'static str) -> impl Iterator<Item = Told<'a>> {
    bounce.failed.iter().map(move |(recipient, failure)| Told {
        recipient,
        action,
        status: failure.status,
        remote: failure.relay.as_deref().filter(|_| failure.reply.is_some()),
        diagnostic: Some(failure.diagnostic()),
        tried: (!failure.is_by_order()).then_some(bounce.now),
    })
}

fn report(
    bounce: &Bounce<'_>,
    (subject, text): (&str, String),
    told: &[Told<'_>],
    give_up: Option<Timestamp>,
) -> Vec<u8> {
    let status = delivery_status(bounce, told, give_up);
    let (original, encoding) = original(bounce);
    let parts = [
        plain(&text),
        part(
            "message/delivery-status",
            status,
            ContentTransferEncoding::SevenBit,
        ),
        original,
    ];
    let boundary = boundary(bounce.now, &parts);
    let content_type =
        format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
    let mut multipart = match ContentType::parse(&content_type) {
        Ok(content_type) => MultiPart::builder().header(content_type),
        Err(_) => MultiPart::mixed(),
    }
    .header(encoding)
    .build();
    for part in parts {
        multipart = multipart.singlepart(part);
    }
    let original = Header::parse(bounce.header);
    let about = original
        .first("Message-ID")
        .map(Field::value)
        .map(|value| conform::message_ids(&String::from_utf8_lossy(&value)));
    let heading = Heading {
        hostname: bounce.hostname,
        now: bounce.now,
        from: format!(
            "\"Mail Delivery System\" <MAILER-DAEMON@{}>",
            bounce.hostname
        ),
        to: std::slice::from_ref(bounce.to),
        subject,
        id: format!("{}.{}.report", bounce.queue_id, bounce.now.as_millis()),
        auto_submitted: "auto-replied",
        about: about
            .as_deref()
            .filter(|id| id.len() < 500 && !id.is_empty()),
    };
    heading.over(&multipart.formatted())
}

fn part(content_type: &str, body: Vec<u8>, encoding: ContentTransferEncoding) -> SinglePart {
    let content_type = ContentType::parse(content_type).unwrap_or(ContentType::TEXT_PLAIN);
    SinglePart::builder()
        .header(content_type)
        .body(Body::dangerous_pre_encoded(body, encoding))
}

/// A boundary that stands nowhere in the parts, whatever a peer or a sender wrote.
fn boundary(now: Timestamp, parts: &[SinglePart]) -> String {
    let taken = |boundary: &str| {
        let found = |part: &SinglePart| {
            part.raw_body()
                .windows(boundary.len())
                .any(|w| w == boundary.as_bytes())
        };
        parts.iter().any(found)
    };
    let candidates = (0u64..).map(|n| format!("=_{:x}.{n}", now.as_millis()));
    candidates
        .into_iter()
        .find(|candidate| !taken(candidate))
        .unwrap_or_default()
}

/// The machine-readable part (RFC 3464 §2.2, §2.3).
fn delivery_status(bounce: &Bounce<'_>, told: &[Told<'_>], give_up: Option<Timestamp>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line =
        |name: &str, value: &str| out.extend_from_slice(Field::new(name, &ascii(value)).raw());
    line("Reporting-MTA", &format!("dns; {}", bounce.hostname));
    if let Some(envid) = bounce.envid {
        line("Original-Envelope-Id", envid);
    }
    line("Arrival-Date", &bounce.arrival.rfc5322());
    for one in told {
        let recipient = one.recipient;
        out.extend_from_slice(b"\r\n");
        let mut line =
            |name: &str, value: &str| out.extend_from_slice(Field::new(name, &ascii(value)).raw());
        if let Some(orcpt) = &recipient.orcpt {
            line("Original-Recipient", &orcpt.replacen(';', "; ", 1));
        }
        let kind = if recipient.address.is_ascii() {
            "rfc822"
        } else {
            "utf-8"
        };
        line("Final-Recipient", &format!("{kind}; {}", recipient.address));
        line("Action", one.action);
        line("Status", &one.status.to_string());
        if let Some(remote) = one.remote {
            let host = remote.split('[').next().unwrap_or_default();
            line("Remote-MTA", &format!("dns; {host}"));
        }
        if let Some(diagnostic) = &one.diagnostic {
            line("Diagnostic-Code", diagnostic);
        }
        if let Some(tried) = one.tried {
            line("Last-Attempt-Date", &tried.rfc5322());
        }
        if let Some(give_up) = give_up {
            line("Will-Retry-Until", &give_up.rfc5322());
        }
    }
    out
}

/// Other than ASCII as `\x{HEX}` (RFC 6533 §3, utf-8-addr-xtext).
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
        }
    }
    out
}

/// The original, and what its encoding asks of the whole report.
fn original(bounce: &Bounce<'_>) -> (SinglePart, ContentTransferEncoding) {
    let seven_bit = |bytes: &[u8]| {
        bytes.is_ascii()
            && bytes
                .split(|&b| b == b'\n')
                .all(|l| l.len() < limits::TEXT_LINE)
    };
    let encoding = |bytes: &[u8]| {
        if seven_bit(bytes) {
            ContentTransferEncoding::SevenBit
        } else {
            ContentTransferEncoding::EightBit
        }
    };
    let is_utf8 = !bounce.header.is_ascii() && std::str::from_utf8(bounce.header).is_ok();
    if let Some(body) = bounce.body {
        let whole = [bounce.header, b"\r\n", body].concat();
        let encoding = encoding(&whole);
        let kind = if is_utf8 {
            "message/global"
        } else {
            "message/rfc822"
        };
        return (part(kind, whole, encoding), encoding);
    }
    let header = bounce.header.to_vec();
    if seven_bit(&header) {
        let part = part(
            "text/rfc822-headers",
            header,
            ContentTransferEncoding::SevenBit,
        );
        return (part, ContentTransferEncoding::SevenBit);
    }
    // Text may be encoded, a message may not.
    let quoted = Body::new_with_encoding(header, ContentTransferEncoding::QuotedPrintable)
        .unwrap_or_else(|header| {
            Body::dangerous_pre_encoded(header, ContentTransferEncoding::EightBit)
        });
    let kind = if is_utf8 {
        "message/global-headers"
    } else {
        "text/rfc822-headers; charset=utf-8"
    };
    let content_type = ContentType::parse(kind).unwrap_or(ContentType::TEXT_PLAIN);
    (
        SinglePart::builder().header(content_type).body(quoted),
        ContentTransferEncoding::SevenBit,
    )
}

#[cfg(test)]
mod tests;
