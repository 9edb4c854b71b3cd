//! A local recipient → those who stand for it, followed through names and through addresses in our
//! own domains.

use std::{path::Path, sync::Arc};

use mail::{
    address::{Address, LocalPart, Mailbox},
    envelope::Recipient,
    limits,
    maps::{self, ExpandError, Target},
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use super::{
    Router,
    expansion::{Expansion, Step},
    failures::{nobody, unusable},
};
use crate::{
    config::Class,
    destination::{Destination, Kind},
    lookup::{Place, access::split_extension},
};

/// Whose mail always has a place (RFC 5321 §4.5.1).
const ALWAYS: [&str; 2] = [POSTMASTER, "root"];
const POSTMASTER: &str = "postmaster";

impl Router {
    /// The recipients that stand for one after aliases (itself, if there is none); `original` is
    /// set where the address changed.
    pub fn expand(&self, recipient: &Recipient) -> Result<Vec<Recipient>, Failure> {
        let all = self.members(&recipient.address)?;
        let standing = all.iter().cloned();
        let standing = standing.map(|address| standing_for(recipient, address));
        Ok(standing.collect())
    }

    /// The one address in our domains that mail for this one goes to, itself or another; `None`: it
    /// goes to several, or to somebody elsewhere, who is no business of whoever names it.
    pub fn stands_for_one(&self, address: &Address) -> Option<Address> {
        let mut all = Expansion::of_two(self, address).ok()?;
        let one = all.pop().filter(|_| all.is_empty())?;
        self.class(&one).is_some().then_some(one)
    }

    /// Whether mail for an address goes to others, too.
    pub fn stands_for_others(&self, address: &Address) -> bool {
        let all = self.members(address);
        all.is_ok_and(|all| all.iter().any(|one| one.key() != address.key()))
    }

    /// The way of an address through aliases, step by step, and where it ends.
    pub fn way(&self, address: &Address) -> (Vec<Step>, Result<Vec<Address>, Failure>) {
        Expansion::explained(self, address)
    }

    /// Whether an address stands for others by entries for many alone, which name somebody with the
    /// name that was asked for ([`Router::is_one_of_many`]).
    pub(super) fn is_only_renamed(&self, address: &Address) -> bool {
        let (steps, _) = self.way(address);
        let renames = |step: &Step| step.entries.len() == 1 && self.is_one_of_many(&step.address);
        !steps.is_empty() && steps.iter().all(renames)
    }

    /// The entries that say for whom an address stands, and what is written there.
    pub(super) fn entries(&self, address: &Address) -> Vec<(Place, String)> {
        let mapped = self.virtual_entry(address);
        let mut entries: Vec<_> = mapped
            .into_iter()
            .map(|(found, _)| (found.place, found.value.into_owned()))
            .collect();
        let name = address.local_name();
        let ours = self.is_local(address) && !self.has_own_route(address);
        let alias = self.alias_name(&name).filter(|_| ours);
        // A chain of names is one step.
        let mut names: Vec<String> = alias.iter().map(|name| name.to_lowercase()).collect();
        let mut at = 0;
        while let Some(name) = names.get(at) {
            at = at.saturating_add(1);
            let Some(entry) = self.aliases.get(name) else {
                continue;
            };
            let place = Place {
                path: Arc::clone(&entry.path),
                line: entry.line,
            };
            let targets: Vec<_> = entry.targets.iter().map(ToString::to_string).collect();
            entries.push((place, targets.join(", ")));
            for target in &entry.targets {
                if let Target::Mailbox(Mailbox::Local(name)) = target {
                    let name = name.as_str().to_lowercase();
                    if !names.contains(&name) && names.len() < limits::EXPANDED {
                        names.push(name);
                    }
                }
            }
        }
        entries
    }

    /// Whether a recipient in our own domains can be delivered to: by an alias, because the local
    /// transport decides, or because its mail always has a place.
    pub fn is_known(&self, address: &Address) -> bool {
        self.rules.local.is_some()
            || self.always(&address.local_name()).is_some()
            || self.has_own_route(address)
            || self.is_named(address)
    }

    /// Whether anything says for whom an address stands, as [`Router::stands_for`] finds out.
    fn is_named(&self, address: &Address) -> bool {
        let aliased = || !self.has_own_route(address) && self.has_alias(address);
        self.sender_behind(address).is_some()
            || self.virtual_entry(address).is_some()
            || aliased()
            || self.our_postmaster(address).is_some()
    }

    /// Whether [`Router::lookup`] finds anything.
    fn has_alias(&self, address: &Address) -> bool {
        let name = address.local_name();
        self.is_local(address) && (self.alias_name(&name).is_some() || self.is_admins(&name))
    }

    /// Whether mail for a name without an alias goes to the administrators.
    fn is_admins(&self, name: &str) -> bool {
        let theirs = match self.always(name) {
            Some("root") => self.rules.local.is_none(),
            always => always.is_some(),
        };
        theirs && !self.rules.admins.is_empty()
    }

    /// Whether mail for this address has a place only because it must have one: nobody is named who
    /// would read it.
    pub fn is_nobodys(&self, address: &Address) -> bool {
        self.rules.local.is_none() && self.names_nobody(address)
    }

    fn names_nobody(&self, address: &Address) -> bool {
        self.is_local(address)
            && self.always(&address.local_name()).is_some()
            && !self.has_own_route(address)
            && !self.is_named(address)
    }

    /// Those of the names whose mail must have a place that nobody is named for.
    pub fn unnamed(&self) -> Vec<&'static str> {
        if self.rules.local.is_some() {
            return Vec::new();
        }
        self.without_person()
    }

    /// The same where the local transport has a place for them.
    pub fn without_person(&self) -> Vec<&'static str> {
        let nobodys = |name: &&str| {
            let address = Address::new(name, &self.rules.hostname);
            address.is_ok_and(|address| self.names_nobody(&address))
        };
        ALWAYS.into_iter().filter(nobodys).collect()
    }

    fn always(&self, name: &str) -> Option<&'static str> {
        let stem = self.stem(name).unwrap_or(name);
        ALWAYS
            .into_iter()
            .find(|always| stem.eq_ignore_ascii_case(always))
    }

    /// One step: what a virtual alias or else an alias names; one that names itself there ends in
    /// its alias, if it has one.
    pub(super) fn stands_for(&self, address: &Address) -> Result<Option<Named>, Failure> {
        if let Some(sender) = self.sender_behind(address) {
            return Ok(Some(sender.into()));
        }
        let key = address.key();
        let named = self.virtual_targets(address)?;
        let ends_here = |named: &Vec<Address>| named.iter().any(|named| named.key() == key);
        let aliased =
            if self.has_own_route(address) || named.as_ref().is_some_and(|it| !ends_here(it)) {
                None
            } else {
                self.lookup(address)?
            };
        let Some(mut addresses) = named else {
            let ours = || self.our_postmaster(address).map(Named::from);
            return Ok(aliased.or_else(ours));
        };
        let mut programs = Vec::new();
        if let Some(aliased) = aliased {
            addresses.retain(|named| named.key() != key);
            addresses.extend(aliased.addresses);
            programs = aliased.programs;
        }
        Ok(Some(Named {
            addresses,
            programs,
        }))
    }

    /// The domain of rewritten senders receives mail, so it has a postmaster (RFC 5321 §4.5.1).
    pub(super) fn is_postmaster_of_senders(&self, address: &Address) -> bool {
        let srs = self.srs.as_ref();
        srs.is_some_and(|srs| srs.is_domain(address.domain()))
            && self.always(&address.local_name()) == Some(POSTMASTER)
    }

    /// Ours, where nothing names the postmaster of a domain that we take mail for but is not ours
    /// (RFC 5321 §4.5.1).
    pub fn our_postmaster(&self, address: &Address) -> Option<Address> {
        let class = self.class(address)?;
        if self.always(&address.local_name()) != Some(POSTMASTER) {
            return None;
        }
        let named = match class {
            Class::Local => true,
            Class::Virtual => self.route(address).is_some(),
            Class::Relay => self.is_relay_recipient(address),
        };
        if named || self.virtual_entry(address).is_some() {
            return None;
        }
        let ours = [self.rules.hostname.as_str(), "localhost"].into_iter();
        let mut ours = ours.filter_map(|domain| Address::new(POSTMASTER, domain).ok());
        ours.find(|it| self.is_local(it))
    }

    /// One step: what an alias names; `None` if there is no alias (or the address is not ours).
    pub(super) fn lookup(&self, address: &Address) -> Result<Option<Named>, Failure> {
        if !self.is_local(address) {
            return Ok(None);
        }
        let name = address.local_name();
        let Some(key) = self.alias_name(&name) else {
            return Ok(self.is_admins(&name).then(|| Named {
                addresses: self.rules.admins.clone(),
                programs: Vec::new(),
            }));
        };
        let key = LocalPart::new(key).map_err(|error| unusable(address, &error.to_string()))?;
        let targets =
            maps::expand_with_files(&self.aliases, &key).map_err(|error| match error {
                ExpandError::Nobody => nobody(address),
                error => unusable(address, &error.to_string()),
            })?;
        let mut named = Named::default();
        for (target, file) in targets {
            match target {
                Target::Program(command) => {
                    named
                        .programs
                        .push(self.program(address, command, file.as_deref())?);
                }
                target => named.addresses.push(self.target(address, target)?),
            }
        }
        if !named.programs.is_empty() {
            // Its own name beside its programs is the mailbox of this very address.
            let stem = |address: &Address| {
                let name = address.local_name();
                self.stem(&name).unwrap_or(&name).to_lowercase()
            };
            let own = stem(address);
            let ours = named.addresses.iter_mut();
            ours.filter(|it| self.is_local(it) && stem(it) == own)
                .for_each(|it| it.clone_from(address));
        }
        Ok(Some(named))
    }

    /// By what a program is run, if it is.
    fn program(
        &self,
        alias: &Address,
        command: String,
        file: Option<&Path>,
    ) -> Result<Destination, Failure> {
        let runner = file.and_then(|file| self.runners.get(file));
        match runner {
            Some(Ok(transport)) => Ok(Destination {
                transport: transport.clone(),
                kind: Kind::Program(command),
            }),
            Some(Err(why)) => {
                let why = format!(
                    "its program is not run, for {why}; mend that, or name a transport with programs"
                );
                Err(unusable(alias, &why))
            }
            None => {
                let why = format!("delivery to programs is not supported: |{command}");
                Err(unusable(alias, &why))
            }
        }
    }

    /// The name in the table: the whole local part, or what stands before the delimiter (row B2).
    fn alias_name<'a>(&self, name: &'a str) -> Option<&'a str> {
        [Some(name), self.stem(name)]
            .into_iter()
            .flatten()
            .find(|name| self.aliases.has(name))
    }

    /// What stands before the delimiter.
    fn stem<'a>(&self, name: &'a str) -> Option<&'a str> {
        split_extension(name, self.rules.delimiter).map(|(stem, _)| stem)
    }

    fn target(&self, alias: &Address, target: Target) -> Result<Address, Failure> {
        if let Some(why) = target.not_mailable() {
            return Err(unusable(alias, &why));
        }
        match target {
            Target::Mailbox(Mailbox::Address(address)) => Ok(address),
            Target::Mailbox(Mailbox::Local(name)) => {
                Address::new(name.as_str(), &self.rules.hostname)
                    .map_err(|error| unusable(alias, &format!("`{name}`: {error}")))
            }
            Target::Refusal(reason) => Err(refused(&reason)),
            Target::Unusable(written, why) => Err(unusable(alias, &format!("`{written}`: {why}"))),
            other => Err(unusable(alias, &format!("`{other}` is no address"))),
        }
    }
}

/// What an alias names.
#[derive(Default)]
pub(super) struct Named {
    pub(super) addresses: Vec<Address>,
    pub(super) programs: Vec<Destination>,
}

impl From<Address> for Named {
    fn from(address: Address) -> Self {
        Self {
            addresses: vec![address],
            programs: Vec::new(),
        }
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

/// The administrator says that there is no mail for this name; a status of his own may stand in
/// front.
fn refused(reason: &str) -> Failure {
    let (first, rest) = reason.split_once(' ').unwrap_or((reason, ""));
    let (status, text) = match EnhancedStatus::parse(first).filter(|status| status.class() == 5) {
        Some(status) => (status, rest),
        None => (EnhancedStatus::new(5, 2, 1), reason),
    };
    let text = if text.is_empty() {
        "no mail is taken for this address"
    } else {
        text
    };
    Failure::new(Blame::Policy, Stage::Local, status, text)
}
