//! The relayhost's key changes to the next one of the pins: said once, not at each connection.
//!
//! Contract: what each relayhost presented last is kept in `keys` in the spool's directory, for an
//! agent that systemd starts and that ends when idle has no memory. A file that cannot be read or
//! written costs a repeated notice, never mail.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use relay::trust::{PeerKey, Pin};

use super::maillog;

/// Relayhosts that are remembered; more are a mistake.
const MAX: usize = 64;
/// Longest file, bytes.
const LONGEST: u64 = 64 * 1024;

/// The pin that each relayhost presented last.
#[derive(Default)]
pub(super) struct Keys {
    path: PathBuf,
    last: BTreeMap<String, Pin>,
}

impl Keys {
    /// As remembered in this spool.
    pub(super) fn remembered(spool: &Path) -> Self {
        let path = spool.join("keys");
        let text = system::read::text(&path, LONGEST).unwrap_or_default();
        let last = text.lines().take(MAX).filter_map(|line| {
            let (host, pin) = line.split_once(' ')?;
            Some((host.to_owned(), Pin::parse(pin).ok()?))
        });
        Self {
            last: last.collect(),
            path,
        }
    }

    /// A relayhost has presented this key; what the administrator should know, if anything.
    pub(super) fn presented(&mut self, host: &str, seen: &PeerKey, pins: &[Pin]) -> Option<String> {
        let index = pins.iter().position(|pin| pin.matches(seen))?;
        let pin = pins.get(index)?;
        let before = self.last.get(host);
        if before == Some(pin) {
            return None;
        }
        let instead = match before {
            Some(before) => Some(before),
            // Several relayhosts may have a pin each; of one, the first pin is the key that it has
            // today.
            None if index > 0 && self.last.is_empty() => pins.first(),
            None => None,
        };
        let count = pins.len();
        let notice = instead.map(|instead| {
            format!(
                "{host} now has key {} of {count} in pins, {pin}, instead of {instead}: once no \
                 relayhost has the old key, remove it from pins and add the next one",
                index.saturating_add(1)
            )
        });
        if self.last.len() < MAX {
            self.last.insert(host.to_owned(), pin.clone());
            self.remember();
        }
        notice
    }

    fn remember(&self) {
        let mut text = String::new();
        for (host, pin) in &self.last {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{host} {pin}");
        }
        if let Err(error) = system::fs::replace(&self.path, text.as_bytes(), 0o600) {
            maillog::warning(&format!("{}: {error}", self.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PeerKey {
        PeerKey {
            key_sha256: [byte; 32],
            key_sha1: [byte; 20],
            certificate_sha256: [byte; 32],
            validity: None,
        }
    }

    #[test]
    fn the_change_to_the_next_key_is_said_once_even_across_restarts() {
        let spool = tempfile::tempdir().unwrap();
        let pins = [key(1).pin(), key(2).pin()];
        let mut keys = Keys::remembered(spool.path());
        assert_eq!(keys.presented("a", &key(1), &pins), None);
        assert_eq!(keys.presented("a", &key(1), &pins), None);
        let mut keys = Keys::remembered(spool.path());
        let notice = keys.presented("a", &key(2), &pins).unwrap();
        assert!(
            notice.starts_with(&format!(
                "a now has key 2 of 2 in pins, {}, instead of {}",
                key(2).pin(),
                key(1).pin()
            )),
            "{notice}"
        );
        assert_eq!(keys.presented("a", &key(2), &pins), None);
        assert_eq!(
            Keys::remembered(spool.path()).presented("a", &key(2), &pins),
            None
        );
        assert_eq!(keys.presented("a", &key(3), &pins), None, "not pinned");
    }

    #[test]
    fn a_relayhost_that_begins_with_its_next_key_is_told_of_but_a_second_relayhost_with_its_own_is_not()
     {
        let spool = tempfile::tempdir().unwrap();
        let pins = [key(1).pin(), key(2).pin()];
        let mut keys = Keys::remembered(spool.path());
        assert!(keys.presented("a", &key(2), &pins).is_some());
        assert!(keys.presented("b", &key(1), &pins).is_none());
    }
}
