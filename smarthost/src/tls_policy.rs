//! What TLS the hosts of a next hop must show: a line of `tls_policy` in Postfix's words, else
//! `tls_out`. Pure.
//!
//! | level | demands |
//! |---|---|
//! | `none` | nothing: clear text |
//! | `may` | nothing: TLS where it is offered |
//! | `encrypt` | TLS, whoever answers |
//! | `verify`, `secure` | an authority's certificate: for the host; for the next hop or a name below it; or as `match=` says |
//! | `fingerprint` | one of the keys or certificates of `match=` |
//! | `dane`, `dane-only` | what TLSA records say; and nothing without them |
//!
//! Contract: a domain is asked for as it is, then its parents with a dot in front; a next hop in
//! brackets or with a port only as it is, however its name and port are spelled. Each of these is
//! looked for in all tables before the next one.
//! Failures: an entry that means nothing is told with its line when it is read, and mail that it is
//! for waits.
//! Postfix postconf(5) `smtp_tls_policy_maps`, `smtp_tls_verify_cert_match`.

use std::{collections::HashMap, fmt, sync::Arc};

use mail::{
    address::Domain,
    maps::Problem,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use relay::{tls::Name, trust::Pin};

use crate::{
    config::TlsLevel,
    lookup::{LookupTable, Place},
};

/// What the hosts of a next hop must show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Demand {
    None,
    Opportunistic,
    StartTls,
    /// An authority's certificate for one of these names.
    Verify(Vec<Match>),
    Fingerprint(Vec<Pin>),
    Dane,
    DaneOnly,
}

/// A name that a certificate may show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// The host's.
    Hostname,
    /// The next hop's.
    Nexthop,
    /// Any below the next hop's.
    BelowNexthop,
    Name(Name),
}

impl From<TlsLevel> for Demand {
    fn from(level: TlsLevel) -> Self {
        match level {
            TlsLevel::None => Self::None,
            TlsLevel::Opportunistic => Self::Opportunistic,
            TlsLevel::StartTls => Self::StartTls,
            TlsLevel::Verify => Self::Verify(vec![Match::Hostname]),
            TlsLevel::Dane => Self::Dane,
            TlsLevel::DaneOnly => Self::DaneOnly,
        }
    }
}

/// In words, for an administrator who asks.
impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |f: &mut fmt::Formatter<'_>, words: Vec<String>| f.write_str(&words.join(" or "));
        match self {
            Self::None => f.write_str("none: clear text"),
            Self::Opportunistic => {
                f.write_str("opportunistic: STARTTLS where it is offered, nobody is verified")
            }
            Self::StartTls => f.write_str("STARTTLS or nothing; nobody is verified"),
            Self::Verify(matches) => {
                f.write_str("STARTTLS or nothing; an authority's certificate for ")?;
                list(f, matches.iter().map(ToString::to_string).collect())
            }
            Self::Fingerprint(pins) => {
                f.write_str("STARTTLS or nothing; the key must be ")?;
                list(f, pins.iter().map(ToString::to_string).collect())
            }
            Self::Dane => f.write_str("DANE where DNSSEC proves TLSA records, else opportunistic"),
            Self::DaneOnly => f.write_str("DANE or nothing"),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("the host"),
            Self::Nexthop => f.write_str("the next hop"),
            Self::BelowNexthop => f.write_str("a name below the next hop"),
            Self::Name(Name::Exactly(name)) => f.write_str(name),
            Self::Name(Name::Below(name)) => write!(f, "a name below {name}"),
        }
    }
}

/// The names that count for a host of a next hop.
pub fn names(matches: &[Match], nexthop: &Nexthop, host: &str) -> Vec<Name> {
    let lower = |name: &str| name.to_ascii_lowercase();
    let name = |it: &Match| match it {
        Match::Hostname => Name::Exactly(lower(host)),
        Match::Nexthop => Name::Exactly(lower(&nexthop.host)),
        Match::BelowNexthop => Name::Below(lower(&nexthop.host)),
        Match::Name(name) => name.clone(),
    };
    matches.iter().map(name).collect()
}

impl Demand {
    /// Reads what stands at the right of a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_blank = |c: char| c == ',' || c.is_ascii_whitespace();
        let mut words = text.split(is_blank).filter(|word| !word.is_empty());
        let Some(level) = words.next() else {
            return Err("there is no level".to_owned());
        };
        let mut matches = Vec::new();
        for word in words {
            let Some(("match", names)) = word.split_once('=') else {
                let word = word.escape_debug();
                return Err(format!(
                    "`{word}` is not known here; only match=... may follow the level"
                ));
            };
            matches.push(names);
        }
        let demand = match level {
            "none" => Self::None,
            "may" => Self::Opportunistic,
            "encrypt" => Self::StartTls,
            "dane" => Self::Dane,
            "dane-only" => Self::DaneOnly,
            "verify" => return verified(&matches, &[Match::Hostname]),
            "secure" => return verified(&matches, &[Match::Nexthop, Match::BelowNexthop]),
            "fingerprint" => return fingerprints(&matches),
            _ => {
                return Err(format!(
                    "`{}` is not a level; write none, may, encrypt, verify, secure, fingerprint, \
                     dane or dane-only",
                    level.escape_debug()
                ));
            }
        };
        if matches.is_empty() {
            Ok(demand)
        } else {
            Err(format!(
                "match= has no effect with {level}; use it with verify, secure and fingerprint"
            ))
        }
    }
}

fn verified(written: &[&str], usual: &[Match]) -> Result<Demand, String> {
    if written.is_empty() {
        return Ok(Demand::Verify(usual.to_vec()));
    }
    let words = written.iter().flat_map(|word| word.split(':'));
    let read = |word: &str| {
        let name = |name: &str| {
            let domain = Domain::name(name).map_err(|_| {
                let word = word.escape_debug();
                format!("match={word}: write hostname, nexthop, dot-nexthop, a name, or a dot and a name")
            })?;
            Ok::<_, String>(domain.to_string())
        };
        Ok(match (word, word.strip_prefix('.')) {
            ("hostname", _) => Match::Hostname,
            ("nexthop", _) => Match::Nexthop,
            ("dot-nexthop", _) => Match::BelowNexthop,
            (_, Some(parent)) => Match::Name(Name::Below(name(parent)?)),
            _ => Match::Name(Name::Exactly(name(word)?)),
        })
    };
    words
        .map(read)
        .collect::<Result<_, _>>()
        .map(Demand::Verify)
}

/// Digests of Postfix say neither what they are of nor how they were made; ours do.
fn fingerprints(written: &[&str]) -> Result<Demand, String> {
    let mut pins = Vec::new();
    for word in written.iter().flat_map(|word| word.split('|')) {
        if let Ok(pin) = Pin::parse(word) {
            pins.push(pin);
            continue;
        }
        let kinds = ["sha256", "cert-sha256", "sha1"];
        let meant = kinds.map(|kind| Pin::parse(&format!("{kind}:{word}")));
        let before = pins.len();
        pins.extend(meant.into_iter().flatten());
        if pins.len() == before {
            return Err(format!(
                "match={}: write the SHA-256 of the key or certificate, or the SHA-1 of the key, in hexadecimal digits",
                word.escape_debug()
            ));
        }
    }
    if pins.is_empty() {
        return Err("fingerprint needs a key; write match= and a digest".to_owned());
    }
    Ok(Demand::Fingerprint(pins))
}

/// One table of `tls_policy`.
#[derive(Clone, Debug, Default)]
pub struct PolicyTable {
    table: LookupTable,
    /// By the one spelling of a next hop; with the line.
    entries: HashMap<String, (Result<Demand, String>, u32)>,
}

impl PolicyTable {
    /// Takes a table; what is no next hop and no demand in it is a problem.
    pub fn new(table: LookupTable) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut entries = HashMap::new();
        for (key, value, line) in table.entries() {
            // What a pattern puts there is known only when it fits.
            let read = if key.is_empty() && value.contains('$') {
                continue;
            } else {
                Demand::parse(value)
            };
            let spelled = match key {
                "" => Ok(None),
                key => spelling(key).map(Some),
            };
            // It is told already that there is no level.
            let level = read.as_ref().err().filter(|_| !value.is_empty());
            for why in [level, spelled.as_ref().err()] {
                let place = table.place(line);
                problems.extend(why.map(|why| Problem {
                    path: place.path.to_path_buf(),
                    line: place.line,
                    text: why.clone(),
                    fault: true,
                }));
            }
            if let Ok(Some(key)) = spelled {
                entries.entry(key).or_insert((read, line));
            }
        }
        (Self { table, entries }, problems)
    }

    fn find(&self, nexthop: &str) -> Option<(Result<Demand, String>, Place)> {
        if let Some((demand, line)) = self.entries.get(nexthop) {
            return Some((demand.clone(), self.table.place(*line)));
        }
        let found = self.table.pattern(nexthop)?;
        Some((Demand::parse(&found.value), found.place))
    }
}

impl AsRef<LookupTable> for PolicyTable {
    fn as_ref(&self) -> &LookupTable {
        &self.table
    }
}

/// `.parent`, or a next hop as it is printed.
fn spelling(key: &str) -> Result<String, String> {
    let (dot, name) = key.strip_prefix('.').map_or(("", key), |name| (".", name));
    let written = Nexthop::parse(name).map_err(|error| error.to_string())?;
    let is_domain = written.mx && written.port.is_none();
    if !dot.is_empty() && !is_domain {
        return Err(format!(
            "`{}`: a domain must follow the dot",
            key.escape_debug()
        ));
    }
    Ok(format!("{dot}{written}").to_ascii_lowercase())
}

/// All that is demanded.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    tables: Vec<Arc<PolicyTable>>,
}

impl Policies {
    /// An earlier table wins.
    pub fn new(tables: Vec<Arc<PolicyTable>>) -> Self {
        Self { tables }
    }

    /// What a table says of a next hop, and where; `None`: `tls_out` counts.
    pub fn of(&self, nexthop: &Nexthop) -> Result<Option<(Demand, Place)>, Failure> {
        match self.entry(nexthop) {
            None => Ok(None),
            Some((Ok(demand), place)) => Ok(Some((demand, place))),
            Some((Err(why), place)) => {
                let text = format!("tls_policy, {place}: {why}");
                let status = EnhancedStatus::new(4, 3, 5);
                Err(Failure::new(Blame::Local, Stage::Local, status, &text))
            }
        }
    }

    /// The same, or why it means nothing.
    pub(crate) fn entry(&self, nexthop: &Nexthop) -> Option<(Result<Demand, String>, Place)> {
        let written = nexthop.to_string().to_ascii_lowercase();
        let is_domain = nexthop.mx && nexthop.port.is_none();
        let dots = written.match_indices('.').filter(|_| is_domain);
        let parents = dots.filter_map(|(dot, _)| written.get(dot..));
        let mut keys = std::iter::once(&*written).chain(parents);
        keys.find_map(|key| self.tables.iter().find_map(|table| table.find(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Kind;

    fn read(text: &str) -> (Policies, Vec<String>) {
        let (table, problems) = LookupTable::read(Kind::Text, "tls".into(), text);
        assert!(problems.is_empty(), "{problems:?}");
        let (table, problems) = PolicyTable::new(table);
        let told = problems.iter().map(ToString::to_string).collect();
        (Policies::new(vec![Arc::new(table)]), told)
    }

    fn exactly(name: &str) -> Match {
        Match::Name(Name::Exactly(name.to_owned()))
    }

    #[test]
    fn levels_and_matches_mean_what_they_mean_in_postfix() {
        let key = "9f".repeat(32);
        let colons = vec!["9f"; 32].join(":");
        let pin = |kind: &str| Pin::parse(&format!("{kind}:{key}")).unwrap();
        let both = vec![pin("sha256"), pin("cert-sha256")];
        for (text, demand) in [
            ("none", Demand::None),
            ("may", Demand::Opportunistic),
            ("encrypt", Demand::StartTls),
            ("dane", Demand::Dane),
            ("dane-only", Demand::DaneOnly),
            ("verify", Demand::Verify(vec![Match::Hostname])),
            (
                "secure",
                Demand::Verify(vec![Match::Nexthop, Match::BelowNexthop]),
            ),
            (
                "secure match=nexthop:.Example.COM, match=mx.example.net",
                Demand::Verify(vec![
                    Match::Nexthop,
                    Match::Name(Name::Below("example.com".to_owned())),
                    exactly("mx.example.net"),
                ]),
            ),
            (
                "verify\tmatch=bücher.example",
                Demand::Verify(vec![exactly("xn--bcher-kva.example")]),
            ),
            (
                &format!("fingerprint match={colons}"),
                Demand::Fingerprint(both.clone()),
            ),
            (
                &format!("fingerprint match=sha256:{key}|cert-sha256:{key}"),
                Demand::Fingerprint(both.clone()),
            ),
        ] {
            assert_eq!(Demand::parse(text), Ok(demand), "{text}");
        }
    }

    /// Weaker than was meant is never what comes of a mistake.
    #[test]
    fn words_that_are_not_known_are_told_with_their_line_and_mail_waits() {
        for wrong in [
            "encrypted",
            "Secure",
            "half-dane",
            "verify matches=a.example",
            "verify match",
            "verify match=",
            "verify match=a.example:",
            "encrypt match=a.example",
            "may protocols=>=TLSv1.2",
            "secure ciphers=high",
            "secure a.example",
            "fingerprint",
            "fingerprint match=",
            "fingerprint match=9f:9f",
            &format!("fingerprint match={}", "9f".repeat(16)),
            &format!("fingerprint match={}|", "9f".repeat(32)),
        ] {
            let (policies, told) = read(&format!("# comment\nexample.org {wrong}\n"));
            assert_eq!(told.len(), 1, "{wrong}: {told:?}");
            assert!(told[0].starts_with("tls:2: "), "{told:?}");
            let nexthop = Nexthop::parse("example.org").unwrap();
            let failure = policies.of(&nexthop).unwrap_err();
            assert_eq!(failure.status.to_string(), "4.3.5", "{wrong}");
            assert!(!failure.stops_destination(), "{wrong}");
        }
        let (_, told) = read("a@example.org encrypt\n.[a.example] may\n.a.example:25 may\n");
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[test]
    fn a_next_hop_is_found_as_postfix_finds_it_however_it_is_spelled() {
        let (policies, told) = read(
            "example.org none\n.example.org may\nbücher.example encrypt\n\
             [Mail.example.org]:submission verify\nmx.example.net:2525 secure\n[2001:DB8::1] dane\n\
             /^\\[10\\./ dane-only\n",
        );
        assert!(told.is_empty(), "{told:?}");
        for (nexthop, level) in [
            ("example.org", Some("none")),
            ("EXAMPLE.org", Some("none")),
            ("a.b.example.org", Some("may")),
            ("xn--bcher-kva.example", Some("encrypt")),
            ("[mail.example.org]:587", Some("verify")),
            ("[mail.example.org]", None),
            ("mail.example.org:587", None),
            ("[example.org]", None),
            ("example.org:25", None),
            ("mx.example.net:2525", Some("secure")),
            ("[2001:db8:0::1]", Some("dane")),
            ("[10.1.2.3]:25", Some("dane-only")),
            ("notexample.org", None),
            ("org", None),
        ] {
            let found = policies.of(&Nexthop::parse(nexthop).unwrap()).unwrap();
            let demand = level.map(|level| Demand::parse(level).unwrap());
            assert_eq!(found.map(|(demand, _)| demand), demand, "{nexthop}");
        }
    }

    #[test]
    fn names_stand_for_host_and_next_hop() {
        let nexthop = Nexthop::parse("Example.org").unwrap();
        let all = [Match::Hostname, Match::Nexthop, Match::BelowNexthop];
        let named = names(&all, &nexthop, "MX.example.net");
        let exactly = |name: &str| Name::Exactly(name.to_owned());
        let below = Name::Below("example.org".to_owned());
        assert_eq!(
            named,
            [exactly("mx.example.net"), exactly("example.org"), below]
        );
    }
}
