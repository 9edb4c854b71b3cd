//! Whom it goes to: aliases first, then the administrator for local names that no alias names, then the domain.
//!
//! Contract: every recipient is one that was typed, or one that a table or a setting puts in its place; each once.
//! Mail for a local name is never lost: an alias that leads to no address leads to `admin`, and without one it is an error.
//! Names at `localhost` or at the machine's own name (where that is not the domain) are local names.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashSet;

use crate::{
    address::{
        Address, AddressError,
        list::{self, Target},
    },
    envelope::Recipient,
    limits,
    maps::expand,
    message::rewrite::{Change, RewriteError, Rules, rules::A_LABELS},
};

/// The envelope's recipients.
pub(super) fn envelope(
    typed: &[String],
    rules: &Rules,
    changes: &mut Vec<Change>,
) -> Result<Vec<Recipient>, RewriteError> {
    let mut resolver = Resolver {
        rules,
        changes,
        recipients: Vec::new(),
        seen: HashSet::new(),
    };
    for text in typed {
        if text.contains(char::is_control) {
            return Err(bad(text, AddressError::Control));
        }
        let list = list::parse(text.as_bytes());
        if let Some(problem) = list.problems.first() {
            return Err(bad(&problem.text, problem.error));
        }
        if list.entries.is_empty() {
            return Err(bad(text, AddressError::Empty));
        }
        for entry in list.entries {
            resolver.resolve(entry.target)?;
        }
    }
    Ok(resolver.recipients)
}

fn bad(text: &str, error: AddressError) -> RewriteError {
    RewriteError::Recipient(format!("`{}`: {error}", text.escape_debug()))
}

struct Resolver<'a> {
    rules: &'a Rules,
    changes: &'a mut Vec<Change>,
    recipients: Vec<Recipient>,
    seen: HashSet<String>,
}

/// A recipient on its way: what was typed, and the same as an address.
struct Origin {
    typed: String,
    address: Option<Address>,
}

impl Resolver<'_> {
    fn resolve(&mut self, target: Target) -> Result<(), RewriteError> {
        match target {
            Target::Local(name) => {
                let origin = Origin {
                    address: Address::new(&name, &self.rules.hostname).ok(),
                    typed: name.clone(),
                };
                self.local(&name, &origin)
            }
            Target::Address(address) if self.rules.is_this_host(address.domain()) => {
                let name = address.local_name();
                let origin = Origin {
                    typed: address.to_string(),
                    address: Some(address),
                };
                self.local(&name, &origin)
            }
            Target::Address(address) => {
                let origin = Origin {
                    typed: address.to_string(),
                    address: Some(address.clone()),
                };
                self.add(address, &origin, "")
            }
        }
    }

    fn local(&mut self, name: &str, origin: &Origin) -> Result<(), RewriteError> {
        let Some(entry) = self.rules.aliases.get(name) else {
            return self.unaliased(name, origin, "");
        };
        let place = self.rules.aliases.place(entry);
        let mut targets = Vec::new();
        let mut failure = "it leads to no address".to_owned();
        match expand(&self.rules.aliases, name) {
            Ok(values) => {
                for value in values {
                    match mailable(&value) {
                        Some(target) => targets.push(target),
                        None => {
                            failure =
                                format!("`{}` cannot be mailed to from here", value.escape_debug());
                        }
                    }
                }
            }
            Err(error) => failure = error.to_string(),
        }
        if targets.is_empty() {
            return match self.rules.admin {
                Some(_) => self.unaliased(name, origin, &format!(" ({place}: {failure})")),
                None => Err(RewriteError::Alias(format!(
                    "{place}: `{}`: {failure}",
                    name.escape_debug()
                ))),
            };
        }
        for target in targets {
            match target {
                Target::Address(address) if !Rules::is_localhost(address.domain()) => {
                    self.add(address, origin, &place)?;
                }
                Target::Address(address) => {
                    self.unaliased(&address.local_name(), origin, &format!(" ({place})"))?;
                }
                Target::Local(name) => self.unaliased(&name, origin, &format!(" ({place})"))?,
            }
        }
        Ok(())
    }

    /// A local name that no alias names: to the administrator, or at the domain.
    fn unaliased(&mut self, name: &str, origin: &Origin, note: &str) -> Result<(), RewriteError> {
        if let Some(admin) = self.rules.admin.clone() {
            return self.add(admin, origin, &format!("admin{note}"));
        }
        match &origin.address {
            // `user@this.machine` without an administrator: the relay may know it.
            Some(address)
                if origin.typed == address.as_str() && !Rules::is_localhost(address.domain()) =>
            {
                self.add(address.clone(), origin, &format!("hostname{note}"))
            }
            _ => {
                let address =
                    Address::new(name, &self.rules.domain).map_err(|error| bad(name, error))?;
                self.add(address, origin, &format!("domain{note}"))
            }
        }
    }

    fn add(
        &mut self,
        address: Address,
        origin: &Origin,
        because: &str,
    ) -> Result<(), RewriteError> {
        let address = address.with_ascii_domain();
        let because = if because.is_empty() {
            A_LABELS
        } else {
            because
        };
        if origin.typed != address.as_str() {
            self.changes.push(Change {
                what: "envelope recipient".into(),
                before: origin.typed.clone(),
                after: address.to_string(),
                because: because.to_owned(),
            });
        }
        if !self.seen.insert(address.key()) {
            return Ok(());
        }
        if self.recipients.len() >= limits::RECIPIENTS {
            return Err(RewriteError::Recipient(format!(
                "`{address}`: there are more than {} recipients",
                limits::RECIPIENTS
            )));
        }
        let original = origin
            .address
            .clone()
            .filter(|original| *original != address);
        self.recipients.push(Recipient {
            original,
            ..Recipient::from(address)
        });
        Ok(())
    }
}

/// The address or name that a value of the table writes; programs, files and includes are none.
fn mailable(value: &str) -> Option<Target> {
    if value.starts_with(['|', '/', ':']) {
        return None;
    }
    let mut list = list::parse(value.as_bytes());
    if list.problems.is_empty() {
        list.entries.pop().map(|entry| entry.target)
    } else {
        None
    }
}
