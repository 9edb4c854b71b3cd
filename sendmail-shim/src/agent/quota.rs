//! How many connections the agent serves at once, and to whom: one hostile user cannot keep others out.
//!
//! Contract: pure. One user has at most [`Quota::PER_USER`] of [`Quota::TOTAL`] connections; root and the agent's own user
//! find [`Quota::RESERVED`] kept for them.

use std::collections::HashMap;

/// The connections that are open, by user.
#[derive(Debug, Default)]
pub struct Quota {
    open: HashMap<u32, usize>,
    total: usize,
}

impl Quota {
    /// Connections in all.
    pub const TOTAL: usize = 256;
    /// Connections of one user.
    pub const PER_USER: usize = 96;
    /// Connections that only root may take.
    pub const RESERVED: usize = 32;

    /// Whether this user may open one more; counts it if so.
    pub fn open(&mut self, uid: u32) -> bool {
        let own = self.open.get(&uid).copied().unwrap_or(0);
        let most = if uid == 0 {
            Self::TOTAL
        } else {
            Self::TOTAL - Self::RESERVED
        };
        let granted = self.total < most && (own < Self::PER_USER || uid == 0);
        if granted {
            self.open.insert(uid, own + 1);
            self.total += 1;
        }
        granted
    }

    /// One connection of this user is closed.
    pub fn close(&mut self, uid: u32) {
        if let Some(own) = self.open.get_mut(&uid) {
            *own = own.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
            if *own == 0 {
                self.open.remove(&uid);
            }
        }
    }

    /// Connections open now.
    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_opens_all_he_can_leaves_room_for_others_and_always_for_root() {
        let mut quota = Quota::default();
        let flood = |quota: &mut Quota, uid| (0..1000).filter(|_| quota.open(uid)).count();
        assert_eq!(flood(&mut quota, 33), Quota::PER_USER);
        assert!(quota.open(1000));
        for uid in 2000..2010 {
            flood(&mut quota, uid);
        }
        assert_eq!(quota.total(), Quota::TOTAL - Quota::RESERVED);
        assert_eq!(flood(&mut quota, 0), Quota::RESERVED);
        quota.close(33);
        quota.close(0);
        assert!(!quota.open(33), "what root gives back stays root's");
        assert!(quota.open(0));
    }
}
