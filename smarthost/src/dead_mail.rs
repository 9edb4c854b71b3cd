//! How much dead mail each client has caused that is still on hold. Pure.
//!
//! Contract: dead mail of our own clients is never dropped, so a client that causes more and more
//! of it (its bounces go to an address that nobody takes mail for) is stopped where it brings mail:
//! it may keep [`SHARE`], and its next message waits at the client until an administrator has
//! looked. What he deleted or released counts no more.

use std::collections::{BTreeMap, HashMap};

use spool::QueueId;

/// What one client may have on hold, bytes.
pub const SHARE: u64 = 16 << 20;
/// The least that a message counts: memory and the smallest write.
const LEAST: u64 = 4 << 10;

/// By client.
#[derive(Debug, Default)]
pub struct DeadMail {
    of: HashMap<String, BTreeMap<QueueId, u64>>,
}

impl DeadMail {
    /// A message of this client is on hold, with so many bytes.
    pub fn add(&mut self, client: &str, id: QueueId, size: u64) {
        let mail = self.of.entry(client.to_owned()).or_default();
        mail.insert(id, size.max(LEAST));
    }

    /// Whether a client has all that it may have; `held`: what is on hold still.
    pub fn is_full(&mut self, client: &str, held: impl Fn(QueueId) -> bool) -> bool {
        let Some(mail) = self.of.get_mut(client) else {
            return false;
        };
        if total(mail) < SHARE {
            return false;
        }
        mail.retain(|id, _| held(*id));
        let full = total(mail) >= SHARE;
        if mail.is_empty() {
            self.of.remove(client);
        }
        full
    }
}

fn total(mail: &BTreeMap<QueueId, u64>) -> u64 {
    mail.values().fold(0, |sum, size| sum.saturating_add(*size))
}
