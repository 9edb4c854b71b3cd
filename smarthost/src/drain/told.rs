//! What one server tells the other: a line of JSON in front of each message that moves, and one
//! alone with the messages that were given up.
//!
//! Contract: total and bounded; what is read fits together, and can stand in a log.
//! Failures: a text, for the reply. Nothing of what is faulty is taken.

use std::time::Duration;

use mail::{clock::Timestamp, envelope::Envelope, limits};
use serde::{Deserialize, Serialize};
use spool::{Entry, QueueId, Stored, Waiting};

/// Longest name of a client in an envelope, bytes.
const ORIGIN: usize = 1024;
/// How far the clocks of the two servers may be apart: so much older or younger mail becomes.
const APART: Duration = Duration::from_hours(1);
/// How far ahead the time of a queue id may lie: its server's clock was wrong once.
const AHEAD: Duration = Duration::from_hours(24);

/// What is said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Told {
    /// Whether the queue of this server, which nobody else calls so, may come; nothing follows.
    Asks { server: String, now: Timestamp },
    /// The message follows.
    Message(Box<Facts>),
    /// These are given up, and nothing follows.
    GivenUp(Vec<String>),
}

/// All that is known of a message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub id: String,
    /// By the clock of the server that tells it.
    pub now: Timestamp,
    pub arrival: Timestamp,
    /// On hold, once it is delivered there alone.
    pub held: bool,
    /// Its sender was told that it is late.
    pub warned: bool,
    /// With those recipients alone that wait.
    pub envelope: Envelope,
    /// How each of them waits, in their order.
    pub waiting: Vec<Wait>,
    /// Bytes of its header section.
    pub header: u64,
    /// Bytes of header, empty line and body.
    pub size: u64,
}

/// How a recipient waits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Wait {
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
}

impl Facts {
    /// Of a message in the queue.
    pub fn of(entry: &Entry, stored: &Stored, now: Timestamp) -> Self {
        let numbers = entry.waiting.iter().map(|it| it.recipient);
        let waiting = entry.waiting.iter().map(|it| Wait {
            until: it.until,
            reason: it.reason.as_deref().map(str::to_owned),
        });
        Self {
            id: entry.id.to_string(),
            now,
            arrival: entry.arrival,
            held: entry.hold.is_held(),
            warned: entry.warned,
            envelope: stored.envelope.with_numbers(&numbers.collect::<Vec<_>>()),
            waiting: waiting.collect(),
            header: u64::try_from(stored.header.len()).unwrap_or(u64::MAX),
            size: stored.size(),
        }
    }

    /// The id, once all fits together. `now`: as it is here.
    pub fn check(&self, now: Timestamp) -> Result<QueueId, &'static str> {
        let id = QueueId::parse(&self.id).filter(|id| id.made() > Timestamp::default());
        let id = id.ok_or("no queue id")?;
        compare(self.now, now)?;
        if id.made().since(now) > AHEAD {
            return Err("its queue id is of a time that lies more than a day ahead");
        }
        let recipients = self.envelope.recipients.len();
        if recipients == 0 || recipients > limits::EXPANDED || recipients != self.waiting.len() {
            return Err("the recipients do not fit together");
        }
        let origin = &self.envelope.origin;
        if origin.len() > ORIGIN || origin.contains(char::is_control) {
            return Err("no name of a client");
        }
        let header = usize::try_from(self.header).unwrap_or(usize::MAX);
        if header > limits::HEADER * 2 || self.size < self.header.saturating_add(2) {
            return Err("the sizes do not fit together");
        }
        Ok(id)
    }

    /// The same as the spool knows it.
    pub fn waiting(&self) -> Vec<Waiting> {
        let numbered = (0u32..).zip(&self.waiting);
        let waiting = numbered.map(|(recipient, wait)| Waiting {
            recipient,
            until: wait.until,
            reason: wait.reason.as_deref().map(Into::into),
        });
        waiting.collect()
    }
}

/// Whether two clocks go the same: mail would become older, and expire, or younger.
pub fn compare(there: Timestamp, here: Timestamp) -> Result<(), &'static str> {
    if there.since(here).max(here.since(there)) > APART {
        return Err(
            "the clocks of the two servers differ by more than an hour: set the wrong one right",
        );
    }
    Ok(())
}

impl Told {
    /// One line, with its end.
    pub fn line(&self) -> Vec<u8> {
        // Texts, numbers and lists always have a JSON form, which has no line end inside.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.extend_from_slice(b"\r\n");
        line
    }

    /// Reads a line without its end.
    pub fn read(line: &[u8]) -> Result<Self, &'static str> {
        serde_json::from_slice(line).map_err(|_| "what is told of the message is not understood")
    }
}

#[cfg(test)]
mod tests {
    use mail::envelope::Recipient;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    /// When all that is told lies behind.
    const LATER: Timestamp = Timestamp::from_secs(2_100_000_000);

    fn facts() -> Facts {
        let address = mail::address::Address::parse("b@example.net").unwrap();
        Facts {
            id: "9KGK45RNCM266".to_owned(),
            now: LATER,
            arrival: NOW,
            held: false,
            warned: true,
            envelope: Envelope {
                recipients: vec![Recipient::from(address)],
                origin: "vm7[10.0.0.7] as vm7".to_owned(),
                ..Envelope::default()
            },
            waiting: vec![Wait {
                until: Some(NOW),
                reason: Some("450 é\r\n\"later\"".to_owned()),
            }],
            header: 10,
            size: 12,
        }
    }

    #[test]
    fn what_is_told_of_a_message_is_read_as_it_was_meant() {
        let id = facts().check(LATER);
        assert_eq!(id.map(|id| id.to_string()), Ok(facts().id));
        for told in [
            Told::Asks {
                server: "x".to_owned(),
                now: NOW,
            },
            Told::Message(facts().into()),
            Told::GivenUp(vec!["9KGK45RNCM266".to_owned()]),
        ] {
            let line = told.line();
            let line = line.strip_suffix(b"\r\n").unwrap();
            assert!(!line.iter().any(u8::is_ascii_control));
            assert_eq!(Told::read(line), Ok(told));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_not_taken() {
        type Fault = fn(&mut Facts);
        let faults: [Fault; 9] = [
            |it| it.id = "0000000000000".to_owned(),
            |it| it.id = "../../etc".to_owned(),
            |it| it.id = "ZYYYYYYYYYYYY".to_owned(),
            |it| it.waiting.clear(),
            |it| it.envelope.recipients.clear(),
            |it| it.envelope.origin = "x\ny".to_owned(),
            |it| it.envelope.origin = "x".repeat(2000),
            |it| it.header = 1 << 40,
            |it| it.size = 11,
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let mut facts = facts();
            fault(&mut facts);
            assert!(facts.check(LATER).is_err(), "fault {number}");
        }
    }

    #[test]
    fn nothing_moves_between_clocks_that_are_apart_whichever_is_ahead() {
        let apart = APART + Duration::from_millis(1);
        let here = [LATER, LATER.after(APART), LATER.after(apart)];
        assert_eq!(
            here.map(|here| facts().check(here).is_ok()),
            [true, true, false]
        );
        let there = |now| Facts { now, ..facts() }.check(LATER).is_ok();
        assert!(there(LATER.after(APART)) && !there(LATER.after(apart)));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(at in 0usize..400, byte in any::<u8>()) {
            let mut line = Told::Message(facts().into()).line();
            if let Some(place) = line.get_mut(at) {
                *place = byte;
            }
            if let Ok(Told::Message(facts)) = Told::read(&line) {
                let _ = facts.check(NOW);
            }
        }
    }
}
