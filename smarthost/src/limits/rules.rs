//! The rules, as configured: what a limit counts, and who counts as one.

use std::fmt;

use queue::rate::Window;

use crate::{
    limits::{ClientId, Peer},
    network::{Network, Networks},
};

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Counted {
    Messages,
    /// As they were accepted at RCPT, before aliases.
    Recipients,
}

/// `"100/day"`, `"500 recipients/day"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    pub counts: Counted,
    pub window: Window,
}

impl Limit {
    /// Reads `100/day`, `20 messages/10m`, `500 recipients/day`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |error: String| {
            let what = text.escape_debug();
            format!("{error}, or to count recipients \"500 recipients/day\"").replacen(
                "`/",
                &format!("`{what}"),
                1,
            )
        };
        let (number, span) = text.split_once('/').unwrap_or((text, ""));
        let (number, counts) = match number.trim().split_once(char::is_whitespace) {
            Some((number, word)) => match word.trim() {
                "message" | "messages" => (number, Counted::Messages),
                "recipient" | "recipients" => (number, Counted::Recipients),
                _ => return Window::parse(text).map_err(bad).map(Self::from),
            },
            None => return Window::parse(text).map_err(bad).map(Self::from),
        };
        let window = Window::parse(&format!("{number}/{span}")).map_err(bad)?;
        Ok(Self { counts, window })
    }

    /// `100 in a day`, `500 recipients in a day`.
    pub fn words(&self) -> String {
        format!(
            "{}{} in {}",
            self.window.limit,
            self.counts.word(),
            self.window.words()
        )
    }

    /// So many times as much.
    fn times(self, factor: u32) -> Self {
        let limit = self.window.limit.saturating_mul(factor);
        Self {
            window: Window {
                limit,
                ..self.window
            },
            ..self
        }
    }
}

impl Counted {
    /// What they are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Recipients => "recipients",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Messages => "",
            Self::Recipients => " recipients",
        }
    }
}

impl From<Window> for Limit {
    fn from(window: Window) -> Self {
        Self {
            counts: Counted::Messages,
            window,
        }
    }
}
impl TryFrom<String> for Limit {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}
impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}
/// As it is written in the configuration.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.window.to_string();
        let (number, span) = text.split_once('/').unwrap_or((&text, ""));
        write!(f, "{number}{}/{span}", self.counts.word())
    }
}

/// Who may send how much.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Who is counted by address; all others are strangers.
    pub networks: Networks,
    /// For each address in `networks` and each name; all apply at once, none: no limit.
    pub per_client: Vec<Limit>,
    /// For each IPv6 /64 in `networks` as a whole; `None`: ten times `per_client`.
    pub per_prefix6: Option<Vec<Limit>>,
    /// For each stranger.
    pub per_stranger: Vec<Limit>,
    /// Never counted; never implied by "may relay".
    pub exempt: Networks,
}

/// In which table somebody is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Clients of ours: an address, an IPv6 /64, or a name.
    Own,
    /// Others: an IPv4 address, or an IPv6 /64.
    Stranger,
}

/// Somebody who is counted.
pub type Counter = (Class, ClientId);

impl Rules {
    /// What several servers that share limits must have in common, in words.
    pub fn shared_words(&self) -> String {
        let words = |limits: &[Limit]| {
            let words: Vec<_> = limits.iter().map(ToString::to_string).collect();
            words.join(", ")
        };
        let (client, prefix) = (words(&self.per_client), words(&self.per_prefix6()));
        if client.is_empty() && prefix.is_empty() {
            "none".to_owned()
        } else {
            format!("{client}; {prefix} for an IPv6 /64")
        }
    }

    /// Limits that are never reached, for another of the same things lets no more through in a time
    /// that is as long: setting, limit, and that other one.
    pub fn never_reached(&self) -> Vec<(&'static str, Limit, Limit)> {
        let prefix6 = self.per_prefix6.clone().unwrap_or_default();
        let all = [
            ("limits.per_client", &self.per_client),
            ("limits.per_prefix6", &prefix6),
            ("limits.per_stranger", &self.per_stranger),
        ];
        let covers = |other: &Limit, limit: &Limit| {
            other != limit
                && other.counts == limit.counts
                && other.window.limit <= limit.window.limit
                && other.window.span >= limit.window.span
        };
        let of = |(key, limits): (&'static str, &Vec<Limit>)| {
            let found = limits.iter().filter_map(|limit| {
                let other = limits.iter().find(|other| covers(other, limit))?;
                Some((key, *limit, *other))
            });
            found.collect::<Vec<_>>()
        };
        all.into_iter().flat_map(of).collect()
    }

    /// Limits that count from zero where these rules take the place of others: of the same time and
    /// the same things nothing was counted yet. Setting and limit.
    pub fn from_zero(&self, before: &Self) -> Vec<String> {
        let of = |rules: &Self| {
            [
                ("limits.per_client", rules.per_client.clone()),
                ("limits.per_prefix6", rules.per_prefix6()),
                ("limits.per_stranger", rules.per_stranger.clone()),
            ]
        };
        let mut told = Vec::new();
        for ((key, new), (_, old)) in of(self).into_iter().zip(of(before)) {
            // What follows from another setting is not told for itself.
            let derived = key == "limits.per_prefix6" && self.per_prefix6.is_none();
            let fresh = new.iter().filter(|it| !old.iter().any(|old| same(it, old)));
            if !derived && !old.is_empty() {
                told.extend(fresh.map(|limit| format!("{key}: {limit}")));
            }
        }
        told
    }

    /// As whom somebody is counted: by name where there is one; of our addresses itself and its
    /// /64, of others the address or the /64.
    pub fn counters(&self, peer: &Peer) -> Vec<Counter> {
        let address = peer.address;
        if let Some(name) = &peer.name {
            return vec![(Class::Own, ClientId::Name(name.clone()))];
        }
        let prefix = Network::of(address, 32, 64);
        if peer.unnamed || !self.networks.contains(address) {
            return vec![(Class::Stranger, prefix.into())];
        }
        let own = Network::of(address, 32, 128);
        if own == prefix {
            vec![(Class::Own, own.into())]
        } else {
            vec![(Class::Own, own.into()), (Class::Own, prefix.into())]
        }
    }

    /// Who is meant by an address, network or name that somebody wrote.
    pub fn counter(&self, written: &ClientId) -> Result<Counter, String> {
        let written = match written {
            ClientId::Network(network) => *network,
            name @ ClientId::Name(_) => return Ok((Class::Own, name.clone())),
        };
        if written.is_address() {
            let found = self.counters(&written.address().into()).into_iter().next();
            return found.ok_or_else(|| format!("{written} is not counted"));
        }
        if !written.is_prefix6() {
            return Err(format!(
                "{written} is not counted as one; write an address, or an IPv6 network with /64"
            ));
        }
        let ours = self
            .networks
            .0
            .iter()
            .any(|network| network.overlaps(&written));
        let class = if ours { Class::Own } else { Class::Stranger };
        Ok((class, written.into()))
    }

    /// Whether an address that somebody wrote is on the exempt list.
    pub fn exempts(&self, written: &ClientId) -> bool {
        match written {
            ClientId::Network(it) => it.is_address() && self.exempt.contains(it.address()),
            ClientId::Name(_) => false,
        }
    }

    /// The limits of somebody; of several for the same things and time the lowest.
    pub fn limits(&self, (class, id): &Counter) -> Vec<Limit> {
        let all = match (class, id) {
            (Class::Stranger, _) => self.per_stranger.clone(),
            (Class::Own, ClientId::Network(network)) if !network.is_address() => self.per_prefix6(),
            (Class::Own, _) => self.per_client.clone(),
        };
        let is_lowest = |(index, limit): &(usize, &Limit)| {
            let mut others = all.iter().enumerate();
            !others.any(|(at, other)| {
                same(other, limit) && (other.window.limit, at) < (limit.window.limit, *index)
            })
        };
        let lowest = all.iter().enumerate().filter(is_lowest);
        lowest.map(|(_, limit)| *limit).collect()
    }

    /// The limits of a whole IPv6 /64 in `networks`.
    pub fn per_prefix6(&self) -> Vec<Limit> {
        let default = || {
            self.per_client
                .iter()
                .map(|limit| limit.times(10))
                .collect()
        };
        self.per_prefix6.clone().unwrap_or_else(default)
    }
}

/// Whether both count the same in the same time, however much it may be.
pub(super) fn same(one: &Limit, other: &Limit) -> bool {
    one.counts == other.counts && one.window.span == other.window.span
}

/// Index of the limit that orders of the administrator change: the longest, and of two that are as
/// long that of messages.
pub(super) fn ordered(limits: &[Limit]) -> Option<usize> {
    (0..limits.len()).max_by_key(|&index| {
        limits
            .get(index)
            .map(|limit| (limit.window.span, limit.counts == Counted::Messages))
    })
}

/// Index of the longest limit of messages, if there is one, else of recipients.
pub(super) fn longest(limits: &[Limit]) -> Option<usize> {
    (0..limits.len()).max_by_key(|&index| {
        limits
            .get(index)
            .map(|limit| (limit.counts == Counted::Messages, limit.window.span))
    })
}
