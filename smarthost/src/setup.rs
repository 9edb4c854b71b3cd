//! What is in force: configuration, tables and keys, loaded together and exchanged as a whole.
//!
//! Contract: a transaction or delivery that has begun keeps the setup it began with, and the next
//! one of the same session takes that in force; a reload that fails leaves the old one. Tables and
//! the certificate are looked at beside all that, and nobody waits for it: what is in force stays
//! until the new is there. TLS sessions in both directions survive a reload that changes nothing of
//! what they depend on (row B7).
//! A start never fails for what stands in the files: the last good configuration is used, or else
//! mail is queued and not sent.
//! Failures: texts with file, line and remedy, for the administrator.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use mail::{clock, maps::Problem};
use relay::{
    tls::{self, ClientTls, Trust},
    trust::PeerKey,
};
use settings::{ConfigError, last_good};
use smtp::sasl::Logins;
use system::{log, secret};
use tables::{
    secret::{consequence, is_kept},
    told,
};

use crate::{
    config::{Config, ListenTls},
    dkim::Signer,
    dns::mx::Resolver,
    enrolling::{self, Enrolled},
    link::{MtaSts, Trusts},
    policy::{Policy, Sources},
    route::Router,
    srs::{Srs, Tokens},
    tls_policy::Policies,
};

mod current;
mod follow;
mod identity;
mod kept;
mod known;
mod places;
mod read;
mod start;
mod tickets;
mod wrong;

pub(crate) use current::Current;
pub(crate) use identity::Identity;
use known::Shared;
use places::Held;
use read::Tables;
pub(crate) use read::router;
pub(crate) use tickets::Tickets;

/// All that a reload exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) router: Router,
    /// Towards the relayhost: one TLS configuration for it and its pins.
    pub(crate) relay_tls: ClientTls,
    /// Towards everybody else.
    pub(crate) trusts: Arc<Trusts>,
    /// What their hosts must show.
    pub(crate) tls_policies: Policies,
    /// What they themselves want to be kept to.
    pub(crate) mta_sts: Arc<MtaSts>,
    /// What signs mail.
    pub(crate) signer: Arc<Signer>,
    /// What rewrites senders, if anything does.
    pub(crate) srs: Option<Arc<Srs>>,
    /// For whom its tokens stand.
    pub(crate) tokens: Arc<Mutex<Tokens>>,
    /// Whom names are asked of.
    pub(crate) resolver: Arc<Resolver>,
    sources: Arc<Sources>,
    /// Who may log in; `None`: nobody.
    pub(crate) logins: Option<Arc<Logins>>,
    /// Machines that are known by keys of their own.
    pub(crate) enrolled: Arc<Enrolled>,
    /// For the listeners; `None` if none offers TLS.
    pub(crate) identity: Option<Identity>,
    /// Keys of the session tickets that it gives.
    pub(crate) tickets: Arc<Tickets>,
    /// What is wrong in lines of the alias tables.
    problems: Vec<Problem>,
    /// It is not what the files say: copies are used in their place, or what could be saved of
    /// them.
    stands_in: bool,
    tables: Arc<Shared>,
}

impl Setup {
    /// Its `state`, unless that only stands in for one that is not known: then it is given up for
    /// the one that a mended file names.
    fn chosen_state(&self, path: &Path) -> Option<&Path> {
        let state = self.config.state.as_path();
        let stands_in = self.stands_in && state == Config::refuge_of_state(path);
        (!stands_in).then_some(state)
    }

    /// Loads everything that the files name, and keeps a copy of them; `before` lends its session
    /// tickets. `held`: addresses that are listened on, or were handed over.
    pub(crate) fn load(path: &Path, before: Option<&Self>, held: Held<'_>) -> anyhow::Result<Self> {
        let mut layers = Config::files(path)?;
        if let Some(before) = before {
            layers = last_good::present(&before.config.state, path, layers)?;
        }
        let config = Config::of_files(&layers)?;
        let in_force = before.and_then(|before| before.chosen_state(path));
        let placed = places::take(&config, held, in_force, before.is_some()).map_err(Into::into);
        let setup = match placed.and_then(|()| Self::taken(config.clone(), before)) {
            Ok(setup) => setup,
            // All that is wrong is told at once.
            Err(error) => {
                let text = format!("{error:#}");
                let others = Self::wrong(&config, before);
                return Err(match others {
                    Some(all) if all.text.contains(&text) => all.into(),
                    Some(others) => ConfigError::together([ConfigError { text }, others])
                        .map_or(error, Into::into),
                    None => error,
                });
            }
        };
        Self::keep_copies(&setup.config);
        let keep = |tables: &mut Tables| Self::keep_lists(&mut tables.aliases);
        setup.tables.read(keep);
        setup.remember(path, &layers);
        tell(&setup.problems);
        Ok(setup)
    }

    /// Of a configuration all of whose files can be used.
    fn taken(config: Config, before: Option<&Self>) -> anyhow::Result<Self> {
        Self::examine_present(&config)?;
        let before_whole = before.filter(|before| !before.stands_in);
        if before_whole.is_none()
            && let Some((_, why)) = Self::broken(&config).into_iter().next()
        {
            anyhow::bail!(why);
        }
        let setup = Self::of(config, before)?;
        if let Some(before) = before_whole {
            setup.follows(before)?;
            has_password(&setup.config)?;
        }
        Ok(setup)
    }

    /// The same as [`Setup::load`] for who only looks: makes no key, keeps no copy, and has no
    /// identity. What is wrong in lines of tables goes with it.
    pub(crate) fn look(config: Config) -> anyhow::Result<(Self, Vec<Problem>)> {
        let setup = Self::anonymous(config, None)?.for_a_look();
        let problems = setup.problems.clone();
        Ok((setup, problems))
    }

    /// The same, by which nothing is remembered.
    pub(crate) fn for_a_look(&self) -> Self {
        Self {
            mta_sts: Arc::new(MtaSts::new(&self.config.state, false)),
            identity: None,
            ..self.clone()
        }
    }

    /// TLS towards the relayhost.
    pub(crate) fn of_relay(config: &Config) -> Result<ClientTls, ConfigError> {
        let trust = if config.relay_tls.pins.is_empty() {
            Trust::Opportunistic
        } else {
            Trust::Pins(config.relay_tls.pins.clone())
        };
        let shown = config.relay_tls.identity.as_ref();
        let shown = shown.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let tls = ClientTls::with_identity(&trust, shown);
        tls.map_err(|error| config.wrong("relay_tls.certificate", &error.to_string()))
    }

    /// TLS towards all others.
    fn of_world(config: &Config) -> Result<Trusts, ConfigError> {
        let trusts = Trusts::new(config.tls_out.ca_file.as_deref());
        trusts.map_err(|error| config.wrong("tls_out.ca_file", &error.to_string()))
    }

    fn of(config: Config, before: Option<&Self>) -> anyhow::Result<Self> {
        Self::make_secret(&config)?;
        let anonymous = Self::anonymous(config, before)?;
        let config = &anonymous.config;
        let identity = if offers_tls(config) {
            let loaded = Identity::load(config, &anonymous.tickets, clock::now());
            Some(loaded.map_err(|error| config.wrong("tls", &format!("{error:#}")))?)
        } else {
            None
        };
        Ok(Self {
            identity,
            ..anonymous
        })
    }

    /// All but who we are.
    fn anonymous(config: Config, before: Option<&Self>) -> anyhow::Result<Self> {
        let (tables, problems) = Tables::read(&config)?;
        let tokens = before.map_or_else(Arc::default, |it| Arc::clone(&it.tokens));
        let srs = config.read_srs()?;
        let srs = srs.map(|srs| Arc::new(srs.remembering(Arc::clone(&tokens))));
        let router = tables.router(&config).returning(srs.clone());
        let relay_tls = Self::of_relay(&config)?.or_same(before.map(|it| &it.relay_tls));
        let trusts = Self::of_world(&config)?.or_same(before.map(|it| &it.trusts));
        let sources = tables.sources(config.read_keys()?);
        let signer = Arc::new(config.read_dkim()?);
        let same = before.filter(|setup| setup.config.resolver == config.resolver);
        let resolver = same.map_or_else(
            || Arc::new(Resolver::new(config.resolver)),
            |setup| Arc::clone(&setup.resolver),
        );
        let same = before.filter(|setup| setup.config.state == config.state);
        let mta_sts = same.map_or_else(
            || Arc::new(MtaSts::new(&config.state, true)),
            |setup| Arc::clone(&setup.mta_sts),
        );
        let enrolled = same.map_or_else(
            || Arc::new(Enrolled::open(&config.state)),
            |setup| Arc::clone(&setup.enrolled),
        );
        Ok(Self {
            policy: Policy::new(&config, router.clone(), Arc::clone(&sources)),
            router,
            resolver,
            signer,
            srs,
            tokens,
            sources,
            logins: tables.logins(&config),
            tls_policies: tables.tls_policies(),
            mta_sts,
            enrolled,
            tables: Arc::new(Shared::new(tables)),
            relay_tls,
            trusts,
            identity: None,
            tickets: before.map_or_else(
                || Arc::new(Tickets::new(&config.state)),
                |setup| Arc::clone(&setup.tickets),
            ),
            problems,
            stands_in: false,
            config,
        })
    }
}

/// Whether the listeners' certificate and key can be used, or made.
fn examine_identity(config: &Config) -> Result<(), ConfigError> {
    let files = &config.tls;
    if !offers_tls(config) {
        return Ok(());
    }
    let to_be_made = identity::is_to_be_made(files, &config.hostname, clock::now());
    let to_be_made = to_be_made.map_err(|why| config.wrong("tls", &format!("{why:#}")))?;
    if !to_be_made {
        tls::server_config(&files.certificate, &files.key, config.tls_minimum)
            .map_err(|error| config.wrong("tls", &error.to_string()))?;
    }
    Ok(())
}

/// Whether the relayhost's password can be read; a start goes on without, or with its copy.
fn has_password(config: &Config) -> Result<(), ConfigError> {
    let Some((file, copies)) = config.password_file() else {
        return Ok(());
    };
    let read = secret::password(file).map(drop);
    read.map_err(|why| {
        let meanwhile = consequence(is_kept(file, &copies));
        config.wrong("relay_auth.password_file", &format!("{why}; {meanwhile}"))
    })
}

fn offers_tls(config: &Config) -> bool {
    let mut listeners = config.listen.iter();
    listeners.any(|listener| listener.offer.tls != ListenTls::None)
}

impl Setup {
    /// The same with tables and certificate as they are now, if one of them has changed.
    fn renewed(&self) -> Option<Self> {
        self.tables.read(|tables| self.renewed_by(tables))?
    }

    fn renewed_by(&self, tables: &mut Tables) -> Option<Self> {
        let looked = tables.refresh();
        tell(&looked.problems);
        let is_right = !self.stands_in && looked.problems.iter().all(|problem| !problem.fault);
        let renewed = self
            .identity
            .as_ref()
            .and_then(|identity| identity.renewed(&self.config, &self.tickets, clock::now()));
        let changed = looked.changed || renewed.is_some();
        if changed && is_right {
            Self::keep_copies(&self.config);
        }
        if changed {
            Self::keep_lists(&mut tables.aliases);
        }
        changed.then(|| {
            let router = tables.router(&self.config).returning(self.srs.clone());
            let sources = tables.sources(self.sources.keys.clone());
            Self {
                policy: Policy::new(&self.config, router.clone(), Arc::clone(&sources)),
                logins: tables.logins(&self.config),
                tls_policies: tables.tls_policies(),
                sources,
                router,
                identity: renewed.or_else(|| self.identity.clone()),
                ..self.clone()
            }
        })
    }
}

impl Setup {
    /// As whom a client's key is known.
    pub(crate) fn client_of(&self, key: &PeerKey) -> Option<String> {
        let named = self.config.client_of(key);
        self.enrolled.client_of(&key.pin(), named)
    }
}

/// As whom else machines that are enrolled are known.
impl Setup {
    pub(crate) fn namesake(&self, name: &str) -> Option<&'static str> {
        enrolling::namesake(
            name,
            |name| self.is_login(name),
            &self.config.pinned_names(),
        )
    }

    /// What a status is to warn of.
    pub(crate) fn namesakes(&self) -> Vec<String> {
        self.enrolled
            .namesakes(&self.config, |name| self.is_login(name))
    }

    fn is_login(&self, name: &str) -> bool {
        let logins = self.logins.as_ref();
        logins.is_some_and(|logins| logins.knows(name))
    }
}

fn tell(problems: &[Problem]) {
    for problem in told::bounded(problems) {
        log::line(log::Level::Warning, &problem);
    }
}
