//! The lines of a message's life in the queue, the same in both programs, in the words of Postfix's
//! smtp, bounce and qmgr.

use std::{fmt::Display, time::Duration};

use super::{Field, Level, Role, line_of, line_with};
use mail::{
    address::Sender,
    envelope::Recipient,
    outcome::{Outcome, escape},
    status::EnhancedStatus,
};

/// Longest Message-ID in a line, bytes.
pub const MESSAGE_ID: usize = 320;

/// Under which Message-ID others know the message.
pub fn identified(id: impl Display, message_id: &[u8]) {
    let value = escape(message_id, MESSAGE_ID);
    line_with(
        Role::Cleanup,
        Level::Info,
        &[(Field::QueueId, &id), (Field::MessageId, &value)],
        &format_args!("{id}: message-id={value}"),
    );
}

/// The result of one delivery attempt for one recipient; `age` is the time since the message
/// arrived.
pub fn attempt(id: impl Display, recipient: &Recipient, age: Duration, outcome: &Outcome) {
    let (status, relay, text) = outcome.told();
    let dsn = match outcome {
        Outcome::Delivered(_) => EnhancedStatus::new(2, 0, 0),
        Outcome::Deferred(failure) | Outcome::Failed(failure) => failure.status,
    };
    // The path of a Maildir can have commas, which end a value.
    let relay = relay.map_or_else(|| "none".to_owned(), |relay| relay.replace(',', "\\x2c"));
    let mut fields: Vec<(Field, &dyn Display)> = vec![
        (Field::QueueId, &id),
        (Field::To, &recipient.address),
        (Field::Relay, &relay),
        (Field::Dsn, &dsn),
        (Field::Status, &status),
    ];
    let mut original = String::new();
    if let Some(address) = &recipient.original {
        original = format!(", orig_to=<{address}>");
        fields.push((Field::OrigTo, address));
    }
    line_with(
        Role::Smtp,
        Level::Info,
        &fields,
        &format_args!(
            "{id}: to=<{}>{original}, relay={relay}, delay={}, dsn={dsn}, status={status} ({text})",
            recipient.address,
            seconds(age)
        ),
    );
}

/// The message was given up for its age.
pub fn expired(id: impl Display, sender: &Sender) {
    line_with(
        Role::Qmgr,
        Level::Info,
        &[
            (Field::QueueId, &id),
            (Field::From, sender),
            (Field::Status, &"expired"),
        ],
        &format_args!("{id}: from=<{sender}>, status=expired, returned to sender"),
    );
}

/// A bounce was queued.
pub fn bounced(id: impl Display, bounce: impl Display) {
    about(
        &id,
        Role::Bounce,
        Level::Info,
        &format_args!("{id}: sender non-delivery notification: {bounce}"),
    );
}

/// A delay warning was queued.
pub fn delayed(id: impl Display, warning: impl Display) {
    about(
        &id,
        Role::Bounce,
        Level::Info,
        &format_args!("{id}: sender delay notification: {warning}"),
    );
}

/// The news of a delivery was queued.
pub fn confirmed(id: impl Display, news: impl Display) {
    about(
        &id,
        Role::Bounce,
        Level::Info,
        &format_args!("{id}: sender delivery status notification: {news}"),
    );
}

/// Nobody can be told of its failure.
pub fn dead(id: impl Display, why: &str) {
    about(
        &id,
        Role::Qmgr,
        Level::Error,
        &format_args!("{id}: kept on hold, its failure can be told to nobody: {why}"),
    );
}

/// Nobody can be told of its failure, and nothing is kept for whom it was.
pub fn not_kept(id: impl Display, why: &str) {
    about(
        &id,
        Role::Qmgr,
        Level::Warning,
        &format_args!(
            "{id}: not kept, a stranger's mail whose failure can be told to nobody: {why}"
        ),
    );
}

/// The message has left the queue.
pub fn removed(id: impl Display) {
    about(&id, Role::Qmgr, Level::Info, &format_args!("{id}: removed"));
}

/// The same; `deleted`: recipients that an order kept from delivery; `overtaken`: an order came
/// too late for all of them.
pub fn ended(id: impl Display, deleted: usize, overtaken: bool) {
    if deleted > 0 {
        about(
            &id,
            Role::Qmgr,
            Level::Notice,
            &format_args!("{id}: deleted by order, undelivered recipients: {deleted}"),
        );
    }
    if overtaken {
        let text = format_args!(
            "{id}: the order to hold, delete or return it came too late: it has been delivered"
        );
        about(&id, Role::Qmgr, Level::Notice, &text);
    }
    removed(id);
}

/// What becomes of it is at the wish of a user, no administrator.
pub fn ordered(id: impl Display, uid: u32, order: &str) {
    let text = format_args!("{id}: its user (uid {uid}) orders: {order}");
    about(&id, Role::Qmgr, Level::Info, &text);
}

/// The wall clock was set: how.
pub fn clock_set(step: impl Display) {
    line_of(
        Role::Qmgr,
        Level::Warning,
        &format_args!("the clock was set {step}: no mail is older for it"),
    );
}

/// A line about one message.
pub fn about(id: &dyn Display, role: Role, level: Level, text: &dyn Display) {
    line_with(role, level, &[(Field::QueueId, id)], text);
}

/// Two significant digits, as Postfix prints delays.
fn seconds(delay: Duration) -> String {
    let seconds = delay.as_secs_f64();
    if seconds < 0.1 {
        format!("{seconds:.2}")
    } else if seconds < 10.0 {
        format!("{seconds:.1}")
    } else {
        format!("{seconds:.0}")
    }
}
