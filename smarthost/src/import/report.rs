//! What became of each parameter, and what is written.

use std::fmt;

use settings::rows::{one_or_list, quote};

/// What became of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its value was read and is in our configuration now.
    Mapped,
    /// It says what holds here without it.
    Default,
    /// Nothing here needs it, and the text says why.
    Ignored,
    /// What it did is not done here; the text says what to do.
    NotSupported,
    /// Safety depends on it: an administrator decides.
    Decide,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Default => "default",
            Self::Ignored => "ignored on purpose",
            Self::NotSupported => "NOT SUPPORTED",
            Self::Decide => "DECIDE",
        }
    }
}

/// What became of one of them.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Note {
    pub verdict: Verdict,
    /// `/etc/postfix/main.cf:3`; without a line where nothing is written.
    pub place: String,
    /// Its name, `smtp/inet` for a service, `smtp/inet -o name` for what that sets.
    pub key: String,
    /// What that means here; never a password.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            place,
            key,
            text,
        } = self;
        write!(f, "{:<18} {place} {key}: {text}", verdict.words())
    }
}

/// A setting's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// As TOML has it.
    Plain(String),
    Texts(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Texts(texts) if texts.len() < 2 => {
                let quoted: Vec<_> = texts.iter().map(quote).collect();
                write!(f, "[{}]", quoted.join(", "))
            }
            Self::Texts(texts) => f.write_str(&one_or_list(texts)),
        }
    }
}

/// A file beside `config.toml`.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile {
    pub name: String,
    pub content: String,
    /// For the daemon alone.
    pub secret: bool,
    /// Where it was.
    pub from: String,
}

/// The result.
#[derive(Clone, Default)]
pub struct Import {
    pub notes: Vec<Note>,
    pub(super) settings: Vec<(String, Value)>,
    pub files: Vec<NewFile>,
    /// What lets more pass here than in Postfix: rules whose place an administrator decides.
    pub looser: Vec<String>,
}

/// In the order in which people read settings; others come behind.
const ORDER: [&str; 23] = [
    "hostname",
    "banner",
    "listen",
    "tls",
    "networks",
    "xclient",
    "greet_wait",
    "limits",
    "domains",
    "aliases",
    "virtual",
    "relay_recipients",
    "recipient_delimiter",
    "maildir",
    "lmtp",
    "relayhost",
    "relay_tls",
    "relay_auth",
    "tls_out",
    "tls_policy",
    "routes",
    "transport",
    "default_routes",
];

impl Import {
    /// `config.toml`
    pub fn config(&self) -> String {
        let mut settings: Vec<_> = self.settings.iter().collect();
        settings.sort_by_key(|(key, _)| {
            let first = key.split('.').next().unwrap_or_default();
            let place = ORDER.iter().position(|known| *known == first);
            place.unwrap_or(ORDER.len())
        });
        let lines = settings
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        lines.collect()
    }

    /// Whether something is not as it was.
    pub fn wants_attention(&self) -> bool {
        let mut notes = self.notes.iter();
        notes.any(|note| note.verdict >= Verdict::NotSupported)
    }
}
