//! virtual(5): a recipient of any class → the addresses that its entry names.

use std::{borrow::Cow, sync::Arc};

use mail::{
    address::{Address, Mailbox, quote_local},
    outcome::Failure,
};

use super::{Router, failures::unusable};
use crate::lookup::{
    Found, LookupTable,
    access::{Key, split_extension},
    targets,
};

/// One key, and the extension that it leaves out, with its delimiter.
type Partial = (Key, Option<String>);

impl Router {
    /// One step: the addresses that an entry names, with the extension that its key left out.
    pub(super) fn virtual_targets(
        &self,
        address: &Address,
    ) -> Result<Option<Vec<Address>>, Failure> {
        let Some((found, extension)) = self.virtual_entry(address) else {
            return Ok(None);
        };
        let wrong = |why: &str| unusable(address, &format!("{}: {why}", found.place));
        let local = address.local_name();
        let extension = extension.unwrap_or_default();
        let bare = local.strip_suffix(&extension).unwrap_or(&local);
        let named = targets::targets(&found.value, bare).map_err(|why| wrong(&why))?;
        let whole = |named: Mailbox| {
            let (name, domain) = match &named {
                Mailbox::Address(address) => (address.local_name(), address.written_domain()),
                Mailbox::Local(name) => (name.as_str().to_owned(), self.rules.hostname.as_str()),
            };
            Address::new(&(name + &extension), domain)
                .map_err(|error| wrong(&format!("`{named}`: {error}")))
        };
        named
            .into_iter()
            .map(whole)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The entry of an address, and the extension that its key left out.
    pub(super) fn virtual_entry(&self, address: &Address) -> Option<(Found<'_>, Option<String>)> {
        if self.tables.virtual_aliases.is_empty() {
            return None;
        }
        let local = address.local_name();
        let (found, extension) =
            first_of(&self.tables.virtual_aliases, self.partial_keys(address))?;
        // What a client writes in quotes could be an address of its own in what a pattern puts
        // together, and lead wherever it likes.
        let is_put_together = matches!(found.value, Cow::Owned(_));
        (!is_put_together || quote_local(&local) == local).then_some((found, extension))
    }

    /// Whether the entry of an address is one for many, a pattern or a whole domain, and names
    /// somebody with what was asked for: whether there is such a name is then not its business.
    pub(super) fn is_one_of_many(&self, address: &Address) -> bool {
        let Some((found, _)) = self.virtual_entry(address) else {
            return false;
        };
        let names = matches!(found.value, Cow::Owned(_)) || found.value.starts_with('@');
        let domain = format!("@{}", address.domain());
        let own = |key: &Key| {
            let mut tables = self.tables.virtual_aliases.iter();
            key.text != domain
                && tables.any(|it| {
                    it.exact(&key.text)
                        .is_some_and(|own| own.place == found.place)
                })
        };
        names && !self.partial_keys(address).iter().any(|(key, _)| own(key))
    }

    /// Whether an address of a domain that is passed on is one of those that there are.
    pub(super) fn is_relay_recipient(&self, address: &Address) -> bool {
        let tables = &self.tables.relay_recipients;
        tables.is_empty() || first_of(tables, self.partial_keys(address)).is_some()
    }

    /// `user+ext@domain`, `user@domain`, then, if the domain is local, `user+ext` and `user`, then
    /// `@domain`.
    fn partial_keys(&self, address: &Address) -> Vec<Partial> {
        let local = address.local_name();
        let domain = address.domain();
        let delimiter = self.rules.delimiter;
        let bare = split_extension(&local, delimiter).map(|(name, extension)| {
            let extension = delimiter.into_iter().chain(extension.chars()).collect();
            (quote_local(name), Some(extension))
        });
        let users: Vec<(String, Option<String>)> = std::iter::once((quote_local(&local), None))
            .chain(bare)
            .collect();
        let at = |(user, extension): &(String, Option<String>)| {
            (format!("{user}@{domain}"), extension.clone())
        };
        let mut keys: Vec<(String, Option<String>)> = users.iter().map(at).collect();
        if self.is_local(address) {
            keys.extend(users);
        }
        keys.push((format!("@{domain}"), None));
        let key = |(at, (text, extension)): (usize, (String, Option<String>))| {
            let whole = at == 0;
            (Key { text, whole }, extension)
        };
        keys.into_iter().enumerate().map(key).collect()
    }
}

/// The first key that has an entry in one of the tables.
fn first_of(
    tables: &[Arc<LookupTable>],
    keys: Vec<Partial>,
) -> Option<(Found<'_>, Option<String>)> {
    keys.into_iter().find_map(|(key, extension)| {
        let key = std::slice::from_ref(&key);
        let found = tables.iter().find_map(|table| table.first(key))?;
        Some((found, extension))
    })
}
