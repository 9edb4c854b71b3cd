//! What a start goes on with where a file is wrong or gone.
//!
//! Contract: the last good configuration if there is one and its files, or copies of them, are
//! there, else whatever it takes to queue mail, which is then not sent; and the fault, for who
//! tells the administrators.

use std::{net::SocketAddr, path::Path};

use super::{Setup, places};
use crate::{
    config::{Config, KeyFiles},
    policy::rule::Rule,
};
use settings::{
    last_good::{self, Fault},
    layers::Layer,
};
use system::usable::closed;

/// The chain while that of the configuration cannot be had: strangers come again.
const CLIENTS_ALONE: [&str; 4] = [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "permit_tls_clientcerts",
    "defer",
];

impl Setup {
    /// [`Setup::load`] for a start, which goes on with what there is.
    pub(crate) fn start(path: &Path, held: &[SocketAddr]) -> anyhow::Result<(Self, Option<Fault>)> {
        let error = match Self::load(path, None, held) {
            Ok(setup) => return Ok((setup, None)),
            Err(error) => error,
        };
        let (mut salvaged, unread) = Config::load_or_salvage(path)?;
        // First with a copy of what the files name, then with one of the files.
        let placed = |config: &Config| places::take(config, held, None, false).is_ok();
        let read = unread.is_none().then(|| salvaged.clone()).filter(placed);
        let copy = read.and_then(Self::standing_in);
        let mut recalled = None;
        let copy = copy.or_else(|| {
            let mut copies = salvaged.copies(path).filter(placed);
            copies.find_map(|config| {
                recalled = Some(config.clone());
                Self::standing_in(config.clone()).or_else(|| Self::unbroken(config).ok())
            })
        });
        // What goes on may have faults of its own.
        let recalled = recalled.filter(|_| copy.is_some() && unread.is_some());
        let meanwhile = recalled.and_then(|it| Self::wrong(&it, None));
        let all = [format!("{error:#}")].into_iter();
        let all = all.chain(meanwhile.map(|it| it.text));
        let fault = Fault {
            text: all.collect::<Vec<_>>().join("\n"),
            remembered: copy.is_some(),
        };
        // What is known is used where it is: nothing is begun in a new directory, which would then
        // pass for what was copied there.
        if let Some(before) = places::kept_elsewhere(&salvaged) {
            if salvaged.tls == KeyFiles::made_in(&salvaged.state) {
                salvaged.tls = KeyFiles::made_in(&before);
            }
            salvaged.state = before;
        }
        for (place, refuge) in [
            (&mut salvaged.spool, Config::refuge(path)),
            (&mut salvaged.state, Config::refuge_of_state(path)),
        ] {
            if system::fs::no_directory(place).is_some() || closed(place).is_some() {
                *place = refuge;
            }
        }
        let setup = match copy {
            Some(copy) => copy,
            // What it does not name is no reason to forget the copy of a password, or of a table.
            None => Self {
                stands_in: true,
                ..Self::salvaged(salvaged)?
            },
        };
        Ok((setup, Some(fault)))
    }

    /// With copies of what a configuration names, where that is wrong.
    fn standing_in(config: Config) -> Option<Self> {
        let setup = Self::unbroken(Self::instead(config)?).ok()?;
        Some(Self {
            stands_in: true,
            ..setup
        })
    }

    /// Unless a table has become faulty or empty: its rules and recipients must not vanish.
    fn unbroken(config: Config) -> anyhow::Result<Self> {
        match Self::broken(&config).into_iter().next() {
            Some((_, why)) => Err(anyhow::Error::msg(why)),
            None => Self::of(config, None),
        }
    }

    /// Whatever it takes to queue mail.
    fn salvaged(config: Config) -> anyhow::Result<Self> {
        let own_key = Config {
            tls: KeyFiles::made_in(&config.state),
            ..config.clone()
        };
        // Nothing else of what it says, so that no file that it names can be in the way.
        let bare = Config {
            hostname: own_key.hostname.clone(),
            listen: own_key.listen.clone(),
            networks: own_key.networks.clone(),
            proxy: own_key.proxy.clone(),
            xclient: own_key.xclient.clone(),
            domains: own_key.domains.clone(),
            limits: own_key.limits.clone(),
            limits_notify: own_key.limits_notify.clone(),
            admins: own_key.admins.clone(),
            retry: own_key.retry,
            spool: own_key.spool.clone(),
            state: own_key.state.clone(),
            control: own_key.control.clone(),
            message_size: own_key.message_size,
            concurrency: own_key.concurrency,
            log_format: own_key.log_format,
            tls: own_key.tls.clone(),
            restrictions: CLIENTS_ALONE
                .map(Rule::parse)
                .into_iter()
                .flatten()
                .collect(),
            ..Config::of_files(&[])?
        };
        Self::unbroken(config)
            .or_else(|_| Self::unbroken(own_key))
            .or_else(|_| Self::of(bare, None))
    }

    pub(super) fn remember(&self, path: &Path, layers: &[Layer]) {
        let refuge = Config::refuge_of_state(path);
        last_good::remember(&self.config.state, &refuge, path, layers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Noted;

    #[test]
    fn a_new_place_for_what_a_daemon_knows_is_not_begun_there_and_does_not_mend_itself() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let [spool, old, new] = ["spool", "old", "new"].map(place);
        let configured = |file: &str, state: &Path| {
            let text = format!(
                "hostname = \"mx.example.org\"\nlisten = [\"127.0.0.1:0\"]\naliases = []\n\
                 relayhost = \"[127.0.0.1]:9\"\nresolver = \"127.0.0.1\"\nspool = {spool:?}\n\
                 state = {state:?}\n",
            );
            system::fs::replace(&place(file), text.as_bytes(), 0o600).unwrap();
            place(file)
        };
        let (setup, fault) = Setup::start(&configured("first.toml", &old), &[]).unwrap();
        assert!(fault.is_none(), "{fault:?}");
        let pin = setup.identity.unwrap().pin;
        let noted = Noted {
            state: old.clone(),
            control: place("control.sock"),
        };
        noted.write(&spool).unwrap();
        let file = configured("second.toml", &new);
        for _ in 0..2 {
            let (setup, fault) = Setup::start(&file, &[]).unwrap();
            assert!(!fault.unwrap().remembered);
            assert_eq!(setup.config.state, old);
            assert!(!new.exists());
            let told = setup.wrong_now(&file, &[], true).unwrap().text;
            assert!(told.contains("nothing of it is in"), "{told}");
            assert_eq!(setup.identity.unwrap().pin, pin, "clients know it");
        }
        // Copied by an administrator.
        system::fs::create_directory(&new, 0o700).unwrap();
        for file in ["key.pem", "cert.pem"] {
            std::fs::copy(old.join(file), new.join(file)).unwrap();
        }
        let (setup, fault) = Setup::start(&file, &[]).unwrap();
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(setup.config.state, new);
    }
}
