//! Whose reports wait for a digest when they say the same as the last one.
//!
//! Contract: pure; without a sender it is nobody's.

use std::time::Duration;

use mail::address::Sender;
use settings::{Pattern, faults::Wrong};

use super::{file, forms::DIGEST};

/// Whose reports wait for a digest when they say the same as the last one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unchanged {
    /// At least one: with an @ an address, else a login name.
    pub senders: Vec<Pattern>,
    /// From the first that waits to the digest.
    pub digest: Duration,
}

impl Unchanged {
    /// Whether what this user sends with this address is meant.
    pub fn covers(&self, user: &str, sender: &Sender) -> bool {
        let sender = sender.address();
        self.senders.iter().any(|pattern| {
            if pattern.as_str().contains('@') {
                sender.is_some_and(|address| pattern.fits(address.as_str()))
            } else {
                pattern.fits(user)
            }
        })
    }

    pub(super) fn of(file: file::Unchanged) -> Result<Option<Self>, Wrong> {
        let digest = DIGEST.read(file.digest)?.0;
        let senders = file.senders.0;
        Ok((!senders.is_empty()).then_some(Self { senders, digest }))
    }
}

#[cfg(test)]
mod tests {
    use mail::address::Address;

    use super::*;
    use crate::config::settings::Settings;

    #[test]
    fn reports_are_meant_by_login_name_or_by_address_and_nobodys_are_without_a_setting() {
        assert_eq!(
            Settings::parse(None, "unchanged = { digest = \"1d\" }")
                .unwrap()
                .unchanged,
            None
        );
        let settings = Settings::parse(
            None,
            "unchanged = { senders = [\"root\", \"www*\", \"Backup@*\"] }",
        );
        let unchanged = settings.unwrap().unchanged.unwrap();
        assert_eq!(unchanged.digest, Duration::from_hours(24));
        for (user, sender, covered) in [
            ("root", "a@x.example", true),
            ("www-data", "a@x.example", true),
            ("ann", "backup@X.example", true),
            ("ann", "a@x.example", false),
            ("ann", "root@x.example", false),
            ("rooter", "root@x.example", false),
            ("backup@x", "a@x.example", false),
        ] {
            let sender = Address::parse(sender).unwrap();
            let covers = unchanged.covers(user, &Sender::Address(sender));
            assert_eq!(covers, covered, "{user}");
        }
        assert!(unchanged.covers("root", &Sender::Null) && !unchanged.covers("ann", &Sender::Null));
    }
}
