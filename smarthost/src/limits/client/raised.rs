//! A limit that an administrator has ordered.

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Another limit for a while, by an order of the administrator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::limits) struct Raised {
    pub(in crate::limits) limit: u32,
    pub(in crate::limits) until: Timestamp,
    /// When it was given; before versions that note it: long ago.
    #[serde(default)]
    pub(in crate::limits) given: Timestamp,
}

impl Raised {
    /// One that was given while the clock was ahead lasts from now on for as long as was said.
    /// Whether it was.
    pub(in crate::limits) fn heed(&mut self, now: Timestamp) -> bool {
        let lasts = self.until.since(self.given);
        let ahead = self.given > now;
        if ahead {
            self.until = now.after(lasts);
        }
        self.given.noted(now);
        ahead
    }
}
