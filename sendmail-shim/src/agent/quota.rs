//! How many connections the agent serves at once, and to whom: one hostile user cannot keep others
//! out.
//!
//! Contract: pure. One party (a user with his subordinate numbers) has at most [`Quota::PER_USER`]
//! of [`Quota::TOTAL`] connections; root finds [`Quota::RESERVED`] kept for it. When all are taken,
//! who has fewer than the largest holder gets the place of that holder's oldest idle connection.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

/// A connection.
pub(crate) type ConnectionId = u64;

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    open: BTreeMap<ConnectionId, Open>,
    held: HashMap<u32, usize>,
    next: ConnectionId,
}

#[derive(Debug)]
struct Open {
    party: u32,
    /// Waiting for a command, outside of a transaction.
    idle: Option<Instant>,
}

/// A connection that may be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Granted {
    pub(crate) id: ConnectionId,
    /// This one goes for it.
    pub(crate) instead_of: Option<ConnectionId>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// This user has all that he may have.
    User,
    /// All are in use.
    All,
}

impl Quota {
    /// Connections in all.
    pub(crate) const TOTAL: usize = 256;
    /// Connections of one user.
    pub(crate) const PER_USER: usize = 96;
    /// Connections that only root may take.
    pub(crate) const RESERVED: usize = 32;

    /// Opens one more for a party, if it may have it.
    pub(crate) fn open(&mut self, party: u32) -> Result<Granted, NoPlace> {
        let most = if party == 0 {
            Self::TOTAL
        } else if self.held(party) >= Self::PER_USER {
            return Err(NoPlace::User);
        } else {
            Self::TOTAL - Self::RESERVED
        };
        let instead_of = if self.open.len() < most {
            None
        } else {
            let idle = self.to_close(party).ok_or(NoPlace::All)?;
            self.close(idle);
            Some(idle)
        };
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(id, Open { party, idle: None });
        *self.held.entry(party).or_default() += 1;
        Ok(Granted { id, instead_of })
    }

    /// The oldest idle connection of the party that has most, if that is more than this one would
    /// have.
    fn to_close(&self, party: u32) -> Option<ConnectionId> {
        let would_have = self.held(party) + 1;
        let others = self.open.iter().filter(|(_, open)| open.party != 0);
        let idle = others.filter_map(|(id, open)| Some((open.party, open.idle?, *id)));
        let largest = idle
            .map(|(party, since, id)| (self.held(party), std::cmp::Reverse((since, id))))
            .max()?;
        let (held, std::cmp::Reverse((_, id))) = largest;
        (held > would_have).then_some(id)
    }

    /// It waits for a command since then, or no longer.
    pub(crate) fn set_idle(&mut self, id: ConnectionId, since: Option<Instant>) {
        if let Some(open) = self.open.get_mut(&id) {
            open.idle = since;
        }
    }

    /// A connection is closed; one that went for another is already.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        let Some(Open { party, .. }) = self.open.remove(&id) else {
            return;
        };
        if let Some(held) = self.held.get_mut(&party) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&party);
            }
        }
    }

    /// Whether a party's silent clients get less time: three quarters of its connections are in
    /// use, or of all that users may have while it has several of them.
    pub(crate) fn is_scarce(&self, party: u32) -> bool {
        let mostly = |used: usize, of: usize| used.saturating_mul(4) >= of.saturating_mul(3);
        let held = self.held(party);
        let of_all = mostly(self.open.len(), Self::TOTAL - Self::RESERVED);
        mostly(held, Self::PER_USER) || (of_all && held > 1)
    }

    /// Connections open now.
    pub(crate) fn total(&self) -> usize {
        self.open.len()
    }

    fn held(&self, party: u32) -> usize {
        self.held.get(&party).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_user_who_opens_all_he_can_leaves_room_for_others_and_always_for_root() {
        let mut quota = Quota::default();
        let flood = |quota: &mut Quota, party| -> Vec<_> {
            (0..1000).filter_map(|_| quota.open(party).ok()).collect()
        };
        let of_33 = flood(&mut quota, 33);
        assert_eq!(of_33.len(), Quota::PER_USER);
        assert_eq!(quota.open(33), Err(NoPlace::User));
        assert!(quota.open(1000).is_ok());
        for party in 2000..2010 {
            flood(&mut quota, party);
        }
        assert_eq!(quota.total(), Quota::TOTAL - Quota::RESERVED);
        let of_root = flood(&mut quota, 0);
        assert_eq!(of_root.len(), Quota::RESERVED);
        quota.close(of_33[0].id);
        quota.close(of_root[0].id);
        assert_eq!(
            quota.open(33),
            Err(NoPlace::All),
            "what root gives back stays root's"
        );
        assert!(quota.open(0).is_ok());
    }

    #[test]
    fn silence_is_short_only_for_who_takes_the_places_of_others() {
        let mut quota = Quota::default();
        let take = |quota: &mut Quota, party, count| {
            for _ in 0..count {
                quota.open(party).unwrap();
            }
        };
        take(&mut quota, 33, 71);
        assert!(!quota.is_scarce(33));
        take(&mut quota, 33, 1);
        take(&mut quota, 1000, 1);
        assert!(quota.is_scarce(33) && !quota.is_scarce(1000));
        take(&mut quota, 34, 60);
        take(&mut quota, 35, 34);
        assert!(!quota.is_scarce(34));
        take(&mut quota, 35, 1);
        assert!(quota.is_scarce(34) && !quota.is_scarce(1000));
    }

    #[test]
    fn when_all_is_full_the_largest_holders_oldest_idle_connection_goes() {
        let (mut quota, start) = (Quota::default(), Instant::now());
        let mut held: Vec<(u32, ConnectionId)> = Vec::new();
        for (party, count) in [(33, 90), (34, 80), (35, 54)] {
            for _ in 0..count {
                held.push((party, quota.open(party).unwrap().id));
            }
        }
        assert_eq!(quota.open(1000), Err(NoPlace::All), "nothing is idle");
        for (nth, (_, id)) in held.iter().enumerate().skip(10) {
            let later = Duration::from_secs(1000 - nth as u64);
            quota.set_idle(*id, Some(start + later));
        }
        let oldest = held.iter().rfind(|(party, _)| *party == 33).unwrap().1;
        let granted = quota.open(1000).unwrap();
        assert_eq!(granted.instead_of, Some(oldest));
        quota.close(oldest);
        assert_eq!(
            quota.total(),
            Quota::TOTAL - Quota::RESERVED,
            "counted once"
        );
        quota.set_idle(held[89].1, None);
        let goes = quota.open(0).unwrap();
        assert_eq!(goes.instead_of, None, "root has room of its own");
        // Nobody pushes out one who has no more than he would have himself.
        let mut more = 0;
        while let Ok(granted) = quota.open(35) {
            assert!(granted.instead_of.is_some());
            more += 1;
        }
        assert!((1..96).contains(&more), "{more}");
    }
}
