//! The tables' files, read together.
//!
//! Contract: each as its setting wants it; what is not taken as it is now leaves in force what was
//! read before.
//! Failures: what cannot be read at a start is an error, which tells all of it; a wrong line is a
//! problem to be logged.

use std::{path::Path, sync::Arc};

use mail::{clock, maps::Problem};
use settings::ConfigError;
use smtp::sasl::Logins;
use tables::{
    Aliases,
    watched::{EMPTY, Looked},
};

use crate::{
    config::{Config, TableFiles, Users},
    policy::{Sources, access_table::AccessTable, dnsbl::Keys},
    route::Router,
    tls_policy::{Policies, PolicyTable},
};

/// The tables' files.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) aliases: Aliases,
    pub(super) access: TableFiles<AccessTable>,
    pub(super) transport: TableFiles,
    pub(super) tls_policy: TableFiles<PolicyTable>,
    pub(super) lookups: TableFiles,
    pub(super) users: Users,
    /// Lines that could not be read when they were first looked at, and cost a rule or a recipient.
    pub(super) faults: Vec<Problem>,
}

impl Tables {
    /// Reads them. A wrong line is a problem to be logged; what cannot be read is an error, which
    /// tells all of it.
    pub(super) fn read(config: &Config) -> Result<(Self, Vec<Problem>), ConfigError> {
        let read = (
            config.read_access(),
            config.read_transport(),
            config.read_tls_policy(),
            config.read_tables(),
            config.read_aliases(),
            config.read_users(),
        );
        let (Ok(access), Ok(transport), Ok(tls_policy), Ok(lookups), Ok(aliases), Ok(users)) = read
        else {
            let (access, transport, tls_policy, lookups, aliases, users) = read;
            let tables = [
                access.err(),
                transport.err(),
                tls_policy.err(),
                lookups.err(),
            ];
            let wrong = tables.into_iter().chain([aliases.err(), users.err()]);
            return Err(ConfigError::together(wrong.flatten()).unwrap_or_default());
        };
        let (access, mut problems) = access;
        problems.extend([transport.1, tls_policy.1, lookups.1].concat());
        let mut faults = problems.clone();
        faults.extend_from_slice(aliases.0.faults());
        faults.retain(|problem| problem.fault);
        problems.extend([aliases.1, users.1].concat());
        let tables = Self {
            users: users.0,
            aliases: aliases.0,
            access,
            transport: transport.0,
            tls_policy: tls_policy.0,
            lookups: lookups.0,
            faults,
        };
        Ok((tables, problems))
    }

    /// Reads what has changed.
    pub(super) fn refresh(&mut self) -> Looked {
        let now = clock::now();
        let mut looked = self.aliases.refresh(now);
        looked.and(self.access.refresh(now));
        looked.and(self.transport.refresh(now));
        looked.and(self.tls_policy.refresh(now));
        looked.and(self.lookups.refresh(now));
        looked.and(self.users.refresh(now));
        looked
    }

    /// Why files are not taken as they are now.
    pub(super) fn refused(&self) -> impl Iterator<Item = &Problem> {
        let tables = self.access.refused().chain(self.transport.refused());
        let tables = tables.chain(self.tls_policy.refused());
        let tables = tables.chain(self.lookups.refused());
        let tables = self.aliases.refused().chain(tables);
        tables.chain(self.users.refused())
    }

    pub(super) fn router(&self, config: &Config) -> Router {
        router(config, &self.aliases, &self.transport, &self.lookups)
    }

    pub(super) fn tls_policies(&self) -> Policies {
        Policies::new(self.tls_policy.tables().map(|(_, table)| table).collect())
    }

    /// Who may log in.
    pub(super) fn logins(&self, config: &Config) -> Option<Arc<Logins>> {
        let verifiers = self.users.verifiers()?;
        Some(Arc::new(Logins::new(
            (*verifiers).clone(),
            &secret(&config.tls.key),
        )))
    }

    /// What restrictions look into, with the keys of block lists.
    pub(super) fn sources(&self, keys: Keys) -> Arc<Sources> {
        let tables = self.access.tables().collect();
        Arc::new(Sources { keys, tables })
    }
}

/// The router of what these files hold.
pub(crate) fn router(
    config: &Config,
    aliases: &Aliases,
    transport: &TableFiles,
    lookups: &TableFiles,
) -> Router {
    let transport = transport.tables().map(|(_, table)| table).collect();
    Router::new(config, Arc::clone(aliases.table()), transport)
        .running(config.runners())
        .mapping(config, &lookups.tables().collect())
}

impl Tables {
    /// Each file, and whether it holds anything.
    pub(super) fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let tables = self.access.held().chain(self.transport.held());
        let tables = tables.chain(self.tls_policy.held());
        let tables = tables.chain(self.lookups.held()).chain(self.users.held());
        self.aliases.held().chain(tables)
    }

    /// What is wrong with a file that was not in a copy of it.
    pub(super) fn broken(&self, file: &Path, copied: &Self, copy: &Path) -> Option<String> {
        let is_known = |new: &&Problem| copied.faults_of(copy).any(|it| it.text == new.text);
        if let Some(problem) = self.faults_of(file).find(|it| !is_known(it)) {
            return Some(problem.to_string());
        }
        (copied.holds(copy) && !self.holds(file)).then(|| suddenly_empty(file))
    }

    /// What is wrong with a file of which nobody knows any more what it held.
    pub(super) fn doubtful(&self, file: &Path) -> Option<String> {
        let fault = self.faults_of(file).next().map(ToString::to_string);
        fault.or_else(|| (!self.holds(file)).then(|| suddenly_empty(file)))
    }

    fn faults_of(&self, path: &Path) -> impl Iterator<Item = &Problem> {
        let faults = self.faults.iter();
        faults.filter(move |problem| problem.path == path)
    }

    fn holds(&self, path: &Path) -> bool {
        self.held().any(|(known, holds)| known == path && holds)
    }
}

pub(super) fn suddenly_empty(path: &Path) -> String {
    let path = path.display();
    format!("{path}: it is suddenly empty; if that is intended, write the line `{EMPTY}` into it")
}

/// What logins that do not exist are answered with: always the same, so that nobody learns it.
fn secret(key: &Path) -> Vec<u8> {
    let kept = system::read::bytes(key, 64 * 1024);
    kept.unwrap_or_else(|_| getrandom::u64().unwrap_or_default().to_be_bytes().into())
}
