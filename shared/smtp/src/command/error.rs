//! Why a command is not understood. It displays as the reply that says so.
//!
//! RFC 5321 §4.2.4 (500, 501, 502, 504, 555), RFC 3463 (x.1.3, x.1.7, x.5.2, x.5.4), RFC 6531 §3.5
//! (553, x.6.7).

use std::fmt;

/// Prints as a whole reply in ASCII: `501 5.1.7 Bad sender address syntax`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    Utf8,
    Control,
    /// Arguments that the command cannot have; how it is written.
    Usage(&'static str),
    SenderSyntax,
    RecipientSyntax,
    SenderUnqualified(String),
    RecipientUnqualified(String),
    SenderNonAscii,
    RecipientNonAscii,
    /// A parameter that makes no sense, or came twice.
    Parameter(&'static str),
    /// A parameter that nobody offered.
    Unsupported(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("500 5.5.2 Error: bad UTF-8 syntax"),
            Self::Control => f.write_str("500 5.5.2 Error: control character in command"),
            Self::Usage(form) => write!(f, "501 5.5.4 Syntax: {form}"),
            Self::SenderSyntax => f.write_str("501 5.1.7 Bad sender address syntax"),
            Self::RecipientSyntax => f.write_str("501 5.1.3 Bad recipient address syntax"),
            Self::SenderUnqualified(name) => {
                write!(
                    f,
                    "504 5.5.2 <{}>: Sender address rejected: need fully-qualified address",
                    Quoted(name)
                )
            }
            Self::RecipientUnqualified(name) => {
                write!(
                    f,
                    "504 5.5.2 <{}>: Recipient address rejected: need fully-qualified address",
                    Quoted(name)
                )
            }
            Self::SenderNonAscii => {
                f.write_str("553 5.6.7 Error: a non-ASCII sender needs the parameter SMTPUTF8")
            }
            Self::RecipientNonAscii => {
                f.write_str("553 5.6.7 Error: a non-ASCII recipient needs MAIL with SMTPUTF8")
            }
            Self::Parameter(name) => write!(f, "501 5.5.4 Error: bad {name} parameter"),
            Self::Unsupported(name) => write!(f, "555 5.5.4 Unsupported option: {}", Quoted(name)),
        }
    }
}
impl std::error::Error for CommandError {}

/// Peer text inside a reply of ours: ASCII, and short.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(64).try_for_each(|c| {
            write!(
                f,
                "{}",
                if c == ' ' || c.is_ascii_graphic() {
                    c
                } else {
                    '?'
                }
            )
        })
    }
}
