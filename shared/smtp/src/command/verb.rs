//! The first word of a command: which it is, and the arguments behind it.
//!
//! Failures: [`CommandError`] for lines that are no text.
//! RFC 5321 §2.4 (verbs in any case), §4.1.1.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::command::CommandError;

/// The commands that have a meaning here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Helo,
    Ehlo,
    /// LMTP.
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    StartTls,
    Auth,
    /// The first word of an HTTP request: a browser, or an attack through one.
    Http,
    /// Postfix's: whose session a front end hands on.
    XClient,
    /// Our own: a machine's key is made known.
    XEnroll,
    /// The header of a proxy (`crate::proxy`), whom nobody listens to.
    Proxy,
    Unknown,
}

const VERBS: [(Verb, &str); 25] = [
    (Verb::Mail, "MAIL"),
    (Verb::Rcpt, "RCPT"),
    (Verb::Data, "DATA"),
    (Verb::Bdat, "BDAT"),
    (Verb::Helo, "HELO"),
    (Verb::Ehlo, "EHLO"),
    (Verb::Lhlo, "LHLO"),
    (Verb::Rset, "RSET"),
    (Verb::Noop, "NOOP"),
    (Verb::Vrfy, "VRFY"),
    (Verb::Expn, "EXPN"),
    (Verb::Help, "HELP"),
    (Verb::Quit, "QUIT"),
    (Verb::StartTls, "STARTTLS"),
    (Verb::Auth, "AUTH"),
    (Verb::XClient, "XCLIENT"),
    (Verb::XEnroll, "XENROLL"),
    (Verb::Proxy, "PROXY"),
    (Verb::Http, "GET"),
    (Verb::Http, "HEAD"),
    (Verb::Http, "POST"),
    (Verb::Http, "PUT"),
    (Verb::Http, "CONNECT"),
    (Verb::Http, "OPTIONS"),
    (Verb::Http, "PRI"),
];

impl Verb {
    fn find(word: &str) -> Self {
        VERBS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word))
            .map_or(Self::Unknown, |(verb, _)| *verb)
    }

    /// As the log names it: `lost connection after RCPT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown | Self::Http => "UNKNOWN",
            _ => VERBS
                .iter()
                .find(|(verb, _)| *verb == self)
                .map_or("UNKNOWN", |(_, name)| name),
        }
    }
}

/// Splits a line (without CRLF) into its verb and the arguments, blanks around them removed.
pub fn split(line: &[u8]) -> Result<(Verb, &str), CommandError> {
    let text = str::from_utf8(line).map_err(|_| CommandError::Utf8)?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(CommandError::Control);
    }
    let text = text.trim_matches(BLANKS);
    let (word, arguments) = text.split_once(BLANKS).unwrap_or((text, ""));
    Ok((Verb::find(word), arguments.trim_matches(BLANKS)))
}

/// Whether a line names BDAT, however little of it is understood: bytes follow it that are no
/// commands.
pub fn names_chunk(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let verb = line.get(..4);
    verb.is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
        && !line.get(4).is_some_and(u8::is_ascii_alphabetic)
}

/// What separates words.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];
