//! The agent's lines in the mail log, in Postfix's words, so that pflogsumm and habits keep
//! working.

use std::fmt::Display;

use mail::{clock::Timestamp, envelope::Envelope};
use queue::rate::Window;
use spool::QueueId;
use system::log::{Field, Level, Role, life, line, line_about, line_with};

use super::owners::Owners;

pub(super) fn queued(id: QueueId, envelope: &Envelope, size: u64) {
    taken(id, envelope, size, "active");
}

/// A message that waits for the budget, as the last of so many.
pub(super) fn over_budget(
    id: QueueId,
    envelope: &Envelope,
    size: u64,
    budget: Window,
    waiting: usize,
) {
    taken(id, envelope, size, "hold");
    life::about(
        &id,
        Role::Qmgr,
        Level::Info,
        &format_args!("{id}: over the budget of {budget}, {waiting} wait now"),
    );
}

/// A message that waited for the budget goes.
pub(super) fn let_go(id: QueueId, budget: Window) {
    life::about(
        &id,
        Role::Qmgr,
        Level::Info,
        &format_args!("{id}: goes, within the budget of {budget}"),
    );
}

/// A report that waits for its digest: it says the same as on that day.
pub(super) fn unchanged(id: QueueId, envelope: &Envelope, size: u64, as_on: Timestamp) {
    taken(id, envelope, size, "hold");
    let as_on = as_on.mailq();
    life::about(
        &id,
        Role::Qmgr,
        Level::Info,
        &format_args!("{id}: says the same as on {as_on}, waits for the digest"),
    );
}

fn taken(id: QueueId, envelope: &Envelope, size: u64, queue: &str) {
    let count = envelope.recipients.len();
    let (sender, origin) = (&envelope.sender, &envelope.origin);
    line_with(
        Role::Qmgr,
        Level::Info,
        &[
            (Field::QueueId, &id),
            (Field::From, sender),
            (Field::Size, &size),
            (Field::Recipients, &count),
        ],
        &format_args!(
            "{id}: from=<{sender}>, size={size}, nrcpt={count} (queue {queue}), {origin}"
        ),
    );
}

/// A message that another one in the queue stands for.
pub(super) fn counted(by: QueueId, envelope: &Envelope, count: u32) {
    let (sender, origin) = (&envelope.sender, &envelope.origin);
    life::about(
        &by,
        Role::Qmgr,
        Level::Info,
        &format_args!(
            "{by}: from=<{sender}>, one more like it, {count} now (counted for the digest), {origin}"
        ),
    );
}

/// A message went into a digest of so many.
pub(super) fn digested(id: QueueId, digest: QueueId, count: impl Display) {
    life::about(
        &id,
        Role::Qmgr,
        Level::Info,
        &format_args!("{id}: digest of {count} messages: {digest}"),
    );
}

/// A submission that was not taken. What comes too often is counted by whose numbers they are: a
/// user has many.
pub(super) fn rejected(owners: &Owners, uid: u32, reply: &str) {
    line_about(
        &format!("uid {}", owners.party(uid)),
        Role::Smtpd,
        Level::Notice,
        &format_args!("NOQUEUE: reject: from uid {uid}: {reply}"),
    );
}

/// The same of a connection that its process had closed before anybody could see whose it is.
pub(super) fn nobodys(reply: &str) {
    line_about(
        "a connection of nobody",
        Role::Smtpd,
        Level::Notice,
        &format_args!("NOQUEUE: reject: from a connection that was closed at once: {reply}"),
    );
}

/// Whoever connects and goes away can do so thousands of times a second.
pub(super) fn lost(owners: &Owners, uid: u32, why: &dyn Display) {
    line_about(
        &format!("uid {}", owners.party(uid)),
        Role::Smtpd,
        Level::Info,
        &format_args!("lost connection from uid {uid}: {why}"),
    );
}

pub(super) fn tls(relay: &str, summary: &str, pinned: bool) {
    let trust = if pinned { "Verified" } else { "Trusted" };
    line(
        Level::Info,
        &format_args!("{trust} TLS connection established to {relay}: {summary}"),
    );
}

pub(super) fn unreached(until: Timestamp, why: &str) {
    let until = until.mailq();
    line(
        Level::Warning,
        &format_args!("the relayhost cannot be used, next attempt {until}: {why}"),
    );
}

pub(super) fn turned_away(senders: usize, until: Timestamp, why: &str) {
    let until = until.mailq();
    line(
        Level::Notice,
        &format_args!(
            "the relayhost turns senders away ({senders}), whose mail waits until {until}: {why}"
        ),
    );
}

pub(super) fn notice(text: &str) {
    line(Level::Notice, &text);
}

pub(super) fn warning(text: &str) {
    line(Level::Warning, &text);
}
