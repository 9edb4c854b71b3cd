//! Whom it goes to: aliases first, then the administrator for local names that no alias names, then
//! the domain.
//!
//! Contract: every recipient is one that was typed, or one that a table or a setting puts in its
//! place; each once.
//! Mail for a local name is never lost: an alias that leads to no address leads to `admin`, and
//! without one it is an error. The others of a list get it where a name in it comes back to itself:
//! that goes to `admin`, and is told.
//! Names at `localhost` and its kin or at a name of the machine (where that is not the domain), its
//! short one too, are local names.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{HashMap, HashSet, hash_map};

use crate::{
    address::{Address, AddressError, LocalPart, Mailbox},
    envelope::{Rcpt, Recipient},
    limits,
    maps::{Rest, Target, expand_rest},
    message::rewrite::rules::{A_LABELS, Change, LEFT_OUT, REFUSED, RewriteError, Rules},
};

/// The envelope's recipients.
pub(super) fn envelope(
    recipients: &[Rcpt],
    rules: &Rules,
    changes: &mut Vec<Change>,
) -> Result<Vec<Recipient>, RewriteError> {
    let mut resolver = Resolver {
        rules,
        changes,
        recipients: Vec::new(),
        known: HashMap::new(),
        refused: Vec::new(),
    };
    for rcpt in recipients {
        resolver.resolve(rcpt)?;
    }
    resolver.done()
}

/// Who gets mail for one recipient now.
pub fn resolve(rcpt: &Rcpt, rules: &Rules) -> Result<Vec<Recipient>, RewriteError> {
    envelope(std::slice::from_ref(rcpt), rules, &mut Vec::new())
}

/// The local name that is looked up for a recipient, if he has one.
pub fn looked_up(to: &Mailbox, rules: &Rules) -> Option<LocalPart> {
    match to {
        Mailbox::Local(name) => Some(name.clone()),
        Mailbox::Address(address) if rules.is_this_host(address.domain()) => {
            LocalPart::new(&address.local_name()).ok()
        }
        Mailbox::Address(_) => None,
    }
}

/// The local name that a recipient of an envelope came from, if it came from one.
pub fn local_name(recipient: &Recipient, rules: &Rules) -> Option<LocalPart> {
    let given = recipient.original.as_ref();
    let local = match given {
        // An alias took its place.
        Some(original) if original.key() != recipient.address.key() => true,
        Some(original) => rules.is_ours(original.domain()),
        None => rules.is_this_host(recipient.address.domain()),
    };
    let name = given.unwrap_or(&recipient.address).local_name();
    local.then(|| LocalPart::new(&name).ok()).flatten()
}

fn unmailable(target: &Target) -> String {
    let written = target.to_string();
    format!("`{}` cannot be mailed to from here", written.escape_debug())
}

fn bad(text: &str, error: AddressError) -> RewriteError {
    RewriteError::Recipient(format!("`{}`: {error}", text.escape_debug()))
}

struct Resolver<'a> {
    rules: &'a Rules,
    changes: &'a mut Vec<Change>,
    recipients: Vec<Recipient>,
    /// Where in `recipients` an address stands.
    known: HashMap<String, usize>,
    /// Whose mail is refused, and why.
    refused: Vec<(Recipient, Change)>,
}

/// A recipient on its way: what was asked for, and the same as an address.
struct Origin<'a> {
    rcpt: &'a Rcpt,
    typed: String,
    address: Option<Address>,
}

impl Resolver<'_> {
    fn resolve(&mut self, rcpt: &Rcpt) -> Result<(), RewriteError> {
        match &rcpt.to {
            Mailbox::Local(name) => {
                let origin = Origin {
                    rcpt,
                    typed: name.as_str().to_owned(),
                    address: Address::new(name.as_str(), &self.rules.hostname).ok(),
                };
                self.local(name.as_str(), &origin)
            }
            Mailbox::Address(address) => {
                let origin = Origin {
                    rcpt,
                    typed: address.to_string(),
                    address: Some(address.clone()),
                };
                if self.rules.is_this_host(address.domain()) {
                    self.local(&address.local_name(), &origin)
                } else {
                    self.add(address.clone(), &origin, "")
                }
            }
        }
    }

    fn local(&mut self, name: &str, origin: &Origin<'_>) -> Result<(), RewriteError> {
        let Some(entry) = self.rules.aliases.get(name) else {
            return self.unaliased(name, origin, "");
        };
        let place = entry.to_string();
        let mut mailboxes = Vec::new();
        let mut failure = "it leads to no address".to_owned();
        let expanded = LocalPart::new(name)
            .map_err(|error| error.to_string())
            .and_then(|name| {
                expand_rest(&self.rules.aliases, &name).map_err(|error| error.to_string())
            });
        let (mut unserved, mut refused) = (Vec::new(), Vec::new());
        match expanded {
            Ok(Rest {
                targets,
                loops,
                unserved: names,
                refused: refusing,
            }) => {
                let told = loops.iter().map(|looped| Change {
                    what: LEFT_OUT.into(),
                    before: name.to_owned(),
                    after: looped.to_string(),
                    because: place.clone(),
                });
                self.changes.extend(told);
                unserved = names;
                refused = refusing;
                for target in targets {
                    match target {
                        Target::Mailbox(mailbox) => mailboxes.push(mailbox),
                        Target::Refusal(_) => {}
                        other => failure = unmailable(&other),
                    }
                }
            }
            Err(error) => failure = error,
        }
        for (name, why) in &refused {
            self.refuse(name, why, &place, origin.rcpt)?;
        }
        if mailboxes.is_empty() && !refused.is_empty() {
            return Ok(());
        }
        if mailboxes.is_empty() {
            return match self.rules.admin {
                Some(_) => self.unaliased(name, origin, &format!(" ({place}: {failure})")),
                None => Err(RewriteError::Alias(format!(
                    "{place}: `{}`: {failure}",
                    name.escape_debug()
                ))),
            };
        }
        for mailbox in mailboxes {
            match mailbox {
                Mailbox::Address(address) if !self.rules.is_localhost(address.domain()) => {
                    self.add(address, origin, &place)?;
                }
                local => self.unaliased(&local.local_name(), origin, &format!(" ({place})"))?,
            }
        }
        if let (Some(_), Some(name)) = (&self.rules.admin, unserved.first()) {
            self.unaliased(name.as_str(), origin, &format!(" ({place})"))?;
        }
        Ok(())
    }

    /// A name that refuses mail is a recipient all the same, so that its sender is told.
    fn refuse(
        &mut self,
        name: &LocalPart,
        why: &str,
        place: &str,
        rcpt: &Rcpt,
    ) -> Result<(), RewriteError> {
        let address = Address::new(name.as_str(), &self.rules.hostname);
        let address = address.map_err(|error| bad(name.as_str(), error))?;
        let told = Change {
            what: REFUSED.into(),
            before: address.to_string(),
            after: format!("`{name}`: {why}"),
            because: place.to_owned(),
        };
        let recipient = Recipient {
            original: Some(address.clone()),
            notify: rcpt.notify,
            orcpt: rcpt.orcpt.clone(),
            address,
        };
        self.refused.push((recipient, told));
        Ok(())
    }

    /// All of them. An error if nobody is left of those whose mail is not refused.
    fn done(self) -> Result<Vec<Recipient>, RewriteError> {
        let mut all = self.recipients;
        if let (true, Some((_, told))) = (all.is_empty(), self.refused.first()) {
            return Err(RewriteError::Refused(told.after.clone()));
        }
        let mut known: HashSet<_> = self.known.into_keys().collect();
        for (recipient, told) in self.refused {
            if known.insert(recipient.address.key()) {
                all.push(recipient);
                self.changes.push(told);
            }
        }
        Ok(all)
    }

    /// A local name that no alias names: to the administrator, or at the domain.
    fn unaliased(
        &mut self,
        name: &str,
        origin: &Origin<'_>,
        note: &str,
    ) -> Result<(), RewriteError> {
        if let Some(admin) = self.rules.admin.clone() {
            return self.add(admin, origin, &format!("admin{note}"));
        }
        match &origin.address {
            // `user@this.machine` without an administrator: the relay may know it.
            Some(address)
                if origin.typed == address.as_str()
                    && !self.rules.is_localhost(address.domain()) =>
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
        origin: &Origin<'_>,
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
        let rcpt = origin.rcpt;
        match self.known.entry(address.key()) {
            // One mailbox that two were asked for: whoever wants to be told is told.
            hash_map::Entry::Occupied(place) => {
                if let Some(known) = self.recipients.get_mut(*place.get()) {
                    known.notify = known.notify.or(rcpt.notify);
                    // Who was named himself gets it whatever an alias says when it is sent.
                    if origin.typed == address.as_str() {
                        known.original = None;
                    }
                }
                return Ok(());
            }
            hash_map::Entry::Vacant(place) => place.insert(self.recipients.len()),
        };
        if self.recipients.len() >= limits::EXPANDED {
            return Err(RewriteError::Recipient(format!(
                "`{address}`: there are more than {} recipients",
                limits::EXPANDED
            )));
        }
        // A local name is kept even where it changes nothing: it is looked up again when the
        // message is sent.
        let local = looked_up(&rcpt.to, self.rules).is_some();
        let original = origin.address.clone();
        self.recipients.push(Recipient {
            original: original.filter(|original| local || *original != address),
            notify: rcpt.notify,
            orcpt: rcpt.orcpt.clone(),
            address,
        });
        Ok(())
    }
}
