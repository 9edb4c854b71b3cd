//! Next hops that answer, and say "later" to all mail: who waits for one is told as of one that is
//! gone.
//!
//! Contract: pure and bounded. What is said of a recipient alone (a full mailbox, greylisting), or
//! of one sender, says nothing of the next hop, and one message may be the reason itself: two have
//! to meet it, or one again and again, with none taken between.

use std::collections::HashMap;

use mail::outcome::{Failure, Outcome};
use spool::QueueId;

/// Next hops that are known at once.
const MOST: usize = 200;
/// So many attempts with one message show as much as two messages do.
const ATTEMPTS: u32 = 4;

/// What a delivery shows of its next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    Nothing,
    /// It decides about mail.
    Takes,
    Defers(&'a Failure),
}

/// What came of a delivery.
pub fn look(outcomes: &[Outcome]) -> Found<'_> {
    let mut deferred = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Delivered(_) => return Found::Takes,
            Outcome::Failed(failure) if failure.reply.is_some() => return Found::Takes,
            Outcome::Deferred(failure) if failure.reply.is_some() && !is_of_mail(failure) => {
                deferred.get_or_insert(failure);
            }
            Outcome::Failed(_) | Outcome::Deferred(_) => return Found::Nothing,
        }
    }
    deferred.map_or(Found::Nothing, Found::Defers)
}

/// Of who sends; or, by RFC 3463 §3.2, §3.3, of addresses and mailboxes.
fn is_of_mail(failure: &Failure) -> bool {
    failure.of_sender || matches!(failure.status.subject(), 1 | 2)
}

#[derive(Debug)]
enum Standing {
    Takes,
    /// The first message that it deferred, and how often it did so since it took one.
    Defers {
        first: QueueId,
        attempts: u32,
        several: bool,
    },
}

/// How next hops stand, by name.
#[derive(Debug, Default)]
pub struct Deferring(HashMap<String, Standing>);

impl Deferring {
    /// It has taken mail: whether it may be told as one that does not, as it may after a start.
    pub fn takes(&mut self, what: &str) -> bool {
        match self.0.get_mut(what) {
            Some(Standing::Takes) => false,
            Some(standing) => {
                *standing = Standing::Takes;
                true
            }
            None => {
                self.insert(what, Standing::Takes);
                true
            }
        }
    }

    /// It has deferred all of a message: whether it takes none.
    pub fn defers(&mut self, what: &str, id: QueueId) -> bool {
        if let Some(Standing::Defers {
            first,
            attempts,
            several,
        }) = self.0.get_mut(what)
        {
            *several |= *first != id;
            *attempts = attempts.saturating_add(1);
            return *several || *attempts >= ATTEMPTS;
        }
        let standing = Standing::Defers {
            first: id,
            attempts: 1,
            several: false,
        };
        self.insert(what, standing);
        false
    }

    fn insert(&mut self, what: &str, standing: Standing) {
        if self.0.len() < MOST || self.0.contains_key(what) {
            self.0.insert(what.to_owned(), standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::{
        outcome::{Blame, Stage},
        status::{EnhancedStatus, ReplyCode},
    };

    use super::*;

    fn said(code: u16, text: &str) -> Outcome {
        let status = EnhancedStatus::parse(text.split(' ').nth(1).unwrap());
        Failure::replied(
            Stage::Recipient,
            ReplyCode::new(code).unwrap(),
            status,
            text,
        )
        .outcome()
    }

    #[test]
    fn a_next_hop_that_defers_all_mail_is_known_by_two_messages_or_by_one_that_comes_again() {
        let ids = ["9KGVJN3DSDBW9", "9KGVJNSH4MZNS"].map(QueueId::parse);
        let [one, two] = ids.map(Option::unwrap);
        let mut all = Deferring::default();
        assert!(!all.defers("lmtp", one) && all.defers("lmtp", two));
        assert!(all.defers("lmtp", two), "it goes on");
        assert!(all.takes("lmtp") && !all.takes("lmtp"));
        let told: Vec<_> = (0..4).map(|_| all.defers("lmtp", one)).collect();
        assert_eq!(told, [false, false, false, true]);
        assert!(all.takes("never seen"), "since the start");
        for number in 0..1000 {
            all.takes(&number.to_string());
        }
        assert!(all.0.len() <= MOST);
    }

    #[test]
    fn what_is_said_of_recipients_or_of_one_sender_and_what_is_no_answer_says_nothing_of_the_next_hop()
     {
        let later = said(451, "451 4.3.0 queue file write error");
        let full = said(452, "452 4.2.2 mailbox full");
        let unknown = said(550, "550 5.1.1 unknown");
        let lost = Failure::new(
            Blame::Network,
            Stage::Data,
            EnhancedStatus::new(4, 4, 2),
            "lost connection",
        );
        let of_sender = match said(450, "450 4.7.1 not owned by user") {
            Outcome::Deferred(failure) => Failure {
                of_sender: true,
                ..failure
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(look(&[of_sender.outcome()]), Found::Nothing);
        let all = [later.clone(), later.clone()];
        assert!(matches!(look(&all), Found::Defers(_)));
        assert_eq!(look(&[later.clone(), unknown]), Found::Takes);
        assert_eq!(look(&[later.clone(), full]), Found::Nothing);
        assert_eq!(look(&[later, lost.outcome()]), Found::Nothing);
        assert_eq!(look(&[]), Found::Nothing);
    }
}
