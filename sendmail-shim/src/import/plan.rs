//! What another program's configuration says, in our words.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use mail::{
    address::{Address, domain},
    masked::free_text,
    nexthop::Nexthop,
};
use relay::trust::Pin;
use sendmail::config::forms::{MAXIMAL, MINIMAL};
use settings::{Span, form::Form};

use super::{
    ours::Ours,
    source::{Lookup, Place, UNREADABLE, is_readable},
};

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
    /// What must be in the result if this is to be true.
    promised: Option<Ours>,
    /// The relayhost that it is about.
    pub(super) relay: Option<Nexthop>,
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
    /// The relayhosts that had this login.
    pub(super) hears_it: Vec<Nexthop>,
    /// Certificate and key with which this machine shows itself.
    pub client_certificate: Option<(String, String)>,
    /// Where programs speak SMTP to this machine.
    pub listen: Vec<SocketAddr>,
    /// Lines of the table of senders.
    pub revaliases: Vec<String>,
    pub notes: Vec<Note>,
}

/// Keys, what becomes of them, and why.
pub type Words = &'static [(&'static [&'static str], Verdict, &'static str)];

impl Plan {
    /// Of a program under which others choose their own From.
    pub fn keeping_senders() -> Self {
        Self {
            from_override: Some(true),
            ..Self::default()
        }
    }

    /// Notes what became of a key.
    pub fn note(&mut self, verdict: Verdict, at: Place<'_>, key: &str, text: impl Into<String>) {
        let key = key.chars().filter(|c| !c.is_control()).take(120);
        self.notes.push(Note {
            verdict,
            place: format!("{}:{}", at.path, at.line),
            key: free_text(&key.collect::<String>()),
            text: free_text(&text.into()),
            promised: None,
            relay: None,
        });
    }

    /// The key is one of ours, if that is in the result in the end.
    pub fn mapped(&mut self, at: Place<'_>, key: &str, ours: Ours) {
        self.mapped_as(at, key, ours, ours.name());
    }

    /// The same, with more to say.
    pub fn mapped_as(&mut self, at: Place<'_>, key: &str, ours: Ours, text: impl Into<String>) {
        self.note(Verdict::Mapped, at, key, text);
        if let Some(note) = self.notes.last_mut() {
            note.promised = Some(ours);
        }
    }

    /// A sentence about the whole of a file.
    pub fn about(&mut self, verdict: Verdict, path: &str, key: &str, text: impl Into<String>) {
        self.note(verdict, Place { path, line: 1 }, key, text);
    }

    /// The last word, when all is read: what was promised and is not in the result was not taken.
    pub fn conclude(&mut self, main: &str) {
        self.leave_out_strangers();
        self.leave_out_unreadable(main);
        self.break_promises();
        self.waits();
        self.break_promises();
        if self.relayhost.is_empty() {
            let text = "none was found, so mail waits here: set relayhost = \"[HOST]:587\"";
            self.about(Verdict::Insecure, main, "relayhost", text);
        }
    }

    fn break_promises(&mut self) {
        let notes = self.notes.iter();
        let lost: Vec<_> = notes
            .map(|note| note.promised.filter(|ours| !self.has(*ours)))
            .collect();
        for (note, lost) in self.notes.iter_mut().zip(lost) {
            if let Some(ours) = lost {
                note.verdict = Verdict::Unmapped;
                note.text = format!("could not be used: set {}", ours.name());
                note.promised = None;
            }
        }
    }

    /// The port of relayhosts without one.
    pub fn usual_port(&mut self, port: u16) {
        let noted = self.notes.iter_mut().filter_map(|note| note.relay.as_mut());
        let relays = self.relayhost.iter_mut().chain(noted);
        relays.for_each(|relay| relay.port = relay.port.or(Some(port)));
    }

    /// What was said of these relayhosts when they were read is not so.
    pub(super) fn left_out(&mut self, relays: &[Nexthop], text: &str) {
        for note in &mut self.notes {
            if note.relay.as_ref().is_some_and(|it| relays.contains(it)) {
                let relay = note
                    .relay
                    .take()
                    .map_or_else(String::new, |it| it.to_string());
                note.verdict = Verdict::Insecure;
                note.text = format!("{relay} {text}");
                note.promised = None;
            }
        }
    }

    /// Whether it is in the result.
    fn has(&self, ours: Ours) -> bool {
        match ours {
            Ours::Relayhost => !self.relayhost.is_empty(),
            Ours::Domain => self.domain.is_some(),
            Ours::Hostname => self.hostname.is_some(),
            Ours::Tls => self.tls.is_some(),
            Ours::Pins => !self.pins.is_empty(),
            Ours::Admin => self.admin.is_some(),
            Ours::FromOverride => self.from_override.is_some(),
            Ours::MessageSize => self.message_size.is_some(),
            Ours::Minimal => self.minimal.is_some(),
            Ours::Maximal => self.maximal.is_some(),
            Ours::Lifetime => self.lifetime.is_some(),
            Ours::Aliases => self.aliases.is_some(),
            Ours::Auth => self.credentials.is_some(),
            Ours::Certificate => self.client_certificate.is_some(),
            Ours::Revaliases => !self.revaliases.is_empty(),
            Ours::Listen => !self.listen.is_empty(),
        }
    }

    /// The shortest wait is not longer than the longest, whichever of them is ours.
    fn waits(&mut self) {
        let or_usual = |span: Option<Duration>, form: &Form<Span>| {
            let usual = form.default.map_or(Duration::ZERO, |usual| usual.0);
            span.unwrap_or(usual)
        };
        let minimal = or_usual(self.minimal, &MINIMAL);
        let maximal = or_usual(self.maximal, &MAXIMAL);
        match (self.minimal, self.maximal) {
            _ if minimal <= maximal => {}
            (Some(_), Some(_)) => (self.minimal, self.maximal) = (None, None),
            (Some(_), None) => self.maximal = Some(minimal),
            _ => self.minimal = Some(maximal),
        }
    }

    /// So many seconds; noted as not taken over if they are none, or beyond all measure.
    pub fn seconds(&mut self, at: Place<'_>, key: &str, ours: Ours, seconds: Option<u64>) {
        let span = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
        let span = span.map(Duration::from_secs);
        match ours {
            Ours::Minimal => self.minimal = span,
            Ours::Maximal => self.maximal = span,
            _ => self.lifetime = span,
        }
        self.mapped(at, key, ours);
    }

    /// All local names send as this address.
    pub fn sender_of_all(&mut self, at: Place<'_>, key: &str, value: &str) {
        match Address::parse(value.trim()) {
            Ok(address) => {
                self.revaliases.push(format!("*:{address}"));
                let text = "revaliases: all local names send as this address";
                self.mapped_as(at, key, Ours::Revaliases, text);
            }
            Err(error) => self.note(Verdict::Unmapped, at, key, error.to_string()),
        }
    }

    /// Programs spoke SMTP there: where that is this machine alone they still do.
    pub fn listens(&mut self, lookup: &Lookup<'_>, at: Place<'_>, key: &str, of: &[SocketAddr]) {
        // An address that the machine does not have would be tried for ever.
        let ipv6 = lookup("/proc/net/if_inet6").is_some_and(|it| !it.text.trim().is_empty());
        let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        for address in of {
            let own = match address.ip() {
                ip if !ip.is_unspecified() => Vec::from([ip]),
                IpAddr::V4(_) => Vec::from([v4]),
                IpAddr::V6(_) => Vec::from([v4, v6]),
            };
            for ip in own.into_iter().filter(|ip: &IpAddr| ip.is_loopback()) {
                let here = SocketAddr::new(ip, address.port());
                if (ip.is_ipv4() || ipv6) && !self.listen.contains(&here) {
                    self.listen.push(here);
                }
            }
        }
        self.mapped(at, key, Ours::Listen);
        if !of.iter().all(|address| address.ip().is_loopback()) {
            let text = "other machines could connect too: here this one alone can, and others need a smarthost";
            self.note(Verdict::Unmapped, at, key, text);
        }
    }

    /// The relayhost's port; noted as not taken over if it is none.
    pub fn port(&mut self, at: Place<'_>, key: &str, value: &str) -> Option<u16> {
        let port = Nexthop::parse(&format!("[x]:{value}")).ok();
        let port = port.and_then(|nexthop| nexthop.port);
        match port {
            Some(_) => self.mapped_as(at, key, Ours::Relayhost, "the port of relayhost"),
            None => self.note(Verdict::Unmapped, at, key, "is no port"),
        }
        port
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
    pub fn name(&mut self, at: Place<'_>, key: &str, value: &str, ours: Ours) {
        let value = value.trim_end_matches('.');
        let local = value.eq_ignore_ascii_case("localhost") || value.starts_with("localhost.");
        if !domain::is_name(value) || local || value.parse::<IpAddr>().is_ok() {
            let text = format!("is no name that others know: set {}", ours.name());
            return self.note(Verdict::Unmapped, at, key, text);
        }
        let value = Some(value.to_owned());
        match ours {
            Ours::Hostname => self.hostname = value,
            _ => self.domain = value,
        }
        self.mapped(at, key, ours);
    }

    /// The administrators' address; a bare name needs a domain first.
    pub fn admin(&mut self, at: Place<'_>, key: &str, value: &str) {
        match Address::parse(value) {
            Ok(address) => {
                self.mapped(at, key, Ours::Admin);
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

    /// A line of the table of senders. What the other program never matched (blanks, a `*` that
    /// stood for itself) must not match here.
    pub fn revalias(&mut self, at: Place<'_>, user: &str, address: &str) {
        let special = |c: char| c.is_whitespace() || matches!(c, '*' | '"' | '/' | '|' | ':');
        if user.is_empty() || user.contains(special) {
            self.note(Verdict::Unmapped, at, user, "is no user's name");
        } else {
            self.revaliases.push(format!("{user}:{}", address.trim()));
            self.mapped(at, user, Ours::Revaliases);
        }
    }

    /// One more relayhost, where its name is one.
    pub fn relay(
        &mut self,
        at: Place<'_>,
        key: &str,
        host: &str,
        port: Option<u16>,
    ) -> Option<Nexthop> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let text = match port {
            Some(port) => format!("[{host}]:{port}"),
            None => format!("[{host}]"),
        };
        match Nexthop::parse(&text) {
            Ok(nexthop) => self.nexthop(at, key, nexthop),
            Err(error) => {
                self.note(Verdict::Unmapped, at, key, error.to_string());
                None
            }
        }
    }

    /// One more relayhost; the same one twice is one.
    pub fn nexthop(&mut self, at: Place<'_>, key: &str, nexthop: Nexthop) -> Option<Nexthop> {
        if !is_readable(&nexthop.host) {
            self.note(Verdict::Insecure, at, key, UNREADABLE);
            return None;
        }
        self.mapped(at, key, Ours::Relayhost);
        if let Some(note) = self.notes.last_mut() {
            note.relay = Some(nexthop.clone());
        }
        if !self.relayhost.contains(&nexthop) {
            self.relayhost.push(nexthop.clone());
        }
        Some(nexthop)
    }

    /// The other program logged in with a token of OAuth 2.0, which is good for an hour: it is no
    /// password.
    pub fn token(&mut self, at: Place<'_>, key: &str) {
        let text = "a token of OAuth 2.0 is no password: set auth.user, and auth.token with a program that prints one \
                    (sendmail-shim.toml(5)); until then this machine does not log in";
        self.note(Verdict::Insecure, at, key, text);
    }

    /// Certificate and key; one file may hold both.
    pub fn certificate(&mut self, at: Place<'_>, key: &str, files: [Option<&str>; 2]) {
        let [certificate, private] = files.map(|file| file.filter(|file| !file.is_empty()));
        let Some(certificate) = certificate else {
            return;
        };
        let private = private.unwrap_or(certificate);
        self.client_certificate = Some((certificate.to_owned(), private.to_owned()));
        self.mapped(at, key, Ours::Certificate);
    }

    /// The SHA-256 of the relayhost's certificate.
    pub fn fingerprint(&mut self, at: Place<'_>, key: &str, value: &str) {
        match Pin::parse(&format!("cert-sha256:{value}")) {
            Ok(pin) => {
                self.pins.push(pin);
                let text = "pins (of the certificate: rather pin the key)";
                self.mapped_as(at, key, Ours::Pins, text);
            }
            Err(_) => self.unchecked(at, key, "only SHA-256 fingerprints are taken over"),
        }
    }

    /// What says whether TLS is used; it always is.
    pub fn tls(&mut self, at: Place<'_>, key: &str) {
        let text = "TLS is always used here, as tls says";
        self.note(Verdict::Unneeded, at, key, text);
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

/// Longest time that is taken over, seconds: ten years.
const LONGEST: u64 = 315_360_000;
