//! `smarthost check`: everything that the daemon would load, as its own user sees it, and what it
//! needs of the world.
//!
//! Contract: sends no mail, changes nothing. As root it becomes the user that the state directory
//! belongs to, since root can read what the daemon cannot. Exit status: 0 works (what wants
//! attention is told), 1 something does not work, 78 the configuration is wrong.

use std::{path::Path, process::ExitCode};

use ::tables::secret;
use console::room;
use control::{
    findings::{Findings, Level},
    status::Status,
};
use mail::{
    address::{Address, Domain, DomainPattern},
    limits::MINIMUM_FREE,
};
use settings::{ConfigError, form::small_messages, layers};
use system::{sysexits::Exit, terminal::say, within};

use super::{
    eyes::{self, Stranger},
    failed::Failed,
    next_hops,
    reach::{self, waiting},
    readable,
    running::{self, SEE_RESOLVER},
    tables, transports,
};
use crate::{
    config::{Config, RelayAuth},
    dns::{
        Dnssec,
        mx::{self, Resolver},
    },
    setup::Setup,
};

/// Looks at everything, and says it.
pub(super) fn run(path: &Path, json: bool) -> Result<ExitCode, Failed> {
    let mut findings = Findings::default();
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            let mut text = error.text;
            if let Some(told) = running::status(path).and_then(|status| status.fault) {
                let consequence = told.split(':').next().unwrap_or_default();
                text = format!("{text}\nthe daemon runs: {consequence}");
            }
            if json {
                findings.fail("configuration", &text, "correct the file");
                say(findings.json());
            }
            return Err(Failed {
                text,
                exit: Exit::Config.into(),
            });
        }
    };
    eyes::as_the_daemon(&config)?;
    let wrong = check(path, &config, &mut findings);
    let works = findings.level() < Level::Critical;
    if json {
        say(findings.json());
    } else {
        if works {
            say(format_args!("{} is right", path.display()));
        }
        say(findings.table());
    }
    Ok(match (works, wrong) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => Exit::Config.into(),
        (false, false) => ExitCode::FAILURE,
    })
}

/// Looks at everything that this configuration would load and need; gives whether it is itself
/// wrong, or what it names, other than by what this user may not read.
pub(super) fn check(path: &Path, config: &Config, findings: &mut Findings) -> bool {
    let stranger = Stranger::of(config);
    if let Some(stranger) = stranger {
        stranger.tell(findings);
    }
    let status = running::check(path, config, findings);
    let fault = Setup::wrong(config, None);
    if fault.is_none() {
        findings.ok("configuration", path.display().to_string());
        super::pin::check(config, status.as_ref(), findings);
    }
    let mut wrong = false;
    for fault in fault.iter().flat_map(ConfigError::each) {
        let remedy = readable::remedy(fault, config, stranger.is_some());
        wrong |= remedy.is_none() && !readable::is_silent(fault);
        let remedy = remedy.as_deref().unwrap_or("correct it");
        findings.fail("configuration", fault, remedy);
    }
    let small = small_messages(config.message_size);
    if let Some((what, remedy)) = small.as_ref().and_then(|it| it.split_once(": ")) {
        findings.warn("message_size", what, remedy);
    }
    for (key, limit, other) in config.limits.never_reached() {
        let what = format!("{key}: \"{limit}\" is never reached: \"{other}\" lets no more through");
        findings.warn("limits", what, "leave one of them out");
    }
    tables::check(config, findings);
    if stranger.is_none() {
        super::enrolled::check(config, findings);
    }
    password(config, findings);
    keys(config, findings);
    pins(config, findings);
    if path == Path::new(Config::PATH) {
        sandbox(config, findings);
    }
    super::surroundings::check(config, status.is_some(), findings);
    if stranger.is_none() {
        transports::maildir(config, findings);
        super::sockets::check(path, config, findings);
    }
    let read = config.read_transport().ok();
    let routed = transports::routed(config, &read);
    transports::sockets(config, &routed, findings);
    let installed = path == Path::new(Config::PATH);
    transports::all(config, &read, (installed, stranger.is_none()), findings);
    directories(config, stranger.is_none(), findings);
    // On a disk that hangs, this would.
    if !status.as_ref().is_some_and(|status| status.spool.hangs) {
        room::flush(&config.spool, findings);
    }
    let alarms = status.as_ref().map_or(&[][..], |status| &status.alarms);
    let left = spool::left(&config.notes_of_spools(path), &config.spool);
    room::left(left, &config.spool, alarms, findings);
    // A key that cannot be read is told with the configuration.
    if let Ok(signer) = config.read_dkim() {
        super::dkim::published(config, &signer.0, findings);
    }
    reach::relayhost(config, findings);
    next_hops::check(config, &routed, findings);
    resolver(config, findings);
    dnssec(config, findings);
    budget(config, status.as_ref(), findings);
    super::policy::restrictions(config, findings);
    super::lists::check(config, findings);
    domains(config, findings);
    if let Some(status) = &status {
        running::services(status, findings);
    }
    if config.limits.per_client.is_empty() {
        findings.warn(
            "limits",
            "limits.per_client is not set: a client in networks may send any number of messages",
            "limits = { per_client = [\"100/day\"] }",
        );
    }
    wrong
}

/// The same of a configuration of another machine: what holds of it wherever the daemon runs.
pub(super) fn elsewhere(path: &Path, config: &Config, findings: &mut Findings) {
    findings.ok("configuration", path.display().to_string());
    pins(config, findings);
    reach::relayhost(config, findings);
    super::policy::restrictions(config, findings);
}

/// Without it no mail finds its way by MX, and rules that ask DNS let nothing through.
fn resolver(config: &Config, findings: &mut Findings) {
    let everywhere = config.routes.iter().any(|(key, _)| key == "*");
    let by_mx = config.relayhost.is_empty() && !everywhere;
    let mut rules = config.restrictions.iter();
    let asking = rules.find(|rule| rule.list().is_some() || rule.is_score() || rule.needs_dns());
    if !by_mx && asking.is_none() {
        return;
    }
    let domain = config.admins.first().map(Address::domain);
    let domain = domain.unwrap_or(&config.hostname);
    let (Ok(mx::Answer::Failed(why)) | Err(why)) = exchangers(config, domain.as_str()) else {
        return findings.ok("resolver", "answers");
    };
    findings.fail(
        "resolver",
        format!("asked for the MX of {domain}: {why}"),
        &asking.filter(|_| !by_mx).map_or_else(
            || format!("mail waits in the queue until a name server answers: {SEE_RESOLVER}"),
            |rule| {
                // Its other words may be a key of a block list.
                let rule = rule.to_string();
                let name = rule.split(' ').next().unwrap_or_default();
                format!(
                    "restrictions ask it ({name}), and clients come again until it answers: {SEE_RESOLVER}"
                )
            },
        ),
    );
}

/// What the unit that we ship hides from the daemon, though its user could read it.
fn sandbox(config: &Config, findings: &mut Findings) {
    for (key, hidden) in layers::hidden(config.layers()) {
        let error = config.wrong(&key, &format!("the daemon cannot see {hidden}"));
        findings.warn("sandbox", error.text, layers::HIDDEN);
    }
}

/// Without it each smarthost decides alone. Where the store answers, the daemon knows better.
fn budget(config: &Config, status: Option<&Status>, findings: &mut Findings) {
    let Some(budget) = &config.budget else {
        return;
    };
    let fails = |status: &Status| {
        status
            .services
            .iter()
            .any(|it| it.kind == "budget" && !it.works)
    };
    let fails = status.is_some_and(fails);
    let looked = waiting(crate::budget::look(budget));
    match looked.unwrap_or_else(|_| Err("does not answer".to_owned())) {
        Ok(()) if fails => {}
        Ok(()) => findings.ok("budget", format!("{} answers", budget.store)),
        Err(why) => findings.fail(
            "budget",
            format!("the store {} {why}", budget.store),
            "see budget.store, budget.pins and budget.password_file, and whether it runs",
        ),
    }
}

/// Without it DANE protects nothing.
fn dnssec(config: &Config, findings: &mut Findings) {
    if !config.tls_out.level.is_dane() {
        return;
    }
    let tested = Resolver::new(config.resolver);
    match waiting(tested.test()) {
        Ok(works @ Dnssec::Works) => findings.ok("dnssec", works.to_string()),
        Ok(missing) => findings.fail(
            "dnssec",
            missing.to_string(),
            "install unbound, and set resolver = \"127.0.0.1\"",
        ),
        Err(why) => findings.fail("dnssec", why, "can the name server be reached?"),
    }
}

fn password(config: &Config, findings: &mut Findings) {
    let Some(RelayAuth {
        password_file: Some(file),
        user,
        ..
    }) = &config.relay_auth
    else {
        return;
    };
    match system::secret::password(file) {
        Ok(_) => findings.ok("password", format!("of {user}, in {}", file.display())),
        Err(why) => {
            let error = config.wrong("relay_auth.password_file", &why);
            let place = config.password_file().map(|(_, place)| place);
            let kept = place.is_some_and(|place| secret::is_kept(file, &place));
            findings.fail("password", error.text, secret::consequence(kept));
        }
    }
}

/// Keys of ours that everybody on this machine may read. Others that are secret are not used then.
fn keys(config: &Config, findings: &mut Findings) {
    let shown = config.relay_tls.identity.iter().map(|(_, key)| key);
    for key in [&config.tls.key].into_iter().chain(shown) {
        if let Some((what, remedy)) = system::secret::exposed(key) {
            findings.warn("key", what, &remedy);
        }
    }
}

fn pins(config: &Config, findings: &mut Findings) {
    for pin in config.relay_tls.pins.iter().filter(|pin| pin.is_weak()) {
        findings.warn(
            "pins",
            format!("{pin} is a SHA-1 pin"),
            "replace it with the sha256 pin that `smarthost pin` prints on the relayhost",
        );
    }
}

/// `judged`: who looks sees them as the daemon does.
fn directories(config: &Config, judged: bool, findings: &mut Findings) {
    let spool = &config.spool;
    if let Some(lies) = within::found(spool, spool::quarantined) {
        let remedy = "the log says what they are; look at them, then move them away";
        findings.warn("spool", lies, remedy);
    }
    if let Some(lies) = within::found(&config.state, crate::state::damaged) {
        findings.warn("state", lies, "the log says when");
    }
    // The daemon knows better than who only looks.
    let fails = findings.0.iter().any(|it| it.subject == "counters");
    for (subject, path) in [("spool", spool), ("state", &config.state)] {
        if subject == "spool" || !fails {
            room::look(subject, path, (MINIMUM_FREE, judged), findings);
        }
    }
}

/// As the daemon asks.
fn exchangers(config: &Config, domain: &str) -> Result<mx::Answer, String> {
    let resolver = Resolver::new(config.resolver);
    waiting(resolver.mx(domain))
}

/// Whether the world brings the mail of the domains that we take it for, here or at all.
fn domains(config: &Config, findings: &mut Findings) {
    let exactly = |pattern: &DomainPattern| match pattern {
        DomainPattern::Exactly(domain) => Some(domain.clone()),
        DomainPattern::Below(_) => None,
    };
    let lists = &config.domains;
    let written = lists
        .local
        .iter()
        .chain(&lists.virtual_aliases)
        .filter_map(exactly);
    let own = |domain: &Domain| *domain != config.hostname && *domain != Domain::localhost();
    for domain in written.filter(own) {
        let hosts = match exchangers(config, domain.as_str()) {
            Ok(mx::Answer::Found(all)) => all,
            Ok(mx::Answer::NoMx) => {
                without_mx(config, &domain, findings);
                continue;
            }
            Ok(mx::Answer::NoDomain | mx::Answer::NullMx) => {
                no_mail(&domain, findings);
                continue;
            }
            Ok(mx::Answer::Failed(why)) | Err(why) => {
                findings.warn(
                    "domains",
                    format!("{domain}: MX: {why}"),
                    "can the name server be reached?",
                );
                continue;
            }
        };
        let names: Vec<_> = hosts.iter().map(|mx| mx.host.clone()).collect();
        let ours = names
            .iter()
            .any(|name| Domain::name(name).is_ok_and(|name| name == config.hostname));
        if ours {
            findings.ok("domains", format!("{domain}: its MX is this machine"));
        } else {
            findings.warn(
                "domains",
                format!(
                    "{domain}: its MX leads to {}, not to {}",
                    names.join(", "),
                    config.hostname
                ),
                "is hostname the name in the MX record?",
            );
        }
    }
}

fn no_mail(domain: &Domain, findings: &mut Findings) {
    let text = format!("{domain}: DNS says that it accepts no mail");
    findings.warn("domains", text, "an MX record");
}

/// RFC 5321 §5.1: its own addresses stand for an MX that it does not have.
fn without_mx(config: &Config, domain: &Domain, findings: &mut Findings) {
    let resolver = Resolver::new(config.resolver);
    let host = &config.hostname;
    let asked = async { tokio::join!(resolver.addresses_of(domain), resolver.addresses_of(host)) };
    let (its, ours) = match waiting(asked) {
        Ok((Ok(its), ours)) => (its, ours.unwrap_or_default()),
        Ok((Err(why), _)) | Err(why) => {
            let text = format!("{domain}: its addresses: {why}");
            return findings.warn("domains", text, "can the name server be reached?");
        }
    };
    let Some(first) = its.first() else {
        return no_mail(domain, findings);
    };
    if its.iter().any(|address| ours.contains(address)) {
        let text = format!("{domain}: it has no MX, and its address is that of this machine");
        return findings.ok("domains", text);
    }
    let text = format!("{domain}: it has no MX, and its address, {first}, is none of {host}");
    let remedy = format!("an MX record that names {host}, or is hostname another one?");
    findings.warn("domains", text, &remedy);
}
