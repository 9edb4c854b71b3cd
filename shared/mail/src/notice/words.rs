//! What a report says to people.

use std::fmt::Write as _;

use crate::{
    clock::Timestamp,
    envelope::Recipient,
    notice::facts::Bounce,
    outcome::{Delivery, Handover},
};

/// Subject and text of a bounce.
pub(super) fn failed(bounce: &Bounce<'_>) -> (&'static str, String) {
    let mut text = format!(
        "This is the mail server {}.\n\nYour message of {} did not reach the recipients below, and no further attempt is made.\n\
         For each of them you find the reason. Your message, or its header, is attached.\n",
        bounce.hostname,
        bounce.arrival.rfc5322(),
    );
    reasons(&mut text, bounce);
    let _ = write!(
        text,
        "\nWho runs the server finds more in its log under {}.\n",
        bounce.queue_id
    );
    ("Undelivered mail: returned to sender", text)
}

/// Subject and text of a delay warning.
pub(super) fn delayed(bounce: &Bounce<'_>, give_up: Timestamp) -> (&'static str, String) {
    let mut text = format!(
        "This is the mail server {}.\n\nTHIS IS ONLY A WARNING. There is no need to send your message again.\n\n\
         Your message of {} has not reached the recipients below yet.\nThe server goes on trying until {}.\n",
        bounce.hostname,
        bounce.arrival.rfc5322(),
        give_up.rfc5322(),
    );
    reasons(&mut text, bounce);
    let _ = write!(
        text,
        "\nWho runs the server finds more in its log under {}.\n",
        bounce.queue_id
    );
    ("Delayed mail: still being tried", text)
}

/// Subject and text of the answer to NOTIFY=SUCCESS.
pub(super) fn succeeded(
    facts: &Bounce<'_>,
    reached: &[(Recipient, Delivery)],
) -> (&'static str, String) {
    let mut text = format!(
        "This is the mail server {}.\n\nYou asked to hear what becomes of your message of {}:\n",
        facts.hostname,
        facts.arrival.rfc5322(),
    );
    for (recipient, delivery) in reached {
        let what = if delivery.handover == Handover::Final {
            "delivered".to_owned()
        } else {
            format!(
                "passed on to {}, which does not report deliveries",
                delivery.relay
            )
        };
        let _ = writeln!(text, "\n<{}>:\n    {what}", recipient.address);
    }
    ("Delivered mail: you asked to be told", text)
}

/// Writing to a String cannot fail.
fn reasons(text: &mut String, bounce: &Bounce<'_>) {
    for (recipient, failure) in bounce.failed {
        let _ = write!(text, "\n<{}>", recipient.address);
        if let Some(original) = recipient
            .original
            .as_ref()
            .filter(|original| **original != recipient.address)
        {
            let _ = write!(text, " (written to <{original}>)");
        }
        let _ = writeln!(text, ":\n    {}", failure.log_text());
    }
}
