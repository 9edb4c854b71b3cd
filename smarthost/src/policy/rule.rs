//! One line of `restrictions`, read once: Postfix's names, their older synonyms, and what stands
//! behind them.
//!
//! Contract: total; a rule prints as it was written. Failures: a text for whoever wrote the rule,
//! with what to write instead. postconf(5), access(5).

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{dnsbl::List, endpoint::Endpoint};
use crate::lookup::TableName;

/// A restriction as the administrator wrote it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Rule {
    pub(super) restriction: Restriction,
    /// `warn_if_reject` stood in front: what it would refuse is only logged.
    pub(super) warn: bool,
    text: String,
}

/// Whom or what a restriction looks at; the words are those of replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Client,
    Helo,
    Sender,
    Recipient,
}

/// What a rule does. Names are Postfix's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Restriction {
    Permit,
    Reject,
    Defer,
    DeferIfPermit,
    PermitMynetworks,
    PermitSaslAuthenticated,
    PermitTlsClientcerts,
    PermitAuthDestination,
    RejectUnauthDestination,
    RejectUnlistedRecipient,
    RejectUnauthPipelining,
    RejectMultiRecipientBounce,
    RejectPlaintextSession,
    /// The table's place is where the configuration's file says.
    CheckAccess(Subject, TableName),
    CheckPolicyService(Endpoint),
    Greylist,
    RejectUnverifiedRecipient,
    RejectInvalidHelo,
    RejectNonFqdnHelo,
    RejectUnknownHelo,
    /// Of the sender or the recipient.
    RejectNonFqdn(Subject),
    /// Of the sender or the recipient.
    RejectUnknownDomain(Subject),
    RejectUnknownClient,
    RejectUnknownReverseClient,
    /// The client's address in a list.
    RejectRbl(Arc<List>),
    PermitDnswl(Arc<List>),
    /// A name in a list: of client, HELO, sender or recipient.
    RejectRhsbl(Subject, Arc<List>),
    RejectDnsblScore,
    // What no administrator writes, and no order of his moves:
    RelayPermission,
    AliasExpansion,
    /// Some earlier trouble makes a yes a "not now".
    Deferral,
    MessageLimit,
    RecipientLimit,
    HopLimit,
    UnverifiedSize,
}

use Restriction as R;
use Subject::{Client, Helo, Recipient, Sender};

/// Restrictions without an argument; of several names for one, the first is today's.
const PLAIN: [(&str, Restriction); 32] = [
    ("permit", R::Permit),
    ("reject", R::Reject),
    ("defer", R::Defer),
    ("defer_if_permit", R::DeferIfPermit),
    ("permit_mynetworks", R::PermitMynetworks),
    ("permit_sasl_authenticated", R::PermitSaslAuthenticated),
    ("permit_tls_clientcerts", R::PermitTlsClientcerts),
    ("permit_auth_destination", R::PermitAuthDestination),
    ("reject_unauth_destination", R::RejectUnauthDestination),
    ("defer_unauth_destination", R::RejectUnauthDestination),
    ("reject_unlisted_recipient", R::RejectUnlistedRecipient),
    ("check_recipient_maps", R::RejectUnlistedRecipient),
    ("reject_unauth_pipelining", R::RejectUnauthPipelining),
    (
        "reject_multi_recipient_bounce",
        R::RejectMultiRecipientBounce,
    ),
    ("reject_plaintext_session", R::RejectPlaintextSession),
    ("reject_invalid_helo_hostname", R::RejectInvalidHelo),
    ("reject_invalid_hostname", R::RejectInvalidHelo),
    ("reject_non_fqdn_helo_hostname", R::RejectNonFqdnHelo),
    ("reject_non_fqdn_hostname", R::RejectNonFqdnHelo),
    ("reject_unknown_helo_hostname", R::RejectUnknownHelo),
    ("reject_unknown_hostname", R::RejectUnknownHelo),
    ("reject_non_fqdn_sender", R::RejectNonFqdn(Sender)),
    ("reject_non_fqdn_recipient", R::RejectNonFqdn(Recipient)),
    (
        "reject_unknown_sender_domain",
        R::RejectUnknownDomain(Sender),
    ),
    ("reject_unknown_address", R::RejectUnknownDomain(Sender)),
    (
        "reject_unknown_recipient_domain",
        R::RejectUnknownDomain(Recipient),
    ),
    ("reject_unknown_client_hostname", R::RejectUnknownClient),
    ("reject_unknown_client", R::RejectUnknownClient),
    (
        "reject_unknown_reverse_client_hostname",
        R::RejectUnknownReverseClient,
    ),
    ("reject_dnsbl_score", R::RejectDnsblScore),
    ("greylist", R::Greylist),
    ("reject_unverified_recipient", R::RejectUnverifiedRecipient),
];

/// Restrictions with an argument, and what that is.
const WITH_ARGUMENT: [(&str, &str); 13] = [
    ("check_client_access", "a table"),
    ("check_helo_access", "a table"),
    ("check_sender_access", "a table"),
    ("check_recipient_access", "a table"),
    ("check_policy_service", "an address"),
    ("reject_rbl_client", "a list"),
    ("reject_rbl", "a list"),
    ("permit_dnswl_client", "a list"),
    ("reject_rhsbl_client", "a list"),
    ("reject_rhsbl_helo", "a list"),
    ("reject_rhsbl_sender", "a list"),
    ("reject_rhsbl_recipient", "a list"),
    ("warn_if_reject", "a restriction"),
];

/// What Postfix knows and this program does not, and what to write instead.
const REFUSED: [(&str, &str); 12] = [
    (
        "reject_unverified_sender",
        "senders are never verified, because the servers asked take that for an attack; leave it \
         out",
    ),
    (
        "reject_maps_rbl",
        "write \"reject_rbl_client LIST\" for each list",
    ),
    ("permit_naked_ip_address", "write \"permit_mynetworks\""),
    ("check_relay_domains", "write \"reject_unauth_destination\""),
    (
        "permit_mx_backup",
        "name the domains: domains = { relay = [\"example.net\"] }",
    ),
    (
        "permit_inet_interfaces",
        "write \"permit_mynetworks\": this machine is among networks",
    ),
    (
        "permit_tls_all_clientcerts",
        "write \"permit_tls_clientcerts\" and name the keys in `client_pins`",
    ),
    (
        "reject_unlisted_sender",
        "leave it out: no table of senders exists",
    ),
    (
        "defer_if_reject",
        "write \"warn_if_reject\" in front of the restrictions behind it",
    ),
    ("sleep", "leave it out: it keeps a place for nobody"),
    ("check_etrn_access", "leave it out: ETRN is not offered"),
    (
        "check_sasl_access",
        "remove the login from the file of `auth.users`, or name its client in check_client_access",
    ),
];

/// The same of several with one end.
const REFUSED_ENDS: [(&str, &str); 4] = [
    ("_mx_access", HOSTS),
    ("_ns_access", HOSTS),
    ("_a_access", HOSTS),
    (
        "sender_login_mismatch",
        "logins have no senders of their own: name senders that nobody may use in check_sender_access",
    ),
];
const HOSTS: &str = "the hosts of a domain are not looked up: name the domains themselves in \
                     check_helo_access, check_sender_access or check_recipient_access";

/// What to write instead of what Postfix alone knows.
fn refused(name: &str) -> Option<&'static str> {
    let known = |list: &'static [(&str, &'static str)], is: &dyn Fn(&str) -> bool| {
        let found = list.iter().find(|(refused, _)| is(refused));
        found.map(|(_, instead)| *instead)
    };
    known(&REFUSED, &|refused| refused == name)
        .or_else(|| known(&REFUSED_ENDS, &|end| name.ends_with(end)))
}

impl Rule {
    /// Reads one. Names are understood in upper and lower case.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (warn, rest) = match split(&written) {
            (name, rest) if name.eq_ignore_ascii_case("warn_if_reject") => (true, rest),
            _ => (false, written.as_str()),
        };
        if rest.is_empty() {
            return Err(if warn {
                "`warn_if_reject` stands in front of a restriction: \
                 \"warn_if_reject reject_rbl_client bl.example\""
                    .to_owned()
            } else {
                "a restriction is missing here; write one, or remove the empty string".to_owned()
            });
        }
        Ok(Self {
            restriction: restriction(rest)?,
            warn,
            text: written,
        })
    }

    /// One of our own.
    pub(super) fn fixed(restriction: Restriction, name: &str) -> Self {
        Self {
            restriction,
            warn: false,
            text: name.to_owned(),
        }
    }

    /// The rules where none are written.
    pub fn defaults() -> Vec<Self> {
        [
            "permit_mynetworks",
            "permit_sasl_authenticated",
            "permit_tls_clientcerts",
            "reject_unauth_destination",
            "reject_unlisted_recipient",
        ]
        .iter()
        .filter_map(|name| Self::parse(name).ok())
        .collect()
    }

    /// What stands behind the name: with it, two rules of one kind are told apart in log and
    /// counters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The table that it looks into, and what for.
    pub fn table(&self) -> Option<(Subject, &TableName)> {
        match &self.restriction {
            R::CheckAccess(subject, table) => Some((*subject, table)),
            _ => None,
        }
    }

    /// The policy server that it asks.
    pub fn service(&self) -> Option<&Endpoint> {
        match &self.restriction {
            R::CheckPolicyService(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    /// Relative paths start from the directory of the configuration's file.
    pub fn place(&mut self, directory: &Path) {
        if let R::CheckPolicyService(endpoint) = &mut self.restriction {
            endpoint.place(directory);
        }
        if let Some(path) = self.path_mut() {
            *path = directory.join(&*path);
        }
    }

    /// Where its table is.
    pub fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match &mut self.restriction {
            R::CheckAccess(_, table) => Some(&mut table.path),
            _ => None,
        }
    }

    /// The list that it asks.
    pub fn list(&self) -> Option<&Arc<List>> {
        match &self.restriction {
            R::RejectRbl(list) | R::PermitDnswl(list) | R::RejectRhsbl(_, list) => Some(list),
            _ => None,
        }
    }

    /// Whether names are asked for there, and not addresses.
    pub fn lists_names(&self) -> bool {
        matches!(self.restriction, R::RejectRhsbl(..))
    }

    /// Whether it adds up what lists say.
    pub fn is_score(&self) -> bool {
        self.restriction == R::RejectDnsblScore
    }

    /// Whether recipients are asked for at the next hop.
    pub fn verifies(&self) -> bool {
        self.restriction == R::RejectUnverifiedRecipient
    }

    /// Whether networks that nobody knows have to come again.
    pub fn greylists(&self) -> bool {
        self.restriction == R::Greylist
    }

    /// Whether DNS is asked for it.
    pub fn needs_dns(&self) -> bool {
        self.restriction.looks_up()
    }

    /// Whether it ends the chain, whoever comes: what stands behind it is dead.
    pub fn is_final(&self) -> bool {
        !self.warn && matches!(self.restriction, R::Permit | R::Reject | R::Defer)
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn restriction(text: &str) -> Result<Restriction, String> {
    let (written, argument) = split(text);
    let name = written.to_ascii_lowercase();
    if let Some(instead) = refused(&name) {
        return Err(format!("`{name}` is not known here; {instead}"));
    }
    if let Some((_, plain)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
        return if argument.is_empty() {
            Ok(plain.clone())
        } else {
            Err(format!(
                "`{name}` takes no argument; write each restriction as a string of its own: \
                 \"{name}\", \"{}\"",
                argument.trim_start_matches([',', ' ']).escape_debug()
            ))
        };
    }
    let Some((_, what)) = WITH_ARGUMENT.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(written, argument));
    };
    if argument.is_empty() || argument.contains([' ', ',']) {
        return Err(format!(
            "`{name}` needs {what} after it; write \"{}\"",
            example(&name)
        ));
    }
    let list = || {
        List::parse(argument, false)
            .map(Arc::new)
            .map_err(|why| format!("{why}: \"{}\"", example(&name)))
    };
    Ok(match name.as_str() {
        "check_client_access" => R::CheckAccess(Client, TableName::parse(argument)?),
        "check_helo_access" => R::CheckAccess(Helo, TableName::parse(argument)?),
        "check_sender_access" => R::CheckAccess(Sender, TableName::parse(argument)?),
        "check_recipient_access" => R::CheckAccess(Recipient, TableName::parse(argument)?),
        "check_policy_service" => R::CheckPolicyService(Endpoint::parse(argument)?),
        "reject_rbl_client" | "reject_rbl" => R::RejectRbl(list()?),
        "permit_dnswl_client" => R::PermitDnswl(list()?),
        "reject_rhsbl_client" => R::RejectRhsbl(Client, list()?),
        "reject_rhsbl_helo" => R::RejectRhsbl(Helo, list()?),
        "reject_rhsbl_sender" => R::RejectRhsbl(Sender, list()?),
        "reject_rhsbl_recipient" => R::RejectRhsbl(Recipient, list()?),
        _ => return Err(format!("`{name}` stands once, in front of a restriction")),
    })
}

fn example(name: &str) -> String {
    let argument = match name {
        "check_policy_service" => "inet:127.0.0.1:10023",
        "warn_if_reject" => "reject_unknown_client_hostname",
        _ if name.starts_with("check_") => "access",
        _ if name.contains("rhs") => "dbl.example",
        _ => "zen.example=127.0.0.[2..11]",
    };
    format!("{name} {argument}")
}

fn unknown(written: &str, behind: &str) -> String {
    let names = PLAIN.iter().map(|(name, _)| *name);
    let all: Vec<_> = names
        .chain(WITH_ARGUMENT.iter().map(|(name, _)| *name))
        .collect();
    let separate = if written.contains(',') {
        "; write each restriction as a string of its own"
    } else {
        ""
    };
    let name = written.trim_end_matches(',');
    if name != written && all.contains(&name.to_ascii_lowercase().as_str()) {
        return format!(
            "several restrictions in one string; put each in quotes of its own: \"{}\", \"{}\"",
            name.escape_debug(),
            behind.escape_debug()
        );
    }
    format!(
        "unknown restriction `{}`{separate}; {}",
        name.escape_debug(),
        settings::suggestion(&name.to_ascii_lowercase(), &all)
    )
}

impl Subject {
    /// As replies name it: `Sender address rejected: …`
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Client => "Client host",
            Self::Helo => "Helo command",
            Self::Sender => "Sender address",
            Self::Recipient => "Recipient address",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Rule {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}
