//! What each host of a next hop must show before mail is given to it: an authority's word, a pinned
//! key, or what its TLSA records say.
//!
//! Contract: where DANE cannot be asked, or is bogus, nothing is sent to that host, least of all in
//! clear text. Where TLSA records are there, TLS is demanded, and with usable ones a certificate
//! that they fit. What is demanded of one domain's hosts alone says nothing of others that are
//! there, too: such a failure makes nobody else wait.
//! Failures: temporary, 4.7.5, as Postfix says them.
//! RFC 7672 §2.2, §3, RFC 8461 §4, §2 (DANE counts more).

use std::{collections::HashMap, fmt, net::IpAddr};

use mail::{
    clock,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use relay::{
    delivery::{Found, Host},
    tls::{ClientTls, Dane, Name, Named, Trust},
    tlsa::Usable,
};
use rustls::pki_types::ServerName;
use smtp::client::Security;

use crate::{
    dane::{Answer, Question, Search, Verdict},
    dns::exchange,
    lookup::Place,
    mta_sts::{Known, Mode},
    setup::Setup,
    tls_policy::{self, Demand, Match},
};

/// Of one delivery.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    demand: Demand,
    /// Which entry of `tls_policy` says so; `None`: `tls_out`.
    place: Option<Place>,
    /// What the domain wants to be kept to.
    policy: Option<Known>,
    nexthop: Nexthop,
    /// DNSSEC, or the administrator, says that these are the next hop's hosts.
    pub(super) hosts_are_secure: bool,
    tls: HashMap<String, ClientTls>,
    notes: HashMap<String, String>,
}

impl Demands {
    /// Of a next hop, whose hosts are not known yet.
    pub(crate) async fn new(setup: &Setup, nexthop: &Nexthop) -> Result<Self, Failure> {
        let (demand, place) = match setup.tls_policies.of(nexthop)? {
            Some((demand, place)) => (demand, Some(place)),
            None => (setup.config.tls_out.level.into(), None),
        };
        let asks = setup.config.mta_sts && nexthop.mx && place.is_none();
        let policy = if asks && demand != Demand::DaneOnly {
            let policies = &setup.mta_sts;
            let asked = policies.of(&nexthop.host, &setup.resolver, &setup.trusts);
            asked.await
        } else {
            None
        };
        Ok(Self {
            demand,
            place,
            policy,
            nexthop: nexthop.clone(),
            hosts_are_secure: false,
            tls: HashMap::new(),
            notes: HashMap::new(),
        })
    }

    /// The policy that it must be kept to; a connection serves only deliveries that have the same.
    pub(super) fn enforced(&self) -> Option<&Known> {
        self.policy.as_ref().filter(|known| known.is_enforced())
    }

    /// Nobody but this next hop demands it.
    fn is_its_own(&self) -> bool {
        self.place.is_some() || self.enforced().is_some()
    }

    /// The least that all its hosts must offer.
    pub(super) fn security(&self) -> Security {
        match self.demand {
            _ if self.enforced().is_some() => Security::StartTls,
            Demand::None => Security::None,
            Demand::Opportunistic | Demand::Dane => Security::Opportunistic,
            Demand::StartTls | Demand::Verify(_) | Demand::Fingerprint(_) | Demand::DaneOnly => {
                Security::StartTls
            }
        }
    }

    /// Whom to believe at a host that says more than the next hop, and what there is to know.
    pub(super) fn of(&self, host: &str) -> (Option<&ClientTls>, Option<&str>) {
        (self.tls.get(host), self.notes.get(host).map(String::as_str))
    }

    /// The same in words.
    pub(crate) fn at(&self, host: &str) -> Option<String> {
        let (tls, note) = self.of(host);
        let dane = tls.and_then(ClientTls::dane);
        let told = dane.map(|dane| {
            let records = dane.records.records().iter().map(ToString::to_string);
            let records: Vec<String> = records.collect();
            format!("DANE, TLSA {} of {}", records.join(" or "), dane.base)
        });
        told.or_else(|| note.map(str::to_owned))
    }

    /// A host that does not show what is demanded of this domain's alone may do for others.
    pub(super) fn own(&self, failure: Failure, host: &str, security: Security) -> Failure {
        let is_about_tls = failure.stage == Stage::Tls && security != Security::Opportunistic;
        let by_dane = self.of(host).0.and_then(ClientTls::dane).is_some();
        let is_its_own = self.place.is_some() || self.enforced().is_some() && !by_dane;
        if is_about_tls && is_its_own {
            let text = match self.enforced() {
                Some(known) => self.broken(known, &failure.log_text()),
                None => failure.log_text(),
            };
            return Failure::new(Blame::Policy, Stage::Local, failure.status, &text);
        }
        failure
    }

    /// The addresses of a host, with what it demands.
    pub(crate) async fn find(&mut self, setup: &Setup, host: &Host) -> Result<Found, Failure> {
        let trust = match &self.demand {
            Demand::Dane | Demand::DaneOnly => return self.dane(setup, host).await,
            _ if self.enforced().is_some() => None,
            Demand::None | Demand::Opportunistic | Demand::StartTls => None,
            Demand::Fingerprint(pins) => Some(Trust::Pins(pins.clone())),
            Demand::Verify(matches) => Some(Trust::Named(Named {
                roots: setup.trusts.roots(),
                names: tls_policy::names(matches, &self.nexthop, &host.name),
                by: "authority",
            })),
        };
        if let Some(trust) = trust {
            self.tls.insert(host.name.clone(), setup.trusts.of(trust)?);
        }
        self.keep_to_policy(setup, host)?;
        plain(setup, host).await
    }

    async fn dane(&mut self, setup: &Setup, host: &Host) -> Result<Found, Failure> {
        let only = self.demand == Demand::DaneOnly;
        if only && !self.hosts_are_secure {
            return Err(self.untrusted("non DNSSEC destination"));
        }
        let is_address = host.name.parse::<IpAddr>().is_ok();
        if is_address || !setup.resolver.is_believed() || exchange::hosts_file_names(&host.name) {
            self.without(setup, "no DANE: address not secure", host, only)?;
            return plain(setup, host).await;
        }
        let known = setup.resolver.host(&host.name).await.map_err(|why| {
            let name = &host.name;
            let text = format!(
                "Host or domain name not found. Name service error for name={name}: {why}, try again"
            );
            let status = EnhancedStatus::new(4, 4, 3);
            Failure::new(Blame::Network, Stage::Lookup, status, &text)
        })?;
        if known.addresses.is_empty() {
            self.without(setup, "no DANE: address not secure", host, only)?;
            return plain(setup, host).await;
        }
        let encrypted = match verdict(setup, &known, host.port).await {
            Verdict::Failed(why) => {
                let text = format!("TLSA lookup error for {}:{}: {why}", host.name, host.port);
                return Err(self.untrusted(&text));
            }
            Verdict::None(why) => {
                self.without(setup, why, host, only)?;
                false
            }
            Verdict::Unusable if only => return Err(self.untrusted("TLSA records unusable")),
            Verdict::Unusable => {
                self.without(setup, "TLSA records unusable", host, false)?;
                true
            }
            // Whoever forges the hosts of a domain has TLSA records for his own.
            Verdict::Usable { .. } if !self.hosts_are_secure && self.enforced().is_some() => {
                self.keep_to_policy(setup, host)?;
                true
            }
            Verdict::Usable { base, records } => {
                self.usable(setup, host, base, records)?;
                true
            }
        };
        Ok(Found {
            places: exchange::known(host, &known.addresses),
            encrypted,
        })
    }

    fn usable(
        &mut self,
        setup: &Setup,
        host: &Host,
        base: String,
        records: Usable,
    ) -> Result<(), Failure> {
        let mut names = tls_policy::names(
            &[Match::Hostname, Match::Nexthop],
            &self.nexthop,
            &host.name,
        );
        names.push(Name::Exactly(base.to_ascii_lowercase()));
        names.sort();
        names.dedup();
        let asks_for = ServerName::try_from(base.clone()).ok();
        let mut tls = setup.trusts.of(Trust::Dane(Dane {
            records,
            names,
            base,
            host_is_secure: self.hosts_are_secure,
        }))?;
        tls.asks_for = asks_for;
        self.tls.insert(host.name.clone(), tls);
        Ok(())
    }

    fn untrusted(&self, text: &str) -> Failure {
        let (blame, stage) = if self.is_its_own() {
            (Blame::Policy, Stage::Local)
        } else {
            (Blame::Network, Stage::Lookup)
        };
        Failure::new(blame, stage, EnhancedStatus::new(4, 7, 5), text)
    }

    /// DANE does not say whom to believe.
    fn without(
        &mut self,
        setup: &Setup,
        why: &str,
        host: &Host,
        only: bool,
    ) -> Result<(), Failure> {
        if only {
            return Err(self.untrusted(why));
        }
        self.notes.insert(host.name.clone(), why.to_owned());
        self.keep_to_policy(setup, host)
    }

    /// What MTA-STS says of a host: RFC 8461 §4.
    fn keep_to_policy(&mut self, setup: &Setup, host: &Host) -> Result<(), Failure> {
        let Some(known) = &self.policy else {
            return Ok(());
        };
        let is_named = known.policy.names(&host.name);
        let told = format!("it does not name {}", host.name);
        match known.policy.mode {
            Mode::Enforce if !is_named => return Err(self.untrusted(&self.broken(known, &told))),
            Mode::Enforce => {
                let trust = Trust::Named(Named {
                    roots: setup.trusts.roots(),
                    names: vec![Name::Exactly(host.name.to_ascii_lowercase())],
                    by: "authority, as MTA-STS demands",
                });
                self.tls.insert(host.name.clone(), setup.trusts.of(trust)?);
            }
            Mode::Testing if !is_named => {
                let note = format!("{}, only tested: {told}", self.about(known));
                self.notes.insert(host.name.clone(), note);
            }
            Mode::Testing | Mode::None => {}
        }
        Ok(())
    }

    fn about(&self, known: &Known) -> String {
        known.told(&self.nexthop.host, clock::now())
    }

    fn broken(&self, known: &Known, why: &str) -> String {
        format!("{}: {why}", self.about(known))
    }
}

/// The level and who says so.
impl fmt::Display for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.demand)?;
        match &self.place {
            Some(place) => write!(f, " (tls_policy, {place})"),
            None => f.write_str(" (tls_out)"),
        }?;
        match &self.policy {
            Some(known) => write!(f, "; {known}"),
            None => Ok(()),
        }
    }
}

async fn plain(setup: &Setup, host: &Host) -> Result<Found, Failure> {
    let places = exchange::places(&setup.resolver, host, &setup.config.hostname).await?;
    Ok(Found::from(places))
}

async fn verdict(setup: &Setup, host: &crate::dane::Host, port: u16) -> Verdict {
    let mut search = Search::new(host, port);
    loop {
        let answer = match search.next_question() {
            Ok(Question::Alias(name)) => setup.resolver.is_alias(&name).await.map(Answer::Alias),
            Ok(Question::Tlsa(name)) => setup.resolver.tlsa(&name).await.map(Answer::Tlsa),
            Err(verdict) => return verdict,
        };
        search.handle(answer.unwrap_or_else(Answer::Failed));
    }
}
