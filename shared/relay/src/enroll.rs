//! Enrolment: a machine becomes known to a smarthost by a key of its own. The line that its
//! administrator pastes, and what `XENROLL` says; both programs read and write them here.
//!
//! | field of the line | what |
//! |---|---|
//! | `enroll1` | what it is, and in which form |
//! | `vm7` | as whom the machine is to be known |
//! | `mail.example.org`, `465` | the smarthost, and a port of it where keys are asked for |
//! | `wrapped` or `starttls` | how TLS begins there |
//! | `sha256:…` | the smarthost's key |
//! | the rest | a secret that is good for one key |
//!
//! Contract: a line has fields between commas and no character that a shell takes for something
//! else. Reading is total and bounded; what was read is valid. The machine's own key never appears:
//! it is the one that the TLS session under `XENROLL` has proved.
//! Failures: a text for the administrator, which never repeats the line, since that has the secret
//! in it.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{borrow::Borrow, fmt, net::IpAddr};

use mail::{address::Domain, nexthop::Nexthop, status::EnhancedStatus};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::trust::{Hex, Pin, unhex};

/// What a line begins with.
const FORM: &str = "enroll1";
/// Longest line, bytes.
const MOST: usize = 512;
/// Longest name, bytes.
const NAME: usize = 63;
/// Signs of a secret.
const SECRET: usize = 26;

/// As whom a machine is known: letters, digits, `-`, `.` and `_`, in lower case; no address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_name = begins
            && text.len() <= NAME
            && text.bytes().all(plain)
            // Digits and dots alone would be an address, or part of one.
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_name {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!(
                "{:?} is no name of a machine: write up to {NAME} letters, digits, \"-\", \".\" and \"_\", a letter among them",
                text.chars().take(NAME).collect::<String>()
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// What lets one key in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Says nothing of it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    pub fn made() -> Result<Self, String> {
        system::secret::made_up().map(Self)
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_secret = text.len() == SECRET && text.bytes().all(plain);
        is_secret.then(|| Self(text.to_owned()))
    }

    /// What the smarthost keeps of it; the secret of one name is none for another.
    pub fn digest(&self, name: &Name) -> Digest {
        let text = [FORM, name.as_str(), &self.0].join(",");
        Digest(Sha256::digest(text).into())
    }
}

/// The hash of a secret with its name. Compared in the same time, wherever the difference is.
#[derive(Clone, Copy, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        smtp::sasl::is_same(&self.0, &other.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        unhex(&text).map(Self).ok_or("not 64 hexadecimal digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        Hex(&digest.0).to_string()
    }
}

/// What a machine needs to enrol itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub name: Name,
    /// A name, or an address.
    pub host: String,
    pub port: u16,
    /// TLS from the first byte.
    pub wrapped: bool,
    /// The smarthost's key.
    pub pin: Pin,
    pub secret: Secret,
}

/// As it is pasted.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, host, port, pin) = (&self.name, &self.host, self.port, &self.pin);
        let tls = if self.wrapped { "wrapped" } else { "starttls" };
        let secret = &self.secret.0;
        write!(f, "{FORM},{name},{host},{port},{tls},{pin},{secret}")
    }
}

impl Line {
    /// Reads one; blanks around it do not matter.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = |what: &str| format!("that is no line of `smarthost enroll`: {what}");
        if text.len() > MOST {
            return Err(wrong("it is too long"));
        }
        let fields: Vec<&str> = text.split(',').collect();
        let [form, name, host, port, tls, pin, secret] = fields.as_slice() else {
            return Err(wrong("it has not its seven fields; paste all of it"));
        };
        if *form != FORM {
            return Err(wrong(
                "it begins with another word than enroll1: is it of a newer version?",
            ));
        }
        let name = Name::parse(name).map_err(|_| wrong("its second field is no name"))?;
        let host = host_of(host).ok_or_else(|| wrong("its third field is no host"))?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        let port = port.ok_or_else(|| wrong("its fourth field is no port"))?;
        let wrapped = match *tls {
            "wrapped" => true,
            "starttls" => false,
            _ => {
                return Err(wrong(
                    "its fifth field is neither \"wrapped\" nor \"starttls\"",
                ));
            }
        };
        let pin = key(pin).ok_or_else(|| wrong("its sixth field is no pin"))?;
        let secret = Secret::parse(secret)
            .ok_or_else(|| wrong("its secret is not whole; paste all of the line"))?;
        Ok(Self {
            name,
            host,
            port,
            wrapped,
            pin,
            secret,
        })
    }

    /// Where the smarthost is.
    pub fn nexthop(&self) -> Nexthop {
        Nexthop {
            host: self.host.clone(),
            port: Some(self.port),
            mx: self.host.parse::<IpAddr>().is_err(),
        }
    }
}

/// A host as it can stand in a line: a name, or an address without brackets, which shells take for
/// a pattern.
fn host_of(text: &str) -> Option<String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_string()),
        Err(_) => Domain::name(text)
            .ok()
            .filter(|_| text.is_ascii())
            .map(|name| name.to_string()),
    }
}

/// The SHA-256 of a public key, with its algorithm, and without colons among its digits.
fn key(text: &str) -> Option<Pin> {
    let pin = Pin::parse(text).ok()?;
    let is_key = matches!(pin, Pin::KeySha256(_)) && pin.to_string() == text;
    is_key.then_some(pin)
}

/// Enhanced codes of refusals that a machine tells apart: nobody has the key that was shown; the
/// key that is to be let in was used before, so that another one is needed.
pub const NOT_KNOWN: EnhancedStatus = EnhancedStatus::new(5, 7, 13);
pub const USED_BEFORE: EnhancedStatus = EnhancedStatus::new(5, 7, 5);

/// Whether a failure is of that sort; where a connection is made none is for good.
pub fn is_refusal(status: EnhancedStatus, sort: EnhancedStatus) -> bool {
    status.says(sort.subject(), sort.detail())
}

/// What `XENROLL` says, in a session that has shown a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// That key is this machine's from now on.
    Key { name: Name, secret: Secret },
    /// That key is known; this one will take its place.
    Next(Pin),
}

/// What stands behind the verb.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { name, secret } => write!(f, "NAME={name} SECRET={}", secret.0),
            Self::Next(pin) => write!(f, "NEXT={pin}"),
        }
    }
}

impl Said {
    /// Reads what stands behind the verb.
    pub fn parse(arguments: &str) -> Option<Self> {
        let mut words = arguments.split(' ');
        let (first, second) = (words.next()?, words.next());
        if words.next().is_some() {
            return None;
        }
        let value = |word: &str, attribute: &str| -> Option<String> {
            let (known, value) = word.split_once('=')?;
            known
                .eq_ignore_ascii_case(attribute)
                .then(|| value.to_owned())
        };
        match second {
            None => key(&value(first, "NEXT")?).map(Self::Next),
            Some(second) => Some(Self::Key {
                name: Name::parse(&value(first, "NAME")?).ok()?,
                secret: Secret::parse(&value(second, "SECRET")?)?,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(host: &str) -> Line {
        Line {
            name: Name::parse("vm7").unwrap(),
            host: host.to_owned(),
            port: 465,
            wrapped: true,
            pin: Pin::KeySha256([0x9f; 32]),
            secret: Secret("abcdefghijkmnpqrstuvwxyz23".to_owned()),
        }
    }

    #[test]
    fn a_line_can_be_pasted_into_a_shell_and_is_read_as_it_was_written() {
        for host in ["mail.example.org", "192.0.2.1", "2001:db8::1", "localhost"] {
            let line = line(host);
            let text = line.to_string();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b",.:-_".contains(&byte);
            assert!(text.bytes().all(plain), "{text}");
            assert_eq!(Line::parse(&format!(" {text}\r\n")).as_ref(), Ok(&line));
            let hop = line.nexthop();
            assert_eq!(Nexthop::parse(&hop.to_string()).as_ref(), Ok(&hop));
        }
    }

    #[test]
    fn a_line_that_was_cut_or_changed_is_refused_and_never_repeated() {
        let whole = line("mail.example.org").to_string();
        let secret = "abcdefghijkmnpqrstuvwxyz23";
        let without = |from: &str, to: &str| whole.replace(from, to);
        for faulty in [
            String::new(),
            without("enroll1", "enroll2"),
            without("vm7", "10.0.0.7"),
            without("vm7", "-vm7"),
            without("vm7", "vm 7"),
            without("mail.example.org", "mail..org"),
            without("mail.example.org", "[2001:db8::1]"),
            without("mail.example.org", "m\u{e4}il.example"),
            without("465", "0"),
            without("465", "+465"),
            without("465", "70000"),
            without("wrapped", "none"),
            without("sha256:", "sha1:"),
            without("sha256:", "cert-sha256:"),
            without("9f9f", "9f:9f"),
            without(secret, "ABCDEFGHIJKMNPQRSTUVWXYZ23"),
            without(secret, &secret[1..]),
            format!("{whole},x"),
            format!("{whole} {whole}"),
            "x".repeat(100_000),
        ] {
            let told = Line::parse(&faulty).unwrap_err();
            assert!(
                told.contains("smarthost enroll") && !told.contains("abcdef"),
                "{told}"
            );
        }
        for end in 0..whole.len() {
            assert!(Line::parse(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }

    #[test]
    fn what_is_kept_of_a_secret_is_good_for_one_name() {
        let secret = Secret::made().unwrap();
        let [vm7, vm8] = ["vm7", "vm8"].map(|name| secret.digest(&Name::parse(name).unwrap()));
        assert_ne!(vm7, vm8);
        assert_eq!(vm7, secret.digest(&Name::parse("VM7").unwrap()));
        assert_eq!(Digest::try_from(String::from(vm7)), Ok(vm7));
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn what_xenroll_says_is_read_as_it_was_written_and_nothing_else_is() {
        let line = line("mail.example.org");
        for said in [
            Said::Key {
                name: line.name,
                secret: line.secret,
            },
            Said::Next(Pin::KeySha256([7; 32])),
        ] {
            let text = said.to_string();
            assert_eq!(Said::parse(&text).as_ref(), Some(&said));
            let (attribute, rest) = text.split_once('=').unwrap();
            let lower = format!("{}={rest}", attribute.to_lowercase());
            assert_eq!(Said::parse(&lower).as_ref(), Some(&said));
            for faulty in [
                format!("{text} NEXT=x"),
                format!("{text} "),
                text.replace('=', ""),
                text.replacen(' ', "  ", 1) + " ",
            ] {
                assert_eq!(Said::parse(&faulty), None, "{faulty}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_a_line_that_says_the_same_or_refused(
            text in "(enroll1|[a-z]{0,8}),?[ -~\u{e4}]{0,80}"
        ) {
            if let Ok(line) = Line::parse(&text) {
                prop_assert_eq!(Line::parse(&line.to_string()), Ok(line));
            }
        }

        #[test]
        fn a_line_with_one_byte_changed_is_refused_or_says_what_it_then_says(
            at in 0usize..160, byte in 0x20u8..0x7f
        ) {
            let mut bytes = line("mail.example.org").to_string().into_bytes();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(line) = Line::parse(&text) {
                prop_assert_eq!(line.to_string(), text.trim().to_ascii_lowercase());
            }
        }

        #[test]
        fn any_arguments_are_read_as_something_that_says_the_same_or_refused(
            text in "((NAME|SECRET|NEXT|name)=[ -~]{0,30} ?){0,3}"
        ) {
            if let Some(said) = Said::parse(&text) {
                prop_assert_eq!(Said::parse(&said.to_string()), Some(said));
            }
        }
    }
}
