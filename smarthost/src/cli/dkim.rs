//! Keys that sign mail: made, and compared with what DNS publishes.
//!
//! Contract: a key is 0600 of the daemon's user from the moment that it has its name, and none is
//! ever replaced.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Error, bail};
use control::findings::{Findings, Level};
use mail::address::Domain;
use settings::rows::quote;

use super::{arguments::Dkim, owner::give};
use crate::{
    config::{Config, DkimKey, Selector},
    dkim::{Key, SigningKey, is_published, written},
    dns::mx::Resolver,
};

/// A name server that is there answers sooner.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest name in DNS as it is written, bytes (RFC 1035 §2.3.4).
const LONGEST: usize = 253;
/// Bits of an RSA key (RFC 8301 §3.2).
const BITS: &str = "rsa_keygen_bits:2048";

pub(super) fn run(path: &Path, asked: &Dkim) -> anyhow::Result<String> {
    let config = Config::load(path)?;
    match asked {
        Dkim::New {
            domain,
            selector,
            algorithm,
        } => new(&config, domain, selector.clone(), algorithm),
        Dkim::Check => {
            let signer = config.read_dkim()?;
            if signer.0.is_empty() {
                bail!("no key is set: smarthost dkim new DOMAIN makes one");
            }
            let mut findings = Findings::default();
            published(&config, &signer.0, &mut findings);
            if findings.level() > Level::Ok {
                bail!("{}", findings.table().trim_end());
            }
            Ok(findings.table())
        }
    }
}

/// Whether DNS has each key.
pub(super) fn published(config: &Config, keys: &[SigningKey], findings: &mut Findings) {
    for key in keys {
        let name = format!("{}._domainkey.{}", key.selector, key.domain);
        let (text, remedy) = match texts(config, &name) {
            Ok(texts) => match is_published(&texts, &key.key) {
                Ok(()) => {
                    findings.ok("dkim", format!("{name}: our key is published"));
                    continue;
                }
                Err(fault) => {
                    let ours = || written(&key.domain, &key.selector, &key.key);
                    (fault.why, fault.remedy.map_or_else(ours, str::to_owned))
                }
            },
            Err(why) => (why, "can the name server be reached?".to_owned()),
        };
        findings.warn("dkim", format!("{name}: {text}"), &remedy);
    }
}

fn texts(config: &Config, name: &str) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let asked = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, Resolver::new(config.resolver).texts(name)).await
    });
    asked.unwrap_or_else(|_| Err("no name server answers".to_owned()))
}

fn new(
    config: &Config,
    domain: &Domain,
    wanted: Option<Selector>,
    algorithm: &str,
) -> anyhow::Result<String> {
    if !domain.is_ascii() {
        bail!("{domain} is not a valid name in DNS");
    }
    let place = place(config, domain, wanted);
    let name = format!("{}._domainkey.{domain}", place.selector.0);
    if name.len() > LONGEST {
        bail!("{name} is too long for a DNS name; use a shorter --selector");
    }
    let path = &place.path;
    let shown = path.display();
    if path.symlink_metadata().is_ok() {
        bail!(
            "{shown} exists already; use another --selector (smarthost dkim check compares it \
             with DNS)"
        );
    }
    let pem = match algorithm {
        "ed25519" => Key::make_ed25519(),
        _ => make_rsa(),
    };
    let pem = pem.map_err(Error::msg)?;
    let key = Key::read(&pem).map_err(Error::msg)?;
    keep(config, path, &pem).with_context(|| format!("cannot write {shown}"))?;
    let selector = &place.selector.0;
    let mut text = format!(
        "# {shown} holds the key. For the zone of {domain}:\n{}\n",
        written(domain, selector, &key)
    );
    if !place.configured {
        let _ = write!(
            text,
            "\n# For config.toml, beside the keys that stand there:\n\
             dkim = [{{ domain = {}, selector = {}, key = {} }}]\n",
            quote(domain),
            quote(selector),
            quote(shown.to_string())
        );
    }
    text.push_str("\n# Once DNS has it: smarthost dkim check, then smarthost reload\n");
    Ok(text)
}

/// Where a key is made.
struct Place {
    selector: Selector,
    path: PathBuf,
    configured: bool,
}

/// Where the settings want it, or else beside the counters.
fn place(config: &Config, domain: &Domain, wanted: Option<Selector>) -> Place {
    let of_domain = config.dkim.iter().filter(|it| it.domain.0 == *domain);
    let known: Vec<&DkimKey> = of_domain.collect();
    let configured = known.iter().find(|entry| match &wanted {
        Some(selector) => entry.selector == *selector,
        None => !system::read::is_there(&entry.key),
    });
    if let Some(entry) = configured {
        return Place {
            selector: entry.selector.clone(),
            path: entry.key.clone(),
            configured: true,
        };
    }
    let path = |selector: &Selector| {
        let file = format!("{domain}.{}.pem", selector.0);
        config.state.join("dkim").join(file)
    };
    let is_free = |selector: &Selector| {
        !known.iter().any(|it| it.selector == *selector) && !system::read::is_there(&path(selector))
    };
    let numbered = (1u32..).map(|number| Selector(format!("s{number}")));
    let selector = wanted.or_else(|| numbered.into_iter().find(is_free));
    let selector = selector.unwrap_or_else(|| Selector("s1".to_owned()));
    Place {
        path: path(&selector),
        selector,
        configured: false,
    }
}

/// As the daemon's user, if root makes it.
fn keep(config: &Config, path: &Path, pem: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = !folder.exists();
    system::fs::create_directory(folder, 0o700)?;
    if made {
        give(folder, &config.state)?;
    }
    // Never over another one, however many make one at once: a link takes no name that is there.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    system::fs::replace(&draft, pem.as_bytes(), 0o600)?;
    let named = give(&draft, &config.state).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    named
}

fn make_rsa() -> Result<String, String> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", BITS])
        .stdin(Stdio::null())
        .output();
    let made = made.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "RSA keys are made by openssl, which is not installed: install it, \
             or use --algorithm ed25519"
            .to_owned(),
        _ => format!("openssl: {error}"),
    })?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(format!(
            "openssl cannot make a key: {}",
            mail::outcome::escape(said.as_bytes(), 300)
        ));
    }
    String::from_utf8(made.stdout).map_err(|_| "openssl makes no PEM".to_owned())
}
