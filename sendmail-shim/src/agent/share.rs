//! How much of the queue one user, with his subordinate numbers, may fill: who sends in a loop
//! while the relayhost is away harms himself, not others.
//!
//! Contract: root is not bounded. Anyone else may have a quarter of what is free together with what
//! he has already, or so many bytes as are configured, and so many recipients that wait. So the
//! next user finds a quarter of the rest, however many have filled theirs.
//! What is being sent counts as it comes; what is queued is counted by the spool, and after a
//! restart by its records.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mail::{outcome::escape, status::EnhancedStatus};
use smtp::reply::Reply;
use spool::{Spool, SpoolError, Usage};

use super::{maillog, owners::Owners};
use crate::config::settings::Share;

/// Part of the room that is one user's.
const PART: u64 = 4;
const KIB: u64 = 1024;

/// A user's share is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Excess {
    Bytes { has: u64, may: u64 },
    Recipients { has: u64, may: u64 },
}

/// Whether who `has` so much may have `more`; `free` bytes are left on the disk.
fn allows(share: Share, has: Usage, more: Usage, free: u64) -> Result<(), Excess> {
    let may = share.size.unwrap_or(free.saturating_add(has.bytes) / PART);
    if has.bytes.saturating_add(more.bytes) > may {
        let has = has.bytes;
        return Err(Excess::Bytes { has, may });
    }
    let may = share.recipients;
    if has.recipients.saturating_add(more.recipients) > may {
        let has = has.recipients;
        return Err(Excess::Recipients { has, may });
    }
    Ok(())
}

/// What the sender reads; mailq(1) shows him what waits.
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (has, may, what) = match *self {
            Self::Bytes { has, may } => (has / KIB, may / KIB, "KiB in the queue"),
            Self::Recipients { has, may } => (has, may, "recipients waiting"),
        };
        write!(
            f,
            "your share of the queue is used up: you have {has} {what} and may have {may}; see mailq"
        )
    }
}

/// What all users are sending just now.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<u32, Usage>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Usage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one message takes of its user's share, until the message is in the queue or given up.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    owners: &'a Owners,
    share: Share,
    /// Whose share it is.
    party: u32,
    own: Usage,
}

impl<'a> Claim<'a> {
    /// Of nothing yet.
    pub(super) fn new(claims: &'a Claims, owners: &'a Owners, share: Share, uid: u32) -> Self {
        let own = Usage::default();
        Self {
            claims,
            owners,
            share,
            party: owners.party(uid),
            own,
        }
    }

    /// Whether there is room for that much more; nothing is taken.
    pub(super) fn fits(&self, spool: &Spool, more: Usage) -> Result<(), Reply> {
        self.allowed(spool, &self.claims.lock(), more)
    }

    /// Takes that much more.
    pub(super) fn grow(&mut self, spool: &Spool, more: Usage) -> Result<(), Reply> {
        let mut claims = self.claims.lock();
        self.allowed(spool, &claims, more)?;
        add(claims.entry(self.party).or_default(), more);
        add(&mut self.own, more);
        Ok(())
    }

    fn allowed(
        &self,
        spool: &Spool,
        claims: &HashMap<u32, Usage>,
        more: Usage,
    ) -> Result<(), Reply> {
        if self.party == 0 {
            return Ok(());
        }
        let mut has = spool.usage(|uid| self.owners.party(uid) == self.party);
        add(
            &mut has,
            claims.get(&self.party).copied().unwrap_or_default(),
        );
        let free = spool.free().map_err(|error| unavailable(&error))?;
        allows(self.share, has, more, free).map_err(|excess| {
            let text = escape(excess.to_string().as_bytes(), 200);
            Reply::new(452, EnhancedStatus::new(4, 3, 1), text)
        })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claims = self.claims.lock();
        if let Some(coming) = claims.get_mut(&self.party) {
            coming.bytes = coming.bytes.saturating_sub(self.own.bytes);
            coming.recipients = coming.recipients.saturating_sub(self.own.recipients);
            if *coming == Usage::default() {
                claims.remove(&self.party);
            }
        }
    }
}

/// 452 for a full spool, 451 for a broken one; the administrator finds the details in the log.
pub(super) fn unavailable(error: &SpoolError) -> Reply {
    maillog::warning(&error.to_string());
    match error {
        SpoolError::Full { .. } => Reply::new(
            452,
            EnhancedStatus::new(4, 3, 1),
            escape(format!("{error} or lower `minimum_free`").as_bytes(), 200),
        ),
        _ => Reply::literal("451 4.3.0 the spool cannot be written"),
    }
}

fn add(usage: &mut Usage, more: Usage) {
    usage.bytes = usage.bytes.saturating_add(more.bytes);
    usage.recipients = usage.recipients.saturating_add(more.recipients);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(bytes: u64, recipients: u64) -> Usage {
        Usage { bytes, recipients }
    }

    #[test]
    fn however_many_users_fill_their_share_the_next_one_finds_a_quarter_of_the_rest() {
        let share = Share {
            size: None,
            recipients: u64::MAX,
        };
        let mut free = 1_000_000;
        for user in 0..10 {
            let mut has = usage(0, 0);
            while allows(share, has, usage(1000, 1), free).is_ok() {
                add(&mut has, usage(1000, 1));
                free -= 1000;
            }
            assert!(has.bytes > 0 && free > 0, "user {user}");
            let all = free + has.bytes;
            assert!(
                has.bytes <= all / 4 && has.bytes + 2000 > all / 4,
                "user {user}"
            );
        }
    }

    #[test]
    fn a_share_that_is_configured_does_not_depend_on_the_disk_and_many_recipients_are_bounded_too()
    {
        let share = Share {
            size: Some(2048),
            recipients: 10,
        };
        assert_eq!(allows(share, usage(1048, 9), usage(1000, 1), 0), Ok(()));
        let bytes = allows(share, usage(2048, 1), usage(1, 1), u64::MAX).unwrap_err();
        assert_eq!(
            bytes,
            Excess::Bytes {
                has: 2048,
                may: 2048
            }
        );
        assert_eq!(
            allows(share, usage(5, 8), usage(1, 3), u64::MAX)
                .unwrap_err()
                .to_string(),
            "your share of the queue is used up: you have 8 recipients waiting and may have 10; see mailq"
        );
    }

    #[test]
    fn what_is_being_sent_counts_and_what_is_given_up_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(directory.path(), spool::Options::default()).unwrap();
        let claims = Claims::default();
        let owners = Owners::parse("33:100000:65536", |_| None);
        let share = Share {
            size: Some(1000),
            recipients: 10,
        };
        let mut first = Claim::new(&claims, &owners, share, 33);
        // In a container of his.
        let mut second = Claim::new(&claims, &owners, share, 100_033);
        first.grow(&spool, usage(600, 1)).unwrap();
        assert!(second.grow(&spool, usage(600, 1)).is_err());
        assert!(
            Claim::new(&claims, &owners, share, 34)
                .fits(&spool, usage(600, 1))
                .is_ok()
        );
        assert!(
            Claim::new(&claims, &owners, share, 0)
                .fits(&spool, usage(6000, 1))
                .is_ok()
        );
        drop(first);
        second.grow(&spool, usage(600, 1)).unwrap();
        drop(second);
        assert!(claims.lock().is_empty());
    }
}
