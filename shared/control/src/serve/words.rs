//! What an asker is told of a message beyond what the spool says. Pure.

use mail::{
    address::Sender,
    clock::Timestamp,
    envelope::{Envelope, Recipient},
};
use spool::{Entry, SpoolError};

use crate::{listing::Row, order::Order};

/// What becomes of a message that is given up, where nobody hears of it.
pub(super) fn untold(entry: &Entry, envelope: &Envelope) -> Option<&'static str> {
    if envelope.sender == Sender::Null {
        return Some("held as dead mail, and nobody is told: it has no sender to return it to");
    }
    let waiting = entry.waiting.iter();
    let indexes = waiting.filter_map(|waiting| usize::try_from(waiting.recipient).ok());
    let mut recipients = indexes.filter_map(|index| envelope.recipients.get(index));
    let is_silent = |to: &Recipient| to.notify.explicit && !to.notify.failure;
    recipients
        .all(is_silent)
        .then_some("given up, and nobody is told: its sender wants no report (NOTIFY)")
}

/// What becomes of a message by an order that an attempt is before; `untold`: what there would be
/// to say of it without one.
pub(super) fn under_way(order: Order, untold: Option<&str>) -> String {
    let done = untold.unwrap_or(order.done());
    format!(
        "{done}, unless the attempt that is under way delivers it: look at the log, or at queue list"
    )
}

/// What becomes of a message whose sender and recipients are whole, but not all else.
pub(super) const RETURNED_DAMAGED: &str =
    "to be returned with what is left of it: it is damaged on the disk";

/// What becomes of a message of which not all can be read.
pub(super) fn returned_in_part(why: &SpoolError) -> String {
    if why.is_damage() {
        format!("to be returned with what is left of it: {why}")
    } else {
        format!("to be returned as soon as it can be read: {why}")
    }
}

/// In place of the reason why it waits. Where files lie is not every user's business.
pub(super) fn unread(why: &SpoolError, briefly: bool) -> String {
    if briefly {
        "cannot be read from the disk".to_owned()
    } else {
        format!("cannot be read: {why}")
    }
}

/// Why nobody waits until an order is on disk.
pub(super) const HANGS: &str =
    "the disk of the queue does not answer: look at the disk; status and check say since when";

/// What became of an order that is not on disk.
pub(super) fn undurable(order: Order, why: &str) -> String {
    match order {
        Order::Flush => format!("to be tried when the queue can be written again: {why}"),
        _ => format!("done, but not on disk yet, so that a crash may undo it: {why}"),
    }
}

/// Why no attempt is made with a message on hold.
pub(super) fn not_tried(row: &Row) -> String {
    let mut reasons = row.recipients.iter().map(|to| &*to.delay_reason);
    let why = reasons.find(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let id = &row.queue_id;
    format!("{id} is on hold{why}, and is not tried until you release it: queue release {id}")
}

/// When the first of those that wait is tried next; what is on hold is not.
pub(super) fn next_attempt(
    entry: &Entry,
    tried: Option<Timestamp>,
    paused: Option<Timestamp>,
) -> Option<Timestamp> {
    if entry.hold.is_held() {
        return None;
    }
    let noted = entry.waiting.iter().filter_map(|it| it.until).min();
    let due = noted.map(|noted| noted.min(tried.unwrap_or(noted)));
    due.max(paused)
}
