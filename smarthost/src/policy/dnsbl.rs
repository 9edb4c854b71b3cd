//! DNS block lists: what is asked, and what an answer means.
//!
//! Contract: an IPv4-mapped address is the IPv4 address. Only listed codes count, and never those
//! with which a list says that *we* ask wrongly (127.255.255.0/24): they are a [`Meaning::Fault`].
//! A key of a list is in the name that is asked and nowhere else.
//! RFC 5782 §2.1 (IPv4), §2.4 (IPv6), §3 (names), §5 (test entries).

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use mail::{address::Domain, masked::list_keys};

/// A list, the codes that count, and how much.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct List {
    /// May hold `${NAME}`: a key.
    zone: String,
    codes: Option<Codes>,
    /// In a score.
    pub weight: i32,
    text: String,
}

/// Lists whose weights are added up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scores {
    /// From here on it is too much.
    pub threshold: i32,
    pub lists: Vec<Arc<List>>,
}

/// `127.0.0.[2;4..11]`: for each octet the ranges that it may lie in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Codes([Vec<(u8, u8)>; 4]);

/// Keys of lists, by name.
pub type Keys = BTreeMap<String, String>;

/// What was found under a name of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    Codes(Vec<Ipv4Addr>, Option<String>),
    Nothing,
    Trouble(String),
}

/// What an answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    Listed,
    NotListed,
    /// The list refuses us, or is none any more.
    Fault,
}

impl List {
    /// Reads `zen.example`, `zen.example=127.0.0.[2..11]`, and with `scored` also
    /// `zen.example=127.0.0.2*3`.
    pub fn parse(text: &str, scored: bool) -> Result<Self, String> {
        let bad = |what: &str| format!("`{}`: {what}; write a list such as", text.escape_debug());
        let (rest, weight) = match text.rsplit_once('*') {
            Some((rest, weight)) if scored => {
                let weight = weight.parse().ok().filter(|w: &i32| w.abs() <= 1_000_000);
                (
                    rest,
                    weight.ok_or_else(|| bad("the weight after * must be a number"))?,
                )
            }
            Some(_) => return Err(bad("weights belong in `dnsbl.lists`")),
            None => (text, 1),
        };
        let (zone, codes) = match rest.split_once('=') {
            Some((zone, codes)) => {
                let codes = Codes::parse(codes);
                (
                    zone,
                    Some(codes.ok_or_else(|| bad("the codes must be like 127.0.0.[2..11]"))?),
                )
            }
            None => (rest, None),
        };
        let zone = zone.trim_end_matches('.').to_ascii_lowercase_outside_keys();
        if without_keys(&zone).is_none_or(|plain| Domain::name(&plain).is_err()) {
            return Err(bad("this is not a domain name"));
        }
        Ok(Self {
            zone,
            codes,
            weight,
            text: text.to_owned(),
        })
    }

    /// As people know it: without its key, also where that stands in the name itself.
    pub fn name(&self) -> String {
        let zone = without_keys(&self.zone).unwrap_or_default();
        self.own_keys()
            .fold(zone, |zone, key| zone.replace(&format!("{key}."), ""))
    }

    /// Labels of the name that look like keys.
    fn own_keys(&self) -> impl Iterator<Item = &str> {
        let places = list_keys(&self.zone).into_iter();
        places.filter_map(|place| self.zone.get(place))
    }

    /// The keys that it needs.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let parts = self.zone.split("${").skip(1);
        parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
    }

    /// The zone with its keys; `None` if one is not known.
    fn zone(&self, keys: &Keys) -> Option<String> {
        let mut zone = self.zone.clone();
        for name in self.keys() {
            zone = zone.replace(&format!("${{{name}}}"), keys.get(name)?);
        }
        Some(zone)
    }

    /// What is asked for an address.
    pub fn of_address(&self, address: IpAddr, keys: &Keys) -> Option<String> {
        Some(format!("{}.{}", reversed(address), self.zone(keys)?))
    }

    /// What is asked for a name; `None` for what is no domain name, an address in figures among
    /// them.
    pub fn of_name(&self, name: &str, keys: &Keys) -> Option<String> {
        let name = Domain::name(name.trim_end_matches('.')).ok()?;
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || !name.is_ascii() {
            return None;
        }
        let asked = format!("{name}.{}", self.zone(keys)?);
        (asked.len() <= mail::limits::DOMAIN).then_some(asked)
    }

    /// What was found, without a reason that has a key of ours in it: lists like to name the page
    /// that was asked for.
    pub fn discreet(&self, found: Found, keys: &Keys) -> Found {
        let secret = |text: &str| {
            let secrets = self.keys().filter_map(|name| keys.get(name));
            let mut secrets = secrets.map(String::as_str).chain(self.own_keys());
            let text = text.to_lowercase();
            secrets.any(|key| text.contains(&key.to_lowercase()))
        };
        match found {
            Found::Codes(codes, Some(why)) if secret(&why) => Found::Codes(codes, None),
            found => found,
        }
    }

    /// The entries that say whether a list works: one that is always listed, and one that never is.
    pub fn tests(&self, of_names: bool, keys: &Keys) -> Option<(String, String)> {
        let zone = self.zone(keys)?;
        Some(if of_names {
            (format!("test.{zone}"), format!("invalid.{zone}"))
        } else {
            (format!("2.0.0.127.{zone}"), format!("1.0.0.127.{zone}"))
        })
    }

    /// What addresses that were found mean.
    pub fn meaning(&self, found: &[Ipv4Addr]) -> Meaning {
        let fault = |code: &Ipv4Addr| {
            let octets = code.octets();
            octets.starts_with(&[127, 255, 255]) || octets.first() != Some(&127)
        };
        let usual = |code: Ipv4Addr| {
            let (least, most) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 255, 254));
            (least..=most).contains(&code) && code != Ipv4Addr::new(127, 0, 1, 255)
        };
        let counts = |code: &Ipv4Addr| {
            let codes = self.codes.as_ref();
            codes.map_or_else(|| usual(*code), |codes| codes.contain(*code))
        };
        if found.iter().any(fault) {
            Meaning::Fault
        } else if found.iter().any(counts) {
            Meaning::Listed
        } else {
            Meaning::NotListed
        }
    }
}

/// Reads `NAME = key` lines; `#` begins a comment. The error begins with the line, and never shows
/// a key.
pub fn keys(text: &str) -> Result<Keys, String> {
    let mut keys = Keys::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let split = line.split_once(['=', ' ', '\t']);
        let (name, key) = split.map_or((line, ""), |(name, rest)| {
            (
                name.trim(),
                rest.trim_start_matches([' ', '\t', '=']).trim_end(),
            )
        });
        if !is_key_name(name) || Domain::name(key).is_err() {
            return Err(format!(
                "{number}: write NAME = key, with the key that the list gave you"
            ));
        }
        keys.insert(name.to_owned(), key.to_owned());
    }
    Ok(keys)
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A zone in lower case, whose keys keep the case of their names.
trait LowerOutsideKeys {
    fn to_ascii_lowercase_outside_keys(&self) -> String;
}
impl LowerOutsideKeys for str {
    fn to_ascii_lowercase_outside_keys(&self) -> String {
        let mut out = String::with_capacity(self.len());
        let mut inside = false;
        for c in self.chars() {
            inside = (inside && c != '}') || c == '{';
            out.push(if inside { c } else { c.to_ascii_lowercase() });
        }
        out
    }
}

/// The zone without `${NAME}` and the dot behind it; `None` if a bracket is open.
fn without_keys(zone: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = zone;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}')?;
        if !is_key_name(name) {
            return None;
        }
        out.push_str(before);
        rest = behind.strip_prefix('.').unwrap_or(behind);
    }
    out.push_str(rest);
    Some(out)
}

/// The address as lists are asked for it: octets, or nibbles, from the last to the first.
fn reversed(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let nibbles = octets
                .iter()
                .rev()
                .map(|octet| format!("{:x}.{:x}", octet & 15, octet >> 4));
            nibbles.collect::<Vec<_>>().join(".")
        }
    }
}

/// The name under which the name of an address is found.
pub fn reverse_name(address: IpAddr) -> String {
    let zone = if address.to_canonical().is_ipv4() {
        "in-addr"
    } else {
        "ip6"
    };
    format!("{}.{zone}.arpa", reversed(address))
}

impl Codes {
    /// Four octets, each a number or a list in brackets; a dot inside brackets is that of `..`.
    fn parse(text: &str) -> Option<Self> {
        let mut octets = Vec::new();
        let mut rest = text;
        loop {
            let end = if rest.starts_with('[') {
                rest.find(']')?.checked_add(1)?
            } else {
                rest.find('.').unwrap_or(rest.len())
            };
            let (octet, after) = rest.split_at_checked(end)?;
            octets.push(ranges(octet)?);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix('.')?;
        }
        octets.try_into().ok().map(Self)
    }

    fn contain(&self, code: Ipv4Addr) -> bool {
        let pairs = self.0.iter().zip(code.octets());
        pairs.into_iter().all(|(ranges, octet)| {
            ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&octet))
        })
    }
}

/// `2`, `[2;4]`, `[2..11]`, `[2;4..11]`
fn ranges(octet: &str) -> Option<Vec<(u8, u8)>> {
    let inner = octet
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let Some(inner) = inner else {
        let number = octet.parse().ok()?;
        return Some(vec![(number, number)]);
    };
    inner
        .split([';', ','])
        .map(|part| {
            let (from, to) = part.split_once("..").unwrap_or((part, part));
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some((from, to))
        })
        .collect()
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> List {
        List::parse(text, true).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn an_address_is_asked_for_backwards_and_a_mapped_one_is_ipv4() {
        let keys = Keys::new();
        for (client, asked) in [
            ("192.0.2.25", "25.2.0.192.six.example"),
            ("::ffff:192.0.2.25", "25.2.0.192.six.example"),
            (
                "2001:db8:0:3::19",
                "9.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.six.example",
            ),
        ] {
            let list = list("six.example");
            assert_eq!(
                list.of_address(client.parse().unwrap(), &keys).unwrap(),
                asked
            );
        }
        let reverse = reverse_name("2001:db8::1".parse().unwrap());
        assert!(reverse.starts_with("1.0.0.") && reverse.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"));
    }

    #[test]
    fn only_listed_codes_count_and_a_lists_complaint_about_us_is_never_a_listing() {
        use Meaning::{Fault, Listed, NotListed};
        for (text, code, meaning) in [
            ("a.example", "127.0.0.2", Listed),
            ("a.example", "127.0.1.2", Listed),
            ("a.example", "127.0.255.254", Listed),
            ("a.example", "127.0.1.255", NotListed),
            ("a.example", "127.0.255.255", NotListed),
            ("a.example", "127.0.0.1", NotListed),
            ("a.example", "127.1.0.2", NotListed),
            ("a.example", "127.255.255.254", Fault),
            ("a.example", "127.255.255.0", Fault),
            ("a.example", "198.51.100.7", Fault),
            ("a.example=127.0.0.[2..11]", "127.0.0.11", Listed),
            ("a.example=127.0.0.[2..11]", "127.0.0.12", NotListed),
            ("a.example=127.0.0.[2;4..6;9]", "127.0.0.5", Listed),
            ("a.example=127.0.0.[2;4..6;9]", "127.0.0.7", NotListed),
            ("a.example=127.0.[0..1].2", "127.0.1.2", Listed),
            (
                "a.example=127.[0..255].[0..255].[0..255]",
                "127.255.255.252",
                Fault,
            ),
            ("a.example=127.0.0.2*3", "127.0.0.2", Listed),
        ] {
            assert_eq!(
                list(text).meaning(&[code.parse().unwrap()]),
                meaning,
                "{text} {code}"
            );
        }
        let two = ["127.0.0.4".parse().unwrap(), "127.0.0.200".parse().unwrap()];
        assert_eq!(list("a.example=127.0.0.[2..11]").meaning(&two), Listed);
        assert_eq!(
            (list("a.example*-2").weight, list("a.example").weight),
            (-2, 1)
        );
    }

    #[test]
    fn a_key_is_in_the_name_that_is_asked_and_in_none_that_is_shown() {
        let keys = Keys::from([("DQS".to_owned(), "secret0key".to_owned())]);
        let list = list("${DQS}.Zen.example=127.0.0.[2..11]*2");
        assert_eq!(list.name(), "zen.example");
        let asked = list.of_address([192, 0, 2, 1].into(), &keys);
        assert_eq!(asked.as_deref(), Some("1.2.0.192.secret0key.zen.example"));
        assert_eq!(list.keys().collect::<Vec<_>>(), ["DQS"]);
        assert_eq!(list.of_address([192, 0, 2, 1].into(), &Keys::new()), None);
        assert!(!list.to_string().contains("secret0key"));

        let list = self::list("a2b3c4d5e6f7g8h9i2j3k4l5m6.zen.dq.spamhaus.net");
        assert_eq!(list.name(), "zen.dq.spamhaus.net");
        let asked = list.of_address([192, 0, 2, 1].into(), &keys).unwrap();
        assert!(asked.ends_with(".a2b3c4d5e6f7g8h9i2j3k4l5m6.zen.dq.spamhaus.net"));
        let why = "see https://example/?zone=A2b3c4d5e6f7g8h9i2j3k4l5m6.zen.dq.spamhaus.net";
        let found = Found::Codes(Vec::new(), Some(why.to_owned()));
        assert_eq!(list.discreet(found, &keys), Found::Codes(Vec::new(), None));
    }

    #[test]
    fn a_name_is_asked_for_as_dns_knows_it_and_figures_are_not() {
        let (list, keys) = (list("dbl.example"), Keys::new());
        for (name, asked) in [
            ("Ham.Example", Some("ham.example.dbl.example")),
            ("ham.example.", Some("ham.example.dbl.example")),
            (
                "b\u{fc}cher.example",
                Some("xn--bcher-kva.example.dbl.example"),
            ),
            ("192.0.2.1", None),
            ("[192.0.2.1]", None),
            ("a..b", None),
            ("", None),
        ] {
            assert_eq!(list.of_name(name, &keys).as_deref(), asked, "{name}");
        }
        let long = format!("{}.example", ["a"; 120].join("."));
        assert_eq!(
            list.of_name(&long, &keys),
            None,
            "longer than a name can be"
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bad in [
            "",
            "=127.0.0.2",
            "a b",
            "a.example=127.0.0",
            "a.example=127.0.0.[2..",
            "a.example=127.0.0.256",
            "a.example=127.0.0.[9..2]",
            "a.example*x",
            "${}.a.example",
            "${X.a.example",
            "${a-b}.example",
            "a.example=127.0.0.2.3",
            "a..example",
        ] {
            assert!(List::parse(bad, true).is_err(), "{bad}");
        }
        assert!(
            List::parse("a.example*2", false)
                .unwrap_err()
                .contains("dnsbl.lists")
        );
    }
}
