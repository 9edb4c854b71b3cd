//! What another program's configuration says, in our words.

use std::{fmt::Write as _, time::Duration};

use mail::{
    address::{Address, domain},
    nexthop::Nexthop,
};
use relay::trust::Pin;
use settings::layers::{quote, strings};

/// A file of the other program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// As the other program names it.
    pub path: String,
    pub text: String,
    /// Whether everybody on the machine may read it.
    pub world_readable: bool,
}

/// Finds a file by the name that the other program uses for it.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Source> + 'a;

/// What became of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is in our configuration now.
    Mapped,
    /// Nothing here needs it.
    Unneeded,
    /// It is not taken over.
    Unmapped,
    /// It needs a decision: safety depends on it.
    Insecure,
}

/// One key of the other program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub verdict: Verdict,
    /// `/etc/ssmtp/ssmtp.conf:3`.
    pub place: String,
    /// What it says there; never a password.
    pub key: String,
    /// What that means here.
    pub text: String,
}

/// User and password at the relayhost.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// TLS towards the relayhost, as the other program had it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    StartTls,
    Wrapped,
}

/// Our configuration, as far as the other one says it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub relayhost: Vec<Nexthop>,
    pub domain: Option<String>,
    pub hostname: Option<String>,
    pub tls: Option<Tls>,
    pub pins: Vec<Pin>,
    pub admin: Option<Address>,
    pub from_override: Option<bool>,
    pub message_size: Option<u64>,
    pub minimal: Option<Duration>,
    pub maximal: Option<Duration>,
    pub lifetime: Option<Duration>,
    pub aliases: Option<String>,
    pub credentials: Option<Credentials>,
    /// Certificate and key with which this machine shows itself.
    pub client_certificate: Option<(String, String)>,
    /// Lines of the table of senders.
    pub revaliases: Vec<String>,
    pub notes: Vec<Note>,
}

/// Keys, what becomes of them, and why.
pub type Words = &'static [(&'static [&'static str], Verdict, &'static str)];

/// Where a key stands: file and line.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub path: &'a str,
    pub line: usize,
}

impl Plan {
    /// Notes what became of a key.
    pub fn note(&mut self, verdict: Verdict, at: Place<'_>, key: &str, text: impl Into<String>) {
        let key = key.chars().filter(|c| !c.is_control()).take(120).collect();
        self.notes.push(Note {
            verdict,
            place: format!("{}:{}", at.path, at.line),
            key,
            text: text.into(),
        });
    }

    /// The key is one of ours now.
    pub fn mapped(&mut self, at: Place<'_>, key: &str, ours: impl Into<String>) {
        self.note(Verdict::Mapped, at, key, ours);
    }

    /// What a table says of a key that needs no more than a word.
    pub fn told(&mut self, at: Place<'_>, key: &str, words: Words, otherwise: &str) {
        let found = words.iter().find(|(keys, ..)| keys.contains(&key));
        match found {
            Some((_, verdict, text)) => self.note(*verdict, at, key, *text),
            None => self.note(Verdict::Unmapped, at, key, otherwise),
        }
    }

    /// A host name for a key of ours; noted as not taken over if it is none.
    pub fn name(&mut self, at: Place<'_>, key: &str, value: &str, ours: &str) -> Option<String> {
        let value = value.trim_end_matches('.');
        if domain::is_name(value) {
            self.mapped(at, key, ours);
            Some(value.to_owned())
        } else {
            self.note(Verdict::Unmapped, at, key, "is no host name");
            None
        }
    }

    /// The administrators' address; a bare name needs a domain first.
    pub fn admin(&mut self, at: Place<'_>, key: &str, value: &str) {
        match Address::parse(value) {
            Ok(address) => {
                self.mapped(at, key, "admin");
                self.admin = Some(address);
            }
            Err(_) => self.note(
                Verdict::Unmapped,
                at,
                key,
                "is no address: set admin = \"NAME@example.org\"",
            ),
        }
    }

    /// A line of the table of senders. What the other program never matched (blanks, a `*` that stood for itself) must not match here.
    pub fn revalias(&mut self, at: Place<'_>, user: &str, address: &str) {
        let special = |c: char| c.is_whitespace() || matches!(c, '*' | '"' | '/' | '|' | ':');
        if user.is_empty() || user.contains(special) {
            self.note(Verdict::Unmapped, at, user, "is no user's name");
        } else {
            self.revaliases.push(format!("{user}:{}", address.trim()));
            self.mapped(at, user, "revaliases");
        }
    }

    /// One more relayhost.
    pub fn relay(&mut self, at: Place<'_>, key: &str, host: &str, port: Option<u16>) {
        let text = match port {
            Some(port) => format!("[{host}]:{port}"),
            None => format!("[{host}]"),
        };
        match Nexthop::parse(&text) {
            Ok(nexthop) => {
                self.mapped(at, key, "relayhost");
                self.relayhost.push(nexthop);
            }
            Err(error) => self.note(Verdict::Unmapped, at, key, error.to_string()),
        }
    }

    /// User and password; a file that everybody can read has told them to everybody.
    pub fn login(&mut self, source: &Source, at: Place<'_>, credentials: Credentials) {
        let key = format!("user {}", credentials.user);
        self.mapped(at, &key, "auth, with the password in a file of its own");
        if source.world_readable {
            self.note(
                Verdict::Insecure,
                at,
                &key,
                "everybody on this machine could read the password: change it at the relayhost",
            );
        }
        self.credentials = Some(credentials);
    }

    /// Nothing checked whom the mail goes to: `why`. Ours does, so a pin may be needed.
    pub fn unchecked(&mut self, at: Place<'_>, key: &str, why: &str) {
        let host = self.relayhost.first().map_or_else(
            || "HOST".to_owned(),
            |first| match first.port {
                Some(port) if !first.host.contains(':') => format!("{}:{port}", first.host),
                _ => first.host.clone(),
            },
        );
        let text = format!(
            "{why}; here it must be pinned, or certified by an authority of the web: paste what `sendmail-shim pin {host}` prints"
        );
        self.note(Verdict::Insecure, at, key, text);
    }

    /// Whether something needs a decision.
    pub fn is_unsafe(&self) -> bool {
        self.notes
            .iter()
            .any(|note| note.verdict == Verdict::Insecure)
    }

    /// `config.toml`; `password_file` is where the password will be.
    pub fn config(&self, program: &str, password_file: &str) -> String {
        let mut out = format!("# Taken over from {program} by sendmail-shim import.\n");
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{key} = {value}");
        };
        if !self.relayhost.is_empty() {
            line("relayhost", strings(&self.relayhost));
        }
        match self.tls {
            Some(Tls::Wrapped) => line("tls", quote("wrapped")),
            Some(Tls::StartTls) => line("tls", quote("starttls")),
            None => {}
        }
        if !self.pins.is_empty() {
            line("pins", strings(&self.pins));
        }
        for (key, value) in [
            ("domain", self.domain.clone()),
            ("hostname", self.hostname.clone()),
            ("admin", self.admin.as_ref().map(ToString::to_string)),
            ("aliases", self.aliases.clone()),
        ] {
            if let Some(value) = value {
                line(key, quote(&value));
            }
        }
        if let Some(own) = self.from_override {
            line("from_override", own.to_string());
        }
        if let Some(size) = self.message_size {
            line("message_size", size.to_string());
        }
        self.tables(&mut line, password_file);
        out
    }

    fn tables(&self, line: &mut impl FnMut(&str, String), password_file: &str) {
        if let Some(credentials) = &self.credentials {
            line("auth.user", quote(&credentials.user));
            line("auth.password_file", quote(password_file));
        }
        if let Some((certificate, key)) = &self.client_certificate {
            line("certificate", quote(certificate));
            line("key", quote(key));
        }
        for (key, span) in [
            ("retry.minimal", self.minimal),
            ("retry.maximal", self.maximal),
            ("retry.lifetime", self.lifetime),
        ] {
            if let Some(span) = span {
                line(key, format!("\"{}s\"", span.as_secs()));
            }
        }
    }

    /// What became of each key, for people.
    pub fn report(&self) -> Vec<String> {
        let word = |verdict| match verdict {
            Verdict::Mapped => "mapped   ",
            Verdict::Unneeded => "unneeded ",
            Verdict::Unmapped => "NOT TAKEN",
            Verdict::Insecure => "DECIDE   ",
        };
        let lines = self.notes.iter().map(|note| {
            format!(
                "{} {} {}: {}",
                word(note.verdict),
                note.place,
                note.key,
                note.text
            )
        });
        lines.collect()
    }
}

/// `yes`, `on`, `true`, `1`, in any case.
pub(super) fn is_yes(value: &str) -> bool {
    ["yes", "on", "true", "1"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Numbered lines, from 1.
pub(super) fn lines(source: &Source) -> impl Iterator<Item = (Place<'_>, &str)> {
    (1..).zip(source.text.lines()).map(|(line, text)| {
        (
            Place {
                path: &source.path,
                line,
            },
            text,
        )
    })
}
