//! Policies of MTA-STS: asked of DNS, fetched over HTTPS, remembered in memory and in files.
//!
//! Contract: what is known binds until it ends, over restarts; one fetch of a domain at a time,
//! [`AT_ONCE`] of all, each for
//! [`PATIENCE`] at most. What is remembered is bounded: the policy fetched longest ago goes first.
//! Failures: a policy that cannot be fetched is told in the log; the one that is known stays.
//! Without one mail goes as if there were none (RFC 8461 §3.3, §5).

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{
    address::Domain,
    clock::{self, Timestamp},
};
use relay::{
    delivery::{Host, Place},
    tls::{Name, Named, Trust},
};
use system::{
    fs,
    log::{self, Level},
    read,
};
use tokio::{sync::Semaphore, time};

use super::{Trusts, https};
use crate::{
    dns::{exchange, mx::Resolver},
    mta_sts::{Announced, Known, record, wanted},
};

/// Fetches under way.
const AT_ONCE: usize = 20;
/// How long one may take, all in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Domains that are remembered.
const MOST: usize = 10_000;
/// Largest file, bytes.
const FILE: u64 = 128 * 1024;

/// Of all domains.
pub(crate) struct MtaSts {
    directory: PathBuf,
    /// Whether files are written.
    keeps: bool,
    domains: Mutex<Option<HashMap<String, Entry>>>,
    places: Semaphore,
}

/// Of one domain.
#[derive(Clone, Default)]
struct Entry {
    known: Option<Known>,
    /// When it could not be fetched.
    failed: Option<Timestamp>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for MtaSts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MtaSts")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl MtaSts {
    /// Those in a state directory, which are read when the first one is asked for. `keeps`: what is
    /// fetched is written there.
    pub(crate) fn new(state: &Path, keeps: bool) -> Self {
        Self {
            directory: state.join("mta-sts"),
            keeps,
            domains: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// The policy of a domain that binds now, looked for in DNS and fetched if it is time.
    pub(crate) async fn of(
        &self,
        domain: &str,
        resolver: &Resolver,
        trusts: &Trusts,
    ) -> Option<Known> {
        let name = Domain::name(domain).ok()?.to_string();
        let texts = resolver.texts(&format!("_mta-sts.{name}")).await;
        let announced = texts
            .ok()
            .and_then(|texts| record::id(&texts).map(str::to_owned));
        let announced = announced.map_or(Announced::Nothing, Announced::Id);
        let wants = |entry: &Entry| {
            wanted(entry.known.as_ref(), &announced, entry.failed, clock::now()).map(str::to_owned)
        };
        if wants(&self.entry(&name)).is_some() {
            let turn = self.change(&name, |entry| Arc::clone(&entry.turn));
            // Whoever waited for another one's fetch looks again.
            let _turn = turn.lock().await;
            if let Some(id) = wants(&self.entry(&name)) {
                self.renew(&name, &id, resolver, trusts).await;
            }
        }
        let known = self.entry(&name).known;
        known.filter(|known| known.binds(clock::now()))
    }

    /// Fetches what would end otherwise, of domains that nobody writes to at the moment.
    pub(crate) async fn refresh(&self, resolver: &Resolver, trusts: &Trusts) {
        let now = clock::now();
        let old = |entry: &Entry| entry.known.as_ref().is_some_and(|known| known.is_old(now));
        let due: Vec<String> = {
            let domains = self.domains();
            let all = domains.iter().flatten().filter(|(_, entry)| old(entry));
            all.map(|(domain, _)| domain.clone()).collect()
        };
        for domain in due {
            if self.of(&domain, resolver, trusts).await.is_none() {
                self.forget(&domain);
            }
        }
    }

    async fn renew(&self, domain: &str, id: &str, resolver: &Resolver, trusts: &Trusts) {
        let fetched = time::timeout(PATIENCE, self.fetch(domain, resolver, trusts)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let now = clock::now();
        match fetched.and_then(|text| Known::new(id, &text, now)) {
            Ok(known) => self.remember(domain, known),
            Err(why) => {
                let text = format_args!("the MTA-STS policy {id} of {domain} cannot be had: {why}");
                log::line(Level::Warning, &text);
                self.change(domain, |entry| entry.failed = Some(now));
            }
        }
    }

    async fn fetch(
        &self,
        domain: &str,
        resolver: &Resolver,
        trusts: &Trusts,
    ) -> Result<String, String> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let host = Host::named(format!("mta-sts.{domain}"), 443);
        let trust = Trust::Named(Named {
            roots: trusts.roots(),
            names: vec![Name::Exactly(host.name.clone())],
            by: "authority",
        });
        let tls = trusts.of(trust).map_err(|failure| failure.text)?;
        let found = exchange::places(resolver, &host, "").await;
        let found = found.map_err(|failure| failure.text)?;
        let addresses = found.into_iter().filter_map(|(place, _)| match place {
            Place::Tcp(address) => Some(address),
            Place::Unix(_) => None,
        });
        let addresses: Vec<_> = addresses.collect();
        https::text(
            &host.name,
            &addresses,
            "/.well-known/mta-sts.txt",
            &tls.config,
        )
        .await
    }

    fn remember(&self, domain: &str, known: Known) {
        if self.keeps {
            let file = self.file(domain);
            let written = fs::create_directory(&self.directory, 0o700)
                .and_then(|()| fs::replace(&file, known.to_file().as_bytes(), 0o600));
            if let Err(error) = written {
                let text = format_args!("{}: {error}", file.display());
                log::line(Level::Warning, &text);
            }
        }
        self.change(domain, |entry| {
            (entry.known, entry.failed) = (Some(known), None);
        });
    }

    /// Changes what is known of a domain; where too many are, the one fetched longest ago is
    /// forgotten.
    fn change<T>(&self, domain: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut domains = self.domains();
        let all = domains.get_or_insert_default();
        let changed = change(all.entry(domain.to_owned()).or_default());
        let since = |entry: &Entry| entry.known.as_ref().map(|known| known.fetched);
        let others = all.iter().filter(|(other, _)| *other != domain);
        let oldest = others.min_by_key(|(_, entry)| since(entry));
        let oldest = oldest.map(|(domain, _)| domain.clone());
        let oldest = oldest.filter(|_| all.len() > MOST);
        drop(domains);
        if let Some(oldest) = oldest {
            self.forget(&oldest);
        }
        changed
    }

    fn forget(&self, domain: &str) {
        self.domains().get_or_insert_default().remove(domain);
        if self.keeps {
            // It is only a copy, of what has ended.
            let _ = std::fs::remove_file(self.file(domain));
        }
    }

    fn file(&self, domain: &str) -> PathBuf {
        self.directory.join(domain)
    }

    /// What is known of a domain.
    fn entry(&self, domain: &str) -> Entry {
        let domains = self.domains();
        let entry = domains.as_ref().and_then(|all| all.get(domain));
        entry.cloned().unwrap_or_default()
    }

    /// All, read from the files if they were not yet.
    fn domains(&self) -> MutexGuard<'_, Option<HashMap<String, Entry>>> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.get_or_insert_with(|| self.kept());
        domains
    }

    fn kept(&self) -> HashMap<String, Entry> {
        let files = std::fs::read_dir(&self.directory);
        let files = files.into_iter().flatten().flatten().take(MOST);
        let read = |file: std::fs::DirEntry| {
            let domain = file.file_name().into_string().ok()?;
            let known = Known::of_file(&read::text(&file.path(), FILE).ok()?)?;
            let entry = Entry {
                known: Some(known),
                ..Entry::default()
            };
            Some((domain, entry))
        };
        files.filter_map(read).collect()
    }
}
