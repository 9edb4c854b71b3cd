//! Who refuses this machine, as far as deliveries have shown.
//!
//! Contract: bounded. A host that refuses different senders in the same way, or the key of this
//! machine, refuses this machine: no other mail is tried there for now. One that has refused so
//! many deliveries in a row ([`ROW`]), and taken none between, whoever sent them, fails: others are
//! tried before it; unless it says that it is the sender whom it does not take. One message's
//! refusal stops no other. Where another relayhost takes the mail then, that is kept for whoever
//! tells administrators, and so is its end.

use std::collections::HashMap;

use mail::outcome::Failure;

use super::{fault::Refusal, interface::Host};

/// Deliveries in a row that were refused in the same way; as on a machine where root sends all.
const ROW: u32 = 3;
/// Hosts, and news that nobody has fetched.
const MOST: usize = 1024;
const MOST_UNTOLD: usize = 16;

#[derive(Debug)]
struct Refuses {
    how: Refusal,
    /// Whose mail was refused first.
    sender: String,
    /// Another one's was, too.
    shared: bool,
    row: u32,
    /// `host[address]:port`, once it is among the news.
    told: Option<String>,
    /// Only as what it does to one sender.
    told_of_sender: bool,
}

/// Hosts that refused what they were given last.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    hosts: HashMap<(String, u16), Refuses>,
    untold: Vec<Failure>,
    mended: Vec<String>,
}

impl Refusals {
    /// A host refuses this machine with this sender, in another delivery than before if `again`:
    /// whether it has refused another one, too.
    pub(super) fn refused(&mut self, host: &Host, how: Refusal, sender: &str, again: bool) -> bool {
        if self.hosts.len() >= MOST && !self.hosts.contains_key(&host.key()) {
            return false;
        }
        let new = || Refuses {
            how,
            sender: sender.to_owned(),
            shared: how.is_of_any_mail(),
            row: 0,
            told: None,
            told_of_sender: false,
        };
        let known = self.hosts.entry(host.key()).or_insert_with(new);
        if known.how != how {
            let (told, told_of_sender) = (known.told.take(), known.told_of_sender);
            *known = Refuses {
                told,
                told_of_sender,
                ..new()
            };
        }
        known.row = known.row.saturating_add(u32::from(again));
        known.shared |= known.sender != sender;
        known.shared
    }

    /// Whether a host is to be passed over for it.
    pub(super) fn fails(&self, host: &Host) -> bool {
        let known = self.hosts.get(&host.key());
        known
            .is_some_and(|known| known.shared || (known.row >= ROW && known.how != Refusal::Sender))
    }

    /// Whether it is more than one message's.
    pub(super) fn lasts(&self, host: &Host) -> bool {
        let known = self.hosts.get(&host.key());
        known.is_some_and(|known| known.shared || known.row >= ROW)
    }

    /// It does so for longer, and others take the mail: news, once; and once more
    /// where it was told of one sender, and is about all.
    pub(super) fn tell(&mut self, host: &Host, failure: &Failure) {
        let known = self.hosts.get_mut(&host.key());
        let is_news = |known: &&mut Refuses| {
            known.told.is_none() || (known.told_of_sender && !failure.of_sender)
        };
        let Some(known) = known.filter(is_news) else {
            return;
        };
        if self.untold.len() < MOST_UNTOLD {
            known.told_of_sender = failure.of_sender;
            known.told = Some(failure.relay.clone().unwrap_or_else(|| host.name.clone()));
            self.untold.push(failure.clone());
        }
    }

    /// It has taken mail.
    pub(super) fn accepted(&mut self, host: &Host) {
        let told = self.hosts.remove(&host.key()).and_then(|known| known.told);
        if self.mended.len() < MOST_UNTOLD {
            self.mended.extend(told);
        }
    }

    pub(super) fn take_untold(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.untold)
    }

    pub(super) fn take_mended(&mut self) -> Vec<String> {
        std::mem::take(&mut self.mended)
    }
}
