//! Rewriting: one policy for envelope and header (rows A1, A2, B9, B18, D2).
use crate::{address::Address, envelope::Envelope, maps::Table, message::Header};
/// Which user submitted; from the socket's credentials, never from the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Login name, or `uid-61234` where there is none.
    pub user: String,
    /// GECOS full name, may be empty.
    pub full_name: String,
}
/// The rules, from the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// FQDN of this machine.
    pub hostname: String,
    /// Appended to unqualified senders (and to recipients that neither alias nor admin catches).
    pub domain: String,
    /// Where unqualified recipients go that no alias names.
    pub admin: Option<Address>,
    /// Senders: local account → address; chains are followed.
    pub revaliases: Table,
    /// Recipients: local account → addresses; chains and lists.
    pub aliases: Table,
    /// Whether a `From:` given by the program is kept.
    pub from_override: bool,
}
/// One change, for `explain` and the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `envelope sender`, `envelope recipient`, or a field's name.
    pub what: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
    /// `FILE:LINE` or the setting that caused it.
    pub because: String,
}
/// The envelope as typed: unqualified names allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Typed {
    /// `None`: the caller; `Some("")`: null sender.
    pub sender: Option<String>,
    /// As typed.
    pub recipients: Vec<String>,
}
/// Why an envelope cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RewriteError {
    Sender(String),
    Recipient(String),
    Alias(String),
}
/// Makes the envelope's addresses and rewrites `From`, `Sender`, `Reply-To`, `To`, `Cc`, `Resent-*`. Pure.
pub fn rewrite(
    _typed: &Typed,
    _header: &mut Header,
    _caller: &Caller,
    _rules: &Rules,
) -> Result<(Envelope, Vec<Change>), RewriteError> {
    todo!()
}
