//! What `smarthost check` says of alias tables, lookup tables, and the domains that need them.

use std::{collections::HashSet, sync::Arc};

use control::findings::Findings;
use mail::{
    address::{Address, Domain, DomainPattern, Mailbox},
    envelope::Recipient,
    maps::{Problem, Table, Target as Named},
};
use tables::{aliases::unusable, told, watched::EMPTY};

use super::transports;
use crate::{
    config::{Class, Config},
    destination::Kind,
    lookup::{LookupTable, Place, Tables},
    route::Router,
    setup,
};

/// Its mail waits, and then goes back.
const ADDRESSES_ALONE: &str =
    "its mail cannot be delivered (programs, files and lists stand in aliases, not here)";
const LEFT_OUT: &str = "it is left out, and the others get the mail";
const NO_STAR: &str = "it means the mailbox named *, and not the whole domain";
/// A name that stands for all of a domain.
const SOMEBODY: &str = "somebody";
/// How somebody is named.
const PERSON: &str = "admins = [\"somebody@example.org\"], or an alias";

/// Looks at all of them.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    // What cannot be read at all is told with the configuration.
    let read = (
        config.read_aliases(),
        config.read_tables(),
        config.read_transport(),
    );
    let (Ok((aliases, problems)), Ok((files, more)), Ok((transport, _))) = read else {
        return;
    };
    let router = setup::router(config, &aliases, &transport, &files);
    let problems = [problems, lead_nowhere(config, aliases.table(), &router)].concat();
    self::aliases(config, aliases.table(), problems, findings);
    logins(config, findings);
    let tables = files.tables().collect();
    lookups(config, &tables, &more, findings);
    virtual_aliases(config, &tables, &router, findings);
    virtual_domains(config, &tables, &router, findings);
    admins(config, &router, findings);
    for name in router.unnamed() {
        findings.warn(
            name,
            format!("nobody is named for {name}: its mail is kept on hold (RFC 5321 §4.5.1)"),
            PERSON,
        );
    }
    unread(config, &router, findings);
}

/// Mail that has a place where nobody was told to look.
fn unread(config: &Config, router: &Router, findings: &mut Findings) {
    let own = config.state.join("Maildir");
    let local = config.local.as_ref().map(|local| &local.kind);
    let ours = matches!(local, Some(Kind::Maildir(path)) if *path == own);
    // Those who are told of what is wrong get the postmaster's mail, too.
    if !ours || !config.admins.is_empty() {
        return;
    }
    for name in router.without_person() {
        let own = own.display();
        let what = format!(
            "nobody is named for {name}: its mail goes to {own}, where nobody may read it (RFC 5321 §4.5.1)"
        );
        findings.warn(name, what, PERSON);
    }
}

/// Those who are told, and cannot be.
fn admins(config: &Config, router: &Router, findings: &mut Findings) {
    let mut known = HashSet::new();
    for admin in config.admins.iter().chain(&config.limits_notify) {
        if !known.insert(admin.key()) {
            continue;
        }
        let unlisted = router.unlisted(admin);
        let unlisted = unlisted.map(|table| format!("it is not in the {table}"));
        let lost = || router.expand(&admin.clone().into()).err();
        if let Some(why) = unlisted.or_else(|| lost().map(|failure| failure.text)) {
            findings.fail(
                "admins",
                format!("{admin} gets no mail: {why}; nobody is told of what is wrong"),
                "name somebody who exists, or write an alias",
            );
        }
    }
}

fn aliases(config: &Config, table: &Table, mut problems: Vec<Problem>, findings: &mut Findings) {
    problems.extend(unusable(table, true));
    for problem in &problems {
        findings.fail("aliases", problem.to_string(), "correct the line");
    }
    let run = transports::programs(config, table, findings);
    if problems.is_empty() && run {
        let names = table.all().count();
        findings.ok("aliases", format!("{names} names"));
    }
}

/// Targets that nobody has: their mail would be returned to its sender.
fn lead_nowhere(config: &Config, table: &Table, router: &Router) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, entry) in table.all() {
        let out = left_out(router, &name, &config.hostname);
        let addresses = entry.targets.iter().filter_map(|target| match target {
            Named::Mailbox(to) | Named::Final(to) => match to {
                Mailbox::Address(address) => Some(address.clone()),
                Mailbox::Local(name) => Address::new(name.as_str(), &config.hostname).ok(),
            },
            _ => None,
        });
        for nobody in addresses.filter(|address| router.is_returned(address)) {
            problems.push(Problem {
                path: entry.path.to_path_buf(),
                line: entry.line,
                text: format!(
                    "{}: nobody has the address {nobody}: {}",
                    name.escape_debug(),
                    if out.contains(&nobody) {
                        LEFT_OUT
                    } else {
                        "its mail cannot be delivered"
                    }
                ),
                fault: true,
            });
        }
    }
    problems
}

/// Whom an alias names beside others, and nobody is.
fn left_out(router: &Router, name: &str, host: &Domain) -> Vec<Address> {
    let alias = Address::new(name, host).ok();
    let all = alias.and_then(|alias| router.expand(&alias.into()).ok());
    router.leave_out(&mut all.unwrap_or_default())
}

/// Who may log in.
fn logins(config: &Config, findings: &mut Findings) {
    let (Some(file), Ok((users, problems))) = (&config.auth, config.read_users()) else {
        return;
    };
    tell("logins", &problems, findings);
    let count = users.verifiers().map_or(0, |all| all.len());
    if count == 0 {
        let text = format!("{}: nobody can log in", file.display());
        if users.are_known() {
            // It says so itself.
            return findings.ok("logins", text);
        }
        let kept = setup::Setup::kept_logins(config);
        if kept > 0 {
            let text = format!(
                "{} names nobody, and says so by no line `{EMPTY}`: the logins that were \
                 read before ({kept}) stay in force",
                file.display()
            );
            let remedy =
                format!("write it again; if nobody is to log in, write the line `{EMPTY}`");
            return findings.warn("logins", text, &remedy);
        }
        findings.warn(
            "logins",
            format!("{text}, and clients are told to come again"),
            "smarthost passwd NAME, or the line `# empty` in it",
        );
    } else if problems.is_empty() {
        findings.ok("logins", format!("{}: {count}", file.display()));
    }
}

fn tell(what: &'static str, problems: &[Problem], findings: &mut Findings) {
    for problem in told::bounded(problems) {
        if problem.fault {
            findings.fail(what, problem.to_string(), "correct the line");
        } else {
            findings.warn(what, problem.to_string(), "correct it");
        }
    }
}

fn lookups(config: &Config, tables: &Tables, problems: &[Problem], findings: &mut Findings) {
    tell("tables", problems, findings);
    for (key, name) in config.named_tables() {
        let entries = tables.get(name).entries().count();
        findings.ok("tables", format!("{key}: {name}, {entries} entries"));
    }
}

/// Entries that lead nowhere, or in circles.
fn virtual_aliases(config: &Config, tables: &Tables, router: &Router, findings: &mut Findings) {
    for name in &config.virtual_aliases {
        let table = tables.get(name);
        for (key, _, line) in table.entries() {
            let Some(address) = example(key) else {
                continue;
            };
            let mut tell = |what: String, remedy| {
                let text = format!("{}: {}: {what}", table.place(line), key.escape_debug());
                findings.fail("virtual", text, remedy);
            };
            if let Some(domain) = key.strip_prefix("*@") {
                let text = format!("{}: {}: {NO_STAR}", table.place(line), key.escape_debug());
                findings.warn("virtual", text, &format!("@{domain}"));
                continue;
            }
            if router.unlisted(&address).is_some() {
                tell(
                    "its domain is virtual, so that it must name somebody else".to_owned(),
                    "put the domain into domains.local or domains.relay, or name another address",
                );
                continue;
            }
            match router.expand(&address.clone().into()) {
                Err(failure) => tell(failure.text.clone(), "correct the entry"),
                Ok(all) => {
                    let nobodys = |address: &Address| {
                        router.class(address) == Some(Class::Virtual)
                            && router.unlisted(address).is_some()
                    };
                    // Which names a whole domain has, its entry does not say.
                    let invented = |to: &Recipient| {
                        key.starts_with('@') && to.address.local_name() == SOMEBODY
                    };
                    let others = all.iter().filter(|to| to.address != address);
                    let mut others = others.filter(|to| !invented(to));
                    if let Some(to) = others.clone().find(|to| nobodys(&to.address)) {
                        tell(
                            format!("it leads to {}, which has no entry", to.address),
                            "write an entry for that address",
                        );
                    }
                    let itself = all.iter().find(|to| to.address == address);
                    if itself.is_some() && router.leave_out(&mut all.clone()).contains(&address) {
                        tell(
                            format!("it names itself, and nobody has that address: {LEFT_OUT}"),
                            "take it out of the entry, or put its domain into domains.relay",
                        );
                    }
                    // A route may return it on purpose.
                    let meant = |to: &Recipient| router.refusal(std::slice::from_ref(to)).is_some();
                    let lost = |to: &&Recipient| router.is_returned(&to.address) && !meant(to);
                    if let Some(to) = others.find(lost) {
                        tell(
                            format!("nobody has the address {}: {ADDRESSES_ALONE}", to.address),
                            "name an address that exists, or write an alias",
                        );
                    }
                }
            }
        }
    }
}

/// An address that a key finds; of a whole domain some address.
fn example(key: &str) -> Option<Address> {
    let somebody = key.starts_with('@').then(|| format!("{SOMEBODY}{key}"));
    Address::parse(somebody.as_deref().unwrap_or(key)).ok()
}

/// The pattern that leads somebody in a domain to himself.
fn maps_to_itself(
    router: &Router,
    tables: &[Arc<LookupTable>],
    domain: &Domain,
) -> Option<(Place, String)> {
    let somebody = Address::new(SOMEBODY, domain).ok()?;
    router.unlisted(&somebody)?;
    let (steps, _) = router.way(&somebody);
    let (place, _) = steps.first()?.entries.first()?;
    // An entry with a key was told with its line.
    tables.iter().find_map(|table| {
        let mut entries = table.entries();
        let found = entries.find(|(key, _, line)| key.is_empty() && table.place(*line) == *place);
        found.map(|(_, value, _)| (place.clone(), value.to_owned()))
    })
}

/// Virtual domains without an entry.
fn virtual_domains(config: &Config, tables: &Tables, router: &Router, findings: &mut Findings) {
    let tables: Vec<Arc<LookupTable>> = config
        .virtual_aliases
        .iter()
        .map(|name| tables.get(name))
        .collect();
    for domain in &config.domains.virtual_aliases {
        let in_it = |(key, _, _): (&str, &str, u32)| {
            // A pattern may be meant for it.
            key.is_empty() || example(key).is_some_and(|address| domain.covers(address.domain()))
        };
        if !tables.iter().any(|table| table.entries().any(in_it)) {
            findings.fail(
                "virtual",
                format!("{domain} is a virtual domain, and no table of `virtual` has an entry for it: all its mail is refused"),
                "virtual = [\"virtual\"], with lines such as `@example.com @example.org`",
            );
            continue;
        }
        let DomainPattern::Exactly(domain) = domain else {
            continue;
        };
        if let Some((place, value)) = maps_to_itself(router, &tables, domain) {
            findings.fail(
                "virtual",
                format!("{place}: `{value}` leads every address of {domain} to itself, and the domain is virtual: all its mail is refused"),
                "put the domain into domains.local or domains.relay, or name other addresses",
            );
        }
        let postmaster = Address::new("postmaster", domain);
        if postmaster.is_ok_and(|address| router.our_postmaster(&address).is_some()) {
            findings.warn(
                "virtual",
                format!("postmaster@{domain} has no entry: its mail goes to the postmaster of this machine (RFC 5321 §4.5.1)"),
                "an entry for it in a table of `virtual`",
            );
        }
    }
}
