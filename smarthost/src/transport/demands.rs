//! What each host of a next hop must show before mail is given to it: an authority's word, a pinned key, or what its TLSA records
//! say.
//!
//! Contract: where DANE cannot be asked, or is bogus, nothing is sent to that host, least of all in clear text. Where TLSA records
//! are there, TLS is demanded, and with usable ones a certificate that they fit. What is demanded of one domain's hosts alone says
//! nothing of others that are there, too: such a failure makes nobody else wait.
//! Failures: temporary, 4.7.5, as Postfix says them.
//! RFC 7672 §2.2, §3.

use std::{collections::HashMap, fmt, net::IpAddr};

use mail::{
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
    setup::Setup,
    tls_policy::{self, Demand, Match},
};

/// Of one delivery.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    demand: Demand,
    /// Which entry of `tls_policy` says so; `None`: `tls_out`.
    place: Option<Place>,
    /// DNSSEC, or the administrator, says that these are the next hop's hosts.
    pub(super) hosts_are_secure: bool,
    tls: HashMap<String, ClientTls>,
    notes: HashMap<String, &'static str>,
}

impl Demands {
    /// Of a next hop, whose hosts are not known yet.
    pub(crate) fn new(setup: &Setup, nexthop: &Nexthop) -> Result<Self, Failure> {
        let (demand, place) = match setup.tls_policies.of(nexthop)? {
            Some((demand, place)) => (demand, Some(place)),
            None => (setup.config.tls_out.level.into(), None),
        };
        Ok(Self {
            demand,
            place,
            hosts_are_secure: false,
            tls: HashMap::new(),
            notes: HashMap::new(),
        })
    }

    /// The least that all its hosts must offer.
    pub(super) fn security(&self) -> Security {
        match self.demand {
            Demand::None => Security::None,
            Demand::Opportunistic | Demand::Dane => Security::Opportunistic,
            Demand::StartTls | Demand::Verify(_) | Demand::Fingerprint(_) | Demand::DaneOnly => {
                Security::StartTls
            }
        }
    }

    /// Whom to believe at a host that says more than the next hop, and what there is to know.
    pub(super) fn of(&self, host: &str) -> (Option<&ClientTls>, Option<&str>) {
        (self.tls.get(host), self.notes.get(host).copied())
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
    pub(super) fn own(&self, failure: Failure, security: Security) -> Failure {
        let is_about_tls = failure.stage == Stage::Tls && security != Security::Opportunistic;
        if is_about_tls && self.place.is_some() {
            let text = failure.log_text();
            return Failure::new(Blame::Policy, Stage::Local, failure.status, &text);
        }
        failure
    }

    /// The addresses of a host, with what it demands.
    pub(crate) async fn find(
        &mut self,
        setup: &Setup,
        nexthop: &Nexthop,
        host: &Host,
    ) -> Result<Found, Failure> {
        let trust = match &self.demand {
            Demand::Dane | Demand::DaneOnly => return self.dane(setup, nexthop, host).await,
            Demand::None | Demand::Opportunistic | Demand::StartTls => None,
            Demand::Fingerprint(pins) => Some(Trust::Pins(pins.clone())),
            Demand::Verify(matches) => Some(Trust::Named(Named {
                roots: setup.trusts.roots(),
                names: tls_policy::names(matches, nexthop, &host.name),
                by: "authority",
            })),
        };
        if let Some(trust) = trust {
            self.tls.insert(host.name.clone(), setup.trusts.of(trust)?);
        }
        plain(setup, host).await
    }

    async fn dane(
        &mut self,
        setup: &Setup,
        nexthop: &Nexthop,
        host: &Host,
    ) -> Result<Found, Failure> {
        let only = self.demand == Demand::DaneOnly;
        if only && !self.hosts_are_secure {
            return Err(self.untrusted("non DNSSEC destination"));
        }
        let is_address = host.name.parse::<IpAddr>().is_ok();
        if is_address || !setup.resolver.is_believed() || exchange::hosts_file_names(&host.name) {
            self.without("no DANE: address not secure", host, only)?;
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
            self.without("no DANE: address not secure", host, only)?;
            return plain(setup, host).await;
        }
        let encrypted = match verdict(setup, &known, host.port).await {
            Verdict::Failed(why) => {
                let text = format!("TLSA lookup error for {}:{}: {why}", host.name, host.port);
                return Err(self.untrusted(&text));
            }
            Verdict::None(why) => {
                self.without(why, host, only)?;
                false
            }
            Verdict::Unusable if only => return Err(self.untrusted("TLSA records unusable")),
            Verdict::Unusable => {
                self.notes
                    .insert(host.name.clone(), "TLSA records unusable");
                true
            }
            Verdict::Usable { base, records } => {
                self.usable(setup, nexthop, host, base, records)?;
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
        nexthop: &Nexthop,
        host: &Host,
        base: String,
        records: Usable,
    ) -> Result<(), Failure> {
        let mut names = tls_policy::names(&[Match::Hostname, Match::Nexthop], nexthop, &host.name);
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
        let (blame, stage) = match self.place {
            Some(_) => (Blame::Policy, Stage::Local),
            None => (Blame::Network, Stage::Lookup),
        };
        Failure::new(blame, stage, EnhancedStatus::new(4, 7, 5), text)
    }

    fn without(&mut self, why: &'static str, host: &Host, only: bool) -> Result<(), Failure> {
        if only {
            return Err(self.untrusted(why));
        }
        self.notes.insert(host.name.clone(), why);
        Ok(())
    }
}

/// The level and who says so.
impl fmt::Display for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.demand)?;
        match &self.place {
            Some(place) => write!(f, " (tls_policy, {place})"),
            None => f.write_str(" (tls_out)"),
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
