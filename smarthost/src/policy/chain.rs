//! The chain: which rules run at which stage, and what they are decided with.

use std::{net::IpAddr, sync::Arc};

use super::{
    access_table::{AccessTable, Tables},
    dnsbl::{Keys, List, Scores},
    rule::{Restriction, Rule},
};
use crate::{config::Config, lookup::TableName, network::Networks, route::Router};

/// What rules are decided with besides the configuration: read from files.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub keys: Keys,
    pub tables: Tables,
}

/// The rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    networks: Arc<Networks>,
    router: Router,
    sources: Arc<Sources>,
    chains: Arc<Chains>,
    scores: Arc<Scores>,
    /// Between user and extension.
    delimiter: Option<char>,
    listed_only: bool,
}

/// The rules of each stage that has some.
#[derive(Debug)]
struct Chains {
    mail: Chain,
    recipient: Chain,
    message: Chain,
    none: Chain,
}

/// Rules in order.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) rules: Vec<Arc<Rule>>,
    /// From here on they apply even where a permit ended the chain.
    pub(super) always: usize,
}

impl Chain {
    fn fixed<const N: usize>(rules: [Rule; N]) -> Self {
        Self {
            rules: rules.map(Arc::new).into(),
            always: 0,
        }
    }

    /// Permission to relay first; then the administrator's; then what holds for everybody.
    fn of_recipient(written: &[Rule]) -> Self {
        let first = Rule::fixed(Restriction::RelayPermission, "reject_unauth_destination");
        let mut rules = vec![Arc::new(first)];
        rules.extend(written.iter().cloned().map(Arc::new));
        let always = rules.len();
        for (restriction, name) in [
            (
                Restriction::RejectUnlistedRecipient,
                "reject_unlisted_recipient",
            ),
            (Restriction::AliasExpansion, "alias_expansion"),
            (Restriction::Deferral, "defer_if_permit"),
            (Restriction::RecipientLimit, "client_limit"),
        ] {
            rules.push(Arc::new(Rule::fixed(restriction, name)));
        }
        Self { rules, always }
    }
}

impl Policy {
    pub fn new(config: &Config, router: Router, sources: Arc<Sources>) -> Self {
        let limit = Rule::fixed(Restriction::MessageLimit, "client_limit");
        let hops = Rule::fixed(Restriction::HopLimit, "hop_limit");
        let size = Rule::fixed(Restriction::UnverifiedSize, "reject_unverified_recipient");
        Self {
            networks: Arc::new(config.networks.clone()),
            scores: Arc::new(config.dnsbl.scores.clone()),
            router,
            delimiter: config.recipient_delimiter,
            listed_only: config.greylist.listed_only,
            sources,
            chains: Arc::new(Chains {
                mail: Chain::fixed([limit]),
                recipient: Chain::of_recipient(&config.restrictions),
                message: Chain::fixed([hops, size]),
                none: Chain::default(),
            }),
        }
    }

    /// Whether this client may relay anywhere.
    pub fn may_relay(&self, client: IpAddr) -> bool {
        self.networks.contains(client)
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    pub(super) fn scores(&self) -> &Scores {
        &self.scores
    }

    pub(super) fn table(&self, name: &TableName) -> Option<&AccessTable> {
        self.sources.tables.get(name).map(|table| &**table)
    }

    /// Greylisting is for those of whom something speaks against them.
    pub(super) fn greylists_listed_only(&self) -> bool {
        self.listed_only
    }

    pub(super) fn delimiter(&self) -> Option<char> {
        self.delimiter
    }

    pub fn keys(&self) -> &Keys {
        &self.sources.keys
    }

    /// Each list in use once, with the names that tell whether it works.
    pub fn lists(&self) -> Vec<InUse> {
        let written = self.chains.recipient.rules.iter();
        let rules = written.map(|rule| &**rule);
        lists_in_use(rules, (&self.scores, self.listed_only), self.keys())
    }

    pub(super) fn chain(&self, stage: Stage) -> &Chain {
        match stage {
            Stage::None => &self.chains.none,
            Stage::Mail => &self.chains.mail,
            Stage::Recipient => &self.chains.recipient,
            Stage::Message => &self.chains.message,
        }
    }
}

/// A list, and the names that tell whether it works.
type InUse = (Arc<List>, (String, String));

/// The lists that rules ask, each once. `weighed`: those that are added up, and whether greylisting
/// does that, too.
pub fn lists_in_use<'a>(
    rules: impl Iterator<Item = &'a Rule> + Clone,
    (weighed, listed_only): (&'a Scores, bool),
    keys: &Keys,
) -> Vec<InUse> {
    let adds_up = |rule: &Rule| rule.is_score() || rule.greylists() && listed_only;
    let any = rules.clone().any(adds_up);
    let asked = rules.filter_map(|rule| rule.list().map(|list| (list, rule.lists_names())));
    let added = weighed.lists.iter().filter(|_| any);
    let mut known: Vec<InUse> = Vec::new();
    for (list, of_names) in asked.chain(added.map(|list| (list, false))) {
        if known.iter().any(|(other, _)| other.name() == list.name()) {
            continue;
        }
        if let Some(names) = list.tests(of_names, keys) {
            known.push((Arc::clone(list), names));
        }
    }
    known
}

/// When a chain runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    None,
    Mail,
    Recipient,
    Message,
}
