//! What the sender is told: of recipients that are given up, that still wait, or that were reached;
//! and what the administrators are told of dead mail.
//!
//! Contract: never a notification of a notification (null sender), never against NOTIFY. A bounce
//! carries the whole original while that is small, so that no content is lost by a misjudged one,
//! and far more where the relayhost itself has seen it and refuses it for policy: if that was about
//! this machine, the notification is refused, too, and all is in it where it stays on hold. Its
//! header alone with RET=HDRS, and where a stranger brought it: what he writes is not carried
//! to whom he names. Composing is [`mail::notice`]; the message is complete, and its envelope has
//! the null sender.
//! Failures: the message cannot be read; nothing is told then, and the caller asks again later.
//! RFC 5321 §4.5.5, §6.1; RFC 3461 §4.1, §4.3, §5.2.2.

use std::{io, path::Path, sync::Arc};

use mail::{
    address::Sender,
    clock::Timestamp,
    envelope::{Envelope, Notify, Recipient, Ret},
    notice,
    outcome::{Delivery, Failure, Outcome},
};
use spool::Stored;

/// Most of a returned message, bytes (Postfix `bounce_size_limit`).
pub const RETURNED: u64 = 50_000;

/// The same where what was said may be about this machine: whole but for a giant, since a report is
/// made in memory.
const DOUBTFUL: u64 = 8 * 1024 * 1024;

/// Where a report came from, in front of the id that it is about; behind it, where that came from.
pub const REPORT: &str = "report on ";
/// Between the two.
pub const ABOUT: &str = " from ";

/// What the sender is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion<'a> {
    /// Given up. `stranger`: a client that may not relay brought the message.
    Failed {
        failed: &'a [(u32, Failure)],
        stranger: bool,
    },
    /// Still tried, until then.
    Late {
        late: &'a [(u32, Failure)],
        give_up: Timestamp,
    },
    /// One outcome for each of these recipients: those that were reached, and of which nobody else
    /// tells.
    Reached {
        recipients: &'a [u32],
        outcomes: &'a [Outcome],
    },
}

/// A message of our own.
#[derive(Clone, Debug)]
pub struct Report {
    pub envelope: Envelope,
    /// Complete, canonical CRLF lines.
    pub message: Vec<u8>,
}

/// The report that is due; `None`: nobody is to be told.
pub fn report(
    occasion: Occasion<'_>,
    stored: &Stored,
    hostname: &str,
    now: Timestamp,
) -> io::Result<Option<Report>> {
    let envelope = &stored.envelope;
    let Some(to) = envelope.sender.address() else {
        return Ok(None);
    };
    let (failed, reached) = (failed(envelope, occasion), reached(envelope, occasion));
    if failed.is_empty() && reached.is_empty() {
        return Ok(None);
    }
    let body = match occasion {
        Occasion::Failed { stranger, .. } => {
            let doubtful = failed
                .iter()
                .any(|(_, failure)| failure.is_of_policy_late());
            let small = doubtful || stored.size() <= RETURNED;
            let most = if doubtful { DOUBTFUL } else { RETURNED };
            let goes = is_returned(envelope.ret, small, stranger);
            goes.then(|| stored.beginning(most)).transpose()?
        }
        _ => None,
    };
    let facts = notice::Bounce {
        hostname,
        queue_id: &stored.id.to_string(),
        arrival: stored.arrival,
        now,
        to,
        envid: envelope.envid.as_deref(),
        failed: &failed,
        header: &stored.header,
        body: body.as_deref(),
    };
    let message = match occasion {
        Occasion::Failed { .. } => notice::bounce(&facts),
        Occasion::Late { give_up, .. } => notice::delay(&facts, give_up),
        Occasion::Reached { .. } => notice::success(&facts, &reached),
    };
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: vec![Recipient::from(to.clone())],
        origin: format!("{REPORT}{}{ABOUT}{}", stored.id, envelope.origin),
        uid: envelope.uid,
        ..Envelope::default()
    };
    Ok(Some(Report { envelope, message }))
}

/// Messages, a line each.
pub fn damaged(ids: &[spool::QueueId]) -> String {
    ids.iter()
        .fold(String::new(), |text, id| text + &format!("{id}\n"))
}

/// Subject and text for the administrators about messages that are damaged on the disk.
pub fn damage(hostname: &str, list: &str, program: &str, spool: &Path) -> (String, String) {
    let spool = spool.display();
    let text = format!(
        "Messages in the queue of {hostname} are damaged on the disk:\n\n{list}\n\
         They wait, and are not delivered as they are. Put the files in {spool} back from a copy \
         if there is one. When they are too old, or by an order, their senders get back what is \
         left of them:\n\n  {program} queue bounce ID\n\n\
         Other mail is not concerned. Look at the disk: dmesg, smartctl.\n"
    );
    (
        format!("{hostname}: messages in the queue are damaged"),
        text,
    )
}

/// Failures for age, each with what was known of its recipient before the last attempt.
pub fn with_reasons(failed: &[(u32, Failure)], waiting: &[spool::Waiting]) -> Vec<(u32, Failure)> {
    let earlier = |recipient| {
        let mut waiting = waiting.iter();
        waiting
            .find(|it| it.recipient == recipient)?
            .reason
            .as_ref()
    };
    let failed = failed.iter();
    failed
        .map(|(recipient, failure)| (*recipient, with_earlier(failure, earlier(*recipient))))
        .collect()
}

/// A failure for age, with what was known before the last attempt: an outage must not hide what the
/// peer said.
fn with_earlier(failure: &Failure, earlier: Option<&Arc<str>>) -> Failure {
    let earlier = earlier.map_or("", |reason| reason);
    let earlier = earlier
        .strip_prefix("delivery temporarily suspended: ")
        .unwrap_or(earlier);
    if earlier.is_empty() || failure.text.contains(earlier) {
        return failure.clone();
    }
    Failure {
        text: format!("{}; before that: {earlier}", failure.text),
        ..failure.clone()
    }
}

/// Where a notice about dead mail came from: nothing is told of it when it dies itself.
pub const DEAD: &str = "notice of dead mail";

/// Subject and text of the notice about dead mail; `program` is whose commands show, release and
/// delete it.
pub fn dead(
    stored: &Stored,
    hostname: &str,
    failed: &[(u32, Failure)],
    program: &str,
) -> (String, String) {
    let reasons: String = failed
        .iter()
        .filter_map(|(index, failure)| {
            let to = &recipient(&stored.envelope, *index)?.address;
            Some(format!("  {to}: {}\n", failure.log_text()))
        })
        .collect();
    let id = stored.id;
    let subject = format!("{hostname}: a bounce cannot be delivered and is kept");
    let text = format!(
        "Message {id} has no sender who could be told that it failed (it is a bounce, or like one), so it is kept on hold in the queue of \
         {hostname}:\n\n{reasons}\n\
         Look at it with `{program} queue show {id}`; `{program} queue release {id}` has it tried again, \
         `{program} queue delete {id}` deletes it.\n\nMore such mail may follow; for a day nothing more is said of it.\n"
    );
    (subject, text)
}

/// Whether the body goes back, too.
fn is_returned(ret: Option<Ret>, small: bool, stranger: bool) -> bool {
    match ret {
        _ if stranger => false,
        Some(Ret::Headers) => false,
        Some(Ret::Full) => true,
        None => small,
    }
}

fn recipient(envelope: &Envelope, index: u32) -> Option<&Recipient> {
    envelope.recipients.get(usize::try_from(index).ok()?)
}

/// Recipients of whose failure or delay the sender wants to hear.
fn failed(envelope: &Envelope, occasion: Occasion<'_>) -> Vec<(Recipient, Failure)> {
    let (about, wanted): (_, fn(Notify) -> bool) = match occasion {
        Occasion::Failed { failed, .. } => (failed, |notify| notify.failure),
        Occasion::Late { late, .. } => (late, |notify| notify.delay),
        Occasion::Reached { .. } => return Vec::new(),
    };
    let told = about.iter().filter_map(|(index, failure)| {
        let recipient = recipient(envelope, *index)?;
        wanted(recipient.notify).then(|| (recipient.clone(), failure.clone()))
    });
    told.collect()
}

/// Recipients that were reached, as NOTIFY=SUCCESS asks; what the next hop reports itself is not
/// told twice.
fn reached(envelope: &Envelope, occasion: Occasion<'_>) -> Vec<(Recipient, Delivery)> {
    let Occasion::Reached {
        recipients,
        outcomes,
    } = occasion
    else {
        return Vec::new();
    };
    let tried: Vec<_> = recipients
        .iter()
        .filter_map(|&index| recipient(envelope, index).cloned())
        .collect();
    let told = notice::reached(&envelope.sender, &tried, outcomes);
    told.map(|(_, reached)| reached).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mail::{
        address::Address,
        outcome::{Blame, Handover, Stage},
        status::EnhancedStatus,
    };
    use spool::{Body, QueueId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn recipient(text: &str, notify: Notify) -> Recipient {
        Recipient {
            notify,
            ..Recipient::from(Address::parse(text).unwrap())
        }
    }

    fn stored(sender: &str, ret: Option<Ret>, body: &[u8]) -> Stored {
        let silent = Notify {
            explicit: true,
            success: false,
            failure: false,
            delay: false,
        };
        let envelope = Envelope {
            sender: match sender {
                "" => Sender::Null,
                sender => Sender::Address(Address::parse(sender).unwrap()),
            },
            recipients: vec![
                recipient("a@example.net", Notify::default()),
                recipient("b@example.net", silent),
                recipient("c@example.net", Notify::default()),
            ],
            ret,
            ..Envelope::default()
        };
        let id: QueueId = serde_json::from_str("7").unwrap();
        Stored {
            id,
            arrival: NOW,
            envelope,
            header: b"Subject: lost?\r\n".to_vec(),
            body: Body::Inline(body.to_vec()),
        }
    }

    fn failures(indexes: &[u32]) -> Vec<(u32, Failure)> {
        let status = EnhancedStatus::new(5, 1, 1);
        let failure = Failure::new(Blame::Peer, Stage::Recipient, status, "unknown");
        indexes
            .iter()
            .map(|index| (*index, failure.clone()))
            .collect()
    }

    fn bounce(stored: &Stored, failed: &[(u32, Failure)], stranger: bool) -> Option<String> {
        let occasion = Occasion::Failed { failed, stranger };
        let report = report(occasion, stored, "mail.example.org", NOW).unwrap()?;
        assert_eq!(report.envelope.sender, Sender::Null);
        Some(String::from_utf8(report.message).unwrap())
    }

    #[test]
    fn the_sender_hears_of_each_failed_recipient_but_of_none_with_notify_never() {
        let stored = stored("s@example.org", None, b"body\r\n");
        let text = bounce(&stored, &failures(&[0, 1, 7]), false).unwrap();
        assert!(
            text.contains("rfc822; a@example.net") && !text.contains("b@example.net"),
            "{text}"
        );
        assert_eq!(bounce(&stored, &failures(&[1]), false), None);
    }

    #[test]
    fn a_bounce_never_bounces() {
        let stored = stored("", None, b"");
        assert_eq!(bounce(&stored, &failures(&[0, 2]), false), None);
        let late = Occasion::Late {
            late: &failures(&[0]),
            give_up: NOW,
        };
        assert!(
            report(late, &stored, "mail.example.org", NOW)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_bounce_carries_the_whole_message_while_it_is_small_unless_the_sender_or_a_stranger_brought_it()
     {
        let large = vec![b'x'; 60_000];
        for (ret, body, stranger, whole) in [
            (None, &b"the body\r\n"[..], false, true),
            (Some(Ret::Full), b"the body\r\n", false, true),
            (Some(Ret::Headers), b"the body\r\n", false, false),
            (None, b"the body\r\n", true, false),
            (Some(Ret::Full), b"the body\r\n", true, false),
            (None, &large, false, false),
            (Some(Ret::Full), &large, false, true),
        ] {
            let stored = stored("s@example.org", ret, body);
            let text = bounce(&stored, &failures(&[0]), stranger).unwrap();
            let case = format!("{ret:?} {} {stranger}", body.len());
            assert_eq!(text.contains("message/rfc822"), whole, "{case}");
            assert_eq!(
                text.contains("the body") || text.contains("xxxxxxxx"),
                whole,
                "{case}"
            );
            assert!(
                text.contains("Subject: lost?") && text.len() < 60_000,
                "{case}"
            );
        }
        // The relayhost has seen it: perhaps it is about this machine.
        let mut doubtful = failures(&[0]);
        let (status, text) = (EnhancedStatus::new(5, 7, 1), "550 5.7.1 no");
        let mut refused = Failure::new(Blame::Peer, Stage::Message, status, text);
        for (named, ret, stranger, whole) in [
            (true, None, false, true),
            (true, Some(Ret::Full), false, true),
            (true, Some(Ret::Headers), false, false),
            (true, None, true, false),
            (false, None, false, false),
        ] {
            refused.named = named;
            doubtful[0].1 = refused.clone();
            let stored = stored("s@example.org", ret, &large);
            let text = bounce(&stored, &doubtful, stranger).unwrap();
            assert_eq!(
                text.len() > large.len(),
                whole,
                "{named} {ret:?} {stranger}"
            );
        }
        let stored = stored("s@example.org", Some(Ret::Full), b"the body");
        let late = failures(&[0]);
        let give_up = NOW.after(Duration::from_hours(120));
        let occasion = Occasion::Late {
            late: &late,
            give_up,
        };
        let warning = report(occasion, &stored, "mail.example.org", NOW)
            .unwrap()
            .unwrap();
        assert!(
            !String::from_utf8(warning.message)
                .unwrap()
                .contains("the body")
        );
    }

    /// RFC 3461 §5.2.
    #[test]
    fn success_is_told_to_who_asked_unless_the_next_hop_tells_it() {
        let asking = Notify {
            explicit: true,
            success: true,
            failure: true,
            delay: false,
        };
        let mut stored = stored("s@example.org", None, b"");
        stored.envelope.recipients = vec![
            recipient("final@example.net", asking),
            recipient("relayed@example.net", asking),
            recipient("promised@example.net", asking),
            recipient("late@example.net", asking),
            recipient("silent@example.net", Notify::default()),
        ];
        let delivered = |handover| {
            Outcome::Delivered(Delivery {
                relay: "mx[192.0.2.1]:25".to_owned(),
                reply: "250 Ok".to_owned(),
                handover,
            })
        };
        let status = EnhancedStatus::new(4, 2, 0);
        let outcomes = [
            delivered(Handover::Final),
            delivered(Handover::Relayed),
            delivered(Handover::Promised),
            Failure::new(Blame::Peer, Stage::Recipient, status, "later").outcome(),
            delivered(Handover::Final),
        ];
        let occasion = Occasion::Reached {
            recipients: &[0, 1, 2, 3, 4],
            outcomes: &outcomes,
        };
        let told = report(occasion, &stored, "mail.example.org", NOW)
            .unwrap()
            .unwrap();
        let text = String::from_utf8(told.message).unwrap();
        assert!(
            text.contains("Action: delivered") && text.contains("Action: relayed"),
            "{text}"
        );
        for unasked in ["promised@", "late@", "silent@"] {
            assert!(!text.contains(unasked), "{text}");
        }
        stored.envelope.sender = Sender::Null;
        assert!(
            report(occasion, &stored, "mail.example.org", NOW)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn what_the_peer_said_is_told_although_it_was_away_at_the_end() {
        let status = EnhancedStatus::new(4, 4, 1);
        let refused = Failure::new(Blame::Network, Stage::Connect, status, "Connection refused");
        let expired = refused.expired();
        let earlier: Arc<str> =
            "host mx said: 450 4.2.0 later (in reply to RCPT TO command)".into();
        let told = with_earlier(&expired, Some(&earlier));
        assert_eq!(
            told.text,
            format!("delivery time expired; last: Connection refused; before that: {earlier}")
        );
        assert_eq!(
            with_earlier(&expired, Some(&"Connection refused".into())),
            expired
        );
        assert_eq!(with_earlier(&expired, None), expired);
    }
}
