//! The agent's lines in the mail log, in Postfix's words, so that pflogsumm and habits keep working.

use std::time::Duration;

use shared::{
    address::Sender,
    clock::Timestamp,
    envelope::{Envelope, Recipient},
    log::{Level, line},
    outcome::Outcome,
    spool::QueueId,
};

pub(super) fn queued(id: QueueId, envelope: &Envelope, size: u64) {
    let count = envelope.recipients.len();
    let (sender, origin) = (&envelope.sender, &envelope.origin);
    line(
        Level::Info,
        &format_args!("{id}: from=<{sender}>, size={size}, nrcpt={count} (queue active), {origin}"),
    );
}

/// A submission that was not taken.
pub(super) fn rejected(origin: &str, reply: &str) {
    line(
        Level::Notice,
        &format_args!("NOQUEUE: reject: from {origin}: {reply}"),
    );
}

/// The result of one attempt for one recipient.
pub(super) fn attempt(id: QueueId, recipient: &Recipient, age: Duration, outcome: &Outcome) {
    let (relay, dsn, status, text) = match outcome {
        Outcome::Delivered(delivery) => (
            Some(&delivery.relay),
            "2.0.0".to_owned(),
            "sent",
            delivery.reply.clone(),
        ),
        Outcome::Deferred(failure) => (
            failure.relay.as_ref(),
            failure.status.to_string(),
            "deferred",
            failure.log_text(),
        ),
        Outcome::Failed(failure) => (
            failure.relay.as_ref(),
            failure.status.to_string(),
            "bounced",
            failure.log_text(),
        ),
    };
    let original = recipient
        .original
        .as_ref()
        .map_or_else(String::new, |address| format!(", orig_to=<{address}>"));
    let relay = relay.map_or("none", String::as_str);
    line(
        Level::Info,
        &format_args!(
            "{id}: to=<{}>{original}, relay={relay}, delay={:.2}, dsn={dsn}, status={status} ({text})",
            recipient.address,
            age.as_secs_f64()
        ),
    );
}

pub(super) fn tls(relay: &str, summary: &str, pinned: bool) {
    let trust = if pinned { "Verified" } else { "Trusted" };
    line(
        Level::Info,
        &format_args!("{trust} TLS connection established to {relay}: {summary}"),
    );
}

pub(super) fn expired(id: QueueId, sender: &Sender) {
    line(
        Level::Info,
        &format_args!("{id}: from=<{sender}>, status=expired, returned to sender"),
    );
}

pub(super) fn bounced(id: QueueId, bounce: QueueId) {
    line(
        Level::Info,
        &format_args!("{id}: sender non-delivery notification: {bounce}"),
    );
}

pub(super) fn delayed(id: QueueId, warning: QueueId) {
    line(
        Level::Info,
        &format_args!("{id}: sender delay notification: {warning}"),
    );
}

/// Nobody can be told of the failure: the message stays.
pub(super) fn dead(id: QueueId, why: &str) {
    line(
        Level::Error,
        &format_args!("{id}: kept on hold, its failure can be told to nobody: {why}"),
    );
}

pub(super) fn removed(id: QueueId) {
    line(Level::Info, &format_args!("{id}: removed"));
}

pub(super) fn unreached(until: Option<Timestamp>, why: &str) {
    let until = until.map_or_else(String::new, |until| {
        format!(", next attempt {}", until.mailq())
    });
    line(
        Level::Warning,
        &format_args!("the relayhost cannot be used{until}: {why}"),
    );
}

pub(super) fn notice(text: &str) {
    line(Level::Notice, &text);
}

pub(super) fn warning(text: &str) {
    line(Level::Warning, &text);
}
