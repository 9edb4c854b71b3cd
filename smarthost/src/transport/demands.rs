//! What each host of a next hop must show before mail is given to it: an authority's word, or what its TLSA records say.
//!
//! Contract: where DANE cannot be asked, or is bogus, nothing is sent to that host, least of all in clear text. Where TLSA records
//! are there, TLS is demanded, and with usable ones a certificate that they fit.
//! Failures: temporary, 4.7.5, as Postfix says them.
//! RFC 7672 §2.2, §3.

use std::{collections::HashMap, net::IpAddr};

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

use crate::{
    config::TlsLevel,
    dane::{Answer, Question, Search, Verdict},
    dns::exchange,
    setup::Setup,
};

/// Of one delivery.
#[derive(Default)]
pub(super) struct Demands {
    /// DNSSEC, or the administrator, says that these are the next hop's hosts.
    pub(super) hosts_are_secure: bool,
    tls: HashMap<String, ClientTls>,
    notes: HashMap<String, &'static str>,
}

impl Demands {
    /// Whom to believe at a host that says more than the next hop, and what there is to know.
    pub(super) fn of(&self, host: &str) -> (Option<&ClientTls>, Option<&str>) {
        (self.tls.get(host), self.notes.get(host).copied())
    }

    /// The addresses of a host, with what it demands.
    pub(super) async fn find(
        &mut self,
        setup: &Setup,
        nexthop: &Nexthop,
        host: &Host,
    ) -> Result<Found, Failure> {
        match setup.config.tls_out.level {
            TlsLevel::Dane | TlsLevel::DaneOnly => self.dane(setup, nexthop, host).await,
            TlsLevel::Verify => {
                let trust = Trust::Named(Named {
                    roots: setup.trusts.roots(),
                    names: vec![Name::Exactly(host.name.clone())],
                    by: "authority",
                });
                self.tls.insert(host.name.clone(), setup.trusts.of(trust)?);
                plain(setup, host).await
            }
            TlsLevel::None | TlsLevel::Opportunistic | TlsLevel::StartTls => {
                plain(setup, host).await
            }
        }
    }

    async fn dane(
        &mut self,
        setup: &Setup,
        nexthop: &Nexthop,
        host: &Host,
    ) -> Result<Found, Failure> {
        let only = setup.config.tls_out.level == TlsLevel::DaneOnly;
        if only && !self.hosts_are_secure {
            return Err(untrusted("non DNSSEC destination"));
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
                return Err(untrusted(&text));
            }
            Verdict::None(why) => {
                self.without(why, host, only)?;
                false
            }
            Verdict::Unusable if only => return Err(untrusted("TLSA records unusable")),
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
        let mut names: Vec<Name> = [&base, &host.name, &nexthop.host]
            .map(|name| Name::Exactly(name.to_ascii_lowercase()))
            .to_vec();
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

    fn without(&mut self, why: &'static str, host: &Host, only: bool) -> Result<(), Failure> {
        if only {
            return Err(untrusted(why));
        }
        self.notes.insert(host.name.clone(), why);
        Ok(())
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

fn untrusted(text: &str) -> Failure {
    Failure::new(
        Blame::Network,
        Stage::Lookup,
        EnhancedStatus::new(4, 7, 5),
        text,
    )
}
