//! A local recipient → those who stand for it, followed through names and through addresses in our own domains.

use std::collections::HashSet;

use mail::{address::Address, envelope::Recipient, maps, outcome::Failure, status::EnhancedStatus};

use crate::route::Router;

/// Recipients that one may stand for.
const MAX_RESULTS: usize = 1000;

impl Router {
    /// The recipients that stand for one after aliases (itself, if there is none); `original` is set where the address changed.
    pub fn expand(&self, recipient: &Recipient) -> Result<Vec<Recipient>, Failure> {
        if !self.is_local(&recipient.address) {
            return Ok(vec![recipient.clone()]);
        }
        let mut results = Vec::new();
        let mut seen = HashSet::from([recipient.address.key()]);
        let mut open = vec![recipient.address.clone()];
        while let Some(address) = open.pop() {
            let Some(targets) = self.lookup(&address)? else {
                results.push(address);
                continue;
            };
            let itself = address.key();
            for target in targets {
                if target.key() == itself {
                    results.push(target);
                } else if seen.insert(target.key()) {
                    open.push(target);
                }
            }
            if results.len() + open.len() > MAX_RESULTS {
                return Err(unusable(
                    &recipient.address,
                    "it stands for more than 1000 addresses",
                ));
            }
        }
        if results.is_empty() {
            return Err(unusable(&recipient.address, "it comes back to itself"));
        }
        Ok(results
            .into_iter()
            .map(|address| standing_for(recipient, address))
            .collect())
    }

    /// Whether a recipient in our own domains can be delivered to: by an alias, or because the local transport decides.
    pub fn is_known(&self, address: &Address) -> bool {
        self.rules.local.is_some() || !matches!(self.lookup(address), Ok(None))
    }

    /// One step: the addresses an alias names; `None` if there is no alias (or the address is not ours).
    pub(super) fn lookup(&self, address: &Address) -> Result<Option<Vec<Address>>, Failure> {
        if !self.is_local(address) {
            return Ok(None);
        }
        let name = address.local_name();
        let Some(key) = self.alias_name(&name) else {
            let admins = &self.rules.admins;
            let postmaster = name.eq_ignore_ascii_case("postmaster") && !admins.is_empty();
            return Ok(postmaster.then(|| admins.clone()));
        };
        let values = maps::expand(&self.aliases, key)
            .map_err(|error| unusable(address, &error.to_string()))?;
        values
            .iter()
            .map(|value| self.target(address, value))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The name in the table: the whole local part, or what stands before the delimiter (row B2).
    fn alias_name<'a>(&self, name: &'a str) -> Option<&'a str> {
        let stem = self
            .rules
            .delimiter
            .and_then(|delimiter| name.split_once(delimiter))
            .map(|(stem, _)| stem);
        [Some(name), stem]
            .into_iter()
            .flatten()
            .find(|name| self.aliases.get(name).is_some())
    }

    fn target(&self, alias: &Address, value: &str) -> Result<Address, Failure> {
        for (sign, what) in [
            ("|", "programs"),
            ("/", "files"),
            (":include:", "included files"),
        ] {
            if value.starts_with(sign) {
                return Err(unusable(
                    alias,
                    &format!("delivery to {what} is not supported: {value}"),
                ));
            }
        }
        let parsed = if value.contains('@') {
            Address::parse(value)
        } else {
            Address::new(value, &self.rules.hostname)
        };
        parsed
            .map(Address::with_ascii_domain)
            .map_err(|error| unusable(alias, &format!("`{value}`: {error}")))
    }
}

fn standing_for(recipient: &Recipient, address: Address) -> Recipient {
    if address.key() == recipient.address.key() {
        return recipient.clone();
    }
    let original = recipient
        .original
        .clone()
        .unwrap_or_else(|| recipient.address.clone());
    Recipient {
        address,
        original: Some(original),
        ..recipient.clone()
    }
}

/// The table is wrong: that can be mended, so the mail waits.
fn unusable(alias: &Address, why: &str) -> Failure {
    let text = format!("alias {alias} cannot be expanded: {why}");
    Failure::local(EnhancedStatus::new(4, 3, 5), &text)
}
