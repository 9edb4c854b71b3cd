//! The policy itself, as `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` has it.
//!
//! Contract: total; of a field that stands twice the first counts, but for `mx`; unknown ones are
//! ignored.
//! Failures: a text that says what is wrong; such a policy is none. RFC 8461 §3.2, §4.1.

use std::{fmt, time::Duration};

use mail::address::Domain;

/// How long the longest lasts.
const LONGEST: Duration = Duration::from_hours(8766);
/// How long the shortest lasts: so that not each delivery fetches it.
const SHORTEST: Duration = Duration::from_mins(5);

/// What a domain wants to be kept to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub mode: Mode,
    /// Which hosts are its own.
    pub mx: Vec<Pattern>,
    pub max_age: Duration,
}

/// How far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// No other host, and none without a certificate for its name.
    Enforce,
    /// As without a policy, but told.
    Testing,
    None,
}

/// `mx1.example.org`, or `*.example.org` for one label more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    any_label: bool,
    name: String,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.any_label { "*." } else { "" };
        write!(f, "{star}{}", self.name)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("*.");
        let domain = Domain::name(name.unwrap_or(text))
            .map_err(|_| format!("mx: {} names no host", text.escape_debug()))?;
        Ok(Self {
            any_label: name.is_some(),
            name: domain.to_string(),
        })
    }

    fn fits(&self, host: &str) -> bool {
        if self.any_label {
            let below = host.split_once('.');
            below.is_some_and(|(label, rest)| !label.is_empty() && rest == self.name)
        } else {
            host == self.name
        }
    }
}

impl Policy {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let first = |wanted: &'static str| all(text, wanted).next();
        match first("version") {
            Some("STSv1") => {}
            _ => return Err("it does not say `version: STSv1`".to_owned()),
        }
        let mode = match first("mode") {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err("its mode is not enforce, testing or none".to_owned()),
        };
        let digits = first("max_age").filter(|age| {
            (1..=10).contains(&age.len()) && age.bytes().all(|byte| byte.is_ascii_digit())
        });
        let Some(seconds) = digits.and_then(|age| age.parse().ok()) else {
            return Err("its max_age is no number of seconds".to_owned());
        };
        let mx = all(text, "mx").map(Pattern::parse);
        let mx: Vec<Pattern> = mx.collect::<Result<_, _>>()?;
        if mx.is_empty() && mode != Mode::None {
            return Err("it names no mx".to_owned());
        }
        Ok(Self {
            mode,
            mx,
            max_age: Duration::from_secs(seconds).clamp(SHORTEST, LONGEST),
        })
    }

    /// Whether a host is one of the domain's.
    pub fn names(&self, host: &str) -> bool {
        let host = Domain::name(host.trim_end_matches('.'));
        host.is_ok_and(|host| self.mx.iter().any(|mx| mx.fits(&host.to_string())))
    }
}

/// The values of a field, in order.
fn all<'a>(text: &'a str, wanted: &'static str) -> impl Iterator<Item = &'a str> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let of = move |(name, value): (&'a str, &'a str)| (name.trim() == wanted).then(|| value.trim());
    fields.filter_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: &str, rest: &str) -> Result<Policy, String> {
        Policy::parse(&format!("version: STSv1\r\nmode: {mode}\r\n{rest}"))
    }

    #[test]
    fn a_policy_is_read_as_the_rfc_writes_it_and_unknown_fields_do_not_matter() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
                    mx: backupmx.example.com\r\nfuture: x\r\nmax_age: 604800\r\nmode: none\r\n";
        let read = Policy::parse(text).unwrap();
        assert_eq!(read, Policy::parse(&text.replace("\r\n", "\n")).unwrap());
        assert_eq!(read.mode, Mode::Enforce);
        assert_eq!(read.max_age, Duration::from_hours(168));
        for (host, named) in [
            ("mail.example.com", true),
            ("MAIL.Example.com.", true),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            (".example.net", false),
            ("mail.example.com.evil.example", false),
            ("evilmail.example.com", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(read.names(host), named, "{host}");
        }
        let idn = policy("enforce", "mx: *.bücher.example\nmax_age: 1\n").unwrap();
        assert!(idn.names("mx.xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_no_policy_is_none_and_its_age_has_bounds() {
        let right = "mx: a.example\nmax_age: 86400\n";
        assert!(policy("enforce", right).is_ok());
        assert!(policy("none", "max_age: 0\n").is_ok());
        for (mode, rest) in [
            ("enforce", "max_age: 86400\n"),
            ("testing", "max_age: 86400\n"),
            ("Enforce", right),
            ("", right),
            ("enforce", "mx: a.example\n"),
            ("enforce", "mx: a.example\nmax_age: -1\n"),
            ("enforce", "mx: a.example\nmax_age: 1d\n"),
            ("enforce", "mx: a.example\nmax_age: 99999999999\n"),
            ("enforce", "mx: *\nmax_age: 86400\n"),
            ("enforce", "mx: a.*.example\nmax_age: 86400\n"),
            ("enforce", "mx:\nmax_age: 86400\n"),
        ] {
            assert!(policy(mode, rest).is_err(), "{mode} {rest}");
        }
        for version in ["", "version: stsv1\n", "version: STSv2\nversion: STSv1\n"] {
            assert!(Policy::parse(&format!("{version}mode: enforce\n{right}")).is_err());
        }
        let age = |age: &str| {
            let read = policy("enforce", &format!("mx: a.example\nmax_age: {age}\n"));
            read.unwrap().max_age
        };
        assert_eq!(age("0"), SHORTEST);
        assert_eq!(age("9999999999"), LONGEST);
    }
}
